//! Schema versions: forward only, each in a transaction of its own, embedded in the program.
//!
//! The version is SQLite's `user_version`, which changes with the tables or not at all; what a
//! killed upgrade leaves behind is the version before. A newer file is refused, never guessed at.

use sqlx::sqlite::SqliteConnection;

use super::At as _;
use crate::{PepperKey, StoreError};

/// `akwa`: tells our files from other programs'.
const APPLICATION: i64 = 0x616b_7761;

/// Every schema from the first on; the version is the number of those applied.
const SCHEMAS: &[&str] = &[
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
    include_str!("0009.sql"),
];

/// The newest version that this program knows.
const KNOWN: usize = SCHEMAS.len();

const PEPPER_CHECK: &str = "pepper-check";

pub(crate) async fn bring_up_to_date(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let application = pragma(conn, "PRAGMA application_id").await?;
    let found = pragma(conn, "PRAGMA user_version").await?;
    let done = usize::try_from(found)
        .map_err(|_| StoreError::Foreign("its schema version is negative"))?;
    if done > KNOWN {
        return Err(StoreError::NewerSchema {
            found: done,
            known: KNOWN,
        });
    }
    if application != APPLICATION {
        let tables = pragma(conn, "SELECT count(*) FROM sqlite_schema").await?;
        if application != 0 || tables != 0 || found != 0 {
            return Err(StoreError::Foreign(
                "it has another program's mark or tables",
            ));
        }
    }
    for (index, schema) in SCHEMAS.iter().enumerate().skip(done) {
        apply(conn, schema, index + 1).await?;
    }
    Ok(())
}

async fn apply(
    conn: &mut SqliteConnection,
    schema: &'static str,
    version: usize,
) -> Result<(), StoreError> {
    const STEP: &str = "bringing the schema up to date";
    // Numbers of this program only: pragmas take no parameters.
    let marks = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version};");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *conn)
        .await
        .at(STEP)?;
    let applied = async {
        sqlx::raw_sql(schema).execute(&mut *conn).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(marks))
            .execute(&mut *conn)
            .await?;
        sqlx::raw_sql("COMMIT").execute(&mut *conn).await
    }
    .await;
    if applied.is_err() {
        // The error that matters is the first.
        let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await;
    }
    applied.at(STEP)?;
    Ok(())
}

/// Remembers the key of a new database by a value that only this key makes; refuses another key.
pub(crate) async fn check_pepper(
    conn: &mut SqliteConnection,
    pepper: &PepperKey,
) -> Result<(), StoreError> {
    const STEP: &str = "checking the pepper key";
    let value = pepper.check_value().to_vec();
    sqlx::query("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(PEPPER_CHECK)
        .bind(value.clone())
        .execute(&mut *conn)
        .await
        .at(STEP)?;
    let stored: Vec<u8> = sqlx::query_scalar("SELECT value FROM setting WHERE name = ?1")
        .bind(PEPPER_CHECK)
        .fetch_one(&mut *conn)
        .await
        .at(STEP)?;
    if stored != value {
        return Err(StoreError::WrongPepper);
    }
    Ok(())
}

async fn pragma(conn: &mut SqliteConnection, sql: &'static str) -> Result<i64, StoreError> {
    sqlx::query_scalar(sql)
        .fetch_one(conn)
        .await
        .map_err(unopened)
}

/// Why a file could not be opened: a file of another kind is said to be one.
pub(crate) fn unopened(source: sqlx::Error) -> StoreError {
    // SQLITE_NOTADB, https://www.sqlite.org/rescode.html#notadb
    let not_a_database = source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "26");
    if not_a_database {
        return StoreError::Foreign("it is not a SQLite file");
    }
    StoreError::Database {
        step: "opening the database",
        source,
    }
}
