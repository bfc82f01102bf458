//! The traits for sockets, and the bridge that lets axum serve on them.
//!
//! Holds: streams for the HTTP API, datagrams for the node-to-node transport.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// After a failed accept (no descriptors left, say) the listener rests this long: trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// Opens sockets.
#[async_trait]
pub trait Network: Debug + Send + Sync + 'static {
    /// Binds `at` (port 0: any free port) and accepts streams there until the listener is dropped.
    ///
    /// # Errors
    /// When the address is taken or not allowed.
    async fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>>;

    /// Binds `at` (port 0: any free port) for datagrams.
    ///
    /// # Errors
    /// When the address is taken or not allowed, or this network carries none.
    async fn datagrams(&self, at: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>>;
}

/// A bound address.
#[async_trait]
pub trait StreamListener: Send + 'static {
    /// The next connection and the address of its peer.
    ///
    /// # Errors
    /// When accepting fails; the listener stays usable.
    async fn accept(&mut self) -> io::Result<(Box<dyn ByteStream>, SocketAddr)>;

    /// The bound address, with the port that was chosen.
    ///
    /// # Errors
    /// When the system does not tell it.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A listener in the form that `axum::serve` takes.
pub struct HttpListener(pub Box<dyn StreamListener>);

impl axum::serve::Listener for HttpListener {
    type Io = Box<dyn ByteStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The peer went away before it was accepted: nothing is wrong with the listener.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
