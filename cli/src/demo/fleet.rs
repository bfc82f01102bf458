//! The fleet of a demonstration: founded, joined by further nodes, one of them killed if wanted.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use skein_protocol::api::{FleetView, MigrationDetail, MigrationRow, NodeRow};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Phase, Standing};

use super::files::Layout;
use super::node::{self, Joining, Node};
use crate::args::{Connection, DemoArgs, FleetInit};
use crate::client::Client;
use crate::commands::{self, fleet};
use crate::output::{self, Table};

/// Nodes that have joined are members within this time; an election may be under way.
const JOIN_LIMIT: Duration = Duration::from_secs(60);
/// Join tokens of a demonstration are used at once.
const TOKEN_SECONDS: u64 = 10 * 60;
/// Voters of a fleet, unless configured otherwise.
const MOST_VOTERS: usize = 5;
/// How often it is looked.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// Adopted migrations that are shown one by one.
const SHOWN: usize = 20;

/// All nodes of a demonstration.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) nodes: Vec<Node>,
    /// Asks any of them.
    pub(super) client: Client,
}

/// A node that was killed, and what it left behind.
#[derive(Debug)]
pub(super) struct Killed {
    node: NodeId,
    at: u64,
    /// What it held and had not finished.
    left: Vec<MigrationRow>,
}

impl Fleet {
    /// Starts the nodes, or finds those that an earlier demonstration left running.
    pub(super) fn start(binary: &Path, layout: &Layout, arguments: &DemoArgs) -> Result<Self> {
        let (mut nodes, mut begun) = (Vec::new(), Vec::new());
        let started = Self::start_into(&mut nodes, &mut begun, binary, layout, arguments);
        if let Err(error) = started {
            // Nobody would know of them any more.
            nodes.iter_mut().chain(&mut begun).for_each(|node| drop(node.kill()));
            return Err(error);
        }
        let server = nodes.iter().map(|node| node.client.server().to_owned()).collect();
        let token_file = Some(layout.data(1).join("token"));
        let fleet = Self { nodes, client: Client::new(&Connection { server, token_file, token: None })? };
        fleet.gathered()?;
        Ok(fleet)
    }

