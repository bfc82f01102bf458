//! The datasets of the model: what an inspection finds, what a batch gives, how long work takes.
//!
//! In: the number of a dataset. Out: its inspection, evidence of its batches, durations. Holds: the policies; nothing for each
//! dataset, everything follows from its number and the seed. Real policies, real plans (the planner's), evidence that the real
//! judgement accepts. Not here: who does what when.

use anyhow::{Context, Result, bail};
use skein_protocol::data_plane::{BatchResult, StagedFile, StagedKind, StagedTable, TableReading};
use skein_protocol::evidence::{BatchEvidence, ColumnEvidence, Removed, RowSum, Sum128};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{BatchId, MigrationId, TableName, TableUuid};
use skein_protocol::inspection::{
    DescribedBy, Documentation, Inspection, SourceColumn, SourceFile, SourceFormat, TargetState,
};
use skein_protocol::ledger::Migration;
use skein_protocol::ledger::entry::AppliedPolicy;
use skein_protocol::plan::{Plan, Planned, StageKind};
use skein_protocol::planner;
use skein_protocol::policy::{self, Policy};
use skein_protocol::types::DataType;

use super::random::{about, mixed, normal};
use super::setting::Setting;

/// What one slot moves in a second, everything validated: 237 MiB of compressed Parquet took 10.5 s of one core (bench,
/// first flight).
const SLOT_BYTES_PER_SECOND: u64 = 22 << 20;
/// Opening and closing of a batch's files.
const BATCH_MILLIS: u64 = 300;
/// What one slot reads in a second when it only compares staged files with what was recorded.
const COMPARED_BYTES_PER_SECOND: u64 = 500 << 20;
/// Writing manifests and a metadata file, reading them again, listing the source.
const VALIDATION_MILLIS: u64 = 400;
/// Looking at the target's name, registering, looking again.
const PUBLICATION_MILLIS: u64 = 250;
/// Listing folders and reading the description.
const INSPECTION_MILLIS: u64 = 300;
/// Reading the footer of one file.
const FOOTER_MICROS: u64 = 2_000;
/// Listing and removing what is left over.
const COLLECTION_MILLIS: u64 = 200;
/// Work takes up to so many percent more or less than its bytes say.
const NOISE_PERCENT: u64 = 20;
/// Bytes of a row, compressed.
const ROW_BYTES: u64 = 40;
/// Most partitions of a dataset: fifteen years of days.
const MOST_PARTITIONS: f64 = 5_500.0;
/// Of a thousand rows so many are copies of others: twice as many at most.
const COPIES_PER_MILLE: u64 = 20;
/// Memory of a batch as the node's configuration has it.
const BATCH_MEMORY_BYTES: u64 = 1 << 30;

/// What a random number is for.
#[derive(Clone, Copy)]
enum For {
    Partitions = 1,
    Bytes,
    Copies,
    Pace,
    Sum,
}

/// Everything that there is to move.
pub(super) struct Warehouse {
    setting: Setting,
    policies: Vec<Policy>,
}

/// How long pieces of work take, milliseconds.
pub(super) fn validation_millis(plan: &Plan) -> u64 {
    VALIDATION_MILLIS + plan.source_bytes() * 1000 / COMPARED_BYTES_PER_SECOND
}

/// Registering a table under its name.
pub(super) const fn publication_millis() -> u64 {
    PUBLICATION_MILLIS
}

/// Removing what is left over.
pub(super) const fn collection_millis() -> u64 {
    COLLECTION_MILLIS
}

