//! What could not be opened: absent, excluded, unreadable or ended, each with what it says of the
//! findings that were there.

use std::path::Path;
use std::time::Instant;

use akwatch_ledger::PathKey;
use akwatch_ledger::reading::{Extent, Reading, ReadingSubject};
use akwatch_proto::finding::UnknownWhy;
use akwatch_proto::place::Place;

use super::Watcher;
use super::committing::{Done, Note};
use super::detecting::source_of;
use crate::coverage::Source;
use crate::job::{Target, TargetPlace};
use crate::open::Refusal;

impl Watcher {
    /// A path that policy does not cover: nobody can say any more what is in it.
    pub(super) fn turn_away(&mut self, target: &Target, path: &Path, now: Instant) {
        self.look_anew(path);
        if let Some(place) = self.known.place(path).cloned() {
            self.push_closed(place, Extent::Unread(UnknownWhy::PathExcluded), now);
        }
        self.agenda.done(&target.what, 0, now);
    }

    pub(super) fn take_refusal(&mut self, target: &Target, refusal: &Refusal, now: Instant) {
        match &target.what {
            TargetPlace::File(path) => self.take_refused_file(path, refusal, now),
            TargetPlace::Process(instance) => match refusal {
                Refusal::Ended | Refusal::Absent { .. } => {
                    if !self.sweeps.knows(instance) {
                        self.counts.raced(Source::Processes);
                    }
                    self.counts.forget(Source::Processes, &target.what);
                    self.sweeps.ended(*instance);
                }
                _ => {
                    self.counts
                        .not_read(Source::Processes, &target.what, refusal.slug());
                    let naming = self.sweeps.naming(instance);
                    self.sweeps
                        .unread(*instance, naming, UnknownWhy::Unreadable, false);
                }
            },
        }
        self.agenda.done(&target.what, 0, now);
        if matches!(refusal, Refusal::Leased | Refusal::TooManyOpen) {
            self.agenda.put_off(&target.what, now);
        }
        self.speak_of_sweep(now);
    }

    fn take_refused_file(&mut self, path: &Path, refusal: &Refusal, now: Instant) {
        let target = TargetPlace::File(path.to_owned());
        let source = source_of(path);
        let known = self
            .known
            .place(path)
            .cloned()
            .or_else(|| self.uncommitted_place(path))
            .or_else(|| self.held_place(path));
        match refusal {
            Refusal::Absent { device } => {
                self.counts.forget(source, &target);
                self.detecting.keystores.forget(path);
                self.detecting.pushed.forget_unplain(path);
                self.ledger
                    .forget(PathKey::of(path.as_os_str().as_encoded_bytes()));
                let Some(place) = known else { return };
                let extent = if self.is_unmounted(path, *device) {
                    Extent::Unread(UnknownWhy::Unreadable)
                } else {
                    Extent::Absent
                };
                self.push_closed(place, extent, now);
            }
            Refusal::SymbolicLink | Refusal::NotAFile { .. } if known.is_none() => {}
            _ => {
                self.counts.not_read(source, &target, refusal.slug());
                self.examples.want(source, refusal.slug(), path);
                self.look_anew(path);
                if let Some(place) = known {
                    self.push_closed(place, refusal.extent(), now);
                }
            }
        }
    }

    /// Forgets in which state a file was read: its findings become unknown, and only a reading can
    /// change that, be the file the same as before or not.
    pub(super) fn look_anew(&mut self, path: &Path) {
        self.ledger
            .forget(PathKey::of(path.as_os_str().as_encoded_bytes()));
    }

    /// The place of a path whose reading waits for its commit: on a full disk that may be long, and what
    /// vanishes meanwhile would stay present once it is committed.
    fn uncommitted_place(&self, path: &Path) -> Option<Place> {
        let mut waiting = self.detecting.done.iter().rev();
        waiting.find_map(|done| match &done.reading.subject {
            ReadingSubject::Place(place) if done.file() == Some(path) => Some(place.clone()),
            _ => None,
        })
    }

    /// The place of a path with a plain name, if the ledger holds it: for names that this run has
    /// not read yet.
    fn held_place(&mut self, path: &Path) -> Option<Place> {
        let text = akwatch_proto::place::SafeText::try_from(path.to_str()?.to_owned()).ok()?;
        let place = Place::File {
            path: text,
            inside: Vec::new(),
        };
        let query = akwatch_ledger::Query {
            place: Some(place.clone()),
            limit: 1,
            ..Default::default()
        };
        let held = self.ledger.holding(&query).unwrap_or_default();
        (!held.is_empty()).then_some(place)
    }

    /// Whether the filesystem that held the path is not mounted: then nobody can say whether the
    /// file is gone.
    fn is_unmounted(&self, path: &Path, nearest: u64) -> bool {
        let mounts = self.host.mounts();
        // A second name of the same filesystem has the same device, so the mount itself is compared.
        if self.mounted.is_missing(path, &mounts) {
            return true;
        }
        if let Some(seen) = self.known.seen_on(path) {
            return seen.device != nearest || seen.mount.as_ref() != mounts.around(path);
        }
        let table = self
            .host
            .read(Path::new("/etc/fstab"), 1 << 20)
            .unwrap_or_default();
        let mounted = |point: &Path| mounts.all().iter().any(|mount| mount.point == point);
        fstab_points(&table).any(|point| path.starts_with(&point) && !mounted(&point))
    }

    pub(super) fn push_closed(&mut self, place: Place, extent: Extent, now: Instant) {
        let reading = self.reading_of(ReadingSubject::Place(place), extent);
        self.detecting.push(
            Done {
                reading,
                note: Note::Closed,
            },
            now,
        );
    }

    fn reading_of(&self, subject: ReadingSubject, extent: Extent) -> Reading {
        Reading {
            subject,
            extent,
            at: crate::sense::now(),
            rules: self.detecting.rules().unwrap_or_default().to_owned(),
            observed: Vec::new(),
            too_many: false,
            unread_inside: None,
            why_new: akwatch_proto::finding::WhyNew::PlaceChanged,
            written_by: None,
        }
    }
}

/// The mount points that fstab names but for the root.
fn fstab_points(table: &[u8]) -> impl Iterator<Item = std::path::PathBuf> {
    let text = String::from_utf8_lossy(table).into_owned();
    let points: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|point| point.len() > 1 && point.starts_with('/'))
        .map(std::path::PathBuf::from)
        .collect();
    points.into_iter()
}
