//! What the collector, and people on this host, are told; what the collector asks.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_detect::Limits;
use akwatch_ledger::reading::FileState;
use akwatch_ledger::{Ledger, LedgerError, Need, PathKey, Query, ReadLimits};
use akwatch_proto::agent::{
    CheckInAnswer, Directive, HeartbeatAnswer, HostId, Outcome, OutcomeResult, Reported,
};
use akwatch_proto::coverage::{Covered as Covering, Rung};
use akwatch_proto::finding::{Finding, UnknownWhy};
use akwatch_proto::limits;
use akwatch_proto::place::Place;
use akwatch_proto::signed::Signed;
use uuid::Uuid;

use super::courier::State;
use super::detecting::source_of;
use super::known::{Known, plain_path};
use super::pause::{self, Asked};
use super::{Event, Identity, Options, Watcher, WatcherError, threads};
use crate::control::{Cost, Delivery, FileStanding, Progress, Request, Resumed, RoleState, Status};
use crate::coverage::{Source, slug};
use crate::job::{TargetPlace, Urgency};
use crate::link::{Answer, FromReporter, MarkerLink, ReporterLink, TalkError};
use crate::role::{Linked, Role};
use crate::sense::Stop;
use crate::sense::watch_set::{Covered, WatchSet};

/// What is said of a ledger that was put back.
const PUT_BACK: &str = "ledger.redb is older than what was written here last, a copy was put back; the collector is told \
     everything again";

/// Takes up what an earlier run knew: the paths that the ledger holds findings of. What lies where this
/// run does not look is doubted. On a full disk that has to wait, as any reading does.
pub(super) fn take_up(
    ledger: &mut Ledger,
    set: &WatchSet,
    identity: &Identity,
    options: &Options,
) -> Result<Known, LedgerError> {
    let known = known(ledger)?;
    put_in_force(ledger, set, identity, options);
    match doubt_what_is_not_covered(ledger, set, options) {
        Err(why) if why.slug() == "disk-full" => {
            tracing::error!(%why, "findings where this agent does not look any more stay as they were");
            Ok(known)
        }
        doubted => doubted.map(|()| known),
    }
}

/// The paths that the ledger holds findings of.
fn known(ledger: &mut Ledger) -> Result<Known, LedgerError> {
    let findings = ledger.holding(&Query::default())?;
    Ok(Known::from_places(
        findings.iter().map(|finding| &finding.key.place),
    ))
}

/// Tells the ledger what readings are made with: without it nothing can be called gone.
fn put_in_force(ledger: &mut Ledger, set: &WatchSet, identity: &Identity, options: &Options) {
    let limits = Limits::default();
    let in_force = ledger.in_force();
    in_force.epochs.insert(identity.key.epoch.clone());
    in_force.limits = ReadLimits {
        file_bytes: limits.bytes,
        depth: limits.depth,
        unwrapped_bytes: limits.unwrapped,
    };
    in_force.covers = Box::new(covering(set, options));
}

/// Whether policy covers a place.
fn covering(set: &WatchSet, options: &Options) -> impl Fn(&Place) -> bool + Send + use<> {
    let (set, processes, histories) = (set.clone(), options.processes, options.histories);
    move |place| match place {
        Place::File { .. } => {
            plain_path(place).is_none_or(|path| set.covers(&path) == Covered::Yes)
        }
        Place::History { .. } => {
            histories && plain_path(place).is_none_or(|path| set.covers(&path) == Covered::Yes)
        }
        Place::Process { .. } => processes,
        Place::Unknown => false,
    }
}

/// Makes unknown what an earlier run found where this one does not look: its configuration has changed.
fn doubt_what_is_not_covered(
    ledger: &mut Ledger,
    set: &WatchSet,
    options: &Options,
) -> Result<(), LedgerError> {
    let covers = covering(set, options);
    let why = UnknownWhy::PathExcluded;
    let uncovered = |finding: &Finding| !covers(&finding.key.place);
    let changes = ledger.unknown_where(why, crate::sense::now(), uncovered)?;
    if changes.unknown > 0 {
        let count = changes.unknown;
        tracing::info!(
            count,
            "findings lie where this agent does not look any more"
        );
    }
    Ok(())
}

