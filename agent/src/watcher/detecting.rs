//! From the agenda to the ledger: open, send, judge, commit.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use akwatch_ledger::reading::{Extent, FileState, Reading, ReadingSubject};
use akwatch_ledger::{Need, PathKey, Query};
use akwatch_proto::coverage::Rung;
use akwatch_proto::credential::RuleId;
use akwatch_proto::finding::{PresenceState, UnknownWhy};
use akwatch_proto::place::Place;

use super::answer::{Ended, Hostile, Terms, reading};
use super::captures::{Captures, bytes_captured};
use super::committing::{Done, Note};
use super::flights::{Flight, Flights, OUT};
use super::keystores::Keystores;
use super::known::{Inode, NAMES};
use super::pushed::Pushed;
use super::{Event, Watcher, WatcherError, threads};
use crate::coverage::{Source, slug};
use crate::job::{Appended, Content, Examined, Job, JobId, Pending, Target, TargetPlace, Urgency};
use crate::link::{DetectorLink, FromDetector, Outlet, TalkError, ToDetector};
use crate::open::state_now;
use crate::role::Role;
use crate::sense::watch_set::{Covered, is_history};

/// How long the detector may take to accept a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of captures in one message; a frame holds twice as much.
const CAPTURES: usize = 8 * 1024 * 1024;

/// How long a reading waits for others to share its commit.
const COMMIT_WITHIN: Duration = Duration::from_millis(20);

/// Readings that wait while the ledger fails; beyond it nothing more is opened.
const UNCOMMITTED: usize = 256;

/// Time between two attempts of a commit that failed.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// Other names of a file that are looked at before any scan goes on.
const NAMES_AT_ONCE: usize = 32;

/// What a place that changed while it was read costs at least, so that it cools down.
const CHANGED_COST: u64 = 512 * 1024;

/// Bytes of a scan's places that the detector has at once, but for one larger file alone.
const SCAN_BYTES: u64 = 4 * 1024 * 1024;

/// From this size on, of a history only what was appended is read; below, reading it whole costs less
/// than a millisecond and is surer.
const TAIL_FROM: u64 = 32 * 1024;

/// How often a place may end the detector before it is set aside.
const DEATHS: u32 = 2;

/// The detector as the watcher sees it, and what is between it and the ledger.
#[derive(Default)]
pub(super) struct Detecting {
    generation: u64,
    outlet: Option<Outlet<ToDetector>>,
    /// Whether more may be heard of this generation: its last answers come before its end.
    hearing: bool,
    /// A detector that came before the end of the one before it was heard.
    next: Option<DetectorLink>,
    terms: Option<Terms>,
    /// Version of the rules that places were last read by in this run.
    read_by: Option<String>,
    pub(super) flights: Flights,
    /// What is looked at again when a file beside it changes.
    pub(super) keystores: Keystores,
    pub(super) done: Vec<Done>,
    pub(super) done_since: Option<Instant>,
    pub(super) failing: bool,
    next_job: u64,
    /// Captures that wait for the detector.
    captures: Captures,
    deaths: HashMap<TargetPlace, u32>,
    /// What repositories are asked.
    pub(super) pushed: Pushed,
    /// Rules that the detector set aside: name and reason.
    pub(super) faults: Vec<(String, String)>,
}

impl Detecting {
    pub(super) fn is_ready(&self) -> bool {
        self.terms.is_some() && self.outlet.is_some()
    }

    #[cfg(test)]
    pub(super) fn take_for_test(&mut self, outlet: Outlet<ToDetector>) {
        self.outlet = Some(outlet);
        self.terms = Some(Terms::default());
    }

    /// Says something; whether there is a detector that took it.
    pub(super) fn say(
        &mut self,
        message: &ToDetector,
        patience: Duration,
    ) -> Result<bool, TalkError> {
        match &mut self.outlet {
            Some(outlet) => outlet.say(message, patience).map(|()| true),
            None => Ok(false),
        }
    }

    /// Ends the link, and with it the detector.
    pub(super) fn close(&mut self) {
        if let Some(outlet) = self.outlet.take() {
            outlet.close();
        }
    }

