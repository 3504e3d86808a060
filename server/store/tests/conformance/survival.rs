//! What an acknowledgement is worth: killed processes, second writers, foreign and newer files.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use akwatch_proto::agent::{Directive, HostId};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_proto::time::Time;
use akwatch_store::audit::Actor;
use akwatch_store::filter::FindingFilter;
use akwatch_store::findings::Applying;
use akwatch_store::hosts::Listened;
use akwatch_store::{PepperKey, Scope, Sqlite, Store, StoreError};
use uuid::Uuid;

use crate::world::{self, Agent, PEPPER, TestRules, enrolled, file, finding};

/// Where the child that is to be killed writes; unset in an ordinary run.
const CHILD: &str = "AKWATCH_STORE_TEST_CHILD";

const NOW: Time = Time(1_772_600_000_000);

fn agent(number: u128) -> Agent {
    Agent {
        id: HostId::from_u128(number),
        instance: Uuid::from_u128(1000 + number),
        revision: 0,
        counter: 0,
        held: std::collections::BTreeMap::new(),
    }
}

async fn refused(path: &Path, pepper: [u8; 32]) -> StoreError {
    let opened = Sqlite::open(path, PepperKey::new(pepper), Arc::new(TestRules)).await;
    opened.err().expect("it must be refused")
}

/// The child: four hosts report at once without end; each acknowledged revision is printed.
#[test]
fn child_that_reports_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(world::open(Path::new(&path)).await);
        let mut hosts = tokio::task::JoinSet::new();
        for number in 1..=4_u128 {
            let store = Arc::clone(&store);
            hosts.spawn(async move {
                let mut agent = agent(number);
                let _ = enrolled(&*store, agent.id, &[], NOW).await;
                for secret in 0_u64.. {
                    let place = file(&format!("/etc/{secret}"));
                    let report = agent.report(vec![finding(place, secret)]);
                    let applying = store.apply(report, NOW).await.unwrap();
                    let Applying::Applied(applied) = applying else {
                        panic!("{applying:?}");
                    };
                    println!("acknowledged {number} {}", applied.upto);
                }
            });
        }
        hosts.join_all().await;
    });
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3_usize {
        let path = directory.path().join(format!("{round}.db"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("survival::child_that_reports_until_it_is_killed")
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let mut seen = 0;
        while seen < 100 + 77 * round {
            let mut line = String::new();
            assert!(
                lines.read_line(&mut line).unwrap() > 0,
                "the child ended early"
            );
            seen += usize::from(line.contains("acknowledged "));
            said.push_str(&line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.read_to_string(&mut said).unwrap();
        check_acknowledged(&path, &said);
    }
}

/// Opens what the killed process left, and finds every acknowledged revision in it.
fn check_acknowledged(path: &Path, said: &str) {
    let mut acknowledged = [0_u64; 5];
    // The last line may be cut, so a number counts only when its line ended.
    for line in said
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let Some((_, words)) = line.split_once("acknowledged ") else {
            continue;
        };
        let (host, upto) = words.trim().split_once(' ').unwrap();
        let host: usize = host.parse().unwrap();
        acknowledged[host] = acknowledged[host].max(upto.parse().unwrap());
    }
    assert!(acknowledged.iter().sum::<u64>() >= 100);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = world::open(path).await;
        let store: &dyn Store = &store;
        for number in 1..=4_u128 {
            let id = HostId::from_u128(number);
            let acknowledged = acknowledged[usize::try_from(number).unwrap()];
            let record = store.host(&Scope::All, id).await.unwrap().unwrap();
            assert!(record.upto >= acknowledged);
            let filter = FindingFilter {
                host: Some(id),
                ..FindingFilter::default()
            };
            let page = store.findings(&Scope::All, &filter).await.unwrap();
            assert_eq!(page.total, record.upto, "every revision is a finding here");
            let detail = store.host_detail(&Scope::All, id).await.unwrap().unwrap();
            assert_eq!(detail.host.places.present, page.total);
        }
    });
}

