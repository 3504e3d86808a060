//! The wire stays readable across versions: golden messages, round trips, unknown fields, limits.
//!
//! A golden message is a file of this release; a later release must still read it, and writes the
//! same. To change the wire on purpose, run with `AKWATCH_BLESS=1` and read the difference as a
//! reviewer of every agent that is already installed.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, CloudFacts, CostReceipt, Directive, Enroll, Enrolled, FleetKey,
    Heartbeat, HeartbeatAnswer, HostFacts, HostId, Outcome, OutcomeResult, PublicKey, RefusalCode,
    Refused, Renew, RenewExpired, Renewed, Report, Reported, RereadAnswer, RereadQuestion, Resync,
    TokenId, TokenSecret, TrustDomain,
};
use akwatch_proto::coverage::{Coverage, Covered, NotRead, Rung, SourceCoverage};
use akwatch_proto::credential::{
    Confidence, CredentialId, Epoch, Fingerprint, Kind, LengthClass, Preview, Provider,
    PublicPrefix, RuleId, Scheme,
};
use akwatch_proto::digest::{Element, SetDigest};
use akwatch_proto::finding::{
    Finding, FindingKey, GoneProof, Presence, PresenceState, Proof, Subject, UnknownWhy, WhyNew,
};
use akwatch_proto::git::{CommitId, Git, PushState, Remote};
use akwatch_proto::limits;
use akwatch_proto::place::{
    Capture, Encoding, Origin, Place, Pod, Reach, SafeText, Spot, Workload, WrittenBy,
};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_proto::time::Time;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

fn safe(text: &str) -> SafeText {
    SafeText::try_from(text.to_owned()).unwrap()
}

fn host() -> HostId {
    HostId::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001)
}

fn writer() -> WrittenBy {
    WrittenBy {
        exe: safe("/usr/bin/python3.11"),
        script: Some(safe("/srv/deploy.py")),
        user: safe("root"),
        login: Some(safe("li")),
        unit: Some(safe("deploy.service")),
        container: None,
    }
}

fn finding() -> Finding {
    Finding {
        key: FindingKey {
            place: Place::File {
                path: safe("/srv/app/.env"),
                inside: vec![safe("etc/app.yml")],
            },
            subject: Subject::Secret(Fingerprint {
                scheme: Scheme::Hmac,
                epoch: Epoch::parse("1").unwrap(),
                bytes: [7; 32],
            }),
        },
        rule: RuleId::parse("tencent.access-key").unwrap(),
        provider: Provider::parse("tencent").unwrap(),
        kind: Kind::AccessKeyPair,
        credential_id: Some(CredentialId::parse("AKIDexample").unwrap()),
        confidence: Confidence::Paired,
        preview: Some(Preview {
            prefix: Some(PublicPrefix::parse("ghp_").unwrap()),
            length: LengthClass::of(32),
        }),
        proof: vec![
            Proof::Checksum { holds: true },
            Proof::Ambiguous { candidates: 2 },
        ],
        spot: Spot {
            line: 18,
            end_line: 18,
            field: Some(safe("cos.secretKey")),
            encoding: vec![Encoding::Base64],
            typed: Some(Time(1_699_999_990_000)),
        },
        reach: Reach {
            mode: Some("0644".to_owned()),
            owner: Some(safe("app")),
            group: Some(safe("app")),
            world_readable: true,
            group_readable: true,
            acl: false,
        },
        origin: Origin::default(),
        git: Some(Git {
            repository: safe("/srv/app"),
            commit: Some(CommitId::parse(&"5d".repeat(20)).unwrap()),
            authored: Some(Time(1_690_000_000_000)),
            path: Some(safe("deploy/app.yml")),
            state: PushState::Pushed,
            why: None,
            remotes: vec![Remote {
                name: safe("origin"),
                address: Some(safe("git.example.org/acme/app")),
                reached: true,
            }],
        }),
        written_by: Some(writer()),
        delivered: false,
        presence: Presence::Present {
            since: Time(1_700_000_000_000),
        },
        why_new: WhyNew::PlaceChanged,
        first_seen: Time(1_700_000_000_000),
        last_verified: Time(1_700_000_100_000),
        returns: 0,
        revision: 12,
    }
}