    /// Version of the rules in force, once they are known.
    pub(super) fn rules(&self) -> Option<&str> {
        self.terms.as_ref().map(|terms| terms.rules.as_str())
    }

    pub(super) fn commit_due(&self) -> Option<Instant> {
        let wait = if self.failing {
            COMMIT_AGAIN
        } else {
            COMMIT_WITHIN
        };
        self.done_since.map(|since| since + wait)
    }

    /// A number for the next job.
    pub(super) fn next_id(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    pub(super) fn push(&mut self, done: Done, now: Instant) {
        self.done_since.get_or_insert(now);
        self.done.push(done);
    }
}

impl Watcher {
    /// A detector came: it gets the key and the rules; what another one had is sent again.
    pub(super) fn take_detector(&mut self, link: DetectorLink) -> Result<(), WatcherError> {
        if self.detecting.hearing {
            self.detecting.close();
            self.detecting.next = Some(link);
            return Ok(());
        }
        self.send_again();
        self.detecting.pushed.lose(false, Instant::now());
        self.detecting.generation += 1;
        self.detecting.hearing = true;
        let generation = self.detecting.generation;
        let (mut outlet, inlet) = link.split();
        threads::hear("detector", inlet, self.channels.say.clone(), move |said| {
            Event::Detector(generation, said)
        })?;
        let start = ToDetector::Start {
            key: self.identity.key.clone(),
            packs: self.options.packs.clone(),
        };
        self.detecting.terms = None;
        self.detecting.outlet = match outlet.say(&start, PATIENCE) {
            Ok(()) => Some(outlet),
            Err(why) => {
                tracing::warn!(%why, "the detector did not take its start");
                None
            }
        };
        Ok(())
    }

    pub(super) fn take_answer(
        &mut self,
        generation: u64,
        said: Result<FromDetector, TalkError>,
        now: Instant,
    ) -> Result<(), WatcherError> {
        if generation != self.detecting.generation {
            return Ok(()); // of a detector that was replaced
        }
        match said {
            Ok(FromDetector::Ready {
                rules,
                rule_ids,
                faults,
                missing_walls,
            }) => {
                self.walls.insert("detector", missing_walls);
                self.take_ready(&rules, &rule_ids, faults, now);
            }
            Ok(FromDetector::Read(examined)) => self.take_examined(examined, now),
            Ok(FromDetector::Ask { id, ask }) => self.take_ask(id, ask, now),
            Ok(FromDetector::Told(told)) => self.take_told(told, now),
            Err(why) => {
                if self.ending {
                    return Ok(());
                }
                if why.is_end() {
                    tracing::warn!("the detector ended; another one takes over its jobs");
                } else {
                    tracing::error!(%why, "the detector broke its protocol and is replaced");
                }
                self.lose_detector(now, !why.is_end());
            }
        }
        if self.detecting.hearing {
            return Ok(());
        }
        self.detecting
            .next
            .take()
            .map_or(Ok(()), |link| self.take_detector(link))
    }

    fn take_ready(
        &mut self,
        rules: &str,
        rule_ids: &[String],
        faults: Vec<(String, String)>,
        now: Instant,
    ) {
        let ids = || rule_ids.iter().filter_map(|id| RuleId::parse(id).ok());
        self.ledger.in_force().add_rules(rules, ids());
        tracing::info!(%rules, count = rule_ids.len(), set_aside = faults.len(), "the detector is ready");
        self.detecting.terms = Some(Terms {
            rules: rules.to_owned(),
            rule_ids: ids().collect(),
            epoch: Some(self.identity.key.epoch.clone()),
        });
        self.detecting.faults = faults;
        let before = self.detecting.read_by.replace(rules.to_owned());
        if before.as_deref() != Some(rules) {
            self.stir_all();
            self.look_again(before.is_some(), now);
        }
    }

