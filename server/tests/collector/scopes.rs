//! Every operation of the people's document against somebody whose role is limited to a label: what
//! lies outside is missing, uncounted and out of reach, and no operation is forgotten.

use akwatch_proto::agent::Reported;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::matrix;
use crate::world::{Host, Person, World, secret, told, until};

/// What an operation does with what lies outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outside {
    /// It is not there.
    Missing,
    /// The answer is of the inside only.
    Left,
    /// It concerns the whole fleet, and is refused.
    Fleet,
    /// It is about the caller alone, or about nobody.
    Own,
    /// A stream: tested apart.
    Stream,
}

const MATRIX: &[(&str, &str, Outside)] = &[
    ("GET", "/healthz", Outside::Own),
    ("POST", "/api/v1/first-sign-in", Outside::Own),
    ("POST", "/api/v1/sessions", Outside::Own),
    ("DELETE", "/api/v1/sessions/current", Outside::Own),
    ("GET", "/api/v1/me", Outside::Own),
    ("GET", "/api/v1/overview", Outside::Left),
    ("GET", "/api/v1/hosts", Outside::Left),
    ("GET", "/api/v1/hosts/{id}", Outside::Missing),
    ("POST", "/api/v1/hosts/{id}/retire", Outside::Missing),
    ("POST", "/api/v1/hosts/{id}/rescan", Outside::Missing),
    ("POST", "/api/v1/hosts/pause", Outside::Missing),
    ("POST", "/api/v1/hosts/resume", Outside::Missing),
    ("PUT", "/api/v1/hosts/{id}/labels", Outside::Fleet),
    ("POST", "/api/v1/certificates/{id}/revoke", Outside::Fleet),
    ("GET", "/api/v1/credentials", Outside::Left),
    ("GET", "/api/v1/credentials/{ref}", Outside::Missing),
    (
        "PUT",
        "/api/v1/credentials/{ref}/disposition",
        Outside::Missing,
    ),
    ("POST", "/api/v1/who-holds", Outside::Left),
    ("GET", "/api/v1/findings", Outside::Left),
    ("GET", "/api/v1/export/findings", Outside::Left),
    ("GET", "/api/v1/events", Outside::Stream),
    ("GET", "/api/v1/audit", Outside::Fleet),
    ("GET", "/api/v1/enrollment-tokens", Outside::Fleet),
    ("POST", "/api/v1/enrollment-tokens", Outside::Fleet),
    ("DELETE", "/api/v1/enrollment-tokens/{id}", Outside::Fleet),
    ("GET", "/api/v1/tokens", Outside::Own),
    ("POST", "/api/v1/tokens", Outside::Own),
    ("DELETE", "/api/v1/tokens/{id}", Outside::Own),
];

#[test]
fn no_operation_is_forgotten() {
    let mut named: Vec<(String, String)> = MATRIX
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    named.sort();
    assert_eq!(matrix::operations(), named);
}

/// A host within, a host without, each with a credential of its own at a path of its own.
struct Fleet {
    world: World,
    outside: Host,
    inside: Host,
    /// What must not be told: the outer host, its path, its credential.
    hidden: Vec<String>,
    credential: String,
}

async fn fleet() -> Fleet {
    let world = World::start().await;
    let (inside, outside) = (
        world.host_of("env=prod").await,
        world.host_of("env=test").await,
    );
    for (host, path) in [(&inside, "/srv/inside.env"), (&outside, "/srv/outside.env")] {
        let report = host.report(vec![host.finding(&secret(), path, 1)]);
        host.call::<Reported>("report", &report).await.unwrap();
    }
    let page = world
        .person("admin")
        .get(&format!("findings?host={}", outside.id))
        .await;
    let credential = page["rows"][0]["credential"].as_str().unwrap().to_owned();
    Fleet {
        hidden: vec![
            outside.id.to_string(),
            "/srv/outside.env".to_owned(),
            credential.clone(),
        ],
        world,
        outside,
        inside,
        credential,
    }
}

