//! A fleet of real nodes in one process and in virtual time, with crashes: one seed is one history, byte for byte.
//!
//! In: a seed. Out: what happened ([`Outcome`]), with a hash over every frame between the nodes, every applied entry
//! and every call of the data plane. Holds: the machines and the world that moves their time on; the shim that makes
//! everything below tokio repeat itself. Not here: the memory environment and the scripted data plane (`skein_node`).
//!
//! A process runs one seed: libraries keep counters and lazy values for a whole process, and a second seed would find
//! them used.

#![cfg(target_os = "linux")]

#[cfg(not(tokio_unstable))]
compile_error!(
    "build with `--cfg tokio_unstable`: .cargo/config.toml sets it, and a RUSTFLAGS variable in the environment \
     replaces that; without it one seed does not give one schedule"
);

pub mod auditor;
mod client;
mod clock;
pub mod command;
pub mod crash_points;
mod entering;
mod fleet;
pub mod hunt;
pub mod kinds;
mod machine;
pub mod marks;
mod net;
mod plan;
#[cfg(test)]
mod rehearsal;
mod run;
pub mod scale;
mod shim;
mod tape;
mod traced;

pub use plan::Without;
pub use run::{Disks, Outcome, Summary, run};
