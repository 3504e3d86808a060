//! Directives: what hosts are to do, signed, with serials that only rise.

use akwatch_proto::agent::{Directive, HostId, Outcome};
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;

use crate::audit::Actor;
use crate::{Answer, Scope};

/// Seals a directive under the serial that the store gives it.
pub type Seal = Box<dyn FnOnce(u64) -> Signed<Directive> + Send>;

/// Directives.
pub trait Directives {
    /// Takes the next serial, has the directive sealed under it and stores it for one host. Answers
    /// the serial; None when the host is unknown or retired.
    fn queue(
        &self,
        host: HostId,
        until: Time,
        seal: Seal,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Option<u64>>;

    /// Directives of a host above `serial` that have neither ended nor been answered, serials
    /// rising, at most [`DIRECTIVES`](akwatch_proto::limits::DIRECTIVES).
    fn pending<'a>(
        &'a self,
        scope: &'a Scope,
        host: HostId,
        serial: u64,
        now: Time,
    ) -> Answer<'a, Vec<Signed<Directive>>>;

    /// Stores what a host did with its directives; outcomes of another host's are ignored.
    fn record_outcomes(&self, host: HostId, outcomes: Vec<Outcome>, now: Time) -> Answer<'_, ()>;
}
