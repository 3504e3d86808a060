//! Opens of single files that the kernel holds until this program has answered.
//!
//! The kernel waits for as long as it takes, and with it every process that opens a marked file: who
//! uses this owes the host an answer. So there is no way to refuse an open here, and none to forget
//! one: what was taken is allowed when it is dropped. What was not taken is allowed by the kernel when
//! the last descriptor of the group is closed, which the end of the process does.

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::{METADATA, array, i32_at, u32_at};
use crate::{SysError, checked};

/// Opens that one call takes at most: each has a descriptor of this process until it is answered.
pub const AT_ONCE: usize = 16;

/// What holds opens. It marks files, and no filesystem: only what it was told to.
#[derive(Debug)]
pub struct PermissionGroup {
    group: OwnedFd,
    /// Whether the kernel refused an answer.
    refused: Cell<bool>,
}

/// An open that waits. Dropping it allows it.
#[derive(Debug)]
pub struct Held<'a> {
    /// Who opens; 0 for a process of another pid namespace than this one's.
    pub pid: i32,
    /// The kernel's name of the question: a descriptor of the file that is opened.
    file: OwnedFd,
    group: &'a PermissionGroup,
}

impl PermissionGroup {
    /// A new group, not blocking, that holds nothing yet.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`; `ENOSYS` without fanotify.
    pub fn new() -> Result<PermissionGroup, SysError> {
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let event_flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE;
        // SAFETY: takes integers only.
        let number = unsafe { libc::fanotify_init(flags, event_flags.unsigned_abs()) };
        let number = checked("fanotify_init(FAN_CLASS_CONTENT)", number)?;
        // SAFETY: the kernel has just made this descriptor for this call alone.
        let group = unsafe { OwnedFd::from_raw_fd(number) };
        let refused = Cell::new(false);
        Ok(PermissionGroup { group, refused })
    }

    /// From now on every open of `file`, by whatever path, waits for an answer. Needs no capability.
    ///
    /// # Errors
    /// `EINVAL` in a kernel without permission events (`CONFIG_FANOTIFY_ACCESS_PERMISSIONS`); `ENOSPC`
    /// over the limit on marks.
    pub fn hold(&self, file: BorrowedFd<'_>) -> Result<(), SysError> {
        self.mark(libc::FAN_MARK_ADD, file)
    }

    /// From now on no open of `file` waits. What waits already is still to be answered.
    ///
    /// # Errors
    /// `ENOENT` when it was not held.
    pub fn let_go(&self, file: BorrowedFd<'_>) -> Result<(), SysError> {
        self.mark(libc::FAN_MARK_REMOVE, file)
    }

    fn mark(&self, flags: libc::c_uint, file: BorrowedFd<'_>) -> Result<(), SysError> {
        let (group, file) = (self.group.as_raw_fd(), file.as_raw_fd());
        // SAFETY: a null path means the descriptor itself; the rest are integers.
        let result = unsafe {
            libc::fanotify_mark(group, flags, libc::FAN_OPEN_PERM, file, std::ptr::null())
        };
        checked("fanotify_mark(FAN_OPEN_PERM)", result).map(drop)
    }

    /// Takes the opens that wait, [`AT_ONCE`] at most, without waiting itself; says how many. It
    /// allocates nothing.
    ///
    /// # Errors
    /// When the group cannot be read, or the kernel refused an earlier answer: it is then to be closed.
    pub fn take<'a>(&'a self, mut each: impl FnMut(Held<'a>)) -> Result<usize, SysError> {
        let mut events = [0; AT_ONCE * METADATA];
        let length = loop {
            match nix::unistd::read(&self.group, &mut events) {
                Ok(length) => break length,
                Err(Errno::EAGAIN) => break 0,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(SysError::of("read of held opens", errno)),
            }
        };
        let (mut rest, mut count) = (&events[..length], 0);
        while let Some((question, after)) = one(rest) {
            if question.file >= 0 {
                // SAFETY: these bytes were just read from the kernel, which has made this descriptor
                // for this event alone; each event is parsed once.
                let file = unsafe { OwnedFd::from_raw_fd(question.file) };
                let pid = question.pid;
                let group = self;
                each(Held { pid, file, group });
                count += 1;
            }
            rest = after;
        }
        if self.refused.get() {
            return Err(SysError::of("write of an answer", Errno::EINVAL));
        }
        Ok(count)
    }

