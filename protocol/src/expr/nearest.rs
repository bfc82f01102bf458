//! "Did you mean": the known word that is closest to an unknown one.

/// Words longer than this are never compared: the work grows with the product of the lengths.
const MAX_WORD_CHARS: usize = 64;

/// The closest of `known` to `word`, if it is close enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    if word.chars().count() > MAX_WORD_CHARS {
        return None;
    }
    let wanted = plain(word);
    let best =
        known.into_iter().map(|candidate| (distance(&wanted, &plain(candidate)), candidate)).min_by_key(|(d, _)| *d);
    let allowed = if wanted.len() <= 3 { 1 } else { 1 + wanted.len() / 4 };
    best.filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, remove, replace, swap neighbours) between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != y);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["include", "exclude", "connection", "maxParallel", "add"];
        assert_eq!(nearest("inculde", known), Some("include"));
        assert_eq!(nearest("max_parallel", known), Some("maxParallel"));
        assert_eq!(nearest("Connection", known), Some("connection"));
        assert_eq!(nearest("after", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
