//! A second process of this program that begins where it is told, without an exec: for a role that may
//! not execute anything, and has a task that must be able to end alone.
//!
//! The child has a copy of the caller's memory and none of its descriptors but those it is given; it
//! ends with its parent, and never returns into the caller's code.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{SysError, checked, process};

/// What the child does: with the descriptors that it was given, in their order, and the paths that it
/// was told. Its answer is the exit code.
pub type Task = fn(Vec<OwnedFd>, &[PathBuf]) -> u8;

/// A child that was branched off. Dropping it neither ends it nor waits for it.
#[derive(Debug)]
pub struct Branch {
    /// Its number, which stays its own until it was waited for.
    pub pid: i32,
}

/// How a branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

/// Branches a child off that runs `task`, ends with its answer, and is killed when this thread ends.
///
/// # Errors
/// `EBUSY` when this process has other threads: what they hold, a lock of the allocator say, would
/// stay held in the child for ever. Else what the kernel refused.
pub fn branch(keep: &[BorrowedFd<'_>], paths: &[PathBuf], task: Task) -> Result<Branch, SysError> {
    if threads() != 1 {
        return Err(SysError::of("fork", Errno::EBUSY));
    }
    let parent = nix::unistd::getpid().as_raw();
    // SAFETY: there are no other threads, so the child's memory is a whole, consistent copy, as if this
    // function went on in it; and it goes on in `begin` only, which never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        begin(parent, keep, paths, task);
    }
    let pid = checked("fork", pid)?;
    Ok(Branch { pid })
}

impl Branch {
    /// How it ended, if it has; without waiting. To be asked no more once it has answered.
    ///
    /// # Errors
    /// `ECHILD` when somebody else has waited for it.
    pub fn ended(&self) -> Result<Option<Ended>, SysError> {
        match waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => {
                Ok(Some(Ended::Code(u8::try_from(code).unwrap_or(u8::MAX))))
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(Ended::Signal(signal as i32))),
            Ok(_) | Err(Errno::EINTR) => Ok(None),
            Err(errno) => Err(SysError::of("wait4", errno)),
        }
    }
}

/// In the child.
fn begin(parent: i32, keep: &[BorrowedFd<'_>], paths: &[PathBuf], task: Task) -> ! {
    let code = if matches!(process::die_with_parent(parent), Ok(true)) {
        let given = only(keep);
        // A panic must not unwind into the caller's copy.
        std::panic::catch_unwind(|| task(given, paths)).unwrap_or(u8::MAX)
    } else {
        u8::MAX
    };
    // SAFETY: ends the child without running anything of the parent's.
    unsafe { libc::_exit(code.into()) }
}

/// Closes every descriptor but the standard ones and `keep`, and gives those to whom they belong now.
fn only(keep: &[BorrowedFd<'_>]) -> Vec<OwnedFd> {
    let mut given: Vec<RawFd> = Vec::new();
    for number in keep.iter().map(AsRawFd::as_raw_fd) {
        if !given.contains(&number) {
            given.push(number); // one that is named twice has one owner
        }
    }
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let open: Vec<RawFd> = listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in open {
        if number > libc::STDERR_FILENO && !given.contains(&number) {
            // SAFETY: in the child of a fork, which owns a copy of the whole table: what held these
            // descriptors is the caller's, whose code never runs here again. One that is not open any
            // more, the listing's own, is refused by the kernel.
            unsafe { libc::close(number) };
        }
    }
    let owned = given.into_iter().map(|number| {
        // SAFETY: open, the child's copy, and the caller's owner of the number never runs here again.
        unsafe { OwnedFd::from_raw_fd(number) }
    });
    owned.collect()
}

/// Threads of this process; more than any number when nobody can say.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test runs on is a thread of its own.
    #[test]
    fn a_process_with_other_threads_is_not_branched() {
        let refused = branch(&[], &[], |_, _| 0).unwrap_err();
        assert_eq!(refused.errno(), Some(libc::EBUSY));
    }
}
