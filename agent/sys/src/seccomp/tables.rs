//! The tables themselves: each group says what needs it.
//!
//! A call may stand in one group of a role's table only; a test refuses redundant lines. To add one,
//! find the smallest group whose reason fits, and say the reason where it does not.

/// A call's name and its number on this architecture.
pub type Call = (&'static str, i64);

/// A call of which only some values of one argument are allowed.
#[derive(Clone, Copy, Debug)]
pub struct BoundedCall {
    /// Its name.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: i64,
    /// Which argument, from 0.
    pub argument: u8,
    /// What it may be.
    pub values: &'static [u32],
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
    ($number:ident, $argument:literal, $values:expr) => {
        BoundedCall {
            name: stringify!($number).split_at("SYS_".len()).1,
            number: libc::$number,
            argument: $argument,
            values: $values,
        }
    };
}

impl Table {
    /// Every role's.
    pub const ALL: [&'static Table; 4] = [&WATCHER, &MARKER, &DETECTOR, &REPORTER];
}

/// Opens every place on the host read-only, hears the kernel, keeps the ledger.
pub const WATCHER: Table = Table {
    role: "watcher",
    calls: &[
        RUNTIME, LOOK, LINK, FILES, WRITE, HANDLES, EVENT_LOOP, SENSE, LISTEN, SCHEDULE,
    ],
    bounded: &[
        PRCTL,
        ABORT,
        THREAD,
        TERMINAL,
        bounded!(SYS_socket, 0, &[AF_UNIX, AF_NETLINK]),
    ],
};

/// Marks filesystems and hands the descriptor on.
pub const MARKER: Table = Table {
    role: "marker",
    calls: &[RUNTIME, LOOK, LINK, FILES, HANDLES, MARK],
    bounded: &[PRCTL, ABORT, THREAD, TERMINAL],
};

/// Reads what it was handed, computes, answers.
pub const DETECTOR: Table = Table {
    role: "detector",
    calls: &[RUNTIME, LOOK, LINK],
    bounded: &[PRCTL, ABORT, THREAD],
};

/// Talks to the collector; keeps its identity.
pub const REPORTER: Table = Table {
    role: "reporter",
    calls: &[RUNTIME, LOOK, LINK, FILES, WRITE, EVENT_LOOP, NETWORK],
    bounded: &[
        PRCTL,
        ABORT,
        THREAD,
        TERMINAL,
        bounded!(SYS_socket, 0, &[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK]),
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
    SYS_prlimit64,
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

/// Opening files and listing directories. `open` hides nothing here: what a role may open is bounded
/// by its user and, where it may be used, by Landlock.
const FILES: &[Call] = calls![
    #[cfg(target_arch = "x86_64")]
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fstatfs,
    SYS_getcwd,
    SYS_getdents64,
    SYS_getxattr,
    SYS_lgetxattr,
    #[cfg(target_arch = "x86_64")]
    SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    SYS_open,
    SYS_openat,
    SYS_openat2,
    #[cfg(target_arch = "x86_64")]
    SYS_readlink,
    SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    SYS_stat,
    SYS_statfs,
    SYS_sysinfo,
];

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

/// File handles: from an event to a directory, from a mount to an event.
const HANDLES: &[Call] = calls![SYS_name_to_handle_at, SYS_open_by_handle_at];

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

/// A thread's name, and what the kernel told this process at its start (`PR_GET_AUXV`), which a
/// library asks for the size of a page.
const PRCTL: BoundedCall = bounded!(
    SYS_prctl,
    0,
    &[libc::PR_SET_NAME.unsigned_abs(), 0x4155_5856]
);

/// Ending itself: `abort` signals its own thread.
const ABORT: BoundedCall = bounded!(SYS_tgkill, 2, &[libc::SIGABRT.unsigned_abs()]);

/// New threads as glibc and musl make them; no new process.
const THREAD: BoundedCall = bounded!(SYS_clone, 0, &[0x003d_0f00, 0x007d_0f00]);

/// Whether the log goes to a terminal, and the flags that Rust sets on sockets and pipes.
const TERMINAL: BoundedCall = bounded!(SYS_ioctl, 1, &[0x5401, 0x5413, 0x5421, 0x5451]);
