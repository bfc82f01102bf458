//! The people of a seed: who submits policies until that is acknowledged, who asks for this and that in between, and who looks
//! after everything once the faults are over.
//!
//! In: the plan's policies and orders, the machines. Out: calls; what was asked and answered goes to the auditor. Holds: what is
//! under way. Not here: what must come of it (`judge`, the auditor).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::{Migration, Phase, State};

use super::outside::{Outside, Question};
use crate::client::{self, Call, DEADLINE, Said, Underway};
use crate::fleet::Fleet;
use crate::plan::{Order, Plan, PolicyPlan, Wish};
use crate::tape::Tape;

/// Between two attempts at a submission.
const PAUSE: Duration = Duration::from_millis(300);
/// The caretaker looks this often.
const LOOKS_EACH: Duration = Duration::from_millis(700);
/// What is paused is resumed so often by the caretaker, then cancelled.
const RESUMES: u32 = 2;
/// What is in quarantine is replayed so often by the caretaker.
const REPLAYS: u32 = 1;

/// A document that is submitted until it is acknowledged or refused.
struct Submission {
    document: String,
    key: String,
    /// Its place among the policies.
    policy: usize,
    /// It may be too late for the targets that it wants.
    may_fail: bool,
    /// The machine that is asked now or next.
    machine: usize,
    not_before: Duration,
    underway: Option<(Underway, Duration, u64)>,
    attempts: u64,
    over: bool,
}

/// A question that is asked once.
struct Once {
    underway: Underway,
    since: Duration,
    machine: usize,
    id: u64,
}

/// Everybody who asks.
pub(super) struct People {
    tape: Tape,
    policies: Vec<PolicyPlan>,
    submissions: Vec<Submission>,
    orders: Vec<Order>,
    open: Vec<Once>,
    /// Generations of each policy that were submitted.
    generations: Vec<u64>,
    resumed: BTreeMap<MigrationId, u32>,
    replayed: BTreeMap<MigrationId, u32>,
    undrained: BTreeSet<usize>,
    look_at: Duration,
    pub(super) counts: BTreeMap<&'static str, u64>,
}

impl People {
    pub(super) fn new(plan: &Plan, tape: &Tape) -> Self {
        let submission = |policy: &PolicyPlan| {
            Submission::new(policy, 1, (policy.machine, policy.at), contested(&plan.policies, policy))
        };
        let mut orders = plan.orders.clone();
        orders.reverse();
        Self {
            tape: tape.clone(),
            policies: plan.policies.clone(),
            submissions: plan.policies.iter().map(submission).collect(),
            orders,
            open: Vec::new(),
            generations: vec![1; plan.policies.len()],
            resumed: BTreeMap::new(),
            replayed: BTreeMap::new(),
            undrained: BTreeSet::new(),
            look_at: Duration::ZERO,
            counts: BTreeMap::new(),
        }
    }

    /// Whether another policy wants the same targets.
    fn is_contested(&self, policy: &PolicyPlan) -> bool {
        contested(&self.policies, policy)
    }

    /// Whether everything was submitted and asked, and has its answer.
    pub(super) fn are_done(&self) -> bool {
        self.orders.is_empty() && self.open.is_empty() && self.submissions.iter().all(|one| one.over)
    }

    /// Goes on with everything; times are since the first node works.
    pub(super) fn step(&mut self, fleet: &Fleet, now: Duration, outside: &mut Outside) -> Result<(), String> {
        for submission in &mut self.submissions {
            submission.step(fleet, now, outside, &self.tape)?;
        }
        while let Some(order) = self.orders.pop_if(|order| order.at <= now) {
            self.order(&order, fleet, now, outside);
        }
        let mut still = Vec::new();
        for once in std::mem::take(&mut self.open) {
            let gone = !fleet.machines[once.machine].is_up() || now > once.since + 2 * DEADLINE;
            match once.underway.take() {
                Some(said) => outside.answered(once.id, now, &said),
                None if gone => outside.answered(once.id, now, &Said::Unknown(0)),
                None => still.push(once),
            }
        }
        self.open = still;
        Ok(())
    }

    fn ask(&mut self, fleet: &Fleet, machine: usize, now: Duration, question: Question, outside: &mut Outside) -> bool {
        let (path, body) = question.call();
        let Some(underway) = client::call(&fleet.machines[machine], Call::post(path, body)) else { return false };
        let id = outside.asked(now, &question);
        self.tape.note(machine, &format!("asked {question:?}"));
        self.open.push(Once { underway, since: now, machine, id });
        true
    }

