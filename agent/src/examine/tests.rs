//! What an answer says of how much was read.

use std::io::Write;
use std::os::fd::OwnedFd;

use akwatch_detect::sample::{Sample, Seed};
use akwatch_detect::{Limits, RuleSet};
use akwatch_proto::agent::FleetKey;
use akwatch_proto::credential::{Confidence, CredentialId, Epoch};
use akwatch_proto::finding::Proof;
use proptest::prelude::*;

use super::*;
use crate::job::{Appended, Captured, JobId};
use crate::open::companions::tests::keystore;
use crate::redact::tests::{assert_clean, worked_in};

fn examined(contents: &[Content], expected: &[u64], appended: Option<Appended>) -> Examined {
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let key = FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]);
    let key = FingerprintKey::of_fleet(&key).unwrap();
    let header = JobHeader {
        id: JobId(3),
        idle: false,
        companions: Vec::new(),
        parts: expected
            .iter()
            .map(|&expected| PartHeader {
                name: 0,
                form: PartForm::Guess,
                appended,
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
    let answer = examined(&[file(b"x\n")], &[2], None);
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
fn a_stream_that_is_read_to_its_end_and_not_undone_says_so() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&b"KEY=value\n".repeat(100)).unwrap();
    let packed = packed.finish().unwrap();
    let whole = packed.len() as u64;
    let answer = examined(&[file(&packed)], &[whole], None);
    assert_eq!(
        (&answer.read[..], answer.unread_inside),
        (&[whole][..], None)
    );
    let damaged = [&packed[..20], &[0xff; 12]].concat();
    let answer = examined(&[file(&damaged)], &[32], None);
    assert_eq!(answer.read, [32]);
    assert_eq!(answer.unread_inside, Some(UnknownWhy::Unreadable));
}

#[test]
fn line_breaks_are_counted_once_however_windows_overlap() {
    let captured = Captured(zeroize::Zeroizing::new(b"a\nb\nc\nd".to_vec()));
    let content = Content::Captured(captured);
    let part = PartHeader {
        name: 0,
        form: PartForm::Guess,
        appended: None,
        expected: 7,
    };
    let source = Counting::new(Bytes::of(&part, &content, 0));
    let mut into = [0; 4];
    for at in [0, 2, 4, 0] {
        source.read_at(at, &mut into).unwrap();
    }
    assert_eq!(source.lines.get(), 3);
}

#[test]
fn a_header_that_does_not_fit_reads_nothing() {
    let answer = examined(&[], &[5], None);
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
        appended: None,
        expected: environ.len() as u64,
    };
    let header = JobHeader {
        id: JobId(9),
        idle: false,
        companions: Vec::new(),
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

/// Reads `text` as a bash history that was read before up to `before`.
fn examined_history(text: &str, before: Option<(&str, &Examined)>) -> Examined {
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let key = FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]);
    let key = FingerprintKey::of_fleet(&key).unwrap();
    let appended = before.map_or(Appended::default(), |(text, answer)| Appended {
        from: text.len() as u64,
        lines: answer.lines[0],
        mark: answer.marks[0],
    });
    let part = PartHeader {
        name: 0,
        form: PartForm::BashHistory,
        appended: Some(appended),
        expected: text.len() as u64,
    };
    let header = JobHeader {
        id: JobId(4),
        idle: false,
        companions: Vec::new(),
        parts: vec![part],
        names: vec![b"/root/.bash_history".to_vec()],
    };
    let answer = examine(&mut detector, &key, &header, &[file(text.as_bytes())]);
    assert!(answer.fits(&header));
    assert_eq!(answer.began[0] + answer.read[0], text.len() as u64);
    answer
}

fn typed(seed: u64) -> String {
    let pair = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut Seed(seed)).unwrap();
    let (id, secret) = (&pair.id, &pair.secret);
    format!("TENCENTCLOUD_SECRET_ID={id} TENCENTCLOUD_SECRET_KEY={secret} ./run\n")
}

