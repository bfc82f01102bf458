//! A data plane in memory that follows a script: sources, an object store and a catalog that hold numbers, honest until
//! a fault says otherwise.
//!
//! In: tables of numbers, faults. Out: a [`DataPlane`](skein_protocol::data_plane::DataPlane). Holds: [`World`], which
//! outlives the starts of nodes, and sees what a node must never do ([`World::violations`]). Not here: the node's own
//! environment (`env::memory`).
//!
//! Used by tests and simulations; public for that reason, never by a node in production.

mod clock;
mod fault;
mod plane;
mod rows;
mod world;

pub use clock::VirtualClock;
pub use fault::{Call, Effect, Fault, Hold};
pub use plane::ScriptedPlane;
pub use world::{LAKE, LEGACY, World, connections};
