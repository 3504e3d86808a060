//! Readings become durable, and only then count: as known, as read, as covered.

use std::path::Path;
use std::time::Instant;

use akwatch_ledger::reading::{Extent, FileState, Reading, ReadingSubject};
use akwatch_ledger::{PathKey, ProcessInstance, Remembered, TailMark};
use akwatch_proto::finding::UnknownWhy;
use akwatch_proto::place::Place;

use super::Watcher;
use super::answer::Ended;
use super::detecting::source_of;
use super::known::{Inode, SeenOn, plain_path};
use crate::coverage::{Source, slug};
use crate::job::{Target, TargetPlace, Urgency};

/// Readings in one commit.
const COMMIT: usize = 32;

/// Why a place counts as not read where the ledger had no room for all that was found there.
pub(super) const LEDGER_FULL: &str = "ledger-full";

/// A file whose ctime is this young may be written again without its state changing: the kernel's
/// clock for files has a grain. It is not remembered as read.
const YOUNG_NS: i64 = 50_000_000;
/// A reading, and what to note once it is durable.
pub(super) struct Done {
    pub(super) reading: Reading,
    pub(super) note: Note,
}

pub(super) enum Note {
    /// A file was read.
    File {
        target: TargetPlace,
        state: FileState,
        lines: u32,
        /// The mark of its end, for a file that is appended to; else 0.
        mark: u64,
        ended: Ended,
    },
    /// A file is not there, or could not be read.
    Closed,
    /// A process was read.
    Process {
        instance: ProcessInstance,
        /// The sensors' naming of it that this answers.
        naming: u64,
        ended: Ended,
        /// Nothing of it could be read.
        nothing: bool,
    },
    /// A sweep spoke.
    Sweep,
}

impl Done {
    /// The file that was read.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.note {
            Note::File {
                target: TargetPlace::File(path),
                ..
            } => Some(path),
            _ => None,
        }
    }
}

impl Watcher {
    /// Lets the last sweep speak, once everything that it saw has been read.
    pub(super) fn speak_of_sweep(&mut self, now: Instant) {
        let Some(rules) = self.detecting.rules().map(str::to_owned) else {
            return;
        };
        let uncommitted = self.detecting.done.iter();
        if uncommitted
            .into_iter()
            .any(|done| matches!(done.note, Note::Process { .. }))
        {
            return; // they are noted after their commit, which comes back here
        }
        if let Some(reading) = self.sweeps.reading(&rules) {
            self.detecting.push(
                Done {
                    reading,
                    note: Note::Sweep,
                },
                now,
            );
        }
    }

    /// Takes a reading in: to be committed with others, or noted at once where it says nothing that a
    /// ledger could hold. Most files of a host are of that sort, and a transaction costs as much as
    /// reading a small one.
    pub(super) fn take_done(&mut self, done: Done, now: Instant) {
        if self.says_nothing(&done) {
            self.note(&done.reading, done.note, true);
        } else {
            self.detecting.push(done, now);
        }
    }

    /// Whether a file was read whole, holds nothing, and held nothing before.
    fn says_nothing(&self, done: &Done) -> bool {
        let (Some(path), ReadingSubject::Place(place)) = (done.file(), &done.reading.subject)
        else {
            return false;
        };
        let uncommitted = || {
            self.detecting
                .done
                .iter()
                .any(|one| one.file() == Some(path))
        };
        done.reading.observed.is_empty()
            && done.reading.extent == Extent::Whole
            && plain_path(place).as_deref() == Some(path)
            && !self.known.may_hold(path)
            && !uncommitted()
    }

    /// Relieves the ledger of what has been gone for long, and reads again what it had no room for.
    pub(super) fn tidy_when_due(&mut self, now: Instant) {
        if !self.record.wants_tidying(self.ledger.is_short(), now) {
            return;
        }
        match self.ledger.forget_gone(crate::sense::now()) {
            Ok(0) => {}
            Ok(forgotten) => {
                tracing::info!(forgotten, "findings that are gone made way");
                // Processes are looked at again by the next sweep.
                let again: Vec<Target> = self
                    .counts
                    .because(LEDGER_FULL)
                    .filter(|what| matches!(what, TargetPlace::File(_)))
                    .map(|what| Target {
                        what: what.clone(),
                        urgency: Urgency::Rescan,
                    })
                    .collect();
                for target in again {
                    self.offer(target, now);
                }
            }
            Err(why) => self.record.fails(why),
        }
    }

