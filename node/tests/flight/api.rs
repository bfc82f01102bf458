//! The API, below any socket and once over one.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use skein_node::config::NamedToken;
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::access::{Rights, Role};
use skein_protocol::api::ProblemDocument;
use skein_protocol::data_plane::Failure;
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::Phase;
use skein_protocol::plan::Planned;
use skein_protocol::problem::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::failures::problem;
use crate::site::{DAWN, Ground, Site, add_tables, hash_of, named_policy, policy, simulate};

/// Makes a call that must be refused with this status and code.
async fn refused(
    site: &Site,
    method: Method,
    path: &str,
    body: impl Into<Body>,
    status: StatusCode,
    code: Code,
) -> ProblemDocument {
    let (found, text) = site.call(method, path, body).await;
    let document: ProblemDocument =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    assert_eq!((found, document.code), (status, code), "{path}: {text}");
    assert_eq!(document.kind, format!("docs/errors/{code}.md"));
    assert_eq!(document.status, status.as_u16());
    assert!(!document.title.is_empty() && !document.detail.is_empty() && !document.next.is_empty());
    document
}

#[test]
fn every_call_but_health_wants_a_token() {
    simulate(async {
        let mut ground = Ground::new(1);
        ground.config.tokens.push(NamedToken {
            name: "ci".to_owned(),
            sha256: Hash256::of(b"let-me-in"),
            rights: Rights::of(Role::Operator),
        });
        add_tables(&ground.world, &["a"], 1, 1);
        let site = ground.start(DAWN).await.unwrap();
        let send = async |path: &str, authorization: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(text) = authorization {
                request = request.header("authorization", text);
            }
            site.send(request.body(Body::empty()).unwrap()).await.0
        };
        for path in ["/healthz", "/readyz"] {
            assert_eq!(send(path, None).await, StatusCode::OK);
        }
        let document = site.get("/v1/openapi.json").await;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let open = path == "/healthz" || path == "/readyz";
            let wanted = |status: StatusCode| (status == StatusCode::UNAUTHORIZED) != open;
            for method in operations.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let request = Request::builder().method(method).uri(path.replace(['{', '}'], ""));
                let (status, text) = site.send(request.body(Body::empty()).unwrap()).await;
                assert!(wanted(status), "{path}: {status} {text}");
            }
        }
        for wrong in ["", "Bearer", "Bearer ", "Basic let-me-in", "Bearer let-me-out", "let-me-in"] {
            assert_eq!(send("/v1/status", Some(wrong)).await, StatusCode::UNAUTHORIZED, "{wrong:?}");
        }
        assert_eq!(send("/v1/status", Some("bearer let-me-in")).await, StatusCode::OK);
        let request =
            Request::builder().method(Method::POST).uri("/v1/policies").header("authorization", "Bearer let-me-in");
        let (status, text) = site.send(request.body(policy("").into()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let policies = site.get("/v1/policies").await;
        assert_eq!(policies["items"][0]["appliedBy"], "ci", "the history says whose token it was");
    });
}

#[test]
fn the_token_stays_over_restarts() {
    simulate(async {
        let ground = Ground::new(2);
        let site = ground.start(DAWN).await.unwrap();
        let token = site.token.clone();
        assert_eq!(token.len(), 64);
        site.node.stop().await.unwrap();
        ground.host.storage.restart();
        assert_eq!(ground.start(DAWN + 1000).await.unwrap().token, token);
    });
}

#[test]
fn lint_tells_every_error_and_apply_refuses_with_the_same() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let good = site.post("/v1/lint", policy("")).await;
        assert_eq!((&good["policy"], good["errors"].as_array().unwrap().len()), (&json!("p"), 0));
        let bad = policy("  colour: red\n  run: { priority: 500 }");
        let lint = site.post("/v1/lint", bad.clone()).await;
        assert_eq!(lint["errors"].as_array().unwrap().len(), 2, "{lint}");
        for path in ["/v1/policies", "/v1/plan"] {
            let document =
                refused(&site, Method::POST, path, bad.clone(), StatusCode::UNPROCESSABLE_ENTITY, Code::PolicyInvalid)
                    .await;
            assert_eq!(document.errors.len(), 2);
            assert!(document.errors[0].line > 0);
        }
        let json = serde_json::to_string(&skein_protocol::policy::parse(&policy("")).unwrap()).unwrap();
        assert_eq!(site.post("/v1/lint", json).await["policy"], "p", "JSON is YAML");
    });
}

