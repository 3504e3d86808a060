//! The real detector, started as the supervisor would start it: it works with nothing but what it is
//! handed, and ends with its link even amid a job.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test, fixtures included"
)]

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use akwatch_agent::job::{Captured, Content, Job, JobHeader, JobId, PartForm, PartHeader};
use akwatch_agent::link::{DetectorLink, FromDetector, Link, ToDetector};
use akwatch_agent::trace::{Order, Sought};
use akwatch_detect::repository::{Ask, ObjectId, Wanted};
use akwatch_proto::agent::FleetKey;
use akwatch_proto::credential::{Epoch, Fingerprint, Scheme};
use akwatch_proto::finding::Subject;
use akwatch_sys::capability::Capabilities;
use akwatch_sys::launch::{Child, Launch, Voice, launch};
use akwatch_sys::link::Channel;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(180);
const WAIT: Option<Duration> = Some(PATIENCE);

/// A started detector and the watcher's end of its link.
struct Started {
    child: Child,
    link: Option<DetectorLink>,
    /// The supervisor's end, which a role may outlive but never needs.
    _control: Channel,
}

impl Started {
    fn start() -> Started {
        let program = File::open(env!("CARGO_BIN_EXE_akwatch-agent")).unwrap();
        let (mut control, theirs) = Channel::pair().unwrap();
        let arguments =
            ["akwatch-agent", "role", "detector"].map(|argument| CString::new(argument).unwrap());
        let child = launch(&Launch {
            program: program.as_fd(),
            arguments: &arguments,
            environment: &[c"AKWATCH_SUPERVISED=1".to_owned()],
            identity: None,
            capabilities: Capabilities::NONE,
            inherit: &[theirs.as_fd()],
            voice: Voice::None,
            raise_limits: false,
            at_once: false,
        })
        .unwrap();
        let (ours, detectors) = Channel::pair().unwrap();
        let begin = serde_json::json!({
            "config": [["agent.toml", "[collector]\nurls = [\"https://c.example\"]\n"]],
            "shared_user": true,
        });
        let begin = serde_json::to_vec(&begin).unwrap();
        control
            .send(&begin, &[detectors.as_fd()], PATIENCE)
            .unwrap();
        drop(detectors);
        Started {
            child,
            link: Some(Link::over(ours)),
            _control: control,
        }
    }

    fn say(&mut self, message: &ToDetector) {
        self.link
            .as_mut()
            .unwrap()
            .outlet
            .say(message, PATIENCE)
            .unwrap();
    }

    fn hear(&mut self) -> FromDetector {
        self.link
            .as_mut()
            .unwrap()
            .inlet
            .hear(WAIT)
            .unwrap()
            .unwrap()
    }

    /// Starts it and gives the walls that it lacks.
    fn ready(&mut self) -> Vec<String> {
        self.say(&ToDetector::Start {
            key: FleetKey::new(Epoch::parse("1").unwrap(), &[3; 32]),
            packs: Vec::new(),
        });
        match self.hear() {
            FromDetector::Ready {
                rule_ids,
                missing_walls,
                ..
            } => {
                assert!(!rule_ids.is_empty());
                missing_walls
            }
            _ => panic!("an answer before any question"),
        }
    }

    fn waited(&self) -> WaitStatus {
        waitpid(Pid::from_raw(self.child.pid), None).unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.pid);
        if waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

fn job(id: u64, form: PartForm, expected: u64, content: Content) -> Job {
    Job {
        header: JobHeader {
            id: JobId(id),
            idle: false,
            companions: Vec::new(),
            parts: vec![PartHeader {
                name: 0,
                form,
                appended: None,
                expected,
            }],
            names: vec![b"/srv/app/.env".to_vec()],
        },
        contents: vec![content],
    }
}

/// A generated pair in the form of a dotenv file.
fn pair() -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let word = |prefix: &str, length: usize| {
        let mut bytes = vec![0u8; length];
        getrandom::fill(&mut bytes).unwrap();
        let tail = bytes
            .iter()
            .map(|byte| char::from(letters[usize::from(*byte) % letters.len()]));
        format!("{prefix}{}", tail.collect::<String>())
    };
    let (id, secret) = (word("AKID", 32), word("", 32));
    format!("TENCENTCLOUD_SECRET_ID={id}\nTENCENTCLOUD_SECRET_KEY={secret}\n").into_bytes()
}

