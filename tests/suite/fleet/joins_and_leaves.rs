//! Nodes that join and leave while there is work, and a client that tries every call at most twice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skein_tests::{Program, until};

use crate::support::{Client, Fleet, Group, Options, PacedWorld, Random, Refusal, Scratch, policy};

/// More than are submitted before the last node has left.
const DATASETS: u32 = 6000;
/// Datasets of one submit: as many as have numbers that begin alike.
const EACH: u32 = 10;
/// Rows of a file in a paced world.
const ROWS: usize = 3;
/// Submits that must be through at every size of the fleet.
const SUBMITS_PER_STEP: u32 = 8;
/// Between two rounds of calls: a load, and no flood that runs out of datasets while a node takes its time to leave.
const PAUSE: Duration = Duration::from_millis(150);

/// Submits policy after policy and reads lists, each call at most twice.
struct Load {
    client: Arc<Mutex<Client>>,
    ends: Arc<AtomicBool>,
    submitted: Arc<AtomicU32>,
    errors: Arc<Mutex<Vec<Refusal>>>,
}

impl Load {
    fn new(client: Client) -> Self {
        Self {
            client: Arc::new(Mutex::new(client)),
            ends: Arc::default(),
            submitted: Arc::default(),
            errors: Arc::default(),
        }
    }

    fn run(&self) {
        let mut random = Random::new(4);
        while !self.ends.load(Ordering::Relaxed) {
            let number = self.submitted.load(Ordering::Relaxed);
            let client = self.client.lock().expect("nobody panicked").clone();
            let client = client.preferring(usize::try_from(random.below(64)).expect("it is small"));
            let name = format!("load-{number:03}");
            let text = policy(&name, &format!("paced.load_{number:04}?"));
            let answers = [
                client.call("POST", "/v1/policies", Some(&text), Some(&name)),
                client.get("/v1/migrations?limit=10"),
                client.get("/v1/status"),
            ];
            let errors = answers.into_iter().filter_map(Result::err);
            self.errors.lock().expect("nobody panicked").extend(errors);
            self.submitted.fetch_add(1, Ordering::Relaxed);
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Waits for some more submits, to a fleet as it is now.
    fn goes_on(&self, fleet: &Fleet) {
        *self.client.lock().expect("nobody panicked") = fleet.client();
        let before = self.submitted.load(Ordering::Relaxed);
        until("more was submitted", || {
            let errors = self.errors.lock().expect("nobody panicked").clone();
            assert!(errors.is_empty(), "calls that failed twice: {errors:?}");
            (self.submitted.load(Ordering::Relaxed) >= before + SUBMITS_PER_STEP).then_some(())
        });
    }
}

#[test]
fn nodes_join_and_leave_under_load_and_no_call_fails_twice() {
    let scratch = Scratch::new("joins");
    let world = PacedWorld::new(scratch.path(), 1.0, &[Group::new("load", DATASETS, 1, 0.05)]);
    let mut fleet = Fleet::start(scratch.path(), 1, Options::new(Program::PacedNode, 2, world.connections()));
    let load = Load::new(fleet.client());
    std::thread::scope(|scope| {
        let runs = scope.spawn(|| load.run());
        // A failed step must end the load as well.
        let steps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            load.goes_on(&fleet);
            for more in [2, 4] {
                fleet.grow(more);
                load.goes_on(&fleet);
            }
            // The first four leave, the founder and, most likely, the leader among them.
            for place in 0..4 {
                leave(&mut fleet, &load, place);
            }
            fleet.active(3);
            load.goes_on(&fleet);
        }));
        load.ends.store(true, Ordering::Relaxed);
        runs.join().expect("the load ended");
        if let Err(panic) = steps {
            std::panic::resume_unwind(panic);
        }
    });
    let (submitted, client) = (load.submitted.load(Ordering::Relaxed), fleet.client());
    assert!(submitted * EACH <= DATASETS, "{submitted} submits are more than there are datasets for");
    for number in 0..submitted {
        client.committed(&format!("load-{number:03}"), u64::from(EACH));
    }
    assert_eq!(*load.errors.lock().expect("nobody panicked"), []);
    fleet.assert_agreement();
    let view = until("the remaining three carry the ledger", || {
        let view = client.fleet();
        let voters: Vec<u64> = view["voters"].as_array()?.iter().filter_map(serde_json::Value::as_u64).collect();
        let present = |id: &u64| fleet.nodes.iter().any(|node| node.runs() && node.id == *id);
        (voters.len() == 3 && voters.iter().all(present)).then_some(view)
    });
    assert_eq!(view["nodes"].as_array().expect("a list").iter().filter(|row| row["standing"] == "active").count(), 3);
    let tables = (submitted * EACH) as usize;
    world.assert_all_once(tables, tables * ROWS);
    println!("{submitted} submits, of {EACH} datasets each, while the fleet went 1, 3, 7, 3");
}

/// SIGTERM: the node hands over and leaves by itself.
fn leave(fleet: &mut Fleet, load: &Load, place: usize) {
    // The client still knows the node: it is told so by failing once.
    fleet.nodes[place].terminate();
    let code = fleet.nodes[place].ended();
    assert_eq!(code, Some(0), "{}", fleet.nodes[place].log());
    let client = fleet.client();
    until("it left, and owns nothing", || {
        let row = fleet.row(&client, place)?;
        (row["standing"] == "left" && row["owned"] == 0).then_some(())
    });
    load.goes_on(fleet);
}
