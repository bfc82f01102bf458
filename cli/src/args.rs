//! Arguments of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

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
    /// Address of any node.
    #[arg(long, global = true, env = "SKEIN_SERVER", default_value = "http://127.0.0.1:7400")]
    pub(crate) server: String,
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
    /// The node and its migrations at a glance.
    Status {
        /// Only this policy.
        #[arg(long)]
        policy: Option<String>,
        /// Go on showing it until interrupted.
        #[arg(short, long)]
        watch: bool,
    },
    /// List policies.
    Policies,
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
    /// Print the JSON Schema of policy documents, for editors.
    Schema,
    /// Show the whole thing on this machine: a sample warehouse, a node, a policy, the plan, the migration, the report.
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
    /// Stop the node at the end.
    #[arg(long)]
    pub(crate) exit: bool,
}
