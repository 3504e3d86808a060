//! The roles: what each is called, keeps and may call; how one is entered.
//!
//! One binary, four processes. A role is entered with its user and capabilities already set, by the
//! supervisor or by systemd; it then shuts its own doors before it looks at anything from outside.
//! What a host cannot give is a *missing wall*, reported by slug and never passed over in silence.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akwatch_sys::capability::{Capabilities, Capability};
use akwatch_sys::launch::FIRST_INHERITED;
use akwatch_sys::link::{Channel, LinkError};
use akwatch_sys::seccomp::{self, Table};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::cli::RoleName;
use crate::config::Config;
use crate::gate::keeper::{Keeper, Patience};
use crate::link::{self, Link};
use crate::{detector, gate, marker, reporter};

pub mod hurried;
pub mod links;
pub mod service;
pub mod users;
pub mod walls;
mod watch;

pub use links::{Arrivals, FromWatcher, Handover, Linked, Links, LinksError, Requests, knock};

/// One of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Opens places and keeps the ledger.
    Watcher,
    /// Places the kernel's marks.
    Marker,
    /// Sees secrets; nothing else.
    Detector,
    /// Talks to the collector; nothing else.
    Reporter,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Watcher => Role::Watcher,
            RoleName::Marker => Role::Marker,
            RoleName::Detector => Role::Detector,
            RoleName::Reporter => Role::Reporter,
        }
    }
}

/// Set for a role that the supervisor started: what it needs comes over its first descriptor.
pub const SUPERVISED: &str = "AKWATCH_SUPERVISED";

/// How long the supervisor may take to say what a role needs, and the watcher to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Below the state directory: the watcher's, with ledger and fleet key. Mode 0700.
pub const WATCHER_DIRECTORY: &str = "watcher";

/// In [`WATCHER_DIRECTORY`]: the fleet key, which the reporter never sees. Mode 0600.
pub const FLEET_KEY_FILE: &str = "fleet-key.json";

/// Below the state directory: the reporter's, with the host's certificate and key. Mode 0700.
pub const IDENTITY_DIRECTORY: &str = "identity";

impl Role {
    /// All four, in the order in which they are started.
    pub const ALL: [Role; 4] = [Role::Watcher, Role::Detector, Role::Reporter, Role::Marker];

    /// Its name on the command line and in slugs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Watcher => "watcher",
            Role::Marker => "marker",
            Role::Detector => "detector",
            Role::Reporter => "reporter",
        }
    }

    /// The user that it runs as where the package made it.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Role::Watcher => "akwatch-agent",
            Role::Marker => "akwatch-marker",
            Role::Detector => "akwatch-detector",
            Role::Reporter => "akwatch-reporter",
        }
    }

    /// What it may call.
    #[must_use]
    pub fn table(self) -> &'static Table {
        match self {
            Role::Watcher => &seccomp::WATCHER,
            Role::Marker => &seccomp::MARKER,
            Role::Detector => &seccomp::DETECTOR,
            Role::Reporter => &seccomp::REPORTER,
        }
    }

    /// What it keeps of root. `net_admin` where this kernel wants it for process events (before
    /// Linux 6.6).
    #[must_use]
    pub fn capabilities(self, net_admin: bool) -> Capabilities {
        match self {
            Role::Watcher if net_admin => Capabilities::of(&[
                Capability::DacReadSearch,
                Capability::SysPtrace,
                Capability::NetAdmin,
            ]),
            Role::Watcher => Capabilities::of(&[Capability::DacReadSearch, Capability::SysPtrace]),
            Role::Marker => Capabilities::of(&[Capability::SysAdmin]),
            Role::Detector | Role::Reporter => Capabilities::NONE,
        }
    }
}

/// The supervisor's first and only words to a role. Beside them: for the watcher nothing, since the
/// channel itself stays its control; for the others their end of the link to the watcher, and for the
/// reporter its identity directory, which it may not be able to reach by its path.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// The texts of the configuration.
    pub(crate) config: Vec<(PathBuf, String)>,
    /// The role runs as the same user as the others.
    pub(crate) shared_user: bool,
}

pub(crate) const BEGIN: &str = "first message of the supervisor";

