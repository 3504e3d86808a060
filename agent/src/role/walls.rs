//! The walls that a role raises around itself, and which of them this host does not have.
//!
//! The order is fixed: first what must hold before anything is read, then files and ports, the
//! system-call table last, since raising the others needs calls that no table has. A wall that cannot
//! be raised is noted by slug, `detector.landlock`, and travels to the collector with the coverage.

use std::os::fd::BorrowedFd;
use std::path::Path;

use akwatch_sys::capability::{self, Capabilities};
use akwatch_sys::seccomp::Table;
use akwatch_sys::{landlock, memory, proc_events, process, seccomp};

use super::Role;
use crate::config::Config;

/// What the reporter reads to find its collector: names, the resolver's settings and libraries. Not
/// the system's certificate store: it trusts the collector's own authority alone.
const NAME_SERVICE: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/usr/share/zoneinfo",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/dev/null",
    "/dev/urandom",
    "/proc/sys",
    "/sys/fs/cgroup",
];

/// TCP for names, when an answer is too long for UDP.
const DOMAIN: u16 = 53;

/// The walls of one role.
#[derive(Debug)]
pub struct Walls {
    role: Role,
    table: &'static Table,
    missing: Vec<String>,
}

impl Walls {
    /// Raises those that need no knowledge of what the role will do: no dumps, no privileges to
    /// gain, nothing for children, memory that stays out of swap. `shared_user` when the role runs
    /// as somebody else's user.
    #[must_use]
    pub fn raise(role: Role, shared_user: bool) -> Walls {
        let mut walls = Walls {
            role,
            table: role.table(),
            missing: Vec::new(),
        };
        walls.note("own-user", !shared_user);
        walls.note("no-dumps", memory::forbid_dumps().is_ok());
        walls.note("no-new-privileges", process::no_new_privileges().is_ok());
        // A kernel without ambient capabilities has none to give on.
        let _ = capability::set_ambient(Capabilities::NONE);
        // A unit file cannot know the kernel, and somebody may have started the role by hand.
        let wanted = role.capabilities(role == Role::Watcher && needs_net_admin());
        let kept = capability::effective().map_or(Capabilities::NONE, |held| wanted.and(held));
        walls.note("capabilities", capability::restrict(kept).is_ok());
        if matches!(role, Role::Watcher | Role::Detector) {
            walls.note("locked-memory", memory::lock_all().is_ok());
            akwatch_sys::wiping::wipe_what_is_freed();
        }
        walls
    }

    /// Leaves the detector no file and no port.
    pub fn no_files(&mut self) {
        self.landlocked(&landlock::Reach::default());
    }

    /// Leaves the reporter its identity directory, what finding a host by name takes, and the ports
    /// of its collectors and proxy.
    pub fn reporters_files(&mut self, identity: BorrowedFd<'_>, config: &Config) {
        let read: Vec<&Path> = NAME_SERVICE.iter().map(Path::new).collect();
        self.landlocked(&landlock::Reach {
            write: &[identity],
            read: &read,
            connect: &ports(config),
        });
    }

    /// Leaves the marker what it takes to branch the gate off.
    pub fn with_gate(&mut self) {
        self.table = &seccomp::MARKER_WITH_GATE;
    }

    fn landlocked(&mut self, reach: &landlock::Reach<'_>) {
        let enforced = landlock::confine(reach);
        self.note("landlock", enforced.as_ref().is_ok_and(|it| it.files));
        self.note("landlock-ports", enforced.is_ok_and(|it| it.ports));
    }

    /// Raises the last wall, the system-call table, and says which are missing, by slug.
    #[must_use]
    pub fn close(mut self) -> Vec<String> {
        let closed = seccomp::confine(self.table).is_ok();
        self.note("seccomp", closed);
        self.missing
    }

    fn note(&mut self, wall: &str, stands: bool) {
        if !stands {
            self.missing.push(format!("{}.{wall}", self.role.name()));
        }
    }
}

/// Whether this kernel wants `CAP_NET_ADMIN` for process events (before Linux 6.6): tried, on a
/// thread that has given up everything.
#[must_use]
pub fn needs_net_admin() -> bool {
    let tried = std::thread::spawn(|| {
        capability::restrict(Capabilities::NONE).is_ok()
            && matches!(
                proc_events::ProcEvents::subscribe(),
                Err(error) if error.errno() == Some(nix::errno::Errno::EPERM as i32)
            )
    });
    tried.join().unwrap_or(false)
}

/// The ports that the reporter may connect to.
fn ports(config: &Config) -> Vec<u16> {
    let collectors = config.collector.urls.iter().map(|url| url.url().clone());
    let proxy = config.collector.proxy.iter().map(|url| url.url().clone());
    let environment = proxy_variables(config)
        .into_iter()
        .filter_map(|(_, value)| reqwest::Url::parse(&value).ok());
    collectors
        .chain(proxy)
        .chain(environment)
        .filter_map(|url| url.port_or_known_default())
        .chain([DOMAIN])
        .collect()
}

/// The environment's proxy settings, where the configuration obeys them: all of the environment that
/// a role is given.
#[must_use]
pub fn proxy_variables(config: &Config) -> Vec<(String, String)> {
    const NAMES: [&str; 6] = [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ];
    if !config.collector.use_environment_proxy {
        return Vec::new();
    }
    NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_reporter_may_connect_to_its_collectors_and_proxy_only() {
        let text = "[collector]\nurls = [\"https://one.example:7443\", \"https://two.example\"]\n\
                    proxy = \"http://proxy.example:3128\"\n";
        let config = Config::from_texts(&[(PathBuf::from("agent.toml"), text.to_owned())]);
        assert_eq!(ports(&config.unwrap()), [7443, 443, 3128, 53]);
    }
}