    pub(super) fn commit_if_due(&mut self, now: Instant) {
        let due = self.detecting.commit_due().is_some_and(|due| now >= due);
        let idle = self.channels.messages.is_empty() && self.channels.sensed.is_empty();
        let enough = self.detecting.done.len() >= COMMIT || idle;
        if due || (enough && !self.detecting.failing) {
            self.commit_now(now);
        }
    }

    pub(super) fn commit_now(&mut self, now: Instant) {
        while !self.detecting.done.is_empty() {
            let count = self.detecting.done.len().min(COMMIT);
            let batch: Vec<Done> = self.detecting.done.drain(..count).collect();
            let (readings, notes): (Vec<Reading>, Vec<Note>) = batch
                .into_iter()
                .map(|done| (done.reading, done.note))
                .unzip();
            match self.ledger.commit(&readings) {
                Ok(changes) => {
                    if self.detecting.failing {
                        tracing::info!("readings are committed again");
                    }
                    self.detecting.failing = false;
                    self.record.works(&self.ledger);
                    for (at, (reading, note)) in readings.iter().zip(notes).enumerate() {
                        self.note(reading, note, !changes.cut_short.contains(&at));
                    }
                }
                Err(why) => {
                    if !self.detecting.failing {
                        tracing::error!(%why, source = ?std::error::Error::source(&why), "readings could not be committed");
                    }
                    self.detecting.failing = true;
                    self.detecting.done_since = Some(now);
                    self.record.fails(why);
                    let again = readings.into_iter().zip(notes);
                    let again = again.map(|(reading, note)| Done { reading, note });
                    self.detecting.done.splice(0..0, again);
                    return;
                }
            }
        }
        self.detecting.done_since = None;
        self.interest_in_holders();
        self.speak_of_sweep(now);
    }

    /// Notes what a commit made durable; `kept` says whether that was everything that was found. Where the
    /// ledger had no room for the rest, nobody has read there: coverage says so, and it is read again.
    fn note(&mut self, reading: &Reading, note: Note, kept: bool) {
        let holds = !reading.observed.is_empty();
        match note {
            Note::File {
                target,
                state,
                lines,
                mark,
                ended,
            } => {
                let remembered = Remembered {
                    state,
                    rules_version: &reading.rules,
                    lines,
                    tail: (mark != 0).then_some(TailMark(mark)),
                    all_known: left_out(reading).is_none(),
                };
                self.note_file(reading, &target, &remembered, ended);
                if let (TargetPlace::File(path), false) = (&target, kept) {
                    self.counts.not_read(source_of(path), &target, LEDGER_FULL);
                    self.look_anew(path);
                }
            }
            Note::Process {
                instance, naming, ..
            } if !kept => {
                let target = TargetPlace::Process(instance);
                self.counts
                    .not_read(Source::Processes, &target, LEDGER_FULL);
                self.sweeps
                    .unread(instance, naming, UnknownWhy::ReadShort, holds);
            }
            Note::Process {
                instance,
                naming,
                ended: Ended::Whole,
                ..
            } => {
                let target = TargetPlace::Process(instance);
                self.counts.read(Source::Processes, &target, reading.at);
                self.sweeps.read(instance, naming, holds);
            }
            Note::Process {
                instance,
                naming,
                nothing,
                ..
            } => {
                let target = TargetPlace::Process(instance);
                let slug = if nothing {
                    "permission-denied"
                } else {
                    slug(UnknownWhy::ReadShort)
                };
                self.counts.not_read(Source::Processes, &target, slug);
                self.sweeps
                    .unread(instance, naming, UnknownWhy::ReadShort, holds);
            }
            Note::Closed | Note::Sweep => {}
        }
    }

