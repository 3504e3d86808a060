//! Names for coverage: what could not be read is shown with an example, and an example is a name; what
//! is set aside is shown by name.
//!
//! A raw name may hold a secret, so it goes to the detector like any other, in a job without parts,
//! and comes back clean. One name for each reason is enough; of what is set aside a bounded number is
//! named, the others are counted.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use akwatch_proto::coverage::SetAside;
use akwatch_proto::limits;
use akwatch_proto::place::SafeText;

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
    asked: HashMap<JobId, Wanted>,
    wanted: Vec<(Source, &'static str, PathBuf)>,
    asides: HashMap<TargetPlace, Aside>,
}

/// What a name is for.
enum Wanted {
    /// The example of a reason.
    Example(Source, &'static str),
    /// A place that is set aside.
    Aside(TargetPlace),
}

/// What is told of a place that is set aside.
struct Aside {
    cause: &'static str,
    /// Its raw name, until the clean one is there.
    raw: PathBuf,
    name: Option<SafeText>,
}

impl Examples {
    /// A place that could stand for a reason.
    pub(super) fn want(&mut self, source: Source, why: &'static str, path: &Path) {
        let known = |(of, slug, _): &(Source, &'static str, PathBuf)| *of == source && *slug == why;

        if self.wanted.len() < ASKED && !self.wanted.iter().any(known) {
            self.wanted.push((source, why, path.to_owned()));
        }
    }

    /// A place is set aside, for this cause; what it is called is taken down while it is there.
    pub(super) fn aside(&mut self, place: &TargetPlace, cause: &'static str) {
        if let Some(aside) = self.asides.get_mut(place) {
            aside.cause = cause;
        } else if self.asides.len() < limits::SET_ASIDE_NAMED {
            let (raw, name) = (aside_name(place), None);
            self.asides
                .insert(place.clone(), Aside { cause, raw, name });
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
        let agenda = &self.agenda;
        let asides = &mut self.examples.asides;
        asides.retain(|place, _| agenda.aside(place).is_some());
        let unnamed = asides.iter().filter(|(_, aside)| aside.name.is_none());
        let unnamed: Vec<(TargetPlace, PathBuf)> = unnamed
            .take(ASKED)
            .map(|(place, aside)| (place.clone(), aside.raw.clone()))
            .collect();
        let mut jobs = Vec::new();
        for (place, raw) in unnamed {
            let (job, flight) = name_only(self.detecting.next_id(), &raw);
            let wanted = Wanted::Aside(place);
            self.examples.asked.insert(job.header.id, wanted);
            self.detecting.flights.push(flight, now);
            jobs.push(job);
        }
        for (source, why, path) in std::mem::take(&mut self.examples.wanted) {
            if self.counts.wants_example(source, why) {
                let (job, flight) = name_only(self.detecting.next_id(), &path);
                let wanted = Wanted::Example(source, why);
                self.examples.asked.insert(job.header.id, wanted);
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
        let wanted = self.examples.asked.remove(&examined.id)?;
        if let ([clean], [raw]) = (examined.names.as_slice(), flight.header.names.as_slice())
            && is_cleaned(clean, raw)
        {
            match wanted {
                Wanted::Example(source, why) => self.counts.example(source, why, clean.clone()),
                Wanted::Aside(place) => {
                    if let Some(aside) = self.examples.asides.get_mut(&place) {
                        aside.name = Some(clean.clone());
                    }
                }
            }
        }
        Some(())
    }

    /// What is set aside, by name: places whose clean name is known, and rules.
    pub(super) fn set_aside_by_name(&self, now: Instant) -> Vec<SetAside> {
        let places = self.examples.asides.iter().filter_map(|(place, told)| {
            let aside = self.agenda.aside(place)?;
            let left = aside.until.saturating_duration_since(now).as_secs();
            let left = i64::try_from(left).unwrap_or(i64::MAX).saturating_mul(1000);
            Some(SetAside {
                kind: match place {
                    TargetPlace::File(_) => "file",
                    TargetPlace::Process(_) => "process",
                }
                .to_owned(),
                name: told.name.clone()?,
                why: told.cause.to_owned(),
                times: aside.times,
                until: Some(crate::sense::now().plus(left)),
            })
        });
        let rules = self.detecting.faults.iter().filter_map(|(rule, why)| {
            Some(SetAside {
                kind: "rule".to_owned(),
                name: SafeText::try_from(rule.clone()).ok()?,
                why: why.clone(),
                times: 1,
                until: None,
            })
        });
        let mut all: Vec<SetAside> = places.chain(rules).collect();
        all.sort_by(|a, b| (&a.kind, a.name.as_str()).cmp(&(&b.kind, b.name.as_str())));
        all.truncate(limits::SET_ASIDE_NAMED);
        all
    }
}

/// The raw name by which a place may be shown.
fn name_of(place: &TargetPlace) -> PathBuf {
    match place {
        TargetPlace::File(path) => path.clone(),
        TargetPlace::Process(instance) => PathBuf::from(format!("/proc/{}", instance.pid)),
    }
}

/// The raw name of a place that is set aside: of a process its executable, while it can be read.
fn aside_name(place: &TargetPlace) -> PathBuf {
    let executable = match place {
        TargetPlace::File(_) => None,
        TargetPlace::Process(instance) => {
            std::fs::read_link(format!("/proc/{}/exe", instance.pid)).ok()
        }
    };
    executable.unwrap_or_else(|| name_of(place))
}

/// A job that holds a name and nothing else.
fn name_only(id: JobId, path: &Path) -> (Job, Flight) {
    let header = JobHeader {
        id,
        idle: false,
        companions: Vec::new(),
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
        writer: None,
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
