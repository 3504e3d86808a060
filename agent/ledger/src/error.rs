//! What can go wrong with the ledger, and what to do about it.
//!
//! No message holds anything that was found on the host: only the ledger's own paths and numbers.

use std::io;
use std::path::PathBuf;

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

/// Why a call to the ledger failed. Nothing that failed counts as known or as acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The state directory, or a small file in it, could not be used.
    #[error(
        "{step} {path} failed; check that the directory exists, has space and belongs to the agent"
    )]
    Directory {
        /// What was tried: `creating`, `locking`, `writing`, `setting aside`.
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has the ledger open.
    #[error(
        "{path} is in use by {holder}: two agents cannot share a state directory; stop that one or \
         give this one its own directory"
    )]
    InUse {
        /// The ledger's directory.
        path: PathBuf,
        /// `process 4242`, or `another process` when the holder did not say.
        holder: String,
    },
    /// A newer program wrote it.
    #[error(
        "{path} has format {found}, this program knows formats up to {known}: install the version \
         that wrote it or a later one, or move the file away (the host is then read anew)"
    )]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// A read or a write of the ledger failed. The ledger has reopened itself, or will at the next
    /// call; the transaction that failed is as if it had not been tried.
    #[error(
        "{step} in {path} failed; check the disk for space and errors, the ledger tries again by itself"
    )]
    Medium {
        /// Which call.
        step: &'static str,
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// What was read from the ledger is not what it wrote.
    #[error(
        "{path} is damaged ({what}); start the agent again: it sets the file aside, says so to the \
         collector and reads the host anew"
    )]
    Damaged {
        /// The ledger's file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The collector acknowledged something that was not sent since the ledger was opened.
    #[error(
        "the collector acknowledged revision {upto}, which was not sent by this run (acknowledged \
         so far: {acknowledged}); it is ignored and the states are sent again"
    )]
    UnknownAcknowledgement {
        /// The revision that the answer names.
        upto: u64,
        /// What the ledger holds as acknowledged.
        acknowledged: u64,
    },
}

impl LedgerError {
    /// Whether the content is to blame: the ledger has to be opened anew, which sets it aside.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, LedgerError::Damaged { .. })
    }

    /// Why nothing can be made durable, as a slug: `disk-full`, `read-only`, `disk-fails`, `damaged` or
    /// `not-writable`.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        if self.is_damage() {
            return "damaged";
        }
        match self.io().map(io::Error::kind) {
            Some(StorageFull | QuotaExceeded) => "disk-full",
            Some(ReadOnlyFilesystem) => "read-only",
            _ if self.io().and_then(io::Error::raw_os_error) == Some(EIO) => "disk-fails",
            _ => "not-writable",
        }
    }

    /// Whether there was no room.
    pub(crate) fn is_full(&self) -> bool {
        self.slug() == "disk-full"
    }

    fn io(&self) -> Option<&io::Error> {
        match self {
            LedgerError::Directory { source, .. } => Some(source),
            LedgerError::Medium { source, .. } => match source.as_ref() {
                redb::Error::Io(source) => Some(source),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `EIO` of errno(3).
const EIO: i32 = 5;

/// What a transaction's inside may fail with, before the ledger's path is added.
#[derive(Debug)]
pub(crate) enum Fault {
    /// redb's or the medium's.
    Medium(redb::Error),
    /// A value that this program did not write.
    Damaged(String),
    /// A small file beside the ledger.
    Beside(LedgerError),
}

macro_rules! from_redb {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Fault {
                Fault::Medium(error.into())
            }
        }
    )+};
}
from_redb!(
    CommitError,
    DatabaseError,
    StorageError,
    TableError,
    TransactionError
);

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Fault {
        Fault::Beside(error)
    }
}

impl Fault {
    /// Adds where it happened.
    pub(crate) fn within(self, step: &'static str, path: &std::path::Path) -> LedgerError {
        let path = path.to_owned();
        match self {
            Fault::Medium(redb::Error::Corrupted(what)) | Fault::Damaged(what) => {
                LedgerError::Damaged { path, what }
            }
            Fault::Medium(source) => LedgerError::Medium {
                step,
                path,
                source: Box::new(source),
            },
            Fault::Beside(error) => error,
        }
    }
}
