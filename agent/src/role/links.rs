//! How the watcher comes by its links to the other roles, and by new ones when a role starts again.
//!
//! Under `akwatch-agent run` the supervisor makes each pair of sockets and passes the watcher its
//! end; under systemd the roles connect to sockets in the runtime directory and are known by their
//! user (`SO_PEERCRED`). The watcher does not see the difference: it asks [`Links`] for the next
//! arrival, for as long as it runs.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_sys::link::{Channel, Frame, LinkError, Receiver, Sender};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::link::{self, DetectorLink, Link, MarkerLink, ReporterLink, TalkError};

/// How long the supervisor or a role may take to accept one small message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that reached the watcher.
#[derive(Debug)]
pub enum Linked {
    /// A detector that waits for [`ToDetector::Start`](crate::link::ToDetector::Start); an earlier
    /// one has ended or is to be dropped.
    Detector(DetectorLink),
    /// A reporter.
    Reporter(ReporterLink),
    /// A marker.
    Marker(MarkerLink),
    /// The watcher is to end: the supervisor said so, or has itself ended.
    End,
}

/// Where links come from. Lives as long as the watcher.
#[derive(Debug)]
pub struct Links {
    /// Gives each link as it arrives; for a thread of its own.
    pub arrivals: Arrivals,
    /// Asks for a role to be started anew.
    pub requests: Requests,
    /// Walls of the watcher's own sandbox that this host does not have, by slug; the other roles'
    /// come with their first messages.
    pub missing_walls: Vec<String>,
}

/// Links as they arrive.
#[derive(Debug)]
pub struct Arrivals(Source);

#[derive(Debug)]
enum Source {
    Supervisor(Receiver),
    Listening(Vec<Door>),
}

/// A socket at which one role connects.
#[derive(Debug)]
struct Door {
    role: Role,
    listener: UnixListener,
    /// Who may come in.
    uid: u32,
}

/// Asks for a role to be started anew.
#[derive(Debug)]
pub struct Requests(Option<Sender>);

/// Why no link can arrive any more.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// The supervisor's channel.
    #[error("the supervisor's channel: {0}")]
    Supervisor(#[source] TalkError),
    /// A socket in the runtime directory.
    #[error("{step} {path}; is another agent running, and is the directory this user's?", path = .path.display())]
    Socket {
        /// What was tried.
        step: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Waiting failed.
    #[error("waiting for roles to connect")]
    Wait(#[source] io::Error),
}

/// What the supervisor says to the watcher; [`Give`](ToWatcher::Give) has the socket beside it.
#[derive(Debug, Serialize, Deserialize)]
enum ToWatcher {
    Give(Role),
    End,
}

/// What the watcher says to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWatcher {
    /// End this role and start it anew: it broke its protocol or is past its deadline.
    Replace(Role),
}

const CONTROL: &str = "message of the supervisor";

impl Links {
    /// Links that the supervisor passes over `control`.
    #[must_use]
    pub fn supervised(control: Channel, missing_walls: Vec<String>) -> Links {
        let (sender, receiver) = control.split();
        Links {
            arrivals: Arrivals(Source::Supervisor(receiver)),
            requests: Requests(Some(sender)),
            missing_walls,
        }
    }

    /// Links of roles that connect to sockets in `runtime`, each as its own user.
    ///
    /// # Errors
    /// When a socket cannot be made there.
    pub fn listening(
        runtime: &Path,
        users: &[(Role, u32)],
        missing_walls: Vec<String>,
    ) -> Result<Links, LinksError> {
        let doors = users
            .iter()
            .map(|&(role, uid)| Door::open(runtime, role, uid))
            .collect::<Result<Vec<Door>, LinksError>>()?;
        Ok(Links {
            arrivals: Arrivals(Source::Listening(doors)),
            requests: Requests(None),
            missing_walls,
        })
    }

    /// Links and the supervisor's end of them, for the supervisor and for tests of the watcher.
    ///
    /// # Errors
    /// When the kernel gives no sockets.
    pub fn pair() -> Result<(Handover, Links), LinkError> {
        let (ours, theirs) = Channel::pair()?;
        Ok((Handover(ours), Links::supervised(theirs, Vec::new())))
    }
}

impl Arrivals {
    /// The next arrival; `None` when there was none within `wait`. Without `wait` it waits for ever.
    ///
    /// # Errors
    /// When none can arrive any more.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<Linked>, LinksError> {
        match &mut self.0 {
            Source::Supervisor(receiver) => from_supervisor(receiver, wait),
            Source::Listening(doors) => from_doors(doors, wait),
        }
    }
}

