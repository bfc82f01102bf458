//! Disks, permissions and names that are not as they should be.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use skein_tests::{Options, Program, Readers, World, policy};

const SONGS: &str = "SELECT i AS id, 'song ' || i AS title FROM range(2000) t(i)";
/// About 24 MB that no codec makes smaller.
const NOISE: &str =
    "SELECT CAST(hash(i) >> 1 AS BIGINT) AS a, CAST(hash(i + 1000000000) >> 1 AS BIGINT) AS b FROM range(1500000) t(i)";
/// Room for the small tables and not for the large one, bytes.
const TMPFS_BYTES: u64 = 8 << 20;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_full_disk_stops_the_table_that_does_not_fit_and_no_other() {
    // A mount namespace of the node's own: as root, or with a user namespace where that is allowed.
    let unshare: &[&str] = if is_root() { &["unshare", "--mount"] } else { &["unshare", "--mount", "--map-root-user"] };
    let allowed =
        Command::new(unshare[0]).args(&unshare[1..]).arg("true").status().is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("SKIPPED: {unshare:?} is not permitted here, so no small disk can be mounted");
        return;
    }
    let mut world = World::with(&[
        ("music.db/noise/part-0", NOISE),
        ("music.db/songs/part-0", SONGS),
        ("music.db/artists/part-0", SONGS),
        ("music.db/albums/part-0", SONGS),
    ]);
    let mount = format!("mount -t tmpfs -o size={TMPFS_BYTES} tmpfs {} && exec \"$@\"", world.lake().display());
    let mut launcher: Vec<String> = unshare.iter().map(ToString::to_string).collect();
    launcher.extend(["sh", "-c", &mount, "sh"].map(str::to_owned));
    let node = world.start_with(&Options { launcher, ..Options::default() });
    let pid = node.pid().to_string();
    let mut enter = vec!["nsenter".to_owned(), "--target".to_owned(), pid, "--mount".to_owned()];
    if !is_root() {
        enter.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
    }
    world.readers = Readers { launcher: enter };

    let run = |attempts: u32| format!("approval: {{ required: false }}\nrun: {{ attempts: {attempts} }}");
    node.cli.run_with(&["apply", "-"], &policy("large", "music.noise", &run(2))).ended_with(0);
    let small = policy("small", "music.songs", &run(20)).replace("\"music.songs\"", "\"music.songs\", \"music.a*\"");
    node.cli.run_with(&["apply", "-"], &small).ended_with(0);
    node.cli.rest();

    let noise = node.cli.show("music.noise");
    assert_eq!(noise["row"]["phase"], "quarantined", "{noise:#}");
    assert!(noise["problem"].to_string().contains("DISK_FULL"), "{noise:#}");
    assert_eq!(noise["batches"][0]["problem"]["code"], "DISK_FULL", "{noise:#}");
    for name in ["music.songs", "music.artists", "music.albums"] {
        node.cli.expect(name, "committed", "");
    }
    world.agrees(&["music.songs", "music.artists", "music.albums"], &[]);
    assert_eq!(world.names(), ["music.albums", "music.artists", "music.songs"]);
}

#[test]
fn an_unreadable_folder_is_refused_with_its_code_and_can_be_retried() {
    let world = World::with(&[("music.db/secret/part-0", SONGS), ("music.db/songs/part-0", SONGS)]);
    let secret = world.warehouse().join("music.db/secret");
    set_mode(&secret, 0o000);
    let node = world.start_with(&unprivileged(&world));
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.secret", "quarantined", "SOURCE_UNREADABLE");
    node.cli.expect("music.songs", "committed", "");
    assert_eq!(world.names(), ["music.songs"]);

    set_mode(&secret, 0o755);
    node.cli.act("retry", "music.secret");
    node.cli.approve("music.secret");
    node.cli.expect("music.secret", "committed", "");
    world.agrees(&["music.secret", "music.songs"], &[]);
}

/// For root every folder is readable, so the node runs as nobody, with a copy of its program that nobody can read.
fn unprivileged(world: &World) -> Options {
    const NOBODY: u32 = 65534;
    if !is_root() {
        return Options::default();
    }
    let binary = world.root().join("skein-node");
    std::fs::copy(Program::Node.path(), &binary).expect("the program can be copied");
    set_mode(world.root(), 0o755);
    for name in ["node", "lake", "catalog"] {
        let folder = world.root().join(name);
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may do that");
    }
    let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    Options { launcher: words.map(str::to_owned).to_vec(), binary: Some(binary), ..Options::default() }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode can be changed");
}

#[test]
fn a_name_that_is_taken_is_refused_when_planned_and_stays_what_it_is() {
    let world = World::with(&[("music.db/songs/part-0", SONGS), ("music.db/artists/part-0", SONGS)]);
    let lake = world.lake();
    world.outside(&["create", "music.songs", lake.to_str().expect("a text")]);
    let before = world.tables()["music.songs"].clone();
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.songs", "quarantined", "TARGET_EXISTS");
    node.cli.expect("music.artists", "committed", "");
    assert_eq!(world.tables()["music.songs"], before, "nobody touched it");
    world.outside(&["remove", "music.songs"]);
    node.cli.act("retry", "music.songs");
    node.cli.approve("music.songs");
    node.cli.expect("music.songs", "committed", "");
    world.agrees(&["music.songs", "music.artists"], &[]);
}

#[test]
fn a_name_that_is_taken_after_the_plan_is_never_overwritten() {
    let world = World::with(&[("music.db/songs/part-0", SONGS), ("music.db/artists/part-0", SONGS)]);
    let node = world.start();
    node.cli.apply(&policy("music", "music.*", ""));
    let lake = world.lake();
    world.outside(&["create", "music.songs", lake.to_str().expect("a text")]);
    let before = world.tables()["music.songs"].clone();
    node.cli.run(&["approve", "--policy", "music", "--yes"]).ended_with(0);
    node.cli.rest();
    node.cli.expect("music.songs", "paused", "TARGET_TAKEN");
    node.cli.expect("music.artists", "committed", "");
    assert_eq!(world.tables()["music.songs"], before, "nobody touched it");
    // Cancelling leaves the other's table alone as well.
    node.cli.act("cancel", "music.songs");
    node.cli.expect("music.songs", "cancelled", "");
    assert_eq!(world.tables()["music.songs"], before, "nobody touched it");
}

#[test]
fn two_datasets_cannot_have_one_target() {
    let world = World::with(&[("music.db/songs/part-0", SONGS), ("old.db/songs/part-0", SONGS)]);
    let node = world.start();
    let both = policy("both", "*.songs", "")
        .replace("target: { connection: lake }", "target: { connection: lake, name: \"all.{table}\" }");
    let answer = node.cli.run_with(&["apply", "-", "-o", "json"], &both);
    let said = answer.stdout.clone() + &answer.stderr;
    node.cli.rest();
    let list: Value = node.cli.document(&["list"]);
    assert!((said + &list.to_string()).contains("TARGET_COLLISION"), "{answer:?} {list:#}");
    assert!(world.names().len() <= 1);
}
