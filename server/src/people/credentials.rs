//! Credentials, one credential, and who holds it.

use std::time::Instant;

use akwatch_proto::agent::Refused;
use akwatch_proto::people::{
    CredentialDetail, CredentialQuery, CredentialRef, CredentialRow, Decide, Decision, Holders,
    Page, WhoHolds,
};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use crate::collector::{self, Collector};
use crate::domain::credentials::Asked;
use crate::people::bodies::{Body, Filters};
use crate::people::caller::{Ask, Caller, Decides, Read};
use crate::people::pasted::Question;
use crate::pki::Keys;
use crate::refusal::Refusal;
use crate::throttle::Admitted;

/// Credentials.
#[utoipa::path(get, path = "/api/v1/credentials", tag = "credentials", params(CredentialQuery),
    responses((status = 200, description = "A page of credentials.", body = Page<CredentialRow>)))]
pub async fn credentials(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Filters(query): Filters<CredentialQuery>,
) -> Result<Json<Page<CredentialRow>>, Refusal> {
    Ok(Json(collector.domain.credentials(&caller, &query).await?))
}

/// One credential: its blast radius.
#[utoipa::path(get, path = "/api/v1/credentials/{ref}", tag = "credentials",
    params(("ref" = CredentialRef, Path, description = "The credential.")),
    responses(
        (status = 200, description = "The credential.", body = CredentialDetail),
        (status = 404, description = "No such credential.", body = Refused)))]
pub async fn credential(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Path(reference): Path<String>,
) -> Result<Json<CredentialDetail>, Refusal> {
    Ok(Json(
        collector.domain.credential(&caller, &reference).await?,
    ))
}

/// Decides about a credential, unless somebody else has since the caller looked.
#[utoipa::path(put, path = "/api/v1/credentials/{ref}/disposition", tag = "credentials",
    params(("ref" = CredentialRef, Path, description = "The credential.")), request_body = Decide,
    responses(
        (status = 200, description = "The decision that stands now.", body = Decision),
        (status = 404, description = "No such credential.", body = Refused),
        (status = 409, description = "Somebody else has decided since.", body = Refused)))]
pub async fn decide(
    State(collector): State<Collector>,
    caller: Caller<Decides>,
    Path(reference): Path<String>,
    Body(decide): Body<Decide>,
) -> Result<Json<Decision>, Refusal> {
    let now = collector::now();
    let decision = collector.domain.decide(&caller, &reference, decide, now);
    Ok(Json(decision.await?))
}

/// Who holds this key, and of whom can nobody say?
#[utoipa::path(post, path = "/api/v1/who-holds", tag = "credentials", request_body = WhoHolds,
    responses((status = 200, description = "Its holders, as stored.", body = Holders)))]
pub async fn who_holds(
    State(collector): State<Collector>,
    caller: Caller<Ask>,
    question: Question,
) -> Result<Response, Refusal> {
    let admitted = collector
        .questions
        .admit(&caller.signature(), Instant::now())
        .map_err(|seconds| Refusal::busy("Too many questions at once.", seconds))?;
    let asked = hashed(&collector, question, admitted).await?;
    let holders = collector
        .domain
        .who_holds(&caller, asked, collector::now())
        .await?;
    let mut response = Json(holders).into_response();
    // The connection's read buffer held the question: it is freed with the connection.
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// Turns a pasted secret into fingerprints and wipes it. Only for who was admitted: Argon2 takes one of
/// the turns that people sign in by.
async fn hashed(collector: &Collector, question: Question, _: Admitted) -> Result<Asked, Refusal> {
    match question {
        Question::Id(id) => Ok(Asked::Id(id)),
        Question::Secret(secret) => {
            let work = move |keys: &Keys| secret.fingerprints(keys);
            let fingerprints = collector.domain.with_keys(work).await?;
            Ok(Asked::Fingerprints(fingerprints))
        }
    }
}
