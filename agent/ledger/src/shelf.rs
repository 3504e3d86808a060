//! The redb file: opening, setting aside, and reopening after its medium failed.
//!
//! redb answers `PreviousIo` to everything after one failed read or write until it is reopened, so
//! whoever saw a failure drops the database and the next call opens it again. What was not committed
//! is gone with it, which is why nothing counts before [`WriteTransaction::commit`] has returned.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase, WriteTransaction};

use crate::Options;
use crate::error::{Fault, LedgerError};
use crate::format::{FINDINGS, FORMAT, HOLDERS, META, Meta, REVISIONS, decode, encode};

/// The ledger's file name.
pub(crate) const NAME: &str = "ledger.redb";

/// Where redb's bytes lie.
#[derive(Clone, Debug, Default)]
pub(crate) enum Medium {
    /// A file.
    #[default]
    File,
    /// A file whose calls fail as a test says.
    #[cfg(test)]
    Faulty(crate::faults::Faults),
    /// Memory that is a disk without power, sooner or later.
    #[cfg(test)]
    Powered(crate::power::Disk),
}

/// The file and, unless its medium has failed, the database in it.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) path: PathBuf,
    cache_bytes: usize,
    medium: Medium,
    database: Option<Database>,
    /// Bytes of a damaged file that is worth its room.
    most_aside: u64,
}

/// Why the file cannot be used as a ledger.
pub(crate) enum Unusable {
    /// Its content: to be set aside.
    Damaged(String),
    /// Something else.
    Error(LedgerError),
}

impl Shelf {
    pub(crate) fn new(directory: &Path, options: &Options, medium: Medium) -> Shelf {
        Shelf {
            path: directory.join(NAME),
            cache_bytes: options.cache_bytes,
            medium,
            database: None,
            most_aside: options.most_aside,
        }
    }

    /// Bytes that the file takes on its disk; none where that cannot be asked.
    pub(crate) fn disk_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.blocks().saturating_mul(512))
    }

    /// Opens the file, checks every page of it and reads the ledger's state; `None` when it is new.
    pub(crate) fn open(&mut self) -> Result<Option<Meta>, Unusable> {
        self.database = None;
        let opened = self.open_checked();
        let database = match opened {
            Ok(database) => database,
            Err(fault) => return Err(self.unusable("opening", fault)),
        };
        let meta = read_meta(&database);
        match meta {
            Ok(Found::Newer(found)) => Err(Unusable::Error(LedgerError::Newer {
                path: self.path.clone(),
                found,
                known: FORMAT,
            })),
            Ok(Found::Nothing) => {
                self.database = Some(database);
                Ok(None)
            }
            Ok(Found::Meta(meta)) => {
                self.database = Some(database);
                Ok(Some(meta))
            }
            Err(fault) => Err(self.unusable("reading the state", fault)),
        }
    }

    fn open_checked(&self) -> Result<Database, Fault> {
        let mut builder = Builder::new();
        builder
            .set_cache_size(self.cache_bytes)
            .set_check_integrity_on_open(true);
        let database = match &self.medium {
            Medium::File => builder.create(&self.path)?,
            #[cfg(test)]
            Medium::Faulty(faults) => builder.create_with_backend(faults.open(&self.path)?)?,
            #[cfg(test)]
            Medium::Powered(disk) => builder.create_with_backend(disk.clone())?,
        };
        Ok(database)
    }

    fn unusable(&self, step: &'static str, fault: Fault) -> Unusable {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match fault {
            Fault::Damaged(what) | Fault::Medium(redb::Error::Corrupted(what)) => {
                Unusable::Damaged(what)
            }
            Fault::Medium(redb::Error::Io(error))
                if matches!(error.kind(), InvalidData | UnexpectedEof) =>
            {
                Unusable::Damaged(error.to_string())
            }
            fault => Unusable::Error(fault.within(step, &self.path)),
        }
    }

    /// Renames the file to the first free `ledger.redb.damaged-N`. Only the last one is kept, and that
    /// only where it is not too large: a disk that damages files must not be filled with them.
    pub(crate) fn set_aside(&mut self) -> Result<PathBuf, LedgerError> {
        let large = self.disk_bytes() > self.most_aside;
        self.database = None;
        let earlier = damaged(&self.path);
        let aside = (1_u32..)
            .map(|number| self.path.with_file_name(format!("{NAME}.damaged-{number}")))
            .find(|path| !path.exists())
            .expect("invariant: a directory holds fewer than 2^32 files");
        std::fs::rename(&self.path, &aside)
            .and_then(|()| crate::instance::sync_directory_of(&self.path))
            .map_err(|source| LedgerError::Directory {
                step: "setting aside",
                path: self.path.clone(),
                source,
            })?;
        for path in earlier.iter().chain(large.then_some(&aside)) {
            let _ = std::fs::remove_file(path); // the next one to be set aside tries it again
        }
        Ok(aside)
    }

    /// Whether the medium has failed since the last opening.
    pub(crate) fn is_closed(&self) -> bool {
        self.database.is_none()
    }

    /// Drops the database, so that the next call opens it again.
    pub(crate) fn close(&mut self) {
        self.database = None;
    }

    /// Reads.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        look(&self.database()?.begin_read()?)
    }

    /// Begins a transaction that is durable once it is committed.
    pub(crate) fn begin(&self) -> Result<WriteTransaction, Fault> {
        Ok(self.database()?.begin_write()?)
    }

    /// Moves what is in use together, and gives the rest of the file back to the disk.
    pub(crate) fn compact(&mut self) -> Result<(), Fault> {
        let Some(database) = &mut self.database else {
            return Err(Fault::Medium(redb::Error::PreviousIo));
        };
        let compacted = database.compact();
        compacted.map_err(|error| Fault::Medium(error.into()))?;
        Ok(())
    }

    fn database(&self) -> Result<&Database, Fault> {
        self.database
            .as_ref()
            .ok_or_else(|| Fault::Medium(redb::Error::PreviousIo))
    }
}

/// The damaged files that lie beside `path`.
fn damaged(path: &Path) -> Vec<PathBuf> {
    let entries = path.parent().map(std::fs::read_dir);
    let entries = entries.into_iter().flatten().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&format!("{NAME}.damaged-")))
        })
        .collect()
}

enum Found {
    Nothing,
    Newer(u32),
    Meta(Meta),
}

fn read_meta(database: &Database) -> Result<Found, Fault> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Found::Nothing),
        Err(error) => return Err(error.into()),
    };
    let Some(format) = table.get("format")? else {
        return Err(Fault::Damaged("it names no format".to_owned()));
    };
    let format: u32 = decode("the format", format.value())?;
    if format > FORMAT {
        return Ok(Found::Newer(format));
    }
    let Some(state) = table.get("state")? else {
        return Err(Fault::Damaged("it holds no state".to_owned()));
    };
    // Every table is there, or the file was written by something else.
    transaction.open_table(FINDINGS)?;
    transaction.open_table(REVISIONS)?;
    transaction.open_table(HOLDERS)?;
    Ok(Found::Meta(decode("the state", state.value())?))
}

/// Writes the ledger's state and makes sure that every table exists.
pub(crate) fn write_meta(transaction: &WriteTransaction, meta: &Meta) -> Result<(), Fault> {
    let mut table = transaction.open_table(META)?;
    table.insert("format", encode(&FORMAT).as_slice())?;
    table.insert("state", encode(meta).as_slice())?;
    Ok(())
}
