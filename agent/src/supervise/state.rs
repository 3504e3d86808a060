//! The directories on disk, made and handed to the users of the roles that write them.
//!
//! Whoever starts the agent as root may have enrolled as root, and free numbers may differ from one
//! start to the next: so ownership is put right at each start. A role could have left a link to
//! somebody else's file there; only plain files with one name and directories change hands.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use akwatch_sys::fanotify::open_directory;
use akwatch_sys::process::Identity;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::role::users::Users;
use crate::role::{IDENTITY_DIRECTORY, Role, WATCHER_DIRECTORY};

/// Held by a running agent.
const LOCK: &str = "agent.lock";
/// Directories inside one another that are handed over.
const DEPTH: usize = 4;
/// Files of one directory that are handed over. Stops: a role that makes its successor's start long.
const ENTRIES: usize = 10_000;

/// The directories of a running agent.
#[derive(Debug)]
pub struct State {
    /// The reporter's directory, open: its user may not be able to reach it.
    pub identity: OwnedFd,
    _lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another agent runs on it.
    #[error(
        "another agent runs on {state}; end it, or give this one a --state of its own", state = .state.display()
    )]
    Taken {
        /// The directory.
        state: PathBuf,
    },
    /// A step failed.
    #[error("{step} {path}; check that this user may write there", path = .path.display())]
    Step {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Something in a role's directory belongs to nobody in particular.
    #[error("{path} is no plain file or directory of its own; remove it", path = .path.display())]
    Strange {
        /// What.
        path: PathBuf,
    },
}

impl State {
    /// Makes what is missing, hands each role its own, and takes the lock.
    ///
    /// # Errors
    /// When another agent holds it, or this user may not.
    pub fn prepare(state: &Path, users: Option<&Users>) -> Result<State, StateError> {
        make(state, 0o755)?;
        let lock = lock(state)?;
        let watchers = state.join(WATCHER_DIRECTORY);
        let reporters = state.join(IDENTITY_DIRECTORY);
        for (role, path) in [(Role::Watcher, &watchers), (Role::Reporter, &reporters)] {
            make(path, 0o700)?;
            if let Some(users) = users {
                let directory = open(path)?;
                give(directory.as_fd(), path, users.of(role), DEPTH)?;
            }
        }
        Ok(State {
            identity: open(&reporters)?,
            _lock: lock,
        })
    }
}

/// Makes the directory of sockets and hands it to the watcher.
///
/// # Errors
/// When this user may not: then nobody can ask the agent for its status.
pub fn prepare_runtime(runtime: &Path, users: Option<&Users>) -> Result<(), StateError> {
    make(runtime, 0o755)?;
    match users {
        Some(users) => own(open(runtime)?.as_fd(), runtime, users.of(Role::Watcher)),
        None => Ok(()),
    }
}

fn step(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Step { step, path, source }
}

fn make(path: &Path, mode: u32) -> Result<(), StateError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(step("making", parent))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.map_err(step("making", path)),
    }
}

fn open(path: &Path) -> Result<OwnedFd, StateError> {
    open_directory(path).map_err(|error| step("opening", path)(error.source))
}

/// Takes the lock of a state directory, if an agent ever left one there: for who removes what is in it.
///
/// # Errors
/// When an agent holds it, or this user may not.
pub fn hold(state: &Path) -> Result<Option<File>, StateError> {
    match open_lock(state, false) {
        Err(StateError::Step { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        file => take(file?, state).map(Some),
    }
}

fn lock(state: &Path) -> Result<File, StateError> {
    take(open_lock(state, true)?, state)
}

fn open_lock(state: &Path, make: bool) -> Result<File, StateError> {
    let path = state.join(LOCK);
    OpenOptions::new()
        .create(make)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)
        .map_err(step("opening", &path))
}

fn take(file: File, state: &Path) -> Result<File, StateError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Taken {
            state: state.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(step("locking", &state.join(LOCK))(error)),
    }
}

/// Hands over a directory and what is in it.
fn give(
    directory: BorrowedFd<'_>,
    path: &Path,
    to: Identity,
    depth: usize,
) -> Result<(), StateError> {
    own(directory, path, to)?;
    // Listed through the open descriptor, so that no link can lead elsewhere.
    let listing = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let entries = std::fs::read_dir(listing).map_err(step("listing", path))?;
    for entry in entries.take(ENTRIES) {
        let name = entry.map_err(step("listing", path))?.file_name();
        let path = path.join(&name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let entry = openat(directory, name.as_os_str(), flags, Mode::empty())
            .map_err(|errno| step("opening", &path)(errno.into()))?;
        let stat = fstat(&entry).map_err(|errno| step("looking at", &path)(errno.into()))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        match kind {
            SFlag::S_IFREG if stat.st_nlink == 1 => own(entry.as_fd(), &path, to)?,
            SFlag::S_IFDIR if depth > 0 => {
                give(open(&path)?.as_fd(), &path, to, depth - 1)?;
            }
            _ => return Err(StateError::Strange { path }),
        }
    }
    Ok(())
}

fn own(entry: BorrowedFd<'_>, path: &Path, to: Identity) -> Result<(), StateError> {
    let (uid, gid) = (Uid::from_raw(to.uid), Gid::from_raw(to.gid));
    fchownat(entry, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
        .map_err(|errno| step("handing over", path)(errno.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn two_agents_on_one_directory_are_refused() {
        let state = tempfile::tempdir().unwrap();
        let first = State::prepare(state.path(), None).unwrap();
        let second = State::prepare(state.path(), None).unwrap_err();
        assert!(second.to_string().contains("another agent"), "{second}");
        drop(first);
        State::prepare(state.path(), None).unwrap();
    }

    #[test]
    fn each_role_owns_its_directory_and_nobody_else_looks_in() {
        let state = tempfile::tempdir().unwrap();
        let own = Users::shared();
        let identity = state.path().join(IDENTITY_DIRECTORY);
        std::fs::create_dir(&identity).unwrap();
        std::fs::write(identity.join("key.pem"), "").unwrap();
        let _held = State::prepare(state.path(), Some(&own)).unwrap();
        for name in [WATCHER_DIRECTORY, IDENTITY_DIRECTORY] {
            let meta = std::fs::metadata(state.path().join(name)).unwrap();
            assert_eq!(meta.uid(), own.of(Role::Watcher).uid);
        }
        let watchers = state.path().join(WATCHER_DIRECTORY);
        let mode = std::fs::metadata(watchers).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_has_another_name_elsewhere_does_not_change_hands() {
        let state = tempfile::tempdir().unwrap();
        let identity = state.path().join(IDENTITY_DIRECTORY);
        std::fs::create_dir(&identity).unwrap();
        let elsewhere = state.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        for link in ["hard", "soft"] {
            let path = identity.join(link);
            match link {
                "hard" => std::fs::hard_link(&elsewhere, &path).unwrap(),
                _ => std::os::unix::fs::symlink(&elsewhere, &path).unwrap(),
            }
            let refused = State::prepare(state.path(), Some(&Users::shared()));
            assert!(matches!(refused, Err(StateError::Strange { .. })), "{link}");
            std::fs::remove_file(path).unwrap();
        }
    }
}
