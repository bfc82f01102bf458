//! Which policies wait for which: `spec.run.after`.
//!
//! In: the ledger's state. Out: whom a migration waits for, cycles. A policy's migrations are planned (and their plans can be
//! approved) while it waits; their first batch is not handed out before every named policy is through. A policy that
//! nobody has applied is waited for: it may be applied later.

use std::collections::{BTreeMap, BTreeSet};

use crate::defects::{self, Defect};
use crate::ids::PolicyName;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;

/// The policies that `migration` waits for: those named by its own that are not through. `None` when it waits for none, or
/// has begun already: what has begun goes on, whatever becomes of the others.
#[must_use]
pub fn waits_for(state: &State, migration: &Migration) -> Option<Vec<PolicyName>> {
    let waits = !migration.phase.is_end() && !has_begun(migration.phase);
    waits.then(|| Waits::new(state).of(&migration.policy)).filter(|names| !names.is_empty())
}

fn has_begun(phase: Phase) -> bool {
    matches!(phase, Phase::Execution | Phase::Validation | Phase::Commit | Phase::RollingBack)
}

/// The policies that wait for each other in a circle, where `policy` stands in it or waits for one that does: none of them
/// ever begins. Each waits for the one that follows, the last one for the first.
#[must_use]
pub fn cycle(state: &State, policy: &PolicyName) -> Option<Vec<PolicyName>> {
    let after = state.policies().get(policy).map(|record| record.policy.after.as_slice()).unwrap_or_default();
    cycle_with(state, policy, after)
}

/// The circle that there would be if `policy` waited for `after`: to be asked before it is applied.
#[must_use]
pub fn cycle_with(state: &State, policy: &PolicyName, after: &[PolicyName]) -> Option<Vec<PolicyName>> {
    let named = |name: &PolicyName| -> Vec<PolicyName> {
        if name == policy {
            return after.to_vec();
        }
        state.policies().get(name).map(|record| record.policy.after.clone()).unwrap_or_default()
    };
    // The way down, each with what it names and has not been looked at; without recursion: chains may be long.
    let mut way: Vec<(PolicyName, Vec<PolicyName>)> = vec![(policy.clone(), named(policy))];
    let mut seen: BTreeSet<PolicyName> = BTreeSet::from([policy.clone()]);
    while let Some((_, open)) = way.last_mut() {
        let Some(next) = open.pop() else {
            way.pop();
            continue;
        };
        if let Some(start) = way.iter().position(|(name, _)| *name == next) {
            return Some(way.drain(start..).map(|(name, _)| name).collect());
        }
        if seen.insert(next.clone()) {
            let names = named(&next);
            way.push((next, names));
        }
    }
    None
}

/// Answers who waits, and remembers for the time of one decision which policies are through.
pub(crate) struct Waits<'a> {
    state: &'a State,
    through: BTreeMap<&'a PolicyName, bool>,
}

impl<'a> Waits<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state, through: BTreeMap::new() }
    }

    /// Whether the migrations of `policy` have to wait.
    pub(crate) fn waits(&mut self, policy: &PolicyName) -> bool {
        let state = self.state;
        let Some(record) = state.policies().get(policy) else { return false };
        record.policy.after.iter().any(|name| !self.is_through(name)) && !defects::is(Defect::DependenciesIgnored)
    }

    /// The policies that `policy` waits for.
    fn of(&mut self, policy: &PolicyName) -> Vec<PolicyName> {
        let state = self.state;
        let named = state.policies().get(policy).map(|record| record.policy.after.as_slice()).unwrap_or_default();
        named.iter().filter(|name| !self.is_through(name)).cloned().collect()
    }

    fn is_through(&mut self, policy: &'a PolicyName) -> bool {
        let state = self.state;
        *self.through.entry(policy).or_insert_with(|| is_through(state, policy))
    }
}

