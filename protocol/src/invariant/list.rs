//! The list of all invariants.

use super::requests::Keyed;
use super::step::Step;
use super::whole::Whole;
use super::world::WorldView;
use super::{Verdict, counts, failures, history, order, ownership, publishing, transitions, whole, world};

/// One sentence that must always be true, and where it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// Stable name.
    pub name: &'static str,
    /// The sentence.
    pub sentence: &'static str,
    /// How it is checked.
    pub check: Check,
}

/// How an invariant is checked.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// After each applied entry, for each migration that it touched.
    Step(fn(&Step<'_>) -> Verdict),
    /// After each applied entry, for the proposal itself.
    Proposal,
    /// After each applied request with a key.
    Keyed(fn(&Keyed<'_>) -> Verdict),
    /// Over the whole state.
    Whole(fn(&Whole<'_>) -> Verdict),
    /// Over the state when nothing happens any more.
    End,
    /// Over the world outside of the nodes.
    World(fn(&WorldView) -> Verdict),
    /// By the simulation's auditor, from requests, answers and what readers see.
    Auditor,
}

/// How often an invariant is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// After every entry: in the simulation, and in a node that is configured so.
    Entry,
    /// Every so often over everything, and at the end.
    Full,
    /// At the end of a seed, when everything was healed.
    End,
    /// From outside, over a whole seed.
    Auditor,
}

impl Level {
    /// The level as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Full => "full",
            Self::End => "end of a seed",
            Self::Auditor => "auditor",
        }
    }

    /// Whether a real node can check it.
    #[must_use]
    pub fn is_in_nodes(self) -> bool {
        matches!(self, Self::Entry | Self::Full)
    }
}

impl Invariant {
    /// How often it is checked.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.check {
            Check::Step(_) | Check::Proposal | Check::Keyed(_) => Level::Entry,
            Check::Whole(_) => Level::Full,
            Check::End | Check::World(_) => Level::End,
            Check::Auditor => Level::Auditor,
        }
    }
}

const fn step(name: &'static str, check: fn(&Step<'_>) -> Verdict, sentence: &'static str) -> Invariant {
    Invariant { name, sentence, check: Check::Step(check) }
}

const fn whole(name: &'static str, check: fn(&Whole<'_>) -> Verdict, sentence: &'static str) -> Invariant {
    Invariant { name, sentence, check: Check::Whole(check) }
}

const fn world(name: &'static str, check: fn(&WorldView) -> Verdict, sentence: &'static str) -> Invariant {
    Invariant { name, sentence, check: Check::World(check) }
}

const fn other(name: &'static str, check: Check, sentence: &'static str) -> Invariant {
    Invariant { name, sentence, check }
}

/// The name of [`Check::Proposal`].
pub(super) const APPLIED_ONCE: &str = "applied-once";
/// The name of [`Check::Keyed`].
pub(super) const KEYS_HONOURED: &str = "keys-honoured";
/// The name of [`super::end::replicas_agree`].
pub(super) const REPLICAS_AGREE: &str = "replicas-agree";

