//! Events of whole filesystems: fanotify with directory handles and names.
//!
//! A group is made and its marks are placed by the marker, which has `CAP_SYS_ADMIN`; the watcher,
//! which has not, reads the descriptor. Events carry the handle of a directory and a name in it,
//! never an open file, so nothing waits for this program and nothing is opened by listening. The
//! queue is the kernel's bounded one: an overflow says so and a rescan is owed.
//!
//! What comes from the descriptor is the kernel's word; it is parsed as if it were not.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;

use crate::{SysError, checked};

pub mod permission;

/// Bytes of the largest file handle (`MAX_HANDLE_SZ` of the kernel).
pub const HANDLE: usize = 128;

/// Bytes to read events into: some 5,000 of them.
pub const BUFFER: usize = 256 * 1024;

/// A file was written and closed.
pub const CLOSE_WRITE: u64 = libc::FAN_CLOSE_WRITE;
/// Something appeared under this name by a rename.
pub const MOVED_TO: u64 = libc::FAN_MOVED_TO;
/// Something left this name by a rename.
pub const MOVED_FROM: u64 = libc::FAN_MOVED_FROM;
/// Something was created.
pub const CREATE: u64 = libc::FAN_CREATE;
/// Something was deleted.
pub const DELETE: u64 = libc::FAN_DELETE;
/// It is a directory.
pub const ONDIR: u64 = libc::FAN_ONDIR;
/// Events were lost: everything is to be looked at again.
pub const OVERFLOW: u64 = libc::FAN_Q_OVERFLOW;

/// What a mark asks for. Not `FAN_MODIFY`, which is a flood.
const MASK: u64 = CLOSE_WRITE | MOVED_TO | MOVED_FROM | CREATE | DELETE | ONDIR;

/// What receives events.
#[derive(Debug)]
pub struct Group(OwnedFd);

impl Group {
    /// A new group: notification only, directory handles and names, a bounded queue, not blocking.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` on older kernels; `EINVAL` before Linux 5.9; `ENOSYS` without
    /// fanotify.
    pub fn new() -> Result<Group, SysError> {
        let flags = libc::FAN_CLASS_NOTIF
            | libc::FAN_REPORT_DFID_NAME
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK;
        let event_flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE;
        // SAFETY: takes integers only.
        let number = unsafe { libc::fanotify_init(flags, event_flags.unsigned_abs()) };
        let number = checked("fanotify_init", number)?;
        // SAFETY: the kernel has just made this descriptor for this call alone.
        Ok(Group(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// A group that somebody else made and passed on.
    #[must_use]
    pub fn received(descriptor: OwnedFd) -> Group {
        Group(descriptor)
    }

    /// Marks the whole filesystem that `on`, a readable directory of it, lies on.
    ///
    /// # Errors
    /// `EXDEV` on a btrfs subvolume, `EOPNOTSUPP` or `ENODEV` on what has no handles (overlay),
    /// `EPERM` without `CAP_SYS_ADMIN`.
    pub fn mark_filesystem(&self, on: BorrowedFd<'_>) -> Result<(), SysError> {
        self.mark(libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM, on)
    }

    /// Marks one directory and what lies directly in it. Needs no capability.
    ///
    /// # Errors
    /// As [`mark_filesystem`](Group::mark_filesystem), and `ENOSPC` over the limit on marks.
    pub fn mark_directory(&self, directory: BorrowedFd<'_>) -> Result<(), SysError> {
        self.mark(libc::FAN_MARK_ADD, directory)
    }

    fn mark(&self, flags: libc::c_uint, on: BorrowedFd<'_>) -> Result<(), SysError> {
        let children = libc::FAN_EVENT_ON_CHILD;
        let (group, directory) = (self.0.as_raw_fd(), on.as_raw_fd());
        // SAFETY: a null path means the descriptor itself; the rest are integers.
        let result = unsafe {
            libc::fanotify_mark(group, flags, MASK | children, directory, std::ptr::null())
        };
        checked("fanotify_mark", result).map(drop)
    }

    /// Reads what has happened into `buffer` (of [`BUFFER`] bytes) without waiting; the bytes go to
    /// [`events`]. None when nothing has happened.
    ///
    /// # Errors
    /// When the group cannot be read.
    pub fn read<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], SysError> {
        loop {
            return match nix::unistd::read(&self.0, buffer) {
                Ok(length) => Ok(&buffer[..length]),
                Err(nix::errno::Errno::EAGAIN) => Ok(&[]),
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => Err(SysError::of("read of fanotify events", errno)),
            };
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Group> for OwnedFd {
    fn from(group: Group) -> OwnedFd {
        group.0
    }
}

/// A filesystem as events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilesystemId(pub [i32; 2]);

impl FilesystemId {
    /// Of the filesystem that a descriptor lies on.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(descriptor: BorrowedFd<'_>) -> Result<FilesystemId, SysError> {
        let stats = fstatfs(descriptor).map_err(|errno| SysError::of("fstatfs", errno))?;
        let id = stats.filesystem_id();
        // SAFETY: `fsid_t` is two 32-bit integers, which the kernel has filled; any bits are valid.
        Ok(FilesystemId(unsafe {
            std::mem::transmute::<libc::fsid_t, [i32; 2]>(id)
        }))
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened: the constants of this module.
    pub mask: u64,
    /// Who did it; 0 where the group was made without `CAP_SYS_ADMIN`, or the process is in another
    /// pid namespace.
    pub pid: i32,
    /// In which directory, under which name.
    pub at: Option<At<'a>>,
}

/// A directory and a name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At<'a> {
    /// The directory.
    pub directory: Handle<'a>,
    /// The name, raw; `.` for the directory itself.
    pub name: &'a [u8],
}

/// A file handle: names an inode for as long as it lives, whatever its path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle<'a> {
    /// On which filesystem.
    pub filesystem: FilesystemId,
    /// The filesystem's own kind of handle.
    pub kind: i32,
    /// The filesystem's own bytes, at most [`HANDLE`].
    pub bytes: &'a [u8],
}

/// Where a directory is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Here, as seen from the mount that was given.
    Path(PathBuf),
    /// It is gone.
    Gone,
}

impl Handle<'_> {
    /// Where this directory is now. `mount` is any open directory of its filesystem (not `O_PATH`).
    /// Needs `CAP_DAC_READ_SEARCH`.
    ///
    /// # Errors
    /// Names the call; a directory that has gone meanwhile is no error.
    pub fn resolve(&self, mount: BorrowedFd<'_>) -> Result<Resolved, SysError> {
        let Some(mut raw) = RawHandle::of(self) else {
            return Ok(Resolved::Gone);
        };
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        let handle = (&raw mut raw).cast::<libc::file_handle>();
        // SAFETY: `raw` has the layout of `file_handle` followed by `HANDLE` bytes, of which the
        // first `handle_bytes` are set; the kernel only reads it.
        let number = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), handle, flags) };
        let number = match checked("open_by_handle_at", number) {
            Err(error) if error.errno() == Some(libc::ESTALE) => return Ok(Resolved::Gone),
            other => other?,
        };
        // SAFETY: the kernel has just made this descriptor for this call alone.
        let directory = unsafe { OwnedFd::from_raw_fd(number) };
        path_of(directory.as_fd())
    }
}

