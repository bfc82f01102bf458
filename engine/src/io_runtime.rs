//! A runtime for input and output, driven by threads that may block.
//!
//! In: futures. Out: their results. Holds: [`IoRuntime`]. Not here: what is sent.
//!
//! The engine's work blocks, on threads that are made for it, and the libraries that speak to stores and catalogs are
//! asynchronous. On a runtime of their own a busy thread never keeps an upload or a connection waiting.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// Threads of the runtime: they only shuffle buffers and encrypt.
const IO_THREADS: usize = 2;

/// The runtime, which starts with its first use.
#[derive(Debug, Default)]
pub(crate) struct IoRuntime(OnceLock<Held>);

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
struct Held(Option<Runtime>);

impl Drop for Held {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which tasks must not do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl IoRuntime {
    /// Runs `work` to its end. Never to be called on a thread that drives tasks.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let held = match self.0.get() {
            Some(held) => held,
            None => {
                let made = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(IO_THREADS)
                    .thread_name("skein-io")
                    .enable_all()
                    .build()?;
                self.0.get_or_init(|| Held(Some(made)))
            }
        };
        Ok(held.0.as_ref().expect("it is taken only when it is dropped").block_on(work))
    }
}
