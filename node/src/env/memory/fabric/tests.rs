//! Calls in memory: answers, refusals, cuts, crashes; and that a seed repeats it all.

use std::sync::Mutex;

use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};

use super::*;
use crate::env::memory::{MemoryHost, Weather};
use crate::fabric::{Answering, Fabric, FabricSetup};
use crate::pki::Identity;

const DEADLINE: Duration = Duration::from_secs(30);

/// Answers a number with the number after it, and refuses zero.
#[derive(Default)]
struct Successor {
    heard: Mutex<Vec<u64>>,
    removed: Mutex<BTreeSet<NodeId>>,
}

#[async_trait::async_trait]
impl Answering for Successor {
    async fn answer(&self, _from: Peer, frame: Vec<u8>) -> Result<Vec<u8>, Problem> {
        match wire::decode::<u64>(Kind::ReadIndex, &frame).unwrap_or(0) {
            0 => Err(Problem::new(Code::RequestInvalid, "zero", "it follows nothing", "ask for another")),
            u64::MAX => std::future::pending().await,
            number => Ok(wire::encode(Kind::Answer, &(number + 1)).unwrap()),
        }
    }

    fn heard(&self, _from: Peer, frame: Vec<u8>) {
        self.heard.lock().unwrap().push(wire::decode(Kind::Gossip, &frame).unwrap());
    }

    fn admits(&self, node: NodeId) -> bool {
        !self.removed.lock().unwrap().contains(&node)
    }
}

struct Site {
    fabric: MemoryFabric,
    hosts: Vec<MemoryHost>,
    ends: Vec<Arc<dyn Fabric>>,
    answering: Vec<Arc<Successor>>,
}

fn at(number: u64) -> SocketAddr {
    format!("10.0.0.{number}:7500").parse().unwrap()
}

async fn open(host: &MemoryHost, number: u64, answering: Arc<Successor>) -> Arc<dyn Fabric> {
    let env = host.env(Arc::new(crate::env::memory::NoDataPlane));
    let identity = Arc::new(Identity::absent());
    let setup = FabricSetup { node: NodeId(number), listen: at(number), identity };
    env.fabrics.open(setup, answering).await.unwrap()
}

async fn site(seed: u64) -> Site {
    let fabric = MemoryFabric::new(seed);
    let mut site = Site { fabric: fabric.clone(), hosts: vec![], ends: vec![], answering: vec![] };
    for number in 1..=3 {
        let host = MemoryHost { fabric: fabric.clone(), ..MemoryHost::new(number) };
        let answering = Arc::new(Successor::default());
        site.ends.push(open(&host, number, answering.clone()).await);
        site.answering.push(answering);
        site.hosts.push(host);
    }
    site
}

fn question(number: u64) -> Vec<u8> {
    wire::encode(Kind::ReadIndex, &number).unwrap()
}

impl Site {
    async fn ask(&self, from: usize, to: u64, number: u64) -> Result<u64, CallError> {
        let answer = self.ends[from - 1].call(at(to), Some(NodeId(to)), question(number), DEADLINE).await?;
        Ok(wire::decode(Kind::Answer, &answer).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_or_refused_by_its_peer() {
    let site = site(1).await;
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    assert!(matches!(site.ask(1, 2, 0).await, Err(CallError::Refused(problem)) if problem.what == "zero"));
    let misled = site.ends[0].call(at(2), Some(NodeId(3)), question(1), DEADLINE).await;
    assert!(matches!(misled, Err(CallError::Unreachable { why }) if why.contains("node 2 answers")));
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_connection_is_unreachable_and_one_after_it_unknown() {
    let site = site(2).await;
    site.fabric.links().cut(at(2), at(1));
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { .. })));
    site.fabric.links().heal_all();
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    site.fabric.links().cut(at(2), at(1));
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unknown { .. })), "the answer got lost");
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { .. })), "and with it the connection");
    assert_eq!(site.ask(3, 2, 1).await, Ok(2), "others are not concerned");
    site.fabric.links().heal(at(1), at(2));
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
}

#[tokio::test(start_paused = true)]
async fn a_crashed_host_neither_answers_nor_is_heard_until_it_is_started_again() {
    let mut site = site(3).await;
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    site.hosts[1].storage.crash();
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unknown { .. })));
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { .. })));
    assert!(matches!(site.ask(2, 1, 7).await, Err(CallError::Unreachable { .. })));
    site.hosts[1].storage.restart();
    let earlier = site.ends[1].clone();
    site.ends[1] = open(&site.hosts[1], 2, site.answering[1].clone()).await;
    drop(earlier);
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    assert_eq!(site.ask(2, 1, 7).await, Ok(8));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_in_time_may_have_happened() {
    let site = site(4).await;
    assert!(matches!(site.ask(1, 2, u64::MAX).await, Err(CallError::Unknown { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_removed_node_and_a_stranger_are_refused() {
    let site = site(5).await;
    site.answering[1].removed.lock().unwrap().insert(NodeId(1));
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { why }) if why.contains("does not admit")));
    assert_eq!(site.ask(3, 2, 7).await, Ok(8));
    let stranger = site.fabric.call_as_stranger(at(9), at(2), question(7), DEADLINE).await;
    assert!(matches!(stranger, Err(CallError::Unreachable { why }) if why.contains("join")));
}

#[tokio::test(start_paused = true)]
async fn casts_arrive_and_never_pile_up() {
    let site = site(6).await;
    for number in 0..10_000_u64 {
        site.ends[0].cast(at(2), wire::encode(Kind::Gossip, &number).unwrap());
    }
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let heard = site.answering[1].heard.lock().unwrap().len();
    assert!((1..=1024).contains(&heard), "{heard} were heard");
}

#[tokio::test(start_paused = true)]
async fn a_closed_end_frees_its_address() {
    let site = site(7).await;
    site.ends[1].close().await;
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { .. })));
    assert!(matches!(site.ask(2, 1, 7).await, Err(CallError::Unreachable { .. })));
    let _again = open(&site.hosts[1], 2, site.answering[1].clone()).await;
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
}

