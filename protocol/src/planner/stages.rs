//! Cuts a source into stages and batches.
//!
//! In: the source's files and the rules. Out: [`Stage`]s. A batch never holds files of two partitions in part, so
//! that exact duplicates (which share a partition) meet in one batch.

use crate::inspection::SourceFile;
use crate::plan::{Batch, BatchInput, PlannedRule, Rule, Stage, StageKind};

/// Least bytes of source in a batch, as far as there are that many: smaller ones cost more in files and entries than
/// they gain.
const LEAST_BATCH_BYTES: u64 = 32 << 20;
/// Most bytes of source in a batch of files that can be cut anywhere: what is lost when a node dies.
const MOST_BATCH_BYTES: u64 = 256 << 20;
/// A large source is cut into about this many batches at least.
const BATCHES_PER_SOURCE: u64 = 64;
/// Most rows whose identities one batch remembers at once, 16 bytes each in a hash set: about 300 MB.
const MOST_REMEMBERED_ROWS: u64 = 8 << 20;
/// Rows of identities in one range, sorted in memory: about 50 bytes each.
const ROWS_PER_RANGE: u64 = 2 << 20;
/// Bytes of a row in formats that do not tell their rows; low, so that rows are over-estimated.
const BYTES_PER_UNCOUNTED_ROW: u64 = 24;
/// Most ranges: each is an open file of every identifying batch.
const MOST_RANGES: u64 = 256;

/// The stages of a plan, and what people should know of them.
pub(super) fn stages(files: &[SourceFile], rules: &[PlannedRule]) -> (Vec<Stage>, Option<String>) {
    let exact = rules.iter().any(|rule| rule.rule == Rule::DropExactDuplicates);
    let keyed = rules.iter().any(|rule| matches!(rule.rule, Rule::KeepOne { .. }));
    let partitions = partitions(files);
    let fits =
        partitions.iter().all(|files| files.iter().map(|(_, file)| rows(file)).sum::<u64>() <= MOST_REMEMBERED_ROWS);
    let write = |batches| Stage { kind: StageKind::Write, batches };
    if !keyed && (!exact || fits) {
        let batches = if exact { group(&partitions, files) } else { cut(files) };
        return (vec![write(batches)], None);
    }
    let all_rows: u64 = files.iter().map(rows).sum();
    let ranges = all_rows.div_ceil(ROWS_PER_RANGE).clamp(1, MOST_RANGES);
    let ranges = u32::try_from(ranges).expect("it was clamped");
    let resolve = (0..ranges)
        .map(|range| Batch { inputs: Vec::new(), range: Some(range), rows: None, bytes: 0 })
        .collect::<Vec<_>>();
    let batches = cut(files);
    let stages = vec![
        Stage { kind: StageKind::Identify { ranges }, batches: batches.clone() },
        Stage { kind: StageKind::Resolve, batches: if files.is_empty() { Vec::new() } else { resolve } },
        write(batches),
    ];
    let why = if keyed { "keys may recur in any file" } else { "a partition is too large for one batch" };
    (stages, Some(format!("rows to be dropped are found in two stages before the writing one, because {why}")))
}

fn rows(file: &SourceFile) -> u64 {
    file.rows.unwrap_or_else(|| file.bytes.div_ceil(BYTES_PER_UNCOUNTED_ROW))
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a table has fewer than 2^32 files")
}

fn batch_bytes(files: &[SourceFile]) -> u64 {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    (bytes / BATCHES_PER_SOURCE).clamp(LEAST_BATCH_BYTES, MOST_BATCH_BYTES)
}