impl Requests {
    /// Asks for `role` to be ended and started anew; its new link arrives by itself. Where each role
    /// is started by itself there is nobody to ask: dropping its link ends it.
    ///
    /// # Errors
    /// When the supervisor cannot be reached any more.
    pub fn replace(&mut self, role: Role) -> Result<(), LinksError> {
        let Some(sender) = &mut self.0 else {
            return Ok(());
        };
        let body = link::to_json(CONTROL, &FromWatcher::Replace(role));
        body.and_then(|body| Ok(sender.send(&body, &[], PATIENCE)?))
            .map_err(LinksError::Supervisor)
    }
}

/// The supervisor's end of [`Links`].
#[derive(Debug)]
pub struct Handover(Channel);

impl Handover {
    /// The supervisor's end of an existing channel.
    pub fn over(channel: Channel) -> Handover {
        Handover(channel)
    }

    /// Passes the watcher its end of a link to `role`.
    ///
    /// # Errors
    /// When the watcher does not take it.
    pub fn give(&mut self, role: Role, socket: BorrowedFd<'_>) -> Result<(), TalkError> {
        let body = link::to_json(CONTROL, &ToWatcher::Give(role))?;
        Ok(self.0.send(&body, &[socket], PATIENCE)?)
    }

    /// Makes a link to `role`, passes the watcher its end and gives the other.
    ///
    /// # Errors
    /// When the kernel gives no sockets or the watcher does not take its end.
    pub fn connect(&mut self, role: Role) -> Result<OwnedFd, TalkError> {
        let (watchers, roles) = Channel::pair()?;
        self.give(role, watchers.as_fd())?;
        roles
            .into_socket()
            .ok_or(TalkError::Link(LinkError::Broken))
    }

    /// Asks the watcher to end.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn end(&mut self) -> Result<(), TalkError> {
        let body = link::to_json(CONTROL, &ToWatcher::End)?;
        Ok(self.0.send(&body, &[], PATIENCE)?)
    }

    /// What the watcher asks for, if it does, without waiting.
    ///
    /// # Errors
    /// When the watcher has ended.
    pub fn asked(&mut self) -> Result<Option<FromWatcher>, TalkError> {
        match self.0.recv(Some(Duration::ZERO))? {
            Some(frame) => link::plain(CONTROL, &frame).map(Some),
            None => Ok(None),
        }
    }
}

impl AsFd for Handover {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn from_supervisor(
    receiver: &mut Receiver,
    wait: Option<Duration>,
) -> Result<Option<Linked>, LinksError> {
    match receiver.recv(wait) {
        Ok(None) => Ok(None),
        Ok(Some(frame)) => given(frame).map(Some).map_err(LinksError::Supervisor),
        Err(LinkError::Closed | LinkError::Cut) => Ok(Some(Linked::End)),
        Err(error) => Err(LinksError::Supervisor(error.into())),
    }
}

fn given(frame: Frame) -> Result<Linked, TalkError> {
    match link::from_json(CONTROL, &frame.body)? {
        ToWatcher::End => Ok(Linked::End),
        ToWatcher::Give(role) => {
            let socket = frame.descriptors.into_iter().next();
            linked(role, socket.ok_or(TalkError::NotOne { what: CONTROL })?)
        }
    }
}

fn linked(role: Role, socket: OwnedFd) -> Result<Linked, TalkError> {
    let channel = Channel::over(socket)?;
    match role {
        Role::Detector => Ok(Linked::Detector(Link::over(channel))),
        Role::Reporter => Ok(Linked::Reporter(Link::over(channel))),
        Role::Marker => Ok(Linked::Marker(Link::over(channel))),
        Role::Watcher => Err(TalkError::NotOne { what: CONTROL }),
    }
}

/// The socket at which `role` connects.
fn door_path(runtime: &Path, role: Role) -> PathBuf {
    runtime.join(format!("{}.link", role.name()))
}

impl Door {
    fn open(runtime: &Path, role: Role, uid: u32) -> Result<Door, LinksError> {
        let path = door_path(runtime, role);
        let failed = |step: &'static str| {
            let path = path.clone();
            move |source| LinksError::Socket { step, path, source }
        };
        // A socket that somebody answers at belongs to a running agent.
        if UnixStream::connect(&path).is_ok() {
            return Err(failed("taking over")(io::ErrorKind::AddrInUse.into()));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("removing the old")(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed("making"))?;
        listener.set_nonblocking(true).map_err(failed("making"))?;
        // Whoever connects is judged by its user, not by the mode of the socket.
        std::fs::set_permissions(&path, Permissions::from_mode(0o666))
            .map_err(failed("opening"))?;
        Ok(Door {
            role,
            listener,
            uid,
        })
    }

