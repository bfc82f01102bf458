//! Every kind of fault that a run over many seeds must have inflicted, as the counters name them.
//!
//! Holds: the names. Not here: the counters (the fabric, the storage, the clocks, the data world, the people).

/// All of them.
pub const WANTED: [&str; 0] = [];
