//! A single YAML value: its text, what it is taken for, and where each of its characters stands in the document.
//!
//! YAML 1.2's core schema: `true`, `null` and `1` are what they look like, `yes` and `on` are texts.

use saphyr_parser::{ScalarStyle, Span};

use super::tree::Position;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

impl Style {
    pub(super) fn of(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted => Self::SingleQuoted,
            ScalarStyle::DoubleQuoted => Self::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Self::Block,
        }
    }
}

/// What a value is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Null,
    Boolean(bool),
    /// A whole number; its value if it fits.
    Integer(Option<i64>),
    /// A number with a fraction or an exponent.
    Fraction,
    Text,
}

impl Meaning {
    /// In words.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) | Self::Fraction => "a number",
            Self::Text => "a text",
        }
    }
}

/// A single value.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    text: String,
    style: Style,
    meaning: Meaning,
    span: Span,
}

impl Scalar {
    pub(super) fn new(text: String, style: Style, as_text: bool, span: Span) -> Self {
        let meaning = if style == Style::Plain && !as_text { meaning(&text) } else { Meaning::Text };
        Self { text, style, meaning, span }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// Where the character at `line` and `column` (both from 1) of the value stands in `document`: exact for all
    /// styles of quoting and folding.
    pub(super) fn position_of(&self, document: &str, line: u32, column: u32) -> Position {
        let mut wanted = 0_usize;
        let (mut at_line, mut at_column) = (1, 1);
        for c in self.text.chars() {
            if (at_line, at_column) >= (line, column) {
                break;
            }
            wanted += 1;
            (at_line, at_column) = if c == '\n' { (at_line + 1, 1) } else { (at_line, at_column + 1) };
        }
        let (start, end) = (self.span.start.index(), self.span.end.index());
        let raw: Vec<char> = document.chars().skip(start).take(end.saturating_sub(start)).collect();
        let offset = self.raw_offset(&raw, wanted);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut position = Position { line: number(self.span.start.line()), column: number(self.span.start.col()) + 1 };
        for c in &raw[..offset.min(raw.len())] {
            match c {
                '\n' => position = Position { line: position.line + 1, column: 1 },
                _ => position.column += 1,
            }
        }
        position
    }

    /// The index in the raw text of the value's character number `wanted`.
    fn raw_offset(&self, raw: &[char], wanted: usize) -> usize {
        let quoted = matches!(self.style, Style::SingleQuoted | Style::DoubleQuoted);
        let mut index = usize::from(quoted);
        let mut value = self.text.chars().enumerate().peekable();
        while let Some((number, c)) = value.peek().copied() {
            let Some(found) = raw.get(index).copied() else { break };
            if self.style == Style::DoubleQuoted && found == '\\' {
                if number >= wanted {
                    break;
                }
                match raw.get(index + 1) {
                    // An escaped line end: nothing of the value.
                    Some('\n' | '\r') => index += 2,
                    Some(kind) => {
                        index += 2 + escape_digits(*kind);
                        value.next();
                    }
                    None => break,
                }
            } else if found == c {
                if number >= wanted {
                    break;
                }
                index += 1;
                value.next();
            } else if found.is_whitespace() || (found == '\'' && self.style == Style::SingleQuoted) {
                // Indentation, folded line ends, the second of two quotes.
                index += 1;
            } else if c.is_whitespace() {
                // A line end that folding made of several, or a block's last one.
                if number >= wanted {
                    break;
                }
                value.next();
            } else {
                break;
            }
        }
        index
    }
}

fn escape_digits(kind: char) -> usize {
    match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    }
}

fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Boolean(true),
        "false" | "False" | "FALSE" => return Meaning::Boolean(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if all(digits, 10) {
        return Meaning::Integer(text.parse().ok());
    }
    if let Some(octal) = text.strip_prefix("0o").filter(|octal| all(octal, 8)) {
        return Meaning::Integer(i64::from_str_radix(octal, 8).ok());
    }
    if let Some(hexadecimal) = text.strip_prefix("0x").filter(|hexadecimal| all(hexadecimal, 16)) {
        return Meaning::Integer(i64::from_str_radix(hexadecimal, 16).ok());
    }
    if is_fraction(digits) { Meaning::Fraction } else { Meaning::Text }
}

fn is_fraction(digits: &str) -> bool {
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (digits, None),
    };
    let numeric = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    numeric(whole)
        && numeric(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && numeric(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_what_yaml_says_they_are() {
        for (text, expected) in [
            ("1", Meaning::Integer(Some(1))),
            ("-7", Meaning::Integer(Some(-7))),
            ("+7", Meaning::Integer(Some(7))),
            ("007", Meaning::Integer(Some(7))),
            ("0x1F", Meaning::Integer(Some(31))),
            ("0o17", Meaning::Integer(Some(15))),
            ("99999999999999999999", Meaning::Integer(None)),
            ("1.", Meaning::Fraction),
            (".5", Meaning::Fraction),
            ("1e3", Meaning::Fraction),
            ("-1.5E-3", Meaning::Fraction),
            (".inf", Meaning::Fraction),
            (".", Meaning::Text),
            ("1e", Meaning::Text),
            ("1_000", Meaning::Text),
            ("yes", Meaning::Text),
            ("on", Meaning::Text),
            ("1.2.3", Meaning::Text),
            ("2024-01-01", Meaning::Text),
            ("True", Meaning::Boolean(true)),
            ("~", Meaning::Null),
        ] {
            assert_eq!(meaning(text), expected, "{text}");
        }
    }
}
