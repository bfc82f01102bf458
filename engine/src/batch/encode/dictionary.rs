//! Dictionaries: each distinct value of a column chunk once, and which of them a row has.
//!
//! In: values. Out: indexes, the dictionary page's bytes. Holds: open-addressing tables of keys. A key is the value itself
//! where it has up to sixteen bytes; longer ones are compared with the page's bytes.
//!
//! These tables are for speed only and never for judgement: a wrong index would show in the read-back.

use xxhash_rust::xxh3::xxh3_128;

/// Slots of a new table; tables double when they are half full.
const FIRST_SLOTS: usize = 1024;
/// An odd number without pattern (2^64 divided by the golden ratio): spreads keys that count up.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Bytes of a value that its key holds.
const KEY_BYTES: usize = 16;
/// No entry.
const EMPTY: u32 = u32::MAX;
/// Values that are looked up together. Their slots are fetched before any of them is compared: a comparison that is
/// guessed wrong would throw away fetches that others have begun, and large tables do not lie in the nearest cache.
const TOGETHER: usize = 32;

/// The slot of a key in a table of `1 << (64 - shift)` slots, for the key's `hash`.
fn slot_of(hash: u64, shift: u32) -> usize {
    (hash.wrapping_mul(SPREAD) >> shift) as usize
}

fn fold(word: u64) -> u64 {
    word ^ (word >> 32)
}

/// Distinct words of four or eight bytes.
#[derive(Debug)]
pub(super) struct Words {
    slots: Vec<u32>,
    shift: u32,
    words: Vec<u64>,
}

impl Words {
    pub(super) fn new() -> Self {
        Self { slots: vec![EMPTY; FIRST_SLOTS], shift: 64 - FIRST_SLOTS.ilog2(), words: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The words, in the order of their indexes.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Appends the indexes of `values` to `out`.
    pub(super) fn extend<W: Copy + Into<u64>>(&mut self, values: &[W], out: &mut Vec<u32>) {
        out.reserve(values.len());
        let mut found = [EMPTY; TOGETHER];
        let mut there = [0; TOGETHER];
        for values in values.chunks(TOGETHER) {
            let mask = self.slots.len() - 1;
            for (found, value) in found.iter_mut().zip(values) {
                *found = self.slots[slot_of(fold((*value).into()), self.shift) & mask];
            }
            for (there, found) in there.iter_mut().zip(&found[..values.len()]) {
                *there = self.words.get(*found as usize).copied().unwrap_or(0);
            }
            for ((value, found), there) in values.iter().zip(found).zip(there) {
                let value = (*value).into();
                // Entries stay where they are, so what was found before an insertion is right after it.
                let hit = there == value && found != EMPTY;
                out.push(if hit { found } else { self.index(value) });
            }
        }
    }

    /// The index of `word`, which is new or was there.
    fn index(&mut self, word: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(fold(word), self.shift);
        loop {
            let index = self.slots[slot & mask];
            if index == EMPTY {
                return self.insert(slot & mask, word);
            }
            if self.words[index as usize] == word {
                return index;
            }
            slot = slot.wrapping_add(1);
        }
    }

    fn insert(&mut self, slot: usize, word: u64) -> u32 {
        let index = u32::try_from(self.words.len()).expect("dictionaries are given up long before");
        self.slots[slot] = index;
        self.words.push(word);
        if self.words.len() * 2 > self.slots.len() {
            self.shift -= 1;
            let words = &self.words;
            self.slots = rehashed(self.slots.len() * 2, words.iter().map(|word| slot_of(fold(*word), self.shift)));
        }
        index
    }
}

/// Distinct texts or binaries.
#[derive(Debug)]
pub(super) struct Texts {
    slots: Vec<u32>,
    shift: u32,
    keys: Vec<Key>,
    /// The dictionary page: each value behind its length.
    page: Vec<u8>,
}

/// Equal for equal values; for values of up to [`KEY_BYTES`], for these only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Key {
    first: u64,
    last: u64,
    length: u32,
    /// Where the value begins in the page; zero in keys that are looked for.
    start: u32,
}

impl Key {
    #[inline]
    fn of(value: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(value[at..at + 8].try_into().expect("eight bytes"));
        let half = |at: usize| u64::from(u32::from_le_bytes(value[at..at + 4].try_into().expect("four bytes")));
        let length = value.len();
        let (first, last) = match length {
            0 => (0, 0),
            1..4 => (u64::from(value[0]), u64::from(value[length / 2]) << 8 | u64::from(value[length - 1])),
            4..8 => (half(0), half(length - 4)),
            8..=KEY_BYTES => (word(0), word(length - 8)),
            _ => {
                let hash = xxh3_128(value);
                (hash as u64, (hash >> 64) as u64)
            }
        };
        Self { first, last, length: u32::try_from(length).expect("Arrow's texts have 32-bit offsets"), start: 0 }
    }

