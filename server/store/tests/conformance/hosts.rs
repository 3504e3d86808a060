//! Hosts: enrolled once a token allows it, heard, silent, retired; and the lists of them.

use akwatch_proto::agent::{HostFacts, HostId, Outcome, OutcomeResult};
use akwatch_proto::coverage::Covered;
use akwatch_proto::finding::{Presence, PresenceState, UnknownWhy};
use akwatch_proto::people::{HostQuery, HostState, Verdict};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_proto::time::Time;
use akwatch_store::enrollment::{NewCertificate, TokenRefusal, UnknownCertificate};
use akwatch_store::filter::{CredentialFilter, FindingFilter, HostFilter};
use akwatch_store::hosts::{Beat, Beaten, Enrolling, Listened, NotTaken};
use akwatch_store::{Actor, Scope};

use crate::world::{Agent, World, coverage, file, finding, new_host, token};

async fn states(world: &World) -> Vec<HostState> {
    let filter = HostFilter::try_from(&HostQuery {
        sort: Some("name".to_owned()),
        ..HostQuery::default()
    })
    .unwrap();
    let page = world.store.hosts(&Scope::All, &filter).await.unwrap();
    page.rows.into_iter().map(|row| row.state).collect()
}

#[tokio::test]
async fn a_token_lets_in_as_many_as_it_may_and_no_other() {
    let world = World::new().await;
    let good = token(2, world.now.plus(1000), &[("env", "prod")]);
    let stored = world
        .store
        .create_token(good.clone(), Actor::person("ada", None), world.now)
        .await
        .unwrap();
    assert_eq!(stored.created_by, "ada");
    let enroll = async |number: u128, now: Time, change: fn(&mut [u8; 32])| {
        let mut host = new_host(HostId::from_u128(number), &good);
        change(&mut host.secret_hash);
        world.store.enroll(host, now).await.unwrap()
    };
    let refused = |why| Enrolling::Refused(why);
    let wrong = |hash: &mut [u8; 32]| hash[0] ^= 1;
    assert_eq!(
        enroll(1, world.now, wrong).await,
        refused(TokenRefusal::Unknown)
    );
    assert!(matches!(
        enroll(2, world.now, |_| {}).await,
        Enrolling::Enrolled { labels } if labels["env"] == "prod"
    ));
    let late = world.now.plus(1000);
    assert_eq!(
        enroll(3, late, |_| {}).await,
        refused(TokenRefusal::Expired)
    );
    assert!(matches!(
        enroll(4, world.now, |_| {}).await,
        Enrolling::Enrolled { .. }
    ));
    assert_eq!(
        enroll(5, world.now, |_| {}).await,
        refused(TokenRefusal::UsedUp)
    );
    let unknown = token(1, late, &[]);
    let host = new_host(HostId::from_u128(6), &unknown);
    let answer = world.store.enroll(host, world.now).await.unwrap();
    assert_eq!(answer, refused(TokenRefusal::Unknown));
    assert_eq!(world.store.tokens(&Scope::All).await.unwrap()[0].used, 2);
    assert_eq!(states(&world).await, [HostState::Pending; 2]);
    let gone = world
        .store
        .delete_token(good.id.clone(), Actor::collector(), world.now)
        .await;
    assert!(gone.unwrap());
    assert!(world.store.tokens(&Scope::All).await.unwrap().is_empty());
}

