//! The trait for randomness.

use std::fmt::Debug;

/// A source of random bytes that nobody can predict (in production) or that a seed repeats (elsewhere).
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Fills `bytes` completely.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy {
    /// A random number, each of the 64 bits being fair.
    #[must_use]
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
