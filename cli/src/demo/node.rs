//! The node of a demonstration: finding its binary, starting and stopping its process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::files::Layout;
use crate::args::{Connection, DemoArgs};
use crate::client::Client;

/// A node that is not ready after this time has failed: it replays a ledger of a demonstration in well under a second.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A node that has not stopped after this time is left alone.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked whether it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// A running node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) client: Client,
    pub(super) pid: u32,
    child: Option<Child>,
}

/// What a later demonstration in the same folder needs to find the node again.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    pid: u32,
    server: String,
}

/// The binary `skein-node`: beside this program. Under `cargo run` it is built first, so that a clone needs one command.
pub(super) fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path is not known")?;
    let folder = own.parent().context("this program lies in no folder")?;
    let binary = folder.join(format!("skein-node{}", std::env::consts::EXE_SUFFIX));
    if let (Some(cargo), Some(_)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR")) {
        eprintln!("building skein-node (the first time takes minutes: it contains the engine)");
        let mut build = Command::new(cargo);
        build.args(["build", "--bin", "skein-node"]).stdin(Stdio::null());
        if folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        let status = build.status().context("cargo cannot be started")?;
        if !status.success() {
            bail!("skein-node could not be built ({status})");
        }
    }
    if !binary.is_file() {
        bail!("{} does not exist\nnext: install skein-node beside skein", binary.display());
    }
    Ok(binary)
}

/// Writes the sample warehouse, unless it is there.
pub(super) fn sample(binary: &Path, layout: &Layout, arguments: &DemoArgs) -> Result<()> {
    let status = Command::new(binary)
        .arg("sample")
        .arg("--dir")
        .arg(layout.warehouse())
        .args(["--datasets", &arguments.datasets.to_string(), "--rows", &arguments.rows.to_string()])
        .stdin(Stdio::null())
        .status()
        .context("skein-node cannot be started")?;
    if !status.success() {
        bail!("the sample warehouse could not be written ({status})");
    }
    Ok(())
}

/// Starts the node, or finds the one that an earlier demonstration left running.
pub(super) fn start(binary: &Path, layout: &Layout) -> Result<Node> {
    let note = layout.root().join("running.json");
    if let Some(running) = std::fs::read(&note).ok().and_then(|text| serde_json::from_slice::<Running>(&text).ok())
        && let Ok(client) = client(layout, &running.server)
        && client.is_ready()
    {
        eprintln!("process {} of an earlier demonstration listens at {}", running.pid, running.server);
        return Ok(Node { client, pid: running.pid, child: None });
    }
    let listen = free_address()?;
    let config = layout.write_config(&listen)?;
    let log =
        File::options().create(true).append(true).open(layout.log()).context("the node's log cannot be written")?;
    let child = Command::new(binary)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("the node's log cannot be shared")?)
        .stderr(log)
        .spawn()
        .context("skein-node cannot be started")?;
    let server = format!("http://{listen}");
    let node = ready(layout, child, &server)?;
    std::fs::write(&note, serde_json::to_vec(&Running { pid: node.pid, server: server.clone() })?)
        .with_context(|| format!("{} cannot be written", note.display()))?;
    eprintln!("process {} listens at {server}; configuration {}", node.pid, config.display());
    Ok(node)
}

fn ready(layout: &Layout, mut child: Child, server: &str) -> Result<Node> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("skein-node ended ({status}); its log is {}", layout.log().display());
        }
        if let Ok(client) = client(layout, server)
            && client.is_ready()
        {
            return Ok(Node { client, pid: child.id(), child: Some(child) });
        }
        if began.elapsed() > START_LIMIT {
            child.kill().context("skein-node could not be ended")?;
            bail!("skein-node was not ready after {START_LIMIT:?}; its log is {}", layout.log().display());
        }
        std::thread::sleep(ASK_INTERVAL);
    }
}

fn client(layout: &Layout, server: &str) -> Result<Client> {
    let token_file = Some(layout.data().join("token"));
    Client::new(&Connection { server: server.to_owned(), token_file, token: None })
}

/// An address that nobody listens at.
fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no address is free")?;
    Ok(listener.local_addr()?.to_string())
}

impl Node {
    /// Asks the node to stop, and waits until it has.
    pub(super) fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("the node has no process id")?;
        kill_process(pid, Signal::TERM).context("the node could not be asked to stop")?;
        let began = Instant::now();
        while began.elapsed() < STOP_LIMIT {
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?.is_some(),
                None => !self.client.is_ready(),
            };
            if ended {
                eprintln!("\nthe node has stopped");
                return Ok(());
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        bail!("the node (process {}) has not stopped after {STOP_LIMIT:?}", self.pid)
    }
}