#[tokio::test]
async fn until_its_first_word_the_same_key_is_answered_the_same() {
    let mut world = World::new().await;
    let one = token(1, world.now.plus(60_000), &[("env", "prod")]);
    let actor = Actor::collector();
    let created = world.store.create_token(one.clone(), actor, world.now);
    created.await.unwrap();
    let first = new_host(HostId::from_u128(1), &one);
    let ask = async |number: u128, key: [u8; 32], now: Time| {
        let mut host = new_host(HostId::from_u128(number), &one);
        host.key = key;
        world.store.enroll(host, now).await.unwrap()
    };
    assert!(matches!(
        ask(1, first.key, world.now).await,
        Enrolling::Enrolled { .. }
    ));
    let same = Enrolling::Again {
        host: first.id,
        pem: first.pem.clone(),
    };
    for number in 2..4 {
        assert_eq!(ask(number, first.key, world.now).await, same);
    }
    let refused = |why| Enrolling::Refused(why);
    let other = [9; 32];
    assert_eq!(
        ask(4, other, world.now).await,
        refused(TokenRefusal::UsedUp)
    );
    let late = world.now.plus(60_000);
    let expired = refused(TokenRefusal::Expired);
    assert_eq!(ask(5, first.key, late).await, expired);
    assert_eq!(states(&world).await, [HostState::Pending]);
    assert_eq!(world.store.tokens(&Scope::All).await.unwrap()[0].used, 1);
    let mut agent = Agent {
        id: first.id,
        instance: uuid::Uuid::from_u128(1),
        revision: 0,
        counter: 0,
        held: std::collections::BTreeMap::new(),
    };
    let now = world.later(1);
    let _ = world.beat(agent.heartbeat(now)).await;
    let again = new_host(HostId::from_u128(6), &one);
    let again = world.store.enroll(again, world.now);
    assert_eq!(again.await.unwrap(), refused(TokenRefusal::UsedUp));
}

#[tokio::test]
async fn two_hosts_cannot_share_the_last_use_of_a_token() {
    let world = World::new().await;
    let one = token(1, world.now.plus(1000), &[]);
    let _ = world
        .store
        .create_token(one.clone(), Actor::collector(), world.now)
        .await
        .unwrap();
    let enroll = |number| {
        let host = new_host(HostId::from_u128(number), &one);
        world.store.enroll(host, world.now)
    };
    let (first, second) = tokio::join!(enroll(1), enroll(2));
    let let_in = [first.unwrap(), second.unwrap()]
        .iter()
        .filter(|answer| matches!(answer, Enrolling::Enrolled { .. }))
        .count();
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn a_host_that_is_not_heard_is_silent_and_its_findings_are_unknown() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let _ = world.host(&[]).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let applied = world.report(report).await;
    assert_eq!(states(&world).await, [HostState::Live, HostState::Pending]);
    let heard = world.now;
    assert!(world.silence().await.is_empty());
    world.later(180);
    assert!(world.silence().await.is_empty());
    world.later(1);
    assert_eq!(world.silence().await, [agent.id]);
    assert!(world.silence().await.is_empty());
    assert_eq!(
        states(&world).await,
        [HostState::Silent, HostState::Pending]
    );

    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(
        rows[0].presence,
        Presence::Unknown {
            since: heard,
            why: UnknownWhy::HostSilent
        }
    );
    let detail = async || {
        let detail = world.store.credential(&Scope::All, &applied.credentials[0]);
        detail.await.unwrap().unwrap()
    };
    let silent = detail().await;
    assert_eq!(silent.credential.verdict, Verdict::NotVerified);
    assert_eq!(
        (silent.credential.places.unknown, silent.credential.hosts),
        (1, 1)
    );
    assert_eq!(silent.timeline[0].what, "silent");

    // One word, and it counts as said again.
    let _ = world.digest(&mut agent).await;
    let heard = detail().await;
    assert_eq!(heard.credential.verdict, Verdict::Exposed);
    assert_eq!(heard.timeline[0].what, "heard-again");
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Present);
}

/// An ephemeral host and one that is not, both silent in a moment, beside one that goes on.
async fn fleeting() -> (World, [Agent; 3]) {
    let mut world = World::new().await;
    let mut agents = [
        world.host(&[]).await,
        world.host(&[]).await,
        world.host(&[]).await,
    ];
    let now = world.now;
    for (agent, ephemeral) in agents.iter_mut().zip([true, false, true]) {
        let mut beat = agent.heartbeat(now);
        beat.facts = Some(HostFacts {
            hostname: "web-03".to_owned(),
            ephemeral,
            ..HostFacts::default()
        });
        let _ = world.beat(beat).await;
    }
    assert!(world.silence().await.is_empty());
    (world, agents)
}

/// So many minutes in which a host is heard, if one is given, and the collector asks as it does.
async fn minutes(world: &mut World, count: u32, mut heard: Option<&mut Agent>) -> Vec<HostId> {
    let mut retired = Vec::new();
    for _ in 0..count {
        world.later(60);
        if let Some(agent) = &mut heard {
            let _ = world.digest(agent).await;
        }
        let _ = world.silence().await;
        retired.extend(retire_ephemeral(world, world.listened()).await);
    }
    retired
}

