//! What is under way to the collector, and what is to be sent next: the state of the conversation,
//! without its content.
//!
//! Reports and heartbeats take turns, so that a heartbeat's digest is never compared with a set that
//! a report is just changing. The check-in is held open beside them. The reporter itself tries again
//! what can be tried again; only what it gives up comes back here.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_proto::agent::{
    CheckIn, CostReceipt, Heartbeat, HeartbeatAnswer, HostFacts, HostId, Leaving, Outcome,
    RefusalCode, Report,
};
use akwatch_proto::coverage::Coverage;
use akwatch_proto::digest::SetDigest;
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use uuid::Uuid;

use super::{Identity, Options};
use crate::link::{Outage, Outgoing, Outlet, TalkError, ToReporter};

/// How long the reporter may take to accept a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the collector may hold a check-in, in seconds: a little less than it would at most, since
/// each costs a request and an answer. The connection itself is kept alive by TCP.
const CHECK_IN_SECONDS: u32 = 110;

/// Wait after the reporter gave a message up: a refusal does not pass by asking at once.
const REFUSED: Duration = Duration::from_secs(30);

/// The shortest time between two heartbeats that the agent chooses itself.
const SOONEST: Duration = Duration::from_secs(5);

/// How long a good-bye may take.
const LEAVE: Duration = Duration::from_secs(2);

/// The shortest and the longest time between heartbeats that a collector may ask for.
const HEARTBEATS: std::ops::RangeInclusive<u64> = 1..=3600;

/// Holds the highest serial that was opened, over restarts.
const SERIAL: &str = "directive-serial";

/// Which sort of message takes its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Free,
    Report,
    Heartbeat,
}

/// Whether a person on this host retires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retirement {
    No,
    /// The next heartbeat says so.
    Asked,
    /// It is on its way.
    Said,
    /// The collector has closed this host: nothing that it would be told counts any more.
    Done,
}

/// What a heartbeat says that the courier does not know itself.
pub(super) struct State {
    pub(super) instance: Uuid,
    pub(super) counter: u64,
    pub(super) coverage: Coverage,
    pub(super) digest: SetDigest,
    pub(super) acknowledged: u64,
    pub(super) unsent: u64,
    pub(super) cost: CostReceipt,
}

/// The conversation with the collector.
pub(super) struct Courier {
    host: HostId,
    outlet: Option<Outlet<ToReporter>>,
    pub(super) generation: u64,
    turn: Turn,
    report_not_before: Instant,
    heartbeat_due: Instant,
    /// When the last one was sent.
    heartbeat_sent: Option<Instant>,
    every: Duration,
    /// The ledger's revision at which nothing was unsent.
    all_sent_at: Option<u64>,
    checking_in: bool,
    check_in_not_before: Instant,
    facts: HostFacts,
    facts_told: bool,
    outcomes: VecDeque<Outcome>,
    serial: u64,
    serial_file: PathBuf,
    leaving: Option<Instant>,
    left: bool,
    retirement: Retirement,
    /// Bytes of bodies that went both ways, of every reporter of this run.
    pub(super) carried: u64,
    /// When the collector last answered.
    pub(super) answered: Option<Time>,
    /// When it last acknowledged a report.
    pub(super) acknowledged: Option<Time>,
    /// How far this host's clock was ahead of the collector's at the last heartbeat; what the network
    /// took counts as being ahead.
    pub(super) clock_ahead_ms: Option<i64>,
    /// When the certificate that the reporter shows ends.
    pub(super) certificate_ends: Option<Time>,
    /// The last outage, until something is answered.
    pub(super) outage: Option<String>,
}

impl Courier {
    pub(super) fn new(identity: &Identity, options: &Options, now: Instant) -> Courier {
        let serial_file = options.directory.join(SERIAL);
        let serial = std::fs::read_to_string(&serial_file).unwrap_or_default();
        Courier {
            host: identity.host,
            outlet: None,
            generation: 0,
            turn: Turn::Free,
            report_not_before: now,
            heartbeat_due: now,
            heartbeat_sent: None,
            every: identity.heartbeat,
            all_sent_at: None,
            checking_in: false,
            check_in_not_before: now,
            facts: crate::facts::read(Path::new("/"), options.labels.clone(), options.ephemeral),
            facts_told: false,
            outcomes: VecDeque::new(),
            serial: serial.trim().parse().unwrap_or(0),
            serial_file,
            leaving: None,
            left: false,
            retirement: Retirement::No,
            carried: 0,
            answered: None,
            acknowledged: None,
            clock_ahead_ms: None,
            certificate_ends: None,
            outage: None,
        }
    }

