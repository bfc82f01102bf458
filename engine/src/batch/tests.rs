//! Batches as a whole: small tables through plans that the planner made.

mod failures;
mod model;
mod order;
mod partitions;
mod rules;
mod values;
