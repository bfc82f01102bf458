//! What is asked and seen from outside, told to the auditor.
//!
//! In: questions, answers, changes of what readers see and of sources. Out: what contradicts the specification. Holds: the
//! translation into the auditor's words. Not here: the rules (`auditor`), who asks (`people`).

use std::collections::BTreeMap;
use std::time::Duration;

use skein_node::scripted::{Change, What, World};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{MigrationId, TableName};

use crate::auditor::{Action, Answer, Auditor, Listed, Request, Seen, line};
use crate::client::Said;
use crate::plan::{Fault, Plan, PolicyPlan};

/// What somebody asks.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// A policy, under a key.
    Submit { key: String, policy: usize, document: String },
    /// An action on one migration.
    Act { action: &'static str, migration: MigrationId, target: TableName },
    /// Plans, as they were seen.
    Approve { items: Vec<(MigrationId, Hash256, TableName)> },
    /// A node shall own nothing, or may again.
    Drain { node: u64, cancel: bool },
    /// What is in quarantine gets another run: these, or all.
    Replay { migrations: Vec<(MigrationId, TableName)> },
    /// What of a policy is in quarantine is given up.
    Discard { policy: String },
}

/// The auditor's ears and eyes.
pub(super) struct Outside {
    auditor: Auditor,
    policies: Vec<PolicyPlan>,
    /// Each target with its datasets, each with the policy that moves it there.
    movers: BTreeMap<TableName, Vec<(TableName, usize)>>,
    next: u64,
    /// Happenings of the world that were looked at.
    seen: usize,
    /// When everything had ended.
    quiet: Option<Duration>,
}

impl Outside {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut movers: BTreeMap<TableName, Vec<(TableName, usize)>> = BTreeMap::new();
        for (number, policy) in plan.policies.iter().enumerate() {
            for table in &policy.tables {
                movers.entry(table.target.clone()).or_default().push((table.name.clone(), number));
            }
        }
        // Whose migration it is that a reader sees there, nobody outside can tell: the world's own record judges these.
        movers.retain(|_, movers| movers.len() == 1);
        let policies = plan.policies.clone();
        // Nor can anybody tell it where a stranger takes the name.
        for planned in &plan.faults {
            if let Fault::Stranger { policy, table } = planned.fault {
                movers.remove(&policies[policy].tables[table].target);
            }
        }
        let auditor = Auditor::new();
        Self { auditor, policies, movers, next: 0, seen: 0, quiet: None }
    }

    /// Tells what the sources hold in the beginning.
    pub(super) fn begin(&mut self, world: &World) {
        let targets: Vec<TableName> = self.movers.keys().cloned().collect();
        targets.iter().for_each(|target| self.tell_source(target, world, Duration::ZERO));
    }

    /// Whether the auditor hears of a target.
    fn knows(&self, target: &TableName) -> bool {
        self.movers.contains_key(target)
    }

    fn tell_source(&mut self, target: &TableName, world: &World, now: Duration) {
        for (dataset, policy) in self.movers.get(target).into_iter().flatten() {
            let Some(contents) = world.transformed(dataset, &self.policies[*policy].recipe) else { continue };
            let rows = contents.rows.iter().map(|row| line(row)).collect();
            self.auditor.source(&target.to_string(), now, rows);
        }
    }

    /// Something is asked; its number.
    pub(super) fn asked(&mut self, now: Duration, question: &Question) -> u64 {
        self.next += 1;
        let request = match question {
            Question::Submit { key, policy, document } => {
                let policy = &self.policies[*policy];
                Request::Submit {
                    key: key.clone(),
                    document: document.clone(),
                    policy: policy.name(),
                    targets: policy
                        .tables
                        .iter()
                        .filter(|one| self.knows(&one.target))
                        .map(|one| one.target.to_string())
                        .collect(),
                    approval: policy.approval,
                }
            }
            Question::Act { action, target, .. } => match Action::named(action) {
                Some(action) if self.knows(target) => Request::Act(action, target.to_string()),
                _ => Request::Other((*action).to_owned()),
            },
            Question::Approve { items } => {
                let known = items.iter().filter(|(_, _, target)| self.knows(target));
                let item = |(migration, plan, target): &(MigrationId, Hash256, TableName)| {
                    (migration.to_string(), plan.to_string(), target.to_string())
                };
                Request::Approve(known.map(item).collect())
            }
            Question::Drain { node, .. } => Request::Other(format!("drain {node}")),
            Question::Replay { migrations } if migrations.is_empty() => Request::Replay(None),
            Question::Replay { migrations } => {
                let known = migrations.iter().filter(|(_, target)| self.knows(target));
                Request::Replay(Some(known.map(|(_, target)| target.to_string()).collect()))
            }
            Question::Discard { policy } => {
                let of = |movers: &[(TableName, usize)]| {
                    movers.iter().any(|(_, number)| self.policies[*number].name() == *policy)
                };
                let targets = self.movers.iter().filter(|(_, movers)| of(movers)).map(|(target, _)| target.to_string());
                Request::Discard(targets.collect())
            }
        };
        self.auditor.asked(self.next, now, request);
        self.next
    }

    /// An answer came, or nothing will.
    pub(super) fn answered(&mut self, id: u64, now: Duration, said: &Said) {
        let answer = match said {
            Said::Done(body) => Answer::Done(body.clone()),
            Said::Refused(_, body) => Answer::Refused(body.clone()),
            Said::Unknown(_) => Answer::Unknown,
        };
        self.auditor.answered(id, now, answer);
    }

    /// Looks at what a reader of a target sees.
    pub(super) fn see(&mut self, target: &TableName, world: &World, now: Duration) {
        if self.knows(target) {
            let seen = world.read(target).filter(|seen| !seen.tombstone);
            let seen = seen.map(|seen| Seen::new(&seen.uuid, &seen.location, &seen.rows));
            self.auditor.saw(&target.to_string(), now, seen);
        }
    }

    /// Looks at what changed.
    pub(super) fn look(&mut self, world: &World, now: Duration) {
        let news = world.happenings_since(self.seen);
        self.seen += news.len();
        for news in news {
            match news.what {
                What::Named { target, .. } => self.see(&target, world, now),
                What::SourceChanged { dataset, how } => {
                    let of = |movers: &Vec<(TableName, usize)>| movers.iter().any(|(one, _)| *one == dataset);
                    let targets = self.movers.iter().filter(|(_, movers)| of(movers));
                    let targets: Vec<TableName> = targets.map(|(target, _)| target.clone()).collect();
                    for target in targets {
                        if how == Change::Vanish.name() {
                            self.auditor.absent(&target.to_string());
                        }
                        self.tell_source(&target, world, now);
                    }
                }
                _ => {}
            }
        }
    }

    /// Everything has ended; what the API lists.
    pub(super) fn ended(&mut self, now: Duration, pages: &[String]) -> Result<(), String> {
        let mut rows = Vec::new();
        for page in pages {
            rows.extend(Listed::page(page)?);
        }
        self.auditor.listed(rows);
        self.quiet = Some(now);
        Ok(())
    }

    /// Whether everything has ended.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.is_some()
    }

    /// What contradicts the specification.
    pub(super) fn finish(&mut self, now: Duration) -> Vec<String> {
        self.auditor.finish(self.quiet.unwrap_or(now), self.quiet.is_some())
    }
}