/// What a heartbeat says of the coverage, but for its numbers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Story {
    scanning: bool,
    rung: Option<Rung>,
    rules: String,
    missing_walls: Vec<String>,
    /// What is wrong with the record.
    record: Option<String>,
    /// What is set aside.
    set_aside: Vec<String>,
    /// Mechanism, overflows and reasons of each source.
    sources: Vec<(String, u64, Vec<String>)>,
}

impl Watcher {
    pub(super) fn take_link(&mut self, linked: Linked) -> Result<(), WatcherError> {
        match linked {
            Linked::Detector(link) => self.take_detector(link),
            Linked::Reporter(link) => self.take_reporter_link(link),
            Linked::Marker(link) => self.take_marker(link),
            Linked::End => Ok(()),
        }
    }

    /// A marker came: the sensor of an earlier one gives way, its marks go with it.
    fn take_marker(&mut self, link: MarkerLink) -> Result<(), WatcherError> {
        if let Some(earlier) = self.marked.take() {
            earlier.ask();
            self.owe_rescan(); // between the two groups nobody watched
        }
        let stop = Stop::new()?;
        self.marked = Some(stop.clone());
        let set = self.set.clone();
        let shared = (self.marks.clone(), self.strict.clone());
        threads::marked(
            Arc::clone(&self.host),
            link,
            set,
            shared,
            self.sense.clone(),
            stop,
        )
    }

    fn take_reporter_link(&mut self, link: ReporterLink) -> Result<(), WatcherError> {
        let (outlet, inlet) = link.split();
        let generation = self.courier.link(outlet);
        threads::hear("reporter", inlet, self.channels.say.clone(), move |said| {
            Event::Reporter(generation, said)
        })
    }

    pub(super) fn take_reporter(
        &mut self,
        generation: u64,
        said: Result<FromReporter, TalkError>,
        now: Instant,
    ) {
        if generation != self.courier.generation {
            return;
        }
        match said {
            Ok(FromReporter::Started { missing_walls }) => {
                self.walls.insert("reporter", missing_walls);
            }
            Ok(FromReporter::Certified { not_after }) => {
                self.courier.certificate_ends = Some(not_after);
            }
            Ok(FromReporter::Answered(Answer::Report(reported))) => {
                self.take_reported(reported, now);
            }
            Ok(FromReporter::Answered(Answer::Heartbeat(answer))) => {
                self.take_heartbeat(&answer, now);
            }
            Ok(FromReporter::Answered(Answer::CheckIn(answer))) => self.take_check_in(&answer, now),
            Ok(FromReporter::Outage(outage)) => {
                let decides = self.courier.decides_retirement(&outage);
                self.courier.note_outage(&outage, now);
                if decides || self.courier.is_retired() {
                    self.answer_retiring();
                }
            }
            Ok(FromReporter::Carried { bytes }) => self.courier.note_carried(bytes),
            Ok(FromReporter::Renewed { not_after }) => {
                self.courier.certificate_ends = Some(not_after);
                tracing::info!(
                    not_after = not_after.seconds(),
                    "the certificate was renewed"
                );
            }
            Err(why) => {
                self.courier.unlink();
                if self.ending {
                    return;
                }
                tracing::warn!(%why, "the reporter ended; another one takes over");
                if !why.is_end()
                    && let Err(why) = self.requests.replace(Role::Reporter)
                {
                    tracing::error!(%why, "the supervisor cannot be asked for another reporter");
                }
            }
        }
    }

    fn take_reported(&mut self, reported: Reported, now: Instant) {
        self.courier.reported();
        // What is asked is kept before the list that raised it is done with.
        let noted = self.ledger.ask(&reported.questions);
        if let Err(why) = noted.and_then(|()| self.ledger.acknowledge(reported.upto)) {
            tracing::error!(%why, "an acknowledgement was not noted");
            self.courier.pause_reports(now);
            self.record.fails(why);
        }
        let mut places = reported.reread;
        places.truncate(limits::REREAD_PLACES);
        self.revisit(&places, Urgency::Revisit, now);
    }

