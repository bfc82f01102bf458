//! How much processor time a batch takes, phase by phase, on one core.
//!
//! Usage: `cargo run --release -p skein-engine --example copy_speed [FOLDER] [MILLIONS OF ROWS]`
//!
//! Makes a partitioned table of playlists in FOLDER (kept, and used again by the next run), then prints CPU seconds for
//! reading it, for copying it with and without validation, and for dropping its duplicates on the way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arrow::array::{
    ArrayRef, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use skein_engine::checksum::RowHasher;
use skein_engine::engine::{Engine, EngineSettings};
use skein_engine::files::Files;
use skein_engine::source::read_input;
use skein_engine::types::source_schema;
use skein_protocol::connection::{Connection, HiveFiles, IcebergTarget};
use skein_protocol::data_plane::{BatchRequest, DataPlane, InspectRequest};
use skein_protocol::evidence::{RowSum, judge};
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, Generation, MigrationId, Run, StageNo, TableName};
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::{planner, policy};

mod cpu;

const PARTITIONS: u64 = 30;
const FILES_PER_PARTITION: u64 = 2;
const ONE_DUPLICATE_IN: u64 = 50;
const BATCH_ROWS: u64 = 65_536;
/// Working memory of a batch.
const MEMORY_BYTES: u64 = 256 << 20;

const COPY: &str = "";
const UNCHECKED: &str = "\n  validate: { eachBatch: [count], final: [count] }";
const CLEAN: &str =
    "\n  schema: { add: [{ name: description, type: string, default: \"\" }] }\n  clean: [{ dropDuplicates: exact }]";
const CLEAN_UNCHECKED: &str = "\n  schema: { add: [{ name: description, type: string, default: \"\" }] }\n  clean: [{ dropDuplicates: exact }]\n  validate: { eachBatch: [count], final: [count] }";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/skein-copy-speed".to_owned()));
    let millions: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let only = arguments.next();
    let rows = millions * 1_000_000;
    let warehouse = folder.join(format!("legacy-{millions}"));
    if !warehouse.exists() {
        generate(&warehouse, rows)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let engine = engine(&folder, &warehouse);
    let copy = runtime.block_on(plan(&engine, COPY))?;
    if wanted("read") {
        measured("read", rows, || read(&copy, false))?;
        measured("read, row128", rows, || read(&copy, true))?;
    }
    for (name, rules) in
        [("copy", COPY), ("copy-unchecked", UNCHECKED), ("clean", CLEAN), ("clean-unchecked", CLEAN_UNCHECKED)]
    {
        if wanted(name) {
            let plan = Arc::new(runtime.block_on(plan(&engine, rules))?);
            measured(name, rows, || runtime.block_on(batches(&engine, &plan)))?;
        }
    }
    println!("{:?}", engine.metrics());
    Ok(())
}

fn measured(name: &str, rows: u64, work: impl FnOnce() -> Result<String>) -> Result<()> {
    let (cpu, start) = (cpu::seconds()?, Instant::now());
    let outcome = work()?;
    let (cpu, wall) = (cpu::seconds()? - cpu, start.elapsed().as_secs_f64());
    println!("{name:16} {cpu:6.2} s CPU  {wall:6.2} s wall  {:5.0} ns/row  {outcome}", cpu * 1e9 / rows as f64);
    Ok(())
}

fn engine(folder: &Path, warehouse: &Path) -> Engine {
    let text = |path: &Path| path.display().to_string();
    let legacy = Connection::HiveFiles(HiveFiles::at(text(warehouse)));
    let lake = Connection::Iceberg(IcebergTarget::sqlite(text(&folder.join("catalog.db")), text(&folder.join("lake"))));
    Engine::new([("legacy".into(), legacy), ("lake".into(), lake)].into(), EngineSettings::default())
}

