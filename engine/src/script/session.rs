//! The session that scripts and checks run in.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionContext;

use super::functions::{hive_cast, row128};
use super::hive::HiveTables;
use crate::transform::session_config;

/// What scripts call the format of sources (`STORED AS HIVE`).
const FORMAT: &str = "HIVE";

/// A session that knows sources in Hive's layout and Skein's functions, and takes at most `memory_bytes` for sorting and grouping.
///
/// # Errors
/// DataFusion cannot make its runtime.
pub fn script_session(memory_bytes: usize) -> Result<SessionContext> {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes))).build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(session_config())
        .with_runtime_env(runtime)
        .with_default_features()
        .with_table_factory(FORMAT.to_owned(), Arc::new(HiveTables))
        .build();
    let session = SessionContext::new_with_state(state);
    session.register_udf(row128());
    session.register_udf(hive_cast());
    Ok(session)
}
