//! The one way to a handler for a known host: its certificate, verified by TLS and by the store.
//!
//! The store is asked on every request, since TLS resumption skips the certificate's verification
//! and a revocation must count at once, also one that another program wrote.

use akwatch_proto::agent::{HostId, RefusalCode};
use akwatch_store::audit::Entry;
use akwatch_store::{Actor, Scope};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::collector::{self, Collector};
use crate::listen::Peer;
use crate::refusal::Refusal;

/// A host that may speak for itself.
#[derive(Clone, Debug)]
pub struct Host {
    /// Which.
    pub id: HostId,
    /// The address that it speaks from.
    pub address: String,
}

impl FromRequestParts<Collector> for Host {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, collector: &Collector) -> Result<Host, Refusal> {
        let peer = parts.extensions.get::<Peer>().cloned();
        let Some((peer, certificate)) = peer.and_then(|peer| {
            peer.certificate
                .clone()
                .map(|certificate| (peer, certificate))
        }) else {
            return Err(Refusal::new(
                RefusalCode::Unauthenticated,
                "This call needs the certificate that the host got when it was enrolled.",
            )
            .hint("Enroll the host, or renew its certificate if it has expired."));
        };
        let now = collector::now();
        if certificate.not_after < now {
            return Err(Refusal::new(
                RefusalCode::Unauthenticated,
                "The host's certificate has expired.",
            )
            .hint("Renew it: POST /v1/renew/challenge, then /v1/renew/expired."));
        }
        let known = collector
            .store
            .certificate(&Scope::Host(certificate.host), &certificate.serial)
            .await?
            .is_some_and(|known| known.host == certificate.host && !known.revoked);
        if !known {
            return Err(revoked());
        }
        Ok(Host {
            id: certificate.host,
            address: peer.address.ip().to_string(),
        })
    }
}

impl Host {
    /// Refuses a body that speaks for another host, and leaves a trace of it.
    ///
    /// # Errors
    /// When `claimed` is another host.
    pub async fn speaks_for(
        &self,
        collector: &Collector,
        claimed: HostId,
        call: &'static str,
    ) -> Result<(), Refusal> {
        if claimed == self.id {
            return Ok(());
        }
        tracing::warn!(host = %self.id, %claimed, call, "a host spoke for another");
        self.audit(
            collector,
            call,
            format!("host:{claimed}"),
            "refused: wrong host",
        )
        .await?;
        Err(Refusal::new(
            RefusalCode::WrongHost,
            "The body speaks for another host than the certificate.",
        )
        .hint("Enroll this host again if its state was copied from another one."))
    }

    /// Appends to the audit log in this host's name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit(
        &self,
        collector: &Collector,
        action: &str,
        object: String,
        result: &str,
    ) -> Result<(), Refusal> {
        collector
            .store
            .record(Entry {
                time: collector::now(),
                actor: self.actor(),
                action: action.to_owned(),
                object,
                result: result.to_owned(),
            })
            .await?;
        Ok(())
    }

    /// This host as an actor.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            name: format!("host:{}", self.id),
            from: Some(self.address.clone()),
        }
    }
}

/// The certificate or the host no longer counts.
#[must_use]
pub fn revoked() -> Refusal {
    Refusal::new(
        RefusalCode::Revoked,
        "The host's certificate was revoked, or the host was retired.",
    )
    .hint("If the host is to be watched again, enroll it with a new token.")
}

/// What the store did not take, as the agent reads it.
///
/// # Errors
/// Always: this writes the refusal, and the audit entry of a clone.
pub async fn not_taken(
    collector: &Collector,
    host: &Host,
    call: &'static str,
    why: akwatch_store::hosts::NotTaken,
) -> Refusal {
    use akwatch_store::hosts::NotTaken;
    match why {
        NotTaken::UnknownHost | NotTaken::Retired => revoked(),
        NotTaken::OtherInstance { .. } => {
            let object = format!("host:{}", host.id);
            if let Err(refusal) = host.audit(collector, call, object, "refused: clone").await {
                return refusal;
            }
            Refusal::new(
                RefusalCode::Clone,
                "Another state directory already speaks for this host: this one is a copy.",
            )
            .hint("Remove the copied state directory and enroll this machine with its own token.")
        }
    }
}
