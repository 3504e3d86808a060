//! The loop with real files, processes, sensors, ledger and links; the detector is a thread that
//! knows one kind of token, the reporter one that acknowledges everything.
//!
//! Longer than 800 lines because the harness stands beside the tests that drive all of it; those of one
//! subject are in files of their own below.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use akwatch_ledger::Options as LedgerOptions;
use akwatch_proto::agent::{CheckInAnswer, Directive, HeartbeatAnswer, Leaving, Outcome, Reported};
use akwatch_proto::coverage::Coverage;
use akwatch_proto::credential::{Confidence, Epoch, Fingerprint, Kind, Provider, RuleId, Scheme};
use akwatch_proto::finding::{Finding, GoneProof, Presence, PresenceState, Subject, UnknownWhy};
use akwatch_proto::place::{Place, SafeText, Spot};
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

use super::*;
use crate::agenda::Owner;
use crate::config::GlobSet;
use crate::host::packages::Sums;
use crate::job::{Content, Examined, Found, Job, Target, TargetPlace, Urgency};
use crate::link::{Answer, Link, Outage, Outgoing, ToDetector, ToReporter};
use crate::role::Role;

mod asked;
mod directives;
mod histories;
mod told;
mod unknown;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(180);

/// What the test's detector takes for a credential: `TOK` and sixteen digits.
const PREFIX: &[u8] = b"TOK";
const DIGITS: usize = 16;

/// The sums of a file that no package brought.
const NOBODYS: Sums = Sums {
    md5: [0; 16],
    sha256: [0; 32],
};

/// How the test's detector behaves.
#[derive(Default)]
struct Manner {
    /// Ends instead of answering a job whose content holds `POISON`.
    poisoned: AtomicUsize,
    /// Names another file than it was handed.
    lies: AtomicBool,
    /// Has a rule set without the rule for tokens.
    without_rule: AtomicBool,
    /// Done once, after a place that says `SLOW` was read and before that is answered.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Manner {
    /// Its rule set: version and rules.
    fn rules(&self) -> (&'static str, &'static str) {
        if self.without_rule.load(Ordering::SeqCst) {
            ("test-2", "test.other")
        } else {
            ("test-1", "test.token")
        }
    }
}

fn token(number: u64) -> String {
    format!("TOK{number:0DIGITS$}")
}

fn tokens(content: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut line = 1;
    for (at, byte) in content.iter().enumerate() {
        line += u32::from(*byte == b'\n');
        let rest = &content[at..];
        if rest.starts_with(PREFIX)
            && let Some(token) = rest.get(..PREFIX.len() + DIGITS)
            && token[PREFIX.len()..].iter().all(u8::is_ascii_digit)
        {
            found.push((line, token.to_vec()));
        }
    }
    found
}

/// What the test's detector knows a file again by.
fn mark(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(Sha256::digest(bytes)[..8].try_into().unwrap())
}

fn found_at(part: usize, line: u32, token: &[u8]) -> Found {
    Found {
        part,
        inside: Vec::new(),
        subject: Subject::Secret(Fingerprint {
            scheme: Scheme::Hmac,
            epoch: Epoch::parse("1").unwrap(),
            bytes: Sha256::digest(token).into(),
        }),
        rule: RuleId::parse("test.token").unwrap(),
        provider: Provider::parse("test").unwrap(),
        kind: Kind::Token,
        credential_id: None,
        confidence: Confidence::Strong,
        preview: None,
        proof: Vec::new(),
        spot: Spot {
            line,
            end_line: line,
            ..Spot::default()
        },
    }
}

