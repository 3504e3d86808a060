//! Reports: newer states of findings, acknowledged after they are durable.

use akwatch_proto::agent::{Report, Reported};
use axum::Json;
use axum::extract::State;

use crate::agents::bounds;
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::speaker::Speaker;
use crate::refusal::Refusal;

/// The findings whose state is newer than what was acknowledged. Sent twice, it counts once.
#[utoipa::path(post, path = "/v1/report", tag = "agents", request_body = Report,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "Everything up to `upto` is durable.", body = Reported)))]
pub async fn report(
    State(collector): State<Collector>,
    host: Speaker,
    Wire(report): Wire<Report>,
) -> Result<Json<Reported>, Refusal> {
    let (domain, now) = (&collector.domain, collector::now());
    domain.speaks_for(&host, report.host, "report", now).await?;
    bounds::report(&report)?;
    Ok(Json(domain.report(&host, report, now).await?))
}
