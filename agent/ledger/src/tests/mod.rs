//! The ledger against real files: one vocabulary of places, values and readings for all its tests.

mod asked;
mod crash;
mod delivery;
mod git;
mod media;
mod model;
mod opening;
mod places;
mod processes;
mod written;

use std::path::Path;

use akwatch_proto::credential::{
    Confidence, Epoch, Fingerprint, Kind, LengthClass, Preview, Provider, RuleId, Scheme,
};
use akwatch_proto::finding::{Finding, FindingKey, Presence, Subject, UnknownWhy, WhyNew};
use akwatch_proto::place::{Capture, Origin, Place, Reach, SafeText, Spot, Workload};
use akwatch_proto::time::Time;

use crate::shelf::Medium;
use crate::{
    Extent, Ledger, LedgerError, Observed, Options, ProcessInstance, Query, ReadLimits, Reading,
    ReadingSubject,
};

pub(crate) const LIMITS: ReadLimits = ReadLimits {
    file_bytes: 1 << 30,
    depth: 8,
    unwrapped_bytes: 1 << 28,
};

pub(crate) fn options() -> Options {
    Options {
        index_slots: 64,
        ..Options::new("boot-a")
    }
}

/// A ledger with rules `rule.0` to `rule.9`, epoch 1, and policy that covers everything.
pub(crate) fn open(directory: &Path) -> Ledger {
    ready(opened(directory, &options(), &Medium::File).unwrap())
}

/// Opens a ledger that nobody else holds. A child that another test starts holds every lock of this
/// process for a moment, until it runs its own program.
pub(crate) fn opened(
    directory: &Path,
    options: &Options,
    medium: &Medium,
) -> Result<Ledger, LedgerError> {
    let begun = std::time::Instant::now();
    loop {
        match Ledger::open_on(directory, options, medium.clone()) {
            Err(LedgerError::InUse { .. }) if begun.elapsed().as_secs() < 10 => {
                std::thread::yield_now();
            }
            opened => return opened,
        }
    }
}

pub(crate) fn ready(mut ledger: Ledger) -> Ledger {
    let in_force = ledger.in_force();
    in_force.add_rules("r1", (0..10).map(rule));
    in_force.epochs.insert(Epoch::parse("1").unwrap());
    in_force.limits = LIMITS;
    in_force.covers = Box::new(|_| true);
    ledger
}

pub(crate) fn rule(number: u8) -> RuleId {
    RuleId::parse(&format!("rule.{number}")).unwrap()
}

pub(crate) fn text(name: &str) -> SafeText {
    SafeText::try_from(name.to_owned()).unwrap()
}

pub(crate) fn file(name: &str) -> Place {
    Place::File {
        path: text(&format!("/srv/{name}")),
        inside: Vec::new(),
    }
}

pub(crate) fn member(name: &str, inside: &str) -> Place {
    Place::File {
        path: text(&format!("/srv/{name}")),
        inside: vec![text(inside)],
    }
}

pub(crate) fn unit(name: &str) -> Workload {
    Workload::Unit { name: text(name) }
}

pub(crate) fn environ(workload: &str) -> Place {
    Place::Process {
        workload: unit(workload),
        user: text("app"),
        capture: Capture::Environ,
    }
}

/// Value `value` in `place`, found by `rule.{value % 10}` on line 1.
pub(crate) fn seen(place: &Place, value: u8) -> Observed {
    Observed {
        key: FindingKey {
            place: place.clone(),
            subject: Subject::Secret(Fingerprint {
                scheme: Scheme::Hmac,
                epoch: Epoch::parse("1").unwrap(),
                bytes: [value; 32],
            }),
        },
        rule: rule(value % 10),
        provider: Provider::parse("tencent").unwrap(),
        kind: Kind::AccessKeyPair,
        credential_id: None,
        confidence: Confidence::Paired,
        preview: Some(Preview {
            prefix: None,
            length: LengthClass::of(32),
        }),
        proof: Vec::new(),
        spot: Spot {
            line: 1,
            end_line: 1,
            ..Spot::default()
        },
        reach: Reach::default(),
        origin: Origin::default(),
        delivered: false,
    }
}

/// A reading of `place` with extent `extent` at `at` milliseconds that saw `values`.
pub(crate) fn reading(place: &Place, extent: Extent, at: i64, values: &[u8]) -> Reading {
    Reading {
        subject: ReadingSubject::Place(place.clone()),
        extent,
        at: Time(at),
        rules: "r1".to_owned(),
        observed: values.iter().map(|value| seen(place, *value)).collect(),
        too_many: false,
        unread_inside: None,
        why_new: WhyNew::PlaceChanged,
        written_by: None,
    }
}

pub(crate) fn whole(place: &Place, at: i64, values: &[u8]) -> Reading {
    reading(place, Extent::Whole, at, values)
}

pub(crate) fn instance(pid: i32) -> ProcessInstance {
    ProcessInstance {
        pid,
        started: 1000 + u64::from(pid.unsigned_abs()),
    }
}

/// A reading of process `pid` of a unit.
pub(crate) fn process(workload: &str, pid: i32, extent: Extent, at: i64, values: &[u8]) -> Reading {
    let place = environ(workload);
    Reading {
        subject: ReadingSubject::Process {
            workload: unit(workload),
            user: text("app"),
            instance: instance(pid),
        },
        observed: values
            .iter()
            .map(|value| {
                let mut observed = seen(&place, *value);
                observed.origin.pid = Some(pid);
                observed
            })
            .collect(),
        ..reading(&place, extent, at, &[])
    }
}

/// A complete sweep in which `alive` live and `unread` of them could not be read.
pub(crate) fn sweep(at: i64, alive: &[i32], unread: &[i32]) -> Reading {
    Reading {
        subject: ReadingSubject::Sweep {
            began: u64::MAX,
            alive: alive.iter().map(|pid| instance(*pid)).collect(),
            unread: unread
                .iter()
                .map(|pid| (instance(*pid), UnknownWhy::Unreadable))
                .collect(),
        },
        ..reading(&file("none"), Extent::Whole, at, &[])
    }
}

pub(crate) fn all(ledger: &mut Ledger) -> Vec<Finding> {
    ledger.holding(&Query::default()).unwrap()
}

/// The one finding of value `value` in `place`.
pub(crate) fn finding(ledger: &mut Ledger, place: &Place, value: u8) -> Finding {
    let query = Query {
        place: Some(place.clone()),
        subject: Some(seen(place, value).key.subject),
        ..Query::default()
    };
    let mut found = ledger.holding(&query).unwrap();
    found.retain(|finding| finding.key.place == *place);
    assert_eq!(found.len(), 1, "{place:?} {value}");
    found.remove(0)
}

pub(crate) fn presence(ledger: &mut Ledger, place: &Place, value: u8) -> Presence {
    finding(ledger, place, value).presence
}

pub(crate) fn present(since: i64) -> Presence {
    Presence::Present { since: Time(since) }
}

pub(crate) fn unknown(since: i64, why: UnknownWhy) -> Presence {
    Presence::Unknown {
        since: Time(since),
        why,
    }
}

/// Sends and acknowledges everything; says how many findings that took.
pub(crate) fn deliver(ledger: &mut Ledger) -> usize {
    let mut sent = 0;
    while let Some(batch) = ledger.unsent(usize::MAX).unwrap() {
        sent += batch.findings.len();
        ledger.acknowledge(batch.upto).unwrap();
    }
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    sent
}
