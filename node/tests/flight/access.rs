//! Access tokens: what each role and team may, over every route of the API's own document.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use skein_protocol::access::{Permission, Role};
use skein_protocol::ledger::Phase;

use crate::site::{Site, named_policy, policy, simulate};

impl Site {
    /// Makes a token; its text.
    async fn token(&self, name: &str, roles: &[&str], teams: &[&str]) -> String {
        let teams = if teams.is_empty() { Value::Null } else { json!(teams) };
        let request = json!({ "name": name, "roles": roles, "teams": teams });
        self.post("/v1/tokens", request.to_string()).await["token"].as_str().unwrap().to_owned()
    }

    /// Makes a call with a token.
    async fn call_as(&self, token: &str, method: Method, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let (status, text) = self.send(request.body(body.into()).unwrap()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get_as(&self, token: &str, path: &str) -> (StatusCode, Value) {
        self.call_as(token, Method::GET, path, "").await
    }
}

#[test]
fn over_every_route_each_role_may_what_the_document_says_and_nothing_else() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let mut tokens = BTreeMap::new();
        for role in Role::ALL {
            tokens.insert(role, site.token(&format!("a-{role}"), &[role.as_str()], &[]).await);
        }
        let document = site.get("/v1/openapi.json").await;
        let (mut cells, mut refused) = (0, 0);
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let Some(wanted) = operation["x-skein-permission"].as_str() else {
                    assert_eq!(operation["security"], json!([]), "{path} is open or says what it needs");
                    continue;
                };
                let permission = Permission::ALL.into_iter().find(|one| one.as_str() == wanted).unwrap();
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                // Nothing has this name, and the body is no request: whoever may call gets an error of another kind.
                let place = path.replace(['{', '}'], "");
                for (role, token) in &tokens {
                    let (status, answer) = site.call_as(token, method.clone(), &place, "{").await;
                    cells += 1;
                    refused += u32::from(status == StatusCode::FORBIDDEN);
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {method} {path}: {answer}");
                    let forbidden = status == StatusCode::FORBIDDEN;
                    assert_eq!(forbidden, !role.has(permission), "{role} {method} {path}: {status} {answer}");
                    if forbidden {
                        assert_eq!(answer["code"], "FORBIDDEN");
                    }
                }
            }
        }
        assert!(cells > 100 && refused > 20, "{cells} cells, {refused} refused");
    });
}

#[test]
fn a_teams_token_sees_and_changes_what_is_the_teams_and_nothing_else() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 1).await;
        let of = |team: &str, name: &str, table: &str| {
            named_policy(name, &format!("  source: {{ connection: legacy, include: [db.{table}] }}"))
                .replace("owner: team", &format!("owner: {team}"))
        };
        let token = site.token("ann", &["operator", "approver"], &["red"]).await;
        site.apply(&of("blue", "theirs", "b")).await;
        site.until_phase("b", Phase::Committed).await;
        let (status, answer) = site.call_as(&token, Method::POST, "/v1/policies", of("blue", "more", "a")).await;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("FORBIDDEN")), "{answer}");
        let (status, answer) = site.call_as(&token, Method::POST, "/v1/policies", of("red", "theirs", "a")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "a policy of another team is not taken over: {answer}");
        let (status, answer) = site.call_as(&token, Method::POST, "/v1/policies", of("red", "ours", "a")).await;
        assert_eq!((status, &answer["created"]), (StatusCode::OK, &json!(1)), "{answer}");
        site.until_phase("a", Phase::Committed).await;

        let names = |page: &Value, key: &str| -> Vec<String> {
            let items = page["items"].as_array().unwrap().iter();
            items.map(|item| item[key].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&site.get_as(&token, "/v1/policies").await.1, "name"), ["ours"]);
        for path in ["/v1/migrations", "/v1/migrations?phase=committed", "/v1/migrations?text=db"] {
            let (_, page) = site.get_as(&token, path).await;
            assert_eq!((names(&page, "dataset"), &page["total"]), (vec!["db.a".to_owned()], &json!(1)), "{path}");
        }
        let (_, status) = site.get_as(&token, "/v1/status").await;
        assert_eq!((&status["policies"], &status["phases"]["committed"]), (&json!(1), &json!(1)));
        let theirs = site.id("b");
        for path in [
            "/v1/policies/theirs".to_owned(),
            "/v1/status?policy=theirs".to_owned(),
            "/v1/migrations/db.b".to_owned(),
            format!("/v1/migrations/{theirs}"),
            format!("/v1/migrations/{theirs}/plan"),
            format!("/v1/migrations/{theirs}/script"),
            format!("/v1/migrations/{theirs}/report"),
        ] {
            assert_eq!(site.get_as(&token, &path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let rollback = json!({ "migrations": [theirs, site.id("a")], "action": "rollback", "reason": "" });
        let (_, answer) = site.call_as(&token, Method::POST, "/v1/actions", rollback.to_string()).await;
        assert_eq!((&answer["done"], &answer["refused"][0]["problem"]["code"]), (&json!(1), &json!("NOT_FOUND")));
        site.until_phase("a", Phase::RolledBack).await;
        assert_eq!(site.phase("b"), Phase::Committed);
    });
}

