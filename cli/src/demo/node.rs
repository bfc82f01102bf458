//! One node of a demonstration: finding the binary, starting, stopping and killing its process.

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

/// A node that is not ready after this time has failed: it replays a ledger of a demonstration in well under a second,
/// and an election takes a few.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A node that has not stopped after this time is left alone.
const STOP_LIMIT: Duration = Duration::from_secs(90);
/// After this time a node is asked again to stop, which it then does at once; nothing that was acknowledged is lost.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// How a node comes to its fleet.
#[derive(Debug, Clone)]
pub(super) struct Joining {
    /// Where a member is reached by other nodes.
    pub(super) member: String,
    /// The join token.
    pub(super) token: String,
}

/// A running node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: u32,
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

/// The binary `skein-node`: beside this program, or where programs are found. Under `cargo run` it is built first, so that
/// a clone needs one command.
pub(crate) fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path is not known")?;
    let folder = own.parent().context("this program lies in no folder")?;
    let name = format!("skein-node{}", std::env::consts::EXE_SUFFIX);
    let beside = folder.join(&name);
    if let (Some(cargo), Some(_)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR")) {
        eprintln!("building skein-node (the first time takes minutes: it contains the engine)");
        let mut build = Command::new(cargo);
        build.args(["build", "--bin", "skein-node"]).stdin(Stdio::null());
        if folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        // What cargo told this program about its own package would look like a changed environment to build scripts that
        // watch these variables (ring's does), and everything above them would be built again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|of| text.starts_with(of)) {
                build.env_remove(&name);
            }
        }
        let status = build.status().context("cargo cannot be started")?;
        if !status.success() {
            bail!("skein-node could not be built ({status})");
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).map(|folder| folder.join(&name));
    let found = std::iter::once(beside.clone()).chain(elsewhere).find(|place| place.is_file());
    found.with_context(|| format!("{} does not exist\nnext: install skein-node beside skein", beside.display()))
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

/// The node that an earlier demonstration left running, if it did.
pub(super) fn left_running(layout: &Layout, number: u32) -> Option<Node> {
    let running: Running = serde_json::from_slice(&std::fs::read(note(layout, number)).ok()?).ok()?;
    let client = client(layout, number, &running.server).ok()?;
    // It need not be ready: without the others it may have no majority.
    client.is_alive().then(|| {
        eprintln!("node {number}: process {} of an earlier demonstration, {}", running.pid, running.server);
        Node { number, client, pid: running.pid, child: None }
    })
}

/// Starts a node that has its configuration; does not wait until it is ready.
pub(super) fn start(
    binary: &Path,
    layout: &Layout,
    number: u32,
    listen: &str,
    joining: Option<&Joining>,
) -> Result<Node> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(layout.log(number))
        .context("the node's log cannot be written")?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(layout.config(number));
    if let Some(Joining { member, token }) = joining {
        // Others see a command line; they do not see an environment.
        command.args(["--join", member]).env("SKEIN_JOIN_TOKEN", token);
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("the node's log cannot be shared")?)
        .stderr(log)
        .spawn()
        .context("skein-node cannot be started")?;
    let server = format!("http://{listen}");
    let note = note(layout, number);
    std::fs::write(&note, serde_json::to_vec(&Running { pid: child.id(), server: server.clone() })?)
        .with_context(|| format!("{} cannot be written", note.display()))?;
    Ok(Node { number, client: client(layout, number, &server)?, pid: child.id(), child: Some(child) })
}

fn note(layout: &Layout, number: u32) -> PathBuf {
    layout.node(number).join("running.json")
}

/// A client of one node. The token file may not be there yet: it is read again when the node is ready.
fn client(layout: &Layout, number: u32, server: &str) -> Result<Client> {
    let file = layout.data(number).join("token");
    let token_file = file.is_file().then_some(file);
    Client::new(&Connection { server: vec![server.to_owned()], token_file, token: None })
}

/// An address that nobody listens at, for both kinds of sockets.
pub(super) fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no address is free")?;
    let address = listener.local_addr()?;
    std::net::UdpSocket::bind(address).context("no address is free")?;
    Ok(address.to_string())
}

impl Node {
    /// Waits until it is ready.
    pub(super) fn wait_until_ready(&mut self, layout: &Layout) -> Result<()> {
        let began = Instant::now();
        let log = layout.log(self.number);
        while !self.client.is_ready() {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("node {} ended ({status}); its log is {}", self.number, log.display());
            }
            if began.elapsed() > START_LIMIT {
                self.kill()?;
                bail!("node {} was not ready after {START_LIMIT:?}; its log is {}", self.number, log.display());
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        let server = self.client.server().to_owned();
        self.client = client(layout, self.number, &server)?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("the node has no process id")?;
        kill_process(pid, signal).with_context(|| format!("node {} cannot be signalled", self.number))
    }

    /// Kills the process: no goodbye, as a machine that loses its power.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        if let Some(child) = &mut self.child {
            child.wait().context("the killed node cannot be waited for")?;
        }
        Ok(())
    }

    /// Asks the node to stop.
    pub(super) fn ask_to_stop(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until it has stopped.
    pub(super) fn stopped(&mut self) -> Result<()> {
        let began = Instant::now();
        let mut hurried = false;
        while began.elapsed() < STOP_LIMIT {
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?.is_some(),
                None => !self.client.is_alive(),
            };
            if ended {
                return Ok(());
            }
            // Where all nodes stop at once, the last of them have nobody to hand over to, and need not wait for that.
            if !hurried && began.elapsed() > STOP_PATIENCE {
                // It may have ended just now.
                let _ = self.ask_to_stop();
                hurried = true;
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        bail!("node {} (process {}) has not stopped after {STOP_LIMIT:?}", self.number, self.pid)
    }
}
