//! Questions that the watcher asks of its own record: for status, hunts, revisits and explanations.

use std::collections::BinaryHeap;

use akwatch_proto::credential::CredentialId;
use akwatch_proto::finding::{Finding, PresenceState, Subject};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;
use redb::{ReadTransaction, ReadableTableMetadata};

use crate::error::{Fault, LedgerError};
use crate::format::{FINDINGS, REVISIONS, Record, decode, group_of, rows_of};
use crate::ledger::Ledger;

/// Which findings are asked for: all conditions that are set must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// In this place or inside it; one range of the ledger instead of all of it.
    pub place: Option<Place>,
    /// About this secret or lone id.
    pub subject: Option<Subject>,
    /// About the key with this id.
    pub credential: Option<CredentialId>,
    /// In this state.
    pub state: Option<PresenceState>,
    /// At most so many; 0 means all.
    pub limit: usize,
}

impl Query {
    fn asks_for(&self, finding: &Finding) -> bool {
        let outer = |place: &Place| finding.key.place.outer() == place.outer();
        self.place.as_ref().is_none_or(outer)
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| finding.key.subject == *subject)
            && self
                .credential
                .as_ref()
                .is_none_or(|id| finding.credential_id.as_ref() == Some(id))
            && self
                .state
                .is_none_or(|state| finding.presence.state() == state)
    }
}

/// How many findings there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Present.
    pub present: u64,
    /// Gone and not yet forgotten.
    pub gone: u64,
    /// Unknown.
    pub unknown: u64,
    /// Still to be sent.
    pub unsent: u64,
}

impl Ledger {
    /// The findings that a question asks for, in the order of places.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn holding(&mut self, query: &Query) -> Result<Vec<Finding>, LedgerError> {
        let mut found = Vec::new();
        self.read("looking for findings", |transaction| {
            each(transaction, query.place.as_ref(), |record| {
                if query.asks_for(&record.finding) {
                    found.push(record.finding);
                }
                Ok(query.limit == 0 || found.len() < query.limit)
            })
        })?;
        Ok(found)
    }

    /// Places with findings that are not gone and were last read to an answer before `older_than`,
    /// longest ago first, at most `limit`. A workload is named by one of its captures.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn revisit(&mut self, older_than: Time, limit: usize) -> Result<Vec<Place>, LedgerError> {
        let mut oldest = Oldest {
            limit,
            places: BinaryHeap::new(),
        };
        // Findings of one place follow one another.
        let mut here: Option<(Time, Place)> = None;
        self.read("looking for places to read again", |transaction| {
            each(transaction, None, |record| {
                let finding = record.finding;
                if finding.presence.state() == PresenceState::Gone {
                    return Ok(true);
                }
                let (verified, place) = (finding.last_verified, finding.key.place.outer());
                here = match here.take() {
                    Some((before, same)) if group_of(&same) == group_of(&place) => {
                        Some((before.min(verified), same))
                    }
                    other => {
                        oldest.offer(other, older_than);
                        Some((verified, place))
                    }
                };
                Ok(true)
            })
        })?;
        oldest.offer(here, older_than);
        let places = oldest.places.into_sorted_vec();
        Ok(places.into_iter().map(|(_, place)| place).collect())
    }

    /// How many findings are in which state.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&mut self) -> Result<Totals, LedgerError> {
        let acknowledged = self.meta.acknowledged;
        let mut totals = Totals::default();
        self.read("counting findings", |transaction| {
            each(transaction, None, |record| {
                match record.finding.presence.state() {
                    PresenceState::Present => totals.present += 1,
                    PresenceState::Gone => totals.gone += 1,
                    PresenceState::Unknown => totals.unknown += 1,
                }
                Ok(true)
            })?;
            totals.unsent = count_unsent(transaction, acknowledged)?;
            Ok(())
        })?;
        Ok(totals)
    }

    /// How many findings are still to be sent: for the heartbeat, cheaper than
    /// [`totals`](Ledger::totals).
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsent_count(&mut self) -> Result<u64, LedgerError> {
        let acknowledged = self.meta.acknowledged;
        self.read("counting what is unsent", |transaction| {
            count_unsent(transaction, acknowledged)
        })
    }
}

/// The places that were read longest ago, as many as are wanted.
struct Oldest {
    limit: usize,
    places: BinaryHeap<(Time, Place)>,
}

impl Oldest {
    fn offer(&mut self, place: Option<(Time, Place)>, older_than: Time) {
        self.places
            .extend(place.filter(|(verified, _)| *verified < older_than));
        if self.places.len() > self.limit {
            self.places.pop();
        }
    }
}

fn count_unsent(transaction: &ReadTransaction, acknowledged: u64) -> Result<u64, Fault> {
    let revisions = transaction.open_table(REVISIONS)?;
    if acknowledged == 0 {
        return Ok(revisions.len()?);
    }
    let mut count = 0;
    for entry in revisions.range(acknowledged + 1..)? {
        entry?;
        count += 1;
    }
    Ok(count)
}

/// Calls `visit` with every record, or every record of one place, until it says false.
fn each(
    transaction: &ReadTransaction,
    place: Option<&Place>,
    mut visit: impl FnMut(Record) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let table = transaction.open_table(FINDINGS)?;
    let (first, last) = place.map_or(([0; 32], [0xff; 32]), |place| rows_of(&group_of(place)));
    for entry in table.range::<&[u8; 32]>(&first..=&last)? {
        let (_, value) = entry?;
        if !visit(decode("a finding", value.value())?)? {
            break;
        }
    }
    Ok(())
}
