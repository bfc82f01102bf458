//! Documents that were damaged at random: whatever they have become, reading them ends with a policy or with errors.

use super::documented;
use crate::chance::Chance;
use crate::hash::canonical_json;
use crate::policy::parse;

const PIECES: [&str; 36] = [
    ":", ": ", "\n", "\n  ", "- ", "[", "]", "{", "}", "\"", "'", "|\n", ">", "&a ", "*a", "!!str ", "#", "\t", "~",
    "null", "true", "0x", "1e9", "---\n", "? ", ",", "é", "𝄞", "\u{0}", "\r", "%", "<<", "now()", "(", ")", "\u{feff}",
];

fn damage(text: &str, random: &mut Chance) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.place(4) {
        let at = random.place(chars.len());
        let end = (at + random.place(30)).min(chars.len());
        match random.place(6) {
            0 => {
                chars.drain(at..end);
            }
            1 => {
                let piece = PIECES[random.place(PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            2 => {
                let copy: Vec<char> = chars[at..end].to_vec();
                let to = random.place(chars.len());
                chars.splice(to..to, copy);
            }
            3 => chars.truncate(at),
            4 if at + 1 < chars.len() => chars.swap(at, at + 1),
            _ => {
                let piece = PIECES[random.place(PIECES.len())];
                chars.splice(at..end, piece.chars());
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn damaged_documents_give_a_policy_or_errors_and_never_panic() {
    let mut random = Chance(20_240_131);
    let json = canonical_json(&parse(documented()[1]).unwrap()).unwrap();
    let texts = [documented()[0], documented()[1], json.as_str()];
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..4_000 {
        let text = damage(texts[round % texts.len()], &mut random);
        match parse(&text) {
            Ok(policy) => {
                accepted += 1;
                let json = canonical_json(&policy).unwrap();
                assert_eq!(parse(&json).unwrap_or_else(|errors| panic!("{text}\nbecame {json}\n{errors:#?}")), policy);
            }
            Err(errors) => {
                refused += 1;
                assert!(!errors.is_empty());
                let lines = u32::try_from(text.lines().count()).unwrap();
                for error in errors {
                    assert!(error.line >= 1 && error.line <= lines + 1 && error.column >= 1, "{error} in\n{text}");
                }
            }
        }
    }
    assert!(
        accepted > 100 && refused > 1_000,
        "{accepted} accepted, {refused} refused: the damage is too large or too small"
    );
}
