//! A token becomes a host; a host renews its certificate.

use akwatch_proto::agent::{Enroll, Enrolled, HostId, PROTOCOL, RefusalCode, Renewed};
use akwatch_proto::time::Time;
use akwatch_store::enrollment::{NewCertificate, TokenRecord, TokenRefusal};
use akwatch_store::hosts::{Enrolling, NewHost};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::Domain;
use crate::domain::refusal::Refusal;
use crate::domain::speaker::{Speaker, revoked};
use crate::pki::authority::{DAY_MS, LATE_DAYS};
use crate::pki::{CsrError, PeerCertificate};

impl Domain {
    /// Lets a host in whose message the caller has bounded. Until its first word, the same key with
    /// the same token is answered the same, so that a lost answer locks no host out. A code that begins with `Token` says
    /// that the token was not good.
    ///
    /// # Errors
    /// When the request for a certificate or the token is refused, or the store fails.
    pub async fn enroll(
        &self,
        enroll: Enroll,
        address: &str,
        now: Time,
    ) -> Result<Enrolled, Refusal> {
        let id = HostId(Uuid::new_v4());
        let certificate = self
            .authority
            .issue_host(&enroll.csr, id, now)
            .map_err(|error| refused_csr(&error))?;
        let host = NewHost {
            id,
            token: enroll.token.clone(),
            secret_hash: Sha256::digest(enroll.secret.expose().as_bytes()).into(),
            facts: enroll.facts,
            peer: Some(address.to_owned()),
            key: certificate.key,
            certificate: NewCertificate {
                serial: certificate.serial,
                until: certificate.not_after,
            },
            pem: certificate.pem.clone(),
            heartbeat_seconds: self.heartbeat_seconds,
        };
        let (id, certificate) = match self.store.enroll(host, now).await? {
            Enrolling::Enrolled { .. } => {
                tracing::info!(host = %id, peer = %address, "a host was enrolled");
                (id, certificate.pem)
            }
            Enrolling::Again { host, pem } => {
                tracing::info!(%host, peer = %address, "a host whose answer was lost is told again");
                (host, pem)
            }
            Enrolling::Refused(why) => {
                tracing::warn!(token = %enroll.token, peer = %address, ?why, "an enrollment was refused");
                return Err(refused_token(why));
            }
        };
        Ok(Enrolled {
            host: id,
            trust_domain: self.authority.trust_domain().clone(),
            certificate,
            authorities: self.authority.pem().to_owned(),
            fleet_key: self.keys.fleet(),
            directive_keys: vec![self.keys.directive_public()],
            heartbeat_seconds: self.heartbeat_seconds,
            time: now,
        })
    }

    /// A new certificate for a host that asks with its current one.
    ///
    /// # Errors
    /// When the request is refused, the host is no longer known, or the store fails.
    pub async fn renew(&self, by: &Speaker, csr: &str, now: Time) -> Result<Renewed, Refusal> {
        self.issue(by.id(), csr, by.address(), now).await
    }

    /// A new certificate for a host whose own has expired, and which has proven by `old`'s key
    /// that it asks: only with its latest certificate, and not too late. One that was issued and never
    /// shown does not count as later: its answer may have been lost.
    ///
    /// # Errors
    /// When it is too late, `old` is not the host's latest, the request is refused, or the store
    /// fails.
    pub async fn renew_expired(
        &self,
        old: &PeerCertificate,
        csr: &str,
        address: &str,
        now: Time,
    ) -> Result<Renewed, Refusal> {
        if now.since(old.not_after) > LATE_DAYS * DAY_MS {
            return Err(Refusal::new(
                RefusalCode::Revoked,
                format!("The certificate expired more than {LATE_DAYS} days ago."),
            )
            .hint("Enroll the host again with a new token."));
        }
        let known = self.known(old, address, now).await?;
        if known.host != old.host || known.revoked || !known.latest {
            return Err(revoked());
        }
        self.issue(old.host, csr, address, now).await
    }