#[test]
fn a_policy_that_cannot_be_applied_here_is_refused_by_name() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 1).await;
        site.world.add_table(&skein_protocol::ids::TableName::new("db2", "a"), &[vec![1]]);
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        let with = |from: &str, to: &str| policy("").replace(from, to);
        let collision = with("db.*", "*.a").replace("connection: lake", "connection: lake, name: \"x.{table}\"");
        for path in ["/v1/policies", "/v1/plan"] {
            for (text, status, code) in [
                (with("legacy", "elsewhere"), unprocessable, Code::ConnectionUnknown),
                (with("connection: lake", "connection: legacy"), unprocessable, Code::ConnectionKind),
                (with("db.*", "other.*"), unprocessable, Code::NothingSelected),
                (collision.clone(), StatusCode::CONFLICT, Code::TargetCollision),
            ] {
                refused(&site, Method::POST, path, text, status, code).await;
            }
        }
        assert_eq!(site.get("/v1/policies").await["total"], 0, "nothing was recorded");
    });
}

#[test]
fn a_repeated_apply_with_the_same_key_gets_its_first_answer() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let apply = async |key: &str, text: String| {
            let request = Request::builder().method(Method::POST).uri("/v1/policies").header("idempotency-key", key);
            let request = request.header("authorization", format!("Bearer {}", site.token));
            site.send(request.body(text.into()).unwrap()).await
        };
        let first = apply("one", policy("")).await;
        assert_eq!(apply("one", policy("")).await, first);
        assert!(first.1.contains("\"changed\":true"), "{}", first.1);
        assert!(apply("two", policy("")).await.1.contains("\"changed\":false"));
        assert_eq!(apply("one", policy("  run: { priority: 9 }")).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(apply("", policy("")).await.0, StatusCode::BAD_REQUEST);
    });
}

#[test]
fn plan_shows_what_apply_will_do_and_records_nothing() {
    simulate(async {
        let site = Site::with_tables(&["a", "b", "c"], 2, 4).await;
        site.world.fault(
            Fault::once(Call::Inspect, Effect::Fail(Failure::transient(problem(Code::SourceUnreadable))))
                .of(&crate::site::table("b")),
        );
        let before = site.node.status().applied_index;
        let (status, text) = site.call(Method::POST, "/v1/plan", policy("")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["selected"], json!({ "datasets": 3, "settled": 0 }));
        assert_eq!(lines.len(), 5);
        let planned: Planned = serde_json::from_value(lines[1]["dataset"]["planned"].clone()).unwrap();
        let Planned::Ready(plan) = planned else { panic!("{:?}", lines[1]) };
        assert_eq!((plan.source.dataset.table.as_str(), plan.hash()), ("a", hash_of(&lines[1]["dataset"]["hash"])));
        assert_eq!(lines[2]["dataset"]["planned"]["refused"]["problems"][0]["code"], "SOURCE_UNREADABLE");
        assert_eq!(
            (&lines[4]["end"]["ready"], &lines[4]["end"]["refused"], &lines[4]["end"]["rows"]),
            (&json!(2), &json!(1), &json!(16))
        );
        assert_eq!(site.node.status().applied_index, before);
        site.apply(&policy("  approval: { required: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        site.apply(&policy("")).await;
        site.until_committed_now(&["a", "b", "c"]).await;
        let (_, text) = site.call(Method::POST, "/v1/plan", policy("")).await;
        assert!(text.starts_with("{\"selected\":{\"datasets\":3,\"settled\":3}}\n"), "{text}");
    });
}

#[test]
fn the_plan_that_was_shown_is_the_plan_that_waits_for_approval() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 4).await;
        let text = policy("  approval: { required: true }");
        let (_, lines) = site.call(Method::POST, "/v1/plan", text.clone()).await;
        let line: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        site.apply(&text).await;
        site.until_phase("a", Phase::Approval).await;
        let detail = site.get("/v1/migrations/db.a").await;
        assert_eq!(detail["row"]["plan"], line["dataset"]["hash"]);
        let wrong = json!([{ "migration": site.id("a"), "plan": Hash256::of(b"another") }]);
        let answer = site.post("/v1/decisions", json!({ "approve": true, "items": wrong }).to_string()).await;
        assert_eq!(answer["refused"][0]["problem"]["code"], "PLAN_CHANGED");
        assert_eq!(site.approve("a").await["done"], 1);
        site.until_committed().await;
    });
}

