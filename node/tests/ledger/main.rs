//! The ledger as its users see it, on machines in memory that crash, and on paused time.

mod blobs;
mod crash;
mod following;
mod opening;
mod proposing;
mod support;
mod traces;
