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
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

pub mod accounts;
pub mod container;
pub mod mounts;
pub mod packages;
pub mod process;
pub mod reach;
pub mod repository;
pub mod rpm;
pub mod runtime;
pub mod units;
pub mod writer;

pub use accounts::{Accounts, Home};
pub use mounts::{Mounts, SkipWhy};
pub use process::{ProcessDirectory, ProcessFacts, RunningProgram};

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
    mounts: Mutex<mounts::Table>,
    /// What a person named, be it on a filesystem that may hang.
    named: OnceLock<Vec<PathBuf>>,
    pub(crate) directories: Mutex<reach::Directories>,
    pub(crate) units: Mutex<units::Cache>,
    pub(crate) containers: Mutex<runtime::Cache>,
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
            named: OnceLock::new(),
            directories: Mutex::default(),
            units: Mutex::default(),
            containers: Mutex::default(),
        })
    }

    /// Says what a person named: it is looked at even where its filesystem may hang. The first word
    /// counts.
    pub fn name(&self, named: Vec<PathBuf>) {
        let _ = self.named.set(named);
    }

    /// Opens `path` as [`open`](Root::open) does, but for what somebody else may have put in the way.
    ///
    /// A directory that was a directory when a path was found may be a symbolic link by now, and
    /// whoever put it there chose where it leads: a link is followed where it is root's or this
    /// process's own user's, or where its owner owns what is opened in the end. Or a filesystem is
    /// mounted there whose server never answers, which would hold up whoever touches it: nothing on
    /// such a one is touched unless a person named it. The mount table alone does not say where that
    /// is, since a directory above may have been renamed: no step leads onto a mount that the table
    /// does not know (where the kernel has `openat2`).
    ///
    /// # Errors
    /// The kernel's; `ELOOP` where a link is not followed, `EXDEV` where a filesystem may hang.
    pub fn open_guarded(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        let mounts = self.mounts();
        if self.may_hang(&mounts, path) {
            return Err(Errno::XDEV);
        }
        if self.in_root {
            // Hardly any path has a link in it: then this is all.
            match self.open_on_known_mount(&mounts, path, flags) {
                Err(Errno::LOOP | Errno::AGAIN | Errno::XDEV) => {}
                done => return done,
            }
        }
        let own = rustix::process::geteuid().as_raw();
        let mut strangers = Vec::new();
        let opened = self.open_by_components(path, flags, &mut |step| {
            match step {
                Step::Followed(owner) if owner != 0 && owner != own => strangers.push(owner),
                Step::Into(path) if !strangers.is_empty() && self.may_hang(&mounts, path) => {
                    return Err(Errno::XDEV);
                }
                Step::Onto(path) if !mounts.is_point(path) || self.may_hang(&mounts, path) => {
                    return Err(Errno::XDEV);
                }
                Step::Followed(_) | Step::Into(_) | Step::Onto(_) => {}
            }
            Ok(())
        })?;
        if !strangers.is_empty() {
            let owner = rustix::fs::fstat(&opened)?.st_uid;
            if strangers.iter().any(|&of_link| of_link != owner) {
                return Err(Errno::LOOP);
            }
        }
        Ok(opened)
    }

    /// Opens a path without a link and without a mount on the way but the one that the table says.
    fn open_on_known_mount(
        &self,
        mounts: &Mounts,
        path: &Path,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        let plain = Root::inside() | ResolveFlags::NO_SYMLINKS;
        let (open, none) = (rustix::fs::openat2::<&OwnedFd, &Path>, Mode::empty());
        let within = plain | ResolveFlags::NO_XDEV;
        if !self.is_live() {
            return open(&self.directory, path, flags, none, plain);
        }
        match open(&self.directory, path, flags, none, within) {
            Err(Errno::XDEV) => {}
            done => return done,
        }
        let point = &mounts.around(path).ok_or(Errno::XDEV)?.point;
        let rest = path.strip_prefix(point).map_err(|_| Errno::XDEV)?;
        if rest.as_os_str().is_empty() {
            return open(&self.directory, point, flags, none, plain);
        }
        let on = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let on = open(&self.directory, point, on, none, plain)?;
        open(&on, rest, flags, none, within)
    }

    fn may_hang(&self, mounts: &Mounts, path: &Path) -> bool {
        // What is mounted below a named place was not named.
        let named = |point: &Path| {
            let mut all = self.named.get().into_iter().flatten();
            all.any(|named| named.starts_with(point))
        };
        mounts.that_may_hang(path).any(|point| !named(point))
    }

    /// What lies at `path` itself, opened as [`open_guarded`](Root::open_guarded) does.
    ///
    /// # Errors
    /// The same.
    pub fn look(&self, path: &Path) -> Result<Stat, Errno> {
        let found = self.open_guarded(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        rustix::fs::fstat(&found)
    }

    /// What is in the directory at `path`, opened as [`open_guarded`](Root::open_guarded) does.
    ///
    /// # Errors
    /// The same.
    pub fn entries(&self, path: &Path) -> Result<Entries, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let directory = self.open_guarded(path, flags)?;
        Ok(Entries {
            path: path.to_owned(),
            read: rustix::fs::Dir::read_from(&directory)?,
            directory,
        })
    }

    /// Reads a file of at most `limit` bytes that an ordinary user may have put there: opened as
    /// [`open_guarded`](Root::open_guarded) does, and only once it is seen to be a regular file, since
    /// opening a device is a deed.
    ///
    /// # Errors
    /// As of [`read`](Root::read) and [`open_guarded`](Root::open_guarded).
    pub fn read_guarded(&self, path: &Path, limit: usize) -> Result<Vec<u8>, Errno> {
        let name = self.open_guarded(path, OFlags::PATH)?;
        let stat = rustix::fs::fstat(&name)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let own = format!("/proc/self/fd/{}", name.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        read_all(
            &rustix::fs::open(own.as_str(), flags, Mode::empty())?,
            limit,
        )
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
            return self.open_by_components(path, flags, &mut |_| Ok(()));
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
    /// without following, and links are resolved here, where each step is told before it is made.
    fn open_by_components(
        &self,
        path: &Path,
        flags: OFlags,
        step: &mut dyn FnMut(Step<'_>) -> Result<(), Errno>,
    ) -> Result<OwnedFd, Errno> {
        let bare = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut above: Vec<OwnedFd> = Vec::new();
        let mut here = PathBuf::from("/");
        let mut rest: Vec<Vec<u8>> = reversed_names(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                above.pop();
                here.pop();
                continue;
            }
            let name = OsStr::from_bytes(&name);
            here.push(name);
            step(Step::Into(&here))?;
            let parent = above.last().map_or(self.directory.as_fd(), AsFd::as_fd);
            let found = self.open_step(parent, &here, bare, step)?;
            let stat = rustix::fs::fstat(&found)?;
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            let last = rest.is_empty();
            if is_link && !(last && flags.contains(OFlags::NOFOLLOW)) {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                step(Step::Followed(stat.st_uid))?;
                // Of the link that was looked at, which may be another by now.
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                here.pop();
                if target.is_absolute() {
                    above.clear();
                    here = PathBuf::from("/");
                }
                rest.extend(reversed_names(target));
            } else if last {
                return self.open_step(parent, &here, flags | OFlags::NOFOLLOW, step);
            } else {
                above.push(found);
            }
        }
        let here = above.last().map_or(self.directory.as_fd(), AsFd::as_fd);
        rustix::fs::openat(here, ".", flags - OFlags::NOFOLLOW, Mode::empty())
    }

    /// Opens the last name of `here` in its directory; what is mounted on it is told first.
    fn open_step(
        &self,
        parent: BorrowedFd<'_>,
        here: &Path,
        flags: OFlags,
        step: &mut dyn FnMut(Step<'_>) -> Result<(), Errno>,
    ) -> Result<OwnedFd, Errno> {
        let (name, none) = (here.file_name().unwrap_or_default(), Mode::empty());
        if self.in_root {
            let stay = ResolveFlags::NO_XDEV;
            match rustix::fs::openat2(parent, name, flags, none, stay) {
                Err(Errno::XDEV) => step(Step::Onto(here))?,
                done => return done,
            }
        }
        rustix::fs::openat(parent, name, flags, none)
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

    /// Reads the mount table again: a mount point whose directory was renamed is no change that the
    /// kernel tells of.
    #[must_use]
    pub fn mounts_again(&self) -> Arc<Mounts> {
        let mut table = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget();
        table.now(self)
    }

    /// What is mounted on the live host right now; none below a directory, where the filesystem itself
    /// is asked.
    #[must_use]
    pub fn mounts(&self) -> Arc<Mounts> {
        let mut table = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        table.now(self)
    }

    /// Forgets what was cached: to be called from time to time, and when users change.
    pub fn forget(&self) {
        *self.accounts.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let containers = self.containers.lock();
        *containers.unwrap_or_else(PoisonError::into_inner) = runtime::Cache::default();
        self.units
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// A step of a path that is resolved name by name.
enum Step<'a> {
    /// What lies here is looked at next.
    Into(&'a Path),
    /// Something is mounted here.
    Onto(&'a Path),
    /// A link of this owner is followed.
    Followed(u32),
}

/// Opens what has this name, or path, in an open directory: no link is followed, and what is mounted
/// there is left alone, since it may hang.
///
/// # Errors
/// The kernel's; `EXDEV` where something is mounted.
pub fn open_in(directory: BorrowedFd<'_>, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stay = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(directory, name, flags, Mode::empty(), stay) {
        Err(Errno::NOSYS) => rustix::fs::openat(directory, name, flags, Mode::empty()),
        done => done,
    }
}

/// What has this name, or path, in an open directory, looked at as [`open_in`] does.
///
/// # Errors
/// The same.
pub fn look_in(directory: impl AsFd, name: &Path) -> Result<Stat, Errno> {
    let found = open_in(directory.as_fd(), name, OFlags::PATH)?;
    rustix::fs::fstat(&found)
}

/// What is in a directory, as it is read.
pub struct Entries {
    path: PathBuf,
    directory: OwnedFd,
    read: rustix::fs::Dir,
}

impl Iterator for Entries {
    type Item = Result<(PathBuf, FileType), Errno>;

    /// The next entry but `.` and `..`, and what it is; or why one, or all that is left, cannot be said.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.read.next()? {
                Ok(entry) => entry,
                Err(why) => return Some(Err(why)),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let name = Path::new(OsStr::from_bytes(name.to_bytes()));
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                // Some filesystems leave the question to who asks.
                kind = match look_in(&self.directory, name) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue, // removed since
                    Err(why) => return Some(Err(why)),
                };
            }
            return Some(Ok((self.path.join(name), kind)));
        }
    }
}

/// Reads an open regular file to its end, at most `limit` bytes.
///
/// # Errors
/// The kernel's; `EFBIG` when it is longer, `EINVAL` when it is neither a regular file.
pub fn read_all(file: &OwnedFd, limit: usize) -> Result<Vec<u8>, Errno> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
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
