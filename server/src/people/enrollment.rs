//! Enrollment tokens.

use akwatch_proto::agent::{Refused, TokenId};
use akwatch_proto::people::{CreatedEnrollmentToken, EnrollmentToken, NewEnrollmentToken};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::collector::{self, Collector};
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
    Ok(Json(collector.domain.enrollment_tokens(&caller).await?))
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
    let now = collector::now();
    let created = collector.domain.create_enrollment_token(&caller, new, now);
    Ok(Json(created.await?))
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
    let now = collector::now();
    let revoked = collector.domain.revoke_enrollment_token(&caller, &id, now);
    revoked.await?;
    Ok(StatusCode::NO_CONTENT)
}
