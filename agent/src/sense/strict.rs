//! The process sensor's strict rung: programs are captured while the gate holds them.
//!
//! The gate ([`crate::gate`]) asks for each program that opens its C library, which waits meanwhile; it
//! is captured as by the exec rung, once by the two, and may go on. Nothing rests on this thread but
//! what it captures: a gate that gets no answer lets everybody go. Where the gate is gone, or not wanted
//! under pressure, the exec rung and the sweep go on as ever, and coverage says why strict mode is off.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::captured::Captured;
use super::processes::Interest;
use super::{Gap, Sensed, Status, Stop, Woken, execs};
use crate::gate::words::{FromGate, ToGate};
use crate::job::{Job, JobId, Pending};
use crate::open::Opener;

/// Words of the gate that are heard before the watcher's wishes are looked at again.
const WORDS: usize = 256;

/// How long a capture waits for room with the watcher: less than its successor may.
const ROOM: Duration = Duration::from_millis(15);

/// Why no program is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// No gate has come yet, or the marker is between two.
    NoGate,
    /// The files at which programs are held were replaced, and the next gate is about to begin.
    Changed,
    /// The gate was killed, by the kernel's watchdog for not being alive or by somebody.
    GateKilled,
    /// This process did not answer in time.
    Overdue,
    /// The kernel has no permission events, or the marker may not use them.
    Refused,
    /// None of the files at which programs would be held is there.
    NoFile,
    /// A control group of the first version could freeze the gate, and all who wait with it.
    Freezable,
    /// The host is under pressure.
    Pressure,
    /// The agent is paused.
    Paused,
}

impl Off {
    /// The reason as coverage counts it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Off::NoGate => "strict-off-no-gate",
            Off::Changed => "strict-off-files-changed",
            Off::GateKilled => "strict-off-gate-killed",
            Off::Overdue => "strict-off-overdue",
            Off::Refused => "strict-off-refused",
            Off::NoFile => "strict-off-no-file",
            Off::Freezable => "strict-off-freezer",
            Off::Pressure => "strict-off-pressure",
            Off::Paused => "strict-off-paused",
        }
    }

    /// The same for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Off::NoGate => "no gate has been begun yet; it takes the marker, which takes root",
            Off::Changed => "a library was replaced; the next gate is about to begin",
            Off::GateKilled => {
                "the gate was killed, by the kernel because it was late or by somebody; another one \
                 begins by itself, later each time"
            }
            Off::Overdue => {
                "a capture took too long; the gate begins again by itself, later each time"
            }
            Off::Refused => "this kernel, or this marker, has no permission events",
            Off::NoFile => "none of the files at which programs would be held is there",
            Off::Freezable => {
                "a control group of version 1 could freeze the gate, and all who wait with it: run the \
                 agent outside of such a group"
            }
            Off::Pressure => "the host is under pressure; it comes back by itself",
            Off::Paused => "the agent is paused",
        }
    }
}

/// How strict mode stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Why no program is held; none while they are.
    pub off: Option<String>,
    /// The same in words.
    pub why: Option<String>,
    /// Programs that waited for a capture, of all gates so far.
    pub held: u64,
    /// Those that went on before it was done.
    pub late: u64,
    /// Those that were too many to wait.
    pub not_held: u64,
    /// Programs that this rung captured; the exec rung was first with the others.
    pub captured: u64,
}

/// Strict mode, shared by those who take part in it.
#[derive(Clone)]
pub struct Strict(Arc<Shared>);

struct Shared {
    configured: bool,
    wake: EventFd,
    now: Mutex<Now>,
    held: AtomicU64,
    late: AtomicU64,
    not_held: AtomicU64,
    captured: AtomicU64,
}

struct Now {
    /// The link of a gate that has just been begun, and its process.
    arrived: Option<OwnedFd>,
    gate: Option<i32>,
    wanted: Result<(), Off>,
    own: BTreeSet<i32>,
    state: Result<(), Off>,
}

