//! Reports: newer states of findings, acknowledged after they are durable.

use akwatch_proto::agent::{Report, Reported};
use akwatch_store::findings::Applying;
use axum::Json;
use axum::extract::State;

use crate::agents::bounds;
use crate::agents::host::{Host, not_taken};
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::refusal::Refusal;

/// The findings whose state is newer than what was acknowledged. Sent twice, it counts once.
#[utoipa::path(post, path = "/v1/report", tag = "agents", request_body = Report,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "Everything up to `upto` is durable.", body = Reported)))]
pub async fn report(
    State(collector): State<Collector>,
    host: Host,
    Wire(report): Wire<Report>,
) -> Result<Json<Reported>, Refusal> {
    host.speaks_for(&collector, report.host, "report").await?;
    bounds::report(&report)?;
    match collector.store.apply(report, collector::now()).await? {
        Applying::Applied(applied) => Ok(Json(Reported {
            upto: applied.upto,
            reread: applied.reread,
        })),
        Applying::NotTaken(why) => Err(not_taken(&collector, &host, "report", why).await),
    }
}