/// The path under which the kernel knows an open directory.
fn path_of(directory: BorrowedFd<'_>) -> Result<Resolved, SysError> {
    let stat = fstat(directory).map_err(|errno| SysError::of("fstat", errno))?;
    if stat.st_nlink == 0 {
        return Ok(Resolved::Gone);
    }
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path: OsString = nix::fcntl::readlink(link.as_str())
        .map_err(|errno| SysError::of("readlink(/proc/self/fd)", errno))?;
    // What lies outside of the mount has no path from here.
    if path.as_encoded_bytes().starts_with(b"/") {
        Ok(Resolved::Path(PathBuf::from(path)))
    } else {
        Ok(Resolved::Gone)
    }
}

/// `struct file_handle` with room for the largest handle.
#[repr(C)]
struct RawHandle {
    handle_bytes: u32,
    handle_type: i32,
    f_handle: [u8; HANDLE],
}

impl RawHandle {
    fn of(handle: &Handle<'_>) -> Option<RawHandle> {
        let mut raw = RawHandle {
            handle_bytes: u32::try_from(handle.bytes.len()).ok()?,
            handle_type: handle.kind,
            f_handle: [0; HANDLE],
        };
        raw.f_handle
            .get_mut(..handle.bytes.len())?
            .copy_from_slice(handle.bytes);
        Some(raw)
    }
}

/// The events in what was read, up to the first that is malformed.
pub fn events(read: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut rest = read;
    std::iter::from_fn(move || {
        let (event, after) = one(rest)?;
        rest = after;
        Some(event)
    })
}

/// Bytes of `struct fanotify_event_metadata`.
const METADATA: usize = 24;
/// Bytes of `struct fanotify_event_info_header` with the filesystem id behind it.
const INFO: usize = 12;
/// Bytes of `struct file_handle` before its own bytes.
const HANDLE_HEAD: usize = 8;

fn one(rest: &[u8]) -> Option<(Event<'_>, &[u8])> {
    let length = usize::try_from(u32_at(rest, 0)?).ok()?;
    let version = *rest.get(4)?;
    let head = usize::from(u16::from_ne_bytes(array(rest, 6)?));
    if version != libc::FANOTIFY_METADATA_VERSION || head < METADATA || length < head {
        return None;
    }
    let (event, after) = rest.split_at_checked(length)?;
    let mask = u64::from_ne_bytes(array(event, 8)?);
    let pid = i32::from_ne_bytes(array(event, 20)?);
    let at = records(event.get(head..)?);
    Some((Event { mask, pid, at }, after))
}

/// The directory and name among an event's records.
fn records(mut rest: &[u8]) -> Option<At<'_>> {
    while let Some(&kind) = rest.first() {
        let length = usize::from(u16::from_ne_bytes(array(rest, 2)?));
        if length < 4 {
            return None;
        }
        let (record, after) = rest.split_at_checked(length)?;
        if kind == libc::FAN_EVENT_INFO_TYPE_DFID_NAME || kind == libc::FAN_EVENT_INFO_TYPE_DFID {
            return directory(record);
        }
        rest = after;
    }
    None
}

fn directory(record: &[u8]) -> Option<At<'_>> {
    let filesystem = FilesystemId([i32_at(record, 4)?, i32_at(record, 8)?]);
    let bytes = usize::try_from(u32_at(record, INFO)?).ok()?;
    let kind = i32_at(record, INFO + 4)?;
    if bytes > HANDLE {
        return None;
    }
    let (handle, name) = record.get(INFO + HANDLE_HEAD..)?.split_at_checked(bytes)?;
    let end = name
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(name.len());
    Some(At {
        directory: Handle {
            filesystem,
            kind,
            bytes: handle,
        },
        name: if end == 0 { b"." } else { &name[..end] },
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_ne_bytes)
}

/// Opens a directory to mark its filesystem and to resolve its handles: readable, never followed
/// from a link, never a terminal's.
///
/// # Errors
/// Names the call.
pub fn open_directory(path: &std::path::Path) -> Result<OwnedFd, SysError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map(OwnedFd::from)
        .map_err(|source| SysError {
            call: "open of a mount point",
            source,
        })
}

#[cfg(test)]
mod tests;
