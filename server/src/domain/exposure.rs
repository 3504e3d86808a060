//! Scores: how bad it is that this credential lies there, from 0 to 100, explained line by line.
//!
//! `docs/reference/score.md` is the same table for people; a test reads its numbers. The lines of a
//! score always add up to it, so whoever doubts a score can argue with a line.

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::{Cause, PresenceState, Proof};
use akwatch_proto::people::{Disposition, Score, ScoreLine};
use akwatch_proto::place::{Capture, Place, SafeText};
use akwatch_store::rules::{CauseCandidate, Class, CredentialTally, FindingFacts, HostTally};

/// What is left of the score of a credential that has expired: it may have been copied while it
/// worked, and its log-ins are worth a look.
const EXPIRED: i32 = 5;

/// The score of a credential that is gone everywhere but was not rotated: a copy still works.
const COPY: i32 = 20;

/// What an encrypted private key has less: its password must be known too.
const ENCRYPTED: i32 = -25;

/// What a value whose own checksum fails has less.
const FAILED_PROOF: i32 = -30;

/// Hosts, from how many on, and the points for them.
const SPREAD: [(u64, i32); 3] = [(20, 10), (5, 6), (2, 3)];

/// Credentials on one host, from how many on, and the points for them.
const HELD: [(u64, i32); 3] = [(10, 10), (5, 6), (2, 3)];

fn kind(kind: Kind) -> (&'static str, i32) {
    match kind {
        Kind::AccessKeyPair => ("a cloud access key", 50),
        Kind::PrivateKey => ("a private key", 45),
        Kind::Token => ("a service's token", 45),
        Kind::TemporaryCredential => ("a short-lived cloud credential", 40),
        Kind::SecretKey => ("the secret half of a cloud access key", 40),
        Kind::Password => ("a password", 35),
        Kind::Reference => ("an id alone, which is no leak", 0),
        _ => ("a credential of a kind unknown here", 30),
    }
}

fn confidence(level: Confidence) -> (&'static str, i32) {
    match level {
        Confidence::Proven => ("a checksum or structure was verified", 20),
        Confidence::Paired => ("id and secret lie together", 20),
        Confidence::Strong => ("its format says what it is", 12),
        Confidence::Contextual => ("a name beside it says what it is", 0),
        _ => ("a sample, a hash or a failed proof", 0),
    }
}

fn reach(facts: &FindingFacts<'_>) -> (&'static str, i32) {
    match facts.reach {
        reach if reach.world_readable => ("every user of the host can read it", 20),
        reach if reach.group_readable || reach.acl => ("a group of users can read it", 10),
        _ => ("only its owner can read it", 0),
    }
}

fn place(place: &Place) -> (&'static str, i32) {
    match place {
        Place::Process {
            capture: Capture::Cmdline,
            ..
        } => ("arguments are listed to every user", 15),
        Place::Process { .. } => ("in a process", 0),
        Place::History { .. } => ("a history is kept and copied with the home", 5),
        Place::File { .. } => ("in a file", 0),
        Place::Unknown => ("in a place of a kind unknown here", 0),
    }
}

/// Lines and their sum.
#[derive(Default)]
struct Sum {
    lines: Vec<ScoreLine>,
    total: i32,
}

impl Sum {
    fn add(&mut self, what: &str, (because, points): (&str, i32)) {
        self.total += points;
        self.lines.push(ScoreLine {
            what: what.to_owned(),
            because: because.to_owned(),
            points,
        });
    }

    /// Sets the sum to `value` by one line of the difference.
    fn set(&mut self, what: &str, because: &str, value: i32) {
        let points = value - self.total;
        if points != 0 {
            self.add(what, (because, points));
        }
    }

    fn capped(mut self) -> Score {
        if self.total > 100 {
            self.set("limit", "a score is at most 100", 100);
        }
        if self.total < 0 {
            self.set("limit", "a score is at least 0", 0);
        }
        Score {
            value: u32::try_from(self.total).unwrap_or(0),
            lines: self.lines,
        }
    }

    /// Begins with what is known of the worst finding.
    fn from_worst(worst: &Score) -> Sum {
        let mut sum = Sum::default();
        if worst.lines.is_empty() {
            let value = i32::try_from(worst.value).unwrap_or(100);
            sum.add("worst", ("its worst place", value));
        } else {
            sum.lines.clone_from(&worst.lines);
            sum.total = worst.lines.iter().map(|line| line.points).sum();
        }
        sum
    }
}

