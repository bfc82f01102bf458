//! Blocking work in place: no threads, so the order of everything is the runtime's.

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::sleep_until;

use super::storage::MemoryStorage;
use crate::env::{Blocking, Work};

/// Runs blocking work in place.
#[derive(Debug, Clone, Copy, Default)]
pub struct InlineBlocking;

impl Blocking for InlineBlocking {
    fn run(&self, work: Work) -> BoxFuture<'_, ()> {
        async move { work() }.boxed()
    }
}

/// Runs blocking work in place, and lets work that syncs take as long as the disk does.
///
/// What was synced is durable at the beginning of that time and known to be at its end: a crash may come between.
#[derive(Debug, Clone)]
pub(super) struct DiskBlocking(pub(super) MemoryStorage);

impl Blocking for DiskBlocking {
    fn run(&self, work: Work) -> BoxFuture<'_, ()> {
        async move {
            let before = self.0.lock().faults.syncs();
            work();
            let until = {
                let core = self.0.lock();
                core.faults.busy_until().filter(|_| core.faults.syncs() > before)
            };
            if let Some(until) = until {
                sleep_until(until).await;
            }
        }
        .boxed()
    }
}
