//! Starting a role: fork, give up everything that it does not need, execute an open program.
//!
//! Between fork and exec the child of a process that may have threads can only make system calls:
//! everything that needs memory is prepared before. The child reports the step that failed over a
//! pipe that a successful exec closes, so a role either runs as asked or has never run.

use std::ffi::{CStr, CString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::SigSet;

use crate::capability::{self, Capabilities};
use crate::process::{Identity, PidFd};
use crate::{SysError, checked};

/// First descriptor number that a role finds its inherited descriptors at.
pub const FIRST_INHERITED: RawFd = 3;

/// Descriptors that one role may inherit.
pub const INHERITED_LIMIT: usize = 8;

/// What is started, and what it keeps.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The program, open: nobody needs to be able to reach its path.
    pub program: BorrowedFd<'a>,
    /// Its arguments, the name first.
    pub arguments: &'a [CString],
    /// Its whole environment, `NAME=VALUE`.
    pub environment: &'a [CString],
    /// Who it becomes; `None` leaves it the caller's user and capabilities.
    pub identity: Option<Identity>,
    /// What it keeps, as ambient capabilities; taken only together with an identity.
    pub capabilities: Capabilities,
    /// What it finds at [`FIRST_INHERITED`] and after.
    pub inherit: &'a [BorrowedFd<'a>],
    /// Its standard output and error: the caller's, or nothing at all.
    pub voice: Voice,
    /// Whether it may lock all its memory and run one thread at once; asked for only with an
    /// identity, and the role finds out by trying.
    pub raise_limits: bool,
    /// Whether it begins as a real-time process, so that it can keep one thread that way where the
    /// limits cannot be raised; asked for only with an identity.
    pub at_once: bool,
}

/// Whether what a role prints goes anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// To where the caller's goes.
    Kept,
    /// To /dev/null: what has no voice leaks nothing.
    None,
}

/// A role that did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Preparing it failed.
    #[error("preparing to start a role: {0}")]
    Prepare(#[from] SysError),
    /// A step of its own failed, after the fork.
    #[error("starting a role: {step} failed")]
    Step {
        /// The call.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// More descriptors than [`INHERITED_LIMIT`].
    #[error("a role may inherit {INHERITED_LIMIT} descriptors, not {0}")]
    TooMany(usize),
}

/// A started role. Dropping it neither ends it nor waits for it.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: i32,
    /// Its descriptor: readable once it has ended. `None` before Linux 5.3.
    pub pidfd: Option<PidFd>,
}

/// Starts a role.
///
/// # Errors
/// Names the step; the child has ended and was waited for.
pub fn launch(launch: &Launch<'_>) -> Result<Child, LaunchError> {
    if launch.inherit.len() > INHERITED_LIMIT {
        return Err(LaunchError::TooMany(launch.inherit.len()));
    }
    let (report, reporting) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| SysError::of("pipe2", errno))?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|source| SysError {
            call: "open(/dev/null)",
            source,
        })?;
    let arguments = pointers(launch.arguments);
    let environment = pointers(launch.environment);
    let prepared = Prepared {
        parent: nix::unistd::getpid().as_raw(),
        null: null.as_raw_fd(),
        reporting: reporting.as_raw_fd(),
        arguments: &arguments,
        environment: &environment,
    };
    // SAFETY: the child runs `Prepared::become_role` only, which makes system calls on memory that
    // was prepared above, allocates nothing, takes no lock, and never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        prepared.become_role(launch);
    }
    let pid = checked("fork", pid)?;
    drop(reporting);
    heard(pid, report)?;
    Ok(Child {
        pid,
        pidfd: PidFd::open(pid).ok(),
    })
}

