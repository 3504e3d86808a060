//! Reports: exactly once, in any order, and what follows from them.

use akwatch_proto::agent::{Report, RereadAnswer};
use akwatch_proto::credential::{Confidence, Epoch, Kind};
use akwatch_proto::finding::{Finding, GoneProof, Presence, PresenceState, UnknownWhy};
use akwatch_proto::git::{CommitId, Git, PushState, Remote, UntracedWhy};
use akwatch_proto::people::{PresenceCounts, Verdict};
use akwatch_proto::time::Time;
use akwatch_store::Scope;
use akwatch_store::filter::{CredentialFilter, FindingFilter};
use akwatch_store::findings::Applying;
use akwatch_store::hosts::NotTaken;
use uuid::Uuid;

use crate::world::{
    Agent, World, file, finding, fingerprint, gone, key_id, process, reference, safe, unknown,
};

fn counts(present: u64, gone: u64, unknown: u64) -> PresenceCounts {
    PresenceCounts {
        present,
        gone,
        unknown,
    }
}

async fn check_digest(world: &World, agent: &mut Agent) {
    assert_eq!(world.digest(agent).await, agent.digest());
}

#[tokio::test]
async fn a_report_that_comes_twice_counts_once() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1), finding(file("/etc/b"), 1)]);
    let first = world.report(report.clone()).await;
    assert_eq!((first.upto, first.findings.len()), (2, 2));
    let second = world.report(report).await;
    assert_eq!((second.upto, second.findings.len()), (2, 0));
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows.len(), 2);
    let page = world
        .store
        .credentials(&Scope::All, &CredentialFilter::default())
        .await
        .unwrap();
    assert_eq!((page.total, page.rows[0].places), (1, counts(2, 0, 0)));
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn an_older_revision_changes_nothing() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let older = agent.report(vec![finding(file("/etc/a"), 1)]);
    let newer = agent.report(vec![gone(finding(file("/etc/a"), 1))]);
    assert_eq!(world.report(newer).await.findings.len(), 1);
    assert_eq!(world.report(older).await.findings.len(), 0);
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Gone);
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn of_one_finding_named_twice_the_newer_state_stays() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut report = agent.report(vec![
        finding(file("/etc/a"), 1),
        gone(finding(file("/etc/a"), 1)),
    ]);
    report.findings.reverse();
    assert_eq!(world.report(report).await.findings.len(), 1);
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Gone);
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn presence_moves_verdict_counters_and_timeline() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let place = || finding(file("/etc/a"), 1);
    let steps = [
        (place(), Verdict::Exposed, counts(1, 0, 0), "present"),
        (
            unknown(place()),
            Verdict::NotVerified,
            counts(0, 0, 1),
            "unknown",
        ),
        (
            gone(place()),
            Verdict::GoneNotRotated,
            counts(0, 1, 0),
            "gone",
        ),
        (place(), Verdict::Exposed, counts(1, 0, 0), "present-again"),
    ];
    for (state, verdict, places, what) in steps {
        let report = agent.report(vec![state]);
        let applied = world.report(report).await;
        let detail = world
            .store
            .credential(&Scope::All, &applied.credentials[0])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(detail.credential.verdict, verdict);
        assert_eq!(detail.credential.places, places);
        assert_eq!(detail.timeline[0].what, what);
        assert_eq!(
            detail.timeline[0].place.as_ref().unwrap().as_str(),
            "/etc/a"
        );
        check_digest(&world, &mut agent).await;
    }
}

#[tokio::test]
async fn another_state_directory_is_refused_and_changes_nothing() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let _ = world.report(report).await;
    let mut copy = agent.clone();
    copy.instance = Uuid::from_u128(99);
    let report = copy.report(vec![gone(finding(file("/etc/a"), 1))]);
    let refused = world.store.apply(report, world.now).await.unwrap();
    assert_eq!(
        refused,
        Applying::NotTaken(NotTaken::OtherInstance {
            current: agent.instance
        })
    );
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Present);
}

