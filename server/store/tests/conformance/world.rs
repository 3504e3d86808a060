//! A store in a directory of its own, hosts that speak to it, and findings to speak of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use akwatch_proto::agent::{Heartbeat, HostFacts, HostId, Report, Resync, TokenId};
use akwatch_proto::coverage::{Coverage, Covered, Rung, SourceCoverage};
use akwatch_proto::credential::{
    Confidence, CredentialId, Epoch, Fingerprint, Kind, LengthClass, Preview, Provider, RuleId,
    Scheme,
};
use akwatch_proto::digest::{Element, SetDigest, is_listed};
use akwatch_proto::finding::{
    Cause, Finding, FindingKey, GoneProof, Presence, PresenceState, Subject, UnknownWhy, WhyNew,
};
use akwatch_proto::people::{Disposition, FindingRow, PresenceCounts, Score, ScoreLine, Verdict};
use akwatch_proto::place::{Capture, Origin, Place, Reach, SafeText, Spot, Workload};
use akwatch_proto::time::Time;
use akwatch_store::audit::{Actor, Entry};
use akwatch_store::enrollment::{NewCertificate, NewToken, TokenRecord, TokenRefusal};
use akwatch_store::filter::FindingFilter;
use akwatch_store::findings::{Applied, Applying};
use akwatch_store::hosts::{Beat, Beaten, Enrolling, Listened, NewHost, Recorded};
use akwatch_store::rules::{CauseCandidate, Class, CredentialTally, FindingFacts, HostTally};
use akwatch_store::{PepperKey, Rules, Scope, Sqlite, Store};
use uuid::Uuid;

/// Rules that are simple enough to be computed by hand in a test.
pub(crate) struct TestRules;

fn score(value: u32) -> Score {
    Score {
        value,
        lines: vec![ScoreLine {
            what: "test".to_owned(),
            because: "test".to_owned(),
            points: i32::try_from(value).unwrap(),
        }],
    }
}

impl Rules for TestRules {
    fn finding(&self, facts: &FindingFacts<'_>) -> Score {
        let expired = facts.expires().is_some_and(|at| at <= facts.now);
        score(match (self.class(facts), facts.presence) {
            (Class::Apart | Class::Reference, _) | (_, PresenceState::Gone) => 0,
            (Class::Deciding, _) if expired => 5,
            (Class::Deciding, _) => 50 + 10 * (facts.confidence as u32),
        })
    }
    fn class(&self, facts: &FindingFacts<'_>) -> Class {
        match (facts.kind, facts.delivered) {
            (Kind::Reference, _) => Class::Reference,
            (_, true) => Class::Apart,
            (_, false) => Class::Deciding,
        }
    }
    fn credential(&self, tally: &CredentialTally) -> Score {
        let spread = u32::try_from(tally.hosts.saturating_sub(1))
            .unwrap()
            .min(10);
        score(if tally.worst.value == 0 {
            0
        } else {
            tally.worst.value + spread
        })
    }
    fn host(&self, tally: &HostTally) -> Score {
        score(tally.worst.value)
    }
    fn verdict(&self, places: PresenceCounts, disposition: Disposition) -> Verdict {
        let rotated = disposition == Disposition::Rotated;
        match (places.present, places.unknown, places.gone, rotated) {
            (0, 0, 0, _) | (0, 0, _, true) => Verdict::Closed,
            (0, 0, _, false) => Verdict::GoneNotRotated,
            (0, _, _, false) => Verdict::NotVerified,
            (0, _, _, true) => Verdict::RotatedNotVerified,
            (_, _, _, false) => Verdict::Exposed,
            (_, _, _, true) => Verdict::RotatedStillPresent,
        }
    }
    fn open(&self, verdict: Verdict, disposition: Disposition) -> bool {
        verdict != Verdict::Closed && disposition != Disposition::Accepted
    }
    fn cause(&self, unit_files: &[SafeText], candidates: &[CauseCandidate]) -> Option<Cause> {
        candidates
            .iter()
            .min_by_key(|file| (file.gone, !unit_files.contains(&file.path)))
            .map(|file| Cause {
                path: file.path.clone(),
                line: file.line,
                gone: file.gone,
            })
    }
    fn token(&self, token: &TokenRecord, again: bool, now: Time) -> Result<(), TokenRefusal> {
        match () {
            () if token.token.until <= now => Err(TokenRefusal::Expired),
            () if !again && token.token.used >= token.token.uses => Err(TokenRefusal::UsedUp),
            () => Ok(()),
        }
    }
    fn link(&self, previous: &[u8; 32], entry: &Entry) -> [u8; 32] {
        let mut hash = *previous;
        for (index, byte) in serde_json::to_vec(entry).unwrap().into_iter().enumerate() {
            hash[index % 32] = hash[index % 32].rotate_left(1) ^ byte;
        }
        hash
    }
}

