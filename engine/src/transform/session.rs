//! The settings under which all SQL of policies and scripts is planned: one meaning, wherever an expression runs.

use datafusion::config::Dialect;
use datafusion::prelude::{SessionConfig, SessionContext};

/// Settings for SQL: one thread (batches run beside each other already), plain strings as the engine's readers give them.
pub(crate) fn session_config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::Generic;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    config
}

/// A session without tables.
pub(crate) fn base_session() -> SessionContext {
    SessionContext::new_with_config(session_config())
}