#[tokio::test]
async fn a_second_collector_is_kept_out_until_the_first_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let first = world::open(&path).await;
    assert!(matches!(refused(&path, PEPPER).await, StoreError::Held));
    first.close().await;
    let after =
        akwatch_store::Settings::settle_setting(&first, "a".to_owned(), "b".to_owned(), NOW);
    assert!(matches!(after.await, Err(StoreError::Closed)));
    drop(first);
    let _ = world::open(&path).await;
}

#[tokio::test]
async fn a_collector_that_was_down_calls_nobody_silent_before_it_has_listened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let mut agent = agent(1);
    let _ = enrolled(&store, agent.id, &[], NOW).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let stored: &dyn Store = &store;
    assert!(matches!(
        stored.apply(report, NOW).await.unwrap(),
        Applying::Applied(_)
    ));
    store.close().await;
    drop(store);
    let store = world::open(&path).await;
    let silent = async |seconds: i64, listened: i64| {
        let stored: &dyn Store = &store;
        let listened = Listened {
            ms: listened * 1000,
            unbroken_since: 0,
        };
        stored
            .mark_silent(3, listened, NOW.plus(seconds * 1000))
            .await
            .unwrap()
    };
    assert!(silent(7200, 0).await.is_empty());
    assert!(silent(7200 + 180, 180).await.is_empty());
    // The clock was ahead until now: what was heard was heard in the future.
    assert_eq!(silent(-86_400, 181).await, [agent.id]);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    world::open(&path).await.close().await;
    raw(&path, "PRAGMA user_version = 99").await;
    let error = refused(&path, PEPPER).await;
    let StoreError::NewerSchema { found: 99, known } = error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("start the newer program"));
    raw(&path, &format!("PRAGMA user_version = {known}")).await;
    let _ = world::open(&path).await;
}

/// The first version's file, as a collector of that version left it, becomes the newest one's.
#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (
        directory.path().join("old.db"),
        directory.path().join("new.db"),
    );
    raw(
        &old,
        "PRAGMA application_id = 0x616b7761; PRAGMA user_version = 1;",
    )
    .await;
    raw(&old, include_str!("../../src/sqlite/0001.sql")).await;
    raw(&old, FIRST_ROWS).await;
    world::open(&new).await.close().await;
    let store = world::open(&old).await;
    let _ = enrolled(&store, HostId::from_u128(1), &[], NOW).await;
    certificates_of_the_first_version(&store).await;
    store.close().await;
    drop(store);
    assert_eq!(schema(&old).await, schema(&new).await);
    // Once only.
    let store = world::open(&old).await;
    certificates_of_the_first_version(&store).await;
}

/// What a collector of the first version has stored: a host that was renewed twice, and one that was
/// enrolled.
const FIRST_ROWS: &str = "
INSERT INTO host (id, uuid, name, enrolled, heartbeat_seconds, facts, addresses, os, agent, labels)
    VALUES (1, x'000000000000000000000000000000a1', 'renewed', 1, 60, '{}', '', '', '', '{}'),
           (2, x'000000000000000000000000000000a2', 'enrolled', 1, 60, '{}', '', '', '', '{}');
INSERT INTO certificate (serial, host_id, issued, until)
    VALUES ('a', 1, 1000, 2000), ('d', 2, 1000, 2000), ('b', 1, 1500, 2500), ('c', 1, 2000, 3000);
";

/// The superseded ones renew no more, each host's last one does.
async fn certificates_of_the_first_version(store: &Sqlite) {
    let store: &dyn Store = store;
    for (serial, host, latest) in [
        ("a", 0xa1, false),
        ("b", 0xa1, false),
        ("c", 0xa1, true),
        ("d", 0xa2, true),
    ] {
        let known = store.certificate(&Scope::All, serial).await.unwrap();
        let known = known.unwrap();
        assert_eq!(known.host, HostId::from_u128(host));
        assert_eq!((known.latest, known.revoked), (latest, false), "{serial}");
    }
}

