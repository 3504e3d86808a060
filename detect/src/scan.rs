//! The detector and what it answers.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use akwatch_proto::credential::{
    Confidence, CredentialId, Kind, Provider, PublicPrefix, RuleId, Scheme,
};
use akwatch_proto::finding::Proof;
use akwatch_proto::place::Encoding;
use akwatch_proto::time::Time;

use crate::content::{Companion, Format, Part, Secret, Source};
use crate::judge::MemberName;
use crate::pair::pair;
use crate::rule::RuleSet;
use crate::sieve::Strip;
use crate::syntax::Scopes;
use crate::unwrap::fuel::Fuel;
use crate::unwrap::stream;
use crate::window::stores::Trial;
use crate::window::{LineBase, Region, Scanner, companions};
use crate::{name, places, typed};

/// Bounds of one scan, in bytes and counts, never in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read of one part, members of archives included.
    pub bytes: u64,
    /// Bytes produced by undoing encodings and compression, and those that undoing them takes beyond
    /// the part's own.
    pub unwrapped: u64,
    /// Encodings and containers inside one another. Sixteen are five wrappings as people count them: a
    /// release of Helm is base64 twice, gzip, JSON and base64 again, a package three more.
    pub depth: u32,
    /// Matches kept of one scan.
    pub matches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 1 << 30,
            unwrapped: 256 << 20,
            depth: 16,
            matches: akwatch_proto::limits::FINDINGS_PER_PLACE,
        }
    }
}

/// Buffers kept between two scans: for a file and one level inside it. What deeper nesting took is
/// given back, since few files have it.
const KEPT: usize = 2;

/// What one scan found and what it could not read.
#[derive(Debug, Default)]
pub struct Scan {
    /// The matches, in order of part and position.
    pub matches: Vec<Match>,
    /// What was not read, and why.
    pub unread: Vec<Unread>,
    /// More matches were there than [`Limits::matches`] keeps, or more halves of keys side by side than
    /// are all compared with each other.
    pub too_many: bool,
    /// Bytes looked at, unwrapped ones included, and halves of keys held against each other.
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
    /// When a history's line was typed, where the history says so.
    pub typed: Option<Time>,
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

/// Scans parts with a rule set. One per thread.
pub struct Detector {
    rules: Arc<RuleSet>,
    limits: Limits,
    window: usize,
    buffers: Vec<Vec<u8>>,
    /// None while a scan uses it.
    strip: Option<Box<Strip>>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The buffers hold what was scanned last; they are wiped, and still never shown.
        f.debug_struct("Detector")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Detector {
    /// A detector for `rules` within `limits`.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, limits: Limits) -> Detector {
        Detector {
            rules,
            limits,
            window: stream::WINDOW,
            buffers: Vec::new(),
            strip: None,
        }
    }