impl Warehouse {
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let policies = (0..setting.policies).map(|number| policy_of(setting, number)).collect::<Result<Vec<_>>>()?;
        Ok(Self { setting: setting.clone(), policies })
    }

    /// The policy with this number as it is applied: it selects its datasets of all that there are in its database.
    pub(super) fn applied(&self, number: u32) -> Result<AppliedPolicy> {
        let policy = self.policies.get(number as usize).context("there is no such policy")?;
        let all: Vec<TableName> = (0..self.setting.datasets)
            .filter(|dataset| dataset % self.setting.policies == number)
            .map(|dataset| self.name(dataset))
            .collect();
        let selected = planner::selected(policy, &all);
        if selected.len() != all.len() {
            bail!("policy {number} selects {} of its {} datasets", selected.len(), all.len());
        }
        let datasets = selected
            .into_iter()
            .map(|dataset| Ok((dataset.clone(), planner::target_name(policy, &dataset)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(AppliedPolicy::of(policy, BATCH_MEMORY_BYTES, datasets)?)
    }

    fn name(&self, dataset: u32) -> TableName {
        TableName::new(format!("playlists_{:03}", dataset % self.setting.policies), format!("t_{dataset:07}"))
    }

    /// The number of a dataset, which its name says.
    pub(super) fn number(dataset: &TableName) -> u32 {
        dataset.table.trim_start_matches("t_").parse().unwrap_or(u32::MAX)
    }

    fn mixed(&self, what: For, dataset: u32, part: u64) -> u64 {
        mixed(&[self.setting.seed, what as u64, u64::from(dataset), part])
    }

    /// Partitions of a dataset, each of which is one file.
    fn partitions(&self, dataset: u32) -> u32 {
        let deviates = normal(&[self.setting.seed, For::Partitions as u64, u64::from(dataset)]);
        let count = self.setting.median_partitions * (self.setting.partitions_spread * deviates).exp();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped to small numbers")]
        let count = count.ceil().clamp(1.0, MOST_PARTITIONS) as u32;
        count
    }

    fn file_bytes(&self, dataset: u32, file: u32) -> u64 {
        let usual = u64::from(self.setting.partition_mib) << 20;
        about(usual, NOISE_PERCENT, &[self.mixed(For::Bytes, dataset, u64::from(file))])
    }

    /// Rows of a file, and how many of them are copies of others.
    fn file_rows(&self, dataset: u32, file: u32) -> (u64, u64) {
        let rows = self.file_bytes(dataset, file) / ROW_BYTES;
        let per_mille = self.mixed(For::Copies, dataset, u64::from(file)) % (2 * COPIES_PER_MILLE);
        (rows, rows * per_mille / 1000)
    }

    /// Rows of a dataset, and how many of them are copies of others: what nobody asks the fleet for.
    pub(super) fn rows(&self, dataset: u32) -> (u64, u64) {
        let files = (0..self.partitions(dataset)).map(|file| self.file_rows(dataset, file));
        files.fold((0, 0), |(rows, copies), (more, other)| (rows + more, copies + other))
    }

    /// Work of all datasets over all slots, microseconds: about what the fleet needs at least.
    pub(super) fn expected_micros(&self) -> u64 {
        let millis = |dataset: u32| {
            let bytes: u64 = (0..self.partitions(dataset)).map(|file| self.file_bytes(dataset, file)).sum();
            let batches = u64::from(self.partitions(dataset)) * BATCH_MILLIS + bytes * 1000 / SLOT_BYTES_PER_SECOND;
            batches + VALIDATION_MILLIS + bytes * 1000 / COMPARED_BYTES_PER_SECOND + PUBLICATION_MILLIS
        };
        (0..self.setting.datasets).map(millis).sum::<u64>() * 1000 / self.setting.all_slots()
    }

    pub(super) fn inspection_millis(&self, dataset: u32) -> u64 {
        let millis = INSPECTION_MILLIS + u64::from(self.partitions(dataset)) * FOOTER_MICROS / 1000;
        about(millis, NOISE_PERCENT, &[self.mixed(For::Pace, dataset, u64::MAX)])
    }

    fn inspect(&self, migration: &Migration) -> Inspection {
        let number = Self::number(&migration.dataset);
        let column = |name: &str, data_type: DataType, partition: bool| SourceColumn {
            name: name.to_owned(),
            data_type,
            partition,
        };
        let file = |index: u32| SourceFile {
            path: format!("dt={index:05}/000000_0"),
            bytes: self.file_bytes(number, index),
            modified_nanos: 1_700_000_000_000_000_000 + u64::from(index),
            version: String::new(),
            partition: vec![Some(format!("{index:05}"))],
            rows: Some(self.file_rows(number, index).0),
            row_groups: Vec::new(),
        };
        Inspection {
            dataset: migration.dataset.clone(),
            connection: "legacy".into(),
            location: format!("/warehouse/{}.db/{}", migration.dataset.database, migration.dataset.table),
            described_by: DescribedBy::Description,
            format: Some(SourceFormat::Parquet),
            columns: vec![
                column("playlist_id", DataType::BigInt, false),
                column("track_id", DataType::BigInt, false),
                column("title", DataType::String, false),
                column("added_at", DataType::Timestamp, false),
                column("dt", DataType::String, true),
            ],
            files: (0..self.partitions(number)).map(file).collect(),
            partitioning: Vec::new(),
            documentation: Documentation::default(),
            problems: Vec::new(),
            notes: Vec::new(),
            target: TargetState {
                location: format!("/lake/{}/{}", migration.target.database, migration.target.table),
                occupied_by: None,
            },
        }
    }

    /// Plans a migration as its owner does.
    pub(super) fn plan(&self, migration: &Migration) -> Planned {
        let number = Self::number(&migration.dataset) % self.setting.policies;
        let policy = &self.policies[number as usize];
        planner::plan(policy, migration.id, migration.generation, &migration.target, &self.inspect(migration))
    }

    /// The name of the blob that holds a plan: the model keeps no blobs, and a plan is a function of its migration.
    pub(super) fn plan_hash(migration: MigrationId) -> Hash256 {
        let mut hash = Hash256::default();
        let (high, low) = migration.0.as_u64_pair();
        for (place, word) in hash.0.chunks_exact_mut(8).zip([high, low, mixed(&[high]), mixed(&[low])]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        hash
    }

    /// How long a batch runs, wherever it runs.
    pub(super) fn batch_millis(&self, plan: &Plan, batch: BatchId) -> u64 {
        let bytes = plan.batch(batch).map_or(0, |batch| batch.bytes);
        let number = Self::number(&plan.source.dataset);
        let part = u64::from(batch.stage.0) << 32 | u64::from(batch.batch.0);
        let noise = self.mixed(For::Pace, number, part);
        about(BATCH_MILLIS + bytes * 1000 / SLOT_BYTES_PER_SECOND, NOISE_PERCENT, &[noise])
    }

    /// What a batch gives.
    pub(super) fn result(&self, plan: &Plan, id: BatchId) -> BatchResult {
        let evidence = self.evidence(plan, id);
        let files = match evidence.found.rows {
            0 => Vec::new(),
            rows => vec![StagedFile {
                location: String::new(),
                kind: StagedKind::Data,
                rows,
                bytes: rows * ROW_BYTES,
                content: evidence.found.sum,
                partition: Vec::new(),
            }],
        };
        BatchResult { files, evidence }
    }

    /// What a batch finds: copies fall away, everything else comes out as it must.
    pub(super) fn evidence(&self, plan: &Plan, id: BatchId) -> BatchEvidence {
        let number = Self::number(&plan.source.dataset);
        let Some(batch) = plan.batch(id) else { return BatchEvidence::default() };
        let files = batch.inputs.iter().map(|input| self.file_rows(number, input.file));
        let (rows, copies) = files.fold((0, 0), |(rows, copies), (more, other)| (rows + more, copies + other));
        let part = u64::from(id.stage.0) << 32 | u64::from(id.batch.0);
        let sum = |which: u64| {
            let words = [self.mixed(For::Sum, number, part), which];
            Sum128(u128::from(mixed(&words)) << 64 | u128::from(mixed(&[words[0], which, 1])))
        };
        let source = RowSum { rows, sum: sum(1) };
        if plan.stage(id.stage).map(|stage| stage.kind) != Some(StageKind::Write) {
            return BatchEvidence { source, ..BatchEvidence::default() };
        }
        let removed = RowSum { rows: copies, sum: sum(2) };
        let kept = RowSum { rows: rows - copies, sum: Sum128(source.sum.0.wrapping_sub(removed.sum.0)) };
        let expected = RowSum { rows: kept.rows, sum: sum(3) };
        let mut found = expected;
        if self.setting.torn == Some(number) && part == 0 {
            found.rows -= 1;
        }
        let column = |name: &str| ColumnEvidence {
            column: name.to_owned(),
            nulls_expected: 0,
            nulls_found: 0,
            min_expected: None,
            min_found: None,
            max_expected: None,
            max_found: None,
        };
        BatchEvidence {
            footer_rows: batch.rows,
            source,
            removed: plan.rules.iter().map(|rule| Removed { rule: rule.id.clone(), rows: removed }).collect(),
            kept,
            lossless_source: kept,
            lossless_target: kept,
            expected,
            found,
            columns: plan.target.columns.iter().map(|known| column(&known.name)).collect(),
            spark: None,
            rules: Vec::new(),
            first_difference: None,
            summed: true,
        }
    }

    /// The staged table of a migration's present epoch.
    pub(super) fn staged(&self, migration: &Migration, evidences: &[BatchEvidence]) -> StagedTable {
        let rows = evidences.iter().map(|evidence| evidence.found.rows).sum();
        let plan = Self::plan_hash(migration.id);
        StagedTable {
            metadata_location: format!(
                "/lake/{}/{}/metadata/{}-{}-{}.metadata.json",
                migration.target.database,
                migration.target.table,
                migration.run,
                migration.epoch,
                migration.work.attempt
            ),
            metadata_hash: plan,
            uuid: TableUuid::derive(migration.id, migration.run, &plan),
            files: evidences.len() as u64,
            rows,
            bytes: rows * ROW_BYTES,
        }
    }

    /// What reading a staged table through its metadata file finds.
    pub(super) fn reading(table: &StagedTable) -> TableReading {
        TableReading {
            metadata_hash: table.metadata_hash,
            files: table.files,
            manifest_rows: table.rows,
            summary_rows: table.rows,
            files_compared: table.files,
            file_differences: Vec::new(),
            partition_read: None,
            checks: Vec::new(),
        }
    }
}

fn policy_of(setting: &Setting, number: u32) -> Result<Policy> {
    let most = setting.max_parallel.map_or(String::new(), |most| format!("maxParallel: {most}, "));
    let text = format!(
        r#"
apiVersion: skein/v1
kind: MigrationPolicy
metadata: {{ name: playlists-{number:03}-to-iceberg, owner: team-{team} }}
spec:
  source: {{ connection: legacy, include: ["playlists_{number:03}.*"] }}
  target: {{ connection: lake, name: "{{database}}.{{table}}", partitioning: keep }}
  strategy: auto
  schema: {{ add: [{{ name: description, type: string, default: "" }}] }}
  clean: [{{ dropDuplicates: exact }}]
  validate: {{ eachBatch: [count, checksum], final: [count, checksum, nulls] }}
  approval: {{ required: {approval} }}
  run: {{ {most}attempts: 5 }}
"#,
        team = number % TEAMS,
        approval = setting.approval,
    );
    policy::parse(&text).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("policy {number}: {}", all.join("; "))
    })
}

/// Teams that share the fleet, where there are that many policies.
const TEAMS: u32 = 10;
