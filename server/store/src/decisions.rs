//! Decisions: people's word about a credential. Presence is the agents' word; neither overwrites the
//! other.

use akwatch_proto::people::{CredentialRef, Decide, Decision};
use akwatch_proto::time::Time;

use crate::audit::Actor;
use crate::{Answer, Scope};

/// What became of a decision.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deciding {
    /// It stands.
    Done(Decision),
    /// Somebody else has decided since the caller looked: this stands, nothing was changed.
    Conflict(Decision),
    /// There is no such credential in the caller's scope.
    Unknown,
    /// It lies on hosts outside the caller's scope too, for which the caller cannot decide.
    Beyond,
}

/// Decisions.
pub trait Decisions {
    /// Decides about a credential, if `decide.version` is the one that stands; the domain has checked
    /// the rest. Verdict, score, counters, timeline and audit follow in the same transaction.
    fn decide(
        &self,
        scope: Scope,
        reference: CredentialRef,
        decide: Decide,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Deciding>;

    /// Opens again what was accepted until a time that has come; answers how many, at most a
    /// thousand a call. Call it every minute.
    fn reopen_expired(&self, now: Time) -> Answer<'_, u64>;
}
