//! The configuration file and what its references stand for.

use std::path::Path;

use anyhow::{Context, Result, bail};
use skein_node::config::{Config, Reference, parse};

/// Reads the configuration, or says everything that is wrong with it.
pub(crate) fn read(file: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the configuration {} cannot be read (name it with --config)", file.display()))?;
    match parse(&text, cores(), &lookup) {
        Ok(config) => Ok(config),
        Err(errors) => {
            let list: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
            bail!("the configuration {} is refused:\n{}", file.display(), list.join("\n"))
        }
    }
}

/// Reads the configuration and prints what is worth a second look.
pub(crate) fn check(file: &Path) -> Result<()> {
    let config = read(file)?;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    println!("{} is in order: {} slots, {} connections", file.display(), config.slots, config.connections.len());
    Ok(())
}

/// A slot for each core, unless configured otherwise.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn lookup(reference: &Reference) -> Result<String, String> {
    match reference {
        Reference::Env(name) => {
            std::env::var(name).map_err(|_| format!("the variable {name} is not set, or is no text"))
        }
        Reference::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        },
    }
}