#[tokio::test]
async fn what_a_full_list_leaves_out_is_unknown_and_read_again() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let (a, b, c) = (
        finding(file("/etc/a"), 1),
        finding(file("/etc/b"), 2),
        finding(file("/etc/c"), 3),
    );
    let all = agent.report(vec![a.clone(), b.clone(), c.clone()]);
    let _ = world.report(all).await;
    let first = agent.part(7, true, vec![a.clone()]);
    assert!(world.report(first).await.reread.is_empty());
    let last = agent.part(7, false, vec![b.clone()]);
    let closed = world.report(last.clone()).await;
    assert_eq!(closed.reread, [file("/etc/c")]);
    agent.held.remove(&c.key);
    check_digest(&world, &mut agent).await;
    let filter = FindingFilter {
        presence: vec![PresenceState::Unknown],
        ..FindingFilter::default()
    };
    let rows = world.findings(&filter).await;
    assert_eq!(rows.len(), 1);
    assert!(matches!(
        rows[0].presence,
        Presence::Unknown {
            why: UnknownWhy::NotListed,
            ..
        }
    ));
    // The answer was lost: the part comes again, and the place is named again.
    assert_eq!(world.report(last).await.reread, [file("/etc/c")]);
    // Read again, it is what the agent says.
    let report = agent.report(vec![gone(c)]);
    let _ = world.report(report).await;
    assert!(world.findings(&filter).await.is_empty());
    check_digest(&world, &mut agent).await;
}

fn epoch(name: &str) -> Epoch {
    Epoch::parse(name).unwrap()
}

/// Lists without `/etc/a` and `/etc/b`, and answers about the first as part of a report that `change` saw.
async fn answer_about_a(
    change: impl FnOnce(&mut Report),
) -> (World, Agent, Vec<(String, PresenceState)>) {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let (a, b) = (finding(file("/etc/a"), 1), finding(file("/etc/b"), 2));
    let all = agent.report(vec![a.clone(), b.clone()]);
    let _ = world.report(all).await;
    let list = agent.part(7, false, Vec::new());
    let closed = world.report(list).await;
    assert_eq!(closed.questions.len(), 2);
    assert_eq!(closed.questions[0].place, file("/etc/a"));
    assert_eq!(closed.questions[0].rules, std::slice::from_ref(&a.rule));
    agent.held.clear();
    let mut report = agent.report(Vec::new());
    report.answers = vec![RereadAnswer {
        list: Uuid::from_u128(7),
        place: file("/etc/a"),
        proof: GoneProof::Removed,
        at: Time(5),
        epochs: vec![epoch("1")],
    }];
    change(&mut report);
    let _ = world.report(report).await;
    let rows = world.findings(&FindingFilter::default()).await;
    let mut states: Vec<_> = rows
        .iter()
        .map(|row| (row.location.path.to_string(), row.state))
        .collect();
    states.sort();
    (world, agent, states)
}