    fn take_heartbeat(&mut self, answer: &HeartbeatAnswer, now: Instant) {
        self.courier.heart_beaten(answer, now);
        self.answer_retiring();
        if answer.resync {
            tracing::info!("the collector asks for everything");
            self.courier.send_all();
            if let Err(why) = self.ledger.resend_all(Uuid::new_v4()) {
                tracing::error!(%why, "a full list could not be begun");
                self.record.fails(why);
            }
        }
    }

    fn take_check_in(&mut self, answer: &CheckInAnswer, now: Instant) {
        self.courier.checked_in();
        for signed in answer.directives.iter().take(limits::DIRECTIVES) {
            self.take_directive(signed, now);
        }
    }

    fn take_directive(&mut self, signed: &Signed<Directive>, now: Instant) {
        let opened = signed.open(
            &self.identity.directive_keys,
            self.identity.host,
            crate::sense::now(),
        );
        let opened = match opened {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!(%why, "a directive was not opened");
                return; // an envelope that is not believed has no serial to answer to
            }
        };
        let result = if !self.courier.advance(opened.serial) {
            OutcomeResult::Invalid
        } else {
            self.carry_out(opened.body, now)
        };
        self.courier.note_outcome(Outcome {
            serial: opened.serial,
            result,
            detail: None,
        });
    }

    fn carry_out(&mut self, directive: Directive, now: Instant) -> OutcomeResult {
        match directive {
            Directive::Rescan { places } => self.rescan(&places, now),
            Directive::Pause { .. } if self.options.refuses_pauses => {
                tracing::warn!("the collector asks for a pause, and `deny.pauses` refuses it");
                return OutcomeResult::Refused;
            }
            Directive::Pause { seconds } => {
                self.pause(Asked::Above, Duration::from_secs(seconds.into()), now);
            }
            Directive::Resume => {
                self.resume(Asked::Above, now);
            }
            _ => return OutcomeResult::Refused,
        }
        OutcomeResult::Done
    }

    fn rescan(&mut self, places: &[Place], now: Instant) {
        tracing::info!(places = places.len(), "the collector asks for a rescan");
        if places.is_empty() {
            self.ledger.forget_all();
            self.owe_rescan();
            for instance in self.sweeps.read_again() {
                self.offer_process(instance, Urgency::Hunt, now);
            }
        } else {
            self.revisit(
                &places[..places.len().min(limits::REREAD_PLACES)],
                Urgency::Hunt,
                now,
            );
        }
    }

    /// Sends what is due, if the reporter is free for it.
    pub(super) fn deliver(&mut self, now: Instant) {
        if self.courier.wants_heartbeat(now) && (self.detecting.is_ready() || self.ending) {
            self.send_heartbeat(now);
        }
        if self.courier.wants_report(self.ledger.revision(), now) {
            self.send_report(now);
        }
        if self.courier.wants_check_in(now)
            && let Err(why) = self.courier.check_in()
        {
            tracing::warn!(%why, "the reporter takes nothing");
        }
    }

    fn send_report(&mut self, now: Instant) {
        match self.ledger.unsent(limits::FINDINGS_PER_REPORT) {
            Ok(None) => self.courier.all_sent(self.ledger.revision()),
            Ok(Some(batch)) => {
                let report = batch.into_report(self.identity.host);
                if let Err(why) = self.courier.report(report) {
                    tracing::warn!(%why, "the reporter takes nothing");
                }
            }
            Err(why) => {
                tracing::error!(%why, "what is unsent could not be looked up");
                self.courier.pause_reports(now);
                self.record.fails(why);
            }
        }
    }

    fn send_heartbeat(&mut self, now: Instant) {
        let unsent = self.ledger.unsent_count().unwrap_or(0);
        let state = State {
            instance: self.ledger.instance(),
            counter: self.ledger.counter(),
            coverage: self.coverage(),
            digest: self.ledger.digest(),
            acknowledged: self.ledger.acknowledged(),
            unsent,
            cost: self.cost(now),
        };
        if let Err(why) = self.courier.heartbeat(state, now) {
            tracing::warn!(%why, "the reporter takes nothing");
        }
    }

    /// Sends a heartbeat early when what it would say of the coverage is another story: a sensor came or
    /// went, the kernel's queue overflowed, a scan began or ended, a reason for not reading is new.
    pub(super) fn hasten_if_changed(&mut self, now: Instant) {
        let scanning = self.scans.running.is_some()
            || self.agenda.waiting(Urgency::FirstScan) + self.agenda.waiting(Urgency::Rescan) > 0;
        let coverage = self.coverage();
        let sources = coverage.sources.iter().map(|source| {
            let reasons = source.not_read.iter().map(|one| one.why.clone());
            let (mechanism, overflowed) = (source.mechanism.clone(), source.overflowed);
            (mechanism, overflowed, reasons.collect())
        });
        let story = Story {
            scanning,
            rung: Some(coverage.rung),
            rules: coverage.rules.clone(),
            missing_walls: coverage.missing_walls.clone(),
            record: coverage.record.map(|trouble| trouble.why),
            set_aside: coverage
                .set_aside
                .into_iter()
                .map(|aside| aside.name.into())
                .collect(),
            sources: sources.collect(),
        };
        if self.story != story {
            self.story = story;
            self.courier.hasten(now);
        }
    }

    fn coverage(&mut self) -> akwatch_proto::coverage::Coverage {
        let walking = u64::from(self.scans.running.is_some());
        let processes = self.sweeps.waiting();
        let files = (self.agenda.len() as u64).saturating_sub(processes) + walking;
        self.counts.waiting(Source::Files, files);
        let unscanned = !self.options.first_scan && !self.scans.first_done;
        self.counts.unscanned(Source::Files, unscanned);
        if self.options.histories {
            self.counts.unscanned(Source::Histories, unscanned);
        }
        if self.options.processes {
            self.counts.waiting(Source::Processes, processes);
        }
        let walls: Vec<String> = self.walls.values().flatten().cloned().collect();
        let rules = self.detecting.rules().unwrap_or_default();
        let paused = self.pauses.until().map(pause::told);
        let (rung, reason) = match &paused {
            Some(reason) => (Rung::Paused, Some(reason.as_str())),
            None => (self.governor.rung(), self.governor.reason()),
        };
        let mut coverage = self.counts.statement(rules, rung, reason, &walls);
        let waiting = self.detecting.done.len() as u64;
        coverage.record = self.record.told(waiting);
        coverage.set_aside = self.set_aside_by_name(Instant::now());
        if waiting > 0 && coverage.record.is_some() {
            for source in &mut coverage.sources {
                // What waits to be kept is not known yet.
                if source.covered == Covering::Whole {
                    source.covered = Covering::Partly;
                }
            }
        }
        coverage
    }

    fn record_lost(&self) -> Option<String> {
        let put_back = self.ledger.put_back().then(|| PUT_BACK.to_owned());
        self.ledger
            .lost()
            .map(|lost| lost.what.clone())
            .or(put_back)
    }

    fn cost(&mut self, now: Instant) -> akwatch_proto::agent::CostReceipt {
        akwatch_proto::agent::CostReceipt {
            bytes_read: self.bytes_read,
            network_bytes: self.courier.carried,
            ..self.meter.receipt(now)
        }
    }

    pub(super) fn answer_control(&mut self, request: Request) {
        match request {
            Request::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Request::Retire(reply) => self.retire(reply),
            Request::Findings(reply) => {
                let findings = self.ledger.holding(&Query::default());
                let _ = reply.send(findings.map_err(|why| why.to_string()));
            }
            Request::File(path, state, reply) => {
                let standing = self.file(&path, state);
                let _ = reply.send(standing.map_err(|why| why.to_string()));
            }
            Request::Pause(length, reply) => {
                let until = self.pause(Asked::Here, length, Instant::now());
                let _ = reply.send(until.unwrap_or_else(crate::sense::now));
            }
            Request::Resume(reply) => {
                let resumed = Resumed {
                    was_paused: self.resume(Asked::Here, Instant::now()),
                    still_until: self.pauses.until().map(|(until, _)| until),
                };
                let _ = reply.send(resumed);
            }
        }
    }

    /// A person on this host retires it: what is known is written down and told, then the collector
    /// closes the host.
    fn retire(&mut self, reply: crossbeam_channel::Sender<Result<HostId, String>>) {
        self.commit_now(Instant::now());
        self.retiring.push(reply);
        if self.courier.is_retired() || !self.courier.retire() {
            self.answer_retiring();
        }
    }

    /// Answers those who wait for the retirement, once there is something to say.
    fn answer_retiring(&mut self) {
        if self.retiring.is_empty() {
            return;
        }
        let answer = if self.courier.is_retired() {
            Ok(self.identity.host)
        } else if let Some(why) = &self.courier.outage {
            Err(format!("the collector has not confirmed it: {why}"))
        } else if !self.courier.is_linked() {
            Err("no reporter is linked; try again in a moment".to_owned())
        } else {
            return; // an earlier heartbeat was answered
        };
        if answer.is_err() {
            self.courier.stay();
        }
        for reply in self.retiring.drain(..) {
            let _ = reply.send(answer.clone());
        }
    }

    /// What is known of a file, without touching it.
    fn file(&mut self, path: &Path, state: Option<FileState>) -> Result<FileStanding, LedgerError> {
        let now = Instant::now();
        let rules = self.detecting.rules().unwrap_or_default();
        let key = PathKey::of(path.as_os_str().as_bytes());
        let need = state.map(|state| self.ledger.need(key, &state, rules));
        let place = TargetPlace::File(path.to_owned());
        let aside = self.agenda.aside(&place);
        let findings = match self.known.place(path) {
            Some(place) => self.ledger.holding(&Query {
                place: Some(place.clone()),
                ..Query::default()
            })?,
            None => Vec::new(),
        };
        Ok(FileStanding {
            read: need.map(|need| need == Need::Skip),
            waiting: self.agenda.is_waiting(&place),
            not_read: (self.counts)
                .why_not_read(source_of(path), &place)
                .map(str::to_owned),
            set_aside: aside.map(|aside| {
                let left = aside.until.saturating_duration_since(now);
                (slug(aside.why).to_owned(), left.as_secs())
            }),
            findings,
        })
    }

    fn status(&mut self) -> Status {
        let now = Instant::now();
        let totals = self.ledger.totals().unwrap_or_default();
        let cost = self.cost(now);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.identity.host,
            roles: self.roles(),
            coverage: self.coverage(),
            present: totals.present,
            gone: totals.gone,
            unknown: totals.unknown,
            unsent: totals.unsent,
            record_lost: self.record_lost(),
            paused_until: self.pauses.until().map(|(until, _)| until),
            delivery: Delivery {
                linked: self.courier.is_linked(),
                answered: self.courier.answered,
                acknowledged: self.courier.acknowledged,
                clock_ahead_ms: self.courier.clock_ahead_ms,
                certificate_ends: self.courier.certificate_ends,
                outage: self.courier.outage.clone(),
                directive_serial: self.courier.serial(),
            },
            scan: Progress {
                running: self.scans.running.map(|urgency| match urgency {
                    Urgency::FirstScan => "first-scan".to_owned(),
                    _ => "rescan".to_owned(),
                }),
                waits_for_hours: !self.scans.first_may_read(),
                first_done: self.scans.first_done,
                files: self.scans.files,
                waiting: self.agenda.len() as u64,
                in_flight: (self.detecting.flights.len() + self.samples.len()) as u64,
                set_aside: self.agenda.asides().count() as u64,
            },
            rules_set_aside: self.detecting.faults.clone(),
            cost: Cost::from(cost),
            sensing: self.interest.measured().read(),
            strict: self.strict.standing(),
        }
    }

    /// How the agent stands, in one line for the service manager.
    pub(super) fn line(&mut self) -> String {
        let totals = self.ledger.totals().unwrap_or_default();
        let collector = match (&self.courier.outage, self.courier.answered) {
            (Some(why), _) => why.clone(),
            (None, Some(_)) => "the collector answers".to_owned(),
            (None, None) => "the collector has not answered yet".to_owned(),
        };
        format!(
            "{} present, {} to be told; {collector}",
            totals.present, totals.unsent
        )
    }

    fn roles(&self) -> Vec<RoleState> {
        let state = |name: &str, up: bool| RoleState {
            role: name.to_owned(),
            up,
        };
        vec![
            state("watcher", true),
            state("detector", self.detecting.is_ready()),
            state("reporter", self.courier.is_linked()),
        ]
    }
}
