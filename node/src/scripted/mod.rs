//! A data plane in memory that follows a script: sources that others change, an object store and a catalog, honest until a
//! fault or the weather says otherwise.
//!
//! In: tables of numbers, changes, faults, weather. Out: a [`DataPlane`](skein_protocol::data_plane::DataPlane). Holds:
//! [`World`], which outlives the starts of nodes, writes down everything that happens, and sees what a node must never do
//! ([`World::violations`]). Not here: the node's own environment (`env::memory`).
//!
//! Used by tests and simulations; public for that reason, never by a node in production.

mod batch;
mod cells;
mod clock;
mod fault;
mod faults;
mod faulty;
mod inner;
mod outside;
mod plane;
mod publication;
mod recipe;
mod rows;
mod source;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod weather;
mod world;

pub use clock::VirtualClock;
pub use fault::{Call, Effect, Fault, Hold};
pub use faulty::Faulty;
pub use outside::{Author, Happening, Seen, What};
pub use plane::ScriptedPlane;
pub use recipe::{Contents, Recipe};
pub use source::Change;
pub use weather::{Storm, Weather};
pub use world::{LAKE, LEGACY, Poison, World, connections};
