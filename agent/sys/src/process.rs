//! This process and its children: users, scheduling, parents, inherited descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::{SysError, checked};

/// A user and its group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Takes over a descriptor that this process was started with, by number.
///
/// # Errors
/// `EBADF` when it is not open, was taken already, or was opened by this process itself: everything
/// that this process opens is close-on-exec, so what is not was inherited.
pub fn take_inherited(number: RawFd) -> Result<OwnedFd, SysError> {
    static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());
    let refused = || SysError::of("fcntl(F_GETFD)", Errno::EBADF);
    if number <= libc::STDERR_FILENO {
        return Err(refused());
    }
    let mut taken = TAKEN.lock().map_err(|_| refused())?;
    // SAFETY: F_GETFD on any number is harmless: it fails with EBADF when it is not open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    let flags = checked("fcntl(F_GETFD)", flags)?;
    if taken.contains(&number) || FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC) {
        return Err(refused());
    }
    taken.push(number);
    // SAFETY: the number is open, was not given out before (`TAKEN`), and nothing in this process
    // opened it, since it lacks close-on-exec: whoever started the process handed it over.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    crate::link::close_on_exec(descriptor.as_fd())?;
    Ok(descriptor)
}

/// Asks for `SIGKILL` when the thread that started this process ends, and says whether it has not
/// ended before: a role without its supervisor must not go on.
///
/// # Errors
/// When the kernel refuses.
pub fn die_with_parent(parent: i32) -> Result<bool, SysError> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| SysError::of("prctl(PR_SET_PDEATHSIG)", errno))?;
    Ok(nix::unistd::getppid().as_raw() == parent)
}

/// No exec of this process or its children gains privileges any more.
///
/// # Errors
/// When the kernel refuses.
pub fn no_new_privileges() -> Result<(), SysError> {
    prctl::set_no_new_privs().map_err(|errno| SysError::of("prctl(PR_SET_NO_NEW_PRIVS)", errno))
}

/// Lets this thread run only when nothing else wants the processor, and its reads wait for others'.
/// Every process may do this to itself.
///
/// # Errors
/// Names the call that the kernel refused.
pub fn run_when_idle() -> Result<(), SysError> {
    set_policy("sched_setscheduler(SCHED_IDLE)", libc::SCHED_IDLE, 0)?;
    const WHO_PROCESS: libc::c_long = 1;
    const CLASS_IDLE: libc::c_long = 3 << 13;
    // SAFETY: ioprio_set takes integers only.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
    if result < 0 {
        return Err(SysError::last("ioprio_set"));
    }
    Ok(())
}

/// Whether a thread of this process that runs only when nothing else wants to may run as others do
/// again: else it is better not to begin.
#[must_use]
pub fn may_idle() -> bool {
    use nix::sys::resource::{Resource, getrlimit};
    // As getrlimit(2) counts: a niceness of 0 is 20.
    getrlimit(Resource::RLIMIT_NICE).is_ok_and(|(soft, _)| soft >= 20)
}

/// Lets this thread run as others do again. A process that runs only when nothing else wants to may do
/// so where its limit on niceness (`RLIMIT_NICE`) is 20 or more.
///
/// # Errors
/// Names the call that the kernel refused.
pub fn run_as_others_do() -> Result<(), SysError> {
    set_policy("sched_setscheduler(SCHED_OTHER)", libc::SCHED_OTHER, 0)?;
    const WHO_PROCESS: libc::c_long = 1;
    const CLASS_NONE: libc::c_long = 0;
    // SAFETY: ioprio_set takes integers only.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_NONE) };
    if result < 0 {
        return Err(SysError::last("ioprio_set"));
    }
    Ok(())
}

/// Lets this thread run before all ordinary ones (`SCHED_FIFO`, lowest real-time priority): the
/// exec thread's, which must read an environment before its process ends.
///
/// # Errors
/// `EPERM` when the limit on real-time priority is 0.
pub fn run_at_once() -> Result<(), SysError> {
    set_policy("sched_setscheduler(SCHED_FIFO)", libc::SCHED_FIFO, 1)
}

