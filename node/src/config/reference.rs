//! References: secrets and paths that stand elsewhere.
//!
//! Holds: their form. What they stand for is asked of the caller; it never reaches logs, ledger or errors.

use serde_yaml_ng::Value;

use super::ConfigError;

/// Something that stands elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `${env:NAME}`: a variable of the process.
    Env(String),
    /// `${file:PATH}`: a file's content, without the line end at its end.
    File(String),
}

/// Replaces every reference in every text of `value`.
pub(super) fn resolve(
    value: &mut Value,
    at: &str,
    lookup: &dyn Fn(&Reference) -> Result<String, String>,
    errors: &mut Vec<ConfigError>,
) {
    match value {
        Value::String(text) if text.contains("${") => match replaced(text, lookup) {
            Ok(new) => *text = new,
            Err(why) => errors.push(ConfigError::new(at, why, "references are ${env:NAME} and ${file:/absolute/path}")),
        },
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                resolve(item, &format!("{at}[{index}]"), lookup, errors);
            }
        }
        Value::Mapping(fields) => {
            for (key, item) in fields.iter_mut() {
                let key = key.as_str().unwrap_or("?");
                let at = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
                resolve(item, &at, lookup, errors);
            }
        }
        _ => {}
    }
}

fn replaced(text: &str, lookup: &dyn Fn(&Reference) -> Result<String, String>) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, after) = after.split_once('}').ok_or("a reference is not closed")?;
        let reference = match inner.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Reference::Env(name.to_owned()),
            Some(("file", path)) if path.starts_with('/') => Reference::File(path.to_owned()),
            _ => return Err(format!("${{{inner}}} is no reference")),
        };
        done.push_str(before);
        done.push_str(&lookup(&reference)?);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}
