//! People on this host ask the running watcher: a unix socket in the runtime directory.
//!
//! One JSON line asks, one JSON line answers. Only root and the watcher's own user are answered
//! (`SO_PEERCRED`), whatever the socket's mode. Answers hold redacted findings and counts; there is no
//! question whose answer could hold a secret. One changes something: it retires this host.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use akwatch_proto::agent::{CostReceipt, HostId};
use akwatch_proto::coverage::Coverage;
use akwatch_proto::finding::Finding;
use akwatch_proto::time::Time;
use crossbeam_channel::{Sender, bounded};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Deserialize, Serialize};

use crate::sense::measured::Sensing;
use crate::sense::{Stop, Woken};

/// The socket's name in the runtime directory.
pub const SOCKET: &str = "control.sock";

/// Bytes of a question. Stops: a line without end.
const QUESTION: u64 = 4096;

/// Bytes of an answer that the asking side reads.
const ANSWER: u64 = 256 * 1024 * 1024;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// How the agent stands.
    Status,
    /// Every finding that the ledger holds.
    Findings,
    /// Retire this host: its collector closes it and hears it no more.
    Retire,
}

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Status(Box<Status>),
    Findings(Vec<Finding>),
    Retired(HostId),
    Refused(String),
}

/// A question on its way to the loop.
#[derive(Debug)]
pub enum Request {
    /// [`Question::Status`].
    Status(Sender<Status>),
    /// [`Question::Findings`].
    Findings(Sender<Result<Vec<Finding>, String>>),
    /// [`Question::Retire`].
    Retire(Sender<Result<HostId, String>>),
}

/// How the agent stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// This host's name at its collector.
    pub host: HostId,
    /// The roles, and whether each is there.
    pub roles: Vec<RoleState>,
    /// What is watched and how well.
    pub coverage: Coverage,
    /// Findings that are present.
    pub present: u64,
    /// Findings that are gone.
    pub gone: u64,
    /// Findings of which nobody can say.
    pub unknown: u64,
    /// Findings that the collector has yet to hear of.
    pub unsent: u64,
    /// What was wrong with the ledger that was set aside at the start.
    pub record_lost: Option<String>,
    /// How delivery stands.
    pub delivery: Delivery,
    /// How the walks stand.
    pub scan: Progress,
    /// Rules that were set aside, with the reason.
    pub rules_set_aside: Vec<(String, String)>,
    /// What the agent costs.
    pub cost: Cost,
    /// How fast the process sensors are.
    #[serde(default)]
    pub sensing: Sensing,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleState {
    /// Its name.
    pub role: String,
    /// Whether it is linked and ready.
    pub up: bool,
}

/// How delivery stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whether a reporter is there.
    pub linked: bool,
    /// When the collector last answered.
    pub answered: Option<Time>,
    /// Why nothing arrives, if nothing does.
    pub outage: Option<String>,
    /// The highest serial of a directive that was opened.
    pub directive_serial: u64,
}

/// How the walks stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `first-scan` or `rescan`, while one is under way.
    pub running: Option<String>,
    /// Whether this host has been read as a whole once.
    pub first_done: bool,
    /// Files that the walk under way, or the last one, came to.
    pub files: u64,
    /// Places that wait to be opened.
    pub waiting: u64,
    /// Places that the detector has.
    pub in_flight: u64,
    /// Places set aside by name.
    pub set_aside: u64,
}

/// What the agent costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU milliseconds of all roles.
    pub cpu_ms: u64,
    /// Bytes read from places.
    pub bytes_read: u64,
    /// Peak resident memory of all roles, KiB.
    pub peak_rss_kib: u64,
    /// Bytes of bodies, compressed as they travel, to collectors and back.
    #[serde(default)]
    pub network_bytes: u64,
    /// Seconds that this covers.
    pub seconds: u64,
}

