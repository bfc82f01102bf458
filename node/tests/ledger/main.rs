//! The ledger as its users see it, on machines in memory that crash, and on paused time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blobs;
mod crash;
mod following;
mod opening;
mod proposing;
mod support;
mod traces;
