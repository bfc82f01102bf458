//! Alerts of a whole node: told once, retried, resolved, remembered over restarts.

use std::time::Duration;

use serde_json::Value;
use skein_node::config::{AlertConfig, Secret};
use skein_node::env::memory::MemoryOutbound;
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ledger::Phase;
use skein_protocol::problem::Code;
use tokio::time::sleep;

use crate::failures::problem;
use crate::site::{DAWN, Ground, Site, add_tables, policy, simulate, table};

fn ground() -> Ground {
    let mut ground = Ground::new(5);
    ground.config.alerts = Some(AlertConfig {
        url: Secret::new("https://hooks.example/T0".to_owned()),
        host: "hooks.example".to_owned(),
        secret: Secret::new("a secret of a test".to_owned()),
    });
    add_tables(&ground.world, &["bad", "good"], 1, 3);
    let permanent = Failure::permanent(problem(Code::CastFailed));
    ground.world.fault(Fault::once(Call::RunBatch, Effect::Fail(permanent)).of(&table("bad")));
    ground
}

async fn quarantined(site: &Site) {
    site.apply(&policy("")).await;
    site.until_phase("bad", Phase::Quarantined).await;
    site.until_phase("good", Phase::Committed).await;
}

/// What was sent so far: event and datasets of each message.
fn told(outbound: &MemoryOutbound) -> Vec<(String, Vec<String>)> {
    let read = |body: &[u8]| {
        let message: Value = serde_json::from_slice(body).unwrap();
        let incidents = message["incidents"].as_array().unwrap();
        let dataset = |incident: &Value| incident["migration"]["dataset"].as_str().unwrap().to_owned();
        (message["event"].as_str().unwrap().to_owned(), incidents.iter().map(dataset).collect())
    };
    outbound.calls().iter().map(|call| read(&call.body)).collect()
}

/// Waits until the ledger has noted so many incidents as told, the ends of so many of them.
async fn noted(site: &Site, all: usize, over: usize) {
    site.until("the alerts are noted", |state| {
        state.alerts().len() == all && state.alerts().values().filter(|over| **over).count() == over
    })
    .await;
}

fn event(name: &str) -> (String, Vec<String>) {
    (name.to_owned(), vec!["db.bad".to_owned()])
}

#[test]
fn a_quarantined_migration_is_told_once_and_so_is_its_end() {
    simulate(async {
        let ground = ground();
        let site = ground.start(DAWN).await.unwrap();
        quarantined(&site).await;
        noted(&site, 1, 0).await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!(told(&ground.host.outbound), [event("opened")]);
        site.act("retry", "bad").await;
        site.until_committed().await;
        noted(&site, 1, 1).await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!(told(&ground.host.outbound), [event("opened"), event("resolved")]);
    });
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    simulate(async {
        let ground = ground();
        let site = ground.start(DAWN).await.unwrap();
        quarantined(&site).await;
        noted(&site, 1, 0).await;
        site.node.stop().await.unwrap();
        ground.host.storage.restart();
        let site = ground.start(DAWN + 60_000).await.unwrap();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(told(&ground.host.outbound).len(), 1);
        site.act("cancel", "bad").await;
        noted(&site, 1, 1).await;
        assert_eq!(told(&ground.host.outbound)[1], event("resolved"));
    });
}

#[test]
fn a_webhook_that_refuses_is_tried_again_until_it_takes_the_message() {
    simulate(async {
        let ground = ground();
        ground.host.outbound.answer_next(Err("nobody is there".to_owned()));
        ground.host.outbound.answer_next(Ok(500));
        ground.host.outbound.answer_next(Ok(302));
        let site = ground.start(DAWN).await.unwrap();
        quarantined(&site).await;
        noted(&site, 1, 0).await;
        let calls = ground.host.outbound.calls();
        assert_eq!(told(&ground.host.outbound), vec![event("opened"); 4]);
        let delivery = |call: &skein_node::env::OutboundCall| {
            let found = call.headers.iter().find(|(name, _)| name == skein_node::alert::DELIVERY_HEADER);
            found.map(|(_, id)| id.clone()).unwrap()
        };
        assert!(calls.iter().all(|call| delivery(call) == delivery(&calls[0])), "receivers can tell repetitions");
    });
}

#[test]
fn nobody_is_told_where_nobody_is_named() {
    simulate(async {
        let mut ground = ground();
        ground.config.alerts = None;
        let site = ground.start(DAWN).await.unwrap();
        quarantined(&site).await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!(ground.host.outbound.calls(), []);
        assert!(site.node.read(|state| state.alerts().is_empty()));
    });
}
