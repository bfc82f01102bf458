//! `load`: durable transitions of migrations, one to a call, as fast as a fleet takes them.
//!
//! In:    the fleet's APIs, a token, a policy whose migrations wait.
//! Out:   a line of JSON: transitions that were acknowledged, in how many seconds, how long a call took.
//! Holds: every call changes one migration (paused, resumed, paused, …) and is answered when a majority has it on disk.
//! Not here: starting the fleet (`bench/fleet`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;

/// A call that takes longer is lost: so is the measurement.
const DEADLINE: Duration = Duration::from_secs(30);
/// The greatest page of a list.
const PAGE: usize = 1000;

/// Arguments of `load`.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// The APIs of the fleet's nodes, `http://host:port`; calls are spread over them.
    #[arg(long, required = true)]
    api: Vec<String>,
    /// The file of a token.
    #[arg(long)]
    token_file: PathBuf,
    /// The policy whose migrations are paused and resumed.
    #[arg(long)]
    policy: String,
    /// Calls at once; each has migrations of its own.
    #[arg(long, default_value_t = 64)]
    calls: usize,
    /// For how long.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// One caller's share.
struct Caller<'a> {
    agent: Agent,
    api: &'a str,
    authorization: &'a str,
    migrations: Vec<String>,
}

/// Runs the load and prints what it did.
pub(crate) fn run(load: &Load) -> Result<()> {
    let token = std::fs::read_to_string(&load.token_file).context("the token file")?;
    let authorization = format!("Bearer {}", token.trim());
    let migrations = migrations(&load.api[0], &authorization, &load.policy, load.calls)?;
    resume_all(&load.api[0], &authorization, &migrations)?;
    let callers: Vec<Caller<'_>> = (0..load.calls)
        .map(|number| Caller {
            agent: agent(),
            api: &load.api[number % load.api.len()],
            authorization: &authorization,
            migrations: migrations.iter().skip(number).step_by(load.calls).cloned().collect(),
        })
        .collect();
    let ends = AtomicBool::new(false);
    let began = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = callers.iter().map(|caller| scope.spawn(|| caller.run(&ends))).collect();
        std::thread::park_timeout(Duration::from_secs_f64(load.seconds));
        ends.store(true, Ordering::Relaxed);
        let all: Result<Vec<Vec<Duration>>> =
            threads.into_iter().map(|thread| thread.join().expect("a caller does not panic")).collect();
        all.map(|all| all.concat())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let micros = |part: usize| took.get(took.len() * part / 100).map_or(0, Duration::as_micros);
    let document = json!({
        "transitions": took.len(), "seconds": seconds, "callsAtOnce": load.calls,
        "p50Micros": u64::try_from(micros(50))?, "p99Micros": u64::try_from(micros(99))?,
    });
    println!("{document}");
    Ok(())
}

fn agent() -> Agent {
    Agent::config_builder().timeout_global(Some(DEADLINE)).http_status_as_error(false).build().into()
}

/// An earlier load may have ended between a pause and its resume.
fn resume_all(api: &str, authorization: &str, migrations: &[String]) -> Result<()> {
    let body = json!({ "action": "resume", "migrations": migrations });
    agent().post(format!("{api}/v1/actions")).header("authorization", authorization).send_json(&body)?;
    Ok(())
}

/// Enough migrations that each caller has some of its own.
fn migrations(api: &str, authorization: &str, policy: &str, callers: usize) -> Result<Vec<String>> {
    let path = format!("{api}/v1/migrations?policy={policy}&limit={PAGE}");
    let mut answer = agent().get(&path).header("authorization", authorization).call()?;
    let page: Value = answer.body_mut().read_json()?;
    let items = page["items"].as_array().with_context(|| format!("{path}: {page}"))?;
    let ids: Vec<String> = items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect();
    ensure!(ids.len() >= callers, "{policy} has {} migrations, which is less than there are callers", ids.len());
    Ok(ids)
}

impl Caller<'_> {
    /// Pauses and resumes one migration after the other; how long each call took.
    fn run(&self, ends: &AtomicBool) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        loop {
            for action in ["pause", "resume"] {
                for migration in &self.migrations {
                    if ends.load(Ordering::Relaxed) {
                        return Ok(took);
                    }
                    let began = Instant::now();
                    self.act(action, migration)?;
                    took.push(began.elapsed());
                }
            }
        }
    }

    fn act(&self, action: &str, migration: &str) -> Result<()> {
        let body = json!({ "action": action, "migrations": [migration] });
        let request = self.agent.post(format!("{}/v1/actions", self.api));
        let mut answer = request.header("authorization", self.authorization).send_json(&body)?;
        let answer: Value = answer.body_mut().read_json()?;
        if answer["done"] != 1 {
            bail!("{action} of {migration}: {answer}");
        }
        Ok(())
    }
}
