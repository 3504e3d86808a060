//! The full list: an agent's answer to "tell me everything", in parts.
//!
//! It is a question about what the collector has too much: what the list does not name becomes
//! unknown, leaves the digest, and its place is sent back to be read again. A list may come from a
//! restored ledger, whose revisions begin anew: within a list another revision is the newer one, and
//! what the list left out may come back with any.
//! What is gone stays gone: an agent forgets it after a time, and it is no element of the digest.

use std::collections::BTreeSet;

use akwatch_proto::agent::{Report, Resync};
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
use crate::rules::FindingFacts;

const ROWS: usize = 100;

/// What the list did not name.
#[derive(Default)]
pub(crate) struct Missing {
    pub(crate) findings: Vec<i64>,
    pub(crate) credentials: BTreeSet<i64>,
    pub(crate) reread: Vec<Place>,
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
    let mut places = BTreeSet::new();
    let mut after = 0_i64;
    loop {
        let rows = sqlx::query(
            "SELECT id, identity, credential_id, state, why, element, kind, confidence, \
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
            if places.len() < limits::REREAD_PLACES && body.place != Place::Unknown {
                places.insert(body.place.outer());
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
    missing.reread = places.into_iter().collect();
    Ok(missing)
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
    let score = tx.shared.rules.finding(&FindingFacts {
        kind: row.word("kind")?,
        confidence: confidence(row.value("confidence")?),
        proof: &body.proof,
        place: &body.place,
        reach: &body.reach,
        delivered: row.value::<i64>("delivered")? != 0,
        presence: PresenceState::Unknown,
        now,
    });
    Ok(Some(score.value))
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
