use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use skein_protocol::data_plane::Class;
use skein_protocol::ids::ConnectionName;
use skein_protocol::secret::Secret;

use super::*;

fn of(config: Config, runtime: Arc<IoRuntime>) -> RestCatalog {
    RestCatalog::new(Files::new(Arc::default()), config, runtime)
}

/// What the stand-in does with a request.
enum Reply {
    Answer(u16, &'static str),
    /// It takes the request and closes the connection.
    Silence,
}

/// A catalog that answers one request after the other as it was told; what it was asked comes through the channel.
fn stand_in(replies: Vec<Reply>) -> (RestCatalog, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    thread::spawn(move || {
        for reply in replies {
            let (stream, _) = listener.accept().unwrap();
            sender.send(request(&stream)).unwrap();
            if let Reply::Answer(status, body) = reply {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                (&stream).write_all((head + body).as_bytes()).unwrap();
            }
        }
    });
    (of(config(uri), Arc::default()), asked)
}

fn config(uri: String) -> Config {
    let (warehouse, scope) = (Some("w".to_owned()), "catalog".to_owned());
    Config {
        uri,
        warehouse,
        credential: None,
        token: None,
        scope,
        oauth2_uri: None,
        ca_file: None,
        vended_credentials: false,
    }
}

/// Method, path, authorization and body of a request.
fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut line, mut authorization, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = line.trim_end().trim_end_matches(" HTTP/1.1");
    [asked, &authorization, &String::from_utf8(body).unwrap()].join(" ").trim_end().to_owned()
}