#[test]
fn the_same_seed_takes_the_same_time() {
    let run = |seed: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let begun = tokio::time::Instant::now();
            let site = site(seed).await;
            let mut times = Vec::new();
            for number in 1..20 {
                site.ask(1, 2 + number % 2, number).await.unwrap();
                times.push(begun.elapsed());
            }
            times
        })
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8), run(9));
}

/// What was inflicted under a name.
fn inflicted(fabric: &MemoryFabric, name: &str) -> u64 {
    fabric.links().inflicted().get(name).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn lost_frames_of_calls_are_sent_again_and_lost_one_way_frames_are_gone() {
    let site = site(10).await;
    site.fabric.links().set_weather(Weather { lost: 300, ..Weather::FAIR });
    for number in 1..100 {
        assert_eq!(site.ask(1, 2, number).await, Ok(number + 1), "a call survives a loss here and there");
        site.ends[0].cast(at(2), wire::encode(Kind::Gossip, &number).unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heard = site.answering[1].heard.lock().unwrap().len();
    assert!((40..95).contains(&heard), "{heard} of 99 were heard");
    assert!(inflicted(&site.fabric, "frame lost") > 50);
    site.fabric.links().set_weather(Weather { lost: 1_000, ..Weather::FAIR });
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unknown { .. })), "the connection is given up");
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_way_frames_arrive_twice_and_are_overtaken_and_are_counted_when_they_are() {
    let site = site(11).await;
    site.fabric.links().set_weather(Weather { doubled: 500, held_back: 300, ..Weather::FAIR });
    for number in 1..=200_u64 {
        site.ends[0].cast(at(2), wire::encode(Kind::Gossip, &number).unwrap());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heard = site.answering[1].heard.lock().unwrap().clone();
    let doubled = inflicted(&site.fabric, "frame doubled");
    assert_eq!(heard.len() as u64, 200 + doubled);
    assert!(doubled > 50, "{doubled}");
    let mut seen = BTreeSet::new();
    let late =
        |number: &&u64| seen.iter().next_back().is_some_and(|newest| *newest > **number) | !seen.insert(**number);
    assert!(heard.iter().filter(late).count() > 30);
    assert!(inflicted(&site.fabric, "frame overtaken") > 20);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_gets_lost_leaves_the_outcome_unknown_and_the_call_is_done() {
    let site = site(12).await;
    site.fabric.links().set_weather_between(at(2), at(1), Some(Weather { answers_lost: 1_000, ..Weather::FAIR }));
    assert!(matches!(site.ask(1, 2, 7).await, Err(CallError::Unknown { .. })));
    assert_eq!(inflicted(&site.fabric, "answer lost"), 1);
    assert!(matches!(site.ask(1, 2, 0).await, Err(CallError::Refused(_))), "a refusal is no call that was carried out");
    site.fabric.links().set_weather_between(at(2), at(1), None);
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
}

#[tokio::test(start_paused = true)]
async fn a_silenced_host_still_calls_and_is_called() {
    let site = site(13).await;
    site.fabric.links().mute(at(1));
    assert!(site.fabric.links().swallows(at(1), at(2)) && !site.fabric.links().swallows(at(2), at(1)));
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
    site.fabric.links().unsilence(at(1));
    site.fabric.links().deafen(at(1));
    assert!(!site.fabric.links().swallows(at(1), at(2)) && site.fabric.links().swallows(at(2), at(1)));
    site.fabric.links().heal_all();
    assert!(!site.fabric.links().swallows(at(2), at(1)));
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_a_newer_program_is_refused_by_name_and_the_next_one_is_answered() {
    let site = site(14).await;
    site.fabric.links().set_weather(Weather { foreign: 1_000, ..Weather::FAIR });
    let refused = site.ask(1, 2, 7).await;
    let named = format!("frame version {}; this build reads version {}", wire::VERSION + 1, wire::VERSION);
    assert!(matches!(&refused, Err(CallError::Unreachable { why }) if why.contains(&named)), "{refused:?}");
    site.ends[0].cast(at(2), wire::encode(Kind::Gossip, &1_u64).unwrap());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(site.answering[1].heard.lock().unwrap().is_empty());
    assert_eq!(inflicted(&site.fabric, "frame of another version refused"), 2);
    site.fabric.links().heal_all();
    assert_eq!(site.ask(1, 2, 7).await, Ok(8));
}
