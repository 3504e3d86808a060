//! What sensors and walks say becomes work: targets on the agenda, scans that are owed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_ledger::{Need, PathKey, Query};
use akwatch_proto::finding::{Finding, Presence, PresenceState, UnknownWhy};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;
use crossbeam_channel::Sender;

use super::known::Inode;
use super::{Options, Watcher};
use crate::agenda::{Offered, Owner};
use crate::budget::{Governor, Pace};
use crate::coverage::Source;
use crate::host::Root;
use crate::job::{Target, TargetPlace, Urgency};
use crate::open::state_of;
use crate::sense::hands::Written;
use crate::sense::scan::{Ask, Walk, Walked};
use crate::sense::watch_set::{Covered, is_history};
use crate::sense::{Gap, Sensed, Sweep};

/// Time between rescans while every directory has a watch.
const RESCAN: Duration = Duration::from_secs(24 * 3600);

/// Time between rescans while some directory has none.
const RESCAN_UNWATCHED: Duration = Duration::from_secs(3600);

/// The shortest time between two rescans that overflows make necessary.
const RESCAN_SHORTEST: Duration = Duration::from_secs(10);

/// How long a known finding's place goes unread before it is read again without any event.
const REVISIT_AFTER_MS: i64 = 24 * 3600 * 1000;

/// Time between two looks for such places, and how many are taken at once.
const REVISIT_EVERY: Duration = Duration::from_secs(300);
const REVISIT_AT_ONCE: usize = 256;

/// Filesystems that were mounted and wait to be walked over, each known by its point.
const COMING: usize = 256;

/// Notes that the first scan came to its end.
const SCANNED: &str = "first-scan-done";

/// The walks.
pub(super) struct Scans {
    ask: Sender<Ask>,
    mounted: Sender<PathBuf>,
    /// Why the walk that is under way was asked for.
    pub(super) running: Option<Urgency>,
    /// Whether the walk under way leaves out what did not change while no agent ran.
    in_part: bool,
    /// Whether the sensor watches: what changes before is the walk's business.
    sensing: bool,
    /// Whether the host was read as a whole once.
    pub(super) first_done: bool,
    owed: bool,
    /// Whether everything that is watched was walked over in this run, and nothing missed since.
    in_step: bool,
    /// What was mounted since, and has not been walked over yet.
    coming: Vec<PathBuf>,
    /// How many of them were mounted when the walk under way began.
    came: usize,
    /// Whether nothing was missed since the walk under way began.
    unbroken: bool,
    unwatched: bool,
    /// Whether the first scan may read at this time of the day.
    open: bool,
    ended: Option<Instant>,
    /// When the walk last gave a file that has to be read.
    last_read: Option<Instant>,
    revisited: Option<Instant>,
    /// Files that the walk under way has named.
    pub(super) files: u64,
    /// What the last whole walk saw.
    pub(super) last: Option<Walk>,
}

impl Scans {
    pub(super) fn new((ask, mounted): (Sender<Ask>, Sender<PathBuf>), options: &Options) -> Scans {
        Scans {
            ask,
            mounted,
            running: None,
            in_part: false,
            sensing: false,
            first_done: options.directory.join(SCANNED).exists(),
            owed: false,
            in_step: false,
            coming: Vec::new(),
            came: 0,
            unbroken: false,
            unwatched: false,
            open: within_hours(options),
            ended: None,
            last_read: None,
            revisited: None,
            files: 0,
            last: None,
        }
    }

    /// When the walk may give the next file, while it has to pause.
    pub(super) fn next_walk(&self, governor: &Governor, pace: &Pace) -> Option<Instant> {
        self.running?;
        let pause = self.last_read.map(|last| last + governor.scan_pause());
        let now = Instant::now();
        pause
            .max(pace.due())
            .max(pace.reads_due(now))
            .filter(|due| *due > now)
    }