fn process_finding() -> Finding {
    Finding {
        key: FindingKey {
            place: Place::Process {
                workload: Workload::Unit {
                    name: safe("payments.service"),
                },
                user: safe("app"),
                capture: Capture::Environ,
            },
            subject: Subject::Reference(CredentialId::parse("AKIDexample").unwrap()),
        },
        kind: Kind::Reference,
        preview: None,
        presence: Presence::Gone {
            at: Time(1_700_000_200_000),
            proof: GoneProof::Ended,
        },
        origin: Origin {
            pid: Some(4242),
            exe: Some(safe("/usr/bin/payments")),
            user: Some(safe("app")),
            unit: Some(safe("payments.service")),
            unit_files: vec![safe("/etc/payments.env")],
            container: Some(safe("prod/payments/main")),
            script: Some(safe("/srv/payments.py")),
            cgroup: Some(safe("/kubepods.slice/cri-containerd-0123.scope")),
            container_id: Some(safe("0123")),
            image: Some(safe("registry.example.org/payments:3")),
            pod: Some(Pod {
                namespace: safe("prod"),
                name: safe("payments-7d9c5b4f6d-x2x7q"),
                container: Some(safe("main")),
            }),
            path_inside: None,
        },
        git: None,
        written_by: None,
        ..finding()
    }
}

fn facts() -> HostFacts {
    HostFacts {
        hostname: "web-03".to_owned(),
        machine: "ab".repeat(32),
        os: "Debian GNU/Linux 12".to_owned(),
        kernel: "6.1.0".to_owned(),
        architecture: "x86_64".to_owned(),
        addresses: vec!["192.0.2.7".to_owned()],
        time_zone: "Asia/Shanghai".to_owned(),
        agent: "0.1.0".to_owned(),
        labels: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        ephemeral: false,
        cloud: Some(CloudFacts {
            provider: "tencent".to_owned(),
            instance: "ins-1".to_owned(),
            ..CloudFacts::default()
        }),
    }
}

fn coverage() -> Coverage {
    Coverage {
        rules: "r1".to_owned(),
        rung: Rung::Full,
        rung_reason: None,
        sources: vec![SourceCoverage {
            source: "files".to_owned(),
            mechanism: "inotify".to_owned(),
            covered: Covered::Partly,
            last_verified: Some(Time(1_700_000_000_000)),
            read: 412_880,
            waiting: 3,
            not_read: vec![NotRead {
                why: "permission-denied".to_owned(),
                count: 2,
                example: Some(safe("/root/.env")),
            }],
            overflowed: 1,
            raced: 0,
        }],
        missing_walls: vec!["landlock-tcp".to_owned()],
        record: None,
        set_aside: Vec::new(),
    }
}

/// Writes, compares with the golden file, reads it back, and reads it with a field of the future.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let written = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("AKWATCH_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; see the head of this file", path.display()));
    assert_eq!(
        written, golden,
        "{name} is written otherwise than its golden message"
    );
    assert_eq!(&serde_json::from_str::<T>(&golden).unwrap(), value);
    let mut future: Value = serde_json::from_str(&golden).unwrap();
    if let Value::Object(fields) = &mut future {
        fields.insert("from_a_later_release".to_owned(), Value::Bool(true));
    }
    assert_eq!(
        &serde_json::from_value::<T>(future).unwrap(),
        value,
        "{name}: unknown fields"
    );
}

#[test]
fn enrollment_messages_are_golden() {
    check(
        "enroll",
        &Enroll {
            protocol: 1,
            token: TokenId::parse("t7").unwrap(),
            secret: TokenSecret::new("s3cr3t".to_owned()),
            csr: "-----BEGIN CERTIFICATE REQUEST-----".to_owned(),
            facts: facts(),
        },
    );
    check(
        "enrolled",
        &Enrolled {
            host: host(),
            trust_domain: TrustDomain::parse("akwatch.internal").unwrap(),
            certificate: "leaf".to_owned(),
            authorities: "roots".to_owned(),
            fleet_key: FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]),
            directive_keys: vec![PublicKey("cd".repeat(32))],
            heartbeat_seconds: 60,
            time: Time(1_700_000_000_000),
        },
    );
    check(
        "renew",
        &Renew {
            csr: "csr".to_owned(),
        },
    );
    check(
        "renew-expired",
        &RenewExpired {
            host: host(),
            certificate: "old".to_owned(),
            nonce: "00".repeat(32),
            csr: "csr".to_owned(),
            signature: "c2ln".to_owned(),
        },
    );
    check(
        "renewed",
        &Renewed {
            certificate: "leaf".to_owned(),
            authorities: "roots".to_owned(),
            time: Time(1_700_000_000_000),
        },
    );
}

#[test]
fn questions_and_answers_are_golden() {
    let instance = Uuid::from_u128(5);
    check(
        "report-answers",
        &Report {
            host: host(),
            instance,
            upto: 12,
            resync: None,
            findings: Vec::new(),
            answers: vec![RereadAnswer {
                list: Uuid::from_u128(6),
                place: finding().key.place.outer(),
                proof: GoneProof::Removed,
                at: Time(1_700_000_000_000),
                epochs: vec![Epoch::parse("1").unwrap()],
            }],
        },
    );
    check(
        "reported-questions",
        &Reported {
            upto: 12,
            reread: vec![finding().key.place.outer()],
            questions: vec![RereadQuestion {
                place: finding().key.place.outer(),
                rules: vec![finding().rule],
            }],
        },
    );
}

