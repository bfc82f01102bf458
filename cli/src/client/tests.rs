#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::net::TcpListener;

use serde_json::Value;

use super::*;

/// A node that answers everything with `status` and `body`, one call a connection.
fn node(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end().to_lowercase();
                if let Some(given) = line.strip_prefix("content-length: ") {
                    length = given.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            reader.take(length).read_to_end(&mut Vec::new()).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\nskein-age-millis: 7\r\n");
            write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    address
}

fn refusing(code: Code) -> String {
    let problem = ProblemDocument {
        kind: String::new(),
        title: "the call".to_owned(),
        status: 503,
        code,
        detail: "a test".to_owned(),
        next: String::new(),
        dataset: None,
        errors: Vec::new(),
    };
    node("503 Service Unavailable", serde_json::to_string(&problem).unwrap())
}

/// An address that nobody listens at.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn good() -> String {
    node("200 OK", "[1]".to_owned())
}

fn client(servers: Vec<String>) -> Client {
    Client::new(&Connection { server: servers, token_file: None, token: None }).unwrap()
}

#[test]
fn a_node_that_cannot_be_reached_is_passed_over_and_the_next_one_is_kept() {
    let good = good();
    let client = client(vec![nobody(), format!("http://{good}/")]);
    let got: Dated<Value> = client.get_dated("/v1/x", &[]).unwrap();
    assert_eq!((got.document, got.age_millis), (serde_json::json!([1]), Some(7)));
    assert_eq!(client.server(), format!("http://{good}"));
    let posted: Value = client.post("/v1/x", &serde_json::json!({})).unwrap();
    assert_eq!(posted, serde_json::json!([1]));
}

#[test]
fn a_call_that_was_surely_not_carried_out_goes_to_the_next_node() {
    for first in [nobody(), refusing(Code::ShuttingDown)] {
        let posted: Value = client(vec![first, good()]).post("/v1/x", &serde_json::json!({})).unwrap();
        assert_eq!(posted, serde_json::json!([1]));
    }
}

#[test]
fn a_call_that_may_have_been_carried_out_is_repeated_only_where_that_is_harmless() {
    let doubtful = || client(vec![refusing(Code::LedgerUnavailable), good()]);
    let refused = doubtful().post::<Value>("/v1/x", &serde_json::json!({})).unwrap_err();
    assert!(refused.to_string().contains("LEDGER_UNAVAILABLE"), "{refused}");
    assert_eq!(doubtful().get::<Value>("/v1/x", &[]).unwrap(), serde_json::json!([1]));
    assert_eq!(doubtful().post_policy::<Value>("/v1/x", "", Some("key")).unwrap(), serde_json::json!([1]));
    assert!(doubtful().post_policy::<Value>("/v1/x", "", None).is_err());
}

#[test]
fn when_no_node_answers_all_of_them_are_named() {
    let (one, two) = (nobody(), nobody());
    let error = client(vec![one.clone(), two.clone()]).get::<Value>("/v1/x", &[]).unwrap_err().to_string();
    assert!(error.contains(&one) && error.contains(&two), "{error}");
    let error = client(vec![refusing(Code::NoSession)]).get::<Value>("/v1/x", &[]).unwrap_err().to_string();
    assert!(error.contains("NO_SESSION"), "{error}");
    assert!(Client::new(&Connection { server: vec![" ".to_owned()], token_file: None, token: None }).is_err());
}
