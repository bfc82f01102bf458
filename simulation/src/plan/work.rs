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
/// A seed has a policy that wants the targets of another with this chance, in percent.
const RIVAL_CHANCE: u64 = 20;
/// Where the sources are.
const DATABASE: &str = "db";
/// Where the sources of a policy are that wants the targets of another.
const OTHER_DATABASE: &str = "db2";
/// One policy in so many compares null counts alone, one checksums alone.
const COMPARE_LESS_EACH: u64 = 5;
/// Submissions come within this time.
const SUBMITTED_WITHIN_MILLIS: u64 = 6_500;

/// One dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TablePlan {
    /// The source.
    pub(crate) name: TableName,
    /// The target.
    pub(crate) target: TableName,
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
    /// It moves tables of another database to the targets of this policy: one of the two comes too late.
    pub(crate) rivals: Option<u64>,
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

    /// Some policies compare null counts alone, some checksums alone: what these do not see is seen by nothing else.
    fn validation(&self) -> &'static str {
        match self.priority % COMPARE_LESS_EACH {
            0 => "  validate: { eachBatch: [count], final: [count, nulls] }\n",
            1 => "  validate: { eachBatch: [count, checksum], final: [count, checksum] }\n",
            _ => "",
        }
    }

    /// The document; generations differ in their description and priority alone.
    pub(crate) fn document(&self, generation: u64) -> String {
        let mut text = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p{0}, owner: team{1}, description: \"generation {generation}\" }}\n\
             spec:\n  source: {{ connection: legacy, include: [\"{2}.p{3}_*\"] }}\n  \
             target: {{ connection: lake, name: \"db.{{table}}\" }}\n",
            self.number,
            self.number % 2,
            if self.rivals.is_some() { OTHER_DATABASE } else { DATABASE },
            self.rivals.unwrap_or(self.number),
        );
        text.push_str(&self.recipe.spec());
        let _ = writeln!(text, "  approval: {{ required: {} }}", self.approval);
        text.push_str(self.validation());
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
    let mut all: Vec<PolicyPlan> = (0..policies).map(|number| policy(draw, number, (least, most), machines)).collect();
    if draw.chance(RIVAL_CHANCE) {
        let of = draw.index(all.len());
        let rival = rival(draw, policies, &all[of], machines);
        all.push(rival);
    }
    all
}

/// A policy whose tables go where those of another go.
fn rival(draw: &mut Draw, number: u64, of: &PolicyPlan, machines: usize) -> PolicyPlan {
    let mut rival = policy(draw, number, (1, 1), machines);
    let table = |(place, theirs): (u64, &TablePlan)| {
        let ours = table(draw, number, place, &rival.recipe);
        TablePlan {
            name: TableName::new(OTHER_DATABASE, theirs.name.table.clone()),
            target: theirs.target.clone(),
            ..ours
        }
    };
    rival.tables = (0..).zip(&of.tables).map(table).collect();
    rival.rivals = Some(of.number);
    rival.after = None;
    rival
}

fn policy(draw: &mut Draw, number: u64, (least, most): (u64, u64), machines: usize) -> PolicyPlan {
    let recipe = recipe(draw);
    let tables = draw.between(least, most);
    PolicyPlan {
        number,
        rivals: None,
        tables: (0..tables).map(|table| self::table(draw, number, table, &recipe)).collect(),
        recipe,
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
fn table(draw: &mut Draw, policy: u64, number: u64, recipe: &Recipe) -> TablePlan {
    let twice = recipe.drop_duplicates || recipe.keep_one;
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
    let name = TableName::new(DATABASE, format!("p{policy}_{number}"));
    // Which of two equal rows stays is seen only where they lie in different partitions; nobody outside can tell it.
    let partitioned = !recipe.keep_one && draw.chance(20);
    let partitions = partitioned.then(|| 1 + u32::try_from(draw.below(3)).expect("a few"));
    TablePlan { target: name.clone(), name, files: content, partitions, poison: poison(draw) }
}

/// One table in thirty takes whoever works on it down, or the work.
fn poison(draw: &mut Draw) -> Option<(Poison, u32)> {
    if draw.below(30) != 0 {
        return None;
    }
    let kind = if draw.chance(50) { Poison::Panics } else { Poison::KillsNode };
    Some((kind, u32::try_from(draw.between(1, 6)).expect("a few")))
}
