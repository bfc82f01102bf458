//! The binary `skein-paced-node`: a real node whose data plane takes a stated time and moves next to nothing.
//!
//! In:    the arguments and the configuration of `skein-node`; `paced.json` in the source's warehouse.
//! Out:   a node of a fleet, on as many of a machine's cores as nothing needs.
//! Holds: everything but the data plane is what runs in production.
//! Not here: what a node does (`skein-node`), what the runs measure (`bench/fleet`, `tests/suite/fleet`).

mod catalog;
mod plane;
mod rows;
mod script;
mod shared;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use skein_node::config::Config;
use skein_protocol::connection::Connection;

use crate::plane::PacedPlane;

/// The variable that names the node in its trace.
const NAME: &str = "SKEIN_PACED_NAME";

fn main() -> ExitCode {
    skein_noded::main_with(&|config| Ok(Arc::new(plane(config)?)))
}

/// The data plane that a configuration's connections stand for: the first source and the first target.
fn plane(config: &Config) -> Result<PacedPlane> {
    let (mut source, mut target) = (None, None);
    for connection in config.connections.values() {
        match connection {
            Connection::HiveFiles(hive) => source = source.or(Some(hive)),
            Connection::HiveMetastore(_) => bail!("a paced node reads scripts from a connection of kind hive-files"),
            Connection::Iceberg(iceberg) => target = target.or(Some(iceberg)),
        }
    }
    let (Some(source), Some(target)) = (source, target) else {
        bail!(
            "a paced node needs a connection of kind hive-files, with the script in its warehouse, and one of kind iceberg"
        )
    };
    let node = std::env::var(NAME).unwrap_or_else(|_| std::process::id().to_string());
    let Some(catalog) = &target.catalog_file else { bail!("a paced node needs a connection with a catalogFile") };
    PacedPlane::open(Path::new(&source.warehouse), &target.warehouse, Path::new(catalog), &node)
}
