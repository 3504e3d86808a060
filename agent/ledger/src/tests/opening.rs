//! Opening: two at once, a newer format, damage, and what outlasts it.

use std::os::unix::fs::FileExt as _;

use redb::{Database, TableDefinition};

use super::*;
use crate::index::{Need, PathKey, Remembered};
use crate::reading::FileState;

const REDB: &str = "ledger.redb";

#[test]
fn a_second_agent_is_told_who_holds_it() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let refused = Ledger::open(directory.path(), &options()).unwrap_err();
    let own = format!("process {}", std::process::id());
    assert!(matches!(&refused, LedgerError::InUse { holder, .. } if *holder == own));
    assert!(refused.to_string().contains(&own));
    drop(first);
    open(directory.path());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    drop(ledger);
    let path = directory.path().join(REDB);
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let set_format = |format: &[u8]| {
        let database = Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        write
            .open_table(meta)
            .unwrap()
            .insert("format", format)
            .unwrap();
        write.commit().unwrap();
    };
    set_format(b"2");
    let refused = opened(directory.path(), &options(), &Medium::File).unwrap_err();
    assert!(matches!(
        refused,
        LedgerError::Newer {
            found: 2,
            known: 1,
            ..
        }
    ));
    set_format(b"1");
    assert_eq!(all(&mut open(directory.path())).len(), 1);
}

/// What a host's ledger looks like after `damage` to its file.
fn damaged(damage: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    for number in 0..20_u8 {
        let place = file(&format!("file-{number}"));
        ledger.commit(&[whole(&place, 10, &[1, 2, 3])]).unwrap();
    }
    deliver(&mut ledger);
    drop(ledger);
    damage(&directory.path().join(REDB));
    let ledger = open(directory.path());
    (directory, ledger)
}

#[test]
fn a_damaged_ledger_is_set_aside_and_everything_is_unknown() {
    let (directory, mut ledger) = damaged(|path| {
        std::fs::write(path, vec![0x5a; 100_000]).unwrap();
    });
    let lost = ledger.lost().unwrap().clone();
    assert_eq!(
        lost.set_aside,
        directory.path().join("ledger.redb.damaged-1")
    );
    assert!(lost.set_aside.exists());
    assert!(all(&mut ledger).is_empty());
    // The collector has 60 findings, this digest says none: it asks for everything.
    assert_eq!(ledger.digest().count(), 0);
    // What is found now is newer than everything that was ever sent.
    assert!(ledger.revision() >= 60);
    let changes = ledger.commit(&[whole(&file("a"), 20, &[1])]).unwrap();
    assert!(changes.revision > 60);
    assert_eq!(deliver(&mut ledger), 1);
}

#[test]
fn the_directory_keeps_its_number_when_its_ledger_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let number = open(directory.path()).instance();
    std::fs::write(directory.path().join(REDB), b"torn").unwrap();
    let again = open(directory.path());
    assert!(again.lost().is_some());
    assert_eq!(again.instance(), number);
    drop(again);
    std::fs::remove_file(directory.path().join("instance")).unwrap();
    assert_eq!(open(directory.path()).instance(), number);
}

#[test]
fn a_torn_tail_is_found() {
    for keep in [0.1, 0.5, 0.9] {
        let (_directory, mut ledger) = damaged(|path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a test's share of a small file"
            )]
            let kept = (length as f64 * keep) as u64;
            file.set_len(kept).unwrap();
        });
        assert!(
            ledger.lost().is_some() || all(&mut ledger).len() == 60,
            "{keep}"
        );
    }
}

/// A flipped bit either lies where nothing is, or is noticed: never is a finding quietly another.
#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let (directory, mut sound) = damaged(|_| {});
    let truth = all(&mut sound);
    assert_eq!(truth.len(), 60);
    drop(sound);
    let path = directory.path().join(REDB);
    let original = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..original.len())
        .filter(|at| original[*at] != 0)
        .collect();
    let mut noticed = 0;
    for step in 0..80 {
        let at = used[step * used.len() / 80];
        std::fs::write(&path, &original).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[original[at] ^ 0x10], at as u64)
            .unwrap();
        drop(file);
        let mut ledger = open(directory.path());
        if ledger.lost().is_some() {
            noticed += 1;
        } else {
            assert_eq!(all(&mut ledger), truth, "byte {at}");
        }
        drop(ledger);
        let _ = std::fs::remove_file(directory.path().join("ledger.redb.damaged-1"));
    }
    assert!(noticed > 10, "{noticed} of 80");
}

#[test]
fn an_index_is_not_believed_when_the_ledger_is_older() {
    let directory = tempfile::tempdir().unwrap();
    let path = PathKey::of(b"/srv/a");
    let state = FileState {
        dev: 1,
        ino: 2,
        size: 3,
        ctime_ns: 4,
        mtime_ns: 5,
    };
    let remembered = Remembered {
        state,
        rules_version: "r1",
        lines: 0,
        tail: None,
        all_known: true,
    };
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    drop(ledger);
    let snapshot = std::fs::read(directory.path().join(REDB)).unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1, 2])]).unwrap();
    ledger.remember(path, &remembered);
    assert_eq!(ledger.need(path, &state, "r1"), Need::Skip);
    drop(ledger);
    let ledger = open(directory.path());
    assert_eq!(ledger.need(path, &state, "r1"), Need::Skip);
    drop(ledger);
    std::fs::write(directory.path().join(REDB), snapshot).unwrap();
    let ledger = open(directory.path());
    assert_eq!(ledger.need(path, &state, "r1"), Need::Whole);
}

/// What the collector was told since is not in it, and its numbers were given out once already.
#[test]
fn a_ledger_that_is_put_back_alone_tells_everything_under_higher_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    deliver(&mut ledger);
    assert!(!ledger.put_back());
    drop(ledger);
    let snapshot = std::fs::read(directory.path().join(REDB)).unwrap();
    let mut ledger = open(directory.path());
    assert!(!ledger.put_back(), "it only went on");
    ledger.commit(&[whole(&file("b"), 10, &[2])]).unwrap();
    deliver(&mut ledger);
    let told = ledger.revision();
    drop(ledger);
    std::fs::write(directory.path().join(REDB), snapshot).unwrap();
    let mut ledger = open(directory.path());
    assert!(ledger.put_back() && ledger.lost().is_none());
    assert_eq!(all(&mut ledger).len(), 1);
    // The collector never acknowledged this much, so it asks for everything.
    assert!(ledger.acknowledged() > told);
    assert!(
        ledger
            .commit(&[whole(&file("c"), 20, &[3])])
            .unwrap()
            .revision
            > told
    );
    drop(ledger);
    assert!(!open(directory.path()).put_back(), "said once");
}

#[test]
fn a_reboot_means_reading_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = PathKey::of(b"/srv/a");
    let state = FileState {
        dev: 1,
        ino: 2,
        size: 3,
        ctime_ns: 4,
        mtime_ns: 5,
    };
    let mut ledger = open(directory.path());
    ledger.remember(
        path,
        &Remembered {
            state,
            rules_version: "r1",
            lines: 0,
            tail: None,
            all_known: true,
        },
    );
    drop(ledger);
    let rebooted = Options {
        boot_id: "boot-b".to_owned(),
        ..options()
    };
    let ledger = opened(directory.path(), &rebooted, &Medium::File).unwrap();
    assert_eq!(ledger.need(path, &state, "r1"), Need::Whole);
}
