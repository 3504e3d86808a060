//! The process sensor's exec rung: a program is captured while it starts.
//!
//! A process may live for less than a millisecond, so its environment is read on this thread, at once
//! and before ordinary threads where the kernel allows, and only then judged worth anything. What it
//! names goes the way of every other target. A storm of executions is not chased: a bucket bounds the
//! captures, which it shares with the strict rung ([`super::captured`]); what it leaves out is counted,
//! and the sweep sees what is still there.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_sys::SysError;
use akwatch_sys::proc_events::{Exec, Heard, ProcEvents};
use crossbeam_channel::Sender;

use super::captured::Captured;
use super::processes::Interest;
use super::strict::{Strict, monotonic_ns};
use super::{Sensed, Stop, Woken};
use crate::job::{Content, Job, JobId, Pending, TargetPlace};
use crate::open::{Opener, Refusal};

/// Bytes of one capture that are sent on; a larger one is taken again when its turn comes.
const CAPTURE: usize = 512 * 1024;

/// Captures that wait for the watcher. Stops: environments that fill memory while it is busy.
pub(super) const AHEAD: usize = 64;

/// Time between two words about executions that were missed.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The sensor.
pub struct Execs {
    events: ProcEvents,
    opener: Arc<Opener>,
    interest: Interest,
    out: Sender<Sensed>,
    stop: Stop,
    captured: Captured,
    strict: Strict,
    missed: Missed,
}

/// Executions that were not captured, and when that was last said.
#[derive(Default)]
struct Missed {
    count: u64,
    told: u64,
    told_at: Option<Instant>,
}

impl Missed {
    /// How long until the rest is to be said; none when all of it was.
    fn due(&self, now: Instant) -> Option<Duration> {
        let since = |at| TELL_EVERY.saturating_sub(now.saturating_duration_since(at));
        (self.count > self.told).then(|| self.told_at.map_or(Duration::ZERO, since))
    }

    /// The number to say, if it is time.
    fn tell(&mut self, now: Instant) -> Option<u64> {
        if self.due(now)? > Duration::ZERO {
            return None;
        }
        (self.told, self.told_at) = (self.count, Some(now));
        Some(self.count)
    }
}

impl Execs {
    /// A sensor for every program that is executed from now on.
    ///
    /// # Errors
    /// When this kernel, namespace or user gets no such events; the sweep then stands alone.
    pub fn new(
        (opener, captured): (Arc<Opener>, Captured),
        interest: Interest,
        strict: Strict,
        out: Sender<Sensed>,
        stop: Stop,
    ) -> Result<Execs, SysError> {
        Ok(Execs {
            events: ProcEvents::subscribe()?,
            opener,
            interest,
            out,
            stop,
            captured,
            strict,
            missed: Missed::default(),
        })
    }

    /// Captures until told to stop.
    pub fn run(mut self) {
        if let Err(why) = akwatch_sys::process::run_at_once() {
            tracing::info!(%why, "the exec thread runs as an ordinary one; short-lived processes are missed more often");
        }
        loop {
            let due = self.missed.due(Instant::now());
            if self.stop.wait(Some(self.events.as_fd()), due) == Woken::Stop || !self.drain() {
                return;
            }
        }
    }

    /// Hears everything that waits; false when there is no use in going on.
    fn drain(&mut self) -> bool {
        loop {
            let goes_on = match self.events.next() {
                Ok(Heard::Exec(exec)) => self.capture(exec),
                Ok(Heard::Other) => true,
                Ok(Heard::Nothing) => return self.tell(),
                Ok(Heard::Lost) => {
                    self.miss();
                    self.interest.sweep();
                    true
                }
                Err(why) => {
                    tracing::error!(%why, "no executions are heard any more; the sweep stands alone");
                    let status = self.strict.status(false, self.missed.count);
                    let _ = self.out.send(Sensed::Status(status));
                    return false;
                }
            };
            if !goes_on {
                return false;
            }
        }
    }

    fn capture(&mut self, exec: Exec) -> bool {
        if self.interest.is_own(exec.pid) || self.interest.is_paused() {
            return true;
        }
        match self.take(exec) {
            Ok(Some((job, pending))) => {
                self.interest.measured().captured(since(exec.at_ns));
                self.out.send(said(job, pending, self.out.len())).is_ok()
            }
            Ok(None) | Err(Refusal::Ended) => {
                self.miss(); // of what was too many, the sweep sees what lives
                true
            }
            Err(_) => true, // the sweep names it, and its refusal is counted once
        }
    }