    fn note_file(
        &mut self,
        reading: &Reading,
        target: &TargetPlace,
        remembered: &Remembered<'_>,
        ended: Ended,
    ) {
        let state = &remembered.state;
        let (TargetPlace::File(path), ReadingSubject::Place(place)) = (target, &reading.subject)
        else {
            return;
        };
        let source = source_of(path);
        self.know_place(reading, path, place, state.dev, ended);
        self.known.is_name_of(path, Inode(state.dev, state.ino));
        match ended {
            Ended::Whole => {
                self.counts.read(source, target, reading.at);
                // Its bytes were all read, and still not everything in it is known.
                if let Some(why) = left_out(reading) {
                    self.counts.not_read(source, target, why);
                }
            }
            Ended::Short => {
                self.counts
                    .not_read(source, target, slug(UnknownWhy::ReadShort));
                self.look_anew(path);
            }
            Ended::Changed => return,
        }
        let young = reading
            .at
            .0
            .saturating_mul(1_000_000)
            .saturating_sub(state.ctime_ns)
            < YOUNG_NS;
        if ended == Ended::Whole {
            self.remember(reading, path, remembered, young);
        }
    }

    /// Remembers that a file was read to its end.
    fn remember(
        &mut self,
        reading: &Reading,
        path: &Path,
        remembered: &Remembered<'_>,
        young: bool,
    ) {
        let key = PathKey::of(path.as_os_str().as_encoded_bytes());
        if reading.too_many && reading.extent != Extent::Whole {
            // Which others there are only the whole can tell.
            self.ledger.forget(key);
            let again = Target {
                what: TargetPlace::File(path.to_owned()),
                urgency: Urgency::Rescan,
            };
            self.offer(again, Instant::now());
        } else if !young {
            self.ledger.remember(key, remembered);
        } else {
            // Good for what will be appended, and for what was there before, but never for *unchanged*.
            let state = FileState {
                ctime_ns: i64::MIN,
                ..remembered.state
            };
            let remembered = Remembered {
                state,
                ..remembered.clone()
            };
            self.ledger.remember(key, &remembered);
        }
    }

    /// Notes under which name a path's findings are known. The name changes when what is redacted in
    /// it does; what the ledger holds under the one before is judged by the same reading.
    fn know_place(
        &mut self,
        reading: &Reading,
        path: &Path,
        place: &Place,
        device: u64,
        ended: Ended,
    ) {
        let before = self.known.place(path).cloned();
        if reading.observed.is_empty() && before.is_none() {
            return;
        }
        if let Some(before) = before.filter(|before| *before != place.outer()) {
            let reading = Reading {
                subject: ReadingSubject::Place(before),
                observed: Vec::new(),
                ..reading.clone()
            };
            let note = Note::Closed;
            self.detecting.push(Done { reading, note }, Instant::now());
            if ended != Ended::Whole {
                return; // still known by the name that a whole reading has to settle
            }
        }
        let mounts = self.host.mounts();
        let mount = mounts.around(path).cloned();
        let seen = SeenOn { device, mount };
        self.known.insert(path, place.outer(), Some(seen));
        if reading.observed.is_empty() {
            self.detecting.pushed.forget_unplain(path);
            return;
        }
        if plain_path(place).is_some() {
            self.detecting.pushed.stir(path);
            self.mounted.note(path, &mounts);
        } else {
            self.detecting.pushed.stir_unplain(path);
        }
    }

    fn interest_in_holders(&mut self) {
        if let Some(holders) = self.sweeps.changed_holders() {
            self.interest.wait_for(holders);
        }
    }
}

/// Why something in a place that was read to its last byte is not known, as coverage counts it.
fn left_out(reading: &Reading) -> Option<&'static str> {
    if reading.too_many {
        return Some(slug(UnknownWhy::TooMany));
    }
    match reading.unread_inside? {
        why @ UnknownWhy::ReadShort => Some(slug(why)),
        _ => Some("unread-inside"),
    }
}
