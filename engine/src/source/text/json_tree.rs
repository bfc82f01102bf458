//! One line of JSON as a tree that keeps numbers as they are written: digits of decimals must not pass through floats.
//!
//! In: a line. Out: [`Json`], borrowing from the line where nothing is escaped. Not here: columns (`json`).

use std::borrow::Cow;

/// Deepest nesting; a type's text may nest 24 levels.
const MAX_DEPTH: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// Members in their order.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The value of `line`; an error says what is wrong, and where.
pub(super) fn parse(line: &str) -> Result<Json<'_>, String> {
    let mut parser = Parser { line, at: 0 };
    let value = parser.value(0)?;
    parser.skip_blanks();
    if parser.at < line.len() { Err(parser.wrong("something follows the value")) } else { Ok(value) }
}

struct Parser<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it is next, blanks left out.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.takes(byte) { Ok(()) } else { Err(self.wrong(&format!("{:?} is missing", char::from(byte)))) }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("it is nested too deep"));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::Text(self.text()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
                let found = words.into_iter().find(|(word, _)| self.line[self.at..].starts_with(word));
                let (word, value) = found.ok_or_else(|| self.wrong("there is no value"))?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, String> {
        self.expect(b'{')?;
        let mut members = Vec::new();
        if self.takes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let key = self.text()?;
            self.expect(b':')?;
            members.push((key, self.value(depth + 1)?));
            if !self.takes(b',') {
                self.expect(b'}')?;
                return Ok(Json::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, String> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.takes(b',') {
                self.expect(b']')?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json<'a>, String> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        let mut fine = whole == 1 || (whole > 1 && !leading_zero);
        if self.peek() == Some(b'.') {
            self.at += 1;
            fine &= self.digits() > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            fine &= self.digits() > 0;
        }
        if fine { Ok(Json::Number(&self.line[start..self.at])) } else { Err(self.wrong("a number is not finished")) }
    }

    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a text is missing"));
        }
        self.at += 1;
        let mut start = self.at;
        let mut owned: Option<String> = None;
        loop {
            let Some(byte) = self.peek() else { return Err(self.wrong("a text has no end")) };
            match byte {
                b'"' | b'\\' => {
                    let piece = &self.line[start..self.at];
                    self.at += 1;
                    if byte == b'"' {
                        return Ok(match owned {
                            Some(text) => Cow::Owned(text + piece),
                            None => Cow::Borrowed(piece),
                        });
                    }
                    let escaped = self.escaped()?;
                    let text = owned.get_or_insert_default();
                    text.push_str(piece);
                    text.push(escaped);
                    start = self.at;
                }
                0..=0x1f => return Err(self.wrong("a text has a control character")),
                _ => self.at += 1,
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        let byte = self.peek().ok_or_else(|| self.wrong("a text has no end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.four()?;
                let units = if (0xd800..0xdc00).contains(&high) && self.line[self.at..].starts_with("\\u") {
                    self.at += 2;
                    vec![high, self.four()?]
                } else {
                    vec![high]
                };
                let mut characters = char::decode_utf16(units);
                match (characters.next(), characters.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(self.wrong("half a character")),
                }
            }
            _ => return Err(self.wrong("an unknown escape")),
        })
    }

    fn four(&mut self) -> Result<u16, String> {
        let digits = self.line.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.wrong("an unknown escape"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_and_escapes_are_taken_out() {
        let line = r#" {"a": [1.10, -0, 2e5], "b": "x\n\u00e9\ud83e\udda2", "c": {"d": null}, "e": true} "#;
        let Json::Object(members) = parse(line).unwrap() else { panic!("an object") };
        assert_eq!(members[0].1, Json::Array(vec![Json::Number("1.10"), Json::Number("-0"), Json::Number("2e5")]));
        assert_eq!(members[1].1, Json::Text("x\né🦢".into()));
        assert_eq!(members[2].1, Json::Object(vec![("d".into(), Json::Null)]));
        assert_eq!(members[3].1, Json::Bool(true));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        let wrong = [
            "",
            "{",
            "{\"a\"}",
            "[1,]",
            "01",
            "1.",
            "-",
            "nul",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"a",
            "{} {}",
            "\"\t\"",
            &deep,
        ];
        for line in wrong {
            assert!(parse(line).unwrap_err().contains("at byte"), "{line:.20}");
        }
    }
}