#[test]
fn of_what_was_appended_only_that_is_told_with_its_line_and_a_mark_for_the_next() {
    let before = format!("{}{}", typed(1), "ls -l\n".repeat(4000));
    let first = examined_history(&before, None);
    assert_eq!(
        (first.found.len(), first.lines[0], first.began[0]),
        (1, 4001, 0)
    );
    let now = format!("{before}{}", typed(2));
    let second = examined_history(&now, Some((&before, &first)));
    let lines: Vec<u32> = second.found.iter().map(|found| found.spot.line).collect();
    assert_eq!((lines, second.lines[0]), (vec![4002], 4002));
    assert!(second.read[0] < 8192, "{} bytes", second.read[0]);
    // And so on, from a line that was not complete.
    let half = format!("{now}cd /sr");
    let third = examined_history(&half, Some((&now, &second)));
    assert_eq!(third.lines[0], 4002);
    let again = third.found.iter().all(|found| found.spot.line == 4002);
    assert!(again, "a pair may be told twice, and nothing else");
    let whole = format!("{half}v; {}", typed(3));
    let fourth = examined_history(&whole, Some((&half, &third)));
    assert_eq!(fourth.found.last().unwrap().spot.line, 4003);
    assert!(fourth.began[0] > 0);
}

#[test]
fn a_pair_that_the_new_lines_complete_is_told() {
    let pair = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut Seed(5)).unwrap();
    let filler = "ls -l\n".repeat(4000);
    let before = format!("{filler}export TENCENTCLOUD_SECRET_ID={}\n", pair.id);
    let first = examined_history(&before, None);
    let now = format!("{before}export TENCENTCLOUD_SECRET_KEY={}\n", pair.secret);
    let second = examined_history(&now, Some((&before, &first)));
    assert!(second.began[0] > 0);
    let told = &second.found[0];
    assert_eq!(
        told.credential_id.as_ref().map(CredentialId::as_str),
        Some(pair.id.as_str())
    );
}

#[test]
fn what_is_not_merely_longer_is_read_whole() {
    let before = format!("{}{}", typed(1), "ls -l\n".repeat(4000));
    let first = examined_history(&before, None);
    let rewritten = [
        // Truncated and typed anew, beyond its old length.
        format!("{}{}", "cd /srv\n".repeat(4000), typed(2)),
        // A line less at the top, more at the end.
        format!("{}{}", "ls -l\n".repeat(4100), typed(2)),
        // Cleaned in place, and appended to.
        format!("{}{}", before.replacen("SECRET", "XXXXXX", 9), typed(2)),
    ];
    for text in rewritten {
        assert!(text.len() > before.len());
        let answer = examined_history(&text, Some((&before, &first)));
        assert_eq!(answer.began[0], 0);
    }
    let shorter = examined_history(&before[..1000], Some((&before, &first)));
    assert_eq!(shorter.began[0], 0);
}

/// A job for a keystore, with `beside` in a file beside it.
fn examined_store(store: &[u8], beside: &[u8]) -> Examined {
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let key = FleetKey::new(Epoch::parse("1").unwrap(), &[1; 32]);
    let key = FingerprintKey::of_fleet(&key).unwrap();
    let part = PartHeader {
        name: 0,
        form: PartForm::Guess,
        appended: None,
        expected: store.len() as u64,
    };
    let companion = CompanionHeader {
        name: b"/srv/app.properties".to_vec(),
        bytes: beside.len() as u64,
        above: false,
    };
    let header = JobHeader {
        id: JobId(4),
        idle: false,
        parts: vec![part],
        companions: vec![companion],
        names: vec![b"/srv/app.jks".to_vec()],
    };
    let answer = examine(&mut detector, &key, &header, &[file(store), file(beside)]);
    assert!(answer.fits(&header));
    answer
}

#[test]
fn a_companion_opens_a_keystore_and_is_no_part_of_the_answer() {
    let store = keystore("Copper4711x");
    let token = Sample::of(&RuleSet::builtin(), "aws.access-key", &mut Seed(5)).unwrap();
    let other = format!(
        "aws_access_key_id={}\naws_secret_access_key={}\n",
        token.id, token.secret
    );
    let setting = format!("{other}server.ssl.key-store-password=Copper4711x\n");
    let (open, shut) = (
        examined_store(&store, setting.as_bytes()),
        examined_store(&store, other.as_bytes()),
    );
    let opened = Proof::Checksum { holds: true };
    assert!(open.found[0].proof.contains(&opened));
    assert!(shut.found[0].proof.contains(&Proof::Encrypted));
    for answer in [&open, &shut] {
        assert_eq!((answer.found.len(), answer.found[0].part), (1, 0));
        assert_eq!(answer.read, [store.len() as u64]);
        assert_eq!((answer.names.len(), answer.unread_inside), (1, None));
    }
    // One finding, whatever opens it.
    assert_eq!(open.found[0].subject, shut.found[0].subject);
}
