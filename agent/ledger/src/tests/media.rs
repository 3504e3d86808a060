//! A medium that fails: at every call that a commit makes, in every way, and what is left of it.

use akwatch_proto::finding::PresenceState;

use super::*;
use crate::faults::{Faults, Kind};

fn open_on(directory: &Path, faults: &Faults) -> Ledger {
    let medium = Medium::Faulty(faults.clone());
    ready(opened(directory, &options(), &medium).unwrap())
}

fn values_of(ledger: &mut Ledger) -> Vec<usize> {
    let counts = ["a", "b", "c"].map(|name| {
        let query = Query {
            place: Some(file(name)),
            ..Query::default()
        };
        ledger.holding(&query).unwrap().len()
    });
    counts.to_vec()
}

/// A commit of two readings whose medium fails at its call `after`: all of it is there or nothing,
/// whatever the caller was told; what it was told is true; and the next commit works.
fn check(after: u64, kind: Kind) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let mut ledger = open_on(directory.path(), &faults);
    ledger.commit(&[whole(&file("a"), 10, &[1, 2])]).unwrap();
    deliver(&mut ledger);
    faults.begin(after, kind);
    let two = [whole(&file("a"), 20, &[1]), whole(&file("b"), 20, &[3, 4])];
    let result = ledger.commit(&two);
    let failed = result.is_err();
    if let Err(error) = &result {
        assert!(matches!(error, LedgerError::Medium { .. }), "{error:?}");
    }
    // While it lasts nothing succeeds that is not true, and nothing panics.
    let _ = ledger.acknowledge(u64::MAX);
    let _ = ledger.unsent(10);
    faults.end();

    let left = values_of(&mut ledger);
    assert!(
        left == [2, 2, 0] || (failed && left == [2, 0, 0]),
        "{left:?}"
    );
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    ledger.commit(&two).unwrap();
    ledger.commit(&[whole(&file("c"), 30, &[5])]).unwrap();
    deliver(&mut ledger);
    let truth = all(&mut ledger);
    drop(ledger);
    let mut again = open(directory.path());
    assert!(again.lost().is_none());
    assert_eq!(all(&mut again), truth);
    assert_eq!(values_of(&mut again), [2, 2, 1]);
    failed
}

#[test]
fn a_commit_that_fails_at_any_call_leaves_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let mut ledger = open_on(directory.path(), &faults);
    ledger.commit(&[whole(&file("a"), 10, &[1, 2])]).unwrap();
    deliver(&mut ledger);
    let before = faults.calls();
    let two = [whole(&file("a"), 20, &[1]), whole(&file("b"), 20, &[3, 4])];
    ledger.commit(&two).unwrap();
    let calls = faults.calls() - before;
    assert!(calls > 2, "{calls}");
    for kind in [Kind::Full, Kind::Broken, Kind::Short, Kind::Unsynced] {
        let failed = (0..calls).filter(|after| check(*after, kind)).count();
        assert!(failed > 0, "{kind:?} never failed in {calls} calls");
    }
}

#[test]
fn an_acknowledgement_that_is_not_durable_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let mut ledger = open_on(directory.path(), &faults);
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    let batch = ledger.unsent(10).unwrap().unwrap();
    faults.begin(0, Kind::Full);
    assert!(ledger.acknowledge(batch.upto).is_err());
    faults.end();
    assert_eq!(ledger.acknowledged(), 0);
    assert_eq!(ledger.unsent(10).unwrap().unwrap().findings, batch.findings);
    assert_eq!(deliver(&mut ledger), 1);
}

#[test]
fn a_full_disk_at_opening_is_an_error_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    drop(ledger);
    let faults = Faults::default();
    for kind in [Kind::Full, Kind::Broken, Kind::Unsynced] {
        faults.begin(0, kind);
        let medium = Medium::Faulty(faults.clone());
        let refused = opened(directory.path(), &options(), &medium);
        assert!(
            matches!(refused, Err(LedgerError::Medium { .. })),
            "{kind:?}"
        );
        faults.end();
    }
    let mut again = open(directory.path());
    assert!(again.lost().is_none());
    assert_eq!(all(&mut again).len(), 1);
}

/// An agent that starts on a full disk: what it knew is there, what it finds waits, and the numbers that
/// could not be reserved hurt nobody.
#[test]
fn a_ledger_opens_on_a_full_disk_and_goes_on_when_there_is_room() {
    let rebooted = Options {
        boot_id: "boot-b".to_owned(),
        ..options()
    };
    let mut waited = 0;
    for after in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = open(directory.path());
        let reading = process("app.service", 7, Extent::Whole, 10, &[1]);
        ledger.commit(&[reading]).unwrap();
        deliver(&mut ledger);
        let (generation, counter) = (ledger.meta.generation, ledger.counter());
        drop(ledger);

        let faults = Faults::default();
        faults.begin(after, Kind::Full);
        let medium = Medium::Faulty(faults.clone());
        let Ok(ledger) = opened(directory.path(), &rebooted, &medium) else {
            continue; // not even its pages could be brought in order
        };
        let mut ledger = ready(ledger);
        assert!(ledger.counter() > counter, "{after}");
        let failed = ledger.commit(&[whole(&file("a"), 20, &[2])]).is_err();
        waited += usize::from(failed && ledger.begins.is_some());
        faults.end();
        ledger.commit(&[whole(&file("a"), 20, &[2])]).unwrap();
        assert_eq!(ledger.meta.generation, generation + 1, "{after}");
        assert_eq!(ledger.meta.boot_id, "boot-b");
        // What processes of the earlier boot held is forgotten, as at any opening after one.
        ledger.commit(&[sweep(30, &[], &[])]).unwrap();
        let place = environ("app.service");
        let state = presence(&mut ledger, &place, 1).state();
        assert_eq!(state, PresenceState::Gone, "{after}");
        assert_eq!(deliver(&mut ledger), 2, "{after}");
    }
    assert!(waited > 0, "no opening had to wait");
}

#[test]
fn what_is_found_on_a_full_disk_is_kept_in_the_reserve() {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let mut ledger = open_on(directory.path(), &faults);
    assert!(ledger.has_reserve());
    // The one call that fails is the last one without room: the reserve made some.
    faults.begin_once(0, Kind::Full);
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    assert!(!ledger.has_reserve());
    faults.begin_once(0, Kind::Full);
    let refused = ledger.commit(&[whole(&file("b"), 10, &[2])]).unwrap_err();
    assert_eq!(refused.slug(), "disk-full");
    faults.end();
    assert!(ledger.keep_reserve());
    ledger.commit(&[whole(&file("b"), 10, &[2])]).unwrap();
    assert_eq!(all(&mut ledger).len(), 2);
}

#[test]
fn each_way_to_fail_has_its_word() {
    for (kind, word) in [
        (Kind::Full, "disk-full"),
        (Kind::Broken, "disk-fails"),
        (Kind::Unsynced, "disk-fails"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let mut ledger = open_on(directory.path(), &faults);
        faults.begin(0, kind);
        let failed = ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap_err();
        assert_eq!(failed.slug(), word);
        assert!(!failed.is_damage());
    }
}