    fn walk(&mut self, urgency: Urgency, since: Option<Time>) -> bool {
        let ask = Ask {
            trees: Vec::new(),
            urgency,
            since,
        };
        if self.running.is_some() || self.ask.try_send(ask).is_err() {
            return false;
        }
        self.running = Some(urgency);
        self.in_part = since.is_some();
        self.unbroken = true;
        self.came = self.coming.len();
        self.files = 0;
        true
    }

    /// Whether what the first scan has named may be read now. A rescan that is owed does not wait for the
    /// night behind it.
    pub(super) fn first_may_read(&self) -> bool {
        self.open || self.owed || self.running != Some(Urgency::FirstScan)
    }

    /// Something may have changed without being told.
    fn miss(&mut self) {
        self.owed = true;
        self.in_step = false;
        self.unbroken = false;
    }

    /// Whether every change of a file since the last walk was told: what is known of it is what it held.
    pub(super) fn in_step(&self, path: &Path) -> bool {
        self.in_step && !self.coming.iter().any(|point| path.starts_with(point))
    }

    /// What was mounted there was walked over.
    fn settles(&mut self, point: &Path) {
        if let Some(at) = self.coming.iter().position(|known| known == point) {
            self.coming.remove(at);
            self.came -= usize::from(at < self.came);
        }
    }

    /// Something was mounted, and may have been changed while it was not.
    fn comes(&mut self, point: &Path) {
        if self.coming.len() >= COMING {
            self.in_step = false; // until everything was walked over again
        } else if !self.coming.iter().any(|known| known == point) {
            self.coming.push(point.to_owned());
        }
    }

    /// Whether a walk is under way or owed: what it has still to name is not known.
    pub(super) fn owes(&self) -> bool {
        self.running.is_some() || self.owed
    }
}

impl Watcher {
    /// The first scan of a new host; of a host that was watched before, what changed meanwhile. A
    /// host that was never read as a whole, because it is configured so, is not read as a whole for
    /// being restarted either: then only what is newer than the last watch is looked at.
    pub(super) fn begin_scan(&mut self) {
        match (self.scans.first_done, self.options.first_scan) {
            (true, _) => self.scans.walk(Urgency::Rescan, None),
            (false, true) => self.scans.walk(Urgency::FirstScan, None),
            (false, false) => match self.until.before_this_run() {
                Some(since) => self.scans.walk(Urgency::Rescan, Some(since)),
                None => false,
            },
        };
    }

    pub(super) fn may_walk(&self, now: Instant) -> bool {
        let waiting =
            self.agenda.waiting(Urgency::FirstScan) + self.agenda.waiting(Urgency::Rescan);
        let paused = self
            .scans
            .next_walk(&self.governor, &self.pace)
            .is_some_and(|due| due > now);
        waiting < self.governor.scans_at_once()
            && !paused
            && self.scans.sensing
            && self.scans.first_may_read()
            && !self.is_paused()
            && self.detecting.is_ready()
    }

    /// Whether the first scan may read now, by the time of the day.
    pub(super) fn look_at_the_clock(&mut self) {
        self.scans.open = within_hours(&self.options);
    }

    pub(super) fn take_sensed(&mut self, sensed: Sensed, now: Instant) {
        match sensed {
            Sensed::Targets(targets) => {
                for target in targets {
                    self.offer(target, now);
                }
            }
            Sensed::Written(written) => {
                for written in &written {
                    self.take_written(written, now);
                }
            }
            Sensed::Left(directory) => self.offer_known(self.known.below(&directory), now),
            Sensed::MountsChanged => {
                let mounts = self.host.mounts();
                self.offer_known(self.known.on_mounts_beyond(&mounts), now);
            }
            Sensed::Mounted(point) => {
                self.scans.comes(&point);
                if self.scans.mounted.try_send(point).is_err() {
                    self.miss_events(
                        "more filesystems were mounted than can wait; a rescan follows",
                    );
                }
            }
            Sensed::Overflowed => {
                tracing::warn!("the kernel's queue of file events overflowed; a rescan follows");
                self.counts.overflowed(Source::Files);
                self.scans.miss();
            }
            Sensed::Status(status) => {
                if status.source == "files" {
                    self.scans.sensing |= status.ready;
                    self.scans.unwatched = !status.not_watched.is_empty();
                    self.counts.status(Source::Files, &status);
                    // What is not watched is counted once: under histories only histories are.
                    let mut of_histories = status;
                    let history = |gap: &Gap| gap.example.as_deref().is_some_and(is_history);
                    of_histories.not_watched.retain(history);
                    self.counts.status(Source::Histories, &of_histories);
                } else {
                    self.counts.status(Source::Processes, &status);
                }
            }
            Sensed::Swept(sweep) => self.take_sweep(sweep, now),
            Sensed::Walls(role, missing) => {
                self.walls.insert(role, missing);
            }
            Sensed::Executed(taken) => {
                let (job, pending) = *taken;
                self.take_executed(job, pending, now);
            }
        }
    }

