//! Arguments of the command line.

mod fleet;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;
pub(crate) use fleet::{
    FleetCommand, FleetInit, NodeCommand, QuarantineAction, QuarantineCommand, QuarantineFilterArgs,
};
pub(crate) use token::{RoleArg, TokenCommand, TokenCreate};

/// Moves datasets from a legacy warehouse (Hive) to Apache Iceberg, and proves that nothing was lost.
///
/// A policy says what is moved and how. `skein plan` shows what would be done, `skein apply` hands the policy to a node,
/// `skein approve` lets its plans run, `skein status --watch` shows how it goes, `skein report` shows the evidence.
/// To see all of it on this machine: `skein demo`.
#[derive(Debug, Parser)]
#[command(name = "skein", version, after_help = exit::HELP, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Form of the output.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which node, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Addresses of one or several nodes, comma-separated; any node takes any request. When one cannot be reached, the
    /// next is asked.
    #[arg(
        long,
        visible_alias = "node",
        global = true,
        env = "SKEIN_SERVER",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:7400"
    )]
    pub(crate) server: Vec<String>,
    /// File that holds the token (the node writes one into its data folder).
    #[arg(long, global = true, env = "SKEIN_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token itself; better not on a command line that others can see.
    #[arg(long, global = true, env = "SKEIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy document: all errors at once, with line and column.
    Lint {
        /// The document, YAML or JSON; `-` for standard input.
        file: PathBuf,
    },
    /// Show what a policy would do, dataset by dataset. Records nothing and writes nothing to the target.
    Plan {
        /// The document; `-` for standard input.
        file: PathBuf,
        /// Show the whole plan of this dataset, with its generated script.
        #[arg(long, value_name = "DATABASE.TABLE")]
        dataset: Option<String>,
    },
    /// Hand a policy to the node.
    Apply {
        /// The document; `-` for standard input.
        file: PathBuf,
        /// Wait until everything has come to rest.
        #[arg(long)]
        wait: bool,
        /// A key of your own: the same request with the same key is carried out once.
        #[arg(long)]
        idempotency_key: Option<String>,
    },
    /// Approve plans that wait for it.
    Approve {
        #[command(flatten)]
        choice: Choice,
        /// Approve this plan and no other (for one migration).
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        /// Why; goes into the history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Reject plans that wait for an approval: their migrations end.
    Reject {
        #[command(flatten)]
        choice: Choice,
        /// Why; goes into the history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// The node and its migrations at a glance; with --watch the whole fleet, live.
    Status {
        /// Only this policy.
        #[arg(long)]
        policy: Option<String>,
        /// Go on showing it until interrupted: nodes, policies and problems, live. With `-o json` one document a line.
        #[arg(short, long)]
        watch: bool,
    },
    /// List policies.
    Policies {
        #[command(flatten)]
        filter: PolicyFilterArgs,
        /// Items at most.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// List migrations.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Items on a page; the next page is asked for by itself up to this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one migration: phase, problem, batches, history.
    Show {
        /// Its id, or `database.table` if only one migration has that source.
        migration: String,
        /// Show its plan.
        #[arg(long, conflicts_with = "script")]
        plan: bool,
        /// Show its generated script.
        #[arg(long)]
        script: bool,
    },
    /// Stop handing out work for migrations; what is done stays done.
    Pause(ActionArgs),
    /// Let paused migrations go on.
    Resume(ActionArgs),
    /// End migrations; a target that is being published is taken back first.
    Cancel(ActionArgs),
    /// Open the next run of migrations that are quarantined, paused, cancelled or rolled back.
    Retry(ActionArgs),
    /// Take published targets back, if they are still what was published. The source was never touched.
    Rollback(ActionArgs),
    /// Show a migration's report with its evidence.
    Report {
        /// Its id, or `database.table`.
        migration: String,
        /// Also every batch.
        #[arg(long)]
        batches: bool,
    },
    /// Wait until the migrations of a policy have come to rest.
    Wait {
        /// The policy.
        policy: String,
    },
    /// The fleet: found one, let nodes join, look at it.
    #[command(subcommand, after_help = fleet::FLEET_EXAMPLES)]
    Fleet(FleetCommand),
    /// Its nodes: list, drain, remove.
    #[command(subcommand, after_help = fleet::NODE_EXAMPLES)]
    Node(NodeCommand),
    /// Migrations that failed for good: look at them, replay or discard them.
    #[command(subcommand, after_help = fleet::QUARANTINE_EXAMPLES)]
    Quarantine(QuarantineCommand),
    /// Access tokens: make them for people and programs, see them, take them back.
    #[command(subcommand, after_help = token::TOKEN_EXAMPLES)]
    Token(TokenCommand),
    /// Who you are for the node, and what your token allows.
    Whoami,
    /// Print the JSON Schema of policy documents, for editors.
    Schema,
    /// Show the whole thing on this machine: a sample warehouse, a fleet of three nodes, a policy, the plan, the migration,
    /// the report.
    Demo(DemoArgs),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which migrations.
#[derive(Debug, Clone, Args)]
pub(crate) struct Choice {
    /// Ids, or `database.table`.
    #[arg(required_unless_present_any = ["policy", "text", "label"])]
    pub(crate) migrations: Vec<String>,
    /// All of this policy that are in a phase that allows it.
    #[arg(long)]
    pub(crate) policy: Option<String>,
    /// All whose policy has these labels: key=value, comma-separated.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// All whose name or problem contains this.
    #[arg(long)]
    pub(crate) text: Option<String>,
}

/// Which policies a list shows.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyFilterArgs {
    /// Labels: key=value, comma-separated.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A part of the policy's or its owner's name.
    #[arg(long)]
    pub(crate) text: Option<String>,
}

/// Which migrations a list shows.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// Phases, comma-separated: queued, preparation, approval, ready, execution, validation, commit, committed, paused, …
    #[arg(long)]
    pub(crate) phase: Option<String>,
    /// A policy.
    #[arg(long)]
    pub(crate) policy: Option<String>,
    /// Labels of the policy: key=value, comma-separated.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A part of the dataset's, target's or policy's name, or of the problem's code.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The node that holds them, by its id.
    #[arg(long)]
    pub(crate) owner: Option<u64>,
    /// Also those that a newer generation of their policy superseded.
    #[arg(long)]
    pub(crate) superseded: bool,
}

/// Which migrations, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct ActionArgs {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Only those in these phases, comma-separated.
    #[arg(long)]
    pub(crate) phase: Option<String>,
    /// Why; goes into the history.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Do not ask, however many it concerns.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// How large the demonstration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Where everything goes: warehouse, node, tables. Made if it does not exist.
    #[arg(long, default_value = "skein-demo")]
    pub(crate) dir: PathBuf,
    /// Datasets in the sample warehouse.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) datasets: u32,
    /// Rows in each dataset.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) rows: u32,
    /// Node processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) nodes: u32,
    /// Kill one of the nodes while the migrations run, and show how the others take over.
    #[arg(long)]
    pub(crate) kill_one: bool,
    /// Stop the nodes at the end.
    #[arg(long)]
    pub(crate) exit: bool,
}

/// Seconds out of a text like 90s, 15m, 1h or 2d.
fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time: write 90s, 15m, 1h or 2d");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_in_order() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn several_nodes_may_be_named() {
        let arguments = Arguments::parse_from(["skein", "--node", "http://a:1,http://b:2", "fleet", "show"]);
        assert_eq!(arguments.connection.server, ["http://a:1", "http://b:2"]);
    }

    #[test]
    fn a_join_token_is_not_taken_for_the_callers_own() {
        let arguments = Arguments::parse_from(["skein", "--token", "mine", "fleet", "revoke", "another"]);
        assert_eq!(arguments.connection.token.as_deref(), Some("mine"));
        let Command::Fleet(FleetCommand::Revoke { join_token }) = arguments.command else { panic!("another command") };
        assert_eq!(join_token, "another");
    }

    #[test]
    fn times_are_written_as_people_say_them() {
        assert_eq!(
            [duration("90s"), duration("15m"), duration("1h"), duration("2d")],
            [90, 900, 3600, 172_800].map(Ok)
        );
        for wrong in ["", "h", "1", "1w", "-1h", "0s", "99999999999999999999d", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
