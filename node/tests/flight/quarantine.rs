//! The quarantine through the API: its whole context, replay and discard, one by one and by filter.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ledger::Phase;
use skein_protocol::problem::Code;

use crate::failures::problem;
use crate::site::{Site, named_policy, policy, simulate, table};

/// A site where `bad` failed three times, `worse` once for good, and the others are committed.
async fn quarantined() -> Site {
    let site = Site::with_tables(&["bad", "good", "worse"], 2, 3).await;
    let (transient, permanent) = (Failure::transient(problem(Code::Io)), Failure::permanent(problem(Code::CastFailed)));
    site.world.fault(Fault::always(Call::RunBatch, Effect::Fail(transient)).of(&table("bad")));
    site.world.fault(Fault::always(Call::RunBatch, Effect::Fail(permanent)).of(&table("worse")));
    site.apply(&policy("  run: { attempts: 3 }")).await;
    for name in ["bad", "worse"] {
        site.until_phase(name, Phase::Quarantined).await;
    }
    site.until_phase("good", Phase::Committed).await;
    site
}

fn datasets(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["row"]["dataset"].as_str().unwrap()).collect()
}

#[test]
fn a_quarantined_migration_is_listed_with_its_whole_context() {
    simulate(async {
        let site = quarantined().await;
        let page = site.get("/v1/quarantine").await;
        assert_eq!((&page["total"], datasets(&page)), (&json!(2), vec!["db.bad", "db.worse"]));
        let bad = &page["items"][0];
        assert_eq!((&bad["problem"]["code"], &bad["row"]["from"]), (&json!("ATTEMPTS_EXHAUSTED"), &json!("execution")));
        assert_eq!((&bad["attempts"], &bad["row"]["run"]), (&json!(3), &json!(1)));
        let failed = bad["batches"].as_array().unwrap();
        assert!(failed.iter().any(|batch| batch["failures"] == 3 && batch["problem"]["code"] == "IO"), "{bad:#}");
        assert_eq!(bad["evidence"][0]["what"], "plan");
        site.get(&format!("/v1/blobs/{}", bad["evidence"][0]["hash"].as_str().unwrap())).await;
        let last = bad["history"].as_array().unwrap().last().unwrap();
        assert_eq!(last["phase"], "quarantined");
        assert_eq!(site.get("/v1/quarantine/db.bad").await, *bad);
        let (status, _) = site.call(Method::GET, "/v1/quarantine/db.good", "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "it is committed");
        let other = named_policy("q", "").replace("connection: lake", "connection: lake, name: \"q.{table}\"");
        site.world.heal();
        site.apply(&other).await;
        site.until("the others are committed", |state| state.count(Phase::Committed) == 4).await;
        assert_eq!(site.get("/v1/quarantine/db.bad").await["row"]["policy"], "p", "the other one is not in quarantine");
    });
}

#[test]
fn the_quarantine_is_filtered_and_paged() {
    simulate(async {
        let site = quarantined().await;
        for (query, wanted) in [
            ("code=CAST_FAILED", vec!["db.worse"]),
            ("code=cast_failed,attempts_exhausted", vec!["db.bad", "db.worse"]),
            ("text=BAD", vec!["db.bad"]),
            ("label=wave=3", vec!["db.bad", "db.worse"]),
            ("label=wave=4", vec![]),
            ("policy=p", vec!["db.bad", "db.worse"]),
            ("policy=other", vec![]),
        ] {
            assert_eq!(datasets(&site.get(&format!("/v1/quarantine?{query}")).await), wanted, "{query}");
        }
        let first = site.get("/v1/quarantine?limit=1").await;
        assert_eq!((&first["total"], datasets(&first)), (&json!(2), vec!["db.bad"]));
        let second = site.get(&format!("/v1/quarantine?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
        assert_eq!((datasets(&second), &second["next"]), (vec!["db.worse"], &Value::Null));
        for wrong in ["code=NO_SUCH_CODE", "limit=0", "colour=red", "cursor=xyz"] {
            let (status, _) = site.call(Method::GET, &format!("/v1/quarantine?{wrong}"), "").await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    });
}

#[test]
fn a_replay_opens_the_next_run_and_refuses_what_is_not_in_quarantine() {
    simulate(async {
        let site = quarantined().await;
        site.world.heal();
        let ids = json!([site.id("bad"), site.id("good"), "00000000-0000-0000-0000-000000000000"]);
        let request = json!({ "migrations": ids, "reason": "the disk was replaced" });
        let answer = site.post("/v1/quarantine/replay", request.to_string()).await;
        assert_eq!(answer["done"], 1, "{answer}");
        let codes: Vec<&Value> =
            answer["refused"].as_array().unwrap().iter().map(|one| &one["problem"]["code"]).collect();
        assert_eq!(codes, ["WRONG_PHASE", "NOT_FOUND"]);
        site.until_phase("bad", Phase::Committed).await;
        site.assert_whole("bad");
        assert_eq!(site.look("bad", |migration| migration.run.0), 2);
        assert!(
            site.history("bad").iter().any(|line| line.contains("the disk was replaced")),
            "{:?}",
            site.history("bad")
        );
        assert_eq!(site.phase("good"), Phase::Committed, "it was left alone");
    });
}

#[test]
fn all_that_a_filter_selects_is_discarded() {
    simulate(async {
        let site = quarantined().await;
        let request = json!({ "filter": { "code": "CAST_FAILED" }, "reason": "not wanted any more" });
        let answer = site.post("/v1/quarantine/discard", request.to_string()).await;
        assert_eq!((&answer["done"], &answer["refused"]), (&json!(1), &json!([])));
        assert_eq!((site.phase("worse"), site.phase("bad")), (Phase::Cancelled, Phase::Quarantined));
        assert!(site.history("worse").iter().any(|line| line.contains("not wanted any more")));
        let answer = site.post("/v1/quarantine/discard", json!({ "filter": {} }).to_string()).await;
        assert_eq!(answer["done"], 1);
        assert_eq!(site.get("/v1/quarantine").await["total"], 0);
        for wrong in [json!({}), json!({ "filter": {}, "migrations": [site.id("bad")] })] {
            let (status, _) = site.call(Method::POST, "/v1/quarantine/discard", wrong.to_string()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    });
}

#[test]
fn policies_are_paged_and_filtered_like_migrations() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        for name in ["one", "three", "two"] {
            let target = format!("connection: lake, name: \"{name}.{{table}}\"");
            site.apply(&named_policy(name, "").replace("connection: lake", &target)).await;
        }
        let names = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
        };
        let first = site.get("/v1/policies?limit=2").await;
        assert_eq!((&first["total"], names(&first)), (&json!(3), vec!["one".to_owned(), "three".to_owned()]));
        let second = site.get(&format!("/v1/policies?limit=2&cursor={}", first["next"].as_str().unwrap())).await;
        assert_eq!((names(&second), &second["next"]), (vec!["two".to_owned()], &Value::Null));
        assert_eq!(names(&site.get("/v1/policies?text=TW").await), ["two"]);
        assert_eq!(names(&site.get("/v1/policies?text=team").await).len(), 3, "the owner's name is looked at too");
        assert_eq!(names(&site.get("/v1/policies?label=wave=4").await).len(), 0);
    });
}

#[test]
fn a_plain_list_shows_the_same_as_one_that_looks_at_everything() {
    simulate(async {
        let site = Site::with_tables(&["a", "b", "c", "d", "e"], 1, 1).await;
        let named = |name: &str, spec: &str| {
            let target = format!("connection: lake, name: \"{name}.{{table}}\"");
            named_policy(name, spec).replace("connection: lake", &target)
        };
        site.apply(&named("one", "  approval: { required: true }")).await;
        site.apply(&named("two", "  approval: { required: true }")).await;
        // The next generation supersedes all five.
        site.apply(&named("one", "  approval: { required: true }\n  run: { priority: 7 }")).await;
        for policy in ["", "&policy=one", "&policy=two", "&policy=three"] {
            let (mut cursor, mut plain) = (String::new(), Vec::new());
            loop {
                let page = site.get(&format!("/v1/migrations?limit=3{policy}{cursor}")).await;
                let whole = site.get(&format!("/v1/migrations?text=db{policy}")).await;
                assert_eq!(page["total"], whole["total"], "{policy}");
                plain.extend(page["items"].as_array().unwrap().clone());
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => {
                        assert_eq!(Value::Array(plain), whole["items"], "{policy}");
                        break;
                    }
                }
            }
        }
        assert_eq!(site.get("/v1/migrations").await["total"], 10);
        assert_eq!(site.get("/v1/migrations?superseded=true").await["total"], 15);
    });
}
