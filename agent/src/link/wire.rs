//! How each message is written into a frame and read from one.
//!
//! JSON, but for what the detector is asked: four bytes give the length of its JSON, and the captures
//! follow that as they are. Nothing that is read here is believed: a message that is over a bound, or
//! whose parts do not add up, is an error that quotes nothing of it.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use akwatch_proto::agent::FleetKey;
use akwatch_proto::limits;
use akwatch_sys::link::{Frame, LinkError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    EXPLANATION, Encoded, FromDetector, FromMarker, FromReporter, JOBS, Message, Nothing, RULES,
    TalkError, ToDetector, ToReporter,
};
use crate::job::{Captured, Content, Examined, Job, JobHeader, JobId};
use crate::open::companions;
use crate::trace::{Order, WANTED};

/// Walls that a worker may say are missing.
const WALLS: usize = 64;

impl Message for Nothing {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        match *self {}
    }

    fn decode(_frame: Frame) -> Result<Nothing, TalkError> {
        Err(TalkError::NotOne {
            what: "message at all",
        })
    }
}

/// Writes JSON into a buffer that is wiped.
pub(crate) fn to_json(
    what: &'static str,
    value: &impl Serialize,
) -> Result<Zeroizing<Vec<u8>>, TalkError> {
    let mut body = Zeroizing::new(Vec::with_capacity(1024));
    serde_json::to_writer(&mut *body, value).map_err(|_| TalkError::NotOne { what })?;
    Ok(body)
}

/// Reads JSON. The parser's own message may quote what was read, so it is dropped.
pub(crate) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    body: &[u8],
) -> Result<T, TalkError> {
    serde_json::from_slice(body).map_err(|_| TalkError::NotOne { what })
}

fn bounded(what: &'static str, holds: bool) -> Result<(), TalkError> {
    if holds {
        Ok(())
    } else {
        Err(TalkError::OverBounds { what })
    }
}

/// A frame without descriptors, as JSON.
pub(crate) fn plain<T: DeserializeOwned>(
    what: &'static str,
    frame: &Frame,
) -> Result<T, TalkError> {
    bounded(what, frame.descriptors.is_empty())?;
    from_json(what, &frame.body)
}

/// [`ToDetector`] as its JSON says it; captures follow the JSON.
#[derive(Serialize, Deserialize)]
enum DetectorWire<'a> {
    Start {
        key: FleetKey,
        packs: Vec<(String, String)>,
    },
    Examine(Vec<JobWire>),
    Trace(Cow<'a, Order>),
    /// The size of the one descriptor, if there is one.
    Give {
        id: JobId,
        size: Option<u64>,
    },
}

#[derive(Serialize, Deserialize)]
struct JobWire {
    header: JobHeader,
    /// For each part the bytes of its capture, or `None` when it is the next descriptor.
    captures: Vec<Option<usize>>,
}

const TO_DETECTOR: &str = "request to the detector";

impl Message for ToDetector {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        let mut descriptors = Vec::new();
        let mut captures: Vec<&[u8]> = Vec::new();
        let wire = match self {
            ToDetector::Start { key, packs } => DetectorWire::Start {
                key: key.clone(),
                packs: packs.clone(),
            },
            ToDetector::Examine(jobs) => DetectorWire::Examine(
                jobs.iter()
                    .map(|job| job_wire(job, &mut captures, &mut descriptors))
                    .collect(),
            ),
            ToDetector::Trace(order) => DetectorWire::Trace(Cow::Borrowed(order)),
            ToDetector::Give { id, file } => {
                descriptors.extend(file.as_ref().map(|(file, _)| file.as_fd()));
                DetectorWire::Give {
                    id: *id,
                    size: file.as_ref().map(|(_, size)| *size),
                }
            }
        };
        let json = to_json(TO_DETECTOR, &wire)?;
        let length = u32::try_from(json.len()).map_err(|_| LinkError::TooLarge {
            length: json.len(),
            descriptors: descriptors.len(),
        })?;
        // Sized once: a growing buffer would leave copies behind.
        let whole = 4 + json.len() + captures.iter().map(|capture| capture.len()).sum::<usize>();
        let mut body = Zeroizing::new(Vec::with_capacity(whole));
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&json);
        for capture in captures {
            body.extend_from_slice(capture);
        }
        Ok((body, descriptors))
    }

    fn decode(frame: Frame) -> Result<ToDetector, TalkError> {
        let malformed = || TalkError::NotOne { what: TO_DETECTOR };
        let (length, rest) = frame.body.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| malformed())?;
        let (json, mut captures) = rest.split_at_checked(length).ok_or_else(malformed)?;
        let mut descriptors = frame.descriptors.into_iter();
        let message = match from_json::<DetectorWire<'static>>(TO_DETECTOR, json)? {
            DetectorWire::Start { key, packs } => ToDetector::Start { key, packs },
            DetectorWire::Examine(jobs) => {
                bounded(TO_DETECTOR, jobs.len() <= JOBS)?;
                let jobs = jobs
                    .into_iter()
                    .map(|job| job_read(job, &mut captures, &mut descriptors))
                    .collect::<Option<Vec<Job>>>();
                ToDetector::Examine(jobs.ok_or_else(malformed)?)
            }
            DetectorWire::Trace(order) => {
                bounded(TO_DETECTOR, order.wanted.len() <= WANTED)?;
                ToDetector::Trace(order.into_owned())
            }
            DetectorWire::Give { id, size } => ToDetector::Give {
                id,
                file: match size {
                    Some(size) => Some((descriptors.next().ok_or_else(malformed)?, size)),
                    None => None,
                },
            },
        };
        if captures.is_empty() && descriptors.next().is_none() {
            Ok(message)
        } else {
            Err(malformed())
        }
    }
}

