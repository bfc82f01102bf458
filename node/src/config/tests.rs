use skein_protocol::access::{Rights, Role};
use skein_protocol::connection::Connection;

use super::*;

const WHOLE: &str = r#"
node:
  listen: 127.0.0.1:0
  dataDir: /var/lib/skein
  slots: 3
  batchMemory: 64MiB
  tombstoneSeconds: 60
connections:
  legacy: { kind: hive-files, warehouse: "${env:WAREHOUSE}/hive", description: /srv/hive/metastore.json }
  lake: { kind: iceberg, catalogFile: /srv/lake/catalog.db, warehouse: /srv/lake }
tokens:
  - { name: ci, sha256: "${file:/run/secrets/ci.sha256}", roles: [operator], teams: [team-a] }
"#;

fn lookup(reference: &Reference) -> Result<String, String> {
    match reference {
        Reference::Env(name) if name == "WAREHOUSE" => Ok("/srv".to_owned()),
        Reference::File(path) if path == "/run/secrets/ci.sha256" => Ok(Hash256::of(b"secret").to_string()),
        _ => Err("it is not there".to_owned()),
    }
}

fn errors(text: &str) -> Vec<String> {
    let errors = parse(text, 2, &lookup).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_configuration_is_read_and_its_references_are_resolved() {
    let config = parse(WHOLE, 2, &lookup).unwrap();
    assert_eq!((config.slots, config.batch_memory_bytes, config.tombstone_millis), (3, 64 << 20, 60_000));
    let Connection::HiveFiles(hive) = &config.connections[&"legacy".into()] else { panic!() };
    assert_eq!(hive.warehouse, "/srv/hive");
    assert_eq!(
        config.tokens,
        [NamedToken {
            name: "ci".to_owned(),
            sha256: Hash256::of(b"secret"),
            rights: Rights::of(Role::Operator).within("team-a"),
        }]
    );
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = parse("node: { dataDir: /d }", 5, &lookup).unwrap();
    assert_eq!(
        config,
        Config { listen: DEFAULT_LISTEN.parse().unwrap(), data_dir: "/d".to_owned(), slots: 5, ..Config::for_tests() }
    );
    assert_eq!(config.warnings().len(), 1, "no connections");
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let text = r#"
node: { dataDir: data, listen: localhost, slots: 0, batchMemory: 1MiB, tombstoneSeconds: 999999 }
connections:
  Legacy: { kind: hive-files, warehouse: hive }
  lake: { kind: iceberg, catalogFile: /srv/../c.db, warehouse: /srv/lake }
  empty:
tokens: [{ name: ci, sha256: hunter2 }]
extra: 1
"#;
    let errors = errors(text);
    for place in [
        "extra:",
        "node.dataDir:",
        "node.listen:",
        "node.slots:",
        "node.batchMemory:",
        "node.tombstoneSeconds:",
        "connections.Legacy:",
        "connections.Legacy.warehouse:",
        "connections.lake.catalogFile:",
        "connections.empty:",
        "tokens[0].sha256:",
        "tokens[0].roles: it has no role",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(place)), "{place} in {errors:#?}");
    }
    assert_eq!(errors.len(), 12, "{errors:#?}");
    assert!(!errors.iter().any(|error| error.contains("hunter2")), "what may be a secret is not repeated");
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let errors =
        errors("node: { dataDir: /d, slot: 2 }\nconnections: { a: { kind: hive-files, warehouse: /w, root: / } }");
    assert!(errors[0].starts_with("node: ") && errors[0].contains("slot"), "{errors:?}");
    assert!(errors[1].starts_with("connections.a: ") && errors[1].contains("root"), "{errors:?}");
}

#[test]
fn a_target_inside_of_a_source_is_refused() {
    let text = "node: { dataDir: /d }
connections:
  legacy: { kind: hive-files, warehouse: /srv/hive/ }
  lake: { kind: iceberg, catalogFile: /srv/hive/catalog.db, warehouse: /srv//hive/./lake }
  other: { kind: iceberg, catalogFile: /srv/hive2/catalog.db, warehouse: /srv/hive2 }";
    let errors = errors(text);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().all(|error| error.starts_with("connections.lake.")));
}