#[test]
fn it_finds_a_pair_in_a_file_and_in_an_environment_that_it_cannot_open_itself() {
    let mut detector = Started::start();
    detector.ready();
    let text = pair();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&text).unwrap();
    let environ: Vec<u8> = text
        .iter()
        .map(|&b| if b == b'\n' { 0 } else { b })
        .collect();
    let length = text.len() as u64;
    let captured = Content::Captured(Captured(Zeroizing::new(environ)));
    detector.say(&ToDetector::Examine(vec![
        job(1, PartForm::Guess, length, Content::File(file.into())),
        job(2, PartForm::Environ, length, captured),
    ]));
    for id in [1, 2] {
        let FromDetector::Read(examined) = detector.hear() else {
            panic!("no answer");
        };
        assert_eq!(examined.id, JobId(id));
        assert_eq!(examined.found.len(), 1, "job {id}");
        assert_eq!(examined.read, [length]);
    }
}

/// A repository is asked about with what only the watcher can open, and jobs go before it.
#[test]
fn it_asks_for_a_repositorys_files_one_by_one_and_answers_jobs_meanwhile() {
    let mut detector = Started::start();
    detector.ready();
    let id = JobId(7);
    let fingerprint = Fingerprint {
        scheme: Scheme::Hmac,
        epoch: Epoch::parse("1").unwrap(),
        bytes: [0; 32],
    };
    detector.say(&ToDetector::Trace(Order {
        id,
        top: b"/srv/app".to_vec(),
        files: vec![b"HEAD".to_vec(), b"refs/heads/main".to_vec()],
        whole: true,
        wanted: vec![Sought {
            what: Wanted::Path {
                path: b".env".to_vec(),
                secrets: 1,
            },
            subjects: vec![Subject::Secret(fingerprint)],
        }],
    }));
    let main = b"5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d\n";
    let mut asked = Vec::new();
    let told = loop {
        match detector.hear() {
            FromDetector::Ask { id: of, ask } => {
                assert_eq!(of, id);
                let job = job(
                    1,
                    PartForm::Guess,
                    0,
                    Content::Captured(Captured(Zeroizing::default())),
                );
                detector.say(&ToDetector::Examine(vec![job]));
                assert!(matches!(detector.hear(), FromDetector::Read(_)));
                let file = (ask == Ask::File(1)).then(|| {
                    let mut file = tempfile::tempfile().unwrap();
                    file.write_all(main).unwrap();
                    (file.into(), main.len() as u64)
                });
                asked.push(ask);
                // An answer to another question is not this one's.
                detector.say(&ToDetector::Give {
                    id: JobId(6),
                    file: None,
                });
                detector.say(&ToDetector::Give { id, file });
            }
            FromDetector::Told(told) => break told,
            other => panic!("{other:?}"),
        }
    };
    let commit = Ask::Loose(ObjectId([0x5d; 20]));
    assert_eq!(asked, [Ask::File(0), Ask::File(1), commit]);
    assert_eq!(told.id, id);
    assert_eq!(told.gits[0][0].repository.as_str(), "/srv/app");
}

#[test]
fn it_ends_with_its_link() {
    let mut detector = Started::start();
    detector.ready();
    detector.link = None;
    assert!(matches!(detector.waited(), WaitStatus::Exited(_, 0)));
}

#[test]
fn it_ends_amid_a_job_when_its_link_does() {
    let mut detector = Started::start();
    detector.ready();
    // Far more than it reads while the link closes, even where nothing is on disk.
    let file = tempfile::tempfile().unwrap();
    let length = 64 << 30;
    file.set_len(length).unwrap();
    detector.say(&ToDetector::Examine(
        (0..32)
            .map(|id| {
                let file = file.try_clone().unwrap();
                job(id, PartForm::Guess, length, Content::File(file.into()))
            })
            .collect(),
    ));
    detector.link = None;
    // Amid the first job it aborts; between two jobs it just ends.
    let status = detector.waited();
    assert!(
        matches!(
            status,
            WaitStatus::Signaled(_, Signal::SIGABRT, _) | WaitStatus::Exited(_, 0)
        ),
        "{status:?}"
    );
}

#[test]
fn the_walls_that_it_lacks_are_said() {
    let mut detector = Started::start();
    let missing = detector.ready();
    // It was started as this test's user, and says so.
    assert!(
        missing.contains(&"detector.own-user".to_owned()),
        "{missing:?}"
    );
    let confined = !missing.contains(&"detector.seccomp".to_owned());
    let status = std::fs::read_to_string(format!("/proc/{}/status", detector.child.pid)).unwrap();
    assert_eq!(status.contains("Seccomp:\t2"), confined);
}
