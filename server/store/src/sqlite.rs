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
mod decisions;
mod directives;
mod enrollment;
mod findings;
mod holders;
mod hosts;
mod hosts_write;
mod list;
mod listening;
mod migrate;
mod overview;
mod references;
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

/// Pages that the writer keeps, as KiB below zero: random pages of indexes are what a load waits for.
const WRITER_CACHE: &str = "-65536";

/// The same for each reader.
const READER_CACHE: &str = "-16384";

/// What reads and writes share.
pub(crate) struct Shared {
    pub(crate) pepper: PepperKey,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) listening: listening::Listening,
    events: broadcast::Sender<Event>,
}

impl Shared {
    /// Makes and reads what people call rows.
    pub(crate) fn references(&self) -> references::References<'_> {
        references::References(&self.pepper)
    }
}

/// The store in one SQLite file.
pub struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    shared: Arc<Shared>,
    options: SqliteConnectOptions,
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
        let lock = private(path, ".lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Held),
            Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        // Made here, so that it is never readable by others; SQLite gives its log the same mode.
        drop(private(path, "")?);
        let options = options(path);
        let mut connection = options.clone().connect().await.map_err(migrate::unopened)?;
        migrate::bring_up_to_date(&mut connection).await?;
        migrate::check_pepper(&mut connection, &pepper).await?;
        let shared = Arc::new(Shared {
            pepper,
            rules,
            listening: listening::Listening::default(),
            events: broadcast::Sender::new(BACKLOG),
        });
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(
                options
                    .clone()
                    .pragma("query_only", "ON")
                    .pragma("cache_size", READER_CACHE),
            )
            .await
            .at("opening the readers")?;
        Ok(Sqlite {
            readers,
            writer: Writer::start(Tx::new(connection, Arc::clone(&shared))),
            shared,
            options,
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
        .pragma("cache_size", WRITER_CACHE)
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// Opens or creates a file at `path` and `suffix` that only its owner can read.
fn private(path: &Path, suffix: &str) -> Result<std::fs::File, StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(PathBuf::from(name))
        .map_err(io)
}

fn io(source: std::io::Error) -> StoreError {
    StoreError::Database {
        step: "opening the file",
        source: sqlx::Error::Io(source),
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
