//! Logs drawn by chance: whatever is proposed, in whatever order, the ledger keeps the invariants.

use std::collections::BTreeMap;

use super::totals;
use crate::chance::Chance;
use crate::data_plane::{Class, StagedTable};
use crate::hash::Hash256;
use crate::ids::{
    Attempt, BatchId, BatchNo, Epoch, MigrationId, NodeId, Run, SessionNo, StageNo, TableName, TableUuid,
};
use crate::invariant::{Fed, Follower};
use crate::ledger::entry::{AppliedPolicy, Entry, Fence, PlanSummary, Request, RequestKey, TransferReason, Work};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::members::Seat;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

/// Nodes of the fleet.
const NODES: u64 = 4;
/// Entries of a log.
const ENTRIES: u64 = 3_000;
/// Logs.
const LOGS: u64 = 12;

fn any_node(chance: &mut Chance) -> NodeId {
    NodeId(1 + chance.below(NODES))
}

fn problem(chance: &mut Chance) -> Problem {
    let code = chance.pick(&[Code::Io, Code::SourceChanged, Code::FileDamaged]);
    Problem::new(code, "work", "chance would have it", "wait")
}

fn class(chance: &mut Chance) -> Class {
    if chance.one_in(6) { Class::Permanent } else { Class::Transient }
}

/// The fence of a migration, now and then an old or a coming one.
fn fence(chance: &mut Chance, migration: &Migration) -> Fence {
    let mut fence = migration.fence();
    if chance.one_in(8) {
        fence.epoch = Epoch((fence.epoch.0 + 1).saturating_sub(chance.below(3)));
    }
    if chance.one_in(20) {
        fence.run = Run(fence.run.0 + 1);
    }
    fence
}

fn policy(chance: &mut Chance) -> Entry {
    let number = chance.below(4);
    let name = format!("p{number}");
    let tables = 1 + chance.below(5);
    let document = chance.below(3);
    let targets = if chance.one_in(6) { "shared".to_owned() } else { name.clone() };
    let dataset = |table| (TableName::new("d", format!("t{table}")), TableName::new(&targets, format!("t{table}")));
    let policy = AppliedPolicy {
        name: name.as_str().into(),
        hash: Hash256::of(&[document as u8]),
        document: "{}".to_owned(),
        owner: "team".to_owned(),
        labels: Vec::new(),
        priority: 50,
        max_parallel: 50,
        attempts: 3,
        batch_memory_bytes: 1,
        approval_required: chance.one_in(2),
        source_connection: "legacy".into(),
        target_connection: "lake".into(),
        // Whoever waits here begins by chance all the same: that is no decision of the ledger's.
        after: Vec::new(),
        datasets: (0..tables).map(dataset).collect(),
    };
    let key = chance.one_in(3).then(|| RequestKey {
        key: format!("key-{}", chance.below(5)),
        document: Hash256::of(format!("{name} {tables} {document} {targets}").as_bytes()),
    });
    Entry::PolicyApplied { policy, owner: any_node(chance), key }
}

fn of_nodes(chance: &mut Chance, state: &State) -> Entry {
    let node = any_node(chance);
    let session = |node: NodeId| state.member(node).map_or(SessionNo(0), |member| member.session);
    let seat = Seat { slots: 2, ..Seat::default() };
    match chance.below(8) {
        0..3 => Entry::SessionOpened { node, session: session(node).next(), seat },
        3 => Entry::SessionClosed { node, session: session(node) },
        4 | 5 => {
            let all: Vec<NodeId> = (0..1 + chance.below(3)).map(|_| any_node(chance)).collect();
            let mass = chance.one_in(3);
            Entry::SessionsExpired { sessions: all.into_iter().map(|node| (node, session(node))).collect(), mass }
        }
        6 => Entry::DrainRequested { node, drain: chance.one_in(2), reason: "chance".to_owned() },
        _ => Entry::JoinTokenIssued { token: Hash256::of(&[node.0 as u8]), expires_at: u64::MAX },
    }
}

