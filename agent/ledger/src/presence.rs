//! When a finding is gone, and when nobody can say.
//!
//! This is the only module that writes [`Presence::Gone`], in the one function [`conclude`]. Every
//! condition is a named check in [`CHECKS`]; the first one that refuses decides. A test removes each
//! in turn and must see a false *gone*.

use akwatch_proto::finding::{GoneProof, Presence, UnknownWhy};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;
use std::collections::BTreeMap;

use crate::format::{Group, Record, Row, group_of_row, row_of};
use crate::in_force::InForce;
use crate::reading::{Extent, ProcessInstance, Reading, ReadingSubject};

/// Milliseconds that a process's finding must be unheld, for each time that it came back: a cron
/// job that runs every minute is *present* throughout, not gone and back 1,440 times a day.
pub(crate) const GRACE_PER_RETURN_MS: i64 = 60_000;
/// Returns that count for the grace: an hour at most.
const GRACE_RETURNS: u32 = 60;

/// What a reading means for a finding that the ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// The reading saw it.
    Seen,
    /// The reading says nothing about it.
    Silent,
    /// Nobody can say, from now on.
    Unknown(UnknownWhy),
    /// It is gone, and [`conclude`] has written so.
    Gone,
}

/// What a sweep over all processes showed, once instances that ended are left out.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Findings that live instances hold: which do, and since when.
    pub(crate) held: BTreeMap<Row, BTreeMap<ProcessInstance, Time>>,
    /// Workloads of which a live instance could not be read whole.
    pub(crate) unread: BTreeMap<Group, UnknownWhy>,
    /// A live instance that could not be read and whose workload nobody knows.
    pub(crate) stray: Option<UnknownWhy>,
}

/// One finding against one reading.
struct Case<'a> {
    record: &'a Record,
    row: Row,
    reading: &'a Reading,
    in_force: &'a InForce,
    swept: Option<&'a Swept>,
}

type Check = fn(&Case<'_>) -> Option<Verdict>;

/// What must hold before a finding is gone, in the order in which it is asked.
const CHECKS: [(&str, Check); 11] = [
    ("same place", same_place),
    ("looked for this value", this_value),
    ("read to an answer", read_to_an_answer),
    ("kept everything", kept_everything),
    ("nothing unread inside", nothing_unread_inside),
    ("no process unread", no_process_unread),
    ("rule in force", rule_in_force),
    ("fingerprint in force", fingerprint_in_force),
    ("path covered", path_covered),
    ("limits kept", limits_kept),
    ("unheld long enough", unheld_long_enough),
];

/// Which checks are made: all of them, but for a test's one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    #[cfg(test)]
    pub(crate) without: Option<&'static str>,
}

impl Checks {
    #[cfg(test)]
    fn makes(self, name: &str) -> bool {
        self.without != Some(name)
    }
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only a test leaves a check out")]
    fn makes(self, _name: &str) -> bool {
        true
    }
}

/// Decides what `reading` means for a finding; writes *gone* when every check allows it. All other
/// states are the caller's to write.
pub(crate) fn conclude(
    record: &mut Record,
    reading: &Reading,
    in_force: &InForce,
    swept: Option<&Swept>,
    checks: Checks,
) -> Verdict {
    let case = Case {
        row: row_of(&record.finding.key),
        record,
        reading,
        in_force,
        swept,
    };
    let refusal = CHECKS
        .iter()
        .filter(|(name, _)| checks.makes(name))
        .find_map(|(_, check)| check(&case));
    if let Some(verdict) = refusal {
        return verdict;
    }
    let proof = match (&reading.subject, &reading.extent) {
        (ReadingSubject::Place(_), Extent::Absent) => GoneProof::Removed,
        (ReadingSubject::Place(_), _) => GoneProof::Reread,
        (ReadingSubject::Process { .. } | ReadingSubject::Sweep { .. }, _) => GoneProof::Ended,
    };
    record.finding.presence = Presence::Gone {
        at: reading.at,
        proof,
    };
    Verdict::Gone
}

/// A reading speaks for the place that it read and for no other.
fn same_place(case: &Case<'_>) -> Option<Verdict> {
    let place = &case.record.finding.key.place;
    let same = match (&case.reading.subject, place) {
        (ReadingSubject::Place(read), _) => place.outer() == *read,
        // One process never speaks for its workload: another may still hold the value.
        (ReadingSubject::Process { .. }, _) => false,
        (ReadingSubject::Sweep { .. }, place) => matches!(place, Place::Process { .. }),
    };
    (!same).then_some(Verdict::Silent)
}

