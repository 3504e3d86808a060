//! The closed sets of messages between the watcher and the other roles, and how they travel.
//!
//! A star, not a chain: the watcher asks, detector and reporter answer, the marker tells; none of
//! them knows another. One message is one frame of [`akwatch_sys::link`]: JSON, but captures of
//! environments follow it as raw bytes, so that they are neither encoded nor copied through a
//! parser. Everything that the watcher receives is hostile until it has been bounded here; whether an
//! answer fits the job that it names is for [`Examined::fits`].

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, FleetKey, Heartbeat, HeartbeatAnswer, Refused, Report, Reported,
};
use akwatch_proto::limits;
use akwatch_proto::time::Time;
use akwatch_sys::link::{Channel, Frame, LinkError, Receiver, Sender};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::job::{Captured, Content, Examined, Job, JobHeader};

/// Jobs in one message to the detector. Stops nothing hostile: it bounds what a restart repeats.
pub const JOBS: usize = 32;

/// Rules, and faults of rules, in the detector's first answer. Stops: a list that fills the watcher.
pub const RULES: usize = 20_000;

/// Bytes of one explanation from a worker. Stops: a log line of megabytes.
pub const EXPLANATION: usize = 4096;

/// Walls that a worker may say are missing.
const WALLS: usize = 64;

/// What the watcher says to the detector.
#[derive(Debug)]
pub enum ToDetector {
    /// First message: the key for fingerprints and the rule packs beyond the built-in ones.
    Start {
        /// The fleet key of the epoch.
        key: FleetKey,
        /// Rule packs as TOML, by name.
        packs: Vec<(String, String)>,
    },
    /// Jobs, at most [`JOBS`], which are answered one by one, in order.
    Examine(Vec<Job>),
}

/// What the detector answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromDetector {
    /// It is ready, with these rules.
    Ready {
        /// Version of the compiled set.
        rules: String,
        /// Every rule id in it: a finding whose rule is gone becomes unknown.
        rule_ids: Vec<String>,
        /// Rules set aside, by name, with the reason.
        faults: Vec<(String, String)>,
        /// Walls of its sandbox that this host does not have, by slug.
        #[serde(default)]
        missing_walls: Vec<String>,
    },
    /// One job's answer.
    Read(Examined),
}

/// What the watcher says to the reporter: one request at a time of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToReporter {
    /// Send this.
    Send(Outgoing),
}

/// Messages of `proto`, untranslated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is alive at a time; boxing would only move it"
)]
pub enum Outgoing {
    /// New states of findings.
    Report(Report),
    /// Liveness and coverage.
    Heartbeat(Heartbeat),
    /// Asks for directives.
    CheckIn(CheckIn),
}

/// What the reporter answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromReporter {
    /// It runs, and these walls of its sandbox this host does not have, by slug. Always first.
    Started {
        /// By slug.
        missing_walls: Vec<String>,
    },
    /// The collector's answer.
    Answered(Answer),
    /// It could not be reached, or refused; the reporter goes on trying what can be tried again.
    Outage(Outage),
    /// The certificate was renewed.
    Renewed {
        /// When the new one ends.
        not_after: Time,
    },
}

/// An answer of the collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To a report.
    Report(Reported),
    /// To a heartbeat.
    Heartbeat(HeartbeatAnswer),
    /// To a check-in.
    CheckIn(CheckInAnswer),
}

/// Why something did not arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Which sort of request: `report`, `heartbeat`, `check-in`, `renew`.
    pub call: String,
    /// In words, with the next step: never content of a report.
    pub why: String,
    /// The collector's refusal, when it answered.
    pub refused: Option<Refused>,
    /// When it will be tried again, in milliseconds from now; `None` when the watcher must decide.
    pub retry_ms: Option<u64>,
}

/// What the marker tells the watcher; it is never asked.
#[derive(Debug)]
pub enum FromMarker {
    /// The group that receives the events, with what walls the marker lacks. Always first.
    Group {
        /// The fanotify group's descriptor.
        group: OwnedFd,
        /// By slug.
        missing_walls: Vec<String>,
    },
    /// A filesystem is marked.
    Marked {
        /// A directory of it that can be opened to resolve the handles of its events. The watcher
        /// opens it when it must and closes it again: an open directory would keep an operator from
        /// unmounting the filesystem. A mark does not.
        at: Vec<u8>,
        /// Its filesystem id as events say it.
        fsid: [i32; 2],
    },
    /// A filesystem could not be marked: it has to be watched in another way.
    NotMarked {
        /// Where it is mounted, raw.
        at: Vec<u8>,
        /// Its type.
        fs_type: String,
        /// Error number of the refused mark: `EXDEV` on a btrfs subvolume, `EOPNOTSUPP` on an
        /// overlay, `EPERM` without the capability.
        errno: i32,
    },
    /// A marked filesystem was unmounted; its mark is gone with it.
    Unmounted {
        /// Its filesystem id.
        fsid: [i32; 2],
    },
    /// Every filesystem that was mounted when the marker started has been told.
    Settled,
    /// This host gives no marks at all.
    Refused {
        /// The call that was refused and why, in words.
        why: String,
        /// By slug.
        missing_walls: Vec<String>,
    },
}

