//! The agents' listener, version 1 of the wire: handlers only.
//!
//! Each handler takes a host that TLS and the store vouch for, or proves the peer in another way
//! and says so (`enroll`, `renew_challenge`, `renew_expired`, `server_time`). A body is bounded
//! before it is unpacked and again before it is believed; an answer follows the commit.

pub mod bounds;
pub mod checkin;
pub mod enroll;
pub mod heartbeat;
pub mod host;
pub mod nonces;
pub mod renew;
pub mod report;
pub mod wire;

use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use akwatch_proto::agent::ServerTime;

use crate::collector::{self, Collector};
use crate::refusal::{self, Refusal};

fn routes() -> OpenApiRouter<Collector> {
    OpenApiRouter::new()
        .routes(routes!(enroll::enroll))
        .routes(routes!(renew::renew))
        .routes(routes!(renew::renew_challenge))
        .routes(routes!(renew::renew_expired))
        .routes(routes!(server_time))
        .routes(routes!(report::report))
        .routes(routes!(heartbeat::heartbeat))
        .routes(routes!(checkin::check_in))
}

/// What this listener serves.
pub fn router(collector: Collector) -> Router {
    let router: Router<Collector> = routes().split_for_parts().0;
    router
        .fallback(|| async { Refusal::not_found("call") })
        .method_not_allowed_fallback(|| async { Refusal::not_found("call") })
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(middleware::from_fn(refusal::answer))
        .with_state(collector)
}

/// The OpenAPI document of this listener.
#[must_use]
pub fn document() -> OpenApi {
    crate::document::agents(routes().split_for_parts().1)
}

/// The collector's clock, for a host whose own is wrong.
#[utoipa::path(get, path = "/v1/time", tag = "agents",
    responses((status = 200, description = "The time.", body = ServerTime)))]
pub async fn server_time() -> Json<ServerTime> {
    Json(ServerTime {
        time: collector::now(),
    })
}
