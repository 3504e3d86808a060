//! One's own API tokens.

use akwatch_proto::agent::{RefusalCode, Refused};
use akwatch_proto::people::{ApiToken, CreatedApiToken, NewApiToken};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
use crate::grants;
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
    Ok(Json(collector.store.api_tokens(caller.name()).await?))
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
    if caller.session().is_none() {
        return Err(Refusal::new(
            RefusalCode::Forbidden,
            "An API token cannot make API tokens.",
        )
        .hint("Sign in to the console, or run `akwatch-server api-token create`."));
    }
    let (store, now) = (collector.store.as_ref(), collector::now());
    let created = grants::api_token(
        store,
        new,
        caller.name(),
        caller.role(),
        caller.actor(),
        now,
    )
    .await?;
    Ok(Json(created))
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
    let person = caller.name().to_owned();
    let (actor, now) = (caller.actor(), collector::now());
    if id.len() <= 64
        && collector
            .store
            .delete_api_token(id, person, actor, now)
            .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::not_found("API token"))
    }
}
