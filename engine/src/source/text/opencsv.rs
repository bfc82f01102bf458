//! Cuts a line into fields as Hive's OpenCSVSerde does.
//!
//! In: a line, the SerDe's three characters. Out: its fields. Not here: what becomes of them (all columns are strings).
//!
//! The rules are those of the library that Hive uses, odd ones included: within a field, a quote in the middle stays
//! unless it is doubled or escaped; an escape character stands for nothing unless a quote or itself follows it within a field;
//! a field whose quote is not closed on its line is missing, because Hive's input format ends a record with the line.

use skein_protocol::inspection::OpenCsvFormat;

/// Before this many characters a quote is never kept.
const FIRST_KEPT_QUOTE: usize = 2;

/// Fields of the line that was cut last.
#[derive(Debug, Default)]
pub(in crate::source) struct CsvFields {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl CsvFields {
    /// Number of fields.
    pub(in crate::source) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The field at `index`.
    pub(in crate::source) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    fn start(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Cuts `line`. An empty line has no fields.
    pub(in crate::source) fn cut(&mut self, line: &[u8], format: &OpenCsvFormat) {
        self.text.clear();
        self.ends.clear();
        if line.is_empty() {
            return;
        }
        let (mut quoted, mut in_field) = (false, false);
        // Characters before the current byte, as Java counts them.
        let mut characters = 0;
        let mut at = 0;
        while at < line.len() {
            let byte = line[at];
            let next = line.get(at + 1).copied();
            let inside = quoted || in_field;
            let number = characters;
            characters += java_characters(byte);
            at += 1;
            if byte == format.escape {
                if let Some(plain) = next.filter(|next| inside && (*next == format.quote || *next == format.escape)) {
                    self.text.push(plain);
                    (at, characters) = (at + 1, characters + 1);
                }
            } else if byte == format.quote {
                if inside && next == Some(format.quote) {
                    self.text.push(byte);
                    (at, characters) = (at + 1, characters + 1);
                } else {
                    quoted = !quoted;
                    let amid = number > FIRST_KEPT_QUOTE
                        && line[at - 2] != format.separator
                        && next.is_some_and(|next| next != format.separator);
                    if amid {
                        let start = self.start();
                        if start < self.text.len() && is_blank(&self.text[start..]) {
                            self.text.truncate(start);
                        } else {
                            self.text.push(byte);
                        }
                    }
                }
                in_field = !in_field;
            } else if byte == format.separator && !quoted {
                self.ends.push(self.text.len());
                in_field = false;
            } else {
                self.text.push(byte);
                in_field = true;
            }
        }
        if !quoted {
            self.ends.push(self.text.len());
        }
    }
}

/// UTF-16 units that a character counts for, told by its first byte; bytes behind the first count for none.
fn java_characters(byte: u8) -> usize {
    match byte {
        0x80..=0xbf => 0,
        0xf0..=0xff => 2,
        _ => 1,
    }
}

fn is_blank(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.chars().all(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<String> {
        let mut fields = CsvFields::default();
        fields.cut(line.as_bytes(), &OpenCsvFormat::default());
        (0..fields.len()).map(|index| String::from_utf8(fields.get(index).unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_are_cut_as_hives_library_cuts_them() {
        let table: &[(&str, &[&str])] = &[
            ("a,b", &["a", "b"]),
            ("", &[]),
            (",", &["", ""]),
            (r#""a","b,c","""#, &["a", "b,c", ""]),
            (r#""a","b ""q"" c","d""#, &["a", r#"b "q" c"#, "d"]),
            (r#""a\"b","c\\d","e\f""#, &[r#"a"b"#, r"c\d", "ef"]),
            (r#"abc "d" e,f"#, &[r#"abc "d" e"#, "f"]),
            (r#"a,   "b",c"#, &["a", "b", "c"]),
            ("größe,\"é\",x", &["größe", "é", "x"]),
            (r#"a,"open"#, &["a"]),
            (r#""open"#, &[]),
            (r"\n,a", &["n", "a"]),
        ];
        for (line, fields) in table {
            assert_eq!(cut(line), *fields, "{line}");
        }
    }
}
