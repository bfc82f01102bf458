//! Reads Thrift's structs by the numbers of their fields, and skips whatever is not known.
//!
//! In: a protocol. Out: texts, lists, maps. Holds: the limits of an answer. Not here: which field means what (`objects`).

use std::collections::BTreeMap;

use thrift::protocol::{TInputProtocol, TType};
use thrift::{ProtocolErrorKind, TConfiguration, new_protocol_error};

/// Longest answer, bytes: the names of a million partitions are half of it.
pub(super) const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// Longest text, bytes: the largest ones are schemas of some thousand columns among a table's properties.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Most elements of one list, set or map: more partitions than this in one table are a mistake.
const MAX_ELEMENTS: usize = 4_000_000;
/// Deepest nesting of structs; a partition is four deep.
const MAX_DEPTH: usize = 32;

/// The limits of an answer.
pub(super) fn limits() -> TConfiguration {
    TConfiguration::builder()
        .max_message_size(usize::try_from(MAX_ANSWER_BYTES).ok())
        .max_frame_size(usize::try_from(MAX_ANSWER_BYTES).ok())
        .max_recursion_depth(Some(MAX_DEPTH))
        .max_container_size(Some(MAX_ELEMENTS))
        .max_string_size(Some(MAX_TEXT_BYTES))
        .build()
        .expect("no limit is zero, and no frame is larger than a message")
}

/// Reads a struct. `field` gets number and type of each field and says whether it has read it; others are skipped.
pub(super) fn fields(
    input: &mut dyn TInputProtocol,
    mut field: impl FnMut(&mut dyn TInputProtocol, i16, TType) -> thrift::Result<bool>,
) -> thrift::Result<()> {
    input.read_struct_begin()?;
    loop {
        let begin = input.read_field_begin()?;
        if begin.field_type == TType::Stop {
            return input.read_struct_end();
        }
        let number = thrift::protocol::field_id(&begin)?;
        if !field(input, number, begin.field_type)? {
            input.skip(begin.field_type)?;
        }
        input.read_field_end()?;
    }
}

/// Reads a list, element by element.
pub(super) fn list(
    input: &mut dyn TInputProtocol,
    of: TType,
    mut element: impl FnMut(&mut dyn TInputProtocol) -> thrift::Result<()>,
) -> thrift::Result<()> {
    let begin = input.read_list_begin()?;
    if begin.size > 0 && begin.element_type != of {
        let message = format!("a list of {} where {of} is expected", begin.element_type);
        return Err(new_protocol_error(ProtocolErrorKind::InvalidData, message));
    }
    // What is claimed is not allocated: elements are taken as they come.
    for _ in 0..begin.size {
        element(input)?;
    }
    input.read_list_end()
}

/// Reads a list of texts.
pub(super) fn texts(input: &mut dyn TInputProtocol) -> thrift::Result<Vec<String>> {
    let mut texts = Vec::new();
    list(input, TType::String, |input| {
        texts.push(input.read_string()?);
        Ok(())
    })?;
    Ok(texts)
}

/// Reads a map of texts.
pub(super) fn text_map(input: &mut dyn TInputProtocol) -> thrift::Result<BTreeMap<String, String>> {
    let begin = input.read_map_begin()?;
    let types = (begin.key_type, begin.value_type);
    if begin.size > 0 && types != (Some(TType::String), Some(TType::String)) {
        let message = format!("a map of {types:?} where texts are expected");
        return Err(new_protocol_error(ProtocolErrorKind::InvalidData, message));
    }
    let mut map = BTreeMap::new();
    for _ in 0..begin.size {
        let key = input.read_string()?;
        map.insert(key, input.read_string()?);
    }
    input.read_map_end()?;
    Ok(map)
}