async fn retire_ephemeral(world: &World, listened: Listened) -> Vec<HostId> {
    let ended = world
        .store
        .retire_ephemeral(3600 * 1000, listened, Actor::collector(), world.now);
    ended.await.unwrap()
}

#[tokio::test]
async fn an_ephemeral_host_that_stays_silent_is_retired_and_no_other_is() {
    let (mut world, [fleeting, _lasting, mut third]) = fleeting().await;
    // Silent after more than three minutes, and for an hour from then on.
    assert!(minutes(&mut world, 64, Some(&mut third)).await.is_empty());
    let retired = minutes(&mut world, 1, Some(&mut third)).await;
    assert_eq!(retired, [fleeting.id]);
    assert!(minutes(&mut world, 90, Some(&mut third)).await.is_empty());
    let mut after = states(&world).await;
    after.sort_unstable_by_key(|state| format!("{state:?}"));
    assert_eq!(
        after,
        [HostState::Live, HostState::Retired, HostState::Silent]
    );
}

#[tokio::test]
async fn an_ephemeral_host_is_not_retired_by_a_clock_that_is_set() {
    let (mut world, [_, _, mut third]) = fleeting().await;
    // Set ahead by two hours: nothing more was heard, and nothing is silent.
    let listened = world.listened();
    world.later(7200);
    let marked = world.store.mark_silent(3, listened, world.now);
    assert!(marked.await.unwrap().is_empty());
    assert!(retire_ephemeral(&world, listened).await.is_empty());
    // Silent for 59 minutes when the clocks broke: its hour begins anew.
    world.now = world.now.plus(-7200 * 1000);
    assert!(minutes(&mut world, 64, Some(&mut third)).await.is_empty());
    world.later(30);
    let mut broken = world.listened();
    broken.unbroken_since = broken.ms;
    assert!(retire_ephemeral(&world, broken).await.is_empty());
    assert!(minutes(&mut world, 59, Some(&mut third)).await.is_empty());
    assert_eq!(minutes(&mut world, 1, Some(&mut third)).await.len(), 1);
}

#[tokio::test]
async fn an_ephemeral_host_is_not_retired_while_nobody_is_heard() {
    let (mut world, [mut fleeting, _, mut third]) = fleeting().await;
    // The collector's network is away for two hours.
    assert!(minutes(&mut world, 120, None).await.is_empty());
    assert_eq!(states(&world).await, [HostState::Silent; 3]);
    // It is back: one is heard at once, the other after it has waited for its turn.
    assert!(minutes(&mut world, 5, Some(&mut third)).await.is_empty());
    assert!(
        minutes(&mut world, 70, Some(&mut fleeting))
            .await
            .contains(&third.id),
        "what falls silent beside others ends"
    );
    let live = world.store.live_hosts(&Scope::All).await.unwrap();
    assert_eq!(live, [fleeting.id]);
}

#[tokio::test]
async fn a_retired_host_closes_its_findings_unverified() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let applied = world.report(report).await;
    let serial = new_host(agent.id, &token(1, world.now, &[]))
        .certificate
        .serial;
    let retire = || {
        world
            .store
            .retire(agent.id, Actor::person("ada", None), world.now)
    };
    assert!(retire().await.unwrap());
    assert!(!retire().await.unwrap(), "it is retired once");
    let rows = world.findings(&FindingFilter::default()).await;
    assert!(matches!(
        rows[0].presence,
        Presence::Unknown {
            why: UnknownWhy::HostRetired,
            ..
        }
    ));
    let detail = world
        .store
        .credential(&Scope::All, &applied.credentials[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.credential.verdict, Verdict::Closed);
    assert_eq!(detail.credential.score, 0);
    assert_eq!(detail.timeline[0].what, "retired");
    assert_eq!(detail.timeline[0].person.as_deref(), Some("ada"));
    let certificate = world.store.certificate(&Scope::All, &serial).await.unwrap();
    assert!(certificate.unwrap().revoked);
    let revoked = world.store.revoked(&Scope::All, world.now).await.unwrap();
    assert!(revoked.contains(&serial));
    let mut again = agent.clone();
    let beat = Beat {
        heartbeat: again.heartbeat(world.now),
        peer: None,
    };
    let answer = world.store.beat(beat, world.now).await.unwrap();
    assert_eq!(answer, Beaten::NotTaken(NotTaken::Retired));
}