#[test]
fn reporting_messages_are_golden() {
    let instance = Uuid::from_u128(5);
    check(
        "report",
        &Report {
            host: host(),
            instance,
            upto: 12,
            resync: Some(Resync {
                id: Uuid::from_u128(6),
                more: true,
            }),
            findings: vec![finding(), process_finding()],
            answers: Vec::new(),
        },
    );
    check(
        "reported",
        &Reported {
            upto: 12,
            reread: vec![finding().key.place.outer()],
            questions: Vec::new(),
        },
    );
    let mut digest = SetDigest::default();
    digest.add(Element::of(&finding().key, PresenceState::Present));
    check(
        "heartbeat",
        &Heartbeat {
            host: host(),
            instance,
            counter: 9,
            time: Time(1_700_000_000_000),
            facts: Some(facts()),
            coverage: coverage(),
            digest,
            acknowledged: 12,
            unsent: 0,
            cost: CostReceipt {
                cpu_ms: 5,
                ..CostReceipt::default()
            },
            leaving: None,
        },
    );
    check(
        "heartbeat-answer",
        &HeartbeatAnswer {
            time: Time(1_700_000_000_000),
            next_seconds: 60,
            resync: true,
            want_facts: false,
        },
    );
}

#[test]
fn check_in_messages_are_golden() {
    check(
        "check-in",
        &CheckIn {
            host: host(),
            serial: 3,
            wait_seconds: 30,
            outcomes: vec![Outcome {
                serial: 3,
                result: OutcomeResult::Done,
                detail: Some(safe("re-read 2 places")),
            }],
        },
    );
    let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let directive = Directive::Rescan {
        places: vec![finding().key.place],
    };
    check(
        "check-in-answer",
        &CheckInAnswer {
            directives: vec![Signed::seal(
                &key,
                Audience::Host(host()),
                Time(1_700_000_000_000),
                4,
                directive,
            )],
        },
    );
    check(
        "refused",
        &Refused {
            code: RefusalCode::WrongHost,
            message: "the certificate is another host's".to_owned(),
            hint: None,
            request: Some("8f2c".to_owned()),
        },
    );
}

fn any_text() -> impl Strategy<Value = SafeText> {
    proptest::collection::vec(any::<u8>(), 0..60)
        .prop_map(|bytes| SafeText::danger_already_redacted(&bytes))
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (any_text(), proptest::collection::vec(any_text(), 0..3))
            .prop_map(|(path, inside)| Place::File { path, inside }),
        (any_text(), any_text()).prop_map(|(path, user)| Place::History { path, user }),
        (any_text(), proptest::option::of(any_text()), any_text()).prop_map(
            |(path, script, user)| Place::Process {
                workload: Workload::Executable { path, script },
                user,
                capture: Capture::Cmdline,
            }
        ),
    ]
}

fn any_presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        any::<i64>().prop_map(|at| Presence::Present { since: Time(at) }),
        any::<i64>().prop_map(|at| Presence::Gone {
            at: Time(at),
            proof: GoneProof::Reread
        }),
        any::<i64>().prop_map(|at| Presence::Unknown {
            since: Time(at),
            why: UnknownWhy::ReadShort
        }),
    ]
}

fn any_finding() -> impl Strategy<Value = Finding> {
    (
        any_place(),
        any::<[u8; 32]>(),
        any_presence(),
        any::<u64>(),
        any::<u32>(),
        any_text(),
    )
        .prop_map(|(place, bytes, presence, revision, line, field)| {
            let mut finding = finding();
            finding.key.place = place;
            finding.key.subject = Subject::Secret(Fingerprint {
                scheme: Scheme::ArgonHmac,
                epoch: Epoch::parse("local").unwrap(),
                bytes,
            });
            finding.presence = presence;
            finding.revision = revision;
            finding.spot.line = line;
            finding.spot.field = Some(field);
            finding
        })
}

proptest! {
    #[test]
    fn every_finding_survives_the_wire(finding in any_finding()) {
        let written = serde_json::to_vec(&finding).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Finding>(&written).unwrap(), finding);
    }

    #[test]
    fn whatever_a_host_names_is_accepted_and_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let text = SafeText::danger_already_redacted(&bytes);
        prop_assert!(text.as_str().len() <= limits::SAFE_TEXT);
        prop_assert!(SafeText::try_from(text.as_str().to_owned()).is_ok());
    }

    #[test]
    fn bytes_from_the_wire_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = serde_json::from_slice::<Report>(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<akwatch_proto::agent::Bootstrap>();
        let _ = String::from_utf8_lossy(&bytes).parse::<Fingerprint>();
    }
}
