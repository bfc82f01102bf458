//! One batch in the scripted world, step by step: read, write file after file, read back.
//!
//! In: a request, what goes wrong. Out: a result, or a failure; files, some of them even if it fails. Holds: nothing. Time
//! passes between the steps, so whoever runs it can die between two files. Not here: what becomes of rows (`rows`).

use serde_json::Value;
use skein_protocol::data_plane::{BatchRequest, BatchResult, Failure, StagedFile, StagedKind};
use skein_protocol::evidence::BatchEvidence;
use skein_protocol::inspection::SourceFile;
use skein_protocol::machine::source;
use skein_protocol::plan::Batch;
use skein_protocol::problem::{Code, Problem};

use super::cells::{self, Cell};
use super::fault::Effect;
use super::faults::Strike;
use super::inner::Inner;
use super::outside::Author;
use super::plane::list;
use super::rows::{self, Made, Moved, Row, refuse};
use super::source::{Source, SourceTable};
use super::store::Object;

/// Bytes that a row claims to have.
const ROW_BYTES: u64 = 16;

/// A batch that has read its rows.
#[derive(Debug)]
pub(super) struct Running {
    /// Its input files as they were when they were read.
    inputs: Vec<SourceFile>,
    /// Files that are still to be written, the next one last.
    left: Vec<Unwritten>,
    written: Vec<StagedFile>,
    evidence: BatchEvidence,
}

#[derive(Debug)]
struct Unwritten {
    location: String,
    kind: StagedKind,
    object: Object,
    partition: Vec<Value>,
}

fn strikes(strike: Option<&Strike>, wanted: impl Fn(&Effect) -> bool) -> Option<&'static str> {
    strike.filter(|strike| wanted(&strike.effect)).map(|strike| strike.name)
}

/// Reads what the batch is about, and computes what it is going to write.
pub(super) fn read(inner: &mut Inner, request: &BatchRequest, strike: Option<&Strike>) -> Result<Running, Failure> {
    let plan = &request.plan;
    if let Some(problem) = source::changes(plan, &list(inner, &plan.source.dataset)) {
        return Err(Failure::permanent(problem));
    }
    let batch = plan.batch(request.batch).ok_or_else(|| refuse(Code::Internal, "the batch", "the plan has none"))?;
    let files = inner.sources.get(&plan.source.dataset).and_then(Source::files).unwrap_or_default();
    let tables: Vec<(u32, &SourceTable)> =
        batch.inputs.iter().filter_map(|input| Some((input.file, files.get(input.file as usize)?))).collect();
    let inputs = tables.iter().map(|(_, table)| table.file.clone()).collect();
    let rows: Vec<Row> = tables.iter().flat_map(|(file, table)| rows_of(*file, table)).collect();
    let prior = prior(inner, request, batch)?;
    let kind = plan.stage(request.batch.stage).map(|stage| stage.kind);
    let (left, evidence) = match rows::make(plan, kind, batch.range, &rows, &prior)? {
        Made::Scratch(files, evidence) => {
            let files = files.into_iter().map(|(kind, rows)| (kind, Object::Scratch(rows), Vec::new()));
            (named(request, files.collect()), *evidence)
        }
        Made::Data(mut moved, evidence) => {
            spoil(inner, &mut moved, strike);
            (named(request, packed(request, moved, inner.rows_per_file)), *evidence)
        }
    };
    Ok(Running { inputs, left, written: Vec::new(), evidence })
}

/// Lets rows or nulls get lost on the way.
fn spoil(inner: &mut Inner, moved: &mut Vec<Moved>, strike: Option<&Strike>) {
    if let Some(name) = strikes(strike, |effect| matches!(effect, Effect::LoseRow))
        && moved.pop().is_some()
    {
        inner.faults.count(name);
    }
    if let Some(name) = strikes(strike, |effect| matches!(effect, Effect::LoseNull))
        && let Some(cell) = moved.iter_mut().flat_map(|row| &mut row.target).find(|cell| cell.is_none())
    {
        *cell = Some(String::new());
        inner.faults.count(name);
    }
}

fn rows_of(file: u32, table: &SourceTable) -> impl Iterator<Item = Row> {
    let part = table.part;
    (0_u32..).zip(&table.values).map(move |(place, value)| Row { value: *value, part, file, place })
}

