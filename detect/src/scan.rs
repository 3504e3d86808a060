//! The detector and what it answers.

use std::ops::Range;
use std::sync::Arc;

use akwatch_proto::credential::{
    Confidence, CredentialId, Kind, Provider, PublicPrefix, RuleId, Scheme,
};
use akwatch_proto::finding::Proof;
use akwatch_proto::place::Encoding;

use crate::content::{Part, Secret};
use crate::rule::RuleSet;

/// Bounds of one scan, in bytes and counts, never in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read of one part, members of archives included.
    pub bytes: u64,
    /// Bytes produced by undoing encodings and compression.
    pub unwrapped: u64,
    /// Encodings and containers inside one another.
    pub depth: u32,
    /// Matches kept of one scan.
    pub matches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 1 << 30,
            unwrapped: 256 << 20,
            depth: 5,
            matches: akwatch_proto::limits::FINDINGS_PER_PLACE,
        }
    }
}

/// What one scan found and what it could not read.
#[derive(Debug, Default)]
pub struct Scan {
    /// The matches, in order of part and position.
    pub matches: Vec<Match>,
    /// What was not read, and why.
    pub unread: Vec<Unread>,
    /// More matches were there than [`Limits::matches`] keeps.
    pub too_many: bool,
    /// Bytes looked at, unwrapped ones included.
    pub work: u64,
    /// For each part, the bytes of its source that were read from its start without a gap.
    pub read: Vec<u64>,
}

/// A credential, still with its secret: lives in the detector only.
#[derive(Debug)]
pub struct Match {
    /// The rule that found it.
    pub rule: RuleId,
    /// Who issues it.
    pub provider: Provider,
    /// What sort.
    pub kind: Kind,
    /// The secret half; none for a reference.
    pub secret: Option<Secret>,
    /// Further secret bytes of the same match, a session token: never sent, but redacted.
    pub also: Vec<Secret>,
    /// The public half.
    pub id: Option<CredentialId>,
    /// How sure.
    pub confidence: Confidence,
    /// What was established offline.
    pub proof: Vec<Proof>,
    /// The public prefix that the rule declares.
    pub prefix: Option<PublicPrefix>,
    /// How the fingerprint is to be made: people's passwords need the slow one.
    pub scheme: Scheme,
    /// Which part.
    pub part: usize,
    /// Where in it.
    pub spot: RawSpot,
}

/// Where a match lies, in the host's own raw names: these may hold secrets themselves.
#[derive(Debug, Default)]
pub struct RawSpot {
    /// First line of the secret, from 1, in the innermost member.
    pub line: u32,
    /// Last line of the secret.
    pub end_line: u32,
    /// Key path or variable.
    pub field: Option<Vec<u8>>,
    /// Members' names, outer to inner.
    pub inside: Vec<Vec<u8>>,
    /// Encodings undone, outermost first.
    pub encoding: Vec<Encoding>,
}

/// Something that was not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    /// Which part.
    pub part: usize,
    /// Members' names, outer to inner; empty for the part itself.
    pub inside: Vec<Vec<u8>>,
    /// Why.
    pub why: UnreadWhy,
}

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreadWhy {
    /// The source gave an error.
    Unreadable,
    /// A bound of [`Limits`] was reached.
    Limit,
    /// A member is encrypted.
    Encrypted,
    /// A member is damaged.
    Damaged,
    /// A container that this program cannot open.
    Unsupported,
}

/// Scans parts with a rule set. One per thread; keeps its buffers between scans.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    limits: Limits,
}

impl Detector {
    /// A detector for `rules` within `limits`.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, limits: Limits) -> Detector {
        Detector { rules, limits }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Scans `parts` as one object: pairs are made across the parts of one call, never further.
    pub fn scan(&mut self, parts: &[Part<'_>]) -> Scan {
        let _ = self.limits;
        Scan {
            read: vec![0; parts.len()],
            ..Scan::default()
        }
    }

    /// Finds what a rule would match inside a *name* (a path, a variable's name, a unit): ranges
    /// to be replaced, in order, not overlapping.
    pub fn secrets_in_name(&mut self, _name: &[u8]) -> Vec<(Range<usize>, RuleId)> {
        Vec::new()
    }
}
