//! When repositories are looked at and given up: the clock is the test's.

use std::fs;

use akwatch_proto::git::PushState;

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
            fresh: false,
            reach: PendingReach::default(),
            origin: PendingOrigin::default(),
            delivered: false,
            expected: vec![0],
            writer: None,
        };
        let header = JobHeader {
            id,
            idle: false,
            companions: Vec::new(),
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

    /// What is held of the one finding.
    fn said(&mut self) -> Option<Git> {
        let file = self.agent.watched("app/.env");
        let [finding] = self.watcher.held_in(&file).try_into().unwrap();
        finding.git
    }

    /// Notes that its repository said that it was not pushed.
    fn note_not_pushed(&mut self) {
        let file = self.agent.watched("app/.env");
        let [finding] = self.watcher.held_in(&file).try_into().unwrap();
        let git = Git {
            state: PushState::NotPushed,
            ..untraced(SafeText::from_program("/app"), UntracedWhy::Limit)
        };
        self.watcher.note_git(&[(finding.key, Some(git))]);
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

/// A directory that cannot be looked at is no proof that no repository is there.
#[test]
fn an_error_on_the_way_up_is_unknown_and_forgets_nothing() {
    let (mut idle, now) = (Idle::new(), Instant::now());
    idle.note_not_pushed();
    let (app, aside) = (idle.agent.watched("app"), idle.agent.watched("aside"));
    let file = app.join(".env");
    fs::rename(&app, &aside).unwrap();
    std::os::unix::fs::symlink(&app, &app).unwrap();
    idle.watcher.detecting.pushed.stir(&file);
    idle.watcher.look_up(now);
    let git = idle.said().unwrap();
    assert_eq!(git.state, PushState::Unknown);
    assert_eq!(git.why, Some(UntracedWhy::Unreadable));
    // A repository that is proven not to be there is.
    fs::remove_file(&app).unwrap();
    fs::rename(&aside, &app).unwrap();
    fs::remove_dir_all(app.join(".git")).unwrap();
    idle.watcher.detecting.pushed.stir(&file);
    idle.watcher.look_up(now);
    assert_eq!(idle.said(), None);
}

#[test]
fn where_there_is_no_room_for_a_repository_that_is_said() {
    let (mut idle, now) = (Idle::new(), Instant::now());
    idle.note_not_pushed();
    for number in 0..REPOSITORIES {
        let seen = Seen::default();
        idle.watcher
            .detecting
            .pushed
            .seen
            .insert(location(number), seen);
    }
    let location = idle.location();
    idle.watcher.trace(&location, now);
    let git = idle.said().unwrap();
    assert_eq!(git.why, Some(UntracedWhy::Limit));
    assert!(idle.watcher.detecting.pushed.refused);
}

#[test]
fn one_owner_does_not_keep_the_others_out() {
    let mut pushed = Pushed::default();
    for number in 0..OF_ONE_OWNER {
        let seen = Seen {
            owner: 1000,
            ..Seen::default()
        };
        assert!(pushed.has_room(1000));
        pushed.seen.insert(location(number), seen);
    }
    assert!(!pushed.has_room(1000));
    assert!(pushed.has_room(1001) && pushed.has_room(0));
}

#[test]
fn more_files_than_wait_at_once_are_looked_up_in_their_turn() {
    let mut pushed = Pushed::default();
    for number in (0..STIRRED + 3).rev() {
        pushed.stir(Path::new(&format!("/{number:08}")));
    }
    assert_eq!(pushed.stirred.len(), STIRRED);
    let first = PathBuf::from(format!("/{STIRRED:08}"));
    assert_eq!(pushed.left_out, Some(first));
    let now = Instant::now();
    for number in 0..REPOSITORIES {
        pushed.wants(location(number), now);
    }
    // Nor is one taken that there is no room for.
    assert_eq!(pushed.take_stirred(), None);
    assert!(pushed.next_due(now).is_some_and(|due| due > now));
}

#[test]
fn a_detector_that_asks_without_end_is_ended() {
    let (mut idle, now) = (Idle::new(), Instant::now());
    idle.order(now);
    let out = idle.watcher.detecting.pushed.out.as_mut().unwrap();
    (out.asks, out.heard) = (ASKS, now);
    let id = out.order.id;
    idle.watcher.take_ask(id, Ask::File(0), now);
    assert!(idle.has_detector());
    idle.watcher.take_ask(id, Ask::File(0), now);
    assert!(!idle.has_detector());
}

#[test]
fn an_order_that_takes_too_long_is_given_up_and_its_repository_is_unknown_then() {
    let (mut idle, mut now) = (Idle::new(), Instant::now());
    idle.note_not_pushed();
    for _ in 0..DEATHS {
        idle.order(now);
        now += ORDER;
        idle.watcher.detecting.pushed.hear(now);
        idle.watcher.trace_next(now);
        assert!(idle.has_detector());
        assert!(idle.watcher.detecting.pushed.out.is_none());
    }
    let location = idle.location();
    idle.watcher.trace(&location, now);
    assert_eq!(idle.said().unwrap().why, Some(UntracedWhy::Limit));
}