fn batch_of(chance: &mut Chance, migration: &Migration) -> BatchId {
    let stage = chance.below(migration.stages.len().max(1) as u64);
    let batches = migration.stages.get(stage as usize).map_or(1, |batches| batches.len().max(1));
    BatchId { stage: StageNo(stage as u32), batch: BatchNo(chance.below(batches as u64) as u32) }
}

fn plan(chance: &mut Chance, migration: &Migration) -> PlanSummary {
    let batches: Vec<u32> = (0..chance.below(3)).map(|_| chance.below(4) as u32).collect();
    let rows = batches.last().map_or(0, |last| u64::from(*last) * 10);
    let plan = format!("{} {batches:?} {}", migration.id, chance.below(2));
    PlanSummary {
        hash: Hash256::of(plan.as_bytes()),
        strategy: "copy".to_owned(),
        batches,
        rows: Some(rows),
        bytes: 1,
        seconds: 1 + chance.below(9),
        files: 1,
        notes: 0,
    }
}

fn intent(chance: &mut Chance, migration: &Migration) -> Entry {
    let fence = fence(chance, migration);
    let plan = migration.plan.as_ref().map(|plan| plan.hash).unwrap_or_default();
    let done = migration.totals();
    let table = StagedTable {
        metadata_location: format!("/lake/{}/{}-{}.json", migration.id, migration.run, migration.work.attempt),
        metadata_hash: Hash256::of(b"metadata"),
        uuid: TableUuid::derive(migration.id, migration.run, &plan),
        files: u64::from(done.files),
        rows: done.rows_out,
        bytes: done.bytes_out,
    };
    Entry::PublishIntent { fence, plan, table, evidence: Hash256::of(b"evidence") }
}

/// Something that could come next for a migration, or could not.
fn of_work(chance: &mut Chance, migration: &Migration) -> Entry {
    let fence = fence(chance, migration);
    let batch = batch_of(chance, migration);
    let open = migration.batch(batch).and_then(|batch| batch.running);
    let attempt = if chance.one_in(10) { Attempt(1) } else { open.unwrap_or(migration.next_attempt) };
    let phase = if chance.one_in(8) { chance.pick(&Phase::ALL) } else { migration.phase };
    match phase {
        Phase::Queued => Entry::PreparationStarted(vec![fence]),
        Phase::Preparation if chance.one_in(12) => {
            Entry::Refused { fence, refusal: Hash256::of(b"refusal"), problem: problem(chance) }
        }
        Phase::Preparation if chance.one_in(4) => failed(chance, fence, Work::Prepare),
        Phase::Preparation => Entry::Planned { fence, plan: plan(chance, migration) },
        Phase::Approval => {
            let hash = migration.plan.as_ref().map(|plan| plan.hash).unwrap_or_default();
            let items = vec![(migration.id, if chance.one_in(5) { Hash256::of(b"another") } else { hash })];
            match chance.below(6) {
                0 => Entry::Rejected { items, reason: "no".to_owned() },
                _ => Entry::Approved(items),
            }
        }
        Phase::Ready | Phase::Execution if open.is_none() && phase == migration.phase => {
            let runner = if chance.one_in(4) { any_node(chance) } else { migration.owner };
            Entry::BatchStarted { fence, batch, attempt: migration.next_attempt, runner }
        }
        Phase::Ready | Phase::Execution => match chance.below(8) {
            0 => Entry::BatchReturned { fence, batch, attempt },
            1 | 2 => {
                let (problem, class) = (problem(chance), class(chance));
                Entry::BatchFailed { fence, batch, attempt, problem, class, retry_at: 0 }
            }
            3 => Entry::Differs { fence, batch: Some((batch, attempt)), problem: problem(chance), evidence: None },
            _ => Entry::BatchDone { fence, batch, attempt, result: Hash256::of(b"result"), totals: totals(10, 3, 7) },
        },
        Phase::Validation if chance.one_in(4) => failed(chance, fence, Work::Validate),
        Phase::Validation if chance.one_in(6) => {
            Entry::Differs { fence, batch: None, problem: problem(chance), evidence: None }
        }
        Phase::Validation => intent(chance, migration),
        Phase::Commit if chance.one_in(3) => failed(chance, fence, Work::Publish),
        Phase::Commit => {
            let location = migration.intent.as_ref().map(|intent| intent.table.metadata_location.clone());
            Entry::Committed { fence, metadata_location: location.unwrap_or_default() }
        }
        Phase::RollingBack => match chance.below(6) {
            0 => failed(chance, fence, Work::Withdraw),
            1 => Entry::WithdrawRefused { fence, problem: problem(chance) },
            2 | 3 => Entry::TombstoneStaged { fence, location: format!("/lake/tombstone-{}", migration.run) },
            _ => Entry::Withdrawn { fence, tombstone: chance.one_in(2), until: 1 },
        },
        _ if chance.one_in(3) => Entry::TombstoneReleased { fence },
        _ => Entry::Collected { fence, files: chance.below(2), bytes: 1 },
    }
}

