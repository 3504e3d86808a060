//! The marker's part of strict mode: it begins a gate, gives the watcher the other end of its link, and
//! begins another one when that has ended, later each time.
//!
//! What is held is files, not paths, so a library that was replaced is noticed here: the gate is let go
//! and begun anew with what lies there now. Nothing here waits for the gate.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use akwatch_sys::SysError;
use akwatch_sys::branch::{Branch, Ended, branch};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::{End, task};

/// Time between two looks at whether the files are still the same.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Time between two looks at whether a gate that was let go has ended.
const ENDS_SOON: Duration = Duration::from_millis(20);

/// How long a gate that ended stays away: from `first`, twice as long each time, `last` at most. One that
/// held for `last` has shown that it can.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After the first end.
    pub first: Duration,
    /// At most.
    pub last: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            first: Duration::from_secs(60),
            last: Duration::from_secs(3600),
        }
    }
}

/// Keeps a gate at these files.
#[derive(Debug)]
pub struct Keeper {
    paths: Vec<PathBuf>,
    patience: Patience,
    ends: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// None runs; the next one begins then.
    Away(Instant),
    Runs(Running),
}

#[derive(Debug)]
struct Running {
    branch: Branch,
    /// Tells the gate that it may go, by being closed, and tells of its end. None once it is to go.
    lead: Option<OwnedFd>,
    files: Files,
    since: Instant,
    look: Instant,
}

/// What lies at the paths: device and inode.
type Files = Vec<Option<(u64, u64)>>;

impl Keeper {
    /// A keeper that begins at once.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, patience: Patience, now: Instant) -> Keeper {
        Keeper {
            paths,
            patience,
            ends: 0,
            state: State::Away(now),
        }
    }

    /// What becomes readable when the gate ends.
    #[must_use]
    pub fn lead(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Runs(Running { lead, .. }) => lead.as_ref().map(AsFd::as_fd),
            State::Away(_) => None,
        }
    }

    /// When there is something to do without being told.
    #[must_use]
    pub fn due(&self) -> Instant {
        match &self.state {
            State::Away(until) => *until,
            State::Runs(running) => running.look,
        }
    }

    /// The gate's process, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match &self.state {
            State::Runs(running) => Some(running.branch.pid),
            State::Away(_) => None,
        }
    }

    /// Does what is to be done; the watcher's end of the link of a gate that was just begun.
    pub fn turn(&mut self, now: Instant) -> Option<OwnedFd> {
        if let State::Runs(running) = &mut self.state {
            if let Some((ended, lived)) = running.ended(now) {
                self.state = State::Away(now + self.away(ended, lived));
            } else if now >= running.look {
                running.look_at(&self.paths, now);
            }
        }
        match self.state {
            State::Away(until) if now >= until => self.begin(now),
            _ => None,
        }
    }

    /// The gate's lead has told something: that it ended.
    pub fn told(&mut self, now: Instant) {
        if let State::Runs(running) = &mut self.state {
            running.lead = None;
            running.look = now;
        }
    }

    fn begin(&mut self, now: Instant) -> Option<OwnedFd> {
        match Running::begin(&self.paths, now) {
            Ok((running, watchers)) => {
                self.state = State::Runs(running);
                Some(watchers)
            }
            Err(why) => {
                tracing::warn!(%why, source = %why.source, "no gate could be begun");
                self.state = State::Away(now + self.away(Ended::Code(u8::MAX), Duration::ZERO));
                None
            }
        }
    }

    /// How long none is begun after one that ended so.
    fn away(&mut self, ended: Ended, lived: Duration) -> Duration {
        let end = match ended {
            Ended::Code(code) => End::of(code),
            Ended::Signal(_) => None,
        };
        if end == Some(End::Released) {
            tracing::info!("the files at which programs are held have changed");
            return Duration::ZERO;
        }
        if lived >= self.patience.last {
            self.ends = 0;
        }
        let away = self.patience.first.saturating_mul(1 << self.ends.min(16));
        let away = away.min(self.patience.last);
        self.ends = self.ends.saturating_add(1);
        let seconds = away.as_secs();
        tracing::warn!(?ended, ?end, seconds, "the gate ended; no program is held");
        away
    }
}

impl Running {
    fn begin(paths: &[PathBuf], now: Instant) -> Result<(Running, OwnedFd), SysError> {
        let refused = |errno: nix::errno::Errno| SysError {
            call: "socketpair",
            source: errno.into(),
        };
        let (gates, watchers) = packets().map_err(refused)?;
        let (their_lead, lead) = packets().map_err(refused)?;
        let files = files(paths); // before they are opened: what changes meanwhile is noticed
        let branch = branch(&[gates.as_fd(), their_lead.as_fd()], paths, task)?;
        let running = Running {
            branch,
            lead: Some(lead),
            files,
            since: now,
            look: now + LOOK_EVERY,
        };
        Ok((running, watchers))
    }

    fn ended(&self, now: Instant) -> Option<(Ended, Duration)> {
        let lived = now.saturating_duration_since(self.since);
        match self.branch.ended() {
            Ok(ended) => ended.map(|ended| (ended, lived)),
            Err(_) => Some((Ended::Code(u8::MAX), lived)),
        }
    }

    fn look_at(&mut self, paths: &[PathBuf], now: Instant) {
        if self.lead.is_some() && files(paths) == self.files {
            self.look = now + LOOK_EVERY;
        } else {
            self.lead = None; // which lets it go
            self.look = now + ENDS_SOON;
        }
    }
}

fn files(paths: &[PathBuf]) -> Files {
    let file = |path: &PathBuf| {
        let stat = std::fs::metadata(path).ok()?;
        Some((stat.dev(), stat.ino()))
    };
    paths.iter().map(file).collect()
}

/// Two ends of a socket that keeps words apart; neither end waits.
///
/// # Errors
/// When the kernel gives none.
pub fn packets() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_ended_stays_away_twice_as_long_each_time_and_one_that_was_let_go_does_not() {
        let patience = Patience {
            first: Duration::from_secs(1),
            last: Duration::from_secs(5),
        };
        let mut keeper = Keeper::new(Vec::new(), patience, Instant::now());
        let killed = Ended::Signal(9);
        let away = |keeper: &mut Keeper, lived| keeper.away(killed, lived).as_secs();
        let waits: Vec<u64> = (0..4).map(|_| away(&mut keeper, Duration::ZERO)).collect();
        assert_eq!(waits, [1, 2, 4, 5]);
        let released = Ended::Code(End::Released as u8);
        assert_eq!(keeper.away(released, Duration::ZERO), Duration::ZERO);
        assert_eq!(away(&mut keeper, patience.last), 1);
    }

    /// Here by the refusal to branch off where there are other threads.
    #[test]
    fn a_gate_that_cannot_be_begun_is_tried_again_later() {
        let now = Instant::now();
        let mut keeper = Keeper::new(Vec::new(), Patience::default(), now);
        assert_eq!(keeper.due(), now);
        assert!(keeper.turn(now).is_none());
        assert_eq!(keeper.due(), now + Patience::default().first);
        assert_eq!((keeper.pid(), keeper.lead().is_some()), (None, false));
    }
}
