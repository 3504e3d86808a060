//! What is sent, what counts as acknowledged, and that the digest says what the collector holds.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use akwatch_proto::digest::{Element, SetDigest, is_listed};
use akwatch_proto::finding::{FindingKey, PresenceState};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use uuid::Uuid;

use super::*;
use crate::{Batch, KEEP_GONE_MS, LedgerError};

/// A collector that believes what it is told.
#[derive(Default)]
struct Collector(BTreeMap<FindingKey, PresenceState>);

impl Collector {
    fn take(&mut self, batch: &Batch) {
        for finding in &batch.findings {
            self.0.insert(finding.key.clone(), finding.presence.state());
        }
    }

    fn digest(&self) -> SetDigest {
        let mut digest = SetDigest::default();
        for (key, state) in self.0.iter().filter(|(_, state)| is_listed(**state)) {
            digest.add(Element::of(key, *state));
        }
        digest
    }
}

#[test]
fn changes_coalesce_and_an_empty_outbox_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    assert_eq!(ledger.unsent(10).unwrap(), None);
    let place = file("a");
    for (at, values) in [(10, &[1, 2][..]), (20, &[1]), (30, &[1, 2]), (40, &[2])] {
        ledger.commit(&[whole(&place, at, values)]).unwrap();
    }
    let batch = ledger.unsent(10).unwrap().unwrap();
    assert_eq!(batch.findings.len(), 2);
    assert_eq!(batch.upto, ledger.revision());
    assert!(batch.findings.is_sorted_by_key(|finding| finding.revision));
    ledger.acknowledge(batch.upto).unwrap();
    assert_eq!(ledger.unsent(10).unwrap(), None);
    assert_eq!(ledger.totals().unwrap().unsent, 0);
}

#[test]
fn no_batch_is_too_large_for_the_wire_however_little_it_compresses() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let values: Vec<u8> = (0..200).collect();
    let mut random = 7_u64;
    for number in 0..8 {
        let mut long = format!("{number}/");
        while long.len() < 4000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            long.push_str(&format!("{random:x}"));
        }
        ledger.commit(&[whole(&file(&long), 10, &values)]).unwrap();
    }
    let mut told = 0;
    while let Some(batch) = ledger.unsent(limits::FINDINGS_PER_REPORT).unwrap() {
        told += batch.findings.len();
        let size = serde_json::to_vec(&batch.findings).unwrap().len();
        assert!(size < limits::BODY_COMPRESSED, "{size} bytes");
        ledger.acknowledge(batch.upto).unwrap();
    }
    assert_eq!(told, 8 * values.len());
}

#[test]
fn a_large_backlog_goes_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let values: Vec<u8> = (0..25).collect();
    ledger.commit(&[whole(&file("a"), 10, &values)]).unwrap();
    let mut sizes = Vec::new();
    while let Some(batch) = ledger.unsent(10).unwrap() {
        sizes.push(batch.findings.len());
        ledger.acknowledge(batch.upto).unwrap();
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(ledger.digest().count(), 25);
}

#[test]
fn the_digest_is_of_what_was_sent_not_of_what_holds_now() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let mut collector = Collector::default();
    ledger.commit(&[whole(&file("a"), 10, &[1, 2])]).unwrap();
    let batch = ledger.unsent(10).unwrap().unwrap();
    collector.take(&batch);
    // While the report is under way one of them goes.
    ledger.commit(&[whole(&file("a"), 20, &[1])]).unwrap();
    ledger.acknowledge(batch.upto).unwrap();
    assert_eq!(ledger.digest(), collector.digest());
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    let batch = ledger.unsent(10).unwrap().unwrap();
    assert_eq!(batch.findings.len(), 1);
    collector.take(&batch);
    ledger.acknowledge(batch.upto).unwrap();
    assert_eq!(ledger.digest(), collector.digest());
    assert_eq!(ledger.digest().count(), 1, "what is gone is not listed");
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    let first = ledger.unsent(10).unwrap().unwrap();
    drop(ledger);
    let mut ledger = open(directory.path());
    // This run has sent nothing: an old answer proves nothing.
    let refused = ledger.acknowledge(first.upto);
    assert!(matches!(
        refused,
        Err(LedgerError::UnknownAcknowledgement { .. })
    ));
    let again = ledger.unsent(10).unwrap().unwrap();
    assert_eq!(again, first);
    ledger.acknowledge(again.upto).unwrap();
    ledger.acknowledge(again.upto).unwrap();
    drop(ledger);
    assert_eq!(open(directory.path()).unsent(10).unwrap(), None);
}