    fn allow(&self, file: RawFd) {
        let answer = libc::fanotify_response {
            fd: file,
            response: libc::FAN_ALLOW,
        };
        let length = size_of::<libc::fanotify_response>();
        loop {
            // SAFETY: writes the bytes of a live, whole `fanotify_response`, which has no padding: two
            // integers of four bytes.
            let written =
                unsafe { libc::write(self.group.as_raw_fd(), (&raw const answer).cast(), length) };
            if written >= 0 {
                return;
            }
            match Errno::last() {
                Errno::EINTR => {}
                Errno::ENOENT => return, // whoever waited was killed
                _ => return self.refused.set(true),
            }
        }
    }
}

impl AsFd for PermissionGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.group.allow(self.file.as_raw_fd());
    }
}

/// What one event says: a descriptor, or less than 0 for none, and who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    file: RawFd,
    pid: i32,
}

/// The first event, and the rest.
fn one(rest: &[u8]) -> Option<(Question, &[u8])> {
    let length = usize::try_from(u32_at(rest, 0)?).ok()?;
    if *rest.get(4)? != libc::FANOTIFY_METADATA_VERSION || length < METADATA {
        return None;
    }
    let (event, after) = rest.split_at_checked(length)?;
    let mask = u64::from_ne_bytes(array(event, 8)?);
    let asks = mask & libc::FAN_OPEN_PERM != 0;
    let file = if asks {
        i32_at(event, 16)?
    } else {
        libc::FAN_NOFD
    };
    let pid = i32_at(event, 20)?;
    Some((Question { file, pid }, after))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use proptest::prelude::*;

    use super::*;

    /// A group that holds a file of its own, where the kernel gives one.
    fn holding() -> Option<(PermissionGroup, tempfile::NamedTempFile)> {
        let group = PermissionGroup::new().ok()?;
        let file = tempfile::NamedTempFile::new().unwrap();
        group.hold(file.as_fd()).ok()?;
        Some((group, file))
    }

    fn wait(group: &PermissionGroup) {
        let mut fds = [PollFd::new(group.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
    }

    #[test]
    fn an_open_waits_until_what_was_taken_is_dropped() {
        let Some((group, file)) = holding() else {
            return; // not root, or a kernel without permission events
        };
        let path = file.path().to_owned();
        let (opened, hear) = channel();
        let thread = std::thread::spawn(move || opened.send(File::open(path).is_ok()).unwrap());
        wait(&group);
        let mut held = Vec::new();
        assert_eq!(group.take(|one| held.push(one)).unwrap(), 1);
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(held[0].pid, own);
        assert!(hear.recv_timeout(Duration::from_millis(50)).is_err());
        held.clear();
        assert!(hear.recv().unwrap());
        thread.join().unwrap();
        group.let_go(file.as_fd()).unwrap();
        File::open(file.path()).unwrap(); // nobody would answer
    }

    #[test]
    fn what_nobody_took_is_free_once_the_group_is_closed() {
        let Some((group, file)) = holding() else {
            return;
        };
        let path = file.path().to_owned();
        let thread = std::thread::spawn(move || File::open(path).is_ok());
        wait(&group);
        drop(group);
        assert!(thread.join().unwrap());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut rest = &bytes[..];
            while let Some((_, after)) = one(rest) {
                prop_assert!(after.len() < rest.len());
                rest = after;
            }
        }
    }
}
