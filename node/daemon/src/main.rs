//! The binary `skein-node`: a node with the engine, as a process.

use std::process::ExitCode;
use std::sync::Arc;

use skein_engine::engine::{Engine, EngineSettings};
use skein_node::config::{Config, Isolation};
use skein_noded::worker_program;

fn main() -> ExitCode {
    skein_noded::main_with(&|config| Ok(Arc::new(engine(config)?)))
}

fn engine(config: &Config) -> anyhow::Result<Engine> {
    let (connections, settings) = (config.connections.clone(), EngineSettings::default());
    Ok(match config.engine.isolation {
        Isolation::Process => Engine::isolated(connections, settings, worker_program()?)?,
        Isolation::None => Engine::new(connections, settings),
    })
}
