//! A medium whose calls fail as a test says: full disk, broken disk, short write, torn tail.
//!
//! Only tests use it. Everything that does not fail goes to a real file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::error::Fault;

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ENOSPC from writes and from growing.
    Full,
    /// EIO from writes, reads and syncs.
    Broken,
    /// Half of a write arrives, then EIO.
    Short,
    /// Syncs fail.
    Unsynced,
    /// Says so on standard output and waits to be killed.
    Parked,
}

#[derive(Debug, Default)]
struct Plan {
    /// Calls that still succeed.
    left: Option<(u64, Kind)>,
    /// Whether only one call fails.
    once: bool,
    /// Calls made so far.
    calls: u64,
}

/// A plan that a test and every backend opened under it share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    /// From the call after the next `after` on, calls fail in this way.
    pub(crate) fn begin(&self, after: u64, kind: Kind) {
        let mut plan = self.plan();
        plan.left = Some((after, kind));
        plan.once = false;
    }

    /// The call after the next `after` fails in this way, and no other.
    pub(crate) fn begin_once(&self, after: u64, kind: Kind) {
        let mut plan = self.plan();
        plan.left = Some((after, kind));
        plan.once = true;
    }

    /// Everything works again.
    pub(crate) fn end(&self) {
        self.plan().left = None;
    }

    /// Calls made so far, so that a test can fail each of them.
    pub(crate) fn calls(&self) -> u64 {
        self.plan().calls
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Faulty, Fault> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Fault::Medium(redb::Error::Io(error)))?;
        Ok(Faulty {
            file: FileBackend::new(file)?,
            faults: self.clone(),
        })
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of this call, if it has one.
    fn next(&self) -> Option<Kind> {
        let mut plan = self.plan();
        plan.calls += 1;
        match &mut plan.left {
            Some((0, Kind::Parked)) => {
                println!("\nparked");
                loop {
                    std::thread::park();
                }
            }
            Some((0, kind)) => {
                let kind = *kind;
                if plan.once {
                    plan.left = None;
                }
                Some(kind)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }
}

/// A file under a plan.
#[derive(Debug)]
pub(crate) struct Faulty {
    file: FileBackend,
    faults: Faults,
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.faults.next() {
            Some(Kind::Broken) => Err(broken()),
            _ => self.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.faults.next() {
            Some(Kind::Full) => Err(full()),
            Some(Kind::Broken) => Err(broken()),
            _ => self.file.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.faults.next() {
            Some(Kind::Broken | Kind::Unsynced) => Err(broken()),
            _ => self.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.faults.next() {
            Some(Kind::Full) => Err(full()),
            Some(Kind::Broken) => Err(broken()),
            Some(Kind::Short) => {
                self.file.write(offset, &data[..data.len() / 2])?;
                Err(broken())
            }
            _ => self.file.write(offset, data),
        }
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
