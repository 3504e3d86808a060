//! The people's side of the wire: bodies of the REST API, shared by the collector and the command
//! line, and the source of the OpenAPI document from which the console's client is generated.
//!
//! All calls lie under `/api/v1`. Lists answer [`Page`]s and take `cursor` and `limit`; filters have
//! the same names here, in the console's addresses and in the command line's flags. A refusal is
//! the same [`Refused`](crate::agent::Refused) body as on the agents' listener.
//!
//! | call | query or body → answer | who |
//! |---|---|---|
//! | `POST /first-sign-in` | [`FirstSignIn`] → [`Me`] + session cookie | the one-time link |
//! | `POST /sessions` | [`SignIn`] → [`Me`] + session cookie | anyone, rate-limited |
//! | `DELETE /sessions/current` | | signed in |
//! | `GET /me` | → [`Me`] | signed in |
//! | `GET /overview` | → [`Overview`] | viewer |
//! | `GET /hosts` | [`HostQuery`] → [`Page`] of [`HostRow`] | viewer |
//! | `GET /hosts/{id}` | → [`HostDetail`] | viewer |
//! | `POST /hosts/{id}/retire` | | responder |
//! | `POST /hosts/{id}/rescan` | | responder |
//! | `POST /hosts/pause`, `POST /hosts/resume` | [`PauseHosts`], [`HostsChosen`] → [`AskedHosts`] | responder |
//! | `GET /credentials` | [`CredentialQuery`] → [`Page`] of [`CredentialRow`] | viewer |
//! | `GET /credentials/{ref}` | → [`CredentialDetail`] | viewer |
//! | `PUT /credentials/{ref}/disposition` | [`Decide`] → [`Decision`] | responder |
//! | `GET /audit` | [`AuditQuery`] → [`Page`] of [`AuditEntry`] | auditor, admin |
//! | `GET /findings` | [`FindingQuery`] → [`Page`] of [`FindingRow`] | viewer |
//! | `POST /who-holds` | [`WhoHolds`] → [`Holders`] | responder |
//! | `GET /export/findings` | [`FindingQuery`] + `format=csv\|jsonl` → a stream | viewer |
//! | `GET /events` | → server-sent [`Event`]s | viewer |
//! | `GET/POST /enrollment-tokens`, `DELETE /enrollment-tokens/{id}` | [`NewEnrollmentToken`] → [`CreatedEnrollmentToken`] | admin |
//! | `GET/POST /tokens`, `DELETE /tokens/{id}` | [`NewApiToken`] → [`CreatedApiToken`] | one's own |

mod hosts;

pub use hosts::{Asked, AskedHosts, HostQuery, HostsChosen, PauseHosts};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::agent::{CostReceipt, HostFacts, HostId, TokenId};
use crate::coverage::Coverage;
use crate::credential::{Confidence, CredentialId, Kind, Preview, Provider, RuleId, word};
use crate::finding::{Cause, Presence, PresenceState, Proof, WhyNew};
use crate::git::Git;
use crate::place::{Location, Origin, Reach, SafeText, WrittenBy};
use crate::time::Time;

word! {
    /// The opaque reference of a credential, `cr_…`: safe in an address, says nothing of the key.
    CredentialRef, "a credential reference", 40, |c: char| c.is_ascii_alphanumeric() || c == '_'
}

word! {
    /// The opaque reference of a finding, `fd_…`.
    FindingRef, "a finding reference", 40, |c: char| c.is_ascii_alphanumeric() || c == '_'
}

/// What a person may do. Roles are ordered by name only; each permission is decided in the domain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads, ids masked.
    Viewer,
    /// Reads everything, asks who holds a key, retires and rescans hosts.
    Responder,
    /// Also people, tokens, enrollment.
    Admin,
    /// Reads the audit log only.
    Auditor,
}

/// Signing in for the first time, with the one-time link.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct FirstSignIn {
    /// The link's token.
    pub token: String,
    /// The first administrator's name.
    pub name: String,
    /// The password: at least 12 characters.
    pub password: String,
}

/// Signing in with a name and a password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// Name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Labels of the hosts in sight; the whole fleet when absent. An empty map sees nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<BTreeMap<String, String>>,
    /// The collector's own name, for the top bar.
    pub collector: String,
    /// The collector's version.
    pub version: String,
    /// The collector's clock.
    pub time: Time,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many rows match in all.
    pub total: u64,
    /// Hand it back to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether a host is heard.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Enrolled, but not heard yet.
    Pending,
    /// Heard within three heartbeats.
    Live,
    /// Not heard for longer: nothing it said is verified now.
    Silent,
    /// Closed by a person; its findings are *not verified*, not gone.
    Retired,
}

