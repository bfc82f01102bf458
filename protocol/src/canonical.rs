//! JSON in one form only: what hashes are computed over.
//!
//! In: a document. Out: its text. Holds: nothing. Not here: hashes (`hash`).
//!
//! Objects are sorted in the text while it is written, each when it ends. A tree of values would be ten times as large as the
//! text, and the plan of a table with a million files has 200 MB of it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// JSON with object keys sorted by their UTF-8 bytes, no white space, numbers as `serde_json` writes them. Of a key that comes twice,
/// the last value stays.
///
/// # Errors
/// When the document cannot be expressed as JSON.
pub fn canonical_json<T: Serialize>(document: &T) -> Result<String, serde_json::Error> {
    let text = Text::default();
    let sorted = Sorted { text: text.clone(), objects: Vec::new() };
    document.serialize(&mut Serializer::with_formatter(text.clone(), sorted))?;
    let bytes = text.0.take();
    Ok(String::from_utf8(bytes).expect("the serializer writes texts, and objects are taken apart between them"))
}

/// What is written so far. Clones are the same text.
#[derive(Clone, Default)]
struct Text(Rc<RefCell<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sorts each object at its end.
struct Sorted {
    text: Text,
    /// Where the members of each open object begin, the innermost object last.
    objects: Vec<Vec<usize>>,
}

impl Formatter for Sorted {
    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.objects.push(Vec::new());
        writer.write_all(b"{")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let at = self.text.0.borrow().len();
        self.objects.last_mut().expect("a member stands in an object").push(at);
        Ok(())
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        let starts = self.objects.pop().expect("what ends has begun");
        sort(&mut self.text.0.borrow_mut(), &starts);
        writer.write_all(b"}")
    }
}

/// Sorts the members that begin at `starts` and end with `text`; commas stand between them.
fn sort(text: &mut Vec<u8>, starts: &[usize]) {
    let Some(first) = starts.first() else { return };
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([text.len()]);
    let mut members: Vec<(Cow<'_, [u8]>, &[u8])> =
        starts.iter().zip(ends).map(|(start, end)| (key(&text[*start..end]), &text[*start..end])).collect();
    if members.is_sorted_by(|one, next| one.0 < next.0) {
        return;
    }
    members.sort_by(|one, other| one.0.cmp(&other.0));
    let mut sorted = Vec::with_capacity(text.len() - first);
    for (number, (key, member)) in members.iter().enumerate() {
        if members.get(number + 1).is_some_and(|next| next.0 == *key) {
            continue;
        }
        if !sorted.is_empty() {
            sorted.push(b',');
        }
        sorted.extend_from_slice(member);
    }
    text.truncate(*first);
    text.extend_from_slice(&sorted);
}

/// The key of a member, as its bytes without escapes.
fn key(member: &[u8]) -> Cow<'_, [u8]> {
    let inner = &member[1..];
    match inner.iter().position(|byte| b"\"\\".contains(byte)) {
        Some(end) if inner[end] == b'"' => Cow::Borrowed(&inner[..end]),
        _ => {
            let first = serde_json::Deserializer::from_slice(member).into_iter::<String>().next();
            Cow::Owned(first.and_then(Result::ok).expect("a member begins with a text").into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::chance::Chance;

    #[test]
    fn keys_are_sorted_by_their_bytes_and_escapes_do_not_count() {
        let document =
            json!({"b": {"z": [{"y": 1, "x": {}}], "": null}, "a\"": 1, "a\u{1}": 2, "a": [], "é": 1.5, "a!": "{,}"});
        let expected = "{\"a\":[],\"a\\u0001\":2,\"a!\":\"{,}\",\"a\\\"\":1,\"b\":{\"\":null,\"z\":[{\"x\":{},\"y\":1}]},\"é\":1.5}";
        assert_eq!(canonical_json(&document).unwrap(), expected);
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_stays() {
        struct Twice;
        impl Serialize for Twice {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map([("b", 1), ("a", 2), ("b", 3), ("a", 4)])
            }
        }
        assert_eq!(canonical_json(&Twice).unwrap(), r#"{"a":4,"b":3}"#);
    }

    #[test]
    fn a_map_whose_keys_are_no_texts_is_refused() {
        assert!(canonical_json(&BTreeMap::from([(vec![1], 1)])).is_err());
    }

    fn any(random: &mut Chance, depth: usize) -> Value {
        match random.place(if depth == 0 { 4 } else { 6 }) {
            0 => Value::Null,
            1 => json!(random.place(1_000_000)),
            2 => json!(random.place(1_000) as f64 / 7.0),
            3 => json!(["", "\"", "\\", "a,b", "}:{", "\n", "𝄞"][random.place(7)]),
            4 => (0..random.place(4)).map(|_| any(random, depth - 1)).collect(),
            _ => {
                let key =
                    |random: &mut Chance| ["k", "\"", "\\\"", "é", "\u{7f}", "\t", "", "zz", "k,"][random.place(9)];
                (0..random.place(9)).map(|_| (key(random).to_owned(), any(random, depth - 1))).collect()
            }
        }
    }

    #[test]
    fn any_document_has_the_text_of_its_sorted_tree() {
        let mut random = Chance(7);
        for _ in 0..2_000 {
            let document = any(&mut random, 4);
            let mut tree = document.clone();
            tree.sort_all_objects();
            assert_eq!(canonical_json(&document).unwrap(), tree.to_string());
        }
    }
}
