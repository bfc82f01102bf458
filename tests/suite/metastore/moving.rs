//! What changes in the metastore between a plan and its publish is noticed.

use skein_tests::{World, policy};

use crate::site::Metastore;

#[test]
fn what_the_metastore_says_differently_after_the_plan_pauses_the_migration() {
    let (metastore, world) = (Metastore::shared(), World::empty());
    let node = metastore.node(&world);
    node.cli.apply(&policy("moving", "hub.moving", ""));
    node.cli.apply(&policy("wandering", "hub.wandering", ""));
    // By the first of these no file comes or goes.
    metastore.run("ALTER TABLE moving ADD PARTITION (day='2') LOCATION '{folder}/elsewhere/nothing'");
    metastore.run("ALTER TABLE wandering PARTITION (day='1') SET LOCATION 'file:{folder}/elsewhere/wandering'");
    for table in ["hub.moving", "hub.wandering"] {
        node.cli.approve(table);
        node.cli.expect(table, "paused", "SOURCE_CHANGED");
    }
    assert!(world.names().is_empty());
    node.cli.act("retry", "hub.moving");
    node.cli.approve("hub.moving");
    node.cli.expect("hub.moving", "committed", "");
}

#[test]
fn a_table_that_is_dropped_after_the_plan_pauses_the_migration() {
    let (metastore, world) = (Metastore::shared(), World::empty());
    let node = metastore.node(&world);
    metastore.run("CREATE TABLE IF NOT EXISTS leaving (id INT) STORED AS PARQUET");
    node.cli.apply(&policy("leaving", "hub.leaving", ""));
    metastore.run("DROP TABLE leaving");
    node.cli.approve("hub.leaving");
    node.cli.expect("hub.leaving", "paused", "SOURCE_CHANGED");
}
