//! Heartbeats: liveness, coverage, and whether both sides hold the same.

use akwatch_proto::agent::{Heartbeat, HeartbeatAnswer};
use axum::Json;
use axum::extract::State;

use crate::agents::bounds;
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::speaker::Speaker;
use crate::refusal::Refusal;

/// Liveness, coverage and digest.
#[utoipa::path(post, path = "/v1/heartbeat", tag = "agents", request_body = Heartbeat,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "Heard.", body = HeartbeatAnswer)))]
pub async fn heartbeat(
    State(collector): State<Collector>,
    host: Speaker,
    Wire(mut heartbeat): Wire<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Refusal> {
    let (domain, now) = (&collector.domain, collector::now());
    domain
        .speaks_for(&host, heartbeat.host, "heartbeat", now)
        .await?;
    bounds::heartbeat(&mut heartbeat)?;
    Ok(Json(domain.heartbeat(&host, heartbeat, now).await?))
}
