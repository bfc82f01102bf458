//! What the fleet is asked to migrate: policies, each with its tables, and the documents that say so.
//!
//! In: draws. Out: [`PolicyPlan`]s. Holds: what a policy says. Not here: who submits it, and when it is answered (`run`).

use std::fmt::Write as _;
use std::time::Duration;

use skein_node::scripted::{Poison, Recipe};
use skein_protocol::ids::TableName;

use super::{Draw, Profile};

/// Files, and thereby batches, of a table: at most.
const MOST_FILES: u64 = 4;
/// Rows of a file: at most.
const MOST_ROWS: u64 = 6;
/// Submissions come within this time.
const SUBMITTED_WITHIN_MILLIS: u64 = 4_000;

/// One dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TablePlan {
    /// Source and target have the same name.
    pub(crate) name: TableName,
    /// The numbers in each of its files.
    pub(crate) files: Vec<Vec<u64>>,
    /// Its files lie in so many partitions, if it has a partition column.
    pub(crate) partitions: Option<u32>,
    /// What the first of its batches does to the data plane, and how often.
    pub(crate) poison: Option<(Poison, u32)>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyPlan {
    pub(crate) number: u64,
    /// What is done to the rows on the way.
    pub(crate) recipe: Recipe,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) approval: bool,
    pub(crate) priority: u64,
    /// The policy that goes before it.
    pub(crate) after: Option<u64>,
    pub(crate) attempts: u64,
    pub(crate) max_parallel: Option<u64>,
    /// When it is submitted, to which machine first.
    pub(crate) at: Duration,
    pub(crate) machine: usize,
}

impl PolicyPlan {
    pub(crate) fn name(&self) -> String {
        format!("p{}", self.number)
    }

    /// The document; generations differ in their description and priority alone.
    pub(crate) fn document(&self, generation: u64) -> String {
        let mut text = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p{0}, owner: team{1}, description: \"generation {generation}\" }}\n\
             spec:\n  source: {{ connection: legacy, include: [\"db.p{0}_*\"] }}\n  target: {{ connection: lake }}\n",
            self.number,
            self.number % 2,
        );
        text.push_str(&self.recipe.spec());
        let _ = writeln!(text, "  approval: {{ required: {} }}", self.approval);
        let mut run = format!("priority: {}, attempts: {}", (self.priority + generation - 1) % 101, self.attempts);
        if let Some(after) = self.after {
            let _ = write!(run, ", after: [p{after}]");
        }
        if let Some(most) = self.max_parallel {
            let _ = write!(run, ", maxParallel: {most}");
        }
        let _ = writeln!(text, "  run: {{ {run} }}");
        text
    }
}

pub(super) fn policies(draw: &mut Draw, profile: Profile, machines: usize) -> Vec<PolicyPlan> {
    let (policies, least, most) = match profile {
        Profile::Small | Profile::Quic => (3 + draw.below(3), 2, 6),
        Profile::Large => (8, 25, 25),
    };
    (0..policies).map(|number| policy(draw, number, (least, most), machines)).collect()
}

fn policy(draw: &mut Draw, number: u64, (least, most): (u64, u64), machines: usize) -> PolicyPlan {
    let recipe = recipe(draw);
    let twice = recipe.drop_duplicates || recipe.keep_one;
    let tables = draw.between(least, most);
    PolicyPlan {
        number,
        recipe,
        tables: (0..tables).map(|table| self::table(draw, number, table, twice)).collect(),
        approval: draw.chance(25),
        priority: draw.below(101),
        after: (number > 0 && draw.chance(20)).then(|| draw.below(number.max(1))),
        attempts: draw.between(2, 5),
        max_parallel: draw.chance(20).then(|| draw.between(1, 4)),
        at: draw.millis(0, SUBMITTED_WITHIN_MILLIS),
        machine: draw.index(machines),
    }
}

/// Half of the policies change nothing; the others clean, filter, add, rename, some of it together.
fn recipe(draw: &mut Draw) -> Recipe {
    if draw.chance(40) {
        return Recipe::default();
    }
    let clean = draw.below(3);
    Recipe {
        least_plays: draw.chance(25).then_some(2),
        drop_duplicates: clean == 1,
        keep_one: clean == 2,
        add: if draw.chance(40) { vec![("description".to_owned(), Some(String::new()))] } else { Vec::new() },
        rename: if draw.chance(20) { vec![("name".to_owned(), "title".to_owned())] } else { Vec::new() },
    }
}

/// A table whose numbers stand in no other table; some of them twice, in one file or in two.
fn table(draw: &mut Draw, policy: u64, number: u64, twice: bool) -> TablePlan {
    let first = policy * 1_000_000 + number * 10_000;
    let files = draw.between(1, MOST_FILES);
    let mut numbers: Vec<u64> = Vec::new();
    let mut content = Vec::new();
    for file in 0..files {
        let rows = draw.below(MOST_ROWS + 1);
        let mut rows: Vec<u64> = (0..rows).map(|row| first + file * 100 + row).collect();
        if twice && !numbers.is_empty() && draw.chance(60) {
            rows.push(numbers[draw.index(numbers.len())]);
        }
        if draw.chance(20) && !rows.is_empty() {
            rows.push(rows[draw.index(rows.len())]);
        }
        numbers.extend(&rows);
        content.push(rows);
    }
    TablePlan { name: TableName::new("db", format!("p{policy}_{number}")), files: content, partitions: draw.chance(20).then(|| 1 + u32::try_from(draw.below(3)).expect("a few")), poison: poison(draw) }
}

/// One table in thirty takes whoever works on it down, or the work.
fn poison(draw: &mut Draw) -> Option<(Poison, u32)> {
    if draw.below(30) != 0 {
        return None;
    }
    let kind = if draw.chance(50) { Poison::Panics } else { Poison::KillsNode };
    Some((kind, u32::try_from(draw.between(1, 6)).expect("a few")))
}
