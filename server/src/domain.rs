//! What the collector decides, apart from how it hears and tells.
//!
//! Knows neither HTTP nor SQL. Two halves: pure functions, which the store calls through [`Judge`]
//! inside its transactions, so that a score or verdict never disagrees with the counters that it
//! follows from; and [`Domain`], the one holder of the store, whose methods are the views and
//! commands of both listeners. A view takes the [`Asker`](people::Asker) whose scope bounds it, a
//! command whoever acts and answers for it, a host's message the
//! [`Speaker`](speaker::Speaker) that sent it. No clock: `now` is handed in.

use std::sync::Arc;

use akwatch_proto::finding::Cause;
use akwatch_proto::people::{Disposition, PresenceCounts, Score, Verdict};
use akwatch_proto::place::SafeText;
use akwatch_proto::time::Time;
use akwatch_store::audit::Entry;
use akwatch_store::enrollment::{TokenRecord, TokenRefusal};
use akwatch_store::hosts::Listened;
use akwatch_store::rules::{CauseCandidate, Class, CredentialTally, FindingFacts, HostTally};
use akwatch_store::{Actor, Rules, Scope, Store};

use crate::domain::passwords::Passwords;
use crate::domain::refusal::Refusal;
use crate::pki::{Authority, Keys};

pub mod access;
pub mod audit;
pub mod credentials;
mod decision;
pub mod enrollment;
pub mod events;
pub mod exposure;
pub mod findings;
pub mod fleet;
pub mod grants;
pub mod passwords;
pub mod people;
pub mod refusal;
pub mod report;
pub mod speaker;
pub mod verdict;
pub mod view;

/// Decides, and has the store remember it. The store is reached through here alone: its field is
/// private to this module, so that no handler can go round a decision.
pub struct Domain {
    store: Arc<dyn Store>,
    authority: Authority,
    keys: Keys,
    passwords: Passwords,
    heartbeat_seconds: u32,
}

impl Domain {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        authority: Authority,
        keys: Keys,
        heartbeat_seconds: u32,
    ) -> Domain {
        Domain {
            store,
            authority,
            keys,
            passwords: Passwords::default(),
            heartbeat_seconds,
        }
    }

    /// Issues certificates; decides nothing.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn healthy(&self, now: Time) -> Result<(), Refusal> {
        let _revoked = self.store.revoked(&Scope::All, now).await?;
        Ok(())
    }

    /// Marks the hosts silent that should have been heard; call it every few seconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_silent(&self, listened: Listened, now: Time) -> Result<(), Refusal> {
        let marked = self.store.mark_silent(report::MISSED, listened, now);
        let _marked = marked.await?;
        Ok(())
    }

    /// Retires the hosts that are made to come and go once they have been silent for long; call it
    /// every minute, apart from [`Domain::mark_silent`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn retire_ephemeral(&self, listened: Listened, now: Time) -> Result<(), Refusal> {
        let ended = self
            .store
            .retire_ephemeral(report::EPHEMERAL_MS, listened, Actor::collector(), now)
            .await?;
        for host in ended {
            tracing::info!(%host, "an ephemeral host was silent for long and is retired");
        }
        Ok(())
    }

    /// Scores again what has expired, and opens what was accepted until now; call it every minute.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rescore_expired(&self, now: Time) -> Result<(), Refusal> {
        let _scored = self.store.rescore_expired(now).await?;
        let _opened = self.store.reopen_expired(now).await?;
        Ok(())
    }
}

/// The domain's rules as the store calls them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge;

impl Rules for Judge {
    fn finding(&self, facts: &FindingFacts<'_>) -> Score {
        exposure::finding(facts)
    }

    fn class(&self, facts: &FindingFacts<'_>) -> Class {
        exposure::class(facts)
    }

    fn credential(&self, tally: &CredentialTally) -> Score {
        exposure::credential(tally)
    }

    fn host(&self, tally: &HostTally) -> Score {
        exposure::host(tally)
    }

    fn verdict(&self, places: PresenceCounts, disposition: Disposition) -> Verdict {
        verdict::verdict(places, disposition)
    }

    fn open(&self, verdict: Verdict, disposition: Disposition) -> bool {
        verdict::open(verdict, disposition)
    }

    fn cause(&self, unit_files: &[SafeText], candidates: &[CauseCandidate]) -> Option<Cause> {
        exposure::cause(unit_files, candidates)
    }

    fn token(&self, token: &TokenRecord, again: bool, now: Time) -> Result<(), TokenRefusal> {
        enrollment::may_enroll(token, again, now)
    }

    fn link(&self, previous: &[u8; 32], entry: &Entry) -> [u8; 32] {
        audit::link(previous, entry)
    }
}
