//! What the API says of the fleet, of a node that is alone; and how current its answers are.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;
use tower::ServiceExt;

use crate::site::{Site, policy, simulate};

#[test]
fn a_node_alone_is_a_fleet_of_one_that_leads_itself() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let view = site.get("/v1/fleet").await;
        let id = site.node.id().0;
        assert_eq!((&view["answeredBy"], &view["leader"], &view["quorum"]), (&json!(id), &json!(id), &json!(true)));
        assert_eq!((&view["voters"], view["nodes"].as_array().unwrap().len()), (&json!([id]), 1));
        let node = &view["nodes"][0];
        assert_eq!((&node["standing"], &node["role"], &node["slots"]), (&json!("active"), &json!("leader"), &json!(2)));
        assert_eq!(site.get(&format!("/v1/nodes/{id}")).await["row"], *node);
        let api = site.node.address();
        assert_eq!(site.get(&format!("/v1/nodes/{api}")).await["row"]["node"], id, "an address names it as well");
        for nobody in ["7", "nowhere"] {
            let (status, _) = site.call(Method::GET, &format!("/v1/nodes/{nobody}"), "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{nobody}");
        }
        let (status, text) = site.call(Method::POST, "/v1/fleet/tokens", "{}").await;
        assert!(status.is_client_error() || status.is_server_error(), "it has no authority: {text}");
        assert!(text.contains("AUTHORITY_UNAVAILABLE"), "{text}");
    });
}

#[test]
fn a_node_is_drained_and_takes_work_again() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let path = format!("/v1/nodes/{}/drain", site.node.id());
        let row = site.post(&path, json!({ "reason": "a new disk" }).to_string()).await;
        assert_eq!(row["draining"], true);
        let row = site.post(&path, json!({ "cancel": true }).to_string()).await;
        assert_eq!(row["draining"], false);
        site.apply(&policy("")).await;
        site.until_committed().await;
    });
}

#[test]
fn every_answer_says_which_entries_it_has_seen_and_how_old_it_is() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        for path in
            ["/v1/status", "/v1/migrations?limit=1", "/v1/migrations?limit=1&current=true", "/v1/fleet?current=true"]
        {
            let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", site.token));
            let response = site.node.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let header = |name: &str| response.headers()[name].to_str().unwrap().parse::<u64>().unwrap();
            let index = site.node.read(|state| state.migrations().len());
            assert!(header("skein-applied-index") > index as u64, "{path}");
            assert_eq!(header("skein-age-millis"), 0, "{path}: a leader is up to date");
        }
        let (status, text) = site.call(Method::GET, "/v1/status?current=maybe", "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    });
}

#[test]
fn two_looks_at_one_state_have_one_digest() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.until_at_rest().await;
        let (one, two) = (site.get("/v1/debug/digest").await, site.get("/v1/debug/digest").await);
        assert_eq!(one, two);
        site.act("rollback", "a").await;
        assert_ne!(site.get("/v1/debug/digest").await["digest"], one["digest"]);
    });
}

#[test]
fn the_migrations_of_a_node_can_be_listed() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 1).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let owner = site.node.id();
        assert_eq!(site.get(&format!("/v1/migrations?owner={owner}")).await["total"], 2);
        assert_eq!(site.get("/v1/migrations?owner=7").await["total"], 0);
    });
}