    /// Whether another job may be opened now. While it may not, an event ends that: nothing that
    /// is due in the agenda may wake the loop, which could do nothing with it.
    pub(super) fn may_examine(&self) -> bool {
        self.detecting.is_ready()
            && !self.ending
            && self.detecting.done.len() < UNCOMMITTED
            && self.detecting.flights.len() < OUT
            && self.samples.have_room()
            && !self.is_paused()
            && self.governor.rung() != Rung::HeartbeatOnly
    }

    /// Opens and sends what is next, as much as the detector may have at once.
    pub(super) fn examine_next(&mut self, now: Instant) {
        if !self.may_examine() {
            return;
        }
        let (mut jobs, mut flights, mut captured) = (Vec::new(), Vec::new(), 0);
        while self.detecting.flights.len() + jobs.len() < OUT && captured < CAPTURES {
            if let Some((job, flight)) = self.next_captured() {
                captured += bytes_captured(&job);
                jobs.push(job);
                flights.push(flight);
                continue;
            }
            let least = match (self.may_scan(&flights, now), self.scans.first_may_read()) {
                (true, true) => Urgency::FirstScan,
                (true, false) => Urgency::Rescan,
                (false, _) => Urgency::Hunt,
            };
            let Some(target) = self.agenda.next_within(least, now) else {
                break;
            };
            let Some((job, flight)) = self.open(&target, now) else {
                continue;
            };
            captured += bytes_captured(&job);
            jobs.push(job);
            flights.push(flight);
        }
        if jobs.is_empty() {
            return;
        }
        for flight in flights {
            self.detecting.flights.push(flight, now);
        }
        self.send(jobs, now);
    }

    /// Sends jobs that are noted as out already, as many at once as their files allow.
    pub(super) fn send(&mut self, jobs: Vec<Job>, now: Instant) {
        for message in ToDetector::examine(jobs) {
            self.say_to_detector(&message, PATIENCE, now);
        }
    }

    /// Says something to the detector; whether it took that.
    pub(super) fn say_to_detector(
        &mut self,
        message: &ToDetector,
        patience: Duration,
        now: Instant,
    ) -> bool {
        match self.detecting.say(message, patience) {
            Ok(taken) => taken,
            Err(why) => {
                self.take_silence(&why, now);
                false
            }
        }
    }

    /// The detector did not take what was said.
    pub(super) fn take_silence(&mut self, why: &TalkError, now: Instant) {
        // What it answered before it ended is still to be heard: its end comes after that.
        self.detecting.outlet = None;
        if !why.is_end() {
            tracing::warn!(%why, "the detector takes nothing and is replaced");
            self.lose_detector(now, true);
        }
    }

    /// Whether one more place of a scan may go to the detector, which answers in order: an event must
    /// not wait behind many or large ones.
    fn may_scan(&self, next: &[Flight], now: Instant) -> bool {
        let (mut count, mut bytes) = self.detecting.flights.of_scans();
        for flight in next.iter().filter(|flight| flight.is_of_scan()) {
            count += 1;
            bytes += flight.bytes();
        }
        count < self.governor.scans_at_once()
            && bytes < SCAN_BYTES.min(self.options.scan_bytes_per_second)
            && self.pace.reads_due(now).is_none()
    }

    /// Whether places of a scan wait that only their pace keeps from being opened.
    pub(super) fn scans_wait(&self) -> bool {
        let waiting =
            self.agenda.waiting(Urgency::FirstScan) + self.agenda.waiting(Urgency::Rescan);
        waiting > 0 && self.may_examine()
    }

    /// A program that was captured while it started.
    pub(super) fn take_executed(&mut self, job: Job, mut pending: Pending, now: Instant) {
        let Some(instance) = crate::sense::execs::instance_of(&pending.target.what) else {
            return;
        };
        if !self.detecting.captures.has_room(&job) {
            self.offer(pending.target, now);
            return;
        }
        self.sweeps.named(instance);
        pending.answer_naming(self.sweeps.naming(&instance));
        self.detecting.captures.push(job, pending);
    }

    fn next_captured(&mut self) -> Option<(Job, Flight)> {
        let (mut job, pending) = self.detecting.captures.pop()?;
        job.header.id = self.detecting.next_id();
        let header = job.header.clone();
        Some((
            job,
            Flight {
                header,
                pending,
                file: None,
            },
        ))
    }