    #[inline]
    fn hash(&self) -> u64 {
        let mixed = (self.first ^ u64::from(self.length)).wrapping_mul(SPREAD);
        fold(mixed ^ self.last.rotate_left(29))
    }

    #[inline]
    fn matches(&self, other: &Self) -> bool {
        self.first == other.first && self.last == other.last && self.length == other.length
    }
}

impl Texts {
    pub(super) fn new() -> Self {
        let shift = 64 - FIRST_SLOTS.ilog2();
        Self { slots: vec![EMPTY; FIRST_SLOTS], shift, keys: Vec::new(), page: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The dictionary page.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    /// The values, in the order of their indexes.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| self.value(key))
    }

    fn value(&self, key: &Key) -> &[u8] {
        &self.page[key.start as usize..][..key.length as usize]
    }

    /// Appends the indexes of the values between `offsets` of `data` to `out`.
    pub(super) fn extend(&mut self, offsets: &[i32], data: &[u8], out: &mut Vec<u32>) {
        let rows = offsets.len().saturating_sub(1);
        out.reserve(rows);
        let value = |row: usize| &data[offsets[row] as usize..offsets[row + 1] as usize];
        let mut keys = [Key::default(); TOGETHER];
        let mut found = [EMPTY; TOGETHER];
        let mut hits = [false; TOGETHER];
        for from in (0..rows).step_by(TOGETHER) {
            let count = TOGETHER.min(rows - from);
            let mask = self.slots.len() - 1;
            for (at, (key, found)) in keys.iter_mut().zip(&mut found).take(count).enumerate() {
                *key = Key::of(value(from + at));
                *found = self.slots[slot_of(key.hash(), self.shift) & mask];
            }
            for ((hit, key), found) in hits.iter_mut().zip(&keys).zip(&found).take(count) {
                *hit = self.keys.get(*found as usize).is_some_and(|there| there.matches(key));
            }
            for at in 0..count {
                let value = value(from + at);
                let hit = hits[at] && (value.len() <= KEY_BYTES || self.value(&self.keys[found[at] as usize]) == value);
                out.push(if hit { found[at] } else { self.index(keys[at], value) });
            }
        }
    }

    /// The index of `value`, which is new or was there.
    fn index(&mut self, key: Key, value: &[u8]) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(key.hash(), self.shift);
        loop {
            let index = self.slots[slot & mask];
            if index == EMPTY {
                return self.insert(slot & mask, key, value);
            }
            let there = &self.keys[index as usize];
            if there.matches(&key) && (value.len() <= KEY_BYTES || self.value(there) == value) {
                return index;
            }
            slot = slot.wrapping_add(1);
        }
    }

    fn insert(&mut self, slot: usize, key: Key, value: &[u8]) -> u32 {
        let index = u32::try_from(self.keys.len()).expect("dictionaries are given up long before");
        self.page.extend_from_slice(&key.length.to_le_bytes());
        let start = u32::try_from(self.page.len()).expect("a page is closed long before");
        self.page.extend_from_slice(value);
        self.slots[slot] = index;
        self.keys.push(Key { start, ..key });
        if self.keys.len() * 2 > self.slots.len() {
            self.shift -= 1;
            let keys = &self.keys;
            self.slots = rehashed(self.slots.len() * 2, keys.iter().map(|key| slot_of(key.hash(), self.shift)));
        }
        index
    }
}

/// A table of `size` slots with entries that want to stand at `wanted`.
fn rehashed(size: usize, wanted: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut slots = vec![EMPTY; size];
    let mask = size - 1;
    for (index, mut slot) in (0_u32..).zip(wanted) {
        while slots[slot & mask] != EMPTY {
            slot = slot.wrapping_add(1);
        }
        slots[slot & mask] = index;
    }
    slots
}

/// Distinct values to be expected among `rows`, when `seen` rows of the same kind had `distinct`: solves
/// `distinct = k (1 - e^(-seen / k))` for a number `k` of equally frequent values. Values of uneven frequency have more.
pub(super) fn expected_distinct(distinct: usize, seen: usize, rows: usize) -> usize {
    if distinct >= seen {
        return rows;
    }
    let among = |k: f64, n: usize| k * (1.0 - (-(n as f64) / k).exp());
    let (mut low, mut high) = (distinct as f64, distinct as f64);
    // The bound is for distinct counts next to `seen`, where `k` goes to infinity.
    while among(high, seen) < distinct as f64 && high < 1e12 {
        high *= 2.0;
    }
    // Enough halvings for any factor of two that the loop above can have left.
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if among(middle, seen) < distinct as f64 { low = middle } else { high = middle }
    }
    among(high, rows).min(rows as f64) as usize
}