    /// Starts nodes, and puts those that are ready into `nodes`; into `begun` those that are not yet.
    fn start_into(
        nodes: &mut Vec<Node>,
        begun: &mut Vec<Node>,
        binary: &Path,
        layout: &Layout,
        arguments: &DemoArgs,
    ) -> Result<()> {
        // Those that were there before all start first: one of them alone may have no majority.
        let known = (1..).take_while(|number| layout.config(*number).is_file()).count();
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        for number in 1..=known {
            let running = node::left_running(layout, number);
            begun.push(running.map_or_else(|| again(binary, layout, number), Ok)?);
        }
        while !begun.is_empty() {
            begun[0].wait_until_ready(layout)?;
            nodes.push(begun.remove(0));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let slots = (cores / arguments.nodes as usize).max(1);
        for number in known + 1..=arguments.nodes {
            begun.push(begin(binary, layout, number, slots, nodes.first())?);
            begun[0].wait_until_ready(layout)?;
            nodes.push(begun.remove(0));
        }
        Ok(())
    }

    /// Waits until the fleet has all its nodes, and as many voters as it will have.
    fn gathered(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let view = fleet::view(&self.client)?;
            let active = view.nodes.iter().filter(|row| row.standing == Standing::Active).count();
            // An even number of voters survives no more deaths than the odd one below it.
            let voters = (self.nodes.len() - 1) / 2 * 2 + 1;
            if active >= self.nodes.len() && view.quorum && view.voters.len() >= voters.min(MOST_VOTERS) {
                output::print(&format!("{}\n{}", fleet::head(&view), commands::node::table(&view.nodes, false)))?;
                return Ok(());
            }
            if began.elapsed() > JOIN_LIMIT {
                let (nodes, votes) = (self.nodes.len(), view.voters.len());
                bail!("{active} of {nodes} nodes are active and {votes} vote after {JOIN_LIMIT:?}");
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    /// Kills the node that holds most of the unfinished work, as soon as one has begun with some. None when all was done
    /// before.
    pub(super) fn kill_one(&mut self, policy: &str) -> Result<Option<Killed>> {
        loop {
            let view = fleet::view(&self.client)?;
            if let Some(row) = self.victim(&view) {
                let left = self.unfinished(policy, row.node)?;
                if left.iter().any(|row| row.phase == Phase::Execution) {
                    return self.kill(row, left).map(Some);
                }
            }
            let status = commands::status::get(&self.client, Some(policy))?;
            if commands::wait::at_rest(&status) {
                return Ok(None);
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    /// The busiest node; one that does not lead, if there is a choice: with three voters that makes no difference.
    fn victim<'a>(&self, view: &'a FleetView) -> Option<&'a NodeRow> {
        let ours = |row: &&NodeRow| self.nodes.iter().any(|node| serves(node, row));
        let busy = view.nodes.iter().filter(|row| row.owned > 0 && row.standing == Standing::Active).filter(ours);
        busy.max_by_key(|row| (view.leader != Some(row.node), row.owned))
    }

    fn unfinished(&self, policy: &str, owner: NodeId) -> Result<Vec<MigrationRow>> {
        let query = [("policy", policy.to_owned()), ("owner", owner.to_string())];
        let mut rows = commands::all(&self.client, &query, u32::MAX)?.items;
        rows.retain(|row| row.phase.is_active());
        Ok(rows)
    }

    fn kill(&mut self, row: &NodeRow, left: Vec<MigrationRow>) -> Result<Killed> {
        let place = self.nodes.iter().position(|node| serves(node, row)).context("the node is none of ours")?;
        let mut node = self.nodes.remove(place);
        let at = now();
        node.kill()?;
        eprintln!(
            "node {} (process {}, id {}) is killed while it holds {} unfinished migrations",
            node.number,
            node.pid,
            row.node,
            left.len()
        );
        Ok(Killed { node: row.node, at, left })
    }

    /// Shows who went on with what a killed node had begun.
    pub(super) fn show_adoption(&self, killed: &Killed) -> Result<()> {
        let mut table =
            Table::new(&["DATASET", "WAS IN PHASE", "WENT TO NODE", ">AFTER", "IS NOW", "WHAT THE HISTORY SAYS"]);
        let (mut moved, mut last) = (0_usize, 0);
        for row in &killed.left {
            let detail: MigrationDetail = self.client.get(&format!("/v1/migrations/{}", row.id), &[])?;
            if detail.owner == killed.node {
                continue;
            }
            moved += 1;
            let from = format!("from node {}", killed.node);
            let line = detail.history.iter().find(|item| item.at_millis >= killed.at && item.what.contains(&from));
            let after = line.map_or(0, |item| item.at_millis.saturating_sub(killed.at));
            last = last.max(after);
            if moved <= SHOWN {
                table.row(vec![
                    row.dataset.to_string().into(),
                    row.phase.as_str().into(),
                    detail.owner.to_string().into(),
                    format!("{}.{} s", after / 1000, after % 1000 / 100).into(),
                    output::Cell::phase(detail.row.phase),
                    line.map(|item| item.what.clone()).unwrap_or_default().into(),
                ]);
            }
        }
        output::print(&table.render())?;
        let finished = killed.left.len() - moved;
        output::print(&format!(
            "{moved} of {} migrations went on elsewhere, the last {}.{} s after the kill{}\n",
            killed.left.len(),
            last / 1000,
            last % 1000 / 100,
            if finished > 0 { format!("; {finished} were committed in its last moment") } else { String::new() },
        ))
    }

    /// Stops all nodes that are left.
    pub(super) fn stop(&mut self) -> Result<()> {
        for node in &self.nodes {
            node.ask_to_stop()?;
        }
        for node in &mut self.nodes {
            node.stopped()?;
        }
        eprintln!("\n{} nodes have stopped", self.nodes.len());
        Ok(())
    }
}

fn serves(node: &Node, row: &NodeRow) -> bool {
    node.client.server().strip_prefix("http://") == Some(row.api.as_str())
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Founds the fleet with its first node, or lets a further one join.
fn begin(binary: &Path, layout: &Layout, number: u32, slots: usize, first: Option<&Node>) -> Result<Node> {
    let (listen, fleet_listen) = (node::free_address()?, node::free_address()?);
    let joining = match first {
        None => {
            let init = FleetInit {
                dir: layout.node(number),
                listen: listen.clone(),
                fleet_listen: fleet_listen.clone(),
                advertise: None,
                zone: String::new(),
                valid: TOKEN_SECONDS,
            };
            let founded = fleet::init_node(&init)?;
            eprintln!("a fleet is founded: authority and first certificate are in {}", founded.data_dir);
            None
        }
        Some(first) => {
            let token = fleet::issue(&first.client, TOKEN_SECONDS)?.token;
            let view = fleet::view(&first.client)?;
            let own =
                view.nodes.iter().find(|row| serves(first, row)).context("the first node does not know itself")?;
            Some(Joining { member: own.address.clone(), token })
        }
    };
    layout.write_config(number, &listen, &fleet_listen, slots)?;
    let node = node::start(binary, layout, number, &listen, joining.as_ref())?;
    let how = if joining.is_some() { "joins with a token" } else { "is the first" };
    eprintln!("node {number} {how}: process {}, http://{listen}, other nodes reach it at {fleet_listen}", node.pid);
    Ok(node)
}

/// Starts a node again that has its place in the fleet.
fn again(binary: &Path, layout: &Layout, number: u32) -> Result<Node> {
    let path = layout.config(number);
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let listen =
        text.lines().find_map(|line| line.strip_prefix("  listen: ")).context("the configuration has no listen")?;
    let node = node::start(binary, layout, number, listen, None)?;
    eprintln!("node {number} is started again: process {}, http://{listen}", node.pid);
    Ok(node)
}
