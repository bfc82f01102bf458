//! Parquet's hybrid of run lengths and bit-packing, which levels and dictionary indexes are written in.
//!
//! In: bitmaps, indexes. Out: bytes. Not here: where they stand in a page (`chunk`).

/// Values of a group: bit-packed runs are whole groups.
const GROUP: usize = 8;
/// Groups of one value from which a run length is shorter than packing, headers included.
const MIN_RUN_GROUPS: usize = 2;

/// Levels of `rows` values that are all there, or of which `validity` (a bit each, lowest first) says which are.
pub(super) fn put_levels(out: &mut Vec<u8>, rows: usize, validity: Option<&[u8]>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    match validity {
        None => {
            put_varint(out, rows << 1);
            out.push(1);
        }
        Some(bits) => {
            let bytes = rows.div_ceil(GROUP);
            put_varint(out, (bytes << 1) | 1);
            out.extend_from_slice(&bits[..bytes]);
        }
    }
    let length = u32::try_from(out.len() - at - 4).expect("a page's levels are fewer than its bytes");
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Bits that indexes into `values` values need; one at least, because some readers stumble over none.
pub(super) fn width(values: usize) -> u8 {
    let bits = usize::BITS - values.saturating_sub(1).leading_zeros();
    u8::try_from(bits.max(1)).expect("a usize has at most 64 bits")
}

/// `indexes`, each below 2^`width`, as runs.
pub(super) fn put_indexes(out: &mut Vec<u8>, indexes: &[u32], width: u8) {
    let groups = indexes.chunks_exact(GROUP);
    let rest = groups.remainder();
    let whole = indexes.len() - rest.len();
    // The group at which what is not written yet begins.
    let (mut begin, mut at) = (0, 0);
    while at < whole {
        let value = indexes[at];
        if indexes[at..at + GROUP].iter().any(|index| *index != value) {
            at += GROUP;
            continue;
        }
        let end = run_end(indexes, at, whole);
        if end - at >= MIN_RUN_GROUPS * GROUP {
            pack(out, &indexes[begin..at], width);
            put_varint(out, (end - at) << 1);
            let bytes = usize::from(width).div_ceil(8);
            out.extend_from_slice(&value.to_le_bytes()[..bytes]);
            begin = end;
        }
        at = end;
    }
    pack(out, &indexes[begin..], width);
}

/// Where the groups that repeat the value at `at` end.
fn run_end(indexes: &[u32], at: usize, whole: usize) -> usize {
    let value = indexes[at];
    let mut end = at + GROUP;
    while end < whole && indexes[end..end + GROUP].iter().all(|index| *index == value) {
        end += GROUP;
    }
    end
}

/// One bit-packed run; the last group is filled up with zeros.
fn pack(out: &mut Vec<u8>, indexes: &[u32], width: u8) {
    if indexes.is_empty() {
        return;
    }
    let groups = indexes.len().div_ceil(GROUP);
    put_varint(out, (groups << 1) | 1);
    let end = out.len() + groups * usize::from(width);
    out.reserve(groups * usize::from(width) + size_of::<u32>());
    let (mut waiting, mut bits) = (0_u64, 0_u32);
    for index in indexes {
        waiting |= u64::from(*index) << bits;
        bits += u32::from(width);
        if bits >= 32 {
            out.extend_from_slice(&(waiting as u32).to_le_bytes());
            waiting >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&waiting.to_le_bytes());
    out.resize(end, 0);
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
