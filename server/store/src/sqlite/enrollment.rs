//! Rows of enrollment tokens and certificates.

use std::collections::HashSet;

use akwatch_proto::agent::{HostId, TokenId};
use akwatch_proto::people::EnrollmentToken;
use akwatch_proto::time::Time;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::hosts_write::host_line;
use super::list::in_scope;
use super::words::{Columns as _, bytes32, json};
use super::writer::Tx;
use super::{At as _, Sqlite, audit};
use crate::audit::{Actor, Entry};
use crate::enrollment::{
    CertificateRecord, NewCertificate, NewToken, TokenRecord, UnknownCertificate,
};
use crate::hosts::NewHost;
use crate::{Answer, Certificates, EnrollmentTokens, Scope, StoreError};

fn record(row: &SqliteRow) -> Result<TokenRecord, StoreError> {
    let id: String = row.value("id")?;
    Ok(TokenRecord {
        token: EnrollmentToken {
            id: TokenId::parse(&id).map_err(|error| StoreError::Damaged {
                what: "token id",
                why: error.to_string(),
            })?,
            uses: row.small("uses")?,
            used: row.small("used")?,
            until: row.time("until")?,
            labels: row.json("labels")?,
            note: row.value("note")?,
            created_by: row.value("created_by")?,
            created: row.time("created")?,
        },
        secret_hash: bytes32("token hash", &row.value::<Vec<u8>>("secret_hash")?)?,
    })
}

pub(crate) async fn token(
    conn: &mut SqliteConnection,
    id: &TokenId,
) -> Result<Option<TokenRecord>, StoreError> {
    sqlx::query("SELECT * FROM enrollment_token WHERE id = ?1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .at("reading a token")?
        .as_ref()
        .map(record)
        .transpose()
}

impl EnrollmentTokens for Sqlite {
    fn create_token(
        &self,
        token: NewToken,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, EnrollmentToken> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO enrollment_token (id, secret_hash, uses, until, labels, note, \
                     created_by, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )
                .bind(token.id.to_string())
                .bind(token.secret_hash.to_vec())
                .bind(i64::from(token.uses))
                .bind(token.until.0)
                .bind(json(&token.labels))
                .bind(token.note.clone())
                .bind(actor.name.clone())
                .bind(now.0)
                .execute(&mut tx.conn)
                .await
                .at("storing a token")?;
                let created_by = actor.name.clone();
                let object = token.id.to_string();
                audit::done(tx, actor, "create-enrollment-token", object, now).await?;
                Ok(EnrollmentToken {
                    id: token.id,
                    uses: token.uses,
                    used: 0,
                    until: token.until,
                    labels: token.labels,
                    note: token.note,
                    created_by,
                    created: now,
                })
            })
        }))
    }

    fn tokens<'a>(&'a self, scope: &'a Scope) -> Answer<'a, Vec<EnrollmentToken>> {
        Box::pin(async move {
            if *scope != Scope::All {
                return Ok(Vec::new());
            }
            let rows = sqlx::query("SELECT * FROM enrollment_token ORDER BY created DESC, id")
                .fetch_all(&self.readers)
                .await
                .at("reading tokens")?;
            rows.iter().map(|row| Ok(record(row)?.token)).collect()
        })
    }

    fn token<'a>(&'a self, scope: &'a Scope, id: &'a TokenId) -> Answer<'a, Option<TokenRecord>> {
        Box::pin(async move {
            if *scope != Scope::All {
                return Ok(None);
            }
            let mut conn = self.readers.acquire().await.at("reading a token")?;
            token(&mut conn, id).await
        })
    }

    fn delete_token(&self, id: TokenId, actor: Actor, now: Time) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let deleted = sqlx::query("DELETE FROM enrollment_token WHERE id = ?1")
                    .bind(id.to_string())
                    .execute(&mut tx.conn)
                    .await
                    .at("deleting a token")?;
                if deleted.rows_affected() == 0 {
                    return Ok(false);
                }
                audit::done(tx, actor, "delete-enrollment-token", id.to_string(), now).await?;
                Ok(true)
            })
        }))
    }
}