pub(crate) const PEPPER: [u8; 32] = [7; 32];

pub(crate) async fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, PepperKey::new(PEPPER), Arc::new(TestRules))
        .await
        .unwrap()
}

/// A store and a clock.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) now: Time,
    begun: Time,
    _directory: tempfile::TempDir,
    hosts: u128,
}

impl World {
    pub(crate) async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("akwatch.db")).await;
        let store: Arc<dyn Store> = Arc::new(store);
        let now = Time::from_seconds(1_772_600_000);
        let world = World {
            store,
            now,
            begun: now,
            _directory: directory,
            hosts: 0,
        };
        // Silence counts from here on.
        assert!(world.silence().await.is_empty());
        world
    }

    /// How long the collector has listened, if nobody touched its clock.
    pub(crate) fn listened(&self) -> Listened {
        Listened {
            ms: self.now.since(self.begun),
            unbroken_since: 0,
        }
    }

    /// Marks hosts silent.
    pub(crate) async fn silence(&self) -> Vec<HostId> {
        let marked = self.store.mark_silent(3, self.listened(), self.now);
        marked.await.unwrap()
    }

    pub(crate) fn later(&mut self, seconds: i64) -> Time {
        self.now = self.now.plus(seconds * 1000);
        self.now
    }

    /// Enrolls a host with these labels.
    pub(crate) async fn host(&mut self, labels: &[(&str, &str)]) -> Agent {
        self.hosts += 1;
        let id = HostId::from_u128(self.hosts);
        let host = enrolled(&*self.store, id, labels, self.now).await;
        Agent {
            id: host,
            instance: Uuid::from_u128(1000 + self.hosts),
            revision: 0,
            counter: 0,
            held: BTreeMap::new(),
        }
    }

    pub(crate) async fn report(&self, report: Report) -> Applied {
        match self.store.apply(report, self.now).await.unwrap() {
            Applying::Applied(applied) => applied,
            refused => panic!("{refused:?}"),
        }
    }

    pub(crate) async fn beat(&self, heartbeat: Heartbeat) -> Recorded {
        let beat = Beat {
            heartbeat,
            peer: Some("192.0.2.7".to_owned()),
        };
        match self.store.beat(beat, self.now).await.unwrap() {
            Beaten::Recorded(recorded) => recorded,
            refused => panic!("{refused:?}"),
        }
    }

    /// The digest that the store has of a host, asked for by a heartbeat.
    pub(crate) async fn digest(&self, agent: &mut Agent) -> SetDigest {
        self.beat(agent.heartbeat(self.now)).await.digest
    }

    pub(crate) async fn findings(&self, filter: &FindingFilter) -> Vec<FindingRow> {
        self.store.findings(&Scope::All, filter).await.unwrap().rows
    }
}

pub(crate) fn token(uses: u32, until: Time, labels: &[(&str, &str)]) -> NewToken {
    NewToken {
        id: TokenId::parse(&Uuid::new_v4().simple().to_string()).unwrap(),
        secret_hash: [3; 32],
        uses,
        until,
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        note: None,
    }
}

pub(crate) fn new_host(id: HostId, token: &NewToken) -> NewHost {
    NewHost {
        id,
        token: token.id.clone(),
        secret_hash: token.secret_hash,
        facts: HostFacts {
            hostname: format!("host-{}", id.0.as_u128()),
            addresses: vec![format!("192.0.2.{}", id.0.as_u128() % 250)],
            ..HostFacts::default()
        },
        peer: None,
        key: {
            let mut key = [0; 32];
            key[..16].copy_from_slice(id.0.as_bytes());
            key
        },
        pem: format!("certificate of {id}"),
        certificate: NewCertificate {
            serial: format!("{:x}", id.0.as_u128() + 0xab_0000),
            until: Time(i64::MAX / 2),
        },
        heartbeat_seconds: 60,
    }
}

pub(crate) async fn enrolled(
    store: &dyn Store,
    id: HostId,
    labels: &[(&str, &str)],
    now: Time,
) -> HostId {
    let token = token(1, now.plus(60_000), labels);
    store
        .create_token(token.clone(), Actor::collector(), now)
        .await
        .unwrap();
    let enrolling = store.enroll(new_host(id, &token), now).await.unwrap();
    assert!(
        matches!(enrolling, Enrolling::Enrolled { .. }),
        "{enrolling:?}"
    );
    id
}

/// A host that speaks: it numbers its revisions and knows what it told.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) id: HostId,
    pub(crate) instance: Uuid,
    pub(crate) revision: u64,
    pub(crate) counter: u64,
    pub(crate) held: BTreeMap<FindingKey, PresenceState>,
}