/// Waits for the exec that closes the pipe, or for the report of a step that failed.
fn heard(pid: i32, report: OwnedFd) -> Result<(), LaunchError> {
    let mut said = [0; 5];
    let heard = std::fs::File::from(report).read_exact(&mut said);
    if heard.is_err() {
        return Ok(());
    }
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
    let [step, a, b, c, d] = said;
    Err(LaunchError::Step {
        step: Step::ALL
            .get(usize::from(step))
            .map_or("a step", |step| step.name()),
        source: io::Error::from_raw_os_error(i32::from_le_bytes([a, b, c, d])),
    })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Step {
    Signals,
    Session,
    Standard,
    Inherit,
    Bound,
    Groups,
    Group,
    User,
    Keep,
    Capabilities,
    Ambient,
    NoNewPrivileges,
    Parent,
    Exec,
}

impl Step {
    const ALL: [Step; 14] = [
        Step::Signals,
        Step::Session,
        Step::Standard,
        Step::Inherit,
        Step::Bound,
        Step::Groups,
        Step::Group,
        Step::User,
        Step::Keep,
        Step::Capabilities,
        Step::Ambient,
        Step::NoNewPrivileges,
        Step::Parent,
        Step::Exec,
    ];

    fn name(self) -> &'static str {
        match self {
            Step::Signals => "sigprocmask",
            Step::Session => "setsid",
            Step::Standard => "dup2 of the standard descriptors",
            Step::Inherit => "dup2 of the inherited descriptors",
            Step::Bound => "prctl(PR_CAPBSET_DROP)",
            Step::Groups => "setgroups",
            Step::Group => "setresgid",
            Step::User => "setresuid",
            Step::Keep => "prctl(PR_SET_KEEPCAPS)",
            Step::Capabilities => "capset",
            Step::Ambient => "prctl(PR_CAP_AMBIENT)",
            Step::NoNewPrivileges => "prctl(PR_SET_NO_NEW_PRIVS)",
            Step::Parent => "prctl(PR_SET_PDEATHSIG)",
            Step::Exec => "execveat",
        }
    }
}

/// What the child needs and may not make.
struct Prepared<'a> {
    parent: i32,
    null: RawFd,
    reporting: RawFd,
    arguments: &'a [*const libc::c_char],
    environment: &'a [*const libc::c_char],
}

type Stepped<T = ()> = Result<T, (Step, i32)>;

impl Prepared<'_> {
    /// In the child: never returns.
    fn become_role(&self, launch: &Launch<'_>) -> ! {
        let (step, errno) = match self.steps(launch) {
            Ok(never) => match never {},
            Err(failed) => failed,
        };
        let [a, b, c, d] = errno.to_le_bytes();
        let said = [step as u8, a, b, c, d];
        // SAFETY: writes five live bytes to the pipe, if it is still open under this number.
        unsafe { libc::write(self.reporting, said.as_ptr().cast(), said.len()) };
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(127) }
    }

    fn steps(&self, launch: &Launch<'_>) -> Stepped<std::convert::Infallible> {
        let none = SigSet::empty();
        at(Step::Signals, none.thread_set_mask())?;
        // Its own session: a terminal's Ctrl-C is for the supervisor, which ends roles in order.
        at(Step::Session, nix::unistd::setsid().map(drop))?;
        let (program, reporting) = self.place_descriptors(launch)?;
        let reported = Prepared { reporting, ..*self };
        reported
            .rest(launch, program)
            .inspect_err(|&(step, errno)| {
                // The number of the pipe has changed, so the failure is told from here.
                let [a, b, c, d] = errno.to_le_bytes();
                let said = [step as u8, a, b, c, d];
                // SAFETY: as in `become_role`.
                unsafe { libc::write(reporting, said.as_ptr().cast(), said.len()) };
            })
    }

    /// Puts standard and inherited descriptors where the role expects them, and gives the new
    /// numbers of program and pipe.
    fn place_descriptors(&self, launch: &Launch<'_>) -> Stepped<(RawFd, RawFd)> {
        // First everything out of the way, upwards of all targets.
        let above = FIRST_INHERITED + 64;
        let moved = |from: RawFd| {
            // SAFETY: duplicates a descriptor; no existing one is changed.
            let number = unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, above) };
            raw(Step::Inherit, number.into()).map(|()| number)
        };
        let program = moved(launch.program.as_raw_fd())?;
        let reporting = moved(self.reporting)?;
        let null = moved(self.null)?;
        let mut inherited = [-1; INHERITED_LIMIT];
        for (slot, descriptor) in inherited.iter_mut().zip(launch.inherit) {
            *slot = moved(descriptor.as_raw_fd())?;
        }
        let onto = |step: Step, from: RawFd, to: RawFd| {
            // SAFETY: in the child of a fork, which owns a copy of the whole table and uses no
            // descriptor of the parent's any more but those moved above.
            raw(step, unsafe { libc::dup2(from, to) }.into())
        };
        onto(Step::Standard, null, 0)?;
        if launch.voice == Voice::None {
            onto(Step::Standard, null, 1)?;
            onto(Step::Standard, null, 2)?;
        }
        let mut next = FIRST_INHERITED;
        for from in inherited.into_iter().take(launch.inherit.len()) {
            onto(Step::Inherit, from, next)?;
            next += 1;
        }
        // Refused before Linux 5.11, where close-on-exec at opening is all there is.
        let _ = crate::process::close_on_exec_from(next);
        Ok((program, reporting))
    }

    fn rest(&self, launch: &Launch<'_>, program: RawFd) -> Stepped<std::convert::Infallible> {
        if let Some(identity) = launch.identity {
            if launch.raise_limits {
                raise_limits();
            }
            if launch.at_once {
                // Best effort, as the limits are.
                let _ = crate::process::begin_at_once();
            }
            change_identity(identity, launch.capabilities)?;
        }
        sys(Step::NoNewPrivileges, crate::process::no_new_privileges())?;
        // After the change of user, which clears it.
        if !sys(Step::Parent, crate::process::die_with_parent(self.parent))? {
            return Err((Step::Parent, libc::ESRCH));
        }
        let empty: &CStr = c"";
        // SAFETY: the program is an open descriptor, the path an empty C string, and both arrays
        // end with a null pointer and point to C strings that the parent prepared.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program,
                empty.as_ptr(),
                self.arguments.as_ptr(),
                self.environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        Err((Step::Exec, Errno::last_raw()))
    }
}