fn job_wire<'a>(
    job: &'a Job,
    captures: &mut Vec<&'a [u8]>,
    descriptors: &mut Vec<BorrowedFd<'a>>,
) -> JobWire {
    let lengths = job
        .contents
        .iter()
        .map(|content| match content {
            Content::File(file) => {
                descriptors.push(file.as_fd());
                None
            }
            Content::Captured(Captured(bytes)) => {
                captures.push(bytes);
                Some(bytes.len())
            }
        })
        .collect();
    JobWire {
        header: job.header.clone(),
        captures: lengths,
    }
}

/// One job with its contents; `None` when they do not add up.
fn job_read(
    job: JobWire,
    captures: &mut &[u8],
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> Option<Job> {
    let mut contents = Vec::with_capacity(job.captures.len().min(JOBS));
    for capture in &job.captures {
        contents.push(match *capture {
            None => Content::File(descriptors.next()?),
            Some(length) => {
                let (bytes, rest) = captures.split_at_checked(length)?;
                *captures = rest;
                Content::Captured(Captured(Zeroizing::new(bytes.to_vec())))
            }
        });
    }
    let parts = job.header.parts.len() + job.header.companions.len();
    let names = job.header.names.len();
    let named = job.header.parts.iter().all(|part| part.name < names);
    let few = job.header.companions.len() <= companions::MOST;
    (parts == contents.len() && named && few).then_some(Job {
        header: job.header,
        contents,
    })
}

const FROM_DETECTOR: &str = "answer of the detector";

impl Message for FromDetector {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        Ok((to_json(FROM_DETECTOR, self)?, Vec::new()))
    }

    fn decode(frame: Frame) -> Result<FromDetector, TalkError> {
        let message: FromDetector = plain(FROM_DETECTOR, &frame)?;
        let holds = match &message {
            FromDetector::Ready {
                rules,
                rule_ids,
                faults,
                missing_walls,
            } => {
                rules.len() <= limits::SLUG
                    && rule_ids.len() <= RULES
                    && rule_ids.iter().all(|id| id.len() <= limits::SLUG)
                    && faults.len() <= RULES
                    && faults
                        .iter()
                        .all(|(rule, why)| rule.len() <= EXPLANATION && why.len() <= EXPLANATION)
                    && walls_hold(missing_walls)
            }
            FromDetector::Read(examined) => examined.is_bounded(),
            FromDetector::Ask { .. } => true,
            FromDetector::Told(told) => told.is_bounded(),
        };
        bounded(FROM_DETECTOR, holds)?;
        Ok(message)
    }
}

fn walls_hold(walls: &[String]) -> bool {
    walls.len() <= WALLS && walls.iter().all(|wall| wall.len() <= limits::SLUG)
}

impl Message for ToReporter {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        Ok((to_json("request to the reporter", self)?, Vec::new()))
    }

    fn decode(frame: Frame) -> Result<ToReporter, TalkError> {
        plain("request to the reporter", &frame)
    }
}

const FROM_REPORTER: &str = "answer of the reporter";

impl Message for FromReporter {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        Ok((to_json(FROM_REPORTER, self)?, Vec::new()))
    }

    fn decode(frame: Frame) -> Result<FromReporter, TalkError> {
        let message: FromReporter = plain(FROM_REPORTER, &frame)?;
        let holds = match &message {
            FromReporter::Started { missing_walls } => walls_hold(missing_walls),
            FromReporter::Outage(outage) => {
                outage.call.len() <= limits::SLUG && outage.why.len() <= EXPLANATION
            }
            FromReporter::Answered(_)
            | FromReporter::Certified { .. }
            | FromReporter::Carried { .. }
            | FromReporter::Renewed { .. } => true,
        };
        bounded(FROM_REPORTER, holds)?;
        Ok(message)
    }
}

