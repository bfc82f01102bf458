//! Calls and one-way frames, from the side that sends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skein_protocol::ids::NodeId;
use skein_protocol::problem::Problem;
use skein_protocol::wire::{self, Kind};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::limits::{CAST_DEADLINE, LONGEST_CALL};
use super::{Shared, codes, stream};
use crate::fabric::{CallError, MAX_CAST_BYTES};

fn unreachable(why: impl Into<String>) -> CallError {
    CallError::Unreachable { why: why.into() }
}

/// One call, from the frame to its answer or the deadline.
pub(super) async fn call(
    shared: &Arc<Shared>,
    to: SocketAddr,
    expected: Option<NodeId>,
    frame: Vec<u8>,
    deadline: Duration,
) -> Result<Vec<u8>, CallError> {
    let deadline = deadline.min(LONGEST_CALL);
    wire::head(&frame, frame.len()).map_err(|error| unreachable(error.to_string()))?;
    let sent = AtomicBool::new(false);
    match timeout(deadline, attempt(shared, to, expected, frame, deadline, &sent)).await {
        Ok(result) => result,
        Err(_) if sent.load(Ordering::Relaxed) => Err(CallError::Unknown { why: "its deadline passed".to_owned() }),
        Err(_) => Err(unreachable("its deadline passed before it was sent")),
    }
}

async fn attempt(
    shared: &Arc<Shared>,
    to: SocketAddr,
    expected: Option<NodeId>,
    frame: Vec<u8>,
    deadline: Duration,
    sent: &AtomicBool,
) -> Result<Vec<u8>, CallError> {
    let link = shared.pool.link(to).ok_or_else(|| unreachable("this node has too many peers"))?;
    let sealed = shared.world.seal(frame).await;
    let dialled = link.connection(shared, to).await.map_err(unreachable)?;
    let answering = shared.answering().ok_or_else(|| unreachable("this node's end of the fabric is closed"))?;
    if let Some(expected) = expected.filter(|expected| *expected != dialled.node) {
        return Err(unreachable(format!("node {} answers at {to}, not node {expected}", dialled.node)));
    }
    if !answering.admits(dialled.node) {
        return Err(unreachable(format!("node {}, which answers at {to}, was removed from the fleet", dialled.node)));
    }
    drop(answering);
    let opened = dialled.connection.open_bi().await;
    let (mut request, mut answer) = opened.map_err(|error| unreachable(codes::why(&error)))?;
    let millis = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
    stream::write(&mut request, &millis.to_le_bytes(), sealed).await.map_err(|error| codes::of_write(&error))?;
    sent.store(true, Ordering::Relaxed);
    let read = stream::read(&mut answer, |_| true, deadline, &shared.answers, &shared.world).await;
    let read = read.map_err(|error| match error {
        stream::NotRead::Ended(error) => codes::of_read(&error),
        other => CallError::Unknown { why: format!("the answer cannot be read: {other}") },
    })?;
    opened_answer(read.kind, read.frame)
}

/// An answer as the caller gets it: a refusal is an error.
pub(super) fn opened_answer(kind: Kind, frame: Vec<u8>) -> Result<Vec<u8>, CallError> {
    if kind != Kind::Refusal {
        return Ok(frame);
    }
    match wire::decode::<Problem>(Kind::Refusal, &frame) {
        Ok(problem) => Err(CallError::Refused(problem)),
        Err(error) => Err(CallError::Unknown { why: format!("the peer refused, and why cannot be read: {error}") }),
    }
}

/// Sends a frame one way, in a task of its own; drops it when too many wait for the same peer.
pub(super) fn cast(shared: &Arc<Shared>, to: SocketAddr, frame: Vec<u8>) {
    if frame.len() > MAX_CAST_BYTES || wire::head(&frame, frame.len()).is_err() {
        tracing::warn!(peer = %to, bytes = frame.len(), "a one-way frame that no peer would take");
        return;
    }
    let (Ok(_), Some(link)) = (Handle::try_current(), shared.pool.link(to)) else {
        return;
    };
    let Ok(permit) = link.casts().try_acquire_owned() else {
        tracing::debug!(peer = %to, "one-way frame dropped: too many wait");
        return;
    };
    let sender = shared.clone();
    shared.spawn(async move {
        let shared = sender;
        let sending = async {
            let sealed = shared.world.seal(frame).await;
            let dialled = link.connection(&shared, to).await?;
            if !shared.answering().is_some_and(|answering| answering.admits(dialled.node)) {
                return Err(format!("node {} was removed from the fleet", dialled.node));
            }
            let mut stream = dialled.connection.open_uni().await.map_err(|error| codes::why(&error))?;
            stream::write(&mut stream, &[], sealed).await.map_err(|error| error.to_string())
        };
        match timeout(CAST_DEADLINE, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::debug!(peer = %to, why, "one-way frame dropped"),
            Err(_) => tracing::debug!(peer = %to, "one-way frame dropped: it could not be sent in time"),
        }
        drop(permit);
    });
}
