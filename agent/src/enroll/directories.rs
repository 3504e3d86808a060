//! The directories that an enrollment writes into as root, and hands over to the roles.
//!
//! Whose directory it is chooses what its names lead to. So the identity is written into one that is
//! still the enroller's own and holds nothing but what an enrollment that was cut off left; the watcher's
//! directory, which keeps its ledger, may be the watcher's since long, and nothing there is followed. What
//! changes hands is the directory itself, looked at while it is held open, and never what lies in it under a
//! name that somebody may have chosen: a link to `/etc/shadow`, a second name of the other role's key.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Uid, fchownat};

use crate::identity::{self, IdentityError};

/// May be renamed or removed by its owner alone, in a directory that others write into (`S_ISVTX`).
const STICKY: u32 = 0o1000;

/// Sees that nobody else may change what lies in the state directory.
pub(super) fn see_state(state: &Path) -> Result<(), IdentityError> {
    let found = std::fs::metadata(state).map_err(|why| failed("looking at", state)(why))?;
    let own = Uid::effective().as_raw();
    let others_write = found.mode() & 0o002 != 0 && found.mode() & STICKY == 0;
    if others_write || ![own, 0].contains(&found.uid()) {
        let what = "can be changed by another user than root and the one who enrolls";
        return Err(strange(state, what));
    }
    Ok(())
}

/// Makes the directory of the identity, or takes one that is this user's own and holds nothing else.
pub(super) fn own(directory: &Path) -> Result<(), IdentityError> {
    identity::private_directory(directory)?;
    if !is_own(directory)? {
        // The reporter's, of an identity that was retired: empty, it may go.
        let _ = std::fs::remove_dir(directory);
        identity::private_directory(directory)?;
        if !is_own(directory)? {
            let what =
                "belongs to another user, who could choose what the new identity is written into";
            return Err(strange(directory, what));
        }
    }
    let entries = std::fs::read_dir(directory).map_err(failed("listing", directory))?;
    for entry in entries {
        let entry = entry.map_err(failed("listing", directory))?;
        let (name, path) = (entry.file_name(), entry.path());
        let found = entry.metadata().map_err(failed("looking at", &path))?;
        let known = name.to_str().is_some_and(identity::is_own_name);
        if !known || !found.is_file() || found.nlink() != 1 {
            return Err(strange(&path, "is nothing that an enrollment writes"));
        }
    }
    Ok(())
}

/// Makes the directory of the watcher, or takes the one that is there, whose ever it is.
pub(super) fn take(directory: &Path) -> Result<(), IdentityError> {
    identity::private_directory(directory)?;
    opened(directory).map(drop)
}

/// Hands a directory over to `owner`, where there is one. What lies in it stays whose it is: what an
/// enrollment writes was its owner's from the start.
pub(super) fn give(directory: &Path, owner: Option<Uid>) -> Result<(), IdentityError> {
    let Some(owner) = owner else {
        return Ok(());
    };
    let held = opened(directory)?;
    fchownat(held, "", Some(owner), None, AtFlags::AT_EMPTY_PATH)
        .map_err(refused("handing over", directory))
}

fn is_own(directory: &Path) -> Result<bool, IdentityError> {
    let held = opened(directory)?;
    let found = fstat(&held).map_err(refused("looking at", directory))?;
    Ok(found.st_uid == Uid::effective().as_raw() && found.st_mode & 0o022 == 0)
}

/// A directory, and no link to one.
fn opened(directory: &Path) -> Result<OwnedFd, IdentityError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(directory, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ELOOP | Errno::ENOTDIR => strange(directory, "is no directory of its own"),
        errno => refused("opening", directory)(errno),
    })
}

fn strange(path: &Path, what: &'static str) -> IdentityError {
    IdentityError::Strange {
        path: path.to_owned(),
        what,
    }
}

fn refused(step: &'static str, path: &Path) -> impl FnOnce(Errno) -> IdentityError {
    let failed = failed(step, path);
    move |errno| failed(errno.into())
}

fn failed(step: &'static str, path: &Path) -> impl Fn(std::io::Error) -> IdentityError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| IdentityError::File {
        step,
        path: path.clone(),
        source,
    }
}