    fn order(&mut self, order: &Order, fleet: &Fleet, now: Duration, outside: &mut Outside) {
        let question = match order.wish {
            Wish::Change(policy) => {
                self.generations[policy] += 1;
                let one = {
                    let of = &self.policies[policy];
                    Submission::new(of, self.generations[policy], (order.machine, now), self.is_contested(of))
                };
                self.submissions.push(one);
                *self.counts.entry(order.wish.name()).or_default() += 1;
                return;
            }
            Wish::Repeat(policy) => {
                let of = &self.policies[policy];
                let again = Submission::new(of, 1, (order.machine, now), self.is_contested(of));
                self.submissions.push(again);
                *self.counts.entry(order.wish.name()).or_default() += 1;
                return;
            }
            Wish::Drain(machine) | Wish::Undrain(machine) => {
                let node = fleet.machines[machine].node().map(|node| node.id());
                node.map(|node| Question::Drain { node: node.0, cancel: matches!(order.wish, Wish::Undrain(_)) })
            }
            Wish::Replay => Some(Question::Replay { migrations: Vec::new() }),
            Wish::Discard(policy) => Some(Question::Discard { policy: self.policies[policy].name() }),
            Wish::Act(..) | Wish::Approve(_) => {
                let node = fleet.machines[order.machine].node();
                node.and_then(|node| node.read(|state| self.about_migrations(order.wish, state)))
            }
        };
        if let Some(question) = question
            && self.ask(fleet, order.machine, now, question, outside)
        {
            *self.counts.entry(order.wish.name()).or_default() += 1;
        }
    }

    /// What a wish about migrations means to somebody who looks at a list of them.
    fn about_migrations(&self, wish: Wish, state: &State) -> Option<Question> {
        match wish {
            Wish::Act(action, policy, table) => {
                let dataset = &self.policies[policy].tables[table].name;
                let of_table = state.migrations().values().filter(|migration| migration.dataset == *dataset);
                let newest = of_table.max_by_key(|migration| migration.generation)?;
                Some(Question::act(action, newest))
            }
            Wish::Approve(policy) => approval(state, Some(&self.policies[policy].name())),
            _ => None,
        }
    }

    /// Looks after what waits for somebody; true when nothing has to be waited for any more.
    pub(super) fn take_care(&mut self, fleet: &Fleet, now: Duration, outside: &mut Outside) {
        if now < self.look_at || !self.open.is_empty() {
            return;
        }
        self.look_at = now + LOOKS_EACH;
        for machine in 0..fleet.machines.len() {
            if let Some(node) = fleet.machines[machine].node().map(|node| node.id().0)
                && !self.undrained.contains(&machine)
                && self.ask(fleet, machine, now, Question::Drain { node, cancel: true }, outside)
            {
                self.undrained.insert(machine);
            }
        }
        let Some(asked) = (0..fleet.machines.len()).find(|number| fleet.machines[*number].node().is_some()) else {
            return;
        };
        let Some(node) = fleet.machines[asked].node() else { return };
        let questions = node.read(|state| self.concerns(state));
        for question in questions {
            self.ask(fleet, asked, now, question, outside);
        }
    }

    /// What the caretaker would do about the state.
    fn concerns(&mut self, state: &State) -> Vec<Question> {
        let mut questions: Vec<Question> = approval(state, None).into_iter().collect();
        for migration in state.migrations().values() {
            let question = match migration.phase {
                Phase::Paused => {
                    let times = self.resumed.entry(migration.id).or_default();
                    *times += 1;
                    Question::act(if *times > RESUMES { "cancel" } else { "resume" }, migration)
                }
                Phase::Quarantined if !state.is_superseded(migration) => {
                    let times = self.replayed.entry(migration.id).or_default();
                    *times += 1;
                    if *times > REPLAYS {
                        continue;
                    }
                    Question::Replay { migrations: vec![(migration.id, migration.target.clone())] }
                }
                Phase::Ready if waits_in_vain(state, migration) => Question::act("cancel", migration),
                _ => continue,
            };
            questions.push(question);
        }
        questions
    }
}

/// Whether another policy wants the same targets.
fn contested(policies: &[PolicyPlan], policy: &PolicyPlan) -> bool {
    policy.rivals.is_some() || policies.iter().any(|other| other.rivals == Some(policy.number))
}

/// Whether a migration waits for a policy that will not be committed.
fn waits_in_vain(state: &State, migration: &Migration) -> bool {
    let Some(record) = state.policies().get(&migration.policy) else { return false };
    record.policy.after.iter().any(|name| {
        let Some(before) = state.policies().get(name) else { return true };
        let of = before.migrations.iter().filter_map(|id| state.migration(*id));
        let ended = |one: &Migration| one.phase.is_end() && one.phase != Phase::Committed;
        of.filter(|one| !state.is_superseded(one)).any(ended)
    })
}

