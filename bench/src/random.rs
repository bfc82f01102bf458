//! Numbers that look random and depend on nothing but their key.
//!
//! In:    a key of integers.
//! Out:   a short stream of numbers.
//! Holds: any row can be made without the rows before it, so a copy of a row is made from its number alone.
//! Not here: secrets; this is no cryptography.

/// SplitMix64: a counter and a mixer; passes the usual statistical tests, needs no table.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a key.
    pub(crate) fn of(key: &[u64]) -> Self {
        let state = key.iter().fold(0x5eed, |state, part| mix(state ^ mix(part.wrapping_add(1))));
        Self { state }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below the bound (the bias of the multiplication is far below what data of any size shows).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 up to but not including 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below the bound, the small ones far more often: how often people and titles occur.
    pub(crate) fn skewed(&mut self, bound: u64) -> u64 {
        let unit = self.unit();
        ((unit * unit * unit) * bound as f64) as u64
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_numbers_and_a_near_key_others() {
        let take = |key: &[u64]| -> Vec<u64> { (0..4).scan(Random::of(key), |r, _| Some(r.next())).collect() };
        assert_eq!(take(&[1, 2, 3]), take(&[1, 2, 3]));
        assert_ne!(take(&[1, 2, 3]), take(&[1, 2, 4]));
        assert_ne!(take(&[1, 2]), take(&[2, 1]));
    }

    #[test]
    fn bounds_are_kept() {
        let mut random = Random::of(&[7]);
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!(random.skewed(10) < 10);
            assert!((0.0..1.0).contains(&random.unit()));
        }
    }
}
