//! Walks over a block's rows before the decoder does.
//!
//! In: a file's schema, a block's plain bytes. Out: whether they are as many whole rows as the block claims. The decoder
//! believes counts and lengths, and does not notice bytes that are left over.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::decoding::DecodeFailure;

/// How one type lies in a block.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Nothing,
    Boolean,
    Number,
    Fixed(usize),
    /// A length and as many bytes.
    Bytes,
    Union(Arc<[Shape]>),
    /// Blocks of items; a map's have a key before each.
    Items {
        keys: bool,
        of: Arc<Shape>,
    },
    Record(Arc<[Shape]>),
}

impl Shape {
    /// The shape of a file's rows; the schema has been checked to end.
    pub(super) fn of(schema: &[u8]) -> Result<Self, DecodeFailure> {
        let unknown = |why: String| DecodeFailure::Damaged(format!("its schema cannot be read: {why}"));
        let schema: Value = serde_json::from_slice(schema).map_err(|error| unknown(error.to_string()))?;
        Namespace::default().shape(&schema, "").map_err(unknown)
    }

    /// Whether `bytes` are exactly `rows` rows.
    pub(super) fn holds(&self, bytes: &[u8], rows: u64) -> bool {
        let mut walk = Walk { rest: bytes, items_left: bytes.len() as u64 };
        for _ in 0..rows {
            if walk.pass(self).is_none() {
                return false;
            }
        }
        walk.rest.is_empty()
    }
}

/// Types by their full names, as they are met.
#[derive(Default)]
struct Namespace(HashMap<String, Shape>);

impl Namespace {
    fn shape(&mut self, schema: &Value, space: &str) -> Result<Shape, String> {
        match schema {
            Value::String(name) => self.named(name, space),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.shape(branch, space)).collect::<Result<_, _>>()?;
                Ok(Shape::Union(branches))
            }
            Value::Object(members) => {
                let kind = members.get("type").ok_or("a type has no type")?;
                let Value::String(kind) = kind else { return self.shape(kind, space) };
                let part = |key: &str| members.get(key).ok_or_else(|| format!("{kind} without {key}"));
                let full = full_name(schema, space);
                let shape = match kind.as_str() {
                    "record" | "error" => {
                        let inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
                        let fields = part("fields")?.as_array().ok_or("fields are no list")?;
                        let field = |field: &Value| self.shape(field.get("type").unwrap_or(&Value::Null), &inner);
                        Shape::Record(fields.iter().map(field).collect::<Result<_, _>>()?)
                    }
                    "enum" => Shape::Number,
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                        Shape::Fixed(size.ok_or("a size is no number")?)
                    }
                    "array" => {
                        return Ok(Shape::Items { keys: false, of: Arc::new(self.shape(part("items")?, space)?) });
                    }
                    "map" => return Ok(Shape::Items { keys: true, of: Arc::new(self.shape(part("values")?, space)?) }),
                    other => return self.named(other, space),
                };
                self.0.insert(full, shape.clone());
                Ok(shape)
            }
            other => Err(format!("{other} is no type")),
        }
    }

    fn named(&self, name: &str, space: &str) -> Result<Shape, String> {
        Ok(match name {
            "null" => Shape::Nothing,
            "boolean" => Shape::Boolean,
            "int" | "long" => Shape::Number,
            "float" => Shape::Fixed(4),
            "double" => Shape::Fixed(8),
            "bytes" | "string" => Shape::Bytes,
            other => {
                let full =
                    if other.contains('.') || space.is_empty() { other.to_owned() } else { format!("{space}.{other}") };
                let known = self.0.get(&full).or_else(|| self.0.get(other));
                known.cloned().ok_or_else(|| format!("{other:?} is not known"))?
            }
        })
    }
}

fn full_name(schema: &Value, space: &str) -> String {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or_default();
    let space = text("namespace").unwrap_or(space);
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

struct Walk<'a> {
    rest: &'a [u8],
    /// Items take no bytes where they are null, so their number is bounded by itself.
    items_left: u64,
}

impl Walk<'_> {
    /// Passes one value; `None` if the bytes are none.
    fn pass(&mut self, shape: &Shape) -> Option<()> {
        match shape {
            Shape::Nothing => {}
            Shape::Boolean => self.skip(1)?,
            Shape::Number => drop(self.long()?),
            Shape::Fixed(bytes) => self.skip(*bytes)?,
            Shape::Bytes => {
                let length = usize::try_from(self.long()?).ok()?;
                self.skip(length)?;
            }
            Shape::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok()?;
                self.pass(branches.get(branch)?)?;
            }
            Shape::Record(fields) => fields.iter().try_for_each(|field| self.pass(field))?,
            Shape::Items { keys, of } => loop {
                let count = self.long()?;
                if count == 0 {
                    break;
                }
                if count < 0 {
                    self.long()?;
                }
                self.items_left = self.items_left.checked_sub(count.unsigned_abs())?;
                for _ in 0..count.unsigned_abs() {
                    if *keys {
                        self.pass(&Shape::Bytes)?;
                    }
                    self.pass(of)?;
                }
            },
        }
        Some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn long(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_many_whole_rows_as_it_claims_or_refused() {
        let shape = Shape::of(
            br#"{"type":"record","name":"r","namespace":"n","fields":[
            {"name":"i","type":["null","int"]},{"name":"s","type":{"type":"string","logicalType":"x"}},
            {"name":"l","type":{"type":"array","items":{"type":"record","name":"p","fields":[{"name":"b","type":"boolean"}]}}},
            {"name":"m","type":{"type":"map","values":["null","p"]}}]}"#,
        )
        .unwrap();
        // 1, "ab", [true], {"k": {true}}; then null, "", [], {}
        let one = [2, 2, 4, b'a', b'b', 2, 1, 0, 2, 2, b'k', 2, 1, 0];
        let two = [0, 0, 0, 0];
        let both = [one.as_slice(), &two].concat();
        assert!(shape.holds(&both, 2) && shape.holds(&[], 0));
        assert!(!shape.holds(&both, 1), "bytes are left over");
        assert!(!shape.holds(&both, 3), "a row is missing");
        assert!(!shape.holds(&both[..both.len() - 1], 2));
        assert!(!shape.holds(&[4, 2], 1), "there is no third branch");
        let nulls = Shape::of(
            br#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#,
        );
        assert!(!nulls.unwrap().holds(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 0], 1), "a claim of a thousand million nulls");
    }
}
