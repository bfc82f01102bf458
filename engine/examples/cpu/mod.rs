//! What this process has cost so far.

use std::fs;

use anyhow::{Context, Result};

/// User and system time of this process, seconds.
pub(crate) fn seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("no command in /proc/self/stat")?.1.split_whitespace().collect();
    // Clock ticks are hundredths of a second on every Linux that Rust runs on.
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
