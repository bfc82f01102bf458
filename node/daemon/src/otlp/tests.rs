//! What a collector gets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use skein_protocol::ids::{Generation, MigrationId, PolicyName, TableName};
use tracing_subscriber::layer::SubscriberExt;

use super::layer::{batch_span_id, trace_id};
use super::{Traces, address};

/// A collector that takes one call.
struct Collector {
    url: String,
    thread: JoinHandle<(String, Vec<u8>)>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let from = head.len();
                reader.read_line(&mut head).unwrap();
                if let Some(value) = head[from..].to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            (head, body)
        });
        Self { url, thread }
    }

    /// The head and the body of the call.
    fn call(self) -> (String, Vec<u8>) {
        self.thread.join().unwrap()
    }
}

fn migration() -> MigrationId {
    MigrationId::derive(&PolicyName::from("p"), Generation(1), &TableName::new("music", "songs"))
}

/// What the collector gets of a node that does `work`.
fn sent(node: &str, work: impl FnOnce()) -> (String, Vec<u8>) {
    let collector = Collector::start();
    let traces = Traces::start(&collector.url).unwrap();
    traces.of_node(node);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(traces.layer()), work);
    traces.stop();
    collector.call()
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_batch_and_the_node_that_runs_it_for_another_share_a_trace() {
    let migration = migration();
    let (head, owner) = sent("node-one", || {
        let span = tracing::info_span!("batch", %migration, run = 3_u32, batch = %"0.1", attempt = 7_u32, end = tracing::field::Empty);
        span.record("end", "recorded");
    });
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/x-protobuf"), "{head}");
    let (_, guest) = sent("node-two", || {
        let _ = tracing::info_span!("borrowed batch", %migration, owner = 1_u64, run = 3_u32, batch = %"0.1", attempt = 7_u32);
    });
    let trace = trace_id(migration, 3);
    for body in [&owner, &guest] {
        assert!(has(body, b"skein-node"));
        assert!(has(body, &trace.to_bytes()));
        assert!(has(body, migration.to_string().as_bytes()));
        // The owner's span, and the guest's parent.
        assert!(has(body, &batch_span_id(trace, "0.1", 7).to_bytes()));
    }
    assert!(has(&owner, b"node-one") && has(&owner, b"skein.end") && has(&owner, b"recorded"));
    assert!(has(&guest, b"node-two") && has(&guest, b"borrowed batch"));
}

#[test]
fn work_goes_by_its_name_and_other_spans_go_nowhere() {
    let migration = migration();
    let (_, body) = sent("node-one", || {
        let _ = tracing::info_span!("work", %migration, run = 1_u32, job = ?"Publish");
        let _ = tracing::info_span!("of no migration", run = 1_u32);
        let _ = tracing::debug_span!("too small", %migration, run = 1_u32);
        tracing::info!(%migration, "an event");
    });
    assert!(has(&body, b"Publish"));
    for other in ["of no migration", "too small", "an event"] {
        assert!(!has(&body, other.as_bytes()), "{other}");
    }
}

#[test]
fn the_trace_id_is_the_migrations_id_with_the_run_in_its_last_digits() {
    let migration = migration();
    let plain = migration.to_string().replace('-', "");
    assert_eq!(trace_id(migration, 0).to_string(), plain);
    assert_eq!(trace_id(migration, 1).to_string()[..24], plain[..24]);
    assert_ne!(trace_id(migration, 1), trace_id(migration, 2));
}

#[test]
fn an_address_without_a_path_gets_the_usual_one_and_others_keep_theirs() {
    for given in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
        assert_eq!(address(given).unwrap().to_string(), "http://127.0.0.1:4318/v1/traces");
    }
    assert_eq!(address("https://c.example/otlp?a=b").unwrap().to_string(), "https://c.example/otlp?a=b");
}

#[test]
fn an_address_that_is_none_is_refused() {
    for given in ["", "127.0.0.1:4318", "grpc://127.0.0.1:4317", "/v1/traces", "http://user:secret@c.example/"] {
        let error = format!("{:#}", address(given).unwrap_err());
        assert!(error.starts_with("--otlp") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_collector_that_is_away_ends_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let traces = Traces::start(&format!("http://{gone}")).unwrap();
    let migration = migration();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(traces.layer()), || {
        for attempt in 0..2 * super::QUEUE_SPANS {
            let _ = tracing::info_span!("batch", %migration, run = 1_u32, batch = %"0.0", attempt);
        }
    });
    traces.stop();
}
