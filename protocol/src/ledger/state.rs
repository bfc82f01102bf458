//! The state that the ledger folds into.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{ConnectionName, Generation, MigrationId, NodeId, PolicyName, TableName};
use crate::ledger::access::Access;
use crate::ledger::due::{Due, Queue};
use crate::ledger::entry::{Answer, Entry, RequestKey};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::members::{JoinToken, Member, Standing};
use crate::ledger::migration::{Migration, Phase, Tombstone};
use crate::ledger::migrations::Migrations;
use crate::ledger::policies::PolicyRecord;
use crate::ledger::tally::Tally;

/// Everything that is known, except for the documents that blobs hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct State {
    pub(super) policies: BTreeMap<PolicyName, PolicyRecord>,
    pub(super) migrations: Migrations,
    /// The nodes of the fleet, those that were removed too.
    pub(super) members: BTreeMap<NodeId, Member>,
    /// Join tokens by the hashes of their secrets.
    pub(super) join_tokens: BTreeMap<Hash256, JoinToken>,
    /// Answers to requests with a key, the oldest first.
    pub(super) requests: Vec<(RequestKey, Answer)>,
    /// Incidents that were told; whether their end was told too.
    pub(super) alerts: BTreeMap<Hash256, bool>,
    /// Which migration a target's name belongs to.
    pub(super) claims: BTreeMap<Claim, MigrationId>,
    /// Migrations by phase: for counts.
    pub(super) by_phase: BTreeMap<Phase, BTreeSet<MigrationId>>,
    /// Migrations with work left, in order: for the scheduler.
    pub(super) due: Due,
    /// Who may call, and who has approved what.
    pub(super) access: Access,
    /// Running batches and what is through, policy by policy. It follows from the migrations and has no stored form.
    #[serde(skip)]
    pub(super) tally: Tally,
}

/// A state as it is stored, field by field in the same order.
#[derive(Deserialize)]
struct Stored {
    policies: BTreeMap<PolicyName, PolicyRecord>,
    migrations: Migrations,
    members: BTreeMap<NodeId, Member>,
    join_tokens: BTreeMap<Hash256, JoinToken>,
    requests: Vec<(RequestKey, Answer)>,
    alerts: BTreeMap<Hash256, bool>,
    claims: BTreeMap<Claim, MigrationId>,
    by_phase: BTreeMap<Phase, BTreeSet<MigrationId>>,
    due: Due,
    access: Access,
}

impl From<Stored> for State {
    fn from(stored: Stored) -> Self {
        let Stored { policies, migrations, members, join_tokens, requests, alerts, claims, by_phase, due, access } =
            stored;
        let tally = Tally::of(migrations.values());
        Self { policies, migrations, members, join_tokens, requests, alerts, claims, by_phase, due, access, tally }
    }
}