/// All invariants.
pub const ALL: &[Invariant] = &[
    step(
        "legal-transitions",
        transitions::legal_transitions,
        "A phase changes only along the edges that the entry allows, and a refused entry changes nothing.",
    ),
    step(
        "ends-absorb",
        transitions::ends_absorb,
        "Within its run an end absorbs: only a request or a newer generation moves a migration on, and what the run did stays.",
    ),
    step(
        "epochs-grow",
        ownership::epochs_grow,
        "A migration has one owner at each index; a new owner, or a new session of the old one, has a higher epoch, and runs only grow.",
    ),
    step(
        "stale-refused",
        ownership::stale_is_refused,
        "No entry of an old run, epoch or hand-out has an effect after a newer one is applied.",
    ),
    step(
        "attempts-fresh",
        ownership::attempts_are_fresh,
        "Every hand-out within a run has a number that no other had.",
    ),
    step(
        "owners-take-work",
        ownership::owners_take_work,
        "Work is given to nodes with a session, and to a drained one only where no other is left.",
    ),
    step("failures-count", failures::failures_count, "Every recorded failure counts once, and nothing else counts."),
    step(
        "deaths-count",
        failures::deaths_count,
        "A node's end counts against the batches that it ran, but for goodbyes, drained nodes and mass deaths; a finished batch clears the count.",
    ),
    step(
        "quarantine-exactly-when",
        failures::quarantine_exactly_when,
        "A migration is quarantined exactly when its attempts are used up, a failure is permanent, a batch is poison, the dataset is refused or its target is taken.",
    ),
    step(
        "stops-explained",
        failures::stops_are_explained,
        "What is paused or quarantined says from where and why, and nothing of it runs.",
    ),
    step(
        "approval-bound",
        publishing::approval_is_bound,
        "Nothing moves without an approval of exactly the present plan, where one is required.",
    ),
    step(
        "one-intent",
        publishing::one_intent,
        "A run has at most one intent, of its own plan and uuid, which never changes.",
    ),
    step(
        "validated-before-published",
        publishing::validated_before_published,
        "A target becomes visible at most once in a run, after all batches are done and validated, as exactly what was intended.",
    ),
    step(
        "batches-count-once",
        publishing::batches_count_once,
        "One result is taken for each batch, once, stage after stage, and stays.",
    ),
    step(
        "withdrawals-keep-the-name",
        publishing::withdrawals_keep_the_name,
        "A run with an intent ends unpublished only by a withdrawal, and a tombstone stands until its time is over.",
    ),
    step(
        "rollback-idempotent",
        publishing::rollback_is_idempotent,
        "A rollback takes back what is published and nothing else; asked for again, it changes nothing.",
    ),
    step(
        "changes-told",
        history::changes_are_told,
        "Every change of phase, run, approval or owner is in the history, with time, actor and reason.",
    ),
    step(
        "rows-conserved",
        counts::rows_are_conserved,
        "Rows read are rows written and removed; together they are what the footers said, and what is published.",
    ),
    step(
        "dependencies-respected",
        order::dependencies_are_respected,
        "A first batch is handed out only when every policy that its own waits for is through.",
    ),
    step(
        "priority-respected",
        order::priority_is_respected,
        "Of two migrations of a node that could run, the more urgent one goes first, but for the turns of those that wait longest.",
    ),
    step(
        "bypass-bounded",
        order::bypass_is_bounded,
        "Of the hand-outs of a node, one in so many goes to who waits longest, whatever its priority.",
    ),
    other(
        APPLIED_ONCE,
        Check::Proposal,
        "Entries are applied in the order of the log without a gap, and a proposal once, however often it is made.",
    ),
    other(
        KEYS_HONOURED,
        Check::Keyed(super::requests::keys_are_honoured),
        "The same request under the same key is done once and gets its first answer; another request under that key is refused.",
    ),
    whole(
        "submits-survive",
        whole::submits_survive,
        "What was acknowledged stays: no migration and no generation of a policy goes away.",
    ),
    whole(
        "nothing-by-itself",
        whole::nothing_changes_by_itself,
        "No migration changes without an entry that names it or its node.",
    ),
    whole(
        "counts-conserved",
        whole::counts_are_conserved,
        "Each migration is in exactly one phase, and the indexes over phases, work and policies have all of them and no others.",
    ),
    whole("one-migration-a-target", whole::targets_have_one_migration, "A target belongs to one migration at a time."),
    whole(
        "owners-live",
        whole::owners_live,
        "Whoever owns a migration has a session, as long as a node that takes work has one.",
    ),
    whole(
        "everything-bounded",
        whole::everything_is_bounded,
        "Everything that is kept has a bound, and histories are in order.",
    ),
    other(
        REPLICAS_AGREE,
        Check::End,
        "Replicas that applied the same entries are the same, byte for byte, and gave the same answers.",
    ),
    other(
        "everything-ends",
        Check::End,
        "When all faults are healed, every migration comes to an end or waits for a person.",
    ),
    other(
        "drained-owns-nothing",
        Check::End,
        "A drained node owns nothing that has not ended, where others can have it.",
    ),
    world("source-untouched", world::source_untouched, "No node changes a source."),
    world(
        "target-equals-transform",
        world::target_equals_transform,
        "What a reader sees is the transformed source, row for row.",
    ),
    world(
        "no-row-twice",
        world::no_row_twice,
        "No row of the transformed source is seen more often than it should be.",
    ),
    world(
        "visible-implies-validated",
        world::visible_implies_validated,
        "What is visible is what an intent named after validation, complete and unchanged.",
    ),
    world(
        "no-visible-orphan",
        world::no_visible_orphan,
        "What is visible belongs to a migration that is committed, or is becoming so or being taken back.",
    ),
    world(
        "reachable-files-stay",
        world::reachable_files_stay,
        "No file that a visible table refers to is ever deleted.",
    ),
    world(
        "published-once",
        world::published_once,
        "A run's table comes under its name at most once, and never again after it was taken back.",
    ),
    world(
        "rollback-restores",
        world::rollback_restores,
        "After a rollback or a cancellation nothing of the run is visible.",
    ),
    other(
        "asked-and-approved",
        Check::Auditor,
        "No table becomes visible that nobody asked for, or whose plan needed an approval that nobody gave.",
    ),
    other(
        "acknowledged-ends",
        Check::Auditor,
        "An acknowledged submit ends, and a quiet fleet shows each of its tables or says why not.",
    ),
    other(
        "answers-kept",
        Check::Auditor,
        "An acknowledged cancellation, rollback or key is honoured in what readers see afterwards.",
    ),
];

/// The name of the invariant that a function checks, for those that look at one migration.
pub(super) fn steps() -> impl Iterator<Item = (&'static str, fn(&Step<'_>) -> Verdict)> {
    ALL.iter().filter_map(|invariant| match invariant.check {
        Check::Step(check) => Some((invariant.name, check)),
        _ => None,
    })
}

/// The same for those over the whole state.
pub(super) fn wholes() -> impl Iterator<Item = (&'static str, fn(&Whole<'_>) -> Verdict)> {
    ALL.iter().filter_map(|invariant| match invariant.check {
        Check::Whole(check) => Some((invariant.name, check)),
        _ => None,
    })
}

/// The same for those over the world.
pub(super) fn worlds() -> impl Iterator<Item = (&'static str, fn(&WorldView) -> Verdict)> {
    ALL.iter().filter_map(|invariant| match invariant.check {
        Check::World(check) => Some((invariant.name, check)),
        _ => None,
    })
}
