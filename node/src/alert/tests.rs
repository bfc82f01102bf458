//! Delivery over real sockets, to a webhook on this machine.
#![expect(clippy::disallowed_methods, reason = "the webhook is a thread with a socket of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ring::hmac;
use skein_protocol::alert::{Event, Incident, IncidentKind, Message, signed_text};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;

use super::delivery::Delivery;
use crate::config::{AlertConfig, Secret};
use crate::env::memory::MemoryOutbound;
use crate::env::memory::NoDataPlane;
use crate::env::system::SystemEnv;
use crate::env::{Outbound, OutboundCall};

const SECRET: &str = "a secret of a test";

/// What a webhook was sent.
struct Received {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A webhook that answers so many calls with `answer`, and tells what it was sent.
fn webhook(calls: usize, answer: &'static str) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for _ in 0..calls {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end().to_owned();
                if line.is_empty() {
                    break;
                }
                head.push(line);
            }
            let received = Received { head, body: Vec::new() };
            let length = received.header("content-length").unwrap().parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = tell.send(Received { body, ..received });
        }
    });
    (address, told)
}

fn delivery(outbound: Arc<dyn Outbound>, address: &str) -> Delivery {
    let config = AlertConfig {
        url: Secret::new(format!("http://{address}/hook")),
        host: address.to_owned(),
        secret: Secret::new(SECRET.to_owned()),
    };
    Delivery::new(outbound, config, "f00".to_owned())
}

fn system() -> (tempfile::TempDir, Arc<dyn Outbound>) {
    let folder = tempfile::tempdir().unwrap();
    let env = SystemEnv::open(folder.path()).unwrap().env(Arc::new(NoDataPlane));
    (folder, env.outbound)
}

fn incident() -> Incident {
    Incident {
        id: Hash256::of(b"one"),
        kind: IncidentKind::NoQuorum,
        since: 5,
        migration: None,
        node: Some(NodeId(7)),
        problem: None,
    }
}

#[tokio::test]
async fn a_receiver_can_check_who_sent_a_message_and_when() {
    let (address, told) = webhook(1, "HTTP/1.1 204 No Content\r\n\r\n");
    let (_folder, outbound) = system();
    let sent = [incident()];
    let delivered = delivery(outbound, &address).send(Event::Opened, &sent, 1_700_000_000_123).await.unwrap();
    assert_eq!(delivered, sent.as_slice());

    let received = told.recv().unwrap();
    assert_eq!(received.head[0], "POST /hook HTTP/1.1");
    let message: Message = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((message.event, message.incidents.as_slice()), (Event::Opened, sent.as_slice()));
    assert_eq!(received.header(super::DELIVERY_HEADER), Some(message.id.to_string().as_str()));
    let signature = received.header(super::SIGNATURE_HEADER).unwrap();
    let (time, tag) = signature.split_once(",v1=").unwrap();
    assert_eq!(time, "t=1700000000");
    let tag: Hash256 = tag.parse().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &signed_text(1_700_000_000, &received.body), &tag.0).unwrap();
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_a_failure_and_redirects_are_not_followed() {
    let (other, never) = webhook(1, "HTTP/1.1 204 No Content\r\n\r\n");
    let refusing = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ntry later";
    let redirect: &'static str =
        Box::leak(format!("HTTP/1.1 307 Temporary\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n").into());
    for (answer, complaint) in [(refusing, "it answered 503: try later"), (redirect, "it answered 307: ")] {
        let (address, told) = webhook(1, answer);
        let (_folder, outbound) = system();
        let failed = delivery(outbound, &address).send(Event::Opened, &[incident()], 1).await.unwrap_err();
        assert_eq!(failed.to_string(), complaint);
        told.recv().unwrap();
    }
    assert!(never.try_recv().is_err());
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (_folder, outbound) = system();
    assert!(delivery(outbound, &address).send(Event::Opened, &[incident()], 1).await.is_err());
}

#[tokio::test]
async fn nothing_secret_is_shown_of_a_call() {
    let outbound = MemoryOutbound::default();
    let delivery = delivery(Arc::new(outbound.clone()), "hidden.example");
    delivery.send(Event::Resolved, &[incident()], 1).await.unwrap();
    let calls: Vec<OutboundCall> = outbound.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].timeout, Duration::from_secs(10));
    let shown = format!("{calls:?} {delivery:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("/hook"), "{shown}");
}
