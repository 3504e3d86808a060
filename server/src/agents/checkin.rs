//! Check-ins: held open until there is a directive, the one way down to a host.

use std::time::Duration;

use akwatch_proto::agent::{CheckIn, CheckInAnswer};
use axum::Json;
use axum::extract::State;
use tokio::time::Instant;

use crate::agents::bounds;
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::speaker::Speaker;
use crate::refusal::Refusal;

/// The longest that a check-in is held.
const LONGEST: Duration = Duration::from_secs(120);
/// How often the store is asked meanwhile, for directives that another program queued.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// Asks for directives; held open until there is one or the wait is over.
#[utoipa::path(post, path = "/v1/check-in", tag = "agents", request_body = CheckIn,
    security(("mutualTLS" = [])),
    responses((status = 200, description = "What to do.", body = CheckInAnswer)))]
pub async fn check_in(
    State(collector): State<Collector>,
    host: Speaker,
    Wire(check_in): Wire<CheckIn>,
) -> Result<Json<CheckInAnswer>, Refusal> {
    let domain = &collector.domain;
    domain
        .speaks_for(&host, check_in.host, "check-in", collector::now())
        .await?;
    bounds::check_in(&check_in)?;
    domain
        .outcomes(&host, check_in.outcomes, collector::now())
        .await?;
    let wait = Duration::from_secs(check_in.wait_seconds.into()).min(LONGEST);
    let until = Instant::now() + wait;
    tracing::debug!(host = %host.id(), seconds = wait.as_secs(), "check-in held");
    let bell = collector.waiting.bell(host.id());
    let mut drain = collector.drain.clone();
    loop {
        // Listens before it looks: a directive queued in between rings.
        let mut rung = std::pin::pin!(bell.notified());
        rung.as_mut().enable();
        let directives = domain
            .directives(&host, check_in.serial, collector::now())
            .await?;
        if !directives.is_empty() || Instant::now() >= until || *drain.borrow() {
            return Ok(Json(CheckInAnswer { directives }));
        }
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(until.min(Instant::now() + ASK_AGAIN)) => {}
            _ = drain.wait_for(|drain| *drain) => {}
        }
    }
}