#[test]
fn an_acknowledgement_from_the_future_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[whole(&file("a"), 10, &[1])]).unwrap();
    assert!(ledger.acknowledge(77).is_err());
    assert_eq!(ledger.acknowledged(), 0);
}

#[test]
fn a_full_list_names_everything_and_ends_even_when_empty() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let id = Uuid::from_u128(5);
    ledger.resend_all(id).unwrap();
    let empty = ledger.unsent(10).unwrap().unwrap();
    assert!(empty.findings.is_empty());
    assert_eq!(
        empty.resync.map(|resync| (resync.id, resync.more)),
        Some((id, false))
    );
    ledger.acknowledge(empty.upto).unwrap();
    assert_eq!(ledger.unsent(10).unwrap(), None);

    let values: Vec<u8> = (0..25).collect();
    ledger.commit(&[whole(&file("a"), 10, &values)]).unwrap();
    deliver(&mut ledger);
    ledger.resend_all(id).unwrap();
    assert_eq!(ledger.digest(), SetDigest::default());
    let mut named = Vec::new();
    let mut more = Vec::new();
    while let Some(batch) = ledger.unsent(10).unwrap() {
        if named.is_empty() {
            // One that the first part names changes before the list has ended.
            ledger
                .commit(&[whole(&file("a"), 20, &values[1..])])
                .unwrap();
        }
        named.extend(batch.findings.iter().map(|finding| finding.key.clone()));
        more.extend(batch.resync.map(|resync| resync.more));
        ledger.acknowledge(batch.upto).unwrap();
    }
    named.sort();
    named.dedup();
    assert_eq!(named.len(), 25);
    assert_eq!(more, [true, true, false]);
    assert_eq!(ledger.digest().count(), 24);
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
}

#[test]
fn a_full_list_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let values: Vec<u8> = (0..25).collect();
    ledger.commit(&[whole(&file("a"), 10, &values)]).unwrap();
    ledger.resend_all(Uuid::from_u128(5)).unwrap();
    let part = ledger.unsent(10).unwrap().unwrap();
    ledger.acknowledge(part.upto).unwrap();
    drop(ledger);
    let mut ledger = open(directory.path());
    let rest = ledger.unsent(100).unwrap().unwrap();
    assert_eq!(rest.findings.len(), 15);
    assert_eq!(
        rest.resync.map(|resync| (resync.id, resync.more)),
        Some((Uuid::from_u128(5), false))
    );
    ledger.acknowledge(rest.upto).unwrap();
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    assert_eq!(ledger.digest().count(), 25);
}

#[test]
fn what_is_long_gone_is_forgotten_once_the_collector_knows() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger
        .commit(&[whole(&file("a"), 10, &[1, 2]), whole(&file("a"), 20, &[2])])
        .unwrap();
    let later = Time(21 + KEEP_GONE_MS);
    assert_eq!(ledger.forget_gone(later).unwrap(), 0, "not acknowledged");
    deliver(&mut ledger);
    let digest = ledger.digest();
    assert_eq!(ledger.forget_gone(Time(19 + KEEP_GONE_MS)).unwrap(), 0);
    assert_eq!(ledger.forget_gone(later).unwrap(), 1);
    assert_eq!(all(&mut ledger).len(), 1);
    assert_eq!(ledger.digest(), digest);
    assert_eq!(deliver(&mut ledger), 0);
}

#[test]
fn the_counter_rises_over_restarts_and_damage() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..4 {
        if round == 2 {
            std::fs::write(directory.path().join("ledger.redb"), b"no ledger at all").unwrap();
        }
        let mut ledger = open(directory.path());
        // Past the point at which more are reserved.
        for _ in 0..crate::instance::COUNTER_BLOCK * 2 {
            let next = ledger.counter();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }
}

#[test]
fn a_place_that_is_filled_with_new_keys_again_and_again_stays_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("a");
    for round in 0..30_u8 {
        let mut reading = whole(&place, i64::from(round), &[]);
        for number in 0..50_u8 {
            let mut observed = seen(&place, round);
            if let Subject::Secret(fingerprint) = &mut observed.key.subject {
                fingerprint.bytes[0] = number;
            }
            reading.observed.push(observed);
        }
        ledger.commit(&[reading]).unwrap();
        deliver(&mut ledger);
    }
    let totals = ledger.totals().unwrap();
    assert_eq!(totals.present, 50);
    let most = u64::try_from(crate::GONE_PER_PLACE).unwrap() + 50;
    assert!((400..=most).contains(&totals.gone), "{totals:?}");
    assert_eq!(ledger.digest().count(), 50);
}

