//! What the command line says: exit codes, documents, plans, reports.

use serde_json::Value;
use skein_tests::{Cli, World, policy};

const SONGS: &str = "SELECT i AS id, 'song ' || i AS title, i % 7 AS stars FROM range(500) t(i)";

fn world() -> World {
    let world = World::with(&[("music.db/songs/part-0", SONGS), ("music.db/artists/part-0", SONGS)]);
    let broken = world.warehouse().join("music.db/broken/part-0");
    std::fs::create_dir_all(broken.parent().expect("it lies in a folder")).expect("a folder can be made");
    std::fs::write(broken, b"PAR1 and then nothing that belongs to it").expect("it can be written");
    world
}

#[test]
fn plan_ends_with_2_when_there_is_something_to_do_with_0_when_not_and_with_1_when_it_fails() {
    let world = world();
    let node = world.start();
    let songs = policy("songs", "music.songs", "");
    let plan = |policy: &str| node.cli.run_with(&["plan", "-", "-o", "json"], policy);
    let planned = plan(&songs).ended_with(2).json();
    assert_eq!(planned["totals"]["ready"], 1, "{planned:#}");
    assert_eq!(planned["totals"]["rows"], 500, "{planned:#}");
    assert_eq!(node.cli.document(&["list"])["total"], 0, "a plan records nothing");
    assert!(skein_tests::contents(&world.lake()).is_empty(), "a plan writes nothing to the target");

    node.cli.migrate(&songs);
    let again = plan(&songs).ended_with(0).json();
    assert_eq!(again["totals"]["settled"], 1, "{again:#}");
    // Applied once more it changes nothing either.
    assert_eq!(node.cli.apply(&songs)["changed"], false);

    plan(&policy("broken", "music.broken", "")).ended_with(1);
    let nothing = plan(&policy("nothing", "music.no_such_table", "")).ended_with(1);
    assert!(nothing.stderr.contains("NOTHING_SELECTED"), "{}", nothing.stderr);
    let unknown = plan(&songs.replace("legacy", "elsewhere")).ended_with(1);
    assert!(unknown.stderr.contains("CONNECTION_UNKNOWN"), "{}", unknown.stderr);
    plan("apiVersion: skein/v1").ended_with(1);
    node.stop();
}

#[test]
fn the_same_plan_has_the_same_hash_and_its_script_says_what_is_done() {
    let world = world();
    let node = world.start();
    let songs = policy("songs", "music.songs", "filter: stars > 2\nclean: [{ dropDuplicates: exact }]");
    let plan =
        || node.cli.run_with(&["plan", "-", "--dataset", "music.songs", "-o", "json"], &songs).ended_with(2).json();
    let (first, second) = (plan(), plan());
    assert_eq!(first["hash"], second["hash"]);
    let shown = node.cli.run_with(&["plan", "-", "--dataset", "music.songs"], &songs).ended_with(2).stdout;
    node.cli.apply(&songs);
    assert_eq!(node.cli.show("music.songs")["row"]["plan"], first["hash"], "what is recorded is what was shown");
    let script = node.cli.run(&["show", "music.songs", "--script"]).ended_with(0).stdout;
    assert!(shown.contains(&script), "the plan shows the script: {shown}");
    for part in ["CREATE", "SELECT", "stars", "> 2", "id"] {
        assert!(script.contains(part), "{part}: {script}");
    }
    let whole = node.cli.document(&["show", "music.songs", "--plan"]);
    assert!(whole.to_string().contains("\"fileBytes\""), "{whole:#}");
}

#[test]
fn a_report_has_equal_sums_and_the_query_for_an_outsider() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy(
        "songs",
        "music.songs",
        "schema: { add: [{ name: description, type: string, default: \"\" }] }",
    ));
    let report = node.cli.document(&["report", "music.songs", "--batches"]);
    let table = &report["table"];
    assert_eq!(table["source"], table["kept"], "{report:#}");
    assert_eq!(table["expected"], table["found"], "{report:#}");
    assert_eq!(table["found"]["rows"], 500, "{report:#}");
    assert_ne!(table["found"]["sum"], table["source"]["sum"], "a column was added: {report:#}");
    assert_eq!(table["summary_rows"].as_u64().or(table["summaryRows"].as_u64()), Some(500), "{report:#}");
    assert!(!report["batches"].as_array().expect("a list").is_empty());
    let outsider = &report["outsider"];
    assert!(outsider["query"].as_str().is_some_and(|query| query.contains("xxhash64(")), "{report:#}");
    assert_eq!(outsider["rows"], 500);
    assert!(outsider["sum"].as_str().is_some_and(|sum| sum.parse::<i128>().is_ok()), "{report:#}");
    assert!(report["readers"].as_array().is_some_and(|readers| readers.len() >= 2), "{report:#}");
    let text = node.cli.run(&["report", "music.songs", "--batches"]).ended_with(0).stdout;
    assert!(text.contains(outsider["query"].as_str().expect("a text")), "{text}");
}