/// [`FromMarker`] without its descriptors.
#[derive(Serialize, Deserialize)]
enum MarkerWire {
    Group {
        missing_walls: Vec<String>,
    },
    Marked {
        at: Vec<u8>,
        fsid: [i32; 2],
    },
    NotMarked {
        at: Vec<u8>,
        fs_type: String,
        errno: i32,
    },
    Unmounted {
        fsid: [i32; 2],
    },
    Settled,
    Gate {
        pid: i32,
    },
    Refused {
        why: String,
        missing_walls: Vec<String>,
    },
}

const FROM_MARKER: &str = "message of the marker";
/// Linux's `PATH_MAX`.
const PATH: usize = 4096;

impl Message for FromMarker {
    fn encode(&self) -> Result<Encoded<'_>, TalkError> {
        let mut descriptors = Vec::new();
        let wire = match self {
            FromMarker::Group {
                group,
                missing_walls,
            } => {
                descriptors.push(group.as_fd());
                MarkerWire::Group {
                    missing_walls: missing_walls.clone(),
                }
            }
            FromMarker::Marked { at, fsid } => MarkerWire::Marked {
                at: at.clone(),
                fsid: *fsid,
            },
            FromMarker::NotMarked { at, fs_type, errno } => MarkerWire::NotMarked {
                at: at.clone(),
                fs_type: fs_type.clone(),
                errno: *errno,
            },
            FromMarker::Unmounted { fsid } => MarkerWire::Unmounted { fsid: *fsid },
            FromMarker::Settled => MarkerWire::Settled,
            FromMarker::Gate { link, pid } => {
                descriptors.push(link.as_fd());
                MarkerWire::Gate { pid: *pid }
            }
            FromMarker::Refused { why, missing_walls } => MarkerWire::Refused {
                why: why.clone(),
                missing_walls: missing_walls.clone(),
            },
        };
        Ok((to_json(FROM_MARKER, &wire)?, descriptors))
    }

    fn decode(frame: Frame) -> Result<FromMarker, TalkError> {
        let malformed = || TalkError::NotOne { what: FROM_MARKER };
        let wire: MarkerWire = from_json(FROM_MARKER, &frame.body)?;
        let mut descriptors = frame.descriptors.into_iter();
        let message = match wire {
            MarkerWire::Group { missing_walls } => {
                bounded(FROM_MARKER, walls_hold(&missing_walls))?;
                FromMarker::Group {
                    group: descriptors.next().ok_or_else(malformed)?,
                    missing_walls,
                }
            }
            MarkerWire::Marked { at, fsid } => {
                bounded(FROM_MARKER, at.len() <= PATH)?;
                FromMarker::Marked { at, fsid }
            }
            MarkerWire::NotMarked { at, fs_type, errno } => {
                bounded(
                    FROM_MARKER,
                    at.len() <= PATH && fs_type.len() <= limits::SLUG,
                )?;
                FromMarker::NotMarked { at, fs_type, errno }
            }
            MarkerWire::Unmounted { fsid } => FromMarker::Unmounted { fsid },
            MarkerWire::Settled => FromMarker::Settled,
            MarkerWire::Gate { pid } => {
                bounded(FROM_MARKER, pid > 0)?;
                let link = descriptors.next().ok_or_else(malformed)?;
                FromMarker::Gate { link, pid }
            }
            MarkerWire::Refused { why, missing_walls } => {
                bounded(
                    FROM_MARKER,
                    why.len() <= EXPLANATION && walls_hold(&missing_walls),
                )?;
                FromMarker::Refused { why, missing_walls }
            }
        };
        if descriptors.next().is_none() {
            Ok(message)
        } else {
            Err(malformed())
        }
    }
}

impl Examined {
    /// Whether its counts and lengths are within the bounds that hold for any job.
    fn is_bounded(&self) -> bool {
        // Parts and names of one job are files and the names around them.
        const NAMES: usize = 4096;
        self.found.len() <= limits::FINDINGS_PER_PLACE
            && self.names.len() <= NAMES
            && self.read.len() <= NAMES
            && self.lines.len() <= NAMES
            && self.began.len() <= NAMES
            && self.marks.len() <= NAMES
            && self.sums.len() <= NAMES
            && self.found.iter().all(|found| {
                found.inside.len() <= limits::INSIDE_DEPTH
                    && found.proof.len() <= limits::PROOFS_PER_FINDING
            })
    }

    /// Whether it answers `header`: the parts and names that it speaks of are the job's. An answer
    /// that does not fit is hostile: the watcher ends the detector and sets the place aside.
    #[must_use]
    pub fn fits(&self, header: &JobHeader) -> bool {
        let parts = header.parts.len();
        self.id == header.id
            && self.names.len() == header.names.len()
            && self.read.len() == parts
            && self.lines.len() == parts
            && self.marks.len() == parts
            && self.sums.len() == parts
            && self.began.len() == parts
            && self.began.iter().zip(&header.parts).all(|(began, part)| {
                let most = part.appended.map_or(0, |appended| appended.from);
                *began <= most
            })
            && self.found.iter().all(|found| found.part < parts)
    }
}