#[test]
fn lists_are_paged_filtered_and_searched() {
    simulate(async {
        let ground = Ground::new(41);
        let names: Vec<String> = (0..7).map(|number| format!("t{number}")).collect();
        add_tables(&ground.world, &names.iter().map(String::as_str).collect::<Vec<_>>(), 1, 1);
        ground.world.fault(
            Fault::always(Call::RunBatch, Effect::Fail(Failure::permanent(problem(Code::CastFailed))))
                .of(&crate::site::table("t3")),
        );
        let site = ground.start(DAWN).await.unwrap();
        site.apply(&named_policy("first", "").replace("\"db.*\"", "db.t0, db.t1, db.t2, db.t3, db.t4")).await;
        site.apply(
            &named_policy("second", "").replace("\"db.*\"", "db.t5, db.t6").replace("wave: \"3\"", "wave: \"4\""),
        )
        .await;
        site.until_phase("t3", Phase::Quarantined).await;
        site.until("six", |state| state.count(Phase::Committed) == 6).await;
        let datasets = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|row| row["dataset"].as_str().unwrap().to_owned()).collect()
        };
        let mut all = Vec::new();
        let mut path = "/v1/migrations?limit=3".to_owned();
        loop {
            let page = site.get(&path).await;
            assert_eq!(page["total"], 7);
            all.extend(datasets(&page));
            match page["next"].as_str() {
                Some(next) => path = format!("/v1/migrations?limit=3&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(all, ["db.t0", "db.t1", "db.t2", "db.t3", "db.t4", "db.t5", "db.t6"]);
        for (query, expected) in [
            ("phase=quarantined", vec!["db.t3"]),
            ("phase=quarantined,paused&policy=second", vec![]),
            ("policy=second", vec!["db.t5", "db.t6"]),
            ("label=wave%3D4", vec!["db.t5", "db.t6"]),
            ("label=wave%3D4,wave%3D3", vec![]),
            ("text=T3", vec!["db.t3"]),
            ("text=cast_failed", vec!["db.t3"]),
            ("text=second&limit=1", vec!["db.t5"]),
        ] {
            assert_eq!(datasets(&site.get(&format!("/v1/migrations?{query}")).await), expected, "{query}");
        }
        for wrong in ["phase=flying", "limit=0", "limit=1001", "cursor=zz", "label=x", "colour=red"] {
            let path = format!("/v1/migrations?{wrong}");
            refused(&site, Method::GET, &path, "", StatusCode::BAD_REQUEST, Code::RequestInvalid).await;
        }
    });
}

#[test]
fn a_migration_is_shown_with_its_plan_script_evidence_and_report() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 4).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let id = site.id("a").to_string();
        let detail = site.get(&format!("/v1/migrations/{id}")).await;
        assert_eq!(detail, site.get("/v1/migrations/db.a").await);
        assert_eq!((&detail["row"]["phase"], &detail["row"]["rowsOut"]), (&json!("committed"), &json!(8)));
        assert_eq!(detail["batches"].as_array().unwrap().len(), 2);
        assert!(detail["metadataLocation"].as_str().unwrap().starts_with("/lake/db/a/metadata/"));
        assert!(detail["history"].as_array().unwrap().len() >= 4);
        let plan = site.get(&format!("/v1/migrations/{id}/plan")).await;
        assert_eq!(plan["hash"], detail["row"]["plan"]);
        let (status, script) = site.call(Method::GET, &format!("/v1/migrations/{id}/script"), "").await;
        assert_eq!((status, script), (StatusCode::OK, plan["planned"]["ready"]["script"].as_str().unwrap().to_owned()));
        let evidence = site.get(&format!("/v1/blobs/{}", detail["batches"][0]["evidence"].as_str().unwrap())).await;
        assert_eq!(evidence["evidence"]["kept"]["rows"], 4);
        let report = site.get(&format!("/v1/migrations/{id}/report")).await;
        assert_eq!(report["batches"].as_array().unwrap().len(), 2);
        assert_eq!(report["table"]["found"]["rows"], 8);
        assert!(report["verdict"].as_str().unwrap().starts_with("db.a is published and equals its source"));
        assert!(report["outsider"]["query"].as_str().unwrap().contains("xxhash64"));
        assert_eq!(report["outsider"]["rows"], 8);
        assert_eq!(report["readers"].as_array().unwrap().len(), 2);
        assert!(report["undo"].as_str().unwrap().contains("skein rollback"));
    });
}

