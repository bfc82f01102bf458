//! The section `engine`: how the data plane of the binary works. A node itself does not look at it.

use serde::Deserialize;
use serde_yaml_ng::Value;

use super::ConfigError;
use super::decode::section;

/// Where foreign files are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// In processes of their own: what ends a decoder does not end the node.
    #[default]
    Process,
    /// In the node's own process.
    None,
}

/// How the data plane works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineConfig {
    /// Where foreign files are decoded.
    pub isolation: Isolation,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EngineSection {
    #[serde(default)]
    isolation: Option<String>,
}

/// `engine: {isolation: process}`.
pub(super) fn engine(value: Option<Value>, errors: &mut Vec<ConfigError>) -> EngineConfig {
    let EngineSection { isolation } = section(value, "engine", errors).unwrap_or_default();
    let isolation = match isolation.as_deref() {
        None | Some("process") => Isolation::Process,
        Some("none") => Isolation::None,
        Some(other) => {
            errors.push(ConfigError::new(
                "engine.isolation",
                format!("{other:?} is no way to decode files"),
                "write process or none",
            ));
            Isolation::Process
        }
    };
    EngineConfig { isolation }
}