#[test]
fn a_metastore_that_wants_kerberos_and_a_target_below_its_roots_are_refused_by_name() {
    let text = |more: &str| {
        format!(
            "node: {{ dataDir: /d }}
connections:
  hive: {{ kind: hive-metastore, uris: [\"thrift://ms:9083\"], allowedRoots: [/srv/hive]{more} }}
  lake: {{ kind: iceberg, catalogFile: /srv/lake/c.db, warehouse: /srv/lake }}"
        )
    };
    assert!(parse(&text(""), 1, &lookup).is_ok());
    let kerberos = errors(&text(", authentication: kerberos"));
    assert_eq!(kerberos.len(), 1, "{kerberos:?}");
    assert!(kerberos[0].starts_with("connections.hive.authentication: Kerberos is not supported"), "{kerberos:?}");
    let below = errors(&text("").replace("[/srv/hive]", "[/srv/hive, /srv, hive]"));
    assert_eq!(below.len(), 3, "{below:?}");
    assert!(below.iter().any(|error| error.starts_with("connections.hive.allowedRoots[2]: ")), "{below:?}");
    assert!(below.iter().any(|error| error.starts_with("connections.lake.warehouse: ")), "{below:?}");
}

#[test]
fn roots_of_an_iceberg_source_are_places_that_say_where_they_lead() {
    let text = "node: { dataDir: /d }
connections:
  lake: { kind: iceberg, catalogFile: /srv/c.db, warehouse: /srv/lake, allowedRoots: [/srv, \"s3://other/w\", lake, /srv/../x] }";
    let errors = errors(text);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("connections.lake.allowedRoots[2]: "), "{errors:?}");
    assert!(errors[1].starts_with("connections.lake.allowedRoots[3]: "), "{errors:?}");
    assert!(parse(&text.replace(", lake, /srv/../x", ""), 1, &lookup).is_ok());
}

#[test]
fn a_reference_that_leads_nowhere_is_named_and_its_place_too() {
    let errors = errors("node: { dataDir: \"${env:NOWHERE}\" }\ntokens: [{ name: a, sha256: \"${vault:x}\" }]");
    assert!(errors[0].starts_with("node.dataDir: it is not there"), "{errors:?}");
    assert!(errors[1].starts_with("tokens[0].sha256: ${vault:x} is no reference"), "{errors:?}");
}

#[test]
fn broken_yaml_is_told_with_its_line() {
    let errors = errors("node:\n  dataDir: [");
    assert!(errors[0].contains("line"), "{errors:?}");
    assert!(parse("[]", 1, &lookup).is_err());
    assert!(parse("", 1, &lookup).is_err());
}

#[test]
fn the_invariants_that_a_node_checks_are_read() {
    let with = |level: &str| parse(&format!("node: {{ dataDir: /d }}\nchecks: {{ invariants: {level} }}"), 1, &lookup);
    assert_eq!(with("full").unwrap().checks, Checks::Full);
    assert_eq!(with("entries").unwrap().checks, Checks::Entries);
    assert_eq!(with("off").unwrap().checks, Checks::Off);
    assert!(with("often").unwrap_err()[0].to_string().starts_with("checks.invariants:"));
}

#[test]
fn files_are_decoded_in_processes_of_their_own_unless_configured() {
    let with =
        |isolation: &str| parse(&format!("node: {{ dataDir: /d }}\nengine: {{ isolation: {isolation} }}"), 1, &lookup);
    assert_eq!(parse("node: { dataDir: /d }", 1, &lookup).unwrap().engine.isolation, Isolation::Process);
    assert_eq!(with("process").unwrap().engine.isolation, Isolation::Process);
    assert_eq!(with("none").unwrap().engine.isolation, Isolation::None);
    assert!(with("container").unwrap_err()[0].to_string().starts_with("engine.isolation:"));
}

#[test]
fn keys_from_a_catalog_are_for_warehouses_in_s3() {
    let connection = |warehouse: &str| {
        format!(
            "connections: {{ lake: {{ kind: iceberg, warehouse: {warehouse}, rest: {{ uri: 'https://c', vendedCredentials: true }} }} }}"
        )
    };
    let errors = errors(&format!("node: {{ dataDir: /d }}\n{}", connection("gs://lake/w")));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("connections.lake.rest.vendedCredentials: the warehouse \"gs://lake/w\" is not in S3")
    );
    parse(&format!("node: {{ dataDir: /d }}\n{}", connection("s3://lake/w")), 2, &lookup).unwrap();
}