fn examine(job: Job, manner: &Manner) -> Option<Examined> {
    let (mut found, mut read, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let (mut began, mut marks) = (Vec::new(), Vec::new());
    for (part, content) in job.contents.into_iter().enumerate() {
        let mut bytes = Vec::new();
        match content {
            Content::File(file) => {
                fs::File::from(file).read_to_end(&mut bytes).unwrap();
            }
            Content::Captured(captured) => bytes.extend_from_slice(&captured.0),
        }
        let appended = job.header.parts[part].appended.unwrap_or_default();
        let before = usize::try_from(appended.from).unwrap();
        let grown = before > 0 && bytes.len() >= before && mark(&bytes[..before]) == appended.mark;
        let (start, above) = if grown {
            (appended.from, appended.lines)
        } else {
            (0, 0)
        };
        if bytes.windows(6).any(|window| window == b"POISON") {
            manner.poisoned.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if bytes.windows(4).any(|window| window == b"SLOW")
            && let Some(meanwhile) = manner.meanwhile.lock().unwrap().take()
        {
            meanwhile();
        }
        let (_, rule) = manner.rules();
        let looks = rule == "test.token";
        let tokens = tokens(&bytes).into_iter();
        let tokens = tokens.filter(|(line, _)| looks && *line > above);
        found.extend(tokens.map(|(line, token)| found_at(part, line, &token)));
        read.push(bytes.len() as u64 - start);
        began.push(start);
        lines.push(u32::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap());
        marks.push(mark(&bytes));
    }
    let lie = manner.lies.swap(false, Ordering::SeqCst);
    let name = |raw: &Vec<u8>| {
        let raw: &[u8] = if lie { b"/etc/shadow" } else { raw };
        SafeText::danger_already_redacted(raw)
    };
    Some(Examined {
        id: job.header.id,
        names: job.header.names.iter().map(name).collect(),
        work: read.iter().sum(),
        found,
        // So that the packages' record is asked of what root owns.
        sums: vec![Some(NOBODYS); read.len()],
        began,
        read,
        lines,
        marks,
        too_many: false,
        unread_inside: None,
    })
}

/// The next message; none when the link has ended, or the watcher has before it took the link.
fn hear<R: crate::link::Message>(inlet: &mut crate::link::Inlet<R>, stop: &Stop) -> Option<R> {
    loop {
        match inlet.hear(Some(Duration::from_millis(200))) {
            Ok(Some(message)) => return Some(message),
            Ok(None) if stop.asked() => return None,
            Ok(None) => {}
            Err(_) => return None,
        }
    }
}

/// Speaks as a detector until the link ends, or until it meets poison.
fn detector(mut link: Link<FromDetector, ToDetector>, manner: &Manner, stop: &Stop) {
    while let Some(message) = hear(&mut link.inlet, stop) {
        let answers: Vec<FromDetector> = match message {
            ToDetector::Start { .. } => vec![FromDetector::Ready {
                rules: manner.rules().0.to_owned(),
                rule_ids: vec![manner.rules().1.to_owned()],
                faults: Vec::new(),
                missing_walls: Vec::new(),
            }],
            ToDetector::Examine(jobs) => {
                let mut answers = Vec::new();
                for job in jobs {
                    let Some(examined) = examine(job, manner) else {
                        for answer in answers {
                            let _ = link.outlet.say(&answer, DEADLINE);
                        }
                        link.outlet.close();
                        return;
                    };
                    answers.push(FromDetector::Read(examined));
                }
                answers
            }
            ToDetector::Trace(_) | ToDetector::Give { .. } => Vec::new(),
        };
        for answer in answers {
            if link.outlet.say(&answer, DEADLINE).is_err() {
                return;
            }
        }
    }
}

/// What the test's collector asks for, and what became of it.
#[derive(Default)]
struct Above {
    /// What the next check-in is answered with.
    directives: Vec<Signed<Directive>>,
    /// How many were made.
    serial: u64,
    outcomes: Vec<Outcome>,
}

/// A key of the test's collector, and of nobody else.
fn directive_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Speaks as a reporter whose collector takes everything.
fn reporter(
    mut link: Link<FromReporter, ToReporter>,
    received: &Mutex<BTreeMap<String, Finding>>,
    beats: &Mutex<Vec<Coverage>>,
    above: &Mutex<Above>,
    stop: &Stop,
) {
    let mut held = false;
    loop {
        let directives = if held {
            std::mem::take(&mut above.lock().unwrap().directives)
        } else {
            Vec::new()
        };
        if !directives.is_empty() {
            held = false;
            let answer = Answer::CheckIn(CheckInAnswer { directives });
            let _ = link.outlet.say(&FromReporter::Answered(answer), DEADLINE);
        }
        let outgoing = match link.inlet.hear(Some(Duration::from_millis(50))) {
            Ok(Some(ToReporter::Send(outgoing))) => outgoing,
            Ok(None) if !stop.asked() => continue,
            Ok(None) | Err(_) => return,
        };
        let answer = match outgoing {
            Outgoing::Report(report) => {
                let mut received = received.lock().unwrap();
                for finding in report.findings {
                    received.insert(format!("{:?}", finding.key), finding);
                }
                Answer::Report(Reported {
                    upto: report.upto,
                    reread: Vec::new(),
                    questions: Vec::new(),
                })
            }
            Outgoing::Heartbeat(said) => {
                beats.lock().unwrap().push(said.coverage);
                if said.leaving == Some(Leaving::Retired) {
                    for call in ["check-in", "report"] {
                        let _ = link
                            .outlet
                            .say(&FromReporter::Outage(outage(call)), DEADLINE);
                    }
                }
                Answer::Heartbeat(HeartbeatAnswer {
                    time: Time(0),
                    next_seconds: 60,
                    resync: false,
                    want_facts: false,
                })
            }
            Outgoing::CheckIn(said) => {
                above.lock().unwrap().outcomes.extend(said.outcomes);
                held = true;
                continue;
            }
        };
        if link
            .outlet
            .say(&FromReporter::Answered(answer), DEADLINE)
            .is_err()
        {
            return;
        }
    }
}

/// Something else than what retires a host does not arrive.
fn outage(call: &str) -> Outage {
    Outage {
        call: call.to_owned(),
        why: "the connection was closed".to_owned(),
        refused: None,
        retry_ms: None,
    }
}

/// A running watcher over one directory, and everything around it.
pub(super) struct Agent {
    directory: tempfile::TempDir,
    /// Ends the watcher.
    stop: Stop,
    /// Ends the other roles, once the watcher has ended: one that sees them go first takes that for
    /// the loss of its supervisor.
    others_stop: Stop,
    processes: bool,
    first_scan: bool,
    /// When the first scan reads.
    hours: Vec<Hours>,
    manner: Arc<Manner>,
    /// Whether its configuration refuses pauses from above.
    refuses_pauses: bool,
    above: Arc<Mutex<Above>>,
    received: Arc<Mutex<BTreeMap<String, Finding>>>,
    /// The coverage that each heartbeat told.
    beats: Arc<Mutex<Vec<Coverage>>>,
    watcher: Option<JoinHandle<Result<(), WatcherError>>>,
    others: Vec<JoinHandle<()>>,
}

impl Agent {
    pub(super) fn new() -> Agent {
        Agent::with(|_| ())
    }

    pub(super) fn with(before: impl FnOnce(&Path)) -> Agent {
        Agent::watching(false, before)
    }

    fn watching(processes: bool, before: impl FnOnce(&Path)) -> Agent {
        Agent::configured(processes, true, before)
    }

    fn configured(processes: bool, first_scan: bool, before: impl FnOnce(&Path)) -> Agent {
        let mut agent = Agent::prepared(processes, first_scan, before);
        agent.start();
        agent
    }

    /// One that is not started yet.
    fn prepared(processes: bool, first_scan: bool, before: impl FnOnce(&Path)) -> Agent {
        let directory = in_memory();
        fs::create_dir(directory.path().join("watched")).unwrap();
        fs::create_dir(directory.path().join("state")).unwrap();
        before(&directory.path().join("watched"));
        Agent {
            directory,
            stop: Stop::new().unwrap(),
            others_stop: Stop::new().unwrap(),
            processes,
            first_scan,
            hours: Vec::new(),
            manner: Arc::default(),
            refuses_pauses: false,
            above: Arc::default(),
            received: Arc::default(),
            beats: Arc::default(),
            watcher: None,
            others: Vec::new(),
        }
    }

    fn start(&mut self) {
        let (mut handover, links) = Links::pair().unwrap();
        (self.stop, self.others_stop) = (Stop::new().unwrap(), Stop::new().unwrap());
        let setup = self.setup(links);
        self.watcher = Some(std::thread::spawn(move || run(setup)));
        let (manner, received, stop) = (
            Arc::clone(&self.manner),
            Arc::clone(&self.received),
            self.others_stop.clone(),
        );
        let (beats, above) = (Arc::clone(&self.beats), Arc::clone(&self.above));
        self.others = vec![std::thread::spawn(move || {
            let socket = handover.connect(Role::Reporter).unwrap();
            let link = Link::over(akwatch_sys::link::Channel::over(socket).unwrap());
            let ending = stop.clone();
            let reports = std::thread::spawn(move || {
                reporter(link, &received, &beats, &above, &ending);
            });
            while !stop.asked() {
                let Ok(socket) = handover.connect(Role::Detector) else {
                    break;
                };
                detector(
                    Link::over(akwatch_sys::link::Channel::over(socket).unwrap()),
                    &manner,
                    &stop,
                );
                let _ = handover.asked(); // a wish to replace it is granted by the next turn
            }
            drop(handover);
            reports.join().unwrap();
        })];
    }

    pub(super) fn setup(&self, links: Links) -> Setup {
        let state = self.directory.path().join("state");
        let host = Arc::new(Root::live().unwrap());
        let none = GlobSet::new([], &[]).unwrap();
        Setup {
            opener: Opener::new(Arc::clone(&host), none),
            set: WatchSet::of_trees(vec![self.watched("")], vec![state.clone()]),
            ledger: Ledger::open(&state, &LedgerOptions::new("this-boot")).unwrap(),
            links,
            identity: Identity {
                host: HostId::from_u128(7),
                key: FleetKey::new(Epoch::parse("1").unwrap(), &[7; 32]),
                directive_keys: vec![directive_key().verifying_key()],
                heartbeat: Duration::from_secs(60),
            },
            options: Options {
                histories: true,
                processes: self.processes,
                first_scan: self.first_scan,
                first_scan_hours: self.hours.clone(),
                max_file_bytes: 1 << 20,
                scan_bytes_per_second: 1 << 40,
                strict: false,
                watches: 1000,
                labels: BTreeMap::new(),
                ephemeral: false,
                refuses_pauses: self.refuses_pauses,
                packs: Vec::new(),
                directory: state.clone(),
            },
            control: Some(bind(&state)),
            stop: self.stop.clone(),
            service: crate::role::service::Service::default(),
            host,
        }
    }

    pub(super) fn watched(&self, name: &str) -> PathBuf {
        let watched = self.directory.path().join("watched");
        if name.is_empty() {
            watched
        } else {
            watched.join(name)
        }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.watched(name), content).unwrap();
    }

    pub(super) fn end(&mut self) {
        self.stop.ask();
        if let Some(watcher) = self.watcher.take() {
            watcher.join().unwrap().unwrap();
        }
        self.others_stop.ask();
        for other in self.others.drain(..) {
            other.join().unwrap();
        }
    }

    /// What the reporter was told of this token, the newest state of each place.
    fn told(&self, number: u64) -> Vec<Finding> {
        let bytes: [u8; 32] = Sha256::digest(token(number)).into();
        let received = self.received.lock().unwrap();
        let is = |finding: &&Finding| matches!(&finding.key.subject, Subject::Secret(print) if print.bytes == bytes);
        received.values().filter(is).cloned().collect()
    }

    /// Waits until the reporter was told that the token is in this state, in one place.
    fn expect(&self, number: u64, state: PresenceState) -> Finding {
        let until = Instant::now() + DEADLINE;
        loop {
            let told = self.told(number);
            if let [finding] = told.as_slice()
                && finding.presence.state() == state
            {
                return finding.clone();
            }
            assert!(Instant::now() < until, "never {state:?}: {told:?}");
            std::thread::yield_now();
            wait_a_little();
        }
    }

    fn expect_gone(&self, number: u64, proof: GoneProof) {
        let finding = self.expect(number, PresenceState::Gone);
        let Presence::Gone { proof: said, .. } = finding.presence else {
            panic!("not gone")
        };
        assert_eq!(said, proof);
    }

    pub(super) fn expect_present(&self, number: u64) -> Finding {
        self.expect(number, PresenceState::Present)
    }

    /// Waits until the agent says of itself what `holds` looks for.
    fn expect_status(&self, holds: impl Fn(&control::Status) -> bool) -> control::Status {
        let until = Instant::now() + DEADLINE;
        loop {
            let status = control::status(&self.directory.path().join("state")).unwrap();
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < until, "never: {status:?}");
            wait_a_little();
        }
    }
}

