//! Enrollment tokens.

use akwatch_proto::agent::{Refused, TokenId};
use akwatch_proto::people::{CreatedEnrollmentToken, EnrollmentToken, NewEnrollmentToken};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
use crate::grants;
use crate::people::bodies::Body;
use crate::people::caller::{Administer, Caller};
use crate::refusal::Refusal;

/// Enrollment tokens, newest first, without their secrets.
#[utoipa::path(get, path = "/api/v1/enrollment-tokens", tag = "enrollment",
    responses((status = 200, description = "The tokens.", body = Vec<EnrollmentToken>)))]
pub async fn enrollment_tokens(
    State(collector): State<Collector>,
    caller: Caller<Administer>,
) -> Result<Json<Vec<EnrollmentToken>>, Refusal> {
    Ok(Json(collector.store.tokens(&caller.scope()).await?))
}

/// Creates an enrollment token; the answer shows its bootstrap string once.
#[utoipa::path(post, path = "/api/v1/enrollment-tokens", tag = "enrollment",
    request_body = NewEnrollmentToken,
    responses((status = 200, description = "The token.", body = CreatedEnrollmentToken)))]
pub async fn create_enrollment_token(
    State(collector): State<Collector>,
    caller: Caller<Administer>,
    Body(new): Body<NewEnrollmentToken>,
) -> Result<Json<CreatedEnrollmentToken>, Refusal> {
    let (store, pin) = (collector.store.as_ref(), collector.authority.pin());
    let created =
        grants::enrollment_token(store, pin, new, caller.actor(), collector::now()).await?;
    Ok(Json(created))
}

/// Revokes an enrollment token; hosts enrolled with it stay.
#[utoipa::path(delete, path = "/api/v1/enrollment-tokens/{id}", tag = "enrollment",
    params(("id" = TokenId, Path, description = "The token.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 404, description = "No such token.", body = Refused)))]
pub async fn revoke_enrollment_token(
    State(collector): State<Collector>,
    caller: Caller<Administer>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let missing = || Refusal::not_found("enrollment token");
    let id = TokenId::parse(&id).map_err(|_| missing())?;
    if collector
        .store
        .delete_token(id, caller.actor(), collector::now())
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing())
    }
}
