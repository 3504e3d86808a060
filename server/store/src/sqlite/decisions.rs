//! Rows of decisions: one credential at a time, with everything that follows from it.

use akwatch_proto::people::{CredentialRef, Decide, Decision, Disposition, Event};
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use super::list::in_scope;
use super::words::{Columns as _, signed, slug};
use super::writer::Tx;
use super::{At as _, Sqlite, audit, tally};
use crate::audit::Actor;
use crate::decisions::Deciding;
use crate::{Answer, Decisions, Scope, StoreError};

/// Accepted risks that end in one transaction.
const ENDED_AT_ONCE: i64 = 1000;

const STEP: &str = "deciding about a credential";

/// Reads the decision that stands in a row of `credential`.
pub(crate) fn decision(row: &SqliteRow) -> Result<Decision, StoreError> {
    Ok(Decision {
        disposition: row.word("disposition")?,
        version: row.count("decided")?,
        by: row.value("decided_by")?,
        at: row.maybe_time("decided_at")?,
        until: row.maybe_time("decided_until")?,
        note: row.value("note")?,
    })
}

async fn decide(
    tx: &mut Tx,
    scope: Scope,
    reference: CredentialRef,
    decide: Decide,
    actor: Actor,
    now: Time,
) -> Result<Deciding, StoreError> {
    let Some(number) = tx.shared.references().credential_number(&reference) else {
        return Ok(Deciding::Unknown);
    };
    let row = sqlx::query(
        "SELECT * FROM credential WHERE id = \
         (SELECT coalesce(merged_into, id) FROM credential WHERE id = ?1)",
    )
    .bind(number)
    .fetch_optional(&mut tx.conn)
    .await
    .at(STEP)?;
    let Some(row) = row else {
        return Ok(Deciding::Unknown);
    };
    let id: i64 = row.value("id")?;
    let (within, beyond) = held(tx, id, &scope).await?;
    if scope != Scope::All && !within {
        return Ok(Deciding::Unknown);
    }
    if beyond {
        return Ok(Deciding::Beyond);
    }
    let stands = decision(&row)?;
    if stands.version != decide.version {
        return Ok(Deciding::Conflict(stands));
    }
    let made = Decision {
        disposition: decide.disposition,
        version: stands.version + 1,
        by: Some(actor.name.clone()),
        at: Some(now),
        until: decide.until,
        note: decide.note,
    };
    write(tx, id, &stands, &made, actor, now).await?;
    Ok(Deciding::Done(made))
}

/// Whether a credential lies within the scope, and whether it lies beyond it.
async fn held(tx: &mut Tx, id: i64, scope: &Scope) -> Result<(bool, bool), StoreError> {
    let mut query =
        QueryBuilder::<sqlx::Sqlite>::new("SELECT coalesce(max(inside), 0) AS within, ");
    query.push("coalesce(min(inside), 1) = 0 AS beyond FROM (SELECT ");
    in_scope(&mut query, scope, "host_id");
    query
        .push(" AS inside FROM holding WHERE credential_id = ")
        .push_bind(id)
        .push(")");
    let row = query.build().fetch_one(&mut tx.conn).await.at(STEP)?;
    Ok((
        row.value::<i64>("within")? != 0,
        row.value::<i64>("beyond")? != 0,
    ))
}

async fn write(
    tx: &mut Tx,
    id: i64,
    before: &Decision,
    made: &Decision,
    actor: Actor,
    now: Time,
) -> Result<(), StoreError> {
    let disposition = slug(&made.disposition);
    sqlx::query(
        "UPDATE credential SET disposition = ?2, decided = ?3, decided_by = ?4, decided_at = ?5, \
         decided_until = ?6, note = ?7 WHERE id = ?1",
    )
    .bind(id)
    .bind(disposition.clone())
    .bind(signed(made.version))
    .bind(made.by.clone())
    .bind(made.at.map(|at| at.0))
    .bind(made.until.map(|until| until.0))
    .bind(made.note.clone())
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    tally::rejudge(tx, id).await?;
    sqlx::query(
        "INSERT INTO timeline (time, credential_id, what, why, person, note) \
         VALUES (?1, ?2, 'decided', ?3, ?4, ?5)",
    )
    .bind(now.0)
    .bind(id)
    .bind(disposition.clone())
    .bind(actor.name.clone())
    .bind(made.note.clone())
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    let credential = tx.shared.references().credential(id);
    let object = format!(
        "{credential}: {} → {disposition}",
        slug(&before.disposition)
    );
    audit::done(tx, actor, "decide", object, now).await?;
    tx.tell(Event::Credential { credential });
    Ok(())
}

async fn reopen(tx: &mut Tx, now: Time) -> Result<u64, StoreError> {
    let rows = sqlx::query("SELECT * FROM credential WHERE decided_until <= ?1 LIMIT ?2")
        .bind(now.0)
        .bind(ENDED_AT_ONCE)
        .fetch_all(&mut tx.conn)
        .await
        .at(STEP)?;
    for row in &rows {
        let stands = decision(row)?;
        let actor = Actor::collector();
        let made = Decision {
            disposition: Disposition::New,
            version: stands.version + 1,
            by: Some(actor.name.clone()),
            at: Some(now),
            until: None,
            note: None,
        };
        write(tx, row.value("id")?, &stands, &made, actor, now).await?;
    }
    Ok(rows.len() as u64)
}

impl Decisions for Sqlite {
    fn decide(
        &self,
        scope: Scope,
        reference: CredentialRef,
        asked: Decide,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Deciding> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(decide(tx, scope, reference, asked, actor, now))),
        )
    }

    fn reopen_expired(&self, now: Time) -> Answer<'_, u64> {
        Box::pin(async move {
            let due = sqlx::query("SELECT 1 FROM credential WHERE decided_until <= ?1 LIMIT 1")
                .bind(now.0)
                .fetch_optional(&self.readers)
                .await
                .at(STEP)?;
            if due.is_none() {
                return Ok(0);
            }
            self.writer
                .decide(move |tx| Box::pin(reopen(tx, now)))
                .await
        })
    }
}
