//! Messages arrive as they were sent, and what a hostile end sends is refused.

use std::fs::File;
use std::io::{Read, Seek, Write};

use akwatch_detect::repository::Wanted;
use akwatch_proto::credential::{Epoch, Fingerprint, Scheme};
use akwatch_proto::finding::Subject;
use akwatch_proto::limits;
use akwatch_proto::place::SafeText;
use proptest::prelude::*;

use super::*;
use crate::host::repository::NAMES;
use crate::job::{Captured, CompanionHeader, Content, JobHeader, JobId, PartForm, PartHeader};
use crate::open::companions;
use crate::trace::{PATHS, Sought, WANTED};

const PATIENCE: Duration = Duration::from_secs(180);

fn header(id: u64, parts: usize) -> JobHeader {
    JobHeader {
        id: JobId(id),
        idle: false,
        companions: Vec::new(),
        parts: (0..parts)
            .map(|_| PartHeader {
                name: 0,
                form: PartForm::Environ,
                appended: None,
                expected: 5,
            })
            .collect(),
        names: vec![b"/proc/1/environ\xff".to_vec()],
    }
}

fn captured(bytes: &[u8]) -> Content {
    Content::Captured(Captured(Zeroizing::new(bytes.to_vec())))
}

fn examined(id: u64) -> Examined {
    Examined {
        id: JobId(id),
        found: Vec::new(),
        names: vec![SafeText::from_program("name")],
        began: vec![0],
        read: vec![5],
        lines: vec![0],
        marks: vec![0],
        sums: vec![None],
        too_many: false,
        unread_inside: None,
        work: 5,
    }
}

/// What the watcher hears when a detector sends `body` as a frame.
fn heard(body: &[u8]) -> Result<FromDetector, TalkError> {
    let frame = Frame {
        body: Zeroizing::new(body.to_vec()),
        descriptors: Vec::new(),
    };
    FromDetector::decode(frame)
}

#[test]
fn jobs_arrive_with_descriptors_and_captures_in_their_places() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"in the file").unwrap();
    file.rewind().unwrap();
    let jobs = vec![
        Job {
            header: header(1, 3),
            contents: vec![
                captured(b"first"),
                Content::File(file.into()),
                captured(b"\0raw\xff"),
            ],
        },
        Job {
            header: header(2, 1),
            contents: vec![captured(b"")],
        },
    ];
    let (mut watcher, mut detector) = DetectorLink::pair().unwrap();
    watcher
        .outlet
        .say(&ToDetector::Examine(jobs), PATIENCE)
        .unwrap();
    let Some(ToDetector::Examine(jobs)) = detector.inlet.hear(Some(PATIENCE)).unwrap() else {
        panic!("no jobs");
    };
    assert_eq!(jobs[0].header.names[0], b"/proc/1/environ\xff");
    let texts: Vec<Vec<u8>> = jobs
        .into_iter()
        .flat_map(|job| job.contents)
        .map(|content| match content {
            Content::Captured(Captured(bytes)) => bytes.to_vec(),
            Content::File(file) => {
                let mut text = Vec::new();
                File::from(file).read_to_end(&mut text).unwrap();
                text
            }
        })
        .collect();
    assert_eq!(texts, [&b"first"[..], b"in the file", b"\0raw\xff", b""]);
}

/// A job for a file with as many files beside it.
fn job_beside(id: u64, companions: usize) -> Job {
    let companion = CompanionHeader {
        name: b"/srv/a\xff.yml".to_vec(),
        bytes: 5,
        above: true,
    };
    let mut header = header(id, 1);
    header.companions = vec![companion; companions];
    let file = || Content::File(tempfile::tempfile().unwrap().into());
    let contents = (0..=companions).map(|_| file()).collect();
    Job { header, contents }
}

