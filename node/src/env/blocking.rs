//! The trait for work that blocks: disk commits, hashing, encoding of large states.

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

/// A piece of work without a result; see `call` for one with a result.
pub type Work = Box<dyn FnOnce() + Send + 'static>;

/// Runs work off the async threads. In simulations it runs in place.
pub trait Blocking: Debug + Send + Sync + 'static {
    /// Runs `work`; the future ends when it has ended. Work that was started runs to its end even if the
    /// future is dropped.
    fn run(&self, work: Work) -> BoxFuture<'_, ()>;
}

/// Work that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// It panicked.
    #[error("blocking work panicked: {0}")]
    Panicked(String),
    /// The runtime went away before it ran.
    #[error("blocking work was not run: the runtime is stopping")]
    Lost,
}

impl dyn Blocking {
    /// Runs `work` and returns its result.
    ///
    /// # Errors
    /// When the work panicked, or was never run. In the first case its effects may have happened.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, BlockingError> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_text(panic.as_ref()));
            // The caller may have gone; the work is done all the same.
            let _ = answer.send(result);
        };
        self.run(Box::new(work)).await;
        match answered.await {
            Ok(result) => result.map_err(BlockingError::Panicked),
            Err(_) => Err(BlockingError::Lost),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "without a message".to_owned()
    }
}
