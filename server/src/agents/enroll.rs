//! Enrollment: a token becomes a host.

use std::time::Instant;

use akwatch_proto::agent::{Enroll, Enrolled};
use axum::extract::State;
use axum::{Extension, Json};

use crate::agents::bounds;
use crate::agents::wire::Wire;
use crate::collector::{self, Collector};
use crate::domain::enrollment::speaks_our_version;
use crate::listen::Peer;
use crate::refusal::Refusal;

/// The first exchange: the token is the proof, no certificate is needed.
#[utoipa::path(post, path = "/v1/enroll", tag = "agents", request_body = Enroll,
    responses(
        (status = 200, description = "Enrolled.", body = Enrolled),
        (status = 401, description = "The token does not enroll.", body = akwatch_proto::agent::Refused)))]
pub async fn enroll(
    State(collector): State<Collector>,
    Extension(peer): Extension<Peer>,
    Wire(mut enroll): Wire<Enroll>,
) -> Result<Json<Enrolled>, Refusal> {
    let address = peer.address.ip().to_string();
    if let Some(seconds) = collector.enrollments.wait(&address, Instant::now()) {
        return Err(Refusal::busy(
            "Too many wrong tokens from this address.",
            seconds,
        ));
    }
    speaks_our_version(enroll.protocol)?;
    bounds::facts(&mut enroll.facts)?;
    let enrolled = collector
        .domain
        .enroll(enroll, &address, collector::now())
        .await;
    if enrolled.as_ref().is_err_and(Refusal::is_about_the_token) {
        collector.enrollments.count(&address, Instant::now());
    }
    enrolled.map(Json)
}
