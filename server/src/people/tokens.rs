//! One's own API tokens.

use akwatch_proto::agent::Refused;
use akwatch_proto::people::{ApiToken, CreatedApiToken, NewApiToken};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
use crate::people::bodies::Body;
use crate::people::caller::{Caller, OwnTokens};
use crate::refusal::Refusal;

/// One's own API tokens, newest first, without their values.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens",
    responses((status = 200, description = "The tokens.", body = Vec<ApiToken>)))]
pub async fn api_tokens(
    State(collector): State<Collector>,
    caller: Caller<OwnTokens>,
) -> Result<Json<Vec<ApiToken>>, Refusal> {
    Ok(Json(collector.domain.own_tokens(&caller).await?))
}

/// Creates an API token; the answer shows its value once. Needs a session: a token makes no tokens,
/// so that a leaked one cannot outlive its end.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewApiToken,
    responses((status = 200, description = "The token.", body = CreatedApiToken)))]
pub async fn create_api_token(
    State(collector): State<Collector>,
    caller: Caller<OwnTokens>,
    Body(new): Body<NewApiToken>,
) -> Result<Json<CreatedApiToken>, Refusal> {
    let now = collector::now();
    let created = collector.domain.create_own_token(&caller, new, now);
    Ok(Json(created.await?))
}

/// Revokes one of one's own API tokens.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 404, description = "No such token.", body = Refused)))]
pub async fn revoke_api_token(
    State(collector): State<Collector>,
    caller: Caller<OwnTokens>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let now = collector::now();
    collector.domain.revoke_own_token(&caller, &id, now).await?;
    Ok(StatusCode::NO_CONTENT)
}
