//! One place, opened: what the watcher hands to the detector and what comes back.
//!
//! A [`Target`] says that something may have changed; [`Job`] is that place opened, with its
//! descriptors or captures. The detector answers with an [`Examined`], which names only the job: the
//! watcher alone says which place that was, and bounds everything that it takes from the answer.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use akwatch_ledger::reading::{FileState, ProcessInstance};
use akwatch_proto::credential::{Confidence, CredentialId, Kind, Preview, Provider, RuleId};
use akwatch_proto::finding::{Proof, Subject, UnknownWhy, WhyNew};
use akwatch_proto::place::{Reach, SafeText, Spot};
use serde::{Deserialize, Serialize};

/// Something that may have changed, as a sensor says it: unparsed, unopened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What.
    pub what: TargetPlace,
    /// Why it is looked at, which is also its urgency.
    pub urgency: Urgency,
}

/// A place by its raw name on this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetPlace {
    /// A file, or a history where `akwatch_detect::places` says so.
    File(PathBuf),
    /// A process.
    Process(ProcessInstance),
}

/// Urgencies, most urgent first: live events outrank everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Urgency {
    /// The kernel just said that it changed.
    Live,
    /// A known finding's place is to be read again.
    Revisit,
    /// A person asked.
    Hunt,
    /// The periodic rescan, or one after an overflow.
    Rescan,
    /// The first scan of a newly watched place.
    FirstScan,
}

impl Urgency {
    /// Why a finding that this read makes is new.
    #[must_use]
    pub fn why_new(self) -> WhyNew {
        match self {
            Urgency::Live | Urgency::Revisit | Urgency::Rescan => WhyNew::PlaceChanged,
            Urgency::Hunt | Urgency::FirstScan => WhyNew::HostNew,
        }
    }
}

/// Numbers a job within one run of the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One place, opened.
#[derive(Debug)]
pub struct Job {
    /// What is said of it to the detector.
    pub header: JobHeader,
    /// Its content, one for each of the header's parts, in order.
    pub contents: Vec<Content>,
}

/// A part's bytes.
#[derive(Debug)]
pub enum Content {
    /// An open file, read by the detector itself from the descriptor.
    File(OwnedFd),
    /// A capture of /proc, unparsed, in locked memory at both ends.
    Captured(Captured),
}

/// Raw bytes of an environ or cmdline: wiped when dropped, never printed.
pub struct Captured(pub zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Captured({} bytes)", self.0.len())
    }
}

/// What the detector needs to know of a job. Raw names are in it, so its `Debug` says only how many
/// and it is only ever written to the link between watcher and detector.
#[derive(Clone, Serialize, Deserialize)]
pub struct JobHeader {
    /// Which job.
    pub id: JobId,
    /// Its parts.
    pub parts: Vec<PartHeader>,
    /// Names that will be stored or shown with what is found, raw; they come back cleaned, in the
    /// same order ([`Examined::names`]).
    pub names: Vec<Vec<u8>>,
}

impl std::fmt::Debug for JobHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "JobHeader({:?}, {} parts, {} names)",
            self.id,
            self.parts.len(),
            self.names.len()
        )
    }
}

/// One part of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartHeader {
    /// Which of [`JobHeader::names`] is its name, which may say its format.
    pub name: usize,
    /// How it is written, where the watcher knows: a history's shell, a capture.
    pub form: PartForm,
    /// Offset at which reading begins, for a tail; else 0.
    pub from: u64,
    /// Lines before that offset.
    pub lines_before: u32,
    /// The bytes that reading to the end must give: a file's size, a capture's expected length.
    pub expected: u64,
}

/// What the watcher knows of a part's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartForm {
    /// By name and content.
    Guess,
    /// A captured environment.
    Environ,
    /// A captured command line.
    Cmdline,
    /// bash's history.
    BashHistory,
    /// zsh's history.
    ZshHistory,
    /// fish's history.
    FishHistory,
}

/// The detector's answer about one job: hostile input to the watcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    /// Which job.
    pub id: JobId,
    /// What was found.
    pub found: Vec<Found>,
    /// The job's names, cleaned, in the header's order.
    pub names: Vec<SafeText>,
    /// For each part, the bytes read from its start (or tail offset) without a gap.
    pub read: Vec<u64>,
    /// For each part, the line breaks read, so that the next tail knows its line.
    pub lines: Vec<u32>,
    /// More was there than is kept.
    pub too_many: bool,
    /// Something inside could not be read, and why.
    pub unread_inside: Option<UnknownWhy>,
    /// Bytes looked at, unwrapped ones included.
    pub work: u64,
}

/// One redacted match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Which part.
    pub part: usize,
    /// Members' names, outer to inner, cleaned.
    pub inside: Vec<SafeText>,
    /// The secret's fingerprint, or the lone id.
    pub subject: Subject,
    /// The rule.
    pub rule: RuleId,
    /// Who issues it.
    pub provider: Provider,
    /// What sort.
    pub kind: Kind,
    /// The public half.
    pub credential_id: Option<CredentialId>,
    /// How sure.
    pub confidence: Confidence,
    /// What may be shown.
    pub preview: Option<Preview>,
    /// What was established offline.
    pub proof: Vec<Proof>,
    /// Where in the part.
    pub spot: Spot,
}

/// What the watcher keeps of a job while the detector has it.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What was opened.
    pub target: Target,
    /// The file's state when it was opened; compared with its state after the answer.
    pub before: Option<FileState>,
    /// Who can read it.
    pub reach: Reach,
}
