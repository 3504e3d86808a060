//! The agents' side of the wire, version 1: enroll, renew, report, heartbeat, check-in.
//!
//! HTTPS with mutual TLS, JSON, bodies compressed with zstd. Every body is bounded by
//! [`limits`](crate::limits). A collector answers a refusal with a [`Refused`] body and a fitting
//! status, and back-pressure with 429 or 503 and `Retry-After`.
//!
//! | call | client certificate | body → answer |
//! |---|---|---|
//! | `POST /v1/enroll` | none; the token is the proof | [`Enroll`] → [`Enrolled`] |
//! | `POST /v1/renew` | the current one | [`Renew`] → [`Renewed`] |
//! | `POST /v1/renew/challenge` | none | [`RenewChallenge`] → [`Nonce`] |
//! | `POST /v1/renew/expired` | none; signed by the old key | [`RenewExpired`] → [`Renewed`] |
//! | `GET /v1/time` | none | → [`ServerTime`] |
//! | `POST /v1/report` | required | [`Report`] → [`Reported`] |
//! | `POST /v1/heartbeat` | required | [`Heartbeat`] → [`HeartbeatAnswer`] |
//! | `POST /v1/check-in` | required | [`CheckIn`] → [`CheckInAnswer`], held open |

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroize;

use crate::coverage::Coverage;
use crate::credential::{Epoch, InvalidWord, RuleId, word};
use crate::digest::SetDigest;
use crate::finding::{Finding, GoneProof};
use crate::limits;
use crate::place::{Place, SafeText};
use crate::signed::Signed;
use crate::time::Time;

/// The version of this wire, named in every enrollment.
pub const PROTOCOL: u16 = 1;

/// One host, for as long as its state directory lives. Given by the collector, never chosen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct HostId(pub Uuid);

impl HostId {
    /// A host id from a number, for tests.
    #[must_use]
    pub const fn from_u128(number: u128) -> HostId {
        HostId(Uuid::from_u128(number))
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HostId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<HostId, uuid::Error> {
        text.parse().map(HostId)
    }
}

word! {
    /// Names an enrollment token; not secret.
    TokenId, "a token id", 32, |c: char| c.is_ascii_alphanumeric()
}

word! {
    /// The collector's trust domain: the host part of every certificate's SPIFFE name.
    TrustDomain, "a trust domain", 255,
    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_')
}

/// A secret that a person hands from the collector to a host. Wiped when dropped; its `Debug` says
/// nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: String) -> TokenSecret {
        TokenSecret(text)
    }

    /// The text, for hashing or sending.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

impl Drop for TokenSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a person pastes on a host to enroll it: `akwatch1:ID:SECRET:PIN`.
///
/// The pin is the SHA-256 of the public key (SPKI) of the collector's authority, in hex: without it
/// a first connection could be anybody's, so a string without it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Which token.
    pub token: TokenId,
    /// Its secret.
    pub secret: TokenSecret,
    /// SHA-256 of the authority's SPKI.
    pub authority: [u8; 32],
}

impl Bootstrap {
    const FORM: InvalidWord = InvalidWord::Form {
        what: "the bootstrap string",
        form: "akwatch1:ID:SECRET:PIN",
    };

    /// The string to paste. The caller shows it once.
    #[must_use]
    pub fn expose(&self) -> String {
        format!(
            "akwatch1:{}:{}:{}",
            self.token,
            self.secret.expose(),
            data_encoding::HEXLOWER.encode(&self.authority)
        )
    }
}

impl FromStr for Bootstrap {
    type Err = InvalidWord;
    fn from_str(text: &str) -> Result<Bootstrap, InvalidWord> {
        let text = text.trim();
        if text.len() > limits::BOOTSTRAP {
            return Err(InvalidWord::Length {
                what: "the bootstrap string",
                length: text.len(),
                limit: limits::BOOTSTRAP,
            });
        }
        let mut parts = text.split(':');
        let (Some("akwatch1"), Some(token), Some(secret), Some(pin), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(Bootstrap::FORM);
        };
        let authority = data_encoding::HEXLOWER
            .decode(pin.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(Bootstrap::FORM)?;
        crate::credential::checked("the bootstrap string's secret", secret, 128, |c| {
            c.is_ascii_alphanumeric()
        })?;
        Ok(Bootstrap {
            token: TokenId::parse(token)?,
            secret: TokenSecret::new(secret.to_owned()),
            authority,
        })
    }
}

/// The key that makes fingerprints: one for the whole fleet and epoch, so that equal secrets join
/// across hosts. Wiped when dropped; its `Debug` names only the epoch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetKey {
    /// Which key.
    pub epoch: Epoch,
    /// 32 bytes, base64.
    key: String,
}

