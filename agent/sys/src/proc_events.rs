//! Executions as they happen: the kernel's process connector over netlink.
//!
//! The socket hears every exec on the host, and nothing else: a filter in the kernel drops forks and
//! exits before they wake anybody. An event only says that a process executed; what it executed is
//! read from /proc, at once, or the process has ended. Works in the initial network namespace only.
//!
//! Layout (`linux/netlink.h`, `linux/connector.h`, `linux/cn_proc.h`): a netlink header of 16 bytes,
//! a connector header of 20, then `what` at 36, the time at 44, pid at 52, thread group at 56.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use crate::{SysError, checked};

/// Bytes of the queue that is asked for: some 15,000 executions.
const QUEUE: libc::c_int = 4 * 1024 * 1024;

/// Bytes of one message; longer ones are cut and then malformed.
const MESSAGE: usize = 256;

/// `CN_IDX_PROC` and `CN_VAL_PROC`: who speaks, and the multicast group.
const PROC: u32 = 1;
const LISTEN: u32 = 1;
const EXEC: u32 = 2;

const NETLINK_HEADER: usize = 16;
const WHAT: usize = 36;
const TIME: usize = 44;
const PID: usize = 52;

/// A process executed a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The process, as this pid namespace numbers it.
    pub pid: i32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An execution.
    Exec(Exec),
    /// Something else, which is ignored.
    Other,
    /// Nothing more for now.
    Nothing,
    /// The queue overflowed: executions were lost, and a sweep is owed.
    Lost,
}

/// A subscription.
#[derive(Debug)]
pub struct ProcEvents(OwnedFd);

impl ProcEvents {
    /// Subscribes to executions.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN` before Linux 6.6; `ECONNREFUSED` in a network namespace that
    /// is not the initial one; `EPROTONOSUPPORT` in a kernel without the connector.
    pub fn subscribe() -> Result<ProcEvents, SysError> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes integers only.
        let number = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        let number = checked("socket(NETLINK_CONNECTOR)", number)?;
        // SAFETY: the kernel has just made this descriptor for this call alone.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        attach_filter(socket.as_fd())?;
        enlarge_queue(socket.as_fd());
        bind(socket.as_fd())?;
        listen(socket.as_fd())?;
        Ok(ProcEvents(socket))
    }

    /// The next message, without waiting. Only the kernel is listened to.
    ///
    /// # Errors
    /// When the socket is of no use any more.
    pub fn next(&self) -> Result<Heard, SysError> {
        let mut message = [0u8; MESSAGE];
        // SAFETY: all-zero bytes are a valid `sockaddr_nl`.
        let mut from: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut length = socklen::<libc::sockaddr_nl>();
        let (socket, into) = (self.0.as_raw_fd(), message.as_mut_ptr().cast());
        let sender = (&raw mut from).cast::<libc::sockaddr>();
        // SAFETY: `message` and `from` are live, exclusive and as long as said; `length` is theirs.
        let result = unsafe { libc::recvfrom(socket, into, MESSAGE, 0, sender, &raw mut length) };
        let Ok(read) = usize::try_from(result) else {
            return match Errno::last() {
                Errno::EAGAIN => Ok(Heard::Nothing),
                Errno::EINTR => Ok(Heard::Other),
                Errno::ENOBUFS => Ok(Heard::Lost),
                errno => Err(SysError::of("recvfrom of process events", errno)),
            };
        };
        let of_kernel = from.nl_pid == 0;
        let exec = message.get(..read).and_then(parse);
        Ok(exec.filter(|_| of_kernel).map_or(Heard::Other, Heard::Exec))
    }
}

impl AsFd for ProcEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// An execution in one message, if it holds one.
#[must_use]
pub fn parse(message: &[u8]) -> Option<Exec> {
    let word = |at: usize| Some(u32::from_ne_bytes(array(message, at)?));
    let speaker = (word(NETLINK_HEADER)?, word(NETLINK_HEADER + 4)?);
    if speaker != (PROC, PROC) || word(WHAT)? != EXEC {
        return None;
    }
    // The thread group: what /proc lists.
    let pid = i32::from_ne_bytes(array(message, PID + 4)?);
    let at_ns = u64::from_ne_bytes(array(message, TIME)?);
    (pid > 0).then_some(Exec { pid, at_ns })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// Drops everything but executions before it wakes the reader. A kernel before 6.6 accepts a request
/// for executions only and does not obey it, so the filter is always used.
fn attach_filter(socket: BorrowedFd<'_>) -> Result<(), SysError> {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt,
        jf,
        k,
    };
    let offset = u32::try_from(WHAT).unwrap_or(0);
    let mut program = [
        // A load converts from network order; the message is in this machine's.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            EXEC.to_be(),
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(0),
        filter: program.as_mut_ptr(),
    };
    set(
        "setsockopt(SO_ATTACH_FILTER)",
        socket,
        libc::SO_ATTACH_FILTER,
        &filter,
    )
}