/// The control socket; the thread that serves the one before may still be about to end.
fn bind(state: &Path) -> control::Listener {
    let until = Instant::now() + DEADLINE;
    loop {
        match control::Listener::bind(state) {
            Ok(listener) => return listener,
            Err(why) => assert!(Instant::now() < until, "never bound: {why}"),
        }
        wait_a_little();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

/// A directory in memory where the host has one: these tests are not about the disk, which other
/// tests may keep busy for seconds.
fn in_memory() -> tempfile::TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).unwrap()
}

/// Gives other threads time between two looks at a condition.
fn wait_a_little() {
    let never = Stop::new().unwrap();
    let _ = never.wait(None, Some(Duration::from_millis(5)));
}

#[test]
fn a_key_in_a_file_is_present_until_its_line_is_removed() {
    let agent = Agent::new();
    agent.write(".env", &format!("A=1\nKEY={}\n", token(1)));
    let finding = agent.expect_present(1);
    assert_eq!(finding.spot.line, 2);
    let Place::File { path, .. } = &finding.key.place else {
        panic!("no file")
    };
    assert_eq!(path.as_str(), agent.watched(".env").to_str().unwrap());
    agent.write(".env", "A=1\n");
    agent.expect_gone(1, GoneProof::Reread);
}

#[test]
fn an_edit_above_moves_the_line_and_is_the_same_finding() {
    let agent = Agent::new();
    agent.write(".env", &format!("KEY={}\n", token(1)));
    let before = agent.expect_present(1);
    agent.write(".env", &format!("NEW=1\n\nKEY={}\n", token(1)));
    let until = Instant::now() + DEADLINE;
    while agent.told(1)[0].spot.line != 3 {
        assert!(Instant::now() < until, "the line never moved");
        wait_a_little();
    }
    let after = agent.expect_present(1);
    assert_eq!(
        (after.key, after.first_seen),
        (before.key, before.first_seen)
    );
}

