//! Every operation of the people's document against nobody and every role: none is forgotten, and
//! none answers whom it must not.

use std::collections::BTreeMap;

use akwatch_server::people;
use reqwest::Method;
use utoipa::openapi::path::PathItem;

use crate::world::{Person, World};

const ANY: &[&str] = &["auditor", "viewer", "responder", "admin"];
const READ: &[&str] = &["viewer", "responder", "admin"];
const ACT: &[&str] = &["responder", "admin"];
const AUDIT: &[&str] = &["auditor", "admin"];
const ADMIN: &[&str] = &["admin"];

/// Who may call what; nothing here means that no sign-in is needed.
const MATRIX: &[(&str, &str, Option<&[&str]>)] = &[
    ("GET", "/healthz", None),
    ("POST", "/api/v1/first-sign-in", None),
    ("POST", "/api/v1/sessions", None),
    ("DELETE", "/api/v1/sessions/current", Some(ANY)),
    ("GET", "/api/v1/me", Some(ANY)),
    ("GET", "/api/v1/overview", Some(READ)),
    ("GET", "/api/v1/hosts", Some(READ)),
    ("GET", "/api/v1/hosts/{id}", Some(READ)),
    ("POST", "/api/v1/hosts/{id}/retire", Some(ACT)),
    ("POST", "/api/v1/hosts/{id}/rescan", Some(ACT)),
    ("POST", "/api/v1/hosts/pause", Some(ACT)),
    ("POST", "/api/v1/hosts/resume", Some(ACT)),
    ("PUT", "/api/v1/hosts/{id}/labels", Some(ADMIN)),
    ("POST", "/api/v1/certificates/{id}/revoke", Some(ADMIN)),
    ("GET", "/api/v1/credentials", Some(READ)),
    ("GET", "/api/v1/credentials/{ref}", Some(READ)),
    ("PUT", "/api/v1/credentials/{ref}/disposition", Some(ACT)),
    ("POST", "/api/v1/who-holds", Some(ACT)),
    ("GET", "/api/v1/findings", Some(READ)),
    ("GET", "/api/v1/export/findings", Some(READ)),
    ("GET", "/api/v1/events", Some(READ)),
    ("GET", "/api/v1/audit", Some(AUDIT)),
    ("GET", "/api/v1/enrollment-tokens", Some(ADMIN)),
    ("POST", "/api/v1/enrollment-tokens", Some(ADMIN)),
    ("DELETE", "/api/v1/enrollment-tokens/{id}", Some(ADMIN)),
    ("GET", "/api/v1/tokens", Some(ANY)),
    ("POST", "/api/v1/tokens", Some(ANY)),
    ("DELETE", "/api/v1/tokens/{id}", Some(ANY)),
];

fn methods(item: &PathItem) -> Vec<&'static str> {
    let named = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    named
        .into_iter()
        .filter(|(_, operation)| operation.is_some())
        .map(|(name, _)| name)
        .collect()
}

/// Every operation of the people's document, in order.
pub(crate) fn operations() -> Vec<(String, String)> {
    let document = people::document();
    let mut operations: Vec<(String, String)> = document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| {
            methods(item)
                .into_iter()
                .map(|m| (m.to_owned(), path.clone()))
        })
        .collect();
    operations.sort();
    operations
}

#[test]
fn the_matrix_holds_exactly_the_operations_of_the_document() {
    let mut matrix: Vec<(String, String)> = MATRIX
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    matrix.sort();
    assert_eq!(operations(), matrix);
}

#[tokio::test]
async fn every_operation_answers_those_it_must_and_nobody_else() {
    let world = World::start().await;
    let people: BTreeMap<&str, Person> =
        ANY.iter().map(|role| (*role, world.person(role))).collect();
    let nobody = Person::nobody(&world);
    let forged = Person {
        token: Some(format!("akw_{}", "0".repeat(49))),
        ..nobody.clone()
    };
    for (method, path, allowed) in MATRIX {
        let status = async |person: &Person| {
            let path = path
                .replace("{id}", "unknown")
                .replace("{ref}", "cr_unknown");
            let method: Method = method.parse().unwrap();
            person
                .request(method, &path)
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        let Some(allowed) = allowed else {
            assert_ne!(status(&nobody).await, 403, "{method} {path}");
            continue;
        };
        assert_eq!(status(&nobody).await, 401, "{method} {path} for nobody");
        assert_eq!(
            status(&forged).await,
            401,
            "{method} {path} with a forged token"
        );
        for (role, person) in &people {
            let answered = status(person).await;
            assert_ne!(answered, 401, "{method} {path} for {role}");
            // An API token makes no API tokens, whatever its role; its body is refused before.
            let refused = answered == 403;
            assert_eq!(
                refused,
                !allowed.contains(role),
                "{method} {path} for {role}: {answered}"
            );
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_tells_nobody_anything() {
    let world = World::start().await;
    let nobody = Person::nobody(&world);
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v2/hosts",
        "/api/v1/hosts/../me",
        "/api",
    ] {
        let status = nobody
            .request(Method::GET, path)
            .send()
            .await
            .unwrap()
            .status();
        assert!(status == 404 || status == 401, "{path}: {status}");
    }
    let admin = world.person("admin");
    let odd = admin
        .request(Method::GET, "/api/v1/hosts/%ff")
        .send()
        .await
        .unwrap();
    let refused = crate::world::told::<serde_json::Value>(odd)
        .await
        .unwrap_err();
    assert_eq!(refused.code, akwatch_proto::agent::RefusalCode::Malformed);
    for path in ["/api/v1/me", "/api/v1/who-holds"] {
        let status = nobody
            .request(Method::PUT, path)
            .send()
            .await
            .unwrap()
            .status();
        assert!(!status.is_success(), "PUT {path}: {status}");
    }
}