impl State {
    /// All policies by name.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<PolicyName, PolicyRecord> {
        &self.policies
    }

    /// All migrations by id.
    #[must_use]
    pub fn migrations(&self) -> &Migrations {
        &self.migrations
    }

    /// One migration.
    #[must_use]
    pub fn migration(&self, id: MigrationId) -> Option<&Migration> {
        self.migrations.get(&id)
    }

    /// The migrations in `phase`.
    pub fn in_phase(&self, phase: Phase) -> impl Iterator<Item = &Migration> {
        self.by_phase.get(&phase).into_iter().flatten().filter_map(|id| self.migrations.get(id))
    }

    /// How many migrations are in `phase`.
    #[must_use]
    pub fn count(&self, phase: Phase) -> usize {
        self.by_phase.get(&phase).map_or(0, BTreeSet::len)
    }

    /// The migrations of all owners in `phase` with work left, owner by owner.
    pub fn due(&self, phase: Phase) -> impl Iterator<Item = &Migration> {
        self.due.of_all(phase).filter_map(|id| self.migrations.get(&id))
    }

    /// The migrations of `owner` in `phase` with work left, what goes first coming first: by priority, then longest first,
    /// then age.
    pub fn due_of(&self, owner: NodeId, phase: Phase) -> impl Iterator<Item = &Migration> {
        self.due.of(owner, phase).filter_map(|id| self.migrations.get(&id))
    }

    /// How many batches run, by policy and target connection.
    pub fn running_batches(&self) -> impl Iterator<Item = (&PolicyName, &ConnectionName, u32)> {
        self.tally.running()
    }

    /// How many migrations of a policy are committed, those of its earlier generations too.
    #[must_use]
    pub fn committed_of(&self, policy: &PolicyName) -> u64 {
        self.tally.committed(policy)
    }

    /// What `owner` has due in `phase`, a queue for each policy.
    pub fn queues_of(&self, owner: NodeId, phase: Phase) -> impl Iterator<Item = (&PolicyName, &Queue)> {
        self.due.queues(owner, phase)
    }

    /// The nodes of the fleet, those that were removed too.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<NodeId, Member> {
        &self.members
    }

    /// One node of the fleet.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// The nodes that work at the moment, as far as the ledger knows, draining ones included.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.standing == Standing::Active)
    }

    /// Join tokens by the hashes of their secrets.
    #[must_use]
    pub fn join_tokens(&self) -> &BTreeMap<Hash256, JoinToken> {
        &self.join_tokens
    }

    /// The answer to an earlier request with this key, and the hash of what was asked for.
    #[must_use]
    pub fn request(&self, key: &str) -> Option<(Hash256, &Answer)> {
        let found = self.requests.iter().rev().find(|(known, _)| known.key == key);
        found.map(|(known, answer)| (known.document, answer))
    }

    /// How many answers to requests with a key are kept.
    #[must_use]
    pub fn remembered_requests(&self) -> usize {
        self.requests.len()
    }

    /// Who may call, and who has approved what.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Incidents that were told, by their ids; whether their end was told too.
    #[must_use]
    pub fn alerts(&self) -> &BTreeMap<Hash256, bool> {
        &self.alerts
    }

    /// True when a newer generation of its policy took a migration's place: lists leave it out.
    #[must_use]
    pub fn is_superseded(&self, migration: &Migration) -> bool {
        matches!(migration.phase, Phase::Cancelled | Phase::RolledBack)
            && self.policies.get(&migration.policy).is_some_and(|record| migration.stands_for < record.generation)
    }

    /// The generation that `policy` has, or gets, when a document with this hash and these datasets is applied.
    #[must_use]
    pub fn generation_of(&self, policy: &PolicyName, hash: Hash256, datasets: &[(TableName, TableName)]) -> Generation {
        match self.policies.get(policy) {
            Some(record) if record.policy.hash == hash && record.datasets == PolicyRecord::hash_of(datasets) => {
                record.generation
            }
            Some(record) => record.generation.next(),
            None => Generation(1),
        }
    }

    /// The datasets of a policy whose targets are published or about to be: applying it again leaves them alone.
    #[must_use]
    pub fn settled(&self, policy: &PolicyName) -> BTreeSet<TableName> {
        let migrations = self.policies.get(policy).into_iter().flat_map(|record| &record.migrations);
        let migrations = migrations.filter_map(|id| self.migrations.get(id));
        migrations.filter(|migration| migration.is_settled()).map(|migration| migration.dataset.clone()).collect()
    }

    /// The tombstone, of whichever migration, that stands under a target's name with this metadata file.
    #[must_use]
    pub fn tombstone_at(&self, connection: &ConnectionName, target: &TableName, location: &str) -> Option<&Tombstone> {
        let standing = self.migrations.values().filter(|m| m.target == *target && m.target_connection == *connection);
        standing.filter_map(|migration| migration.tombstone.as_deref()).find(|tombstone| tombstone.location == location)
    }
}

/// Parts of a state that a test changes, to see that somebody notices.
#[cfg(test)]
pub(crate) struct Doctored<'a> {
    pub(crate) policies: &'a mut BTreeMap<PolicyName, PolicyRecord>,
    pub(crate) migrations: &'a mut BTreeMap<MigrationId, Box<Migration>>,
    pub(crate) by_phase: &'a mut BTreeMap<Phase, BTreeSet<MigrationId>>,
}

#[cfg(test)]
impl State {
    pub(crate) fn doctor(&mut self) -> Doctored<'_> {
        Doctored { policies: &mut self.policies, migrations: self.migrations.doctor(), by_phase: &mut self.by_phase }
    }
}

/// A target's name in a connection, shortened: there are as many as migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Claim([u8; 16]);

impl Claim {
    /// The name `target` in `connection`: 128 bits of a cryptographic hash, so two names never meet.
    pub(super) fn of(connection: &ConnectionName, target: &TableName) -> Self {
        let hash = Hash256::of(format!("{connection}\n{}\n{}", target.database, target.table).as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.0[..16]);
        Self(short)
    }
}

impl Fold for State {
    type Entry = Entry;
    type Answer = Answer;

    fn apply(&mut self, index: u64, proposal: &Proposal<Entry>) -> Answer {
        super::apply::apply(self, index, proposal)
    }
}
