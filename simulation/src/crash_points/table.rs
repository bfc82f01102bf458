//! The table of crash points: rows are points, columns are faults, cells are trials.
//!
//! In: trials and how they went. Out: Markdown. Holds: [`Table`]. Not here: running them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use skein_node::scripted::Call;

use super::scenario::Scenario;
use super::trial::CatalogFault;

/// What a row is about: all points of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// At operations of the ledger's disk.
    Disk,
    /// Before calls of this kind.
    Before(Call),
    /// After calls of this kind.
    After(Call),
}

/// Trials that were made, and those of them that failed.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    tried: u64,
    failed: u64,
}

/// How trials went.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: BTreeMap<(Scenario, Kind), BTreeMap<CatalogFault, Cell>>,
}

impl Table {
    /// Notes how a trial went.
    pub(super) fn note(&mut self, scenario: Scenario, fault: CatalogFault, kind: Kind, failed: bool) {
        let cell = self.cells.entry((scenario, kind)).or_default().entry(fault).or_default();
        cell.tried += 1;
        cell.failed += u64::from(failed);
    }

    /// All trials, and those that failed.
    pub(super) fn totals(&self) -> (u64, u64) {
        let all = self.cells.values().flat_map(BTreeMap::values);
        all.fold((0, 0), |(tried, failed), cell| (tried + cell.tried, failed + cell.failed))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<&str> = CatalogFault::ALL.into_iter().map(CatalogFault::name).collect();
        writeln!(f, "| part | crash | {} |", faults.join(" | "))?;
        writeln!(f, "|---|---|{}", "---:|".repeat(faults.len()))?;
        for ((scenario, kind), cells) in &self.cells {
            let crash = match kind {
                Kind::Disk => "at a disk operation".to_owned(),
                Kind::Before(call) => format!("before {call:?}"),
                Kind::After(call) => format!("after {call:?}"),
            };
            let mut line = format!("| {} | {crash} |", scenario.name());
            for fault in CatalogFault::ALL {
                match cells.get(&fault) {
                    None => line.push_str(" – |"),
                    Some(Cell { tried, failed: 0 }) => write!(line, " {tried} |")?,
                    Some(Cell { tried, failed }) => write!(line, " **{failed} of {tried} failed** |")?,
                }
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
