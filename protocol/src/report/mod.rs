//! The sentences, queries and commands of a report: what a migration's record means for people.
//!
//! In: a migration as the ledger has it, its plan and evidence. Out: text. Not here: gathering blobs (the node), the
//! report's type (`api`).

pub mod spark_query;

use crate::api::{OutsiderProof, ReaderHint};
use crate::connection::{IcebergCatalog, IcebergTarget, is_object};
use crate::evidence::TableEvidence;
use crate::ids::{ConnectionName, TableName};
use crate::ledger::migration::{Migration, Phase};
use crate::plan::Plan;

/// What became of a migration, in one sentence.
#[must_use]
pub fn verdict(migration: &Migration, evidence: Option<&TableEvidence>) -> String {
    let target = &migration.target;
    let because = match &migration.problem {
        Some(problem) => format!(": {}: {}", problem.code, problem.why),
        None => String::new(),
    };
    match (migration.phase, evidence) {
        (Phase::Committed, Some(evidence)) => {
            let removed: u64 = evidence.removed.iter().map(|removed| removed.rows.rows).sum();
            let kept = format!(
                "{} rows read, {removed} removed by rules, {} published",
                evidence.source.rows, evidence.found.rows
            );
            match &migration.problem {
                None => format!(
                    "{target} is published and equals its source under the plan: {kept}; no difference was found."
                ),
                Some(problem) => format!(
                    "{target} stays published ({kept}): it was not withdrawn, {}: {}",
                    problem.code, problem.why
                ),
            }
        }
        (Phase::Committed, None) => format!("{target} is published."),
        (Phase::RolledBack, _) => format!("{target} was taken back; the source was never touched."),
        (Phase::Cancelled, _) => "Cancelled; nothing is visible and the source was never touched.".to_owned(),
        (Phase::Paused, _) => format!("Paused{because}. Nothing becomes visible until it is resumed."),
        (Phase::Quarantined, _) => format!("Failed{because}. Nothing is visible and the source was never touched."),
        (Phase::Approval, _) => "Planned; waits for an approval. Nothing was moved.".to_owned(),
        (Phase::Commit, _) => format!("Validated without a difference; {target} is being published."),
        (Phase::RollingBack, _) => format!("{target} is being taken back."),
        (phase, _) => format!("Under way, in phase {phase}; nothing is visible yet."),
    }
}

/// What an outsider runs on the legacy cluster, and what it must give; `None` where `spark64` was not computed.
#[must_use]
pub fn outsider(plan: &Plan, evidence: &TableEvidence) -> Option<OutsiderProof> {
    let found = evidence.spark.as_ref()?;
    let dataset = &plan.source.dataset;
    let columns = plan.source.columns.iter().map(|column| (column.name.as_str(), &column.data_type));
    let query = spark_query::spark_query(&dataset.database, &dataset.table, columns)?;
    Some(OutsiderProof { query, rows: found.rows, sum: found.sum.to_string() })
}

/// How a published table is read. Secrets are left out: readers have their own.
#[must_use]
pub fn readers(connection: &IcebergTarget, target: &TableName, metadata_location: &str) -> Vec<ReaderHint> {
    let metadata = metadata_location.strip_prefix("file://").unwrap_or(metadata_location).replace('\'', "''");
    let python = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let extensions = if is_object(metadata_location) { "INSTALL httpfs; LOAD httpfs; " } else { "" };
    let duckdb = format!("{extensions}INSTALL iceberg; LOAD iceberg; SELECT count(*) FROM iceberg_scan('{metadata}');");
    let warehouse = if is_object(&connection.warehouse) {
        connection.warehouse.clone()
    } else {
        format!("file://{}", connection.warehouse)
    };
    let (name, properties) = match connection.catalog() {
        Some(IcebergCatalog::Rest(rest)) => {
            let warehouse = rest.warehouse.as_ref().map(|name| format!(", warehouse={}", python(name)));
            let credential = rest.credential.as_ref().map(|_| ", credential=os.environ[\"ICEBERG_CREDENTIAL\"]");
            let rest = format!("type=\"rest\", uri={}", python(&rest.uri));
            ("skein", format!("{rest}{}{}", warehouse.unwrap_or_default(), credential.unwrap_or_default()))
        }
        Some(IcebergCatalog::Postgres(_)) => {
            let uri = "type=\"sql\", uri=os.environ[\"ICEBERG_DATABASE\"]";
            (connection.catalog_name.as_str(), format!("{uri}, warehouse={}", python(&warehouse)))
        }
        Some(IcebergCatalog::Hive(hive)) => {
            let uri = format!("type=\"hive\", uri={}", python(&hive.uris.join(",")));
            (connection.catalog_name.as_str(), format!("{uri}, warehouse={}", python(&warehouse)))
        }
        Some(IcebergCatalog::Sqlite(file)) => {
            let uri = format!("type=\"sql\", uri={}", python(&format!("sqlite:///{file}")));
            (connection.catalog_name.as_str(), format!("{uri}, warehouse={}", python(&warehouse)))
        }
        None => return vec![ReaderHint { reader: "DuckDB".to_owned(), command: duckdb }],
    };
    let environment = if properties.contains("os.environ") { "import os\n" } else { "" };
    let pyiceberg = format!(
        "{environment}from pyiceberg.catalog import load_catalog\n\
         catalog = load_catalog({}, {properties})\n\
         print(catalog.load_table(({}, {})).scan().to_arrow())",
        python(name),
        python(&target.database),
        python(&target.table),
    );
    vec![
        ReaderHint { reader: "DuckDB".to_owned(), command: duckdb },
        ReaderHint { reader: "pyiceberg".to_owned(), command: pyiceberg },
    ]
}

/// How a migration is undone, as far as it has done something.
#[must_use]
pub fn undo(migration: &Migration, plan: Option<&Plan>) -> String {
    match migration.phase {
        Phase::Committed => plan.map_or_else(|| format!("skein rollback {}", migration.id), |plan| plan.undo.clone()),
        Phase::RolledBack | Phase::Cancelled => "Nothing is left to undo.".to_owned(),
        _ => format!("skein cancel {}", migration.id),
    }
}

/// The connection's name in sentences about a target whose connection is not configured any more.
#[must_use]
pub fn unknown_target(connection: &ConnectionName) -> Vec<ReaderHint> {
    let command = format!("the connection {connection} is not in this node's configuration any more");
    vec![ReaderHint { reader: "any".to_owned(), command }]
}
