//! A node that is stopped beyond its session and comes back: others have done its work, and it must publish nothing.

use std::collections::BTreeSet;

use serde_json::Value;
use skein_tests::{Program, until};

use crate::support::{Call, Client, Fleet, Group, Options, PacedWorld, Scratch, policy};

const NODES: usize = 3;
/// Files of the one dataset; each is a batch.
const BATCHES: u32 = 9;
/// Rows of a file in a paced world.
const ROWS: usize = 3;
const TABLE: &str = "paced.large_00000";

/// A fleet of one slot a node that has begun with one dataset of several batches, and the dataset's migration.
fn begun(scratch: &Scratch) -> (PacedWorld, Fleet, Client, String) {
    let world = PacedWorld::new(scratch.path(), 1.0, &[Group::new("large", 1, BATCHES, 2.0)]);
    let fleet = Fleet::start(scratch.path(), NODES, Options::new(Program::PacedNode, 1, world.connections()));
    let client = fleet.client();
    client.apply(&policy("large", "paced.*"), "large");
    let id = until("the migration is there", || client.migrations("large").first()?["id"].as_str().map(str::to_owned));
    (world, fleet, client, id)
}

fn owner(client: &Client, id: &str) -> u64 {
    client.migration(id)["owner"].as_u64().expect("it has an owner")
}

/// The clients of all nodes but one.
fn others(fleet: &Fleet, place: usize) -> Client {
    let mut client = fleet.client();
    let api = &fleet.nodes[place].api;
    client.nodes.retain(|node| node != api);
    client
}

/// Waits until the node at `place` has a session again after its return.
fn is_back(fleet: &Fleet, client: &Client, place: usize, before: &Value) {
    until("the node has a new session", || {
        let row = fleet.row(client, place)?;
        (row["standing"] == "active" && row["session"].as_u64() > before["session"].as_u64()).then_some(())
    });
}

#[test]
fn an_owner_that_slept_beyond_its_session_publishes_nothing_and_says_so() {
    let scratch = Scratch::new("sleeping-owner");
    let (world, fleet, client, id) = begun(&scratch);
    until("a batch was recorded", || (!world.done("run_batch").is_empty()).then_some(()));
    let place = fleet.place(owner(&client, &id));
    let epoch = client.migration(&id)["epoch"].as_u64();
    let before = fleet.row(&client, place).expect("it is a member");
    let name = fleet.nodes[place].name.clone();
    fleet.nodes[place].freeze();

    let awake = others(&fleet, place);
    awake.committed("large", 1);
    let detail = awake.migration(&id);
    assert_ne!(detail["owner"].as_u64(), Some(fleet.nodes[place].id), "another node owns it now");
    assert!(detail["epoch"].as_u64() > epoch, "with a higher epoch: {detail:#}");
    let published = world.points_at(TABLE).expect("it is visible");

    fleet.nodes[place].thaw();
    is_back(&fleet, &awake, place, &before);
    until("it says that its session was over", || said_so(&fleet.nodes[place].log()).then_some(()));
    fleet.assert_agreement();
    assert_eq!(world.points_at(TABLE), Some(published), "the name points where it did");
    assert!(world.done("published").iter().all(|call| call.text("node") != name), "the sleeper published nothing");
    world.assert_all_once(1, BATCHES as usize * ROWS);
}

#[test]
fn a_node_that_slept_over_a_lent_batch_overwrites_nothing_that_is_recorded() {
    let scratch = Scratch::new("sleeping-runner");
    let (world, fleet, client, id) = begun(&scratch);
    let owner = owner(&client, &id);
    let lent = until("a batch runs elsewhere than at its owner", || {
        let ended: BTreeSet<String> = world.done("run_batch").iter().map(hand_out).collect();
        let open = world.done("begin_batch").into_iter().filter(|call| !ended.contains(&hand_out(call)));
        open.into_iter().find(|call| call.text("node") != fleet.nodes[fleet.place(owner)].name)
    });
    let place = fleet.nodes.iter().position(|node| node.name == lent.text("node")).expect("it is one of ours");
    let before = fleet.row(&client, place).expect("it is a member");
    fleet.nodes[place].freeze();

    let awake = others(&fleet, place);
    awake.committed("large", 1);
    let again = world.done("run_batch");
    let again =
        again.iter().find(|call| call.text("batch") == lent.text("batch") && call.text("node") != lent.text("node"));
    let again = again.unwrap_or_else(|| panic!("batch {} was run by another node", lent.text("batch")));
    assert_ne!(again.0["attempt"], lent.0["attempt"], "as another attempt");
    let published = world.points_at(TABLE).expect("it is visible");

    fleet.nodes[place].thaw();
    is_back(&fleet, &awake, place, &before);
    fleet.assert_agreement();
    assert_eq!(world.points_at(TABLE), Some(published), "the name points where it did");
    world.assert_all_once(1, BATCHES as usize * ROWS);
}

/// One hand-out of a batch.
fn hand_out(call: &Call) -> String {
    format!("{} {} {}", call.text("batch"), call.0["epoch"], call.0["attempt"])
}

/// Whether a log says that its node was cut off from its work.
fn said_so(log: &str) -> bool {
    ["session is over", "session expired", "fenced"].iter().any(|words| log.contains(words))
}
