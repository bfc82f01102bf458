//! A node that dies without a word, and is started again at the same address.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use skein_node::env::{Network, StreamListener};
use skein_node::fabric::CallError;

use crate::site::Site;

/// A network that can be pulled out of a node: nothing is sent or received from then on, and its ports are free.
#[derive(Debug)]
struct Cable {
    network: Arc<dyn Network>,
    plugs: Mutex<Vec<Arc<Plug>>>,
}

impl Cable {
    fn pull(&self) {
        for plug in &*self.plugs.lock().unwrap() {
            plug.socket.lock().unwrap().take();
        }
    }
}

#[async_trait]
impl Network for Cable {
    async fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        self.network.listen(at).await
    }

    async fn datagrams(&self, at: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.network.datagrams(at).await?;
        let plug = Arc::new(Plug { address: socket.local_addr()?, socket: Mutex::new(Some(socket)) });
        self.plugs.lock().unwrap().push(plug.clone());
        Ok(plug)
    }
}

#[derive(Debug)]
struct Plug {
    address: SocketAddr,
    socket: Mutex<Option<Arc<dyn AsyncUdpSocket>>>,
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Plug {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let socket = self.socket.lock().unwrap().clone();
        socket.map_or(Ok(()), |socket| socket.try_send(transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket.lock().unwrap().clone();
        socket.map_or(Poll::Pending, |socket| socket.poll_recv(cx, bufs, meta))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[tokio::test]
async fn callers_hear_at_once_that_a_dead_node_was_started_again() {
    let mut site = Site::new(1);
    let one = site.node(1).await;
    let network = site.env.network.clone();
    let cable = Arc::new(Cable { network: network.clone(), plugs: Mutex::default() });
    site.env.network = cable.clone();
    let two = site.node(2).await;
    let at = two.at();
    assert_eq!(one.ask(&two, 7).await, Ok(8));
    cable.pull();
    let kept = two.identity.present().unwrap();
    let same = skein_node::pki::Credentials {
        authorities: kept.authorities.clone(),
        chain: kept.chain.clone(),
        key: kept.key.clone_key(),
    };
    site.env.network = network;
    let again = site.node_with(2, at, same).await;
    let lost = one.ask(&again, 7).await;
    assert!(matches!(&lost, Err(CallError::Unknown { why }) if why.contains("reset")), "{lost:?}");
    assert_eq!(one.ask(&again, 7).await, Ok(8));
    assert!(again.asked().len() == 1, "the lost call was not answered");
}

#[tokio::test]
async fn a_call_to_a_node_that_died_may_have_happened() {
    let mut site = Site::new(2);
    let one = site.node(1).await;
    let cable = Arc::new(Cable { network: site.env.network.clone(), plugs: Mutex::default() });
    site.env.network = cable.clone();
    let two = site.node(2).await;
    assert_eq!(one.ask(&two, 7).await, Ok(8));
    cable.pull();
    let lost = one.ask(&two, 7).await;
    assert!(matches!(&lost, Err(CallError::Unknown { why }) if why.contains("nothing came")), "{lost:?}");
    let lost = one.ask(&two, 7).await;
    assert!(matches!(&lost, Err(CallError::Unreachable { .. })), "{lost:?}");
}