/// A message of jobs as the other end reads it.
fn read_by_detector(jobs: Vec<Job>) -> Result<ToDetector, TalkError> {
    let message = ToDetector::Examine(jobs);
    let (body, descriptors) = message.encode().unwrap();
    let descriptors = descriptors
        .iter()
        .map(|file| file.try_clone_to_owned().unwrap())
        .collect();
    ToDetector::decode(Frame { body, descriptors })
}

#[test]
fn companions_arrive_with_their_job_and_no_more_than_there_may_be() {
    let jobs = vec![job_beside(1, companions::MOST), job_beside(2, 0)];
    let ToDetector::Examine(jobs) = read_by_detector(jobs).unwrap() else {
        panic!("no jobs");
    };
    let lengths: Vec<usize> = jobs.iter().map(|job| job.contents.len()).collect();
    assert_eq!(lengths, [companions::MOST + 1, 1]);
    let first = &jobs[0].header.companions[0];
    assert_eq!(
        (&first.name[..], first.above),
        (&b"/srv/a\xff.yml"[..], true)
    );
    assert!(!format!("{:?}", jobs[0].header).contains("yml"));
    assert!(read_by_detector(vec![job_beside(1, companions::MOST + 1)]).is_err());
    let mut short = job_beside(1, 2);
    short.contents.pop();
    assert!(read_by_detector(vec![short]).is_err());
}

#[test]
fn no_message_has_more_files_than_a_frame_holds() {
    let jobs: Vec<Job> = (0..32).map(|id| job_beside(id, companions::MOST)).collect();
    let mut order = Vec::new();
    for message in ToDetector::examine(jobs) {
        assert!(message.encode().unwrap().1.len() <= DESCRIPTORS_LIMIT);
        let ToDetector::Examine(jobs) = message else {
            panic!("no jobs");
        };
        order.extend(jobs.iter().map(|job| job.header.id.0));
    }
    assert_eq!(order, (0..32).collect::<Vec<u64>>());
    let plain: Vec<Job> = (0..32).map(|id| job_beside(id, 0)).collect();
    assert_eq!(ToDetector::examine(plain).len(), 1);
    assert!(ToDetector::examine(Vec::new()).is_empty());
}

#[test]
fn captures_are_not_encoded() {
    let environment = b"NAME=value\0".repeat(100);
    let jobs = ToDetector::Examine(vec![Job {
        header: header(1, 1),
        contents: vec![captured(&environment)],
    }]);
    let (body, _) = jobs.encode().unwrap();
    assert!(body.ends_with(&environment));
    assert!(body.len() < environment.len() + 1024);
}

#[test]
fn contents_that_do_not_add_up_are_refused() {
    let whole = ToDetector::Examine(vec![Job {
        header: header(1, 1),
        contents: vec![captured(b"12345")],
    }]);
    let (body, _) = whole.encode().unwrap();
    let decode = |body: &[u8], files: usize| {
        ToDetector::decode(Frame {
            body: Zeroizing::new(body.to_vec()),
            descriptors: (0..files)
                .map(|_| tempfile::tempfile().unwrap().into())
                .collect(),
        })
    };
    assert!(decode(&body, 0).is_ok());
    assert!(decode(&body, 1).is_err());
    assert!(decode(&body[..body.len() - 1], 0).is_err());
    assert!(decode(&[&body[..], b"6"].concat(), 0).is_err());
    assert!(decode(b"\xff\xff\xff\xff", 0).is_err());
    assert!(decode(b"", 0).is_err());
}

#[test]
fn an_answer_must_fit_its_job() {
    let job = header(7, 1);
    assert!(examined(7).fits(&job));
    assert!(!examined(8).fits(&job));
    for wrong in [
        Examined {
            names: Vec::new(),
            ..examined(7)
        },
        Examined {
            read: vec![1, 2],
            ..examined(7)
        },
        Examined {
            lines: Vec::new(),
            ..examined(7)
        },
        // Nothing was appended: what is left out at the beginning was not read.
        Examined {
            began: vec![1],
            ..examined(7)
        },
        Examined {
            marks: Vec::new(),
            ..examined(7)
        },
    ] {
        assert!(!wrong.fits(&job));
    }
}

