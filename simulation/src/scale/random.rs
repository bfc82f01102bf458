//! Randomness that depends on what it is for and on nothing else: no generator is passed round, so that the order in which
//! things are asked for does not matter.

/// A number for `what`, spread over all 64 bits (SplitMix64's last step over the words, one after the other).
pub(super) fn mixed(words: &[u64]) -> u64 {
    words.iter().fold(0x5157_11ab_90c3_6d2f, |hash: u64, word| step(hash ^ word))
}

fn step(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Between 0 and 1, without 1.
pub(super) fn share(words: &[u64]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (mixed(words) >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

/// Of a normal distribution with mean 0 and deviation 1, to about three deviations: the sum of twelve.
pub(super) fn normal(words: &[u64]) -> f64 {
    let first = mixed(words);
    (0..12_u64).map(|number| share(&[first, number])).sum::<f64>() - 6.0
}

/// `number` up to so many percent more or less.
pub(super) fn about(number: u64, percent: u64, words: &[u64]) -> u64 {
    let spread = 2 * percent + 1;
    number * (100 - percent + mixed(words) % spread) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_as_they_say() {
        let all: Vec<f64> = (0..10_000).map(|n| normal(&[7, n])).collect();
        let mean = all.iter().sum::<f64>() / 10_000.0;
        let deviation = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 10_000.0).sqrt();
        assert!(mean.abs() < 0.05 && (deviation - 1.0).abs() < 0.05, "{mean} {deviation}");
        assert!((0..1_000).all(|n| (80..=120).contains(&about(100, 20, &[n]))));
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
    }
}
