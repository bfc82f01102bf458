//! Exit codes. They are part of the interface: scripts rely on them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for `plan`: there is nothing to do.
    Success,
    /// It failed.
    Failure,
    /// `plan`: there is something to do.
    Changes,
    /// `wait` and `apply --wait`: everything came to rest, and not every migration is committed.
    NotCommitted,
    /// Wrong arguments (`EX_USAGE` of BSD's sysexits).
    Usage,
}

/// The table for `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0   done; for `plan`: nothing to do
  1   it failed
  2   `plan`: there is something to do
  3   `wait`, `apply --wait`: everything came to rest, and not all is committed
  64  wrong arguments";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Changes => 2,
            Exit::NotCommitted => 3,
            Exit::Usage => 64,
        })
    }
}
