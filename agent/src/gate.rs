//! The gate of strict mode: a process holds still at its open of a file that every program opens first,
//! until the watcher has captured it.
//!
//! The kernel waits for this answer with every program that starts on the host, so the host comes
//! first. This is a process of its own, which the marker branches off, with one thread and no file,
//! capability or path to wait for. An open is allowed when its capture is done, or once it has waited
//! for [`Limits::answer`], whichever comes first; one of the agent's own, one too many and one while
//! the watcher is behind are allowed at once. There is no way to refuse an open.
//!
//! What keeps that true when this code does not run: the group's descriptor is open here and nowhere
//! else, so that the end of this process frees everybody, and the kernel ends it unless it says in time
//! that it is alive ([`Watchdog`]), also while it is stopped. A watcher that does not answer ends it
//! too. The marker begins a new one later, ever later ([`keeper`]).

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_sys::capability::{self, Capabilities};
use akwatch_sys::fanotify::permission::{Held, PermissionGroup};
use akwatch_sys::seccomp;
use akwatch_sys::watchdog::Watchdog;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use words::{FromGate, ToGate};

pub mod keeper;
pub mod words;

/// Opens that wait for the watcher at once, and captures that it may owe. Stops: a storm of programs
/// that fills this process's table of descriptors, without which the kernel refuses opens.
const WAITING: usize = 64;

/// The agent's own processes that are known by number.
const OWN: usize = 32;

/// Words of the watcher that are heard before the kernel is looked at again.
const WORDS: usize = 2 * WAITING;

/// Time between two words about the counts.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What bounds the gate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an open waits at most.
    pub answer: Duration,
    /// How long the watcher may owe answers without giving any, and how long this process may be silent
    /// towards the kernel.
    pub overdue: Duration,
    /// Opens that may wait a second, in the long run.
    pub per_second: f64,
    /// Opens that may wait at once after a quiet while.
    pub at_once: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            answer: Duration::from_millis(20),
            overdue: Duration::from_millis(250),
            per_second: 200.0,
            at_once: 1000.0,
        }
    }
}

/// Why a gate ended; its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// The marker let go of it: what is to be held has changed.
    Released = 0,
    /// The watcher is gone, or wants it no more.
    Unwatched = 10,
    /// The watcher owed answers for too long.
    Overdue = 11,
    /// The kernel refused to be read or answered.
    Broken = 12,
    /// The kernel gives no such group or marks.
    Refused = 13,
    /// None of the files is there.
    NoFile = 14,
    /// A control group could freeze this process, and with it what should end it.
    Freezable = 15,
}

impl End {
    const ALL: [End; 7] = [
        End::Released,
        End::Unwatched,
        End::Overdue,
        End::Broken,
        End::Refused,
        End::NoFile,
        End::Freezable,
    ];

    /// The end that an exit code says.
    #[must_use]
    pub fn of(code: u8) -> Option<End> {
        End::ALL.into_iter().find(|end| *end as u8 == code)
    }
}

/// Where the host's C library may lie, without the directories of other architectures: what every
/// program opens that was linked to it, once, with its own environment in place.
const LIBRARIES: [&str; 10] = [
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib/i386-linux-gnu/libc.so.6",
    "/lib32/libc.so.6",
    "/lib/libc.so.6",
    "/usr/lib/libc.so.6",
];

/// What the loader of programs reads to find libraries: opened by most programs too.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// The files of this host at which programs are held: its C libraries, else the loader's cache. One of
/// the two, since a program that opens both would wait twice.
#[must_use]
pub fn files_of_host() -> Vec<PathBuf> {
    let libraries = LIBRARIES.iter().filter(|path| Path::new(path).is_file());
    let libraries: Vec<PathBuf> = libraries.map(PathBuf::from).collect();
    if libraries.is_empty() {
        vec![PathBuf::from(LOADER_CACHE)]
    } else {
        libraries
    }
}

/// What the branched child does: it holds opens of `paths` until it is let go. It is given its link to
/// the watcher and the lead that the marker keeps.
#[must_use]
pub fn task(given: Vec<OwnedFd>, paths: &[PathBuf]) -> u8 {
    let mut given = given.into_iter();
    let (Some(watcher), Some(lead)) = (given.next(), given.next()) else {
        return End::Broken as u8;
    };
    let end = begin(watcher.as_fd(), lead.as_fd(), paths);
    let last = match end {
        End::Refused => FromGate::Refused,
        End::NoFile => FromGate::NoFile,
        End::Freezable => FromGate::Freezable,
        End::Overdue => FromGate::Overdue,
        End::Released => FromGate::Released,
        End::Unwatched | End::Broken => FromGate::Broken,
    };
    let _ = last.say(watcher.as_fd()); // it may be gone, and is told by the end in any case
    end as u8
}

