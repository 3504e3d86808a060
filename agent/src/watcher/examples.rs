//! Names for coverage: what could not be read is shown with an example, and an example is a name.
//!
//! A raw name may hold a secret, so it goes to the detector like any other, in a job without parts,
//! and comes back clean. One name for each reason is enough.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Watcher;
use super::answer::is_cleaned;
use super::flights::Flight;
use crate::coverage::{Source, slug_of_gap};
use crate::job::{
    Examined, Job, JobHeader, JobId, NameAt, Pending, PendingOrigin, PendingPlace, PendingReach,
    Target, TargetPlace, Urgency,
};

/// Names that are being cleaned at once.
const ASKED: usize = 8;

/// Which names are with the detector, and which wait.
#[derive(Default)]
pub(super) struct Examples {
    asked: HashMap<JobId, (Source, &'static str)>,
    wanted: Vec<(Source, &'static str, PathBuf)>,
}

impl Examples {
    /// A place that could stand for a reason.
    pub(super) fn want(&mut self, source: Source, why: &'static str, path: &Path) {
        let known = |(of, slug, _): &(Source, &'static str, PathBuf)| *of == source && *slug == why;

        if self.wanted.len() < ASKED && !self.wanted.iter().any(known) {
            self.wanted.push((source, why, path.to_owned()));
        }
    }

    /// Forgets what a detector that is gone had.
    pub(super) fn forget(&mut self) {
        self.asked.clear();
    }
}

impl Watcher {
    /// Asks for the names of reasons that have no example yet.
    pub(super) fn ask_for_examples(&mut self, now: Instant) {
        if !self.detecting.is_ready() || !self.examples.asked.is_empty() {
            return;
        }
        for source in Source::ALL {
            for gap in self.counts.gaps(source) {
                if let Some(path) = &gap.example {
                    self.examples.want(source, slug_of_gap(gap), path);
                }
            }
            for (why, place) in self.counts.without_example(source) {
                self.examples.want(source, why, &name_of(place));
            }
        }
        let mut jobs = Vec::new();
        for (source, why, path) in std::mem::take(&mut self.examples.wanted) {
            if self.counts.wants_example(source, why) {
                let (job, flight) = name_only(self.detecting.next_id(), &path);
                self.examples.asked.insert(job.header.id, (source, why));
                self.detecting.flights.push(flight, now);
                jobs.push(job);
            }
        }
        if !jobs.is_empty() {
            self.send(jobs, now);
        }
    }

    /// Takes a name that came back; none when the answer is of another job.
    pub(super) fn take_example(&mut self, flight: &Flight, examined: &Examined) -> Option<()> {
        let (source, why) = self.examples.asked.remove(&examined.id)?;
        if let ([clean], [raw]) = (examined.names.as_slice(), flight.header.names.as_slice())
            && is_cleaned(clean, raw)
        {
            self.counts.example(source, why, clean.clone());
        }
        Some(())
    }
}

/// The raw name by which a place may be shown.
fn name_of(place: &TargetPlace) -> PathBuf {
    match place {
        TargetPlace::File(path) => path.clone(),
        TargetPlace::Process(instance) => PathBuf::from(format!("/proc/{}", instance.pid)),
    }
}

/// A job that holds a name and nothing else.
fn name_only(id: JobId, path: &Path) -> (Job, Flight) {
    let header = JobHeader {
        id,
        parts: Vec::new(),
        names: vec![path.as_os_str().as_bytes().to_vec()],
    };
    let target = Target {
        what: TargetPlace::File(PathBuf::new()),
        urgency: Urgency::FirstScan,
    };
    let pending = Pending {
        target,
        place: PendingPlace::File { path: NameAt(0) },
        before: None,
        fresh: false,
        reach: PendingReach::default(),
        origin: PendingOrigin::default(),
        delivered: false,
        expected: Vec::new(),
    };
    let job = Job {
        header: header.clone(),
        contents: Vec::new(),
    };
    let flight = Flight {
        header,
        pending,
        file: None,
    };
    (job, flight)
}
