//! Who wrote a finding is said of what is new or back, and of nothing that was there before.

use akwatch_proto::place::WrittenBy;

use super::*;
use crate::reading::FileState;
use crate::{PathKey, Remembered};

fn by(exe: &'static str) -> WrittenBy {
    WrittenBy {
        exe: text(exe),
        script: None,
        user: text("app"),
        login: None,
        unit: None,
        container: None,
    }
}

/// Commits what `values` a write of `exe` has left in `place`.
fn write(ledger: &mut Ledger, place: &Place, at: i64, values: &[u8], exe: Option<&'static str>) {
    let reading = Reading {
        written_by: exe.map(by),
        ..whole(place, at, values)
    };
    ledger.commit(&[reading]).unwrap();
}

fn writer(ledger: &mut Ledger, place: &Place, value: u8) -> Option<String> {
    let written_by = finding(ledger, place, value).written_by;
    written_by.map(|by| by.exe.to_string())
}

#[test]
fn only_what_is_new_was_written_by_the_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app/.env");
    write(&mut ledger, &place, 10, &[1], None);
    write(&mut ledger, &place, 20, &[1, 2], Some("/bin/deploy"));
    write(&mut ledger, &place, 30, &[1, 2, 3], Some("/bin/other"));
    assert_eq!(writer(&mut ledger, &place, 1), None);
    assert_eq!(
        writer(&mut ledger, &place, 2).as_deref(),
        Some("/bin/deploy")
    );
    assert_eq!(
        writer(&mut ledger, &place, 3).as_deref(),
        Some("/bin/other")
    );
}

#[test]
fn what_comes_back_was_written_by_who_brought_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app/.env");
    write(&mut ledger, &place, 10, &[1, 2], Some("/bin/deploy"));
    write(&mut ledger, &place, 20, &[], Some("/bin/cleanup"));
    assert_eq!(
        writer(&mut ledger, &place, 1).as_deref(),
        Some("/bin/deploy")
    );
    write(&mut ledger, &place, 30, &[1], Some("/bin/restore"));
    write(&mut ledger, &place, 40, &[1, 2], None);
    assert_eq!(
        writer(&mut ledger, &place, 1).as_deref(),
        Some("/bin/restore")
    );
    assert_eq!(writer(&mut ledger, &place, 2), None);
}

#[test]
fn what_looks_new_because_the_key_is_another_was_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app/.env");
    write(&mut ledger, &place, 10, &[1], None);
    let mut reading = whole(&place, 20, &[1]);
    reading.written_by = Some(by("/bin/deploy"));
    for observed in &mut reading.observed {
        if let Subject::Secret(fingerprint) = &mut observed.key.subject {
            fingerprint.epoch = Epoch::parse("9").unwrap();
        }
    }
    ledger.commit(&[reading]).unwrap();
    assert!(all(&mut ledger).iter().all(|one| one.written_by.is_none()));
    assert_eq!(all(&mut ledger).len(), 2);
}

#[test]
fn what_a_file_held_is_known_by_the_rules_that_read_it_to_its_last_member() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let path = PathKey::of(b"/srv/.env");
    let state = FileState {
        dev: 1,
        ino: 2,
        size: 3,
        ctime_ns: 4,
        mtime_ns: 5,
    };
    let mut remember = |all_known| {
        ledger.remember(
            path,
            &Remembered {
                state,
                rules_version: "r1",
                lines: 7,
                tail: None,
                all_known,
            },
        );
        [(1, "r1"), (9, "r1"), (1, "r2")].map(|(dev, rules)| ledger.was_known(path, dev, rules))
    };
    assert_eq!(remember(true), [true, false, false]);
    assert_eq!(remember(false), [false, false, false]);
    assert!(!ledger.was_known(PathKey::of(b"/other"), 1, "r1"));
}
