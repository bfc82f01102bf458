//! Changes files as disks, networks and mischief would: the same for the same seed.
//!
//! In: a file's bytes, a seed. Out: other bytes.

/// Bytes at a file's ends where footers, headers and lengths lie.
const END_BYTES: usize = 512;
/// Longest range that is moved, doubled or taken out.
const MAX_RANGE_BYTES: usize = 512;
/// Numbers that lengths and counts become: the ends of what they may hold, also in zigzag form.
const HUGE: [u64; 10] = [
    u64::MAX,
    u64::MAX - 1,
    i64::MAX as u64,
    u32::MAX as u64,
    u32::MAX as u64 - 1,
    i32::MAX as u64,
    1 << 31,
    57 << 40,
    0xffff,
    0x0fff_ffff,
];

/// Numbers without pattern.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 1).expect("63 bits") % end.max(1)
    }

    /// A place in `bytes` bytes, every other time near an end.
    fn place(&mut self, bytes: usize) -> usize {
        match self.below(4) {
            0 => bytes - 1 - self.below(bytes.min(END_BYTES)),
            1 => self.below(bytes.min(END_BYTES)),
            _ => self.below(bytes),
        }
    }

    fn range(&mut self, bytes: usize) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        start..(start + 1 + self.below(MAX_RANGE_BYTES)).min(bytes)
    }
}

/// A changed form of `whole`.
pub(crate) fn mutated(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    // Mostly one change, and mostly a small one: what is broken in many places is refused at the first.
    for _ in 0..1 + random.below(4) / 2 {
        change(&mut bytes, random);
        if bytes.is_empty() {
            // Listings leave out files without a byte.
            bytes.push(0);
        }
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let length = bytes.len();
    match random.below(8) {
        0 | 1 => {
            for _ in 0..=random.below(3) {
                let bit = random.below(8);
                bytes[random.place(length)] ^= 1 << bit;
            }
        }
        2 => {
            let at = random.place(length);
            bytes[at] = u8::try_from(random.below(256)).expect("a byte");
        }
        3 => bytes.truncate(random.place(length)),
        // A range in the place of another.
        4 => {
            let (from, to) = (random.range(length), random.place(length));
            let end = (to + from.len()).min(length);
            bytes.copy_within(from.start..from.start + (end - to), to);
        }
        5 => {
            let range = random.range(length);
            bytes.drain(range);
        }
        6 => {
            let (range, at) = (random.range(length), random.place(length));
            let doubled = bytes[range].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => length_field(bytes, random),
    }
}

/// Makes something a huge number, in one of the forms that formats have for numbers.
fn length_field(bytes: &mut Vec<u8>, random: &mut Random) {
    let number = HUGE[random.below(HUGE.len())];
    let at = random.place(bytes.len());
    let form: Vec<u8> = match random.below(6) {
        0 => number.to_le_bytes()[..4].to_vec(),
        1 => number.to_be_bytes()[4..].to_vec(),
        2 => number.to_le_bytes().to_vec(),
        3 => number.to_string().into_bytes(),
        _ => varint(number),
    };
    let end = match random.below(2) {
        0 => at,
        _ => (at + form.len()).min(bytes.len()),
    };
    bytes.splice(at..end, form);
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).expect("seven bits"));
    out
}

#[test]
fn the_same_seed_changes_the_same_bytes_and_another_seed_others() {
    let whole: Vec<u8> = (0..=255).cycle().take(4_000).collect();
    let of = |seed| mutated(&whole, &mut Random::new(seed));
    assert!((0..200).all(|seed| of(seed) == of(seed)));
    let different: std::collections::BTreeSet<Vec<u8>> = (0..200).map(of).collect();
    assert!(different.len() > 190, "{}", different.len());
    assert!(!different.contains(&whole));
}
