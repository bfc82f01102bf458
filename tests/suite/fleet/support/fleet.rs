//! A fleet: its first node, those that joined, and a client that knows them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use skein_tests::{Program, until};

use super::{Client, Config, Node};

/// How a fleet differs from the usual one.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) program: Program,
    pub(crate) slots: usize,
    /// The section `connections` of every node's configuration.
    pub(crate) connections: String,
    /// For each node, its host and what starts it; the loopback and nothing where the list ends.
    pub(crate) places: Vec<(String, Vec<String>)>,
}

impl Options {
    pub(crate) fn new(program: Program, slots: usize, connections: String) -> Self {
        Self { program, slots, connections, places: Vec::new() }
    }
}

/// Nodes that form one fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    root: PathBuf,
    options: Options,
    pub(crate) nodes: Vec<Node>,
    token: String,
    host: String,
}

/// An address of this machine that no other fleet of these tests has: a port that a node gave up may be another's at once, and
/// calls to a node that left would reach a stranger.
fn own_host() -> String {
    static FLEETS: AtomicU32 = AtomicU32::new(0);
    let (process, fleet) = (std::process::id(), FLEETS.fetch_add(1, Ordering::Relaxed) + 1);
    format!("127.{}.{}.{fleet}", 64 + process / 256 % 128, process % 256)
}

impl Fleet {
    /// Founds a fleet, lets `nodes - 1` more nodes join, and waits until all have a session.
    pub(crate) fn start(root: &Path, nodes: usize, options: Options) -> Self {
        let mut fleet =
            Self { root: root.to_owned(), options, nodes: Vec::new(), token: String::new(), host: own_host() };
        let founder = Node::start(root, "node-1", &fleet.config(0), None);
        let token = std::fs::read_to_string(founder.token_file()).expect("the token is readable");
        token.trim().clone_into(&mut fleet.token);
        fleet.nodes.push(founder);
        fleet.grow(nodes - 1);
        fleet
    }

    pub(crate) fn config(&self, place: usize) -> Config {
        let (host, launcher) =
            self.options.places.get(place).cloned().unwrap_or_else(|| (self.host.clone(), Vec::new()));
        let Options { program, slots, connections, .. } = &self.options;
        Config { program: *program, slots: *slots, host, launcher, connections: connections.clone() }
    }

    /// Lets so many more nodes join, beside each other, and waits until they have sessions.
    pub(crate) fn grow(&mut self, more: usize) {
        let first = self.nodes.len();
        for place in first..first + more {
            let (token, address) = (self.join_token(&[]), self.endpoint());
            let name = format!("node-{}", place + 1);
            let node = Node::spawn(&self.root, &name, &self.config(place), Some((&address, &token)));
            self.nodes.push(node);
        }
        for node in &mut self.nodes[first..] {
            node.listens();
        }
        let active = self.nodes.iter().filter(|node| node.runs()).count();
        self.active(active);
    }

    /// Waits until so many nodes are active, somebody leads, and as many vote as may.
    pub(crate) fn active(&self, nodes: usize) -> Value {
        until(&format!("{nodes} nodes are active"), || {
            let view = self.client().get("/v1/fleet").ok()?;
            let active = view["nodes"].as_array()?.iter().filter(|row| row["standing"] == "active").count();
            let voters = view["voters"].as_array()?.len();
            (active == nodes && voters == most_voters(nodes) && view["leader"].is_u64()).then_some(view)
        })
    }

    /// Where a node that runs waits for others.
    pub(crate) fn endpoint(&self) -> String {
        self.nodes.iter().find(|node| node.runs()).expect("a node runs").endpoint.clone()
    }

    /// A new join token, as a person gets it.
    pub(crate) fn join_token(&self, more: &[&str]) -> String {
        let node = self.nodes.iter().find(|node| node.runs()).expect("a node runs");
        let answer = node.cli().run(&[&["fleet", "token"], more].concat()).ended_with(0);
        let found = answer.stdout.split_whitespace().find(|word| word.starts_with("skein-join."));
        found.unwrap_or_else(|| panic!("no token in {:?}", answer.stdout)).to_owned()
    }

    /// A client that knows the nodes that run.
    pub(crate) fn client(&self) -> Client {
        let nodes = self.nodes.iter().filter(|node| node.runs()).map(|node| node.api.clone()).collect();
        Client::new(&self.token, nodes)
    }

    /// The place of the node with this id.
    pub(crate) fn place(&self, id: u64) -> usize {
        self.nodes.iter().position(|node| node.id == id).unwrap_or_else(|| panic!("nobody is {id}"))
    }

    /// The place of the node that leads.
    pub(crate) fn leader(&self) -> usize {
        let view = until("somebody leads", || {
            let view = self.client().get("/v1/fleet").ok()?;
            view["leader"].is_u64().then_some(view)
        });
        self.place(view["leader"].as_u64().expect("it is a number"))
    }

    /// What `client` knows of the node at `place`.
    pub(crate) fn row(&self, client: &Client, place: usize) -> Option<Value> {
        let view = client.get("/v1/fleet").ok()?;
        let id = self.nodes[place].id;
        view["nodes"].as_array()?.iter().find(|row| row["node"].as_u64() == Some(id)).cloned()
    }

    /// Waits until all nodes that run have applied the same entries, and their states are the same.
    #[track_caller]
    pub(crate) fn assert_agreement(&self) {
        let client = self.client();
        let digests = until("all nodes have applied the same entries", || {
            let all: Option<Vec<(u64, String)>> = client.nodes.iter().map(|node| digest(&client.of(node))).collect();
            let all = all?;
            all.iter().all(|(index, _)| *index == all[0].0).then_some(all)
        });
        assert!(digests.iter().all(|digest| *digest == digests[0]), "states differ at one index: {digests:?}");
    }
}

/// The greatest odd number that is not above the number of nodes, nor above five.
fn most_voters(nodes: usize) -> usize {
    match nodes {
        0..3 => 1,
        3..5 => 3,
        _ => 5,
    }
}

fn digest(client: &Client) -> Option<(u64, String)> {
    let digest = client.get("/v1/debug/digest").ok()?;
    Some((digest["index"].as_u64()?, digest["digest"].as_str()?.to_owned()))
}
