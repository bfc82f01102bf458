//! Stories, good ones and bad ones.

use std::time::Duration;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Generation, MigrationId, Run, TableName, TableUuid};

use super::{Action, Answer, Auditor, Listed, Request, Seen};

const T: &str = "db.t";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rows(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(u64::to_string).collect()
}

fn submit(key: &str, approval: bool) -> Request {
    let document = format!("document of {key}");
    Request::Submit { key: key.to_owned(), document, policy: "p".to_owned(), targets: vec![T.to_owned()], approval }
}

fn done() -> Answer {
    Answer::Done(r#"{"done":1,"refused":[]}"#.to_owned())
}

fn refused() -> Answer {
    Answer::Done(r#"{"done":0,"refused":[{"migration":"m"}]}"#.to_owned())
}

fn seen(location: &str) -> Option<Seen> {
    Some(Seen { uuid: "uuid".to_owned(), location: location.to_owned(), rows: rows(&[2, 1]) })
}

fn listed(phase: &str) -> Listed {
    Listed { target: T.to_owned(), phase: phase.to_owned(), problem: None }
}

/// A policy was submitted at 1, acknowledged at 2.
fn begun(approval: bool) -> Auditor {
    let mut auditor = Auditor::new();
    auditor.source(T, at(0), rows(&[1, 2]));
    auditor.asked(1, at(1), submit("key", approval));
    auditor.answered(1, at(2), taken());
    auditor
}

fn taken() -> Answer {
    Answer::Done(r#"{"created":1,"superseded":0,"kept":0}"#.to_owned())
}

/// Somebody asks for an action and is told that it is done.
fn act(auditor: &mut Auditor, id: u64, seconds: u64, action: Action, answer: Answer) {
    auditor.asked(id, at(seconds), Request::Act(action, T.to_owned()));
    auditor.answered(id, at(seconds), answer);
}

fn complaints(auditor: &mut Auditor, phase: &str) -> Vec<String> {
    auditor.listed(vec![listed(phase)]);
    auditor.finish(at(99), true)
}

fn complains(found: &[String], about: &str) {
    assert!(found.iter().any(|complaint| complaint.contains(about)), "no word of {about:?} in {found:?}");
}

#[test]
fn a_table_that_was_asked_for_and_shows_its_source_is_well() {
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    auditor.saw(T, at(4), seen("1.json"));
    assert_eq!(complaints(&mut auditor, "committed"), [""; 0]);
}

#[test]
fn a_table_that_nobody_asked_for_is_seen() {
    let mut auditor = Auditor::new();
    auditor.saw(T, at(3), seen("1.json"));
    complains(&auditor.finish(at(99), false), "nobody asked for that");
    let mut auditor = Auditor::new();
    auditor.asked(1, at(1), submit("key", false));
    auditor.answered(1, at(2), Answer::Refused("no".to_owned()));
    auditor.saw(T, at(3), seen("1.json"));
    complains(&auditor.finish(at(99), false), "nobody asked for that");
}

#[test]
fn a_submission_without_an_answer_may_become_visible() {
    let mut auditor = Auditor::new();
    auditor.asked(1, at(1), submit("key", false));
    auditor.answered(1, at(2), Answer::Unknown);
    auditor.saw(T, at(50), seen("1.json"));
    assert_eq!(complaints(&mut auditor, "committed"), [""; 0]);
}

#[test]
fn a_table_of_another_plan_than_the_approved_one_is_seen() {
    let id = MigrationId::derive(&"p".into(), Generation(1), &TableName::new("db", "t"));
    let (plan, other) = (Hash256::of(b"plan"), Hash256::of(b"another"));
    let show = |approved: Hash256| {
        let mut auditor = begun(true);
        auditor.asked(2, at(3), Request::Approve(vec![(id.to_string(), approved.to_string(), T.to_owned())]));
        auditor.answered(2, at(3), done());
        let uuid = TableUuid::derive(id, Run(2), &plan).to_string();
        auditor.saw(T, at(4), Some(Seen { uuid, location: "1.json".to_owned(), rows: rows(&[1, 2]) }));
        complaints(&mut auditor, "committed")
    };
    assert_eq!(show(plan), [""; 0]);
    complains(&show(other), "nobody approved its plan");
    let mut auditor = begun(true);
    auditor.saw(T, at(4), seen("1.json"));
    complains(&complaints(&mut auditor, "committed"), "nobody approved its plan");
}

#[test]
fn rows_of_no_version_of_the_source_are_seen() {
    let mut auditor = begun(false);
    auditor.source(T, at(10), rows(&[1, 2, 3]));
    auditor.saw(T, at(5), seen("1.json"));
    assert_eq!(complaints(&mut auditor, "committed"), [""; 0], "a version that was there");
    let mut auditor = begun(false);
    auditor.saw(T, at(5), Some(Seen { rows: rows(&[1]), ..seen("1.json").unwrap() }));
    complains(&complaints(&mut auditor, "committed"), "missing: Some(\"2\")");
    let mut auditor = begun(false);
    auditor.saw(T, at(5), Some(Seen { rows: rows(&[1, 2, 2]), ..seen("1.json").unwrap() }));
    complains(&complaints(&mut auditor, "committed"), "3 rows where 2 should be");
}

#[test]
fn a_visible_table_that_changes_goes_over_or_goes_away_by_itself_is_seen() {
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    auditor.saw(T, at(4), Some(Seen { rows: rows(&[1]), ..seen("1.json").unwrap() }));
    complains(&auditor.finish(at(99), false), "its table is the same");
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    auditor.saw(T, at(4), seen("2.json"));
    complains(&auditor.finish(at(99), false), "without being taken back");
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    auditor.saw(T, at(4), None);
    complains(&auditor.finish(at(99), false), "nobody asked for that");
}

#[test]
fn a_rollback_takes_a_table_away_once_and_a_retry_brings_another() {
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    act(&mut auditor, 2, 4, Action::Rollback, done());
    auditor.saw(T, at(5), None);
    act(&mut auditor, 3, 6, Action::Retry, done());
    auditor.saw(T, at(7), seen("2.json"));
    assert_eq!(complaints(&mut auditor, "committed"), [""; 0]);
    auditor.saw(T, at(8), None);
    complains(&auditor.finish(at(99), false), "disappeared");
}

#[test]
fn a_table_that_comes_back_without_another_run_is_seen() {
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    act(&mut auditor, 2, 4, Action::Rollback, done());
    auditor.saw(T, at(5), None);
    auditor.saw(T, at(6), seen("1.json"));
    let found = complaints(&mut auditor, "rolled_back");
    complains(&found, "again, which was taken back");
    complains(&found, "became visible, and nobody asked");
    complains(&found, "was done at");
    complains(&found, "is visible, and is listed as");
}

#[test]
fn a_submission_that_is_repeated_under_its_key_opens_no_second_run() {
    let mut auditor = begun(false);
    auditor.asked(2, at(2), submit("key", false));
    auditor.answered(2, at(2), taken());
    auditor.saw(T, at(3), seen("1.json"));
    act(&mut auditor, 3, 4, Action::Rollback, done());
    auditor.saw(T, at(5), None);
    auditor.saw(T, at(6), seen("2.json"));
    complains(&auditor.finish(at(99), false), "became visible, and nobody asked");
}

#[test]
fn what_is_cancelled_is_not_visible_in_the_end() {
    let mut auditor = begun(false);
    act(&mut auditor, 2, 3, Action::Cancel, done());
    auditor.saw(T, at(4), seen("1.json"));
    let mut for_a_moment = begun(false);
    complains(&complaints(&mut auditor, "committed"), "Cancel");
    act(&mut for_a_moment, 2, 3, Action::Cancel, done());
    for_a_moment.saw(T, at(4), seen("1.json"));
    for_a_moment.saw(T, at(5), None);
    assert_eq!(complaints(&mut for_a_moment, "cancelled"), [""; 0], "it was withdrawn instead");
}

#[test]
fn a_retry_that_may_have_come_after_a_cancellation_excuses_what_is_visible() {
    let mut auditor = begun(false);
    auditor.asked(2, at(3), Request::Act(Action::Retry, T.to_owned()));
    act(&mut auditor, 3, 4, Action::Cancel, done());
    auditor.answered(2, at(5), Answer::Unknown);
    auditor.saw(T, at(6), seen("1.json"));
    assert_eq!(complaints(&mut auditor, "committed"), [""; 0]);
}

#[test]
fn a_refused_request_explains_nothing() {
    let mut auditor = begun(false);
    auditor.saw(T, at(3), seen("1.json"));
    auditor.asked(2, at(4), Request::Act(Action::Rollback, T.to_owned()));
    auditor.saw(T, at(5), None);
    auditor.answered(2, at(6), refused());
    complains(&auditor.finish(at(99), false), "was refused");
}

#[test]
fn an_acknowledged_submission_that_is_lost_or_ends_without_reason_is_seen() {
    let mut auditor = begun(false);
    auditor.listed(Vec::new());
    complains(&auditor.finish(at(99), true), "does not list it");
    let mut auditor = Auditor::new();
    auditor.asked(1, at(1), submit("key", false));
    auditor.answered(1, at(2), Answer::Done(r#"{"created":0,"kept":0}"#.to_owned()));
    auditor.listed(Vec::new());
    assert_eq!(auditor.finish(at(99), true), [""; 0], "its dataset was not there to be selected");
    complains(&complaints(&mut begun(false), "committed"), "is not visible");
    complains(&complaints(&mut begun(false), "cancelled"), "nothing says why");
    complains(&complaints(&mut begun(false), "rolled_back"), "nothing says why");
    complains(&complaints(&mut begun(false), "execution"), "nothing says why");
    complains(&complaints(&mut begun(false), "approval"), "nothing says why");
    assert_eq!(complaints(&mut begun(true), "approval"), [""; 0]);
    complains(&complaints(&mut begun(false), "quarantined"), "nothing says why");
    let mut auditor = begun(false);
    auditor.listed(vec![Listed { problem: Some("POISON".to_owned()), ..listed("quarantined") }]);
    assert_eq!(auditor.finish(at(99), true), [""; 0]);
}

#[test]
fn two_answers_to_one_key_are_seen() {
    let mut auditor = begun(false);
    auditor.asked(2, at(3), submit("key", false));
    auditor.answered(2, at(4), Answer::Done(r#"{"changed":false}"#.to_owned()));
    complains(&auditor.finish(at(99), false), "was answered");
    let mut auditor = begun(false);
    let Request::Submit { key, policy, targets, approval, .. } = submit("key", false) else { unreachable!() };
    auditor.asked(2, at(3), Request::Submit { key, document: "another".to_owned(), policy, targets, approval });
    auditor.answered(2, at(4), taken());
    complains(&auditor.finish(at(99), false), "two documents");
}

#[test]
fn tables_of_others_are_of_no_concern() {
    let mut auditor = Auditor::new();
    auditor.foreign("theirs.json");
    auditor.saw(T, at(3), seen("theirs.json"));
    auditor.saw(T, at(4), None);
    assert_eq!(auditor.finish(at(99), true), [""; 0]);
}

#[test]
fn a_page_of_the_api_is_read() {
    let body = r#"{"items":[{"target":"db.t","phase":"paused","problem":"DIFFERENCE"}],"total":1}"#;
    let row = Listed { problem: Some("DIFFERENCE".to_owned()), ..listed("paused") };
    assert_eq!(Listed::page(body), Ok(vec![row]));
    assert!(Listed::page("{}").is_err());
}

#[test]
fn a_null_is_no_text() {
    let texts = |value: Option<&str>| Seen::new("", "", &[vec![value.map(str::to_owned)]]).rows;
    assert_ne!(texts(None), texts(Some("null")));
    assert_ne!(texts(None), texts(Some("")));
}
