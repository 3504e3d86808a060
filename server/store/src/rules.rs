//! What the store must be told by the collector's domain: how things are judged.
//!
//! A score or verdict is a column, because lists are sorted by it, and it must change in the same
//! transaction as what it follows from. The rules themselves are the domain's; this trait is how
//! they are called, and it is called nowhere else, so that one function is the truth.

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::finding::{Cause, PresenceState, Proof};
use akwatch_proto::people::{Disposition, PresenceCounts, Score, Verdict};
use akwatch_proto::place::{Place, Reach, SafeText};
use akwatch_proto::time::Time;

use crate::audit::Entry;
use crate::enrollment::{TokenRecord, TokenRefusal};

/// What a finding's score depends on.
#[derive(Clone, Copy, Debug)]
pub struct FindingFacts<'a> {
    /// What sort of credential.
    pub kind: Kind,
    /// How sure.
    pub confidence: Confidence,
    /// What was established offline.
    pub proof: &'a [Proof],
    /// Where.
    pub place: &'a Place,
    /// Who can read it.
    pub reach: &'a Reach,
    /// Handed over by a secret store.
    pub delivered: bool,
    /// The agent's word.
    pub presence: PresenceState,
    /// The collector's clock.
    pub now: Time,
}

impl FindingFacts<'_> {
    /// When the credential expires, where its text says so.
    #[must_use]
    pub fn expires(&self) -> Option<Time> {
        Proof::expiry(self.proof)
    }
}

/// What a credential's score depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialTally {
    /// The highest score of its findings. When a list is written only the value is set; when one
    /// credential is explained the lines are there too.
    pub worst: Score,
    /// Its places that decide.
    pub places: PresenceCounts,
    /// Hosts on which it is or may be.
    pub hosts: u64,
    /// People's decision.
    pub disposition: Disposition,
}

/// What a host's score depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTally {
    /// The highest score of the findings on it, as for [`CredentialTally::worst`].
    pub worst: Score,
    /// Credentials that are or may be on it.
    pub credentials: u64,
}

/// Whether a finding decides its credential's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// A leak: its presence decides.
    Deciding = 0,
    /// Delivered by a secret store, a vendor's sample, or closed with its host: counted apart.
    Apart = 1,
    /// A lone id: an inventory of use.
    Reference = 2,
}

/// A file of the same host that holds the same credential as a process, or held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseCandidate {
    /// The file.
    pub path: SafeText,
    /// The line in it.
    pub line: u32,
    /// It does not hold the credential any more.
    pub gone: bool,
}

/// How the domain judges. Pure functions: no clock, no I/O.
pub trait Rules: Send + Sync + 'static {
    /// The score of one finding, explained.
    fn finding(&self, facts: &FindingFacts<'_>) -> Score;
    /// Whether a finding decides its credential's verdict.
    fn class(&self, facts: &FindingFacts<'_>) -> Class;
    /// The score of a credential, explained.
    fn credential(&self, tally: &CredentialTally) -> Score;
    /// The score of a host, explained.
    fn host(&self, tally: &HostTally) -> Score;
    /// The verdict of a credential from its deciding places.
    fn verdict(&self, places: PresenceCounts, disposition: Disposition) -> Verdict;
    /// Whether a credential is still work: one definition for all counters.
    fn open(&self, verdict: Verdict, disposition: Disposition) -> bool;
    /// Which file a process has its credential from.
    fn cause(&self, unit_files: &[SafeText], candidates: &[CauseCandidate]) -> Option<Cause>;
    /// Whether a token whose secret was right may enroll a host: another one, or, when `again`, one
    /// that it has enrolled and whose answer was lost.
    ///
    /// # Errors
    /// Why not.
    fn token(&self, token: &TokenRecord, again: bool, now: Time) -> Result<(), TokenRefusal>;
    /// The hash of an audit entry that follows `previous`.
    fn link(&self, previous: &[u8; 32], entry: &Entry) -> [u8; 32];
}
