//! People and what lets them in; the audit log that remembers it; settings.

use std::collections::BTreeMap;

use akwatch_proto::people::Role;
use akwatch_proto::time::Time;
use akwatch_store::access::{Caller, FirstSigningIn, NewApiTokenRecord, NewSession, PersonRecord};
use akwatch_store::audit::Entry;
use akwatch_store::{Actor, Rules as _, Scope};

use crate::world::{TestRules, World};

fn person(name: &str, role: Role) -> PersonRecord {
    PersonRecord {
        name: name.to_owned(),
        role,
        labels: BTreeMap::new(),
        password: "$argon2id$v=19$".to_owned(),
    }
}

fn session(hash: u8, until: Time) -> NewSession {
    NewSession {
        hash: [hash; 32],
        until,
        idle_ms: 1_800_000,
    }
}

async fn signed_in(world: &World, role: Role) {
    let ada = Actor::person("ada", None);
    let put = world
        .store
        .put_person(person("ada", role), Actor::collector(), world.now);
    put.await.unwrap();
    let start = session(1, world.now.plus(7_200_000));
    world
        .store
        .start_session(start, ada, world.now)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_first_link_works_once_and_in_time() {
    let world = World::new().await;
    assert!(!world.store.anybody().await.unwrap());
    let offer = |hash: u8| {
        let until = world.now.plus(1000);
        world
            .store
            .offer_first_sign_in([hash; 32], until, world.now)
    };
    let sign_in = |hash: u8, now: Time| {
        let ada = person("ada", Role::Admin);
        world
            .store
            .first_sign_in([hash; 32], ada, session(hash, now.plus(9000)), None, now)
    };
    offer(1).await.unwrap();
    offer(2).await.unwrap();
    let late = world.now.plus(1000);
    assert_eq!(
        sign_in(1, world.now).await.unwrap(),
        FirstSigningIn::Refused
    );
    assert_eq!(sign_in(2, late).await.unwrap(), FirstSigningIn::Refused);
    assert!(!world.store.anybody().await.unwrap());
    assert_eq!(sign_in(2, world.now).await.unwrap(), FirstSigningIn::Done);
    assert_eq!(
        sign_in(2, world.now).await.unwrap(),
        FirstSigningIn::Refused
    );
    let caller = world.store.session([2; 32], world.now).await.unwrap();
    assert_eq!(
        caller,
        Some(Caller {
            scope: Scope::All,
            name: "ada".to_owned(),
            role: Role::Admin,
            token: None
        })
    );
}

#[tokio::test]
async fn a_session_ends_by_time_by_idleness_by_sign_out_and_by_a_new_password() {
    let world = World::new().await;
    let open = async |after: i64| {
        let now = world.now.plus(after);
        world.store.session([1; 32], now).await.unwrap().is_some()
    };
    let end = || {
        let ada = Actor::person("ada", None);
        world.store.end_session([1; 32], ada, world.now)
    };
    signed_in(&world, Role::Viewer).await;
    assert!(!open(1_800_000).await, "idle for half an hour");
    assert!(open(1_700_000).await);
    assert!(open(3_000_000).await, "each use begins the half hour anew");
    assert!(open(4_700_000).await && open(6_400_000).await);
    assert!(!open(7_200_000).await, "its time is over");
    assert!(end().await.unwrap());
    assert!(!open(0).await);
    assert!(!end().await.unwrap());
    signed_in(&world, Role::Viewer).await;
    assert!(open(0).await);
    let again = person("ada", Role::Viewer);
    world
        .store
        .put_person(again, Actor::collector(), world.now)
        .await
        .unwrap();
    assert!(!open(0).await);
}

#[tokio::test]
async fn a_token_does_no_more_than_its_person() {
    let world = World::new().await;
    signed_in(&world, Role::Admin).await;
    let ada = Actor::person("ada", None);
    let token = |id: &str, person: &str| NewApiTokenRecord {
        id: id.to_owned(),
        hash: [9; 32],
        name: "export".to_owned(),
        role: Role::Responder,
        labels: BTreeMap::new(),
        person: person.to_owned(),
        until: world.now.plus(86_400_000),
    };
    let create = |token| world.store.create_api_token(token, ada.clone(), world.now);
    assert!(create(token("t0", "nobody")).await.unwrap().is_none());
    assert!(create(token("t1", "ada")).await.unwrap().is_some());
    let role = async |after: i64| {
        let caller = world.store.api_token([9; 32], world.now.plus(after)).await;
        caller.unwrap().map(|caller| caller.role)
    };
    assert_eq!(role(0).await, Some(Role::Responder));
    let listed = world.store.api_tokens("ada").await.unwrap();
    assert_eq!(listed[0].last_used, Some(world.now));
    let lowered = person("ada", Role::Viewer);
    world
        .store
        .put_person(lowered, Actor::collector(), world.now)
        .await
        .unwrap();
    assert_eq!(role(0).await, Some(Role::Viewer));
    assert_eq!(role(86_400_000).await, None, "its time is over");
    let labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let narrowed = PersonRecord {
        labels: labels.clone(),
        ..person("ada", Role::Viewer)
    };
    let put = world
        .store
        .put_person(narrowed, Actor::collector(), world.now);
    put.await.unwrap();
    let caller = world.store.api_token([9; 32], world.now).await.unwrap();
    assert_eq!(caller.unwrap().scope, Scope::Labels(labels));
    let delete = |person: &str| {
        let person = person.to_owned();
        world
            .store
            .delete_api_token("t1".to_owned(), person, ada.clone(), world.now)
    };
    assert!(
        !delete("bob").await.unwrap(),
        "another's token is not one's own"
    );
    assert!(delete("ada").await.unwrap());
    assert_eq!(role(0).await, None);
}

#[tokio::test]
async fn every_decision_leaves_its_entry_and_the_chain_holds() {
    let mut world = World::new().await;
    signed_in(&world, Role::Admin).await;
    let host = world.host(&[]).await;
    let ada = Actor::person("ada", Some("192.0.2.1".to_owned()));
    assert!(
        world
            .store
            .retire(host.id, ada.clone(), world.now)
            .await
            .unwrap()
    );
    let asked = Entry {
        time: world.now,
        actor: ada.clone(),
        action: "who-holds".to_owned(),
        object: "a pasted secret".to_owned(),
        result: "done".to_owned(),
    };
    world.store.record(asked).await.unwrap();
    let entries = world.store.entries(0, 1000).await.unwrap();
    let actions: Vec<&str> = entries
        .iter()
        .map(|linked| linked.entry.action.as_str())
        .collect();
    let expected = [
        "put-person",
        "sign-in",
        "create-enrollment-token",
        "enroll-host",
        "retire-host",
        "who-holds",
    ];
    assert_eq!(actions, expected);
    assert_eq!(entries[4].entry.actor, ada);
    let mut previous = [0; 32];
    for (index, linked) in entries.iter().enumerate() {
        assert_eq!(linked.number, index as u64 + 1);
        assert_eq!(linked.previous, previous);
        assert_eq!(linked.hash, TestRules.link(&previous, &linked.entry));
        previous = linked.hash;
    }
    let rest = world.store.entries(4, 1).await.unwrap();
    assert_eq!(rest[0].entry.action, "retire-host");
}

#[tokio::test]
async fn a_setting_is_settled_once_and_may_be_put() {
    let world = World::new().await;
    let name = || "collector.name".to_owned();
    let settle = |value: &str| {
        world
            .store
            .settle_setting(name(), value.to_owned(), world.now)
    };
    assert_eq!(world.store.setting("collector.name").await.unwrap(), None);
    assert_eq!(settle("one").await.unwrap(), "one");
    assert_eq!(settle("two").await.unwrap(), "one");
    let put = world
        .store
        .put_setting(name(), "three".to_owned(), Actor::collector(), world.now);
    put.await.unwrap();
    let stands = world.store.setting("collector.name").await.unwrap();
    assert_eq!(stands.as_deref(), Some("three"));
}