    /// Opens one target; none when there is nothing to examine, which has then been dealt with.
    fn open(&mut self, target: &Target, now: Instant) -> Option<(Job, Flight)> {
        if let TargetPlace::File(path) = &target.what
            && self.covers(path) != Covered::Yes
        {
            self.turn_away(target, path.clone().as_path(), now);
            return None;
        }
        let hand = match &target.what {
            TargetPlace::File(path) => self.hands.take(path),
            TargetPlace::Process(_) => None,
        };
        self.look_beside(target, now);
        let id = self.detecting.next_id();
        match self.opener.open(target, id) {
            Ok((mut job, mut pending)) => {
                if let TargetPlace::Process(instance) = &target.what {
                    pending.answer_naming(self.sweeps.naming(instance));
                }
                if let (TargetPlace::File(path), Some(state)) = (&target.what, pending.before) {
                    self.revisit_other_names(target, path, &state, now);
                    if self.is_settled(target, path, &state, now) {
                        return None;
                    }
                    self.begin_at_tail(target, path, &state, &mut job);
                    self.sign(path, &state, hand, &mut job.header.names, &mut pending);
                }
                // Under pressure what idles gets nothing, and what comes after it waits: there the pace
                // of scans alone holds them back.
                job.header.idle =
                    target.urgency >= Urgency::Rescan && self.governor.rung() == Rung::Full;
                let file = job.contents.iter().find_map(own_descriptor);
                let header = job.header.clone();
                Some((
                    job,
                    Flight {
                        header,
                        pending,
                        file,
                    },
                ))
            }
            Err(refusal) => {
                self.take_refusal(target, &refusal, now);
                None
            }
        }
    }

    /// An event names the one name that was written through: what a file holds under its other names
    /// has changed, too.
    fn revisit_other_names(
        &mut self,
        target: &Target,
        path: &Path,
        state: &FileState,
        now: Instant,
    ) {
        if target.urgency != Urgency::Live {
            return; // they do not send back and forth
        }
        let names = self.known.other_names(path, Inode(state.dev, state.ino));
        for (at, name) in names.into_iter().enumerate() {
            let what = TargetPlace::File(name);
            if at >= NAMES {
                // Whoever makes so many links does not make everything be read again.
                let source = source_of_target(&what);
                self.counts.not_read(source, &what, "not-watched-live");
                return;
            }
            let urgency = if at < NAMES_AT_ONCE {
                Urgency::Revisit
            } else {
                Urgency::Rescan
            };
            self.offer(Target { what, urgency }, now);
        }
    }

    /// Whether an open file need not be examined, or not now.
    fn is_settled(
        &mut self,
        target: &Target,
        path: &Path,
        state: &FileState,
        now: Instant,
    ) -> bool {
        let key = PathKey::of(path.as_os_str().as_encoded_bytes());
        let rules = self.detecting.rules().unwrap_or_default();
        if !is_again(target) && self.ledger.need(key, state, rules) == Need::Skip {
            self.agenda.done(&target.what, 0, now);
            return true;
        }
        if target.urgency == Urgency::Live && state.size > self.options.max_file_bytes {
            self.agenda.done(&target.what, 0, now);
            let later = Target {
                what: target.what.clone(),
                urgency: Urgency::Rescan,
            };
            self.offer(later, now);
            return true;
        }
        false
    }

    /// Says of a history up to where it was read, so that only what was appended is. Not when a
    /// person asks, nor when one of its findings is unknown: only a whole reading can tell of them.
    fn begin_at_tail(&mut self, target: &Target, path: &Path, state: &FileState, job: &mut Job) {
        let Some(part) = job.header.parts.first_mut() else {
            return;
        };
        if part.appended.is_none() || is_again(target) {
            return;
        }
        let key = PathKey::of(path.as_os_str().as_encoded_bytes());
        let rules = self.detecting.rules().unwrap_or_default();
        let Need::Tail { from, lines, mark } = self.ledger.need(key, state, rules) else {
            return;
        };
        let place = self.known.place(path).cloned();
        if from >= TAIL_FROM && !place.is_some_and(|place| self.holds_unknown(place)) {
            part.appended = Some(Appended {
                from,
                lines,
                mark: mark.0,
            });
        }
    }