    /// Has known places be looked at, as if something had happened to them.
    fn offer_known(&mut self, paths: Vec<PathBuf>, now: Instant) {
        for path in paths {
            let (what, urgency) = (TargetPlace::File(path), Urgency::Live);
            self.offer(Target { what, urgency }, now);
        }
    }

    fn take_sweep(&mut self, sweep: Sweep, now: Instant) {
        self.counts.swept(&sweep.alive.iter().copied().collect());
        for instance in self.sweeps.swept(sweep) {
            self.offer_process(instance, Urgency::Live, now);
        }
        self.speak_of_sweep(now);
    }

    /// A file was written: it goes on the agenda with the word on who did it.
    fn take_written(&mut self, written: &Written, now: Instant) {
        let what = TargetPlace::File(written.path.clone());
        let waits = self.agenda.is_waiting(&what);
        self.hands.written(written, waits);
        let urgency = Urgency::Live;
        self.offer_file(&written.path, Target { what, urgency }, now);
    }

    /// Puts a target on the agenda.
    pub(super) fn offer(&mut self, mut target: Target, now: Instant) {
        if let TargetPlace::Process(instance) = target.what {
            if !self.options.processes {
                return;
            }
            self.sweeps.named(instance);
            if !self.sweeps.any_completed() {
                // What ran before the agent did is inventory, not news; but every end of a process
                // waits for the first sweep, so it does not wait for the scan's files.
                target.urgency = Urgency::Hunt;
            }
            self.offer_process(instance, target.urgency, now);
            return;
        }
        if let TargetPlace::File(path) = &target.what {
            self.hands.unsaid(path);
            self.offer_file(&path.clone(), target, now);
        }
    }

    fn offer_file(&mut self, path: &Path, target: Target, now: Instant) {
        self.note_refs(path, now);
        let owner = owner_of(&self.host, &target.what);
        match self.agenda.offer(target, owner, now) {
            Offered::Queued | Offered::Coalesced | Offered::Again => {}
            Offered::SetAside => drop(self.hands.take(path)),
            Offered::Dropped => {
                drop(self.hands.take(path));
                self.miss_events("more events than can wait; a rescan follows");
            }
        }
    }

    /// Something in the watched files will not be looked at for its own event.
    pub(super) fn miss_events(&mut self, why: &'static str) {
        let owed = self.scans.owed;
        self.scans.miss();
        if !owed {
            // Once for each rescan: a line for each event would be an event again.
            tracing::warn!("{why}");
            self.counts.overflowed(Source::Files);
        }
    }

    pub(super) fn offer_process(
        &mut self,
        instance: akwatch_ledger::ProcessInstance,
        urgency: Urgency,
        now: Instant,
    ) {
        let target = Target {
            what: TargetPlace::Process(instance),
            urgency,
        };
        let owner = owner_of(&self.host, &target.what);
        if self.agenda.offer(target, owner, now) == Offered::Dropped {
            self.sweeps.ended(instance); // the next sweep asks for it again
        }
    }