#[tokio::test]
async fn what_was_read_on_request_and_is_not_there_is_gone() {
    let (world, mut agent, states) = answer_about_a(|_| ()).await;
    let expected = [
        ("/etc/a".to_owned(), PresenceState::Gone),
        ("/etc/b".to_owned(), PresenceState::Unknown),
    ];
    assert_eq!(states, expected);
    check_digest(&world, &mut agent).await;
    let rows = world.findings(&FindingFilter::default()).await;
    let gone = rows.iter().find(|row| row.state == PresenceState::Gone);
    assert_eq!(
        gone.unwrap().presence,
        Presence::Gone {
            at: Time(5),
            proof: GoneProof::Removed
        }
    );
    // It may come back like anything that was gone.
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let _ = world.report(report).await;
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn an_answer_to_another_list_or_about_another_place_ends_nothing() {
    let unknown = [
        ("/etc/a".to_owned(), PresenceState::Unknown),
        ("/etc/b".to_owned(), PresenceState::Unknown),
    ];
    let (.., states) = answer_about_a(|report| report.answers[0].list = Uuid::from_u128(8)).await;
    assert_eq!(states, unknown);
    let (.., states) = answer_about_a(|report| report.answers[0].place = file("/etc/c")).await;
    assert_eq!(states, unknown);
    // What the same report lists is there, whatever it answers.
    let (.., states) = answer_about_a(|report| {
        let mut listed = finding(file("/etc/a"), 1);
        listed.revision = report.upto + 1;
        report.upto += 1;
        report.findings = vec![listed];
    })
    .await;
    assert_eq!(states[0].1, PresenceState::Present);
}

/// Under another key the same value has another fingerprint: an agent that looked for that one has not
/// looked for what the collector holds.
#[tokio::test]
async fn an_answer_with_another_key_ends_nothing_but_references() {
    for epochs in [vec![], vec![epoch("2")]] {
        let (.., states) = answer_about_a(|report| report.answers[0].epochs = epochs).await;
        assert_eq!(states[0].1, PresenceState::Unknown);
    }
    let both = vec![epoch("2"), epoch("1")];
    let (.., states) = answer_about_a(|report| report.answers[0].epochs = both).await;
    assert_eq!(states[0].1, PresenceState::Gone);

    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![reference(file("/etc/a"), 1)]);
    let _ = world.report(report).await;
    let list = agent.part(7, false, Vec::new());
    let _ = world.report(list).await;
    agent.held.clear();
    let mut report = agent.report(Vec::new());
    report.answers = vec![RereadAnswer {
        list: Uuid::from_u128(7),
        place: file("/etc/a"),
        proof: GoneProof::Reread,
        at: Time(5),
        epochs: vec![epoch("2")],
    }];
    let _ = world.report(report).await;
    let references = FindingFilter {
        kinds: vec![Kind::Reference],
        ..FindingFilter::default()
    };
    let rows = world.findings(&references).await;
    assert_eq!(rows[0].state, PresenceState::Gone, "an id needs no key");
}

/// An agent forgets what has been gone for long; that must not make it unknown here.
#[tokio::test]
async fn what_is_gone_stays_gone_when_a_full_list_leaves_it_out() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let a = finding(file("/etc/a"), 1);
    for state in [a.clone(), gone(a.clone())] {
        let report = agent.report(vec![state]);
        let _ = world.report(report).await;
    }
    let list = agent.part(7, false, Vec::new());
    assert!(world.report(list).await.reread.is_empty());
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Gone);
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn a_restored_ledger_is_believed_when_it_lists_everything() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    for _ in 0..5 {
        let report = agent.report(vec![gone(finding(file("/etc/a"), 1))]);
        let _ = world.report(report).await;
    }
    agent.revision = 1;
    let list = agent.part(9, false, vec![finding(file("/etc/a"), 1)]);
    let applied = world.report(list).await;
    assert_eq!((applied.upto, applied.findings.len()), (2, 1));
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Present);
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn what_was_gone_may_come_back_in_a_restored_ledger_under_any_number() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    for _ in 0..5 {
        let report = agent.report(vec![gone(finding(file("/etc/a"), 1))]);
        let _ = world.report(report).await;
    }
    agent.revision = 0;
    let list = agent.part(9, false, Vec::new());
    assert!(world.report(list).await.reread.is_empty());
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    assert_eq!(report.findings[0].revision, 1);
    assert_eq!(world.report(report).await.findings.len(), 1);
    let rows = world.findings(&FindingFilter::default()).await;
    assert_eq!(rows[0].state, PresenceState::Present);
    check_digest(&world, &mut agent).await;
}

#[tokio::test]
async fn references_join_the_secret_whichever_comes_first() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let report = agent.report(vec![reference(file("/etc/r"), 1)]);
    let lone = world.report(report).await.credentials[0].clone();
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let secret = world.report(report).await.credentials[0].clone();
    assert_eq!(
        lone, secret,
        "the references' credential becomes the secret's"
    );
    let report = agent.report(vec![reference(file("/etc/s"), 1)]);
    assert_eq!(
        world.report(report).await.credentials,
        std::slice::from_ref(&secret)
    );
    let detail = world
        .store
        .credential(&Scope::All, &secret)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.references, 2);
    assert_eq!(detail.credential.kind, Kind::AccessKeyPair);
    assert_eq!(detail.credential.places, counts(1, 0, 0));
    assert_eq!(detail.places.len(), 1);
}

