//! A medium that fails: at every call that a commit makes, in every way, and what is left of it.

use super::*;
use crate::LedgerError;
use crate::faults::{Faults, Kind};
use crate::shelf::Medium;

fn open_on(directory: &Path, faults: &Faults) -> Ledger {
    let medium = Medium::Faulty(faults.clone());
    ready(Ledger::open_on(directory, &options(), medium).unwrap())
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
        let refused = Ledger::open_on(directory.path(), &options(), medium);
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
