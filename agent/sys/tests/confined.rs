//! What a confined process can do, tried from inside it and looked at from outside.
//!
//! Each case starts this test program again through `launch`, as a role would be started; the probe
//! below then confines itself, tries one thing and says over its link how that went.

#![allow(
    unsafe_code,
    reason = "the probe makes the very calls that no safe wrapper would make"
)]
#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test, fixtures included"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use akwatch_sys::capability::{Capabilities, Capability};
use akwatch_sys::launch::{Child, Launch, Voice, launch};
use akwatch_sys::link::{Channel, LinkError};
use akwatch_sys::process::Identity;
use akwatch_sys::{landlock, memory, process, seccomp};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(30);

/// A started probe and what can be said about it.
struct Probe {
    child: Child,
    link: Channel,
}

impl Probe {
    fn start(what: &str, identity: Option<Identity>, keep: Capabilities) -> Probe {
        let (link, theirs) = Channel::pair().unwrap();
        let program = process::own_program().unwrap();
        let arguments = ["probe", "--exact", "probe", "--nocapture"]
            .map(|argument| CString::new(argument).unwrap());
        let environment = [CString::new(format!("AKWATCH_PROBE={what}")).unwrap()];
        let child = launch(&Launch {
            program: program.as_fd(),
            arguments: &arguments,
            environment: &environment,
            identity,
            capabilities: keep,
            inherit: &[theirs.as_fd()],
            voice: Voice::None,
            raise_limits: false,
            at_once: false,
        })
        .unwrap();
        Probe { child, link }
    }

    /// What it said, or how it ended without a word.
    fn said(&mut self) -> String {
        match self.link.recv(Some(PATIENCE)) {
            Ok(Some(frame)) => String::from_utf8(frame.body.to_vec()).unwrap(),
            Ok(None) => panic!("the probe neither spoke nor ended"),
            Err(_) => match waitpid(Pid::from_raw(self.child.pid), None).unwrap() {
                WaitStatus::Signaled(_, signal, _) => signal.to_string(),
                other => format!("{other:?}"),
            },
        }
    }

    fn status(&self, field: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.pid)).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim_start_matches(':')
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(Pid::from_raw(self.child.pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(self.child.pid), None);
    }
}

fn said(what: &str) -> String {
    Probe::start(what, None, Capabilities::NONE).said()
}

fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Not a test: what the started program does.
#[test]
fn probe() {
    let Ok(what) = std::env::var("AKWATCH_PROBE") else {
        return;
    };
    let mut link = Channel::inherited(3).unwrap();
    let (table, what) = what.split_once(' ').unwrap();
    match table {
        "free" => {}
        "landlock" => {
            let enforced = landlock::confine(&landlock::Reach::default()).unwrap();
            if !enforced.files || !enforced.ports {
                link.send(b"not enforced", &[], PATIENCE).unwrap();
            }
        }
        "no-sockets" => seccomp::forbid_sockets().unwrap(),
        role => {
            let table = seccomp::Table::ALL
                .iter()
                .find(|table| table.role == role)
                .unwrap();
            seccomp::confine(table).unwrap();
        }
    }
    let said = attempt(what, &mut link);
    if table == "no-sockets" {
        // It cannot answer over the link any more, which is the point; its end says it.
        let code = i32::from(said != "EPERM");
        // SAFETY: ends the probe without the test framework's report.
        unsafe { libc::_exit(code) }
    }
    link.send(said.as_bytes(), &[], PATIENCE).unwrap();
    // The other end has read everything when it closes.
    let _ = link.recv(Some(PATIENCE));
    // SAFETY: ends the probe without the test framework's report.
    unsafe { libc::_exit(0) }
}

