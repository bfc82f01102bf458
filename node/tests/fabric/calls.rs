//! What callers learn: answers, refusals, and whether a call without an answer may have happened.

use std::time::Duration;

use futures::future::join_all;
use skein_node::fabric::{CallError, Fabric};
use skein_protocol::ids::NodeId;
use skein_protocol::wire::{self, Kind};

use crate::site::{DEADLINE, LOOPBACK, Site, question};

/// For calls that shall not be answered.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_call_is_answered_and_each_side_knows_the_other_by_its_certificate() {
    let site = Site::new(1);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert_eq!(one.ask(&two, 7).await, Ok(8));
    assert_eq!(two.ask(&one, 8).await, Ok(9));
    let (from, kind) = two.asked()[0];
    assert_eq!((from.node, from.at, kind), (Some(NodeId(1)), one.at(), Kind::ReadIndex));
}

#[tokio::test]
async fn a_refusal_comes_as_the_problem_that_it_is() {
    let site = Site::new(2);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert!(matches!(one.ask(&two, 0).await, Err(CallError::Refused(problem)) if problem.what == "zero"));
}

#[tokio::test]
async fn a_peer_that_is_another_than_expected_is_not_asked() {
    let site = Site::new(3);
    let (one, two) = (site.node(1).await, site.node(2).await);
    let misled = one.fabric.call(two.at(), Some(NodeId(9)), question(1), DEADLINE).await;
    assert!(matches!(misled, Err(CallError::Unreachable { why }) if why.contains("node 2 answers")));
    assert!(two.asked().is_empty());
    assert!(one.fabric.call(two.at(), None, question(1), DEADLINE).await.is_ok(), "nobody was expected");
}

#[tokio::test]
async fn long_frames_travel_both_ways() {
    let site = Site::new(4);
    let (one, two) = (site.node(1).await, site.node(2).await);
    for blob in [vec![7_u8; 40 << 20], (0..6_000_000_u32).flat_map(u32::to_le_bytes).collect()] {
        let frame = wire::encode(Kind::BlobPut, &blob).unwrap();
        let answer = one.fabric.call(two.at(), Some(two.id), frame, DEADLINE).await.unwrap();
        assert!(wire::decode::<Vec<u8>>(Kind::Answer, &answer).unwrap() == blob);
    }
    assert_eq!(two.fabric.held().frames_kib, 0, "nothing is held when all is answered");
}

#[tokio::test]
async fn hundreds_of_calls_share_one_connection() {
    let site = Site::new(5);
    let (one, two) = (site.node(1).await, site.node(2).await);
    let answers = join_all((1..=600).map(|number| one.ask(&two, number))).await;
    let expected: Vec<_> = (2..=601).map(Ok).collect();
    assert_eq!(answers, expected);
    assert_eq!((one.fabric.held().dialled, two.fabric.held().accepted), (1, 1));
}

#[tokio::test]
async fn a_call_that_was_sent_and_not_answered_may_have_happened() {
    let site = Site::new(6);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert_eq!(one.ask(&two, 1).await, Ok(2));
    let result = one.fabric.call(two.at(), None, question(u64::MAX), SHORT).await;
    assert!(matches!(result, Err(CallError::Unknown { .. })), "{result:?}");
    assert_eq!(two.asked().len(), 2);
}

#[tokio::test]
async fn a_call_to_nobody_surely_did_not_happen() {
    let site = Site::new(7);
    let one = site.node(1).await;
    let nobody = "127.0.0.1:9".parse().unwrap();
    let result = one.fabric.call(nobody, None, question(1), SHORT).await;
    assert!(matches!(result, Err(CallError::Unreachable { .. })), "{result:?}");
    let result = one.fabric.call(nobody, None, question(1), DEADLINE).await;
    assert!(matches!(result, Err(CallError::Unreachable { why }) if why.contains("nobody answers")));
}

#[tokio::test]
async fn a_frame_that_is_none_is_not_sent() {
    let site = Site::new(8);
    let (one, two) = (site.node(1).await, site.node(2).await);
    let stored = wire::encode(Kind::LogEntry, &1_u8).unwrap();
    for frame in [vec![], vec![1, 2, 3], stored, vec![0; 100 << 20]] {
        let result = one.fabric.call(two.at(), None, frame, DEADLINE).await;
        assert!(matches!(result, Err(CallError::Unreachable { .. })), "{result:?}");
    }
    assert_eq!(one.fabric.held().dialled, 0);
}

#[tokio::test]
async fn a_peer_that_was_started_again_is_found_again() {
    let site = Site::new(9);
    let (one, two) = (site.node(1).await, site.node(2).await);
    assert_eq!(one.ask(&two, 7).await, Ok(8));
    let (at, pending) = (two.at(), question(u64::MAX));
    let asking = one.fabric.call(at, None, pending, DEADLINE);
    let closing = async {
        while two.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        two.fabric.close().await;
    };
    let (result, ()) = tokio::join!(asking, closing);
    assert!(matches!(&result, Err(CallError::Unknown { why }) if why.contains("the node stops")), "{result:?}");
    drop(two);
    let again = site.node_with(2, at, site.credentials(2)).await;
    assert_eq!(one.ask(&again, 7).await, Ok(8));
}

#[tokio::test]
async fn a_closed_fabric_calls_nobody() {
    let site = Site::new(10);
    let (one, two) = (site.node(1).await, site.node(2).await);
    one.fabric.close().await;
    assert!(matches!(one.ask(&two, 7).await, Err(CallError::Unreachable { .. })));
    assert!(two.asked().is_empty());
}

#[tokio::test]
async fn casts_are_heard_and_never_pile_up() {
    let site = Site::new(11);
    let (one, mut two) = (site.node(1).await, site.node(2).await);
    let nobody = "127.0.0.1:9".parse().unwrap();
    for number in 0..10_000_u64 {
        let frame = wire::encode(Kind::Gossip, &number).unwrap();
        one.fabric.cast(nobody, frame.clone());
        one.fabric.cast(two.at(), frame);
    }
    let (from, first) = two.hearing.recv().await.unwrap();
    assert_eq!(from.node, Some(NodeId(1)));
    assert!(first < 100, "the first ones are sent, the others dropped; {first} came first");
    assert_eq!(one.ask(&two, 7).await, Ok(8));
    assert!(two.hearing.len() < 100, "{} more were heard", two.hearing.len());
}

#[tokio::test]
async fn an_address_is_bound_once() {
    let site = Site::new(12);
    let one = site.node(1).await;
    assert_ne!(one.at().port(), LOOPBACK.port());
    assert!(site.env.network.datagrams(one.at()).await.is_err());
}