fn begin(watcher: BorrowedFd<'_>, lead: BorrowedFd<'_>, paths: &[PathBuf]) -> End {
    if is_freezable(&std::fs::read("/proc/self/cgroup").unwrap_or_default()) {
        return End::Freezable;
    }
    let files = open_each_once(paths);
    if files.is_empty() {
        return End::NoFile;
    }
    let limits = Limits::default();
    let (Ok(group), Ok(watchdog)) = (PermissionGroup::new(), Watchdog::start(limits.overdue))
    else {
        return End::Refused;
    };
    // Best effort: somebody waits for each of its turns, and for the watcher's after it.
    let _ = akwatch_sys::process::run_at_once();
    akwatch_sys::memory::give_back(); // what the marker needed, and what raising the walls takes
    // Where these walls cannot be raised the marker's cannot either, and it says so.
    let _ = capability::restrict(Capabilities::NONE);
    let _ = seccomp::confine(&seccomp::GATE);
    serve(&group, &files, watcher, lead, Some(&watchdog), limits)
}

/// Whether a control group of the first version can freeze this process: nothing ends what that has
/// frozen, and all who wait would wait with it. What the second version freezes can be ended.
fn is_freezable(groups: &[u8]) -> bool {
    groups.split(|&byte| byte == b'\n').any(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
        let (names, path) = (fields.next().unwrap_or_default(), fields.next());
        let freezer = names
            .split(|&byte| byte == b',')
            .any(|name| name == b"freezer");
        freezer && path != Some(b"/")
    })
}

/// The files, each once whatever its names. Nothing is held while this process opens them.
fn open_each_once(paths: &[PathBuf]) -> Vec<File> {
    let (mut seen, mut files) = (Vec::new(), Vec::new());
    for path in paths {
        let Ok(file) = File::open(path) else { continue };
        let Ok(stat) = rustix::fs::fstat(&file) else {
            continue;
        };
        if !seen.contains(&(stat.st_dev, stat.st_ino)) {
            seen.push((stat.st_dev, stat.st_ino));
            files.push(file);
        }
    }
    files
}

/// Holds opens of `files` whenever the watcher wants, until there is a reason to end. Allocates nothing
/// and opens nothing.
pub fn serve(
    group: &PermissionGroup,
    files: &[File],
    watcher: BorrowedFd<'_>,
    lead: BorrowedFd<'_>,
    watchdog: Option<&Watchdog>,
    limits: Limits,
) -> End {
    let mut gate = Gate::new(group, files, watcher, limits);
    loop {
        if watchdog.is_some_and(|watchdog| watchdog.alive().is_err()) {
            return End::Broken;
        }
        let mut fds = [group.as_fd(), watcher, lead].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, gate.longest_wait(Instant::now())) {
            Ok(_) if fds[2].any().unwrap_or(true) => return End::Released,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return End::Broken, // it would only turn, before all others
        }
        if let Err(end) = gate.turn(Instant::now()) {
            return end;
        }
    }
}

/// An open that waits for the watcher.
struct Waiting<'a> {
    number: u32,
    until: Instant,
    /// Dropped to let it go on.
    _held: Held<'a>,
}

/// What happened so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    held: u32,
    late: u32,
    not_held: u32,
}

struct Gate<'a> {
    group: &'a PermissionGroup,
    files: &'a [File],
    watcher: BorrowedFd<'a>,
    limits: Limits,
    own: [i32; OWN],
    holding: bool,
    waiting: [Option<Waiting<'a>>; WAITING],
    /// The number of the last question, and of the last answer, which come in order.
    asked: u32,
    answered: u32,
    /// Since when the watcher owes answers and has given none.
    owed_since: Option<Instant>,
    bucket: Bucket,
    counts: Counts,
    told: Counts,
    told_at: Instant,
}

