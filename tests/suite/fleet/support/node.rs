//! A node of a fleet as a process: configured, started, joined, stopped, continued, killed, started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use skein_tests::{Cli, Program, run, until};

/// A node votes after so long: fleets of tests are young.
const STABLE_SECONDS: u64 = 1;

/// What a node is configured with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) program: Program,
    pub(crate) slots: usize,
    /// The host that API and endpoint listen at.
    pub(crate) host: String,
    /// What starts the program: its words stand before the program's path.
    pub(crate) launcher: Vec<String>,
    /// The section `connections`.
    pub(crate) connections: String,
}

/// A node: its folder stays when its process goes.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    config: Config,
    folder: PathBuf,
    data: PathBuf,
    child: Option<Child>,
    /// How much of the log is of earlier processes.
    earlier: usize,
    /// Its id, as a number.
    pub(crate) id: u64,
    /// `http://host:port`
    pub(crate) api: String,
    /// `host:port` of the endpoint for nodes.
    pub(crate) endpoint: String,
}

impl Node {
    /// Starts the first node of a fleet, or one that joins with `(address, token)`, and waits until it says where it listens.
    pub(crate) fn start(root: &Path, name: &str, config: &Config, join: Option<(&str, &str)>) -> Self {
        let mut node = Self::spawn(root, name, config, join);
        node.listens();
        node
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(root: &Path, name: &str, config: &Config, join: Option<(&str, &str)>) -> Self {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let mut node = Self {
            name: name.to_owned(),
            config: config.clone(),
            data: folder.join("data"),
            folder,
            child: None,
            earlier: 0,
            id: 0,
            api: String::new(),
            endpoint: String::new(),
        };
        if join.is_none() {
            node.found();
        }
        let anywhere = format!("{}:0", config.host);
        node.configure(&anywhere, &anywhere);
        node.launch(join);
        node
    }

    /// Founds the fleet, as a person does; the data folder is what matters of it, the configuration is written anew.
    fn found(&mut self) {
        let folder = self.folder.display().to_string();
        let endpoint = format!("{}:7401", self.config.host);
        let words = ["--dir", &folder, "--fleet-listen", &endpoint];
        let founded = if self.config.program == Program::Node {
            let words = [&["fleet", "init", "-o", "json"], &words[..]].concat();
            Cli::alone().run(&words)
        } else {
            // The command line knows only the real one.
            let mut command = Command::new(self.config.program.path());
            command.arg("init").args(words);
            run(command, "")
        };
        let founded = founded.ended_with(0);
        let founded: Value = serde_json::from_str(&founded.stdout).expect("it prints JSON");
        self.data = founded["dataDir"].as_str().expect("it names the data folder").into();
    }

    fn configure(&self, listen: &str, endpoint: &str) {
        let (data, slots) = (self.data.display().to_string(), self.config.slots);
        let connections = &self.config.connections;
        let text = format!(
            "node:\n  listen: {listen}\n  dataDir: {data}\n  slots: {slots}\nfleet:\n  listen: {endpoint}\n  \
             stableSeconds: {STABLE_SECONDS}\n{connections}"
        );
        std::fs::write(self.folder.join("node.yaml"), text).expect("the configuration can be written");
    }

    fn launch(&mut self, join: Option<(&str, &str)>) {
        self.earlier = self.log().len();
        let log = File::options().create(true).append(true).open(self.log_file()).expect("the log can be written");
        let program = self.config.program.path();
        let mut words = self.config.launcher.iter().map(PathBuf::from).chain([program]);
        let mut command = Command::new(words.next().expect("there is at least the program"));
        command.args(words).arg("--config").arg(self.folder.join("node.yaml")).env("RUST_BACKTRACE", "1");
        command.env("SKEIN_PACED_NAME", &self.name);
        if let Some((address, token)) = join {
            command.args(["--join", address, "--token", token]);
        }
        let (out, errors) = (log.try_clone().expect("the log can be shared"), log);
        let child = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn();
        self.child = Some(child.expect("the node starts"));
    }

    /// Waits for the lines that say where it listens, and keeps to these places from then on.
    pub(crate) fn listens(&mut self) {
        let name = self.name.clone();
        let (id, api, endpoint) = until(&format!("{name} says where it listens"), || {
            if let Some(status) = self.exited() {
                panic!("{name} ended ({status}):\n{}", self.log());
            }
            let log = self.recent_log();
            let (id, api) = log.lines().find_map(|line| {
                let (id, rest) = line.strip_prefix("skein-node ")?.split_once(" listens at ")?;
                Some((id.parse().ok()?, rest.split(';').next()?.to_owned()))
            })?;
            let endpoint = log.lines().find_map(|line| line.strip_prefix("fleet at "))?;
            Some((id, api, endpoint.split(';').next().unwrap_or_default().to_owned()))
        });
        self.configure(api.trim_start_matches("http://"), &endpoint);
        (self.id, self.api, self.endpoint) = (id, api, endpoint);
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("it is a child")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Everything that its processes have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What its present process has logged.
    pub(crate) fn recent_log(&self) -> String {
        self.log().get(self.earlier..).unwrap_or_default().to_owned()
    }

    /// The command line that speaks to it.
    pub(crate) fn cli(&self) -> Cli {
        Cli { server: self.api.clone(), token_file: Some(self.token_file()) }
    }

    /// The file of its own API token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.data.join("token")
    }

    /// Whether it has a process.
    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it has an id");
        kill_process(pid, signal).expect("it can be signalled");
    }

    /// SIGSTOP: it does nothing until it is continued.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL: nothing is said, nothing is tidied up.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it is a child");
        }
    }

    /// SIGTERM: it hands over and leaves. Does not wait.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the process has ended by itself; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let status = until(&format!("{} ends", self.name), || self.exited());
        self.child = None;
        status.code()
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        assert!(!self.runs(), "{} runs", self.name);
        self.launch(None);
        self.listens();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(3000).map_or(0, |(at, _)| at);
            eprintln!("the log of {} ({}) ends with:\n{}\n", self.name, self.id, &log[tail..]);
        }
    }
}
