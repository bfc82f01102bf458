//! Rehearsals of the world alone: a fleet forms, works while one group of faults is at work, and must end everything
//! once the world is well again; twice, in processes of their own, with the same history.
//!
//! In: a scenario, a seed. Out: one line that says what happened. Not here: the swarm of a seed.

mod losses;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use skein_node::env::memory::Weather;
use skein_node::scripted::World;
use skein_protocol::ids::TableName;
use skein_protocol::ledger::{Phase, Standing};
use tower::ServiceExt;

use crate::fleet::{Fleet, Setup};
use crate::net::FabricKind;
use crate::shim;
use crate::tape::Tape;

/// Tells the child which rehearsal it is.
const WANTED: &str = "SKEIN_REHEARSAL";
const TABLES: usize = 12;
/// Faults are at work for so long.
const TROUBLED: Duration = Duration::from_secs(8);
/// Gossip takes longer to declare somebody dead.
const GOSSIPED: Duration = Duration::from_secs(25);
/// Everything that is waited for happens within this time.
const PATIENCE: Duration = Duration::from_secs(90);
const POLICY: &str = "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: { name: p, owner: team }\nspec:\n  source: \
                      { connection: legacy, include: [\"db.*\"] }\n  target: { connection: lake }\n  approval: { \
                      required: false }\n";

struct Rehearsal {
    fleet: Fleet,
    tape: Tape,
    world: World,
}

impl Rehearsal {
    fn new(seed: u64, setup: Setup) -> Self {
        let (world, tape) = (World::new(seed), Tape::new());
        for table in 0..TABLES {
            let first = table as u64 * 10_000;
            let file = |file: u64| (first + file * 100..first + file * 100 + 3).collect();
            world.add_table(&TableName::new("db", format!("t{table}")), &(0..3).map(file).collect::<Vec<Vec<u64>>>());
        }
        let mut rehearsal = Self { fleet: Fleet::new(seed, setup, &world, &tape), tape, world };
        rehearsal.form(setup.machines);
        rehearsal
    }

    /// Lets time pass until `wanted`; nodes that give up meanwhile are started again.
    fn until(&mut self, what: &str, mut wanted: impl FnMut(&Fleet) -> bool) {
        let give_up = self.fleet.now + PATIENCE;
        while !wanted(&self.fleet) {
            self.pass();
            assert!(self.fleet.now < give_up, "never {what}: {}", self.describe());
        }
    }

    fn pass(&mut self) {
        self.fleet.pass();
        for number in 0..self.fleet.machines.len() {
            let machine = &mut self.fleet.machines[number];
            if machine.host.storage.is_crashed() || machine.gave_up().is_some() {
                self.tape.note(number, &format!("is down: {:?}", machine.gave_up()));
                machine.crash();
                self.fleet.start(number);
            }
        }
    }

