//! Lists: every filter, every order, and pages that neither repeat nor leave out.

use std::collections::BTreeSet;

use akwatch_proto::credential::{Confidence, Kind, RuleId};
use akwatch_proto::finding::Proof;
use akwatch_proto::people::{CredentialQuery, CredentialRef, FindingQuery, HostQuery};
use akwatch_store::filter::{CredentialFilter, FindingFilter, HostFilter};
use akwatch_store::{Scope, StoreError};

use crate::world::{Agent, SEEN, World, file, finding, gone, key_id, process, reference, unknown};

/// Two hosts with findings of every sort.
async fn populated() -> (World, Agent, CredentialRef) {
    let mut world = World::new().await;
    let mut web = world.host(&[("env", "prod")]).await;
    let mut other = world.host(&[]).await;
    let mut token = finding(file("/srv/token_100%.yml"), 2);
    token.rule = RuleId::parse("test.token").unwrap();
    token.kind = Kind::Token;
    token.confidence = Confidence::Strong;
    token.first_seen = SEEN.plus(50_000);
    let report = web.report(vec![
        finding(file("/opt/app/.env"), 1),
        unknown(finding(process("payments.service"), 1)),
        gone(finding(file("/home/ada/notes"), 1)),
        token,
        reference(file("/etc/inventory"), 3),
    ]);
    let _ = world.report(report).await;
    let report = other.report(vec![finding(file("/opt/app/.env"), 1)]);
    let _ = world.report(report).await;
    let holders = world.store.holders_of_id(&Scope::All, &key_id(1)).await;
    let credential = holders.unwrap().credential.unwrap().reference;
    (world, web, credential)
}

/// How many findings match, as counted and as listed.
async fn matching(world: &World, change: impl FnOnce(&mut FindingQuery)) -> u64 {
    let mut query = FindingQuery::default();
    change(&mut query);
    let filter = FindingFilter::try_from(&query).unwrap();
    let page = world.store.findings(&Scope::All, &filter).await.unwrap();
    assert_eq!(page.total, page.rows.len() as u64);
    page.total
}

#[tokio::test]
async fn findings_are_filtered_by_every_filter() {
    let (world, web, credential) = populated().await;
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(matching(&world, |_| {}).await, 5, "references are left out");
    assert_eq!(matching(&world, |q| q.presence = text("present")).await, 3);
    assert_eq!(
        matching(&world, |q| q.presence = text("gone,unknown")).await,
        2
    );
    assert_eq!(matching(&world, |q| q.host = Some(web.id)).await, 4);
    assert_eq!(
        matching(&world, |q| q.credential = Some(credential)).await,
        4
    );
    let nothing = CredentialRef::parse("cr_zz").unwrap();
    assert_eq!(matching(&world, |q| q.credential = Some(nothing)).await, 0);
    assert_eq!(
        matching(&world, |q| q.id = text(key_id(1).as_str())).await,
        4
    );
    assert_eq!(
        matching(&world, |q| q.id = text(key_id(3).as_str())).await,
        1
    );
    assert_eq!(matching(&world, |q| q.provider = text("test,aws")).await, 5);
    assert_eq!(matching(&world, |q| q.provider = text("aws")).await, 0);
    assert_eq!(matching(&world, |q| q.rule = text("test.token")).await, 1);
    assert_eq!(matching(&world, |q| q.kind = text("reference")).await, 1);
    assert_eq!(
        matching(&world, |q| q.kind = text("token,reference")).await,
        2
    );
    assert_eq!(
        matching(&world, |q| q.confidence = Some(Confidence::Paired)).await,
        4
    );
    assert_eq!(
        matching(&world, |q| q.place_type = text("process")).await,
        1
    );
    assert_eq!(
        matching(&world, |q| q.place_type = text("history,file")).await,
        4
    );
    assert_eq!(matching(&world, |q| q.q = text(".ENV")).await, 2);
    assert_eq!(matching(&world, |q| q.q = text("payments")).await, 1);
    assert_eq!(matching(&world, |q| q.q = text("100%")).await, 1);
    assert_eq!(
        matching(&world, |q| q.q = text("a_p")).await,
        0,
        "no wildcard"
    );
    let since = Some(SEEN.plus(1));
    assert_eq!(matching(&world, |q| q.since = since).await, 1);
}

#[tokio::test]
async fn credentials_are_filtered_by_every_filter() {
    let (world, web, _) = populated().await;
    let text = |value: &str| Some(value.to_owned());
    let matching = async |change: &dyn Fn(&mut CredentialQuery)| {
        let mut query = CredentialQuery::default();
        change(&mut query);
        let filter = CredentialFilter::try_from(&query).unwrap();
        let page = world.store.credentials(&Scope::All, &filter).await.unwrap();
        assert_eq!(page.total, page.rows.len() as u64);
        let host = Scope::Host(web.id);
        let scoped = world.store.credentials(&host, &filter).await.unwrap();
        assert_eq!(scoped.total, page.total, "both sources filter alike");
        page.total
    };
    assert_eq!(matching(&|_| {}).await, 2);
    assert_eq!(matching(&|q| q.verdict = text("open")).await, 2);
    assert_eq!(matching(&|q| q.verdict = text("exposed")).await, 2);
    assert_eq!(matching(&|q| q.verdict = text("closed")).await, 0);
    assert_eq!(matching(&|q| q.verdict = text("open,closed")).await, 2);
    assert_eq!(matching(&|q| q.provider = text("aws")).await, 0);
    assert_eq!(matching(&|q| q.kind = text("token")).await, 1);
    assert_eq!(matching(&|q| q.kind = text("reference")).await, 1);
    assert_eq!(matching(&|q| q.presence = text("gone")).await, 1);
    assert_eq!(matching(&|q| q.presence = text("unknown,present")).await, 2);
    assert_eq!(matching(&|q| q.score = text("75..")).await, 1);
    assert_eq!(matching(&|q| q.score = text("..74")).await, 1);
    assert_eq!(matching(&|q| q.host = Some(web.id)).await, 2);
    assert_eq!(matching(&|q| q.id = text(key_id(1).as_str())).await, 1);
    assert_eq!(
        matching(&|q| q.id = text(key_id(3).as_str())).await,
        1,
        "by id, a reference too"
    );
}

