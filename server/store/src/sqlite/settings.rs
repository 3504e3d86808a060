//! The settings' rows.

use akwatch_proto::time::Time;

use super::{At as _, Sqlite, audit};
use crate::audit::Actor;
use crate::{Answer, Settings};

/// Keeps settings apart from the store's own values.
fn named(name: &str) -> String {
    format!("setting:{name}")
}

impl Settings for Sqlite {
    fn setting<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            sqlx::query_scalar("SELECT value FROM setting WHERE name = ?1")
                .bind(named(name))
                .fetch_optional(&self.readers)
                .await
                .at("reading a setting")
        })
    }

    fn put_setting(&self, name: String, value: String, actor: Actor, now: Time) -> Answer<'_, ()> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO setting (name, value) VALUES (?1, ?2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(named(&name))
                .bind(value)
                .execute(&mut tx.conn)
                .await
                .at("storing a setting")?;
                audit::done(tx, actor, "put-setting", name, now).await
            })
        }))
    }

    fn settle_setting(&self, name: String, value: String, now: Time) -> Answer<'_, String> {
        Box::pin(self.writer.decide(move |tx| {
            Box::pin(async move {
                let stored = sqlx::query(
                    "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )
                .bind(named(&name))
                .bind(value)
                .execute(&mut tx.conn)
                .await
                .at("storing a setting")?;
                if stored.rows_affected() > 0 {
                    let actor = Actor::collector();
                    audit::done(tx, actor, "settle-setting", name.clone(), now).await?;
                }
                sqlx::query_scalar("SELECT value FROM setting WHERE name = ?1")
                    .bind(named(&name))
                    .fetch_one(&mut tx.conn)
                    .await
                    .at("reading a setting")
            })
        }))
    }
}