impl FleetKey {
    /// Wraps 32 random bytes.
    #[must_use]
    pub fn new(epoch: Epoch, key: &[u8; 32]) -> FleetKey {
        FleetKey {
            epoch,
            key: data_encoding::BASE64.encode(key),
        }
    }

    /// The key's bytes.
    ///
    /// # Errors
    /// When the text is not 32 bytes of base64.
    pub fn expose(&self) -> Result<[u8; 32], InvalidWord> {
        let mut bytes = data_encoding::BASE64
            .decode(self.key.as_bytes())
            .unwrap_or_default();
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.zeroize();
        key.map_err(|_| InvalidWord::Form {
            what: "a fleet key",
            form: "32 bytes in base64",
        })
    }
}

impl fmt::Debug for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetKey(epoch {}, …)", self.epoch)
    }
}

impl Drop for FleetKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// An Ed25519 public key, hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct PublicKey(pub String);

impl PublicKey {
    /// Writes a verifying key.
    #[must_use]
    pub fn of(key: &ed25519_dalek::VerifyingKey) -> PublicKey {
        PublicKey(data_encoding::HEXLOWER.encode(key.as_bytes()))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When it is not a point of the curve in 64 hex digits.
    pub fn parse(&self) -> Result<ed25519_dalek::VerifyingKey, InvalidWord> {
        data_encoding::HEXLOWER
            .decode(self.0.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok())
            .ok_or(InvalidWord::Form {
                what: "a public key",
                form: "64 hex digits",
            })
    }
}

/// What a host is, as far as it can say without asking anybody. Claims: the collector shows them as
/// such and records the peer's address itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct HostFacts {
    /// The host's own name.
    pub hostname: String,
    /// SHA-256 over a fixed context and `/etc/machine-id`, hex; the id itself stays on the host.
    pub machine: String,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Addresses of its interfaces, loopback left out.
    pub addresses: Vec<String>,
    /// The time zone's name.
    pub time_zone: String,
    /// The agent's version.
    pub agent: String,
    /// Labels from the host's own configuration: shown, never a scope.
    pub labels: BTreeMap<String, String>,
    /// Whether this host is made to come and go: once silent for long it is retired, not missed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// The cloud, from DMI and cloud-init's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudFacts>,
}

/// Which machine of which cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CloudFacts {
    /// `alibaba`, `tencent`, `aws`, …
    pub provider: String,
    /// The account, where a file says it.
    pub account: String,
    /// Region.
    pub region: String,
    /// Zone.
    pub zone: String,
    /// Instance id.
    pub instance: String,
}

/// The first exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Enroll {
    /// [`PROTOCOL`].
    pub protocol: u16,
    /// Which token.
    pub token: TokenId,
    /// Its secret.
    pub secret: TokenSecret,
    /// A certificate request for a P-256 key; every name in it is thrown away.
    pub csr: String,
    /// What the host is.
    pub facts: HostFacts,
}

/// What an enrolled host needs to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// The identity that the certificate carries.
    pub host: HostId,
    /// The trust domain of that identity.
    pub trust_domain: TrustDomain,
    /// The host's certificate and the intermediates, PEM, leaf first.
    pub certificate: String,
    /// The authorities to trust from now on, PEM.
    pub authorities: String,
    /// The key for fingerprints.
    pub fleet_key: FleetKey,
    /// Who may sign directives.
    pub directive_keys: Vec<PublicKey>,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u32,
    /// The collector's clock.
    pub time: Time,
}

/// A new certificate for a new key, asked for with the current certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renew {
    /// A certificate request for the new key.
    pub csr: String,
}

/// The answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renewed {
    /// The new certificate and the intermediates, PEM, leaf first.
    pub certificate: String,
    /// The authorities to trust from now on, PEM.
    pub authorities: String,
    /// The collector's clock.
    pub time: Time,
}

/// Asks for a nonce to renew an expired certificate with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenewChallenge {
    /// Who asks.
    pub host: HostId,
}

/// The collector's nonce: 32 bytes, hex, good for one minute and one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nonce {
    /// The nonce.
    pub nonce: String,
}

