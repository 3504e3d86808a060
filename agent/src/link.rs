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

use akwatch_detect::repository::Ask;
use akwatch_proto::agent::{
    CheckIn, CheckInAnswer, FleetKey, Heartbeat, HeartbeatAnswer, Refused, Report, Reported,
};
use akwatch_proto::time::Time;
use akwatch_sys::link::{Channel, DESCRIPTORS_LIMIT, Frame, LinkError, Receiver, Sender};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::job::{Content, Examined, Job, JobId};
use crate::trace::{Order, Told};

mod wire;

pub(crate) use wire::{from_json, plain, to_json};

/// Jobs in one message to the detector. Stops nothing hostile: it bounds what a restart repeats.
pub const JOBS: usize = 32;

/// Rules, and faults of rules, in the detector's first answer. Stops: a list that fills the watcher.
pub const RULES: usize = 20_000;

/// Bytes of one explanation from a worker. Stops: a log line of megabytes.
pub const EXPLANATION: usize = 4096;

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
    /// What does a repository say of findings in it? One at a time; jobs go before it.
    Trace(Order),
    /// What was asked for to answer that: an open file and its size, if it is there.
    Give {
        /// Which order it is for.
        id: JobId,
        /// The file.
        file: Option<(OwnedFd, u64)>,
    },
}

impl ToDetector {
    /// Jobs as messages, each with as many files as one may have.
    #[must_use]
    pub fn examine(jobs: Vec<Job>) -> Vec<ToDetector> {
        let mut messages: Vec<Vec<Job>> = Vec::new();
        let mut files = 0;
        for job in jobs {
            let contents = job.contents.iter();
            let own = contents.filter(|content| matches!(content, Content::File(_)));
            let own = own.count();
            match messages.last_mut() {
                Some(message) if files + own <= DESCRIPTORS_LIMIT && message.len() < JOBS => {
                    files += own;
                    message.push(job);
                }
                _ => {
                    files = own;
                    messages.push(vec![job]);
                }
            }
        }
        messages.into_iter().map(ToDetector::Examine).collect()
    }
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
    /// An order's answer takes this file of its repository: to be answered by [`ToDetector::Give`].
    Ask {
        /// Which order.
        id: JobId,
        /// Which file.
        ask: Ask,
    },
    /// An order's answer.
    Told(Told),
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
    /// The certificate that it shows ends then.
    Certified {
        /// When.
        not_after: Time,
    },
    /// The collector's answer.
    Answered(Answer),
    /// It could not be reached, or refused; the reporter goes on trying what can be tried again.
    Outage(Outage),
    /// So many bytes of bodies, as they travel, went to collectors and came back since the last such
    /// word; headers and TLS are not counted.
    Carried {
        /// Both ways.
        bytes: u64,
    },
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
    /// A filesystem is marked, or one that is marked can be opened here from now on: it was moved, or is
    /// not mounted any more where it could be opened before.
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
    /// A gate was begun, for strict mode; another one before it has ended.
    Gate {
        /// The watcher's end of its link: see [`crate::gate::words`].
        link: OwnedFd,
        /// Its process.
        pid: i32,
    },
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

    /// Whether the message is larger than a frame: nothing of it was sent, and the link is as it was.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, TalkError::Link(LinkError::TooLarge { .. }))
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

#[cfg(test)]
mod tests;
