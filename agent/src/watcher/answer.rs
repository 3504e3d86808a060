//! A detector's answer becomes a reading: hostile until it fits the job that the watcher opened.
//!
//! The detector sees every secret, so it is the process that an attacker would like to own. Its
//! answers are therefore bounded, attributed to the job that the watcher itself opened, and every
//! name in them must be that job's own name, with nothing changed but what redaction replaced. What
//! does not fit is not repaired: the detector is replaced and the place set aside by name.

use std::collections::BTreeSet;

use akwatch_ledger::reading::{Extent, FileState, Observed, Reading, ReadingSubject};
use akwatch_proto::credential::{Epoch, RuleId};
use akwatch_proto::finding::{FindingKey, Subject, UnknownWhy};
use akwatch_proto::place::SafeText;
use akwatch_proto::time::Time;
use akwatch_proto::{limits, text};

use crate::job::{Examined, Found, JobHeader, Pending, PendingPlace};

/// What holds for every answer of one detector.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Version of its rule set.
    pub rules: String,
    /// The rules in it.
    pub rule_ids: BTreeSet<RuleId>,
    /// The epoch of the key that it makes fingerprints with.
    pub epoch: Option<Epoch>,
}

/// Why an answer was refused. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hostile {
    /// Counts or indexes that are not the job's, or over a limit.
    #[error("its parts, names or counts are not the job's")]
    Shape,
    /// A name that is not the job's name with replacements.
    #[error("it names what the job did not")]
    Name,
    /// A rule that its own rule set does not hold.
    #[error("it names a rule that its rule set does not hold")]
    Rule,
    /// A fingerprint of another epoch than the key's.
    #[error("it made a fingerprint with another key")]
    Epoch,
    /// Lines that end before they begin.
    #[error("it names a spot that cannot be")]
    Spot,
}

/// How a read ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// To the end, of a place that did not change meanwhile.
    Whole,
    /// The place changed meanwhile: it is to be read again.
    Changed,
    /// Short of the end.
    Short,
}

/// Judges an answer and says what was read.
///
/// `after` is the file's state after the answer; none for a process.
///
/// # Errors
/// When the answer does not fit the job.
pub fn reading(
    header: &JobHeader,
    pending: &Pending,
    examined: &Examined,
    after: Option<FileState>,
    terms: &Terms,
    at: Time,
) -> Result<(Reading, Ended), Hostile> {
    check(header, examined, terms)?;
    let subject = subject(pending, &examined.names).ok_or(Hostile::Shape)?;
    let ended = ended(pending, examined, after);
    let began = examined.began.iter().copied().max().unwrap_or(0);
    let extent = match ended {
        Ended::Whole if began > 0 => Extent::Tail { from: began },
        Ended::Whole => Extent::Whole,
        // What was seen is there; what was not seen proves nothing.
        Ended::Changed => Extent::Tail { from: 0 },
        Ended::Short => Extent::Unread(UnknownWhy::ReadShort),
    };
    let observed = examined
        .found
        .iter()
        .map(|found| observed(pending, found, &examined.names))
        .collect::<Option<Vec<Observed>>>()
        .ok_or(Hostile::Shape)?;
    let reading = Reading {
        subject,
        extent,
        at,
        rules: terms.rules.clone(),
        observed,
        too_many: examined.too_many,
        unread_inside: examined.unread_inside,
        why_new: pending.target.urgency.why_new(),
        // What changed while it was read may be somebody else's.
        written_by: (ended != Ended::Changed)
            .then(|| pending.written_by(&examined.names))
            .flatten(),
    };
    Ok((reading, ended))
}

fn check(header: &JobHeader, examined: &Examined, terms: &Terms) -> Result<(), Hostile> {
    if !examined.fits(header) || examined.found.len() > limits::FINDINGS_PER_PLACE {
        return Err(Hostile::Shape);
    }
    let mut names = examined.names.iter().zip(&header.names);
    if !names.all(|(clean, raw)| is_cleaned(clean, raw)) {
        return Err(Hostile::Name);
    }
    examined
        .found
        .iter()
        .try_for_each(|found| check_found(found, terms))
}

fn check_found(found: &Found, terms: &Terms) -> Result<(), Hostile> {
    let encodings = limits::INSIDE_DEPTH * 2;
    if found.inside.len() > limits::INSIDE_DEPTH
        || found.proof.len() > limits::PROOFS_PER_FINDING
        || found.spot.encoding.len() > encodings
    {
        return Err(Hostile::Shape);
    }
    if !terms.rule_ids.contains(&found.rule) {
        return Err(Hostile::Rule);
    }
    if let (Subject::Secret(fingerprint), Some(epoch)) = (&found.subject, &terms.epoch)
        && fingerprint.epoch != *epoch
    {
        return Err(Hostile::Epoch);
    }
    if found.spot.end_line < found.spot.line {
        return Err(Hostile::Spot);
    }
    Ok(())
}

