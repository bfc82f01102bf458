//! A network that falls into two parts: the larger one goes on, the smaller one records nothing.

use skein_tests::{Program, until};

use crate::support::{
    Client, Fleet, Group, Networks, Options, PacedWorld, Refusal, Scratch, in_a_world_of_its_own, policy,
};

const LEFT: usize = 2;
const RIGHT: usize = 3;
/// Datasets before, during, and after the cut; each has one batch.
const DATASETS: u32 = 40;
/// Rows of a file in a paced world.
const ROWS: usize = 3;

#[test]
fn the_larger_part_of_a_divided_fleet_goes_on_and_the_smaller_one_records_nothing() {
    let name = "partition::the_larger_part_of_a_divided_fleet_goes_on_and_the_smaller_one_records_nothing";
    in_a_world_of_its_own(name, divided);
}

fn divided() {
    let scratch = Scratch::new("partition");
    let groups = ["before", "during", "minority", "after"].map(|name| Group::new(name, DATASETS, 1, 0.5));
    let world = PacedWorld::new(scratch.path(), 1.0, &groups);
    let networks = Networks::new(LEFT, RIGHT);
    let mut options = Options::new(Program::PacedNode, 1, world.connections());
    options.places = networks.places(LEFT + RIGHT);
    let fleet = Fleet::start(scratch.path(), LEFT + RIGHT, options);
    let all = fleet.client();
    let (smaller, larger) = (all.among(0..LEFT), all.among(LEFT..LEFT + RIGHT));

    all.apply(&policy("before", "paced.before_*"), "before");
    until("some are committed", || (all.count("before", "committed") > 3).then_some(()));
    networks.cut();
    until("the smaller part knows that it has no quorum", || {
        let views: Option<Vec<_>> = smaller.nodes.iter().map(|node| smaller.of(node).get("/v1/fleet").ok()).collect();
        views?.iter().all(|view| view["quorum"] == false).then_some(())
    });
    let stood = applied(&smaller);
    let committed = smaller.count("before", "committed");
    for node in &smaller.nodes {
        let answer = smaller.of(node).call(
            "POST",
            "/v1/policies",
            Some(&policy("minority", "paced.minority_*")),
            Some("minority"),
        );
        assert!(matches!(answer, Err(Refusal::Unavailable(_))), "the smaller part acknowledges nothing: {answer:?}");
        let current = smaller.of(node).get("/v1/migrations?current=true");
        assert!(matches!(current, Err(Refusal::Unavailable(_))), "nor does it call anything current: {current:?}");
    }

    larger.apply(&policy("during", "paced.during_*"), "during");
    larger.committed("before", u64::from(DATASETS));
    larger.committed("during", u64::from(DATASETS));
    assert_eq!(applied(&smaller), stood, "the smaller part applied nothing meanwhile");
    assert_eq!(smaller.count("before", "committed"), committed, "and saw nothing committed");

    networks.heal();
    fleet.active(LEFT + RIGHT);
    smaller.apply(&policy("after", "paced.after_*"), "after");
    all.committed("after", u64::from(DATASETS));
    // The refused submit may not have happened; one whose answer was lost may. Either it is there whole, or not at all.
    let late = all.get("/v1/policies/minority").map_or(0, |_| DATASETS);
    if late > 0 {
        all.committed("minority", u64::from(late));
    }
    fleet.assert_agreement();
    let tables = (3 * DATASETS + late) as usize;
    world.assert_all_once(tables, tables * ROWS);
}

/// The indexes that nodes have applied.
fn applied(client: &Client) -> Vec<u64> {
    let index = |node: &String| client.of(node).read("/v1/debug/digest")["index"].as_u64().expect("an index");
    client.nodes.iter().map(index).collect()
}
