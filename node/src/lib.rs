//! The node as a library: actors, ledger and HTTP API round the decisions of `skein-protocol`.
//!
//! In: a configuration and an [`env::Env`]; the runtime is the caller's. Out: a running node.
//! Holds: nothing process-wide; several nodes run in one process. Not here: decisions (`skein-protocol`), moving
//! bytes (`skein-engine`), the process (`skein-node`).

#[cfg(not(tokio_unstable))]
compile_error!(
    "build with `--cfg tokio_unstable`: .cargo/config.toml sets it, and a RUSTFLAGS variable in the environment \
     replaces that; without it one seed does not give one schedule"
);

mod actors;
pub mod alert;
pub mod api;
pub mod checks;
pub mod config;
mod core;
pub mod env;
pub mod fabric;
pub mod fleet;
pub mod founding;
pub mod ledger;
pub mod metrics;
mod node;
pub mod pki;
mod report;
pub mod scripted;

pub use actors::TreeError;
pub use node::{Node, NodeError, NodeHandle};