#[tokio::test]
async fn a_heartbeat_tells_counter_facts_and_coverage() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut beat = agent.heartbeat(world.now);
    beat.facts = Some(HostFacts {
        hostname: "web\u{1b}[2J-03".to_owned(),
        addresses: vec!["203.0.113.9".to_owned()],
        os: "Debian 12".to_owned(),
        ..HostFacts::default()
    });
    beat.unsent = 4;
    let recorded = world.beat(beat).await;
    assert_eq!((recorded.previous_counter, recorded.upto), (0, 0));
    assert_eq!(recorded.state_before, HostState::Pending);
    let detail = world
        .store
        .host_detail(&Scope::All, agent.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        detail.host.name, "web\\u{1b}[2J-03",
        "hostile names are escaped"
    );
    assert_eq!(detail.host.covered, Covered::Whole);
    assert_eq!((detail.unsent, detail.clock_ahead_ms), (4, 1500));
    assert_eq!(detail.peer.as_deref(), Some("192.0.2.7"));
    assert_eq!(detail.coverage, Some(coverage(Covered::Whole)));
    let mut beat = agent.heartbeat(world.now);
    beat.coverage = coverage(Covered::Partly);
    assert_eq!(world.beat(beat).await.previous_counter, 1);
    let overview = world.store.overview(&Scope::All, world.now).await.unwrap();
    assert_eq!((overview.coverage.partly, overview.waiting), (1, 3));
}

