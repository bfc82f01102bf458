//! Parquet files that end the process that decodes them: made here, because nobody's writer makes them.

/// Types of Thrift's compact protocol.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// What a struct's field begins with, `after` so many fields were left out.
fn field(after: u8, kind: u8) -> u8 {
    after << 4 | kind
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).expect("seven bits"));
}

/// A type called `name` that holds one other, or a number.
fn element(name: &str, holds_one: bool, root: bool, out: &mut Vec<u8>) {
    let mut last = 0;
    let mut begin = |number: u8, kind: u8, out: &mut Vec<u8>| {
        out.push(field(number - last, kind));
        last = number;
    };
    if !holds_one {
        begin(1, I32, out);
        out.push(2);
    }
    if !root {
        begin(3, I32, out);
        out.push(2);
    }
    begin(4, BINARY, out);
    varint(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
    if holds_one {
        begin(5, I32, out);
        out.push(2);
    }
    out.push(0);
}

/// A file whose footer is `schema` with nothing in it.
fn file(schema: &[u8]) -> Vec<u8> {
    let mut footer = vec![field(1, I32), 2, field(1, LIST)];
    footer.extend_from_slice(schema);
    footer.extend([field(1, I64), 0, field(1, LIST), STRUCT, 0]);
    let length = u32::try_from(footer.len()).expect("a small footer");
    [b"PAR1".as_slice(), &footer, &length.to_le_bytes(), b"PAR1"].concat()
}

/// A file whose one column is nested `depth` levels deep.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    let mut schema = vec![0xf0 | STRUCT];
    varint(depth as u64 + 2, &mut schema);
    element("root", true, true, &mut schema);
    for _ in 0..depth {
        element("a", true, false, &mut schema);
    }
    element("leaf", false, false, &mut schema);
    file(&schema)
}

/// A file that claims to have `columns` columns, and has two.
pub(crate) fn claiming(columns: u32) -> Vec<u8> {
    let mut schema = vec![0xf0 | STRUCT];
    varint(u64::from(columns), &mut schema);
    element("root", true, true, &mut schema);
    element("leaf", false, false, &mut schema);
    file(&schema)
}
