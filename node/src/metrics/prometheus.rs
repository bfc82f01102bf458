//! The text that Prometheus reads (exposition format 0.0.4).
//!
//! In: the counters of node and ledger, migrations by phase. Out: text. Every series begins with `skein_`.

use std::fmt::{Display, Write as _};

use skein_protocol::ledger::Phase;

use super::NodeStats;
use crate::ledger::{Latency, LedgerStats};

/// What a scrape is made of.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// The node's counters.
    pub node: NodeStats,
    /// The ledger's counters.
    pub ledger: LedgerStats,
    /// Migrations in each phase.
    pub phases: Vec<(Phase, u64)>,
    /// Slots, used or not.
    pub slots: u64,
    /// Policies.
    pub policies: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Whether the node leads its ledger.
    pub leads: bool,
    /// Seconds of one slot of migrations of this node that have not begun.
    pub backlog_seconds: u64,
    /// Seconds of one slot of its batches that nobody runs yet.
    pub open_seconds: u64,
    /// Members with a session.
    pub nodes_active: u64,
    /// Nodes that vote.
    pub voters: u64,
    /// Whether facts can be recorded.
    pub quorum: bool,
    /// Milliseconds since this node knew that it is up to date.
    pub age_millis: u64,
    /// Invariants that did not hold.
    pub invariants_broken: u64,
}

/// The media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders a scrape.
#[must_use]
pub fn render(scrape: &Scrape) -> String {
    let mut text = Text(String::new());
    let (node, ledger) = (&scrape.node, &scrape.ledger);
    text.head("migrations", "gauge", "Migrations by phase.");
    for (phase, count) in &scrape.phases {
        text.line("migrations", &format!("{{phase=\"{phase}\"}}"), count);
    }
    for (name, help, value) in [
        ("policies", "Policies.", scrape.policies),
        ("slots", "Batches and final work that run at once.", scrape.slots),
        ("slots_busy", "Slots in use.", node.slots_busy),
        ("preparations", "Preparations that run.", node.preparations),
        ("backlog_seconds", "Seconds of one slot of work that has not begun.", scrape.backlog_seconds),
        ("open_batch_seconds", "Seconds of one slot of batches that wait.", scrape.open_seconds),
        ("connections_resting", "Connections that are left alone after failures.", node.connections_resting),
        ("fleet_nodes_active", "Members with a session.", scrape.nodes_active),
        ("fleet_voters", "Nodes that vote.", scrape.voters),
        ("fleet_quorum", "Whether facts can be recorded.", u64::from(scrape.quorum)),
        ("fleet_age_milliseconds", "Since this node knew that it is up to date.", scrape.age_millis),
        ("ledger_applied_index", "Index of the last applied entry.", scrape.applied_index),
        ("ledger_leader", "Whether this node leads its ledger.", u64::from(scrape.leads)),
    ] {
        text.one(name, "gauge", help, value);
    }
    for (name, help, value) in [
        ("batches_started_total", "Batches handed out.", node.batches_started),
        ("batches_ended_total", "Batches that came to their end.", node.batches_ended),
        ("batches_failed_total", "Batches that failed.", node.batches_failed),
        ("batch_retries_total", "Hand-outs of batches that had failed before.", node.batch_retries),
        ("work_started_total", "Other work that was begun.", node.work_started),
        ("work_failed_total", "Other work that failed.", node.work_failed),
        ("aborted_total", "Work that was ended from outside.", node.aborted),
        ("differences_total", "Differences that were found.", node.differences),
        ("effects_refused_total", "Effects that were not begun for lack of a session.", node.effects_refused),
        ("stale_entries_total", "Entries refused because another owner had taken over.", node.stale_entries),
        ("elections_won_total", "Times that this node began to lead.", node.elections_won),
        ("sessions_expired_total", "Sessions of silent nodes that this node ended.", node.sessions_expired),
        ("voter_changes_total", "Changes of the voters that this node made.", node.voter_changes),
        ("steals_asked_total", "Times that this node asked for work.", node.steals_asked),
        ("steals_won_total", "Times that it got some.", node.steals_won),
        ("migrations_stolen_total", "Migrations that it got.", node.migrations_stolen),
        ("migrations_given_total", "Migrations that it gave away.", node.migrations_given),
        ("batches_lent_total", "Batches that other nodes ran for it.", node.batches_lent),
        ("batches_borrowed_total", "Batches that it ran for other nodes.", node.batches_borrowed),
        ("documents_fetched_total", "Documents copied to this voter afterwards.", node.documents_fetched),
        ("invariants_broken_total", "Invariants that did not hold.", scrape.invariants_broken),
        ("ledger_syncs_total", "fsync calls of the ledger's storage.", ledger.syncs),
        ("ledger_written_bytes_total", "Bytes written to the ledger's storage.", ledger.written_bytes),
        ("ledger_commits_total", "Durable commits.", ledger.commits),
        ("ledger_commit_writes_total", "Writes that these commits carried.", ledger.commit_writes),
        ("ledger_proposals_total", "Proposals that were answered.", ledger.proposals),
        ("ledger_retries_total", "Batches of proposals that were proposed again.", ledger.retries),
        ("ledger_snapshots_total", "Snapshots written.", ledger.snapshots),
    ] {
        text.one(name, "counter", help, value);
    }
    text.labelled(
        "actor_restarts_total",
        "Actors that died and were built again.",
        "actor",
        &[("migration", node.migration_restarts), ("dispatcher", node.dispatcher_restarts)],
    );
    text.labelled(
        "requests_total",
        "Calls of the API.",
        "outcome",
        &[("good", node.requests_good), ("refused", node.requests_refused), ("failed", node.requests_failed)],
    );
    for (name, help, latency) in [
        ("batch_seconds", "One batch.", &node.batch),
        ("work_seconds", "One piece of other work.", &node.work),
        ("request_seconds", "One call of the API.", &node.request),
        ("ledger_sync_seconds", "One fsync.", &ledger.sync),
        ("ledger_commit_seconds", "One durable commit.", &ledger.commit),
        ("ledger_propose_seconds", "From proposing to the answer.", &ledger.propose),
    ] {
        text.latency(name, help, latency);
    }
    text.0
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP skein_{name} {help}\n# TYPE skein_{name} {kind}").expect("text grows");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        writeln!(self.0, "skein_{name}{labels} {value}").expect("text grows");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn labelled(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "counter", help);
        for (which, value) in values {
            self.line(name, &format!("{{{label}=\"{which}\"}}"), value);
        }
    }

    fn latency(&mut self, name: &str, help: &str, latency: &Latency) {
        #[allow(clippy::cast_precision_loss, reason = "times of a day in microseconds fit")]
        let seconds = |micros: u64| micros as f64 / 1e6;
        self.head(name, "summary", help);
        self.line(name, "{quantile=\"0.5\"}", seconds(latency.p50_micros));
        self.line(name, "{quantile=\"0.99\"}", seconds(latency.p99_micros));
        self.line(name, "{quantile=\"1\"}", seconds(latency.max_micros));
        self.line(&format!("{name}_count"), "", latency.count);
    }
}
