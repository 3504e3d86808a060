//! People on this host ask the running watcher: a unix socket in the runtime directory.
//!
//! One JSON line asks, one JSON line answers. Root, the watcher's own user and the members of its group
//! are answered, by what the kernel noted of them when they connected (`SO_PEERCRED`, `SO_PEERGROUPS`),
//! whatever somebody makes of the socket's mode: whoever may see how the agent stands is put into that
//! group, and needs no root. Answers hold redacted findings and counts; there is no question whose answer
//! could hold a secret. What changes something, such as a pause or retiring this host, is for root alone.
//! One thread answers one after the other, each within a time of its own ([`turn`]).

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use akwatch_ledger::reading::FileState;
use akwatch_proto::agent::{CostReceipt, HostId};
use akwatch_proto::coverage::Coverage;
use akwatch_proto::finding::Finding;
use akwatch_proto::time::Time;
use crossbeam_channel::{Sender, bounded};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, getsockopt, setsockopt};
use nix::sys::time::TimeVal;
use nix::unistd::{Gid, Group, Uid};
use serde::{Deserialize, Serialize};

use crate::sense::measured::Sensing;
use crate::sense::strict::Standing;
use crate::sense::{Stop, Woken};

mod turn;

use turn::Turn;

/// The socket's name in the runtime directory.
pub const SOCKET: &str = "control.sock";

/// Bytes of a question. Stops: a line without end.
const QUESTION: usize = 16 * 1024;

/// Bytes of an answer that the asking side reads.
const ANSWER: u64 = 256 * 1024 * 1024;

/// How long the loop may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds that a watcher waits for the end of the one before it.
const HANDOVER: u16 = 3_000;
/// Seconds that who asks waits for its turn to connect, while so many wait that the kernel takes no more.
const CONNECTING: i64 = 5;

/// How long who may not ask is listened to: others wait meanwhile.
const REFUSAL: Duration = Duration::from_millis(200);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// How the agent stands.
    Status,
    /// Every finding that the ledger holds.
    Findings,
    /// Retire this host: its collector closes it and hears it no more.
    Retire,
    /// What the agent knows of a file.
    File(AskedFile),
    /// Read nothing for so many seconds.
    Pause(u32),
    /// End the pause that was asked for here.
    Resume,
}

impl Question {
    /// Whether what is asked changes something.
    fn changes(&self) -> bool {
        match self {
            Question::Status | Question::Findings | Question::File(_) => false,
            Question::Retire | Question::Pause(_) | Question::Resume => true,
        }
    }
}

/// A file that is asked about. Who asks has looked at it: the loop touches no path for a question, since
/// it might hang.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedFile {
    /// Its path's bytes, absolute, in base64.
    pub path: String,
    /// Its state, where it has one.
    pub state: Option<FileState>,
}

/// What the agent knows of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileStanding {
    /// Whether it was read in the state that was asked about, with the rules in force; none where no
    /// state was given.
    pub read: Option<bool>,
    /// Whether it waits to be read.
    pub waiting: bool,
    /// Why it could not be read, by slug.
    pub not_read: Option<String>,
    /// Why it is set aside, by slug, and for how many seconds more.
    pub set_aside: Option<(String, u64)>,
    /// What it holds, or held.
    pub findings: Vec<Finding>,
}

