//! The people's listener: REST under `/api/v1`, described by an OpenAPI document that is generated
//! from the handlers themselves, so that neither can say what the other does not.
//!
//! Handlers only: each takes a caller who has already proven a permission, asks the
//! domain in the caller's name, and writes the answer. Two routers: [`open`], which lists everything that needs
//! no sign-in, and [`closed`], in which no handler can be reached without one.

pub mod audit;
pub mod bodies;
pub mod caller;
pub mod credentials;
pub mod csv;
pub mod enrollment;
pub mod events;
pub mod fence;
pub mod findings;
pub mod hosts;
pub mod pasted;
pub mod sessions;
pub mod tokens;

use axum::extract::State;
use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::collector::{self, Collector};
use crate::refusal::{self, Refusal};

/// Everything that may be called without being signed in.
fn open() -> OpenApiRouter<Collector> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(sessions::first_sign_in))
        .routes(routes!(sessions::sign_in))
}

/// Everything else.
fn closed() -> OpenApiRouter<Collector> {
    OpenApiRouter::new()
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::me))
        .routes(routes!(hosts::overview))
        .routes(routes!(hosts::hosts))
        .routes(routes!(hosts::host))
        .routes(routes!(hosts::retire_host))
        .routes(routes!(hosts::rescan_host))
        .routes(routes!(hosts::pause_hosts))
        .routes(routes!(hosts::resume_hosts))
        .routes(routes!(hosts::label_host))
        .routes(routes!(hosts::revoke_certificate))
        .routes(routes!(credentials::credentials))
        .routes(routes!(credentials::credential))
        .routes(routes!(credentials::decide))
        .routes(routes!(credentials::who_holds))
        .routes(routes!(findings::findings))
        .routes(routes!(findings::export_findings))
        .routes(routes!(events::events))
        .routes(routes!(audit::audit))
        .routes(routes!(
            enrollment::enrollment_tokens,
            enrollment::create_enrollment_token
        ))
        .routes(routes!(enrollment::revoke_enrollment_token))
        .routes(routes!(tokens::api_tokens, tokens::create_api_token))
        .routes(routes!(tokens::revoke_api_token))
}

/// What this listener serves: the API, and the console for every other address.
pub fn router(collector: Collector) -> Router {
    let open: Router<Collector> = open().split_for_parts().0;
    let closed: Router<Collector> = closed().split_for_parts().0;
    let closed = closed.route_layer(middleware::from_fn_with_state(
        collector.clone(),
        caller::identify,
    ));
    open.merge(closed)
        .fallback(crate::console::serve)
        .method_not_allowed_fallback(|| async { Refusal::not_found("call") })
        .layer(middleware::from_fn(fence::same_origin))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(middleware::from_fn(refusal::answer))
        .layer(middleware::from_fn(fence::headers))
        .with_state(collector)
}

/// The OpenAPI document of this listener.
#[must_use]
pub fn document() -> OpenApi {
    let open = open().split_for_parts().1;
    let closed = closed().split_for_parts().1;
    crate::document::people(open, closed)
}

/// Whether the collector answers and its database does.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "Both do.", body = Health)))]
pub async fn healthz(State(collector): State<Collector>) -> Result<Json<Health>, Refusal> {
    collector.domain.healthy(collector::now()).await?;
    Ok(Json(Health { status: "ok" }))
}

/// A sign of life.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}
