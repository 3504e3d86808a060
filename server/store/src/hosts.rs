//! Hosts: enrolled, heard, silent, retired.

use std::collections::BTreeMap;

use akwatch_proto::agent::{Heartbeat, HostFacts, HostId, TokenId};
use akwatch_proto::digest::SetDigest;
use akwatch_proto::people::{HostDetail, HostRow, HostState, Page};
use akwatch_proto::time::Time;
use uuid::Uuid;

use crate::audit::Actor;
use crate::enrollment::{NewCertificate, TokenRefusal};
use crate::filter::HostFilter;
use crate::{Answer, Scope};

/// A host to be: made by the caller, stored only if the token allows it.
#[derive(Clone, Debug)]
pub struct NewHost {
    /// Chosen by the collector.
    pub id: HostId,
    /// The token that was shown.
    pub token: TokenId,
    /// SHA-256 of the secret that was shown with it.
    pub secret_hash: [u8; 32],
    /// What it says of itself.
    pub facts: HostFacts,
    /// The address that the collector saw.
    pub peer: Option<String>,
    /// SHA-256 of its public key, which it has proven to hold.
    pub key: [u8; 32],
    /// The certificate that it will get.
    pub certificate: NewCertificate,
    /// The same as PEM, to be told again if the answer is lost.
    pub pem: String,
    /// Seconds between its heartbeats.
    pub heartbeat_seconds: u32,
}

/// Whether a host was enrolled.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolling {
    /// It was; these are the labels that the token gives.
    Enrolled {
        /// They grant scope.
        labels: BTreeMap<String, String>,
    },
    /// It was before, with the same token and key, and has not been heard since: its answer was
    /// lost. Nothing was stored.
    Again {
        /// The identity that it has.
        host: HostId,
        /// The certificate that it has, PEM.
        pem: String,
    },
    /// It was not.
    Refused(TokenRefusal),
}

/// A heartbeat and where it came from.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The message, already bounded and attributed to its host.
    pub heartbeat: Heartbeat,
    /// The address that the collector saw.
    pub peer: Option<String>,
}

/// Why a host's word was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// No such host.
    UnknownHost,
    /// It was retired.
    Retired,
    /// Another state directory speaks for this host.
    OtherInstance {
        /// The one that does.
        current: Uuid,
    },
}

/// What became of a heartbeat.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beaten {
    /// It was recorded; the domain decides what to answer.
    Recorded(Recorded),
    /// It was not.
    NotTaken(NotTaken),
}

/// What the store knew when a heartbeat came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The counter of the heartbeat before.
    pub previous_counter: u64,
    /// The digest of what is stored of this host.
    pub digest: SetDigest,
    /// The highest revision that was acknowledged.
    pub upto: u64,
    /// Whether the host's facts are missing.
    pub no_facts: bool,
    /// Whether the host had been silent or pending.
    pub state_before: HostState,
}

/// What the agents' side needs to know of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// Its id.
    pub id: HostId,
    /// The name that it claims.
    pub name: String,
    /// The state directory that speaks for it; none before its first word.
    pub instance: Option<Uuid>,
    /// Whether it is heard.
    pub state: HostState,
    /// Seconds between its heartbeats.
    pub heartbeat_seconds: u32,
    /// When it was enrolled.
    pub enrolled: Time,
    /// When it was last heard.
    pub last_heard: Option<Time>,
    /// The highest revision that was acknowledged.
    pub upto: u64,
    /// Labels that grant scope.
    pub labels: BTreeMap<String, String>,
}

/// How long a collector has listened since it started, whatever the wall clock said meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listened {
    /// Milliseconds, never less than before. Time in which it did not run does not count.
    pub ms: i64,
    /// When, in the same milliseconds, the wall clock last went another way, or the collector last did
    /// not run for a while: what was counted over that moment may be the collector's own absence.
    pub unbroken_since: i64,
}

/// Hosts.
pub trait Hosts {
    /// Uses a token up by one and stores the host with its certificate, or refuses; one transaction.
    /// A host whose answer was lost is not enrolled twice: until its first word, the same key with
    /// the same token gets the same answer.
    fn enroll(&self, host: NewHost, now: Time) -> Answer<'_, Enrolling>;

    /// Records a heartbeat. A host that was silent is live again, and its places count as it said.
    fn beat(&self, beat: Beat, now: Time) -> Answer<'_, Beaten>;

    /// Marks hosts silent that were heard, but have missed more than `missed` heartbeats; answers
    /// which, at most a few hundred a call. Call it every few seconds. Silence counts in time that the
    /// collector listened, from the first call at the earliest: one that was down has itself heard
    /// nobody. `now` is only written down.
    fn mark_silent(&self, missed: u32, listened: Listened, now: Time) -> Answer<'_, Vec<HostId>>;

    /// Retires hosts that call themselves ephemeral and have been marked silent for more than that many
    /// milliseconds in which somebody else was heard; answers which, at most a few hundred a call. Call
    /// it every minute. That time begins with the first call that finds the host silent, and anew with
    /// each word of it, each start of the collector and each [break](Listened::unbroken_since) of its
    /// clocks: a retired host has to be enrolled anew, so doubt keeps it.
    fn retire_ephemeral(
        &self,
        silent_ms: i64,
        listened: Listened,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Vec<HostId>>;

    /// Closes a host: its findings stay, not verified and counted apart; its certificates are
    /// revoked. False when there is no such host or it was retired before.
    fn retire(&self, host: HostId, actor: Actor, now: Time) -> Answer<'_, bool>;

    /// Gives a host these labels instead of those that it had: they grant scope. False when there is
    /// no such host or it was retired.
    fn set_labels(
        &self,
        host: HostId,
        labels: BTreeMap<String, String>,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, bool>;

    /// The host as the agents' side needs it.
    fn host<'a>(&'a self, scope: &'a Scope, host: HostId) -> Answer<'a, Option<HostRecord>>;

    /// One page of the list.
    fn hosts<'a>(&'a self, scope: &'a Scope, filter: &'a HostFilter) -> Answer<'a, Page<HostRow>>;

    /// One host, explained.
    fn host_detail<'a>(&'a self, scope: &'a Scope, host: HostId) -> Answer<'a, Option<HostDetail>>;

    /// The hosts that may be asked something now: live ones.
    fn live_hosts<'a>(&'a self, scope: &'a Scope) -> Answer<'a, Vec<HostId>>;
}
