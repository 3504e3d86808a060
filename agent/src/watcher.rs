//! The one loop: sensors name what may have changed, the detector says what it holds, the ledger
//! remembers, the reporter is told.
//!
//! Everything that can happen is an [`Event`], and one thread handles them all; the others only wait
//! for the kernel or for a link and speak into a bounded channel. The watcher opens everything and
//! reads no content; what comes back from the detector is hostile until [`answer`] has judged it. A
//! reading counts when the ledger has made it durable, not before, and only then is anything sent.
//! No path is logged: a raw name may hold a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_ledger::{Ledger, LedgerError};
use akwatch_proto::agent::{FleetKey, HostId};
use akwatch_proto::coverage::Rung;
use akwatch_proto::credential::InvalidWord;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select};
use ed25519_dalek::VerifyingKey;

use crate::agenda::Agenda;
use crate::budget::{Governor, Meter, Pace};
use crate::config::Hours;
use crate::control;
use crate::coverage::{Counts, Source};
use crate::host::Root;
use crate::identity;
use crate::link::{FromDetector, FromReporter, TalkError};
use crate::open::Opener;
use crate::role::service::Service;
use crate::role::{Linked, Links, Requests};
use crate::sense::files::FilesError;
use crate::sense::marked::Marks;
use crate::sense::processes::{Interest, own_processes};
use crate::sense::scan::{Ask, Walked};
use crate::sense::strict::{Off, Strict};
use crate::sense::watch_set::WatchSet;
use crate::sense::{Sensed, Stop};

pub mod answer;
mod captures;
mod committing;
mod courier;
mod detecting;
mod examples;
pub mod flights;
mod hands;
mod keystores;
pub mod known;
mod mounted;
mod pause;
mod pushed;
mod record;
mod refusing;
mod samples;
mod sensing;
pub mod sweeps;
mod telling;
mod threads;
mod until;

use courier::Courier;
use detecting::Detecting;
use examples::Examples;
use hands::Hands;
use known::Known;
use mounted::Mounted;
use pause::Pauses;
use record::Record;
use samples::Samples;
use sensing::Scans;
use sweeps::Sweeps;
use telling::Story;
use until::Until;

/// Batches of targets between sensors and the loop. Full, it makes sensors wait, and the kernel's
/// own queue says when that was too long.
const SENSED: usize = 256;

/// Messages of links and of the control socket between their threads and the loop. More than all
/// jobs out at once, so that no reader ever waits while the loop waits for its peer.
const MESSAGES: usize = 1024;

/// Filesystems that were mounted and wait to be walked over; beyond them a rescan is owed.
const MOUNTED: usize = 256;

/// How often the host's pressure is looked at and what is due is done.
const TICK: Duration = Duration::from_secs(1);

/// How long who is being answered when the loop ends may hold up the end.
const LET_GO: Duration = Duration::from_secs(2);

/// How long after the start, and then how often, memory that is not needed goes back to the host.
const SETTLED: Duration = Duration::from_secs(5);
const GIVE_BACK: Duration = Duration::from_secs(30);

/// Everything that can happen.
#[derive(Debug)]
enum Event {
    /// A sensor spoke.
    Sensed(Sensed),
    /// The walk has the next file, or ended.
    Walked(Walked),
    /// A role came, came again, or the watcher is to end.
    Linked(Linked),
    /// No role can come any more.
    Unlinked,
    /// The detector of this generation spoke or ended.
    Detector(u64, Result<FromDetector, TalkError>),
    /// The reporter of this generation spoke or ended.
    Reporter(u64, Result<FromReporter, TalkError>),
    /// Whether the file of a reading is an OS package's own.
    Sampled(u64, bool),
    /// Somebody on this host asks.
    Control(control::Request),
    /// Time to stop.
    Stop,
    /// Nothing happened, and something is due.
    Tick,
}

/// Who this host is to its collector.
pub struct Identity {
    /// Its name there.
    pub host: HostId,
    /// The key for fingerprints.
    pub key: FleetKey,
    /// Who may sign directives.
    pub directive_keys: Vec<VerifyingKey>,
    /// Time between heartbeats, until the collector says another.
    pub heartbeat: Duration,
}