fn failed(chance: &mut Chance, fence: Fence, work: Work) -> Entry {
    Entry::WorkFailed { fence, work, problem: problem(chance), class: class(chance), retry_at: 0 }
}

fn entry(chance: &mut Chance, state: &State) -> Entry {
    let ids: Vec<MigrationId> = state.migrations().keys().copied().collect();
    let kind = if ids.is_empty() { chance.below(10) } else { chance.below(100) };
    match kind {
        0..4 => policy(chance),
        4..10 => of_nodes(chance, state),
        10..18 => {
            let requests = [Request::Pause, Request::Resume, Request::Cancel, Request::Retry, Request::Rollback];
            let migrations = (0..1 + chance.below(3)).map(|_| chance.pick(&ids)).collect();
            Entry::Requested { migrations, request: chance.pick(&requests), reason: "chance".to_owned() }
        }
        18..22 => {
            let reason = chance.pick(&[TransferReason::Steal, TransferReason::Drain]);
            let id = chance.pick(&ids);
            let items = vec![fence(chance, state.migration(id).expect("it is listed"))];
            Entry::Transferred { items, to: any_node(chance), reason }
        }
        _ => {
            let id = chance.pick(&ids);
            of_work(chance, state.migration(id).expect("it is listed"))
        }
    }
}

#[test]
fn the_ledger_keeps_every_invariant_whatever_is_proposed() {
    let mut reached: BTreeMap<Phase, u64> = BTreeMap::new();
    for log in 1..=LOGS {
        let (mut chance, mut follower, mut state) = (Chance(log), Follower::default(), State::default());
        let mut index = 0;
        for node in (1..=NODES).map(NodeId) {
            let entry = match node.0 {
                1 => Entry::SessionOpened { node, session: SessionNo(1), seat: Seat { slots: 2, ..Seat::default() } },
                _ => Entry::MemberAdmitted { node, token: Hash256::of(&[node.0 as u8]), address: String::new() },
            };
            let token = Entry::JoinTokenIssued { token: Hash256::of(&[node.0 as u8]), expires_at: u64::MAX };
            for entry in [token, entry] {
                index += 1;
                step(index, entry, &mut state, &mut follower);
            }
        }
        while index < ENTRIES {
            index += 1;
            let entry = entry(&mut chance, &state);
            step(index, entry, &mut state, &mut follower);
            for phase in Phase::ALL.into_iter().filter(|phase| state.count(*phase) > 0) {
                *reached.entry(phase).or_default() += 1;
            }
        }
        assert_eq!(follower.whole(), []);
    }
    assert_eq!(reached.len(), Phase::ALL.len(), "chance must lead everywhere: {reached:?}");
}

fn step(index: u64, entry: Entry, state: &mut State, follower: &mut Follower) {
    let proposal = Proposal { session: 1, sequence: index, at_millis: index * 1000, actor: "chance".to_owned(), entry };
    let answer = state.apply(index, &proposal);
    let fed = follower.feed(index, &proposal, &answer);
    assert_eq!(fed, Fed::Checked(Vec::new()), "{:?} -> {answer:?}", proposal.entry);
    if index.is_multiple_of(16) {
        assert_eq!(follower.whole(), [], "{:?} -> {answer:?}", proposal.entry);
    }
}
