//! What a run of the model gave, as numbers; and whether it did what it must.
//!
//! In: the model at its end. Out: [`Outcome`]. The truth about rows comes from the warehouse, what became of them from the ledger.

use serde::{Deserialize, Serialize};
use skein_protocol::ledger::Phase;

use super::bound;
use super::membership::Killing;
use super::model::Model;
use super::process;
use super::setting::Setting;
use super::warehouse::Warehouse;

/// Most failures that are told; one is enough.
const FAILURES_TOLD: usize = 20;

/// The fleet at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Slots in which something happens.
    pub working: u64,
    /// Slots of dead nodes.
    pub dead: u64,
    /// Migrations that were given to nodes without work, so far.
    pub steals: u64,
    /// Batches that were lent to nodes without work, so far.
    pub loans: u64,
    /// Migrations that are committed.
    pub committed: u64,
}

/// What is counted on the way.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) working: u64,
    pub(super) useful_micros: u64,
    pub(super) lost_micros: u64,
    pub(super) longest_chain_micros: u64,
    pub(super) batches: u64,
    pub(super) batches_lost: u64,
    pub(super) committed: u64,
    pub(super) committed_at: u64,
    pub(super) ended: u64,
    pub(super) registered: u64,
    pub(super) asked: u64,
    pub(super) steals: u64,
    pub(super) loans: u64,
    pub(super) refused: u64,
    pub(super) elections: u64,
    pub(super) expired: u64,
    pub(super) rss_before: u64,
    pub(super) rss_queued: u64,
    pub(super) rss_peak: u64,
    pub(super) model_peak: u64,
    cpu_before: u64,
    moments: Vec<Moment>,
    failures: Vec<String>,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self { cpu_before: process::cpu_millis(), ..Self::default() }
    }

    pub(super) fn fail(&mut self, what: String) {
        if self.failures.len() < FAILURES_TOLD {
            self.failures.push(what);
        }
    }

    pub(super) fn sample(&mut self, dead: u64) {
        let Self { working, steals, loans, committed, .. } = *self;
        self.moments.push(Moment { working, dead, steals, loans, committed });
    }
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was run.
    pub setting: Setting,
    /// From the submit until the last target was visible.
    pub makespan_millis: u64,
    /// No schedule is shorter, with all nodes alive to the end.
    pub bound_millis: u64,
    /// No schedule is shorter that has only the slots that live.
    pub living_bound_millis: u64,
    /// Of the time of all living slots up to the end, the part in which something of use happened.
    pub utilisation: f64,
    /// Slot time that came to nothing.
    pub lost_work_millis: u64,
    /// Migrations that are committed.
    pub committed: u64,
    /// Rows of all sources.
    pub rows: u64,
    /// Copies among them that were dropped.
    pub rows_dropped: u64,
    /// Rows that should be visible and are not.
    pub rows_lost: u64,
    /// Batches that ended well.
    pub batches: u64,
    /// Hand-outs whose work came to nothing.
    pub batches_lost: u64,
    /// Questions of nodes without work.
    pub asked: u64,
    /// Migrations that were given to them.
    pub steals: u64,
    /// Batches that were lent to them.
    pub loans: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Most entries that were proposed in a second.
    pub busiest_second: u32,
    /// Longest time from a proposal to its application.
    pub slowest_entry_millis: u64,
    /// Entries, or parts of them, that came too late and were refused.
    pub refused: u64,
    /// Times that a leader died.
    pub elections: u64,
    /// Sessions that were ended.
    pub expired: u64,
    /// Who was killed when.
    pub killings: Vec<Killing>,
    /// The fleet second by second.
    #[serde(skip)]
    pub moments: Vec<Moment>,
    /// Processor time of the model.
    pub cpu_millis: u64,
    /// Resident memory of a queued migration, bytes: the ledger's state.
    pub queued_bytes: u64,
    /// Most resident memory for each migration, bytes: the ledger's state and the model.
    pub peak_bytes: u64,
    /// What the model itself keeps for each migration, bytes, counted where it is most.
    pub model_bytes: u64,
    /// What is wrong. Empty when everything is as it must be.
    pub failures: Vec<String>,
}

impl Outcome {
    /// The makespan over the bound.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        quotient(self.makespan_millis, self.bound_millis)
    }

    /// The makespan over the bound of the slots that live.
    #[must_use]
    pub fn living_ratio(&self) -> f64 {
        quotient(self.makespan_millis, self.living_bound_millis)
    }

    /// The greatest ratio that is well: a twentieth is what the last batches need at fifty nodes; more nodes have more of them;
    /// what dead nodes had begun is done again.
    #[must_use]
    pub fn goal(&self) -> f64 {
        match (self.setting.killed_percent, self.setting.nodes) {
            (1.., _) => 1.15,
            (0, ..=100) => 1.05,
            (0, _) => 1.10,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "shares are for people")]