    /// A reporter came; whatever an earlier one had is forgotten and sent again.
    pub(super) fn link(&mut self, outlet: Outlet<ToReporter>) -> u64 {
        self.unlink();
        self.outlet = Some(outlet);
        self.generation
    }

    /// The reporter is gone.
    pub(super) fn unlink(&mut self) {
        self.generation += 1;
        self.stay();
        self.outlet = None;
        self.turn = Turn::Free;
        self.checking_in = false;
    }

    /// Ends the link, and with it the reporter.
    pub(super) fn close(&mut self) {
        if let Some(outlet) = self.outlet.take() {
            outlet.close();
        }
    }

    pub(super) fn is_linked(&self) -> bool {
        self.outlet.is_some()
    }

    /// Whether a report may be sent; asked after every event, so that a ledger at a `revision` that
    /// had nothing for it is not searched again.
    pub(super) fn wants_report(&self, revision: u64, now: Instant) -> bool {
        self.outlet.is_some()
            && self.all_sent_at != Some(revision)
            && self.turn == Turn::Free
            && self.leaving.is_none()
            && self.retirement != Retirement::Done
            && now >= self.report_not_before
    }

    pub(super) fn wants_heartbeat(&self, now: Instant) -> bool {
        let due = now >= self.heartbeat_due
            || (self.leaving.is_some() && !self.left)
            || self.retirement == Retirement::Asked;
        let closed = self.retirement == Retirement::Done;
        self.outlet.is_some() && self.turn == Turn::Free && due && !closed
    }

    pub(super) fn wants_check_in(&self, now: Instant) -> bool {
        self.outlet.is_some()
            && !self.checking_in
            && self.leaving.is_none()
            && self.retirement != Retirement::Done
            && self.answered.is_some()
            && now >= self.check_in_not_before
    }

    pub(super) fn report(&mut self, report: Report) -> Result<(), TalkError> {
        self.turn = Turn::Report;
        self.say(Outgoing::Report(report))
    }

    pub(super) fn heartbeat(&mut self, state: State, now: Instant) -> Result<(), TalkError> {
        self.turn = Turn::Heartbeat;
        self.heartbeat_due = now + self.every;
        self.heartbeat_sent = Some(now);
        self.left = self.leaving.is_some();
        let leaving = if self.retirement == Retirement::Asked {
            self.retirement = Retirement::Said;
            Some(Leaving::Retired)
        } else {
            self.leaving.map(|_| Leaving::Stopped)
        };
        let heartbeat = Heartbeat {
            host: self.host,
            instance: state.instance,
            counter: state.counter,
            time: crate::sense::now(),
            facts: (!self.facts_told).then(|| self.facts.clone()),
            coverage: state.coverage,
            digest: state.digest,
            acknowledged: state.acknowledged,
            unsent: state.unsent,
            cost: state.cost,
            leaving,
        };
        self.say(Outgoing::Heartbeat(heartbeat))
    }

    pub(super) fn check_in(&mut self) -> Result<(), TalkError> {
        self.checking_in = true;
        let check_in = CheckIn {
            host: self.host,
            serial: self.serial,
            wait_seconds: CHECK_IN_SECONDS,
            outcomes: self.outcomes.iter().cloned().collect(),
        };
        self.say(Outgoing::CheckIn(check_in))
    }

    fn say(&mut self, outgoing: Outgoing) -> Result<(), TalkError> {
        let Some(outlet) = &mut self.outlet else {
            return Ok(());
        };
        let said = outlet.say(&ToReporter::Send(outgoing), PATIENCE);
        if said.is_err() {
            self.unlink();
        }
        said
    }

    /// A report was answered: the next may follow at once.
    pub(super) fn reported(&mut self) {
        self.note_answer();
        self.acknowledged = self.answered;
        if self.turn == Turn::Report {
            self.turn = Turn::Free;
        }
    }

    /// Nothing is unsent at this revision of the ledger.
    pub(super) fn all_sent(&mut self, revision: u64) {
        self.all_sent_at = Some(revision);
    }

    /// What was sent before is to be sent again.
    pub(super) fn send_all(&mut self) {
        self.all_sent_at = None;
    }

    /// The reporter has carried so many bytes more.
    pub(super) fn note_carried(&mut self, bytes: u64) {
        self.carried = self.carried.saturating_add(bytes);
    }

    /// The ledger or the collector is not ready for the next report.
    pub(super) fn pause_reports(&mut self, now: Instant) {
        self.report_not_before = now + REFUSED;
    }