/// Whether all migrations of a policy are committed, apart from those whose place a newer generation took. While it is at work,
/// one of the first that are looked at is not.
fn is_through(state: &State, policy: &PolicyName) -> bool {
    let Some(record) = state.policies().get(policy) else { return false };
    // All of them: nothing more to look at, whatever their number.
    if state.committed_of(policy) == record.migrations.len() as u64 {
        return true;
    }
    let mut migrations = record.migrations.iter().filter_map(|id| state.migration(*id));
    migrations.all(|migration| {
        let replaced =
            matches!(migration.phase, Phase::Cancelled | Phase::RolledBack) && migration.stands_for < record.generation;
        replaced || migration.phase == Phase::Committed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash256;
    use crate::ledger::entry::{Answer, AppliedPolicy, Entry, Request};
    use crate::ledger::scenario::{NODE, Scenario};

    fn names(names: &[&str]) -> Vec<PolicyName> {
        names.iter().map(|name| (*name).into()).collect()
    }

    fn after(others: &'static [&'static str]) -> impl FnOnce(&mut AppliedPolicy) {
        move |policy| policy.after = names(others)
    }

    #[test]
    fn a_migration_waits_until_every_migration_of_the_named_policy_is_committed() {
        let mut scenario = Scenario::default();
        let users = scenario.policy("users", &["a", "b"], |_| ());
        let id = scenario.policy("playlists", &["a"], after(&["users"]))[0];
        let waits = |scenario: &Scenario| waits_for(&scenario.state, scenario.migration(id));
        assert_eq!(waits(&scenario), Some(names(&["users"])));
        scenario.commit(users[0]);
        assert_eq!(waits(&scenario), Some(names(&["users"])));
        scenario.commit(users[1]);
        assert_eq!(waits(&scenario), None);
        assert_eq!(waits_for(&scenario.state, scenario.migration(users[0])), None);
    }

    #[test]
    fn a_policy_that_nobody_has_applied_is_waited_for() {
        let mut scenario = Scenario::default();
        let id = scenario.policy("p", &["a"], after(&["later", "never"]))[0];
        assert_eq!(waits_for(&scenario.state, scenario.migration(id)), Some(names(&["later", "never"])));
        let later = scenario.policy("later", &["b"], |_| ());
        scenario.commit(later[0]);
        assert_eq!(waits_for(&scenario.state, scenario.migration(id)), Some(names(&["never"])));
    }

    #[test]
    fn what_a_newer_generation_replaced_is_not_waited_for_and_what_is_cancelled_now_is() {
        let mut scenario = Scenario::default();
        scenario.policy("users", &["a", "b"], |_| ());
        let present = scenario.policy("users", &["a"], |policy| policy.hash = Hash256::of(b"changed"));
        let id = scenario.policy("p", &["a"], after(&["users"]))[0];
        scenario.request(present[0], Request::Cancel);
        assert!(waits_for(&scenario.state, scenario.migration(id)).is_some());
        scenario.request(present[0], Request::Retry);
        scenario.commit(present[0]);
        assert_eq!(waits_for(&scenario.state, scenario.migration(id)), None);
    }

    #[test]
    fn what_has_begun_waits_no_more() {
        let mut scenario = Scenario::default();
        let users = scenario.policy("users", &["a"], |_| ());
        scenario.commit(users[0]);
        let id = scenario.policy("p", &["a"], after(&["users"]))[0];
        scenario.plan(id, 2, 2);
        scenario.start(id, 0);
        scenario.request(users[0], Request::Rollback);
        assert_eq!(waits_for(&scenario.state, scenario.migration(id)), None);
    }

    #[test]
    fn circles_are_found_from_within_and_from_outside_and_refused() {
        let mut scenario = Scenario::default();
        scenario.policy("a", &["x"], after(&["b"]));
        scenario.policy("b", &["x"], after(&["nobody", "c"]));
        scenario.policy("d", &["x"], after(&["a"]));
        let state = &scenario.state;
        assert_eq!(["a", "d", "unknown"].map(|name| cycle(state, &name.into())), [None, None, None]);
        let with = |name: &str, after: &[&str]| cycle_with(state, &name.into(), &names(after));
        assert_eq!(with("c", &["a"]), Some(names(&["c", "a", "b"])));
        assert_eq!(with("c", &["x", "d"]), Some(names(&["c", "d", "a", "b"])));
        assert_eq!(with("b", &["b"]), Some(names(&["b"])));
        assert_eq!(with("c", &["x"]), None);
        // Somebody who waits for those in the circle, without being in it.
        assert_eq!(with("b", &["a"]), Some(names(&["b", "a"])));
        let mut policy = state.policies()[&"a".into()].policy.clone();
        (policy.name, policy.after) = ("c".into(), names(&["a"]));
        let answer = scenario.apply(Entry::PolicyApplied { policy, owner: NODE, key: None });
        let Answer::Refused(problem) = answer else { panic!("{answer:?}") };
        assert!(problem.to_string().contains("c → a → b → c"), "{problem}");
    }

    #[test]
    fn two_ways_to_the_same_policy_are_no_circle() {
        let mut scenario = Scenario::default();
        scenario.policy("top", &["x"], after(&["left", "right"]));
        scenario.policy("left", &["x"], after(&["end"]));
        scenario.policy("right", &["x"], after(&["end"]));
        scenario.policy("end", &["x"], |_| ());
        assert_eq!(cycle(&scenario.state, &"top".into()), None);
    }
}