#[test]
fn removing_the_file_or_its_directory_is_proof() {
    let agent = Agent::new();
    agent.write("a", &token(1));
    fs::create_dir_all(agent.watched("d/e")).unwrap();
    agent.write("d/e/b", &token(2));
    agent.expect_present(1);
    agent.expect_present(2);
    fs::remove_file(agent.watched("a")).unwrap();
    agent.expect_gone(1, GoneProof::Removed);
    fs::remove_dir_all(agent.watched("d")).unwrap();
    agent.expect_gone(2, GoneProof::Removed);
}

#[test]
fn an_atomic_save_and_a_renamed_directory_are_followed() {
    let agent = Agent::new();
    agent.write("a", &token(1));
    agent.expect_present(1);
    agent.write("a.tmp", "nothing");
    fs::rename(agent.watched("a.tmp"), agent.watched("a")).unwrap();
    agent.expect_gone(1, GoneProof::Reread);
    fs::create_dir(agent.watched("old")).unwrap();
    agent.write("old/b", &token(2));
    agent.expect_present(2);
    fs::rename(agent.watched("old"), agent.watched("new")).unwrap();
    let until = Instant::now() + DEADLINE;
    loop {
        let mut states: Vec<_> = agent
            .told(2)
            .iter()
            .map(|finding| finding.presence.state())
            .collect();
        states.sort();
        if states == [PresenceState::Present, PresenceState::Gone] {
            break;
        }
        assert!(Instant::now() < until, "never: {states:?}");
        wait_a_little();
    }
}