    fn holds_unknown(&mut self, place: Place) -> bool {
        let query = Query {
            place: Some(place),
            state: Some(PresenceState::Unknown),
            limit: 1,
            ..Query::default()
        };
        // What cannot be asked counts as unknown.
        !matches!(self.ledger.holding(&query), Ok(held) if held.is_empty())
    }

    fn take_examined(&mut self, examined: Examined, now: Instant) {
        let Some(flight) = self.detecting.flights.answered(examined.id, now) else {
            tracing::error!("the detector answered what it was not asked and is replaced");
            self.lose_detector(now, true);
            return;
        };
        self.detecting.pushed.hear(now);
        if self.take_example(&flight, &examined).is_some() {
            return;
        }
        let after = flight.file.as_ref().and_then(|file| state_now(file).ok());
        let terms = self.detecting.terms.clone().unwrap_or_default();
        let at = crate::sense::now();
        match reading(
            &flight.header,
            &flight.pending,
            &examined,
            after,
            &terms,
            at,
        ) {
            Ok((mut reading, mut ended)) => {
                if flight.is_of_scan() {
                    self.pace.read(flight.bytes_read(&examined), now);
                }
                self.doubt_writer(&flight, &mut reading);
                if ended == Ended::Whole && self.may_have_changed(&flight.pending) {
                    // What was seen is there; of what was not seen the next reading tells.
                    ended = Ended::Changed;
                    reading.extent = Extent::Tail { from: 0 };
                }
                self.take_or_ask(flight, examined, reading, ended, now);
            }
            Err(why) => self.take_hostile(&flight, why, now),
        }
    }

    /// A file that is known by another name than before, for what is redacted in it, holds nothing new
    /// under that name.
    fn doubt_writer(&self, flight: &Flight, reading: &mut Reading) {
        if let (TargetPlace::File(path), ReadingSubject::Place(place)) =
            (&flight.pending.target.what, &reading.subject)
            && self.known.place(path).is_some_and(|known| known != place)
        {
            reading.written_by = None;
        }
    }

    /// Whether a file that holds findings may have changed while it was read without that showing.
    fn may_have_changed(&self, pending: &Pending) -> bool {
        match &pending.target.what {
            TargetPlace::File(path) => pending.fresh && self.known.may_hold(path),
            TargetPlace::Process(_) => false,
        }
    }

    pub(super) fn take_reading(
        &mut self,
        flight: &Flight,
        examined: &Examined,
        reading: Reading,
        ended: Ended,
        now: Instant,
    ) {
        let target = &flight.pending.target.what;
        self.detecting.deaths.remove(target);
        self.bytes_read = self.bytes_read.saturating_add(examined.work);
        let lines = examined.lines.first().copied().unwrap_or(0);
        let note = match (target, flight.pending.before) {
            (TargetPlace::Process(instance), _) => Note::Process {
                instance: *instance,
                naming: flight.pending.naming(),
                ended,
                nothing: examined.read.first() == Some(&0),
            },
            (target, Some(state)) => Note::File {
                target: target.clone(),
                state,
                lines,
                mark: examined.marks.first().copied().unwrap_or(0),
                ended,
            },
            (TargetPlace::File(_), None) => Note::Closed,
        };
        self.take_done(Done { reading, note }, now);
        let work = if ended == Ended::Changed {
            examined.work.max(CHANGED_COST)
        } else {
            examined.work
        };
        self.agenda.done(target, work, now);
        if ended == Ended::Changed {
            self.counts.raced(source_of_target(target));
            let again = Target {
                what: target.clone(),
                urgency: flight.pending.target.urgency,
            };
            self.offer(again, now);
        }
    }

    fn take_hostile(&mut self, flight: &Flight, why: Hostile, now: Instant) {
        tracing::error!(%why, "the detector's answer does not fit its job; it is replaced");
        self.set_aside(&flight.pending.target, "odd-answer", now);
        self.lose_detector(now, true);
    }

