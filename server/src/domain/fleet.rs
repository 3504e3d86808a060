//! The overview, hosts and one host: what a person sees of them, retires, has read again, pauses.

use std::collections::BTreeMap;

use akwatch_proto::agent::{Directive, HostId, LONGEST_PAUSE_SECONDS, RefusalCode};
use akwatch_proto::limits;
use akwatch_proto::people::{
    HostDetail, HostQuery, HostRow, HostState, HostsChosen, Overview, Page, PauseHosts,
};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_proto::time::Time;
use akwatch_store::Scope;
use akwatch_store::directives::{ORDERED_AT_ONCE, Order};
use akwatch_store::filter::HostFilter;

use crate::domain::people::Asker;
use crate::domain::refusal::Refusal;
use crate::domain::{Domain, grants, view};
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

    /// Asks hosts to read nothing for a while. Who did not hear of it when it would be over is not
    /// paused any more.
    ///
    /// # Errors
    /// When the length is none that a pause may have, nothing is chosen, no host that the asker may see
    /// is, or the store fails.
    pub async fn pause_hosts(
        &self,
        by: &Asker,
        asked: PauseHosts,
        now: Time,
    ) -> Result<Vec<HostId>, Refusal> {
        let seconds = asked.seconds;
        if !(1..=LONGEST_PAUSE_SECONDS).contains(&seconds) {
            return Err(Refusal::new(
                RefusalCode::Malformed,
                format!("A pause lasts 1 to {LONGEST_PAUSE_SECONDS} seconds, not {seconds}."),
            )
            .hint("To stop reading for good, stop the agent on the host."));
        }
        let until = now.plus(i64::from(seconds) * 1000);
        let directive = Directive::Pause { seconds };
        self.order(by, asked.hosts, "pause-host", directive, until, now)
            .await
    }

    /// Asks hosts to read again; a pause that somebody on a host asked for goes on there.
    ///
    /// # Errors
    /// As [`Domain::pause_hosts`].
    pub async fn resume_hosts(
        &self,
        by: &Asker,
        chosen: HostsChosen,
        now: Time,
    ) -> Result<Vec<HostId>, Refusal> {
        let until = now.plus(i64::from(LONGEST_PAUSE_SECONDS) * 1000);
        self.order(by, chosen, "resume-host", Directive::Resume, until, now)
            .await
    }

    async fn order(
        &self,
        by: &Asker,
        chosen: HostsChosen,
        what: &'static str,
        directive: Directive,
        until: Time,
        now: Time,
    ) -> Result<Vec<HostId>, Refusal> {
        let scope = self.chosen(by, chosen).await?;
        let mut asked: Vec<HostId> = Vec::new();
        loop {
            let (key, directive) = (self.keys.directive().clone(), directive.clone());
            let order = Order {
                what,
                until,
                seal: Box::new(move |host, serial| {
                    Signed::seal(&key, Audience::Host(host), until, serial, directive.clone())
                }),
                actor: by.actor(),
                now,
            };
            let after = asked.last().copied();
            let some = self.store.order(scope.clone(), after, order).await?;
            let is_last = some.len() < ORDERED_AT_ONCE;
            asked.extend(some);
            if is_last {
                break;
            }
        }
        if asked.is_empty() {
            return Err(Refusal::not_found("host that carries one of these labels"));
        }
        Ok(asked)
    }

    /// The hosts that are meant, of those that the asker sees.
    async fn chosen(&self, by: &Asker, chosen: HostsChosen) -> Result<Scope, Refusal> {
        let HostsChosen { host, labels } = chosen;
        match (host, labels.is_empty()) {
            (Some(host), true) => {
                let host = self.active(by, &host.to_string()).await?;
                Ok(Scope::Host(host))
            }
            (None, false) if labels.len() <= limits::LABELS => {
                Ok(by.scope().clone().narrowed(labels))
            }
            (None, false) => Err(Refusal::new(
                RefusalCode::TooLarge,
                format!("At most {} labels may be named.", limits::LABELS),
            )),
            _ => Err(Refusal::new(
                RefusalCode::Malformed,
                "Name one host, or labels; not both, and not nothing.",
            )),
        }
    }

    /// Gives a host these labels instead of those that it had. Labels grant scope, so this is for those
    /// who see the whole fleet: it is how a host that a restore left without labels gets them again.
    ///
    /// # Errors
    /// When the asker's role is limited, a label is out of bounds, there is no such host, it was retired
    /// before, or the store fails.
    pub async fn label_host(
        &self,
        by: &Asker,
        id: &str,
        labels: BTreeMap<String, String>,
        now: Time,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        by.must_see_the_fleet()?;
        grants::labels(&labels)?;
        let id = self.active(by, id).await?;
        let given = labels.clone();
        if self.store.set_labels(id, given, by.actor(), now).await? {
            Ok(labels)
        } else {
            Err(retired())
        }
    }

    /// Refuses a certificate from now on, and its renewal: who holds it speaks for the host no more. The
    /// audit log names the serial number of each that was renewed or taken over.
    ///
    /// # Errors
    /// When the asker's role is limited, there is no such certificate or it was revoked before, or the
    /// store fails.
    pub async fn revoke_certificate(
        &self,
        by: &Asker,
        serial: &str,
        now: Time,
    ) -> Result<(), Refusal> {
        by.must_see_the_fleet()?;
        let serial = serial.to_owned();
        let revoked = self.store.revoke_certificate(serial, by.actor(), now);
        let missing = || Refusal::not_found("certificate that counts");
        revoked.await?.then_some(()).ok_or_else(missing)
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
