//! The fields of a protobuf message, as far as ORC's footers need them.
//!
//! In: bytes. Out: numbers and bytes by the fields' tags. Nothing is allocated, whatever the bytes claim.

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A number.
    Number(u64),
    /// A text, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// Walks over the fields of a message; `None` as an item where it is damaged, and nothing behind that.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = number(&mut self.rest)?;
        let value = match key & 7 {
            0 => Field::Number(number(&mut self.rest)?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(number(&mut self.rest)?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// A number of seven bits a byte, the lowest first.
pub(super) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_by_their_tags_and_damage_ends_the_walk() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4];
        let fields: Vec<_> = Fields::of(&message).collect();
        let expected =
            [(1, Field::Number(150)), (2, Field::Bytes(b"hi".as_slice())), (3, Field::Bytes([1, 2, 3, 4].as_slice()))];
        assert_eq!(fields, expected.map(Some));
        assert_eq!(Fields::of(&message[..4]).last(), Some(None), "a length is missing");
        assert_eq!(Fields::of(&[0x12, 200, 1]).collect::<Vec<_>>(), [None], "more is claimed than there is");
        assert_eq!(Fields::of(&[0x80; 20]).collect::<Vec<_>>(), [None], "a number without end");
    }
}
