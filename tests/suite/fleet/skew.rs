//! Work of very unequal sizes, all of it submitted to one node.

use std::collections::BTreeMap;

use skein_tests::Program;

use crate::support::{Fleet, Group, Lake, Options, PacedWorld, Scratch, policy};

const NODES: usize = 5;
/// Seconds of all work.
const TOTAL: f64 = 100.0;
/// The share of the one large dataset.
const LARGE_SHARE: f64 = 0.3;
/// Its batches.
const LARGE_BATCHES: u32 = 20;
/// The other datasets, whose sizes fall as 1/rank.
const OTHERS: u32 = 60;
/// No batch of another dataset takes longer, seconds.
const LONGEST: f64 = 2.0;
/// Rows of a file in a paced world.
const ROWS: usize = 3;

#[test]
fn one_large_dataset_among_many_keeps_all_nodes_busy() {
    let scratch = Scratch::new("skew");
    let groups = groups();
    let batches: u32 = groups.iter().map(|group| group.datasets * group.batches).sum();
    let world = PacedWorld::new(scratch.path(), 1.0, &groups);
    let fleet = Fleet::start(scratch.path(), NODES, Options::new(Program::PacedNode, 1, world.connections()));
    let client = fleet.client();
    client.of(&fleet.nodes[0].api).apply(&policy("skew", "paced.*"), "skew");
    client.committed("skew", u64::from(OTHERS) + 1);

    let (all, large) = (world.batches_by_node(""), world.batches_by_node("large"));
    assert_eq!(all.values().sum::<usize>(), batches as usize, "every batch ran once: {all:?}");
    assert_eq!(all.len(), NODES, "every node ran batches: {all:?}");
    assert_eq!(large.values().sum::<usize>(), LARGE_BATCHES as usize);
    assert!(large.len() > 1, "its owner was helped with the large dataset: {large:?}");
    world.assert_all_once(OTHERS as usize + 1, batches as usize * ROWS);
    fleet.assert_agreement();

    let (began, published) = (world.done("begin_batch"), world.done("published"));
    let (first, last) = (began.first().expect("there is one").at(), published.last().expect("there is one").at());
    let makespan = (last - first) as f64 / 1000.0;
    let bound = TOTAL / NODES as f64;
    println!(
        "makespan {makespan:.2} s, {:.2} of the bound {bound:.1} s; batches by node {all:?}, of the large dataset {large:?}",
        makespan / bound
    );
}

#[test]
fn one_large_dataset_alone_uses_every_node() {
    let scratch = Scratch::new("large");
    let world = PacedWorld::new(scratch.path(), 1.0, &[Group::new("large", 1, LARGE_BATCHES, 2.0)]);
    let fleet = Fleet::start(scratch.path(), NODES, Options::new(Program::PacedNode, 1, world.connections()));
    let client = fleet.client();
    client.apply(&policy("large", "paced.*"), "large");
    client.committed("large", 1);
    let large = world.batches_by_node("large");
    assert_eq!(large.values().sum::<usize>(), LARGE_BATCHES as usize, "every batch ran once: {large:?}");
    assert_eq!(large.len(), NODES, "every node ran some: {large:?}");
    world.assert_all_once(1, LARGE_BATCHES as usize * ROWS);
    println!("batches by node {large:?}");
}

/// The large dataset, and the others in batches that are not too long.
fn groups() -> Vec<Group> {
    let harmonic: f64 = (1..=OTHERS).map(|rank| 1.0 / f64::from(rank)).sum();
    let mut groups = vec![Group::new("large", 1, LARGE_BATCHES, TOTAL * LARGE_SHARE / f64::from(LARGE_BATCHES))];
    for rank in 1..=OTHERS {
        let seconds = TOTAL * (1.0 - LARGE_SHARE) / harmonic / f64::from(rank);
        let batches = (seconds / LONGEST).ceil();
        groups.push(Group::new(&format!("rank{rank:02}"), 1, batches as u32, seconds / batches));
    }
    groups
}

/// Files of the large table; more than its batches.
const LARGE_FILES: u64 = 24;
/// Rows of each: about 25 MB.
const LARGE_ROWS: u64 = 600_000;

#[test]
fn one_large_table_without_partitions_is_deduplicated_on_a_key_by_all_of_three_nodes() {
    let scratch = Scratch::new("keys");
    let lake = Lake::new(scratch.path());
    let fleet = Fleet::start(scratch.path(), 3, Options::new(Program::Node, 1, lake.connections()));
    let table = lake.write_large("large", LARGE_FILES, LARGE_ROWS);
    let keep =
        "  clean: [{ keepOne: { key: [id], orderBy: [{ column: version, direction: desc }, { column: row }] } }]\n";
    let client = fleet.client();
    client.apply(&format!("{}{keep}", policy("large", &table)), "large");
    client.committed("large", 1);

    let page = client.read("/v1/migrations?policy=large&limit=1");
    let migration = client.migration(page["items"][0]["id"].as_str().expect("it is listed"));
    let (mut by_node, mut stages) = (BTreeMap::<u64, usize>::new(), BTreeMap::<String, usize>::new());
    for batch in migration["batches"].as_array().expect("a list") {
        *by_node.entry(batch["node"].as_u64().expect("it was done by somebody")).or_default() += 1;
        let stage = batch["id"].as_str().and_then(|id| id.split_once('.')).expect("stage.batch").0;
        *stages.entry(stage.to_owned()).or_default() += 1;
    }
    println!("batches by node {by_node:?}, by stage {stages:?}");
    assert_eq!(stages.len(), 3, "identify, resolve, write: {stages:?}");
    assert_eq!(by_node.len(), 3, "every node did some: {by_node:?}");
    let (all, least) = (by_node.values().sum::<usize>(), by_node.values().min().copied().unwrap_or_default());
    assert!(least * 3 * 2 >= all, "none did less than half of its share: {by_node:?}");
    let kept = "SELECT * FROM source QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC, row) = 1";
    lake.agrees_with(&[table], &["--sql", kept]);
    fleet.assert_agreement();
}