/// The rows of an earlier stage's files; those of one range, if the batch is about one.
fn prior(inner: &Inner, request: &BatchRequest, batch: &Batch) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for file in request.prior.iter() {
        if let (Some(range), StagedKind::Identities { range: of }) = (batch.range, file.kind)
            && range != of
        {
            continue;
        }
        match inner.store.get(&file.location) {
            Some(Object::Scratch(found)) => rows.extend(found.iter().copied()),
            _ => return Err(refuse(Code::StagedFileChanged, &file.location, "it is missing")),
        }
    }
    Ok(rows)
}

/// Rows of the target in files: one partition each, and no longer than allowed.
fn packed(request: &BatchRequest, moved: Vec<Moved>, most: usize) -> Vec<(StagedKind, Object, Vec<Value>)> {
    let mut parts: Vec<(Option<u32>, Vec<Vec<Cell>>)> = Vec::new();
    for row in moved {
        match parts.iter_mut().find(|(part, rows)| *part == row.part && rows.len() < most) {
            Some((_, rows)) => rows.push(row.target),
            None => parts.push((row.part, vec![row.target])),
        }
    }
    let fields = request.plan.target.partitioning.len();
    let partition = |part: Option<u32>| {
        let value = part.map(|part| Value::String(cells::part_name(part)));
        value.into_iter().take(fields).collect()
    };
    parts.into_iter().map(|(part, rows)| (StagedKind::Data, Object::Data(rows), partition(part))).collect()
}

fn named(request: &BatchRequest, files: Vec<(StagedKind, Object, Vec<Value>)>) -> Vec<Unwritten> {
    let BatchRequest { plan, run, epoch, batch, attempt, .. } = request;
    let folder = format!("{}/data/{}/{run}", plan.target.location, plan.migration);
    let of = |(number, (kind, object, partition)): (usize, _)| Unwritten {
        location: format!("{folder}/{epoch}-{batch}-{attempt}-{number}.parquet"),
        kind,
        object,
        partition,
    };
    files.into_iter().enumerate().map(of).rev().collect()
}

/// Writes one more file; false when there is none. A fault may strike between two files.
pub(super) fn write_one(
    inner: &mut Inner,
    machine: Option<usize>,
    request: &BatchRequest,
    running: &mut Running,
    strike: Option<&Strike>,
) -> Result<bool, Failure> {
    if let Some(Strike { effect: Effect::HalfWay(failure), name }) = strike
        && !running.written.is_empty()
    {
        inner.faults.count(name);
        if !running.left.is_empty() {
            inner.record.mark("batch failed half-way");
        }
        return Err(failure.clone());
    }
    let Some(Unwritten { location, kind, object, partition }) = running.left.pop() else { return Ok(false) };
    let rows = object.rows();
    let file = StagedFile {
        location: location.clone(),
        kind,
        rows,
        bytes: rows * ROW_BYTES,
        content: object.content(),
        partition,
    };
    let BatchRequest { plan, run, epoch, attempt, .. } = request;
    let author = Author { migration: plan.migration, run: *run, epoch: *epoch, attempt: *attempt };
    inner.create(machine, &location, object, author);
    running.written.push(file);
    Ok(true)
}

/// Reads everything back, looks at the inputs once more, and completes the evidence.
pub(super) fn finish(
    inner: &mut Inner,
    request: &BatchRequest,
    running: Running,
    strike: Option<&Strike>,
) -> Result<BatchResult, Failure> {
    let Running { inputs, written, mut evidence, .. } = running;
    let dataset = &request.plan.source.dataset;
    let present = list(inner, dataset);
    if let Some(changed) = inputs.iter().find(|input| !present.contains(input)) {
        let why = format!("{} is another file than when it was read", changed.path);
        let next = "retry the migration: it plans anew";
        let problem = Problem::new(Code::SourceChanged, "the source changed under a batch", why, next);
        return Err(Failure::permanent(problem.of(dataset)));
    }
    if written.iter().any(|file| file.kind == StagedKind::Data) || request.batch.stage.0 + 1 == stages(request) {
        let mut found = Vec::new();
        for file in &written {
            match inner.store.get(&file.location) {
                Some(Object::Data(rows)) => found.extend(rows.iter().cloned()),
                _ => return Err(refuse(Code::StagedFileChanged, &file.location, "it cannot be read back")),
            }
        }
        if let Some(name) = strikes(strike, |effect| matches!(effect, Effect::Misread))
            && found.pop().is_some()
        {
            inner.faults.count(name);
        }
        rows::read_back(&request.plan, &mut evidence, &found);
    }
    Ok(BatchResult { files: written, evidence })
}

fn stages(request: &BatchRequest) -> u32 {
    u32::try_from(request.plan.stages.len()).expect("a plan has a handful of stages")
}
