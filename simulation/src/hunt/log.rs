//! What was tried already: one line a trial, so that a hunt of hours goes on where it was stopped.
//!
//! In: trials. Out: how they ended, from the file or from a new process. Holds: the file, if there is one. A line that was cut
//! off is a trial that is made again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::trial::{End, Subject, Trial};

/// The file in the folder of a hunt.
const FILE: &str = "hunt.log";
/// What stands for no defect.
const SOUND: &str = "-";
/// What stands for a seed that ended well.
const WELL: &str = "well";

/// A defect, or none, and what was run.
type Key = (String, Subject);

#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<Key, End>,
    file: Option<File>,
}

impl Log {
    /// Reads what is in the folder; without one nothing outlives the process.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(FILE);
        let text = if path.exists() { std::fs::read_to_string(&path)? } else { String::new() };
        let known = text.lines().filter_map(read).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file)?;
        }
        Ok(Self(Mutex::new(Inner { known, file: Some(file) })))
    }

    /// How a trial ends.
    pub(super) fn run(&self, trial: &Trial) -> Result<End> {
        let key = (trial.defect.clone().unwrap_or_else(|| SOUND.to_owned()), trial.subject.clone());
        if let Some(end) = self.lock().known.get(&key) {
            return Ok(end.clone());
        }
        let end = trial.run()?;
        let mut inner = self.lock();
        if let Some(file) = &mut inner.file {
            writeln!(file, "{}", line(&key, &end))?;
        }
        inner.known.insert(key, end.clone());
        Ok(end)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line((defect, subject): &Key, end: &End) -> String {
    match end {
        End::Well => format!("{defect} {subject} {WELL} ."),
        End::Wrong(why) => format!("{defect} {subject} wrong {why} ."),
    }
}

fn read(line: &str) -> Option<(Key, End)> {
    let mut parts = line.strip_suffix(" .")?.splitn(4, ' ');
    let key = (parts.next()?.to_owned(), Subject::named(parts.next()?));
    Some(match (parts.next()?, parts.next()) {
        (WELL, None) => (key, End::Well),
        ("wrong", why) => (key, End::Wrong(why.unwrap_or_default().to_owned())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_reads_back_and_a_cut_line_does_not() {
        let at = Subject::Point("publish/late/disk:7".to_owned());
        let key = ("some-defect".to_owned(), at);
        for end in [End::Well, End::Wrong("a table: two rows too many".to_owned())] {
            let line = line(&key, &end);
            assert_eq!(read(&line), Some((key.clone(), end)));
            assert_eq!(read(&line[..line.len() - 1]), None);
        }
        assert_eq!(read(""), None);
    }
}