#[test]
fn what_is_there_already_is_found_by_the_first_scan() {
    let agent = Agent::with(|watched| {
        fs::create_dir(watched.join("node_modules")).unwrap();
        fs::write(watched.join("node_modules/a"), token(1)).unwrap();
        fs::write(
            watched.join(".bash_history"),
            format!("export A={}\n", token(2)),
        )
        .unwrap();
    });
    agent.expect_present(1);
    let history = agent.expect_present(2);
    assert!(matches!(history.key.place, Place::History { .. }));
    let status = agent.expect_status(|status| status.scan.first_done);
    assert_eq!((status.present, status.unsent), (2, 0));
}

#[test]
fn the_first_scan_waits_for_its_hours_and_goes_on() {
    let mut agent = Agent::prepared(false, true, |watched| {
        fs::write(watched.join("before"), token(1)).unwrap();
    });
    // Twelve hours that begin in an hour, whatever the time is now.
    let hour = |from_now: i8| (jiff::Zoned::now().hour() + 24 + from_now) % 24;
    let text = format!("{:02}:30-{:02}:30", hour(1), hour(13));
    agent.hours = vec![Hours::try_from(text).unwrap()];
    agent.start();
    agent.expect_status(|status| status.coverage.sources[0].mechanism == "inotify");
    agent.write("live", &token(2));
    agent.expect_present(2);
    let status = agent.expect_status(|status| status.scan.waits_for_hours);
    assert_eq!(status.scan.running.as_deref(), Some("first-scan"));
    assert_eq!((status.scan.files, status.present), (0, 1));
    agent.end();

    let text = format!("{:02}:30-{:02}:30", hour(-2), hour(2));
    agent.hours = vec![Hours::try_from(text).unwrap()];
    agent.start();
    agent.expect_present(1);
    agent.expect_status(|status| status.scan.first_done && !status.scan.waits_for_hours);
}

