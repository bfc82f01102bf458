use super::*;
#[test]
fn zz() {
    let mut scenario = Scenario::default();
    let tables: Vec<String> = (0..100_000).map(|n| format!("t{n}")).collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let t = std::time::Instant::now();
    scenario.policy("p", &tables, |_| ());
    println!("apply {:?}", t.elapsed());
    for p in 0..200 { let ids = scenario.policy(&format!("q{p}"), &["a","b","c"], |x| x.owner = format!("team{}", p % 7)); for id in ids { scenario.plan(id, 5, 50); } }
    let t = std::time::Instant::now();
    for _ in 0..100 { std::hint::black_box(decide_all(&scenario, &Running::default())); }
    println!("decide 201 policies {:?}", t.elapsed() / 100);
    let t = std::time::Instant::now();
    for _ in 0..100 { std::hint::black_box(crate::fleet::load::load(&scenario.state, NODE, 2, &Running::default(), false)); }
    println!("load {:?}", t.elapsed() / 100);
    let me = crate::fleet::load::load(&scenario.state, NODE, 2, &Running::default(), false);
    let thief = crate::fleet::load::PeerLoad { node: crate::ids::NodeId(99), slots: 2, free: 2, ..Default::default() };
    let t = std::time::Instant::now();
    for _ in 0..100 { std::hint::black_box(crate::fleet::stealing::consent(&scenario.state, &me, &Running::default(), &thief)); }
    println!("consent {:?}", t.elapsed() / 100);
    let seats: Vec<_> = (0..500).map(|n| crate::fleet::placement::SeatLoad { node: crate::ids::NodeId(n), slots: 1 + (n % 4) as u32, backlog_seconds: n }).collect();
    let items: Vec<_> = scenario.state.migrations().keys().map(|id| (*id, 10)).collect();
    let t = std::time::Instant::now();
    std::hint::black_box(crate::fleet::placement::place(&seats, &items));
    println!("place {:?}", t.elapsed());
}
