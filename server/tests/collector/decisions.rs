//! What people decide about a credential, over REST: two at once, reasons, the trace that it leaves.

use akwatch_proto::agent::{RefusalCode, Reported};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Person, World, code, secret, told};

/// A collector with one credential; its reference.
async fn exposed() -> (World, String) {
    let world = World::start().await;
    let host = world.host_of("env=prod").await;
    let report = host.report(vec![host.finding(&secret(), "/srv/a.env", 1)]);
    host.call::<Reported>("report", &report).await.unwrap();
    let page = world.person("admin").get("credentials").await;
    let credential = page["rows"][0]["ref"].as_str().unwrap().to_owned();
    (world, credential)
}

async fn decide(
    person: &Person,
    credential: &str,
    body: Value,
) -> Result<Value, akwatch_proto::agent::Refused> {
    let path = format!("/api/v1/credentials/{credential}/disposition");
    let request = person.request(Method::PUT, &path).json(&body);
    told(request.send().await.unwrap()).await
}

#[tokio::test]
async fn the_slower_of_two_responders_is_told_who_was_faster() {
    let (world, credential) = exposed().await;
    let (ada, ben) = (world.person("responder"), world.person("responder"));
    let seen = ada.get(&format!("credentials/{credential}")).await;
    assert_eq!(seen["decision"]["version"], 0);
    let body = json!({ "disposition": "rotating", "version": 0 });
    let stands = decide(&ada, &credential, body.clone()).await.unwrap();
    assert_eq!(stands["version"], 1);
    let refused = decide(&ben, &credential, body).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Conflict);
    assert!(refused.message.contains("rotating"), "{}", refused.message);
    let seen = ben.get(&format!("credentials/{credential}")).await;
    let body = json!({ "disposition": "rotated", "version": seen["decision"]["version"] });
    decide(&ben, &credential, body).await.unwrap();
    let seen = ben.get(&format!("credentials/{credential}")).await;
    assert_eq!(seen["credential"]["verdict"], "rotated-still-present");
    assert_eq!(seen["timeline"][0]["what"], "decided");
    assert_eq!(seen["timeline"][0]["why"], "rotated");

    let audit = world.person("auditor").get("audit?action=decide").await;
    assert_eq!(audit["total"], 2);
    assert_eq!(
        audit["rows"][0]["object"],
        format!("{credential}: rotating → rotated")
    );
    let found = world.person("admin").get("audit?q=rotating&limit=1").await;
    assert_eq!(
        (
            found["total"].clone(),
            found["rows"].as_array().unwrap().len()
        ),
        (json!(2), 1)
    );
    let next = found["next"].as_str().unwrap();
    let next = world
        .person("auditor")
        .get(&format!("audit?q=rotating&limit=1&cursor={next}"))
        .await;
    assert_eq!(
        next["rows"][0]["object"],
        format!("{credential}: new → rotating")
    );
}

/// A decision counts for every host that holds the key, so who sees only some of them cannot make it.
#[tokio::test]
async fn who_sees_a_part_of_the_hosts_does_not_decide_for_all_of_them() {
    let world = World::start().await;
    let shared = secret();
    for label in ["env=prod", "env=test"] {
        let host = world.host_of(label).await;
        let report = host.report(vec![host.finding(&shared, "/srv/a.env", 1)]);
        host.call::<Reported>("report", &report).await.unwrap();
    }
    let part = world.person_of("responder", &["env=prod"]);
    let page = part.get("credentials").await;
    let credential = page["rows"][0]["ref"].as_str().unwrap().to_owned();
    let body = json!({ "disposition": "rotated", "version": 0 });
    let refused = decide(&part, &credential, body.clone()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Forbidden);
    assert!(refused.hint.unwrap().contains("all of its hosts"));
    let all = world.person("responder");
    let seen = all.get(&format!("credentials/{credential}")).await;
    assert_eq!(seen["decision"]["version"], 0, "nothing was changed");
    assert_eq!(decide(&all, &credential, body).await.unwrap()["version"], 1);
}

#[tokio::test]
async fn a_log_that_was_changed_is_found_out_by_its_command() {
    let (mut world, credential) = exposed().await;
    let body = json!({ "disposition": "acknowledged", "version": 0 });
    decide(&world.person("responder"), &credential, body)
        .await
        .unwrap();
    let whole = world.verb(&["audit", "verify"]);
    let log = world.person("auditor").get("audit?limit=1").await;
    // The token that asked is one entry more.
    assert!(whole.starts_with("whole: "), "{whole}");
    let newest = log["rows"][0]["hash"].as_str().unwrap();
    let again = world.verb(&["audit", "verify"]);
    assert!(again.ends_with(newest), "{again}");
    world.kill();
    let stopped = world.verb(&["audit", "verify"]);
    assert_eq!(stopped, again, "it needs no running collector");
    let database = world.state().join("akwatch.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("UPDATE audit SET object = 'somebody else' WHERE number = 2")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let refused = world.refused(&["audit", "verify"]);
    assert!(refused.contains("entry 2 was changed"), "{refused}");
}

#[tokio::test]
async fn a_decision_needs_its_reason_and_its_end() {
    let (world, credential) = exposed().await;
    let person = world.person("admin");
    for (body, word) in [
        (
            json!({ "disposition": "false-positive", "version": 0 }),
            "why",
        ),
        (
            json!({ "disposition": "accepted", "version": 0, "note": "known" }),
            "until when",
        ),
        (
            json!({ "disposition": "lost", "version": 0 }),
            "not what this call takes",
        ),
        (json!({ "disposition": "new" }), "not what this call takes"),
    ] {
        let refused = decide(&person, &credential, body).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::Malformed);
        assert!(refused.message.contains(word), "{}", refused.message);
    }
    let body = json!({ "disposition": "false-positive", "version": 0, "note": "a test's key" });
    let stands = decide(&person, &credential, body).await.unwrap();
    assert_eq!(stands["note"], "a test's key");
    assert_eq!(person.get("credentials?verdict=open").await["total"], 0);
}

#[tokio::test]
async fn a_part_of_the_fleet_does_not_decide_for_the_rest() {
    let (world, credential) = exposed().await;
    let body = json!({ "disposition": "acknowledged", "version": 0 });
    let stranger = world.person_of("responder", &["env=test"]);
    let refused = decide(&stranger, &credential, body.clone()).await;
    assert_eq!(code(refused), RefusalCode::NotFound);
    let own = world.person_of("responder", &["env=prod"]);
    decide(&own, &credential, body).await.unwrap();
}
