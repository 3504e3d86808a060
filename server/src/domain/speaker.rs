//! Hosts that speak for themselves: what is taken from them, and what they are told.
//!
//! Revocation counts at once: the store is asked on every request, since TLS resumption skips the
//! certificate's verification and another program may have revoked it.

use akwatch_proto::agent::{
    Directive, Heartbeat, HeartbeatAnswer, HostId, Leaving, Outcome, RefusalCode, Report, Reported,
};
use akwatch_proto::signed::Signed;
use akwatch_proto::time::Time;
use akwatch_store::enrollment::{CertificateRecord, NewCertificate, UnknownCertificate};
use akwatch_store::findings::Applying;
use akwatch_store::hosts::{Beat, Beaten, NotTaken};
use akwatch_store::{Actor, Scope};

use crate::domain::Domain;
use crate::domain::refusal::Refusal;
use crate::domain::report::must_resync;
use crate::pki::PeerCertificate;

/// A host that may speak for itself.
#[derive(Clone, Debug)]
pub struct Speaker {
    id: HostId,
    address: String,
}

impl Speaker {
    /// Which host.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.id
    }

    /// The address that the collector sees.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    fn actor(&self) -> Actor {
        Actor {
            name: format!("host:{}", self.id),
            from: Some(self.address.clone()),
        }
    }
}

impl Domain {
    /// The host that a certificate, verified by TLS and not expired, speaks for.
    ///
    /// # Errors
    /// When the certificate is not known as this host's, was revoked, or the store fails.
    pub async fn speaker(
        &self,
        shown: &PeerCertificate,
        address: String,
        now: Time,
    ) -> Result<Speaker, Refusal> {
        let id = shown.host;
        let known = self.known(shown, &address, now).await?;
        if known.host != id || known.revoked {
            return Err(revoked());
        }
        if !known.used {
            let serial = shown.serial.clone();
            self.store.note_certificate_used(serial, now).await?;
        }
        Ok(Speaker { id, address })
    }

    /// What the store knows of a certificate that the authority has signed.
    ///
    /// One that it does not know it takes over: a certificate is stored before it is handed out and no
    /// row is ever deleted, so the database is a backup that is older. To refuse would lock out every
    /// host that was renewed or enrolled since.
    ///
    /// # Errors
    /// When the host was retired, the serial number is another host's, the certificate has ended and
    /// is not the host's last, or the store fails.
    pub(super) async fn known(
        &self,
        shown: &PeerCertificate,
        address: &str,
        now: Time,
    ) -> Result<CertificateRecord, Refusal> {
        let scope = Scope::Host(shown.host);
        if let Some(known) = self.store.certificate(&scope, &shown.serial).await? {
            return Ok(known);
        }
        let unknown = UnknownCertificate {
            host: shown.host,
            certificate: NewCertificate {
                serial: shown.serial.clone(),
                until: shown.not_after,
            },
            ended: now >= shown.not_after,
            peer: Some(address.to_owned()),
            heartbeat_seconds: self.heartbeat_seconds,
        };
        if self.store.adopt_certificate(unknown, now).await? {
            tracing::warn!(host = %shown.host, "a certificate was taken over that the database does not know: it is older");
        }
        // Another of the host's calls may have been faster.
        let known = self.store.certificate(&scope, &shown.serial).await?;
        known.ok_or_else(revoked)
    }

    /// Refuses a body that speaks for another host, and leaves a trace of it.
    ///
    /// # Errors
    /// When `claimed` is another host, or the store fails.
    pub async fn speaks_for(
        &self,
        by: &Speaker,
        claimed: HostId,
        call: &'static str,
        now: Time,
    ) -> Result<(), Refusal> {
        if claimed == by.id {
            return Ok(());
        }
        tracing::warn!(host = %by.id, %claimed, call, "a host spoke for another");
        let object = format!("host:{claimed}");
        self.record(by.actor(), call, object, "refused: wrong host", now)
            .await?;
        Err(Refusal::new(
            RefusalCode::WrongHost,
            "The body speaks for another host than the certificate.",
        )
        .hint("Enroll this host again if its state was copied from another one."))
    }

    /// Takes the newer states of a report, which the caller has bounded and attributed.
    ///
    /// # Errors
    /// When the host's word is not taken, or the store fails.
    pub async fn report(
        &self,
        by: &Speaker,
        report: Report,
        now: Time,
    ) -> Result<Reported, Refusal> {
        match self.store.apply(report, now).await? {
            Applying::Applied(applied) => Ok(Reported {
                upto: applied.upto,
                reread: applied.reread,
                questions: applied.questions,
            }),
            Applying::NotTaken(why) => Err(self.not_taken(by, "report", why, now).await),
        }
    }

    /// Takes a heartbeat, and decides whether both sides hold the same.
    ///
    /// # Errors
    /// When the host's word is not taken, or the store fails.
    pub async fn heartbeat(
        &self,
        by: &Speaker,
        heartbeat: Heartbeat,
        now: Time,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let said = heartbeat.clone();
        let beat = Beat {
            heartbeat,
            peer: Some(by.address.clone()),
        };
        let recorded = match self.store.beat(beat, now).await? {
            Beaten::Recorded(recorded) => recorded,
            Beaten::NotTaken(why) => return Err(self.not_taken(by, "heartbeat", why, now).await),
        };
        if said.leaving == Some(Leaving::Retired) {
            self.store.retire(by.id, by.actor(), now).await?;
        }
        Ok(HeartbeatAnswer {
            time: now,
            next_seconds: self.heartbeat_seconds,
            resync: must_resync(&said, &recorded),
            want_facts: recorded.no_facts && said.facts.is_none(),
        })
    }

    /// Stores what a host did with its directives.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn outcomes(
        &self,
        by: &Speaker,
        outcomes: Vec<Outcome>,
        now: Time,
    ) -> Result<(), Refusal> {
        if outcomes.is_empty() {
            return Ok(());
        }
        Ok(self.store.record_outcomes(by.id, outcomes, now).await?)
    }

    /// Directives for a host above `serial`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn directives(
        &self,
        by: &Speaker,
        serial: u64,
        now: Time,
    ) -> Result<Vec<Signed<Directive>>, Refusal> {
        let scope = Scope::Host(by.id);
        Ok(self.store.pending(&scope, by.id, serial, now).await?)
    }

    /// What was not taken, as the agent reads it; a clone leaves a trace.
    async fn not_taken(
        &self,
        by: &Speaker,
        call: &'static str,
        why: NotTaken,
        now: Time,
    ) -> Refusal {
        match why {
            NotTaken::UnknownHost | NotTaken::Retired => revoked(),
            NotTaken::OtherInstance { .. } => {
                let object = format!("host:{}", by.id);
                let traced = self.record(by.actor(), call, object, "refused: clone", now);
                if let Err(refusal) = traced.await {
                    return refusal;
                }
                Refusal::new(
                    RefusalCode::Clone,
                    "Another state directory already speaks for this host: this one is a copy.",
                )
                .hint(
                    "Remove the copied state directory and enroll this machine with its own token.",
                )
            }
        }
    }
}

/// The certificate or the host no longer counts.
pub(super) fn revoked() -> Refusal {
    Refusal::new(
        RefusalCode::Revoked,
        "The host's certificate was revoked, or the host was retired.",
    )
    .hint("If the host is to be watched again, enroll it with a new token.")
}