/// Files by partition, in the order of the first file of each.
fn partitions(files: &[SourceFile]) -> Vec<Vec<(u32, &SourceFile)>> {
    let mut groups: Vec<Vec<(u32, &SourceFile)>> = Vec::new();
    let mut places: std::collections::BTreeMap<&[Option<String>], usize> = std::collections::BTreeMap::new();
    for (position, file) in files.iter().enumerate() {
        let place = *places.entry(file.partition.as_slice()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push((index(position), file));
    }
    groups
}

/// Whole partitions, put together up to the size of a batch and the number of rows that it can remember.
fn group(partitions: &[Vec<(u32, &SourceFile)>], files: &[SourceFile]) -> Vec<Batch> {
    let most = batch_bytes(files);
    let mut batches = Vec::new();
    let mut open = Building::default();
    for partition in partitions {
        let bytes: u64 = partition.iter().map(|(_, file)| file.bytes).sum();
        let rows: u64 = partition.iter().map(|(_, file)| self::rows(file)).sum();
        if open.bytes > 0 && (open.bytes + bytes > most || open.estimated + rows > MOST_REMEMBERED_ROWS) {
            batches.push(std::mem::take(&mut open).build());
        }
        for (position, file) in partition {
            open.add(BatchInput { file: *position, row_groups: None }, file.bytes, file.rows, self::rows(file));
        }
    }
    if !open.inputs.is_empty() {
        batches.push(open.build());
    }
    batches
}

/// Files one after the other; large ones are cut between row groups.
fn cut(files: &[SourceFile]) -> Vec<Batch> {
    let most = batch_bytes(files);
    let mut batches = Vec::new();
    let mut open = Building::default();
    for (position, file) in files.iter().enumerate() {
        for (input, bytes, rows) in pieces(index(position), file, most) {
            if open.bytes > 0 && open.bytes + bytes > most {
                batches.push(std::mem::take(&mut open).build());
            }
            open.add(input, bytes, rows, rows.unwrap_or(0));
        }
    }
    if !open.inputs.is_empty() {
        batches.push(open.build());
    }
    batches
}

fn pieces(position: u32, file: &SourceFile, most: u64) -> Vec<(BatchInput, u64, Option<u64>)> {
    let whole = |file: &SourceFile| vec![(BatchInput { file: position, row_groups: None }, file.bytes, file.rows)];
    let Some(all_rows) = file.rows.filter(|rows| *rows > 0 && file.bytes > most && file.row_groups.len() > 1) else {
        return whole(file);
    };
    let bytes_of = |rows: u64| {
        u64::try_from(u128::from(file.bytes) * u128::from(rows) / u128::from(all_rows)).unwrap_or(file.bytes)
    };
    let mut pieces = Vec::new();
    let (mut first, mut count, mut rows) = (0_u32, 0_u32, 0_u64);
    for group in &file.row_groups {
        if count > 0 && bytes_of(rows + group) > most {
            pieces.push((BatchInput { file: position, row_groups: Some((first, count)) }, bytes_of(rows), Some(rows)));
            (first, count, rows) = (first + count, 0, 0);
        }
        count += 1;
        rows += group;
    }
    pieces.push((BatchInput { file: position, row_groups: Some((first, count)) }, bytes_of(rows), Some(rows)));
    pieces
}

#[derive(Default)]
struct Building {
    inputs: Vec<BatchInput>,
    bytes: u64,
    estimated: u64,
    rows: Option<u64>,
    uncounted: bool,
}

impl Building {
    fn add(&mut self, input: BatchInput, bytes: u64, rows: Option<u64>, estimated: u64) {
        self.inputs.push(input);
        self.bytes += bytes;
        self.estimated += estimated;
        match rows {
            Some(rows) => *self.rows.get_or_insert(0) += rows,
            None => self.uncounted = true,
        }
    }

    fn build(self) -> Batch {
        let rows = if self.uncounted { None } else { self.rows };
        Batch { inputs: self.inputs, range: None, rows, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, partition: &str, bytes: u64, row_groups: &[u64]) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            bytes,
            modified_nanos: 1,
            version: "1".to_owned(),
            partition: vec![Some(partition.to_owned())],
            rows: Some(row_groups.iter().sum()),
            row_groups: row_groups.to_vec(),
        }
    }

    fn rule(rule: Rule) -> PlannedRule {
        PlannedRule { id: "clean[0]".to_owned(), rule }
    }

    #[test]
    fn files_of_one_partition_meet_in_one_batch_when_duplicates_are_dropped() {
        let mb = 1 << 20;
        let files: Vec<SourceFile> =
            (0..40).map(|n| file(&format!("f{n}"), &format!("p{}", n % 7), 9 * mb, &[1000])).collect();
        let (stages, note) = stages(&files, &[rule(Rule::DropExactDuplicates)]);
        assert_eq!((stages.len(), note), (1, None));
        let mut seen = std::collections::BTreeMap::new();
        for (number, batch) in stages[0].batches.iter().enumerate() {
            for input in &batch.inputs {
                let partition = files[input.file as usize].partition.clone();
                assert_eq!(*seen.entry(partition).or_insert(number), number);
            }
        }
        assert_eq!(stages[0].batches.iter().map(|batch| batch.inputs.len()).sum::<usize>(), 40);
        assert_eq!(stages[0].batches.len(), 7, "each partition has more bytes than a batch should");
    }

    #[test]
    fn a_large_file_is_cut_between_its_row_groups_and_no_group_is_lost() {
        let files = [file("big", "p", 1 << 30, &[100; 32])];
        let (stages, _) = stages(&files, &[]);
        let mut next = 0;
        for batch in &stages[0].batches {
            let (first, count) = batch.inputs[0].row_groups.unwrap();
            assert_eq!(first, next);
            next += count;
        }
        assert_eq!(next, 32);
        assert!(stages[0].batches.len() >= 16);
        assert_eq!(stages[0].batches.iter().map(|batch| batch.rows.unwrap()).sum::<u64>(), 3200);
    }

    #[test]
    fn keys_and_partitions_that_are_too_large_are_resolved_before_the_writing() {
        let small = [file("f", "p", 1000, &[10])];
        let keep = Rule::KeepOne { key: vec!["i".to_owned()], order: Vec::new() };
        assert_eq!(stages(&small, &[rule(keep)]).0.len(), 3);
        let large = [file("f", "p", 1 << 31, &[1 << 20; 20])];
        let (staged, note) = stages(&large, &[rule(Rule::DropExactDuplicates)]);
        assert_eq!(staged[0].kind, StageKind::Identify { ranges: 10 });
        assert_eq!(staged[1].batches.len(), 10);
        assert!(note.is_some());
        assert_eq!(stages(&large, &[]).0.len(), 1);
    }

    #[test]
    fn an_empty_source_has_no_batches() {
        for rules in [vec![], vec![rule(Rule::DropExactDuplicates)]] {
            let (stages, _) = stages(&[], &rules);
            assert!(stages.iter().all(|stage| stage.batches.is_empty()));
        }
    }
}
