//! One host, seen from its root: this one, or another's below a directory.
//!
//! Everything that asks about users, mounts, processes, units or permissions asks a [`Root`], so that
//! a mounted disk, a container's root and a fixture answer exactly as the live host does. With a
//! directory, every path is resolved *inside* it: an absolute symlink or `..` of a hostile image never
//! leads out. Answers are cached, bounded, and forgotten on [`Root::forget`].
//!
//! Nothing here reads a file's content for secrets, and names are passed on raw: they are cleaned in
//! the detector.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub mod accounts;
pub mod container;
pub mod mounts;
pub mod packages;
pub mod process;
pub mod reach;
pub mod repository;
pub mod rpm;
pub mod units;

pub use accounts::{Accounts, Home};
pub use mounts::{Mounts, SkipWhy};
pub use process::{ProcessDirectory, ProcessFacts};

/// Symlinks followed in one path, as in the kernel. Stops: loops.
const LINKS: usize = 40;
/// Bytes of a system file (passwd, mountinfo, a unit) that are read. Stops: a hostile image whose
/// passwd is a gigabyte.
const SYSTEM_FILE: usize = 16 << 20;

/// A host's root directory.
pub struct Root {
    directory: OwnedFd,
    base: Option<PathBuf>,
    in_root: bool,
    accounts: Mutex<Option<Arc<Accounts>>>,
    mounts: Mutex<Option<Arc<Mounts>>>,
    pub(crate) directories: Mutex<reach::Directories>,
    pub(crate) units: Mutex<units::Cache>,
}

/// A root could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {path} as a root directory", path = .path.display())]
pub struct RootError {
    path: PathBuf,
    #[source]
    source: Errno,
}

impl Root {
    /// This host.
    ///
    /// # Errors
    /// When `/` cannot be opened.
    pub fn live() -> Result<Root, RootError> {
        Root::open_directory(Path::new("/"), None)
    }

    /// Another host's root below `directory`.
    ///
    /// # Errors
    /// When it cannot be opened or is no directory.
    pub fn at(directory: &Path) -> Result<Root, RootError> {
        Root::open_directory(directory, Some(directory.to_owned()))
    }

