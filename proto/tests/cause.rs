//! Which file a process has its key from, as an agent says it of its own findings.

#![allow(clippy::unwrap_used, reason = "a test")]

use akwatch_proto::agent::Report;
use akwatch_proto::finding::{Finding, GoneProof, Presence, UnknownWhy, cause_of};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;

/// A file and a process of the golden report, of one subject.
fn pair() -> (Finding, Finding) {
    let report: Report = serde_json::from_str(include_str!("golden/report.json")).unwrap();
    let of = |process: bool| {
        let mut all = report.findings.iter().cloned();
        all.find(|one| matches!(one.key.place, Place::Process { .. }) == process)
            .unwrap()
    };
    let (file, mut process) = (of(false), of(true));
    process.key.subject = file.key.subject.clone();
    (file, process)
}

fn check(file: Presence, process: Presence, expected: Option<bool>) {
    let (mut edited, mut running) = pair();
    (edited.presence, running.presence) = (file, process);
    let cause = cause_of(&running, [&edited]);
    assert_eq!(cause.map(|cause| cause.gone), expected);
}

#[test]
fn an_edited_file_is_the_cause_of_a_process_that_outlived_it_and_of_no_other() {
    let present = |since: i64| Presence::Present { since: Time(since) };
    let gone = |at: i64, proof| Presence::Gone {
        at: Time(at),
        proof,
    };
    let unknown = Presence::Unknown {
        since: Time(300),
        why: UnknownWhy::Unreadable,
    };
    check(present(100), present(50), Some(false));
    check(present(100), gone(120, GoneProof::Ended), Some(false));
    let edited = gone(100, GoneProof::Reread);
    check(edited.clone(), present(50), Some(true));
    check(edited.clone(), present(100), None);
    check(edited.clone(), present(150), None);
    check(edited.clone(), gone(120, GoneProof::Ended), None);
    check(edited, unknown, None);
}