impl Strict {
    /// Off, until a gate comes, if it is configured.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new(configured: bool) -> nix::Result<Strict> {
        Ok(Strict(Arc::new(Shared {
            configured,
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            now: Mutex::new(Now {
                arrived: None,
                gate: None,
                wanted: Ok(()),
                own: BTreeSet::new(),
                state: Err(Off::NoGate),
            }),
            held: AtomicU64::new(0),
            late: AtomicU64::new(0),
            not_held: AtomicU64::new(0),
            captured: AtomicU64::new(0),
        })))
    }

    /// Whether it is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.0.configured
    }

    /// A gate was begun: its link, and its process.
    pub fn arrived(&self, link: OwnedFd, gate: i32) {
        if !self.0.configured {
            return; // which ends it
        }
        let mut now = self.now();
        (now.arrived, now.gate) = (Some(link), Some(gate));
        self.wake();
    }

    /// Whether programs are to be held, or why not.
    pub fn want(&self, wanted: Result<(), Off>) {
        let mut now = self.now();
        if now.wanted != wanted {
            now.wanted = wanted;
            self.wake();
        }
    }

    /// These are the agent's own processes, which are never held.
    pub fn leave_out(&self, own: BTreeSet<i32>) {
        let mut now = self.now();
        if now.own != own {
            now.own = own;
            self.wake();
        }
    }

    /// The process of the gate that was begun last.
    #[must_use]
    pub fn gate(&self) -> Option<i32> {
        self.now().gate
    }

    /// Why no program is held; none while they are, or where nobody asked for it.
    #[must_use]
    pub fn off(&self) -> Option<Off> {
        if self.0.configured {
            self.now().state.err()
        } else {
            None
        }
    }

    /// How it stands; none where nobody asked for it.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let off = self.off();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.0.configured.then(|| Standing {
            off: off.map(|off| off.slug().to_owned()),
            why: off.map(|off| off.words().to_owned()),
            held: count(&self.0.held),
            late: count(&self.0.late),
            not_held: count(&self.0.not_held),
            captured: count(&self.0.captured),
        })
    }

    /// How processes are watched, with executions that this host tells or without.
    #[must_use]
    pub fn status(&self, exec_events: bool, raced: u64) -> Status {
        let off = self.off();
        let holds = self.0.configured && off.is_none();
        let mechanism = match (holds, exec_events) {
            (true, true) => "strict+exec-events+sweep",
            (true, false) => "strict+sweep",
            (false, true) => "exec-events+sweep",
            (false, false) => "sweep",
        };
        let gap = |off: Off| Gap {
            why: off.slug(),
            count: 1,
            example: None,
        };
        Status {
            source: "processes",
            mechanism,
            not_watched: off.map(gap).into_iter().collect(),
            ready: true,
            raced,
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _ = self.0.wake.write(1); // fails only when it is pending 2^64 times
    }
}

/// The thread that captures what the gate holds.
pub struct Held {
    strict: Strict,
    opener: Arc<Opener>,
    interest: Interest,
    captured: Captured,
    exec_events: bool,
    out: Sender<Sensed>,
    stop: Stop,
    /// The gate, while there is one.
    gate: Option<OwnedFd>,
    /// What the gate was last told.
    told: Option<(Result<(), Off>, BTreeSet<i32>)>,
    /// Its last word, if it had one.
    last: Option<Off>,
    /// Its counts so far, which begin at 0 with each gate.
    counts: [u32; 3],
}

impl Held {
    /// A sensor for what the gates of `strict` hold. `exec_events` says whether the exec rung is there.
    #[must_use]
    pub fn new(
        strict: Strict,
        (opener, captured): (Arc<Opener>, Captured),
        interest: Interest,
        exec_events: bool,
        out: Sender<Sensed>,
        stop: Stop,
    ) -> Held {
        Held {
            strict,
            opener,
            interest,
            captured,
            exec_events,
            out,
            stop,
            gate: None,
            told: None,
            last: None,
            counts: [0; 3],
        }
    }

    /// Captures until told to stop.
    pub fn run(mut self) {
        // Best effort, as on the exec thread: somebody waits for each capture.
        let _ = akwatch_sys::process::run_at_once();
        loop {
            let wake = self.strict.clone();
            let mut fds = vec![wake.0.wake.as_fd()];
            fds.extend(self.gate.as_ref().map(AsFd::as_fd));
            if self.stop.wait_any(&fds, None) == Woken::Stop {
                return;
            }
            let _ = wake.0.wake.read(); // empties it; nothing to read when the gate spoke
            self.take_arrived();
            if self.hear_gate().is_err() {
                self.lose_gate();
            }
            if self.tell_gate().is_err() {
                self.lose_gate();
            }
        }
    }

    fn take_arrived(&mut self) {
        let arrived = self.strict.now().arrived.take();
        if let Some(link) = arrived {
            self.gate = Some(link);
            (self.told, self.last, self.counts) = (None, None, [0; 3]);
        }
    }

