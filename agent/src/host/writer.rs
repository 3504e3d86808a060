//! Who wrote a file: what is known of the process that the kernel names with a write.
//!
//! The kernel gives a pid, and by the time it is read another process may have it. So the process is
//! looked at through one descriptor of its `/proc/PID`, it must live, be one program from the first
//! look to the last, and have been started before the file was last changed: then it is the one that
//! the kernel meant, since a pid is given to nobody else while its process lives, and comes round
//! again only after all others. What cannot be established like that is not known; nothing is guessed.
//!
//! What is said is the program that the process runs when it is looked at, some milliseconds after it
//! wrote: one that replaced itself in between is taken for the later program. The script is the
//! process's own word for it.

use std::sync::Arc;
use std::time::Duration;

use akwatch_ledger::reading::{FileState, ProcessInstance};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use super::process::effective_uid;
use super::{ProcessDirectory, Root, container, runtime};

/// A login uid that was never set: `loginuid` of proc(5), audit's `AUDIT_UID_UNSET`.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// A process that wrote. Names are raw.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Its executable.
    pub exe: Vec<u8>,
    /// The script that an interpreter runs.
    pub script: Option<Vec<u8>>,
    /// Its effective user.
    pub uid: u32,
    /// The user that had logged in.
    pub login: Option<u32>,
    /// Its systemd unit; none where it is of a user's own systemd.
    pub unit: Option<Vec<u8>>,
    /// Its container's name or id.
    pub container: Option<Vec<u8>>,
}

/// A process that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which process.
    pub instance: ProcessInstance,
    /// What it is.
    pub writer: Arc<Writer>,
    shown: Shown,
}

/// What is asked at every look: it tells whether anything else may have become another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    image: u64,
    exe: Vec<u8>,
    uid: u32,
    login: Option<u32>,
    cgroup: Vec<u8>,
}

impl Look {
    /// Looks at the live process `pid`; `before` is an earlier look at it, if there was one. None when
    /// it has ended, is a kernel thread, or may not be looked at.
    #[must_use]
    pub fn at(root: &Root, pid: i32, before: Option<&Look>) -> Option<Look> {
        let process = ProcessDirectory::open(root, pid).ok()?;
        let (numbers, shown) = shown(&process)?;
        if let Some(before) = before
            && before.instance == numbers.instance
            && before.shown == shown
        {
            return Some(before.clone());
        }
        let program = process.program();
        let arguments = process.read("cmdline").unwrap_or_default();
        let group = container::of_cgroup(&shown.cgroup);
        let writer = Writer {
            exe: shown.exe.clone(),
            script: program.script(&arguments),
            uid: shown.uid,
            login: shown.login,
            container: runtime::of_group(root, &group).map(|it| it.name.clone()),
            // A user's own systemd calls its units what that user likes.
            unit: group.unit.filter(|_| !group.user_unit),
        };
        // All of it is of one program: none took its place meanwhile.
        let again = self::shown(&process)? == (numbers, shown.clone());
        again.then(|| Look {
            instance: numbers.instance,
            writer: Arc::new(writer),
            shown,
        })
    }

    /// Whether the process was started before a file in this state was last changed. Both clocks have
    /// a grain of up to a hundredth of a second.
    #[must_use]
    pub fn began_before(&self, state: &FileState) -> bool {
        started_ns(self.instance.started).is_some_and(|started| started <= state.ctime_ns)
    }
}

fn shown(process: &ProcessDirectory) -> Option<(super::process::ProcessNumbers, Shown)> {
    let numbers = process.numbers().ok()?;
    if numbers.without_memory {
        return None;
    }
    let program = process.program();
    let shown = Shown {
        image: numbers.image,
        exe: program.exe()?.to_vec(),
        uid: effective_uid(&process.read("status").ok()?)?,
        login: login(&process.read("loginuid").unwrap_or_default()),
        cgroup: process.read("cgroup").unwrap_or_default(),
    };
    Some((numbers, shown))
}

fn login(text: &[u8]) -> Option<u32> {
    let uid = std::str::from_utf8(text).ok()?.trim_end().parse().ok()?;
    (uid != NOBODY_LOGGED_IN).then_some(uid)
}

/// A start time of proc_pid_stat(5), in clock ticks since boot, as nanoseconds since the epoch.
fn started_ns(ticks: u64) -> Option<i64> {
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let second = u64::try_from(second).ok().filter(|second| *second > 0)?;
    let clock = |id| clock_gettime(id).map(Duration::from).ok();
    let boot = clock(ClockId::CLOCK_BOOTTIME)?;
    let now = clock(ClockId::CLOCK_REALTIME)?;
    let nanos = (ticks % second) * (1_000_000_000 / second);
    let started = Duration::from_secs(ticks / second) + Duration::from_nanos(nanos);
    let age = boot.saturating_sub(started);
    i64::try_from(now.checked_sub(age)?.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::open::state_of;

    fn root() -> Root {
        Root::live().unwrap()
    }

    fn pid_of(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    /// A shell that waits for its standard input to end, and what becomes of it.
    fn shell(script: &std::path::Path) -> Child {
        let mut shell = Command::new("sh");
        let shell = shell.arg(script).stdin(Stdio::piped());
        shell.spawn().unwrap()
    }

    /// Looks until the child has become the program that it is to be.
    fn look_at_shell(child: &Child) -> Look {
        loop {
            if let Some(look) = Look::at(&root(), pid_of(child), None)
                && look.writer.script.is_some()
            {
                return look;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_live_process_is_known_with_its_script_and_a_dead_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("deploy.sh");
        std::fs::write(&script, "read x\n").unwrap();
        let mut child = shell(&script);
        let look = look_at_shell(&child);
        let writer = &look.writer;
        assert_eq!(
            writer.script.as_deref(),
            Some(script.as_os_str().as_bytes())
        );
        assert!(writer.exe.starts_with(b"/"));
        assert_eq!(writer.uid, nix::unistd::geteuid().as_raw());
        let again = Look::at(&root(), pid_of(&child), Some(&look)).unwrap();
        assert!(Arc::ptr_eq(&again.writer, writer), "looked at anew");
        child.kill().unwrap();
        while Look::at(&root(), pid_of(&child), Some(&look)).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(Look::at(&root(), pid_of(&child), Some(&look)), None);
    }

    #[test]
    fn a_process_that_began_after_the_file_was_changed_did_not_change_it() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("later.sh");
        std::fs::write(&script, "read x\n").unwrap();
        let state = |path: &std::path::Path| state_of(&root().look(path).unwrap());
        let changed = state(&script);
        let now = || {
            let now = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from);
            i64::try_from(now.unwrap().as_nanos()).unwrap()
        };
        while now() < changed.ctime_ns + 30_000_000 {
            std::thread::yield_now();
        }
        let mut child = shell(&script);
        let look = look_at_shell(&child);
        assert!(!look.began_before(&changed));
        let began = now();
        while now() < began + 30_000_000 {
            std::thread::yield_now();
        }
        std::fs::write(&script, "read y\n").unwrap();
        assert!(look.began_before(&state(&script)));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_login_that_was_never_set_is_none() {
        assert_eq!(login(b"1000"), Some(1000));
        assert_eq!(login(b"0\n"), Some(0));
        assert_eq!(login(b"4294967295"), None);
        assert_eq!(login(b""), None);
    }
}