#[tokio::test]
async fn a_secret_that_gets_its_id_later_takes_the_references_over() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut nameless = finding(file("/etc/a"), 1);
    nameless.credential_id = None;
    nameless.kind = Kind::SecretKey;
    nameless.confidence = Confidence::Contextual;
    let report = agent.report(vec![nameless]);
    let secret = world.report(report).await.credentials[0].clone();
    let report = agent.report(vec![reference(file("/etc/r"), 1)]);
    let lone = world.report(report).await.credentials[0].clone();
    assert_ne!(lone, secret);
    let report = agent.report(vec![finding(file("/etc/b"), 1)]);
    let _ = world.report(report).await;
    for link in [&secret, &lone] {
        let detail = world
            .store
            .credential(&Scope::All, link)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(detail.credential.reference, secret, "an old link leads on");
        assert_eq!(
            detail.credential.credential_id.as_deref(),
            Some(key_id(1).as_str())
        );
        assert_eq!(detail.credential.kind, Kind::AccessKeyPair);
        assert_eq!((detail.references, detail.places.len()), (1, 2));
    }
    let every = CredentialFilter {
        kinds: vec![Kind::Reference, Kind::AccessKeyPair, Kind::SecretKey],
        ..CredentialFilter::default()
    };
    let page = world.store.credentials(&Scope::All, &every).await.unwrap();
    assert_eq!(page.total, 1);
}

#[tokio::test]
async fn delivered_places_are_counted_apart() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut delivered = finding(file("/run/secrets/key"), 1);
    delivered.delivered = true;
    let report = agent.report(vec![delivered]);
    let applied = world.report(report).await;
    let detail = world
        .store
        .credential(&Scope::All, &applied.credentials[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.credential.verdict, Verdict::Closed);
    assert_eq!(detail.credential.places, counts(0, 0, 0));
    assert_eq!(detail.places.len(), 1, "it is shown in the blast radius");
}

fn said(state: PushState) -> Git {
    Git {
        repository: safe("/srv/app"),
        commit: Some(CommitId::parse(&"5d".repeat(20)).unwrap()),
        authored: Some(Time(1_690_000_000_000)),
        path: None,
        state,
        why: (state == PushState::Unknown).then_some(UntracedWhy::Shallow),
        remotes: vec![Remote {
            name: safe("origin"),
            address: Some(safe("git.example.org/acme/app")),
            reached: state == PushState::Pushed,
        }],
    }
}

#[tokio::test]
async fn what_git_says_is_kept_asked_for_and_replaced() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let with = |number: u64, git: Option<Git>| {
        let mut one = finding(file(&format!("/srv/app/{number}")), number);
        one.git = git;
        one
    };
    let states = [PushState::Pushed, PushState::NotPushed, PushState::Unknown];
    let mut findings = vec![with(0, None)];
    let numbered = (1..).zip(states);
    findings.extend(numbered.map(|(number, state)| with(number, Some(said(state)))));
    let report = agent.report(findings);
    let _ = world.report(report).await;
    let asked = async |world: &World, states: &[PushState]| {
        let filter = FindingFilter {
            pushed: states.to_vec(),
            ..FindingFilter::default()
        };
        let rows = world.findings(&filter).await;
        let mut gits: Vec<Option<Git>> = rows.into_iter().map(|row| row.git).collect();
        gits.sort_by_key(|git| git.as_ref().map(|git| git.state));
        gits
    };
    for state in states {
        assert_eq!(asked(&world, &[state]).await, [Some(said(state))]);
    }
    assert_eq!(asked(&world, &states[1..]).await.len(), 2);
    assert_eq!(asked(&world, &[]).await.len(), 4);
    let report = agent.report(vec![with(2, Some(said(PushState::Pushed)))]);
    let _ = world.report(report).await;
    assert_eq!(asked(&world, &states[..1]).await.len(), 2);
    assert!(asked(&world, &states[1..2]).await.is_empty());
}