    /// Tells the gate what has changed: whether it is wanted, and whom it leaves alone.
    fn tell_gate(&mut self) -> Result<(), nix::errno::Errno> {
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        let wishes = {
            let now = self.strict.now();
            (now.wanted, now.own.clone())
        };
        if self.told.as_ref() == Some(&wishes) {
            return Ok(());
        }
        ToGate::ForgetOwn.say(gate)?;
        for pid in &wishes.1 {
            ToGate::Own(*pid).say(gate)?;
        }
        ToGate::Hold(wishes.0.is_ok()).say(gate)?;
        self.told = Some(wishes);
        Ok(())
    }

    fn hear_gate(&mut self) -> Result<(), nix::errno::Errno> {
        for _ in 0..WORDS {
            let Some(gate) = &self.gate else {
                return Ok(());
            };
            match FromGate::hear(gate.as_fd())? {
                None => return Ok(()),
                Some(FromGate::Ask { number, pid }) => {
                    let taken = self.capture(pid);
                    // It may go on before anything else is done. A gate that is gone is heard to be, after
                    // its last word.
                    if let Some(gate) = &self.gate {
                        let _ = ToGate::Done(number).say(gate);
                    }
                    self.pass_on(taken);
                }
                Some(other) => self.take_word(other),
            }
        }
        self.strict.wake(); // there may be more
        Ok(())
    }

    fn take_word(&mut self, word: FromGate) {
        match word {
            FromGate::Ask { .. } => {}
            FromGate::Counts {
                held,
                late,
                not_held,
            } => self.count([held, late, not_held]),
            FromGate::Holding => self.change(Ok(())),
            FromGate::NotHolding => {
                let wanted = self.strict.now().wanted;
                self.change(Err(wanted.err().unwrap_or(Off::NoGate)));
            }
            FromGate::Released => self.last = Some(Off::Changed),
            FromGate::Overdue => self.last = Some(Off::Overdue),
            FromGate::NoFile => self.last = Some(Off::NoFile),
            FromGate::Freezable => self.last = Some(Off::Freezable),
            FromGate::Refused | FromGate::Broken => self.last = Some(Off::Refused),
        }
    }

    /// The gate is gone; without a last word it was killed.
    fn lose_gate(&mut self) {
        if let Some(gate) = self.gate.take() {
            while let Ok(Some(word)) = FromGate::hear(gate.as_fd()) {
                self.take_word(word); // whoever asked is free
            }
        }
        let why = self.last.take().unwrap_or(Off::GateKilled);
        self.change(Err(why));
    }

    /// Captures a process that waits; none when the exec rung was first, or it is none of ours.
    fn capture(&mut self, pid: i32) -> Option<(Job, Pending)> {
        if self.interest.is_own(pid) || self.interest.is_paused() {
            return None;
        }
        let captured = self.captured.clone();
        let mut taken = captured.turn();
        let now = Instant::now();
        let mut seen = None;
        let opened = self.opener.open_executed(pid, JobId(0), |image| {
            seen = Some(image);
            !taken.knows(&image) && taken.may(now)
        });
        let (job, pending) = opened.ok()?;
        if let Some(image) = seen {
            taken.note(image, monotonic_ns());
        }
        self.strict.0.captured.fetch_add(1, Ordering::Relaxed);
        Some((job, pending))
    }

    /// Waits a moment for room while the watcher is busy, since the next program waits as well; then a
    /// target stands for the capture, and the sweep for the target.
    fn pass_on(&self, taken: Option<(Job, Pending)>) {
        let Some((job, pending)) = taken else { return };
        let until = Instant::now() + ROOM;
        while self.out.len() >= execs::AHEAD && Instant::now() < until && !self.stop.asked() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let said = execs::said(job, pending, self.out.len());
        if self.out.try_send(said).is_err() {
            self.interest.measured().missed();
        }
    }

    fn count(&mut self, counts: [u32; 3]) {
        let shared = &self.strict.0;
        let totals = [&shared.held, &shared.late, &shared.not_held];
        for ((total, before), now) in totals.into_iter().zip(&mut self.counts).zip(counts) {
            let more = now.wrapping_sub(*before);
            total.fetch_add(more.into(), Ordering::Relaxed);
            *before = now;
        }
    }

    fn change(&self, state: Result<(), Off>) {
        let before = std::mem::replace(&mut self.strict.now().state, state);
        if before == state {
            return;
        }
        match state {
            Ok(()) => tracing::info!("strict mode is on: programs wait until they are captured"),
            Err(off) => tracing::warn!("strict mode is off: {}", off.words()),
        }
        let raced = self.interest.measured().read().missed;
        let status = self.strict.status(self.exec_events, raced);
        let _ = self.out.send(Sensed::Status(status));
    }
}

/// This moment in nanoseconds of `CLOCK_MONOTONIC`, as the kernel dates executions.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
