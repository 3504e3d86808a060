//! Credentials: what an operator rotates, with its blast radius; and the overview over all of them.

use akwatch_proto::agent::HostId;
use akwatch_proto::credential::{CredentialId, Fingerprint};
use akwatch_proto::people::{
    CredentialDetail, CredentialRef, CredentialRow, Holders, Overview, Page, TimelineEntry,
};
use akwatch_proto::time::Time;

use crate::filter::CredentialFilter;
use crate::{Answer, Scope};

/// Credentials.
pub trait Credentials {
    /// One page of the list.
    fn credentials<'a>(
        &'a self,
        scope: &'a Scope,
        filter: &'a CredentialFilter,
    ) -> Answer<'a, Page<CredentialRow>>;

    /// One credential: its row, score, places and timeline, ids whole.
    fn credential<'a>(
        &'a self,
        scope: &'a Scope,
        reference: &'a CredentialRef,
    ) -> Answer<'a, Option<CredentialDetail>>;

    /// Who holds the key with this id, references to it included.
    fn holders_of_id<'a>(&'a self, scope: &'a Scope, id: &'a CredentialId) -> Answer<'a, Holders>;

    /// Who holds the secret with one of these fingerprints: the same secret under each scheme and
    /// epoch that is in use. They are turned into F2 at once and not kept.
    fn holders_of_secret<'a>(
        &'a self,
        scope: &'a Scope,
        fingerprints: &'a [Fingerprint],
    ) -> Answer<'a, Holders>;

    /// The first page, from counters.
    fn overview<'a>(&'a self, scope: &'a Scope, now: Time) -> Answer<'a, Overview>;

    /// What happened on a host, newest first, at most `limit`.
    fn host_timeline<'a>(
        &'a self,
        scope: &'a Scope,
        host: HostId,
        limit: u32,
    ) -> Answer<'a, Vec<TimelineEntry>>;
}
