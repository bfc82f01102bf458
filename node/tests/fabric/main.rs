//! Calls between nodes over real QUIC on loopback: who is let in, what is answered, and what hostile peers can make a
//! node hold.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod credentials;
mod hostile;
mod joining;
mod restart;
mod site;