/// Plans that wait are approved as somebody sees them.
fn approval(state: &State, policy: Option<&str>) -> Option<Question> {
    let of = |migration: &&Migration| policy.is_none_or(|policy| migration.policy.0 == policy);
    let plans = state
        .in_phase(Phase::Approval)
        .filter(of)
        .filter_map(|migration| Some((migration.id, migration.plan.as_ref()?.hash, migration.target.clone())));
    let items: Vec<_> = plans.collect();
    (!items.is_empty()).then_some(Question::Approve { items })
}

impl Submission {
    fn new(policy: &PolicyPlan, generation: u64, (machine, at): (usize, Duration), may_fail: bool) -> Self {
        Self {
            document: policy.document(generation),
            key: format!("key-{}-{generation}", policy.number),
            policy: usize::try_from(policy.number).expect("a handful of policies"),
            may_fail,
            machine,
            not_before: at,
            underway: None,
            attempts: 0,
            over: false,
        }
    }

    /// Goes on. A refusal that no repetition can change is an error.
    fn step(&mut self, fleet: &Fleet, now: Duration, outside: &mut Outside, tape: &Tape) -> Result<(), String> {
        if self.over || now < self.not_before {
            return Ok(());
        }
        let Some((underway, since, id)) = &self.underway else {
            self.attempts += 1;
            let call = Call { key: Some(self.key.clone()), ..Call::post("/v1/policies", self.document.clone()) };
            match client::call(&fleet.machines[self.machine], call) {
                Some(underway) => {
                    let (key, document) = (self.key.clone(), self.document.clone());
                    let question = Question::Submit { key, policy: self.policy, document };
                    self.underway = Some((underway, now, outside.asked(now, &question)));
                }
                None => self.next(fleet, now),
            }
            return Ok(());
        };
        let id = *id;
        // Its machine has crashed.
        let gone = now > *since + 2 * DEADLINE || !fleet.machines[self.machine].is_up();
        let said = underway.take().or(gone.then_some(Said::Unknown(0)));
        if let Some(said) = &said {
            outside.answered(id, now, said);
        }
        match said {
            Some(Said::Done(_)) => {
                self.over = true;
                if self.attempts > 1 {
                    tape.mark("submission repeated");
                }
            }
            Some(Said::Unknown(_)) => self.next(fleet, now),
            Some(Said::Refused(..)) if self.may_fail => self.over = true,
            // All its sources have vanished.
            Some(Said::Refused(_, text)) if text.contains("NOTHING_SELECTED") => self.over = true,
            Some(Said::Refused(status, text)) => return Err(format!("submission {}: {status} {text}", self.key)),
            None => {}
        }
        Ok(())
    }

    fn next(&mut self, fleet: &Fleet, now: Duration) {
        self.underway = None;
        self.machine = (self.machine + 1) % fleet.machines.len();
        self.not_before = now + PAUSE;
    }
}

impl Question {
    fn act(action: &'static str, migration: &Migration) -> Self {
        Self::Act { action, migration: migration.id, target: migration.target.clone() }
    }

    /// The call that asks it.
    fn call(&self) -> (String, String) {
        let reason = "the plan of the seed";
        let (path, body) = match self {
            Self::Submit { .. } => ("/v1/policies".to_owned(), json!({})),
            Self::Act { action, migration, .. } => {
                ("/v1/actions".to_owned(), json!({ "action": action, "migrations": [migration], "reason": reason }))
            }
            Self::Approve { items } => {
                let items: Vec<_> =
                    items.iter().map(|(migration, plan, _)| json!({ "migration": migration, "plan": plan })).collect();
                ("/v1/decisions".to_owned(), json!({ "approve": true, "items": items, "reason": reason }))
            }
            Self::Drain { node, cancel } => {
                (format!("/v1/nodes/{node}/drain"), json!({ "cancel": cancel, "reason": reason }))
            }
            Self::Replay { migrations } if migrations.is_empty() => {
                ("/v1/quarantine/replay".to_owned(), json!({ "filter": {}, "reason": reason }))
            }
            Self::Replay { migrations } => {
                let ids: Vec<_> = migrations.iter().map(|(id, _)| id).collect();
                ("/v1/quarantine/replay".to_owned(), json!({ "migrations": ids, "reason": reason }))
            }
            Self::Discard { policy } => {
                ("/v1/quarantine/discard".to_owned(), json!({ "filter": { "policy": policy }, "reason": reason }))
            }
        };
        (path, body.to_string())
    }
}