impl From<CostReceipt> for Cost {
    fn from(cost: CostReceipt) -> Cost {
        Cost {
            cpu_ms: cost.cpu_ms,
            bytes_read: cost.bytes_read,
            peak_rss_kib: cost.peak_rss_kib,
            network_bytes: cost.network_bytes,
            seconds: cost.seconds,
        }
    }
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no agent answers at {socket}; is it running, and may this user reach the directory?", socket = .socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The socket could not be made.
    #[error("the control socket {socket} could not be made", socket = .socket.display())]
    Bind {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the agent did not answer whole")]
    Broken(#[source] std::io::Error),
    /// The agent's answer is none that this program knows.
    #[error("the agent's answer was not understood; are both of one version?")]
    Malformed(#[source] serde_json::Error),
    /// The agent refuses.
    #[error("the agent refuses: {0}")]
    Refused(String),
}

/// The watcher's end.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens in `runtime`, replacing the socket of an agent that is gone.
    ///
    /// # Errors
    /// When the socket cannot be made, or another agent listens at it.
    pub fn bind(runtime: &Path) -> Result<Listener, ControlError> {
        let path = runtime.join(SOCKET);
        let failed = |source| ControlError::Bind {
            socket: path.clone(),
            source,
        };
        if UnixStream::connect(&path).is_ok() {
            return Err(failed(std::io::ErrorKind::AddrInUse.into()));
        }
        if let Err(why) = std::fs::remove_file(&path)
            && why.kind() != std::io::ErrorKind::NotFound
        {
            return Err(failed(why));
        }
        let socket = UnixListener::bind(&path).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Listener { socket, path })
    }

    /// Answers one connection after the other, until told to stop or until `ask` says that nobody
    /// answers any more.
    pub fn serve(self, stop: &Stop, mut ask: impl FnMut(Request) -> bool) {
        while stop.wait(Some(self.socket.as_fd()), None) != Woken::Stop {
            let Ok((connection, _)) = self.socket.accept() else {
                continue;
            };
            if may_ask(&connection) && !answer(&connection, &mut ask) {
                return;
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Root and this process's own user may ask.
fn may_ask(connection: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    getsockopt(connection, PeerCredentials).is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// Answers one question; false when nobody answers any more.
fn answer(connection: &UnixStream, ask: &mut impl FnMut(Request) -> bool) -> bool {
    let _ = connection.set_nonblocking(false);
    let _ = connection.set_read_timeout(Some(PATIENCE));
    let _ = connection.set_write_timeout(Some(PATIENCE));
    let mut line = String::new();
    let mut reader = BufReader::new(connection.take(QUESTION));
    if reader.read_line(&mut line).is_err() {
        return true;
    }
    let mut alive = true;
    let mut ask = |request| {
        alive = ask(request);
        alive
    };
    let reply = match serde_json::from_str(&line) {
        Ok(Question::Status) => asked(&mut ask, Request::Status)
            .map_or_else(Reply::Refused, |status| Reply::Status(Box::new(status))),
        Ok(Question::Findings) => asked(&mut ask, Request::Findings)
            .and_then(|findings| findings)
            .map_or_else(Reply::Refused, Reply::Findings),
        Ok(Question::Retire) => asked(&mut ask, Request::Retire)
            .and_then(|retired| retired)
            .map_or_else(Reply::Refused, Reply::Retired),
        Err(_) => Reply::Refused("the question was not understood".to_owned()),
    };
    let mut text = serde_json::to_vec(&reply).unwrap_or_default();
    text.push(b'\n');
    // One that asks and does not listen harms nobody.
    let _ = (&*connection).write_all(&text);
    alive
}

fn asked<T>(
    ask: &mut impl FnMut(Request) -> bool,
    request: impl FnOnce(Sender<T>) -> Request,
) -> Result<T, String> {
    let (reply, replied) = bounded(1);
    let busy = || "the agent is stopping or busy; try again".to_owned();
    if !ask(request(reply)) {
        return Err(busy());
    }
    replied.recv_timeout(PATIENCE).map_err(|_| busy())
}

/// Asks the agent of `runtime` how it stands.
///
/// # Errors
/// When it does not answer.
pub fn status(runtime: &Path) -> Result<Status, ControlError> {
    match ask(runtime, Question::Status)? {
        Reply::Status(status) => Ok(*status),
        Reply::Refused(why) => Err(ControlError::Refused(why)),
        Reply::Findings(_) | Reply::Retired(_) => Err(another()),
    }
}

/// Asks the agent of `runtime` for its findings.
///
/// # Errors
/// When it does not answer.
pub fn findings(runtime: &Path) -> Result<Vec<Finding>, ControlError> {
    match ask(runtime, Question::Findings)? {
        Reply::Findings(findings) => Ok(findings),
        Reply::Refused(why) => Err(ControlError::Refused(why)),
        Reply::Status(_) | Reply::Retired(_) => Err(another()),
    }
}

/// Has the agent of `runtime` retire its host; gives the host that the collector has closed.
///
/// # Errors
/// When it does not answer, or its collector has not confirmed it.
pub fn retire(runtime: &Path) -> Result<HostId, ControlError> {
    match ask(runtime, Question::Retire)? {
        Reply::Retired(host) => Ok(host),
        Reply::Refused(why) => Err(ControlError::Refused(why)),
        Reply::Status(_) | Reply::Findings(_) => Err(another()),
    }
}

fn another() -> ControlError {
    ControlError::Refused("it answered another question".to_owned())
}

fn ask(runtime: &Path, question: Question) -> Result<Reply, ControlError> {
    let socket = runtime.join(SOCKET);
    let connection = UnixStream::connect(&socket)
        .map_err(|source| ControlError::NotRunning { socket, source })?;
    let asking = || -> std::io::Result<Vec<u8>> {
        connection.set_read_timeout(Some(PATIENCE * 2))?;
        let mut line = serde_json::to_vec(&question).unwrap_or_default();
        line.push(b'\n');
        (&connection).write_all(&line)?;
        let mut answer = Vec::new();
        BufReader::new((&connection).take(ANSWER)).read_until(b'\n', &mut answer)?;
        Ok(answer)
    };
    let answer = asking().map_err(ControlError::Broken)?;
    serde_json::from_slice(&answer).map_err(ControlError::Malformed)
}
