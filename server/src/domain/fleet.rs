//! The overview, hosts and one host: what a person sees of them, retires, has read again.

use akwatch_proto::agent::{Directive, HostId, RefusalCode};
use akwatch_proto::people::{HostDetail, HostQuery, HostRow, HostState, Overview, Page};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_proto::time::Time;
use akwatch_store::filter::HostFilter;

use crate::domain::people::Asker;
use crate::domain::refusal::Refusal;
use crate::domain::{Domain, view};
use crate::pki::authority::DAY_MS;

/// How long a host that is not heard may still be asked to read again.
const RESCAN_MS: i64 = DAY_MS;

impl Domain {
    /// What is exposed, what is unknown, what next.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn overview(&self, by: &Asker, now: Time) -> Result<Overview, Refusal> {
        let overview = self.store.overview(by.scope(), now).await?;
        Ok(view::for_role(by.role(), overview))
    }

    /// One page of the hosts.
    ///
    /// # Errors
    /// When a filter's value is refused, or the store fails.
    pub async fn hosts(&self, by: &Asker, query: &HostQuery) -> Result<Page<HostRow>, Refusal> {
        let filter = HostFilter::try_from(query)?;
        Ok(self.store.hosts(by.scope(), &filter).await?)
    }

    /// One host, explained.
    ///
    /// # Errors
    /// When there is none that the asker may see, or the store fails.
    pub async fn host(&self, by: &Asker, id: &str) -> Result<HostDetail, Refusal> {
        let detail = self.store.host_detail(by.scope(), host_id(id)?).await?;
        detail.ok_or_else(|| Refusal::not_found("host"))
    }

    /// Closes a host: its findings become not verified, its certificate is refused.
    ///
    /// # Errors
    /// When there is none that the asker may see, it was retired before, or the store fails.
    pub async fn retire_host(&self, by: &Asker, id: &str, now: Time) -> Result<HostId, Refusal> {
        let id = self.active(by, id).await?;
        if self.store.retire(id, by.actor(), now).await? {
            Ok(id)
        } else {
            Err(retired())
        }
    }

    /// Queues the directive that has a host read everything again.
    ///
    /// # Errors
    /// As [`Domain::retire_host`].
    pub async fn rescan_host(&self, by: &Asker, id: &str, now: Time) -> Result<HostId, Refusal> {
        let id = self.active(by, id).await?;
        let until = now.plus(RESCAN_MS);
        let key = self.keys.directive().clone();
        let seal = Box::new(move |serial| {
            let rescan = Directive::Rescan { places: Vec::new() };
            Signed::seal(&key, Audience::Host(id), until, serial, rescan)
        });
        let queued = self.store.queue(id, until, seal, by.actor(), now).await?;
        queued.map(|_serial| id).ok_or_else(retired)
    }

    /// A host that the asker sees and that is not retired.
    async fn active(&self, by: &Asker, id: &str) -> Result<HostId, Refusal> {
        let id = host_id(id)?;
        let host = self.store.host(by.scope(), id).await?;
        let host = host.ok_or_else(|| Refusal::not_found("host"))?;
        if host.state == HostState::Retired {
            Err(retired())
        } else {
            Ok(id)
        }
    }
}

fn host_id(text: &str) -> Result<HostId, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("host"))
}

fn retired() -> Refusal {
    Refusal::new(RefusalCode::Conflict, "The host is retired.")
        .hint("To watch it again, enroll it with a new token.")
}