#[test]
fn names_that_mean_nothing_or_too_much_are_refused() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let (not_found, invalid) = (StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST);
        for path in [
            "/v1/migrations/db.nothing",
            "/v1/migrations/00000000-0000-0000-0000-000000000000",
            "/v1/policies/none",
            "/v1/status?policy=none",
            "/v1/nothing",
        ] {
            refused(&site, Method::GET, path, "", not_found, Code::NotFound).await;
        }
        let blob = format!("/v1/blobs/{}", Hash256::of(b"none"));
        refused(&site, Method::GET, &blob, "", not_found, Code::NotFound).await;
        refused(&site, Method::GET, "/v1/blobs/xyz", "", invalid, Code::RequestInvalid).await;
        refused(&site, Method::GET, "/v1/migrations/neither", "", invalid, Code::RequestInvalid).await;
        refused(&site, Method::DELETE, "/v1/status", "", StatusCode::METHOD_NOT_ALLOWED, Code::RequestInvalid).await;
        site.apply(&named_policy("one", "")).await;
        site.until_committed().await;
        site.apply(&named_policy("two", "").replace("connection: lake", "connection: lake, name: \"other.{table}\""))
            .await;
        let document = refused(&site, Method::GET, "/v1/migrations/db.a", "", invalid, Code::RequestInvalid).await;
        assert!(document.detail.contains("several"), "{}", document.detail);
        site.until_committed().await;
        let detail = site.get("/v1/migrations/other.a").await;
        assert_eq!(detail["row"]["policy"], "two", "its target tells it apart");
    });
}

#[test]
fn a_plan_is_not_found_before_it_is_made_and_a_refusal_is_shown() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let mut hold = site.world.hold(Call::Inspect, None);
        site.apply(&policy("  schema: { drop: [{ column: nothing }] }")).await;
        hold.entered(1).await;
        for part in ["plan", "script"] {
            let path = format!("/v1/migrations/db.a/{part}");
            refused(&site, Method::GET, &path, "", StatusCode::NOT_FOUND, Code::NotFound).await;
        }
        hold.release();
        site.until_phase("a", Phase::Quarantined).await;
        let plan = site.get("/v1/migrations/db.a/plan").await;
        assert_eq!(plan["planned"]["refused"]["problems"][0]["code"], "COLUMN_MISSING", "{plan}");
        let report = site.get("/v1/migrations/db.a/report").await;
        assert!(report["verdict"].as_str().unwrap().starts_with("Failed: COLUMN_MISSING"), "{}", report["verdict"]);
    });
}

#[test]
fn actions_and_decisions_are_checked_before_they_are_recorded() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let before = site.node.status().applied_index;
        for (path, body) in [
            ("/v1/actions", "{}".to_owned()),
            ("/v1/actions", "not json".to_owned()),
            ("/v1/actions", json!({ "action": "fly", "migrations": [] }).to_string()),
            ("/v1/actions", json!({ "action": "pause", "migrations": [] }).to_string()),
            ("/v1/actions", json!({ "action": "pause", "migrations": ["x"] }).to_string()),
            (
                "/v1/actions",
                json!({ "action": "pause", "migrations": [Hash256::default().to_string()], "force": true }).to_string(),
            ),
            ("/v1/decisions", json!({ "approve": true, "items": [] }).to_string()),
        ] {
            refused(&site, Method::POST, path, body, StatusCode::BAD_REQUEST, Code::RequestInvalid).await;
        }
        let long = json!({ "action": "pause", "migrations": ["00000000-0000-0000-0000-000000000000"], "reason": "x".repeat(1001) });
        refused(&site, Method::POST, "/v1/actions", long.to_string(), StatusCode::BAD_REQUEST, Code::RequestInvalid)
            .await;
        assert_eq!(site.node.status().applied_index, before);
        let nobody = json!({ "action": "pause", "migrations": ["00000000-0000-0000-0000-000000000000"] });
        let answer = site.post("/v1/actions", nobody.to_string()).await;
        assert_eq!(answer["refused"][0]["problem"]["code"], "NOT_FOUND");
        site.apply(&policy("")).await;
        site.until_committed().await;
        let two = json!({ "action": "rollback", "migrations": [site.id("a"), "00000000-0000-0000-0000-000000000000"] });
        let answer = site.post("/v1/actions", two.to_string()).await;
        assert_eq!((&answer["done"], answer["refused"].as_array().unwrap().len()), (&json!(1), 1));
    });
}

