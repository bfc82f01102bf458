use std::os::unix::fs::PermissionsExt;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn two_nodes_on_one_folder_are_refused_with_a_clear_error() {
    let folder = folder();
    let first = SystemEnv::open(folder.path()).unwrap();
    let refused = SystemEnv::open(folder.path()).unwrap_err();
    assert!(matches!(refused, SystemEnvError::Taken { .. }));
    let text = refused.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    drop(first);
    SystemEnv::open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_by_name() {
    let folder = folder();
    fs::write(folder.path().join("file"), b"").unwrap();
    let refused = SystemEnv::open(&folder.path().join("file/data")).unwrap_err();
    assert!(matches!(refused, SystemEnvError::Unusable { .. }));
    assert!(refused.to_string().contains("file/data"));
}

#[test]
fn node_files_are_replaced_whole_and_keep_their_mode() {
    let folder = folder();
    let system = SystemEnv::open(folder.path()).unwrap();
    let files: &dyn NodeFiles = &*system.folder;
    assert_eq!(files.read("token").unwrap(), None);
    assert!(!files.exists("token").unwrap());
    files.write("token", b"one", FileMode::Secret).unwrap();
    files.write("token", b"two", FileMode::Secret).unwrap();
    files.write("public", b"p", FileMode::Shared).unwrap();
    assert_eq!(files.read("token").unwrap().unwrap(), b"two");
    assert_eq!(files.list().unwrap(), ["public", "token"]);
    let mode = fs::metadata(folder.path().join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(files.remove("token").unwrap());
    assert!(!files.remove("token").unwrap());
    for name in ["", "..", "a/b", ".hidden", "ä"] {
        assert!(files.write(name, b"", FileMode::Secret).is_err(), "{name:?}");
    }
    assert!(files.write("big", &vec![0; super::super::MAX_NODE_FILE_BYTES + 1], FileMode::Secret).is_err());
}

#[test]
fn what_a_crash_left_of_a_file_in_writing_is_ignored_and_replaced() {
    let folder = folder();
    let system = SystemEnv::open(folder.path()).unwrap();
    let files: &dyn NodeFiles = &*system.folder;
    fs::write(folder.path().join("token.unfinished"), b"half").unwrap();
    assert_eq!(files.list().unwrap(), Vec::<String>::new());
    files.write("token", b"whole", FileMode::Secret).unwrap();
    assert_eq!(files.list().unwrap(), ["token"]);
}

#[test]
fn ledger_storage_is_created_renamed_and_opened() {
    let folder = folder();
    let system = SystemEnv::open(folder.path()).unwrap();
    let disk: &dyn LedgerDisk = &*system.folder;
    assert!(disk.open("a").unwrap().is_none());
    disk.create("new").unwrap().write(0, b"honk").unwrap();
    disk.rename("new", "a").unwrap();
    assert!(disk.open("new").unwrap().is_none());
    let mut bytes = [0; 4];
    disk.open("a").unwrap().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"honk");
    assert_eq!(disk.create("a").unwrap().len().unwrap(), 0, "created anew means empty");
    assert!(disk.open("../node/token").is_err());
}

#[test]
fn random_bytes_differ() {
    let folder = folder();
    let system = SystemEnv::open(folder.path()).unwrap();
    let entropy: &dyn Entropy = &*system.entropy;
    assert_ne!([entropy.number(), entropy.number()], [entropy.number(), entropy.number()]);
}

#[tokio::test]
async fn axum_serves_on_the_systems_sockets() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = SystemNetwork.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "honk" }));
    let server = tokio::spawn(async move { axum::serve(crate::env::HttpListener(listener), router).await });
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("honk"), "{answer}");
    server.abort();
}