#[tokio::test]
async fn other_files_and_other_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "no database at all, but long enough to be read as one\n".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        refused(&text, PEPPER).await,
        StoreError::Foreign(_)
    ));
    let other = directory.path().join("other.db");
    raw(&other, "CREATE TABLE theirs (x)").await;
    assert!(matches!(
        refused(&other, PEPPER).await,
        StoreError::Foreign(_)
    ));
    let ours = directory.path().join("akwatch.db");
    world::open(&ours).await.close().await;
    assert!(matches!(
        refused(&ours, [8; 32]).await,
        StoreError::WrongPepper
    ));
    let _ = world::open(&ours).await;
}

#[tokio::test]
async fn opening_again_changes_no_schema_and_a_backup_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let mut agent = agent(1);
    let _ = enrolled(&store, agent.id, &[], NOW).await;
    let report = agent.report(vec![finding(file("/etc/a"), 1)]);
    let stored: &dyn Store = &store;
    assert!(matches!(
        stored.apply(report, NOW).await.unwrap(),
        Applying::Applied(_)
    ));
    let copy = directory.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    assert!(
        store.backup(&copy).await.is_err(),
        "a backup overwrites nothing"
    );
    store.close().await;
    drop(store);
    for path in [&path, &copy] {
        let store = world::open(path).await;
        let stored: &dyn Store = &store;
        let page = stored
            .findings(&Scope::All, &FindingFilter::default())
            .await;
        assert_eq!(page.unwrap().total, 1);
    }
}

#[tokio::test]
async fn a_writer_from_outside_only_makes_ours_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let mut outside = connect(&path).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut outside)
        .await
        .unwrap();
    let id = HostId::from_u128(1);
    let waiting = enrolled(&store, id, &[], NOW);
    let ends = async {
        // Readers do not wait for it.
        let stored: &dyn Store = &store;
        assert!(stored.host(&Scope::All, id).await.unwrap().is_none());
        sqlx::query("ROLLBACK").execute(&mut outside).await.unwrap();
    };
    let (enrolled, ()) = tokio::join!(waiting, ends);
    assert_eq!(enrolled, id);
}

#[tokio::test]
async fn a_decision_that_fails_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = world::open(&directory.path().join("akwatch.db")).await;
    let twice = world::token(1, NOW.plus(1000), &[]);
    let create = || {
        let actor = akwatch_store::Actor::collector();
        akwatch_store::EnrollmentTokens::create_token(&store, twice.clone(), actor, NOW)
    };
    let (first, second, other) = tokio::join!(
        create(),
        create(),
        enrolled(&store, HostId::from_u128(1), &[], NOW)
    );
    assert!(first.is_ok() != second.is_ok(), "one of them has the id");
    assert_eq!(other, HostId::from_u128(1));
    let entries = akwatch_store::Audit::entries(&store, 0, 100).await.unwrap();
    assert_eq!(entries.len(), 3, "what failed left no entry");
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let store = world::open(&directory.path().join("akwatch.db")).await;
    let _ = enrolled(&store, HostId::from_u128(1), &[], NOW).await;
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        files += 1;
    }
    assert_eq!(files, 4, "database, log, its index, lock");
}

/// No fingerprint, and nothing hashed from one without the pepper, is in the file.
#[tokio::test]
async fn the_database_holds_nothing_that_a_stolen_fleet_key_could_confirm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let mut agent = agent(1);
    let _ = enrolled(&store, agent.id, &[], NOW).await;
    let one = finding(file("/etc/a"), 0x1122_3344_5566_7788);
    let report = agent.report(vec![one.clone()]);
    let stored: &dyn Store = &store;
    assert!(matches!(
        stored.apply(report, NOW).await.unwrap(),
        Applying::Applied(_)
    ));
    store.close().await;
    drop(store);
    let element = akwatch_proto::digest::Element::of(&one.key, one.presence.state());
    let fingerprint = world::fingerprint(0x1122_3344_5566_7788);
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let held = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    assert!(held(b"/etc/a"), "the search works");
    assert!(!held(&fingerprint.bytes[..8]));
    assert!(!held(fingerprint.to_string().as_bytes()));
    assert!(!held(&element.to_bytes()[..8]));
    assert!(!held(&PEPPER[..8]));
}

