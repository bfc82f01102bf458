//! Known-bad variants: mistakes that a careless developer would have made, which the simulator must catch.
//!
//! In: the name of one of them, chosen at run time. Out: whether a site makes that mistake now. Holds: the catalogue, each
//! with what it does and which check should see it. Not here: hunting for them (`skein-simulation`).
//!
//! They exist only in a build with the cargo feature `defects`, which no release has: without it [`is`] is a constant `false`
//! and nothing of a site is left. With it, one defect is chosen for a whole process; that is the only state of a process in this
//! crate, and a process of the simulator runs one seed.

/// In every build with the feature, and in no other: who looks for it in a binary knows which it is.
pub const MARKER: &str = "skein: known-bad variants are compiled into this program";

#[cfg(feature = "defects")]
#[used]
static CARRIED: &str = MARKER;

/// Whether the site that asks makes this mistake: never, in this build.
#[cfg(not(feature = "defects"))]
#[must_use]
#[inline]
pub const fn is(_: Defect) -> bool {
    false
}

#[cfg(feature = "defects")]
pub use chosen::{UnknownDefect, choose, chosen, is};

#[cfg(feature = "defects")]
mod chosen {
    use std::sync::OnceLock;

    use super::Defect;

    static CHOSEN: OnceLock<Defect> = OnceLock::new();

    /// No defect has this name, or another one was chosen before.
    #[derive(Debug, thiserror::Error)]
    #[error("no defect {name:?} can be chosen: it is unknown, or another was chosen already")]
    pub struct UnknownDefect {
        name: String,
    }

    /// Chooses the defect of this process, once.
    ///
    /// # Errors
    /// When there is none of this name, or another was chosen before.
    pub fn choose(name: &str) -> Result<Defect, UnknownDefect> {
        let unknown = || UnknownDefect { name: name.to_owned() };
        let defect = *Defect::ALL.iter().find(|defect| defect.name() == name).ok_or_else(unknown)?;
        if *CHOSEN.get_or_init(|| defect) == defect { Ok(defect) } else { Err(unknown()) }
    }

    /// The defect of this process.
    #[must_use]
    pub fn chosen() -> Option<Defect> {
        CHOSEN.get().copied()
    }

    /// Whether the site that asks makes this mistake.
    #[must_use]
    pub fn is(defect: Defect) -> bool {
        chosen() == Some(defect)
    }
}

macro_rules! catalogue {
    ($($variant:ident $name:literal $sentence:literal, seen by $check:literal;)*) => {
        /// A known-bad variant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Defect {
            $(#[doc = $sentence] $variant,)*
        }

        #[cfg(feature = "defects")]
        impl Defect {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, which stays.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong, in a sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What should see it.
            #[must_use]
            pub fn seen_by(self) -> &'static str {
                match self { $(Self::$variant => $check,)* }
            }
        }
    };
}

