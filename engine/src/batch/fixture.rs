//! Small warehouses for tests: tables of given rows, plans by the planner, and whole runs of all their stages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use skein_protocol::connection::HiveFiles;
use skein_protocol::data_plane::{BatchRequest, BatchResult, Failure, StagedFile};
use skein_protocol::evidence::judge;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, Generation, MigrationId, Run, StageNo, TableName};
use skein_protocol::inspection::TargetState;
use skein_protocol::plan::{Batch, BatchInput, Plan, Planned, Stage, StageKind};
use skein_protocol::{planner, policy};

use super::{Cancel, Counters, Work, run_batch};
use crate::checksum::RowHasher;
use crate::files::Files;
use crate::source::HiveSource;
use crate::worker::Telling;

/// Working memory of batches.
pub(crate) const MEMORY: u64 = 64 << 20;

/// A warehouse in a folder of its own.
pub(crate) struct Warehouse {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) files: Files,
    pub(crate) counters: Counters,
    /// Rows of record batches: small, so that few rows make many.
    pub(crate) batch_rows: usize,
    /// Working memory of batches, bytes.
    pub(crate) memory_bytes: u64,
}

/// What all stages of a plan have made.
pub(crate) struct Ran {
    /// What the last stage wrote.
    pub(crate) files: Vec<StagedFile>,
    /// The batches of the last stage.
    pub(crate) results: Vec<BatchResult>,
    /// All batches.
    pub(crate) all: Vec<BatchResult>,
}

impl Warehouse {
    pub(crate) fn new() -> Self {
        let files = Files::new(Arc::new(AtomicU64::new(0)));
        Self {
            folder: tempfile::tempdir().unwrap(),
            files,
            counters: Counters::default(),
            batch_rows: 16,
            memory_bytes: MEMORY,
        }
    }

    pub(crate) fn legacy(&self) -> PathBuf {
        self.folder.path().join("legacy")
    }

    /// Adds a file of `rows` to the table `db.t`; `path` may have partition folders.
    pub(crate) fn add(&self, path: &str, rows: &RecordBatch) -> &Self {
        self.add_with_groups(path, rows, 1 << 20)
    }

    pub(crate) fn add_with_groups(&self, path: &str, rows: &RecordBatch, group: usize) -> &Self {
        let path = self.legacy().join("db.db/t").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        self
    }

    /// The plan of `db.t` under the given part of a policy's `spec`.
    pub(crate) fn plan(&self, rules: &str) -> Plan {
        match self.planned(rules) {
            Planned::Ready(plan) => *plan,
            Planned::Refused(refusal) => panic!("{refusal:#?}"),
        }
    }

