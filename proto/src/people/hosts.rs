//! The host list's filters, and what people ask of hosts: one of them, or all that carry a label.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::agent::{HostId, OutcomeResult};
use crate::time::Time;

/// Filters of the host list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HostQuery {
    /// States, separated by commas.
    pub state: Option<String>,
    /// Part of the name, an address, or a host id.
    pub q: Option<String>,
    /// `covered=whole|partly|unknown`.
    pub covered: Option<String>,
    /// `-score` (default), `name`, `-last_heard`, `-open`.
    pub sort: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
    /// Rows a page, at most 1000.
    pub limit: Option<u32>,
}

/// Which hosts are asked: one by its id, or those that carry at least one of these labels. Only labels
/// that grant scope count, never those that a host claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostsChosen {
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// Those with at least one of these.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Asks hosts to read nothing for a while; heartbeats go on, and all of their sources are *unknown*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseHosts {
    /// Which.
    pub hosts: HostsChosen,
    /// For how long, from when a host hears of it: at least one second, at most
    /// [`LONGEST_PAUSE_SECONDS`](crate::agent::LONGEST_PAUSE_SECONDS). It ends by itself. A host that
    /// does not hear of it within that time is not paused.
    pub seconds: u32,
}

/// How many hosts were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AskedHosts {
    /// They answer when they check in.
    pub hosts: u64,
}

/// What a host was last asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// `rescan`, `pause`, `resume`, or a word that this program is too old to know.
    pub what: String,
    /// When.
    pub at: Time,
    /// Until when it may still do it: what it has not heard by then it never will.
    pub until: Time,
    /// What it did; absent while it has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeResult>,
}