async fn plan(engine: &Engine, rules: &str) -> Result<Plan> {
    let text = format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: speed, owner: bench }}\nspec:\n  source: {{ connection: legacy, include: [\"bench.*\"] }}\n  target: {{ connection: lake, name: \"{{database}}.{{table}}\" }}{rules}\n"
    );
    let policy = policy::parse(&text).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let dataset = TableName::new("bench", "plays");
    let request = InspectRequest {
        connection: "legacy".into(),
        dataset: dataset.clone(),
        target_connection: "lake".into(),
        target: dataset.clone(),
    };
    let inspection = engine.inspect(request).await?;
    let migration = MigrationId::derive(&policy.metadata.name, Generation(1), &dataset);
    match planner::plan(&policy, migration, Generation(1), &dataset, &inspection) {
        Planned::Ready(plan) => Ok(*plan),
        Planned::Refused(refusal) => bail!("{refusal:?}"),
    }
}

fn read(plan: &Plan, hashed: bool) -> Result<String> {
    let schema = source_schema(&plan.source.columns);
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let mut hasher = RowHasher::new(&schema, &all)?;
    let (mut hashes, mut sum, mut rows) = (Vec::new(), RowSum::default(), 0);
    for batch in &plan.stages[0].batches {
        for input in &batch.inputs {
            for batch in read_input(&Files::new(Arc::default()), plan, input, skein_engine::batch::BATCH_ROWS)? {
                let batch = batch?;
                rows += batch.num_rows();
                if hashed {
                    hasher.hash(&batch, &mut hashes)?;
                    hashes.iter().for_each(|hash| sum.add(*hash));
                }
            }
        }
    }
    Ok(format!("{rows} rows, sum {}", sum.sum))
}

async fn batches(engine: &Engine, plan: &Arc<Plan>) -> Result<String> {
    let (mut rows, mut bytes, mut files) = (0, 0, 0);
    let _ = fs::remove_dir_all(&plan.target.location);
    for number in 0..plan.stages[0].batches.len() {
        let batch = BatchId { stage: StageNo(0), batch: BatchNo(u32::try_from(number)?) };
        let (run, epoch, attempt) = (Run(1), Epoch(1), Attempt(1));
        let request = BatchRequest {
            plan: Arc::clone(plan),
            run,
            epoch,
            batch,
            attempt,
            prior: Arc::default(),
            memory_bytes: MEMORY_BYTES,
        };
        let result = engine.run_batch(request).await?;
        if let Some(difference) = judge::batch(plan, batch, &result.evidence) {
            bail!("{difference}");
        }
        rows += result.files.iter().map(|file| file.rows).sum::<u64>();
        bytes += result.files.iter().map(|file| file.bytes).sum::<u64>();
        files += result.files.len();
    }
    Ok(format!("{rows} rows in {files} files, {} MB", bytes / 1_000_000))
}

/// Numbers without pattern, the same for the same key.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Below `end`, small numbers more often.
    fn skewed(&mut self, end: u64) -> u64 {
        let part = self.below(1 << 20) as f64 / f64::from(1 << 20);
        (part * part * part * end as f64) as u64
    }
}

fn generate(warehouse: &Path, rows: u64) -> Result<()> {
    let partial = warehouse.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let per_file = rows.div_ceil(PARTITIONS * FILES_PER_PARTITION);
    for file in 0..PARTITIONS * FILES_PER_PARTITION {
        let (day, part) = (file / FILES_PER_PARTITION, file % FILES_PER_PARTITION);
        let folder = partial.join("bench.db/plays").join(format!("dt=2024-01-{:02}", day + 1));
        fs::create_dir_all(&folder)?;
        let first = part * per_file;
        let left = rows.saturating_sub(file * per_file).min(per_file);
        let mut writer = None;
        for start in (first..first + left).step_by(usize::try_from(BATCH_ROWS)?) {
            let batch = rows_of(day, start..(start + BATCH_ROWS).min(first + left))?;
            if writer.is_none() {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                writer = Some(ArrowWriter::try_new(
                    File::create(folder.join(format!("part-{part:05}")))?,
                    batch.schema(),
                    Some(properties),
                )?);
            }
            writer.as_mut().context("made above")?.write(&batch)?;
        }
        if let Some(writer) = writer {
            writer.close()?;
        }
    }
    fs::rename(&partial, warehouse)?;
    Ok(())
}

fn rows_of(day: u64, rows: std::ops::Range<u64>) -> Result<RecordBatch> {
    const GENRES: [&str; 16] = [
        "pop",
        "rock",
        "jazz",
        "folk",
        "house",
        "techno",
        "hip hop",
        "soul",
        "funk",
        "reggae",
        "classical",
        "opera",
        "ambient",
        "metal",
        "punk",
        "blues",
    ];
    let (mut ids, mut owners, mut titles, mut genres) =
        (Int64Builder::new(), Int64Builder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut tracks, mut durations, mut created) =
        (Int32Builder::new(), Float64Builder::new(), TimestampMicrosecondBuilder::new());
    for row in rows {
        let mut choice = Random(row ^ (day << 40) ^ 77);
        let key = if row > 0 && choice.below(ONE_DUPLICATE_IN) == 0 { choice.below(row) } else { row };
        let mut random = Random(key.wrapping_mul(31) ^ (day << 40));
        ids.append_value(i64::try_from(((day + 1) << 32) + key * 16 + random.below(16))?);
        owners.append_value(1000 + i64::try_from(random.skewed(2_000_000))?);
        let title = random.skewed(30_000);
        titles.append_value(if title.is_multiple_of(257) {
            String::new()
        } else {
            format!("Mood{} Thing{} {}", title % 16, title / 16 % 16, title / 256)
        });
        let genre = GENRES[usize::try_from(random.skewed(16))?];
        genres.append_option((random.below(33) > 0).then_some(genre));
        let count = random.skewed(400);
        tracks.append_value(i32::try_from(count)?);
        let seconds = (count * 360 + random.below(count * 120 + 1)) as f64 / 2.0;
        durations.append_option((random.below(100) > 0).then_some(seconds));
        created.append_value(i64::try_from(((19_723 + day) * 86_400 + random.below(86_400)) * 1_000_000)?);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("playlist_id", Arc::new(ids.finish())),
        ("owner_id", Arc::new(owners.finish())),
        ("title", Arc::new(titles.finish())),
        ("genre", Arc::new(genres.finish())),
        ("track_count", Arc::new(tracks.finish())),
        ("duration_seconds", Arc::new(durations.finish())),
        ("created_at", Arc::new(created.finish())),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}
