//! Signing in, what roles see, the stream, the exports, and the verbs.

use akwatch_proto::agent::{RefusalCode, Reported};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Person, World, code, secret, told, until};

const PASSWORD: &str = "correct horse battery";

/// The token of a fresh one-time link.
fn link(world: &World) -> String {
    let link = world.verb(&["first-sign-in"]);
    let (address, token) = link.split_once("/#/first-sign-in?token=").unwrap();
    assert_eq!(address, world.people);
    token.to_owned()
}

/// The session cookie of an answer, as a browser would send it back.
fn cookie(response: &reqwest::Response) -> String {
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

async fn first(world: &World, token: &str) -> reqwest::Response {
    let body = json!({ "token": token, "name": "ada", "password": PASSWORD });
    Person::nobody(world).post("first-sign-in", &body).await
}

async fn sign_in(world: &World, name: &str, password: &str) -> reqwest::Response {
    let body = json!({ "name": name, "password": password });
    Person::nobody(world).post("sessions", &body).await
}

async fn with_cookie(world: &World, cookie: &str, method: Method, path: &str) -> reqwest::Response {
    let request = Person::nobody(world)
        .request(method, path)
        .header("cookie", cookie);
    request.send().await.unwrap()
}

#[tokio::test]
async fn the_first_link_signs_in_once_and_passwords_afterwards() {
    let world = World::start().await;
    let token = link(&world);
    let weak = json!({ "token": token, "name": "ada", "password": "short" });
    let refused = told::<Value>(Person::nobody(&world).post("first-sign-in", &weak).await).await;
    assert_eq!(code(refused), RefusalCode::Malformed);
    let response = first(&world, &token).await;
    let session = cookie(&response);
    assert_eq!(told::<Value>(response).await.unwrap()["role"], "admin");
    let refused = told::<Value>(first(&world, &token).await).await;
    assert_eq!(code(refused), RefusalCode::Unauthenticated);
    let log = world
        .person("auditor")
        .get("audit?action=first-sign-in")
        .await;
    let entry = |at: usize, field: &str| log["rows"][at][field].as_str().unwrap().to_owned();
    assert_eq!(
        [entry(0, "actor"), entry(0, "result")],
        ["nobody", "refused"]
    );
    assert_eq!([entry(1, "actor"), entry(1, "result")], ["ada", "done"]);
    let me = with_cookie(&world, &session, Method::GET, "/api/v1/me").await;
    assert_eq!(told::<Value>(me).await.unwrap()["name"], "ada");
    let out = with_cookie(&world, &session, Method::DELETE, "/api/v1/sessions/current").await;
    assert_eq!(out.status(), 204);
    let me = with_cookie(&world, &session, Method::GET, "/api/v1/me").await;
    assert_eq!(me.status(), 401);

    let again = sign_in(&world, "ada", PASSWORD).await;
    let session = cookie(&again);
    let me = with_cookie(&world, &session, Method::GET, "/api/v1/me").await;
    assert_eq!(me.status(), 200);
    // The person that API tokens of the command line belong to cannot sign in.
    world.verb(&["api-token", "create", "--name", "x", "--role", "viewer"]);
    for name in ["ada", "nobody", "local"] {
        let refused = told::<Value>(sign_in(&world, name, "wrong horse battery").await).await;
        assert_eq!(code(refused), RefusalCode::Unauthenticated, "{name}");
    }
}

#[tokio::test]
async fn guessing_gets_slower() {
    let world = World::start().await;
    first(&world, &link(&world))
        .await
        .error_for_status()
        .unwrap();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(
            sign_in(&world, "ada", "wrong horse battery")
                .await
                .status()
                .as_u16(),
        );
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let locked = sign_in(&world, "ada", PASSWORD).await;
    assert_eq!(locked.status(), 429);
    assert!(
        locked.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn another_origin_cannot_act_in_a_persons_name() {
    let world = World::start().await;
    let session = cookie(&first(&world, &link(&world)).await);
    let call = async |header: &str, value: &str| {
        let request = Person::nobody(&world)
            .request(Method::POST, "/api/v1/enrollment-tokens")
            .header("cookie", &session)
            .header(header, value)
            .json(&json!({}));
        request.send().await.unwrap().status()
    };
    assert_eq!(call("origin", "https://elsewhere.example").await, 403);
    assert_eq!(call("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(call("origin", &world.people).await, 200);
    let form = Person::nobody(&world)
        .request(Method::POST, "/api/v1/enrollment-tokens")
        .header("cookie", &session)
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(form.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn viewers_see_ids_masked_everywhere() {
    let world = World::start().await;
    let host = world.host().await;
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    host.call::<Reported>("report", &report).await.unwrap();
    let id = report.findings[0].credential_id.as_ref().unwrap().as_str();
    let (viewer, responder) = (world.person("viewer"), world.person("responder"));
    let credential = viewer.get("credentials").await["rows"][0]["ref"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in [
        "credentials",
        "findings",
        "overview",
        &format!("credentials/{credential}"),
        "export/findings?format=csv",
        "export/findings",
    ] {
        let text = async |person: &Person| {
            let path = format!("/api/v1/{path}");
            let response = person.request(Method::GET, &path).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            response.text().await.unwrap()
        };
        assert!(
            text(&responder).await.contains(id),
            "{path} for a responder"
        );
        let masked = text(&viewer).await;
        assert!(!masked.contains(id), "{path} for a viewer");
        assert!(
            masked.contains(&id[..6]) || path == "overview",
            "{path} for a viewer"
        );
    }
}

#[tokio::test]
async fn a_token_makes_no_tokens_and_a_revoked_one_is_nobody() {
    let world = World::start().await;
    let admin = world.person("admin");
    let asked = json!({ "name": "more", "role": "viewer" });
    let refused = told::<Value>(admin.post("tokens", &asked).await).await;
    assert_eq!(code(refused), RefusalCode::Forbidden);
    let session = cookie(&first(&world, &link(&world)).await);
    let request = Person::nobody(&world)
        .request(Method::POST, "/api/v1/tokens")
        .header("cookie", &session)
        .json(&asked);
    let created: Value = told(request.send().await.unwrap()).await.unwrap();
    let viewer = Person {
        token: Some(created["value"].as_str().unwrap().to_owned()),
        ..Person::nobody(&world)
    };
    assert_eq!(viewer.get("me").await["role"], "viewer");
    let path = format!(
        "/api/v1/tokens/{}",
        created["token"]["id"].as_str().unwrap()
    );
    assert_eq!(
        with_cookie(&world, &session, Method::DELETE, &path)
            .await
            .status(),
        204
    );
    let status = viewer
        .request(Method::GET, "/api/v1/me")
        .send()
        .await
        .unwrap()
        .status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_filters_and_values_are_named() {
    let world = World::start().await;
    let viewer = world.person("viewer");
    for (path, named) in [
        ("findings?colour=red", "colour"),
        ("findings?presence=there", "presence"),
        ("credentials?score=high", "score"),
        ("hosts?sort=colour", "sort"),
        ("findings?limit=0", "limit"),
        ("findings?cursor=abc", "cursor"),
        ("export/findings?format=xml", "format"),
    ] {
        let path = format!("/api/v1/{path}");
        let response = viewer.request(Method::GET, &path).send().await.unwrap();
        let refused = told::<Value>(response).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::Malformed, "{path}");
        assert!(
            refused.message.contains(named),
            "{path}: {}",
            refused.message
        );
    }
}

#[tokio::test]
async fn exports_hold_every_row_and_no_formula() {
    let world = World::start().await;
    let host = world.host().await;
    let findings = (1..=400).map(|n| host.finding(&secret(), &format!("=cmd/{n:04}.env"), n));
    host.call::<Reported>("report", &host.report(findings.collect()))
        .await
        .unwrap();
    let viewer = world.person("viewer");
    let export = async |format: &str| {
        let path = format!("/api/v1/export/findings?format={format}&sort=path");
        viewer
            .request(Method::GET, &path)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let lines: Vec<Value> = export("jsonl")
        .await
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 400);
    assert_eq!(lines[399]["location"]["path"], "=cmd/0400.env");
    let csv = export("csv").await;
    assert_eq!(csv.lines().count(), 401);
    assert!(csv.contains("\"'=cmd/0001.env\""), "{}", &csv[..500]);
    assert!(!csv.contains(",=cmd"));
}

#[tokio::test]
async fn a_change_arrives_on_the_stream() {
    let world = World::start().await;
    let host = world.host().await;
    let viewer = world.person("viewer");
    let mut stream = viewer
        .request(Method::GET, "/api/v1/events")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    host.call::<Reported>("report", &report).await.unwrap();
    let mut seen = String::new();
    until("the event", async || {
        let part = stream.chunk().await.unwrap().unwrap();
        seen.push_str(&String::from_utf8_lossy(&part));
        (seen.contains("\"findings\"") && seen.contains(&host.id.to_string())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn verbs_work_with_and_without_a_running_collector() {
    let mut world = World::prepared();
    let before = world.bootstrap();
    let token = world.verb(&["api-token", "create", "--name", "early", "--role", "viewer"]);
    world.run().await;
    let early = Person {
        token: Some(token),
        ..Person::nobody(&world)
    };
    assert_eq!(early.get("me").await["role"], "viewer");
    assert_eq!(world.bootstrap().authority, before.authority);
    let refused = world.refused(&["enrollment-token", "create", "--seconds", "5"]);
    assert!(
        refused.contains("seconds") && refused.contains("60"),
        "{refused}"
    );
    // A second collector on the same state directory says what is wrong.
    let refused = world.refused(&["run"]);
    assert!(
        refused.contains("another program holds the database"),
        "{refused}"
    );
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_the_page_its_nonce() {
    let world = World::start().await;
    let nobody = Person::nobody(&world);
    let api = nobody
        .request(Method::GET, "/api/v1/me")
        .send()
        .await
        .unwrap();
    assert_eq!(api.headers()["cache-control"], "no-store");
    assert_eq!(api.headers()["x-content-type-options"], "nosniff");
    assert!(
        api.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = async || {
        let request = nobody
            .request(Method::GET, "/credentials/cr_1")
            .header("accept", "text/html");
        let response = request.send().await.unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        (policy, response.text().await.unwrap())
    };
    let (policy, html) = page().await;
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    assert!(html.contains(&nonce), "the page carries its nonce");
    assert_ne!(page().await.0, policy, "each answer has its own");
}

#[tokio::test]
async fn an_admin_gives_a_host_its_labels_and_revokes_a_certificate() {
    let world = World::start().await;
    let host = world.host_of("env=test").await;
    let (admin, path) = (world.person("admin"), format!("hosts/{}/labels", host.id));
    let label = async |labels: Value| {
        let put = admin.request(Method::PUT, &format!("/api/v1/{path}"));
        put.json(&labels).send().await.unwrap().status().as_u16()
    };
    let limited = world.person_of("viewer", &["env=prod"]);
    let seen = async || limited.get("hosts").await["total"].clone();
    assert_eq!(seen().await, 0);
    assert_eq!(label(json!({ "env": "prod", "tier": "1" })).await, 200);
    assert_eq!(seen().await, 1);
    assert_eq!(label(json!({ "env": "a\nb" })).await, 400);
    assert_eq!(label(json!({ "tier": "1" })).await, 200);
    assert_eq!(seen().await, 0);
    let told = admin.get(&format!("hosts/{}", host.id)).await;
    assert_eq!(told["host"]["labels"], json!({ "tier": "1" }), "{told:#}");

    let report = host.report(vec![]);
    host.call::<Reported>("report", &report).await.unwrap();
    let pem = host.enrolled.certificate.as_bytes();
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
    let serial = data_encoding::HEXLOWER.encode(pem.parse_x509().unwrap().raw_serial());
    let revoke = async || {
        let path = format!("/api/v1/certificates/{serial}/revoke");
        let post = admin.request(Method::POST, &path);
        post.send().await.unwrap().status().as_u16()
    };
    assert_eq!(revoke().await, 204);
    assert_eq!(revoke().await, 404);
    let refused = host.call::<Reported>("report", &report).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Revoked);
    let log = admin.get("audit?limit=3").await;
    let actions: Vec<_> = log["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["action"])
        .collect();
    assert_eq!(actions, ["revoke-certificate", "label-host", "label-host"]);
}