    /// Captures one program, unless the strict rung was first; none when there were too many.
    fn take(&self, exec: Exec) -> Result<Option<(Job, Pending)>, Refusal> {
        let mut taken = self.captured.turn();
        if taken.since(exec.pid, exec.at_ns) {
            return Err(Refusal::Captured);
        }
        if !taken.may(Instant::now()) {
            return Ok(None);
        }
        let mut seen = None;
        let opened = self.opener.open_executed(exec.pid, JobId(0), |image| {
            seen = Some(image);
            true
        })?;
        if let Some(image) = seen {
            taken.note(image, monotonic_ns());
        }
        Ok(Some(opened))
    }

    fn miss(&mut self) {
        self.missed.count += 1;
        self.interest.measured().missed();
    }

    fn tell(&mut self) -> bool {
        let Some(raced) = self.missed.tell(Instant::now()) else {
            return true;
        };
        let status = self.strict.status(true, raced);
        self.out.send(Sensed::Status(status)).is_ok()
    }
}

/// What was captured, as the watcher is told it while so many words wait for it.
pub(super) fn said(job: Job, pending: Pending, waiting: usize) -> Sensed {
    if captured(&job) <= CAPTURE && waiting < AHEAD {
        Sensed::Executed(Box::new((job, pending)))
    } else {
        Sensed::Targets(vec![pending.target])
    }
}

/// How long ago that was, in nanoseconds of `CLOCK_MONOTONIC`.
fn since(at_ns: u64) -> Duration {
    Duration::from_nanos(monotonic_ns().saturating_sub(at_ns))
}

fn captured(job: &Job) -> usize {
    let bytes = |content: &Content| match content {
        Content::File(_) => 0,
        Content::Captured(captured) => captured.0.len(),
    };
    job.contents.iter().map(bytes).sum()
}

/// The instance that was captured.
#[must_use]
pub fn instance_of(place: &TargetPlace) -> Option<akwatch_ledger::ProcessInstance> {
    match place {
        TargetPlace::Process(instance) => Some(*instance),
        TargetPlace::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::config::GlobSet;
    use crate::host::Root;

    #[test]
    fn what_was_missed_is_always_said_and_not_more_often_than_needed() {
        let now = Instant::now();
        let mut missed = Missed::default();
        assert_eq!((missed.due(now), missed.tell(now)), (None, None));
        missed.count = 1;
        assert_eq!(missed.tell(now), Some(1));
        missed.count = 3;
        assert_eq!(
            (missed.due(now), missed.tell(now)),
            (Some(TELL_EVERY), None)
        );
        assert_eq!(missed.tell(now + TELL_EVERY), Some(3));
        assert_eq!(missed.due(now + TELL_EVERY), None);
    }

    /// Where the kernel gives events (root in the first network namespace), a process that ends at
    /// once is captured with its environment.
    #[test]
    fn a_program_is_captured_while_it_starts() {
        let host = Arc::new(Root::live().unwrap());
        let opener = Arc::new(Opener::new(host, GlobSet::new([], &[]).unwrap()));
        let (out, said) = unbounded();
        let (stop, interest) = (Stop::new().unwrap(), Interest::new().unwrap());
        let (with, strict) = (Captured::default(), Strict::new(false).unwrap());
        let Ok(execs) = Execs::new((opener, with), interest, strict, out, stop.clone()) else {
            return; // not here; the sweep's own tests hold
        };
        let thread = std::thread::spawn(move || execs.run());
        let mut child = Command::new("cat")
            .env("EXEC_TEST", "captured-while-it-starts")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let Ok(Sensed::Executed(taken)) = said.recv_deadline(until) else {
                assert!(Instant::now() < until, "never captured");
                continue;
            };
            let (job, pending) = *taken;
            if instance_of(&pending.target.what).unwrap().pid != pid {
                continue;
            }
            let Content::Captured(environ) = &job.contents[0] else {
                panic!("no capture")
            };
            let text = String::from_utf8_lossy(&environ.0).into_owned();
            assert!(text.contains("EXEC_TEST=captured-while-it-starts"));
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        stop.ask();
        thread.join().unwrap();
    }
}
