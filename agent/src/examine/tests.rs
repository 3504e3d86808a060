//! What an answer says of how much was read.

use std::io::Write;
use std::os::fd::OwnedFd;

use akwatch_detect::sample::{Sample, Seed};
use akwatch_detect::{Limits, RuleSet};
use akwatch_proto::agent::FleetKey;
use akwatch_proto::credential::{Confidence, Epoch};
use proptest::prelude::*;

use super::*;
use crate::job::{Captured, JobId};
use crate::redact::tests::{assert_clean, worked_in};

fn examined(contents: &[Content], expected: &[u64], from: u64) -> Examined {
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let key = FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]);
    let key = FingerprintKey::of_fleet(&key).unwrap();
    let header = JobHeader {
        id: JobId(3),
        parts: expected
            .iter()
            .map(|&expected| PartHeader {
                name: 0,
                form: PartForm::Guess,
                from,
                lines_before: 0,
                expected,
            })
            .collect(),
        names: vec![b"/etc/a\x1bb".to_vec()],
    };
    examine(&mut detector, &key, &header, contents)
}

fn file(text: &[u8]) -> Content {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    Content::File(OwnedFd::from(file))
}

#[test]
fn names_come_back_in_order_and_harmless() {
    let answer = examined(&[file(b"x\n")], &[2], 0);
    assert_eq!(answer.id, JobId(3));
    assert_eq!(answer.names[0].as_str(), "/etc/a\\u{1b}b");
    assert_eq!((answer.read.len(), answer.lines.len()), (1, 1));
}

#[test]
fn a_source_ends_where_the_file_ended_when_it_was_opened() {
    let Content::File(file) = file(b"0123456789") else {
        unreachable!()
    };
    let bytes = Bytes::file(file.as_fd(), 2, 6);
    let mut into = [0; 16];
    assert_eq!(bytes.len(), Some(4));
    assert_eq!(bytes.read_at(0, &mut into), Ok(4));
    assert_eq!(&into[..4], b"2345");
    assert_eq!(bytes.read_at(3, &mut into), Ok(1));
    assert_eq!(bytes.read_at(4, &mut into), Ok(0));
    assert_eq!(bytes.read_at(u64::MAX, &mut into), Err(Unreadable));
}

#[test]
fn a_file_that_shrank_is_read_short() {
    let Content::File(file) = file(b"0123") else {
        unreachable!()
    };
    let bytes = Bytes::file(file.as_fd(), 0, 1 << 21);
    assert_eq!(bytes.read_at(0, &mut [0; 16]), Ok(4));
}

#[test]
fn line_breaks_are_counted_once_however_windows_overlap() {
    let captured = Captured(zeroize::Zeroizing::new(b"a\nb\nc\nd".to_vec()));
    let content = Content::Captured(captured);
    let part = PartHeader {
        name: 0,
        form: PartForm::Guess,
        from: 0,
        lines_before: 0,
        expected: 7,
    };
    let source = Counting::new(Bytes::of(&part, &content));
    let mut into = [0; 4];
    for at in [0, 2, 4, 0] {
        source.read_at(at, &mut into).unwrap();
    }
    assert_eq!(source.lines.get(), 3);
}

#[test]
fn a_header_that_does_not_fit_reads_nothing() {
    let answer = examined(&[], &[5], 0);
    assert_eq!(answer.read, [0]);
    assert!(answer.found.is_empty());
}

fn captured(text: &[u8]) -> Content {
    Content::Captured(Captured(zeroize::Zeroizing::new(text.to_vec())))
}

/// Examines one environment with `names` beside it.
fn examined_environ(environ: &[u8], names: Vec<Vec<u8>>) -> Examined {
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let key = FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]);
    let key = FingerprintKey::of_fleet(&key).unwrap();
    let part = PartHeader {
        name: 0,
        form: PartForm::Environ,
        from: 0,
        lines_before: 0,
        expected: environ.len() as u64,
    };
    let header = JobHeader {
        id: JobId(9),
        parts: vec![part],
        names,
    };
    examine(&mut detector, &key, &header, &[captured(environ)])
}

#[test]
fn a_pair_in_an_environment_is_found_and_said() {
    let mut seed = Seed(7);
    let pair = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut seed).unwrap();
    let (id, secret) = (&pair.id, &pair.secret);
    let environ = format!("PATH=/bin\0COS_SECRET_ID={id}\0COS_SECRET_KEY={secret}\0");
    let answer = examined_environ(environ.as_bytes(), vec![b"/proc/7/environ".to_vec()]);
    assert_eq!(answer.found.len(), 1, "{answer:?}");
    let found = &answer.found[0];
    assert_eq!(found.credential_id.as_ref().unwrap().as_str(), id.as_str());
    assert_eq!(
        found.spot.field.as_ref().unwrap().as_str(),
        "COS_SECRET_KEY"
    );
    assert!(found.confidence >= Confidence::Paired);
    assert_eq!(answer.read, [environ.len() as u64]);
    assert!(!answer.too_many && answer.unread_inside.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn no_window_of_what_the_engine_finds_leaves(
        id in "AKID[A-Za-z0-9]{32}",
        secret in "[A-Za-z0-9]{32}",
        rest in "[A-Za-z0-9_=/.-]{0,40}",
        names in proptest::collection::vec(
            ("[ -~]{0,10}", 0_u8..7, 0_usize..33, 0_usize..33, "[ -~]{0,10}"), 1..6),
    ) {
        let names: Vec<Vec<u8>> = names
            .iter()
            .map(|(before, how, from, to, after)| {
                let middle = worked_in(secret.as_bytes(), *how, *from, *to);
                [before.as_bytes(), &middle, after.as_bytes()].concat()
            })
            .collect();
        let named = String::from_utf8_lossy(&names[0]).replace(['=', '\0'], "_");
        let environ = format!(
            "A={rest}\0TENCENT_SECRET_ID={id}\0TENCENT_SECRET_KEY={secret}\0X{named}={secret}\0"
        );
        let answer = examined_environ(environ.as_bytes(), names);
        let json = serde_json::to_string(&answer).unwrap();
        // What the engine holds for a placeholder is no secret, and is not found.
        if answer.found.iter().any(|found| found.preview.is_some()) {
            assert_clean(&json, secret.as_bytes());
        }
    }
}
