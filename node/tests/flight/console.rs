//! The console: who gets in, what forms may do, what pages show. Browsers are in `tests/`.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;
use skein_protocol::ledger::Phase;

use crate::site::{Site, named_policy, policy, simulate};

/// Where the pages of these tests are.
const HOST: &str = "skein.example";

/// Somebody's browser.
struct Browser<'a> {
    site: &'a Site,
    cookie: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl<'a> Browser<'a> {
    /// Signs in with a token.
    async fn signed_in(site: &'a Site, token: &str) -> Self {
        let mut browser = Self { site, cookie: String::new() };
        let answer = browser.send("/console/sign-in", &[("token", token)], Some(HOST)).await;
        assert_eq!((answer.status, &answer.headers["location"]), (StatusCode::SEE_OTHER, &"/console".parse().unwrap()));
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        for wanted in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(wanted), "{cookie}");
        }
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::builder().uri(path).header("host", HOST).header("cookie", &self.cookie);
        answer(self.site, request.body(Body::empty()).unwrap()).await
    }

    /// Gets a page that must be there.
    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends a form from a page of `origin`.
    async fn send(&self, path: &str, form: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mut request = Request::builder().method(Method::POST).uri(path).header("host", HOST);
        request = request.header("cookie", &self.cookie).header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", format!("http://{origin}"));
        }
        answer(self.site, request.body(body.join("&").into()).unwrap()).await
    }

    /// What forms of this session carry.
    async fn csrf(&self) -> String {
        let page = self.page("/console").await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Presses a button on the page of a dataset.
    async fn act(&self, verb: &str, dataset: &str) -> Answer {
        let plan = self.site.look(dataset, |migration| migration.plan.as_ref().map(|plan| plan.hash));
        let id = self.site.id(dataset);
        let chosen = plan.map_or_else(|| id.to_string(), |plan| format!("{id}:{plan}"));
        let form = [("csrf", &*self.csrf().await), ("verb", verb), ("reason", "because"), ("chosen", &chosen)];
        self.send("/console/act", &form, Some(HOST)).await
    }
}

async fn answer(site: &Site, request: Request<Body>) -> Answer {
    let response = site.respond(request).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, headers, text: String::from_utf8(bytes.into()).unwrap() }
}

/// A token with these roles for this team.
async fn token(site: &Site, name: &str, roles: &[&str], team: Option<&str>) -> String {
    let request = json!({ "name": name, "roles": roles, "teams": team.map(|team| [team]) });
    site.post("/v1/tokens", request.to_string()).await["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_migration_is_approved_watched_and_rolled_back_without_a_script() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("  approval: { required: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        let browser =
            Browser::signed_in(&site, &token(&site, "ann", &["operator", "approver"], Some("team")).await).await;
        let list = browser.page("/console/migrations?phase=approval").await;
        assert!(list.contains("db.a") && list.contains("1 migration<") && !list.contains("<script"), "{list}");
        let plan = browser.page(&format!("/console/migrations/{}/plan", site.id("a"))).await;
        assert!(plan.contains("<h2>Script</h2>") && plan.contains("<td>none</td>"), "{plan}");
        let done = browser.act("approve", "a").await;
        assert!(done.text.contains("done for 1 of 1"), "{}", done.text);
        site.until_phase("a", Phase::Committed).await;
        assert!(site.history("a").iter().any(|line| line.contains("was approved")));
        let report = browser.page("/console/migrations/db.a/report").await;
        assert!(report.contains("found in the target"), "{report}");
        browser.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        let page = browser.page("/console/migrations/db.a").await;
        assert!(page.contains("because") && page.contains("by ann"), "{page}");
    });
}

#[test]
fn every_page_answers_with_the_same_guards_and_only_to_who_is_signed_in() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let (nobody, ann) = (
            Browser { site: &site, cookie: "skein_session=0000".to_owned() },
            Browser::signed_in(&site, &token(&site, "ann", &["viewer"], None).await).await,
        );
        for path in [
            "/console",
            "/console/migrations",
            "/console/migrations?phase=committed&text=A&policy=p&label=wave%3D3",
            "/console/migrations/db.a",
            "/console/migrations/db.a/plan",
            "/console/migrations/db.a/report",
            "/console/policies",
            "/console/policies/p",
        ] {
            let answer = ann.get(path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.headers["cache-control"], "no-store");
            assert_eq!(answer.headers["x-frame-options"], "DENY");
            assert!(answer.text.contains("<html lang=\"en\">") && answer.text.contains("<h1>"), "{path}");
            assert!(!answer.text.contains("style=") && !answer.text.contains("<script"), "{path}");
            let refused = nobody.get(path).await;
            assert_eq!(refused.headers["location"], "/console/sign-in", "{path}");
        }
        for (path, status) in [
            ("/console/migrations/db.none", StatusCode::NOT_FOUND),
            ("/console/policies/none", StatusCode::NOT_FOUND),
            ("/console/migrations?phase=none", StatusCode::BAD_REQUEST),
            ("/console/migrations?colour=red", StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(ann.get(path).await.status, status, "{path}");
        }
    });
}

