//! The forms of names in policies.

use super::decode::{BadText, Decode, Decoder};
use super::error::PolicyCode;
use super::tree::Node;
use crate::ids::{ConnectionName, PolicyName};

/// Longest name of a policy or connection: that of a DNS label, because names become parts of URLs and entity ids.
pub const MAX_NAME_CHARS: usize = 63;
/// Longest owner: an entity reference such as `group:default/team-playlists`.
pub const MAX_OWNER_CHARS: usize = 128;
/// Longest column name, as in Hive's metastore.
pub const MAX_COLUMN_CHARS: usize = 767;
/// Longest key or value of a label, as in Kubernetes.
pub const MAX_LABEL_CHARS: usize = 63;
/// Longest description or documentation.
pub const MAX_PROSE_CHARS: usize = 4_000;

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, as DNS labels are.
pub(super) fn dns_label(text: &str) -> Result<String, BadText> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let long = text.chars().count() > MAX_NAME_CHARS;
    let formed = text.starts_with(inner) && text.ends_with(inner) && text.chars().all(|c| inner(c) || c == '-');
    if formed && !long {
        return Ok(text.to_owned());
    }
    let bad = BadText::new(format!(
        "{text:?} is no name: 1 to {MAX_NAME_CHARS} lower-case letters, digits and inner hyphens"
    ));
    let fixed: String = text.to_ascii_lowercase().chars().map(|c| if inner(c) { c } else { '-' }).collect();
    let fixed = fixed.trim_matches('-');
    Err(if fixed.is_empty() || long { bad } else { bad.hint(format!("for example `{fixed}`")) })
}

/// A team or an entity reference.
/// Whether a text can be a policy's owner, and so a team.
///
/// # Errors
/// A sentence that says why not.
pub fn check_owner(text: &str) -> Result<(), String> {
    owner(text).map(|_| ()).map_err(|bad| bad.message)
}

pub(super) fn owner(text: &str) -> Result<String, BadText> {
    let formed = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c));
    if formed && text.len() <= MAX_OWNER_CHARS {
        return Ok(text.to_owned());
    }
    Err(BadText::new(format!(
        "{text:?} is no owner: 1 to {MAX_OWNER_CHARS} letters, digits and -_.:/@+, beginning with a letter or digit"
    )))
}

/// A column's name: anything that can be seen and quoted.
pub(super) fn column(text: &str) -> Result<String, BadText> {
    if text.is_empty() {
        return Err(BadText::new("a column's name is empty"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(BadText::new(format!("{text:?} is no column: no control characters, no spaces at its ends")));
    }
    if text.chars().count() > MAX_COLUMN_CHARS {
        return Err(BadText::new(format!("a column's name has at most {MAX_COLUMN_CHARS} characters")));
    }
    Ok(text.to_owned())
}

/// A label's key.
pub(super) fn label_key(text: &str) -> Result<(), BadText> {
    let end = |c: char| c.is_ascii_alphanumeric();
    let formed = text.starts_with(end) && text.ends_with(end) && text.chars().all(|c| end(c) || "-_./".contains(c));
    if formed && text.len() <= MAX_LABEL_CHARS {
        return Ok(());
    }
    Err(BadText::new(format!(
        "{text:?} is no label: 1 to {MAX_LABEL_CHARS} letters, digits and -_./, beginning and ending with a letter or digit"
    )))
}

/// A label's value.
pub(super) fn label_value(text: &str) -> Result<String, BadText> {
    if text.chars().count() <= MAX_LABEL_CHARS && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(BadText::new(format!("a label's value has at most {MAX_LABEL_CHARS} characters, in one line")))
}

/// A description.
pub(super) fn prose(text: &str) -> Result<String, BadText> {
    let chars = text.chars().count();
    if chars <= MAX_PROSE_CHARS {
        return Ok(text.to_owned());
    }
    Err(BadText::new(format!("the text has {chars} characters; {MAX_PROSE_CHARS} are allowed")))
}

impl Decode for PolicyName {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        Self(decoder.parse(node, PolicyCode::PolicyBadName, dns_label).unwrap_or_default())
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for ConnectionName {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        Self(decoder.parse(node, PolicyCode::PolicyBadName, dns_label).unwrap_or_default())
    }

    fn blank() -> Self {
        Self::default()
    }
}

/// Texts are column names unless their reader says otherwise.
impl Decode for String {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.parse(node, PolicyCode::PolicyBadName, column).unwrap_or_default()
    }

    fn blank() -> Self {
        Self::new()
    }
}
