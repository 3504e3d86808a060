//! What the collector knows and this ledger does not: questions about places that a full list left out.
//!
//! After a lost record a finding whose file was removed meanwhile is nowhere in the ledger, so no reading
//! would ever change what the collector holds of it. A question stands for such findings: each reading
//! of its place is put to the same checks as a finding's own, and when every rule that may have found
//! something there is satisfied, the answer is kept, durably, until the collector has it.

use std::collections::BTreeSet;

use akwatch_proto::agent::{RereadAnswer, RereadQuestion};
use akwatch_proto::credential::{Confidence, CredentialId, Epoch, Kind, Provider, RuleId};
use akwatch_proto::finding::{
    Finding, FindingKey, GoneProof, Presence, Subject, UnknownWhy, WhyNew,
};
use akwatch_proto::limits;
use akwatch_proto::place::{Origin, Place, Reach, Spot};
use akwatch_proto::time::Time;
use redb::{ReadTransaction, ReadableTable as _, TableError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::apply::Draft;
use crate::error::{Fault, LedgerError};
use crate::format::{ASKED, Record, Row, decode, encode, group_of, rows_of, rows_of_processes};
use crate::in_force::InForce;
use crate::ledger::Ledger;
use crate::presence::{Checks, Swept, Verdict, conclude};
use crate::reading::Reading;

/// A question, and its answer once there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    list: Uuid,
    place: Place,
    rules: Vec<RuleId>,
    answer: Option<(GoneProof, Time)>,
    /// The keys that the answer was made with.
    #[serde(default)]
    epochs: BTreeSet<Epoch>,
}

/// A question's row: its group, then the hash of its place, since a workload has two.
pub(crate) fn row_asked(place: &Place) -> Row {
    let text = serde_json::to_vec(place).expect("invariant: places serialize");
    let mut hash = Sha256::new();
    hash.update(b"akwatch ledger asked v1\0");
    hash.update(&text);
    let mut row = [0; 32];
    row[..16].copy_from_slice(&group_of(place));
    row[16..].copy_from_slice(&hash.finalize()[..16]);
    row
}

impl Ledger {
    /// Keeps the collector's questions about the full list that is under way, which its last part's
    /// answer carries: to be called before that part is [acknowledged](Ledger::acknowledge).
    /// Questions that come without a list are nobody's, and are left out.
    ///
    /// # Errors
    /// When they could not be made durable; then the part must not be acknowledged.
    pub fn ask(&mut self, questions: &[RereadQuestion]) -> Result<(), LedgerError> {
        self.write("noting what the collector asks", |draft, meta, _| {
            let Some(list) = meta.resync else {
                return Ok(());
            };
            for question in questions.iter().take(limits::REREAD_PLACES) {
                let asked = Asked {
                    list,
                    place: question.place.clone(),
                    rules: question.rules.clone(),
                    answer: None,
                    epochs: BTreeSet::new(),
                };
                let answerable = !asked.rules.is_empty()
                    && asked.rules.len() <= limits::REREAD_RULES
                    && asked.place != Place::Unknown;
                if answerable {
                    draft.keep_question(&row_asked(&asked.place), &asked)?;
                }
            }
            Ok(())
        })
    }

    /// The places of questions that have no answer yet: they are to be read.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn asked(&mut self) -> Result<Vec<Place>, LedgerError> {
        self.read("looking for what the collector asked", |transaction| {
            let open = questions(transaction)?.into_iter();
            let open = open.filter(|(_, asked)| asked.answer.is_none());
            Ok(open.map(|(_, asked)| asked.place).collect())
        })
    }
}

/// The answers that there are, with their rows.
pub(crate) fn answers(transaction: &ReadTransaction) -> Result<Vec<(Row, RereadAnswer)>, Fault> {
    let answered = questions(transaction)?.into_iter();
    let answered = answered.filter_map(|(row, asked)| {
        let (proof, at) = asked.answer?;
        let answer = RereadAnswer {
            list: asked.list,
            place: asked.place,
            proof,
            at,
            epochs: asked.epochs.into_iter().take(limits::EPOCHS).collect(),
        };
        Some((row, answer))
    });
    Ok(answered.take(limits::REREAD_PLACES).collect())
}