    fn form(&mut self, machines: usize) {
        self.fleet.start(0);
        self.until("a founder", |fleet| active(fleet, 0) == 1);
        for number in 1..machines {
            let text = self.ask(0, "/v1/fleet/tokens", r#"{"validSeconds":3600}"#.to_owned());
            let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
            let token = answer["token"].as_str().unwrap().to_owned();
            self.fleet.machines[number].invitation = Some((self.fleet.at(0), token));
            self.fleet.start(number);
        }
        self.until("a whole fleet", |fleet| (0..machines).all(|number| active(fleet, number) == machines));
    }

    /// A call of a node's API that must succeed.
    fn ask(&mut self, number: usize, path: &str, body: String) -> String {
        let machine = &self.fleet.machines[number];
        let router = machine.node().unwrap().router();
        let request = Request::post(path).header("authorization", format!("Bearer {}", machine.token().unwrap()));
        let request = request.header("idempotency-key", "key").body(Body::from(body)).unwrap();
        let answer: Arc<Mutex<Option<String>>> = Arc::default();
        let told = answer.clone();
        machine.spawn(async move {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status();
            let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
            assert!(status.is_success(), "{status} {text}");
            *told.lock().unwrap() = Some(text);
        });
        self.until("an answer", |_| answer.lock().unwrap().is_some());
        answer.lock().unwrap().take().unwrap()
    }

    /// Works while `trouble` is at work, then heals and waits for the end.
    fn run(&mut self, lasts: Duration, trouble: &dyn Fn(&mut Fleet, u64)) {
        self.ask(0, "/v1/policies", POLICY.to_owned());
        let begun = self.fleet.now;
        while self.fleet.now < begun + lasts {
            let millis = u64::try_from((self.fleet.now - begun).as_millis()).unwrap();
            trouble(&mut self.fleet, millis);
            self.pass();
        }
        self.fleet.heal();
        let machines = self.fleet.machines.len();
        self.until("done", |fleet| {
            let index = |number: usize| {
                let node = fleet.machines[number].node()?;
                let done = node.read(|state| state.count(Phase::Committed) == TABLES);
                done.then(|| node.status().applied_index)
            };
            fleet.now.as_millis().is_multiple_of(50)
                && index(0).is_some()
                && (1..machines).all(|n| index(n) == index(0))
        });
        let digests: Vec<_> =
            self.fleet.machines.iter().map(|machine| machine.node().unwrap().digest().unwrap()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
        assert_eq!(self.world.violations(), Vec::<String>::new());
        assert_eq!(self.tape.contradictions(), Vec::<String>::new());
        for table in 0..TABLES {
            let table = TableName::new("db", format!("t{table}"));
            assert_eq!(self.world.visible(&table), Some(self.world.source(&table)));
        }
    }

    fn describe(&self) -> String {
        let of = |machine: &crate::machine::Machine| match machine.node() {
            None => format!("no node, {:?}", machine.gave_up()),
            Some(node) => node.read(|state| {
                let committed = state.count(Phase::Committed);
                format!("{committed} committed, {} members", state.members().len())
            }),
        };
        self.fleet.machines.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

fn active(fleet: &Fleet, number: usize) -> usize {
    let Some(node) = fleet.machines[number].node() else { return 0 };
    node.read(|state| state.members().values().filter(|member| member.standing == Standing::Active).count())
}

fn weather(fleet: &mut Fleet, millis: u64) {
    let (one, other) = (fleet.at(0), fleet.at(1));
    let last = fleet.at(fleet.machines.len() - 1);
    match millis {
        0 => fleet.links().set_weather(Weather {
            lost: 60,
            doubled: 60,
            held_back: 100,
            delayed: 30,
            longest_delay: Duration::from_millis(1_500),
            answers_lost: 40,
            foreign: 20,
        }),
        2_000 => fleet.links().cut(one, other),
        3_500 => fleet.links().cut_both(other, last),
        5_000 => {
            fleet.links().heal(one, other);
            fleet.links().mute(last);
            fleet.links().deafen(one);
        }
        _ => {}
    }
}

fn disks(fleet: &mut Fleet, millis: u64) {
    let storage = |number: usize| &fleet.machines[number].host.storage;
    match millis {
        0 => storage(2).set_sync_takes(Duration::from_millis(30)),
        500 => storage(0).fail_sync_at(3),
        2_500 => storage(1).fail_write_at(5),
        300 => storage(2).set_room(Some(0)),
        5_500 => storage(2).heal(),
        6_000 => storage(0).crash_at(7),
        7_000 => fleet.machines[1].kill(),
        7_300 => fleet.start(1),
        _ => {}
    }
}

fn clocks(fleet: &mut Fleet, millis: u64) {
    match millis {
        0 => {
            fleet.machines[0].clock.set_drift(9_000);
            fleet.machines[1].clock.set_drift(-9_000);
        }
        700 => fleet.machines[2].clock.step(-100_000),
        1_000 => fleet.pause(0, Duration::from_millis(3_000)),
        4_500 => fleet.pause(1, Duration::from_millis(2_500)),
        5_000 => fleet.machines[2].clock.step(180_000),
        6_000 => {
            fleet.machines[2].config.version = "0.0.9".to_owned();
            fleet.machines[2].crash();
            fleet.start(2);
        }
        _ => {}
    }
}

fn gossip(fleet: &mut Fleet, millis: u64) {
    if millis == 0 {
        let (one, other) = (fleet.at(1), fleet.at(2));
        fleet.links().mute(one);
        fleet.links().deafen(other);
    }
}

/// One rehearsal in this process.
#[test]
#[ignore = "the tests below start it in processes of its own"]
fn child() {
    let wanted = std::env::var(WANTED).unwrap();
    let [scenario, fabric, machines, seed] = wanted.split(' ').collect::<Vec<_>>()[..] else { panic!("{wanted}") };
    let play: fn(&mut Rehearsal) = match scenario {
        "weather" => |rehearsal| rehearsal.run(TROUBLED, &weather),
        "disks" => |rehearsal| rehearsal.run(TROUBLED, &disks),
        "clocks" => |rehearsal| rehearsal.run(TROUBLED, &clocks),
        "gossip" => |rehearsal| rehearsal.run(GOSSIPED, &gossip),
        "told" => losses::the_founder_is_told,
        "founder" => losses::the_founder_loses_its_ledger,
        "dying" => losses::a_node_dies_on_its_way_back,
        _ => panic!("{scenario}"),
    };
    let fabric = if fabric == "quic" { FabricKind::Quic } else { FabricKind::Messages };
    let (machines, seed): (usize, u64) = (machines.parse().unwrap(), seed.parse().unwrap());
    let report = shim::inside(seed, move || {
        let mut rehearsal = Rehearsal::new(seed, Setup { machines, voters: 3, fabric });
        play(&mut rehearsal);
        if let Ok(path) = std::env::var("SKEIN_TAPE") {
            std::fs::write(path, rehearsal.tape.lines().join("\n")).unwrap();
        }
        for machine in &rehearsal.fleet.machines {
            rehearsal.tape.note(machine.number, &machine.host.storage.trace().to_string());
        }
        let counted: Vec<String> =
            rehearsal.fleet.inflicted().iter().map(|(kind, times)| format!("{kind}={times}")).collect();
        let (hash, took) = (rehearsal.tape.hash(), rehearsal.fleet.now.as_millis());
        format!("report;hash={hash};millis={took};{}", counted.join(";"))
    });
    println!("\n{report}");
}

/// Starts a rehearsal twice; what it says, which must be the same both times.
fn rehearse(wanted: &str) -> BTreeMap<String, String> {
    let start = || {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["--exact", "rehearsal::child", "--ignored", "--nocapture"]).env(WANTED, wanted);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let reports = [start(), start()].map(|child| {
        let output = child.wait_with_output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{wanted}:\n{text}\n{errors}");
        text.lines().find(|line| line.starts_with("report;")).unwrap().to_owned()
    });
    println!("{wanted}: {}", reports[0]);
    assert_eq!(reports[0], reports[1], "{wanted} does not repeat itself");
    let parts = reports[0].split(';').filter_map(|part| part.split_once('='));
    parts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn all_took_effect(report: &BTreeMap<String, String>, kinds: &[&str]) {
    let missing: Vec<_> = kinds.iter().filter(|kind| !report.contains_key(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?} never took effect: {report:?}");
}

#[test]
fn a_fleet_lives_through_bad_links_and_repeats_itself() {
    let report = rehearse("weather messages 3 1");
    let kinds = ["frame lost", "frame doubled", "frame overtaken", "frame delayed", "frame cut off one way"];
    all_took_effect(&report, &kinds);
    let kinds =
        ["frame cut off both ways", "answer lost", "one-way frame silenced", "frame of another version refused"];
    all_took_effect(&report, &kinds);
}

#[test]
fn a_fleet_lives_through_failing_disks_and_repeats_itself() {
    let report = rehearse("disks messages 3 2");
    let kinds = ["sync failed", "write failed", "disk full", "slow sync", "crash in a disk operation"];
    all_took_effect(&report, &kinds);
    all_took_effect(&report, &["process killed", "power lost"]);
}

#[test]
fn a_fleet_lives_through_wrong_clocks_and_pauses_and_repeats_itself() {
    let report = rehearse("clocks messages 5 3");
    let kinds = ["clock stepped", "clock drifted", "pause", "pause longer than a session", "node of another version"];
    all_took_effect(&report, &kinds);
}

#[test]
fn a_node_that_gossip_takes_for_dead_goes_on_as_a_member() {
    all_took_effect(&rehearse("gossip messages 4 7"), &["one-way frame silenced", "false death by gossip"]);
}

#[test]
fn over_real_quic_a_fleet_lives_through_bad_links_and_repeats_itself() {
    let report = rehearse("weather quic 3 4");
    let kinds = ["datagram lost", "datagram doubled", "datagram overtaken", "datagram delayed"];
    all_took_effect(&report, &kinds);
    all_took_effect(&report, &["datagram cut off one way", "datagram cut off both ways", "one-way frame silenced"]);
}

#[test]
fn over_real_quic_a_fleet_lives_through_pauses_and_failing_disks_and_repeats_itself() {
    all_took_effect(&rehearse("clocks quic 4 5"), &["pause longer than a session"]);
    all_took_effect(&rehearse("disks quic 3 6"), &["sync failed", "process killed"]);
}
