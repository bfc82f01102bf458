//! Avro's binary encoding and container file: the little of it that manifests need.
//!
//! In: values in the order of a schema. Out: bytes, the same for the same values. Holds: [`Encoder`].
//! Not here: the schemas (`manifest`), reading (iceberg-rust does that).

/// Sixteen bytes that mark the ends of a container's blocks.
pub(super) type Marker = [u8; 16];

/// What every container file starts with.
const MAGIC: &[u8] = b"Obj\x01";

/// Encodes values one after the other.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// What was encoded.
    #[must_use]
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An `int` or `long`: zigzag, seven bits a byte.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// A count or an index.
    pub(super) fn count(&mut self, count: usize) {
        self.long(i64::try_from(count).expect("what is in memory has fewer than 2^63 parts"));
    }

    /// A `boolean`.
    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// A `float`.
    pub(super) fn float(&mut self, value: f32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A `double`.
    pub(super) fn double(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A `bytes` value.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.fixed(value);
    }

    /// A `string`.
    pub(super) fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A `fixed` value, whose length the schema tells.
    pub(super) fn fixed(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// The first branch of a union of null and a type.
    pub(super) fn null(&mut self) {
        self.long(0);
    }

    /// The second branch of a union of null and a type; the value follows.
    pub(super) fn present(&mut self) {
        self.long(1);
    }

    /// An array; `item` encodes each part.
    pub(super) fn array<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        if items.len() > 0 {
            self.count(items.len());
            items.for_each(|part| item(self, part));
        }
        self.count(0);
    }
}

/// A container file with one block of `records`, of which there are `count`, already encoded; not compressed.
#[must_use]
pub(super) fn container(
    schema: &str,
    metadata: &[(&str, &[u8])],
    marker: Marker,
    count: usize,
    records: &[u8],
) -> Vec<u8> {
    let mut file = Encoder { bytes: Vec::with_capacity(records.len() + schema.len() + 512) };
    file.fixed(MAGIC);
    let own = [("avro.schema", schema.as_bytes()), ("avro.codec", b"null".as_slice())];
    file.count(metadata.len() + own.len());
    for (key, value) in own.iter().chain(metadata) {
        file.string(key);
        file.bytes(value);
    }
    file.count(0);
    file.fixed(&marker);
    if count > 0 {
        file.count(count);
        file.bytes(records);
        file.fixed(&marker);
    }
    file.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_the_specification_shows() {
        for (value, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut encoder = Encoder::default();
            encoder.long(value);
            assert_eq!(encoder.into_bytes(), bytes, "{value}");
        }
    }

    #[test]
    fn an_array_ends_with_an_empty_block() {
        let mut encoder = Encoder::default();
        encoder.array([3, 27].into_iter(), Encoder::long);
        encoder.array(std::iter::empty(), Encoder::long);
        assert_eq!(encoder.into_bytes(), [4, 6, 54, 0, 0]);
    }
}
