//! Numbers that look random and are the same in each run, for tests.
//!
//! In: a seed. Out: numbers. Holds: [`Chance`]. Not here: entropy, which a node is given.

/// How far apart the states of the generator are.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads consecutive numbers over all 64 bits. Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A generator; it is made of its seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        let next = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        next
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A place in a list of so many; 0 if it is empty.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).expect("it is below a length")
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.place(items.len())]
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}