impl<'a> Gate<'a> {
    fn new(
        group: &'a PermissionGroup,
        files: &'a [File],
        watcher: BorrowedFd<'a>,
        limits: Limits,
    ) -> Gate<'a> {
        let now = Instant::now();
        Gate {
            group,
            files,
            watcher,
            limits,
            own: [0; OWN],
            holding: false,
            waiting: [const { None }; WAITING],
            asked: 0,
            answered: 0,
            owed_since: None,
            bucket: Bucket::full(limits.per_second, limits.at_once, now),
            counts: Counts::default(),
            told: Counts::default(),
            told_at: now,
        }
    }

    /// Until the next open is late, but often enough for the kernel's watchdog.
    fn longest_wait(&self, now: Instant) -> PollTimeout {
        let waiting = self.waiting.iter().flatten();
        let left = waiting.map(|one| one.until.saturating_duration_since(now));
        let wait = left.fold(self.limits.overdue / 3, Duration::min);
        let milliseconds = wait.as_micros().div_ceil(1000);
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::ZERO)
    }

    fn turn(&mut self, now: Instant) -> Result<(), End> {
        self.hear(now)?;
        self.take(now)?;
        for slot in &mut self.waiting {
            if slot.as_ref().is_some_and(|one| one.until <= now) {
                *slot = None;
                self.counts.late = self.counts.late.wrapping_add(1);
            }
        }
        let overdue = |since| now.saturating_duration_since(since) >= self.limits.overdue;
        if self.owed_since.is_some_and(overdue) {
            return Err(End::Overdue);
        }
        self.tell(now)
    }

    fn hear(&mut self, now: Instant) -> Result<(), End> {
        for _ in 0..WORDS {
            match ToGate::hear(self.watcher) {
                Ok(Some(ToGate::Done(number))) => self.done(number, now),
                Ok(Some(ToGate::Hold(wanted))) => self.hold(wanted)?,
                Ok(Some(ToGate::ForgetOwn)) => self.own = [0; OWN],
                Ok(Some(ToGate::Own(pid))) => {
                    if let Some(free) = self.own.iter_mut().find(|own| **own == 0) {
                        *free = pid;
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) => return Err(End::Unwatched),
            }
        }
        Ok(())
    }

    fn done(&mut self, number: u32, now: Instant) {
        self.answered = number;
        self.owed_since = (number != self.asked).then_some(now);
        let is_it =
            |slot: &&mut Option<Waiting<'a>>| slot.as_ref().is_some_and(|one| one.number == number);
        if let Some(slot) = self.waiting.iter_mut().find(is_it) {
            *slot = None;
        }
    }

    fn hold(&mut self, wanted: bool) -> Result<(), End> {
        if wanted == self.holding {
            return Ok(());
        }
        self.holding = wanted;
        for file in self.files {
            if wanted {
                self.group.hold(file.as_fd()).map_err(|_| End::Refused)?;
            } else {
                let _ = self.group.let_go(file.as_fd()); // a file that is gone has no mark
            }
        }
        let said = if wanted {
            FromGate::Holding
        } else {
            FromGate::NotHolding
        };
        said.say(self.watcher).or_else(unless_full)
    }

    /// Takes what waits in the kernel: everything else has been seen to before.
    fn take(&mut self, now: Instant) -> Result<(), End> {
        let group = self.group;
        let mut broken = None;
        let taken = group.take(|held| {
            if let Err(end) = self.ask(held, now) {
                broken = Some(end);
            }
        });
        match (taken, broken) {
            (Err(_), _) => Err(End::Broken),
            (Ok(_), Some(end)) => Err(end),
            (Ok(_), None) => Ok(()),
        }
    }

    /// Asks the watcher about one open; returning drops it, and so lets it go on, wherever it was not
    /// asked.
    fn ask(&mut self, held: Held<'a>, now: Instant) -> Result<(), End> {
        let pid = held.pid;
        if pid <= 0 || self.own.contains(&pid) || !self.holding {
            return Ok(());
        }
        let owed = usize::try_from(self.asked.wrapping_sub(self.answered)).unwrap_or(WAITING);
        let free = self.waiting.iter_mut().find(|slot| slot.is_none());
        let (Some(free), true) = (free.filter(|_| owed < WAITING), self.bucket.take(now)) else {
            self.counts.not_held = self.counts.not_held.wrapping_add(1);
            return Ok(());
        };
        let number = self.asked.wrapping_add(1);
        match (FromGate::Ask { number, pid }).say(self.watcher) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => {
                self.counts.not_held = self.counts.not_held.wrapping_add(1);
                return Ok(());
            }
            Err(_) => return Err(End::Unwatched),
        }
        self.asked = number;
        self.owed_since.get_or_insert(now);
        self.counts.held = self.counts.held.wrapping_add(1);
        *free = Some(Waiting {
            number,
            until: now + self.limits.answer,
            _held: held,
        });
        Ok(())
    }

    fn tell(&mut self, now: Instant) -> Result<(), End> {
        let soon = now.saturating_duration_since(self.told_at) < TELL_EVERY;
        if soon || self.told == self.counts {
            return Ok(());
        }
        (self.told, self.told_at) = (self.counts, now);
        let Counts {
            held,
            late,
            not_held,
        } = self.counts;
        let counts = FromGate::Counts {
            held,
            late,
            not_held,
        };
        counts.say(self.watcher).or_else(unless_full)
    }
}

/// A watcher that is behind is told later; one that is gone ends the gate.
fn unless_full(why: Errno) -> Result<(), End> {
    match why {
        Errno::EAGAIN => Ok(()),
        _ => Err(End::Unwatched),
    }
}

/// How much may be done now: so much at once after a quiet while, and so much a second in the long run.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    most: f64,
    left: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(per_second: f64, most: f64, now: Instant) -> Bucket {
        Bucket {
            per_second,
            most,
            left: most,
            filled: now,
        }
    }

    /// Takes one, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + since * self.per_second).min(self.most);
        self.filled = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests;
