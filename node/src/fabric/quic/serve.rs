//! Connections that peers dialled: who may connect, and the streams that they open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::limits::{
    CONNECT_TIMEOUT, LONGEST_CALL, MAX_CONNECTIONS, MEMBER_CALLS, MEMBER_CASTS, MEMBER_WINDOW, STRANGER_LIFETIME,
    body_deadline,
};
use super::pool::peer_node;
use super::stream::{BEGIN_BY, NotRead};
use super::{Accepted, Shared, codes, stream};
use crate::fabric::{MAX_CAST_BYTES, Peer};

/// Accepts connections until the fabric is closed.
pub(super) async fn accept(shared: Arc<Shared>, endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let at = incoming.remote_address();
        if shared.is_busy() && !incoming.remote_address_validated() && incoming.may_retry() {
            // The error is that it may not, which was asked.
            let _ = incoming.retry();
            continue;
        }
        let permit = shared.handshakes.clone().try_acquire_owned();
        let (Ok(permit), true) = (permit, shared.accepted().len() < MAX_CONNECTIONS) else {
            tracing::warn!(peer = %at, "connection refused: too many");
            incoming.refuse();
            continue;
        };
        shared.spawn(connect(shared.clone(), incoming, at, permit));
    }
}

async fn connect(shared: Arc<Shared>, incoming: Incoming, at: SocketAddr, handshake: OwnedSemaphorePermit) {
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => return tracing::warn!(peer = %at, why = codes::why(&error), "connection refused"),
    };
    let connection = match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::warn!(peer = %at, why = codes::why(&error), "connection refused"),
        Err(_) => return tracing::debug!(peer = %at, "handshake given up"),
    };
    drop(handshake);
    match peer_node(&connection) {
        Ok(Some(node)) => member(&shared, connection, Peer { node: Some(node), at }).await,
        Ok(None) => stranger(&shared, connection, Peer { node: None, at }).await,
        Err(why) => refuse(&connection, at, codes::NOT_ADMITTED, &why),
    }
}

fn refuse(connection: &Connection, at: SocketAddr, code: VarInt, why: &str) {
    tracing::warn!(peer = %at, why, "connection refused");
    connection.close(code, why.as_bytes());
}

async fn member(shared: &Arc<Shared>, connection: Connection, peer: Peer) {
    let admitted = peer.node.is_some_and(|node| shared.answering().is_some_and(|answering| answering.admits(node)));
    if !admitted {
        return refuse(&connection, peer.at, codes::NOT_ADMITTED, "this node is not a member of the fleet");
    }
    connection.set_receive_window(MEMBER_WINDOW);
    connection.set_max_concurrent_bi_streams(MEMBER_CALLS);
    connection.set_max_concurrent_uni_streams(MEMBER_CASTS);
    streams(shared, &connection, peer).await;
}

async fn stranger(shared: &Arc<Shared>, connection: Connection, peer: Peer) {
    let Ok(_permit) = shared.strangers.clone().try_acquire_owned() else {
        return refuse(&connection, peer.at, codes::FULL, "too many nodes join at once; try again");
    };
    if timeout(STRANGER_LIFETIME, streams(shared, &connection, peer)).await.is_err() {
        refuse(&connection, peer.at, codes::UNUSED, "it did not join in time");
    }
}

/// Serves the streams of a connection until it ends.
async fn streams(shared: &Arc<Shared>, connection: &Connection, peer: Peer) {
    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
    shared.accepted().insert(number, Accepted { node: peer.node, connection: connection.clone() });
    let _leave = Leave { shared, number };
    loop {
        let opened = tokio::select! {
            opened = connection.accept_bi() => opened.map(Opened::Call),
            opened = connection.accept_uni() => opened.map(Opened::Cast),
        };
        // A peer whose stream waits here opens no more than QUIC lets it; nothing closes the semaphore.
        let (Ok(opened), Ok(permit)) = (opened, shared.streams.clone().acquire_owned().await) else {
            return;
        };
        match opened {
            Opened::Call((answer, request)) => {
                shared.spawn(answer_call(shared.clone(), connection.clone(), peer, request, answer, permit));
            }
            Opened::Cast(stream) => shared.spawn(hear(shared.clone(), peer, stream, permit)),
        }
    }
}

