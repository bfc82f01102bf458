//! Whole migrations, from a policy to published tables.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use skein_node::Node;
use skein_node::scripted::Call;
use skein_protocol::ledger::Phase;

use crate::site::{DAWN, Ground, Site, add_tables, named_policy, policy, simulate, table};

#[test]
fn a_policy_becomes_published_tables_with_every_row_once() {
    simulate(async {
        let site = Site::with_tables(&["a", "b", "c"], 3, 5).await;
        let answer = site.apply(&policy("")).await;
        assert_eq!((&answer["created"], &answer["changed"]), (&json!(3), &json!(true)));
        site.until_committed().await;
        for name in ["a", "b", "c"] {
            site.assert_whole(name);
            assert_eq!(site.look(name, |migration| migration.batch_counts()), (3, 3));
        }
        let status = site.get("/v1/status").await;
        assert_eq!((&status["phases"]["committed"], &status["rowsOut"]), (&json!(3), &json!(45)));
        assert_eq!(site.world.calls(Call::Register), 3);
        site.until_at_rest().await;
        assert_eq!(site.node.stats().slots_busy, 0);
        site.node.stop().await.unwrap();
    });
}

#[test]
fn nothing_moves_before_an_approval_and_a_rejection_ends_it() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 2).await;
        site.apply(&policy("  approval: { required: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        site.until_phase("b", Phase::Approval).await;
        assert_eq!(site.world.calls(Call::RunBatch), 0);
        let answer = site.approve("a").await;
        assert_eq!(answer["done"], json!(1), "{answer}");
        site.until_phase("a", Phase::Committed).await;
        site.assert_whole("a");
        assert_eq!(site.phase("b"), Phase::Approval);
        let plan = site.look("b", |migration| migration.plan.as_ref().unwrap().hash);
        let items = json!([{ "migration": site.id("b"), "plan": plan }]);
        site.post("/v1/decisions", json!({ "approve": false, "items": items, "reason": "not yet" }).to_string()).await;
        assert_eq!(site.phase("b"), Phase::Cancelled);
        assert_eq!(site.world.visible(&table("b")), None);
    });
}

#[test]
fn rules_with_several_stages_keep_one_row_of_each_key() {
    simulate(async {
        let ground = Ground::new(3);
        let name = table("a");
        ground.world.add_table(&name, &[vec![1, 2, 2, 3], vec![3, 4, 5], vec![5, 5, 6, 1]]);
        let site = ground.start(DAWN).await.unwrap();
        site.apply(&policy("  clean: [{ keepOne: { key: [id], orderBy: [] } }]")).await;
        site.until_committed().await;
        assert_eq!(site.world.visible(&name), Some(vec![1, 2, 3, 4, 5, 6]));
        let stages = site.look("a", |migration| migration.stages.iter().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(stages.len(), 3);
        let report = site.get(&format!("/v1/migrations/{}/report", site.id("a"))).await;
        assert_eq!(report["table"]["removed"][0]["rows"]["rows"], json!(5));
    });
}

#[test]
fn exact_duplicates_are_dropped_and_counted() {
    simulate(async {
        let ground = Ground::new(4);
        let name = table("a");
        ground.world.add_table(&name, &[vec![1, 2, 2], vec![2, 3]]);
        let site = ground.start(DAWN).await.unwrap();
        site.apply(&policy("  clean: [{ dropDuplicates: exact }]")).await;
        site.until_committed().await;
        assert_eq!(site.world.visible(&name), Some(vec![1, 2, 3]));
        assert_eq!(site.look("a", |migration| migration.totals().rows_removed), 2);
    });
}

#[test]
fn an_empty_table_is_published_without_a_batch() {
    simulate(async {
        let ground = Ground::new(5);
        ground.world.add_table(&table("a"), &[]);
        let site = ground.start(DAWN).await.unwrap();
        site.apply(&policy("")).await;
        site.until_committed().await;
        assert_eq!(site.world.visible(&table("a")), Some(Vec::new()));
        assert!(site.look("a", |migration| migration.staged_at()) >= DAWN);
    });
}

#[test]
fn applying_again_changes_nothing_and_a_new_generation_leaves_published_tables_alone() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 2).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let again = site.apply(&policy("")).await;
        assert_eq!((&again["changed"], &again["generation"]), (&json!(false), &json!(1)));
        let changed = site.apply(&policy("  run: { priority: 70 }")).await;
        assert_eq!((&changed["generation"], &changed["created"], &changed["kept"]), (&json!(2), &json!(0), &json!(2)));
        assert_eq!(site.world.calls(Call::Register), 2);
    });
}

#[test]
fn two_nodes_start_beside_each_other_in_one_process() {
    simulate(async {
        let (one, mut other) = (Ground::new(1), Ground::new(2));
        other.host.network = one.host.network.clone();
        add_tables(&one.world, &["a"], 2, 3);
        add_tables(&other.world, &["a", "b"], 2, 3);
        let (one, other) = (one.start(DAWN).await.unwrap(), other.start(DAWN).await.unwrap());
        assert_ne!(one.node.id(), other.node.id());
        assert_ne!(one.node.address(), other.node.address());
        assert_ne!(one.token, other.token);
        one.apply(&named_policy("one", "")).await;
        other.apply(&named_policy("other", "")).await;
        tokio::join!(one.until_committed(), other.until_committed());
        one.assert_whole("a");
        other.assert_whole("a");
        other.assert_whole("b");
        one.node.stop().await.unwrap();
        let (status, _) = other.call(Method::GET, "/readyz", Body::empty()).await;
        assert!(status.is_success());
        other.node.stop().await.unwrap();
    });
}

#[test]
fn a_stopped_node_goes_on_where_it_was() {
    simulate(async {
        let ground = Ground::new(9);
        add_tables(&ground.world, &["a", "b"], 4, 3);
        let site = ground.start(DAWN).await.unwrap();
        let mut hold = ground.world.hold(Call::Stage, None);
        site.apply(&policy("")).await;
        hold.entered(1).await;
        let wall = site.clock.wall_millis();
        let stopped = site.node.stop();
        stopped.await.unwrap();
        ground.world.heal();
        hold.release();
        ground.host.storage.restart();
        let batches = ground.world.calls(Call::RunBatch);
        let site = ground.start(wall + 40_000).await.unwrap();
        site.until_committed().await;
        site.assert_whole("a");
        site.assert_whole("b");
        assert!(ground.world.calls(Call::RunBatch) <= 8 + 2, "{batches} before: what was recorded is not done again");
        assert!(site.look("a", |migration| migration.epoch.0) > 1);
    });
}

#[test]
fn an_address_that_is_taken_is_refused_and_everything_is_closed_again() {
    simulate(async {
        let mut ground = Ground::new(11);
        let first = Ground::new(12).start(DAWN).await.unwrap();
        let taken = Ground::new(13);
        let held = taken.start(DAWN).await.unwrap();
        ground.host.network = taken.host.network.clone();
        ground.config.listen = held.node.address();
        let error = Node::start(ground.config.clone(), ground.env(DAWN)).await.err().unwrap();
        assert!(error.to_string().contains("cannot listen"), "{error}");
        ground.config.listen.set_port(0);
        ground.host.storage.restart();
        ground.start(DAWN).await.unwrap();
        drop(first);
    });
}
