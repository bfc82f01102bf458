//! XXH64 as Spark applies it to single values, with the previous hash as the seed.
//!
//! Four and eight bytes are written out, and texts below 32 bytes too: they are nearly all that tables hold,
//! and a call for each value costs more than the arithmetic. The rest goes to the library.

use std::hint::select_unpredictable;

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// Inputs from this length on are hashed in four lanes.
pub(super) const WINDOW: usize = 32;

/// XXH64 of the four bytes of `value`, little-endian.
#[inline(always)]
pub(super) fn of_int(value: i32, seed: u64) -> u64 {
    let hash = seed.wrapping_add(PRIME_5).wrapping_add(4);
    avalanche(four_bytes(hash, value.cast_unsigned()))
}

/// XXH64 of the eight bytes of `value`, little-endian.
#[inline(always)]
pub(super) fn of_long(value: i64, seed: u64) -> u64 {
    let hash = seed.wrapping_add(PRIME_5).wrapping_add(8);
    avalanche(eight_bytes(hash, value.cast_unsigned()))
}

/// XXH64 of `bytes`.
#[inline]
pub(super) fn of_bytes(bytes: &[u8], seed: u64) -> u64 {
    if bytes.len() >= WINDOW {
        return xxhash_rust::xxh64::xxh64(bytes, seed);
    }
    let mut window = [0; WINDOW];
    window[..bytes.len()].copy_from_slice(bytes);
    of_words(words(&window), bytes.len(), seed)
}

/// The bytes of `window` as little-endian words.
#[inline(always)]
pub(super) fn words(window: &[u8; WINDOW]) -> [u64; WINDOW / 8] {
    let (words, _) = window.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// XXH64 of the first `length` bytes of `words`, fewer than all; what follows them has no influence.
///
/// Behind the whole words, steps that a length does not need are computed and thrown away: how many of the last seven
/// bytes there are is chance, and mispredicted branches cost more than these steps.
#[inline(always)]
pub(super) fn of_words<const N: usize>(words: [u64; N], length: usize, seed: u64) -> u64 {
    const { assert!(N <= WINDOW / 8, "longer inputs are hashed in lanes") };
    debug_assert!(length < 8 * N, "the length lies within the words");
    let mut hash = seed.wrapping_add(PRIME_5).wrapping_add(length as u64);
    let mut rest = words[0];
    for i in 0..N - 1 {
        if length < 8 * (i + 1) {
            break;
        }
        hash = eight_bytes(hash, words[i]);
        rest = words[i + 1];
    }
    let half = length & 4 != 0;
    hash = select_unpredictable(half, four_bytes(hash, rest as u32), hash);
    rest = select_unpredictable(half, rest >> 32, rest);
    for i in 0..3 {
        let byte = (hash ^ (rest & 0xFF).wrapping_mul(PRIME_5)).rotate_left(11).wrapping_mul(PRIME_1);
        hash = select_unpredictable(length & 3 > i, byte, hash);
        rest >>= 8;
    }
    avalanche(hash)
}

#[inline(always)]
fn four_bytes(hash: u64, half: u32) -> u64 {
    (hash ^ u64::from(half).wrapping_mul(PRIME_1)).rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3)
}

#[inline(always)]
fn eight_bytes(hash: u64, word: u64) -> u64 {
    let lane = word.wrapping_mul(PRIME_2).rotate_left(31).wrapping_mul(PRIME_1);
    (hash ^ lane).rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

#[inline(always)]
fn avalanche(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(PRIME_2);
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_equals_the_library() {
        let bytes: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(37)).collect();
        for seed in [0, 42, u64::MAX] {
            for end in 0..bytes.len() {
                let expected = xxhash_rust::xxh64::xxh64(&bytes[..end], seed);
                assert_eq!(of_bytes(&bytes[..end], seed), expected, "{end}");
                if end < WINDOW {
                    assert_eq!(of_words(words(bytes.first_chunk().unwrap()), end, seed), expected, "{end}");
                }
            }
            for value in [0, 1, -1, i32::MIN, i32::MAX] {
                assert_eq!(of_int(value, seed), xxhash_rust::xxh64::xxh64(&value.to_le_bytes(), seed));
                let value = i64::from(value) << 32;
                assert_eq!(of_long(value, seed), xxhash_rust::xxh64::xxh64(&value.to_le_bytes(), seed));
            }
        }
    }
}
