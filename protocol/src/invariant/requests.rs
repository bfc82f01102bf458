//! Requests: a repeated one is done once.
//!
//! In: an entry, and what was answered to an earlier one with the same key.

use std::collections::BTreeSet;

use super::{Verdict, ensure};
use crate::hash::Hash256;
use crate::ledger::entry::Answer;

/// A request with a key, and what is known of earlier ones with the same key.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    /// The key.
    pub key: &'a str,
    /// What is asked for.
    pub document: Hash256,
    /// What was asked for earlier under this key, and the answer.
    pub earlier: Option<&'a (Hash256, Answer)>,
    /// What is answered now.
    pub answer: &'a Answer,
    /// Whether anything changed.
    pub changed: bool,
}

/// The same request under the same key gets the first answer and changes nothing; another request under that key is refused.
pub(super) fn keys_are_honoured(keyed: &Keyed<'_>) -> Verdict {
    let Some((document, first)) = keyed.earlier else { return Ok(()) };
    let key = keyed.key;
    ensure(!keyed.changed, || format!("the request with key {key} was done twice"))?;
    if *document == keyed.document {
        return ensure(keyed.answer == first, || {
            format!("the request with key {key} was answered {first:?}, and then {:?}", keyed.answer)
        });
    }
    ensure(matches!(keyed.answer, Answer::Refused(_)), || format!("key {key} was taken for two documents"))
}

/// Sequence numbers of proposals of one session that were applied.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// All below were, or are too old to tell.
    below: u64,
    above: BTreeSet<u64>,
}

/// Numbers that are kept for one session; older ones are not told apart.
const NUMBERS_KEPT: usize = 4096;

impl Applied {
    /// A proposal is applied once, however often it is made.
    ///
    /// # Errors
    /// When it was applied before.
    pub fn once(&mut self, session: u64, sequence: u64) -> Verdict {
        ensure(sequence >= self.below, || format!("proposal {sequence} of session {session} came after its end"))?;
        let first = self.above.insert(sequence);
        ensure(first, || format!("proposal {sequence} of session {session} was applied twice"))?;
        while self.above.len() > NUMBERS_KEPT {
            if let Some(oldest) = self.above.pop_first() {
                self.below = oldest + 1;
            }
        }
        Ok(())
    }
}