/// What became of the pause of this host's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Whether there was one.
    pub was_paused: bool,
    /// Until when nothing is read all the same, because the collector asked for that.
    pub still_until: Option<Time>,
}

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Status(Box<Status>),
    Findings(Vec<Finding>),
    Retired(HostId),
    File(Box<FileStanding>),
    Paused(Time),
    Resumed(Resumed),
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
    /// [`Question::File`].
    File(
        PathBuf,
        Option<FileState>,
        Sender<Result<FileStanding, String>>,
    ),
    /// [`Question::Pause`]; answered with its end.
    Pause(Duration, Sender<Time>),
    /// [`Question::Resume`].
    Resume(Sender<Resumed>),
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
    /// Until when nothing is read, because somebody asked for that.
    #[serde(default)]
    pub paused_until: Option<Time>,
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
    /// How strict mode stands; none where it is not configured.
    #[serde(default)]
    pub strict: Option<Standing>,
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
    /// When the collector last acknowledged a report, in this run.
    #[serde(default)]
    pub acknowledged: Option<Time>,
    /// How far this host's clock is ahead of the collector's, the network's time included.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
    /// When this host's certificate ends.
    #[serde(default)]
    pub certificate_ends: Option<Time>,
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
    /// Whether it waits for the hours in which it may read.
    #[serde(default)]
    pub waits_for_hours: bool,
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
    #[error("no agent is running: nobody answers at {socket}; `systemctl status akwatch-agent` says why", socket = .socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody listens there, and so many wait that no other gets in.
    #[error("the agent at {socket} is there and takes no question now: others ask it all the time; try again", socket = .socket.display())]
    Busy {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// This user may not ask.
    #[error("this user may not ask the agent at {socket}: ask as root, or as a member of the group akwatch-agent", socket = .socket.display())]
    NotAllowed {
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

impl ControlError {
    /// Whether nobody listens: no agent runs that would be asked there.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        matches!(self, ControlError::NotRunning { source, .. } if is_nobody(source))
    }
}

/// The watcher's end.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Whose members may ask. Looked up once: the name service takes calls that the watcher gives up.
    members: Option<Gid>,
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
        match connect(&path) {
            Err(why) if is_nobody(&why) => {}
            // The directory was made over to this role: what was another user's is an earlier run's,
            // which had another number.
            Err(why) if why.kind() == std::io::ErrorKind::PermissionDenied => {}
            // One that was killed listens until the kernel has taken its memory away.
            Ok(connection) if ends(&connection) => {}
            _ => return Err(failed(std::io::ErrorKind::AddrInUse.into())),
        }
        if let Err(why) = std::fs::remove_file(&path)
            && why.kind() != std::io::ErrorKind::NotFound
        {
            return Err(failed(why));
        }
        let socket = UnixListener::bind(&path).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let members = members();
        let mode = if members.is_some() { 0o660 } else { 0o600 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(Listener {
            socket,
            path,
            members,
        })
    }

    /// Answers one connection after the other, until told to stop, which ends the turn of whoever is
    /// being answered, or until `ask` says that nobody answers any more.
    pub fn serve(self, stop: &Stop, mut ask: impl FnMut(Request) -> bool) {
        while stop.wait(Some(self.socket.as_fd()), None) != Woken::Stop {
            let Ok((connection, _)) = self.socket.accept() else {
                continue;
            };
            let turn = Turn::new(&connection, stop);
            let Some(asker) = asker(&connection, self.members) else {
                refuse(&turn);
                continue;
            };
            if !answer(&turn, asker, &mut ask) {
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

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// Root, or this process's own user.
    Owner,
    /// A member of its group, who may see and change nothing.
    Member,
}

/// Who is at the other end; none if they may not ask.
fn asker(connection: &UnixStream, members: Option<Gid>) -> Option<Asker> {
    let peer = getsockopt(connection, PeerCredentials).ok()?;
    if peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw() {
        return Some(Asker::Owner);
    }
    let group = members?.as_raw();
    let further = || akwatch_sys::peer::groups(connection).unwrap_or_default();
    let belongs = peer.gid() == group || further().contains(&group);
    belongs.then_some(Asker::Member)
}

/// The group whose members may ask: this process's own, where it is nobody else's. Elsewhere every
/// user of a host may share one (`users`), and the findings are not for everybody.
fn members() -> Option<Gid> {
    let (user, group) = (Uid::effective(), Gid::effective());
    let named_alike = || {
        let name = Group::from_gid(group).ok().flatten()?.name;
        (name == crate::role::Role::Watcher.user()).then_some(())
    };
    (user.as_raw() == group.as_raw() || named_alike().is_some()).then_some(group)
}

/// Says so to who may not ask, once they have asked: a connection that is closed before loses it.
fn refuse(turn: &Turn<'_>) {
    let _ = turn.line(QUESTION, REFUSAL);
    let why = "only root and members of its group may ask it".to_owned();
    tell(turn, &Reply::Refused(why));
}

fn tell(turn: &Turn<'_>, reply: &Reply) {
    let mut text = serde_json::to_vec(reply).unwrap_or_default();
    text.push(b'\n');
    turn.tell(&text);
}

/// Answers one question; false when nobody answers any more.
fn answer(turn: &Turn<'_>, asker: Asker, ask: &mut impl FnMut(Request) -> bool) -> bool {
    let Some(line) = turn.line(QUESTION, turn::PATIENCE) else {
        return true;
    };
    let mut alive = true;
    let mut ask = |request| {
        alive = ask(request);
        alive
    };
    let reply = match serde_json::from_slice::<Question>(&line) {
        Ok(question) if question.changes() && asker != Asker::Owner => {
            Reply::Refused("only root may have it do that".to_owned())
        }
        Ok(Question::Status) => asked(&mut ask, Request::Status)
            .map_or_else(Reply::Refused, |status| Reply::Status(Box::new(status))),
        Ok(Question::Findings) => asked(&mut ask, Request::Findings)
            .and_then(|findings| findings)
            .map_or_else(Reply::Refused, Reply::Findings),
        Ok(Question::Retire) => asked(&mut ask, Request::Retire)
            .and_then(|retired| retired)
            .map_or_else(Reply::Refused, Reply::Retired),
        Ok(Question::File(asked_file)) => {
            match data_encoding::BASE64.decode(asked_file.path.as_bytes()) {
                Ok(path) => {
                    let path = PathBuf::from(OsString::from_vec(path));
                    let request = |reply| Request::File(path, asked_file.state, reply);
                    asked(&mut ask, request)
                        .and_then(|standing| standing)
                        .map_or_else(Reply::Refused, |standing| Reply::File(Box::new(standing)))
                }
                Err(_) => Reply::Refused("the path was not understood".to_owned()),
            }
        }
        Ok(Question::Pause(seconds)) => {
            let length = Duration::from_secs(seconds.into());
            asked(&mut ask, |reply| Request::Pause(length, reply))
                .map_or_else(Reply::Refused, Reply::Paused)
        }
        Ok(Question::Resume) => {
            asked(&mut ask, Request::Resume).map_or_else(Reply::Refused, Reply::Resumed)
        }
        Err(_) => Reply::Refused("the question was not understood".to_owned()),
    };
    tell(turn, &reply);
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
    match ask(runtime, &Question::Status)? {
        Reply::Status(status) => Ok(*status),
        other => Err(another(other)),
    }
}

/// Asks the agent of `runtime` for its findings.
///
/// # Errors
/// When it does not answer.
pub fn findings(runtime: &Path) -> Result<Vec<Finding>, ControlError> {
    match ask(runtime, &Question::Findings)? {
        Reply::Findings(findings) => Ok(findings),
        other => Err(another(other)),
    }
}

/// Has the agent of `runtime` retire its host; gives the host that the collector has closed.
///
/// # Errors
/// When it does not answer, or its collector has not confirmed it.
pub fn retire(runtime: &Path) -> Result<HostId, ControlError> {
    match ask(runtime, &Question::Retire)? {
        Reply::Retired(host) => Ok(host),
        other => Err(another(other)),
    }
}

/// Asks the agent of `runtime` what it knows of the file at `path`, which is in `state`.
///
/// # Errors
/// When it does not answer.
pub fn file(
    runtime: &Path,
    path: &Path,
    state: Option<FileState>,
) -> Result<FileStanding, ControlError> {
    let path = data_encoding::BASE64.encode(path.as_os_str().as_bytes());
    match ask(runtime, &Question::File(AskedFile { path, state }))? {
        Reply::File(standing) => Ok(*standing),
        other => Err(another(other)),
    }
}

/// Has the agent of `runtime` read nothing for so many seconds; says until when.
///
/// # Errors
/// When it does not answer.
pub fn pause(runtime: &Path, seconds: u32) -> Result<Time, ControlError> {
    match ask(runtime, &Question::Pause(seconds))? {
        Reply::Paused(until) => Ok(until),
        other => Err(another(other)),
    }
}

/// Ends the pause that was asked for on this host.
///
/// # Errors
/// When it does not answer.
pub fn resume(runtime: &Path) -> Result<Resumed, ControlError> {
    match ask(runtime, &Question::Resume)? {
        Reply::Resumed(resumed) => Ok(resumed),
        other => Err(another(other)),
    }
}

fn another(reply: Reply) -> ControlError {
    ControlError::Refused(match reply {
        Reply::Refused(why) => why,
        _ => "it answered another question".to_owned(),
    })
}

/// The process that listens in `runtime`, by the kernel's word.
#[must_use]
pub fn watcher(runtime: &Path) -> Option<i32> {
    let connection = connect(&runtime.join(SOCKET)).ok()?;
    getsockopt(&connection, PeerCredentials)
        .ok()
        .map(|peer| peer.pid())
}

/// Connects to the socket at `path`; what takes longer than a while is refused (`EAGAIN`).
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let (family, kind) = (AddressFamily::Unix, SockType::Stream);
    let socket = nix::sys::socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    // unix_stream_connect waits so long for a place among those that wait to be accepted.
    setsockopt(&socket, SendTimeout, &TimeVal::new(CONNECTING, 0))?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Whether the process that listens at the other end ends within [`HANDOVER`]; said to be so only where
/// the kernel tells (from 5.3 on).
fn ends(connection: &UnixStream) -> bool {
    let Ok(peer) = getsockopt(connection, PeerCredentials) else {
        return false;
    };
    let pid = rustix::process::Pid::from_raw(peer.pid());
    let flags = rustix::process::PidfdFlags::empty();
    match pid.map(|pid| rustix::process::pidfd_open(pid, flags)) {
        Some(Ok(process)) => {
            let mut asked = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            poll(&mut asked, HANDOVER).is_ok_and(|ready| ready > 0)
        }
        Some(Err(rustix::io::Errno::SRCH)) => true,
        _ => false,
    }
}

/// Whether nobody listens at a socket that could not be connected to for this reason.
fn is_nobody(why: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(why.kind(), ConnectionRefused | NotFound)
}

fn ask(runtime: &Path, question: &Question) -> Result<Reply, ControlError> {
    let socket = runtime.join(SOCKET);
    let connection = connect(&socket).map_err(|source| match source.kind() {
        std::io::ErrorKind::PermissionDenied => ControlError::NotAllowed { socket, source },
        std::io::ErrorKind::WouldBlock => ControlError::Busy { socket, source },
        _ => ControlError::NotRunning { socket, source },
    })?;
    let asking = || -> std::io::Result<Vec<u8>> {
        connection.set_read_timeout(Some(PATIENCE * 2))?;
        let mut line = serde_json::to_vec(question).unwrap_or_default();
        line.push(b'\n');
        (&connection).write_all(&line)?;
        let mut answer = Vec::new();
        BufReader::new((&connection).take(ANSWER)).read_until(b'\n', &mut answer)?;
        Ok(answer)
    };
    let answer = asking().map_err(ControlError::Broken)?;
    serde_json::from_slice(&answer).map_err(ControlError::Malformed)
}

#[cfg(test)]
mod tests;
