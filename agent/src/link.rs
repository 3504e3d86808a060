//! The closed sets of messages between the watcher and its two workers.
//!
//! A star, not a chain: the watcher asks, detector and reporter answer, and neither knows the other.
//! Frames travel over a unix socket as a length and JSON, with descriptors beside them.

use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, FleetKey, Heartbeat, HeartbeatAnswer, Refused, Report, Reported,
};
use akwatch_proto::time::Time;
use serde::{Deserialize, Serialize};

use crate::job::{Examined, JobHeader};

/// What the watcher says to the detector.
#[derive(Serialize, Deserialize)]
pub enum ToDetector {
    /// First message: the key for fingerprints and the rule packs beyond the built-in ones.
    Start {
        /// The fleet key of the epoch.
        key: FleetKey,
        /// Rule packs as TOML, by name.
        packs: Vec<(String, String)>,
    },
    /// Jobs, at most 32, with one descriptor beside for each file among their contents, in order;
    /// captures follow in the frame.
    Examine(Vec<SentJob>),
}

/// A job on the link.
#[derive(Serialize, Deserialize)]
pub struct SentJob {
    /// What is said of it.
    pub header: JobHeader,
    /// For each part: `None` when its content is the next descriptor, else the captured bytes.
    pub captures: Vec<Option<Vec<u8>>>,
}

/// What the detector answers.
#[derive(Serialize, Deserialize)]
pub enum FromDetector {
    /// It is ready, with these rules.
    Ready {
        /// Version of the compiled set.
        rules: String,
        /// Every rule id in it: a finding whose rule is gone becomes unknown.
        rule_ids: Vec<String>,
        /// Rules set aside, by name, with the reason.
        faults: Vec<(String, String)>,
    },
    /// One job's answer.
    Read(Examined),
}

/// What the watcher says to the reporter: one request at a time of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToReporter {
    /// Send this.
    Send(Outgoing),
}

/// Messages of `proto`, untranslated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is alive at a time; boxing would only move it"
)]
pub enum Outgoing {
    /// New states of findings.
    Report(Report),
    /// Liveness and coverage.
    Heartbeat(Heartbeat),
    /// Asks for directives.
    CheckIn(CheckIn),
}

/// What the reporter answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromReporter {
    /// The collector's answer.
    Answered(Answer),
    /// It could not be reached, or refused; the reporter goes on trying what can be tried again.
    Outage(Outage),
    /// The certificate was renewed.
    Renewed {
        /// When the new one ends.
        not_after: Time,
    },
}

/// An answer of the collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To a report.
    Report(Reported),
    /// To a heartbeat.
    Heartbeat(HeartbeatAnswer),
    /// To a check-in.
    CheckIn(CheckInAnswer),
}

/// Why something did not arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Which sort of request: `report`, `heartbeat`, `check-in`, `renew`.
    pub call: String,
    /// In words, with the next step: never content of a report.
    pub why: String,
    /// The collector's refusal, when it answered.
    pub refused: Option<Refused>,
    /// When it will be tried again, in milliseconds from now; `None` when the watcher must decide.
    pub retry_ms: Option<u64>,
}
