//! What is watched, how well, and what is not: the other half of every "nothing found".
//!
//! A finding says what was read; coverage says what was not. It is sent with each heartbeat, stored
//! by the collector and shown beside every total, because *unknown* is never *clean*.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::place::SafeText;
use crate::time::Time;

/// How completely one source is read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Covered {
    /// Everything that policy asks for.
    Whole,
    /// Some of it; the reasons say what is missing.
    Partly,
    /// Nothing can be said.
    #[serde(other)]
    Unknown,
}

/// The rung that the host's budget allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rung {
    /// Everything runs.
    Full,
    /// Rescans are slowed; events are read.
    Reduced,
    /// Only the heartbeat goes on.
    HeartbeatOnly,
    /// A person paused it.
    Paused,
    /// A rung that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// Something that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotRead {
    /// Why, as a slug: `permission-denied`, `too-large`, `network-filesystem`, `hung`, …
    pub why: String,
    /// How many places.
    pub count: u64,
    /// One of them, as an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<SafeText>,
}

/// One source: files, processes, histories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceCoverage {
    /// `files`, `processes` or `histories`.
    pub source: String,
    /// How it is watched: `fanotify`, `inotify`, `exec-events+sweep`, `sweep`, `rescan`.
    pub mechanism: String,
    /// How completely.
    pub covered: Covered,
    /// When it was last read to an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<Time>,
    /// Places read.
    pub read: u64,
    /// Places known but still to be read: the first scan's or a rescan's remainder.
    #[serde(default)]
    pub waiting: u64,
    /// What was not read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<NotRead>,
    /// How often the kernel's queue overflowed; each was followed by a rescan.
    #[serde(default)]
    pub overflowed: u64,
    /// Processes that ended, or files that changed, before they could be read.
    #[serde(default)]
    pub raced: u64,
}

/// Why what is found cannot be kept, or soon cannot: the disk of the agent's own record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordTrouble {
    /// Since when, by the host's clock.
    pub since: Time,
    /// Why, as a slug: `disk-full`, `read-only`, `disk-fails`, `damaged`, `not-writable`.
    pub why: String,
    /// Readings that wait to be kept; none while the room that was kept for this lasts.
    pub waiting: u64,
}

/// A place or a rule that cost too much, or ended the detector: left alone for a while. What it holds is
/// unknown meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetAside {
    /// `file`, `process` or `rule`.
    pub kind: String,
    /// Its name, cleaned; of a process its executable.
    pub name: SafeText,
    /// Why, as a slug: `took-too-long`, `ended-detector`, `odd-answer`; of a rule, in words.
    pub why: String,
    /// How often so far, since the agent started.
    #[serde(default)]
    pub times: u32,
    /// When it is tried again, by the host's clock; a rule is when the rules change or the agent starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// Everything that the agent can say about what it watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// Version of the rule set in force.
    pub rules: String,
    /// What the host's budget allows.
    pub rung: Rung,
    /// Why it is not full, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung_reason: Option<String>,
    /// Per source.
    pub sources: Vec<SourceCoverage>,
    /// Walls of the agent's own sandbox that this host lacks, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_walls: Vec<String>,
    /// What is wrong with the disk of the agent's record, if something is. It goes on reading, and what
    /// waits to be kept is reported as soon as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordTrouble>,
    /// What is set aside, by name, at most [`limits::SET_ASIDE_NAMED`](crate::limits::SET_ASIDE_NAMED);
    /// `not_read` counts all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
}
