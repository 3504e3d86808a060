//! What the collector decides, apart from how it hears, remembers and tells.
//!
//! Pure functions: no clock, no I/O, no HTTP, no SQL. Handlers ask them before they answer; the store
//! calls those of [`Judge`] inside its transactions, so that a score or verdict never disagrees with
//! the counters that it follows from.

use akwatch_proto::finding::Cause;
use akwatch_proto::people::{Disposition, PresenceCounts, Score, Verdict};
use akwatch_proto::place::SafeText;
use akwatch_proto::time::Time;
use akwatch_store::Rules;
use akwatch_store::audit::Entry;
use akwatch_store::enrollment::{TokenRecord, TokenRefusal};
use akwatch_store::rules::{CauseCandidate, Class, CredentialTally, FindingFacts, HostTally};

pub mod audit;
pub mod enrollment;
pub mod exposure;
pub mod people;
pub mod report;
pub mod verdict;

/// The domain's rules as the store calls them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge;

impl Rules for Judge {
    fn finding(&self, facts: &FindingFacts<'_>) -> Score {
        exposure::finding(facts)
    }

    fn class(&self, facts: &FindingFacts<'_>) -> Class {
        exposure::class(facts)
    }

    fn credential(&self, tally: &CredentialTally) -> Score {
        exposure::credential(tally)
    }

    fn host(&self, tally: &HostTally) -> Score {
        exposure::host(tally)
    }

    fn verdict(&self, places: PresenceCounts, disposition: Disposition) -> Verdict {
        verdict::verdict(places, disposition)
    }

    fn open(&self, verdict: Verdict, disposition: Disposition) -> bool {
        verdict::open(verdict, disposition)
    }

    fn cause(&self, unit_files: &[SafeText], candidates: &[CauseCandidate]) -> Option<Cause> {
        exposure::cause(unit_files, candidates)
    }

    fn token(&self, token: &TokenRecord, now: Time) -> Result<(), TokenRefusal> {
        enrollment::may_enroll(token, now)
    }

    fn link(&self, previous: &[u8; 32], entry: &Entry) -> [u8; 32] {
        audit::link(previous, entry)
    }
}