/// The very value, not any hit: another key in the same line proves nothing.
fn this_value(case: &Case<'_>) -> Option<Verdict> {
    let seen = case
        .swept
        .is_some_and(|swept| swept.held.contains_key(&case.row))
        || case
            .reading
            .observed
            .iter()
            .any(|observed| observed.key == case.record.finding.key);
    seen.then_some(Verdict::Seen)
}

/// From the first byte to the last, or proven absent.
fn read_to_an_answer(case: &Case<'_>) -> Option<Verdict> {
    match &case.reading.extent {
        Extent::Whole => None,
        Extent::Absent if case.swept.is_none() => None,
        Extent::Tail { .. } | Extent::Absent => Some(Verdict::Silent),
        Extent::Unread(why) => Some(if case.swept.is_some() {
            Verdict::Silent
        } else {
            Verdict::Unknown(*why)
        }),
    }
}

/// A reading that keeps the first matches of many cannot say that one is missing.
fn kept_everything(case: &Case<'_>) -> Option<Verdict> {
    case.reading
        .too_many
        .then_some(Verdict::Unknown(UnknownWhy::TooMany))
}

/// The value may be in the part that was not read.
fn nothing_unread_inside(case: &Case<'_>) -> Option<Verdict> {
    case.reading.unread_inside.map(Verdict::Unknown)
}

/// The value may be in the process that was not read.
fn no_process_unread(case: &Case<'_>) -> Option<Verdict> {
    let swept = case.swept?;
    swept
        .unread
        .get(&group_of_row(&case.row))
        .copied()
        .or(swept.stray)
        .map(Verdict::Unknown)
}

/// A rule set without the rule does not look for the value.
fn rule_in_force(case: &Case<'_>) -> Option<Verdict> {
    let held = case
        .in_force
        .holds_rule(&case.reading.rules, case.record.rule());
    (!held).then_some(Verdict::Unknown(UnknownWhy::RuleRemoved))
}

/// Under another fleet key the same value has another fingerprint, so this one is not looked for.
fn fingerprint_in_force(case: &Case<'_>) -> Option<Verdict> {
    let made = case
        .record
        .epoch()
        .is_none_or(|epoch| case.in_force.epochs.contains(epoch));
    (!made).then_some(Verdict::Unknown(UnknownWhy::RuleRemoved))
}

/// Where policy does not look, nothing can be missing.
fn path_covered(case: &Case<'_>) -> Option<Verdict> {
    let covered = (case.in_force.covers)(&case.record.finding.key.place);
    (!covered).then_some(Verdict::Unknown(UnknownWhy::PathExcluded))
}

/// Limits that are narrower than those it was found under may not reach it.
fn limits_kept(case: &Case<'_>) -> Option<Verdict> {
    let kept = case.in_force.limits.reach_all_of(&case.record.limits);
    (!kept).then_some(Verdict::Unknown(UnknownWhy::LimitLowered))
}

/// What comes back again and again is given time to.
fn unheld_long_enough(case: &Case<'_>) -> Option<Verdict> {
    case.swept?;
    let returns = case.record.finding.returns.min(GRACE_RETURNS);
    let grace = i64::from(returns) * GRACE_PER_RETURN_MS;
    let since = case.record.unheld_since.unwrap_or(case.reading.at);
    (case.reading.at.since(since) < grace).then_some(Verdict::Silent)
}

/// Writes *unknown*; true when that is a change. An unknown that stays unknown keeps its beginning.
pub(crate) fn set_unknown(record: &mut Record, why: UnknownWhy, at: Time) -> bool {
    let presence = match record.finding.presence {
        Presence::Gone { .. } => return false,
        Presence::Unknown { why: same, .. } if same == why => return false,
        Presence::Unknown { since, .. } => Presence::Unknown { since, why },
        Presence::Present { .. } => Presence::Unknown { since: at, why },
    };
    record.finding.presence = presence;
    true
}

/// Writes *present*; true when that is a change.
pub(crate) fn set_present(record: &mut Record, at: Time) -> bool {
    let finding = &mut record.finding;
    match finding.presence {
        Presence::Present { .. } => return false,
        Presence::Unknown { .. } => {}
        Presence::Gone { .. } => {
            finding.returns = finding.returns.saturating_add(1);
            record.present_since = at;
        }
    }
    finding.presence = Presence::Present {
        since: record.present_since,
    };
    true
}

#[cfg(test)]
pub(crate) fn check_names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}