    pub(super) fn take_walked(&mut self, walked: Walked, now: Instant) {
        if self.pace.wants_look(now) {
            let share = self.governor.scan_share();
            self.pace.look(self.meter.cpu(), share, now);
        }
        match walked {
            Walked::File(target) => {
                self.scans.files += 1;
                if let TargetPlace::File(path) = &target.what
                    && is_history(path)
                {
                    self.marks.history(path);
                }
                if !self.is_unchanged(&target.what) {
                    self.scans.last_read = Some(now);
                    self.offer(target, now);
                }
            }
            Walked::Ended(walk) => self.end_walk(walk, now),
            Walked::Came(point, walk) => {
                self.scans.settles(&point);
                self.counts.walked_more(Source::Files, &walk.gaps);
                if walk.files > 0 {
                    let files = walk.files;
                    tracing::info!(files, "a filesystem that was mounted was walked over");
                }
            }
        }
    }

    fn end_walk(&mut self, walk: Walk, now: Instant) {
        let files = walk.files;
        tracing::info!(files, urgency = ?self.scans.running, "a walk over the watch set ended");
        self.scans.running = None;
        let in_part = std::mem::take(&mut self.scans.in_part);
        self.scans.in_step |= self.scans.unbroken && !in_part;
        // What came amid the walk may have come behind it.
        let walked = self.scans.came.min(self.scans.coming.len());
        self.scans.coming.drain(..walked);
        self.scans.ended = Some(now);
        self.counts.walked(Source::Files, walk.gaps.clone());
        self.scans.last = Some(walk);
        // A walk names what is there; of what went unseen it says nothing.
        self.look_again(false, now);
        if !self.scans.first_done && !in_part {
            self.scans.first_done = true;
            if let Err(why) = std::fs::write(self.options.directory.join(SCANNED), b"") {
                tracing::warn!(%why, "the end of the first scan could not be noted");
            }
        }
    }

    /// Whether a file is in the state in which it was read, by these rules.
    fn is_unchanged(&mut self, what: &TargetPlace) -> bool {
        let TargetPlace::File(path) = what else {
            return false;
        };
        let (Ok(stat), Some(rules)) = (self.host.look(path), self.detecting.rules()) else {
            return false;
        };
        self.known.is_name_of(path, Inode(stat.st_dev, stat.st_ino));
        let key = PathKey::of(path.as_os_str().as_encoded_bytes());
        self.ledger.need(key, &state_of(&stat), rules) == Need::Skip
    }

    pub(super) fn scan_when_due(&mut self, now: Instant) {
        if self.agenda.take_rescan_owed() {
            self.scans.miss();
            for instance in self.sweeps.still_waiting() {
                self.offer_process(instance, Urgency::Rescan, now);
            }
        }
        let mut again = self.agenda.aside_over(now);
        again.extend(self.agenda.take_put_off(now));
        for place in again {
            self.offer(
                Target {
                    what: place,
                    urgency: Urgency::Rescan,
                },
                now,
            );
        }
        let ended = self.scans.ended;
        let since = now.saturating_duration_since(ended.unwrap_or(self.began));
        let regular = if self.scans.unwatched {
            RESCAN_UNWATCHED
        } else {
            RESCAN
        };
        let soon = ended.is_none() || since >= RESCAN_SHORTEST;
        let due = since >= regular || (self.scans.owed && soon);
        if due && self.scans.walk(Urgency::Rescan, None) {
            self.host.forget();
            self.scans.owed = false;
        }
    }

    /// Known places are looked at when a run begins, since nobody watched them meanwhile, and after
    /// each walk; everything is when the rules have changed.
    pub(super) fn look_again(&mut self, rules_changed: bool, now: Instant) {
        for path in self.known.below(Path::new("/")) {
            let what = TargetPlace::File(path);
            if !self.is_unchanged(&what) {
                self.offer(
                    Target {
                        what,
                        urgency: Urgency::Rescan,
                    },
                    now,
                );
            }
        }
        if rules_changed {
            self.owe_rescan();
            for instance in self.sweeps.read_again() {
                self.offer_process(instance, Urgency::Rescan, now);
            }
        }
    }

