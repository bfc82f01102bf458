//! Stopping work that nobody waits for any more.
//!
//! In: a future that is dropped. Out: a flag that blocking loops look at between record batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

/// Says whether the caller still waits.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A guard that cancels when it is dropped.
    #[must_use]
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Goes on, or stops with a failure that nobody will see.
    ///
    /// # Errors
    /// The caller does not wait any more.
    pub fn check(&self) -> Result<(), Failure> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        let why = "nobody waits for its outcome any more";
        Err(Failure::transient(Problem::new(
            Code::Interrupted,
            "The work was stopped",
            why,
            "It is handed out again if it is still needed",
        )))
    }
}

/// Cancels when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