#[tokio::test]
async fn hosts_are_found_by_name_address_and_id_within_scope() {
    let mut world = World::new().await;
    let prod = world.host(&[("env", "prod")]).await;
    let _ = world.host(&[("env", "test")]).await;
    let scope = |value: &str| {
        Scope::Labels(std::collections::BTreeMap::from([(
            "env".to_owned(),
            value.to_owned(),
        )]))
    };
    let found = async |scope: &Scope, q: &str| {
        let filter = HostFilter::try_from(&HostQuery {
            q: Some(q.to_owned()),
            ..HostQuery::default()
        })
        .unwrap();
        world.store.hosts(scope, &filter).await.unwrap().total
    };
    assert_eq!(found(&Scope::All, "host-").await, 2);
    assert_eq!(found(&Scope::All, "host-1").await, 1);
    assert_eq!(found(&Scope::All, "192.0.2.2").await, 1);
    assert_eq!(found(&Scope::All, &prod.id.to_string()).await, 1);
    assert_eq!(found(&Scope::All, "%").await, 0, "a pattern is no wildcard");
    assert_eq!(found(&scope("prod"), "").await, 1);
    assert_eq!(found(&scope("none"), "").await, 0);
    assert_eq!(
        found(&Scope::Labels(std::collections::BTreeMap::new()), "").await,
        0
    );
    assert!(
        world
            .store
            .host(&scope("test"), prod.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        world
            .store
            .host(&Scope::Host(prod.id), prod.id)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_a_scope_does_not_hold_is_not_counted() {
    let mut world = World::new().await;
    let mut prod = world.host(&[("env", "prod")]).await;
    let mut test = world.host(&[("env", "test")]).await;
    let report = prod.report(vec![finding(file("/etc/a"), 1)]);
    let shared = world.report(report).await.credentials[0].clone();
    let report = test.report(vec![finding(file("/etc/a"), 1), finding(file("/etc/b"), 2)]);
    let _ = world.report(report).await;
    let scope = Scope::Labels(std::collections::BTreeMap::from([(
        "env".to_owned(),
        "prod".to_owned(),
    )]));
    let page = world
        .store
        .credentials(&scope, &CredentialFilter::default())
        .await
        .unwrap();
    assert_eq!(page.total, 1);
    assert_eq!((page.rows[0].hosts, page.rows[0].places.present), (1, 1));
    let detail = world
        .store
        .credential(&scope, &shared)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((detail.places.len(), detail.timeline.len()), (1, 1));
    // Nor can a filter ask what a host out of sight holds.
    for (host, total) in [(prod.id, 1), (test.id, 0)] {
        let on_host = CredentialFilter {
            host: Some(host),
            ..CredentialFilter::default()
        };
        let page = world.store.credentials(&scope, &on_host).await.unwrap();
        assert_eq!(page.total, total);
    }
    let other = world.store.overview(&scope, world.now).await.unwrap();
    assert_eq!((other.places.present, other.hosts.live), (1, 1));
    assert_eq!(other.days[0].new, 1);
}

#[tokio::test]
async fn certificates_are_renewed_and_revoked() {
    let mut world = World::new().await;
    let agent = world.host(&[]).await;
    let add = |serial: &str, now: Time| {
        let certificate = NewCertificate {
            serial: serial.to_owned(),
            until: now.plus(1000),
        };
        let peer = Some("192.0.2.7".to_owned());
        world
            .store
            .add_certificate(agent.id, certificate, peer, now)
    };
    assert!(add("c1", world.now).await.unwrap());
    // The collector's clock was set back: it ends before the first, and is later all the same.
    assert!(add("c2", world.now.plus(-1)).await.unwrap());
    let told = world.store.entries(0, 100).await.unwrap();
    let renewed: Vec<_> = told
        .iter()
        .filter(|told| told.entry.action == "renew-certificate")
        .map(|told| told.entry.actor.from.as_deref())
        .collect();
    assert_eq!(renewed, [Some("192.0.2.7"); 2]);
    let check = async |serial: &str, latest: bool, revoked: bool| {
        let record = world.store.certificate(&Scope::All, serial).await;
        let record = record.unwrap().unwrap();
        assert_eq!(
            (record.latest, record.revoked),
            (latest, revoked),
            "{serial}"
        );
        assert_eq!(record.host, agent.id);
    };
    // Neither was shown: the answer that carried the second may have been lost.
    check("c1", true, false).await;
    check("c2", true, false).await;
    let used = world
        .store
        .note_certificate_used("c2".to_owned(), world.now);
    used.await.unwrap();
    check("c1", false, false).await;
    check("c2", true, false).await;
    let revoke = |serial: &str| {
        world
            .store
            .revoke_certificate(serial.to_owned(), Actor::collector(), world.now)
    };
    assert!(revoke("c2").await.unwrap());
    assert!(!revoke("c2").await.unwrap());
    check("c2", false, true).await;
    check("c1", true, false).await;
    let later = world.now.plus(2000);
    let revoked = world.store.revoked(&Scope::All, later).await.unwrap();
    assert!(revoked.is_empty(), "what has ended needs no entry");
    assert!(
        world
            .store
            .certificate(&Scope::All, "none")
            .await
            .unwrap()
            .is_none()
    );
}

/// After a restore: the order of rows is the order of what was shown, and says nothing.
#[tokio::test]
async fn what_is_taken_over_is_later_only_if_it_ends_later() {
    let mut world = World::new().await;
    let host = world.host(&[]).await.id;
    let adopt = async |serial: &str, days: i64, ended: bool| {
        let unknown = UnknownCertificate {
            host,
            certificate: NewCertificate {
                serial: serial.to_owned(),
                until: world.now.plus(days * 86_400_000),
            },
            ended,
            peer: Some("192.0.2.9".to_owned()),
            heartbeat_seconds: 60,
        };
        let adopted = world.store.adopt_certificate(unknown, world.now).await;
        let used = world
            .store
            .note_certificate_used(serial.to_owned(), world.now);
        used.await.unwrap();
        adopted.unwrap()
    };
    let latest = async |serial: &str| {
        let record = world.store.certificate(&Scope::All, serial).await;
        record.unwrap().unwrap().latest
    };
    // The host's own is shown first, then an older one that somebody copied.
    assert!(adopt("cc", 7, false).await);
    assert!(adopt("dd", 4, false).await);
    assert!(latest("cc").await, "the host's own still renews");
    assert!(!latest("dd").await, "the copy does not");
    // One that has ended renews only where nothing later was shown.
    assert!(!adopt("ee", -1, true).await);
    assert!(adopt("ff", 8, true).await);
    let told = world.store.entries(0, 100).await.unwrap();
    let adopted: Vec<_> = told
        .iter()
        .filter(|told| told.entry.action == "adopt-certificate")
        .map(|told| told.entry.actor.from.as_deref())
        .collect();
    assert_eq!(adopted, [Some("192.0.2.9"); 3]);
}

#[tokio::test]
async fn a_certificate_that_no_row_tells_of_is_taken_over_once_with_its_host() {
    let mut world = World::new().await;
    let (agent, retired) = (world.host(&[]).await, world.host(&[]).await);
    let adopt = async |host: HostId, serial: &str| {
        let unknown = UnknownCertificate {
            host,
            certificate: NewCertificate {
                serial: serial.to_owned(),
                until: world.now.plus(1000),
            },
            ended: false,
            peer: None,
            heartbeat_seconds: 60,
        };
        let adopted = world.store.adopt_certificate(unknown, world.now).await;
        adopted.unwrap()
    };
    assert!(adopt(agent.id, "later").await);
    assert!(!adopt(agent.id, "later").await, "known by now");
    let stranger = HostId::from_u128(99);
    assert!(!adopt(stranger, "later").await, "another host's");
    assert!(adopt(stranger, "first").await);
    let record = world.store.certificate(&Scope::All, "first").await.unwrap();
    assert_eq!(record.unwrap().host, stranger);
    let detail = world.store.host_detail(&Scope::All, stranger).await;
    assert!(
        detail.unwrap().is_some(),
        "the host is there, without a name"
    );
    let actor = Actor::collector();
    let retire = world.store.retire(retired.id, actor, world.now);
    assert!(retire.await.unwrap());
    assert!(!adopt(retired.id, "after").await);
}

#[tokio::test]
async fn directives_have_rising_serials_and_end_with_their_outcome() {
    let mut world = World::new().await;
    let (agent, other) = (world.host(&[]).await, world.host(&[]).await);
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let queue = async |host: HostId| {
        let key = key.clone();
        let until = world.now.plus(60_000);
        let seal = Box::new(move |serial| {
            let directive = akwatch_proto::agent::Directive::Rescan { places: Vec::new() };
            Signed::seal(&key, Audience::Host(host), until, serial, directive)
        });
        let actor = Actor::person("ada", None);
        world
            .store
            .queue(host, until, seal, actor, world.now)
            .await
            .unwrap()
    };
    let first = queue(agent.id).await.unwrap();
    let second = queue(agent.id).await.unwrap();
    let third = queue(other.id).await.unwrap();
    assert!(first < second && second < third);
    assert_eq!(queue(HostId::from_u128(99)).await, None);
    let pending = async |after: u64, now: Time| {
        let scope = Scope::Host(agent.id);
        let signed = world
            .store
            .pending(&scope, agent.id, after, now)
            .await
            .unwrap();
        let open = |one: &Signed<_>| {
            one.open(&[key.verifying_key()], agent.id, now)
                .unwrap()
                .serial
        };
        signed.iter().map(open).collect::<Vec<u64>>()
    };
    assert_eq!(pending(0, world.now).await, [first, second]);
    assert_eq!(pending(first, world.now).await, [second]);
    let outcome = |serial| Outcome {
        serial,
        result: OutcomeResult::Done,
        detail: None,
    };
    let told = vec![outcome(first), outcome(third)];
    world
        .store
        .record_outcomes(agent.id, told, world.now)
        .await
        .unwrap();
    assert_eq!(pending(0, world.now).await, [second]);
    assert!(pending(0, world.now.plus(60_000)).await.is_empty());
    let theirs = world
        .store
        .pending(&Scope::All, other.id, 0, world.now)
        .await
        .unwrap();
    assert_eq!(theirs.len(), 1, "one host cannot end another's directive");
}

#[tokio::test]
async fn changes_are_told_after_they_are_stored() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut events = world.store.subscribe();
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let applied = world.report(report.clone()).await;
    let akwatch_proto::people::Event::Host { host } = events.recv().await.unwrap() else {
        panic!("the first word of a host is told");
    };
    assert_eq!(host, agent.id);
    match events.recv().await.unwrap() {
        akwatch_proto::people::Event::Findings { findings, .. } => {
            assert_eq!(findings, applied.findings);
        }
        other => panic!("{other:?}"),
    }
    let _ = world.report(report).await;
    assert!(
        events.try_recv().is_err(),
        "what changes nothing is not told"
    );
}
