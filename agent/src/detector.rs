//! The worker that sees secrets: it hears a job, examines it, answers, and forgets.
//!
//! It has no voice: no log, no standard output or error, a panic that says nothing, no core dump;
//! what it answers has been through `redact`. It has no file, socket or capability either, only the
//! descriptors that it is handed. It yields to everything else on the host. When its link ends it
//! ends with it, at once even amid a job: that is how the watcher ends a job past its deadline.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use akwatch_detect::{Detector, Limits, RuleFault, RulePack, RuleSet};
use akwatch_proto::agent::FleetKey;
use akwatch_sys::memory;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::examine::examine;
use crate::job::Job;
use crate::link::{EXPLANATION, FromDetector, Inlet, Link, Outlet, RULES, TalkError, ToDetector};
use crate::redact::FingerprintKey;
use crate::trace::{Progress, Tracing};

/// How long the watcher may take to accept one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// After this long without a job, the last burst is over.
const QUIET: Duration = Duration::from_secs(2);

/// Where jobs never end, memory goes back to the host this often.
const GIVE_BACK: Duration = Duration::from_secs(30);

/// Why a detector ended, other than with its link. Nobody hears it but the exit code.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The link broke.
    #[error("the watcher's link")]
    Talk(#[from] TalkError),
    /// Jobs came before the key.
    #[error("jobs came before the start message")]
    NotStarted,
    /// The fleet key is none.
    #[error("the fleet key is not usable")]
    Key,
    /// The thread that watches the link could not be started.
    #[error("starting a thread")]
    Thread(#[source] std::io::Error),
}

/// Makes every later panic in this process silent and final: its message could quote what was being
/// read.
pub fn be_silent() {
    std::panic::set_hook(Box::new(|_| std::process::abort()));
}

/// Works until the link ends.
///
/// # Errors
/// When it ended in any other way than by the watcher closing it.
pub fn run(
    link: Link<FromDetector, ToDetector>,
    missing_walls: &[String],
    may_idle: bool,
) -> Result<(), DetectorError> {
    let (outlet, inlet) = link.split();
    let work = Work::watched(&inlet)?;
    let turn = Turn {
        may_idle,
        idle: false,
    };
    match serve(outlet, inlet, missing_walls, &work, turn) {
        Err(DetectorError::Talk(error)) if error.is_end() => Ok(()),
        other => other,
    }
}

fn serve(
    mut outlet: Outlet<FromDetector>,
    mut inlet: Inlet<ToDetector>,
    missing_walls: &[String],
    work: &Work,
    mut turn: Turn,
) -> Result<(), DetectorError> {
    let mut started: Option<Started> = None;
    let mut tracing: Option<Tracing> = None;
    let (mut worked, mut given_back) = (true, Instant::now());
    loop {
        if worked && given_back.elapsed() >= GIVE_BACK {
            memory::give_back(); // where there is never quiet
            given_back = Instant::now();
        }
        let goes_on = tracing.as_ref().is_some_and(Tracing::goes_on);
        let wait = if goes_on {
            Some(Duration::ZERO)
        } else {
            worked.then_some(QUIET)
        };
        let Some(message) = inlet.hear(wait)? else {
            if goes_on {
                // A step at a time: what happens on the host goes before what happened once.
                turn.take(true);
                let started = started.as_mut().ok_or(DetectorError::NotStarted)?;
                started.trace(&mut tracing, &mut outlet)?;
                worked = true;
                continue;
            }
            // Nothing to do: what a burst of jobs took is the host's again, and nothing of it is left.
            akwatch_sys::wiping::wipe_stack();
            memory::give_back();
            worked = false;
            continue;
        };
        worked = true;
        match message {
            ToDetector::Start { key, packs } => {
                let (now, faults) = Started::with(&key, packs)?;
                outlet.say(&now.ready(faults, missing_walls), PATIENCE)?;
                started = Some(now);
            }
            ToDetector::Examine(jobs) => {
                let started = started.as_mut().ok_or(DetectorError::NotStarted)?;
                for job in jobs {
                    let Some(busy) = work.begin() else {
                        return Ok(());
                    };
                    turn.take(job.header.idle);
                    let answer = started.answer(&job);
                    drop((busy, job));
                    outlet.say(&answer, PATIENCE)?;
                }
            }
            ToDetector::Trace(order) => tracing = Some(Tracing::begin(order)),
            ToDetector::Give { id, file } => {
                if let Some(tracing) = tracing.as_mut().filter(|tracing| tracing.id() == id) {
                    tracing.give(file);
                }
            }
        }
    }
}

/// When this thread runs: as others do, or only when nothing else wants to.
struct Turn {
    /// Whether it may come back from that.
    may_idle: bool,
    idle: bool,
}

impl Turn {
    fn take(&mut self, idle: bool) {
        if !self.may_idle || self.idle == idle {
            return;
        }
        let taken = if idle {
            akwatch_sys::process::run_when_idle()
        } else {
            akwatch_sys::process::run_as_others_do()
        };
        match taken {
            Ok(()) => self.idle = idle,
            Err(_) => self.may_idle = false, // no voice; it goes on as it is
        }
    }
}

/// What the start message made.
struct Started {
    detector: Detector,
    rules: Arc<RuleSet>,
    key: FingerprintKey,
}

impl Started {
    fn with(
        key: &FleetKey,
        packs: Vec<(String, String)>,
    ) -> Result<(Started, Vec<RuleFault>), DetectorError> {
        let key = FingerprintKey::of_fleet(key).map_err(|_| DetectorError::Key)?;
        let packs: Vec<RulePack> = packs
            .into_iter()
            .map(|(name, toml)| RulePack { name, toml })
            .collect();
        let (rules, faults) = RuleSet::compile(&packs);
        let rules = Arc::new(rules);
        let detector = Detector::new(Arc::clone(&rules), Limits::default());
        let started = Started {
            detector,
            rules,
            key,
        };
        Ok((started, faults))
    }

    fn ready(&self, faults: Vec<RuleFault>, missing_walls: &[String]) -> FromDetector {
        FromDetector::Ready {
            rules: self.rules.version().to_string(),
            rule_ids: self
                .rules
                .ids()
                .take(RULES)
                .map(ToString::to_string)
                .collect(),
            faults: faults.into_iter().take(RULES).map(said).collect(),
            missing_walls: missing_walls.to_vec(),
        }
    }

    /// Does a step of an order, and says what came of it.
    fn trace(
        &mut self,
        tracing: &mut Option<Tracing>,
        outlet: &mut Outlet<FromDetector>,
    ) -> Result<(), DetectorError> {
        let Some(under_way) = tracing else {
            return Ok(());
        };
        match under_way.step(&mut self.detector, &self.key) {
            Progress::More | Progress::Waiting => {}
            Progress::Ask(ask) => {
                let id = under_way.id();
                outlet.say(&FromDetector::Ask { id, ask }, PATIENCE)?;
            }
            Progress::Told(told) => {
                *tracing = None;
                outlet.say(&FromDetector::Told(told), PATIENCE)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, job: &Job) -> FromDetector {
        let Job { header, contents } = job;
        FromDetector::Read(examine(&mut self.detector, &self.key, header, contents))
    }
}

/// A fault as the watcher may show it: which rule of which pack, and why.
fn said(fault: RuleFault) -> (String, String) {
    let rule = match fault.rule {
        Some(rule) => format!("{}: {rule}", fault.pack),
        None => fault.pack,
    };
    (
        akwatch_proto::text::cut(&rule, EXPLANATION),
        akwatch_proto::text::cut(&fault.why, EXPLANATION),
    )
}

/// Whether a job is being examined, and whether the link has ended meanwhile.
#[derive(Clone, Debug, Default)]
struct Work(Arc<WorkState>);

#[derive(Debug, Default)]
struct WorkState {
    busy: AtomicBool,
    ended: AtomicBool,
}

/// Ends with the job.
struct Busy<'a>(&'a WorkState);

impl Work {
    /// Work that a thread of its own ends when `inlet`'s other end goes away. That thread is not
    /// idle-class, so it runs also while the detector waits for the processor.
    fn watched(inlet: &Inlet<ToDetector>) -> Result<Work, DetectorError> {
        let work = Work::default();
        let link = inlet
            .as_fd()
            .try_clone_to_owned()
            .map_err(DetectorError::Thread)?;
        let state = Arc::clone(&work.0);
        std::thread::Builder::new()
            .name("link".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || {
                // No event is asked for: only the hang-up, which always comes, wakes it.
                let mut link = [PollFd::new(link.as_fd(), PollFlags::empty())];
                while !matches!(poll(&mut link, PollTimeout::NONE), Ok(1..)) {}
                state.ended.store(true, Ordering::SeqCst);
                if state.busy.load(Ordering::SeqCst) {
                    std::process::abort();
                }
            })
            .map_err(DetectorError::Thread)?;
        Ok(work)
    }

    /// Begins a job, unless the link has ended. Either this sees the end or the thread sees the job.
    fn begin(&self) -> Option<Busy<'_>> {
        self.0.busy.store(true, Ordering::SeqCst);
        (!self.0.ended.load(Ordering::SeqCst)).then_some(Busy(&self.0))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use akwatch_proto::credential::Epoch;
    use zeroize::Zeroizing;

    use super::*;
    use crate::job::{Captured, Content, JobHeader, JobId, PartForm, PartHeader};

    const WAIT: Option<Duration> = Some(Duration::from_secs(60));

    fn environ(id: u64, environment: &[u8]) -> Job {
        Job {
            header: JobHeader {
                id: JobId(id),
                idle: false,
                companions: Vec::new(),
                parts: vec![PartHeader {
                    name: 0,
                    form: PartForm::Environ,
                    appended: None,
                    expected: environment.len() as u64,
                }],
                names: vec![b"/proc/1/environ".to_vec()],
            },
            contents: vec![Content::Captured(Captured(Zeroizing::new(
                environment.to_vec(),
            )))],
        }
    }

    fn start() -> ToDetector {
        ToDetector::Start {
            key: FleetKey::new(Epoch::parse("1").unwrap(), &[7; 32]),
            packs: vec![("broken".to_owned(), "not TOML [".to_owned())],
        }
    }

    #[test]
    fn a_detector_answers_each_job_and_ends_with_its_link() {
        let (mut watcher, detector) = Link::<ToDetector, FromDetector>::pair().unwrap();
        let walls = vec!["detector.landlock".to_owned()];
        let worker = std::thread::spawn(move || run(detector, &walls, false));
        watcher.outlet.say(&start(), PATIENCE).unwrap();
        let Some(FromDetector::Ready { missing_walls, .. }) = watcher.inlet.hear(WAIT).unwrap()
        else {
            panic!("not ready");
        };
        assert_eq!(missing_walls, ["detector.landlock"]);
        let jobs = vec![environ(1, b"A=1\0"), environ(2, b"B=2\0")];
        let headers: Vec<JobHeader> = jobs.iter().map(|job| job.header.clone()).collect();
        watcher
            .outlet
            .say(&ToDetector::Examine(jobs), PATIENCE)
            .unwrap();
        for header in &headers {
            let Some(FromDetector::Read(examined)) = watcher.inlet.hear(WAIT).unwrap() else {
                panic!("no answer");
            };
            assert!(examined.fits(header));
        }
        drop(watcher);
        worker.join().unwrap().unwrap();
    }

    #[test]
    fn jobs_before_the_key_end_it() {
        let (mut watcher, detector) = Link::<ToDetector, FromDetector>::pair().unwrap();
        let jobs = ToDetector::Examine(vec![environ(1, b"A=1\0")]);
        watcher.outlet.say(&jobs, PATIENCE).unwrap();
        assert!(matches!(
            run(detector, &[], false),
            Err(DetectorError::NotStarted)
        ));
    }
}
