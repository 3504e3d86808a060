//! What the collector has yet to hear, and what it has.
//!
//! Unsent is every finding whose revision is newer than the acknowledged one, so that many changes
//! of one finding are one line, and sending twice is harmless. The digest sums the states that were
//! *acknowledged*, not those that hold now: a finding may change while its report is under way, so a
//! batch remembers what it said until its answer comes. After a restart nothing is under way, and
//! what was not acknowledged is sent again.

use akwatch_proto::agent::{HostId, Report, RereadAnswer, Resync};
use akwatch_proto::digest::SetDigest;
use akwatch_proto::digest::{Element, is_listed};
use akwatch_proto::finding::{Finding, PresenceState};
use akwatch_proto::limits;
use redb::{ReadTransaction, ReadableTable};
use uuid::Uuid;

use crate::asked::answers;
use crate::error::{Fault, LedgerError};
use crate::format::{FINDINGS, Meta, REVISIONS, Record, Row, decode};
use crate::ledger::Ledger;

/// Bytes of JSON in one batch, roughly: half of what a collector accepts compressed. Names and paths are
/// other people's, who may choose them such that nothing compresses; a batch that is too large for the
/// wire would be refused for ever.
const BATCH_BYTES: usize = limits::BODY_COMPRESSED / 2;
/// Batches that may be under way; the watcher sends one at a time.
const IN_FLIGHT: usize = 4;

/// Findings to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The states, in the order of their revisions.
    pub findings: Vec<Finding>,
    /// Everything up to this revision is in the batch or was acknowledged before.
    pub upto: u64,
    /// Whether it is a part of a full list. The list's last part may be empty.
    pub resync: Option<Resync>,
    /// The state directory's own number.
    pub instance: Uuid,
    /// Answers to the collector's questions; none while a full list is under way.
    pub answers: Vec<RereadAnswer>,
}

impl Batch {
    /// The batch as it travels.
    #[must_use]
    pub fn into_report(self, host: HostId) -> Report {
        Report {
            host,
            instance: self.instance,
            upto: self.upto,
            resync: self.resync,
            findings: self.findings,
            answers: self.answers,
        }
    }
}

/// What a batch said, until it is acknowledged.
#[derive(Debug)]
pub(crate) struct InFlight {
    upto: u64,
    round: u64,
    ends_resync: bool,
    sent: Vec<(Row, PresenceState)>,
    answered: Vec<Row>,
}

impl Ledger {
    /// The next findings to send, at most `limit` of them and never more than
    /// [`limits::FINDINGS_PER_REPORT`]; `None` when the collector knows everything. Asking again
    /// before the acknowledgement gives the same findings in their newest state.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsent(&mut self, limit: usize) -> Result<Option<Batch>, LedgerError> {
        let meta = self.meta.clone();
        let limit = limit.min(limits::FINDINGS_PER_REPORT);
        let (rows, findings, more) = self.read("looking for what is unsent", |transaction| {
            collect(transaction, &meta, limit)
        })?;
        // *Nothing but what is listed* is true of a place only once all of it is listed.
        let answers = if meta.resync.is_some() || more {
            Vec::new()
        } else {
            self.read("looking for answers", answers)?
        };
        if findings.is_empty() && meta.resync.is_none() && answers.is_empty() {
            return Ok(None);
        }
        let upto = match findings.last() {
            Some(last) if more => last.revision,
            _ => meta.revision,
        };
        self.in_flight.retain(|earlier| earlier.upto != upto);
        if self.in_flight.len() >= IN_FLIGHT {
            self.in_flight.remove(0);
        }
        self.in_flight.push(InFlight {
            upto,
            round: meta.round,
            ends_resync: meta.resync.is_some() && !more,
            sent: rows
                .into_iter()
                .zip(&findings)
                .map(|(row, finding)| (row, finding.presence.state()))
                .collect(),
            answered: answers.iter().map(|(row, _)| *row).collect(),
        });
        Ok(Some(Batch {
            findings,
            upto,
            resync: meta.resync.map(|id| Resync { id, more }),
            instance: meta.instance,
            answers: answers.into_iter().map(|(_, answer)| answer).collect(),
        }))
    }

    /// Notes durably that the collector holds everything up to `upto`. An answer that repeats an
    /// earlier one is fine.
    ///
    /// # Errors
    /// When `upto` is of no batch of this run, or when it could not be made durable; then the same
    /// findings are sent again.
    pub fn acknowledge(&mut self, upto: u64) -> Result<(), LedgerError> {
        let round = self.meta.round;
        let Some(at) = self
            .in_flight
            .iter()
            .position(|batch| batch.upto == upto && batch.round == round)
        else {
            if upto <= self.meta.acknowledged {
                return Ok(());
            }
            return Err(LedgerError::UnknownAcknowledgement {
                upto,
                acknowledged: self.meta.acknowledged,
            });
        };
        let batch = self.in_flight.remove(at);
        self.write("noting an acknowledgement", |draft, meta, _| {
            draft.acknowledge(meta, &batch.sent)?;
            draft.forget_questions(&batch.answered)?;
            meta.acknowledged = meta.acknowledged.max(batch.upto);
            if batch.ends_resync {
                meta.resync = None;
            }
            Ok(())
        })?;
        self.in_flight.retain(|other| other.upto > upto);
        Ok(())
    }

    /// Marks everything as unsent: the answer to a collector whose digest differs. A list that is
    /// already under way goes on.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub fn resend_all(&mut self, id: Uuid) -> Result<(), LedgerError> {
        if self.meta.resync.is_some() {
            return Ok(());
        }
        self.in_flight.clear();
        self.write("beginning a full list", |draft, meta, _| {
            draft.forget_all_questions()?;
            meta.resync = Some(id);
            meta.round += 1;
            meta.acknowledged = 0;
            meta.digest = SetDigest::default();
            Ok(())
        })
    }

    /// The digest computed anew from every finding: must equal [`digest`](Ledger::digest).
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn recomputed_digest(&mut self) -> Result<SetDigest, LedgerError> {
        let round = self.meta.round;
        self.read("computing the digest", |transaction| {
            let mut digest = SetDigest::default();
            for entry in transaction.open_table(FINDINGS)?.iter()? {
                let (_, value) = entry?;
                let record: Record = decode("a finding", value.value())?;
                if let Some(state) = record
                    .acknowledged_in(round)
                    .filter(|state| is_listed(*state))
                {
                    digest.add(Element::of(&record.finding.key, state));
                }
            }
            Ok(digest)
        })
    }
}

type Collected = (Vec<Row>, Vec<Finding>, bool);

/// Unsent findings in the order of their revisions, and whether there are more.
fn collect(transaction: &ReadTransaction, meta: &Meta, limit: usize) -> Result<Collected, Fault> {
    let revisions = transaction.open_table(REVISIONS)?;
    let table = transaction.open_table(FINDINGS)?;
    let (mut rows, mut findings, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in revisions.range(meta.acknowledged + 1..)? {
        let (_, row) = entry?;
        if findings.len() >= limit || bytes >= BATCH_BYTES {
            return Ok((rows, findings, true));
        }
        let row = *row.value();
        let value = table
            .get(&row)?
            .ok_or_else(|| Fault::Damaged("a revision without its finding".to_owned()))?;
        let record: Record = decode("a finding", value.value())?;
        bytes += value.value().len();
        rows.push(row);
        findings.push(record.finding);
    }
    Ok((rows, findings, false))
}
