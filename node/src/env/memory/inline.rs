//! Blocking work in place: no threads, so the order of everything is the runtime's.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::env::{Blocking, Work};

/// Runs blocking work in place.
#[derive(Debug, Clone, Copy, Default)]
pub struct InlineBlocking;

impl Blocking for InlineBlocking {
    fn run(&self, work: Work) -> BoxFuture<'_, ()> {
        async move { work() }.boxed()
    }
}
