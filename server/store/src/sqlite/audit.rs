//! The audit log's rows.

use akwatch_proto::people::{AuditEntry, Page};
use akwatch_proto::time::Time;
use data_encoding::HEXLOWER;
use sqlx::QueryBuilder;

use super::list::{List, Order, SortKey, any_like};
use super::words::{Columns as _, bytes32, signed, unsigned};
use super::writer::Tx;
use super::{At as _, Sqlite};
use crate::audit::{Actor, Entry, Linked};
use crate::filter::AuditFilter;
use crate::{Answer, Audit, StoreError};

/// Entries in one answer, at most.
const ENTRIES: u32 = 1000;

/// Appends an entry to the chain; part of the decision that it tells of.
pub(crate) async fn append(tx: &mut Tx, entry: Entry) -> Result<u64, StoreError> {
    const STEP: &str = "writing the audit log";
    let last = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut tx.conn)
        .await
        .at(STEP)?;
    let (number, previous) = match last {
        Some(row) => (
            row.value::<i64>("number")? + 1,
            bytes32("audit hash", &row.value::<Vec<u8>>("hash")?)?,
        ),
        None => (1, [0; 32]),
    };
    let hash = tx.shared.rules.link(&previous, &entry);
    sqlx::query(
        "INSERT INTO audit (number, time, actor, origin, action, object, result, previous, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(number)
    .bind(entry.time.0)
    .bind(entry.actor.name)
    .bind(entry.actor.from)
    .bind(entry.action)
    .bind(entry.object)
    .bind(entry.result)
    .bind(previous.to_vec())
    .bind(hash.to_vec())
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    unsigned("audit number", number)
}

/// Appends that something was done.
pub(crate) async fn done(
    tx: &mut Tx,
    actor: Actor,
    action: &'static str,
    object: String,
    now: Time,
) -> Result<(), StoreError> {
    let entry = Entry {
        time: now,
        actor,
        action: action.to_owned(),
        object,
        result: "done".to_owned(),
    };
    append(tx, entry).await.map(|_| ())
}

/// What is searched.
const WHOLE: [&str; 5] = ["actor", "origin", "action", "result", "object"];

/// The same without the ids of access keys: `id:AKID… → cr_…` is searched from its first blank on.
const MASKED: [&str; 5] = [
    "actor",
    "origin",
    "action",
    "result",
    "CASE WHEN object LIKE 'id:%' THEN substr(object || ' ', instr(object || ' ', ' ')) \
     ELSE object END",
];

fn conditions(query: &mut QueryBuilder<sqlx::Sqlite>, filter: &AuditFilter) {
    query.push(" FROM audit WHERE 1");
    if let Some(action) = &filter.action {
        query.push(" AND action = ").push_bind(action.clone());
    }
    if let Some(text) = &filter.text {
        query.push(" AND (");
        any_like(query, if filter.ids { &WHOLE } else { &MASKED }, text);
        query.push(")");
    }
}

impl Sqlite {
    async fn audit_page(&self, filter: &AuditFilter) -> Result<Page<AuditEntry>, StoreError> {
        let list = List {
            step: "listing the audit log",
            select: &["SELECT *"],
            conditions: |query: &mut QueryBuilder<sqlx::Sqlite>, _| conditions(query, filter),
            order: Order::down("audit -number", &[SortKey::Number("number")]),
            page: &filter.page,
        };
        let listed = self.listed(list).await?;
        let rows = listed.rows.iter().map(|row| {
            Ok(AuditEntry {
                number: row.count("number")?,
                time: row.time("time")?,
                actor: row.value("actor")?,
                from: row.value("origin")?,
                action: row.value("action")?,
                object: row.value("object")?,
                result: row.value("result")?,
                hash: HEXLOWER.encode(&row.value::<Vec<u8>>("hash")?),
            })
        });
        Ok(Page {
            rows: rows.collect::<Result<_, StoreError>>()?,
            total: listed.total,
            next: listed.next,
        })
    }
}

impl Audit for Sqlite {
    fn audited<'a>(&'a self, filter: &'a AuditFilter) -> Answer<'a, Page<AuditEntry>> {
        Box::pin(self.audit_page(filter))
    }

    fn record(&self, entry: Entry) -> Answer<'_, u64> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(async move { append(tx, entry).await })),
        )
    }

    fn entries(&self, after: u64, limit: u32) -> Answer<'_, Vec<Linked>> {
        Box::pin(async move {
            let rows =
                sqlx::query("SELECT * FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2")
                    .bind(signed(after))
                    .bind(i64::from(limit.min(ENTRIES)))
                    .fetch_all(&self.readers)
                    .await
                    .at("reading the audit log")?;
            rows.iter()
                .map(|row| {
                    Ok(Linked {
                        number: row.count("number")?,
                        previous: bytes32("audit hash", &row.value::<Vec<u8>>("previous")?)?,
                        hash: bytes32("audit hash", &row.value::<Vec<u8>>("hash")?)?,
                        entry: Entry {
                            time: row.time("time")?,
                            actor: Actor {
                                name: row.value("actor")?,
                                from: row.value("origin")?,
                            },
                            action: row.value("action")?,
                            object: row.value("object")?,
                            result: row.value("result")?,
                        },
                    })
                })
                .collect()
        })
    }
}
