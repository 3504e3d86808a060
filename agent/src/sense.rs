//! The kernel-facing parts: each turns kernel records into targets and parses no content.
//!
//! A sensor says *this may have changed*, never what it holds. Whatever it cannot watch it says too:
//! an overflow of the kernel's queue, a directory without a watch, a filesystem left out. Sensors run
//! on threads of their own and end when [`Stop`] says so or when nobody listens any more.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use akwatch_ledger::reading::ProcessInstance;
use akwatch_proto::time::Time;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::host::Root;
use crate::job::{Job, Pending, Target};
use crate::open::Refusal;

pub mod captured;
pub mod execs;
pub mod files;
pub mod hands;
pub mod marked;
pub mod measured;
pub mod processes;
pub mod scan;
pub mod strict;
pub mod watch_set;

/// What a sensor says.
#[derive(Debug)]
pub enum Sensed {
    /// These may have changed.
    Targets(Vec<Target>),
    /// These files were written, removed or moved, and by whom as far as that is known.
    Written(Vec<hands::Written>),
    /// A directory went away or moved: every place below this path is to be looked at again.
    Left(PathBuf),
    /// The table of mounts was looked at after a change of it: what was read on a mount that is not there
    /// any more is to be looked at again, be that mount one that came and went between two looks.
    MountsChanged,
    /// A filesystem was mounted here, and is watched: what it holds is to be read.
    Mounted(PathBuf),
    /// The kernel's queue overflowed: what changed meanwhile is not known, and a rescan is owed.
    Overflowed,
    /// How a source stands now.
    Status(Status),
    /// A complete sweep over all processes ended.
    Swept(Sweep),
    /// Walls that a role which only sensors hear lacks, by slug.
    Walls(&'static str, Vec<String>),
    /// A program started, and was captured at once: the job has no number yet.
    Executed(Box<(Job, Pending)>),
}

/// How a source is watched, as far as its sensor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `files` or `processes`.
    pub source: &'static str,
    /// `fanotify`, `inotify`, `exec-events+sweep`, `sweep`, with `strict+` before the last two.
    pub mechanism: &'static str,
    /// What is not watched: a slug, how many, one of them.
    pub not_watched: Vec<Gap>,
    /// Whether the sensor has set itself up.
    pub ready: bool,
    /// Processes that ended, or files that changed, before they could be looked at.
    pub raced: u64,
}

/// Something that is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why, as a slug.
    pub why: &'static str,
    /// How many places.
    pub count: u64,
    /// One of them, raw.
    pub example: Option<PathBuf>,
}

/// Why a directory that could not be listed counts as not read; none when it is not there any more, or
/// is no directory.
#[must_use]
pub fn not_listed(why: Errno) -> Option<&'static str> {
    match why {
        Errno::NOENT | Errno::NOTDIR => None,
        errno => Some(unlisted(errno)),
    }
}

/// Why what is in a directory could not all be listed.
fn unlisted(errno: Errno) -> &'static str {
    let step = "list";
    Refusal::Unreadable { step, errno }.slug()
}

/// Whether a new name belongs to a file that has another: a hard link brings no further event.
fn linked_elsewhere(host: &Root, path: &Path) -> bool {
    host.look(path).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink > 1
    })
}

/// One complete look at /proc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// When it began.
    pub at: Time,
    /// The same in clock ticks since boot: what was started later is not missing from it.
    pub began: u64,
    /// Every instance that lived when it began, but kernel threads and the agent's own. One that ended
    /// before its turn came counts: what it started meanwhile is not in this sweep.
    pub alive: Vec<ProcessInstance>,
    /// Processes that ended like that, of which this sensor knows no more than the number.
    pub ended: Vec<i32>,
    /// Whether the kernel hides processes from this user (`hidepid`): others may live.
    pub hidden: bool,
}

/// This moment by the host's clock.
#[must_use]
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

/// Ends sensors: all of them wait on it beside their own descriptor.
#[derive(Clone, Debug)]
pub struct Stop(Arc<EventFd>);

impl Stop {
    /// A stop that nobody has asked for yet.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new() -> nix::Result<Stop> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_flags(flags).map(|fd| Stop(Arc::new(fd)))
    }

    /// Asks every sensor to end.
    pub fn ask(&self) {
        let _ = self.0.write(1); // fails only when it was asked 2^64 times
    }

    /// Whether it was asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.wait(None, Some(Duration::ZERO)) == Woken::Stop
    }

    /// Waits for `fd` to become readable, for the stop, or for `limit`.
    pub fn wait(&self, fd: Option<BorrowedFd<'_>>, limit: Option<Duration>) -> Woken {
        self.wait_any(fd.as_slice(), limit)
    }

    /// Waits for one of `fds` to become readable, for the stop, or for `limit`.
    pub fn wait_any(&self, fds: &[BorrowedFd<'_>], limit: Option<Duration>) -> Woken {
        self.wait_any_or_told(fds, None, limit)
    }

    /// As [`wait_any`](Stop::wait_any), or until `table` tells that it changed: a file of /proc that is
    /// always readable and tells that in another way.
    pub fn wait_any_or_told(
        &self,
        fds: &[BorrowedFd<'_>],
        table: Option<BorrowedFd<'_>>,
        limit: Option<Duration>,
    ) -> Woken {
        let stop = self.0.as_fd();
        let all = std::iter::once(&stop).chain(fds);
        let mut all: Vec<_> = all.map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        all.extend(table.map(|table| PollFd::new(table, PollFlags::POLLPRI)));
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            // Rounded up: a wait of half a millisecond must not spin.
            let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut all, limit) {
            Err(nix::errno::Errno::EINTR) | Ok(0) => Woken::Limit,
            Err(_) => {
                // The kernel has no memory for it now: no reason to end, and none to spin.
                std::thread::park_timeout(NO_MEMORY);
                Woken::Limit
            }
            Ok(_) if all[0].any().unwrap_or(true) => Woken::Stop,
            // First, since it tells once; what is readable stays so.
            Ok(_)
                if all[1 + fds.len()..]
                    .iter()
                    .any(|fd| fd.any().unwrap_or(true)) =>
            {
                Woken::Told
            }
            Ok(_) => Woken::Ready,
        }
    }
}

/// How long a wait is that the kernel refuses.
const NO_MEMORY: Duration = Duration::from_millis(100);

/// What ended a wait.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The descriptor is readable.
    Ready,
    /// The table has changed.
    Told,
    /// The sensor is to end.
    Stop,
    /// The time is over.
    Limit,
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit};

    use super::*;

    /// `poll` refuses more descriptors than a process may have: the only error that can be had at
    /// will.
    #[test]
    fn a_wait_that_the_kernel_refuses_ends_no_sensor() {
        let stop = Stop::new().unwrap();
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let Some(count) = usize::try_from(limit).ok().filter(|limit| *limit < 1 << 23) else {
            return; // no such limit here
        };
        let many = vec![stop.0.as_fd(); count + 1];
        let woken = stop.wait_any(&many, Some(Duration::ZERO));
        assert_eq!(woken, Woken::Limit);
        stop.ask();
        assert!(stop.asked());
    }
}