/// What the same key was answered with the same token, if its host has not been heard since.
pub(crate) async fn answered(
    tx: &mut Tx,
    host: &NewHost,
) -> Result<Option<(HostId, String)>, StoreError> {
    let row = sqlx::query(
        "SELECT h.uuid AS host, a.certificate FROM enrollment_answer AS a \
         JOIN host AS h ON h.id = a.host_id \
         WHERE a.token = ?1 AND a.key = ?2 AND h.instance IS NULL AND h.retired = 0",
    )
    .bind(host.token.to_string())
    .bind(host.key.to_vec())
    .fetch_optional(&mut tx.conn)
    .await
    .at("looking for an answer that was lost")?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.host_id("host")?, row.value("certificate")?)))
}

/// Counts a use of a token and keeps what its host is answered, while the token lives.
pub(crate) async fn use_up(
    tx: &mut Tx,
    id: i64,
    host: &NewHost,
    now: Time,
) -> Result<(), StoreError> {
    const STEP: &str = "using the token up";
    sqlx::query("UPDATE enrollment_token SET used = used + 1 WHERE id = ?1")
        .bind(host.token.to_string())
        .execute(&mut tx.conn)
        .await
        .at(STEP)?;
    sqlx::query(
        "DELETE FROM enrollment_answer WHERE token IN \
         (SELECT id FROM enrollment_token WHERE until <= ?1)",
    )
    .bind(now.0)
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    sqlx::query(
        "INSERT OR REPLACE INTO enrollment_answer (token, key, host_id, certificate) \
         VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(host.token.to_string())
    .bind(host.key.to_vec())
    .bind(id)
    .bind(host.pem.clone())
    .execute(&mut tx.conn)
    .await
    .at(STEP)?;
    Ok(())
}

pub(crate) async fn insert_certificate(
    tx: &mut Tx,
    host: i64,
    certificate: &NewCertificate,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO certificate (serial, host_id, issued, until) VALUES (?1, ?2, ?3, ?4)")
        .bind(certificate.serial.clone())
        .bind(host)
        .bind(now.0)
        .bind(certificate.until.0)
        .execute(&mut tx.conn)
        .await
        .at("storing a certificate")?;
    Ok(())
}

/// Whether a host has shown a certificate that ends later, revoked or not.
async fn has_used_after(tx: &mut Tx, host: i64, until: Time) -> Result<bool, StoreError> {
    let later: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM certificate WHERE host_id = ?1 AND used IS NOT NULL AND until > ?2 LIMIT 1",
    )
    .bind(host)
    .bind(until.0)
    .fetch_optional(&mut tx.conn)
    .await
    .at("looking for a later certificate")?;
    Ok(later.is_some())
}

async fn adopt(tx: &mut Tx, unknown: UnknownCertificate, now: Time) -> Result<bool, StoreError> {
    let UnknownCertificate {
        host, certificate, ..
    } = &unknown;
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM certificate WHERE serial = ?1")
        .bind(certificate.serial.clone())
        .fetch_optional(&mut tx.conn)
        .await
        .at("looking for a certificate")?;
    let line = host_line(tx, *host).await?;
    if known.is_some() || line.as_ref().is_some_and(|line| line.retired) {
        return Ok(false);
    }
    let id = match &line {
        Some(line) if unknown.ended && has_used_after(tx, line.id, certificate.until).await? => {
            return Ok(false);
        }
        Some(line) => line.id,
        None => super::hosts_write::adopt_host(tx, &unknown, now).await?,
    };
    insert_certificate(tx, id, certificate, now).await?;
    sqlx::query("UPDATE certificate SET adopted = 1 WHERE serial = ?1")
        .bind(certificate.serial.clone())
        .execute(&mut tx.conn)
        .await
        .at("taking a certificate over")?;
    let entry = Entry {
        time: now,
        actor: Actor {
            name: format!("host:{host}"),
            from: unknown.peer.clone(),
        },
        action: "adopt-certificate".to_owned(),
        object: certificate.serial.clone(),
        result: if line.is_some() {
            "done".to_owned()
        } else {
            "done: the host was unknown".to_owned()
        },
    };
    audit::append(tx, entry).await?;
    Ok(true)
}