/// A stream that a peer opened.
enum Opened {
    Call((SendStream, RecvStream)),
    Cast(RecvStream),
}

struct Leave<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.accepted().remove(&self.number);
    }
}

/// Reads a call, has it answered, and sends the answer.
async fn answer_call(
    shared: Arc<Shared>,
    connection: Connection,
    peer: Peer,
    mut request: RecvStream,
    mut answer: SendStream,
    _permit: OwnedSemaphorePermit,
) {
    let read = async {
        let deadline = timeout(BEGIN_BY, stream::number(&mut request)).await.map_err(|_| NotRead::Slow)??;
        let allowed = |kind| peer.node.is_some() || kind == Kind::Join;
        let read = stream::read(&mut request, allowed, BEGIN_BY, &shared.requests, &shared.world).await?;
        Ok((Duration::from_millis(deadline.into()).min(LONGEST_CALL), read))
    };
    let (deadline, read) = match read.await {
        Ok(read) => read,
        Err(NotRead::NotAllowed(kind)) if peer.node.is_none() => {
            tracing::warn!(peer = %peer.at, ?kind, "a peer without a certificate may only join");
            return connection.close(codes::NO_CERTIFICATE, b"without a certificate only a join is answered");
        }
        Err(error) => {
            tracing::warn!(peer = %peer.at, node = ?peer.node, why = %error, "call not read");
            let _ = request.stop(error.code());
            let _ = answer.reset(error.code());
            return;
        }
    };
    let Some(answering) = shared.answering() else {
        return;
    };
    if peer.node.is_some_and(|node| !answering.admits(node)) {
        return connection.close(codes::REMOVED, b"this node was removed from the fleet");
    }
    let Ok(result) = timeout(deadline, answering.answer(peer, read.frame)).await else {
        tracing::warn!(peer = %peer.at, node = ?peer.node, kind = ?read.kind, "call not answered in time");
        let _ = answer.reset(codes::DEADLINE);
        return;
    };
    drop((answering, read.share));
    let sealed = shared.world.seal(answer_frame(result, read.kind)).await;
    let deadline = body_deadline(sealed.len());
    if timeout(deadline, stream::write(&mut answer, &[], sealed)).await.is_err() {
        let _ = answer.reset(codes::SLOW_READER);
    }
}

/// The frame of an answer, or of a refusal.
fn answer_frame(result: Result<Vec<u8>, Problem>, asked: Kind) -> Vec<u8> {
    let problem = match result {
        Ok(frame) => match wire::head(&frame, frame.len()) {
            Ok(_) => return frame,
            Err(error) => {
                tracing::error!(?asked, %error, "an answer that cannot travel");
                Problem::new(
                    Code::Internal,
                    format!("The answer to {asked:?} cannot be sent"),
                    error.to_string(),
                    "Report this; the call may have been done.",
                )
            }
        },
        Err(problem) => problem,
    };
    refusal(&problem)
}

fn refusal(problem: &Problem) -> Vec<u8> {
    wire::encode(Kind::Refusal, problem).unwrap_or_else(|_| {
        // Only its length can be wrong: the code and where it happened are what counts.
        let short = Problem::new(problem.code, "The call was refused", "the reason is too long to be sent", "");
        wire::encode(Kind::Refusal, &short).expect("a few short texts fit every frame")
    })
}

/// Reads a one-way frame and passes it on.
async fn hear(shared: Arc<Shared>, peer: Peer, mut stream: RecvStream, _permit: OwnedSemaphorePermit) {
    // A stranger cannot open such streams: their number is raised for members.
    let allowed = |kind: Kind| peer.node.is_some() && kind.max_bytes() <= MAX_CAST_BYTES;
    match stream::read(&mut stream, allowed, BEGIN_BY, &shared.requests, &shared.world).await {
        Ok(read) => {
            if let Some(answering) = shared.answering()
                && peer.node.is_some_and(|node| answering.admits(node))
            {
                answering.heard(peer, read.frame);
            }
        }
        Err(error) => {
            tracing::debug!(peer = %peer.at, node = ?peer.node, why = %error, "one-way frame not read");
            let _ = stream.stop(error.code());
        }
    }
}