/// As [`run_at_once`], but for this thread and those that it starts: for a process whose first act
/// is to keep one such thread and to become ordinary itself ([`run_ordinarily`]).
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`.
pub(crate) fn begin_at_once() -> Result<(), SysError> {
    set_policy_of_all("sched_setscheduler(SCHED_FIFO)", libc::SCHED_FIFO, 1)
}

/// Gives this thread the ordinary policy again, which every thread may.
///
/// # Errors
/// When the kernel refuses.
pub fn run_ordinarily() -> Result<(), SysError> {
    set_policy_of_all("sched_setscheduler(SCHED_OTHER)", libc::SCHED_OTHER, 0)
}

/// Whether this thread runs before all ordinary ones.
#[must_use]
pub fn runs_at_once() -> bool {
    // SAFETY: pid 0 is the calling thread; no memory is touched.
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
}

fn set_policy(call: &'static str, policy: libc::c_int, priority: i32) -> Result<(), SysError> {
    // A thread's children get the ordinary policy, so that no other thread becomes real-time.
    set_policy_of_all(call, policy | libc::SCHED_RESET_ON_FORK, priority)
}

fn set_policy_of_all(
    call: &'static str,
    policy: libc::c_int,
    priority: i32,
) -> Result<(), SysError> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: pid 0 is the calling thread; `parameters` is a live, whole `sched_param`.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    checked(call, result).map(drop)
}

/// A process that cannot be mistaken for a later one of the same number.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a process. Race-free only for a child that has not been waited for.
    ///
    /// # Errors
    /// `ESRCH` when there is none; `ENOSYS` before Linux 5.3.
    pub fn open(pid: i32) -> Result<PidFd, SysError> {
        // SAFETY: pidfd_open takes integers only.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let number = RawFd::try_from(result).unwrap_or(-1);
        if number < 0 {
            return Err(SysError::last("pidfd_open"));
        }
        // SAFETY: the kernel has just made this descriptor (close-on-exec) for this call alone.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when it has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<(), SysError> {
        let (number, none) = (signal as libc::c_int, std::ptr::null::<libc::siginfo_t>());
        let pidfd = self.0.as_raw_fd();
        // SAFETY: a null siginfo is allowed; the rest are integers.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, number, none, 0) };
        if result < 0 {
            return Err(SysError::last("pidfd_send_signal"));
        }
        Ok(())
    }

    /// Whether the process ended before `wait` was over.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn ended(&self, wait: Duration) -> Result<bool, SysError> {
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(SysError::of("poll", errno)),
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// This process's own program, open: it can be started again from here whoever may traverse the
/// path to it.
///
/// # Errors
/// Names the step.
pub fn own_program() -> Result<OwnedFd, SysError> {
    std::fs::File::open("/proc/self/exe")
        .map(OwnedFd::from)
        .map_err(|source| SysError {
            call: "open(/proc/self/exe)",
            source,
        })
}

/// Whether a descriptor is open in this process: for inherited numbers, before they are taken.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD on any number is harmless.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Makes every descriptor from `first` on close-on-exec, also those that a library opened without
/// it. Before Linux 5.11 this is refused, and close-on-exec at opening is all there is.
///
/// # Errors
/// `ENOSYS` or `EINVAL` on older kernels.
pub fn close_on_exec_from(first: RawFd) -> Result<(), SysError> {
    let first = u32::try_from(first).unwrap_or(0);
    // SAFETY: marks descriptors for exec only; none becomes invalid in this process.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result < 0 {
        return Err(SysError::last("close_range"));
    }
    Ok(())
}

/// The flags of a descriptor, for tests and for the check of what was inherited.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn is_close_on_exec(descriptor: BorrowedFd<'_>) -> Result<bool, SysError> {
    fcntl(descriptor, FcntlArg::F_GETFD)
        .map(|flags| FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC))
        .map_err(|errno| SysError {
            call: "fcntl(F_GETFD)",
            source: io::Error::from(errno),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_opened_cannot_be_taken() {
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        assert!(is_close_on_exec(file.as_fd()).unwrap());
        assert!(take_inherited(file.as_raw_fd()).is_err());
        assert!(take_inherited(0).is_err());
        assert!(take_inherited(1_000_000).is_err());
    }

    #[test]
    fn a_thread_can_be_idle_and_others_stay_as_they_are() {
        std::thread::spawn(|| {
            run_when_idle().unwrap();
            // SAFETY: pid 0 is the calling thread; no memory is touched.
            let policy = unsafe { libc::sched_getscheduler(0) };
            assert_eq!(policy & !libc::SCHED_RESET_ON_FORK, libc::SCHED_IDLE);
        })
        .join()
        .unwrap();
        // SAFETY: as above.
        assert_ne!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_IDLE);
    }

    #[test]
    fn a_child_is_known_by_its_descriptor_until_it_ends() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pidfd = PidFd::open(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(!pidfd.ended(Duration::ZERO).unwrap());
        pidfd.signal(Signal::SIGKILL).unwrap();
        assert!(pidfd.ended(Duration::from_secs(20)).unwrap());
        child.wait().unwrap();
        assert_eq!(
            pidfd.signal(Signal::SIGKILL).unwrap_err().errno(),
            Some(libc::ESRCH)
        );
    }
}
