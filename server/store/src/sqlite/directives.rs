//! Rows of directives.

use akwatch_proto::agent::{Directive, HostId, Outcome};
use akwatch_proto::limits;
use akwatch_proto::people::Asked;
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;

use super::hosts_write::host_line;
use super::list::in_scope;
use super::words::{Columns as _, json, signed, slug, unsigned};
use super::writer::Tx;
use super::{At as _, Sqlite, audit, timeline};
use crate::audit::Actor;
use crate::directives::{ORDERED_AT_ONCE, Order, Seal};
use crate::{Answer, Directives, Scope, StoreError};

impl Directives for Sqlite {
    fn queue(
        &self,
        host: HostId,
        until: Time,
        seal: Seal,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Option<u64>> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let Some(line) = host_line(tx, host).await?.filter(|line| !line.retired) else {
                    return Ok(None);
                };
                let number = store(tx, line.id, until, now, seal).await?;
                let object = format!("host:{host} serial:{number}");
                audit::done(tx, actor, "queue-directive", object, now).await?;
                Ok(Some(number))
            })
        }))
    }

    fn order(&self, chosen: Scope, after: Option<HostId>, order: Order) -> Answer<'_, Vec<HostId>> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let Order {
                    what,
                    until,
                    mut seal,
                    actor,
                    now,
                } = order;
                let hosts = chosen_hosts(tx, &chosen, after).await?;
                for (id, host) in &hosts {
                    let number = store(tx, *id, until, now, |serial| seal(*host, serial)).await?;
                    let object = format!("host:{host} serial:{number}");
                    audit::done(tx, actor.clone(), what, object, now).await?;
                }
                Ok(hosts.into_iter().map(|(_, host)| host).collect())
            })
        }))
    }

    fn pending<'a>(
        &'a self,
        scope: &'a Scope,
        host: HostId,
        serial: u64,
        now: Time,
    ) -> Answer<'a, Vec<Signed<Directive>>> {
        Box::pin(async move {
            let mut query = QueryBuilder::<sqlx::Sqlite>::new(
                "SELECT signed FROM directive AS d JOIN host AS h ON h.id = d.host_id WHERE ",
            );
            in_scope(&mut query, scope, "h.id");
            query
                .push(" AND h.retired = 0 AND d.outcome IS NULL AND h.uuid = ")
                .push_bind(host.0.as_bytes().to_vec())
                .push(" AND d.serial > ")
                .push_bind(signed(serial))
                .push(" AND d.until > ")
                .push_bind(now.0)
                .push(" ORDER BY d.serial LIMIT ")
                .push_bind(i64::try_from(limits::DIRECTIVES).unwrap_or(i64::MAX));
            let rows = query
                .build()
                .fetch_all(&self.readers)
                .await
                .at("reading directives")?;
            rows.iter().map(|row| row.json("signed")).collect()
        })
    }

    fn record_outcomes(&self, host: HostId, outcomes: Vec<Outcome>, now: Time) -> Answer<'_, ()> {
        if outcomes.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let Some(line) = host_line(tx, host).await? else {
                    return Ok(());
                };
                for outcome in outcomes.into_iter().take(limits::DIRECTIVES) {
                    let result = slug(&outcome.result);
                    let stored = sqlx::query(
                        "UPDATE directive SET outcome = ?3, detail = ?4, ended = ?5 \
                         WHERE serial = ?1 AND host_id = ?2 AND outcome IS NULL",
                    )
                    .bind(signed(outcome.serial))
                    .bind(line.id)
                    .bind(result)
                    .bind(outcome.detail.map(String::from))
                    .bind(now.0)
                    .execute(&mut tx.conn)
                    .await
                    .at("storing an outcome")?;
                    if stored.rows_affected() > 0 {
                        timeline::host(tx, line.id, "directive-ended", None, now).await?;
                    }
                }
                Ok(())
            })
        }))
    }
}

/// The hosts of a scope that are not retired, after one, in the order of their ids.
async fn chosen_hosts(
    tx: &mut Tx,
    chosen: &Scope,
    after: Option<HostId>,
) -> Result<Vec<(i64, HostId)>, StoreError> {
    let mut query = QueryBuilder::<sqlx::Sqlite>::new("SELECT h.id, h.uuid FROM host AS h WHERE ");
    in_scope(&mut query, chosen, "h.id");
    query.push(" AND h.retired = 0 AND h.uuid > ");
    let after = after.map_or_else(Vec::new, |host| host.0.as_bytes().to_vec());
    query
        .push_bind(after)
        .push(" ORDER BY h.uuid LIMIT ")
        .push_bind(i64::try_from(ORDERED_AT_ONCE).unwrap_or(i64::MAX));
    let rows = query
        .build()
        .fetch_all(&mut tx.conn)
        .await
        .at("choosing hosts")?;
    rows.iter()
        .map(|row| Ok((row.value("id")?, row.host_id("uuid")?)))
        .collect()
}

/// Takes the next serial and stores what is sealed under it.
async fn store(
    tx: &mut Tx,
    host: i64,
    until: Time,
    now: Time,
    seal: impl FnOnce(u64) -> Signed<Directive>,
) -> Result<u64, StoreError> {
    let last: Option<i64> = sqlx::query_scalar("SELECT max(serial) FROM directive")
        .fetch_one(&mut tx.conn)
        .await
        .at("looking for the last serial")?;
    // The time, so that a database restored from a backup goes on above what hosts have opened since:
    // of a serial that was given twice they would not hear.
    let serial = last.map_or(now.0, |last| now.0.max(last.saturating_add(1)));
    let number = unsigned("serial", serial)?;
    sqlx::query(
        "INSERT INTO directive (serial, host_id, until, signed, queued) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(serial)
    .bind(host)
    .bind(until.0)
    .bind(json(&seal(number)))
    .bind(now.0)
    .execute(&mut tx.conn)
    .await
    .at("storing a directive")?;
    // What it was asked before and has answered, or did not hear in time, stands in the audit log.
    sqlx::query(
        "DELETE FROM directive WHERE host_id = ?1 AND serial < ?2 \
         AND (outcome IS NOT NULL OR until <= ?3)",
    )
    .bind(host)
    .bind(serial)
    .bind(now.0)
    .execute(&mut tx.conn)
    .await
    .at("forgetting directives that have ended")?;
    Ok(number)
}

/// What a host was last asked to do.
pub(crate) async fn last_asked(store: &Sqlite, host: i64) -> Result<Option<Asked>, StoreError> {
    let row = sqlx::query(
        "SELECT signed, queued, until, outcome FROM directive WHERE host_id = ?1 \
         ORDER BY serial DESC LIMIT 1",
    )
    .bind(host)
    .fetch_optional(&store.readers)
    .await
    .at("reading the last directive")?;
    let Some(row) = row else { return Ok(None) };
    let sealed: Signed<Directive> = row.json("signed")?;
    let outcome = row.value::<Option<String>>("outcome")?;
    Ok(Some(Asked {
        what: word_of(&sealed).unwrap_or_else(|| "unknown".to_owned()),
        at: row.time("queued")?,
        until: row.time("until")?,
        outcome: outcome.and_then(|word| serde_json::from_value(word.into()).ok()),
    }))
}

/// The directive's name in an envelope of this collector's own making.
fn word_of(sealed: &Signed<Directive>) -> Option<String> {
    let envelope = data_encoding::BASE64
        .decode(sealed.payload.as_bytes())
        .ok()?;
    let envelope: serde_json::Value = serde_json::from_slice(&envelope).ok()?;
    envelope["body"]["directive"].as_str().map(str::to_owned)
}
