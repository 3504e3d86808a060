//! When repositories are looked at and given up: the clock is the test's.

use std::fs;

use super::*;
use crate::job::{
    Examined, JobHeader, NameAt, PartForm, PartHeader, Pending, PendingOrigin, PendingPlace,
    PendingReach, Target, TargetPlace, Urgency,
};
use crate::link::{DetectorLink, FromDetector, Link};
use crate::role::links::Links;
use crate::watcher::flights::Flight;
use crate::watcher::tests::Agent;

/// A watcher whose loop does not run, over a repository that cannot be opened and has one finding. It
/// has a detector that says nothing.
struct Idle {
    watcher: Watcher,
    agent: Agent,
    _detector: Link<FromDetector, ToDetector>,
}

impl Idle {
    fn new() -> Idle {
        let mut agent = Agent::with(|watched| {
            fs::create_dir_all(watched.join("app/.git")).unwrap();
            fs::write(watched.join("app/.env"), "TOK0000000000000001").unwrap();
        });
        agent.expect_present(1);
        agent.end();
        let (_, links) = Links::pair().unwrap();
        let mut watcher = Watcher::start(agent.setup(links), &mut None).unwrap();
        let (ours, theirs) = DetectorLink::pair().unwrap();
        watcher.detecting.take_for_test(ours.split().0);
        Idle {
            watcher,
            agent,
            _detector: theirs,
        }
    }

    fn location(&self) -> Location {
        Location {
            top: self.agent.watched("app"),
            work_tree: true,
        }
    }

    /// Gives the detector an order of the repository.
    fn order(&mut self, now: Instant) {
        fs::create_dir_all(self.agent.watched("app/.git/objects")).unwrap();
        let location = self.location();
        self.watcher.trace(&location, now);
        assert!(self.watcher.detecting.pushed.out.is_some());
    }

    /// Has the detector answer a job about a file without anything in it.
    fn answer(&mut self, now: Instant) {
        let id = self.watcher.detecting.next_id();
        let part = PartHeader {
            name: 0,
            form: PartForm::Guess,
            appended: None,
            expected: 0,
        };
        let pending = Pending {
            target: Target {
                what: TargetPlace::File(PathBuf::from("/x")),
                urgency: Urgency::Live,
            },
            place: PendingPlace::File { path: NameAt(0) },
            before: None,
            reach: PendingReach::default(),
            origin: PendingOrigin::default(),
            delivered: false,
            expected: vec![0],
        };
        let header = JobHeader {
            id,
            parts: vec![part],
            names: vec![b"/x".to_vec()],
        };
        let flight = Flight {
            header,
            pending,
            file: None,
        };
        self.watcher.detecting.flights.push(flight, now);
        let examined = Examined {
            id,
            found: Vec::new(),
            names: vec![SafeText::from_program("/x")],
            began: vec![0],
            read: vec![0],
            lines: vec![0],
            marks: vec![0],
            sums: vec![None],
            too_many: false,
            unread_inside: None,
            work: 0,
        };
        let said = Ok(FromDetector::Read(examined));
        self.watcher.take_answer(0, said, now).unwrap();
    }

    fn has_detector(&self) -> bool {
        self.watcher.detecting.is_ready()
    }
}

fn location(number: usize) -> Location {
    Location {
        top: PathBuf::from(format!("/srv/{number}")),
        work_tree: true,
    }
}

#[test]
fn no_other_repository_is_looked_at_while_one_look_is_paid_for() {
    let (mut pushed, now) = (Pushed::default(), Instant::now());
    pushed.wants(location(1), now);
    pushed.wants(location(2), now);
    let later = now + SETTLE;
    assert!(pushed.take_due(now).is_none());
    assert!(pushed.take_due(later).is_some());
    let rests = later + Duration::from_secs(3);
    pushed.rests = Some(rests);
    assert!(pushed.take_due(later).is_none());
    assert_eq!(pushed.next_due(later), Some(rests));
    assert!(pushed.take_due(rests).is_some());
    assert_eq!(pushed.next_due(rests), None);
}

#[test]
fn a_detector_that_answers_jobs_is_not_ended_for_an_order_that_waits_behind_them() {
    let (mut idle, now) = (Idle::new(), Instant::now());
    idle.order(now);
    let busy = now + PATIENCE - Duration::from_secs(1);
    idle.answer(busy);
    idle.watcher.trace_next(now + PATIENCE);
    assert!(idle.has_detector());
    assert!(idle.watcher.detecting.pushed.out.is_some());
    // One that says nothing at all is.
    idle.watcher.trace_next(busy + PATIENCE);
    assert!(!idle.has_detector());
}

#[test]
fn a_repository_that_cannot_be_opened_is_asked_again_for_its_own_files_only() {
    let (mut idle, now) = (Idle::new(), Instant::now());
    let location = idle.location();
    idle.watcher.trace(&location, now);
    assert!(idle.watcher.detecting.pushed.out.is_none());
    let note = |idle: &mut Idle, file: PathBuf| {
        idle.watcher.note_refs(&file, now);
        idle.watcher.detecting.pushed.due.len()
    };
    assert_eq!(note(&mut idle, "/elsewhere/refs/heads/main".into()), 0);
    let own = idle.agent.watched("app/.git/refs/heads/main");
    assert_eq!(note(&mut idle, own), 1);
}
