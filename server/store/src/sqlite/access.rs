//! Rows of people, sessions, API tokens and the first sign-in.

use akwatch_proto::people::{ApiToken, Role};
use akwatch_proto::time::Time;
use sqlx::sqlite::SqliteRow;

use super::words::{Columns as _, json, slug};
use super::writer::Tx;
use super::{At as _, Sqlite, audit};
use crate::access::{
    ApiTokens, Caller, FirstSignIns, FirstSigningIn, NewApiTokenRecord, NewSession, People,
    PersonRecord, Sessions,
};
use crate::audit::Actor;
use crate::{Answer, Scope, StoreError};

/// The last use of a session or token is written when it is older than this, in milliseconds.
const USE_NOTED: i64 = 60_000;

async fn put_person(tx: &mut Tx, person: &PersonRecord, now: Time) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO person (name, role, password, created, labels) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (name) DO UPDATE SET role = excluded.role, password = excluded.password, \
         labels = excluded.labels",
    )
    .bind(person.name.clone())
    .bind(slug(&person.role))
    .bind(person.password.clone())
    .bind(now.0)
    .bind(json(&person.labels))
    .execute(&mut tx.conn)
    .await
    .at("storing a person")?;
    sqlx::query("DELETE FROM session WHERE person = ?1")
        .bind(person.name.clone())
        .execute(&mut tx.conn)
        .await
        .at("ending a person's sessions")?;
    Ok(())
}

async fn start(
    tx: &mut Tx,
    session: &NewSession,
    person: &str,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE until <= ?1 OR last_used + idle_ms <= ?1")
        .bind(now.0)
        .execute(&mut tx.conn)
        .await
        .at("forgetting sessions that are over")?;
    sqlx::query(
        "INSERT INTO session (hash, person, started, last_used, until, idle_ms) \
         VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
    )
    .bind(session.hash.to_vec())
    .bind(person.to_owned())
    .bind(now.0)
    .bind(session.until.0)
    .bind(session.idle_ms)
    .execute(&mut tx.conn)
    .await
    .at("starting a session")?;
    Ok(())
}

impl People for Sqlite {
    fn put_person(&self, person: PersonRecord, actor: Actor, now: Time) -> Answer<'_, ()> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                put_person(tx, &person, now).await?;
                audit::done(tx, actor, "put-person", person.name, now).await
            })
        }))
    }

    fn person<'a>(&'a self, name: &'a str) -> Answer<'a, Option<PersonRecord>> {
        Box::pin(async move {
            let row =
                sqlx::query("SELECT name, role, labels, password FROM person WHERE name = ?1")
                    .bind(name.to_owned())
                    .fetch_optional(&self.readers)
                    .await
                    .at("reading a person")?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(PersonRecord {
                name: row.value("name")?,
                role: row.word("role")?,
                labels: row.json("labels")?,
                password: row.value("password")?,
            }))
        })
    }

    fn anybody(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            Ok(sqlx::query("SELECT 1 FROM person LIMIT 1")
                .fetch_optional(&self.readers)
                .await
                .at("looking for people")?
                .is_some())
        })
    }
}