    fn open_directory(path: &Path, base: Option<PathBuf>) -> Result<Root, RootError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|source| RootError {
                path: path.to_owned(),
                source,
            })?;
        let probe = rustix::fs::openat2(&directory, ".", flags, Mode::empty(), Root::inside());
        Ok(Root {
            directory,
            base,
            in_root: probe.is_ok(),
            accounts: Mutex::default(),
            mounts: Mutex::default(),
            directories: Mutex::default(),
            units: Mutex::default(),
        })
    }

    /// Opens `path` as [`open`](Root::open) does, but for somebody else's symbolic links on the way: a
    /// directory that was a directory when a path was found may be a link by now, and whoever put it
    /// there chose where it leads. A link is followed where it is root's or this process's own user's,
    /// or where its owner owns what is opened in the end.
    ///
    /// # Errors
    /// The kernel's; `ELOOP` where a link is not followed.
    pub fn open_guarded(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.in_root {
            // Hardly any path has a link in it: then this is all.
            let without = Root::inside() | ResolveFlags::NO_SYMLINKS;
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), without) {
                Err(Errno::LOOP | Errno::AGAIN) => {}
                done => return done,
            }
        }
        let mut owners = Vec::new();
        let opened = self.open_by_components(path, flags, &mut |owner| owners.push(owner))?;
        let own = rustix::process::geteuid().as_raw();
        owners.retain(|&owner| owner != 0 && owner != own);
        if !owners.is_empty() {
            let owner = rustix::fs::fstat(&opened)?.st_uid;
            if owners.iter().any(|&of_link| of_link != owner) {
                return Err(Errno::LOOP);
            }
        }
        Ok(opened)
    }

    fn inside() -> ResolveFlags {
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS
    }

    /// Whether this is the running host, with live processes and mounts.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.base.is_none()
    }

    /// Opens `path`, named as this host names it, close-on-exec. Symlinks in its directories are
    /// followed inside the root; the last name is not followed when `flags` say so.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.is_live() {
            return rustix::fs::open(path, flags, Mode::empty());
        }
        if !self.in_root {
            return self.open_by_components(path, flags, &mut |_| ());
        }
        // EAGAIN: a rename raced with `..`; the kernel asks to try again.
        for _ in 0..8 {
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), Root::inside()) {
                Err(Errno::AGAIN) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The way without `openat2` (before Linux 5.6, or forbidden): every name is opened on its own
    /// without following, and links are resolved here, where the owner of each is told.
    fn open_by_components(
        &self,
        path: &Path,
        flags: OFlags,
        followed: &mut dyn FnMut(u32),
    ) -> Result<OwnedFd, Errno> {
        let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut above: Vec<OwnedFd> = Vec::new();
        let mut rest: Vec<Vec<u8>> = reversed_names(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                above.pop();
                continue;
            }
            let parent = above.last().map_or(self.directory.as_fd(), AsFd::as_fd);
            let found = rustix::fs::openat(parent, OsStr::from_bytes(&name), step, Mode::empty())?;
            let stat = rustix::fs::fstat(&found)?;
            let is_link =
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink;
            let last = rest.is_empty();
            if is_link && !(last && flags.contains(OFlags::NOFOLLOW)) {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                followed(stat.st_uid);
                // Of the link that was looked at, which may be another by now.
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    above.clear();
                }
                rest.extend(reversed_names(target));
            } else if last {
                let name = OsStr::from_bytes(&name);
                return rustix::fs::openat(parent, name, flags | OFlags::NOFOLLOW, Mode::empty());
            } else {
                above.push(found);
            }
        }
        let here = above.last().map_or(self.directory.as_fd(), AsFd::as_fd);
        rustix::fs::openat(here, ".", flags - OFlags::NOFOLLOW, Mode::empty())
    }

    /// Reads a system file of at most `limit` bytes.
    ///
    /// # Errors
    /// The kernel's; `EFBIG` when it is longer, `EINVAL` when it is no regular file.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, Errno> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        read_all(&file, limit)
    }

    /// The names in a directory, at most `limit`, in no order; `.` and `..` left out.
    ///
    /// # Errors
    /// The kernel's.
    pub fn list(&self, path: &Path, limit: usize) -> Result<Vec<Vec<u8>>, Errno> {
        let directory = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
            if names.len() >= limit {
                break;
            }
        }
        Ok(names)
    }

    /// Users, groups and homes.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        let mut cached = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cached.get_or_insert_with(|| Arc::new(Accounts::read(self))))
    }

    /// Mounts of the live host; none below a directory, where the filesystem itself is asked.
    #[must_use]
    pub fn mounts(&self) -> Arc<Mounts> {
        let mut cached = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cached.get_or_insert_with(|| Arc::new(Mounts::read(self))))
    }

    /// What is mounted right now.
    pub fn mounts_now(&self) -> Arc<Mounts> {
        let mounts = Arc::new(Mounts::read(self));
        *self.mounts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&mounts));
        mounts
    }

    /// Forgets what was cached: to be called from time to time, and when mounts or users change.
    pub fn forget(&self) {
        *self.accounts.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.mounts.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.units
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Reads an open regular file to its end, at most `limit` bytes.
///
/// # Errors
/// The kernel's; `EFBIG` when it is longer, `EINVAL` when it is neither a regular file.
pub fn read_all(file: &OwnedFd, limit: usize) -> Result<Vec<u8>, Errno> {
    let stat = rustix::fs::fstat(file)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut text = Vec::new();
    let mut chunk = [0_u8; 8192];
    loop {
        match rustix::io::read(file, &mut chunk) {
            Ok(0) => return Ok(text),
            Ok(count) if text.len() + count > limit => return Err(Errno::FBIG),
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR) => {}
            Err(why) => return Err(why),
        }
    }
}

fn reversed_names(path: &Path) -> Vec<Vec<u8>> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.as_bytes().to_vec()),
            Component::ParentDir => Some(b"..".to_vec()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
