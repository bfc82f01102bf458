//! The watch and the follower over whole logs.

use super::{OTHER, first_batch};
use crate::hash::Hash256;
use crate::ids::{MigrationId, PolicyName};
use crate::invariant::{Applied, Fed, Follower, Keyed, Violation, Watch};
use crate::ledger::entry::{Answer, Entry, RequestKey};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::scenario::{NODE, Scenario, opened, opened_by};
use crate::ledger::state::State;

/// A scenario whose every entry is watched.
#[derive(Default)]
struct Watched {
    scenario: Scenario,
    watch: Watch,
    found: Vec<Violation>,
}

impl Watched {
    fn at(&mut self, at_millis: u64, entry: Entry) -> Answer {
        self.scenario.entries += 1;
        let index = self.scenario.entries;
        let proposal = Proposal { session: 1, sequence: index, at_millis, actor: "test".to_owned(), entry };
        let answer = self.scenario.state.apply(index, &proposal);
        self.found.extend(self.watch.feed(index, &proposal, &answer, &self.scenario.state));
        answer
    }

    /// Lets a scenario's own helpers act, and takes what they did as given.
    fn unwatched<R>(&mut self, act: impl FnOnce(&mut Scenario) -> R) -> R {
        let result = act(&mut self.scenario);
        self.found.extend(self.watch.rebase(self.scenario.entries, &self.scenario.state));
        result
    }

    fn start(&mut self, at_millis: u64, id: MigrationId) {
        let (fence, attempt) = (self.scenario.fence(id), self.scenario.migration(id).next_attempt);
        let runner = self.scenario.migration(id).owner;
        let answer = self.at(at_millis, Entry::BatchStarted { fence, batch: first_batch(), attempt, runner });
        assert_eq!(answer, Answer::Applied);
    }

    fn names(&self) -> Vec<&'static str> {
        self.found.iter().map(|violation| violation.invariant).collect()
    }
}

#[test]
fn a_first_batch_before_the_policy_that_it_waits_for_is_seen() {
    let mut watched = Watched::default();
    watched.at(1_000, opened(1));
    let (users, id) = watched.unwatched(|scenario| {
        let users = scenario.policy("users", &["u"], |_| ())[0];
        let id = scenario.policy("p", &["t"], |policy| policy.after = vec!["users".into()])[0];
        scenario.plan(id, 1, 1);
        (users, id)
    });
    let mut too_early = Watched { scenario: Scenario::default(), watch: watched.watch.clone(), found: Vec::new() };
    too_early.scenario.state = watched.scenario.state.clone();
    too_early.scenario.entries = watched.scenario.entries;
    too_early.start(9_000, id);
    assert_eq!(too_early.names(), ["dependencies-respected"]);
    watched.unwatched(|scenario| scenario.commit(users));
    watched.start(9_000, id);
    assert_eq!(watched.found, []);
}

#[test]
fn who_waits_for_longest_is_passed_by_only_so_often() {
    let mut watched = Watched::default();
    watched.at(1_000, opened(1));
    let names: Vec<String> = (0..40).map(|number| format!("t{number:02}")).collect();
    let tables: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = watched.unwatched(|scenario| {
        let ids = scenario.policy("p", &tables, |_| ());
        for id in &ids {
            scenario.plan(*id, 1, 1);
        }
        ids
    });
    let late = 60 * 60 * 1000;
    for id in &ids[1..=18] {
        watched.start(late, *id);
    }
    assert_eq!(watched.found, [], "sixteen, and two slots");
    watched.start(late, ids[19]);
    assert_eq!(watched.names(), ["bypass-bounded"]);
    watched.found.clear();
    watched.start(late, ids[0]);
    watched.start(late, ids[25]);
    assert_eq!(watched.found, [], "its turn came");
}

#[test]
fn what_is_least_urgent_does_not_go_first() {
    let mut watched = Watched::default();
    watched.at(1_000, opened(1));
    let names: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    let tables: Vec<&str> = names.iter().map(String::as_str).collect();
    let (least, most) = watched.unwatched(|scenario| {
        let least = scenario.policy("least", &tables, |policy| policy.priority = 10);
        let most = scenario.policy("most", &tables, |policy| policy.priority = 90);
        for id in least.iter().chain(&most) {
            scenario.plan(*id, 1, 1);
        }
        (least, most)
    });
    let mut well = Watched { scenario: Scenario::default(), watch: watched.watch.clone(), found: Vec::new() };
    (well.scenario.state, well.scenario.entries) = (watched.scenario.state.clone(), watched.scenario.entries);
    most.iter().chain(&least).for_each(|id| well.start(90_000, *id));
    assert_eq!(well.found, []);
    least[..5].iter().for_each(|id| watched.start(90_000, *id));
    assert_eq!(watched.found, [], "they may have been decided before");
    watched.start(90_000, least[5]);
    assert_eq!(watched.names(), ["priority-respected"]);
}