/// Runs a role, as the supervisor or systemd has started it, until it ends.
///
/// # Errors
/// When it could not begin, or ended in another way than it should; the detector never says why.
pub fn enter(role: Role, config: &Path, state: &Path, runtime: &Path) -> anyhow::Result<ExitCode> {
    if role == Role::Detector {
        detector::be_silent();
        return Ok(detect(config, runtime).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
    }
    crate::log::start();
    match role {
        Role::Watcher => watch::run(config, state, runtime)?,
        Role::Marker => mark(config, runtime)?,
        Role::Reporter => report(config, state, runtime)?,
        Role::Detector => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What a role begins with.
struct Begun {
    config: Config,
    shared_user: bool,
    /// Its link to the watcher; the watcher's own is its control channel.
    channel: Channel,
    /// Further descriptors.
    descriptors: Vec<OwnedFd>,
}

/// What the supervisor says; `None` when there is no supervisor.
fn supervised() -> anyhow::Result<Option<(Begin, Channel, Vec<OwnedFd>)>> {
    if std::env::var_os(SUPERVISED).is_none() {
        return Ok(None);
    }
    let mut control = Channel::inherited(FIRST_INHERITED).context("taking the supervisor's end")?;
    let frame = control
        .recv(Some(PATIENCE))?
        .context("the supervisor said nothing")?;
    let begin: Begin = link::from_json(BEGIN, &frame.body)?;
    Ok(Some((begin, control, frame.descriptors)))
}

/// What a role other than the watcher begins with.
fn begin(role: Role, config: &Path, runtime: &Path) -> anyhow::Result<Begun> {
    if let Some((begin, _control, descriptors)) = supervised()? {
        let mut descriptors = descriptors.into_iter();
        let link = descriptors.next().context("the supervisor gave no link")?;
        return Ok(Begun {
            config: Config::from_texts(&begin.config)?,
            shared_user: begin.shared_user,
            channel: Channel::over(link)?,
            descriptors: descriptors.collect(),
        });
    }
    let config = Config::load(config)?;
    let users = users::Users::of_units(&config)?;
    let watcher = users.of(Role::Watcher).uid;
    Ok(Begun {
        shared_user: users.of(role).uid == watcher,
        channel: knock_until_open(runtime, role, watcher)?,
        descriptors: Vec::new(),
        config,
    })
}

/// Waits until the watcher listens: the units are started together.
fn knock_until_open(runtime: &Path, role: Role, watcher: u32) -> anyhow::Result<Channel> {
    let deadline = Instant::now() + PATIENCE;
    let (_never, waiting) = crossbeam_channel::bounded::<()>(0);
    loop {
        match knock(runtime, role, watcher) {
            Ok(Some(channel)) => return Ok(channel),
            Ok(None) if Instant::now() < deadline => {
                let _ = waiting.recv_timeout(Duration::from_millis(50));
            }
            Ok(None) => bail!(
                "no watcher listens in {}; is akwatch-agent.service running?",
                runtime.display()
            ),
            Err(LinkError::Closed) => bail!(
                "who listens in {} is not the watcher's user",
                runtime.display()
            ),
            Err(error) => return Err(error.into()),
        }
    }
}

fn detect(config: &Path, runtime: &Path) -> anyhow::Result<()> {
    let begun = begin(Role::Detector, config, runtime)?;
    let mut walls = walls::Walls::raise(Role::Detector, begun.shared_user);
    walls.no_files();
    let may_idle = akwatch_sys::process::may_idle();
    let missing = walls.close();
    Ok(detector::run(
        Link::over(begun.channel),
        &missing,
        may_idle,
    )?)
}

fn mark(config: &Path, runtime: &Path) -> anyhow::Result<()> {
    let begun = begin(Role::Marker, config, runtime)?;
    let processes = begun.config.processes;
    let mut walls = walls::Walls::raise(Role::Marker, begun.shared_user);
    let keeper = processes.strict.then(|| {
        walls.with_gate();
        let paths = match processes.strict_files {
            none if none.is_empty() => gate::files_of_host(),
            named => named,
        };
        Keeper::new(paths, Patience::default(), Instant::now())
    });
    let missing = walls.close();
    Ok(marker::run(Link::over(begun.channel), missing, keeper)?)
}

fn report(config: &Path, state: &Path, runtime: &Path) -> anyhow::Result<()> {
    let begun = begin(Role::Reporter, config, runtime)?;
    let mut walls = walls::Walls::raise(Role::Reporter, begun.shared_user);
    let identity = match begun.descriptors.into_iter().next() {
        Some(directory) => directory,
        None => akwatch_sys::fanotify::open_directory(&state.join(IDENTITY_DIRECTORY))?,
    };
    // From here on the directory is `.`, whoever may traverse the way to it.
    nix::unistd::fchdir(identity.as_fd()).context("entering the identity directory")?;
    walls.reporters_files(identity.as_fd(), &begun.config);
    let missing = walls.close();
    let link = Link::over(begun.channel);
    let setup = reporter::Setup {
        collector: begun.config.collector,
        identity: PathBuf::from("."),
        patience: reporter::Patience::default(),
    };
    Ok(reporter::run(link, missing, setup)?)
}