/// The verdict of a credential, from presence and disposition: the same word on list, page and
/// command line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Some place present, not rotated.
    Exposed,
    /// Some place present although rotated.
    RotatedStillPresent,
    /// None present, some unknown, not rotated.
    NotVerified,
    /// None present, some unknown, rotated.
    RotatedNotVerified,
    /// All gone, not rotated: a copy still works.
    GoneNotRotated,
    /// All gone and rotated.
    Closed,
}

/// People's decision about a credential.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Nobody has looked.
    New,
    /// Somebody has it.
    Acknowledged,
    /// Being replaced.
    Rotating,
    /// The cloud refuses the old key, people say.
    Rotated,
    /// Not a credential.
    FalsePositive,
    /// A risk taken on purpose.
    Accepted,
}

/// People's decision about a credential, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// What was decided.
    pub disposition: Disposition,
    /// How often was decided; to be handed back with the next decision.
    pub version: u64,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// When an accepted risk ends, and the credential is open again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Default for Decision {
    fn default() -> Decision {
        Decision {
            disposition: Disposition::New,
            version: 0,
            by: None,
            at: None,
            until: None,
            note: None,
        }
    }
}

/// A decision to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// What is decided.
    pub disposition: Disposition,
    /// The version that was seen: if another stands by now, this is refused as a conflict.
    pub version: u64,
    /// When an accepted risk ends: needed for `accepted`, and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Why: needed for `false-positive` and `accepted`. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Numbers of places by presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PresenceCounts {
    /// Places where it is.
    pub present: u64,
    /// Places where it verifiably no longer is.
    pub gone: u64,
    /// Places of which nobody can say.
    pub unknown: u64,
}

/// One line of a score, so that it explains itself: the points of all lines add up to the score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreLine {
    /// What counts: `kind`, `confidence`, `reach`, `spread`, `presence`, `expired`, …
    pub what: String,
    /// In words.
    pub because: String,
    /// Points, which may be negative.
    pub points: i32,
}

/// A score from 0 to 100 with its lines. Bands: 90 critical, 70 high, 40 medium, 1 low, 0 recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Score {
    /// 0 to 100.
    pub value: u32,
    /// How it comes about.
    pub lines: Vec<ScoreLine>,
}

/// The first page: what is exposed, what is unknown, what next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// As of when.
    pub time: Time,
    /// Hosts by state.
    pub hosts: HostCounts,
    /// Open credentials by verdict: all but closed.
    pub verdicts: BTreeMap<String, u64>,
    /// Open credentials by score band: `critical`, `high`, `medium`, `low`, `recorded`.
    pub bands: BTreeMap<String, u64>,
    /// Places of open credentials by presence.
    pub places: PresenceCounts,
    /// Findings of references: an inventory of use, counted apart.
    pub references: u64,
    /// Hosts whose coverage is whole, partly or unknown.
    pub coverage: CoverageCounts,
    /// Places that agents still have to read for the first time or again.
    pub waiting: u64,
    /// The credentials with the highest score, at most ten.
    pub top_credentials: Vec<CredentialRow>,
    /// The hosts with the highest score, at most ten.
    pub top_hosts: Vec<HostRow>,
    /// New and gone findings a day, oldest first, at most thirty days.
    pub days: Vec<Day>,
}

/// Hosts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct HostCounts {
    /// Enrolled, not heard yet.
    pub pending: u64,
    /// Heard.
    pub live: u64,
    /// Not heard.
    pub silent: u64,
    /// Closed.
    pub retired: u64,
}

/// Hosts by how well they are covered, retired ones left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CoverageCounts {
    /// Every source read whole.
    pub whole: u64,
    /// Some source read in part.
    pub partly: u64,
    /// Silent, pending or saying nothing.
    pub unknown: u64,
}

/// Findings of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Day {
    /// `2026-03-04`, UTC.
    pub day: String,
    /// First seen that day.
    pub new: u64,
    /// Verified gone that day.
    pub gone: u64,
}