    fn planned(&self, rules: &str) -> Planned {
        let text = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: test, owner: me }}\nspec:\n  source: {{ connection: legacy, include: [\"db.*\"] }}\n  target: {{ connection: lake{target} }}\n{rules}\n",
            target = rules.lines().find_map(|line| line.strip_prefix("#target")).unwrap_or_default(),
        );
        let policy = policy::parse(&text).unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        let dataset = TableName::new("db", "t");
        let config = HiveFiles::at(self.legacy().display().to_string());
        let location = self.folder.path().join("lake/db/t").display().to_string();
        let source = HiveSource::new("legacy".into(), config, Files::new(Arc::default()));
        let inspection = source.inspect(&dataset, TargetState { location, occupied_by: None }).unwrap();
        planner::plan(
            &policy,
            MigrationId::derive(&policy.metadata.name, Generation(1), &dataset),
            Generation(1),
            &dataset,
            &inspection,
        )
    }

    pub(crate) fn run(&self, plan: Plan) -> Ran {
        self.try_run(&Arc::new(plan)).unwrap_or_else(|failure| panic!("{failure:#?}"))
    }

    /// Runs all stages; each batch's evidence must hold.
    pub(crate) fn try_run(&self, plan: &Arc<Plan>) -> Result<Ran, Failure> {
        self.clear_lake();
        let mut ran = Ran { files: Vec::new(), results: Vec::new(), all: Vec::new() };
        for (number, stage) in (0..).zip(&plan.stages) {
            let prior = Arc::new(std::mem::take(&mut ran.files));
            ran.results.clear();
            for batch in 0..u32::try_from(stage.batches.len()).unwrap() {
                let id = BatchId { stage: StageNo(number), batch: BatchNo(batch) };
                let result = self.batch(plan, id, &prior)?;
                if let Some(difference) = judge::batch(plan, id, &result.evidence) {
                    panic!("{difference}\n{:#?}", result.evidence);
                }
                ran.files.extend(result.files.iter().cloned());
                ran.all.push(result.clone());
                ran.results.push(result);
            }
        }
        Ok(ran)
    }

    pub(crate) fn batch(
        &self,
        plan: &Arc<Plan>,
        batch: BatchId,
        prior: &Arc<Vec<StagedFile>>,
    ) -> Result<BatchResult, Failure> {
        let request = BatchRequest { memory_bytes: self.memory_bytes, ..request(plan, batch, prior) };
        self.with_cancel(&request, &Cancel::default(), run_batch)
    }

    pub(crate) fn with<T>(&self, request: &BatchRequest, work: impl FnOnce(&Work<'_>) -> T) -> T {
        self.clear_lake();
        self.with_cancel(request, &Cancel::default(), work)
    }

    /// Files of an earlier run of the same plan are in the way of its names.
    fn clear_lake(&self) {
        let _ = fs::remove_dir_all(self.folder.path().join("lake"));
    }

    pub(crate) fn with_cancel<T>(
        &self,
        request: &BatchRequest,
        cancel: &Cancel,
        work: impl FnOnce(&Work<'_>) -> T,
    ) -> T {
        let telling = &Telling::default();
        let (files, counters, batch_rows) = (&self.files, &self.counters, self.batch_rows);
        work(&Work { request, files, cancel, counters, telling, batch_rows })
    }
}

pub(crate) fn request(plan: &Arc<Plan>, batch: BatchId, prior: &Arc<Vec<StagedFile>>) -> BatchRequest {
    let (plan, prior) = (Arc::clone(plan), Arc::clone(prior));
    BatchRequest { plan, run: Run(1), epoch: Epoch(1), batch, attempt: Attempt(1), prior, memory_bytes: MEMORY }
}

/// The first batch of the first stage.
pub(crate) const FIRST: BatchId = BatchId { stage: StageNo(0), batch: BatchNo(0) };

/// The same plan with its rows resolved in `ranges` ranges before the writing, in batches of one row group each.
pub(crate) fn staged(mut plan: Plan, ranges: u32) -> Plan {
    let batch = |inputs, range| Batch { inputs, range, rows: None, bytes: 0 };
    let files = (0_u32..).zip(&plan.source.files);
    let pieces: Vec<Batch> = files
        .flat_map(|(file, source)| {
            let groups = u32::try_from(source.row_groups.len()).unwrap();
            (0..groups).map(move |group| batch(vec![BatchInput { file, row_groups: Some((group, 1)) }], None))
        })
        .collect();
    plan.stages = vec![
        Stage { kind: StageKind::Identify { ranges }, batches: pieces.clone() },
        Stage { kind: StageKind::Resolve, batches: (0..ranges).map(|range| batch(Vec::new(), Some(range))).collect() },
        Stage { kind: StageKind::Write, batches: pieces },
    ];
    plan
}

/// All rows of data files, in their order, as one batch; nothing if there are none.
pub(crate) fn rows_of(files: &[StagedFile]) -> Option<RecordBatch> {
    let batches: Vec<RecordBatch> = files.iter().flat_map(|file| read(Path::new(&file.location))).collect();
    let first = batches.first()?;
    Some(concat_batches(&first.schema(), &batches).unwrap())
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// The hashes of all rows, sorted: equal for equal sets of rows.
pub(crate) fn hashes(rows: &RecordBatch) -> Vec<u128> {
    let all: Vec<usize> = (0..rows.num_columns()).collect();
    let mut hashes = Vec::new();
    RowHasher::new(&rows.schema(), &all).unwrap().hash(rows, &mut hashes).unwrap();
    hashes.sort_unstable();
    hashes
}

/// A batch of nullable columns.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

/// Numbers without pattern, the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A value, or nothing once in `one_in`.
    pub(crate) fn maybe<T>(&mut self, one_in: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(one_in) > 0).then(|| value(self))
    }
}
