//! What a worker may take of its machine. It sets its limits itself, before it reads what it was started for.
//!
//! In: numbers. Out: the process' own limits; what it holds. Holds: [`limit_of_batch`], [`LIMIT_OF_INSPECTION`].
//!
//! The limit is one of data (heap, private memory), not of addresses: threads and allocators reserve addresses that they never use.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory that a worker needs beside what batches plan with: buffers of readers and writers, whole pages and stripes, whose
/// sizes files choose.
const BESIDE_BATCHES_BYTES: u64 = 1 << 30;
/// A batch keeps to its working memory by estimates, which are wrong by less than this factor.
const ESTIMATES_ARE_WITHIN: u64 = 2;
/// Memory of an inspection: a million files with their footers' row groups are less.
pub(super) const LIMIT_OF_INSPECTION: u64 = 4 << 30;
/// How much sooner than the node a worker is chosen when the machine has no memory left (0 to 1000).
const OOM_SCORE: &str = "500";

/// Memory that the worker of a batch cannot go beyond.
pub(super) fn limit_of_batch(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(ESTIMATES_ARE_WITHIN).saturating_add(BESIDE_BATCHES_BYTES)
}

/// Settles what never changes: no core dumps, which would hold rows and credentials, and the first to go when memory is short.
pub(super) fn begin() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Systems without the file have other ways, and the worker runs there as well.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    Ok(())
}

/// Lets the process have `bytes` of data, or as many as its own starter allows.
pub(super) fn set_memory(bytes: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::Data).maximum;
    let current = maximum.map_or(bytes, |maximum| maximum.min(bytes));
    Ok(setrlimit(Resource::Data, Rlimit { current: Some(current), maximum })?)
}

/// Bytes of data that the process holds; 0 where the system does not tell.
pub(super) fn held_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib << 10)
}