/// Whether a delivered credential can be read by more than the service that it was handed to.
fn wider_than_its_service(facts: &FindingFacts<'_>) -> bool {
    facts.reach.world_readable || facts.reach.acl
}

/// Whether a finding decides its credential's verdict.
#[must_use]
pub fn class(facts: &FindingFacts<'_>) -> Class {
    match facts {
        facts if facts.kind == Kind::Reference => Class::Reference,
        facts if facts.confidence == Confidence::Unknown => Class::Apart,
        facts if facts.delivered && !wider_than_its_service(facts) => Class::Apart,
        _ => Class::Deciding,
    }
}

/// The score of one finding.
#[must_use]
pub fn finding(facts: &FindingFacts<'_>) -> Score {
    let mut sum = Sum::default();
    sum.add("kind", kind(facts.kind));
    if facts.kind == Kind::Reference {
        return sum.capped();
    }
    sum.add("confidence", confidence(facts.confidence));
    sum.add("reach", reach(facts));
    sum.add("place", place(facts.place));
    proofs(&mut sum, facts);
    if sum.total > 100 {
        sum.set("limit", "a score is at most 100", 100);
    }
    if facts.expires().is_some_and(|at| at <= facts.now) && sum.total > EXPIRED {
        sum.set("expired", "it has expired", EXPIRED);
    }
    match class(facts) {
        Class::Apart if facts.delivered => {
            sum.set("delivered", "a secret store handed it over", 0);
        }
        Class::Apart => sum.set("sample", "recorded only", 0),
        Class::Deciding | Class::Reference => {}
    }
    match facts.presence {
        PresenceState::Gone => sum.set("presence", "verified gone from this place", 0),
        PresenceState::Unknown => {
            sum.add("presence", ("not verified, so it counts as present", 0));
        }
        PresenceState::Present => {}
    }
    sum.capped()
}

fn proofs(sum: &mut Sum, facts: &FindingFacts<'_>) {
    for proof in facts.proof {
        match proof {
            Proof::Encrypted => sum.add("encrypted", ("its password is needed too", ENCRYPTED)),
            Proof::Checksum { holds: false } | Proof::Structure { holds: false } => {
                sum.add(
                    "proof",
                    ("its own checksum or structure fails", FAILED_PROOF),
                );
            }
            Proof::Account { canary: true, .. } => {
                sum.set("canary", "it belongs to a known canary service", 0);
            }
            _ => {}
        }
    }
    if sum.total < 0 {
        sum.set("limit", "a score is at least 0", 0);
    }
}

fn step(steps: &[(u64, i32)], number: u64) -> i32 {
    steps
        .iter()
        .find(|(from, _)| number >= *from)
        .map_or(0, |(_, points)| *points)
}

/// The score of a credential: its worst place, and how far it has spread.
#[must_use]
pub fn credential(tally: &CredentialTally) -> Score {
    let mut sum = Sum::from_worst(&tally.worst);
    if sum.total > 0 {
        let because = format!("it is or may be on {} hosts", tally.hosts);
        let points = step(&SPREAD, tally.hosts);
        if points > 0 {
            sum.add("spread", (&because, points));
        }
    }
    let all_gone = tally.places.gone > 0 && tally.places.present + tally.places.unknown == 0;
    if all_gone && tally.disposition != Disposition::Rotated && sum.total < COPY {
        sum.set(
            "copy",
            "gone here does not undo a copy: it works until it is rotated",
            COPY,
        );
    }
    if tally.disposition == Disposition::FalsePositive {
        sum.set("disposition", "people say that it is no credential", 0);
    }
    sum.capped()
}

/// The score of a host: the worst that lies there, and how much.
#[must_use]
pub fn host(tally: &HostTally) -> Score {
    let mut sum = Sum::from_worst(&tally.worst);
    let points = step(&HELD, tally.credentials);
    if sum.total > 0 && points > 0 {
        let because = format!("{} credentials are or may be on it", tally.credentials);
        sum.add("held", (&because, points));
    }
    sum.capped()
}

/// Which file a process has its credential from: one that its unit names, else the first by path; one
/// that held it only where none holds it any more.
#[must_use]
pub fn cause(unit_files: &[SafeText], candidates: &[CauseCandidate]) -> Option<Cause> {
    candidates
        .iter()
        .min_by_key(|file| {
            (
                file.gone,
                !unit_files.contains(&file.path),
                &file.path,
                file.line,
            )
        })
        .map(|file| Cause {
            path: file.path.clone(),
            line: file.line,
            gone: file.gone,
        })
}

#[cfg(test)]
#[path = "exposure_tests.rs"]
mod tests;
