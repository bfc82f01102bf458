//! What this process takes: memory and processor time, as the kernel counts them.

use std::fs;

/// Bytes of a page of memory.
const PAGE_BYTES: u64 = 4096;
/// Ticks of a second in which the kernel counts processor time.
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory, bytes; 0 where the kernel does not say.
pub(super) fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}

/// Processor time of this process so far, milliseconds; 0 where the kernel does not say.
pub(super) fn cpu_millis() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in brackets, with whatever is in it.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 1000 / TICKS_PER_SECOND
}
