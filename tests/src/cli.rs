//! `skein` against one node, as a script would call it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Program, run, until};

/// What one call gave.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Answer {
    /// The same, if the call ended with `code`.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// The command line with a node's address and token.
#[derive(Debug, Clone)]
pub struct Cli {
    /// `http://host:port`
    pub server: String,
    /// The file with its token, if it has one.
    pub token_file: Option<PathBuf>,
}

impl Cli {
    /// A command line that speaks to nobody.
    pub fn alone() -> Self {
        Self { server: "http://127.0.0.1:1".to_owned(), token_file: None }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // With cargo's variables it would build the node that it looks for.
        let mut command = Command::new(Program::CommandLine.path());
        command.args(arguments).env("SKEIN_SERVER", &self.server).env("NO_COLOR", "1");
        for name in ["SKEIN_TOKEN", "SKEIN_TOKEN_FILE", "CARGO", "CARGO_MANIFEST_DIR"] {
            command.env_remove(name);
        }
        if let Some(file) = &self.token_file {
            command.env("SKEIN_TOKEN_FILE", file);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, "")
    }

    /// Runs a command to its end, with a text on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Answer {
        run(self.command(arguments), input)
    }

    /// Runs a command that must succeed; its document.
    #[track_caller]
    pub fn document(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        self.run(&all).ended_with(0).json()
    }

    /// Applies a policy, and waits until nothing goes on by itself.
    #[track_caller]
    pub fn apply(&self, policy: &str) -> Value {
        let answer = self.run_with(&["apply", "-", "-o", "json"], policy).ended_with(0).json();
        self.rest();
        answer
    }

    /// Applies a policy and approves all of its plans.
    #[track_caller]
    pub fn migrate(&self, policy: &str) {
        let name = self.apply(policy)["policy"].as_str().expect("it has a name").to_owned();
        self.run(&["approve", "--policy", &name, "--yes"]).ended_with(0);
        self.rest();
    }

    /// The node at a glance, asked directly: this is what conditions are looked at with.
    pub fn status(&self) -> Value {
        let file = self.token_file.as_ref().expect("there is a token");
        let token = std::fs::read_to_string(file).expect("the token is readable");
        let request = ureq::get(format!("{}/v1/status", self.server));
        let mut answer =
            request.header("authorization", format!("Bearer {}", token.trim())).call().expect("it answers");
        answer.body_mut().read_json().expect("it is JSON")
    }

    /// Waits until nothing goes on by itself.
    pub fn rest(&self) {
        until("everything has come to rest", || {
            let status = self.status();
            let phases = status["phases"].as_object().expect("phases are counted");
            let resting = ["approval", "committed", "rolled_back", "paused", "quarantined", "cancelled"];
            phases.iter().all(|(phase, count)| resting.contains(&phase.as_str()) || count == 0).then_some(())
        });
    }

    /// One migration.
    #[track_caller]
    pub fn show(&self, dataset: &str) -> Value {
        self.document(&["show", dataset])
    }

    /// The phase of one migration.
    #[track_caller]
    pub fn phase(&self, dataset: &str) -> String {
        self.show(dataset)["row"]["phase"].as_str().expect("it has a phase").to_owned()
    }

    /// Phase and problem's code of one migration.
    #[track_caller]
    pub fn outcome(&self, dataset: &str) -> (String, String) {
        let detail = self.show(dataset);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&detail["row"]["phase"]), text(&detail["problem"]["code"]))
    }

    /// Asserts phase and code, and shows everything else when they are not that.
    #[track_caller]
    pub fn expect(&self, dataset: &str, phase: &str, code: &str) {
        let found = self.outcome(dataset);
        let wanted = (phase.to_owned(), code.to_owned());
        assert_eq!(found, wanted, "{dataset}: {:#}", self.show(dataset));
    }

    /// Approves the present plan of one migration and waits.
    #[track_caller]
    pub fn approve(&self, dataset: &str) {
        self.run(&["approve", dataset, "--yes"]).ended_with(0);
        self.rest();
    }

    /// Does something with one migration and waits.
    #[track_caller]
    pub fn act(&self, verb: &str, dataset: &str) {
        self.run(&[verb, dataset, "--yes"]).ended_with(0);
        self.rest();
    }
}
