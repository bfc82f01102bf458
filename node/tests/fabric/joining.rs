//! Joining: a token lets one node in, and shows it whom it talks to.

use skein_node::fabric::quic::{JoinError, join};
use skein_node::pki::{self, JoinToken};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::problem::Code;
use skein_protocol::wire::Kind;

use crate::site::{LOOPBACK, Node, Site};

const JOINER: NodeId = NodeId(42);

/// A token that `node` takes.
fn issued(site: &Site, node: &Node) -> JoinToken {
    let token = JoinToken::generate(&*site.env.entropy, site.authority.hash());
    node.answering.tokens.lock().unwrap().push(token);
    token.text().parse().unwrap()
}

fn request() -> Vec<u8> {
    pki::NodeKey::generate().unwrap().request().unwrap()
}

#[tokio::test]
async fn a_token_makes_a_stranger_a_node() {
    let site = Site::new(1);
    let one = site.node(1).await;
    let token = issued(&site, &one);
    // The joiner's own files, and nothing but the token of the fleet.
    let joiner = Site::new(2);
    joiner.clock.set_wall_millis(skein_node::env::Clock::wall_millis(&*site.clock));
    let files = skein_node::env::memory::MemoryHost::new(3)
        .env(std::sync::Arc::new(skein_node::env::memory::NoDataPlane))
        .files;
    let csr = pki::prepare_key(&*files).unwrap().request().unwrap();
    let at = "10.1.2.3:7401".parse().unwrap();
    let joined = join(&joiner.env, one.at(), &token, JOINER, csr, at).await.unwrap();
    assert_eq!(joined.members, [(JOINER, "10.1.2.3:7401".to_owned())]);
    let signed = skein_protocol::peer::Signed { chain: joined.chain, ca: joined.ca };
    let now = joiner.env.clock.wall_millis();
    let credentials = pki::install(&*files, &signed, JOINER, now).unwrap();
    let member = joiner.node_with(JOINER.0, LOOPBACK, credentials).await;
    assert_eq!(member.ask(&one, 7).await, Ok(8));
    assert_eq!(one.ask(&member, 7).await, Ok(8));
    let (first, second) = (one.asked()[0], one.asked()[1]);
    assert_eq!((first.0.node, first.1), (None, Kind::Join));
    assert_eq!(second.0.node, Some(JOINER));
}

#[tokio::test]
async fn a_token_that_is_unknown_or_used_up_is_refused_with_the_fleets_words() {
    let site = Site::new(4);
    let one = site.node(1).await;
    let token = issued(&site, &one);
    join(&site.env, one.at(), &token, JOINER, request(), one.at()).await.unwrap();
    let unknown = JoinToken::generate(&*site.env.entropy, site.authority.hash());
    for token in [token, unknown] {
        let refused = join(&site.env, one.at(), &token, NodeId(43), request(), one.at()).await.unwrap_err();
        assert!(matches!(&refused, JoinError::Refused(problem) if problem.code == Code::Unauthorized), "{refused}");
        assert!(refused.to_string().contains("used up"));
    }
}

#[tokio::test]
async fn a_fleet_that_is_not_the_tokens_never_sees_the_secret() {
    let (ours, theirs) = (Site::new(5), Site::new(6));
    let one = theirs.node(1).await;
    let token = JoinToken::generate(&*ours.env.entropy, ours.authority.hash());
    let refused = join(&ours.env, one.at(), &token, JOINER, request(), one.at()).await.unwrap_err();
    assert!(matches!(refused, JoinError::AnotherFleet { .. }), "{refused}");
    let pinned_to_nothing = JoinToken { authority: Hash256::of(b"nothing"), ..token };
    let refused = join(&ours.env, one.at(), &pinned_to_nothing, JOINER, request(), one.at()).await.unwrap_err();
    assert!(matches!(refused, JoinError::AnotherFleet { .. }), "{refused}");
    assert!(one.asked().is_empty());
}

#[tokio::test]
async fn joining_at_a_place_where_nobody_is_leaves_the_token_good() {
    let site = Site::new(7);
    let token = JoinToken::generate(&*site.env.entropy, site.authority.hash());
    let nobody = "127.0.0.1:9".parse().unwrap();
    let refused = join(&site.env, nobody, &token, JOINER, request(), nobody).await.unwrap_err();
    assert!(matches!(refused, JoinError::Unreachable { .. }), "{refused}");
}
