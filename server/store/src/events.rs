//! Events: what changed, told after the commit, so that pages refresh what they show.

use akwatch_proto::people::Event;
use tokio::sync::broadcast;

/// Events kept for a slow listener; one that falls further behind must reload.
pub const BACKLOG: usize = 1024;

/// The stream of changes. It names hosts, so the listener's handler drops what its caller may not
/// see ([`Hosts::host`](crate::Hosts::host) with the caller's scope).
pub trait Events {
    /// What changes from now on. `Lagged` means: send [`Event::Reload`].
    fn subscribe(&self) -> broadcast::Receiver<Event>;
}
