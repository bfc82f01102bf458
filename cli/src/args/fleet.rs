//! Arguments of the commands about the fleet, its nodes and the quarantine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Shown below the help of `fleet`.
pub(crate) const FLEET_EXAMPLES: &str = "A fleet of two machines:
  one$ skein fleet init --dir /var/lib/skein --fleet-listen 10.0.0.1:7401
  one$ skein-node --config /var/lib/skein/skein-node.yaml
  two$ skein-node --config node.yaml --join 10.0.0.1:7401 --token TOKEN
All nodes need the same connections, and must find the same things there: folders must be shared ones.";

/// Shown below the help of `node`.
pub(crate) const NODE_EXAMPLES: &str = "Before a machine is away for long:
  skein node drain 10.0.0.2:7401 --reason 'new disk'   its work goes to others, and it takes no more
  skein node drain 10.0.0.2:7401 --cancel              it is back
A machine that will never be back:
  skein node remove 10.0.0.2:7401 --reason sold
To stop a node for a short time, stop its process (SIGTERM): it drains by itself.";

/// Shown below the help of `quarantine`.
pub(crate) const QUARANTINE_EXAMPLES: &str = "After the cause is gone:
  skein quarantine list --code FILE_DAMAGED
  skein quarantine show music.songs
  skein quarantine replay --code FILE_DAMAGED --reason 'disk replaced'
Nobody wants them:
  skein quarantine discard music.songs music.tmp_1";

/// What to do with the fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Found a fleet: its certificate authority, the first node's certificate and configuration, the first join token.
    ///
    /// This needs no running node. Afterwards start the first node with the configuration that was written, and each
    /// further one with `skein-node --join HOST:PORT --token TOKEN --config FILE`; `skein fleet token` makes more tokens.
    Init(FleetInit),
    /// Make a token with which one node may join, once.
    ///
    /// The token holds a secret and the hash of the authority's certificate: the new node knows whom it joins. It is shown
    /// once; the fleet keeps its hash.
    Token {
        /// How long it is valid: 90s, 15m, 1h, 2d; a week at most.
        #[arg(long, default_value = "1h", value_parser = super::duration)]
        valid: u64,
    },
    /// List the join tokens that the fleet knows, by the hashes of their secrets.
    Tokens,
    /// Make a join token worthless, for one that went astray.
    Revoke {
        /// The token, or the SHA-256 of its secret as the fleet knows it.
        #[arg(value_name = "TOKEN")]
        join_token: String,
    },
    /// The fleet as the asked node sees it: leader, voters, every node with its slots and its work.
    Show,
}

/// How the first node of a fleet is set up.
#[derive(Debug, Clone, Args)]
pub(crate) struct FleetInit {
    /// Where configuration and data of the first node go. Made if it does not exist.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where the first node's API listens.
    #[arg(long, default_value = "127.0.0.1:7400")]
    pub(crate) listen: String,
    /// Where the first node listens for other nodes (UDP).
    #[arg(long, default_value = "127.0.0.1:7401")]
    pub(crate) fleet_listen: String,
    /// Where other nodes reach it, if that is another address: needed with 0.0.0.0.
    #[arg(long)]
    pub(crate) advertise: Option<String>,
    /// Nodes of one zone (rack, room) tend to fail together.
    #[arg(long, default_value = "")]
    pub(crate) zone: String,
    /// How long the first join token is valid: 90s, 15m, 1h, 2d; a week at most.
    #[arg(long, default_value = "1d", value_parser = super::duration)]
    pub(crate) valid: u64,
}

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes of the fleet.
    List {
        /// Also nodes that were removed.
        #[arg(long)]
        all: bool,
    },
    /// Show one node, and what it works on.
    Show {
        /// Its id, or one of its addresses.
        node: String,
    },
    /// Let a node hand its work over and take no more; it goes on answering. Wanted before it is stopped for long.
    Drain {
        /// Its id, or one of its addresses.
        node: String,
        /// End the draining: the node takes work again.
        #[arg(long)]
        cancel: bool,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Remove a node for good: its certificate is refused from then on, and what it owned goes to others.
    Remove {
        /// Its id, or one of its addresses.
        node: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what failed for good, and why.
    List {
        #[command(flatten)]
        filter: QuarantineFilterArgs,
        /// Items at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show everything about one: problem, failed batches, evidence, history.
    Show {
        /// Its id, or `database.table` if only one migration has that source or target.
        migration: String,
    },
    /// Try again: the next run of each begins at its start. What is chosen is shown first.
    Replay(QuarantineAction),
    /// Give up: they end as cancelled and stay in the history. What is chosen is shown first.
    Discard(QuarantineAction),
}

/// Which quarantined migrations.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct QuarantineFilterArgs {
    /// Of this policy.
    #[arg(long)]
    pub(crate) policy: Option<String>,
    /// With these problems, comma-separated: POISON,FILE_DAMAGED.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Whose policy has these labels: key=value, comma-separated.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Whose dataset, target or policy has this in its name.
    #[arg(long)]
    pub(crate) text: Option<String>,
}

/// Which quarantined migrations, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct QuarantineAction {
    /// Ids, or `database.table`.
    #[arg(required_unless_present_any = ["policy", "code", "label", "text", "all"])]
    pub(crate) migrations: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: QuarantineFilterArgs,
    /// Everything that is in quarantine.
    #[arg(long, conflicts_with_all = ["migrations", "policy", "code", "label", "text"])]
    pub(crate) all: bool,
    /// Why; goes into the histories.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}