impl Sqlite {
    /// Reads who a hash stands for with `sql`, and notes the use with `note` when the last one is
    /// older than a minute: a page of the console makes many requests and needs no write for each.
    async fn caller(
        &self,
        sql: &'static str,
        note: &'static str,
        hash: [u8; 32],
        now: Time,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let row = sqlx::query(sql)
            .bind(hash.to_vec())
            .bind(now.0)
            .fetch_optional(&self.readers)
            .await
            .at("reading who is asking")?;
        let Some(row) = row else { return Ok(None) };
        let used: Option<i64> = row.value("last_used")?;
        if used.is_none_or(|used| now.0.saturating_sub(used) >= USE_NOTED) {
            self.writer
                .decide(move |tx| {
                    Box::pin(async move {
                        sqlx::query(note)
                            .bind(hash.to_vec())
                            .bind(now.0)
                            .execute(&mut tx.conn)
                            .await
                            .at("noting a use")?;
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(Some(row))
    }
}

impl Sessions for Sqlite {
    fn start_session(&self, session: NewSession, actor: Actor, now: Time) -> Answer<'_, ()> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                start(tx, &session, &actor.name, now).await?;
                let object = actor.name.clone();
                audit::done(tx, actor, "sign-in", object, now).await
            })
        }))
    }

    fn session(&self, hash: [u8; 32], now: Time) -> Answer<'_, Option<Caller>> {
        Box::pin(async move {
            let row = self
                .caller(
                    "SELECT p.name, p.role, p.labels, s.last_used FROM session AS s \
                     JOIN person AS p ON p.name = s.person \
                     WHERE s.hash = ?1 AND s.until > ?2 AND s.last_used + s.idle_ms > ?2",
                    "UPDATE session SET last_used = max(last_used, ?2) WHERE hash = ?1",
                    hash,
                    now,
                )
                .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Caller {
                name: row.value("name")?,
                role: row.word("role")?,
                scope: Scope::of_labels(row.json("labels")?),
                token: None,
            }))
        })
    }

    fn end_session(&self, hash: [u8; 32], actor: Actor, now: Time) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let ended = sqlx::query("DELETE FROM session WHERE hash = ?1")
                    .bind(hash.to_vec())
                    .execute(&mut tx.conn)
                    .await
                    .at("ending a session")?;
                if ended.rows_affected() == 0 {
                    return Ok(false);
                }
                let object = actor.name.clone();
                audit::done(tx, actor, "sign-out", object, now).await?;
                Ok(true)
            })
        }))
    }
}

fn api_token(row: &SqliteRow) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: row.value("id")?,
        name: row.value("name")?,
        role: row.word("role")?,
        labels: row.json("labels")?,
        person: row.value("person")?,
        created: row.time("created")?,
        until: row.time("until")?,
        last_used: row.maybe_time("last_used")?,
    })
}

async fn create_api_token(
    tx: &mut Tx,
    token: NewApiTokenRecord,
    actor: Actor,
    now: Time,
) -> Result<Option<ApiToken>, StoreError> {
    let known = sqlx::query("SELECT 1 FROM person WHERE name = ?1")
        .bind(token.person.clone())
        .fetch_optional(&mut tx.conn)
        .await
        .at("reading a person")?;
    if known.is_none() {
        return Ok(None);
    }
    let row = sqlx::query(
        "INSERT INTO api_token (id, hash, name, role, person, created, until, labels) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING *",
    )
    .bind(token.id.clone())
    .bind(token.hash.to_vec())
    .bind(token.name)
    .bind(slug(&token.role))
    .bind(token.person)
    .bind(now.0)
    .bind(token.until.0)
    .bind(json(&token.labels))
    .fetch_one(&mut tx.conn)
    .await
    .at("storing an API token")?;
    let stored = api_token(&row)?;
    audit::done(tx, actor, "create-api-token", token.id, now).await?;
    Ok(Some(stored))
}