#[test]
fn everything_is_looked_at_though_not_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let readings: Vec<Reading> = (0..700)
        .map(|number| whole(&file(&format!("file-{number}")), 10, &[1]))
        .collect();
    ledger.commit(&readings).unwrap();
    let changes = ledger
        .unknown_where(UnknownWhy::SensorDegraded, Time(20), |_| true)
        .unwrap();
    assert_eq!(changes.unknown, 700);
    assert_eq!(ledger.revisit(Time(99), 650).unwrap().len(), 650);
    let gone: Vec<Reading> = (0..700)
        .map(|number| whole(&file(&format!("file-{number}")), 30, &[]))
        .collect();
    ledger.commit(&gone).unwrap();
    deliver(&mut ledger);
    let later = Time(31 + KEEP_GONE_MS);
    assert_eq!(ledger.forget_gone(later).unwrap(), 700);
}

#[test]
fn a_full_ledger_keeps_what_it_has_and_says_what_it_leaves_out() {
    let directory = tempfile::tempdir().unwrap();
    let few = Options {
        most_findings: 3,
        ..options()
    };
    let mut ledger = ready(Ledger::open(directory.path(), &few).unwrap());
    let changes = ledger.commit(&[whole(&file("a"), 10, &[1, 2])]).unwrap();
    assert_eq!(changes.not_kept, 0);
    let changes = ledger.commit(&[whole(&file("b"), 20, &[3, 4, 5])]).unwrap();
    assert_eq!((changes.appeared, changes.not_kept), (1, 2));
    // What is known goes on being told.
    let changes = ledger.commit(&[whole(&file("a"), 30, &[2])]).unwrap();
    assert_eq!(changes.gone, 1);
    assert_eq!(deliver(&mut ledger), 3);
}

/// Files with the longest of names, forty findings each.
fn long_names(round: usize, at: i64, values: &[u8]) -> Vec<Reading> {
    (0..100)
        .map(|number| {
            let name = format!("{round}-{number}-{}", "x".repeat(3900));
            whole(&file(&name), at, values)
        })
        .collect()
}

#[test]
fn a_ledger_takes_no_more_disk_than_it_may_whatever_names_are_made_of() {
    let directory = tempfile::tempdir().unwrap();
    let small = options().within(32 << 20);
    let mut ledger = ready(Ledger::open(directory.path(), &small).unwrap());
    let values: Vec<u8> = (0..40).collect();
    let mut not_kept = 0;
    for round in 0..4 {
        let changes = ledger.commit(&long_names(round, 10, &values)).unwrap();
        assert_eq!(changes.not_kept > 0, !changes.cut_short.is_empty());
        assert!(changes.cut_short.iter().all(|reading| *reading < 100));
        not_kept += changes.not_kept;
    }
    assert!(not_kept > 0, "it never was full");
    let entries = std::fs::read_dir(directory.path()).unwrap().flatten();
    let blocks = entries.map(|entry| entry.metadata().unwrap().blocks());
    let bytes: u64 = blocks.map(|blocks| blocks * 512).sum();
    assert!(bytes <= 32 << 20, "{bytes} bytes on disk");
}

#[test]
fn what_is_gone_makes_way_in_a_full_ledger_and_never_what_the_collector_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let small = options().within(32 << 20);
    let mut ledger = ready(Ledger::open(directory.path(), &small).unwrap());
    let values: Vec<u8> = (0..40).collect();
    for round in 0..4 {
        ledger.commit(&long_names(round, 10, &values)).unwrap();
    }
    assert!(ledger.is_short());
    for round in 0..4 {
        ledger.commit(&long_names(round, 20, &[])).unwrap();
    }
    assert_eq!(ledger.forget_gone(Time(30)).unwrap(), 0);
    deliver(&mut ledger);
    // One more that there is no room for yet, so that it is short again.
    let more = || whole(&file(&"y".repeat(3900)), 40, &[1]);
    assert_eq!(ledger.commit(&[more()]).unwrap().cut_short, [0]);
    let forgotten = ledger.forget_gone(Time(50)).unwrap();
    assert!(forgotten > 1000, "{forgotten}");
    let changes = ledger.commit(&[more()]).unwrap();
    assert_eq!((changes.appeared, changes.not_kept), (1, 0));
    assert!(!ledger.is_short());
    let file = std::fs::metadata(directory.path().join("ledger.redb")).unwrap();
    assert!(file.blocks() * 512 < 8 << 20, "{} bytes", file.len());
}