#[test]
fn every_command_that_shows_something_has_documents_for_programs() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    let commands: [&[&str]; 9] = [
        &["status"],
        &["status", "--policy", "music"],
        &["policies"],
        &["list"],
        &["list", "--phase", "committed,quarantined", "--label", "wave=3", "--text", "music", "--limit", "1"],
        &["show", "music.songs"],
        &["show", "music.songs", "--plan"],
        &["report", "music.songs"],
        &["schema"],
    ];
    for command in commands {
        let document = node.cli.document(command);
        assert!(!document.is_null());
        let yaml = node.cli.run(&[command, &["-o", "yaml"]].concat()).ended_with(0).stdout;
        let lines = yaml.lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines > 0 && !yaml.trim_start().starts_with('{'), "{command:?}: {yaml}");
        node.cli.run(command).ended_with(0);
    }
    assert_eq!(node.cli.document(&["list"])["total"], 3);
    assert_eq!(node.cli.document(&["list", "--limit", "1"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(node.cli.document(&["list", "--text", "FILE_DAMAGED"])["total"], 1);
    assert_eq!(node.cli.document(&["list", "--label", "wave=4"])["total"], 0);
    // Every row of a list is the row of `show`.
    for row in node.cli.document(&["list"])["items"].as_array().expect("a list") {
        assert_eq!(&node.cli.show(row["dataset"].as_str().expect("a text"))["row"], row);
    }
    let wait = node.cli.run(&["wait", "music"]).ended_with(3);
    assert!(wait.stderr.contains("quarantined"), "{}", wait.stderr);
}

#[test]
fn lint_tells_every_error_with_line_and_column_and_needs_no_node() {
    let good = policy("songs", "music.songs", "");
    let lint = |text: &str, form: &str| Cli::alone().run_with(&["lint", "-", "-o", form], text);
    lint(&good, "table").ended_with(0);
    let bad = good.replace("spec:", "spek: 1\nspec:") + "  filter: \"stars >\"\n  approval: { required: maybe }\n";
    let said = lint(&bad, "table").ended_with(1).stdout;
    let errors = lint(&bad, "json").ended_with(1).json();
    let errors = errors["errors"].as_array().expect("a list");
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert_eq!(said.lines().count(), 3, "{said}");
    for (line, error) in said.lines().zip(errors) {
        let place = format!("-:{}:{}", error["line"], error["column"]);
        assert!(line.starts_with(&place), "{place}: {line}");
    }
    assert_eq!(errors[0]["line"], 4, "{errors:#?}");
}

#[test]
fn wrong_arguments_end_with_64_and_an_absent_node_with_1() {
    let cli = Cli::alone();
    for arguments in
        [&["fly"][..], &["plan"], &["list", "--limit", "many"], &["demo", "--datasets", "0"], &["approve"], &[]]
    {
        cli.run(arguments).ended_with(64);
    }
    for arguments in [&["--help"][..], &["--version"], &["apply", "--help"]] {
        assert!(cli.run(arguments).ended_with(0).stdout.contains("skein"));
    }
    let absent = cli.run(&["status"]).ended_with(1);
    assert!(absent.stderr.contains("no node answers") && absent.stderr.contains("next:"), "{}", absent.stderr);
    cli.run(&["lint", "/no/such/file"]).ended_with(1);
}

#[test]
fn completions_and_the_schema_are_printed() {
    let cli = Cli::alone();
    for shell in ["bash", "zsh", "fish"] {
        let script = cli.run(&["completions", shell]).ended_with(0).stdout;
        assert!(script.contains("rollback"), "{shell}");
    }
    let printed: Value = cli.run(&["schema"]).ended_with(0).json();
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.schema.json"));
    let shipped: Value = serde_json::from_str(&shipped.expect("it is shipped")).expect("it is JSON");
    assert_eq!(printed, shipped, "docs/policy.schema.json is what the types say");
}
