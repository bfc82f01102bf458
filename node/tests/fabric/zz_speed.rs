//! temporary
use crate::site::{DEADLINE, Site};
use skein_node::fabric::Fabric;
use skein_protocol::wire::{self, Kind};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed() {
    let site = Site::new(1);
    let (one, two) = (site.node(1).await, site.node(2).await);
    let t = tokio::time::Instant::now();
    one.ask(&two, 1).await.unwrap();
    println!("first call with handshake {:?}", t.elapsed());
    let t = tokio::time::Instant::now();
    for _ in 0..2000 {
        one.ask(&two, 1).await.unwrap();
    }
    println!("sequential call {:?}", t.elapsed() / 2000);
    let t = tokio::time::Instant::now();
    for _ in 0..20 {
        futures::future::join_all((0..256).map(|_| one.ask(&two, 1))).await;
    }
    println!("256 at once: each {:?}", t.elapsed() / (256 * 20));
    let mut x = 1_u64;
    let noise: Vec<u8> = (0..64 << 20)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
            (x >> 56) as u8
        })
        .collect();
    for (kind, size) in [
        (Kind::RaftAppend, 4 << 10),
        (Kind::RaftAppend, 64 << 10),
        (Kind::RaftAppend, 1 << 20),
        (Kind::RaftSnapshot, 7 << 20),
        (Kind::RaftAppend, 63 << 20),
    ] {
        let frame = wire::encode(kind, &noise[..size]).unwrap();
        let n = ((64 << 20) / size).clamp(1, 400);
        let t = tokio::time::Instant::now();
        for _ in 0..n {
            one.fabric.call(two.at(), None, frame.clone(), DEADLINE).await.unwrap();
        }
        let each = t.elapsed() / n as u32;
        println!("{size} bytes one way: {each:?}, {:.0} MB/s", size as f64 / each.as_secs_f64() / 1e6);
    }
}
