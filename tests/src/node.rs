//! A node as a process: started with a configuration, waited for, killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Cli, Program, until};

/// How a node differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Batches at once; two unless given.
    pub slots: Option<usize>,
    /// Working memory of a batch, MiB; the usual one unless given.
    pub batch_memory_mib: Option<u64>,
    /// What starts the program instead of the test itself: its words stand before the program's path.
    pub launcher: Vec<String>,
    /// The program, where it is not the one of the build.
    pub binary: Option<PathBuf>,
    /// How long a tombstone stands.
    pub tombstone_seconds: Option<u64>,
    /// The target connection `lake`, as JSON; a folder with an SQLite catalog unless given.
    pub lake: Option<String>,
    /// Further connections, as JSON.
    pub further: Option<Value>,
    /// The connection `legacy`, where it is not the folder of the world.
    pub legacy: Option<String>,
}

/// A running node; it is killed when it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    log: PathBuf,
    /// The command line that speaks to it.
    pub cli: Cli,
}

impl Node {
    /// Starts a node over the folders below `root` and waits until it can record facts.
    pub fn start(root: &Path, options: &Options) -> Self {
        let mut node = Self::spawn(root, "node.yaml", options);
        node.wait_until_ready();
        node
    }

    /// Starts a node and does not wait.
    pub fn spawn(root: &Path, config: &str, options: &Options) -> Self {
        let listen = free_address();
        let text = configuration(root, &listen, options);
        let data = root.join("node");
        let config = root.join(config);
        std::fs::write(&config, text).expect("the configuration can be written");
        let log = config.with_extension("log");
        let file = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let program = options.binary.clone().unwrap_or_else(|| Program::Node.path());
        let mut words = options.launcher.iter().map(PathBuf::from).chain([program]);
        let mut command = Command::new(words.next().expect("there is at least the program"));
        command.args(words).arg("--config").arg(&config).env("RUST_BACKTRACE", "1");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log can be shared"))
            .stderr(file)
            .spawn()
            .expect("the node starts");
        let cli = Cli { server: format!("http://{listen}"), token_file: Some(data.join("token")) };
        Self { child, log, cli }
    }

    /// Waits until the node can record facts.
    pub fn wait_until_ready(&mut self) {
        let address = format!("{}/readyz", self.cli.server);
        until("the node is ready", || {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                panic!("the node ended ({status}):\n{}", self.log());
            }
            ureq::get(&address).call().is_ok().then_some(())
        });
    }

    /// Waits until the process has ended by itself; its exit code.
    pub fn wait_for_end(&mut self) -> Option<i32> {
        until("the node ends", || self.child.try_wait().expect("it is a child")).code()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it has started.
    pub fn workers(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir("/proc").expect("there is a list of processes").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let about = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // Behind the name in brackets: the state, and the parent.
            let parent = about.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).map(str::to_owned);
            if parent.is_some_and(|parent| parent == self.pid().to_string()) {
                found.insert(pid);
            }
        }
        found
    }

    /// SIGKILL: nothing is said, nothing is tidied up.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is a child");
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("it has an id");
        kill_process(pid, Signal::TERM).expect("it can be asked");
        let code = self.wait_for_end();
        assert_eq!(code, Some(0), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("the node's log ends with:\n{}", &log[tail..]);
        }
    }
}

/// The configuration of a node over the folders below `root`.
#[must_use]
pub fn configuration(root: &Path, listen: &str, options: &Options) -> String {
    let data = root.join("node");
    let description = root.join("legacy/metastore.json");
    let mut text =
        format!("node:\n  listen: {listen}\n  dataDir: {}\n  slots: {}\n", data.display(), options.slots.unwrap_or(2));
    if let Some(seconds) = options.tombstone_seconds {
        text.push_str(&format!("  tombstoneSeconds: {seconds}\n"));
    }
    if let Some(memory) = options.batch_memory_mib {
        text.push_str(&format!("  batchMemory: {memory}MiB\n"));
    }
    let folder = || {
        let mut folder = format!("    kind: hive-files\n    warehouse: {}\n", root.join("legacy/warehouse").display());
        if description.is_file() {
            folder.push_str(&format!("    description: {}\n", description.display()));
        }
        folder
    };
    text.push_str(&format!("connections:\n  legacy:\n{}", options.legacy.clone().unwrap_or_else(folder)));
    for (name, connection) in options.further.iter().filter_map(Value::as_object).flatten() {
        text.push_str(&format!("  {name}: {connection}\n"));
    }
    match &options.lake {
        Some(lake) => text.push_str(&format!("  lake: {lake}\n")),
        None => text.push_str(&format!(
            "  lake:\n    kind: iceberg\n    catalogFile: {}\n    warehouse: {}\n",
            root.join("catalog/catalog.db").display(),
            root.join("lake").display()
        )),
    }
    text
}

/// An address of this machine whose port is free.
#[must_use]
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").to_string()
}
