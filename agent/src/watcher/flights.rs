//! The jobs that the detector has, in the order in which it must answer them.
//!
//! One job is examined at a time, so only the first may be late, and only the first can have ended
//! the detector: that one is the suspect, the others are sent again without blame.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::job::{Examined, JobHeader, JobId, Pending, Urgency};

/// Jobs out at once.
pub const OUT: usize = crate::link::JOBS;

/// Time that every job is given.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many times longer a job may take on a host under pressure.
const PRESSED: u32 = 4;

/// Bytes a second that a detector manages at worst, unwrapping included.
const SLOWEST: u64 = 2 * 1024 * 1024;

/// A job that the detector has.
#[derive(Debug)]
pub struct Flight {
    /// What was said of it.
    pub header: JobHeader,
    /// What the watcher keeps.
    pub pending: Pending,
    /// The watcher's own descriptor of the file, to see whether it changed meanwhile.
    pub file: Option<OwnedFd>,
}

impl Flight {
    /// Whether it was opened for a scan, and not because something happened.
    #[must_use]
    pub fn is_of_scan(&self) -> bool {
        self.pending.target.urgency >= Urgency::Rescan
    }

    /// The bytes that it will read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let parts = self.header.parts.iter().map(|part| part.expected);
        let beside = self.header.companions.iter().map(|beside| beside.bytes);
        parts.chain(beside).sum()
    }

    /// The bytes that its disk gave for an answer: no more than are there, holes left out.
    #[must_use]
    pub fn bytes_read(&self, examined: &Examined) -> u64 {
        let parts = examined.read.iter().zip(&self.header.parts);
        let read = parts.fold(0_u64, |sum, (read, part)| {
            sum.saturating_add((*read).min(part.expected))
        });
        let stat = self.file.as_ref().map(rustix::fs::fstat);
        let blocks = stat.and_then(Result::ok).map(|stat| stat.st_blocks);
        let there = blocks.and_then(|blocks| u64::try_from(blocks).ok());
        there.map_or(read, |blocks| read.min(blocks.saturating_mul(512)))
    }

    fn patience(&self) -> Duration {
        PATIENCE + Duration::from_secs(self.bytes() / SLOWEST)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Flights {
    order: VecDeque<Flight>,
    first_since: Option<Instant>,
    /// Whether the host was under pressure while the first waited: the time lost to that is not given
    /// back when it ends.
    pressed: bool,
}

impl Flights {
    /// Adds a job that is sent now.
    pub fn push(&mut self, flight: Flight, now: Instant) {
        if self.order.is_empty() {
            self.first_since = Some(now);
            self.pressed = false;
        }
        self.order.push_back(flight);
    }

    /// Takes the job that an answer names; none when it is not the one that is due.
    pub fn answered(&mut self, id: JobId, now: Instant) -> Option<Flight> {
        if self.order.front()?.header.id != id {
            return None;
        }
        self.first_since = Some(now);
        self.pressed = false;
        self.order.pop_front()
    }

    /// The host is under pressure: the first job has longer. What waits for a processor there has done
    /// nothing wrong.
    pub fn press(&mut self) {
        self.pressed = true;
    }

    /// When the first job is late.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.order.front()?;
        let times = if self.pressed { PRESSED } else { 1 };
        Some(self.first_since? + first.patience() * times)
    }

    /// Takes everything, because the detector is no more: the suspect first.
    pub fn take(&mut self) -> Vec<Flight> {
        self.first_since = None;
        self.order.drain(..).collect()
    }

    /// How many of them belong to a scan, and the bytes that those will read: what an event that
    /// comes now has to wait for.
    #[must_use]
    pub fn of_scans(&self) -> (usize, u64) {
        let scans = self.order.iter().filter(|flight| flight.is_of_scan());
        scans.fold((0, 0), |(count, bytes), flight| {
            (count + 1, bytes + flight.bytes())
        })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether the detector has nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The jobs, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.order.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::job::{
        Names, PartForm, PartHeader, PendingOrigin, PendingPlace, PendingReach, Target,
        TargetPlace, Urgency,
    };

    fn flight(id: u64, expected: u64) -> Flight {
        let mut names = Names::default();
        let path = names.add(b"/x");
        let part = PartHeader {
            name: 0,
            form: PartForm::Guess,
            appended: None,
            expected,
        };
        Flight {
            header: JobHeader {
                id: JobId(id),
                idle: false,
                companions: Vec::new(),
                parts: vec![part],
                names: names.into_raw(),
            },
            pending: Pending {
                target: Target {
                    what: TargetPlace::File(PathBuf::from("/x")),
                    urgency: Urgency::Live,
                },
                place: PendingPlace::File { path },
                before: None,
                fresh: false,
                reach: PendingReach::default(),
                origin: PendingOrigin::default(),
                delivered: false,
                expected: vec![expected],
                writer: None,
            },
            file: None,
        }
    }

    #[test]
    fn answers_come_in_order_or_not_at_all() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        flights.push(flight(1, 0), now);
        flights.push(flight(2, 0), now);
        assert!(flights.answered(JobId(2), now).is_none());
        assert!(flights.answered(JobId(7), now).is_none());
        assert!(flights.answered(JobId(1), now).is_some());
        assert!(flights.answered(JobId(1), now).is_none());
        assert_eq!(flights.take().len(), 1);
    }

    #[test]
    fn what_was_read_is_no_more_than_the_disk_gave() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        let mut one = flight(1, 4096);
        let examined = |read: Vec<u64>| Examined {
            read,
            ..Examined::default()
        };
        assert_eq!(one.bytes_read(&examined(vec![1000])), 1000);
        assert_eq!(one.bytes_read(&examined(vec![u64::MAX])), 4096);
        one.file = Some(file.into());
        assert_eq!(one.bytes_read(&examined(vec![1000])), 0);
    }

    #[test]
    fn only_the_first_can_be_late_and_large_ones_get_more_time() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        assert_eq!(flights.deadline(), None);
        flights.push(flight(1, 100 * SLOWEST), now);
        flights.push(flight(2, 0), now);
        let patience = Duration::from_secs(100);
        assert_eq!(flights.deadline(), Some(now + PATIENCE + patience));
        let pressed = (PATIENCE + patience) * PRESSED;
        flights.press();
        assert_eq!(flights.deadline(), Some(now + pressed));
        let later = now + patience;
        let _ = flights.answered(JobId(1), later);
        assert_eq!(flights.deadline(), Some(later + PATIENCE));
    }
}