catalogue! {
    // Ledger and fencing.
    SkipEpochCheck "skip-epoch-check"
        "Entries of an owner that has been replaced are applied.", seen by "no effect of an old epoch";
    SkipRunCheck "skip-run-check"
        "Entries of a run that is over are applied to the next one.", seen by "no effect of an old run";
    StaleBatchEnd "stale-batch-end"
        "The end of any hand-out of a batch is taken, not only that of the open one.", seen by "the open attempt ends a batch";
    AttemptNumberReused "attempt-number-reused"
        "A hand-out does not use up its attempt number.", seen by "no file is written twice";
    AckBeforeFsync "ack-before-fsync"
        "Log entries are acknowledged before they are synced.", seen by "an acknowledged submit survives";
    VoteOnlyInMemory "vote-only-in-memory"
        "A vote is not written down before it is given.", seen by "replicas agree";
    TruncateOnlyInMemory "truncate-only-in-memory"
        "Conflicting log entries are removed from memory, and come back with the next start.", seen by "replicas agree";
    ProposalAppliedTwice "proposal-applied-twice"
        "A proposal that is repeated is applied again.", seen by "a repeated proposal gets its first answer";
    EffectBeforeRecord "effect-before-record"
        "A batch begins before its start is a fact.", seen by "no file is written twice";
    AckBeforeLedger "ack-before-ledger"
        "A submit is acknowledged before the ledger has it.", seen by "an acknowledged submit survives";

    // Publish.
    PublishByRebase "publish-by-rebase"
        "A commit that may have happened is made again on top of what is there, with the rows once more.", seen by "no row twice";
    PublishOverAnything "publish-over-anything"
        "Whatever stands under the target's name is replaced.", seen by "foreign tables stay";
    UnknownAsFailure "unknown-as-failure"
        "A registration without an answer counts as one that did not happen: the run ends.", seen by "no visible orphan";
    UnknownAsSuccess "unknown-as-success"
        "A registration without an answer counts as done, without a look.", seen by "committed implies visible";
    PublishBeforeIntent "publish-before-intent"
        "The name is taken as soon as the table is staged, before it is validated and intended.",
        seen by "visible implies validated";
    AdoptionDropsIntent "adoption-drops-intent"
        "An adopter forgets the open intent and validates again.", seen by "only legal transitions";
    SupersedeWithIntent "supersede-with-intent"
        "A newer policy ends migrations that are about to publish.", seen by "no visible orphan";

    // Taking back.
    CancelLeavesTable "cancel-leaves-table"
        "A cancelled migration with an open intent ends without taking the name.", seen by "no visible orphan";
    RollbackWithoutWithdrawal "rollback-without-withdrawal"
        "A rollback is recorded as done when it is asked for.", seen by "rollback restores";
    NoTombstone "no-tombstone"
        "A withdrawal frees the name at once instead of holding it against late registrations.",
        seen by "nothing late becomes visible";
    TombstoneReleasedEarly "tombstone-released-early"
        "A tombstone goes as soon as it stands.", seen by "nothing late becomes visible";
    RetryDropsIntent "retry-drops-intent"
        "A paused migration with an open intent may begin its next run.", seen by "one open intent";
    WithdrawForeign "withdraw-foreign"
        "A withdrawal replaces whatever stands under the name.", seen by "foreign tables stay";

    // Sessions and owners.
    NoSelfFence "no-self-fence"
        "A node that the leader does not answer goes on acting.", seen by "no effect of an old epoch";
    SessionKeepsEpoch "session-keeps-epoch"
        "A new session of a node takes its migrations up with the old epoch.", seen by "epochs grow";
    AdoptionKeepsEpoch "adoption-keeps-epoch"
        "A new owner goes on under the epoch of the old one.", seen by "epochs grow";
    AdoptionForgetsBatches "adoption-forgets-batches"
        "An adopter begins with all batches again.", seen by "what was recorded stays";
    ExpiredKeepsWork "expired-keeps-work"
        "What an expired node owns stays with it.", seen by "every migration has a living owner";

    // Stealing, lending, draining.
    StealWithoutEntry "steal-without-entry"
        "A victim gives migrations away by word alone and begins nothing for them any more.", seen by "everything ends";
    LendWithoutEntry "lend-without-entry"
        "A batch is lent without its start being recorded.", seen by "no file is written twice";
    DrainedTakesWork "drained-takes-work"
        "Drained nodes are given work like others.", seen by "a drained node owns nothing";
    DrainKeepsWork "drain-keeps-work"
        "A drained node hands over nothing.", seen by "a drained node owns nothing";

    // The scheduler.
    DependenciesIgnored "dependencies-ignored"
        "Batches begin although a policy that has to come first is not through.", seen by "dependencies are respected";
    LostWake "lost-wake"
        "Nobody wakes up when the time of a retry comes.", seen by "everything ends";
    LeakedSlot "leaked-slot"
        "Work that is given up keeps its slot.", seen by "everything ends";
    PriorityReversed "priority-reversed"
        "What is least urgent goes first.", seen by "priority, with bounded bypass";

    // Failures.
    RetryWithoutCounting "retry-without-counting"
        "Failed attempts are not counted.", seen by "quarantine exactly when attempts are used up";
    OneAttemptMore "one-attempt-more"
        "A batch gets one attempt more than its policy says.", seen by "quarantine exactly when attempts are used up";
    QuarantineTooEarly "quarantine-too-early"
        "The first failure ends the run.", seen by "quarantine exactly when attempts are used up";
    PoisonNeverSeen "poison-never-seen"
        "A batch that takes its nodes down is handed out for ever.", seen by "quarantine exactly when poison";
    RetryKeepsRun "retry-keeps-run"
        "A retry goes on in the same run.", seen by "no file is written twice";
    OrphansLeftOpen "orphans-left-open"
        "Hand-outs that a dead actor left open are never closed.", seen by "everything ends";

    // Approval.
    ApprovalNotBound "approval-not-bound"
        "An approval counts for whatever plan there is.", seen by "approval is bound to the plan's hash";
    ApprovalCarriesOver "approval-carries-over"
        "What was approved once stays approved under another plan.", seen by "approval is bound to the plan's hash";
    ApprovalForgotten "approval-forgotten"
        "Nobody waits for an approval.", seen by "nothing moves without approval";

    // Documents, requests, history.
    BlobBeforeDurable "blob-before-durable"
        "A document's hash is given out before its bytes are anywhere.", seen by "everything ends";
    BlobHereOnly "blob-here-only"
        "A document is kept on the node that made it alone.", seen by "everything ends";
    KeyForgotten "key-forgotten"
        "A request with a known idempotency key is done again.", seen by "idempotency keys are honoured";
    HistoryWithoutActor "history-without-actor"
        "The history does not say who it was.", seen by "every change in the history";
    HistoryWithoutRequests "history-without-requests"
        "What people ask for leaves no line in the history.", seen by "every change in the history";
    CountsDrift "counts-drift"
        "A migration that moves on stays in the index of its old phase too.", seen by "counts are conserved";
    PauseAfterEnd "pause-after-end"
        "What has ended can be paused.", seen by "terminal states absorb";
    ClaimIgnored "claim-ignored"
        "Two migrations may have the same target.", seen by "one migration a target";

    // Validation and the source.
    FinalCheckSkipped "final-check-skipped"
        "Nobody looks at what the staged table reads as.", seen by "target equals transform(source)";
    LostNullCounts "lost-null-counts"
        "Null counts are not compared.", seen by "target equals transform(source)";
    CountsOnly "counts-only"
        "Rows are counted, and their checksums are not compared.", seen by "target equals transform(source)";
    SourceNotListedAgain "source-not-listed-again"
        "The source is not looked at again before the intent.", seen by "the source is as planned";
    WeakFingerprint "weak-fingerprint"
        "A source file of the same size counts as the same file.", seen by "the source is as planned";
    CollectReachable "collect-reachable"
        "Collection removes what a published table refers to.", seen by "no reachable file is deleted";
}

#[cfg(all(test, feature = "defects"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_only_known_ones_can_be_chosen() {
        let names: std::collections::BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
        assert_eq!(names.len(), Defect::ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        assert!(choose("no-such-defect").is_err());
        assert_eq!(chosen(), None);
    }
}
