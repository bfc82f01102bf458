use std::sync::Arc;

use skein_protocol::data_plane::{Outcome, TombstoneRequest};
use skein_protocol::ids::{Attempt, ConnectionName, Epoch, Run, TableUuid};

use super::*;
use crate::iceberg::fixture;
use crate::iceberg::tombstone::stage_tombstone;

struct Setting {
    folder: tempfile::TempDir,
    catalog: SqliteCatalog,
}

fn setting() -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::new(Files::new(Arc::default()), folder.path().join("a/catalog.sqlite"), "lake");
    Setting { folder, catalog }
}

fn name() -> TableName {
    TableName::new("db", "t")
}

fn register(location: &str, replacing: Option<&str>) -> RegisterRequest {
    let replacing = replacing.map(str::to_owned);
    RegisterRequest {
        connection: ConnectionName::from("lake"),
        name: name(),
        metadata_location: location.to_owned(),
        replacing,
    }
}

fn replace(expected: &str, replacement: Option<&str>) -> ReplaceRequest {
    let replacement = replacement.map(str::to_owned);
    ReplaceRequest {
        connection: ConnectionName::from("lake"),
        name: name(),
        expected: expected.to_owned(),
        replacement,
    }
}

#[test]
fn looking_at_a_catalog_that_does_not_exist_creates_nothing() {
    let Setting { folder, catalog } = setting();
    assert_eq!(catalog.load(&name()).unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_name_is_given_once() {
    let Setting { catalog, .. } = setting();
    assert_eq!(catalog.register(&register("/one", None)).unwrap(), Registered::Now);
    assert_eq!(catalog.register(&register("/one", None)).unwrap(), Registered::NameTaken);
    assert_eq!(catalog.register(&register("/two", None)).unwrap(), Registered::NameTaken);
    assert_eq!(catalog.register(&register("/two", Some("/other"))).unwrap(), Registered::NameTaken);
    assert_eq!(catalog.location(&name()).unwrap().as_deref(), Some("/one"));
    assert_eq!(catalog.location(&TableName::new("db", "u")).unwrap(), None);
}

#[test]
fn a_name_moves_only_from_what_is_expected() {
    let Setting { catalog, .. } = setting();
    assert_eq!(catalog.replace(&replace("/one", Some("/two"))).unwrap(), Replaced::Differs { found: None });
    catalog.register(&register("/one", None)).unwrap();
    assert_eq!(catalog.replace(&replace("/two", None)).unwrap(), Replaced::Differs { found: Some("/one".to_owned()) });
    assert_eq!(catalog.replace(&replace("/one", Some("/two"))).unwrap(), Replaced::Now);
    assert_eq!(
        catalog.replace(&replace("/one", Some("/two"))).unwrap(),
        Replaced::Differs { found: Some("/two".to_owned()) }
    );
    assert_eq!(catalog.replace(&replace("/two", None)).unwrap(), Replaced::Now);
    assert_eq!(catalog.location(&name()).unwrap(), None);
}

#[test]
fn a_tombstone_stops_a_late_registration_and_gives_way_to_the_next_run() {
    let Setting { folder, catalog } = setting();
    let plan = Arc::new(fixture::plan(fixture::target(&[("a", "int")]), folder.path()));
    let request = TombstoneRequest {
        uuid: TableUuid::tombstone(plan.migration, Run(1)),
        plan,
        run: Run(1),
        epoch: Epoch(2),
        attempt: Attempt(3),
        at_millis: 1_700_000_000_000,
    };
    let files = Files::new(Arc::default());
    let tombstone = stage_tombstone(&files, &request).unwrap();
    assert_eq!(stage_tombstone(&files, &request).unwrap(), tombstone, "it can be written again");
    assert_eq!(catalog.register(&register(&tombstone, None)).unwrap(), Registered::Now);
    assert_eq!(catalog.register(&register("/late", None)).unwrap(), Registered::NameTaken);
    let loaded = catalog.load(&name()).unwrap().unwrap();
    assert_eq!(
        (loaded.uuid, loaded.tombstone, loaded.metadata_location.as_str()),
        (request.uuid, true, tombstone.as_str())
    );
    assert_eq!(catalog.register(&register("/next", Some(&tombstone))).unwrap(), Registered::Now);
    assert_eq!(catalog.location(&name()).unwrap().as_deref(), Some("/next"));
}

#[test]
fn a_table_that_skein_cannot_have_written_has_the_nil_uuid() {
    let Setting { catalog, .. } = setting();
    catalog.register(&register("s3://bucket/00001-x.metadata.json", None)).unwrap();
    let loaded = catalog.load(&name()).unwrap().unwrap();
    assert!(loaded.uuid.0.is_nil() && !loaded.tombstone);
}

#[test]
fn a_catalog_of_an_older_writer_is_used_as_it_is() {
    let Setting { folder, catalog } = setting();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("a/catalog.sqlite")).unwrap();
    other
        .execute_batch(
            "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, \
             metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), PRIMARY KEY (catalog_name, table_namespace, table_name)); \
             CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, \
             property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key));",
        )
        .unwrap();
    assert_eq!(catalog.register(&register("/one", None)).unwrap(), Registered::Now);
    assert_eq!(catalog.register(&register("/one", None)).unwrap(), Registered::NameTaken);
    let properties: i64 =
        other.query_row("SELECT count(*) FROM iceberg_namespace_properties", [], |row| row.get(0)).unwrap();
    assert_eq!(properties, 1);
}

#[test]
fn a_catalog_file_that_was_replaced_is_opened_anew() {
    let Setting { folder, catalog } = setting();
    catalog.register(&register("/one", None)).unwrap();
    let path = folder.path().join("a/catalog.sqlite");
    let kept = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(catalog.location(&name()).unwrap(), None);
    assert_eq!(catalog.register(&register("/two", None)).unwrap(), Registered::Now);
    assert_eq!(catalog.location(&name()).unwrap().as_deref(), Some("/two"));
    drop(kept);
}

#[test]
fn a_file_that_is_no_catalog_is_a_failure_that_did_nothing() {
    let Setting { folder, catalog } = setting();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/catalog.sqlite"), "x".repeat(5_000)).unwrap();
    let failure = catalog.register(&register("/one", None)).unwrap_err();
    assert_eq!(
        (failure.outcome, failure.code()),
        (Outcome::NotDone, skein_protocol::problem::Code::CatalogUnavailable)
    );
}

#[test]
fn two_programs_that_register_at_once_do_not_both_win() {
    let Setting { folder, catalog } = setting();
    let path = folder.path().join("a/catalog.sqlite");
    let wins: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let other = SqliteCatalog::new(Files::new(Arc::default()), path.clone(), "lake");
                scope.spawn(move || other.register(&register(&format!("/{number}"), None)).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap() == Registered::Now)).sum()
    });
    assert_eq!(wins, 1);
    assert!(catalog.location(&name()).unwrap().is_some());
}

#[test]
fn tables_of_this_catalog_are_listed_and_views_deep_namespaces_and_other_catalogs_are_not() {
    let Setting { folder, catalog } = setting();
    assert_eq!(catalog.tables().unwrap(), []);
    assert!(!folder.path().join("a").exists(), "listing makes nothing");
    catalog.register(&register("/one", None)).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("a/catalog.sqlite")).unwrap();
    for (catalog, namespace, table, kind) in [
        ("lake", "db", "older", None),
        ("lake", "db", "view", Some("VIEW")),
        ("lake", "deep.er", "t", Some("TABLE")),
        ("other", "db", "theirs", Some("TABLE")),
    ] {
        let sql = "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type) VALUES (?1, ?2, ?3, '/x', ?4)";
        connection.execute(sql, params![catalog, namespace, table, kind]).unwrap();
    }
    let mut listed = catalog.tables().unwrap();
    listed.sort_by_key(|listed| listed.name.to_string());
    let of = |table: &str, location: &str| Listed {
        name: TableName::new("db", table),
        metadata_location: Some(location.to_owned()),
    };
    assert_eq!(listed, [of("older", "/x"), of("t", "/one")]);
}
