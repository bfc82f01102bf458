//! SQL: plans' generated scripts, which run as they stand, and the policy's checks over a staged table.
//!
//! In: SQL, a source's folder or a table's record batches. Out: the tables that a script makes, verdicts of checks.
//! Holds: what SQL needs beyond DataFusion: sources in Hive's layout as tables, `row128`, `hive_cast`. Not here: the
//! rendering of scripts (`protocol::planner`), the filter within a batch (`transform`), which executes the same plan as a stream.

mod check;
mod columns;
mod functions;
mod hive;
mod run;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub use check::check_sql;
pub use functions::{hive_cast, row128};
pub use run::{ScriptOutcome, run_script};
pub use session::script_session;
