//! Calls to the outside, in memory: they are noted, and answered as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::env::{Outbound, OutboundAnswer, OutboundCall, OutboundError};

/// Notes every call. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryOutbound(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<OutboundCall>,
    /// What the next calls get; without one: 200.
    answers: VecDeque<Result<u16, String>>,
}

impl MemoryOutbound {
    /// The next call that has no answer yet gets this one: a status, or no answer at all.
    pub fn answer_next(&self, answer: Result<u16, String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.push_back(answer);
    }

    /// All calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<OutboundCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }
}

#[async_trait]
impl Outbound for MemoryOutbound {
    async fn post(&self, call: OutboundCall) -> Result<OutboundAnswer, OutboundError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.calls.push(call);
        match inner.answers.pop_front().unwrap_or(Ok(200)) {
            Ok(status) => Ok(OutboundAnswer { status, body: Vec::new() }),
            Err(why) => Err(OutboundError(why)),
        }
    }
}
