//! A table that no batch's memory holds, by a real node: what its processes take, and what comes out.
//!
//! `SKEIN_LARGE_ROWS` makes the table larger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use skein_tests::{Node, Options, World, contents, policy};

/// The least that a node may be given.
const MEMORY_MIB: u64 = 16;
/// Rows of the table; each has a text that does not shrink.
const ROWS: u64 = 4_800_000;
const FILES: u64 = 8;
/// Different keys.
const KEYS: u64 = 1_500_000;
/// What a process of the node takes beside the memory of its batches: programs, buffers of the files that it reads and writes.
const BESIDE_MIB: u64 = 96;

/// Keeps the peaks of the resident memory of a node and of the processes that it started, by process id, in KiB.
fn look(node: &Node, peaks: &mut BTreeMap<i32, u64>) {
    let own = i32::try_from(node.pid()).expect("it has an id");
    for pid in node.workers().into_iter().chain([own]) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
        let known = peaks.entry(pid).or_default();
        *known = peak.unwrap_or(0).max(*known);
    }
}

/// Peaks while `work` runs.
fn watched(node: &Node, work: impl FnOnce()) -> BTreeMap<i32, u64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peaks = BTreeMap::new();
            while !over.load(Ordering::Relaxed) {
                look(node, &mut peaks);
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
            peaks
        });
        work();
        over.store(true, Ordering::Relaxed);
        watch.join().expect("it only looks")
    })
}

#[test]
fn a_table_of_ten_times_the_memory_is_deduplicated_on_a_key_within_it() {
    let rows = std::env::var("SKEIN_LARGE_ROWS").map_or(ROWS, |text| text.parse().expect("it is a number"));
    let each = rows / FILES;
    let files: Vec<(String, String)> = (0..FILES)
        .map(|file| {
            let (first, end) = (file * each, (file + 1) * each);
            let sql = format!(
                "SELECT (i * 7919) % {KEYS} AS id, i % 1000 AS version, md5(i::VARCHAR) AS title, i AS row FROM range({first}, {end}) t(i)"
            );
            (format!("music.db/large/part-{file}"), sql)
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, sql)| (path.as_str(), sql.as_str())).collect();
    let world = World::with(&files);
    let source: u64 = contents(&world.warehouse()).values().map(|bytes| bytes.len() as u64).sum();
    assert!(source >= 10 * (MEMORY_MIB << 20), "the table has {source} bytes");

    let options = Options { slots: Some(1), batch_memory_mib: Some(MEMORY_MIB), ..Options::default() };
    let node = world.start_with(&options);
    let rules = "clean: [{ keepOne: { key: [id], orderBy: [{ column: version, direction: desc }, { column: row }] } }]";
    let peaks = watched(&node, || node.cli.migrate(&policy("music", "music.large", rules)));
    node.cli.expect("music.large", "committed", "");
    let most = peaks.values().max().copied().unwrap_or_default() >> 10;
    println!("{source} bytes in the source, {MEMORY_MIB} MiB a batch; peaks of the node's processes, KiB: {peaks:?}");
    assert!(peaks.len() > 1, "the node and its workers were looked at: {peaks:?}");
    assert!(most <= MEMORY_MIB + BESIDE_MIB, "a process took {most} MiB: {peaks:?}");
    let kept = "SELECT * FROM source QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC, row) = 1";
    world.agrees(&["music.large"], &["--sql", kept]);
}