/// Beyond the host's limit where that is allowed, else up to it.
fn enlarge_queue(socket: BorrowedFd<'_>) {
    let forced = set("setsockopt", socket, libc::SO_RCVBUFFORCE, &QUEUE);
    if forced.is_err() {
        // A shorter queue overflows earlier, which is counted and answered by a sweep.
        let _ = set("setsockopt", socket, libc::SO_RCVBUF, &QUEUE);
    }
}

fn set<T>(
    call: &'static str,
    socket: BorrowedFd<'_>,
    option: libc::c_int,
    value: &T,
) -> Result<(), SysError> {
    let (socket, level) = (socket.as_raw_fd(), libc::SOL_SOCKET);
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` points to a live `T` and the length is its size; the kernel only reads it (and
    // the program that a `sock_fprog` points to, which the caller keeps alive).
    let result = unsafe { libc::setsockopt(socket, level, option, value, socklen::<T>()) };
    checked(call, result).map(drop)
}

fn bind(socket: BorrowedFd<'_>) -> Result<(), SysError> {
    // SAFETY: all-zero bytes are a valid `sockaddr_nl`.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or(0);
    address.nl_groups = PROC;
    let from = (&raw const address).cast();
    let length = socklen::<libc::sockaddr_nl>();
    // SAFETY: `address` is live and as long as said.
    let result = unsafe { libc::bind(socket.as_raw_fd(), from, length) };
    checked("bind(CN_IDX_PROC)", result).map(drop)
}

/// Asks for events, and then for executions only, which kernels before 6.6 do not hear.
fn listen(socket: BorrowedFd<'_>) -> Result<(), SysError> {
    ask(socket, &[LISTEN]).map_err(|errno| SysError::of("send(PROC_CN_MCAST_LISTEN)", errno))?;
    let _ = ask(socket, &[LISTEN, EXEC]);
    Ok(())
}

fn ask(socket: BorrowedFd<'_>, words: &[u32]) -> Result<(), Errno> {
    let input = u16::try_from(size_of_val(words)).unwrap_or(0);
    let length = u32::try_from(WHAT).unwrap_or(0) + u32::from(input);
    let done = u16::try_from(libc::NLMSG_DONE).unwrap_or(0);
    let mut message = Vec::with_capacity(64);
    message.extend(length.to_ne_bytes());
    message.extend(done.to_ne_bytes());
    message.extend([0; 10]); // flags, sequence, port
    message.extend([PROC, PROC, 0, 0].map(u32::to_ne_bytes).concat());
    message.extend(input.to_ne_bytes());
    message.extend([0; 2]); // flags
    message.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    nix::unistd::write(socket, &message).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_execution_is_heard() {
        let Ok(events) = ProcEvents::subscribe() else {
            return; // this host, namespace or user has no process events
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match events.next().unwrap() {
                Heard::Exec(exec) if exec.pid == pid => break,
                Heard::Nothing => {
                    let wait = PollTimeout::from(100u8);
                    poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], wait).unwrap();
                }
                Heard::Exec(_) | Heard::Other | Heard::Lost => {}
            }
            if Instant::now() > deadline {
                // In a child pid namespace events come with numbers of another one.
                assert!(std::fs::read_link("/proc/self/ns/pid").is_ok());
                child.wait().unwrap();
                return;
            }
        }
        child.wait().unwrap();
    }

    fn message(what: u32, pid: i32) -> Vec<u8> {
        let mut message = vec![0; NETLINK_HEADER];
        message.extend([PROC, PROC, 0, 0].map(u32::to_ne_bytes).concat());
        message.extend([40, 0, 0, 0]);
        message.extend(what.to_ne_bytes());
        message.extend(3u32.to_ne_bytes());
        message.extend(77u64.to_ne_bytes());
        message.extend((pid + 1).to_ne_bytes());
        message.extend(pid.to_ne_bytes());
        message
    }

    #[test]
    fn only_executions_are_parsed() {
        let exec = Exec { pid: 42, at_ns: 77 };
        assert_eq!(parse(&message(EXEC, 42)), Some(exec));
        assert_eq!(parse(&message(1, 42)), None);
        assert_eq!(parse(&message(EXEC, 0)), None);
        assert_eq!(parse(&message(EXEC, 42)[..59]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(exec) = parse(&bytes) {
                prop_assert!(exec.pid > 0);
            }
        }
    }
}
