//! Enrollment tokens and the certificates that they led to.

use std::collections::{BTreeMap, HashSet};

use akwatch_proto::agent::{HostId, TokenId};
use akwatch_proto::people::EnrollmentToken;
use akwatch_proto::time::Time;

use crate::audit::Actor;
use crate::{Answer, Scope};

/// A token to store. Its secret is known by hash only.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret, which is random and long: no password hash is needed.
    pub secret_hash: [u8; 32],
    /// How often it may be used.
    pub uses: u32,
    /// When it ends.
    pub until: Time,
    /// Labels that every host gets: these grant scope.
    pub labels: BTreeMap<String, String>,
    /// For people.
    pub note: Option<String>,
}

/// A token as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// What people see.
    pub token: EnrollmentToken,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
}

/// Why a token does not enroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// There is no such token, or its secret is another; which of the two is not told.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was used as often as it may be.
    UsedUp,
}

/// Enrollment tokens.
pub trait EnrollmentTokens {
    /// Stores a token.
    fn create_token(&self, token: NewToken, actor: Actor, now: Time)
    -> Answer<'_, EnrollmentToken>;

    /// Every token, newest first, expired ones too. Tokens belong to the whole fleet: a scope other
    /// than [`Scope::All`] sees none.
    fn tokens<'a>(&'a self, scope: &'a Scope) -> Answer<'a, Vec<EnrollmentToken>>;

    /// One token, to refuse early; [`Hosts::enroll`](crate::Hosts::enroll) decides.
    fn token<'a>(&'a self, scope: &'a Scope, id: &'a TokenId) -> Answer<'a, Option<TokenRecord>>;

    /// Deletes a token; false when there is none.
    fn delete_token(&self, id: TokenId, actor: Actor, now: Time) -> Answer<'_, bool>;
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCertificate {
    /// Its serial number, lower-case hex without leading zeros.
    pub serial: String,
    /// When it ends.
    pub until: Time,
}

/// What a serial number stands for.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Whose it is.
    pub host: HostId,
    /// When it ends.
    pub until: Time,
    /// Whether it was revoked, by itself or with its host.
    pub revoked: bool,
    /// Whether no later one of its host, which is not revoked, has ever been shown: the answer that
    /// carried a later one may have been lost. Later is what was issued later; beside one that was
    /// taken over after a restore, of which that is not known, what ends later.
    pub latest: bool,
    /// Whether it was ever shown.
    pub used: bool,
}

/// A certificate of the authority that the store has no row of: the database was restored from a
/// backup that is older than it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCertificate {
    /// Whose it is, by its name.
    pub host: HostId,
    /// Serial number and end.
    pub certificate: NewCertificate,
    /// Whether it has ended and is shown to be renewed.
    pub ended: bool,
    /// The address that the collector saw.
    pub peer: Option<String>,
    /// Seconds between heartbeats, for a host that is as unknown.
    pub heartbeat_seconds: u32,
}

/// Certificates of hosts.
pub trait Certificates {
    /// Stores a renewed certificate, asked for from the address `peer`; false when the host is unknown
    /// or retired, and then it must not be handed out.
    fn add_certificate(
        &self,
        host: HostId,
        certificate: NewCertificate,
        peer: Option<String>,
        now: Time,
    ) -> Answer<'_, bool>;

    /// Notes that a certificate was shown, once.
    fn note_certificate_used(&self, serial: String, now: Time) -> Answer<'_, ()>;

    /// Takes a certificate over that the authority has signed and no row tells of, with its host if
    /// that is unknown too: a host without labels, which nobody but the whole fleet's people sees.
    /// The caller has verified signature and key. False when the serial number is known, the host
    /// retired, or the certificate has ended and the host has shown one that ends later.
    fn adopt_certificate(&self, unknown: UnknownCertificate, now: Time) -> Answer<'_, bool>;

    /// Revokes one; false when there is none.
    fn revoke_certificate(&self, serial: String, actor: Actor, now: Time) -> Answer<'_, bool>;

    /// What a serial number stands for.
    fn certificate<'a>(
        &'a self,
        scope: &'a Scope,
        serial: &'a str,
    ) -> Answer<'a, Option<CertificateRecord>>;

    /// Serials that are revoked and would not have ended before `now`: small, to be held in memory
    /// and asked on every request.
    fn revoked<'a>(&'a self, scope: &'a Scope, now: Time) -> Answer<'a, HashSet<String>>;
}