/// Thousands of files that held a key hide neither the one that does nor the process that has it.
#[tokio::test]
async fn what_is_gone_crowds_out_no_cause() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let mut agent = agent(1);
    let _ = enrolled(&store, agent.id, &[], NOW).await;
    let apply = async |report| {
        let stored: &dyn Store = &store;
        let applying = stored.apply(report, NOW).await.unwrap();
        assert!(matches!(applying, Applying::Applied(_)));
    };
    apply(agent.report(vec![world::gone(finding(file("/srv/was"), 1))])).await;
    raw(&path, MANY_GONE).await;
    let held = vec![
        finding(file("/srv/is"), 1),
        finding(world::process("payments.service"), 1),
    ];
    apply(agent.report(held)).await;
    let stored: &dyn Store = &store;
    let filter = FindingFilter {
        place_types: vec![akwatch_store::filter::PlaceType::Process],
        ..FindingFilter::default()
    };
    let page = stored.findings(&Scope::All, &filter).await.unwrap();
    let cause = page.rows[0].cause.as_ref().unwrap();
    assert_eq!((cause.path.as_str(), cause.gone), ("/srv/is", false));
    let filter = FindingFilter {
        presence: vec![akwatch_proto::finding::PresenceState::Gone],
        ..FindingFilter::default()
    };
    let page = stored.findings(&Scope::All, &filter).await.unwrap();
    assert_eq!(page.total, 10_001);
    assert!(page.rows.iter().all(|row| row.held_by.is_some()));
    // Of a host that says nothing any more nobody knows what its processes hold.
    let retired = stored.retire(agent.id, Actor::person("ada", None), NOW);
    assert!(retired.await.unwrap());
    let page = stored.findings(&Scope::All, &filter).await.unwrap();
    assert!(page.rows.iter().all(|row| row.held_by.is_none()));
}

/// Whoever asks all hosts again and again fills no table.
#[tokio::test]
async fn of_what_a_host_was_asked_only_what_it_may_still_do_and_the_last_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("akwatch.db");
    let store = world::open(&path).await;
    let agent = agent(1);
    let _ = enrolled(&store, agent.id, &[], NOW).await;
    let stored: &dyn Store = &store;
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    for (at, until) in [
        (NOW, NOW.plus(10)),
        (NOW, NOW.plus(1000)),
        (NOW.plus(20), NOW.plus(900)),
    ] {
        let (key, host) = (key.clone(), agent.id);
        let seal = Box::new(move |serial| {
            let directive = Directive::Rescan { places: Vec::new() };
            Signed::seal(&key, Audience::Host(host), until, serial, directive)
        });
        let actor = Actor::person("ada", None);
        let queued = stored.queue(agent.id, until, seal, actor, at);
        assert!(queued.await.unwrap().is_some());
    }
    let mut connection = connect(&path).await;
    let kept: Vec<i64> = sqlx::query_scalar("SELECT until FROM directive ORDER BY serial")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, [NOW.plus(1000).0, NOW.plus(900).0]);
}

/// The one gone file ten thousand times more.
const MANY_GONE: &str = "
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO finding SELECT NULL, host_id, randomblob(32), credential_id, class, state, since, why,
    revision, element, listed, rule, provider, kind, access_id, confidence, place_type, path, unit,
    owner, body, delivered, why_new, returns, agent_first_seen, agent_last_verified, stored, received,
    expires, scored, score, pushed FROM (SELECT * FROM finding LIMIT 1), n;
";

async fn connect(path: &Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions as _;
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

async fn raw(path: &Path, sql: &str) {
    use sqlx::Connection as _;
    let mut connection = connect(path).await;
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Every table, index and column of a file, in order.
async fn schema(path: &Path) -> Vec<(String, String, String)> {
    let mut connection = connect(path).await;
    sqlx::query_as(
        "SELECT s.type, s.name, coalesce(c.name || ' ' || c.type || ' ' || c.pk, '') \
         FROM sqlite_schema AS s LEFT JOIN pragma_table_info(s.name) AS c ORDER BY 1, 2, 3",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}