/// Renewal with a certificate that has expired, at most 30 days ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenewExpired {
    /// Who asks.
    pub host: HostId,
    /// The expired certificate, PEM.
    pub certificate: String,
    /// The collector's nonce.
    pub nonce: String,
    /// A certificate request for the new key.
    pub csr: String,
    /// By the old key, ECDSA P-256 SHA-256 (ASN.1), over [`RENEW_CONTEXT`], the nonce's bytes and
    /// the request's PEM; base64.
    pub signature: String,
}

/// Prepended to what the old key signs.
pub const RENEW_CONTEXT: &[u8] = b"akwatch renew expired v1\0";

/// The collector's clock, for a host whose own is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerTime {
    /// Now.
    pub time: Time,
}

/// The findings whose state is newer than what the collector has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The identity that the certificate must carry.
    pub host: HostId,
    /// The state directory's own number, made at enrollment: a copy or a restored snapshot shows.
    pub instance: Uuid,
    /// Everything up to this ledger revision is in this report or was acknowledged before.
    pub upto: u64,
    /// Whether this report is part of the answer to "tell me everything".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync: Option<Resync>,
    /// The states, at most [`limits::FINDINGS_PER_REPORT`].
    pub findings: Vec<Finding>,
    /// Places of earlier [questions](Reported::questions) in which nothing is but what this agent
    /// lists, at most [`limits::REREAD_PLACES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<RereadAnswer>,
}

/// A place that the full list left out, and what would count as an answer about it.
///
/// The agent has no finding of it any more, its record may be lost. It answers only when it has read
/// the place to its end, or found it absent, under every rule that is named and a policy that
/// covers the place; until then what the collector knew of it stays *unknown*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RereadQuestion {
    /// The place.
    pub place: Place,
    /// The rules by which the collector's findings of it were found. More than
    /// [`limits::REREAD_RULES`] are too many to be answered: a collector that knows of more names one
    /// more than that and leaves the others out, and the agent does not keep the question.
    pub rules: Vec<RuleId>,
}

/// *Read, and not there*: what the collector knew of this place and the full list left out is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RereadAnswer {
    /// The full list that left it out: a question of an earlier list is void.
    pub list: Uuid,
    /// The place.
    pub place: Place,
    /// How it is known.
    pub proof: GoneProof,
    /// When that was established, by the host's clock.
    pub at: Time,
    /// The epochs of the fleet keys that it was looked for with, at most [`limits::EPOCHS`]. Under
    /// another key the same value has another fingerprint, so of those it says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<Epoch>,
}

/// One part of a full list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// The same for all parts of one list.
    pub id: Uuid,
    /// Whether more parts follow.
    pub more: bool,
}

/// The acknowledgement, sent after the collector's transaction has committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reported {
    /// The revision up to which everything is durable at the collector.
    pub upto: u64,
    /// Places that the collector knows and the full list did not name: *unknown* until re-read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<Place>,
    /// The same places, with what an answer must be able to look for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<RereadQuestion>,
}

/// What this agent has cost since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CostReceipt {
    /// CPU milliseconds of all roles.
    pub cpu_ms: u64,
    /// Bytes read from places.
    pub bytes_read: u64,
    /// Peak resident memory of all roles, KiB.
    pub peak_rss_kib: u64,
    /// Application bytes sent and received.
    pub network_bytes: u64,
    /// Seconds that this covers.
    pub seconds: u64,
}

/// Liveness, coverage and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// The identity that the certificate must carry.
    pub host: HostId,
    /// The state directory's own number.
    pub instance: Uuid,
    /// Rises with every start and every heartbeat; a lower one is a copy or a restored state.
    pub counter: u64,
    /// The host's clock.
    pub time: Time,
    /// Sent when changed since the last answered heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<HostFacts>,
    /// What is watched and how well.
    pub coverage: Coverage,
    /// The set of acknowledged findings and their presence.
    pub digest: SetDigest,
    /// The last acknowledged revision.
    pub acknowledged: u64,
    /// Findings still to be sent.
    pub unsent: u64,
    /// What the agent costs.
    #[serde(default)]
    pub cost: CostReceipt,
    /// Whether the agent says good-bye: an orderly stop, or its retirement.
    #[serde(default)]
    pub leaving: Option<Leaving>,
}

