//! Following the ledger: which proposals were applied, in order, with their answers.
//!
//! In: applied proposals. Out: a [`Subscription`] for each listener. Holds: the bound on what a slow listener may
//! make the ledger keep. A listener that falls behind is told so and reads the state instead; nobody waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use skein_protocol::ledger::fold::{Fold, Proposal};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Applied batches that are kept for the slowest listener. At full speed this is some seconds of history.
const BATCHES_KEPT: usize = 1024;

/// A proposal that became part of the state.
pub struct Applied<F: Fold> {
    /// Its position among all applied proposals, from 1, without gaps.
    pub index: u64,
    /// The proposal.
    pub proposal: Arc<Proposal<F::Entry>>,
    /// What the fold answered.
    pub answer: F::Answer,
}

impl<F: Fold> Clone for Applied<F> {
    fn clone(&self) -> Self {
        Self { index: self.index, proposal: self.proposal.clone(), answer: self.answer.clone() }
    }
}

impl<F: Fold> fmt::Debug for Applied<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applied")
            .field("index", &self.index)
            .field("proposal", &self.proposal)
            .field("answer", &self.answer)
            .finish()
    }
}

/// What a listener gets.
#[derive(Debug)]
pub enum Notice<F: Fold> {
    /// The next proposal. The state already has it (and perhaps later ones).
    Applied(Applied<F>),
    /// Some proposals are not told: look at the state, it has them.
    Missed,
}

/// Follows the applied proposals from the moment it was made.
///
/// Subscribe first, then read the state with its index, then skip notices up to that index: nothing is missed.
pub struct Subscription<F: Fold> {
    received: broadcast::Receiver<News<F>>,
    waiting: VecDeque<Applied<F>>,
}

impl<F: Fold> Subscription<F> {
    /// The next notice; nothing once the ledger is closed. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Option<Notice<F>> {
        loop {
            if let Some(applied) = self.waiting.pop_front() {
                return Some(Notice::Applied(applied));
            }
            match self.received.recv().await {
                Ok(News::Applied(batch)) => self.waiting.extend(batch.iter().cloned()),
                Ok(News::Missed) | Err(RecvError::Lagged(_)) => return Some(Notice::Missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

enum News<F: Fold> {
    Applied(Arc<[Applied<F>]>),
    Missed,
}

impl<F: Fold> Clone for News<F> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied(batch) => Self::Applied(batch.clone()),
            Self::Missed => Self::Missed,
        }
    }
}

/// The sending end of all subscriptions.
pub(crate) struct Notices<F: Fold> {
    news: broadcast::Sender<News<F>>,
}

impl<F: Fold> Default for Notices<F> {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(BATCHES_KEPT) }
    }
}

impl<F: Fold> Notices<F> {
    pub(crate) fn subscribe(&self) -> Subscription<F> {
        Subscription { received: self.news.subscribe(), waiting: VecDeque::new() }
    }

    /// Whether anybody listens; if not, nothing needs to be told.
    pub(crate) fn are_listened_to(&self) -> bool {
        self.news.receiver_count() > 0
    }

    pub(crate) fn tell(&self, batch: Vec<Applied<F>>) {
        if !batch.is_empty() {
            // Nobody listens any more: fine.
            let _ = self.news.send(News::Applied(batch.into()));
        }
    }

    pub(crate) fn tell_missed(&self) {
        let _ = self.news.send(News::Missed);
    }
}
