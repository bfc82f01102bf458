use super::*;
use crate::ledger::Entry;
use crate::ledger::entry::Request;
use crate::ledger::scenario::{Scenario, opened};
use crate::problem::Code;

fn asked(scenario: &mut Scenario, id: MigrationId, request: Request) {
    scenario.fact(Entry::Requested { migrations: vec![id], request, reason: String::new() });
}

fn told(scenario: &mut Scenario, incident: &Incident, resolved: bool) {
    scenario.fact(Entry::AlertDelivered { incident: incident.id, resolved });
}

fn paused() -> (Scenario, MigrationId) {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    let id = scenario.policy("p", &["a", "b"], |policy| policy.labels = vec![("wave".into(), "3".into())])[0];
    asked(&mut scenario, id, Request::Pause);
    (scenario, id)
}

#[test]
fn a_paused_migration_is_told_once_and_its_end_once() {
    let (mut scenario, id) = paused();
    let found = due(&scenario.state);
    let [incident] = found.opened.as_slice() else { panic!("{found:?}") };
    assert_eq!((incident.kind, incident.since), (IncidentKind::Paused, scenario.migration(id).changed_at));
    assert_eq!(incident.problem.as_ref().map(|problem| problem.code), Some(Code::ByRequest));
    let subject = incident.migration.as_ref().unwrap();
    assert_eq!((subject.id, subject.labels.get("wave").map(String::as_str)), (id, Some("3")));

    told(&mut scenario, incident, false);
    assert_eq!(due(&scenario.state), Due::default(), "it was told");

    asked(&mut scenario, id, Request::Resume);
    let over = due(&scenario.state);
    assert!(over.opened.is_empty());
    let [end] = over.resolved.as_slice() else { panic!("{over:?}") };
    assert_eq!((end.id, end.since, end.problem.as_ref()), (incident.id, incident.since, None));
    assert_eq!(end.migration.as_ref().map(|subject| subject.phase), Some(Phase::Queued));

    told(&mut scenario, end, true);
    assert_eq!(due(&scenario.state), Due::default());
}

#[test]
fn a_second_pause_is_another_incident() {
    let (mut scenario, id) = paused();
    let first = due(&scenario.state).opened.remove(0);
    told(&mut scenario, &first, false);
    asked(&mut scenario, id, Request::Resume);
    asked(&mut scenario, id, Request::Pause);
    let found = due(&scenario.state);
    assert_eq!((found.opened.len(), found.resolved.len()), (1, 1));
    assert_eq!(found.resolved[0].id, first.id);
    assert_ne!(found.opened[0].id, first.id);
}

#[test]
fn an_incident_that_came_and_went_before_it_was_told_is_not_told() {
    let (mut scenario, id) = paused();
    asked(&mut scenario, id, Request::Resume);
    assert_eq!(due(&scenario.state), Due::default());
}

#[test]
fn an_incident_without_a_history_is_still_resolved() {
    let (mut scenario, _) = paused();
    let unknown = Hash256::of(b"something else");
    scenario.fact(Entry::AlertDelivered { incident: unknown, resolved: false });
    let found = due(&scenario.state).resolved;
    assert_eq!(found.iter().map(|one| (one.id, one.kind)).collect::<Vec<_>>(), [(unknown, IncidentKind::Forgotten)]);
}

#[test]
fn a_message_names_its_incidents_and_keeps_its_id_when_it_is_sent_again() {
    let (scenario, _) = paused();
    let incidents = due(&scenario.state).opened;
    let first = message(Event::Opened, "f00", &incidents, 1).unwrap();
    let again = message(Event::Opened, "f00", &incidents, 2).unwrap();
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, message(Event::Resolved, "f00", &incidents, 1).unwrap().id);
    assert_eq!(first.text, "Skein f00, needs you: d.a (p) is paused: a person asked for it [BY_REQUEST]");
    let json = serde_json::to_value(&first).unwrap();
    assert_eq!(json["event"], "opened");
    assert_eq!(json["incidents"][0]["kind"], "paused");
    assert_eq!(json["incidents"][0]["migration"]["dataset"], "d.a");
    assert_eq!(serde_json::from_value::<Message>(json).unwrap(), first);
}

#[test]
fn a_message_is_bounded() {
    let (scenario, _) = paused();
    let one = due(&scenario.state).opened.remove(0);
    let many: Vec<Incident> = (0..250_u64).map(|since| Incident { since, ..one.clone() }).collect();
    let message = message(Event::Opened, "f", &many, 1).unwrap();
    assert_eq!(message.incidents.len(), INCIDENTS_PER_MESSAGE);
    assert!(message.text.ends_with("and 95 more"), "{}", message.text);
    assert_eq!(super::message(Event::Opened, "f", &[], 1), None);
}

#[test]
fn a_lost_quorum_is_told_after_its_grace_once_and_so_is_its_return() {
    let mut watch = QuorumWatch::new("f".to_owned(), NodeId(7));
    watch.look(true, 0);
    watch.look(false, 1_000);
    assert_eq!(watch.opened(1_000 + QUORUM_GRACE_MILLIS - 1), None);
    let incident = watch.opened(1_000 + QUORUM_GRACE_MILLIS).unwrap();
    assert_eq!((incident.kind, incident.since), (IncidentKind::NoQuorum, 1_000));
    watch.told(Some(incident.clone()));
    watch.look(false, 900_000);
    assert_eq!((watch.opened(900_000), watch.resolved()), (None, None));
    watch.look(true, 900_001);
    assert_eq!(watch.resolved().map(|end| end.id), Some(incident.id));
    watch.told(None);
    assert_eq!((watch.opened(999_999), watch.resolved()), (None, None));
}

#[test]
fn a_short_election_is_not_told() {
    let mut watch = QuorumWatch::new("f".to_owned(), NodeId(7));
    watch.look(false, 0);
    watch.look(true, 2_000);
    watch.look(false, QUORUM_GRACE_MILLIS);
    assert_eq!(watch.opened(QUORUM_GRACE_MILLIS + 1), None);
}

#[test]
fn pauses_between_deliveries_grow_up_to_five_minutes() {
    let most = |failures| retry_after(failures, u64::MAX);
    for failures in [1, 2, 5, 8, 9, 40, u32::MAX] {
        let whole = FIRST_RETRY_MILLIS.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_RETRY_MILLIS);
        assert_eq!(retry_after(failures, 0), whole / 2);
        assert!(most(failures) <= whole);
    }
    assert_eq!(retry_after(1, 1_000), 2_000);
}

#[test]
fn the_signature_covers_the_time_and_the_body() {
    assert_eq!(signed_text(17, b"{}"), b"17.{}");
}
