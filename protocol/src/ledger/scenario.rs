//! A ledger in a test: entries go in one after the other, with a clock that counts them.

use crate::data_plane::StagedTable;
use crate::hash::Hash256;
use crate::ids::{
    Attempt, BatchId, BatchNo, Generation, MigrationId, NodeId, SessionNo, StageNo, TableName, TableUuid,
};
use crate::ledger::entry::{Answer, AppliedPolicy, BatchTotals, Entry, Fence, PlanSummary, Request};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::members::Seat;
use crate::ledger::migration::Migration;
use crate::ledger::state::State;

/// The node that owns everything.
pub(crate) const NODE: NodeId = NodeId(7);

/// The node opens this session.
pub(crate) fn opened(session: u64) -> Entry {
    opened_by(NODE, session, 2)
}

/// A node opens this session with so many slots.
pub(crate) fn opened_by(node: NodeId, session: u64, slots: u32) -> Entry {
    Entry::SessionOpened { node, session: SessionNo(session), seat: Seat { slots, ..Seat::default() } }
}

/// A state, and how often something was applied to it.
#[derive(Default)]
pub(crate) struct Scenario {
    pub(crate) state: State,
    pub(crate) entries: u64,
}

impl Scenario {
    pub(crate) fn apply(&mut self, entry: Entry) -> Answer {
        self.apply_as("test", entry)
    }

    /// Applies an entry that `actor` asked for.
    pub(crate) fn apply_as(&mut self, actor: &str, entry: Entry) -> Answer {
        self.entries += 1;
        let at_millis = 1000 * self.entries;
        let proposal = Proposal { session: 1, sequence: self.entries, at_millis, actor: actor.to_owned(), entry };
        self.state.apply(self.entries, &proposal)
    }

    /// Applies an entry that must become a fact.
    pub(crate) fn fact(&mut self, entry: Entry) {
        let answer = self.apply(entry.clone());
        assert!(matches!(answer, Answer::Applied | Answer::PolicyApplied { .. }), "{entry:?}: {answer:?}");
    }

    /// Applies a policy over tables of the database `d`, published under their own names.
    pub(crate) fn policy(
        &mut self,
        name: &str,
        tables: &[&str],
        change: impl FnOnce(&mut AppliedPolicy),
    ) -> Vec<MigrationId> {
        let mut policy = AppliedPolicy {
            name: name.into(),
            hash: Hash256::of(name.as_bytes()),
            document: "{}".to_owned(),
            owner: "team".to_owned(),
            labels: Vec::new(),
            priority: 50,
            max_parallel: u32::MAX,
            attempts: 3,
            batch_memory_bytes: 1 << 20,
            approval_required: false,
            source_connection: "legacy".into(),
            target_connection: "lake".into(),
            after: Vec::new(),
            datasets: tables.iter().map(|table| (TableName::new("d", *table), TableName::new(name, *table))).collect(),
        };
        change(&mut policy);
        let hash = policy.hash;
        let datasets: Vec<TableName> = policy.datasets.iter().map(|(dataset, _)| dataset.clone()).collect();
        let generation = self.state.generation_of(&policy.name, hash, &policy.datasets);
        self.fact(Entry::PolicyApplied { policy, owner: NODE, key: None });
        datasets.iter().map(|dataset| MigrationId::derive(&name.into(), generation, dataset)).collect()
    }

    pub(crate) fn migration(&self, id: MigrationId) -> &Migration {
        self.state.migration(id).expect("the test made it")
    }

    pub(crate) fn fence(&self, id: MigrationId) -> Fence {
        self.migration(id).fence()
    }

    /// Plans a migration: so many batches in one stage, so many seconds.
    pub(crate) fn plan(&mut self, id: MigrationId, batches: u32, seconds: u64) {
        self.plan_with(id, vec![batches], seconds);
    }

    /// Plans a migration with so many batches in each stage.
    pub(crate) fn plan_stages(&mut self, id: MigrationId, batches: Vec<u32>) {
        self.plan_with(id, batches, 1);
    }

    fn plan_with(&mut self, id: MigrationId, batches: Vec<u32>, seconds: u64) {
        let fence = self.fence(id);
        self.fact(Entry::PreparationStarted(vec![fence]));
        let plan = PlanSummary {
            hash: Hash256::of(id.to_string().as_bytes()),
            strategy: "copy".to_owned(),
            batches,
            rows: Some(10),
            bytes: 100,
            seconds,
            files: 1,
            notes: 0,
        };
        self.fact(Entry::Planned { fence, plan });
    }

    /// Starts a batch of the first stage, on the migration's owner.
    pub(crate) fn start(&mut self, id: MigrationId, batch: u32) -> (BatchId, Attempt) {
        let runner = self.migration(id).owner;
        let (fence, attempt) = (self.fence(id), self.migration(id).next_attempt);
        let batch = batch_id(batch);
        self.fact(Entry::BatchStarted { fence, batch, attempt, runner });
        (batch, attempt)
    }

    pub(crate) fn finish(&mut self, id: MigrationId, (batch, attempt): (BatchId, Attempt)) {
        let (fence, totals) = (self.fence(id), BatchTotals::default());
        self.fact(Entry::BatchDone { fence, batch, attempt, result: Hash256::default(), totals });
    }

    /// Records that the staged table is going to be published.
    pub(crate) fn intend(&mut self, id: MigrationId) -> StagedTable {
        let plan = self.migration(id).plan.as_ref().expect("it was planned").hash;
        let table = StagedTable {
            metadata_location: format!("/lake/{id}/metadata.json"),
            metadata_hash: Hash256::default(),
            uuid: TableUuid::derive(id, self.migration(id).run, &plan),
            files: 1,
            rows: 10,
            bytes: 100,
        };
        let entry =
            Entry::PublishIntent { fence: self.fence(id), plan, table: table.clone(), evidence: Hash256::default() };
        self.fact(entry);
        table
    }

    /// Takes a migration with one batch all the way to its published target.
    pub(crate) fn commit(&mut self, id: MigrationId) {
        self.plan(id, 1, 1);
        let started = self.start(id, 0);
        self.finish(id, started);
        let metadata_location = self.intend(id).metadata_location;
        self.fact(Entry::Committed { fence: self.fence(id), metadata_location });
    }

    pub(crate) fn request(&mut self, id: MigrationId, request: Request) {
        self.fact(Entry::Requested { migrations: vec![id], request, reason: String::new() });
    }

    /// The generation of a policy.
    pub(crate) fn generation(&self, policy: &str) -> Generation {
        self.state.policies()[&policy.into()].generation
    }
}

/// A batch of the first stage.
pub(crate) fn batch_id(batch: u32) -> BatchId {
    BatchId { stage: StageNo(0), batch: BatchNo(batch) }
}
