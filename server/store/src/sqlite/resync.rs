//! The full list: an agent's answer to "tell me everything", in parts.
//!
//! It is a question about what the collector has too much: what the list does not name becomes
//! unknown, leaves the digest, and its place is sent back to be read again. A list may come from a
//! restored ledger, whose revisions begin anew: within a list another revision is the newer one, and
//! what the list left out may come back with any.
//! What is gone stays gone: an agent forgets it after a time, and it is no element of the digest.

use std::collections::{BTreeMap, BTreeSet};

use akwatch_proto::agent::{Report, RereadAnswer, RereadQuestion, Resync};
use akwatch_proto::credential::RuleId;
use akwatch_proto::digest::Element;
use akwatch_proto::finding::{PresenceState, UnknownWhy};
use akwatch_proto::limits;
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;
use sqlx::{QueryBuilder, Sqlite};

use super::apply::Incoming;
use super::hosts_write::HostLine;
use super::words::{Body, Columns as _, bytes32, confidence, slug, state};
use super::writer::Tx;
use super::{At as _, timeline};
use crate::StoreError;
use crate::rules::{Class, FindingFacts};

const ROWS: usize = 100;

/// What the list did not name.
#[derive(Default)]
pub(crate) struct Missing {
    pub(crate) findings: Vec<i64>,
    pub(crate) credentials: BTreeSet<i64>,
    pub(crate) questions: Vec<RereadQuestion>,
}

/// Begins a new list when this report does; answers whether it is part of one.
pub(crate) fn part(host: &mut HostLine, report: &Report) -> Option<Resync> {
    let list = report.resync?;
    if host.resync != Some(list.id) {
        host.resync = Some(list.id);
        host.resync_serial += 1;
    }
    Some(list)
}

/// Notes which findings this part named, newer or not.
pub(crate) async fn mark(
    tx: &mut Tx,
    host: &HostLine,
    batch: &[Incoming],
) -> Result<(), StoreError> {
    for chunk in batch.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("UPDATE finding SET listed = ");
        query
            .push_bind(host.resync_serial)
            .push(" WHERE host_id = ")
            .push_bind(host.id)
            .push(" AND identity IN (");
        let mut list = query.separated(", ");
        for one in chunk {
            list.push_bind(one.identity.to_vec());
        }
        query.push(")");
        query
            .build()
            .execute(&mut tx.conn)
            .await
            .at("noting what the full list names")?;
    }
    Ok(())
}

/// Ends the list: what it did not name is unknown now.
pub(crate) async fn close(
    tx: &mut Tx,
    host: &mut HostLine,
    now: Time,
) -> Result<Missing, StoreError> {
    let mut missing = Missing::default();
    let mut places: BTreeMap<Place, BTreeSet<RuleId>> = BTreeMap::new();
    let mut after = 0_i64;
    loop {
        let rows = sqlx::query(
            "SELECT id, identity, credential_id, state, why, element, kind, confidence, rule, \
             delivered, body FROM finding \
             WHERE host_id = ?1 AND listed <> ?2 AND id > ?3 AND state <> ?4 \
             ORDER BY id LIMIT 500",
        )
        .bind(host.id)
        .bind(host.resync_serial)
        .bind(after)
        .bind(i64::from(PresenceState::Gone as u8))
        .fetch_all(&mut tx.conn)
        .await
        .at("looking for what the full list left out")?;
        let Some(last) = rows.last() else { break };
        after = last.value("id")?;
        let mut unknown = Vec::new();
        for row in &rows {
            let body: Body = row.json("body")?;
            if let Some(score) = forget(tx, host, row, &body, now)? {
                unknown.push((row.value("id")?, row.value("credential_id")?, score));
            }
            let outer = body.place.outer();
            let known = places.contains_key(&outer);
            if (known || places.len() < limits::REREAD_PLACES) && outer != Place::Unknown {
                let rule: String = row.value("rule")?;
                places
                    .entry(outer)
                    .or_default()
                    .extend(RuleId::parse(&rule).ok());
            }
        }
        write(tx, &unknown, now).await?;
        timeline::not_listed(tx, host, &unknown, now).await?;
        missing
            .findings
            .extend(unknown.iter().map(|(id, _, _)| *id));
        missing
            .credentials
            .extend(unknown.iter().map(|(_, credential, _)| *credential));
    }
    // What was gone before stays so, but a restored ledger may find it again under any number.
    sqlx::query(
        "UPDATE finding SET revision = 0 WHERE host_id = ?1 AND listed <> ?2 AND revision > 0",
    )
    .bind(host.id)
    .bind(host.resync_serial)
    .execute(&mut tx.conn)
    .await
    .at("forgetting the revisions of what the full list left out")?;
    let questions = places.into_iter().map(|(place, rules)| RereadQuestion {
        place,
        rules: rules.into_iter().take(limits::REREAD_RULES + 1).collect(),
    });
    missing.questions = questions.collect();
    Ok(missing)
}

