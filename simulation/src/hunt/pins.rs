//! Pins: for each known-bad variant a seed or a crash point that catches it, and passes without it.
//!
//! In: what a hunt caught. Out: the file that the tests read. Seeds mean something else whenever the plan of a seed changes:
//! `skein-sim hunt --pin` writes the file anew.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::pursuit::Chase;
use super::trial::Subject;

/// The file beside the package's description.
const FILE: &str = "known_bad.txt";
const HEAD: &str = "\
# Known-bad variants of the nodes, each with a seed or a crash point that catches it and that passes without it.
# Written by: cargo run --release -p skein-simulation --features defects -- hunt --pin
";

/// A defect and what catches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The defect's name.
    pub defect: String,
    /// The seed or the crash point.
    pub subject: Subject,
}

/// The pins in this package's folder.
///
/// # Errors
/// When the file is missing or a line of it is not a name and a number or a crash point.
pub fn pins() -> Result<Vec<Pin>> {
    read(super::home())
}

pub(super) fn read(folder: &Path) -> Result<Vec<Pin>> {
    let path = folder.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Pin>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let pin = |line: &str| {
        let (defect, seed) = line.split_once(' ').with_context(|| format!("{line:?} has no seed"))?;
        let subject = match Subject::named(seed.trim()) {
            Subject::Point(name) if !name.contains('/') => bail!("{line:?} has neither a seed nor a crash point"),
            subject => subject,
        };
        Ok(Pin { defect: defect.to_owned(), subject })
    };
    lines.filter(|line| !line.is_empty()).map(pin).collect()
}

/// Writes what was caught; where only some defects were hunted, the pins of the others stay.
pub(super) fn write(folder: &Path, chases: &[Chase], whole: bool) -> Result<()> {
    let path = folder.join(FILE);
    let mut pins = if whole || !path.exists() { Vec::new() } else { read(folder)? };
    let mut why = std::collections::BTreeMap::new();
    for chase in chases {
        pins.retain(|pin| pin.defect != chase.known.name);
        if let Some(caught) = chase.caught().next() {
            pins.push(Pin { defect: chase.known.name.to_owned(), subject: caught.subject.clone() });
            why.insert(chase.known.name, caught.why.clone());
        }
    }
    pins.sort_unstable_by(|one, other| one.defect.cmp(&other.defect));
    let mut text = HEAD.to_owned();
    for Pin { defect, subject } in &pins {
        match why.get(defect.as_str()) {
            Some(why) => writeln!(text, "{defect} {subject} # {}", why.replace('#', ""))?,
            None => writeln!(text, "{defect} {subject}")?,
        }
    }
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    eprintln!("{} pins are in {}", pins.len(), path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_read_without_their_comments_and_a_line_without_a_seed_is_refused() {
        let pins = parse("# head\n\none 3 # because: of it\ntwo again/late/disk:7\n").unwrap();
        let pin = |defect: &str, name: &str| Pin { defect: defect.to_owned(), subject: Subject::named(name) };
        assert_eq!(pins, [pin("one", "3"), pin("two", "again/late/disk:7")]);
        assert_eq!(pins[0].subject, Subject::Seed(3));
        assert!(parse("one").is_err());
        assert!(parse("one x").is_err());
    }
}
