//! The faults of a plan.
//!
//! Holds: [`Fault`], with its name in counts. Not here: how it is done (`run::inflict`).

use std::time::Duration;

use skein_node::scripted::Weather;

/// How a machine loses its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Between two steps of its node.
    Now,
    /// In the middle of the k-th disk operation from now on.
    AtOperation(u64),
}

/// What links do to frames or datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFault {
    Loss,
    Duplication,
    Reordering,
    Delay,
    AnswersLost,
    Foreign,
}

/// What happens to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceChange {
    Append,
    Replace,
    ReplaceQuietly,
    RemoveFile,
    Vanish,
    VanishAndComeBack,
}

/// One thing that goes wrong. Machines are numbers from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A machine loses its power and has it back after the fault's time.
    Crash { machine: usize, crash: Crash },
    /// The process of a machine ends, nothing that was written is lost; it is started again after the fault's time.
    Kill { machine: usize },
    /// Several machines lose their power at once.
    MassDeath { machines: Vec<usize> },
    /// A machine stands still.
    Pause { machine: usize },
    /// Links misbehave: all, or those of one machine.
    Links { what: LinkFault, per_mille: u32, machine: Option<usize> },
    /// Nothing passes from one machine to another.
    CutOneWay { from: usize, to: usize },
    /// Nothing passes between two machines.
    CutBothWays { one: usize, other: usize },
    /// Nothing passes between a machine and all others.
    Isolation { machine: usize },
    /// A machine's gossip is lost, and nothing else: the others think that it is dead, or it thinks so of them.
    FalseDeath { machine: usize, deaf: bool },
    /// The k-th sync of a machine's disk fails.
    SyncError { machine: usize, k: u64 },
    /// The k-th write of a machine's disk fails.
    WriteError { machine: usize, k: u64 },
    /// So many more bytes fit on a machine's disk.
    FullDisk { machine: usize, room: usize },
    /// A machine loses its power, and finds its ledger overwritten when it has it back. (Once in a seed: a fleet whose quorum
    /// is ruined is lost, and nothing can be demanded of it.)
    RuinedDisk { machine: usize },
    /// Each sync of a machine's disk takes long.
    SlowDisk { machine: usize, millis: u64 },
    /// A machine's wall clock jumps.
    ClockStep { machine: usize, millis: i64 },
    /// A machine's clocks run fast or slow.
    ClockDrift { machine: usize, ppm: i64 },
    /// Calls of the data plane go wrong.
    Weather { weather: Weather, per_mille: u32 },
    /// A source changes: policy, table.
    Source { policy: usize, table: usize, change: SourceChange },
    /// Somebody else creates a table under a target's name: policy, table.
    Stranger { policy: usize, table: usize },
    /// A machine's program is of the version before from its next start on; it restarts.
    OtherVersion { machine: usize },
}

/// The names of all kinds that are planned here.
#[cfg(test)]
pub(super) const KINDS: [&str; 20] = [
    "crash",
    "kill",
    "mass-death",
    "pause",
    "links",
    "cut-one-way",
    "cut-both-ways",
    "isolation",
    "false-death",
    "sync-error",
    "write-error",
    "full-disk",
    "ruined-disk",
    "slow-disk",
    "clock-step",
    "clock-drift",
    "weather",
    "source",
    "stranger",
    "other-version",
];

impl Fault {
    /// Its kind, as people write it.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Kill { .. } => "kill",
            Self::MassDeath { .. } => "mass-death",
            Self::Pause { .. } => "pause",
            Self::Links { .. } => "links",
            Self::CutOneWay { .. } => "cut-one-way",
            Self::CutBothWays { .. } => "cut-both-ways",
            Self::Isolation { .. } => "isolation",
            Self::FalseDeath { .. } => "false-death",
            Self::SyncError { .. } => "sync-error",
            Self::WriteError { .. } => "write-error",
            Self::FullDisk { .. } => "full-disk",
            Self::RuinedDisk { .. } => "ruined-disk",
            Self::SlowDisk { .. } => "slow-disk",
            Self::ClockStep { .. } => "clock-step",
            Self::ClockDrift { .. } => "clock-drift",
            Self::Weather { .. } => "weather",
            Self::Source { .. } => "source",
            Self::Stranger { .. } => "stranger",
            Self::OtherVersion { .. } => "other-version",
        }
    }

    /// The machines that it is about.
    pub(crate) fn machines(&self) -> Vec<usize> {
        match self {
            Self::Crash { machine, .. }
            | Self::Kill { machine }
            | Self::Pause { machine }
            | Self::Isolation { machine }
            | Self::FalseDeath { machine, .. }
            | Self::SyncError { machine, .. }
            | Self::WriteError { machine, .. }
            | Self::FullDisk { machine, .. }
            | Self::RuinedDisk { machine }
            | Self::SlowDisk { machine, .. }
            | Self::ClockStep { machine, .. }
            | Self::ClockDrift { machine, .. }
            | Self::OtherVersion { machine } => vec![*machine],
            Self::MassDeath { machines } => machines.clone(),
            Self::CutOneWay { from: one, to: other } | Self::CutBothWays { one, other } => vec![*one, *other],
            Self::Links { machine, .. } => machine.iter().copied().collect(),
            Self::Weather { .. } | Self::Source { .. } | Self::Stranger { .. } => Vec::new(),
        }
    }

    /// Whether it ends by itself at once, so that its time is of no matter.
    pub(crate) fn is_instant(&self) -> bool {
        matches!(
            self,
            Self::ClockStep { .. } | Self::SyncError { .. } | Self::WriteError { .. } | Self::Stranger { .. }
        )
    }
}

/// Times as they read best.
pub(super) fn brief(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

impl std::fmt::Display for super::Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{} at {}", self.number, brief(self.at))?;
        if !self.fault.is_instant() {
            write!(f, " for {}", brief(self.lasts))?;
        }
        write!(f, ": {:?}", self.fault)
    }
}
