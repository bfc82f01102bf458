//! SIGKILL at random moments: of any node, of the leader, of one that publishes.
//!
//! `SKEIN_FLEET_ROUNDS` and `SKEIN_FLEET_DATASETS` make it longer; `SKEIN_FLEET_TABLE` names a file for its table.

use std::fmt;
use std::time::Instant;

use skein_tests::{Program, until};

use crate::support::{Client, Fleet, Lake, Options, Random, Scratch, number, policy};

const NODES: usize = 5;
/// Nodes that share nothing but a store.
const NODES_ON_A_STORE: usize = 3;
/// Datasets of the policy that is submitted in the moment of a kill.
const LATE_DATASETS: u32 = 3;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Anyone,
    Leader,
    Publisher,
}

/// What one round saw.
#[derive(Debug)]
struct Round {
    number: u32,
    victim: Victim,
    /// Committed datasets at the kill.
    at: u64,
    /// Migrations that the victim owned.
    owned: u64,
    /// Milliseconds until the victim's session was over.
    detected: u128,
    /// Milliseconds until everything that it owned was owned by others.
    adopted: u128,
    /// Milliseconds of the whole round.
    whole: u128,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, victim, at, owned, detected, adopted, whole } = self;
        let victim = match victim {
            Victim::Anyone => "a node",
            Victim::Leader => "the leader",
            Victim::Publisher => "a publishing node",
        };
        write!(f, "| {number} | {victim} | {at} | {owned} | {detected} | {adopted} | {whole} |")
    }
}

#[test]
fn five_nodes_lose_nothing_and_double_nothing_while_one_after_another_is_killed() {
    let scratch = Scratch::new("kills");
    rounds(&scratch, &Lake::new(scratch.path()), NODES, number("SKEIN_FLEET_DATASETS", 60));
}

#[test]
fn three_nodes_that_share_nothing_but_an_object_store_and_a_rest_catalog_lose_and_double_nothing() {
    let scratch = Scratch::new("store");
    rounds(&scratch, &Lake::in_store(scratch.path()), NODES_ON_A_STORE, number("SKEIN_FLEET_DATASETS", 30));
}

fn rounds(scratch: &Scratch, lake: &Lake, nodes: usize, datasets: u32) {
    let rounds = number("SKEIN_FLEET_ROUNDS", 5);
    let mut fleet = Fleet::start(scratch.path(), nodes, Options::new(Program::Node, 1, lake.connections()));
    let mut table = format!(
        "{rounds} rounds of {datasets} datasets on {nodes} nodes; every round one is killed with SIGKILL and started again; all committed once, \
         rows verified by two independent readers, no acknowledged submit lost.\n\n\
         | round | killed | committed by then | it owned | session over after ms | all adopted after ms | round ms |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for number in 1..=rounds {
        let round = round(&mut fleet, lake, number, datasets);
        println!("{round}");
        table.push_str(&format!("{round}\n"));
    }
    fleet.assert_agreement();
    println!("{table}");
    if let Ok(path) = std::env::var("SKEIN_FLEET_TABLE") {
        std::fs::write(path, table).expect("the table can be written");
    }
}

fn round(fleet: &mut Fleet, lake: &Lake, number: u32, datasets: u32) -> Round {
    let mut random = Random::new(u64::from(number));
    let (name, late) = (format!("round-{number}"), format!("late-{number}"));
    let nodes = fleet.nodes.len();
    let mut tables = lake.write(&format!("round_{number}"), datasets);
    tables.extend(lake.write(&format!("late_{number}"), LATE_DATASETS));
    let began = Instant::now();
    let client = fleet.client().preferring(usize::try_from(random.below(nodes as u64)).expect("it is small"));
    let answer = client.apply(&policy(&name, &format!("round_{number}.*")), &name);
    assert_eq!(answer["created"].as_u64(), Some(u64::from(datasets)), "{answer}");
    let victim = [Victim::Anyone, Victim::Leader, Victim::Publisher][number as usize % 3];
    let (place, at) = choose(fleet, &client, &name, victim, u64::from(datasets), &mut random);
    let owned = fleet.row(&client, place).and_then(|row| row["owned"].as_u64()).unwrap_or_default();

    fleet.nodes[place].kill();
    let killed = Instant::now();
    // The first node of the list may be the dead one: this is the client that tries a second one.
    let submitted = fleet.client().apply(&policy(&late, &format!("late_{number}.*")), &late);
    assert_eq!(submitted["created"].as_u64(), Some(u64::from(LATE_DATASETS)), "{submitted}");
    let (mut detected, survivors) = (None, fleet.client());
    until("everything that the dead node owned is owned by others", || {
        let row = fleet.row(&survivors, place)?;
        if row["standing"] != "active" {
            detected.get_or_insert_with(|| killed.elapsed().as_millis());
        }
        (detected.is_some() && row["owned"] == 0).then_some(())
    });
    let adopted = killed.elapsed().as_millis();
    fleet.nodes[place].restart();
    fleet.active(nodes);

    let client = fleet.client();
    client.committed(&name, u64::from(datasets));
    client.committed(&late, u64::from(LATE_DATASETS));
    let whole = began.elapsed().as_millis();
    for policy in [&name, &late] {
        client.assert_published_once(policy);
    }
    assert_nothing_acknowledged_is_lost(&client, number);
    lake.agrees(&tables);
    Round { number, victim, at, owned, detected: detected.unwrap_or_default(), adopted, whole }
}

/// Waits for the moment of the kill: the victim's place, and how many datasets were committed by then.
fn choose(
    fleet: &Fleet,
    client: &Client,
    policy: &str,
    victim: Victim,
    datasets: u64,
    random: &mut Random,
) -> (usize, u64) {
    // The last quarter is left to those who adopt.
    let wanted = random.below(datasets * 3 / 4);
    until("enough is committed", || (client.count(policy, "committed") >= wanted).then_some(()));
    let leader = fleet.leader();
    let others: Vec<usize> = (0..fleet.nodes.len()).filter(|place| *place != leader).collect();
    let place = match victim {
        Victim::Leader => leader,
        Victim::Anyone => random.of(&others),
        Victim::Publisher => publisher(fleet, client, policy, datasets).unwrap_or_else(|| random.of(&others)),
    };
    (place, client.count(policy, "committed"))
}

/// The node whose migration is being published; nobody, if everything was published meanwhile.
fn publisher(fleet: &Fleet, client: &Client, policy: &str, datasets: u64) -> Option<usize> {
    until("something is being published", || {
        let page = client.read(&format!("/v1/migrations?policy={policy}&phase=commit&limit=1"));
        if let Some(id) = page["items"][0]["id"].as_str() {
            return Some(client.migration(id)["owner"].as_u64().map(|owner| fleet.place(owner)));
        }
        (client.count(policy, "committed") == datasets).then_some(None)
    })
}

/// Every policy of every round so far is there.
fn assert_nothing_acknowledged_is_lost(client: &Client, rounds: u32) {
    for round in 1..=rounds {
        for name in [format!("round-{round}"), format!("late-{round}")] {
            let policy = client.read(&format!("/v1/policies/{name}"));
            assert_eq!(policy["row"]["name"], name.as_str(), "it was acknowledged");
        }
    }
}
