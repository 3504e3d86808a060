//! Rows of directives.

use akwatch_proto::agent::{Directive, HostId, Outcome};
use akwatch_proto::limits;
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;
use sqlx::QueryBuilder;

use super::hosts_write::host_line;
use super::list::in_scope;
use super::words::{Columns as _, json, signed, slug, unsigned};
use super::{At as _, Sqlite, audit, timeline};
use crate::audit::Actor;
use crate::directives::Seal;
use crate::{Answer, Directives, Scope};

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
                let last: Option<i64> = sqlx::query_scalar("SELECT max(serial) FROM directive")
                    .fetch_one(&mut tx.conn)
                    .await
                    .at("looking for the last serial")?;
                // The time, so that a database restored from a backup goes on above what hosts have
                // opened since: of a serial that was given twice they would not hear.
                let serial = last.map_or(now.0, |last| now.0.max(last.saturating_add(1)));
                sqlx::query(
                    "INSERT INTO directive (serial, host_id, until, signed, queued) \
                     VALUES (?1, ?2, ?3, '', ?4)",
                )
                .bind(serial)
                .bind(line.id)
                .bind(until.0)
                .bind(now.0)
                .execute(&mut tx.conn)
                .await
                .at("taking a serial")?;
                let number = unsigned("serial", serial)?;
                let sealed = json(&seal(number));
                sqlx::query("UPDATE directive SET signed = ?2 WHERE serial = ?1")
                    .bind(serial)
                    .bind(sealed)
                    .execute(&mut tx.conn)
                    .await
                    .at("storing a directive")?;
                let object = format!("host:{host} serial:{number}");
                audit::done(tx, actor, "queue-directive", object, now).await?;
                Ok(Some(number))
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
