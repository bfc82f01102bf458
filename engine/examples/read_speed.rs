//! How fast tables of a described warehouse are read, on one core: nothing is transformed, hashed or written.
//!
//! Usage: `read_speed DESCRIPTION.json [TABLE ...]`; prints a line of JSON for each table: rows, bytes, CPU seconds.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use skein_engine::batch::BATCH_ROWS;
use skein_engine::files::Files;
use skein_engine::source::{HiveSource, read_input};
use skein_protocol::connection::HiveFiles;
use skein_protocol::ids::{Generation, MigrationId, TableName};
use skein_protocol::inspection::TargetState;
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::{planner, policy};

mod cpu;

const POLICY: &str = "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: { name: speed, owner: bench }\nspec:\n  \
    source: { connection: legacy, include: [\"*.*\"] }\n  target: { connection: lake }\n";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let description = arguments.next().context("usage: read_speed DESCRIPTION.json [TABLE ...]")?;
    let wanted: Vec<String> = arguments.collect();
    let folder = Path::new(&description).parent().context("the description lies in a folder")?;
    let config = HiveFiles {
        description: Some(description.clone()),
        allowed_roots: vec![folder.display().to_string()],
        ..HiveFiles::at(folder.join("warehouse").display().to_string())
    };
    let files = Files::new(Arc::default());
    let source = HiveSource::new("legacy".into(), config, files.clone());
    for dataset in source.select().map_err(|failure| anyhow::anyhow!("{failure}"))? {
        if !wanted.is_empty() && !wanted.contains(&dataset.table) {
            continue;
        }
        let plan = plan(&source, &dataset)?;
        let began = cpu::seconds()?;
        let rows = read(&files, &plan)?;
        let spent = cpu::seconds()? - began;
        let bytes: u64 = plan.source.files.iter().map(|file| file.bytes).sum();
        println!(
            "{}",
            serde_json::json!({ "table": dataset.table, "rows": rows, "bytes": bytes, "cpu_seconds": spent })
        );
    }
    Ok(())
}

fn plan(source: &HiveSource, dataset: &TableName) -> Result<Plan> {
    let policy = policy::parse(POLICY).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let target = TargetState { location: "/nowhere".to_owned(), occupied_by: None };
    let inspection = source.inspect(dataset, target).map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let migration = MigrationId::derive(&policy.metadata.name, Generation(1), dataset);
    match planner::plan(&policy, migration, Generation(1), dataset, &inspection) {
        Planned::Ready(plan) => Ok(*plan),
        Planned::Refused(refusal) => bail!("{refusal:?}"),
    }
}

fn read(files: &Files, plan: &Plan) -> Result<usize> {
    let mut rows = 0;
    for input in plan.stages[0].batches.iter().flat_map(|batch| &batch.inputs) {
        for batch in read_input(files, plan, input, BATCH_ROWS)? {
            rows += batch?.num_rows();
        }
    }
    Ok(rows)
}