const NUMBER: u64 = 53;

/// Many findings with few different sort keys, so that ties must be broken.
async fn many() -> (World, Agent) {
    let mut world = World::new().await;
    let mut agent = world.host(&[("env", "prod")]).await;
    let findings = (0..NUMBER)
        .map(|number| {
            let mut one = finding(file(&format!("/etc/{:02}", number % 7)), number);
            one.first_seen = SEEN.plus(i64::try_from(number % 3).unwrap());
            one.last_verified = SEEN.plus(i64::try_from(number % 4).unwrap());
            one.confidence = [Confidence::Strong, Confidence::Paired][(number % 2) as usize];
            one
        })
        .collect();
    let report = agent.report(findings);
    let _ = world.report(report).await;
    (world, agent)
}

#[tokio::test]
async fn pages_of_findings_are_whole_in_every_order_while_others_arrive() {
    let (world, mut agent) = many().await;
    for (round, sort) in ["-score", "-first_seen", "-last_verified", "host", "path"]
        .iter()
        .enumerate()
    {
        let mut seen = BTreeSet::new();
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let filter = FindingFilter::try_from(&FindingQuery {
                sort: Some((*sort).to_owned()),
                cursor,
                limit: Some(10),
                ..FindingQuery::default()
            })
            .unwrap();
            let page = world.store.findings(&Scope::All, &filter).await.unwrap();
            for row in &page.rows {
                assert!(seen.insert(row.reference.clone()), "{sort}: {row:?} twice");
            }
            // What arrives meanwhile may show or not; it must not disturb the rest.
            if pages == 1 {
                let new = finding(file("/etc/00"), 1000 + round as u64);
                let report = agent.report(vec![new]);
                let _ = world.report(report).await;
            }
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let least = usize::try_from(NUMBER).unwrap() + round;
        assert!(
            seen.len() == least || seen.len() == least + 1,
            "{sort}: {}",
            seen.len()
        );
    }
}

#[tokio::test]
async fn pages_of_credentials_are_whole_in_both_sources() {
    let (world, agent) = many().await;
    for scope in [Scope::All, Scope::Host(agent.id)] {
        for sort in ["-score", "-hosts", "-places", "-last_seen", "first_seen"] {
            let mut seen = BTreeSet::new();
            let mut cursor = None;
            loop {
                let filter = CredentialFilter::try_from(&CredentialQuery {
                    sort: Some(sort.to_owned()),
                    cursor,
                    limit: Some(10),
                    ..CredentialQuery::default()
                })
                .unwrap();
                let page = world.store.credentials(&scope, &filter).await.unwrap();
                assert_eq!(page.total, NUMBER);
                seen.extend(page.rows.into_iter().map(|row| row.reference));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len() as u64, NUMBER, "{sort}");
        }
    }
}

#[tokio::test]
async fn hosts_are_sorted_and_paged() {
    let mut world = World::new().await;
    for _ in 0..5 {
        let _ = world.host(&[]).await;
    }
    for sort in ["-score", "name", "-last_heard", "-open"] {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let filter = HostFilter::try_from(&HostQuery {
                sort: Some(sort.to_owned()),
                cursor,
                limit: Some(2),
                ..HostQuery::default()
            })
            .unwrap();
            let page = world.store.hosts(&Scope::All, &filter).await.unwrap();
            seen.extend(page.rows.into_iter().map(|row| row.name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if sort == "name" {
            assert!(seen.is_sorted());
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5, "{sort}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_or_of_nobody_is_refused() {
    let (world, _) = many().await;
    let list = async |sort: &str, cursor: Option<String>| {
        let filter = FindingFilter::try_from(&FindingQuery {
            sort: Some(sort.to_owned()),
            cursor,
            limit: Some(10),
            ..FindingQuery::default()
        })
        .unwrap();
        world.store.findings(&Scope::All, &filter).await
    };
    let next = list("-score", None).await.unwrap().next;
    assert!(list("-score", next.clone()).await.is_ok());
    for bad in [next.unwrap(), "e30".to_owned(), "' OR 1=1 --".to_owned()] {
        let refused = list("path", Some(bad)).await;
        assert!(matches!(refused, Err(StoreError::BadCursor)), "{refused:?}");
    }
}

#[tokio::test]
async fn what_expires_is_scored_again_when_it_has() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut temporary = finding(file("/opt/a"), 1);
    temporary.proof = vec![Proof::Expires {
        at: world.now.plus(60_000),
    }];
    let report = agent.report(vec![temporary]);
    let _ = world.report(report).await;
    let score = async || {
        let rows = world.findings(&FindingFilter::default()).await;
        let page = world
            .store
            .credentials(&Scope::All, &CredentialFilter::default())
            .await;
        (rows[0].score, page.unwrap().rows[0].score)
    };
    let rescore = |after: i64| world.store.rescore_expired(world.now.plus(after));
    assert_eq!(rescore(59_999).await.unwrap(), 0);
    assert_eq!(score().await, (80, 80));
    assert_eq!(rescore(60_000).await.unwrap(), 1);
    assert_eq!(score().await, (5, 5));
    assert_eq!(rescore(60_001).await.unwrap(), 0, "once is enough");
}
