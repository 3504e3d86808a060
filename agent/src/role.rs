//! The roles: what each is called, keeps and may call; how one is entered.
//!
//! One binary, four processes. A role is entered with its user and capabilities already set, by the
//! supervisor or by systemd; it then shuts its own doors before it looks at anything from outside.
//! What a host cannot give is a *missing wall*, reported by slug and never passed over in silence.

use akwatch_sys::capability::{Capabilities, Capability};
use akwatch_sys::seccomp::{self, Table};
use serde::{Deserialize, Serialize};

pub mod links;

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