#[test]
fn forms_of_other_sites_of_other_sessions_and_without_an_origin_change_nothing() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("  approval: { required: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        let ann = Browser::signed_in(&site, &site.token).await;
        let other = Browser::signed_in(&site, &site.token).await.csrf().await;
        let (id, csrf) = (site.id("a").to_string(), ann.csrf().await);
        assert_ne!(csrf, other);
        for (csrf, origin) in [
            (csrf.as_str(), None),
            (csrf.as_str(), Some("evil.example")),
            (csrf.as_str(), Some("skein.example.evil.example")),
            (other.as_str(), Some(HOST)),
            ("", Some(HOST)),
        ] {
            let form = [("csrf", csrf), ("verb", "cancel"), ("reason", ""), ("chosen", &id)];
            let answer = ann.send("/console/act", &form, origin).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin:?}: {}", answer.text);
        }
        assert_eq!(site.phase("a"), Phase::Approval);
    });
}

#[test]
fn a_viewer_sees_no_button_and_its_forms_are_refused() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.apply(&policy("  approval: { required: true }")).await;
        site.until_phase("a", Phase::Approval).await;
        let viewer = Browser::signed_in(&site, &token(&site, "v", &["viewer"], None).await).await;
        assert!(!viewer.page("/console/migrations").await.contains("name=\"verb\""));
        for verb in ["approve", "reject", "pause", "resume", "retry", "cancel", "rollback", "explode"] {
            let answer = viewer.act(verb, "a").await;
            let status = if verb == "explode" { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, status, "{verb}: {}", answer.text);
        }
        assert_eq!(site.phase("a"), Phase::Approval);
        let stranger = Browser::signed_in(&site, &token(&site, "s", &["operator"], Some("others")).await).await;
        assert_eq!(stranger.get("/console/migrations/db.a").await.status, StatusCode::NOT_FOUND);
        assert!(stranger.page("/console/migrations").await.contains("0 migrations"));
        assert!(stranger.act("cancel", "a").await.text.contains("done for 0 of 1"));
        assert_eq!(site.phase("a"), Phase::Approval);
    });
}

#[test]
fn a_session_ends_with_a_sign_out_with_its_token_and_with_its_time() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let text = token(&site, "ann", &["viewer"], None).await;
        let (first, second) = (Browser::signed_in(&site, &text).await, Browser::signed_in(&site, &text).await);
        let out = first.send("/console/sign-out", &[("csrf", &first.csrf().await)], Some(HOST)).await;
        assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(first.get("/console").await.status, StatusCode::SEE_OTHER);
        assert_eq!(second.get("/console").await.status, StatusCode::OK);
        assert_eq!(site.call(Method::DELETE, "/v1/tokens/ann", "").await.0, StatusCode::OK);
        assert_eq!(second.get("/console").await.status, StatusCode::SEE_OTHER);
        let admin = Browser::signed_in(&site, &site.token).await;
        tokio::time::sleep(std::time::Duration::from_secs(12 * 3600 + 1)).await;
        assert_eq!(admin.get("/console").await.status, StatusCode::SEE_OTHER);
    });
}

#[test]
fn wrong_tokens_are_refused_and_soon_not_looked_at_for_a_while() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let nobody = Browser { site: &site, cookie: String::new() };
        for _ in 0..10 {
            let answer = nobody.send("/console/sign-in", &[("token", "guess")], Some(HOST)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert!(!answer.text.contains("guess"), "what was typed is not repeated");
        }
        let answer = nobody.send("/console/sign-in", &[("token", &site.token)], Some(HOST)).await;
        assert_eq!(
            (answer.status, &answer.headers["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &"60".parse().unwrap())
        );
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        Browser::signed_in(&site, &site.token).await;
    });
}

#[test]
fn what_people_write_is_shown_as_text_on_every_page() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        let attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        let spec = "  approval: { required: true }";
        let document = named_policy("p", spec).replace("wave: \"3\"", &format!("wave: {:?}", "<b>&\"'"));
        let document = document.replace("owner: team", &format!("owner: team, description: {attack:?}"));
        site.apply(&document).await;
        site.until_phase("a", Phase::Approval).await;
        let browser = Browser::signed_in(&site, &site.token).await;
        let id = site.id("a").to_string();
        let form = [("csrf", &*browser.csrf().await), ("verb", "cancel"), ("reason", attack), ("chosen", &id)];
        browser.send("/console/act", &form, Some(HOST)).await;
        site.until_phase("a", Phase::Cancelled).await;
        assert!(site.history("a").iter().any(|line| line.contains("onerror")), "the attack is in the history");
        let query = "%3Cscript%3Ealert(1)%3C/script%3E%22%27%3E";
        for path in [
            "/console".to_owned(),
            "/console/migrations/db.a".to_owned(),
            "/console/policies".to_owned(),
            "/console/policies/p".to_owned(),
            format!("/console/migrations?text={query}"),
            format!("/console/migrations?label=a%3D{query}&policy={query}"),
            format!("/console/migrations?phase={query}"),
            format!("/console/migrations/{query}"),
            format!("/console/policies/{query}"),
        ] {
            let text = browser.get(&path).await.text;
            for wrong in ["<script", "<img", "<b>&", "\"'>"] {
                assert!(!text.contains(wrong), "{path}: {wrong}: {text}");
            }
        }
    });
}
