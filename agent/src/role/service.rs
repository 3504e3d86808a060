//! What the watcher tells the service manager: ready, alive, stopping, how it stands (`sd_notify(3)`).
//!
//! A datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. The socket is connected
//! before the walls are closed, since the watcher's table has no `connect`; the variable is looked at
//! once. Without a service manager nothing is said to anybody. *Alive* is said by the loop itself, so
//! that a loop that hangs is noticed, and by nothing else.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The shortest time between two words of being alive.
const LEAST: Duration = Duration::from_millis(100);

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub struct Service {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that the loop is alive.
    every: Option<Duration>,
    /// When it was last told.
    told: Option<Instant>,
    /// What it was last told of how the agent stands.
    stands: String,
}

impl Service {
    /// The service manager that started this process. To be called before the walls are closed.
    #[must_use]
    pub fn connect() -> Service {
        let Ok(name) = std::env::var("NOTIFY_SOCKET") else {
            return Service::default();
        };
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        // The watchdog may be another process's.
        let own = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC")
            .filter(|_| own)
            .map(Duration::from_micros);
        match socket(&name) {
            Ok(socket) => Service::over(socket, limit),
            Err(why) => {
                tracing::warn!(%why, "the service manager cannot be told anything");
                Service::default()
            }
        }
    }

    /// Over a connected socket; `limit` is the time after which silence counts as hanging.
    fn over(socket: UnixDatagram, limit: Option<Duration>) -> Service {
        Service {
            socket: Some(socket),
            every: limit.map(|limit| (limit / 3).max(LEAST)),
            ..Service::default()
        }
    }

    /// The agent has started: the other roles may come.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// It ends because it was asked to.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The loop turns; said as often as it has to be.
    pub fn alive(&mut self, now: Instant) {
        let Some(every) = self.every else { return };
        let is_due = |told: Instant| now.saturating_duration_since(told) >= every;
        if self.told.is_none_or(is_due) {
            self.told = Some(now);
            self.say("WATCHDOG=1");
        }
    }

    /// One line for `systemctl status`, said when it has changed.
    pub fn stands(&mut self, line: &str) {
        if self.stands != line {
            line.clone_into(&mut self.stands);
            self.say(&format!("STATUS={}", line.replace('\n', " ")));
        }
    }

    fn say(&self, words: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen harms nobody, and must not be waited for.
            let _ = socket.send(words.as_bytes());
        }
    }
}

fn socket(name: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.strip_prefix('@') {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> Option<String> {
        let mut words = [0; 256];
        manager.set_nonblocking(true).unwrap();
        let count = manager.recv(&mut words).ok()?;
        Some(String::from_utf8_lossy(&words[..count]).into_owned())
    }

    #[test]
    fn it_is_told_what_changes_and_that_the_loop_turns_no_more_often_than_needed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = socket(path.to_str().unwrap()).unwrap();
        let mut service = Service::over(socket, Some(Duration::from_secs(30)));
        service.ready();
        assert_eq!(heard(&manager).as_deref(), Some("READY=1"));
        let now = Instant::now();
        for (after, words) in [(0, Some("WATCHDOG=1")), (9, None), (10, Some("WATCHDOG=1"))] {
            service.alive(now + Duration::from_secs(after));
            assert_eq!(heard(&manager).as_deref(), words, "{after}");
        }
        for (line, words) in [
            ("a\nb", Some("STATUS=a b")),
            ("a\nb", None),
            ("c", Some("STATUS=c")),
        ] {
            service.stands(line);
            assert_eq!(heard(&manager).as_deref(), words);
        }
        drop(manager);
        service.stopping(); // nobody listens any more
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        let mut service = Service::default();
        service.ready();
        service.alive(Instant::now());
    }
}
