//! Decisions: what people say of a credential, what follows from it, and who was faster.

use std::collections::BTreeMap;

use akwatch_proto::people::{CredentialRef, Decide, Decision, Disposition, Verdict};
use akwatch_proto::time::Time;
use akwatch_store::decisions::Deciding;
use akwatch_store::{Actor, Scope};

use crate::world::{Agent, World, file, finding, gone, key_id, reference};

fn decide(disposition: Disposition, version: u64) -> Decide {
    Decide {
        disposition,
        version,
        until: None,
        note: None,
    }
}

async fn decided(world: &World, credential: &CredentialRef, asked: Decide) -> Deciding {
    let actor = Actor::person("ada", None);
    let deciding = world
        .store
        .decide(Scope::All, credential.clone(), asked, actor, world.now);
    deciding.await.unwrap()
}

async fn verdict(world: &World, credential: &CredentialRef) -> (Verdict, Decision) {
    let detail = world.store.credential(&Scope::All, credential).await;
    let detail = detail.unwrap().unwrap();
    assert_eq!(detail.credential.disposition, detail.decision.disposition);
    (detail.credential.verdict, detail.decision)
}

async fn one(world: &mut World) -> (Agent, CredentialRef) {
    let mut agent = world.host(&[("env", "prod")]).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let credential = world.report(report).await.credentials[0].clone();
    (agent, credential)
}

#[tokio::test]
async fn the_verdict_follows_the_decision_and_the_faster_of_two_stands() {
    let mut world = World::new().await;
    let (mut agent, credential) = one(&mut world).await;
    assert_eq!(verdict(&world, &credential).await.0, Verdict::Exposed);
    let done = decided(&world, &credential, decide(Disposition::Rotated, 0)).await;
    let Deciding::Done(first) = done else {
        panic!("{done:?}")
    };
    assert_eq!((first.version, first.by.as_deref()), (1, Some("ada")));
    let (now, stands) = verdict(&world, &credential).await;
    assert_eq!(now, Verdict::RotatedStillPresent);
    assert_eq!(stands, first);
    let late = decided(&world, &credential, decide(Disposition::New, 0)).await;
    assert_eq!(late, Deciding::Conflict(first.clone()));
    assert_eq!(verdict(&world, &credential).await.1, first);
    let report = agent.report(vec![gone(finding(file("/etc/a"), 1))]);
    let _ = world.report(report).await;
    assert_eq!(verdict(&world, &credential).await.0, Verdict::Closed);
    let overview = world.store.overview(&Scope::All, world.now).await.unwrap();
    assert_eq!(overview.places.present, 0);
    let detail = world.store.credential(&Scope::All, &credential).await;
    let history: Vec<(String, Option<String>)> = detail
        .unwrap()
        .unwrap()
        .timeline
        .into_iter()
        .map(|entry| (entry.what, entry.person))
        .collect();
    assert!(history.contains(&("decided".to_owned(), Some("ada".to_owned()))));
    let entries = world.store.entries(0, 100).await.unwrap();
    let entry = &entries.last().unwrap().entry;
    assert_eq!(entry.action, "decide");
    assert!(entry.object.ends_with("new → rotated"), "{}", entry.object);
}

#[tokio::test]
async fn an_accepted_risk_is_open_again_when_its_time_is_over() {
    let mut world = World::new().await;
    let (_, credential) = one(&mut world).await;
    let accepted = Decide {
        until: Some(world.now.plus(60_000)),
        note: Some("until the move".to_owned()),
        ..decide(Disposition::Accepted, 0)
    };
    let done = decided(&world, &credential, accepted).await;
    assert!(matches!(done, Deciding::Done(_)), "{done:?}");
    let open = async |world: &World| {
        let rows = world.store.overview(&Scope::All, world.now).await.unwrap();
        rows.top_credentials.len()
    };
    assert_eq!(open(&world).await, 0);
    assert_eq!(world.store.reopen_expired(world.now).await.unwrap(), 0);
    let now: Time = world.later(60);
    assert_eq!(world.store.reopen_expired(now).await.unwrap(), 1);
    assert_eq!(world.store.reopen_expired(now).await.unwrap(), 0);
    let (_, stands) = verdict(&world, &credential).await;
    assert_eq!(stands.disposition, Disposition::New);
    assert_eq!(
        (stands.version, stands.by.as_deref()),
        (2, Some("collector"))
    );
    assert_eq!(open(&world).await, 1);
}

#[tokio::test]
async fn nobody_decides_for_hosts_out_of_sight() {
    let mut world = World::new().await;
    let (_, shared) = one(&mut world).await;
    let mut test = world.host(&[("env", "test")]).await;
    let report = test.report(vec![finding(file("/etc/a"), 1), finding(file("/etc/b"), 2)]);
    let applied = world.report(report).await;
    let theirs = applied.credentials.iter().find(|one| **one != shared);
    let within = async |value: &str, credential: &CredentialRef| {
        let scope = Scope::Labels(BTreeMap::from([("env".to_owned(), value.to_owned())]));
        let asked = decide(Disposition::Acknowledged, 0);
        let actor = Actor::person("eve", None);
        let deciding = world
            .store
            .decide(scope, credential.clone(), asked, actor, world.now);
        deciding.await.unwrap()
    };
    let theirs = theirs.unwrap();
    assert_eq!(within("prod", &shared).await, Deciding::Beyond);
    assert_eq!(within("prod", theirs).await, Deciding::Unknown);
    assert_eq!(within("none", theirs).await, Deciding::Unknown);
    assert!(matches!(within("test", theirs).await, Deciding::Done(_)));
    let none = CredentialRef::parse("cr_nothing").unwrap();
    let asked = decide(Disposition::Acknowledged, 0);
    assert_eq!(decided(&world, &none, asked).await, Deciding::Unknown);
}

#[tokio::test]
async fn what_was_said_of_an_id_holds_for_its_key() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![reference(file("/etc/a"), 7)]);
    let lone = world.report(report).await.credentials[0].clone();
    let done = decided(&world, &lone, decide(Disposition::Acknowledged, 0)).await;
    assert!(matches!(done, Deciding::Done(_)));
    let report = agent.report(vec![finding(file("/etc/b"), 7)]);
    let _ = world.report(report).await;
    let (_, stands) = verdict(&world, &lone).await;
    assert_eq!(
        stands.disposition,
        Disposition::Acknowledged,
        "{}",
        key_id(7)
    );
}
