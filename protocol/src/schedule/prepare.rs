//! Which migrations are prepared next: by priority, then fairness between teams, then age. Those that will have to wait for other
//! policies come last: their plans can be looked at meanwhile.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::backlog::{Group, groups};
use super::{Dispatch, Round, turns};
use crate::ids::MigrationId;
use crate::ledger::migration::{Migration, Phase};
use crate::machine::{self, Step};

/// The queue of one policy.
struct Line<'a> {
    group: Group<'a>,
    rest: Box<dyn Iterator<Item = &'a Migration> + 'a>,
    head: Option<&'a Migration>,
    team: &'a str,
    waits: bool,
}

impl<'a> Round<'a> {
    /// Preparations that were recorded as begun and do not run.
    pub(super) fn work_on_preparations(&mut self) {
        let (state, owns) = (self.state, self.owns);
        for migration in state.due_of(self.limits.node, Phase::Preparation).filter(|migration| owns(migration)) {
            if self.preparations == 0 {
                return;
            }
            if self.running.preparing.contains(&migration.id) {
                continue;
            }
            match machine::next(migration, self.now) {
                Step::WaitUntil(time) => self.wait(time),
                step => {
                    self.preparations -= 1;
                    self.decision.dispatches.push(Dispatch::Work(migration.id, step));
                }
            }
        }
    }

    pub(super) fn start_preparations(&mut self) {
        if self.preparations == 0 {
            return;
        }
        let mut lines = self.queued();
        let mut by_team = self.prepared_by_team();
        let mut chosen: Vec<MigrationId> = Vec::new();
        while chosen.len() < self.preparations {
            let patient = turns::is_for_the_patient(self.decision.turns.preparations);
            let patient = if patient { self.patient_migration(&lines, &chosen) } else { None };
            let Some(next) = patient.or_else(|| first(&mut lines, &by_team, &chosen)) else { break };
            *by_team.entry(self.team(next)).or_default() += 1;
            self.decision.turns.preparations += 1;
            chosen.push(next.id);
        }
        if !chosen.is_empty() {
            self.decision.dispatches.push(Dispatch::StartPreparations(chosen));
        }
    }

    fn queued(&mut self) -> Vec<Line<'a>> {
        let owns = self.owns;
        let mut lines = Vec::new();
        for group in groups(self.state, self.limits.node, Phase::Queued) {
            let mut rest = group.in_order().filter(move |migration| owns(migration));
            if let Some(head) = rest.next() {
                let (team, waits) = (self.team(head), self.waits.waits(group.policy));
                lines.push(Line { group, rest: Box::new(rest), head: Some(head), team, waits });
            }
        }
        lines
    }

    fn prepared_by_team(&self) -> BTreeMap<&'a str, u32> {
        let mut by_team: BTreeMap<&str, u32> = BTreeMap::new();
        for migration in self.state.due_of(self.limits.node, Phase::Preparation) {
            *by_team.entry(self.team(migration)).or_default() += 1;
        }
        by_team
    }

    /// Who waits longest, if that is long.
    fn patient_migration(&self, lines: &[Line<'a>], chosen: &[MigrationId]) -> Option<&'a Migration> {
        let oldest = lines.iter().filter(|line| !line.waits).filter_map(|line| {
            line.group.by_age().find(|migration| (self.owns)(migration) && !chosen.contains(&migration.id))
        });
        let oldest = oldest.min_by_key(|migration| (migration.changed_at, migration.id))?;
        turns::is_patient(oldest.changed_at, self.now).then_some(oldest)
    }
}

/// Takes the first of all lines.
fn first<'a>(lines: &mut [Line<'a>], by_team: &BTreeMap<&str, u32>, chosen: &[MigrationId]) -> Option<&'a Migration> {
    for line in lines.iter_mut() {
        while line.head.is_some_and(|head| chosen.contains(&head.id)) {
            line.head = line.rest.next();
        }
    }
    let open = lines.iter_mut().filter_map(|line| line.head.map(|head| (head, line)));
    let (head, line) = open.min_by_key(|(head, line)| {
        let team = by_team.get(line.team).copied().unwrap_or_default();
        (line.waits, Reverse(head.priority), team, head.created_at, head.id)
    })?;
    line.head = line.rest.next();
    Some(head)
}
