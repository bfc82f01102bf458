//! Cuts a line into fields at a separator, and takes escapes out of strings.

use std::borrow::Cow;

/// Where the fields of `text` start and end, at most `most` of them: the rest is dropped, or belongs to the last
/// field if `last_takes_rest`. An escape character makes the byte behind it plain.
pub(in crate::source) fn split(
    text: &[u8],
    separator: u8,
    escape: Option<u8>,
    most: usize,
    last_takes_rest: bool,
    fields: &mut Vec<(usize, usize)>,
) {
    fields.clear();
    let mut start = 0;
    while fields.len() < most {
        if last_takes_rest && fields.len() + 1 == most {
            fields.push((start, text.len()));
            return;
        }
        match next(text, start, separator, escape) {
            Some(end) => {
                fields.push((start, end));
                start = end + 1;
            }
            None => {
                fields.push((start, text.len()));
                return;
            }
        }
    }
}

/// Where the next separator is at or after `from`.
pub(in crate::source) fn next(text: &[u8], from: usize, separator: u8, escape: Option<u8>) -> Option<usize> {
    let Some(escape) = escape else {
        return memchr::memchr(separator, &text[from..]).map(|length| from + length);
    };
    let mut at = from;
    loop {
        let found = at + memchr::memchr2(separator, escape, text.get(at..)?)?;
        if text[found] == separator {
            return Some(found);
        }
        // An escape character at the very end stands for itself.
        at = found + 2;
    }
}

/// The text without escape characters; `\r` and `\n` behind one become the characters that they name.
pub(in crate::source) fn unescape(text: &[u8], escape: Option<u8>) -> Cow<'_, [u8]> {
    let Some(escape) = escape.filter(|escape| memchr::memchr(*escape, text).is_some()) else {
        return Cow::Borrowed(text);
    };
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == escape { bytes.next().map_or(byte, named) } else { byte };
        plain.push(byte);
    }
    Cow::Owned(plain)
}

fn named(byte: u8) -> u8 {
    match byte {
        b'r' => b'\r',
        b'n' => b'\n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str, escape: Option<u8>, most: usize, rest: bool) -> Vec<&str> {
        let mut found = Vec::new();
        split(text.as_bytes(), b',', escape, most, rest, &mut found);
        found.into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn lines_are_cut_at_plain_separators_only() {
        assert_eq!(fields("a,b,,c", None, 9, false), ["a", "b", "", "c"]);
        assert_eq!(fields("", None, 9, false), [""]);
        assert_eq!(fields("a,", None, 9, false), ["a", ""]);
        assert_eq!(fields(r"a\,b,c", Some(b'\\'), 9, false), [r"a\,b", "c"]);
        assert_eq!(fields(r"a\\,b", Some(b'\\'), 9, false), [r"a\\", "b"]);
        assert_eq!(fields(r"a,b\", Some(b'\\'), 9, false), ["a", r"b\"]);
        assert_eq!(fields("a,b,c", None, 2, false), ["a", "b"]);
        assert_eq!(fields("a,b,c", None, 2, true), ["a", "b,c"]);
    }

    #[test]
    fn escapes_are_taken_out_once() {
        let table = [
            (r"a\,b", "a,b"),
            (r"a\\n", r"a\n"),
            (r"a\nb\r", "a\nb\r"),
            (r"a\", r"a\"),
            ("plain", "plain"),
            (r"\\N", r"\N"),
        ];
        for (text, plain) in table {
            assert_eq!(unescape(text.as_bytes(), Some(b'\\')).as_ref(), plain.as_bytes(), "{text}");
        }
        assert_eq!(unescape(br"a\,b", None).as_ref(), br"a\,b");
    }
}