impl Agent {
    /// A report of these findings, each at a new revision.
    pub(crate) fn report(&mut self, findings: Vec<Finding>) -> Report {
        let findings = findings
            .into_iter()
            .map(|mut finding| {
                self.revision += 1;
                finding.revision = self.revision;
                self.held
                    .insert(finding.key.clone(), finding.presence.state());
                finding
            })
            .collect();
        Report {
            host: self.id,
            instance: self.instance,
            upto: self.revision,
            resync: None,
            findings,
            answers: Vec::new(),
        }
    }

    /// One part of a full list of exactly these findings, as they were told before.
    pub(crate) fn part(&mut self, list: u128, more: bool, findings: Vec<Finding>) -> Report {
        let mut report = self.report(findings);
        report.resync = Some(Resync {
            id: Uuid::from_u128(list),
            more,
        });
        report
    }

    pub(crate) fn digest(&self) -> SetDigest {
        let mut digest = SetDigest::default();
        for (key, state) in self.held.iter().filter(|(_, state)| is_listed(**state)) {
            digest.add(Element::of(key, *state));
        }
        digest
    }

    pub(crate) fn heartbeat(&mut self, now: Time) -> Heartbeat {
        self.counter += 1;
        Heartbeat {
            host: self.id,
            instance: self.instance,
            counter: self.counter,
            time: now.plus(1500),
            facts: None,
            coverage: coverage(Covered::Whole),
            digest: self.digest(),
            acknowledged: self.revision,
            unsent: 0,
            cost: akwatch_proto::agent::CostReceipt::default(),
            leaving: None,
        }
    }
}

pub(crate) fn coverage(covered: Covered) -> Coverage {
    Coverage {
        rules: "rules-1".to_owned(),
        rung: Rung::Full,
        rung_reason: None,
        sources: vec![SourceCoverage {
            source: "files".to_owned(),
            mechanism: "inotify".to_owned(),
            covered,
            last_verified: None,
            read: 10,
            waiting: 3,
            not_read: Vec::new(),
            overflowed: 0,
            raced: 0,
        }],
        missing_walls: Vec::new(),
        record: None,
        set_aside: Vec::new(),
    }
}

pub(crate) fn safe(text: &str) -> SafeText {
    SafeText::try_from(text.to_owned()).unwrap()
}

pub(crate) fn fingerprint(number: u64) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Fingerprint {
        scheme: Scheme::Hmac,
        epoch: Epoch::parse("1").unwrap(),
        bytes,
    }
}

pub(crate) fn key_id(number: u64) -> CredentialId {
    CredentialId::parse(&format!("TESTKEY{number:08}")).unwrap()
}

pub(crate) fn file(path: &str) -> Place {
    Place::File {
        path: safe(path),
        inside: Vec::new(),
    }
}

pub(crate) fn process(unit: &str) -> Place {
    Place::Process {
        workload: Workload::Unit { name: safe(unit) },
        user: safe("app"),
        capture: Capture::Environ,
    }
}

pub(crate) const SEEN: Time = Time(1_772_500_000_000);

/// A paired key, present.
pub(crate) fn finding(place: Place, secret: u64) -> Finding {
    Finding {
        key: FindingKey {
            place,
            subject: Subject::Secret(fingerprint(secret)),
        },
        rule: RuleId::parse("test.access-key").unwrap(),
        provider: Provider::parse("test").unwrap(),
        kind: Kind::AccessKeyPair,
        credential_id: Some(key_id(secret)),
        confidence: Confidence::Paired,
        preview: Some(Preview {
            prefix: None,
            length: LengthClass::of(40),
        }),
        proof: Vec::new(),
        spot: Spot {
            line: 3,
            end_line: 3,
            field: Some(safe("cos.secretKey")),
            encoding: Vec::new(),
            typed: None,
        },
        reach: Reach {
            mode: Some("0644".to_owned()),
            owner: Some(safe("app")),
            world_readable: true,
            ..Reach::default()
        },
        origin: Origin::default(),
        git: None,
        written_by: None,
        delivered: false,
        presence: Presence::Present { since: SEEN },
        why_new: WhyNew::PlaceChanged,
        first_seen: SEEN,
        last_verified: SEEN,
        returns: 0,
        revision: 0,
    }
}

/// A lone id in a place.
pub(crate) fn reference(place: Place, secret: u64) -> Finding {
    Finding {
        key: FindingKey {
            place: place.clone(),
            subject: Subject::Reference(key_id(secret)),
        },
        kind: Kind::Reference,
        confidence: Confidence::Strong,
        preview: None,
        ..finding(place, secret)
    }
}

pub(crate) fn gone(mut finding: Finding) -> Finding {
    finding.presence = Presence::Gone {
        at: SEEN.plus(5000),
        proof: GoneProof::Reread,
    };
    finding
}

pub(crate) fn unknown(mut finding: Finding) -> Finding {
    finding.presence = Presence::Unknown {
        since: SEEN.plus(5000),
        why: UnknownWhy::Unreadable,
    };
    finding
}