impl ApiTokens for Sqlite {
    fn create_api_token(
        &self,
        token: NewApiTokenRecord,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Option<ApiToken>> {
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(create_api_token(tx, token, actor, now))),
        )
    }

    fn api_tokens<'a>(&'a self, person: &'a str) -> Answer<'a, Vec<ApiToken>> {
        Box::pin(async move {
            let rows =
                sqlx::query("SELECT * FROM api_token WHERE person = ?1 ORDER BY created DESC, id")
                    .bind(person.to_owned())
                    .fetch_all(&self.readers)
                    .await
                    .at("reading API tokens")?;
            rows.iter().map(api_token).collect()
        })
    }

    fn api_token(&self, hash: [u8; 32], now: Time) -> Answer<'_, Option<Caller>> {
        Box::pin(async move {
            let row = self
                .caller(
                    "SELECT t.id, p.name, p.role AS own_role, t.role, p.labels AS own_labels, t.labels, \
                     t.last_used \
                     FROM api_token AS t JOIN person AS p ON p.name = t.person \
                     WHERE t.hash = ?1 AND t.until > ?2",
                    "UPDATE api_token SET last_used = max(coalesce(last_used, 0), ?2) \
                     WHERE hash = ?1",
                    hash,
                    now,
                )
                .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Caller {
                name: row.value("name")?,
                role: lesser(row.word("role")?, row.word("own_role")?),
                scope: Scope::of_labels(row.json("own_labels")?).narrowed(row.json("labels")?),
                token: Some(row.value("id")?),
            }))
        })
    }

    fn delete_api_token(
        &self,
        id: String,
        person: String,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, bool> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let deleted = sqlx::query("DELETE FROM api_token WHERE id = ?1 AND person = ?2")
                    .bind(id.clone())
                    .bind(person)
                    .execute(&mut tx.conn)
                    .await
                    .at("deleting an API token")?;
                if deleted.rows_affected() == 0 {
                    return Ok(false);
                }
                audit::done(tx, actor, "delete-api-token", id, now).await?;
                Ok(true)
            })
        }))
    }
}

/// The token's role, unless its person may do less by now. An auditor's and the others' do not
/// contain each other: then the person's own stands.
fn lesser(token: Role, person: Role) -> Role {
    let rank = |role| match role {
        Role::Viewer => Some(0),
        Role::Responder => Some(1),
        Role::Admin => Some(2),
        Role::Auditor => None,
    };
    match (rank(token), rank(person)) {
        (Some(of_token), Some(of_person)) if of_token <= of_person => token,
        (None, Some(2)) => token,
        _ => person,
    }
}

async fn first_sign_in(
    tx: &mut Tx,
    hash: [u8; 32],
    person: PersonRecord,
    session: NewSession,
    actor: Actor,
    now: Time,
) -> Result<FirstSigningIn, StoreError> {
    let used = sqlx::query("DELETE FROM first_sign_in WHERE hash = ?1 AND until > ?2")
        .bind(hash.to_vec())
        .bind(now.0)
        .execute(&mut tx.conn)
        .await
        .at("using the first link")?;
    if used.rows_affected() == 0 {
        // Who claims a name without a good link is nobody, and may have typed anything there.
        let entry = crate::audit::Entry {
            time: now,
            actor: Actor::person("nobody", actor.from),
            action: "first-sign-in".to_owned(),
            object: "session".to_owned(),
            result: "refused".to_owned(),
        };
        audit::append(tx, entry).await?;
        return Ok(FirstSigningIn::Refused);
    }
    put_person(tx, &person, now).await?;
    start(tx, &session, &person.name, now).await?;
    audit::done(tx, actor, "first-sign-in", person.name, now).await?;
    Ok(FirstSigningIn::Done)
}

impl FirstSignIns for Sqlite {
    fn offer_first_sign_in(&self, hash: [u8; 32], until: Time, now: Time) -> Answer<'_, ()> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO first_sign_in (one, hash, until) VALUES (1, ?1, ?2) \
                     ON CONFLICT (one) DO UPDATE SET hash = excluded.hash, until = excluded.until",
                )
                .bind(hash.to_vec())
                .bind(until.0)
                .execute(&mut tx.conn)
                .await
                .at("offering the first link")?;
                let object = "first-sign-in".to_owned();
                audit::done(tx, Actor::collector(), "offer-first-sign-in", object, now).await
            })
        }))
    }

    fn first_sign_in(
        &self,
        hash: [u8; 32],
        person: PersonRecord,
        session: NewSession,
        from: Option<String>,
        now: Time,
    ) -> Answer<'_, FirstSigningIn> {
        let actor = Actor::person(&person.name, from);
        Box::pin(
            self.writer
                .decide(move |tx| Box::pin(first_sign_in(tx, hash, person, session, actor, now))),
        )
    }
}