    pub(super) fn heart_beaten(&mut self, answer: &HeartbeatAnswer, now: Instant) {
        self.note_answer();
        self.clock_ahead_ms = Some(crate::sense::now().since(answer.time));
        if self.turn == Turn::Heartbeat {
            self.turn = Turn::Free;
        }
        if self.retirement == Retirement::Said {
            self.retirement = Retirement::Done;
        }
        self.facts_told = !answer.want_facts;
        let seconds = u64::from(answer.next_seconds).clamp(*HEARTBEATS.start(), *HEARTBEATS.end());
        self.every = Duration::from_secs(seconds);
        self.heartbeat_due = self.heartbeat_due.min(now + self.every);
        if answer.want_facts {
            self.heartbeat_due = now + Duration::from_secs(1);
        }
    }

    /// The next heartbeat retires this host; false when no reporter could carry it.
    pub(super) fn retire(&mut self) -> bool {
        if self.outlet.is_some() && self.retirement == Retirement::No {
            self.retirement = Retirement::Asked;
        }
        self.outlet.is_some()
    }

    /// It is not retired: nobody took it.
    pub(super) fn stay(&mut self) {
        if self.retirement != Retirement::Done {
            self.retirement = Retirement::No;
        }
    }

    /// Whether the collector has closed this host at its own wish.
    pub(super) fn is_retired(&self) -> bool {
        self.retirement == Retirement::Done
    }

    /// A check-in was answered: what it carried is told.
    pub(super) fn checked_in(&mut self) {
        self.note_answer();
        self.checking_in = false;
        self.outcomes.clear();
    }

    /// What became of a directive; a higher serial is noted before the directive is carried out.
    pub(super) fn note_outcome(&mut self, outcome: Outcome) {
        if self.outcomes.len() < limits::DIRECTIVES {
            self.outcomes.push_back(outcome);
        }
    }

    /// Notes durably that `serial` was opened; false when it was before, or cannot be noted.
    pub(super) fn advance(&mut self, serial: u64) -> bool {
        if serial <= self.serial {
            return false;
        }
        let next = self.serial_file.with_extension("next");
        let written = std::fs::write(&next, serial.to_string())
            .and_then(|()| std::fs::File::open(&next)?.sync_all())
            .and_then(|()| std::fs::rename(&next, &self.serial_file));
        if let Err(why) = &written {
            tracing::error!(%why, "a directive is refused because its serial cannot be noted");
            return false;
        }
        self.serial = serial;
        true
    }

    /// Whether the retirement of this host, if it was asked for, is decided by such an outage: once it was
    /// said, by one of the message that said it, or by the word that this host is closed. What else does
    /// not arrive meanwhile says nothing of it. Before, whatever is in its way.
    pub(super) fn decides_retirement(&self, outage: &Outage) -> bool {
        self.retirement != Retirement::Said || outage.call == "heartbeat"
    }

    /// Something did not arrive. What the reporter gave up may be sent anew after a while.
    pub(super) fn note_outage(&mut self, outage: &Outage, now: Instant) {
        self.outage = Some(format!("{}: {}", outage.call, outage.why));
        let code = outage.refused.as_ref().map(|refused| refused.code);
        if code == Some(RefusalCode::Revoked) && self.retirement == Retirement::Said {
            // An earlier word arrived, and the answer to it did not.
            self.retirement = Retirement::Done;
        }
        if outage.retry_ms.is_some() {
            return; // the reporter goes on trying
        }
        match outage.call.as_str() {
            "report" if self.turn == Turn::Report => {
                self.turn = Turn::Free;
                self.report_not_before = now + REFUSED;
            }
            "heartbeat" if self.turn == Turn::Heartbeat => {
                self.turn = Turn::Free;
                self.heartbeat_due = now + REFUSED.max(self.every);
            }
            "check-in" => {
                self.checking_in = false;
                self.check_in_not_before = now + REFUSED;
            }
            _ => {}
        }
    }

    /// Something that people wait to see has changed: the next heartbeat comes early, but not sooner
    /// than a little after the last one. What was given up waits as it must.
    pub(super) fn hasten(&mut self, now: Instant) {
        if let Some(sent) = self.heartbeat_sent
            && self.outage.is_none()
        {
            self.heartbeat_due = self.heartbeat_due.min((sent + SOONEST).max(now));
        }
    }

    fn note_answer(&mut self) {
        self.answered = Some(crate::sense::now());
        self.outage = None;
    }

    pub(super) fn take_leave(&mut self, now: Instant) {
        self.leaving = Some(now);
    }

    pub(super) fn has_taken_leave(&self, now: Instant) -> bool {
        let over = |since: Instant| now.saturating_duration_since(since) >= LEAVE;
        self.outlet.is_none()
            || (self.left && self.turn == Turn::Free)
            || self.is_retired()
            || self.leaving.is_some_and(over)
    }

    /// The highest serial that was opened.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }
}
