//! Who can read a path: mode, owner, group, access control list, and the directories above it.
//!
//! A file of mode 0644 in a home of mode 0700 is nobody's business but its owner's: world-readable
//! here means that anyone on the host can open it by its path.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use rustix::fs::{OFlags, Stat};

use super::Root;
use crate::job::{Names, PendingReach};

/// Directories whose mode is cached.
const DIRECTORIES: usize = 8192;

/// Modes of directories by path.
pub(crate) type Directories = HashMap<PathBuf, Passage>;

/// Who may pass through a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    mode: u32,
    gid: u32,
}

/// Who can read the file at `path`, whose state is `stat`. The access control list is asked where an
/// open descriptor is at hand.
#[must_use]
pub fn of_file(
    root: &Root,
    path: &Path,
    stat: &Stat,
    open: Option<BorrowedFd<'_>>,
    names: &mut Names,
) -> PendingReach {
    let accounts = root.accounts();
    let mut world = stat.st_mode & 0o004 != 0;
    let mut group = stat.st_mode & 0o040 != 0;
    if world || group {
        for directory in path.ancestors().skip(1) {
            let passage = root.passage(directory);
            let anyone = passage.mode & 0o001 != 0;
            let by_group = passage.mode & 0o010 != 0 && passage.gid == stat.st_gid;
            world &= anyone;
            group &= anyone || by_group;
        }
    }
    PendingReach {
        mode: Some(stat.st_mode & 0o7777),
        owner: Some(names.add(&accounts.user(stat.st_uid))),
        group: Some(names.add(&accounts.group(stat.st_gid))),
        world_readable: world,
        group_readable: group,
        acl: open.is_some_and(has_acl),
    }
}

/// Who can read a process's captures: its environment itself and root, its arguments everyone.
#[must_use]
pub fn of_process(user: &[u8], arguments: bool, names: &mut Names) -> PendingReach {
    PendingReach {
        mode: Some(if arguments { 0o444 } else { 0o400 }),
        owner: Some(names.add(user)),
        group: None,
        world_readable: arguments,
        group_readable: arguments,
        acl: false,
    }
}

/// Whether an access control list says more of an open file than its mode does.
#[must_use]
pub fn has_acl(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fgetxattr_query(file, "system.posix_acl_access").is_ok_and(|size| size > 0)
}

impl Root {
    fn passage(&self, directory: &Path) -> Passage {
        let mut cached = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(passage) = cached.get(directory) {
            return *passage;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let stat = self
            .open_guarded(directory, flags)
            .and_then(rustix::fs::fstat);
        // Unknown is treated as closed to all but its owner: a wrong "anyone" would be an alarm.
        let passage = stat.map_or(
            Passage {
                mode: 0,
                gid: u32::MAX,
            },
            |stat| Passage {
                mode: stat.st_mode,
                gid: stat.st_gid,
            },
        );
        if cached.len() >= DIRECTORIES {
            cached.clear();
        }
        cached.insert(directory.to_owned(), passage);
        passage
    }
}
