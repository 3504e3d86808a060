//! Bootstrap strings that were tried, can never serve, and could be neither deleted nor renamed: on a
//! read-only `/etc`, say, or one made immutable. Each start finds them again; no collector is asked for the
//! same answer again.
//!
//! `enroll-done` in the state directory holds one line for each: device, inode and change time in
//! nanoseconds, as numbers. A file that is written anew has another change time, and is tried.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::unattended::FILES;
use crate::identity::{self, IdentityError};

const FILE: &str = "enroll-done";

/// Tells a file, in the state in which it was tried.
type Which = (u64, u64, i64);

/// What is noted of a state directory.
pub(super) struct Done {
    file: PathBuf,
    noted: BTreeSet<Which>,
}

impl Done {
    /// What an earlier run noted; what cannot be read was not.
    pub(super) fn load(state: &Path) -> Done {
        let file = state.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let noted = text.lines().take(FILES).filter_map(parse).collect();
        Done { file, noted }
    }

    /// Whether this file was tried as it is.
    pub(super) fn holds(&self, path: &Path) -> bool {
        which(path).is_ok_and(|which| self.noted.contains(&which))
    }

    /// Notes that this file was tried.
    pub(super) fn note(&mut self, path: &Path) -> Result<(), IdentityError> {
        let Ok(which) = which(path) else {
            return Ok(()); // it has gone all the same
        };
        if self.noted.len() >= FILES {
            self.noted.clear(); // of files of other times
        }
        self.noted.insert(which);
        let lines = self.noted.iter();
        let lines = lines.map(|(device, inode, changed)| format!("{device} {inode} {changed}\n"));
        identity::write(&self.file, lines.collect::<String>().as_bytes(), 0o600)
    }
}

fn which(path: &Path) -> io::Result<Which> {
    let found = path.symlink_metadata()?;
    let changed = found.ctime().saturating_mul(1_000_000_000);
    let changed = changed.saturating_add(found.ctime_nsec());
    Ok((found.dev(), found.ino(), changed))
}

fn parse(line: &str) -> Option<Which> {
    let mut words = line.split(' ');
    let which = (
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
    );
    words.next().is_none().then_some(which)
}