fn quotient(part: u64, whole: u64) -> f64 {
    part as f64 / (whole.max(1)) as f64
}

impl Model<'_> {
    /// The numbers at the end.
    pub(super) fn reckon(mut self) -> Outcome {
        let (rows, rows_dropped, rows_lost) = self.count_rows();
        self.check();
        self.check_invariants();
        let setting = self.setting.clone();
        let measured = &mut self.measured;
        measured.rss_peak = measured.rss_peak.max(process::resident_bytes());
        let chain = measured.longest_chain_micros;
        let bound = bound::undisturbed(measured.useful_micros, setting.all_slots(), chain);
        let (nodes, slots) = (u64::from(setting.nodes), u64::from(setting.slots));
        let living_bound = bound::with_killed(measured.useful_micros, nodes, slots, &self.killings, chain);
        let makespan_millis = measured.committed_at / 1000;
        let gone: u64 = self.killings.iter().map(|killing| makespan_millis.saturating_sub(killing.millis)).sum();
        let offered = makespan_millis * setting.all_slots() - gone * slots;
        let each = |bytes: u64| bytes.saturating_sub(measured.rss_before) / u64::from(setting.datasets);
        let mut outcome = Outcome {
            makespan_millis,
            bound_millis: bound / 1000,
            living_bound_millis: living_bound / 1000,
            utilisation: quotient(measured.useful_micros / 1000, offered),
            lost_work_millis: measured.lost_micros / 1000,
            committed: measured.committed,
            rows,
            rows_dropped,
            rows_lost,
            batches: measured.batches,
            batches_lost: measured.batches_lost,
            asked: measured.asked,
            steals: measured.steals,
            loans: measured.loans,
            busiest_second: self.log.busiest_second(),
            slowest_entry_millis: self.log.longest_micros / 1000,
            refused: measured.refused,
            elections: measured.elections,
            expired: measured.expired,
            moments: std::mem::take(&mut measured.moments),
            cpu_millis: process::cpu_millis() - measured.cpu_before,
            queued_bytes: each(measured.rss_queued),
            peak_bytes: each(measured.rss_peak),
            model_bytes: measured.model_peak / u64::from(setting.datasets),
            failures: std::mem::take(&mut measured.failures),
            entries: self.entries(),
            killings: std::mem::take(&mut self.killings),
            setting,
        };
        if outcome.rows_lost > 0 {
            outcome.failures.push(format!("{} rows are lost", outcome.rows_lost));
        }
        outcome
    }

    /// Rows that there are, copies that were dropped, rows that are missing: the warehouse's own counts against what the ledger
    /// says of what is visible.
    fn count_rows(&mut self) -> (u64, u64, u64) {
        let (mut all, mut dropped, mut lost) = (0, 0, 0);
        for migration in self.state.migrations().values() {
            let dataset = Warehouse::number(&migration.dataset);
            let (rows, copies) = self.warehouse.rows(dataset);
            all += rows;
            let visible = self.catalog.get(dataset as usize).is_some_and(|place| *place != 0);
            let totals = if visible { migration.totals() } else { Default::default() };
            dropped += totals.rows_removed;
            lost += (rows - copies).abs_diff(totals.rows_out);
            if visible && (totals.rows_in, totals.rows_removed) != (rows, copies) {
                let (read, removed) = (totals.rows_in, totals.rows_removed);
                self.measured.fail(format!(
                    "{}: {read} rows read and {removed} dropped, where there are {rows} with {copies} copies",
                    migration.dataset
                ));
            }
        }
        (all, dropped, lost)
    }

    /// What must be at the end.
    fn check(&mut self) {
        let datasets = u64::from(self.setting.datasets);
        let committed = self.state.count(Phase::Committed) as u64;
        let (registered, counted) = (self.measured.registered, self.measured.committed);
        let lies = [
            ("migrations are not committed", datasets - committed.min(datasets)),
            ("names were registered for as many commits less", registered.abs_diff(committed)),
            ("entries say that something was committed again", counted.abs_diff(committed)),
            ("migrations are missing", datasets.abs_diff(self.state.migrations().len() as u64)),
        ];
        for (what, count) in lies {
            if count > 0 {
                self.measured.fail(format!("{count} {what}"));
            }
        }
        for migration in self.state.migrations().values().filter(|one| one.phase != Phase::Committed).take(3) {
            let why = migration.problem.as_ref().map_or(String::new(), ToString::to_string);
            self.measured.fail(format!("{} ended as {} {why}", migration.dataset, migration.phase));
        }
    }
}