/// Leaves `keep` to an unprivileged user, and nothing else to nobody. Raw system calls: the C
/// library's wrappers would try to tell threads that do not exist here.
fn change_identity(identity: Identity, keep: Capabilities) -> Stepped {
    let (uid, gid) = (identity.uid, identity.gid);
    sys(Step::Bound, capability::bound(keep))?;
    let nothing = ptr::null::<libc::gid_t>();
    // SAFETY: an empty list of groups is not read.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, 0, nothing) };
    raw(Step::Groups, result)?;
    // SAFETY: integers only.
    let result = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    raw(Step::Group, result)?;
    at(Step::Keep, nix::sys::prctl::set_keepcaps(true))?;
    // SAFETY: integers only.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    raw(Step::User, result)?;
    sys(Step::Capabilities, capability::restrict(keep))?;
    sys(Step::Ambient, capability::set_ambient(keep))
}

/// `RLIMIT_NICE` for a niceness of 0: setrlimit(2) counts from 20 down.
const NICE_ZERO: u64 = 20;

/// Best effort: a role that may not lock or hurry says so itself.
fn raise_limits() {
    use nix::sys::resource::{Resource, setrlimit};
    let _ = setrlimit(
        Resource::RLIMIT_MEMLOCK,
        libc::RLIM_INFINITY,
        libc::RLIM_INFINITY,
    );
    let _ = setrlimit(Resource::RLIMIT_RTPRIO, 1, 1);
    let _ = setrlimit(Resource::RLIMIT_NICE, NICE_ZERO, NICE_ZERO);
}

fn at<T>(step: Step, result: Result<T, Errno>) -> Stepped<T> {
    result.map_err(|errno| (step, errno as i32))
}

fn sys<T>(step: Step, result: Result<T, SysError>) -> Stepped<T> {
    result.map_err(|error| (step, error.errno().unwrap_or(0)))
}

fn raw(step: Step, result: libc::c_long) -> Stepped {
    if result < 0 {
        Err((step, Errno::last_raw()))
    } else {
        Ok(())
    }
}