/// One end of a link that says `S` and hears `R`.
#[derive(Debug)]
pub struct Link<S, R> {
    /// What it says.
    pub outlet: Outlet<S>,
    /// What it hears.
    pub inlet: Inlet<R>,
}

/// The watcher's end of the detector's link.
pub type DetectorLink = Link<ToDetector, FromDetector>;
/// The watcher's end of the reporter's link.
pub type ReporterLink = Link<ToReporter, FromReporter>;
/// The watcher's end of the marker's link.
pub type MarkerLink = Link<Nothing, FromMarker>;

/// What is said on a link that goes one way.
#[derive(Debug)]
pub enum Nothing {}

/// The saying half.
#[derive(Debug)]
pub struct Outlet<S> {
    sender: Sender,
    says: PhantomData<fn(S)>,
}

/// The hearing half; becomes readable (`poll`) when there is something to hear.
#[derive(Debug)]
pub struct Inlet<R> {
    receiver: Receiver,
    hears: PhantomData<fn() -> R>,
}

/// Why a link is of no use any more: the caller drops it and waits for the next one.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The link itself.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A frame that is no message, or one that is over its bounds. Says nothing of its content.
    #[error("the other end sent something that is no {what}")]
    NotOne {
        /// What it should have been.
        what: &'static str,
    },
    /// A message that is over a bound.
    #[error("the other end sent a {what} over its bounds")]
    OverBounds {
        /// What it was.
        what: &'static str,
    },
}

impl TalkError {
    /// Whether the other end simply ended: a worker that is started again, not a fault.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, TalkError::Link(LinkError::Closed | LinkError::Cut))
    }
}

impl<S: Message, R: Message> Link<S, R> {
    /// Talks over a channel.
    #[must_use]
    pub fn over(channel: Channel) -> Link<S, R> {
        let (sender, receiver) = channel.split();
        Link {
            outlet: Outlet {
                sender,
                says: PhantomData,
            },
            inlet: Inlet {
                receiver,
                hears: PhantomData,
            },
        }
    }

    /// Two ends that talk to each other, for tests and for roles in one process.
    ///
    /// # Errors
    /// When the kernel gives no sockets.
    #[expect(clippy::type_complexity, reason = "each end says what the other hears")]
    pub fn pair() -> Result<(Link<S, R>, Link<R, S>), LinkError> {
        let (one, other) = Channel::pair()?;
        Ok((Link::over(one), Link::over(other)))
    }

    /// Each direction by itself, for a thread that hears while another says.
    #[must_use]
    pub fn split(self) -> (Outlet<S>, Inlet<R>) {
        (self.outlet, self.inlet)
    }
}

impl<S: Message> Outlet<S> {
    /// Says one message, waiting at most `patience` for the other end to take it.
    ///
    /// # Errors
    /// When the link is of no use any more, or the message is larger than a frame.
    pub fn say(&mut self, message: &S, patience: Duration) -> Result<(), TalkError> {
        let (body, descriptors) = message.encode()?;
        Ok(self.sender.send(&body, &descriptors, patience)?)
    }

    /// Ends the link for both ends. A detector whose link ends is ended with it, also amid a job.
    pub fn close(&self) {
        self.sender.close();
    }
}

impl<R: Message> Inlet<R> {
    /// Hears one message; `None` when none came whole within `wait`. Without `wait` it waits for as
    /// long as the link lives.
    ///
    /// # Errors
    /// When the link is of no use any more.
    pub fn hear(&mut self, wait: Option<Duration>) -> Result<Option<R>, TalkError> {
        self.receiver.recv(wait)?.map(R::decode).transpose()
    }
}

impl<R> AsFd for Inlet<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// The bytes of a message and the descriptors beside them.
type Encoded<'a> = (Zeroizing<Vec<u8>>, Vec<BorrowedFd<'a>>);

/// Something that travels on a link.
pub trait Message: Sized {
    /// How it is written.
    ///
    /// # Errors
    /// When it cannot be: not with the messages of this file.
    fn encode(&self) -> Result<Encoded<'_>, TalkError>;

    /// Reads what a hostile end may have sent.
    ///
    /// # Errors
    /// When it is no such message or over its bounds.
    fn decode(frame: Frame) -> Result<Self, TalkError>;
}

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
enum DetectorWire {
    Start {
        key: FleetKey,
        packs: Vec<(String, String)>,
    },
    Examine(Vec<JobWire>),
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
        let message = match from_json(TO_DETECTOR, json)? {
            DetectorWire::Start { key, packs } => ToDetector::Start { key, packs },
            DetectorWire::Examine(jobs) => {
                bounded(TO_DETECTOR, jobs.len() <= JOBS)?;
                let jobs = jobs
                    .into_iter()
                    .map(|job| job_read(job, &mut captures, &mut descriptors))
                    .collect::<Option<Vec<Job>>>();
                ToDetector::Examine(jobs.ok_or_else(malformed)?)
            }
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
    let parts = job.header.parts.len();
    let names = job.header.names.len();
    let named = job.header.parts.iter().all(|part| part.name < names);
    (parts == contents.len() && named).then_some(Job {
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
            FromReporter::Answered(_) | FromReporter::Renewed { .. } => true,
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
            && self.found.iter().all(|found| found.part < parts)
    }
}

#[cfg(test)]
mod tests;
