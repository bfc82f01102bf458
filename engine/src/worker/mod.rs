//! Decoding of foreign files in processes of their own: a file that ends its decoder ends a batch, and never the node.
//!
//! In: requests of the engine. Out: their answers, or what is to be said of a worker's death. Holds: the pool of worker
//! processes, the frames between them and the engine, their limits. Not here: the work itself, which a worker does with
//! an engine of its own (`engine`).
//!
//! The two sides: [`Workers`] in the node (`pool`, `process`, `death`), [`serve`] in the worker (`serve`, `limits`).
//! Both speak `frame`s that hold a `message`.

mod death;
mod frame;
mod limits;
mod message;
mod pool;
mod process;
mod program;
mod serve;
mod telling;
#[cfg(test)]
mod tests;

pub(crate) use pool::Workers;
pub use program::WorkerProgram;
pub use serve::serve;
pub use telling::Telling;
