//! One trial: a seed or a crash point in a process of its own, with a defect or without one.
//!
//! In: a seed or a point, perhaps a defect. Out: how the process ended, and what it said went wrong. Not here: what a seed is.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A seed takes a second or two; one that takes as long as this goes round in a circle.
const LONGEST: Duration = Duration::from_secs(180);
/// All crash points take half a minute of a quiet machine.
const LONGEST_ENUMERATION: Duration = Duration::from_secs(1_200);
/// Whether it has ended is looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// What went wrong is told with so many characters.
const SHOWN: usize = 200;
/// What a process says before a line that tells what is wrong.
const FAILED: &str = "failed: ";

/// What is run again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A seed.
    Seed(u64),
    /// A crash point by its name, as in `publish/late/disk:7`.
    Point(String),
}

impl Subject {
    /// As people and files have it: numbers are seeds.
    #[must_use]
    pub fn named(name: &str) -> Self {
        name.parse().map_or_else(|_| Self::Point(name.to_owned()), Self::Seed)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed(seed) => seed.fmt(f),
            Self::Point(name) => name.fmt(f),
        }
    }
}

/// A seed or a crash point, perhaps with a defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What is run.
    pub subject: Subject,
    /// The defect's name.
    pub defect: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything is as it must be.
    Well,
    /// Something is wrong: this.
    Wrong(String),
}

impl Trial {
    /// Nodes as they are.
    #[must_use]
    pub fn sound(subject: Subject) -> Self {
        Self { subject, defect: None }
    }

    /// Nodes with a defect.
    #[must_use]
    pub fn bad(subject: Subject, defect: &str) -> Self {
        Self { subject, defect: Some(defect.to_owned()) }
    }

    /// Runs it with this very program.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn run(&self) -> Result<End> {
        self.run_with(&std::env::current_exe().context("the way to this program")?)
    }

    /// Runs it with another build of the program.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn run_with(&self, program: &std::path::Path) -> Result<End> {
        let mut command = Command::new(program);
        match &self.subject {
            Subject::Seed(seed) => command.args(["replay", &seed.to_string()]),
            Subject::Point(name) => command.args(["crash-points", "--brief", "--only", name]),
        };
        if let Some(defect) = &self.defect {
            command.args(["--defect", defect]);
        }
        let Some(Said { status, said, complained }) = listen(command, LONGEST)? else {
            return Ok(End::Wrong(format!("it did not end within {} s", LONGEST.as_secs())));
        };
        if status.success() {
            return Ok(End::Well);
        }
        let told = said.lines().find_map(|line| line.strip_prefix(FAILED)).map(str::to_owned);
        Ok(End::Wrong(shorten(&told.unwrap_or_else(|| format!("{status}: {}", panic_in(&complained))))))
    }
}

/// The crash points at which nodes with a defect fail, found by trying all of them.
pub(super) fn failing_points(defect: &str) -> Result<Vec<Subject>> {
    let mut command = Command::new(std::env::current_exe().context("the way to this program")?);
    command.args(["crash-points", "--all", "--defect", defect]);
    let Some(Said { said, .. }) = listen(command, LONGEST_ENUMERATION)? else { return Ok(Vec::new()) };
    let points = said.lines().filter_map(|line| line.strip_prefix(crate::crash_points::AGAIN));
    Ok(points.map(|name| Subject::Point(name.to_owned())).collect())
}

/// How a process ended and what it wrote.
struct Said {
    status: ExitStatus,
    said: String,
    complained: String,
}

/// Runs a process; `None` when it took too long and was ended.
fn listen(mut command: Command, longest: Duration) -> Result<Option<Said>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    // Read while it runs, so that no pipe fills up and stops it.
    let (said, complained) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let Some(status) = wait(&mut child, longest)? else { return Ok(None) };
    let (said, complained) = (said.join().unwrap_or_default(), complained.join().unwrap_or_default());
    Ok(Some(Said { status, said, complained }))
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until then is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// `None` when it took too long and was ended.
fn wait(child: &mut Child, longest: Duration) -> Result<Option<ExitStatus>> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if since.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(LOOK);
    }
}

/// Where and why a process panicked, or the last thing that it said.
fn panic_in(complained: &str) -> String {
    let mut lines = complained.lines().skip_while(|line| !line.contains("panicked at"));
    match (lines.next(), lines.next()) {
        (Some(_), Some(why)) => format!("panic: {why}"),
        _ => complained.lines().last().unwrap_or_default().to_owned(),
    }
}

fn shorten(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_complaints_are_cut_between_characters() {
        assert_eq!(shorten("short\ntext"), "short text");
        let long = shorten(&"ü".repeat(SHOWN + 5));
        assert_eq!(long.chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_panic_is_told_by_its_message() {
        let said = "log\nthread 'main' panicked at a.rs:1:2:\nindex out of bounds\nnote: more";
        assert_eq!(panic_in(said), "panic: index out of bounds");
        assert_eq!(panic_in("one\ntwo"), "two");
    }
}
