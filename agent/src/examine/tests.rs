//! What an answer says of how much was read.

use std::io::Write;
use std::os::fd::OwnedFd;

use akwatch_detect::{Limits, RuleSet};
use akwatch_proto::agent::FleetKey;
use akwatch_proto::credential::Epoch;

use super::*;
use crate::job::{Captured, JobId};

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
