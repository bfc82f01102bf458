//! Which batches are handed out next.
//!
//! One at a time, so that each sees what the others before it have taken: the policies' and connections' limits, the
//! teams' shares. Each policy is a line of which only the head is looked at.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::backlog::{Group, groups, planned_seconds};
use super::usage::Usage;
use super::{Dispatch, Limits, Round, turns};
use crate::defects::{self, Defect};
use crate::ids::{BatchId, ConnectionName, MigrationId};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::policies::PolicyRecord;
use crate::machine::{self, Step};

/// A migration and its batches that nobody runs.
struct Head<'a> {
    migration: &'a Migration,
    batches: std::vec::IntoIter<BatchId>,
}

/// The migrations of one policy in one phase.
struct Line<'a> {
    group: Group<'a>,
    record: Option<&'a PolicyRecord>,
    phase: Phase,
    rest: Box<dyn Iterator<Item = &'a Migration> + 'a>,
    head: Option<Head<'a>>,
}

/// What was taken in this decision.
#[derive(Default)]
struct Taken {
    batches: BTreeSet<(MigrationId, BatchId)>,
    migrations: BTreeSet<MigrationId>,
    retries: u32,
    /// Connections of the batches, once for each.
    begun: Vec<ConnectionName>,
}

/// What goes first is less: priority, the team's share, what has begun, longest first, age.
type Rank = (Reverse<u8>, u32, bool, Reverse<u64>, u64, MigrationId);

impl<'a> Line<'a> {
    fn connections(&self) -> impl Iterator<Item = &'a ConnectionName> + use<'a> {
        let source = self.record.map(|record| &record.policy.source_connection);
        let target = self.record.map(|record| &record.policy.target_connection);
        source.into_iter().chain(target.filter(|target| Some(*target) != source))
    }

    fn team(&self) -> &'a str {
        self.record.map_or("", |record| record.policy.owner.as_str())
    }

    /// Whether its policy and connections leave room for one more.
    fn has_room(&self, usage: &Usage<'_>, taken: &Taken, limits: &Limits) -> bool {
        let begins = |name: &ConnectionName| taken.begun.iter().filter(|begun| *begun == name).count();
        !self.record.is_some_and(|record| usage.is_full(record))
            && self.connections().all(|name| {
                !limits.connections.get(name).is_some_and(|most| usage.is_at(name, *most))
                    && limits.begin.get(name).is_none_or(|most| begins(name) < *most as usize)
            })
    }
}

impl<'a> Round<'a> {
    pub(super) fn hand_out_batches(&mut self) {
        if self.free == 0 {
            return;
        }
        let mut lines = self.lines();
        if lines.is_empty() {
            return;
        }
        let mut usage = Usage::of(self.state, self.running);
        let mut taken = Taken::default();
        while self.free > 0 {
            lines.retain(|line| line.has_room(&usage, &taken, self.limits));
            let patient = turns::is_for_the_patient(self.decision.turns.batches);
            let patient = if patient { self.patient_batch(&lines, &taken) } else { None };
            let Some((migration, batch)) = patient.or_else(|| self.first(&mut lines, &usage, &taken)) else { break };
            self.hand_out(migration, batch, &mut usage, &mut taken);
        }
    }

    fn hand_out(&mut self, migration: &'a Migration, batch: BatchId, usage: &mut Usage<'a>, taken: &mut Taken) {
        usage.add(self.state, migration, 1);
        taken.batches.insert((migration.id, batch));
        taken.migrations.insert(migration.id);
        taken.retries += u32::from(is_retry(migration, batch));
        if !self.limits.begin.is_empty() {
            let record = self.state.policies().get(&migration.policy);
            taken.begun.extend(record.map(|record| record.policy.source_connection.clone()));
            taken.begun.extend(record.map(|record| record.policy.target_connection.clone()));
        }
        self.free -= 1;
        self.decision.turns.batches += 1;
        self.decision.dispatches.push(Dispatch::Batch(migration.id, batch));
    }

