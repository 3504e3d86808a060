//! Who holds this key: by id, by the pasted secret; and where that secret must not be afterwards.

use akwatch_proto::agent::{RefusalCode, Reported};
use akwatch_proto::credential::{
    ARGON_LANES, ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_SALT_LABEL, Fingerprint, Kind, Scheme,
};
use akwatch_proto::finding::Subject;
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::{Value, json};

use crate::world::{Host, Person, World, code, files, secret, told};

/// The fingerprint of a password, as proto's constants say.
fn slow(host: &Host, password: &[u8]) -> Fingerprint {
    let salt = host.fingerprint(ARGON_SALT_LABEL).bytes;
    let params = Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_LANES, Some(32)).unwrap();
    let mut stretched = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, &salt[..16], &mut stretched)
        .unwrap();
    Fingerprint {
        scheme: Scheme::ArgonHmac,
        ..host.fingerprint(&stretched)
    }
}

#[tokio::test]
async fn a_pasted_secret_finds_its_places_under_both_schemes_and_stays_nowhere() {
    let world = World::start().await;
    let host = world.host().await;
    let (machine, password) = (secret(), secret());
    let mut by_person = host.finding(&password, "/srv/b.env", 2);
    by_person.key.subject = Subject::Secret(slow(&host, &password));
    by_person.kind = Kind::Password;
    by_person.credential_id = None;
    let report = host.report(vec![host.finding(&machine, "/srv/a.env", 1), by_person]);
    host.call::<Reported>("report", &report).await.unwrap();
    let person = world.person("responder");
    let ask =
        async |body: Value| -> Value { told(person.post("who-holds", &body).await).await.unwrap() };
    let text = |secret: &[u8]| String::from_utf8(secret.to_vec()).unwrap();
    for (pasted, path) in [(&machine, "/srv/a.env"), (&password, "/srv/b.env")] {
        // With what a copied line has around it.
        let found = ask(json!({ "secret": format!(" {}\n", text(pasted)) })).await;
        assert_eq!(found["places"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(found["places"][0]["location"]["path"], path);
    }
    let stranger = secret();
    let found = ask(json!({ "secret": text(&stranger) })).await;
    assert!(found["places"].as_array().unwrap().is_empty());
    let id = report.findings[0]
        .credential_id
        .as_ref()
        .unwrap()
        .to_string();
    let found = ask(json!({ "id": id })).await;
    assert_eq!(found["places"][0]["location"]["path"], "/srv/a.env");

    for secret in [&machine, &password, &stranger] {
        for (path, bytes) in files(world.path("").as_path()) {
            let holds = bytes
                .windows(8)
                .any(|window| secret.windows(8).any(|part| part == window));
            assert!(!holds, "{} holds a part of a pasted secret", path.display());
        }
    }
}

#[tokio::test]
async fn a_question_is_one_of_two_and_asked_by_those_who_may() {
    let world = World::start().await;
    let responder = world.person("responder");
    for body in [
        json!({}),
        json!({ "id": "AKIDx", "secret": "x" }),
        json!({ "secret": "" }),
    ] {
        let refused = told::<Value>(responder.post("who-holds", &body).await).await;
        assert_eq!(code(refused), RefusalCode::Malformed, "{body}");
    }
    let body = json!({ "secret": "x".repeat(20_000) });
    let refused = told::<Value>(responder.post("who-holds", &body).await).await;
    assert_eq!(code(refused), RefusalCode::TooLarge);
    let body = json!({ "secret": "not a real secret" });
    let refused = told::<Value>(world.person("viewer").post("who-holds", &body).await).await;
    assert_eq!(code(refused), RefusalCode::Forbidden);
}

/// Whoever sees a part of the fleet could guess passwords by asking who has one: of those they are told
/// nothing, not even of their own hosts, and of machines' secrets only what lies within.
#[tokio::test]
async fn who_sees_a_part_is_told_of_no_password() {
    let world = World::start().await;
    let (inside, outside) = (
        world.host_of("env=prod").await,
        world.host_of("env=test").await,
    );
    let (machine, elsewhere, password, other) = (secret(), secret(), secret(), secret());
    for (host, machine, password) in [
        (&inside, &machine, &password),
        (&outside, &elsewhere, &other),
    ] {
        let mut by_person = host.finding(password, "/srv/b.env", 2);
        by_person.key.subject = Subject::Secret(slow(host, password));
        by_person.kind = Kind::Password;
        by_person.credential_id = None;
        let report = host.report(vec![host.finding(machine, "/srv/a.env", 1), by_person]);
        host.call::<Reported>("report", &report).await.unwrap();
    }
    let (part, all) = (
        world.person_of("responder", &["env=prod"]),
        world.person("responder"),
    );
    for (pasted, within, everywhere) in [
        (&machine, 1, 1),
        (&elsewhere, 0, 1),
        (&password, 0, 1),
        (&other, 0, 1),
    ] {
        let text = String::from_utf8(pasted.clone()).unwrap();
        for (person, expected) in [(&part, within), (&all, everywhere)] {
            let asked = person.post("who-holds", &json!({ "secret": text })).await;
            let found: Value = told(asked).await.unwrap();
            assert_eq!(found["places"].as_array().unwrap().len(), expected);
            assert_eq!(found["credential"].is_null(), expected == 0);
        }
    }
}

/// An auditor reads ids masked; a search must not find by what is hidden.
#[tokio::test]
async fn a_search_of_the_log_finds_no_hidden_part_of_an_id() {
    let world = World::start().await;
    let id = format!("AK{}", "IDz8EXAMPLE0123hiddn3kPq");
    let (responder, body) = (world.person("responder"), json!({ "id": id }));
    let _: Value = told(responder.post("who-holds", &body).await)
        .await
        .unwrap();
    let (auditor, admin) = (world.person("auditor"), world.person("admin"));
    for (part, of_auditor) in [
        ("example0123", 0),
        (&id[..], 0),
        ("nothing", 1),
        ("who-holds", 1),
    ] {
        let found = async |person: &Person| {
            let path = format!("audit?action=who-holds&q={part}");
            person.get(&path).await["total"].clone()
        };
        assert_eq!(found(&auditor).await, json!(of_auditor), "{part}");
        assert_eq!(found(&admin).await, json!(1), "{part}");
    }
    let shown = auditor.get("audit?action=who-holds").await["rows"][0]["object"].to_string();
    assert!(!shown.contains("EXAMPLE"), "{shown}");
}

#[tokio::test]
async fn questions_are_limited() {
    let world = World::start().await;
    let responder = world.person("responder");
    let body = json!({ "id": "AKIDx" });
    for asked in 0.. {
        let status = responder.post("who-holds", &body).await.status();
        if status == 429 {
            assert!(asked >= 20, "after {asked}");
            let body = json!({ "secret": "any other question" });
            let refused = told::<Value>(responder.post("who-holds", &body).await).await;
            assert_eq!(code(refused), RefusalCode::Busy);
            return;
        }
        assert_eq!(status, 200);
        assert!(asked < 100, "never limited");
    }
}
