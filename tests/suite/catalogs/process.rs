//! A node as a process over an object store and a REST catalog, as its users run it.

use skein_tests::{Options, policy};

use crate::place::Place;

/// What the policy of these tests asks for, and what readers then compare with.
const RULES: &str =
    "schema: { add: [{ name: description, type: string, default: \"\" }] }\nclean: [{ dropDuplicates: exact }]";
/// A tombstone stands longer than anything late takes.
const TOMBSTONE_SECONDS: u64 = 2;

fn migrated_taken_back_and_migrated_again(place: &Place) {
    let lake = Some(place.connection());
    let options = Options { lake, tombstone_seconds: Some(TOMBSTONE_SECONDS), ..Options::default() };
    let node = place.world.start_with(&options);
    let table = format!("{}.t", place.database);
    node.cli.migrate(&policy("music", &format!("{}.*", place.database), RULES));
    node.cli.expect(&table, "committed", "");
    place.assert_agrees(&["--add", "description=''", "--distinct"]);

    node.cli.act("rollback", &table);
    node.cli.expect(&table, "rolled_back", "");
    node.cli.act("retry", &table);
    node.cli.expect(&table, "committed", "");
    place.assert_agrees(&["--add", "description=''", "--distinct"]);
    let log = node.log();
    for secret in place.secrets() {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
    node.stop();
}

#[test]
fn a_table_is_migrated_taken_back_and_migrated_again_in_a_rest_catalog_on_s3() {
    migrated_taken_back_and_migrated_again(&Place::rest_on_s3());
}

#[test]
fn a_table_is_migrated_taken_back_and_migrated_again_in_a_hive_metastore() {
    migrated_taken_back_and_migrated_again(&Place::hive_on_disk());
}

#[test]
fn a_table_is_migrated_taken_back_and_migrated_again_in_postgres_on_s3() {
    migrated_taken_back_and_migrated_again(&Place::postgres_on_s3());
}