#[test]
fn bodies_that_are_too_long_are_refused() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let too_large = StatusCode::PAYLOAD_TOO_LARGE;
        refused(&site, Method::POST, "/v1/lint", " ".repeat(16 << 20), too_large, Code::RequestInvalid).await;
        refused(&site, Method::POST, "/v1/actions", " ".repeat(5 << 20), too_large, Code::RequestInvalid).await;
    });
}

#[test]
fn policies_are_listed_and_shown_with_their_defaults() {
    simulate(async {
        let site = Site::with_tables(&["a", "b"], 1, 1).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let list = site.get("/v1/policies").await;
        let row = &list["items"][0];
        assert_eq!((&row["name"], &row["phases"]), (&json!("p"), &json!({ "committed": 2 })));
        let detail = site.get("/v1/policies/p").await;
        assert_eq!(detail["document"]["spec"]["run"]["attempts"], 5);
        let again = skein_protocol::policy::parse(&detail["document"].to_string()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), detail["document"], "the applied document reads back");
        let status = site.get("/v1/status?policy=p").await;
        assert_eq!(status["phases"], json!({ "committed": 2 }));
    });
}

#[test]
fn metrics_count_what_happened() {
    simulate(async {
        let site = Site::with_tables(&["a"], 3, 1).await;
        site.world.fault(Fault::once(Call::RunBatch, Effect::Fail(Failure::transient(problem(Code::Io)))));
        site.apply(&policy("")).await;
        site.until_committed().await;
        let (status, text) = site.call(Method::GET, "/metrics", "").await;
        assert_eq!(status, StatusCode::OK);
        for line in [
            "skein_migrations{phase=\"committed\"} 1",
            "skein_batches_started_total 4",
            "skein_batches_ended_total 3",
            "skein_batches_failed_total 1",
            "skein_batch_retries_total 1",
            "skein_batch_seconds_count 4",
            "skein_actor_restarts_total{actor=\"migration\"} 0",
            "skein_slots 2",
            "skein_ledger_leader 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("skein_") && value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(text.contains("skein_ledger_syncs_total "));
    });
}

#[test]
fn the_openapi_document_covers_every_route_and_every_reference_leads_somewhere() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let document = site.get("/v1/openapi.json").await;
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = std::collections::BTreeSet::new();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 31);
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
                assert!(operation["responses"]["200"].is_object());
                // The router knows what the document tells: nothing is answered with "no such path".
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let (status, text) = site.call(method, &path.replace(['{', '}'], ""), "").await;
                assert!(
                    status != StatusCode::METHOD_NOT_ALLOWED && !text.contains("this path"),
                    "{path}: {status} {text}"
                );
            }
        }
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#/").skip(1) {
            let pointer = format!("/{}", part.split('"').next().unwrap());
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
        }
        let parameters = &document["paths"]["/v1/migrations"]["get"]["parameters"];
        assert!(parameters.as_array().unwrap().iter().any(|one| one["name"] == "cursor"), "{parameters}");
        let schema = site.get("/v1/policy-schema.json").await;
        assert_eq!(schema, skein_protocol::policy::json_schema());
    });
}

#[test]
fn the_api_answers_on_a_socket_and_ends_with_the_node() {
    simulate(async {
        let ground = Ground::new(51);
        let site = ground.start(DAWN).await.unwrap();
        let (from, to) = (SocketAddr::from(([127, 0, 0, 1], 9)), site.node.address());
        let mut stream = ground.host.network.connect(from, to).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: skein\r\n\r\n").await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        site.node.stop().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"alive\n"), "the idle connection was closed after its answer");
        assert!(ground.host.network.connect(from, to).is_err());
    });
}