#[test]
fn a_proposal_that_is_applied_twice_and_a_gap_are_seen() {
    let mut applied = Applied::default();
    assert_eq!(applied.once(1, 5), Ok(()));
    assert_eq!(applied.once(1, 3), Ok(()));
    assert!(applied.once(1, 5).is_err());
    (10..5_000).for_each(|sequence| applied.once(1, sequence).expect("it is new"));
    assert!(applied.once(1, 3).is_err(), "it is too old to be new");
    let (mut watch, mut state) = (Watch::default(), State::default());
    let proposal = Proposal { session: 1, sequence: 1, at_millis: 1, actor: "test".to_owned(), entry: opened(1) };
    let answer = state.apply(3, &proposal);
    let found = watch.feed(3, &proposal, &answer, &state);
    assert_eq!(found.iter().map(|violation| violation.invariant).collect::<Vec<_>>(), ["applied-once"]);
}

#[test]
fn a_key_that_is_not_honoured_is_seen() {
    let created = vec![MigrationId::derive(&"p".into(), crate::ids::Generation(1), &"d.t".parse().expect("a name"))];
    let first = Answer::PolicyApplied {
        generation: crate::ids::Generation(1),
        created,
        superseded: Vec::new(),
        kept: Vec::new(),
    };
    let earlier = (Hash256::of(b"document"), first.clone());
    let keyed = |document: &[u8], answer, changed| {
        let document = Hash256::of(document);
        let keyed = Keyed { key: "key", document, earlier: Some(&earlier), answer, changed };
        super::super::requests::keys_are_honoured(&keyed)
    };
    assert_eq!(keyed(b"document", &first, false), Ok(()));
    assert!(keyed(b"document", &first, true).is_err());
    assert!(keyed(b"document", &Answer::Unchanged, false).is_err());
    assert!(keyed(b"another", &first, false).is_err());
}

#[test]
fn the_watch_remembers_the_answers_to_keys() {
    let mut watched = Watched::default();
    watched.at(1_000, opened(1));
    let policy = watched.unwatched(|scenario| {
        scenario.policy("p", &["t"], |_| ());
        let mut policy = scenario.state.policies()[&PolicyName::from("p")].policy.clone();
        policy.datasets = vec![("d.t".parse().expect("a name"), "x.t".parse().expect("a name"))];
        policy.name = "q".into();
        policy
    });
    let key = |document: &[u8]| Some(RequestKey { key: "key".to_owned(), document: Hash256::of(document) });
    let entry = |document: &[u8]| Entry::PolicyApplied { policy: policy.clone(), owner: NODE, key: key(document) };
    let first = watched.at(2_000, entry(b"document"));
    assert_eq!(watched.at(3_000, entry(b"document")), first);
    assert!(matches!(watched.at(4_000, entry(b"another")), Answer::Refused(_)));
    assert_eq!(watched.found, []);
    let proposal =
        Proposal { session: 1, sequence: 99, at_millis: 5_000, actor: "test".to_owned(), entry: entry(b"document") };
    let found =
        watched.watch.feed(watched.scenario.entries + 1, &proposal, &Answer::Unchanged, &watched.scenario.state);
    assert_eq!(found.iter().map(|violation| violation.invariant).collect::<Vec<_>>(), ["keys-honoured"]);
}

#[test]
fn a_state_that_went_back_is_seen() {
    let mut watched = Watched::default();
    watched.at(1_000, opened(1));
    watched.unwatched(|scenario| scenario.policy("p", &["t"], |_| ()));
    let (index, old) = (watched.scenario.entries, watched.scenario.state.clone());
    watched.at(3_000, opened(2));
    assert_eq!(watched.found, []);
    let found = watched.watch.rebase(index, &old);
    let names: Vec<&str> = found.iter().map(|violation| violation.invariant).collect();
    assert_eq!(names, ["applied-once", "epochs-grow"]);
    let found = watched.watch.rebase(index, &State::default());
    assert_eq!(found[0].invariant, "submits-survive");
}

#[test]
fn a_follower_folds_each_entry_once_and_sees_other_answers() {
    let mut follower = Follower::default();
    let mut told = Scenario::default();
    let mut tell = |index: u64, entry: Entry| {
        let proposal = Proposal { session: 1, sequence: index, at_millis: index, actor: "test".to_owned(), entry };
        (proposal.clone(), told.state.apply(index, &proposal))
    };
    let (first, answer) = tell(1, opened(1));
    assert_eq!(follower.feed(1, &first, &answer), Fed::Checked(Vec::new()));
    assert_eq!(follower.feed(1, &first, &answer), Fed::Known);
    let (second, _) = tell(2, opened_by(OTHER, 1, 2));
    let (third, answer) = tell(3, opened_by(OTHER, 2, 2));
    assert_eq!(follower.feed(3, &third, &answer), Fed::Gap);
    let Fed::Checked(found) = follower.feed(2, &second, &Answer::Unchanged) else { panic!("it is the next") };
    assert_eq!(found.iter().map(|violation| violation.invariant).collect::<Vec<_>>(), ["replicas-agree"]);
    assert_eq!(follower.feed(3, &third, &answer), Fed::Checked(Vec::new()));
    assert_eq!((follower.index(), follower.whole()), (3, Vec::new()));
    assert_eq!(follower.jump(3, told.state.clone()), []);
    assert_eq!(*follower.state(), told.state);
}
