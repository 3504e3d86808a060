//! The ledger's rows and how they are written. The layout is described in the crate's own text.
//!
//! Values are JSON: a finding is written once and read rarely, a person with a damaged host can read
//! it, and `proto` already promises that old findings stay readable. Keys are hashes, so that a
//! path of 4096 bytes costs 32.

use akwatch_proto::credential::{Epoch, RuleId};
use akwatch_proto::digest::SetDigest;
use akwatch_proto::finding::{Finding, FindingKey, PresenceState, Subject, UnknownWhy};
use akwatch_proto::place::{Place, SafeText, Workload};
use akwatch_proto::time::Time;
use redb::TableDefinition;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::Fault;
use crate::reading::ProcessInstance;

/// The newest format that this program reads and the one that it writes.
pub(crate) const FORMAT: u32 = 1;

/// One row, `format` (a number) and `state` ([`Meta`]).
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Findings by [`Row`].
pub(crate) const FINDINGS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("finding");
/// Revision to finding: one row for each finding.
pub(crate) const REVISIONS: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("revision");
/// Process instance to what it holds ([`Holding`]).
pub(crate) const HOLDERS: TableDefinition<'_, &[u8; 12], &[u8]> = TableDefinition::new("holder");

/// The collector's questions, by their place ([`Asked`](crate::asked::Asked)).
pub(crate) const ASKED: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("asked");

/// What is read together: a place with its members, or a workload with its user.
pub(crate) type Group = [u8; 16];
/// A finding's row: its group, then the hash of its key.
pub(crate) type Row = [u8; 32];

/// First byte of the group of every process.
pub(crate) const PROCESS: u8 = 3;

fn group(tag: u8, of: &impl Serialize) -> Group {
    let text = serde_json::to_vec(of).expect("invariant: places serialize");
    let mut hash = Sha256::new();
    hash.update(b"akwatch ledger group v1\0");
    hash.update(&text);
    let mut group = [0; 16];
    group.copy_from_slice(&hash.finalize()[..16]);
    group[0] = tag;
    group
}

/// The group of all findings of one workload and user, whichever capture holds them.
pub(crate) fn group_of_workload(workload: &Workload, user: &SafeText) -> Group {
    group(PROCESS, &(workload, user))
}

/// The group of a place.
pub(crate) fn group_of(place: &Place) -> Group {
    match place {
        Place::File { path, .. } => group(1, path),
        Place::History { path, user } => group(2, &(path, user)),
        Place::Process { workload, user, .. } => group_of_workload(workload, user),
        Place::Unknown => group(0, &()),
    }
}

/// The row of a finding.
pub(crate) fn row_of(key: &FindingKey) -> Row {
    let text = serde_json::to_vec(key).expect("invariant: keys serialize");
    let mut hash = Sha256::new();
    hash.update(b"akwatch ledger row v1\0");
    hash.update(&text);
    let mut row = [0; 32];
    row[..16].copy_from_slice(&group_of(&key.place));
    row[16..].copy_from_slice(&hash.finalize()[..16]);
    row
}

/// The group of a row.
pub(crate) fn group_of_row(row: &Row) -> Group {
    let mut group = [0; 16];
    group.copy_from_slice(&row[..16]);
    group
}

/// First and last row that a group can have.
pub(crate) fn rows_of(group: &Group) -> (Row, Row) {
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    first[..16].copy_from_slice(group);
    last[..16].copy_from_slice(group);
    (first, last)
}

/// First and last row of all processes' findings.
pub(crate) fn rows_of_processes() -> (Row, Row) {
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    first[0] = PROCESS;
    last[0] = PROCESS;
    (first, last)
}

/// How far reading goes: what was found under wider limits is not gone because narrower ones do not
/// reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLimits {
    /// The largest file that is read, in bytes.
    pub file_bytes: u64,
    /// How deep archives and encodings are unwrapped.
    pub depth: u32,
    /// How many bytes one place may unwrap to.
    pub unwrapped_bytes: u64,
}

impl ReadLimits {
    /// Whether everything that `earlier` reached is reached by these limits too.
    #[must_use]
    pub fn reach_all_of(&self, earlier: &ReadLimits) -> bool {
        self.file_bytes >= earlier.file_bytes
            && self.depth >= earlier.depth
            && self.unwrapped_bytes >= earlier.unwrapped_bytes
    }
}

/// A finding with what only the ledger needs to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// As it is reported.
    pub(crate) finding: Finding,
    /// Since when it was seen without a proven break, kept while it is unknown.
    pub(crate) present_since: Time,
    /// The limits under which it was last seen.
    pub(crate) limits: ReadLimits,
    /// For a process's finding: since when no live instance has held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unheld_since: Option<Time>,
    /// For a process's finding: the instance that its attributes come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<ProcessInstance>,
    /// The state that the collector has acknowledged, and in which round of full lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<(u64, PresenceState)>,
}

impl Record {
    /// The state that the collector holds, in this round of full lists.
    pub(crate) fn acknowledged_in(&self, round: u64) -> Option<PresenceState> {
        self.acknowledged
            .filter(|&(in_round, _)| in_round == round)
            .map(|(_, state)| state)
    }

    /// The epoch of its fingerprint; a reference has none and is always looked for.
    pub(crate) fn epoch(&self) -> Option<&Epoch> {
        match &self.finding.key.subject {
            Subject::Secret(fingerprint) => Some(&fingerprint.epoch),
            Subject::Reference(_) => None,
        }
    }

    /// The rule that found it.
    pub(crate) fn rule(&self) -> &RuleId {
        &self.finding.rule
    }
}

/// What one process instance holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// Its workload's group.
    pub(crate) group: Group,
    /// When it was first read.
    pub(crate) since: Time,
    /// Rows of the findings that it holds, in rising order; at most as many as one place keeps.
    pub(crate) rows: Vec<Row>,
    /// Why it may hold more than that.
    pub(crate) unread: Option<UnknownWhy>,
    /// Those of the rows that its last reading, which was not whole, did not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unseen: Vec<Row>,
}

/// The key of a process instance's row.
pub(crate) fn instance_key(instance: ProcessInstance) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&instance.pid.to_be_bytes());
    key[4..].copy_from_slice(&instance.started.to_be_bytes());
    key
}

/// The process instance of a row.
pub(crate) fn instance_of(key: &[u8; 12]) -> ProcessInstance {
    let (pid, started) = key.split_at(4);
    ProcessInstance {
        pid: i32::from_be_bytes(pid.try_into().expect("invariant: 4 bytes")),
        started: u64::from_be_bytes(started.try_into().expect("invariant: 8 bytes")),
    }
}

/// The ledger's own state, written with every transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The state directory's own number.
    pub(crate) instance: Uuid,
    /// Boot in which the holders were seen.
    pub(crate) boot_id: String,
    /// Rises with every opening.
    pub(crate) generation: u64,
    /// The last revision given out.
    pub(crate) revision: u64,
    /// The last revision that the collector acknowledged.
    pub(crate) acknowledged: u64,
    /// Which round of full lists the acknowledgements belong to.
    pub(crate) round: u64,
    /// The full list that is under way.
    pub(crate) resync: Option<Uuid>,
    /// The set of acknowledged findings that are not gone.
    pub(crate) digest: SetDigest,
}

/// Writes a value.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("invariant: the ledger's rows serialize")
}

/// Reads a value that [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json's words may quote the value; its position may not.
        Fault::Damaged(format!(
            "{what} cannot be read at byte {} of {}",
            error.column(),
            bytes.len()
        ))
    })
}