#[test]
fn plans_are_approved_by_whom_the_policy_wants() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("  approval: { required: true, by: owner, count: 2, notBySubmitter: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        let plan = site.look("a", |migration| migration.plan.as_ref().unwrap().hash);
        let items = json!([{ "migration": site.id("a"), "plan": plan }]);
        let decision = json!({ "items": items, "approve": true, "reason": "" }).to_string();
        let any = site.token("any", &["approver"], &[]).await;
        let (ann, bo) =
            (site.token("ann", &["approver"], &["team"]).await, site.token("bo", &["approver"], &["team"]).await);
        let decide = async |token: &str| {
            let (status, answer) = site.call_as(token, Method::POST, "/v1/decisions", decision.clone()).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            answer["refused"][0]["problem"]["why"].as_str().unwrap_or_default().to_owned()
        };
        assert!(decide(&site.token).await.contains("wants somebody else"));
        assert!(decide(&any).await.contains("wants its owner to decide"));
        assert_eq!(decide(&ann).await, "");
        assert!(decide(&ann).await.contains("approved it already"));
        assert_eq!(site.phase("a"), Phase::Approval);
        assert_eq!(decide(&bo).await, "");
        site.until_phase("a", Phase::Committed).await;
    });
}

#[test]
fn a_token_is_shown_once_tells_who_it_is_and_opens_nothing_when_it_is_taken_back() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let token = site.token("ann", &["viewer"], &["red", "blue"]).await;
        assert!(token.starts_with("skein_"), "{token}");
        let (_, who) = site.get_as(&token, "/v1/whoami").await;
        assert_eq!(who, json!({ "name": "ann", "roles": ["viewer"], "teams": ["blue", "red"], "expiresAt": null }));
        site.until("its use is recorded", |state| {
            state.access().tokens().values().any(|token| token.last_used.is_some())
        })
        .await;
        let list = site.get("/v1/tokens").await;
        assert!(!list.to_string().contains(&token), "{list}");
        assert_eq!((&list[0]["name"], &list[0]["state"]), (&json!("ann"), &json!("valid")));
        let (status, _) = site.call(Method::DELETE, "/v1/tokens/ann?reason=lost", "").await;
        assert_eq!(status, StatusCode::OK);
        let (status, answer) = site.get_as(&token, "/v1/whoami").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(answer["detail"].as_str().unwrap().contains("revoked by admin"), "{answer}");
        assert_eq!(site.get("/v1/tokens").await[0]["reason"], "lost");
    });
}

#[test]
fn a_token_ends_when_its_time_is_over() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let request = json!({ "name": "short", "roles": ["viewer"], "validSeconds": 60 });
        let token = site.post("/v1/tokens", request.to_string()).await["token"].as_str().unwrap().to_owned();
        assert_eq!(site.get_as(&token, "/v1/whoami").await.0, StatusCode::OK);
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        let (status, answer) = site.get_as(&token, "/v1/whoami").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(answer["detail"].as_str().unwrap().contains("expired"), "{answer}");
    });
}

#[test]
fn what_makes_no_token_is_refused_with_the_reason() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.token("ann", &["viewer"], &[]).await;
        for (request, why) in [
            (json!({ "name": "", "roles": ["viewer"] }), "a name has"),
            (json!({ "name": "a b", "roles": ["viewer"] }), "a name has"),
            (json!({ "name": "bo", "roles": [] }), "no role"),
            (json!({ "name": "bo", "roles": ["root"] }), "root"),
            (json!({ "name": "bo", "roles": ["viewer"], "teams": [] }), "0 teams"),
            (json!({ "name": "bo", "roles": ["viewer"], "teams": ["<b>"] }), "no owner"),
            (json!({ "name": "bo", "roles": ["viewer"], "validSeconds": 0 }), "seconds"),
            (json!({ "name": "ann", "roles": ["viewer"] }), "there is or was"),
            (json!({ "name": "admin", "roles": ["viewer"] }), "configuration"),
        ] {
            let (status, text) = site.call(Method::POST, "/v1/tokens", request.to_string()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{request}: {text}");
            assert!(text.contains(why), "{request}: {text}");
        }
    });
}