    /// The same with windows of `bytes`, so that a test can put a boundary anywhere.
    #[cfg(test)]
    pub(crate) fn with_window(mut self, bytes: usize) -> Detector {
        self.window = bytes;
        self
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Scans `parts` as one object: pairs are made across the parts of one call, never further.
    pub fn scan(&mut self, parts: &[Part<'_>]) -> Scan {
        self.scan_beside(parts, &[])
    }

    /// The same where `companions` lie beside: they are looked into for the passwords of keystores in
    /// `parts` that nothing else opens, and for nothing else. Nothing is told of them, neither what they
    /// hold nor what of them could not be read.
    pub fn scan_beside(&mut self, parts: &[Part<'_>], companions: &[Companion<'_>]) -> Scan {
        let buffers = std::mem::take(&mut self.buffers);
        let strip = self.strip.take().unwrap_or_else(|| Box::new(Strip::new()));
        let mut scanner = scanner(&self.rules, self.limits, self.window, buffers, strip);
        let read = parts
            .iter()
            .enumerate()
            .map(|(number, part)| read_part(&mut scanner, number, part))
            .collect();
        let mut stores = scanner.try_stores();
        if !companions.is_empty() && stores.iter().any(Trial::is_shut) {
            let passwords = companions::passwords(&mut scanner, parts, companions);
            scanner.try_passwords(&mut stores, &passwords);
        }
        scanner.tell_stores(stores);
        self.buffers = std::mem::take(&mut scanner.buffers);
        self.buffers.truncate(KEPT);
        self.strip = Some(scanner.strip);
        let candidates = std::mem::take(&mut scanner.candidates);
        let paired = pair(candidates, &scanner.scopes, &self.rules);
        let mut matches = paired.matches;
        let too_many = scanner.too_many || paired.too_many || matches.len() > self.limits.matches;
        keep(&mut matches, self.limits.matches);
        typed::note(parts, &mut matches, self.limits.bytes);
        Scan {
            matches,
            unread: scanner.unread,
            too_many,
            work: scanner.work + paired.compared,
            read,
        }
    }

    /// Finds what a rule would match inside a *name* (a path, a variable's name, a unit): ranges
    /// to be replaced, in order, not overlapping. Prefers to clean too much: beside an id, any
    /// random run as long as a secret counts.
    pub fn secrets_in_name(&mut self, name: &[u8]) -> Vec<(Range<usize>, RuleId)> {
        name::secrets(name, &self.rules)
    }
}

/// What gathers one scan.
pub(crate) fn scanner<'r>(
    rules: &'r RuleSet,
    limits: Limits,
    window: usize,
    buffers: Vec<Vec<u8>>,
    strip: Box<Strip>,
) -> Scanner<'r> {
    Scanner {
        rules,
        limits,
        source: None,
        covered: false,
        scopes: Scopes::new(),
        candidates: Vec::new(),
        stores: Vec::new(),
        unread: Vec::new(),
        too_many: false,
        work: 0,
        fuel: Fuel::new(limits.unwrapped),
        undone: None,
        window,
        buffers,
        strip,
    }
}

/// Keeps as many as `most`: what has no secret gives way to what has one.
fn keep(matches: &mut Vec<Match>, most: usize) {
    let secrets = matches.iter().filter(|found| found.secret.is_some());
    let mut room = most.saturating_sub(secrets.count());
    if matches.len() > most {
        matches.retain(|found| {
            let kept = found.secret.is_some() || room > 0;
            room = room.saturating_sub(usize::from(found.secret.is_none()));
            kept
        });
    }
    matches.truncate(most);
}

/// Reads one part; answers how many bytes of it were read without a gap.
pub(crate) fn read_part<'r>(scanner: &mut Scanner<'r>, number: usize, part: &Part<'r>) -> u64 {
    let format = match part.format {
        Format::Guess => places::format_of(part.name),
        format => format,
    };
    let scope = scanner.scopes.child(Scopes::ROOT);
    let region = Region {
        member: Rc::new(MemberName {
            part: number,
            inside: Vec::new(),
            name: part.name.to_vec(),
        }),
        encoding: Vec::new(),
        path: Vec::new(),
        scope,
        depth: 0,
        format,
        line: match format {
            Format::Environ | Format::Argv => LineBase::Fixed(1),
            _ => LineBase::Counted(part.start.lines),
        },
        offset: part.start.offset,
        code: stream::is_code(part.name),
    };
    let mut input = SourceReader {
        source: part.source,
        at: 0,
        limit: scanner.limits.bytes,
    };
    let length = part.source.len().unwrap_or_default();
    scanner.fuel.grant(length.min(scanner.limits.bytes));
    scanner.source = Some(part.source);
    scanner.covered = false;
    stream::read(scanner, &region, &mut input, None);
    match part.source.len() {
        Some(length) if scanner.covered => length,
        _ => input.at,
    }
}

/// A source as a stream, up to the limit of bytes.
struct SourceReader<'a> {
    source: &'a dyn Source,
    at: u64,
    limit: u64,
}

impl std::io::Read for SourceReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let rest = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
        if rest == 0 {
            // Only a further byte tells the end from the limit.
            return match self.source.read_at(self.at, &mut [0]) {
                Ok(0) => Ok(0),
                Ok(_) => Err(std::io::ErrorKind::QuotaExceeded.into()),
                Err(_) => Err(std::io::ErrorKind::Other.into()),
            };
        }
        let room = into.len().min(rest);
        match self.source.read_at(self.at, &mut into[..room]) {
            Ok(count) => {
                let count = count.min(room);
                self.at += count as u64;
                Ok(count)
            }
            Err(_) => Err(std::io::ErrorKind::Other.into()),
        }
    }
}