    fn set_aside(&mut self, target: &Target, cause: &'static str, now: Instant) {
        self.detecting.deaths.remove(&target.what);
        self.examples.aside(&target.what, cause);
        self.agenda
            .set_aside(&target.what, UnknownWhy::SetAside, now);
        self.counts.not_read(
            source_of_target(&target.what),
            &target.what,
            slug(UnknownWhy::SetAside),
        );
        match &target.what {
            TargetPlace::File(path) => {
                self.look_anew(path);
                if let Some(place) = self.known.place(path).cloned() {
                    self.push_closed(place, Extent::Unread(UnknownWhy::SetAside), now);
                }
            }
            TargetPlace::Process(instance) => {
                let naming = self.sweeps.naming(instance);
                self.sweeps
                    .unread(*instance, naming, UnknownWhy::SetAside, false);
                self.speak_of_sweep(now);
            }
        }
    }

    pub(super) fn replace_if_late(&mut self, now: Instant) {
        if self
            .detecting
            .flights
            .deadline()
            .is_none_or(|deadline| now < deadline)
        {
            return;
        }
        tracing::error!(
            "a job is past its deadline: its place is set aside, the detector replaced"
        );
        let mut flights = self.detecting.flights.take().into_iter();
        if let Some(first) = flights.next() {
            self.set_aside(&first.pending.target, "took-too-long", now);
        }
        for flight in flights {
            self.detecting.flights.push(flight, now);
        }
        self.lose_detector(now, true);
    }

    /// Gives the detector up; `ask` says whether it has to be ended.
    pub(super) fn lose_detector(&mut self, now: Instant, ask: bool) {
        self.detecting
            .pushed
            .lose(self.detecting.flights.is_empty(), now);
        if let Some(outlet) = self.detecting.outlet.take() {
            outlet.close();
        }
        self.detecting.generation += 1;
        self.detecting.hearing = false;
        self.detecting.terms = None;
        let suspect = self.detecting.flights.iter().next();
        let suspect = suspect.filter(|flight| !flight.header.parts.is_empty());
        if let Some(target) = suspect.map(|flight| flight.pending.target.clone()) {
            let deaths = self
                .detecting
                .deaths
                .entry(target.what.clone())
                .or_default();
            *deaths += 1;
            if *deaths >= DEATHS {
                let _ = self.detecting.flights.answered(self.first_job(), now);
                self.set_aside(&target, "ended-detector", now);
            }
        }
        self.send_again();
        if ask && let Err(why) = self.requests.replace(Role::Detector) {
            tracing::error!(%why, "the supervisor cannot be asked for another detector");
        }
    }

    fn first_job(&self) -> JobId {
        self.detecting
            .flights
            .iter()
            .next()
            .map_or(JobId(0), |flight| flight.header.id)
    }

    /// Puts what the detector had back on the agenda.
    fn send_again(&mut self) {
        let now = Instant::now();
        self.examples.forget();
        for flight in self.detecting.flights.take() {
            let target = flight.pending.target;
            if flight.header.parts.is_empty() {
                continue; // a name for coverage, which is asked for again
            }
            self.agenda.done(&target.what, 0, now);
            self.offer(target, now);
        }
    }
}

/// Whether a place is read again although nothing says that it changed.
fn is_again(target: &Target) -> bool {
    matches!(target.urgency, Urgency::Revisit | Urgency::Hunt)
}

fn own_descriptor(content: &Content) -> Option<OwnedFd> {
    match content {
        Content::File(file) => file.as_fd().try_clone_to_owned().ok(),
        Content::Captured(_) => None,
    }
}

pub(super) fn source_of(path: &Path) -> Source {
    if is_history(path) {
        Source::Histories
    } else {
        Source::Files
    }
}

fn source_of_target(target: &TargetPlace) -> Source {
    match target {
        TargetPlace::File(path) => source_of(path),
        TargetPlace::Process(_) => Source::Processes,
    }
}