#[test]
fn a_restart_catches_up_where_nothing_is_scanned_first() {
    let mut agent = Agent::configured(false, false, |_| ());
    // What is written before anybody watches is the first scan's business, and there is none.
    agent.expect_status(|status| status.coverage.sources[0].mechanism == "inotify");
    agent.write("a", &token(1));
    agent.expect_present(1);
    agent.end();
    agent.write("meanwhile", &token(2));
    fs::create_dir(agent.watched("d")).unwrap();
    agent.write("d/deep", &token(3));
    agent.start();
    agent.expect_present(2);
    agent.expect_present(3);
    let status = agent.expect_status(|status| status.scan.running.is_none());
    assert!(!status.scan.first_done, "what changed is not the whole");
}

#[test]
fn a_file_that_cannot_be_read_any_more_is_unknown() {
    let agent = Agent::new();
    agent.write("a", &token(1));
    agent.expect_present(1);
    fs::remove_file(agent.watched("a")).unwrap();
    // A directory in its place: not absent, and nothing that could be read.
    fs::create_dir(agent.watched("a")).unwrap();
    let finding = agent.told(1);
    assert_eq!(finding.len(), 1);
    let until = Instant::now() + DEADLINE;
    while agent.told(1)[0].presence.state() == PresenceState::Present {
        assert!(Instant::now() < until, "still present");
        wait_a_little();
    }
}

struct Process(Child);

impl Process {
    fn with_token(number: u64) -> Process {
        let child = Command::new("cat")
            .env("TEST_TOKEN", token(number))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Process(child)
    }

