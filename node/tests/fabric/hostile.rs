//! Peers that send what no node would: nothing of it is answered, nothing of it panics, and little of it is held.

use std::time::Duration;

use futures::FutureExt;
use skein_protocol::wire::{self, Kind, VERSION};

use crate::site::{DEADLINE, Rogue, Site, call_bytes, question};

/// The numbers with which a node stops streams: they are part of what nodes say to each other.
const MALFORMED: u64 = 16;
const TOO_LONG: u64 = 17;
const SLOW: u64 = 18;

/// What one stream may make a node hold: the head of a frame is not counted.
const NOTHING: usize = 0;

fn framed(frame: &[u8]) -> Vec<u8> {
    call_bytes(u32::try_from(frame.len()).unwrap(), frame)
}

#[tokio::test]
async fn lengths_that_no_frame_has_are_refused_before_there_is_room_for_them() {
    let site = Site::new(1);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, Some(site.credentials(2))).await;
    let connection = rogue.connect(&one).await;
    let head = [VERSION, Kind::ReadIndex as u8, 0, 1, 1, 1, 1];
    let beyond_kind = u32::try_from(Kind::ReadIndex.max_bytes() + 1).unwrap();
    for length in [u32::MAX, 1 << 31, 73 << 20, beyond_kind] {
        assert_eq!(Rogue::stopped(&connection, &call_bytes(length, &head)).await, TOO_LONG, "{length}");
        assert_eq!(one.fabric.held().frames_kib, NOTHING);
    }
    assert!(one.asked().is_empty());
    assert!(connection.close_reason().is_none(), "the other streams of the connection are not concerned");
}

#[tokio::test]
async fn decompression_bombs_are_refused() {
    let site = Site::new(2);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, Some(site.credentials(2))).await;
    let connection = rogue.connect(&one).await;
    let bomb = |kind: Kind, claimed: u32, block: &[u8]| {
        framed(&[&[VERSION, kind as u8, 1][..], &claimed.to_le_bytes(), block].concat())
    };
    // More than its kind may be; more than the bytes could become; as much as they could, and they do not.
    assert_eq!(Rogue::stopped(&connection, &bomb(Kind::BlobPut, u32::MAX, &[0; 100])).await, TOO_LONG);
    assert_eq!(Rogue::stopped(&connection, &bomb(Kind::ReadIndex, 1 << 20, &[0; 9000])).await, TOO_LONG);
    assert_eq!(Rogue::stopped(&connection, &bomb(Kind::BlobPut, 70 << 20, &[0; 1000])).await, MALFORMED);
    assert_eq!(Rogue::stopped(&connection, &bomb(Kind::BlobPut, 250_000, &[255; 1000])).await, MALFORMED);
    assert_eq!(one.fabric.held().frames_kib, NOTHING);
    assert!(one.asked().is_empty());
}

#[tokio::test]
async fn garbage_and_what_is_cut_short_is_refused() {
    let site = Site::new(3);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, Some(site.credentials(2))).await;
    let connection = rogue.connect(&one).await;
    let frame = question(300);
    let whole = framed(&frame);
    for end in 0..whole.len() {
        assert_eq!(Rogue::stopped(&connection, &whole[..end]).await, MALFORMED, "{end} bytes were accepted");
    }
    for (at, byte) in [(0, VERSION - 1), (0, VERSION + 1), (1, 0), (1, 1), (1, 7), (1, 255), (2, 1), (2, 2), (2, 255)] {
        let mut other = frame.clone();
        other[at] = byte;
        assert_eq!(Rogue::stopped(&connection, &framed(&other)).await, MALFORMED, "byte {at} may not be {byte}");
    }
    assert_eq!(Rogue::stopped(&connection, &framed(&[])).await, MALFORMED);
    assert!(one.asked().is_empty());
    let good = site.node(4).await;
    assert_eq!(good.ask(&one, 7).await, Ok(8));
}

#[tokio::test]
async fn ten_thousand_idle_streams_are_bounded_and_cut_and_keep_nobody_else_waiting() {
    let site = Site::new(4);
    let (one, other) = (site.node(1).await, site.node(4).await);
    let rogue = Rogue::new(&site, Some(site.credentials(2))).await;
    let connection = rogue.connect(&one).await;
    // The first stream waits until the node has counted the peer as a member and raised its number of streams.
    let mut idle = vec![connection.open_bi().await.unwrap(), connection.open_bi().await.unwrap()];
    idle.push(tokio::time::timeout(DEADLINE, connection.open_bi()).await.unwrap().unwrap());
    for _ in 0..10_000 {
        match connection.open_bi().now_or_never() {
            Some(stream) => idle.push(stream.unwrap()),
            None => tokio::task::yield_now().await,
        }
    }
    assert!((4..=256).contains(&idle.len()), "{} streams were opened", idle.len());
    for (send, _) in &mut idle {
        send.write_all(&[1]).await.unwrap();
    }
    assert_eq!(other.ask(&one, 7).await, Ok(8));
    let held = one.fabric.held();
    assert!(held.streams <= 256 && held.frames_kib == NOTHING, "{held:?}");
    for (send, _receive) in idle {
        let stopped = tokio::time::timeout(DEADLINE, send.stopped()).await.unwrap();
        assert_eq!(stopped.unwrap().map(u64::from), Some(SLOW));
    }
    // The peer may hear of it a moment before the last task has ended.
    while one.fabric.held().streams > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_frame_that_comes_too_slowly_is_cut() {
    let site = Site::new(5);
    let one = site.node(1).await;
    let rogue = Rogue::new(&site, Some(site.credentials(2))).await;
    let connection = rogue.connect(&one).await;
    let frame = wire::encode(Kind::BlobPut, &vec![0_u8; 1000]).unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&frame)[..100]).await.unwrap();
    let trickle = async {
        let mut every = tokio::time::interval(Duration::from_millis(500));
        loop {
            every.tick().await;
            let _ = send.write_all(&[0]).await;
            if let Some(stopped) = send.stopped().now_or_never() {
                return stopped;
            }
        }
    };
    let stopped = tokio::time::timeout(DEADLINE, trickle).await.unwrap();
    assert_eq!(stopped.unwrap().map(u64::from), Some(SLOW));
    assert!(one.asked().is_empty());
}

#[tokio::test]
async fn strangers_take_a_bounded_number_of_connections() {
    let site = Site::new(6);
    let (one, member) = (site.node(1).await, site.node(4).await);
    let rogue = Rogue::new(&site, None).await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(rogue.connect(&one).await);
    }
    assert_eq!(member.ask(&one, 7).await, Ok(8));
    let mut closed = 0;
    for connection in &connections[64..] {
        let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
            panic!("the node closes the connection");
        };
        assert_eq!(close.error_code, quinn::VarInt::from_u32(6));
        closed += 1;
    }
    assert_eq!(closed, 36);
    assert!(one.fabric.held().accepted <= 65, "{:?}", one.fabric.held());
}

#[tokio::test]
async fn datagrams_that_are_no_quic_are_ignored() {
    let site = Site::new(7);
    let (one, member) = (site.node(1).await, site.node(4).await);
    let noise = site.env.network.datagrams(crate::site::LOOPBACK).await.unwrap();
    for length in [0, 1, 20, 1200] {
        let contents = vec![0xc3; length];
        let transmit = quinn::udp::Transmit {
            destination: one.at(),
            ecn: None,
            contents: &contents,
            segment_size: None,
            src_ip: None,
        };
        let _ = noise.try_send(&transmit);
    }
    assert_eq!(member.ask(&one, 7).await, Ok(8));
}
