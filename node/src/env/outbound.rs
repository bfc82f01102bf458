//! The trait for calls to programs outside of the fleet: webhooks.
//!
//! Who may be called is the caller's business ([`crate::alert`] has an allow-list); an implementation follows no redirects,
//! so that nobody else is.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// The longest answer that is read; the rest is left unread.
pub const MAX_OUTBOUND_ANSWER_BYTES: u64 = 64 << 10;

/// One call: a POST.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundCall {
    /// Where: `https://host/path`.
    pub url: String,
    /// Headers, by name.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// The whole call ends within this time.
    pub timeout: Duration,
}

impl fmt::Debug for OutboundCall {
    /// Without headers and address, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundCall").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What the other side answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundAnswer {
    /// HTTP status; a redirect is an answer like others.
    pub status: u16,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// A call without an answer; it may have reached the other side all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutboundError(pub String);

/// Calls programs outside of the fleet.
#[async_trait]
pub trait Outbound: fmt::Debug + Send + Sync + 'static {
    /// Makes one call.
    ///
    /// # Errors
    /// When there was no answer in time.
    async fn post(&self, call: OutboundCall) -> Result<OutboundAnswer, OutboundError>;
}
