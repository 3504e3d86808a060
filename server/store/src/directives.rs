//! Directives: what hosts are to do, signed, with serials that only rise.

use akwatch_proto::agent::{Directive, HostId, Outcome};
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;

use crate::audit::Actor;
use crate::{Answer, Scope};

/// Seals a directive under the serial that the store gives it.
pub type Seal = Box<dyn FnOnce(u64) -> Signed<Directive> + Send>;

/// Hosts that are asked in one transaction; agents' reports wait meanwhile.
pub const ORDERED_AT_ONCE: usize = 500;

/// Seals a directive for each host under the serial that the store gives it.
pub type SealEach = Box<dyn FnMut(HostId, u64) -> Signed<Directive> + Send>;

/// What hosts are to do.
pub struct Order {
    /// As the audit log names it.
    pub what: &'static str,
    /// The last moment at which a host may hear of it.
    pub until: Time,
    /// Makes the directive.
    pub seal: SealEach,
    /// Who wants it.
    pub actor: Actor,
    /// The collector's clock.
    pub now: Time,
}

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

    /// Takes a serial for each host of `chosen` that is not retired, has a directive sealed under it
    /// and stores that, in one transaction: at most [`ORDERED_AT_ONCE`] of them, in the order of their
    /// ids, those after `after`. Each is one entry of the audit log, `what`. Answers which.
    fn order(&self, chosen: Scope, after: Option<HostId>, order: Order) -> Answer<'_, Vec<HostId>>;

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
