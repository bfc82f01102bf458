//! Rehearsals of losses: nodes whose ledgers do not open any more come back as others, whoever they are and whenever they die
//! on the way.
//!
//! In: a fleet that has formed. Out: the same fleet, whole, that ends its work. Not here: losses drawn by a seed (`plan`).

use std::sync::Arc;
use std::time::Duration;

use skein_node::fleet::PEERS_FILE;
use skein_node::scripted::ScriptedPlane;
use skein_protocol::ledger::{Member, Standing};

use super::{Rehearsal, active, rehearse};
use crate::fleet::Fleet;

/// The machine that founded the fleet: it alone has the authority's key.
const FOUNDER: usize = 0;
/// A machine that joined.
const JOINED: usize = 1;
/// Voters that did not change for this long are known to all.
const SETTLED: Duration = Duration::from_millis(1_500);
/// A node that comes back does so with far fewer disk operations.
const MOST_OPERATIONS: u64 = 400;
/// It takes at least so many: two files of credentials, a new name, the ledger set aside.
const FEWEST_OPERATIONS: u64 = 8;

/// Where this machine would look for the others if its ledger were lost.
fn remembered(rehearsal: &Rehearsal, machine: usize) -> Vec<String> {
    let host = &rehearsal.fleet.machines[machine].host;
    let files = host.env(Arc::new(ScriptedPlane::at(rehearsal.world.clone(), machine))).files;
    let text = files.read(PEERS_FILE).unwrap().unwrap_or_default();
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

pub(super) fn the_founder_is_told(rehearsal: &mut Rehearsal) {
    let others: Vec<String> = (1..rehearsal.fleet.machines.len()).map(|n| rehearsal.fleet.at(n).to_string()).collect();
    settle(rehearsal);
    let mut known = remembered(rehearsal, FOUNDER);
    known.sort();
    assert_eq!(known, others);
}

pub(super) fn the_founder_loses_its_ledger(rehearsal: &mut Rehearsal) {
    lose(rehearsal, FOUNDER, None);
    rehearsal.run(Duration::ZERO, &|_, _| {});
}

pub(super) fn a_node_dies_on_its_way_back(rehearsal: &mut Rehearsal) {
    let mut operation = 1;
    while lose(rehearsal, JOINED, Some(operation)) {
        operation += 1;
        assert!(operation < MOST_OPERATIONS, "no start ends without a crash");
    }
    assert!(operation > FEWEST_OPERATIONS, "it died {operation} times only");
    rehearsal.run(Duration::ZERO, &|_, _| {});
}

/// Waits until all machines vote, and know it.
fn settle(rehearsal: &mut Rehearsal) {
    let machines = rehearsal.fleet.machines.len();
    let voters = |fleet: &Fleet, number: usize| fleet.machines[number].node().map_or(0, |node| node.voters().len());
    rehearsal.until("all vote", |fleet| (0..machines).all(|number| voters(fleet, number) == machines));
    let settled = rehearsal.fleet.now + SETTLED;
    rehearsal.until("settled", |fleet| fleet.now >= settled);
}

/// Ruins a machine's ledger and lets its node come back as another; it dies at this disk operation after its start. Whether it
/// did so on its way: before its new ledger was open.
fn lose(rehearsal: &mut Rehearsal, number: usize, dies_at: Option<u64>) -> bool {
    settle(rehearsal);
    let machines = rehearsal.fleet.machines.len();
    let before = rehearsal.fleet.machines[number].node().unwrap().id();
    let machine = &mut rehearsal.fleet.machines[number];
    machine.crash();
    machine.ruin_ledger();
    if let Some(operation) = dies_at {
        machine.host.storage.crash_at(operation);
    }
    rehearsal.fleet.start(number);
    let starts = rehearsal.fleet.machines[number].starts();
    let mut opened = false;
    rehearsal.until("back as another", |fleet| {
        opened |= fleet.machines[number].starts() == starts && fleet.machines[number].node().is_some();
        let Some(node) = fleet.machines[number].node().map(|node| node.id()) else { return false };
        let knows = |asked: usize| {
            let standing = |member: &Member| member.standing == Standing::Active;
            fleet.machines[asked]
                .node()
                .is_some_and(|asked| asked.read(|state| state.member(node).is_some_and(standing)))
        };
        node != before && (0..machines).all(|asked| knows(asked) && active(fleet, asked) == machines)
    });
    !opened
}

#[test]
fn the_founder_writes_down_where_those_are_that_joined_after_it() {
    rehearse("told messages 3 8");
}

#[test]
fn the_founder_who_alone_can_sign_comes_back_after_it_lost_its_ledger() {
    rehearse("founder messages 3 9");
}

#[test]
fn a_node_that_lost_its_ledger_comes_back_at_whichever_disk_operation_it_dies_on_the_way() {
    rehearse("dying messages 3 10");
}