    fn end(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_is_present_until_no_process_of_its_place_holds_the_key() {
    let agent = Agent::watching(true, |_| ());
    let (one, other) = (Process::with_token(3), Process::with_token(3));
    let finding = agent.expect_present(3);
    assert!(matches!(finding.key.place, Place::Process { .. }));
    one.end();
    // The other one still holds it: what comes next must not be *gone*.
    agent.write("after", &token(4));
    agent.expect_present(4);
    assert_eq!(agent.told(3)[0].presence.state(), PresenceState::Present);
    other.end();
    agent.expect_gone(3, GoneProof::Ended);
}

#[test]
fn a_detector_that_dies_of_a_file_is_replaced_and_only_that_file_set_aside() {
    let agent = Agent::with(|watched| {
        fs::write(watched.join("a"), token(1)).unwrap();
        fs::write(watched.join("b"), "POISON").unwrap();
        fs::write(watched.join("c"), token(2)).unwrap();
    });
    agent.expect_present(1);
    agent.expect_present(2);
    agent.expect_status(|status| status.scan.set_aside == 1);
    assert_eq!(agent.manner.poisoned.load(Ordering::SeqCst), 2);
}

#[test]
fn a_detector_that_lies_is_replaced_and_its_word_does_not_count() {
    let agent = Agent::new();
    agent.write("ready", &token(9));
    agent.expect_present(9);
    agent.manner.lies.store(true, Ordering::SeqCst);
    agent.write("a", &token(1));
    agent.write("b", &token(2));
    agent.expect_status(|status| status.scan.set_aside == 1 && status.roles[1].up);
    agent.write("c", &token(3));
    agent.expect_present(3);
    let findings = control::findings(&agent.directory.path().join("state")).unwrap();
    let shadow = |finding: &Finding| format!("{:?}", finding.key.place).contains("shadow");
    assert!(!findings.iter().any(shadow));
}

#[test]
fn a_hundred_restarts_make_no_second_finding_and_see_what_happened_meanwhile() {
    let mut agent = Agent::new();
    agent.write("a", &token(1));
    agent.write("b", &token(2));
    let first = agent.expect_present(1);
    agent.expect_present(2);
    for _ in 0..100 {
        agent.end();
        agent.start();
    }
    agent.end();
    fs::remove_file(agent.watched("a")).unwrap();
    agent.write("b", "nothing");
    agent.start();
    agent.expect_gone(2, GoneProof::Reread);
    agent.expect_gone(1, GoneProof::Removed);
    assert_eq!(agent.told(1)[0].first_seen, first.first_seen);
}

#[test]
fn a_file_that_changes_all_the_time_is_present_and_never_gone_by_mistake() {
    let agent = Agent::new();
    agent.write("log", &format!("{}\n", token(1)));
    agent.expect_present(1);
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(agent.watched("log"))
        .unwrap();
    for number in 0..2000 {
        std::io::Write::write_all(&mut log, format!("line {number}\n").as_bytes()).unwrap();
        let touched = fs::OpenOptions::new()
            .append(true)
            .open(agent.watched("log"))
            .unwrap();
        let _ = touched.as_fd();
        assert_eq!(agent.told(1)[0].presence.state(), PresenceState::Present);
    }
    agent.write("after", &token(2));
    agent.expect_present(2);
    assert_eq!(agent.told(1)[0].presence.state(), PresenceState::Present);
}

/// What is redacted in a name depends on what its file holds: under each of its names the findings
/// of one path are judged by the same readings.
#[test]
fn a_path_whose_clean_name_changes_leaves_nothing_behind() {
    let agent = Agent::new();
    let name = format!("{}.env", token(1));
    agent.write(&name, &token(1));
    agent.expect_present(1);
    agent.write(&name, &token(2));
    agent.expect_present(2);
    agent.expect_gone(1, GoneProof::Reread);
    fs::remove_file(agent.watched(&name)).unwrap();
    agent.expect_gone(2, GoneProof::Removed);
}

#[test]
fn the_reason_for_not_knowing_is_said() {
    let agent = Agent::new();
    agent.write("a", &token(1));
    agent.expect_present(1);
    agent.write("a", "POISON");
    let finding = agent.expect(1, PresenceState::Unknown);
    let Presence::Unknown { why, .. } = finding.presence else {
        panic!("known")
    };
    assert_eq!(why, UnknownWhy::SetAside);
}

/// A place whose cooling is over wakes the loop, but not while nothing can be done with it: a loop
/// that is woken by the past never sleeps.
#[test]
fn what_is_due_does_not_keep_the_loop_awake_while_the_detector_is_away() {
    let mut agent = Agent::new();
    agent.end();
    let (_handover, links) = Links::pair().unwrap();
    let mut watcher = Watcher::start(agent.setup(links), &mut None).unwrap();
    let (now, target) = (
        Instant::now(),
        Target {
            what: TargetPlace::File(PathBuf::from("/cooling")),
            urgency: Urgency::Live,
        },
    );
    for _ in 0..2 {
        let _ = watcher.agenda.offer(target.clone(), Owner(0), now);
        if let Some(next) = watcher.agenda.next(now) {
            watcher.agenda.done(&next.what, 64 << 20, now);
        }
    }
    assert_eq!(watcher.agenda.len(), 1);
    let later = now + Duration::from_secs(60);
    watcher.ticked = later;
    assert_eq!(watcher.next_due(later), later + TICK);
    agent.stop.ask();
}