impl Certificates for Sqlite {
    fn add_certificate(
        &self,
        host: HostId,
        certificate: NewCertificate,
        peer: Option<String>,
        now: Time,
    ) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let Some(line) = host_line(tx, host).await?.filter(|line| !line.retired) else {
                    return Ok(false);
                };
                insert_certificate(tx, line.id, &certificate, now).await?;
                let actor = Actor {
                    name: format!("host:{host}"),
                    from: peer,
                };
                audit::done(tx, actor, "renew-certificate", certificate.serial, now).await?;
                Ok(true)
            })
        }))
    }

    fn note_certificate_used(&self, serial: String, now: Time) -> Answer<'_, ()> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                sqlx::query("UPDATE certificate SET used = ?2 WHERE serial = ?1 AND used IS NULL")
                    .bind(serial)
                    .bind(now.0)
                    .execute(&mut tx.conn)
                    .await
                    .at("noting that a certificate was shown")?;
                Ok(())
            })
        }))
    }

    fn adopt_certificate(&self, unknown: UnknownCertificate, now: Time) -> Answer<'_, bool> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(async move { adopt(tx, unknown, now).await })),
        )
    }

    fn revoke_certificate(&self, serial: String, actor: Actor, now: Time) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let revoked = sqlx::query(
                    "UPDATE certificate SET revoked = ?2 WHERE serial = ?1 AND revoked IS NULL",
                )
                .bind(serial.clone())
                .bind(now.0)
                .execute(&mut tx.conn)
                .await
                .at("revoking a certificate")?;
                if revoked.rows_affected() == 0 {
                    return Ok(false);
                }
                audit::done(tx, actor, "revoke-certificate", serial, now).await?;
                Ok(true)
            })
        }))
    }

    fn certificate<'a>(
        &'a self,
        scope: &'a Scope,
        serial: &'a str,
    ) -> Answer<'a, Option<CertificateRecord>> {
        Box::pin(async move {
            let mut query = QueryBuilder::<sqlx::Sqlite>::new(
                "SELECT h.uuid AS host, c.until, c.revoked IS NOT NULL OR h.retired AS revoked, \
                 c.used IS NOT NULL AS used, c.revoked IS NULL AND NOT EXISTS (SELECT 1 \
                 FROM certificate AS n WHERE n.host_id = c.host_id AND n.revoked IS NULL \
                 AND n.used IS NOT NULL AND CASE WHEN n.adopted OR c.adopted \
                 THEN n.until > c.until ELSE n.rowid > c.rowid END) AS latest \
                 FROM certificate AS c JOIN host AS h ON h.id = c.host_id WHERE ",
            );
            in_scope(&mut query, scope, "h.id");
            query.push(" AND c.serial = ").push_bind(serial.to_owned());
            let row = query
                .build()
                .fetch_optional(&self.readers)
                .await
                .at("reading a certificate")?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(CertificateRecord {
                host: row.host_id("host")?,
                until: row.time("until")?,
                revoked: row.value::<i64>("revoked")? != 0,
                latest: row.value::<i64>("latest")? != 0,
                used: row.value::<i64>("used")? != 0,
            }))
        })
    }

    fn revoked<'a>(&'a self, scope: &'a Scope, now: Time) -> Answer<'a, HashSet<String>> {
        Box::pin(async move {
            let mut query = QueryBuilder::<sqlx::Sqlite>::new(
                "SELECT serial FROM certificate WHERE revoked IS NOT NULL AND ",
            );
            in_scope(&mut query, scope, "host_id");
            query.push(" AND until > ").push_bind(now.0);
            let rows = query
                .build()
                .fetch_all(&self.readers)
                .await
                .at("reading revoked certificates")?;
            rows.iter()
                .map(|row| row.try_get(0).at("reading revoked certificates"))
                .collect()
        })
    }
}