/// Why an agent will not be heard again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Leaving {
    /// Stopped in order.
    Stopped,
    /// Retired by a person on the host.
    Retired,
    /// A reason that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAnswer {
    /// The collector's clock.
    pub time: Time,
    /// Seconds until the next one.
    pub next_seconds: u32,
    /// The digests differ: send everything.
    #[serde(default)]
    pub resync: bool,
    /// The collector wants the facts again.
    #[serde(default)]
    pub want_facts: bool,
}

/// Asks for directives; held open until there is one or the wait is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckIn {
    /// The identity that the certificate must carry.
    pub host: HostId,
    /// The highest serial that this host has opened.
    pub serial: u64,
    /// How long the collector may hold this, at most.
    pub wait_seconds: u32,
    /// What became of earlier directives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

/// What a host did with a directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Which.
    pub serial: u64,
    /// What happened.
    pub result: OutcomeResult,
    /// In words, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<SafeText>,
}

/// What happened to a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeResult {
    /// Carried out.
    Done,
    /// Local policy refuses it, visibly.
    Refused,
    /// It could not be opened: signature, audience, time or serial.
    Invalid,
    /// An outcome that this program is too old to know.
    #[serde(other)]
    Unknown,
}

/// The answer to a check-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckInAnswer {
    /// At most [`limits::DIRECTIVES`], serials rising.
    pub directives: Vec<Signed<Directive>>,
}

/// The longest pause: a day. Stops: a host that is silenced for good by one forgotten word.
pub const LONGEST_PAUSE_SECONDS: u32 = 24 * 3600;

/// What a collector may ask of an agent. There is no directive that returns content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "directive", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Directive {
    /// Read these places again now, or everything when none is named.
    Rescan {
        /// The places; a path is re-read only where local policy covers it.
        places: Vec<Place>,
    },
    /// Read nothing for a while, at most [`LONGEST_PAUSE_SECONDS`]; heartbeats go on. It replaces the one
    /// that a collector asked for before. One that root of the host asked for stands beside it, and the
    /// later end holds. A host may refuse it.
    Pause {
        /// How long, from when it is opened.
        seconds: u32,
    },
    /// End the pause that a collector asked for; one that root of the host asked for goes on.
    Resume,
    /// A directive that this agent is too old to know; answered as refused.
    #[serde(other)]
    Unknown,
}

/// A rule set aside by the detector, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleSetAside {
    /// The rule.
    pub rule: RuleId,
    /// Why.
    pub why: String,
}

/// The body of every refusal, on both listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what was refused and why.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names this answer in the collector's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// No such token.
    TokenUnknown,
    /// The token's time is over.
    TokenExpired,
    /// The token was used as often as it may be.
    TokenUsedUp,
    /// The certificate carries another host, or none.
    WrongHost,
    /// The certificate was revoked or the host retired.
    Revoked,
    /// Another state directory speaks for this host: a clone.
    Clone,
    /// The body is not what the call takes.
    Malformed,
    /// A limit of the wire was exceeded.
    TooLarge,
    /// The other side speaks a version that this one does not.
    Version,
    /// Come back later.
    Busy,
    /// Nobody is signed in, or the session is over.
    Unauthenticated,
    /// The role or scope does not allow it.
    Forbidden,
    /// No such thing.
    NotFound,
    /// Somebody else was faster.
    Conflict,
    /// The fault is the collector's.
    Internal,
    /// A code that this program is too old to know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_string_reads_back_and_needs_its_pin() {
        let text = format!("akwatch1:t7:s3cr3t:{}", "ab".repeat(32));
        let bootstrap: Bootstrap = text.parse().unwrap();
        assert_eq!(bootstrap.expose(), text);
        assert!(!format!("{bootstrap:?}").contains("s3cr3t"));
        for bad in [
            "",
            "akwatch1:t7:s3cr3t",
            "akwatch1:t7:s3cr3t:abcd",
            "akwatch2:a:b:c",
        ] {
            assert!(bad.parse::<Bootstrap>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fleet_key_does_not_print_itself() {
        let key = FleetKey::new(Epoch::parse("1").unwrap(), &[7; 32]);
        assert_eq!(format!("{key:?}"), "FleetKey(epoch 1, …)");
        assert_eq!(key.expose().unwrap(), [7; 32]);
    }

    #[test]
    fn a_directive_of_the_future_is_refusable_not_an_error() {
        let directive: Directive =
            serde_json::from_str(r#"{"directive":"hunt","ids":["AKID"]}"#).unwrap();
        assert_eq!(directive, Directive::Unknown);
    }
}