    /// One line for each policy and phase; without those that wait for other policies.
    fn lines(&mut self) -> Vec<Line<'a>> {
        let owns = self.owns;
        let mut lines = Vec::new();
        for phase in [Phase::Execution, Phase::Ready] {
            for group in groups(self.state, self.limits.node, phase) {
                if phase == Phase::Ready && self.waits.waits(group.policy) {
                    continue;
                }
                let rest = Box::new(group.in_order().filter(move |migration| owns(migration)));
                let record = self.state.policies().get(group.policy);
                lines.push(Line { group, record, phase, rest, head: None });
            }
        }
        lines
    }

    /// Takes the first of the heads.
    fn first(&mut self, lines: &mut [Line<'a>], usage: &Usage<'_>, taken: &Taken) -> Option<(&'a Migration, BatchId)> {
        let mut best: Option<(Rank, &'a Migration, BatchId)> = None;
        for line in lines {
            let Some((migration, batch)) = self.peek(line, taken) else { continue };
            let begun = line.phase == Phase::Execution || taken.migrations.contains(&migration.id);
            let (team, seconds) = (usage.of_team(line.team()), Reverse(planned_seconds(migration)));
            let urgent =
                if defects::is(Defect::PriorityReversed) { u8::MAX - migration.priority } else { migration.priority };
            let rank = (Reverse(urgent), team, !begun, seconds, migration.created_at, migration.id);
            if best.as_ref().is_none_or(|(least, _, _)| rank < *least) {
                best = Some((rank, migration, batch));
            }
        }
        best.map(|(_, migration, batch)| (migration, batch))
    }

    /// The next batch of a line; what is found at the head and was taken meanwhile makes room.
    fn peek(&mut self, line: &mut Line<'a>, taken: &Taken) -> Option<(&'a Migration, BatchId)> {
        loop {
            if let Some(head) = &mut line.head {
                while let Some(batch) = head.batches.as_slice().first().copied() {
                    if self.may_begin(head.migration, batch, taken) {
                        return Some((head.migration, batch));
                    }
                    head.batches.next();
                }
            }
            let migration = line.rest.next()?;
            let batches = self.open_batches(migration).into_iter();
            line.head = Some(Head { migration, batches });
        }
    }

    /// Whether a batch that the ledger has open was not handed out, and is no retry too many.
    fn may_begin(&self, migration: &Migration, batch: BatchId, taken: &Taken) -> bool {
        let rationed = self.limits.retries.is_some_and(|most| taken.retries >= most) && is_retry(migration, batch);
        !rationed && !taken.batches.contains(&(migration.id, batch)) && !self.running.has(migration.id, batch)
    }

    fn open_batches(&mut self, migration: &Migration) -> Vec<BatchId> {
        match machine::next(migration, self.now) {
            Step::Batches(batches) => batches,
            Step::WaitUntil(time) => {
                self.wait(time);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// A batch of who waits longest, if that is long: among those that have not begun, and those that have and of which
    /// nothing runs.
    fn patient_batch(&self, lines: &[Line<'a>], taken: &Taken) -> Option<(&'a Migration, BatchId)> {
        let batch = |migration: &Migration| match machine::next(migration, self.now) {
            Step::Batches(batches) => batches.into_iter().find(|batch| self.may_begin(migration, *batch, taken)),
            _ => None,
        };
        let rests = |migration: &&Migration| {
            let here = self.running.batches.iter().chain(&self.running.lent).any(|(id, _)| *id == migration.id);
            let runs = here || migration.running() > 0 || taken.migrations.contains(&migration.id);
            (self.owns)(migration) && !runs && batch(migration).is_some()
        };
        let key = |migration: &Migration| (migration.changed_at.max(migration.executed_at), migration.id);
        let oldest = lines.iter().filter_map(|line| match line.phase {
            // There are few, and they are not in the order of what they wait since.
            Phase::Execution => line.group.by_age().filter(rests).min_by_key(|one| key(one)),
            _ => line.group.by_age().find(rests),
        });
        let oldest = oldest.min_by_key(|one| key(one))?;
        let (since, _) = key(oldest);
        turns::is_patient(since, self.now).then(|| batch(oldest).map(|batch| (oldest, batch))).flatten()
    }
}

fn is_retry(migration: &Migration, batch: BatchId) -> bool {
    migration.batch(batch).is_some_and(|batch| batch.failures > 0)
}