#[tokio::test]
async fn a_process_names_the_file_that_it_has_its_key_from() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let mut running = finding(process("payments.service"), 1);
    running.origin.unit_files = vec![safe("/etc/payments/env")];
    let report = agent.report(vec![
        finding(file("/opt/other"), 1),
        finding(file("/etc/payments/env"), 1),
        running,
    ]);
    let _ = world.report(report).await;
    let filter = FindingFilter {
        place_types: vec![akwatch_store::filter::PlaceType::Process],
        ..FindingFilter::default()
    };
    let rows = world.findings(&filter).await;
    let cause = rows[0].cause.as_ref().unwrap();
    assert_eq!((cause.path.as_str(), cause.line), ("/etc/payments/env", 3));
}

/// Only what was there before its file went, and still is, is said to hold what the file held.
#[tokio::test]
async fn an_edited_file_is_the_cause_of_a_process_that_outlived_it_and_of_no_other() {
    let mut world = World::new().await;
    let mut agent = world.host(&[]).await;
    let at = |seconds: i64| world.now.plus(seconds * 1000);
    let present = |unit: &str, since: i64| Finding {
        presence: Presence::Present { since: at(since) },
        ..finding(process(unit), 1)
    };
    let ended = |unit: &str, since: i64, ended: i64| Finding {
        presence: Presence::Gone {
            at: at(ended),
            proof: GoneProof::Ended,
        },
        first_seen: at(since),
        ..finding(process(unit), 1)
    };
    let edited = Finding {
        presence: Presence::Gone {
            at: at(100),
            proof: GoneProof::Reread,
        },
        ..finding(file("/etc/app.env"), 1)
    };
    let report = agent.report(vec![
        edited,
        present("outlives.service", 50),
        present("begins-later.service", 150),
        ended("ended.service", 50, 120),
        ended("came-and-went.service", 150, 160),
    ]);
    let _ = world.report(report).await;
    let caused = async |world: &World| {
        let filter = FindingFilter {
            place_types: vec![akwatch_store::filter::PlaceType::Process],
            ..FindingFilter::default()
        };
        let rows = world.findings(&filter).await;
        assert_eq!(rows.len(), 4);
        let caused = rows.into_iter().filter(|row| row.cause.is_some());
        caused
            .map(|row| (row.location.workload.unwrap(), row.cause.unwrap().gone))
            .collect::<Vec<_>>()
    };
    let one = caused(&world).await;
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].0.as_str().contains("outlives") && one[0].1);
    // While the host is not heard, nobody knows whether it still holds the key.
    let _ = world.silence().await;
    world.later(300);
    let _ = world.silence().await;
    assert!(caused(&world).await.is_empty());
}

#[tokio::test]
async fn who_holds_it_is_answered_by_id_and_by_secret() {
    let mut world = World::new().await;
    let mut holder = world.host(&[]).await;
    let mut other = world.host(&[]).await;
    let silent = world.host(&[]).await;
    let report = holder.report(vec![
        finding(file("/etc/a"), 1),
        reference(file("/etc/r"), 1),
    ]);
    let _ = world.report(report).await;
    let _ = world.digest(&mut holder).await;
    let _ = world.digest(&mut other).await;
    let _ = silent;
    let by_id = world
        .store
        .holders_of_id(&Scope::All, &key_id(1))
        .await
        .unwrap();
    let by_secret = world
        .store
        .holders_of_secret(&Scope::All, &[fingerprint(1), fingerprint(77)])
        .await
        .unwrap();
    for holders in [by_id, by_secret] {
        assert_eq!(holders.places.len(), 2);
        assert_eq!((holders.hosts_without, holders.hosts_unknown), (1, 1));
        assert!(holders.credential.is_some());
    }
    let nobody = world
        .store
        .holders_of_secret(&Scope::All, &[fingerprint(2)])
        .await
        .unwrap();
    assert!(nobody.credential.is_none() && nobody.places.is_empty());
    assert_eq!((nobody.hosts_without, nobody.hosts_unknown), (2, 1));
}