fn questions(transaction: &ReadTransaction) -> Result<Vec<(Row, Asked)>, Fault> {
    let table = match transaction.open_table(ASKED) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut questions = Vec::new();
    for entry in table.iter()? {
        let (row, value) = entry?;
        questions.push((*row.value(), decode("a question", value.value())?));
    }
    Ok(questions)
}

impl Draft<'_> {
    /// Puts a reading to the questions about its place; a sweep to those about processes.
    pub(crate) fn answer(
        &mut self,
        reading: &Reading,
        place: Option<&Place>,
        in_force: &InForce,
        swept: Option<&Swept>,
        checks: Checks,
    ) -> Result<(), Fault> {
        let (first, last) = match place {
            Some(place) => rows_of(&group_of(place)),
            None => rows_of_processes(),
        };
        for (row, mut asked) in self.questions_between(first, last)? {
            if asked.answer.is_none()
                && let Some(proof) = conclude_for_all(&asked, reading, in_force, swept, checks)
            {
                asked.answer = Some((proof, reading.at));
                asked.epochs.clone_from(&in_force.epochs);
                self.keep_question(&row, &asked)?;
            }
        }
        Ok(())
    }

    fn questions_between(&self, first: Row, last: Row) -> Result<Vec<(Row, Asked)>, Fault> {
        let mut questions = Vec::new();
        for entry in self.asked.range::<&[u8; 32]>(&first..=&last)? {
            let (row, value) = entry?;
            questions.push((*row.value(), decode("a question", value.value())?));
        }
        Ok(questions)
    }

    pub(crate) fn keep_question(&mut self, row: &Row, asked: &Asked) -> Result<(), Fault> {
        self.asked.insert(row, encode(asked).as_slice())?;
        self.dirty = true;
        Ok(())
    }

    /// Forgets questions whose answers the collector has.
    pub(crate) fn forget_questions(&mut self, rows: &[Row]) -> Result<(), Fault> {
        for row in rows {
            self.asked.remove(row)?;
            self.dirty = true;
        }
        Ok(())
    }

    /// Forgets every question: another full list raises its own.
    pub(crate) fn forget_all_questions(&mut self) -> Result<(), Fault> {
        self.asked.retain(|_, _| false)?;
        self.dirty = true;
        Ok(())
    }
}

/// The proof, if the reading shows that whatever these rules found there is gone. A value that the
/// ledger does hold is no matter: the collector knows that one by itself.
fn conclude_for_all(
    asked: &Asked,
    reading: &Reading,
    in_force: &InForce,
    swept: Option<&Swept>,
    checks: Checks,
) -> Option<GoneProof> {
    let mut proof = None;
    for rule in &asked.rules {
        let mut record = stand_in(asked, rule, in_force)?;
        let verdict = conclude(&mut record, reading, in_force, swept, checks);
        let Presence::Gone { proof: how, .. } = record.finding.presence else {
            return None;
        };
        if verdict != Verdict::Gone {
            return None;
        }
        proof = Some(how);
    }
    proof
}

/// A finding that stands for those that only the collector knows. It has no fingerprint, since the
/// question names none: the answer says which keys it holds for instead.
fn stand_in(asked: &Asked, rule: &RuleId, in_force: &InForce) -> Option<Record> {
    let since = Time(0);
    let subject = Subject::Reference(CredentialId::parse("unlisted").ok()?);
    let finding = Finding {
        key: FindingKey {
            place: asked.place.clone(),
            subject,
        },
        rule: rule.clone(),
        provider: Provider::parse("unlisted").ok()?,
        kind: Kind::Reference,
        credential_id: None,
        confidence: Confidence::Contextual,
        preview: None,
        proof: Vec::new(),
        spot: Spot::default(),
        reach: Reach::default(),
        origin: Origin::default(),
        git: None,
        written_by: None,
        delivered: false,
        presence: Presence::Unknown {
            since,
            why: UnknownWhy::NotListed,
        },
        why_new: WhyNew::HostNew,
        first_seen: since,
        last_verified: since,
        returns: 0,
        revision: 0,
    };
    Some(Record {
        finding,
        present_since: since,
        limits: in_force.limits,
        unheld_since: None,
        primary: None,
        acknowledged: None,
    })
}
