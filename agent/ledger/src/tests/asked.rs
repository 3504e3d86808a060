//! Questions about what only the collector still knows, and what counts as their answer.

use akwatch_proto::agent::{RereadAnswer, RereadQuestion};
use akwatch_proto::credential::{Epoch, RuleId};
use akwatch_proto::finding::GoneProof;
use uuid::Uuid;

use super::*;

const LIST: Uuid = Uuid::from_u128(6);

/// A ledger that has listed everything and is asked about `place`, which it does not know.
fn asked(place: &Place, rules: &[u8]) -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.resend_all(LIST).unwrap();
    let last = ledger.unsent(usize::MAX).unwrap().unwrap();
    let rules: Vec<RuleId> = rules.iter().map(|number| rule(*number)).collect();
    let question = RereadQuestion {
        place: place.clone(),
        rules,
    };
    ledger.ask(&[question]).unwrap();
    ledger.acknowledge(last.upto).unwrap();
    (directory, ledger)
}

fn answers(ledger: &mut Ledger) -> Vec<RereadAnswer> {
    let batch = ledger.unsent(usize::MAX).unwrap();
    batch.map_or(Vec::new(), |batch| batch.answers)
}

/// What is answered about a file after `change` met the ledger and the reading.
fn check(expected: Option<GoneProof>, change: impl FnOnce(&mut Ledger, &mut Reading)) {
    let place = file("lost.env");
    let (_directory, mut ledger) = asked(&place, &[1, 2]);
    let mut second = whole(&place, 20, &[]);
    change(&mut ledger, &mut second);
    ledger.commit(&[second]).unwrap();
    let told = answers(&mut ledger);
    assert_eq!(told.first().map(|answer| answer.proof), expected);
    assert_eq!(ledger.asked().unwrap().is_empty(), expected.is_some());
}

#[test]
fn only_what_would_end_a_finding_answers() {
    check(Some(GoneProof::Reread), |_, _| {});
    check(Some(GoneProof::Removed), |_, reading| {
        reading.extent = Extent::Absent;
    });
    check(None, |_, reading| reading.extent = Extent::Tail { from: 9 });
    let why = UnknownWhy::Unreadable;
    check(None, |_, reading| reading.extent = Extent::Unread(why));
    check(None, |_, reading| reading.too_many = true);
    check(None, |_, reading| reading.unread_inside = Some(why));
    check(None, |ledger, _| {
        ledger.in_force().covers = Box::new(|_| false);
    });
    check(None, |_, reading| reading.rules = "r9".to_owned());
    check(None, |_, reading| {
        reading.subject = ReadingSubject::Place(file("other.env"));
    });
}

#[test]
fn one_rule_that_is_not_in_force_is_enough_for_no_answer() {
    let place = file("lost.env");
    let (_directory, mut ledger) = asked(&place, &[1, 77]);
    ledger.commit(&[whole(&place, 20, &[])]).unwrap();
    assert_eq!(answers(&mut ledger), []);
}

#[test]
fn an_answer_waits_for_what_is_in_the_place_and_goes_once() {
    let place = file("lost.env");
    let (_directory, mut ledger) = asked(&place, &[1]);
    ledger.commit(&[whole(&place, 20, &[3, 4])]).unwrap();
    let part = ledger.unsent(1).unwrap().unwrap();
    assert_eq!((part.findings.len(), part.answers.len()), (1, 0));
    ledger.acknowledge(part.upto).unwrap();
    let last = ledger.unsent(1).unwrap().unwrap();
    let expected = RereadAnswer {
        list: LIST,
        place,
        proof: GoneProof::Reread,
        at: Time(20),
        epochs: vec![Epoch::parse("1").unwrap()],
    };
    assert_eq!(
        (last.findings.len(), &last.answers[..]),
        (1, &[expected][..])
    );
    ledger.acknowledge(last.upto).unwrap();
    assert_eq!(ledger.unsent(1).unwrap(), None);
}

/// Of what was found with another key nobody can say that it is not there: the answer names the keys that
/// were in force when the place was read, not those of later.
#[test]
fn an_answer_says_with_which_keys_it_was_looked_for() {
    let place = file("lost.env");
    let (_directory, mut ledger) = asked(&place, &[1]);
    let epoch = |name: &str| Epoch::parse(name).unwrap();
    ledger.in_force().epochs = [epoch("2"), epoch("3")].into();
    ledger.commit(&[whole(&place, 20, &[])]).unwrap();
    ledger.in_force().epochs = [epoch("4")].into();
    let told = answers(&mut ledger);
    assert_eq!(told[0].epochs, [epoch("2"), epoch("3")]);
}

#[test]
fn questions_outlast_the_run_and_not_the_next_list() {
    let place = file("lost.env");
    let (directory, ledger) = asked(&place, &[1]);
    drop(ledger);
    let mut ledger = open(directory.path());
    assert_eq!(ledger.asked().unwrap().first(), Some(&place));
    ledger.commit(&[whole(&place, 20, &[])]).unwrap();
    drop(ledger);
    let mut ledger = open(directory.path());
    assert_eq!(answers(&mut ledger).len(), 1);
    ledger.resend_all(Uuid::from_u128(7)).unwrap();
    assert_eq!(answers(&mut ledger), []);
    assert!(ledger.asked().unwrap().is_empty());
}

#[test]
fn of_a_process_only_a_complete_sweep_answers() {
    let place = environ("payments.service");
    let (_directory, mut ledger) = asked(&place, &[1]);
    let one = process("payments.service", 1, Extent::Whole, 15, &[]);
    ledger.commit(&[one, sweep(20, &[1, 2], &[2])]).unwrap();
    assert_eq!(answers(&mut ledger), [], "one process was not read");
    ledger.commit(&[sweep(30, &[1], &[])]).unwrap();
    assert_eq!(answers(&mut ledger)[0].proof, GoneProof::Ended);
}

#[test]
fn without_a_list_nobody_asks() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let question = RereadQuestion {
        place: file("a"),
        rules: vec![rule(1)],
    };
    ledger.ask(&[question]).unwrap();
    assert!(ledger.asked().unwrap().is_empty());
}
