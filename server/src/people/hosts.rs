//! The overview, hosts and one host.

use akwatch_proto::agent::{Directive, HostId, RefusalCode, Refused};
use akwatch_proto::people::{HostDetail, HostQuery, HostRow, HostState, Overview, Page};
use akwatch_proto::signed::{Audience, Signed};
use akwatch_store::filter::HostFilter;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
use crate::people::bodies::{Filters, refused_filter};
use crate::people::caller::{Caller, Read, Respond};
use crate::people::view;
use crate::pki::authority::DAY_MS;
use crate::refusal::Refusal;

/// How long a host that is not heard may still be asked to read again.
const RESCAN_MS: i64 = DAY_MS;

/// What is exposed, what is unknown, what next.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview",
    responses((status = 200, description = "The overview.", body = Overview)))]
pub async fn overview(
    State(collector): State<Collector>,
    caller: Caller<Read>,
) -> Result<Json<Overview>, Refusal> {
    let overview = collector
        .store
        .overview(&caller.scope(), collector::now())
        .await?;
    Ok(Json(view::for_role(caller.role(), overview)))
}

/// Hosts.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "hosts", params(HostQuery),
    responses((status = 200, description = "A page of hosts.", body = Page<HostRow>)))]
pub async fn hosts(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Filters(query): Filters<HostQuery>,
) -> Result<Json<Page<HostRow>>, Refusal> {
    let filter = HostFilter::try_from(&query).map_err(|error| refused_filter(&error))?;
    Ok(Json(collector.store.hosts(&caller.scope(), &filter).await?))
}

/// One host.
#[utoipa::path(get, path = "/api/v1/hosts/{id}", tag = "hosts",
    params(("id" = HostId, Path, description = "The host.")),
    responses(
        (status = 200, description = "The host.", body = HostDetail),
        (status = 404, description = "No such host.", body = Refused)))]
pub async fn host(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Path(id): Path<String>,
) -> Result<Json<HostDetail>, Refusal> {
    let detail = collector
        .store
        .host_detail(&caller.scope(), host_id(&id)?)
        .await?;
    detail.map(Json).ok_or_else(|| Refusal::not_found("host"))
}

/// Closes a host: its findings become not verified, its certificate is refused.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/retire", tag = "hosts",
    params(("id" = HostId, Path, description = "The host.")),
    responses(
        (status = 204, description = "Retired."),
        (status = 404, description = "No such host.", body = Refused),
        (status = 409, description = "It was retired before.", body = Refused)))]
pub async fn retire_host(
    State(collector): State<Collector>,
    caller: Caller<Respond>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = active(&collector, &caller, &id).await?;
    if !collector
        .store
        .retire(id, caller.actor(), collector::now())
        .await?
    {
        return Err(retired());
    }
    collector.waiting.wake(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Asks a host to read everything again now.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/rescan", tag = "hosts",
    params(("id" = HostId, Path, description = "The host.")),
    responses(
        (status = 202, description = "Asked; the host answers when it checks in."),
        (status = 404, description = "No such host.", body = Refused),
        (status = 409, description = "The host is retired.", body = Refused)))]
pub async fn rescan_host(
    State(collector): State<Collector>,
    caller: Caller<Respond>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = active(&collector, &caller, &id).await?;
    let now = collector::now();
    let until = now.plus(RESCAN_MS);
    let signer = collector.clone();
    let seal = Box::new(move |serial| {
        let rescan = Directive::Rescan { places: Vec::new() };
        Signed::seal(
            signer.keys.directive(),
            Audience::Host(id),
            until,
            serial,
            rescan,
        )
    });
    let queued = collector
        .store
        .queue(id, until, seal, caller.actor(), now)
        .await?;
    queued.ok_or_else(retired)?;
    collector.waiting.wake(id);
    Ok(StatusCode::ACCEPTED)
}

fn host_id(text: &str) -> Result<HostId, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("host"))
}

/// A host that the caller sees and that is not retired.
async fn active(
    collector: &Collector,
    caller: &Caller<Respond>,
    id: &str,
) -> Result<HostId, Refusal> {
    let id = host_id(id)?;
    let host = collector.store.host(&caller.scope(), id).await?;
    let host = host.ok_or_else(|| Refusal::not_found("host"))?;
    if host.state == HostState::Retired {
        Err(retired())
    } else {
        Ok(id)
    }
}

fn retired() -> Refusal {
    Refusal::new(RefusalCode::Conflict, "The host is retired.")
        .hint("To watch it again, enroll it with a new token.")
}