    /// A rescan is owed as soon as one may begin.
    pub(super) fn owe_rescan(&mut self) {
        self.scans.miss();
    }

    pub(super) fn revisit_when_due(&mut self, now: Instant) {
        let since = self
            .scans
            .revisited
            .map(|last| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < REVISIT_EVERY) || !self.detecting.is_ready() {
            return;
        }
        self.scans.revisited = Some(now);
        let older = crate::sense::now().plus(-REVISIT_AFTER_MS);
        match self.ledger.revisit(older, REVISIT_AT_ONCE) {
            Ok(places) => self.revisit(&places, Urgency::Revisit, now),
            Err(why) => tracing::warn!(%why, "places to be read again could not be looked up"),
        }
        self.revisit_unknown(now);
    }

    /// What is unknown may be known by now, and nothing need have happened to the place itself: its
    /// filesystem is mounted again, it was unlocked, the configuration covers it again.
    fn revisit_unknown(&mut self, now: Instant) {
        let query = Query {
            state: Some(PresenceState::Unknown),
            limit: REVISIT_AT_ONCE,
            ..Query::default()
        };
        let unknown = self.ledger.holding(&query).unwrap_or_default();
        let places: BTreeSet<Place> = unknown
            .iter()
            .filter(|finding| may_be_known_by_now(finding))
            .map(|finding| finding.key.place.outer())
            .collect();
        let mut places: Vec<Place> = places.into_iter().collect();
        // So is what the collector asked for and could not be answered yet.
        places.extend(self.ledger.asked().unwrap_or_default());
        self.revisit(&places, Urgency::Revisit, now);
    }

    /// Reads known places again: files by path, processes by reading all of them.
    pub(super) fn revisit(&mut self, places: &[Place], urgency: Urgency, now: Instant) {
        let mut processes = false;
        for place in places {
            if let Some(path) = super::known::plain_path(place) {
                self.known.insert(&path, place.outer(), None);
                self.offer(
                    Target {
                        what: TargetPlace::File(path),
                        urgency,
                    },
                    now,
                );
            } else {
                processes |= matches!(place, Place::Process { .. });
            }
        }
        if processes {
            for instance in self.sweeps.read_again() {
                self.offer_process(instance, urgency, now);
            }
            self.interest.sweep();
        }
    }

    /// Whether policy covers a path; a history counts only when histories are read.
    pub(super) fn covers(&self, path: &Path) -> Covered {
        if !self.options.histories && is_history(path) {
            return Covered::Excluded;
        }
        self.set.covers(path)
    }
}

/// Whether looking again may tell more. What was read as far as it ever is will not: that would cost a
/// large file's reading each time, and teach nothing.
fn may_be_known_by_now(finding: &Finding) -> bool {
    let Presence::Unknown { why, .. } = finding.presence else {
        return false;
    };
    let process = matches!(finding.key.place, Place::Process { .. });
    match why {
        UnknownWhy::Unreadable
        | UnknownWhy::PathExcluded
        | UnknownWhy::SensorDegraded
        | UnknownWhy::ChangedWhileRead => true,
        UnknownWhy::ReadShort => process,
        _ => false,
    }
}

/// Whether this is a time at which the first scan reads.
fn within_hours(options: &Options) -> bool {
    let hours = &options.first_scan_hours;
    if hours.is_empty() {
        return true;
    }
    let now = jiff::Zoned::now();
    let minute = u32::from(now.hour().unsigned_abs()) * 60 + u32::from(now.minute().unsigned_abs());
    hours.iter().any(|hours| hours.hold(minute))
}

/// Whose share a target is taken from: the file's owner or the process's user.
fn owner_of(host: &Root, what: &TargetPlace) -> Owner {
    let found = match what {
        TargetPlace::File(path) => host.look(path),
        TargetPlace::Process(instance) => {
            host.look(&PathBuf::from(format!("/proc/{}", instance.pid)))
        }
    };
    Owner(found.map_or(u32::MAX, |stat| stat.st_uid))
}
