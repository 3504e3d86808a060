//! Walks a tree: every regular file once, nothing followed, nothing kept but the way.
//!
//! Entries come from `getdents` into one reused buffer with their kind beside them, so a file costs
//! its open, and no more memory than its name. Directories wait on a stack by path. A directory of
//! another filesystem is entered or passed as the host's mounts say; the start is always entered.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Stat};
use rustix::io::Errno;

use crate::host::{Mounts, Root, mounts};
use crate::open::{Opener, Refusal};

/// Bytes of entries asked for at once.
const ENTRIES: usize = 64 << 10;

/// Whether a directory is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Read what is in it.
    Enter,
    /// Leave it out: it was not asked for.
    Pass,
}

/// What a walk does with what it comes to.
pub(super) trait Visit {
    /// Whether a directory is entered.
    fn choose(&mut self, directory: &Path) -> Choice;
    /// Whether a file is opened.
    fn wants(&mut self, path: &[u8]) -> bool;
    /// How files are opened.
    fn opener(&self) -> &Opener;
    /// A regular file, open.
    fn file(&mut self, path: &[u8], file: OwnedFd, stat: &Stat) -> anyhow::Result<()>;
    /// Something that is not read, and why.
    fn refused(&mut self, path: &[u8], slug: &'static str);
}

/// A walk on one host.
pub(super) struct Walk<'r> {
    root: &'r Root,
    mounts: Arc<Mounts>,
    /// Directories to enter, with the device of the one above.
    waiting: Vec<(PathBuf, Option<u64>)>,
    /// The path of the entry at hand.
    path: Vec<u8>,
}

impl<'r> Walk<'r> {
    pub(super) fn new(root: &'r Root) -> Walk<'r> {
        Walk {
            root,
            mounts: root.mounts(),
            waiting: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Walks from `start`; a start that is not there is no fault.
    ///
    /// # Errors
    /// The visitor's.
    pub(super) fn run(&mut self, start: &Path, visit: &mut dyn Visit) -> anyhow::Result<()> {
        let mut entries = vec![MaybeUninit::uninit(); ENTRIES];
        // A start may be a link that a person or a watch set names, and it may be a file.
        self.waiting.push((start.to_owned(), None));
        while let Some((directory, above)) = self.waiting.pop() {
            let nofollow = if above.is_some() {
                OFlags::NOFOLLOW
            } else {
                OFlags::empty()
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | nofollow;
            let name = directory.as_os_str().as_bytes();
            // What a person named is opened as it is; on the way down anybody may put a link.
            let opened = match above {
                Some(_) => self.root.open_guarded(&directory, flags),
                None => self.root.open(&directory, flags),
            };
            match opened {
                Ok(open) => self.directory(&directory, &open, above, &mut entries, visit)?,
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR) if above.is_none() => self.single(&directory, visit)?,
                Err(errno) => {
                    let step = "open the directory";
                    visit.refused(name, Refusal::Unreadable { step, errno }.slug());
                }
            }
        }
        Ok(())
    }

    fn single(&mut self, path: &Path, visit: &mut dyn Visit) -> anyhow::Result<()> {
        let name = path.as_os_str().as_bytes();
        if !visit.wants(name) {
            return Ok(());
        }
        match visit.opener().regular_file(path) {
            Ok((file, stat)) => visit.file(name, file, &stat),
            Err(why) => {
                visit.refused(name, why.slug());
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        directory: &Path,
        open: &OwnedFd,
        above: Option<u64>,
        entries: &mut [MaybeUninit<u8>],
        visit: &mut dyn Visit,
    ) -> anyhow::Result<()> {
        let name = directory.as_os_str().as_bytes();
        let device = match rustix::fs::fstat(open) {
            Ok(stat) => stat.st_dev,
            Err(errno) => {
                visit.refused(
                    name,
                    Refusal::Unreadable {
                        step: "fstat",
                        errno,
                    }
                    .slug(),
                );
                return Ok(());
            }
        };
        if above.is_some_and(|above| above != device) {
            let skipped = self.mounts.skipped(directory);
            if let Some(why) = skipped.or_else(|| mounts::skipped_by_magic(open)) {
                visit.refused(name, why.slug());
                return Ok(());
            }
        }
        let mut listing = RawDir::new(open, entries);
        while let Some(entry) = listing.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    let step = "list the directory";
                    visit.refused(name, Refusal::Unreadable { step, errno }.slug());
                    break;
                }
            };
            let file = entry.file_name();
            if matches!(file.to_bytes(), b"." | b"..") {
                continue;
            }
            self.path.clear();
            self.path.extend_from_slice(name);
            if !name.ends_with(b"/") {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(file.to_bytes());
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(open, file),
                kind => kind,
            };
            self.entry(kind, open, file, device, visit)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        kind: FileType,
        directory: &OwnedFd,
        name: &CStr,
        device: u64,
        visit: &mut dyn Visit,
    ) -> anyhow::Result<()> {
        match kind {
            FileType::Directory => {
                let path = Path::new(OsStr::from_bytes(&self.path));
                if let Some(why) = self.mounts.skipped(path) {
                    visit.refused(&self.path, why.slug());
                } else if visit.choose(path) == Choice::Enter {
                    self.waiting.push((path.to_owned(), Some(device)));
                }
                Ok(())
            }
            FileType::RegularFile if visit.wants(&self.path) => {
                match visit.opener().file_in(directory.as_fd(), name) {
                    Ok((file, stat)) => visit.file(&self.path, file, &stat),
                    // It went away between its name and its opening: as if never seen.
                    Err(Refusal::Unreadable {
                        errno: Errno::NOENT,
                        ..
                    }) => Ok(()),
                    Err(why) => {
                        visit.refused(&self.path, why.slug());
                        Ok(())
                    }
                }
            }
            FileType::RegularFile | FileType::Symlink | FileType::Unknown => Ok(()),
            FileType::Fifo => {
                visit.refused(&self.path, "fifo");
                Ok(())
            }
            FileType::Socket => {
                visit.refused(&self.path, "socket");
                Ok(())
            }
            _ => {
                visit.refused(&self.path, "device");
                Ok(())
            }
        }
    }
}

/// Some filesystems do not say what an entry is.
fn kind_of(directory: &OwnedFd, name: &CStr) -> FileType {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| {
            FileType::from_raw_mode(stat.st_mode)
        })
}
