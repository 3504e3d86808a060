//! Credentials as people see them, and who holds one.

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::credential::{CredentialId, Fingerprint, Scheme};
use akwatch_proto::people::{
    CredentialDetail, CredentialQuery, CredentialRef, CredentialRow, Decide, Decision, Holders,
    Page,
};
use akwatch_proto::time::Time;
use akwatch_store::decisions::Deciding;
use akwatch_store::filter::CredentialFilter;

use crate::domain::people::Asker;
use crate::domain::refusal::Refusal;
use crate::domain::{Domain, decision, view};
use crate::pki::Keys;

/// What is asked about: by id, which is no secret, or by every fingerprint that a secret may have.
pub enum Asked {
    /// The key's id.
    Id(CredentialId),
    /// Of the secret, which is wiped by now.
    Fingerprints(Vec<Fingerprint>),
}

impl Domain {
    /// One page of the credentials.
    ///
    /// # Errors
    /// When a filter's value is refused, or the store fails.
    pub async fn credentials(
        &self,
        by: &Asker,
        query: &CredentialQuery,
    ) -> Result<Page<CredentialRow>, Refusal> {
        let filter = CredentialFilter::try_from(query)?;
        let page = self.store.credentials(by.scope(), &filter).await?;
        Ok(view::for_role(by.role(), page))
    }

    /// One credential: its blast radius.
    ///
    /// # Errors
    /// When there is none that the asker may see, or the store fails.
    pub async fn credential(
        &self,
        by: &Asker,
        reference: &str,
    ) -> Result<CredentialDetail, Refusal> {
        let missing = || Refusal::not_found("credential");
        let reference = CredentialRef::parse(reference).map_err(|_| missing())?;
        let detail = self.store.credential(by.scope(), &reference).await?;
        Ok(view::for_role(by.role(), detail.ok_or_else(missing)?))
    }

    /// Who holds a key; the question is audited, without what was pasted. Who holds a password a
    /// person chose is told only to those who see the whole fleet.
    ///
    /// # Errors
    /// When the store fails: what cannot be audited is not answered.
    pub async fn who_holds(&self, by: &Asker, asked: Asked, now: Time) -> Result<Holders, Refusal> {
        let (holders, object) = match asked {
            Asked::Id(id) => {
                let holders = self.store.holders_of_id(by.scope(), &id).await?;
                (holders, format!("id:{id}"))
            }
            Asked::Fingerprints(mut fingerprints) => {
                // Guessing passwords by asking who has one is for those who answer for all of them.
                if by.labels().is_some() {
                    fingerprints.retain(|one| one.scheme != Scheme::ArgonHmac);
                }
                let holders = self
                    .store
                    .holders_of_secret(by.scope(), &fingerprints)
                    .await?;
                (holders, "a pasted secret".to_owned())
            }
        };
        let found = holders
            .credential
            .as_ref()
            .map(|row| row.reference.as_str());
        let object = format!("{object} → {}", found.unwrap_or("nothing"));
        self.record(by.actor(), "who-holds", object, "done", now)
            .await?;
        Ok(view::for_role(by.role(), holders))
    }

    /// Decides about a credential: people's word, beside the agents'.
    ///
    /// # Errors
    /// When a reason or an end is missing or out of bounds; when somebody else has decided since; when
    /// there is no such credential in sight, or it lies beyond the asker's scope too; when the store
    /// fails.
    pub async fn decide(
        &self,
        by: &Asker,
        reference: &str,
        decide: Decide,
        now: Time,
    ) -> Result<Decision, Refusal> {
        let missing = || Refusal::not_found("credential");
        let reference = CredentialRef::parse(reference).map_err(|_| missing())?;
        let decide = decision::checked(decide, now)?;
        let deciding = self
            .store
            .decide(by.scope().clone(), reference, decide, by.actor(), now);
        match deciding.await? {
            Deciding::Done(decision) => Ok(decision),
            Deciding::Conflict(stands) => Err(decision::conflict(&stands)),
            Deciding::Unknown => Err(missing()),
            Deciding::Beyond => Err(Refusal::new(
                RefusalCode::Forbidden,
                "This credential lies on hosts outside your scope too.",
            )
            .hint("Ask somebody who sees all of its hosts to decide.")),
        }
    }

    /// Does slow work with the collector's keys, when it is its turn: Argon2 takes tens of
    /// milliseconds and 19 MiB, so it waits among the passwords.
    ///
    /// # Errors
    /// When no turn was free in time.
    pub async fn with_keys<T: Send + 'static>(
        self: &std::sync::Arc<Domain>,
        work: impl FnOnce(&Keys) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let domain = std::sync::Arc::clone(self);
        self.passwords.turn(move || work(&domain.keys)).await
    }
}
