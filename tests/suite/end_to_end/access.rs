//! Who may call, and which node may stand where.

use std::os::unix::fs::PermissionsExt;

use skein_tests::{Cli, Node, Options, Program, World, policy};

const SONGS: &str = "SELECT i AS id FROM range(10) t(i)";

#[test]
fn every_call_needs_the_token() {
    let world = World::with(&[("music.db/songs/part-0", SONGS)]);
    let node = world.start();
    let token = std::fs::metadata(world.root().join("node/token")).expect("it is made at the first start");
    assert_eq!(token.permissions().mode() & 0o777, 0o600);

    let nobody = Cli { token_file: None, ..node.cli.clone() };
    let wrong = world.root().join("wrong");
    std::fs::write(&wrong, "0".repeat(64)).expect("it can be written");
    let stranger = Cli { token_file: Some(wrong), ..node.cli.clone() };
    for cli in [&nobody, &stranger] {
        let songs = policy("songs", "music.songs", "");
        for command in
            [&["status"][..], &["list"], &["policies"], &["plan", "-"], &["apply", "-"], &["show", "music.songs"]]
        {
            let answer = cli.run_with(command, &songs).ended_with(1);
            assert!(answer.stderr.contains("UNAUTHORIZED"), "{command:?}: {}", answer.stderr);
        }
    }
    let get = |path: &str| match ureq::get(format!("{}{path}", node.cli.server)).call() {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(code)) => code,
        Err(error) => panic!("{path}: {error}"),
    };
    for path in ["/v1/status", "/v1/migrations", "/v1/policies", "/v1/openapi.json", "/v1/blobs/00", "/metrics"] {
        assert_eq!(get(path), 401, "{path}");
    }
    assert_eq!([get("/healthz"), get("/readyz")], [200, 200]);
    assert_eq!(node.cli.document(&["list"])["total"], 0, "nothing came of it");
}

#[test]
fn a_second_node_on_the_same_data_folder_is_refused_and_the_first_goes_on() {
    let world = World::with(&[("music.db/songs/part-0", SONGS)]);
    let first = world.start();
    let mut second = Node::spawn(world.root(), "second.yaml", &Options::default());
    let code = second.wait_for_end();
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {}", second.log());
    assert!(!second.log().is_empty());
    first.cli.migrate(&policy("songs", "music.songs", ""));
    assert_eq!(first.cli.phase("music.songs"), "committed");
}

#[test]
fn metrics_and_the_description_of_the_api_are_served() {
    let world = World::empty();
    let node = world.start();
    let token = std::fs::read_to_string(world.root().join("node/token")).expect("it is readable");
    let get = |path: &str| {
        let request = ureq::get(format!("{}{path}", node.cli.server));
        let mut answer =
            request.header("authorization", format!("Bearer {}", token.trim())).call().expect("it answers");
        answer.body_mut().read_to_string().expect("it is text")
    };
    assert!(get("/metrics").contains("# TYPE skein_"));
    let document: serde_json::Value = serde_json::from_str(&get("/v1/openapi.json")).expect("it is JSON");
    let paths = document["paths"].as_object().expect("it has paths");
    for path in ["/v1/plan", "/v1/policies", "/v1/migrations/{id}/report", "/v1/actions", "/v1/decisions"] {
        assert!(paths.contains_key(path), "{path} in {:?}", paths.keys());
    }
}

#[test]
fn a_wrong_configuration_is_refused_with_all_its_errors() {
    let world = World::empty();
    let config = world.root().join("wrong.yaml");
    std::fs::write(&config, "node: { dataDir: relative, slots: 0 }\nextra: 1\n").expect("it can be written");
    let output =
        std::process::Command::new(Program::Node.path()).arg("--config").arg(&config).output().expect("it starts");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    for place in ["node.dataDir", "node.slots", "extra"] {
        assert!(said.contains(place), "{place}: {said}");
    }
}