#[test]
fn a_hostile_detector_is_bounded() {
    let ready = |rules: String, ids: usize| {
        serde_json::to_vec(&FromDetector::Ready {
            rules,
            rule_ids: vec!["r".to_owned(); ids],
            faults: Vec::new(),
            missing_walls: Vec::new(),
        })
        .unwrap()
    };
    assert!(heard(&ready("1".to_owned(), RULES)).is_ok());
    let over = heard(&ready("1".to_owned(), RULES + 1));
    assert!(matches!(over, Err(TalkError::OverBounds { .. })));
    let over = heard(&ready("1".repeat(limits::SLUG + 1), 0));
    assert!(matches!(over, Err(TalkError::OverBounds { .. })));
    let many = Examined {
        read: vec![0; 5000],
        ..examined(1)
    };
    let over = heard(&serde_json::to_vec(&FromDetector::Read(many)).unwrap());
    assert!(matches!(over, Err(TalkError::OverBounds { .. })));
}

#[test]
fn an_error_quotes_nothing_of_what_was_sent() {
    let error = heard(b"{\"Ready\":\"quoted\"}").unwrap_err();
    let whole = format!("{error} {error:?}");
    assert!(!whole.contains("quoted"), "{whole}");
}

#[test]
fn the_markers_group_and_mounts_arrive() {
    let (mut marker, mut watcher) = Link::<FromMarker, Nothing>::pair().unwrap();
    let file = || OwnedFd::from(tempfile::tempfile().unwrap());
    let said = [
        FromMarker::Group {
            group: file(),
            missing_walls: vec!["marker.seccomp".to_owned()],
        },
        FromMarker::Marked {
            at: b"/".to_vec(),
            fsid: [1, -2],
        },
        FromMarker::NotMarked {
            at: b"/m".to_vec(),
            fs_type: "overlay".to_owned(),
            errno: 95,
        },
        FromMarker::Unmounted { fsid: [1, -2] },
        FromMarker::Settled,
    ];
    for message in &said {
        marker.outlet.say(message, PATIENCE).unwrap();
    }
    for message in &said {
        let heard = watcher.inlet.hear(Some(PATIENCE)).unwrap().unwrap();
        let plain = |message: &FromMarker| message.encode().unwrap().0;
        assert_eq!(*plain(&heard), *plain(message));
    }
}

proptest! {
    #[test]
    fn no_bytes_break_a_reader(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let frame = || Frame {
            body: Zeroizing::new(body.clone()),
            descriptors: Vec::new(),
        };
        let _ = ToDetector::decode(frame());
        let _ = FromDetector::decode(frame());
        let _ = FromReporter::decode(frame());
        let _ = FromMarker::decode(frame());
    }
}

/// The largest order that a repository may be the cause of: the watcher holds it twice, in a slice of
/// 96 MiB.
#[test]
fn an_order_at_all_its_bounds_is_small_and_arrives_as_it_was() {
    let files = vec![vec![0xff; 64]; NAMES / 64];
    let subject = Subject::Secret(Fingerprint {
        scheme: Scheme::Hmac,
        epoch: Epoch::parse("1").unwrap(),
        bytes: [0xff; 32],
    });
    let sought = Sought {
        what: Wanted::Path {
            path: vec![0xff; PATHS / WANTED],
            secrets: 1,
        },
        subjects: vec![subject],
    };
    let order = ToDetector::Trace(Order {
        id: JobId(1),
        top: vec![0xff; 4096],
        files: files.clone(),
        whole: true,
        wanted: vec![sought; WANTED],
    });
    let (body, _) = order.encode().unwrap();
    assert!(body.len() < 3 << 20, "{}", body.len());
    let frame = Frame {
        body,
        descriptors: Vec::new(),
    };
    let Ok(ToDetector::Trace(order)) = ToDetector::decode(frame) else {
        panic!("no order");
    };
    assert!(order.files == files && order.wanted.len() == WANTED);
}
