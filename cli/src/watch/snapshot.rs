//! What is shown at one moment: the answers of a node to four questions.

use std::time::SystemTime;

use anyhow::Result;
use serde::Serialize;
use skein_protocol::api::{FleetView, MigrationRow, PolicyDetail, PolicyRow, Status};
use skein_protocol::ledger::Phase;

use crate::client::Client;
use crate::commands::{fleet, node, pages, status};
use crate::output::{self, Cell, Table};

/// Policies that are looked at.
const MAX_POLICIES: u32 = 200;
/// Problems that are looked at; the newest of them come first.
const MAX_PROBLEMS: u32 = 1_000;
/// Problems that the text shows.
const TEXT_PROBLEMS: usize = 5;

/// The fleet at one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    /// When it was taken, milliseconds since 1970.
    pub(super) at: u64,
    /// Milliseconds since the answering node last knew that it was up to date.
    pub(super) age_millis: Option<u64>,
    pub(super) status: Status,
    pub(super) fleet: FleetView,
    pub(super) policies: Vec<PolicyRow>,
    /// Migrations that need a person, the newest first.
    pub(super) problems: Vec<MigrationRow>,
}

impl Snapshot {
    pub(super) fn take(client: &Client, policy: Option<&str>) -> Result<Self> {
        let about: Vec<(&'static str, String)> =
            policy.map(|policy| ("policy", policy.to_owned())).into_iter().collect();
        let status = client.get_dated::<Status>("/v1/status", &about)?;
        let policies = match policy {
            Some(policy) => vec![client.get::<PolicyDetail>(&format!("/v1/policies/{policy}"), &[])?.row],
            None => pages(client, "/v1/policies", &[], MAX_POLICIES)?.items,
        };
        let stopped = format!("{},{}", Phase::Paused, Phase::Quarantined);
        let query: Vec<_> = about.into_iter().chain([("phase", stopped)]).collect();
        let mut problems: Vec<MigrationRow> = pages(client, "/v1/migrations", &query, MAX_PROBLEMS)?.items;
        problems.sort_by_key(|row| std::cmp::Reverse(row.changed_at));
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            at: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            age_millis: status.age_millis,
            status: status.document,
            fleet: fleet::view(client)?,
            policies,
            problems,
        })
    }

    /// All of it as text, for a log.
    pub(super) fn text(&self) -> String {
        let mut policies = Table::new(&["POLICY", ">MIGRATIONS", ">COMMITTED", ">RUNNING", ">WAITING", ">TROUBLED"]);
        for policy in &self.policies {
            let counts = Counts::of(policy);
            let number = |count: u32| Cell::from(output::number(u64::from(count)));
            policies.row(vec![
                policy.name.0.clone().into(),
                number(counts.all),
                number(counts.committed),
                number(counts.running),
                number(counts.waiting),
                number(counts.troubled),
            ]);
        }
        let mut problems = String::new();
        for row in self.problems.iter().take(TEXT_PROBLEMS) {
            let code = row.problem.map(|code| code.to_string()).unwrap_or_default();
            problems.push_str(&format!("{}  {} is {}: {code}\n", output::time(row.changed_at), row.dataset, row.phase));
        }
        format!(
            "{}  {}\n{}\n\n{}\n{}{problems}\n",
            output::time(self.at),
            fleet::head(&self.fleet),
            status::line(&self.status),
            node::table(&self.fleet.nodes, false),
            policies.render(),
        )
    }
}

/// A policy's migrations as people count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) all: u32,
    pub(super) committed: u32,
    pub(super) running: u32,
    pub(super) waiting: u32,
    /// Waiting for an approval.
    pub(super) approval: u32,
    /// Paused or quarantined.
    pub(super) troubled: u32,
    /// Ended otherwise.
    pub(super) ended: u32,
}

impl Counts {
    pub(super) fn of(policy: &PolicyRow) -> Self {
        let mut counts = Self::default();
        for (phase, count) in &policy.phases {
            counts.all += count;
            *match phase {
                Phase::Committed => &mut counts.committed,
                Phase::Execution | Phase::Validation | Phase::Commit | Phase::RollingBack => &mut counts.running,
                Phase::Queued | Phase::Preparation | Phase::Ready => &mut counts.waiting,
                Phase::Approval => &mut counts.approval,
                Phase::Paused | Phase::Quarantined => &mut counts.troubled,
                Phase::Cancelled | Phase::RolledBack => &mut counts.ended,
            } += count;
        }
        counts
    }
}