/// One host in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostRow {
    /// Its id.
    pub id: HostId,
    /// The name that it claims.
    pub name: String,
    /// Whether it is heard.
    pub state: HostState,
    /// How well it is covered: `whole`, `partly`, `unknown`.
    pub covered: crate::coverage::Covered,
    /// Its exposure, 0 to 100.
    pub score: u32,
    /// Open credentials on it.
    pub credentials: u64,
    /// Its places by presence.
    pub places: PresenceCounts,
    /// Operating system.
    pub os: String,
    /// The agent's version.
    pub agent: String,
    /// Version of the rule set in force.
    pub rules: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was last heard, by the collector's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Time>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostDetail {
    /// The row of the list.
    pub host: HostRow,
    /// Its exposure, explained.
    pub score: Score,
    /// What it says of itself.
    pub facts: HostFacts,
    /// The address that the collector saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What is watched and how well; absent before the first heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What the agent costs there.
    #[serde(default)]
    pub cost: CostReceipt,
    /// Findings that the agent has still to send, at its last heartbeat.
    pub unsent: u64,
    /// How far its clock is ahead of the collector's, in milliseconds.
    pub clock_ahead_ms: i64,
    /// When it was enrolled.
    pub enrolled: Time,
    /// When its certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<Time>,
    /// What it was last asked to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// Filters of the credential list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CredentialQuery {
    /// Verdicts, separated by commas; `open` is all but closed.
    pub verdict: Option<String>,
    /// Providers, separated by commas.
    pub provider: Option<String>,
    /// Kinds, separated by commas. References are left out unless named.
    pub kind: Option<String>,
    /// Presence of at least one place: `present`, `gone`, `unknown`, separated by commas.
    pub presence: Option<String>,
    /// A range of the score: `70..`, `40..69`.
    pub score: Option<String>,
    /// On this host.
    pub host: Option<HostId>,
    /// The exact id.
    pub id: Option<String>,
    /// `-score` (default), `-hosts`, `-places`, `-last_seen`, `first_seen`.
    pub sort: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
    /// Rows a page, at most 1000.
    pub limit: Option<u32>,
}

/// One credential in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialRow {
    /// Its reference.
    #[serde(rename = "ref")]
    pub reference: CredentialRef,
    /// Its id, masked for viewers (first six, last four).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// What may be shown of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Who issues it.
    pub provider: Provider,
    /// What sort.
    pub kind: Kind,
    /// The highest confidence of its findings.
    pub confidence: Confidence,
    /// The verdict.
    pub verdict: Verdict,
    /// People's decision.
    pub disposition: Disposition,
    /// 0 to 100.
    pub score: u32,
    /// On how many hosts it is or may be.
    pub hosts: u64,
    /// Its places by presence.
    pub places: PresenceCounts,
    /// First seen anywhere.
    pub first_seen: Time,
    /// Last seen or verified anywhere.
    pub last_seen: Time,
    /// When it expires or has expired, where its text says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// One credential: its blast radius.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialDetail {
    /// The row of the list.
    pub credential: CredentialRow,
    /// People's decision, and who made it.
    #[serde(default)]
    pub decision: Decision,
    /// Its exposure, explained.
    pub score: Score,
    /// What was established offline.
    pub proof: Vec<Proof>,
    /// All its places, present before unknown before gone, at most 1000; more by `GET /findings`.
    pub places: Vec<FindingRow>,
    /// Where its id is used without its secret.
    pub references: u64,
    /// What happened, newest first, at most 500.
    pub timeline: Vec<TimelineEntry>,
}

/// One entry of a credential's or host's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// When, by the collector's clock.
    pub time: Time,
    /// `present`, `gone`, `unknown`, `present-again`, `retired`, `decided` (its `why` is the
    /// disposition), …
    pub what: String,
    /// On which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Which finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingRef>,
    /// The place in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SafeText>,
    /// The reason or proof, as a slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The person, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Filters of the findings list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingQuery {
    /// `present`, `gone`, `unknown`, separated by commas.
    pub presence: Option<String>,
    /// On this host.
    pub host: Option<HostId>,
    /// Of this credential.
    pub credential: Option<CredentialRef>,
    /// The exact access key id.
    pub id: Option<String>,
    /// Providers, separated by commas.
    pub provider: Option<String>,
    /// Rules, separated by commas.
    pub rule: Option<String>,
    /// Kinds, separated by commas. References are left out unless named.
    pub kind: Option<String>,
    /// At least this confidence.
    pub confidence: Option<Confidence>,
    /// `file`, `process`, `history`, separated by commas.
    #[serde(rename = "type")]
    pub place_type: Option<String>,
    /// Part of the path, unit or user.
    pub q: Option<String>,
    /// What Git says: `pushed`, `not-pushed`, `unknown`, separated by commas. What lies in no
    /// repository is none of these.
    pub pushed: Option<String>,
    /// First seen since this instant.
    pub since: Option<Time>,
    /// `-score` (default), `-first_seen`, `-last_verified`, `host`, `path`.
    pub sort: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
    /// Rows a page, at most 1000.
    pub limit: Option<u32>,
}