/// Whether `clean` is `raw` as redaction would write it: the same text, escaped and cut, with some
/// stretches replaced by `‹…›`.
pub(super) fn is_cleaned(clean: &SafeText, raw: &[u8]) -> bool {
    let whole = text::escape(raw);
    let clean = clean.as_str();
    if clean == text::cut(&whole, limits::SAFE_TEXT) {
        return true;
    }
    let (clean, cut) = match clean.strip_suffix('…') {
        Some(kept) if clean.len() + 8 >= limits::SAFE_TEXT => (kept, true),
        _ => (clean, false),
    };
    let pieces = pieces(clean);
    let (first, rest) = match pieces.split_first() {
        Some((only, [])) => {
            return if cut {
                whole.starts_with(only)
            } else {
                whole == *only
            };
        }
        Some((first, rest)) => (first, rest),
        None => return false,
    };
    let Some(mut left) = whole.strip_prefix(first) else {
        return false;
    };
    for (at, literal) in rest.iter().enumerate() {
        let last = at + 1 == rest.len();
        if last && !cut {
            return left.ends_with(literal);
        }
        let Some(found) = left.find(literal) else {
            // A cut may have gone through the last literal's middle: that is its end.
            return last && cut;
        };
        left = &left[found + literal.len()..];
    }
    true
}

