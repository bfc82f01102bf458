//! Who is let in: nodes of the fleet with certificates that are valid now, and nobody else.

use skein_node::fabric::{CallError, Fabric};
use skein_node::pki::Credentials;
use skein_protocol::ids::NodeId;
use skein_protocol::wire::Kind;

use crate::site::{DAY, LOOPBACK, Rogue, Site, call_bytes, question};

fn why(result: Result<u64, CallError>) -> String {
    match result {
        Err(CallError::Unreachable { why }) => why,
        other => panic!("it is surely not done, but was {other:?}"),
    }
}

#[tokio::test]
async fn nodes_of_two_fleets_do_not_talk() {
    let (ours, theirs) = (Site::new(1), Site::new(2));
    let (one, two) = (ours.node(1).await, theirs.node(2).await);
    let why = why(one.ask(&two, 1).await);
    assert!(why.contains("the peer's certificate is refused") && why.contains("UnknownIssuer"), "{why}");
    assert!(two.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_by_the_one_that_is_called() {
    let (ours, theirs) = (Site::new(3), Site::new(4));
    let one = ours.node(1).await;
    // It knows our authority, and shows a certificate of its own.
    let Credentials { chain, key, .. } = theirs.credentials(2);
    let forged = Credentials { authorities: ours.credentials(2).authorities, chain, key };
    let two = ours.node_with(2, LOOPBACK, forged).await;
    let why = why(two.ask(&one, 1).await);
    assert!(why.contains("the peer refused this node's certificate") && why.contains("UnknownIssuer"), "{why}");
    assert!(one.asked().is_empty());
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_both_sides() {
    let site = Site::new(5);
    let (old, other_old) = (site.node(1).await, site.node(2).await);
    site.clock.advance(91 * DAY);
    let fresh = site.node(3).await;
    let reason = why(fresh.ask(&old, 1).await);
    assert!(reason.contains("the peer's certificate is refused") && reason.contains("xpired"), "{reason}");
    let reason = why(old.ask(&fresh, 1).await);
    assert!(reason.contains("the peer refused this node's certificate") && reason.contains("xpired"), "{reason}");
    why(old.ask(&other_old, 1).await);
    assert!(fresh.asked().is_empty() && old.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_is_renewed_without_losing_a_connection() {
    let site = Site::new(6);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert_eq!(one.ask(&two, 1).await, Ok(2));
    site.clock.advance(80 * DAY);
    for node in [&one, &two] {
        node.identity.exchange(site.credentials(node.id.0));
    }
    assert_eq!(one.ask(&two, 1).await, Ok(2));
    assert_eq!((one.fabric.held().dialled, two.fabric.held().accepted), (1, 1), "it is the connection from before");
    site.clock.advance(20 * DAY);
    // The first certificates are over; those that were exchanged make the next connections.
    let three = site.node(3).await;
    assert_eq!(three.ask(&two, 1).await, Ok(2));
    assert_eq!(two.ask(&one, 1).await, Ok(2));
}

#[tokio::test]
async fn a_removed_node_is_refused_and_its_connections_are_closed() {
    let site = Site::new(7);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert_eq!(one.ask(&two, 1).await, Ok(2));
    assert_eq!(two.ask(&one, 1).await, Ok(2));
    let pending = one.ask(&two, u64::MAX);
    let removing = async {
        while two.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        two.answering.removed.lock().unwrap().insert(one.id);
        two.fabric.forget(one.id);
    };
    let (pending, ()) = tokio::join!(pending, removing);
    assert!(matches!(&pending, Err(CallError::Unknown { why }) if why.contains("removed")), "{pending:?}");
    let reason = why(one.ask(&two, 1).await);
    assert!(reason.contains("not a member"), "{reason}");
    let reason = why(two.ask(&one, 1).await);
    assert!(reason.contains("was removed from the fleet"), "{reason}");
    assert_eq!(two.asked().len(), 2, "nothing of the removed node was answered");
    assert_eq!(one.asked().len(), 1, "nothing was asked of the removed node");
}

#[tokio::test]
async fn a_peer_without_a_certificate_may_ask_for_nothing_but_to_join() {
    let site = Site::new(8);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, None).await;
    let connection = rogue.connect(&one).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let frame = question(1);
    send.write_all(&call_bytes(u32::try_from(frame.len()).unwrap(), &frame)).await.unwrap();
    send.finish().unwrap();
    assert!(receive.read_to_end(1000).await.is_err());
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("the node closes the connection");
    };
    assert_eq!(close.error_code, quinn::VarInt::from_u32(3));
    assert!(String::from_utf8_lossy(&close.reason).contains("join"));
    assert!(one.asked().is_empty());
}

#[tokio::test]
async fn a_peer_without_a_certificate_cannot_cast() {
    let site = Site::new(9);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, None).await;
    let connection = rogue.connect(&one).await;
    let opened = tokio::time::timeout(std::time::Duration::from_millis(200), connection.open_uni()).await;
    assert!(opened.is_err(), "there is no room for one-way streams of strangers");
}

#[tokio::test]
async fn credentials_of_another_node_do_not_open_a_fabric() {
    let site = Site::new(10);
    let env = &site.env;
    let fabrics = skein_node::fabric::quic::QuicFabrics::new(
        env.network.clone(),
        env.blocking.clone(),
        env.entropy.clone(),
        env.clock.clone(),
    );
    let answering = site.node(5).await.answering;
    for identity in [skein_node::pki::Identity::absent(), skein_node::pki::Identity::new(site.credentials(2))] {
        let identity = std::sync::Arc::new(identity);
        let setup = skein_node::fabric::FabricSetup { node: NodeId(1), listen: LOOPBACK, identity };
        let refused = fabrics.open_quic(setup, answering.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "{refused}");
    }
    assert!(answering.asked.lock().unwrap().iter().all(|(_, kind)| *kind == Kind::Join));
}