/// What the watcher does, as configured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether histories are read.
    pub histories: bool,
    /// Whether processes are read.
    pub processes: bool,
    /// Whether a new host is read once as a whole; what changes while no agent runs is looked at in
    /// any case.
    pub first_scan: bool,
    /// When the first scan reads; at any time when none are named.
    pub first_scan_hours: Vec<Hours>,
    /// Bytes that a live event reads of one file at most.
    pub max_file_bytes: u64,
    /// Bytes a second that scans read at most.
    pub scan_bytes_per_second: u64,
    /// Whether programs wait for their capture, where a marker can hold them.
    pub strict: bool,
    /// Watches of the inotify rung.
    pub watches: usize,
    /// The host's own labels.
    pub labels: BTreeMap<String, String>,
    /// Whether this host refuses the pauses that its collector asks for.
    pub refuses_pauses: bool,
    /// Whether the host is made to come and go.
    pub ephemeral: bool,
    /// Rule packs beyond the built-in ones: name and TOML.
    pub packs: Vec<(String, String)>,
    /// The watcher's own directory, where it notes what must outlast it.
    pub directory: PathBuf,
}

/// Everything that the watcher works with.
pub struct Setup {
    /// The host.
    pub host: Arc<Root>,
    /// What opens its places.
    pub opener: Opener,
    /// What is watched.
    pub set: WatchSet,
    /// What is remembered.
    pub ledger: Ledger,
    /// The other roles.
    pub links: Links,
    /// Who this host is.
    pub identity: Identity,
    /// What is done.
    pub options: Options,
    /// Where people on this host ask.
    pub control: Option<control::Listener>,
    /// Ends the watcher when asked.
    pub stop: Stop,
    /// Whom it tells that it is ready and alive.
    pub service: Service,
}

