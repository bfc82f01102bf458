//! Whole nodes in one process, over a scripted data plane, in virtual time.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests own their runtimes and processes")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod alerts;
mod api;
mod console;
mod crashes;
mod failures;
mod fleet_api;
mod publishing;
mod quarantine;
mod requests;
mod same_seed;
mod site;
mod weather;
mod whole;