fn body_of(path: &str) -> Value {
    match path {
        "/api/v1/who-holds" => json!({ "id": format!("AK{}", "IDEXAMPLE0123456") }),
        // Labels that the host outside carries.
        "/api/v1/hosts/pause" => json!({ "hosts": { "labels": { "env": "test" } }, "seconds": 60 }),
        "/api/v1/hosts/resume" => json!({ "labels": { "env": "test" } }),
        "/api/v1/credentials/{ref}/disposition" => {
            json!({ "disposition": "acknowledged", "version": 0 })
        }
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_lies_outside_a_scope_is_missing_uncounted_and_out_of_reach() {
    let fleet = fleet().await;
    let admin = fleet.world.person_of("admin", &["env=prod"]);
    assert_eq!(admin.get("me").await["scope"], json!({ "env": "prod" }));
    for (method, path, outside) in MATRIX {
        if matches!(outside, Outside::Own | Outside::Stream) {
            continue;
        }
        let named = path
            .replace("{id}", &fleet.outside.id.to_string())
            .replace("{ref}", &fleet.credential);
        let mut request = admin.request(method.parse::<Method>().unwrap(), &named);
        if matches!(*method, "POST" | "PUT") {
            request = request.json(&body_of(path));
        }
        let response = request.send().await.unwrap();
        let expected = match outside {
            Outside::Missing => StatusCode::NOT_FOUND,
            Outside::Fleet => StatusCode::FORBIDDEN,
            _ => StatusCode::OK,
        };
        assert_eq!(response.status(), expected, "{method} {path}");
        let text = response.text().await.unwrap();
        for hidden in &fleet.hidden {
            assert!(
                !text.contains(hidden),
                "{method} {path} tells {hidden}: {text}"
            );
        }
    }
    for list in ["hosts", "credentials", "findings"] {
        assert_eq!(admin.get(list).await["total"], 1, "{list}");
    }
    let overview = admin.get("overview").await;
    assert_eq!(overview["places"]["present"], 1);
    for filter in [
        format!("findings?host={}", fleet.outside.id),
        format!("findings?credential={}", fleet.credential),
        format!("credentials?host={}", fleet.outside.id),
        format!("hosts?q={}", fleet.outside.id),
        "findings?q=outside".to_owned(),
    ] {
        assert_eq!(admin.get(&filter).await["total"], 0, "{filter}");
    }
    // Nobody outside was touched, and those inside are in reach.
    let all = fleet.world.person("admin");
    assert_eq!(
        all.get(&format!("hosts/{}", fleet.outside.id)).await["host"]["state"],
        "live"
    );
    let rescan = format!("hosts/{}/rescan", fleet.inside.id);
    assert_eq!(admin.post(&rescan, &json!({})).await.status(), 202);
    let by_id = json!({ "hosts": { "host": fleet.outside.id }, "seconds": 60 });
    assert_eq!(admin.post("hosts/pause", &by_id).await.status(), 404);
    let both = json!({ "env": "prod", "x": "y" });
    let both = json!({ "hosts": { "labels": both }, "seconds": 60 });
    let asked = admin.post("hosts/pause", &both);
    let asked: Value = asked.await.json().await.unwrap();
    assert_eq!(asked, json!({ "hosts": 1 }));
}

#[tokio::test]
async fn the_stream_tells_nothing_from_outside() {
    let fleet = fleet().await;
    let viewer = fleet.world.person_of("viewer", &["env=prod"]);
    let stream = viewer.request(Method::GET, "/api/v1/events").send();
    let mut stream = stream.await.unwrap();
    for host in [&fleet.outside, &fleet.inside] {
        let report = host.report(vec![host.finding(&secret(), "/srv/new.env", 2)]);
        host.call::<Reported>("report", &report).await.unwrap();
    }
    let mut seen = String::new();
    until("the event from inside", async || {
        let part = stream.chunk().await.unwrap().unwrap();
        seen.push_str(&String::from_utf8_lossy(&part));
        seen.contains(&fleet.inside.id.to_string()).then_some(())
    })
    .await;
    assert!(!seen.contains(&fleet.outside.id.to_string()), "{seen}");
}

#[tokio::test]
async fn a_scope_that_no_host_has_sees_nothing() {
    let fleet = fleet().await;
    let nobodys = fleet.world.person_of("responder", &["env=none"]);
    for list in ["hosts", "credentials", "findings"] {
        assert_eq!(nobodys.get(list).await["total"], 0, "{list}");
    }
    let refused = told::<Value>(nobodys.post("tokens", &token("viewer", None)).await).await;
    assert!(refused.is_err(), "a token makes no tokens");
}

fn token(role: &str, label: Option<(&str, &str)>) -> Value {
    let labels: std::collections::BTreeMap<_, _> = label.into_iter().collect();
    json!({ "name": "narrow", "role": role, "labels": labels })
}

/// Whoever sees the fleet may hand out less of it, and the token lists what it sees.
#[tokio::test]
async fn a_person_hands_out_a_part_of_what_they_see() {
    let fleet = fleet().await;
    let link = fleet.world.verb(&["first-sign-in"]);
    let (_, link) = link.split_once("token=").unwrap();
    let body = json!({ "token": link, "name": "ada", "password": "correct horse battery" });
    let response = Person::nobody(&fleet.world)
        .post("first-sign-in", &body)
        .await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let made = Person::nobody(&fleet.world)
        .request(Method::POST, "/api/v1/tokens")
        .header("cookie", &cookie)
        .json(&token("viewer", Some(("env", "prod"))))
        .send();
    let made: Value = told(made.await.unwrap()).await.unwrap();
    assert_eq!(made["token"]["labels"], json!({ "env": "prod" }));
    let narrow = Person {
        token: Some(made["value"].as_str().unwrap().to_owned()),
        ..Person::nobody(&fleet.world)
    };
    assert_eq!(narrow.get("findings").await["total"], 1);
}
