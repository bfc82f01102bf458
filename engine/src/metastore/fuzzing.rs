//! What must hold of the reader of a metastore's answers, whatever bytes it gets.
//!
//! In: bytes. Out: nothing, or a panic. Not here: the list of targets (`crate::fuzzing`).

use std::io::Cursor;

use thrift::protocol::{TBinaryInputProtocol, TInputProtocol, TType};

use super::{call, objects, wire};

/// The result of a call: which one, the first byte says. It ends, and makes no more than the bytes hold.
pub(crate) fn answer(bytes: &[u8]) {
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let mut input = TBinaryInputProtocol::with_config(Cursor::new(rest), true, wire::limits());
    let input: &mut dyn TInputProtocol = &mut input;
    let elements = match first % 3 {
        0 => call::result(input, TType::List, wire::texts).map(|answer| answer.found().map_or(0, |texts| texts.len())),
        1 => call::result(input, TType::Struct, objects::table)
            .map(|answer| answer.found().map_or(0, |table| table.properties.len())),
        _ => call::result(input, TType::List, |input| {
            let mut partitions = 0;
            wire::list(input, TType::Struct, |input| {
                objects::partition(input)?;
                partitions += 1;
                Ok(())
            })?;
            Ok(partitions)
        })
        .map(|answer| answer.found().unwrap_or(0)),
    };
    // Each takes a byte at least.
    assert!(elements.unwrap_or(0) <= rest.len());
}