    /// The next comer that is who it should be.
    fn admit(&self) -> Option<Linked> {
        let (stream, _) = self.listener.accept().ok()?;
        let channel = Channel::over(stream.into()).ok()?;
        if channel.peer().ok()?.uid != self.uid {
            return None;
        }
        linked(self.role, channel.into_socket()?).ok()
    }
}

fn from_doors(doors: &[Door], wait: Option<Duration>) -> Result<Option<Linked>, LinksError> {
    let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    loop {
        let mut waiting: Vec<PollFd<'_>> = doors
            .iter()
            .map(|door| PollFd::new(door.listener.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut waiting, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(LinksError::Wait(errno.into())),
            Ok(_) => {}
        }
        if let Some(linked) = doors.iter().find_map(Door::admit) {
            return Ok(Some(linked));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// Connects a role to the watcher's socket for it; `None` while nobody listens there.
///
/// # Errors
/// When something else than the watcher, known by its user, listens.
pub fn knock(runtime: &Path, role: Role, watcher: u32) -> Result<Option<Channel>, LinkError> {
    let Ok(stream) = UnixStream::connect(door_path(runtime, role)) else {
        return Ok(None);
    };
    let channel = Channel::over(stream.into())?;
    let listener = channel.peer()?.uid;
    if listener == watcher || (listener == NOBODY && sees_few_users()) {
        Ok(Some(channel))
    } else {
        Err(LinkError::Closed)
    }
}

/// What the kernel calls users that a user namespace does not know.
const NOBODY: u32 = 65534;

/// Whether this role lives in a user namespace of its own (`PrivateUsers=`), where every other user
/// is nobody: only the runtime directory's owner then says who listens there.
fn sees_few_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let whole = u32::MAX.to_string();
    !map.split_whitespace().any(|word| word == whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{FromDetector, ToDetector};

    const WAIT: Option<Duration> = Some(Duration::from_secs(20));

    fn me() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn the_watcher_gets_a_new_link_each_time_a_role_starts() {
        let (mut supervisor, mut links) = Links::pair().unwrap();
        for _ in 0..2 {
            let roles = supervisor.connect(Role::Detector).unwrap();
            let mut worker: Link<FromDetector, ToDetector> =
                Link::over(Channel::over(roles).unwrap());
            let Some(Linked::Detector(mut detector)) = links.arrivals.next(WAIT).unwrap() else {
                panic!("no detector arrived");
            };
            let start = ToDetector::Examine(Vec::new());
            detector.outlet.say(&start, PATIENCE).unwrap();
            assert!(matches!(
                worker.inlet.hear(WAIT).unwrap(),
                Some(ToDetector::Examine(jobs)) if jobs.is_empty()
            ));
        }
        supervisor.end().unwrap();
        assert!(matches!(
            links.arrivals.next(WAIT).unwrap(),
            Some(Linked::End)
        ));
    }

    #[test]
    fn a_supervisor_that_is_gone_ends_the_watcher() {
        let (supervisor, mut links) = Links::pair().unwrap();
        drop(supervisor);
        assert!(matches!(
            links.arrivals.next(WAIT).unwrap(),
            Some(Linked::End)
        ));
    }

    #[test]
    fn a_request_reaches_the_supervisor() {
        let (mut supervisor, mut links) = Links::pair().unwrap();
        assert!(supervisor.asked().unwrap().is_none());
        links.requests.replace(Role::Detector).unwrap();
        assert!(matches!(
            supervisor.asked().unwrap(),
            Some(FromWatcher::Replace(Role::Detector))
        ));
    }

    #[test]
    fn roles_that_connect_are_known_by_their_user() {
        let runtime = tempfile::tempdir().unwrap();
        let users = [(Role::Detector, me()), (Role::Reporter, me() + 1)];
        let mut links = Links::listening(runtime.path(), &users, Vec::new()).unwrap();
        let none = links.arrivals.next(Some(Duration::ZERO)).unwrap();
        assert!(none.is_none());
        // A stranger at the reporter's door is sent away; the detector is let in.
        let _stranger = knock(runtime.path(), Role::Reporter, me())
            .unwrap()
            .unwrap();
        let _detector = knock(runtime.path(), Role::Detector, me())
            .unwrap()
            .unwrap();
        assert!(matches!(
            links.arrivals.next(WAIT).unwrap(),
            Some(Linked::Detector(_))
        ));
        let none = links.arrivals.next(Some(Duration::ZERO)).unwrap();
        assert!(none.is_none());
        assert!(knock(runtime.path(), Role::Detector, me() + 1).is_err());
    }

    #[test]
    fn two_agents_in_one_runtime_directory_are_refused() {
        let runtime = tempfile::tempdir().unwrap();
        let users = [(Role::Detector, me())];
        let first = Links::listening(runtime.path(), &users, Vec::new()).unwrap();
        let second = Links::listening(runtime.path(), &users, Vec::new());
        assert!(matches!(second, Err(LinksError::Socket { .. })));
        drop(first);
        assert!(Links::listening(runtime.path(), &users, Vec::new()).is_ok());
    }
}