/// What stands before, between and after the chips of a cleaned name.
fn pieces(clean: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = clean;
    while let Some((literal, after)) = rest.split_once('‹') {
        let Some((_, after)) = after.split_once('›') else {
            break;
        };
        pieces.push(literal);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn subject(pending: &Pending, names: &[SafeText]) -> Option<ReadingSubject> {
    match &pending.place {
        PendingPlace::File { .. } | PendingPlace::History { .. } => {
            pending.place(0, &[], names).map(ReadingSubject::Place)
        }
        PendingPlace::Process { user, instance, .. } => Some(ReadingSubject::Process {
            workload: pending.workload(names)?,
            user: names.get(user.0)?.clone(),
            instance: *instance,
        }),
    }
}

fn ended(pending: &Pending, examined: &Examined, after: Option<FileState>) -> Ended {
    if let Some(before) = pending.before
        && after != Some(before)
    {
        return Ended::Changed;
    }
    let read = examined.began.iter().zip(&examined.read);
    let mut parts = pending.expected.iter().zip(read);
    if parts.all(|(expected, (began, read))| began.saturating_add(*read) >= *expected) {
        Ended::Whole
    } else {
        Ended::Short
    }
}

fn observed(pending: &Pending, found: &Found, names: &[SafeText]) -> Option<Observed> {
    Some(Observed {
        key: FindingKey {
            place: pending.place(found.part, &found.inside, names)?,
            subject: found.subject.clone(),
        },
        rule: found.rule.clone(),
        provider: found.provider.clone(),
        kind: found.kind,
        credential_id: found.credential_id.clone(),
        confidence: found.confidence,
        preview: found.preview.clone(),
        proof: found.proof.clone(),
        spot: found.spot.clone(),
        reach: pending.reach(names),
        origin: pending.origin(names),
        delivered: pending.delivered,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use akwatch_proto::credential::{Confidence, Fingerprint, Kind, Provider, Scheme};
    use akwatch_proto::place::{Place, Spot};
    use proptest::prelude::*;

    use super::*;
    use crate::job::{
        JobId, Names, PartForm, PartHeader, PendingOrigin, PendingReach, Target, TargetPlace,
        Urgency,
    };

    fn state(size: u64, ctime_ns: i64) -> FileState {
        FileState {
            dev: 1,
            ino: 2,
            size,
            ctime_ns,
            mtime_ns: ctime_ns,
        }
    }

    fn job(path: &[u8]) -> (JobHeader, Pending) {
        let mut names = Names::default();
        let path_name = names.add(path);
        let pending = Pending {
            target: Target {
                what: TargetPlace::File(PathBuf::from("/x")),
                urgency: Urgency::Live,
            },
            place: PendingPlace::File { path: path_name },
            before: Some(state(10, 5)),
            fresh: false,
            reach: PendingReach::default(),
            origin: PendingOrigin::default(),
            delivered: false,
            expected: vec![10],
            writer: None,
        };
        let part = PartHeader {
            name: 0,
            form: PartForm::Guess,
            appended: None,
            expected: 10,
        };
        let header = JobHeader {
            id: JobId(1),
            idle: false,
            companions: Vec::new(),
            parts: vec![part],
            names: names.into_raw(),
        };
        (header, pending)
    }

    fn found() -> Found {
        Found {
            part: 0,
            inside: Vec::new(),
            subject: Subject::Secret(Fingerprint {
                scheme: Scheme::Hmac,
                epoch: Epoch::parse("1").unwrap(),
                bytes: [7; 32],
            }),
            rule: RuleId::parse("test.key").unwrap(),
            provider: Provider::parse("test").unwrap(),
            kind: Kind::AccessKeyPair,
            credential_id: None,
            confidence: Confidence::Paired,
            preview: None,
            proof: Vec::new(),
            spot: Spot {
                line: 3,
                end_line: 3,
                ..Spot::default()
            },
        }
    }

    fn answer(found: Vec<Found>) -> Examined {
        Examined {
            id: JobId(1),
            found,
            names: vec![SafeText::from_program("/srv/.env")],
            began: vec![0],
            read: vec![10],
            lines: vec![3],
            marks: vec![0],
            sums: vec![None],
            too_many: false,
            unread_inside: None,
            work: 10,
        }
    }

    fn terms() -> Terms {
        Terms {
            rules: "r1".to_owned(),
            rule_ids: [RuleId::parse("test.key").unwrap()].into(),
            epoch: Some(Epoch::parse("1").unwrap()),
        }
    }

    /// Judges an answer about `/srv/.env` after `alter` changed it.
    fn check(alter: impl FnOnce(&mut Examined)) -> Result<(Reading, Ended), Hostile> {
        let (header, pending) = job(b"/srv/.env");
        let mut examined = answer(vec![found()]);
        alter(&mut examined);
        let after = Some(state(10, 5));
        reading(&header, &pending, &examined, after, &terms(), Time(1))
    }

    #[test]
    fn an_answer_that_fits_becomes_a_whole_reading_of_the_jobs_own_place() {
        let (reading, ended) = check(|_| ()).unwrap();
        assert_eq!((ended, &reading.extent), (Ended::Whole, &Extent::Whole));
        let Place::File { path, .. } = &reading.observed[0].key.place else {
            panic!("no file");
        };
        assert_eq!(path.as_str(), "/srv/.env");
    }

    #[test]
    fn what_changed_or_was_read_short_is_never_whole() {
        let (header, pending) = job(b"/srv/.env");
        for after in [None, Some(state(11, 5)), Some(state(10, 6))] {
            let judged = reading(&header, &pending, &answer(vec![]), after, &terms(), Time(1));
            let (reading, ended) = judged.unwrap();
            assert_eq!(ended, Ended::Changed);
            assert_ne!(reading.extent, Extent::Whole);
        }
        let (reading, ended) = check(|examined| examined.read = vec![9]).unwrap();
        assert_eq!(ended, Ended::Short);
        assert_eq!(reading.extent, Extent::Unread(UnknownWhy::ReadShort));
    }

    #[test]
    fn each_lie_is_refused() {
        type Lie = fn(&mut Examined);
        let lies: [(Lie, Hostile); 8] = [
            (|examined| examined.id = JobId(2), Hostile::Shape),
            (|examined| examined.read.clear(), Hostile::Shape),
            (|examined| examined.found[0].part = 1, Hostile::Shape),
            (
                |examined| examined.found = vec![found(); limits::FINDINGS_PER_PLACE + 1],
                Hostile::Shape,
            ),
            (
                |examined| examined.names = vec![SafeText::from_program("/etc/shadow")],
                Hostile::Name,
            ),
            (
                |examined| examined.found[0].rule = RuleId::parse("other").unwrap(),
                Hostile::Rule,
            ),
            (
                |examined| examined.found[0].spot.end_line = 2,
                Hostile::Spot,
            ),
            (
                |examined| {
                    let many = limits::INSIDE_DEPTH + 1;
                    examined.found[0].inside = vec![SafeText::from_program("m"); many];
                },
                Hostile::Shape,
            ),
        ];
        for (lie, expected) in lies {
            assert_eq!(check(lie).err(), Some(expected));
        }
        let another_key = check(|examined| {
            examined.found[0].subject = Subject::Secret(Fingerprint {
                scheme: Scheme::Hmac,
                epoch: Epoch::parse("2").unwrap(),
                bytes: [7; 32],
            });
        });
        assert_eq!(another_key.err(), Some(Hostile::Epoch));
    }

    fn cleaned(clean: &str, raw: &[u8]) -> bool {
        is_cleaned(&SafeText::try_from(clean.to_owned()).unwrap(), raw)
    }

    #[test]
    fn a_cleaned_name_is_the_raw_one_with_chips() {
        assert!(cleaned("/a/‹aws.key›/b", b"/a/AKIAXXXX/b"));
        assert!(cleaned("‹x›", b"anything"));
        assert!(cleaned("‹x›‹y›z", b"anythingz"));
        assert!(cleaned("/a\\u{a}b", b"/a\nb"));
        assert!(!cleaned("/a/‹aws.key›/c", b"/a/AKIAXXXX/b"));
        assert!(!cleaned("/a/b/c", b"/a/b"));
        assert!(!cleaned("/a", b"/a/b"));
        assert!(!cleaned("b‹x›", b"a-secret"));
        assert!(cleaned("/odd‹name", "/odd‹name".as_bytes()));
        assert!(cleaned("/odd‹name›", "/odd‹name›".as_bytes()));
    }

    proptest! {
        #[test]
        fn what_redaction_writes_always_fits(
            before in "[a-z/‹›\u{202e}\n]{0,40}",
            secret in "[A-Z0-9]{1,40}",
            after in "[a-z/\u{1b}]{0,40}",
        ) {
            let raw = format!("{before}{secret}{after}");
            let clean = format!("{}‹rule›{}", text::escape(before.as_bytes()), text::escape(after.as_bytes()));
            prop_assume!(!before.contains('‹'));
            prop_assert!(cleaned(&clean, raw.as_bytes()), "{clean:?}");
        }
    }
}