    async fn issue(
        &self,
        host: HostId,
        csr: &str,
        address: &str,
        now: Time,
    ) -> Result<Renewed, Refusal> {
        let issued = self
            .authority
            .issue_host(csr, host, now)
            .map_err(|error| refused_csr(&error))?;
        let certificate = NewCertificate {
            serial: issued.serial,
            until: issued.not_after,
        };
        let peer = Some(address.to_owned());
        let added = self.store.add_certificate(host, certificate, peer, now);
        if !added.await? {
            return Err(revoked());
        }
        tracing::info!(%host, peer = %address, "a host's certificate was renewed");
        Ok(Renewed {
            certificate: issued.pem,
            authorities: self.authority.pem().to_owned(),
            time: now,
        })
    }
}

/// Decides about a token whose secret was right; `again` when it is the same host that asks for its
/// answer once more, which uses nothing up. The store asks inside the transaction that uses the
/// token up, so that two hosts cannot share its last use.
///
/// # Errors
/// When its time is over or it was used as often as it may be.
pub fn may_enroll(token: &TokenRecord, again: bool, now: Time) -> Result<(), TokenRefusal> {
    if now >= token.token.until {
        return Err(TokenRefusal::Expired);
    }
    if !again && token.token.used >= token.token.uses {
        return Err(TokenRefusal::UsedUp);
    }
    Ok(())
}

/// Whether an agent and this collector understand each other; asked before anything else of a
/// message is looked at.
///
/// # Errors
/// When they do not.
pub fn speaks_our_version(protocol: u16) -> Result<(), Refusal> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::Version,
        format!("This collector speaks version {PROTOCOL} of the wire, the agent {protocol}."),
    )
    .hint("Upgrade the older of the two."))
}

/// A request that was not signed, as the agent reads it.
fn refused_csr(error: &CsrError) -> Refusal {
    let code = match error {
        CsrError::TooLarge(_) => RefusalCode::TooLarge,
        CsrError::Malformed | CsrError::Algorithm => RefusalCode::Malformed,
    };
    Refusal::new(code, format!("Not understood: {error}."))
}

fn refused_token(why: TokenRefusal) -> Refusal {
    const NEW: &str = "Ask for a new bootstrap string: `akwatch-server enrollment-token create`, or \
                       Enrollment in the console.";
    match why {
        TokenRefusal::Unknown => Refusal::new(
            RefusalCode::TokenUnknown,
            "There is no such enrollment token, or its secret is another.",
        )
        .hint("Copy the whole bootstrap string again; it is shown once."),
        TokenRefusal::Expired => Refusal::new(
            RefusalCode::TokenExpired,
            "The enrollment token's time is over.",
        )
        .hint(NEW),
        TokenRefusal::UsedUp => Refusal::new(
            RefusalCode::TokenUsedUp,
            "The enrollment token was used as often as it may be.",
        )
        .hint(NEW),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use akwatch_proto::agent::TokenId;
    use akwatch_proto::people::EnrollmentToken;

    use super::*;

    fn check(used: u32, again: bool, now: i64, expected: Result<(), TokenRefusal>) {
        let token = TokenRecord {
            token: EnrollmentToken {
                id: TokenId::parse("t1").unwrap(),
                uses: 2,
                used,
                until: Time(100),
                labels: BTreeMap::new(),
                note: None,
                created_by: "ada".to_owned(),
                created: Time(0),
            },
            secret_hash: [0; 32],
        };
        assert_eq!(may_enroll(&token, again, Time(now)), expected);
    }

    #[test]
    fn a_token_ends_by_time_and_by_use() {
        check(0, false, 99, Ok(()));
        check(1, false, 99, Ok(()));
        check(2, false, 99, Err(TokenRefusal::UsedUp));
        check(0, false, 100, Err(TokenRefusal::Expired));
        check(2, true, 99, Ok(()));
        check(2, true, 100, Err(TokenRefusal::Expired));
    }
}
