//! Arguments of the commands about access tokens.

use clap::{Args, Subcommand, ValueEnum};

/// Shown below the help of `token`.
pub(crate) const TOKEN_EXAMPLES: &str = "A team serves itself:
  skein token create anna --role operator --role approver --team team-playlists --valid 365d
A dashboard sees everything and changes nothing:
  skein token create grafana --role viewer
A token went astray:
  skein token revoke anna --reason 'laptop stolen'
Roles: viewer sees; operator also applies policies and acts on migrations; approver also approves and rejects plans;
admin does everything, fleet and tokens too. Teams are what policies name as metadata.owner.";

/// What to do with access tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for a person or a program. Its text is printed once, on standard output, and kept nowhere.
    Create(TokenCreate),
    /// List tokens: whom they are for, what they allow, when they were used last.
    List {
        /// Also those that have expired or were revoked.
        #[arg(long)]
        all: bool,
    },
    /// Take a token back: every node refuses it from now on.
    Revoke {
        /// Whom it was for, or the SHA-256 of its text.
        #[arg(value_name = "NAME")]
        named: String,
        /// Why; stays in the list.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// The token that is made.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenCreate {
    /// The person or program that it is for; stands in histories. A name is given once.
    pub(crate) name: String,
    /// What it allows; may be given several times.
    #[arg(long = "role", value_enum, required = true)]
    pub(crate) roles: Vec<RoleArg>,
    /// The team whose policies and migrations it holds for; may be given several times. Without it, it holds for all.
    #[arg(long = "team", value_name = "TEAM")]
    pub(crate) teams: Vec<String>,
    /// How long it is valid: 15m, 8h, 365d. Without it, until it is revoked.
    #[arg(long, value_parser = super::duration)]
    pub(crate) valid: Option<u64>,
}

/// Roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Sees.
    Viewer,
    /// Sees; applies policies and acts on migrations.
    Operator,
    /// Sees; approves and rejects plans.
    Approver,
    /// Everything.
    Admin,
}