fn attempt(what: &str, link: &mut Channel) -> String {
    let raw = match what {
        "speak" => return "spoke".to_owned(),
        "undumpable" => {
            memory::forbid_dumps().unwrap();
            return "undumpable".to_owned();
        }
        "thread" => return std::thread::spawn(|| "ran").join().unwrap().to_owned(),
        "open" => return outcome(std::fs::File::open("/etc/passwd").map(drop)),
        "connect" => {
            let connected = std::net::TcpStream::connect("127.0.0.1:9");
            return outcome(connected.map(drop));
        }
        // SAFETY: integers only; the descriptor, if there is one, lives as long as the probe.
        "inet" => unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) },
        // SAFETY: as above.
        "netlink" => unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) },
        // SAFETY: as above.
        "vsock" => unsafe { libc::socket(40, libc::SOCK_STREAM, 0) },
        "pair" => {
            let made = Channel::pair().map(drop);
            return outcome(made.map_err(|error| match error {
                LinkError::Sys(error) => error.source,
                other => io::Error::other(other),
            }));
        }
        // SAFETY: the child of a fork ends at once.
        "fork" => match unsafe { libc::fork() } {
            // SAFETY: ends the child.
            0 => unsafe { libc::_exit(0) },
            pid => pid,
        },
        "exec" => {
            let error = std::os::unix::process::CommandExt::exec(&mut std::process::Command::new(
                "/bin/true",
            ));
            return outcome(Err(error));
        }
        // SAFETY: signal 0 is only a question.
        "kill" => unsafe { libc::kill(1, 0) },
        // SAFETY: integers only.
        "ptrace" => match unsafe { libc::ptrace(libc::PTRACE_ATTACH, 1, 0, 0) } {
            0 => 0,
            _ => -1,
        },
        "idle" => return outcome(process::run_when_idle().map_err(|error| error.source)),
        "descriptors" => {
            let open = (0..200).filter(|&number| process::is_open(number)).count();
            let _ = link;
            return open.to_string();
        }
        other => return attempt_bounded(other),
    };
    said_by(raw)
}

/// Calls of which only some arguments are allowed, or that hide them.
fn attempt_bounded(what: &str) -> String {
    let raw = match what {
        "write" => {
            let opened = std::fs::File::options().append(true).open("/dev/null");
            return outcome(opened.map(drop));
        }
        "create" => return outcome(std::fs::File::create("/dev/null").map(drop)),
        "openat2" => {
            let (path, how) = (c"/dev/null".as_ptr(), [0_u64; 3]);
            // SAFETY: a path and three words of flags, which live through the call.
            unsafe {
                libc::syscall(
                    libc::SYS_openat2,
                    libc::AT_FDCWD,
                    path,
                    how.as_ptr(),
                    size_of_val(&how),
                )
            }
        }
        "limits" => {
            let (another, core) = (nix::unistd::getppid().as_raw(), libc::RLIMIT_CORE);
            let none = std::ptr::null::<libc::rlimit>();
            // SAFETY: neither a new limit nor room for the old one is given: nothing is written.
            unsafe { libc::syscall(libc::SYS_prlimit64, another, core, none, none) }
        }
        "own-limits" => {
            let asked = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE);
            return outcome(asked.map(drop).map_err(Into::into));
        }
        // SAFETY: a signal to a process that cannot exist.
        "abort-another" => unsafe {
            libc::syscall(libc::SYS_tgkill, i32::MAX, i32::MAX, libc::SIGABRT)
        },
        "abort" => std::process::abort(),
        // SAFETY: integers only; a kernel without the x32 ABI knows no such call.
        #[cfg(target_arch = "x86_64")]
        "x32" => unsafe { libc::syscall(0x4000_0000 | libc::SYS_socket, libc::AF_INET, 1, 0) },
        other => panic!("no such attempt: {other}"),
    };
    said_by(i32::try_from(raw).unwrap())
}

fn said_by(raw: i32) -> String {
    if raw < 0 {
        outcome(Err(io::Error::last_os_error()))
    } else {
        "done".to_owned()
    }
}

