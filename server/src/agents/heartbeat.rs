//! Heartbeats: liveness, coverage, and whether both sides hold the same.

use akwatch_proto::agent::{Heartbeat, HeartbeatAnswer, Leaving};
use akwatch_store::hosts::{Beat, Beaten};
use axum::Json;
use axum::extract::State;

use crate::agents::bounds;
use crate::agents::host::{Host, not_taken};
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::report::must_resync;
use crate::refusal::Refusal;

/// Liveness, coverage and digest.
#[utoipa::path(post, path = "/v1/heartbeat", tag = "agents", request_body = Heartbeat,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "Heard.", body = HeartbeatAnswer)))]
pub async fn heartbeat(
    State(collector): State<Collector>,
    host: Host,
    Wire(mut heartbeat): Wire<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Refusal> {
    host.speaks_for(&collector, heartbeat.host, "heartbeat")
        .await?;
    bounds::heartbeat(&mut heartbeat)?;
    let now = collector::now();
    let said = heartbeat.clone();
    let beat = Beat {
        heartbeat,
        peer: Some(host.address.clone()),
    };
    let recorded = match collector.store.beat(beat, now).await? {
        Beaten::Recorded(recorded) => recorded,
        Beaten::NotTaken(why) => return Err(not_taken(&collector, &host, "heartbeat", why).await),
    };
    if said.leaving == Some(Leaving::Retired) {
        collector.store.retire(host.id, host.actor(), now).await?;
    }
    Ok(Json(HeartbeatAnswer {
        time: now,
        next_seconds: collector.heartbeat_seconds,
        resync: must_resync(&said, &recorded),
        want_facts: recorded.no_facts && said.facts.is_none(),
    }))
}
