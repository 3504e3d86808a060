//! The overview, hosts and one host.

use std::collections::BTreeMap;

use akwatch_proto::agent::{HostId, Refused};
use akwatch_proto::people::{
    AskedHosts, HostDetail, HostQuery, HostRow, HostsChosen, Overview, Page, PauseHosts,
};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
use crate::people::bodies::{Body, Filters};
use crate::people::caller::{Administer, Caller, Read, Respond};
use crate::refusal::Refusal;

/// What is exposed, what is unknown, what next.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview",
    responses((status = 200, description = "The overview.", body = Overview)))]
pub async fn overview(
    State(collector): State<Collector>,
    caller: Caller<Read>,
) -> Result<Json<Overview>, Refusal> {
    let overview = collector.domain.overview(&caller, collector::now());
    Ok(Json(overview.await?))
}

/// Hosts.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "hosts", params(HostQuery),
    responses((status = 200, description = "A page of hosts.", body = Page<HostRow>)))]
pub async fn hosts(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Filters(query): Filters<HostQuery>,
) -> Result<Json<Page<HostRow>>, Refusal> {
    Ok(Json(collector.domain.hosts(&caller, &query).await?))
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
    Ok(Json(collector.domain.host(&caller, &id).await?))
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
    let now = collector::now();
    let id = collector.domain.retire_host(&caller, &id, now).await?;
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
    let now = collector::now();
    let id = collector.domain.rescan_host(&caller, &id, now).await?;
    collector.waiting.wake(id);
    Ok(StatusCode::ACCEPTED)
}

/// Asks hosts to read nothing for a while: one, or all that carry one of these labels.
#[utoipa::path(post, path = "/api/v1/hosts/pause", tag = "hosts", request_body = PauseHosts,
    responses(
        (status = 202, description = "Asked; each host answers when it checks in.", body = AskedHosts),
        (status = 404, description = "No such host.", body = Refused),
        (status = 409, description = "The host is retired.", body = Refused)))]
pub async fn pause_hosts(
    State(collector): State<Collector>,
    caller: Caller<Respond>,
    Body(asked): Body<PauseHosts>,
) -> Result<(StatusCode, Json<AskedHosts>), Refusal> {
    let now = collector::now();
    let hosts = collector.domain.pause_hosts(&caller, asked, now).await?;
    Ok(wake(&collector, &hosts))
}

/// Asks hosts to read again; a pause that somebody on a host asked for goes on there.
#[utoipa::path(post, path = "/api/v1/hosts/resume", tag = "hosts", request_body = HostsChosen,
    responses(
        (status = 202, description = "Asked; each host answers when it checks in.", body = AskedHosts),
        (status = 404, description = "No such host.", body = Refused),
        (status = 409, description = "The host is retired.", body = Refused)))]
pub async fn resume_hosts(
    State(collector): State<Collector>,
    caller: Caller<Respond>,
    Body(chosen): Body<HostsChosen>,
) -> Result<(StatusCode, Json<AskedHosts>), Refusal> {
    let now = collector::now();
    let hosts = collector.domain.resume_hosts(&caller, chosen, now).await?;
    Ok(wake(&collector, &hosts))
}

fn wake(collector: &Collector, hosts: &[HostId]) -> (StatusCode, Json<AskedHosts>) {
    for host in hosts {
        collector.waiting.wake(*host);
    }
    let hosts = hosts.len() as u64;
    (StatusCode::ACCEPTED, Json(AskedHosts { hosts }))
}

/// Gives a host these labels instead of those that it had. They grant scope.
#[utoipa::path(put, path = "/api/v1/hosts/{id}/labels", tag = "hosts",
    params(("id" = HostId, Path, description = "The host.")),
    request_body = BTreeMap<String, String>,
    responses(
        (status = 200, description = "The labels that it has now.", body = BTreeMap<String, String>),
        (status = 404, description = "No such host.", body = Refused),
        (status = 409, description = "The host is retired.", body = Refused)))]
pub async fn label_host(
    State(collector): State<Collector>,
    caller: Caller<Administer>,
    Path(id): Path<String>,
    Body(labels): Body<BTreeMap<String, String>>,
) -> Result<Json<BTreeMap<String, String>>, Refusal> {
    let now = collector::now();
    let labelled = collector.domain.label_host(&caller, &id, labels, now);
    Ok(Json(labelled.await?))
}

/// Refuses a host's certificate from now on, by its serial number as the audit log names it.
#[utoipa::path(post, path = "/api/v1/certificates/{id}/revoke", tag = "hosts",
    params(("id" = String, Path, description = "The serial number, lower-case hex.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 404, description = "No such certificate, or revoked before.", body = Refused)))]
pub async fn revoke_certificate(
    State(collector): State<Collector>,
    caller: Caller<Administer>,
    Path(serial): Path<String>,
) -> Result<StatusCode, Refusal> {
    let now = collector::now();
    let revoked = collector.domain.revoke_certificate(&caller, &serial, now);
    revoked.await?;
    Ok(StatusCode::NO_CONTENT)
}
