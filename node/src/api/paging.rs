//! Parts that all lists share: limits, labels, cursors.
//!
//! A cursor is a place in the list's order, so a page stays right while items come and go.

use skein_protocol::api::{DEFAULT_PAGE, MAX_PAGE};

use super::error::ApiError;

/// A filter that is not understood.
pub(super) fn wrong(what: &str, why: String, next: &str) -> ApiError {
    ApiError::invalid(format!("the filter {what}"), why, next)
}

/// Items on a page.
pub(super) fn limit(given: Option<u32>) -> Result<usize, ApiError> {
    let limit = given.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(wrong("limit", format!("{limit} is not from 1 to {MAX_PAGE}"), "ask for smaller pages"));
    }
    Ok(limit as usize)
}

/// `key=value`, comma-separated.
pub(super) fn labels(given: Option<&str>) -> Result<Vec<(String, String)>, ApiError> {
    let all = given.into_iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty());
    let pair = |label: &str| {
        let pair = label.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        let (key, value) = pair.ok_or_else(|| {
            wrong("label", format!("{label:?} is no key=value"), "write label=wave=3, several with commas")
        })?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    };
    all.map(pair).collect()
}

/// A part of a name, as it is looked for.
pub(super) fn text(given: Option<String>) -> Option<String> {
    given.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty())
}

/// A place as text that people need not read.
pub(super) fn cursor(place: &str) -> String {
    place.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The place that a cursor names, as `read` understands it.
pub(super) fn place<T>(cursor: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let place = plain(cursor).and_then(|plain| read(&plain));
    let foreign = || wrong("cursor", "it is none of ours".to_owned(), "take `next` of the last page");
    place.ok_or_else(foreign).map(Some)
}

fn plain(cursor: &str) -> Option<String> {
    if !cursor.is_ascii() || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let bytes = cursor.as_bytes().chunks_exact(2);
    let bytes = bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}
