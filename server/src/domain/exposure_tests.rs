//! Scores add up, stay in their range, and are what the documentation says.

use akwatch_proto::people::PresenceCounts;
use akwatch_proto::place::{Reach, Workload};
use akwatch_proto::time::Time;

use super::*;

const KINDS: [Kind; 8] = [
    Kind::AccessKeyPair,
    Kind::SecretKey,
    Kind::TemporaryCredential,
    Kind::PrivateKey,
    Kind::Token,
    Kind::Password,
    Kind::Reference,
    Kind::Unknown,
];

const LEVELS: [Confidence; 5] = [
    Confidence::Unknown,
    Confidence::Contextual,
    Confidence::Strong,
    Confidence::Paired,
    Confidence::Proven,
];

fn a_file() -> Place {
    Place::File {
        path: SafeText::from_program("/opt/app/.env"),
        inside: Vec::new(),
    }
}

fn places() -> [Place; 5] {
    let process = |capture| Place::Process {
        workload: Workload::Unknown,
        user: SafeText::from_program("app"),
        capture,
    };
    [
        a_file(),
        process(Capture::Environ),
        process(Capture::Cmdline),
        Place::History {
            path: SafeText::from_program("/root/.bash_history"),
            user: SafeText::from_program("root"),
        },
        Place::Unknown,
    ]
}

fn reaches() -> [Reach; 4] {
    let none = Reach::default();
    [
        none.clone(),
        Reach {
            world_readable: true,
            ..none.clone()
        },
        Reach {
            group_readable: true,
            ..none.clone()
        },
        Reach { acl: true, ..none },
    ]
}

fn proofs_of_all_sorts() -> Vec<Vec<Proof>> {
    let canary = |canary| Proof::Account {
        id: "123456789012".to_owned(),
        canary,
    };
    vec![
        Vec::new(),
        vec![Proof::Encrypted],
        vec![Proof::Checksum { holds: false }],
        vec![Proof::Checksum { holds: true }, canary(false)],
        vec![canary(true), Proof::Encrypted],
        vec![Proof::Expires { at: Time(10) }],
        vec![Proof::Expires { at: Time(1000) }],
        vec![
            Proof::Encrypted,
            Proof::Structure { holds: false },
            Proof::Expires { at: Time(10) },
        ],
    ]
}

fn every_finding(mut check: impl FnMut(&FindingFacts<'_>, &Score)) {
    for kind in KINDS {
        for confidence in LEVELS {
            for place in &places() {
                for reach in &reaches() {
                    for proof in &proofs_of_all_sorts() {
                        for (delivered, presence) in [
                            (false, PresenceState::Present),
                            (false, PresenceState::Gone),
                            (false, PresenceState::Unknown),
                            (true, PresenceState::Present),
                        ] {
                            let facts = FindingFacts {
                                kind,
                                confidence,
                                proof,
                                place,
                                reach,
                                delivered,
                                presence,
                                now: Time(100),
                            };
                            check(&facts, &finding(&facts));
                        }
                    }
                }
            }
        }
    }
}

fn adds_up(score: &Score) {
    let sum: i32 = score.lines.iter().map(|line| line.points).sum();
    assert_eq!(i64::from(sum), i64::from(score.value), "{score:?}");
    assert!(score.value <= 100);
}

#[test]
fn lines_add_up_for_every_finding_and_what_follows_from_it() {
    every_finding(|_, score| {
        adds_up(score);
        for hosts in [0, 1, 2, 5, 20] {
            for (present, gone) in [(1, 0), (0, 1), (0, 0)] {
                for disposition in [
                    Disposition::New,
                    Disposition::Rotated,
                    Disposition::FalsePositive,
                ] {
                    let mut tally = CredentialTally {
                        worst: score.clone(),
                        places: PresenceCounts {
                            present,
                            gone,
                            unknown: 0,
                        },
                        hosts,
                        disposition,
                    };
                    let explained = credential(&tally);
                    adds_up(&explained);
                    tally.worst.lines.clear();
                    assert_eq!(credential(&tally).value, explained.value);
                }
            }
            adds_up(&host(&HostTally {
                worst: score.clone(),
                credentials: hosts,
            }));
        }
    });
}

#[test]
fn what_is_gone_apart_or_a_reference_scores_nothing() {
    every_finding(|facts, score| {
        if facts.presence == PresenceState::Gone || class(facts) != Class::Deciding {
            assert_eq!(score.value, 0, "{facts:?}");
        }
    });
}

#[test]
fn unknown_is_not_better_than_present() {
    every_finding(|facts, score| {
        if facts.presence == PresenceState::Present {
            let unknown = FindingFacts {
                presence: PresenceState::Unknown,
                ..*facts
            };
            assert_eq!(finding(&unknown).value, score.value);
        }
    });
}

#[test]
fn a_pair_that_everybody_can_read_is_critical_and_a_private_one_is_high() {
    let check = |reach: &Reach, expected: u32| {
        let score = finding(&FindingFacts {
            kind: Kind::AccessKeyPair,
            confidence: Confidence::Paired,
            proof: &[],
            place: &a_file(),
            reach,
            delivered: false,
            presence: PresenceState::Present,
            now: Time(0),
        });
        assert_eq!(score.value, expected);
    };
    let [owner, world, group, _] = reaches();
    check(&world, 90);
    check(&group, 80);
    check(&owner, 70);
}

#[test]
fn the_documentation_has_these_numbers() {
    let page = include_str!("../../../docs/reference/score.md");
    let row = |words: &str, points: i32| {
        let line = format!("| {words} | {points} |");
        assert!(
            page.contains(&line),
            "docs/reference/score.md lacks {line:?}"
        );
    };
    for (words, points) in KINDS.map(kind) {
        row(words, points);
    }
    for (words, points) in LEVELS.map(confidence) {
        row(words, points);
    }
    for (words, points) in places().each_ref().map(place) {
        row(words, points);
    }
    row("every user of the host can read it", 20);
    row("a group of users can read it", 10);
    row("only its owner can read it", 0);
    row("its password is needed too", ENCRYPTED);
    row("its own checksum or structure fails", FAILED_PROOF);
    for (from, points) in SPREAD {
        row(&format!("{from} hosts or more"), points);
    }
    for (from, points) in HELD {
        row(&format!("{from} credentials or more"), points);
    }
    row("expired: at most", EXPIRED);
    row("gone everywhere, not rotated: at least", COPY);
}

#[test]
fn a_unit_s_own_file_is_the_cause_before_others() {
    let file = |path: &'static str, line| CauseCandidate {
        path: SafeText::from_program(path),
        line,
        gone: false,
    };
    let files = [file("/a", 1), file("/etc/unit/env", 9), file("/b", 2)];
    let named = [SafeText::from_program("/etc/unit/env")];
    assert_eq!(cause(&named, &files).unwrap().line, 9);
    assert_eq!(cause(&[], &files).unwrap().path.as_str(), "/a");
    assert_eq!(cause(&named, &[]), None);
    let edited = CauseCandidate {
        gone: true,
        ..file("/etc/unit/env", 9)
    };
    assert!(
        !cause(&named, &[edited.clone(), file("/b", 2)])
            .unwrap()
            .gone
    );
    assert!(cause(&named, &[edited]).unwrap().gone);
}