fn outcome(result: io::Result<()>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => "EPERM".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_table_leaves_its_role_able_to_speak_and_to_start_threads() {
    let speak = |table: &&&seccomp::Table| table.role != "gate"; // which has words of its own
    for table in seccomp::Table::ALL.iter().filter(speak) {
        assert_eq!(said(&format!("{} speak", table.role)), "spoke");
        assert_eq!(said(&format!("{} thread", table.role)), "ran");
    }
}

#[test]
fn what_a_table_does_not_list_ends_the_process() {
    for (probe, expected) in [
        ("detector open", "SIGSYS"),
        ("detector inet", "SIGSYS"),
        ("detector netlink", "SIGSYS"),
        ("detector pair", "SIGSYS"),
        ("detector fork", "SIGSYS"),
        ("detector exec", "SIGSYS"),
        ("detector kill", "SIGSYS"),
        ("detector ptrace", "SIGSYS"),
        ("detector limits", "SIGSYS"),
        ("detector own-limits", "done"),
        ("detector abort", "SIGABRT"),
        ("detector abort-another", "SIGSYS"),
        ("detector openat2", "SIGSYS"),
        ("marker open", "done"),
        ("marker write", "SIGSYS"),
        ("marker create", "SIGSYS"),
        ("marker openat2", "Function not implemented (os error 38)"),
        ("reporter openat2", "Function not implemented (os error 38)"),
        ("watcher openat2", "done"),
        ("watcher limits", "SIGSYS"),
        ("marker inet", "SIGSYS"),
        ("marker fork", "SIGSYS"),
        ("marker-with-gate open", "done"),
        ("marker-with-gate write", "SIGSYS"),
        ("marker-with-gate fork", "done"),
        ("marker-with-gate exec", "SIGSYS"),
        ("marker-with-gate kill", "SIGSYS"),
        ("marker-with-gate inet", "SIGSYS"),
        ("gate open", "SIGSYS"),
        ("gate pair", "SIGSYS"),
        ("gate thread", "SIGSYS"),
        ("gate fork", "SIGSYS"),
        ("gate exec", "SIGSYS"),
        ("gate kill", "SIGSYS"),
        ("gate abort", "SIGABRT"),
        ("watcher open", "done"),
        ("watcher netlink", "done"),
        ("watcher inet", "SIGSYS"),
        ("watcher vsock", "SIGSYS"),
        ("watcher idle", "done"),
        ("watcher fork", "SIGSYS"),
        ("watcher exec", "SIGSYS"),
        ("watcher kill", "SIGSYS"),
        ("watcher ptrace", "SIGSYS"),
        ("reporter inet", "done"),
        ("reporter vsock", "SIGSYS"),
        ("reporter fork", "SIGSYS"),
        ("reporter ptrace", "SIGSYS"),
    ] {
        assert_eq!(said(probe), expected, "{probe}");
    }
}

#[test]
fn a_scan_by_hand_can_make_no_socket() {
    let all = ["inet", "netlink", "pair", "x32"];
    let here = if cfg!(target_arch = "x86_64") { 4 } else { 3 };
    for what in all.into_iter().take(here) {
        let ended = said(&format!("no-sockets {what}"));
        assert!(ended.contains(", 0)"), "{what}: {ended}");
    }
}

#[test]
fn landlock_leaves_no_file_and_no_port() {
    for what in ["open", "connect"] {
        let said = said(&format!("landlock {what}"));
        assert!(
            ["Permission denied (os error 13)", "not enforced"].contains(&&*said),
            "{said}"
        );
    }
}

#[test]
fn a_role_inherits_only_what_it_is_given() {
    // Standard descriptors, the link and nothing else, whatever this process has open.
    let _open = tempfile::tempfile().unwrap();
    let mut probe = Probe::start("free descriptors", None, Capabilities::NONE);
    let count: usize = probe.said().parse().unwrap();
    assert_eq!(count, 4);
}

#[test]
fn a_role_becomes_its_user_with_exactly_its_capabilities() {
    if !root() {
        return; // only root can start a role under another user
    }
    let keep = Capabilities::of(&[Capability::DacReadSearch, Capability::SysPtrace]);
    let nobody = Identity {
        uid: 65533,
        gid: 65533,
    };
    let mut probe = Probe::start("detector speak", Some(nobody), keep);
    assert_eq!(probe.said(), "spoke");
    assert_eq!(probe.status("Uid"), "65533 65533 65533 65533");
    assert_eq!(probe.status("Gid"), "65533 65533 65533 65533");
    assert_eq!(probe.status("Groups"), "");
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"] {
        assert_eq!(probe.status(set), format!("{:016x}", keep.0), "{set}");
    }
    assert_eq!(probe.status("NoNewPrivs"), "1");
    assert_eq!(probe.status("Seccomp"), "2");
}

#[test]
fn an_undumpable_process_belongs_to_root() {
    if !root() {
        return; // only root can start a role under another user
    }
    let nobody = Identity {
        uid: 65533,
        gid: 65533,
    };
    let mut probe = Probe::start("free undumpable", Some(nobody), Capabilities::NONE);
    assert_eq!(probe.said(), "undumpable");
    let meta = std::fs::metadata(format!("/proc/{}/mem", probe.child.pid)).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), 0);
}

#[test]
fn a_program_that_cannot_run_says_which_step_failed() {
    let text = tempfile::tempfile().unwrap();
    let failed = launch(&Launch {
        program: text.as_fd(),
        arguments: &[c"x".to_owned()],
        environment: &[],
        identity: None,
        capabilities: Capabilities::NONE,
        inherit: &[],
        voice: Voice::None,
        raise_limits: false,
        at_once: false,
    });
    assert!(failed.unwrap_err().to_string().contains("execveat"));
}