/// Why the watcher ended.
#[derive(Debug, thiserror::Error)]
pub enum WatcherError {
    /// A sensor could not start.
    #[error("the file sensor could not start")]
    Files(#[from] FilesError),
    /// The kernel refused a descriptor.
    #[error("the kernel refused an event descriptor")]
    Descriptor(#[from] nix::errno::Errno),
    /// The ledger could not be read, or is damaged: the next start sets it aside.
    #[error("the ledger could not be read")]
    Ledger(#[from] LedgerError),
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The fleet key is none.
    #[error("the fleet key is damaged; enroll this host again")]
    Key(#[from] InvalidWord),
    /// The supervisor is gone.
    #[error("no role can be linked any more")]
    Unlinked,
}

/// The channels of the loop.
struct Channels {
    sensed: Receiver<Sensed>,
    walked: Receiver<Walked>,
    messages: Receiver<Event>,
    say: Sender<Event>,
    /// Never ready: stands in for the walk while it has to wait.
    closed: Receiver<Walked>,
}

/// What the threads beside the loop speak into, and hear.
struct Ends {
    sense: Sender<Sensed>,
    walk: Sender<Walked>,
    ask: Sender<Ask>,
    asks: Receiver<Ask>,
    mount: Sender<PathBuf>,
    mounted: Receiver<PathBuf>,
}

impl Channels {
    fn open() -> (Channels, Ends, Sender<Event>) {
        let ((sense, sensed), (say, messages)) = (bounded(SENSED), bounded(MESSAGES));
        let (walk, walked) = bounded(crate::sense::scan::AHEAD);
        let (ask, asks) = bounded(4);
        let (mount, mounted) = bounded(MOUNTED);
        let channels = Channels {
            sensed,
            walked,
            messages,
            say,
            closed: never(),
        };
        let speak = channels.say.clone();
        let ends = Ends {
            sense,
            walk,
            ask,
            asks,
            mount,
            mounted,
        };
        (channels, ends, speak)
    }
}

/// The loop and all that it knows.
struct Watcher {
    host: Arc<Root>,
    opener: Arc<Opener>,
    set: WatchSet,
    ledger: Ledger,
    identity: Identity,
    options: Options,
    agenda: Agenda,
    governor: Governor,
    meter: Meter,
    pace: Pace,
    counts: Counts,
    known: Known,
    mounted: Mounted,
    until: Until,
    sweeps: Sweeps,
    scans: Scans,
    hands: Hands,
    detecting: Detecting,
    samples: Samples,
    examples: Examples,
    courier: Courier,
    pauses: Pauses,
    record: Record,
    /// What was last told of the coverage.
    story: Story,
    interest: Interest,
    requests: Requests,
    marks: Marks,
    strict: Strict,
    sense: Sender<Sensed>,
    /// Ends the sensor that reads marks.
    marked: Option<Stop>,
    /// Who waits to hear that this host is retired.
    retiring: Vec<Sender<Result<HostId, String>>>,
    channels: Channels,
    walls: BTreeMap<&'static str, Vec<String>>,
    own: BTreeSet<i32>,
    began: Instant,
    bytes_read: u64,
    ticked: Instant,
    /// When memory is next given back.
    gives_back: Instant,
    service: Service,
    ending: bool,
}

/// Watches until told to stop.
///
/// # Errors
/// When it cannot start, or when nothing is left to work with.
pub fn run(setup: Setup) -> Result<(), WatcherError> {
    let stop = setup.stop.clone();
    let mut control = None;
    let result = Watcher::start(setup, &mut control).and_then(Watcher::watch);
    stop.ask(); // sensors end with the loop, however it ended
    if let Some(answering) = control
        && answering.recv_timeout(LET_GO) == Err(RecvTimeoutError::Timeout)
    {
        tracing::warn!("somebody on this host is still being answered; ending all the same");
    }
    result
}

impl Watcher {
    fn start(setup: Setup, answering: &mut Option<Receiver<()>>) -> Result<Watcher, WatcherError> {
        let Setup {
            host,
            opener,
            set,
            mut ledger,
            links,
            identity,
            options,
            ..
        } = setup;
        let (channels, ends, say) = Channels::open();
        let (interest, marks, strict) = shared_with_sensors(&options)?;
        let (opener, now) = (Arc::new(opener), Instant::now());
        let known = telling::take_up(&mut ledger, &set, &identity, &options)?;
        let parts = threads::Parts {
            host: &host,
            opener: &opener,
            set: &set,
            marks: &marks,
            strict: &strict,
            options: &options,
            stop: &setup.stop,
        };
        threads::sensors(&parts, &interest, ends.sense.clone())?;
        threads::scan(&parts, (ends.asks, ends.mounted), ends.walk)?;
        let samples = threads::told(&parts, links.arrivals, &say)?;
        *answering = threads::control(setup.control, &setup.stop, &say)?;
        let watcher = Watcher {
            courier: Courier::new(&identity, &options, now),
            scans: Scans::new((ends.ask, ends.mount), &options),
            mounted: Mounted::load(&options.directory),
            until: Until::load(&options.directory),
            hands: Hands::default(),
            counts: Counts::of(&sources(&options)),
            walls: [("watcher", links.missing_walls)].into(),
            own: BTreeSet::new(),
            requests: links.requests,
            marked: None,
            retiring: Vec::new(),
            sense: ends.sense,
            marks,
            strict,
            channels,
            agenda: Agenda::new(),
            governor: Governor::default(),
            meter: Meter::new(now),
            pace: Pace::new(options.scan_bytes_per_second),
            sweeps: Sweeps::default(),
            detecting: Detecting::default(),
            samples,
            examples: Examples::default(),
            pauses: Pauses::load(&options.directory, !options.refuses_pauses, now),
            record: Record::default(),
            story: Story::default(),
            began: now,
            bytes_read: 0,
            ticked: now,
            gives_back: now + SETTLED,
            service: setup.service,
            ending: false,
            host,
            opener,
            set,
            ledger,
            identity,
            options,
            known,
            interest,
        };
        Ok(watcher.begin())
    }

    fn begin(mut self) -> Watcher {
        self.know_own();
        self.know_keystores();
        self.take_up_pauses();
        self.note_beginning();
        self.begin_scan();
        self.service.ready();
        self
    }

    fn watch(mut self) -> Result<(), WatcherError> {
        loop {
            let event = self.next_event();
            self.handle(event)?;
            let now = Instant::now();
            if now.saturating_duration_since(self.ticked) >= TICK {
                self.ticked = now;
                self.tick(now);
                self.service.alive(now);
            }
            self.replace_if_late(now);
            self.examine_next(now);
            self.trace_next(now);
            self.commit_if_due(now);
            self.deliver(now);
            if let Some(damage) = self.record.damage() {
                return Err(damage.into()); // opening it anew sets it aside
            }
            if self.ending && self.courier.has_taken_leave(now) {
                self.detecting.close();
                self.courier.close();
                if let Some(marked) = &self.marked {
                    marked.ask();
                }
                while self.channels.messages.try_recv().is_ok() {} // links that came too late
                return Ok(());
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), WatcherError> {
        let now = Instant::now();
        match event {
            Event::Sensed(sensed) => self.take_sensed(sensed, now),
            Event::Walked(walked) => self.take_walked(walked, now),
            Event::Linked(Linked::End) | Event::Stop => self.end(now),
            Event::Linked(linked) => {
                self.know_own();
                self.take_link(linked)?;
            }
            Event::Unlinked if self.ending => {}
            Event::Unlinked => return Err(WatcherError::Unlinked),
            Event::Detector(generation, said) => self.take_answer(generation, said, now)?,
            Event::Reporter(generation, said) => self.take_reporter(generation, said, now),
            Event::Sampled(id, own) => self.take_sampled(id, own, now),
            Event::Control(request) => self.answer_control(request),
            Event::Tick => {}
        }
        Ok(())
    }

    /// Waits for the next event, no longer than until something is due.
    fn next_event(&self) -> Event {
        let now = Instant::now();
        let walked = if self.may_walk(now) {
            &self.channels.walked
        } else {
            &self.channels.closed
        };
        let wait = self.next_due(now).saturating_duration_since(now);
        select! {
            recv(self.channels.messages) -> event => event.unwrap_or(Event::Unlinked),
            recv(self.channels.sensed) -> sensed => sensed.map_or(Event::Tick, Event::Sensed),
            recv(walked) -> walked => walked.map_or(Event::Tick, Event::Walked),
            default(wait) => Event::Tick,
        }
    }

    fn next_due(&self, now: Instant) -> Instant {
        let mut due = self.ticked + TICK;
        let others = [
            self.agenda.next_due().filter(|_| self.may_examine()),
            self.detecting.commit_due(),
            self.detecting.flights.deadline(),
            self.scans.next_walk(&self.governor, &self.pace),
            self.pace.reads_due(now).filter(|_| self.scans_wait()),
            self.detecting
                .pushed
                .next_due(now)
                .filter(|_| self.may_trace()),
        ];
        for other in others.into_iter().flatten() {
            due = due.min(other);
        }
        due.max(now)
    }

    fn tick(&mut self, now: Instant) {
        let before = self.governor.rung();
        let mut pressure = self.meter.measure(now);
        if cfg!(test) {
            pressure.rss_kib = 0; // the watchers of all tests share one process
        }
        let rung = self.governor.observe(pressure, now);
        self.pace.press(rung != Rung::Full);
        if rung != Rung::Full {
            self.detecting.flights.press();
        }
        self.want_strict(rung);
        if rung != before {
            let reason = self.governor.reason().unwrap_or("the host is calm");
            tracing::info!(?rung, reason, "the rung changed");
        }
        self.resume_when_due(now);
        self.look_at_the_clock();
        self.scan_when_due(now);
        self.revisit_when_due(now);
        self.ask_for_examples(now);
        self.note_watched(now, false);
        self.hasten_if_changed(now);
        self.end_if_retired(now);
        self.tidy_when_due(now);
        if now >= self.gives_back {
            self.gives_back = now + GIVE_BACK;
            akwatch_sys::memory::give_back();
            if self.ledger.keep_reserve() && !self.detecting.failing {
                self.record.works(&self.ledger);
            }
            let line = self.line();
            self.service.stands(&line);
        }
    }

    fn end(&mut self, now: Instant) {
        if !self.ending {
            self.ending = true;
            self.service.stopping();
            self.commit_now(now);
            self.note_watched(now, true);
            self.courier.take_leave(now);
        }
    }

    /// A host that its collector has closed and that has lost its identity has nothing to watch for: the
    /// service manager finds the unit's condition unmet then, and leaves it alone until the next enrollment.
    fn end_if_retired(&mut self, now: Instant) {
        let record = self.options.directory.join(identity::HOST_FILE);
        if self.courier.is_retired() && !self.ending && matches!(record.try_exists(), Ok(false)) {
            tracing::info!("this host is retired: ending");
            self.end(now);
        }
    }

    /// Looks for the roles anew: one has come.
    fn know_own(&mut self) {
        self.own = own_processes();
        self.own.extend(self.strict.gate());
        self.meter.follow(&self.own);
        self.interest.leave_out(self.own.clone());
        self.strict.leave_out(self.own.clone());
    }

    /// Programs are held at the full rung only: under pressure their starts must not wait for anything.
    fn want_strict(&mut self, rung: Rung) {
        self.strict.want(match rung {
            _ if self.is_paused() => Err(Off::Paused),
            Rung::Full => Ok(()),
            _ => Err(Off::Pressure),
        });
        if self
            .strict
            .gate()
            .is_some_and(|gate| !self.own.contains(&gate))
        {
            self.know_own();
        }
    }
}

/// What the loop tells its sensors, and hears from them.
fn shared_with_sensors(options: &Options) -> nix::Result<(Interest, Marks, Strict)> {
    let strict = Strict::new(options.strict && options.processes)?;
    Ok((Interest::new()?, Marks::new()?, strict))
}

fn sources(options: &Options) -> Vec<Source> {
    let mut sources = vec![Source::Files];
    sources.extend(options.processes.then_some(Source::Processes));
    sources.extend(options.histories.then_some(Source::Histories));
    sources
}

#[cfg(test)]
mod tests;
