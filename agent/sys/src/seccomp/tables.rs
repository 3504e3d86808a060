//! The tables themselves: each group says what needs it.
//!
//! A call may stand in one group of a role's table only; a test refuses redundant lines. To add one,
//! find the smallest group whose reason fits, and say the reason where it does not.

/// A call's name and its number on this architecture.
pub type Call = (&'static str, i64);

/// A call of which only some values of some arguments are allowed.
#[derive(Clone, Copy, Debug)]
pub struct BoundedCall {
    /// Its name.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: i64,
    /// Each argument that is looked at, from 0, and what it may be.
    pub bounds: &'static [(u8, Bound)],
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// One of these.
    OneOf(&'static [u32]),
    /// Any number that has none of these bits.
    Without(u32),
    /// This process's own number.
    Myself,
}

/// What one role may call.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The role's name.
    pub role: &'static str,
    /// Calls with any arguments, in groups.
    pub calls: &'static [&'static [Call]],
    /// Calls with some arguments.
    pub bounded: &'static [BoundedCall],
}

/// A call's number in `libc`, and with it the name, so that an unknown name does not compile.
macro_rules! calls {
    ($($(#[$only:meta])* $number:ident),* $(,)?) => {
        &[$($(#[$only])* (stringify!($number).split_at("SYS_".len()).1, libc::$number)),*]
    };
}

macro_rules! bounded {
    ($number:ident, $($argument:literal: $bound:expr),+) => {
        BoundedCall {
            name: stringify!($number).split_at("SYS_".len()).1,
            number: libc::$number,
            bounds: &[$(($argument, $bound)),+],
        }
    };
}

impl Table {
    /// Every role's.
    pub const ALL: [&'static Table; 6] = [
        &WATCHER,
        &MARKER,
        &MARKER_WITH_GATE,
        &GATE,
        &DETECTOR,
        &REPORTER,
    ];

    /// Every call that it may make, be it with some arguments only.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let calls = self.calls.iter().copied().flatten().map(|&(name, _)| name);
        calls.chain(self.bounded.iter().map(|call| call.name))
    }

    /// Calls that a role is told its kernel does not have: what uses them has another way.
    pub(super) fn absent(&self) -> impl Iterator<Item = Call> + use<> {
        let may = |wanted: &str| self.names().any(|name| name == wanted);
        let hidden = may("openat") && !may("openat2");
        let opening = OPEN_HOW.iter().copied().filter(move |_| hidden);
        std::iter::once(("clone3", libc::SYS_clone3)).chain(opening)
    }
}

/// Opens every place on the host read-only, hears the kernel, keeps the ledger.
pub const WATCHER: Table = Table {
    role: "watcher",
    calls: &[
        RUNTIME, LOOK, LINK, FILES, ATTRIBUTES, OPEN, OPEN_HOW, WRITE, HANDLES, EVENT_LOOP, SENSE,
        LISTEN, SCHEDULE,
    ],
    bounded: &[
        PRCTL,
        ABORT,
        LIMITS,
        THREAD,
        TERMINAL,
        bounded!(SYS_socket, 0: Bound::OneOf(&[AF_UNIX, AF_NETLINK])),
    ],
};

/// Marks filesystems and hands the descriptor on.
pub const MARKER: Table = Table {
    role: "marker",
    calls: &[RUNTIME, LOOK, LINK, FILES, MARK],
    bounded: &[
        PRCTL,
        ABORT,
        LIMITS,
        THREAD,
        TERMINAL,
        #[cfg(target_arch = "x86_64")]
        bounded!(SYS_open, 1: READ_ONLY),
        bounded!(SYS_openat, 2: READ_ONLY),
    ],
};

/// The marker where strict mode is configured: it may also branch the gate off, with what the gate needs
/// to shut its own doors.
pub const MARKER_WITH_GATE: Table = Table {
    role: "marker-with-gate",
    calls: &[RUNTIME, LOOK, LINK, FILES, MARK, BRANCH],
    bounded: &[
        bounded!(SYS_prctl, 0: Bound::OneOf(&[
            libc::PR_SET_NAME.unsigned_abs(),
            PR_GET_AUXV,
            libc::PR_SET_PDEATHSIG.unsigned_abs(),
            libc::PR_SET_NO_NEW_PRIVS.unsigned_abs(),
        ])),
        ABORT,
        LIMITS,
        bounded!(SYS_clone, 0: Bound::OneOf(&[0x003d_0f00, 0x007d_0f00, FORK, SIGCHLD])),
        TERMINAL,
        bounded!(
            SYS_sched_setscheduler,
            0: Bound::OneOf(&[0]),
            1: Bound::OneOf(&[AT_ONCE])
        ),
        bounded!(SYS_seccomp, 0: Bound::OneOf(&[1])),
        bounded!(SYS_socketpair, 0: Bound::OneOf(&[AF_UNIX])),
        #[cfg(target_arch = "x86_64")]
        bounded!(SYS_open, 1: READ_ONLY),
        bounded!(SYS_openat, 2: READ_ONLY),
    ],
};

/// Answers the kernel, asks the watcher, and has no other use: no file, no thread, no process.
pub const GATE: Table = Table {
    role: "gate",
    calls: &[ANSWER],
    bounded: &[ABORT],
};

/// Reads what it was handed, computes, answers.
pub const DETECTOR: Table = Table {
    role: "detector",
    calls: &[RUNTIME, LOOK, LINK],
    bounded: &[PRCTL, ABORT, LIMITS, THREAD, TURN, DISK_TURN],
};

/// Talks to the collector; keeps its identity.
pub const REPORTER: Table = Table {
    role: "reporter",
    calls: &[RUNTIME, LOOK, LINK, FILES, OPEN, WRITE, EVENT_LOOP, NETWORK],
    bounded: &[
        PRCTL,
        ABORT,
        LIMITS,
        THREAD,
        TERMINAL,
        bounded!(SYS_socket, 0: Bound::OneOf(&[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK])),
    ],
};

const AF_UNIX: u32 = libc::AF_UNIX.unsigned_abs();
const AF_INET: u32 = libc::AF_INET.unsigned_abs();
const AF_INET6: u32 = libc::AF_INET6.unsigned_abs();
const AF_NETLINK: u32 = libc::AF_NETLINK.unsigned_abs();

/// What the C library and Rust's runtime need to live: memory, threads, time, random bytes, exit.
const RUNTIME: &[Call] = calls![
    SYS_brk,
    SYS_clock_getres,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_close,
    SYS_dup,
    SYS_dup3,
    SYS_exit,
    SYS_exit_group,
    SYS_fcntl,
    SYS_futex,
    SYS_getegid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getpid,
    SYS_getppid,
    SYS_getrandom,
    SYS_getrusage,
    SYS_gettid,
    SYS_gettimeofday,
    SYS_getuid,
    SYS_madvise,
    SYS_mlock,
    SYS_mmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_munlock,
    SYS_munmap,
    SYS_nanosleep,
    SYS_pipe2,
    #[cfg(target_arch = "x86_64")]
    SYS_poll,
    SYS_ppoll,
    SYS_read,
    SYS_readv,
    SYS_restart_syscall,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_set_robust_list,
    SYS_sigaltstack,
    SYS_uname,
    SYS_write,
    SYS_writev,
];

/// Reading an open descriptor at an offset, and asking what it is.
const LOOK: &[Call] = calls![
    SYS_fadvise64,
    SYS_fstat,
    SYS_lseek,
    SYS_newfstatat,
    SYS_pread64,
    SYS_preadv,
    SYS_preadv2,
    SYS_statx,
];

/// The links between roles.
const LINK: &[Call] = calls![
    SYS_getsockname,
    SYS_getsockopt,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_shutdown,
];

/// Asking for files by name and listing directories.
const FILES: &[Call] = calls![
    #[cfg(target_arch = "x86_64")]
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fstatfs,
    SYS_getcwd,
    SYS_getdents64,
    #[cfg(target_arch = "x86_64")]
    SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    SYS_readlink,
    SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    SYS_stat,
    SYS_statfs,
    SYS_sysinfo,
];

/// Access control lists, of a file that is open.
const ATTRIBUTES: &[Call] = calls![SYS_fgetxattr];

/// Opening files, also to write them: what these roles may open is bounded by their user and, where it
/// may be used, by Landlock.
const OPEN: &[Call] = calls![
    #[cfg(target_arch = "x86_64")]
    SYS_open,
    SYS_openat,
];

/// Opening without following links or crossing mounts. Its flags lie in memory that a filter cannot see,
/// so only a role that may open files for writing anyway has it; to the others it does not exist.
const OPEN_HOW: &[Call] = calls![SYS_openat2];

/// Writing a state directory: the watcher's ledger, the reporter's identity.
const WRITE: &[Call] = calls![
    #[cfg(target_arch = "x86_64")]
    SYS_chmod,
    SYS_fallocate,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fdatasync,
    SYS_flock,
    SYS_fsync,
    SYS_ftruncate,
    #[cfg(target_arch = "x86_64")]
    SYS_mkdir,
    SYS_mkdirat,
    SYS_pwrite64,
    SYS_pwritev,
    #[cfg(target_arch = "x86_64")]
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    #[cfg(target_arch = "x86_64")]
    SYS_rmdir,
    SYS_umask,
    #[cfg(target_arch = "x86_64")]
    SYS_unlink,
    SYS_unlinkat,
    SYS_utimensat,
];

/// File handles: from an event to a directory.
const HANDLES: &[Call] = calls![SYS_open_by_handle_at];

/// Waiting for many descriptors at once, as the libraries for inotify and for the network do.
const EVENT_LOOP: &[Call] = calls![
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait,
    SYS_eventfd2,
    SYS_signalfd4,
    SYS_socketpair,
    SYS_timerfd_create,
    SYS_timerfd_settime,
];

/// What tells of files and processes: inotify, process events over netlink, ends of processes; and
/// the answers to who asks for the status. No socket of this role is a network's.
const SENSE: &[Call] = calls![
    SYS_bind,
    SYS_inotify_add_watch,
    SYS_inotify_init1,
    SYS_inotify_rm_watch,
    SYS_pidfd_open,
    SYS_sendto,
    SYS_setsockopt,
];

/// Workers that connect by themselves, when each role is started by itself.
const LISTEN: &[Call] = calls![SYS_accept4, SYS_listen];

/// The exec thread runs at once, the rescans when idle.
const SCHEDULE: &[Call] = calls![
    SYS_getpriority,
    SYS_ioprio_set,
    SYS_sched_getscheduler,
    SYS_sched_setscheduler,
    SYS_setpriority,
];

/// Marks on filesystems.
const MARK: &[Call] = calls![SYS_fanotify_init, SYS_fanotify_mark];

/// A child without an exec, which gives up what it does not need and has the kernel watch over it.
const BRANCH: &[Call] = calls![
    SYS_capset,
    #[cfg(target_arch = "x86_64")]
    SYS_fork,
    SYS_timer_create,
    SYS_timer_delete,
    SYS_timer_settime,
    SYS_wait4,
];

/// Flags of `clone` as glibc and musl fork.
const FORK: u32 = 0x0120_0011;
/// `SCHED_FIFO`, and not for children.
const AT_ONCE: u32 = 0x4000_0001;
const SIGCHLD: u32 = libc::SIGCHLD.unsigned_abs();

/// All that the gate's loop does: it waits, reads, answers, says that it is alive, ends. Marks come and
/// go with what the watcher wants; memory, since the C library takes and gives some as it likes.
const ANSWER: &[Call] = calls![
    SYS_brk,
    SYS_clock_gettime,
    SYS_close,
    SYS_exit,
    SYS_exit_group,
    SYS_fanotify_mark,
    SYS_fcntl,
    SYS_futex,
    SYS_getpid,
    SYS_gettid,
    SYS_mmap,
    SYS_munmap,
    #[cfg(target_arch = "x86_64")]
    SYS_poll,
    SYS_ppoll,
    SYS_read,
    SYS_restart_syscall,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_timer_delete,
    SYS_timer_settime,
    SYS_write,
];

/// The collector, its proxy, and the name service.
const NETWORK: &[Call] = calls![
    SYS_bind,
    SYS_connect,
    SYS_getpeername,
    SYS_recvmmsg,
    SYS_sendmmsg,
    SYS_sendto,
    SYS_setsockopt,
];

/// Every way to make or use a socket, and the two that go around this filter.
pub(super) const SOCKET_CALLS: &[Call] = calls![
    SYS_accept,
    SYS_accept4,
    SYS_bind,
    SYS_connect,
    SYS_io_uring_setup,
    SYS_listen,
    SYS_pidfd_getfd,
    SYS_recvfrom,
    SYS_recvmmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_sendmsg,
    SYS_sendto,
    SYS_socket,
    SYS_socketpair,
];

/// The same calls as a program of the x32 ABI makes them, where a kernel has that: their numbers have a
/// bit of their own, and five of them other numbers.
#[cfg(target_arch = "x86_64")]
pub(super) fn x32(calls: &[Call]) -> impl Iterator<Item = Call> {
    const X32: i64 = 0x4000_0000;
    const OTHERS: [Call; 5] = [
        ("recvfrom", 517),
        ("sendmsg", 518),
        ("recvmsg", 519),
        ("recvmmsg", 537),
        ("sendmmsg", 538),
    ];
    let all = calls.iter().copied().chain(OTHERS);
    all.map(|(name, number)| (name, number | X32))
}

/// A thread's name, and what the kernel told this process at its start (`PR_GET_AUXV`), which a
/// library asks for the size of a page.
const PRCTL: BoundedCall = bounded!(
    SYS_prctl,
    0: Bound::OneOf(&[libc::PR_SET_NAME.unsigned_abs(), PR_GET_AUXV])
);
const PR_GET_AUXV: u32 = 0x4155_5856;

/// Ending itself: `abort` signals a thread of its own process.
const ABORT: BoundedCall = bounded!(
    SYS_tgkill,
    0: Bound::Myself,
    2: Bound::OneOf(&[libc::SIGABRT.unsigned_abs()])
);

/// Its own limits, which the C library asks for: another process's, even of the same user, are none of
/// its business.
const LIMITS: BoundedCall = bounded!(SYS_prlimit64, 0: Bound::OneOf(&[0]));

/// Flags of `open` that write, make, empty or append: O_WRONLY and O_RDWR, O_CREAT, O_TRUNC, O_APPEND.
/// O_TMPFILE is refused without one of the first two.
const READ_ONLY: Bound = Bound::Without(0o3 | 0o100 | 0o1000 | 0o2000);

/// New threads as glibc and musl make them; no new process.
const THREAD: BoundedCall = bounded!(SYS_clone, 0: Bound::OneOf(&[0x003d_0f00, 0x007d_0f00]));

/// When its own thread runs: as others do, or only when nothing else wants to; what it starts as others
/// do. Never before others.
const TURN: BoundedCall = bounded!(
    SYS_sched_setscheduler,
    0: Bound::OneOf(&[0]),
    1: Bound::OneOf(&[0x4000_0000, 0x4000_0005])
);

/// The same of its reads.
const DISK_TURN: BoundedCall =
    bounded!(SYS_ioprio_set, 0: Bound::OneOf(&[1]), 1: Bound::OneOf(&[0]));

/// Whether the log goes to a terminal, and the flags that Rust sets on sockets and pipes.
const TERMINAL: BoundedCall =
    bounded!(SYS_ioctl, 1: Bound::OneOf(&[0x5401, 0x5413, 0x5421, 0x5451]));