/// Takes an agent's word that what the last full list left out of a place is not there: only of that
/// list, only of what nobody has seen since, and only of fingerprints that it looked for.
pub(crate) async fn answered(
    tx: &mut Tx,
    host: &HostLine,
    answers: &[RereadAnswer],
    now: Time,
) -> Result<Missing, StoreError> {
    let current = answers.iter().filter(|one| Some(one.list) == host.resync);
    let answers: BTreeMap<&Place, &RereadAnswer> = current.map(|one| (&one.place, one)).collect();
    let mut done = Missing::default();
    let mut after = 0_i64;
    while !answers.is_empty() {
        let rows = sqlx::query(
            "SELECT id, credential_id, class, kind, confidence, delivered, body FROM finding \
             WHERE host_id = ?1 AND state = ?2 AND why = ?3 AND id > ?4 ORDER BY id LIMIT 500",
        )
        .bind(host.id)
        .bind(i64::from(PresenceState::Unknown as u8))
        .bind(slug(&UnknownWhy::NotListed))
        .bind(after)
        .fetch_all(&mut tx.conn)
        .await
        .at("looking for what was asked")?;
        let Some(last) = rows.last() else { break };
        after = last.value("id")?;
        let mut gone = Vec::new();
        for row in &rows {
            let body: Body = row.json("body")?;
            let Some(answer) = answers.get(&body.place.outer()) else {
                continue;
            };
            let reference = row.value::<i64>("class")? == Class::Reference as i64;
            if !speaks_of(answer, &body, reference) {
                continue;
            }
            let score = score(tx, row, &body, PresenceState::Gone, now)?;
            let (id, credential) = (row.value("id")?, row.value("credential_id")?);
            end(tx, id, answer, score, now).await?;
            gone.push((id, credential, answer.proof, reference));
            done.findings.push(id);
            done.credentials.insert(credential);
        }
        timeline::answered(tx, host, &gone, now).await?;
    }
    Ok(done)
}

/// Whether the agent looked for this value: under another key its fingerprint is another one.
fn speaks_of(answer: &RereadAnswer, body: &Body, reference: bool) -> bool {
    match &body.epoch {
        Some(epoch) => answer.epochs.contains(epoch),
        None => reference,
    }
}

/// Writes that a finding is gone, on the agent's answer.
async fn end(
    tx: &mut Tx,
    id: i64,
    answer: &RereadAnswer,
    score: u32,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE finding SET state = ?2, why = ?3, since = ?4, agent_last_verified = ?4, \
         score = ?5, received = ?6, scored = ?6 WHERE id = ?1",
    )
    .bind(id)
    .bind(i64::from(PresenceState::Gone as u8))
    .bind(slug(&answer.proof))
    .bind(answer.at.0)
    .bind(i64::from(score))
    .bind(now.0)
    .execute(&mut tx.conn)
    .await
    .at("storing an answer")?;
    Ok(())
}

fn score(
    tx: &Tx,
    row: &sqlx::sqlite::SqliteRow,
    body: &Body,
    presence: PresenceState,
    now: Time,
) -> Result<u32, StoreError> {
    let score = tx.shared.rules.finding(&FindingFacts {
        kind: row.word("kind")?,
        confidence: confidence(row.value("confidence")?),
        proof: &body.proof,
        place: &body.place,
        reach: &body.reach,
        delivered: row.value::<i64>("delivered")? != 0,
        presence,
        now,
    });
    Ok(score.value)
}

/// Takes a finding out of the digest; its new score, or none when it was unlisted before.
fn forget(
    tx: &Tx,
    host: &mut HostLine,
    row: &sqlx::sqlite::SqliteRow,
    body: &Body,
    now: Time,
) -> Result<Option<u32>, StoreError> {
    let was = state(row.value("state")?)?;
    let element: Option<Vec<u8>> = row.value("element")?;
    let Some(element) = element else {
        return Ok(None);
    };
    let identity = bytes32("identity", &row.value::<Vec<u8>>("identity")?)?;
    let bytes = tx
        .shared
        .pepper
        .mask_element(&identity, was, bytes32("element", &element)?);
    host.digest.remove(Element::from_bytes(bytes));
    score(tx, row, body, PresenceState::Unknown, now).map(Some)
}

async fn write(tx: &mut Tx, unknown: &[(i64, i64, u32)], now: Time) -> Result<(), StoreError> {
    for chunk in unknown.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH missing (id, score) AS (");
        query.push_values(chunk, |mut row, (id, _, score)| {
            row.push_bind(*id).push_bind(i64::from(*score));
        });
        query
            .push(") UPDATE finding AS f SET state = 3, revision = 0, element = NULL, score = m.score, why = ")
            .push_bind(slug(&UnknownWhy::NotListed))
            .push(", since = ")
            .push_bind(now.0)
            .push(", received = ")
            .push_bind(now.0)
            .push(", scored = ")
            .push_bind(now.0)
            .push(" FROM missing AS m WHERE f.id = m.id");
        query
            .build()
            .execute(&mut tx.conn)
            .await
            .at("storing what the full list left out")?;
    }
    Ok(())
}
