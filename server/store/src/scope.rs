//! Which hosts a caller may see. Every read takes one.

use std::collections::BTreeMap;

use akwatch_proto::agent::HostId;

/// The hosts that a read may speak of; counts are computed within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every host.
    All,
    /// Hosts that carry at least one of these labels. Only labels that grant scope count: those of
    /// the enrollment token or of a person, never those that a host claims. An empty map sees
    /// nothing.
    Labels(BTreeMap<String, String>),
    /// One host: what an agent may ask about itself.
    Host(HostId),
}
