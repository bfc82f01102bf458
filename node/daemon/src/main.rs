//! The binary `skein-node`: a node with the engine, as a process.

use std::process::ExitCode;
use std::sync::Arc;

use skein_engine::engine::{Engine, EngineSettings};

fn main() -> ExitCode {
    skein_noded::main_with(&|config| Ok(Arc::new(Engine::new(config.connections.clone(), EngineSettings::default()))))
}
