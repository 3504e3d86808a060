//! What one place held when it was read: the unit of flow up the line.
//!
//! A stream of hits could never say "read, and nothing there"; a reading can. *Gone*, *unknown* and
//! coverage all follow from it.

use akwatch_proto::credential::{Confidence, CredentialId, Kind, Preview, Provider, RuleId};
use akwatch_proto::finding::{FindingKey, Proof, UnknownWhy, WhyNew};
use akwatch_proto::place::{Origin, Place, Reach, SafeText, Spot, Workload, WrittenBy};
use akwatch_proto::time::Time;
use serde::{Deserialize, Serialize};

/// What one place held at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was read.
    pub subject: ReadingSubject,
    /// How much of it.
    pub extent: Extent,
    /// When the read ended, by the host's clock.
    pub at: Time,
    /// Version of the rule set it was read with.
    pub rules: String,
    /// What was found in it.
    pub observed: Vec<Observed>,
    /// It holds more than is kept: every credential not listed is unknown, not gone.
    pub too_many: bool,
    /// Parts inside that could not be read (an encrypted member, a limit): a value not listed may
    /// be in there, so it is unknown, not gone.
    pub unread_inside: Option<UnknownWhy>,
    /// Why findings of this reading that are new are new.
    pub why_new: WhyNew,
    /// Who put what is new in this reading there: only where everything that was in the place before
    /// that write is known, so that nothing which is new to the ledger can be older than the write.
    pub written_by: Option<WrittenBy>,
}

/// What was read: one openable place, or one sweep over all processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadingSubject {
    /// A file or a history; its members' findings belong to it.
    Place(Place),
    /// One live process: findings are only ever added by it, since another process of the same
    /// workload may still hold what this one lacks.
    Process {
        /// What it belongs to.
        workload: Workload,
        /// Its user.
        user: SafeText,
        /// Its pid and start time, which together are unique until reboot.
        instance: ProcessInstance,
    },
    /// A complete sweep: the process instances alive in it, each of which has been read whole or
    /// is listed as unread. What none of a place's instances holds has ended.
    ///
    /// Its [`Reading::at`] is the moment at which it *began*, so that a process which was first
    /// read while it ran is not taken for one that ended. A process that could not be read is best
    /// committed as a [`ReadingSubject::Process`] of [`Extent::Unread`] too, which says whose it is:
    /// an unread instance of an unknown workload may hold anything, and makes every process's
    /// finding that nobody else holds unknown.
    Sweep {
        /// When it began, in clock ticks since boot, as [`ProcessInstance::started`]: what was started
        /// since is not missing from it. No wall clock: one that is set back would have processes that
        /// ended look as if they had come later.
        began: u64,
        /// Every live instance.
        alive: Vec<ProcessInstance>,
        /// Those of them whose captures could not be read whole, and why.
        unread: Vec<(ProcessInstance, UnknownWhy)>,
    },
}

/// One process, told apart from a later one with the same pid by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessInstance {
    /// Process id.
    pub pid: i32,
    /// `starttime` of /proc/PID/stat, in clock ticks since boot.
    pub started: u64,
}

/// How much of a place was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// From its first byte to its last, unchanged meanwhile (size and ctime equal before and after;
    /// for an environment, bytes = env_end − env_start).
    Whole,
    /// From an offset to its end: what was appended. Proves presence, never *gone*.
    Tail {
        /// The offset.
        from: u64,
    },
    /// It is not there: the open failed with ENOENT on a path whose directory could be read.
    Absent,
    /// It could not be read to an answer.
    Unread(UnknownWhy),
}

/// One credential in the place that was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Identity.
    pub key: FindingKey,
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
    /// Where in the place.
    pub spot: Spot,
    /// Who can read the place.
    pub reach: Reach,
    /// Which process, unit, container.
    pub origin: Origin,
    /// Handed over by a secret store.
    pub delivered: bool,
}

/// What tells whether a file changed since it was read, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Change time, nanoseconds since the epoch.
    pub ctime_ns: i64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
}