/// One finding: a credential in a place on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingRow {
    /// Its reference.
    #[serde(rename = "ref")]
    pub reference: FindingRef,
    /// On which host.
    pub host: HostId,
    /// The name that the host claims.
    pub host_name: String,
    /// Of which credential.
    pub credential: CredentialRef,
    /// The rule.
    pub rule: RuleId,
    /// Who issues it.
    pub provider: Provider,
    /// What sort.
    pub kind: Kind,
    /// The id, masked for viewers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// How sure.
    pub confidence: Confidence,
    /// What may be shown of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Where.
    pub location: Location,
    /// Who can read it.
    pub reach: Reach,
    /// Which process, unit, container.
    pub origin: Origin,
    /// What Git says of it, where it lies in a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// Who put it into its file; none where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<WrittenBy>,
    /// Whether it is still there.
    pub presence: Presence,
    /// Presence as one word, for filters and tables.
    pub state: PresenceState,
    /// Where a process has it from, when a file of the same host holds it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// For a file that does not hold it any more: a process of the same host that still does, until it
    /// is started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Location>,
    /// Handed over by a secret store.
    pub delivered: bool,
    /// 0 to 100.
    pub score: u32,
    /// Why it is new.
    pub why_new: WhyNew,
    /// How often it came back.
    pub returns: u32,
    /// First seen by the agent.
    pub first_seen: Time,
    /// Last read to an answer.
    pub last_verified: Time,
    /// When the collector stored this state.
    pub received: Time,
}

/// Who holds this key? One of the two fields.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoHolds {
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CredentialId>,
    /// The secret itself: hashed in the handler's first line, never stored or logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Who holds it, and of whom nobody can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holders {
    /// The credential, when one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRow>,
    /// Its places, as stored.
    pub places: Vec<FindingRow>,
    /// Hosts whose stored answer is current and whole: it is not on them.
    pub hosts_without: u64,
    /// Hosts of which nobody can say: silent, pending, read in part.
    pub hosts_unknown: u64,
}

/// Something changed; sent on the event stream so that pages refresh what they show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// Findings of a host changed.
    Findings {
        /// The host.
        host: HostId,
        /// The findings, at most 100.
        findings: Vec<FindingRef>,
        /// Their credentials.
        credentials: Vec<CredentialRef>,
    },
    /// People decided about a credential.
    Credential {
        /// Which.
        credential: CredentialRef,
    },
    /// A host's state, facts or coverage changed.
    Host {
        /// The host.
        host: HostId,
    },
    /// The stream lost events: reload.
    Reload,
}

/// Which part of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Part of who, what or on what.
    pub q: Option<String>,
    /// Only this action: `sign-in`, `decide`, `who-holds`, …
    pub action: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
    /// Rows a page, 1 to 1000; 200 when absent.
    pub limit: Option<u32>,
}

/// One entry of the audit log, newest first in lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, by the collector's clock.
    pub time: Time,
    /// Who: a person, `token:ID of PERSON`, `token:ID`, `host:ID` or `collector`.
    pub actor: String,
    /// The address that they came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What.
    pub action: String,
    /// On what. Never a secret.
    pub object: String,
    /// `done`, or why it was refused.
    pub result: String,
    /// The hash of this entry and all before it, hex: written down elsewhere, it makes a change of
    /// the log visible.
    pub hash: String,
}

/// Asks for an enrollment token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewEnrollmentToken {
    /// How many hosts may use it; 1 when absent.
    pub uses: Option<u32>,
    /// Seconds that it lives; one hour when absent, thirty days at most.
    pub seconds: Option<u32>,
    /// Labels that every host enrolled with it gets: these grant scope.
    pub labels: BTreeMap<String, String>,
    /// For people.
    pub note: Option<String>,
}

/// An enrollment token with its bootstrap string, shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedEnrollmentToken {
    /// The token.
    pub token: EnrollmentToken,
    /// The string to paste on the host.
    pub bootstrap: String,
}

/// An enrollment token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrollmentToken {
    /// Its id.
    pub id: TokenId,
    /// How often it may be used.
    pub uses: u32,
    /// How often it was.
    pub used: u32,
    /// When it ends.
    pub until: Time,
    /// Labels it gives.
    pub labels: BTreeMap<String, String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
}

/// Asks for an API token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// For people.
    pub name: String,
    /// At most one's own role.
    pub role: Role,
    /// Only hosts with one of these labels, each of which one must see oneself; everything that one
    /// sees when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Days that it lives: 1 to 365; 90 when absent.
    #[serde(default)]
    pub days: Option<u32>,
}

/// An API token with its value, shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedApiToken {
    /// The token.
    pub token: ApiToken,
    /// `akw_` and a checksummed value, for `Authorization: Bearer`.
    pub value: String,
}

/// An API token, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The labels that narrow what it sees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who made it.
    pub person: String,
    /// When it was made.
    pub created: Time,
    /// When it ends.
    pub until: Time,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Time>,
}
