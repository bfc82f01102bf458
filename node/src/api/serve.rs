//! Serving: HTTP/1 on the environment's sockets, with bounds on connections and on slow callers.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::serve::Listener as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::env::{ByteStream, Env, HttpListener};

/// Connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// A request's head must have come within this time; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head: heads here are a few hundred bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// When the server stops, answers under way may take this long.
const ENDING: Duration = Duration::from_secs(5);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A listening server.
pub(crate) struct Server {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens at `at` and answers with `router`.
    pub(crate) async fn start(env: &Env, at: SocketAddr, router: Router) -> std::io::Result<Self> {
        let listener = env.network.listen(at).await?;
        let address = listener.local_addr()?;
        let (stopping, stops) = watch::channel(false);
        let accepting = tokio::spawn(accept(HttpListener(listener), router, stops));
        Ok(Self { address, stopping, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, and waits a little for the answers under way.
    pub(crate) async fn stop(self) {
        self.stopping.send_replace(true);
        // A panic in there was logged by the runtime.
        let _ = self.accepting.await;
        // Every connection holds a receiver.
        if timeout(ENDING, self.stopping.closed()).await.is_err() {
            tracing::warn!("connections did not end in time");
        }
    }
}

async fn accept(mut listener: HttpListener, router: Router, mut stops: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = tokio::select! {
            biased;
            _ = stops.changed() => return,
            permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        tokio::select! {
            biased;
            _ = stops.changed() => return,
            (stream, from) = listener.accept() => {
                let (router, stops) = (router.clone(), stops.clone());
                tokio::spawn(async move {
                    answer(stream, Peer(from), router, stops).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn answer(stream: Box<dyn ByteStream>, from: Peer, router: Router, mut stops: watch::Receiver<bool>) {
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        // The date would come from the system's clock, past the environment.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        // How a connection ends is its caller's business.
        _ = connection.as_mut() => return,
        _ = stops.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
