//! Which datasets a policy is about.
//!
//! Holds: [`Source`], [`Glob`]. Not here: listing a connection's datasets (`data_plane`).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{BadText, Decode, Decoder};
use super::error::PolicyCode;
use super::tree::Node;
use super::values::as_text;
use crate::ids::{ConnectionName, TableName};

/// Longest pattern: two names of Hive's metastore and the dot.
pub const MAX_GLOB_CHARS: usize = 513;

/// Where the data comes from, and which datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Name of a connection in the nodes' configuration.
    #[schemars(with = "String", regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub connection: ConnectionName,
    /// Datasets to migrate: those that match at least one of these patterns.
    #[schemars(length(min = 1))]
    pub include: Vec<Glob>,
    /// Datasets to leave out, whatever `include` says.
    #[serde(default)]
    pub exclude: Vec<Glob>,
}

impl Source {
    /// True when `dataset` is selected.
    #[must_use]
    pub fn selects(&self, dataset: &TableName) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(dataset));
        any(&self.include) && !any(&self.exclude)
    }
}

/// A pattern over `database.table`: `*` stands for any characters but the dot, `?` for one. Case is ignored, as Hive does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    database: Vec<char>,
    table: Vec<char>,
}

impl Glob {
    /// True when `dataset` has this form.
    #[must_use]
    pub fn matches(&self, dataset: &TableName) -> bool {
        wildcard(&self.database, &dataset.database) && wildcard(&self.table, &dataset.table)
    }

    /// True when it can match one name only.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// True when everything that `other` matches is certainly matched by this one too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let part = |own: &[char], others: &[char]| own == ['*'] || own == others;
        part(&self.database, &other.database) && part(&self.table, &other.table)
    }

    /// True for what stands in for a pattern that could not be read.
    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }
}

/// Linear in practice: after a mismatch only the last `*` takes one character more.
fn wildcard(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl FromStr for Glob {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > MAX_GLOB_CHARS {
            return Err(BadText::new(format!("a pattern has at most {MAX_GLOB_CHARS} characters")));
        }
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control() || "[]{}!\\,\"'/".contains(*c)) {
            let bad = BadText::new(format!("{c:?} is not allowed in a pattern; `*` and `?` are all there is"));
            return Err(if c == '{' || c == ',' { bad.hint("write an item of the list for each") } else { bad });
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [database, table] = parts.as_slice() else {
            let bad = BadText::new(format!("{text:?} is no pattern over `database.table`: one dot is expected"));
            return Err(match parts.as_slice() {
                ["*" | "**"] => bad.hint("for everything: \"*.*\""),
                [name] if !name.is_empty() => {
                    bad.hint(format!("for a whole database: \"{name}.*\"; for a table in any: \"*.{name}\""))
                }
                _ => bad,
            });
        };
        if database.is_empty() || table.is_empty() {
            return Err(BadText::new(format!("{text:?} lacks a part: a pattern is `database.table`")));
        }
        let lower = |part: &str| {
            // Several stars in a row mean the same as one.
            let mut chars: Vec<char> = part.chars().flat_map(char::to_lowercase).collect();
            chars.dedup_by(|a, b| *a == '*' && *b == '*');
            chars
        };
        Ok(Self { text: text.to_owned(), database: lower(database), table: lower(table) })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

as_text!(Glob, {
    "type": "string",
    "pattern": "^[^.]+\\.[^.]+$",
    "description": "A pattern over `database.table`: `*` stands for any characters but the dot, `?` for one. Case is ignored.",
    "examples": ["playlists.*", "*.tmp_*"]
});

impl Decode for Glob {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.parse(node, PolicyCode::PolicyBadGlob, str::parse).unwrap_or_else(Self::blank)
    }

    fn blank() -> Self {
        Self { text: String::new(), database: Vec::new(), table: Vec::new() }
    }
}

impl Decode for Source {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            connection: fields.required("connection"),
            include: fields.some("include"),
            exclude: fields.set("exclude").unwrap_or_default(),
        })
    }

    fn blank() -> Self {
        Self { connection: ConnectionName::blank(), include: Vec::new(), exclude: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, name, expected) in [
            ("playlists.*", "playlists.a", true),
            ("playlists.*", "playlists2.a", false),
            ("Playlists.*", "playlists.A", true),
            ("*.tmp_*", "a.tmp_", true),
            ("*.tmp_*", "a.xtmp_1", false),
            ("*.*", "a.b", true),
            ("**.a?c", "x.abc", true),
            ("*.a?c", "x.ac", false),
            ("*.*a*b*c", "x.aaabbbc", true),
            ("*.*a*b*c", "x.aaabbb", false),
            ("a.b", "a.b", true),
            ("a.b", "a.bb", false),
        ] {
            let glob: Glob = pattern.parse().unwrap();
            assert_eq!(glob.matches(&name.parse().unwrap()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let glob: Glob = format!("*.{}b", "*a".repeat(250)).parse().unwrap();
        assert!(!glob.matches(&TableName::new("x", "a".repeat(5_000))));
    }

    #[test]
    fn exclusion_wins() {
        let source = Source {
            connection: "legacy".into(),
            include: vec!["a.*".parse().unwrap(), "b.keep".parse().unwrap()],
            exclude: vec!["*.tmp_*".parse().unwrap()],
        };
        let selected = |name: &str| source.selects(&name.parse().unwrap());
        assert!(selected("a.x") && selected("b.keep"));
        assert!(!selected("a.tmp_x") && !selected("b.other"));
    }
}
