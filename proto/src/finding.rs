//! The redacted fact: this credential lies in this place.
//!
//! A finding's identity is its [`FindingKey`]: place and subject, within one host. Everything else
//! is an attribute that is updated in place, so an edit above the key, a restarted service and a
//! cron job that runs every minute are one finding. What moves is its [`Presence`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credential::{Confidence, CredentialId, Fingerprint, Kind, Preview, Provider, RuleId};
use crate::git::Git;
use crate::place::{Origin, Place, Reach, SafeText, Spot, WrittenBy};
use crate::time::Time;

/// What a finding is about: a secret, or an id alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A secret, by its keyed fingerprint.
    Secret(Fingerprint),
    /// A lone id: who uses the key here, not a leak.
    Reference(CredentialId),
}

/// Identity of a finding within its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct FindingKey {
    /// Where.
    pub place: Place,
    /// What.
    pub subject: Subject,
}

/// Whether the secret is still in its place: the agents' word, never a person's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Presence {
    /// It was there when the place was last read.
    Present {
        /// Since when, without a break.
        since: Time,
    },
    /// It is not there, and the agent can say how it knows.
    Gone {
        /// When that was established.
        at: Time,
        /// How it is known.
        proof: GoneProof,
    },
    /// Nobody can say.
    Unknown {
        /// Since when.
        since: Time,
        /// Why.
        why: UnknownWhy,
    },
}

/// A presence without its particulars.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum PresenceState {
    /// There.
    Present = 1,
    /// Not there, with proof.
    Gone = 2,
    /// Not known.
    Unknown = 3,
}

impl Presence {
    /// The state alone.
    #[must_use]
    pub fn state(&self) -> PresenceState {
        match self {
            Presence::Present { .. } => PresenceState::Present,
            Presence::Gone { .. } => PresenceState::Gone,
            Presence::Unknown { .. } => PresenceState::Unknown,
        }
    }

    /// When this state began.
    #[must_use]
    pub fn since(&self) -> Time {
        match self {
            Presence::Present { since } | Presence::Unknown { since, .. } => *since,
            Presence::Gone { at, .. } => *at,
        }
    }
}

/// How *gone* is known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GoneProof {
    /// The place was read again to its end, and this value is not in it.
    Reread,
    /// The file is no longer there.
    Removed,
    /// A complete sweep shows no process of that place that holds it.
    Ended,
    /// A proof that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// Why nobody can say whether a secret is still there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UnknownWhy {
    /// The place could not be opened or read.
    Unreadable,
    /// It was read in part only.
    ReadShort,
    /// It changed while it was read.
    ChangedWhileRead,
    /// The rule that found it is no longer in the rule set.
    RuleRemoved,
    /// Policy no longer covers the path.
    PathExcluded,
    /// A limit was lowered below what was read before.
    LimitLowered,
    /// The place holds more matches than are kept.
    TooMany,
    /// The sensor that watched it is degraded or gone.
    SensorDegraded,
    /// The agent's own record was lost or restored from a copy.
    RecordLost,
    /// The agent did not list it when asked for everything.
    NotListed,
    /// The host has not been heard for too long.
    HostSilent,
    /// The host was retired; its findings were closed with it, unverified.
    HostRetired,
    /// The place was set aside because it cost too much.
    SetAside,
    /// A reason that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// What is known of a credential beyond its match, established offline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "proof", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Proof {
    /// The value's own checksum was computed.
    Checksum {
        /// Whether it held. A failed proof lowers confidence, it never deletes.
        holds: bool,
    },
    /// The value's documented structure was decoded.
    Structure {
        /// Whether it held.
        holds: bool,
    },
    /// The cloud account that an id encodes.
    Account {
        /// The account number.
        id: String,
        /// Whether it belongs to a known canary service.
        canary: bool,
    },
    /// When the credential expires, where its text says so.
    Expires {
        /// The instant.
        at: Time,
    },
    /// A private key that is itself encrypted.
    Encrypted,
    /// More than one secret could belong to the id.
    Ambiguous {
        /// How many.
        candidates: u32,
    },
    /// A proof that this program is too old to know.
    #[serde(other)]
    Unknown,
}

impl Proof {
    /// When the credential expires, where its text says so.
    #[must_use]
    pub fn expiry(proofs: &[Proof]) -> Option<Time> {
        proofs.iter().find_map(|proof| match proof {
            Proof::Expires { at } => Some(*at),
            _ => None,
        })
    }
}

/// Why a finding is new to the collector. What appears because *we* are new is inventory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WhyNew {
    /// The place changed: somebody put the secret there.
    PlaceChanged,
    /// A rule is new or was changed.
    RuleNew,
    /// The host or the path is newly watched.
    HostNew,
    /// A reason that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// The redacted fact, as an agent reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Identity within the host.
    pub key: FindingKey,
    /// The rule that found it.
    pub rule: RuleId,
    /// Who issues the credential.
    pub provider: Provider,
    /// What sort of credential.
    pub kind: Kind,
    /// The key's public half, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<CredentialId>,
    /// How sure.
    pub confidence: Confidence,
    /// What may be shown of the secret; none for a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// What was established offline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<Proof>,
    /// Where in the place, when last seen.
    pub spot: Spot,
    /// Who can read the place, when last seen.
    pub reach: Reach,
    /// Which process, unit, container.
    #[serde(default)]
    pub origin: Origin,
    /// What Git says of it, where it lies in a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// Who put it into its file; none where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<WrittenBy>,
    /// Whether a secret store handed it over.
    #[serde(default)]
    pub delivered: bool,
    /// Whether it is still there.
    pub presence: Presence,
    /// Why it is new.
    pub why_new: WhyNew,
    /// When the agent first saw it.
    pub first_seen: Time,
    /// When the place was last read to an answer.
    pub last_verified: Time,
    /// How often it came back after having been gone.
    #[serde(default)]
    pub returns: u32,
    /// The ledger's revision at which this state was written; rises with every change.
    pub revision: u64,
}

/// A file that a process's unit names, or is made of, and that holds the same secret: where the
/// process has it from. Derived where it is read, never stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// The file.
    pub path: SafeText,
    /// The line in it, when it was last seen.
    pub line: u32,
    /// It does not hold the secret any more: the process still does, until it is started anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Finds where a process's finding comes from among the other findings of the same host: a file
/// that holds the same subject, preferring the files that the process's unit names. Where none holds it
/// any more, one that did, if the process is present and was so before the file went: it was edited, and
/// the process has not been started since. Of one that has ended or began later nothing can be said.
#[must_use]
pub fn cause_of<'a>(
    process: &Finding,
    others: impl IntoIterator<Item = &'a Finding>,
) -> Option<Cause> {
    if !matches!(process.key.place, Place::Process { .. }) {
        return None;
    }
    others
        .into_iter()
        .filter(|other| other.key.subject == process.key.subject)
        .filter_map(|other| {
            let gone = match (&other.presence, &process.presence) {
                (Presence::Present { .. }, _) => false,
                (Presence::Gone { at, .. }, Presence::Present { since }) if since < at => true,
                _ => return None,
            };
            match &other.key.place {
                Place::File { path, .. } => Some((gone, path, other.spot.line)),
                _ => None,
            }
        })
        .min_by_key(|(gone, path, line)| {
            let named = process.origin.unit_files.contains(path);
            (*gone, !named, *path, *line)
        })
        .map(|(gone, path, line)| Cause {
            path: path.clone(),
            line,
            gone,
        })
}
