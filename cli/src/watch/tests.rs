#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use skein_protocol::api::{FleetView, MigrationRow, NodeRole, NodeRow, PolicyRow, Status};
use skein_protocol::ids::{Generation, MigrationId, NodeId, Run, SessionNo, TableName};
use skein_protocol::ledger::{Phase, Standing};
use skein_protocol::problem::Code;

use super::screen::{Next, Part, Screen};
use super::snapshot::{Counts, Snapshot};
use super::view;

fn node(id: u64) -> NodeRow {
    NodeRow {
        node: NodeId(id),
        address: format!("10.0.0.{id}:7401"),
        api: format!("10.0.0.{id}:7400"),
        zone: "rack".to_owned(),
        version: "0.1.0".to_owned(),
        slots: 4,
        slots_busy: Some(2),
        backlog_seconds: Some(61),
        standing: if id == 2 { Standing::Expired } else { Standing::Active },
        draining: id == 3,
        role: if id == 1 { NodeRole::Leader } else { NodeRole::Voter },
        session: SessionNo(1),
        last_heard_millis: Some(12_000),
        owned: 7,
        unstarted: 5,
        note: String::new(),
    }
}

fn problem(number: u64) -> MigrationRow {
    let dataset = TableName::new("music", format!("songs_{number}"));
    MigrationRow {
        id: MigrationId::derive(&"songs".into(), Generation(1), &dataset),
        target: dataset.clone(),
        dataset,
        policy: "songs".into(),
        generation: Generation(1),
        owner: NodeId(1),
        run: Run(1),
        phase: Phase::Quarantined,
        from: Some(Phase::Execution),
        problem: Some(Code::FileDamaged),
        strategy: None,
        plan: None,
        batches_done: 0,
        batches: 1,
        rows_planned: None,
        rows_in: 0,
        rows_out: 0,
        bytes: 0,
        changed_at: number,
    }
}

fn snapshot(nodes: u64, problems: u64) -> Snapshot {
    let phases = BTreeMap::from([(Phase::Committed, 5), (Phase::Execution, 3), (Phase::Quarantined, 2)]);
    let policy = PolicyRow {
        name: "songs".into(),
        generation: Generation(1),
        owner: "team".to_owned(),
        labels: BTreeMap::new(),
        priority: 50,
        applied_by: "admin".to_owned(),
        applied_at: 0,
        phases: phases.clone(),
    };
    Snapshot {
        at: 1_000,
        age_millis: Some(3),
        status: Status { phases, batches: 10, batches_done: 5, ..Status::default() },
        fleet: FleetView {
            fleet: "f00".to_owned(),
            answered_by: NodeId(1),
            leader: Some(NodeId(1)),
            term: 3,
            voters: vec![NodeId(1)],
            quorum: true,
            nodes: (1..=nodes).map(node).collect(),
        },
        policies: vec![policy],
        problems: (0..problems).map(problem).collect(),
    }
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, screen)).unwrap();
    terminal.backend().to_string()
}

fn press(screen: &mut Screen, key: KeyCode) -> Next {
    screen.press(key, KeyModifiers::NONE)
}

#[test]
fn nodes_policies_and_problems_are_all_on_one_screen() {
    let text = drawn(&mut Screen::new(snapshot(3, 2)), 160, 30);
    for part in [
        "leader 1 · term 3 · quorum",
        "5 of 10 committed",
        "■■□□ 2/4",
        "1 min 1 s",
        "expired",
        "draining",
        "12 s ago",
        "████████████░░░░░░░░░░░░  50%",
        "music.songs_1",
        "FILE_DAMAGED",
        "q quits",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_small_terminal_is_drawn_without_a_panic() {
    for (width, height) in [(1, 1), (10, 3), (40, 8), (80, 12), (300, 100)] {
        drawn(&mut Screen::new(snapshot(60, 30)), width, height);
    }
    drawn(&mut Screen::new(snapshot(0, 0)), 80, 24);
}

#[test]
fn long_tables_scroll_and_stop_at_their_end() {
    let mut screen = Screen::new(snapshot(50, 0));
    // 26 lines are left beside head and foot: four for the policies, three for the problems, three round the nodes.
    assert!(drawn(&mut screen, 160, 30).contains("nodes: 1 to 16 of 50"), "{}", drawn(&mut screen, 160, 30));
    press(&mut screen, KeyCode::PageDown);
    assert!(drawn(&mut screen, 160, 30).contains("nodes: 11 to 26 of 50"));
    for _ in 0..20 {
        press(&mut screen, KeyCode::PageDown);
    }
    assert!(drawn(&mut screen, 160, 30).contains("nodes: 35 to 50 of 50"));
    press(&mut screen, KeyCode::Home);
    assert!(drawn(&mut screen, 160, 30).contains("nodes: 1 to 16 of 50"));
    press(&mut screen, KeyCode::Tab);
    assert_eq!(screen.focus, Part::Policies);
}

#[test]
fn a_narrow_terminal_shows_fewer_columns_whole() {
    let narrow = drawn(&mut Screen::new(snapshot(3, 0)), 70, 30);
    assert!(narrow.contains("1 min 1 s") && !narrow.contains("ADDRESS"), "{narrow}");
    let wide = drawn(&mut Screen::new(snapshot(3, 0)), 160, 30);
    assert!(wide.contains("10.0.0.3:7401") && wide.contains("VERSION"), "{wide}");
}

#[test]
fn q_and_control_c_quit() {
    let mut screen = Screen::new(snapshot(1, 0));
    assert_eq!(press(&mut screen, KeyCode::Char('x')), Next::Stay);
    assert_eq!(press(&mut screen, KeyCode::Char('c')), Next::Stay);
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Next::Quit);
    assert_eq!(screen.press(KeyCode::Char('c'), KeyModifiers::CONTROL), Next::Quit);
}

#[test]
fn a_node_that_does_not_answer_is_said_beside_the_last_figures() {
    let mut screen = Screen::new(snapshot(3, 0));
    screen.show(Err(anyhow::anyhow!("no node answers at http://a\nnext: start one")));
    let text = drawn(&mut screen, 120, 24);
    assert!(text.contains("no node answers at http://a") && text.contains("5 of 10 committed"), "{text}");
    let mut later = snapshot(3, 0);
    later.at += 500;
    later.status.rows_in = 1_000;
    screen.show(Ok(later));
    assert_eq!((screen.rows_per_second, screen.trouble.as_deref()), (2_000, None));
}

#[test]
fn every_phase_is_counted_once() {
    let mut policy = snapshot(0, 0).policies.remove(0);
    policy.phases = Phase::ALL.into_iter().map(|phase| (phase, 1)).collect();
    let Counts { all, committed, running, waiting, approval, troubled, ended } = Counts::of(&policy);
    assert_eq!(all, 13);
    assert_eq!(committed + running + waiting + approval + troubled + ended, all);
}

#[test]
fn the_text_and_the_line_hold_the_same() {
    let snapshot = snapshot(3, 9);
    let text = snapshot.text();
    assert!(text.contains("fleet f00") && text.contains("music.songs_4") && !text.contains("music.songs_5"), "{text}");
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["fleet"]["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(9));
}
