//! SQLite: one file, one writer, many readers.
//!
//! The journal is a write-ahead log and `synchronous` is FULL: every commit reaches the disk before
//! its answer goes out, so that an acknowledged report survives a power cut and not only a killed
//! process. What that costs is shared: the writer puts the decisions that wait for it into one
//! transaction, each in a savepoint of its own, and syncs once for all of them.
//!
//! A lock file beside the database keeps a second collector out; readers see the last commit and
//! never wait for the writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use akwatch_proto::people::Event;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::broadcast;

use crate::events::BACKLOG;
use crate::{Events, PepperKey, Rules, Store, StoreError};

mod access;
mod apply;
mod assign;
mod audit;
mod credentials;
mod directives;
mod enrollment;
mod findings;
mod holders;
mod hosts;
mod hosts_write;
mod list;
mod migrate;
mod overview;
mod resync;
mod settings;
mod tally;
mod timeline;
mod words;
mod writer;

use writer::{Tx, Writer};

/// Connections that read. A list takes milliseconds; more readers than cores wait for each other.
const READERS: u32 = 4;

/// Milliseconds to wait for a lock that another connection holds: a checkpoint, a backup.
const BUSY: Duration = Duration::from_secs(5);

/// Pages of the write-ahead log before it is folded into the database: 40 MB.
const CHECKPOINT_PAGES: &str = "10000";

/// What reads and writes share.
pub(crate) struct Shared {
    pub(crate) pepper: PepperKey,
    pub(crate) rules: Arc<dyn Rules>,
    events: broadcast::Sender<Event>,
}

/// The store in one SQLite file.
pub struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    shared: Arc<Shared>,
    options: SqliteConnectOptions,
    /// When silence was first looked for; before that nobody listened. Zero before.
    listening_since: std::sync::atomic::AtomicI64,
    /// Held until the store is dropped.
    _lock: std::fs::File,
}

impl Sqlite {
    /// Opens or creates the database at `path`, brings its schema up to date and starts the writer.
    /// Needs a Tokio runtime.
    ///
    /// # Errors
    /// When another collector holds it, it is of a newer version or another program, the pepper key
    /// is not its own, or the file system fails.
    pub async fn open(
        path: &Path,
        pepper: PepperKey,
        rules: Arc<dyn Rules>,
    ) -> Result<Sqlite, StoreError> {
        let lock = lock(path)?;
        let options = options(path);
        let mut connection = options
            .clone()
            .create_if_missing(true)
            .connect()
            .await
            .map_err(migrate::unopened)?;
        migrate::bring_up_to_date(&mut connection).await?;
        migrate::check_pepper(&mut connection, &pepper).await?;
        let shared = Arc::new(Shared {
            pepper,
            rules,
            events: broadcast::Sender::new(BACKLOG),
        });
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone().pragma("query_only", "ON"))
            .await
            .at("opening the readers")?;
        Ok(Sqlite {
            readers,
            writer: Writer::start(Tx::new(connection, Arc::clone(&shared))),
            shared,
            options,
            listening_since: std::sync::atomic::AtomicI64::new(0),
            _lock: lock,
        })
    }

    /// Ends the writer after what waits has been committed. Later writes answer
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.writer.stop().await;
        self.readers.close().await;
    }

    /// Writes a consistent copy to `to`, which must not exist, while everything goes on.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        const STEP: &str = "writing a backup";
        let mut connection = self.options.connect().await.at(STEP)?;
        sqlx::query("VACUUM INTO ?1")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await
            .at(STEP)?;
        connection.close().await.at(STEP)
    }
}

impl Events for Sqlite {
    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
}

impl Store for Sqlite {}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", "-65536")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// Takes the lock file beside the database.
fn lock(path: &Path) -> Result<std::fs::File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let io = |source: std::io::Error| StoreError::Database {
        step: "opening the lock file",
        source: sqlx::Error::Io(source),
    };
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Held),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Names the step that failed.
pub(crate) trait At<T> {
    fn at(self, step: &'static str) -> Result<T, StoreError>;
}

impl<T> At<T> for Result<T, sqlx::Error> {
    fn at(self, step: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { step, source })
    }
}