const CONFIG: Reply = Reply::Answer(200, r#"{"defaults": {"prefix": "no"}, "overrides": {"prefix": "a/b"}}"#);
const LOADED: &str = r#"{"metadata-location": "s3://w/db/t/metadata/1.json", "metadata": {}}"#;
const TAKEN: Reply =
    Reply::Answer(409, r#"{"error": {"message": "taken", "type": "AlreadyExistsException", "code": 409}}"#);
const MISSING: Reply =
    Reply::Answer(404, r#"{"error": {"message": "no t", "type": "NoSuchTableException", "code": 404}}"#);

fn name() -> TableName {
    TableName::new("db", "t x")
}

fn register(replacing: Option<&str>) -> RegisterRequest {
    RegisterRequest {
        connection: ConnectionName::from("lake"),
        name: name(),
        metadata_location: "s3://w/db/t/metadata/2.json".to_owned(),
        replacing: replacing.map(str::to_owned),
    }
}

fn replace(expected: &str, replacement: Option<&str>) -> ReplaceRequest {
    ReplaceRequest {
        connection: ConnectionName::from("lake"),
        name: name(),
        expected: expected.to_owned(),
        replacement: replacement.map(str::to_owned),
    }
}

#[test]
fn the_prefix_that_the_catalog_overrides_is_in_every_path() {
    let (catalog, asked) = stand_in(vec![CONFIG, Reply::Answer(200, LOADED), MISSING]);
    let loaded = catalog.load(&name()).unwrap().unwrap();
    // No connection has its bucket: it is the table of somebody else.
    assert_eq!((loaded.uuid.0.is_nil(), loaded.tombstone), (true, false));
    assert_eq!(loaded.metadata_location, "s3://w/db/t/metadata/1.json");
    assert_eq!(catalog.load(&name()).unwrap(), None);
    assert_eq!(asked.recv().unwrap(), "GET /v1/config?warehouse=w");
    assert_eq!(asked.recv().unwrap(), "GET /v1/a/b/namespaces/db/tables/t%20x?snapshots=refs");
}

#[test]
fn a_missing_namespace_is_made_and_a_taken_name_is_told() {
    let missing = r#"{"error": {"message": "no db", "type": "NoSuchNamespaceException", "code": 404}}"#;
    let replies = vec![CONFIG, Reply::Answer(404, missing), TAKEN, Reply::Answer(200, LOADED), TAKEN];
    let (catalog, asked) = stand_in(replies);
    assert_eq!(catalog.register(&register(None)).unwrap(), Registered::Now);
    assert_eq!(catalog.register(&register(None)).unwrap(), Registered::NameTaken);
    let asked: Vec<String> = asked.iter().skip(1).collect();
    assert!(asked[0].starts_with("POST /v1/a/b/namespaces/db/register"), "{asked:?}");
    assert!(asked[0].contains(r#""metadata-location":"s3://w/db/t/metadata/2.json""#), "{asked:?}");
    assert!(asked[1].starts_with("POST /v1/a/b/namespaces ") && asked[1].contains(r#"["db"]"#), "{asked:?}");
}

#[test]
fn a_change_without_a_clear_answer_is_neither_done_nor_undone() {
    for reply in [Reply::Silence, Reply::Answer(500, "{}"), Reply::Answer(503, ""), Reply::Answer(504, "<html>")] {
        let (catalog, _asked) = stand_in(vec![CONFIG, reply]);
        let failure = catalog.register(&register(None)).unwrap_err();
        assert_eq!(failure.outcome, Outcome::Unknown, "{failure}");
    }
    let (catalog, _asked) = stand_in(vec![CONFIG, Reply::Answer(500, "")]);
    assert_eq!(catalog.load(&name()).unwrap_err().outcome, Outcome::NotDone);
}

#[test]
fn what_never_reached_the_catalog_did_not_happen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failure = of(config(uri), Arc::default()).register(&register(None)).unwrap_err();
    assert_eq!((failure.outcome, failure.class), (Outcome::NotDone, Class::Transient), "{failure}");
}

#[test]
fn a_name_is_replaced_only_when_it_points_at_what_is_expected() {
    let (catalog, asked) = stand_in(vec![CONFIG, Reply::Answer(200, LOADED)]);
    let found = Some("s3://w/db/t/metadata/1.json".to_owned());
    assert_eq!(catalog.replace(&replace("s3://other", None)).unwrap(), Replaced::Differs { found });
    assert_eq!(asked.iter().count(), 2, "nothing was removed");

    let gone = Reply::Answer(204, "");
    let (catalog, asked) = stand_in(vec![CONFIG, Reply::Answer(200, LOADED), gone, Reply::Answer(200, LOADED)]);
    let with = replace("s3://w/db/t/metadata/1.json", Some("s3://w/db/t/metadata/9.json"));
    assert_eq!(catalog.replace(&with).unwrap(), Replaced::Now);
    let asked: Vec<String> = asked.iter().collect();
    assert_eq!(asked[2], "DELETE /v1/a/b/namespaces/db/tables/t%20x?purgeRequested=false");
    assert!(asked[3].contains("metadata/9.json"), "{asked:?}");
}

#[test]
fn a_failure_after_the_name_was_freed_is_one_after_a_change() {
    let refused = Reply::Answer(400, "{}");
    let replies = vec![CONFIG, Reply::Answer(200, LOADED), Reply::Answer(204, ""), refused];
    let (catalog, _asked) = stand_in(replies);
    let with = replace("s3://w/db/t/metadata/1.json", Some("s3://w/db/t/metadata/9.json"));
    assert_eq!(catalog.replace(&with).unwrap_err().outcome, Outcome::Unknown);
}

#[test]
fn a_credential_is_exchanged_once_and_again_when_its_token_is_refused() {
    let token = |text| Reply::Answer(200, text);
    let (catalog, asked) = stand_in(vec![
        token(r#"{"access_token": "one", "token_type": "bearer", "expires_in": 3600}"#),
        CONFIG,
        Reply::Answer(401, "{}"),
        token(r#"{"access_token": "two", "token_type": "bearer"}"#),
        Reply::Answer(200, LOADED),
    ]);
    let with = Config { credential: Some(Secret::new("id:se:cret")), ..catalog.client.config().clone() };
    let catalog = of(with, Arc::default());
    assert!(catalog.load(&name()).unwrap().is_some());
    let asked: Vec<String> = asked.iter().collect();
    assert!(asked[0].starts_with("POST /v1/oauth/tokens"), "{asked:?}");
    assert!(asked[0].contains("client_id=id") && asked[0].contains("client_secret=se%3Acret"), "{asked:?}");
    assert!(asked[2].ends_with("Bearer one") && asked[4].ends_with("Bearer two"), "{asked:?}");
}

#[test]
fn neither_a_refused_token_nor_the_secret_is_shown() {
    let (catalog, _asked) = stand_in(vec![Reply::Answer(200, r#"{"token": "hunter2"}"#)]);
    let with = Config { credential: Some(Secret::new("id:hunter2")), ..catalog.client.config().clone() };
    let catalog = of(with, Arc::default());
    let failure = catalog.load(&name()).unwrap_err();
    assert!(!format!("{failure:?} {catalog:?}").contains("hunter2"));
}

#[test]
fn a_list_is_followed_page_by_page_and_only_over_namespaces_of_one_level() {
    let (catalog, asked) = stand_in(vec![
        CONFIG,
        Reply::Answer(200, r#"{"namespaces": [["db"], ["deep", "er"]], "next-page-token": "p 2"}"#),
        Reply::Answer(200, r#"{"namespaces": [["gone"], ["other"]], "next-page-token": null}"#),
        Reply::Answer(200, r#"{"identifiers": [{"namespace": ["db"], "name": "a"}], "next-page-token": "x"}"#),
        Reply::Answer(200, r#"{"identifiers": [{"namespace": ["db"], "name": "b"}], "next-page-token": ""}"#),
        MISSING,
        Reply::Answer(200, r#"{"identifiers": [{"namespace": ["other"], "name": "c"}]}"#),
    ]);
    let names: Vec<String> = catalog.tables().unwrap().iter().map(|listed| listed.name.to_string()).collect();
    assert_eq!(names, ["db.a", "db.b", "other.c"]);
    let asked: Vec<String> = asked.iter().skip(1).map(|line| line.replace("GET /v1/a/b/namespaces", "")).collect();
    assert_eq!(asked, ["", "?pageToken=p+2", "/db/tables", "/db/tables?pageToken=x", "/gone/tables", "/other/tables"]);
}

#[test]
fn a_list_that_never_ends_and_one_that_is_not_given_are_failures() {
    let page = r#"{"namespaces": [["db"]], "next-page-token": "again"}"#;
    let (catalog, _asked) = stand_in(vec![CONFIG, Reply::Answer(200, page), Reply::Answer(200, page)]);
    assert!(catalog.tables().unwrap_err().to_string().contains("begins anew"));
    let (catalog, _asked) = stand_in(vec![CONFIG, Reply::Answer(503, "{}")]);
    assert_eq!(catalog.tables().unwrap_err().class, Class::Transient);
}
