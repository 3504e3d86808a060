//! Credentials, one credential, and who holds it.

use std::time::Instant;

use akwatch_proto::agent::Refused;
use akwatch_proto::people::{
    CredentialDetail, CredentialQuery, CredentialRef, CredentialRow, Holders, Page, WhoHolds,
};
use akwatch_store::filter::CredentialFilter;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use crate::collector::Collector;
use crate::people::bodies::{Filters, refused_filter};
use crate::people::caller::{Ask, Caller, Read};
use crate::people::pasted::Question;
use crate::people::view;
use crate::refusal::Refusal;

/// Credentials.
#[utoipa::path(get, path = "/api/v1/credentials", tag = "credentials", params(CredentialQuery),
    responses((status = 200, description = "A page of credentials.", body = Page<CredentialRow>)))]
pub async fn credentials(
    State(collector): State<Collector>,
    caller: Caller<Read>,
    Filters(query): Filters<CredentialQuery>,
) -> Result<Json<Page<CredentialRow>>, Refusal> {
    let filter = CredentialFilter::try_from(&query).map_err(|error| refused_filter(&error))?;
    let page = collector
        .store
        .credentials(&caller.scope(), &filter)
        .await?;
    Ok(Json(view::for_role(caller.role(), page)))
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
    let missing = || Refusal::not_found("credential");
    let reference = CredentialRef::parse(&reference).map_err(|_| missing())?;
    let detail = collector
        .store
        .credential(&caller.scope(), &reference)
        .await?;
    let detail = detail.ok_or_else(missing)?;
    Ok(Json(view::for_role(caller.role(), detail)))
}

/// Who holds this key, and of whom can nobody say?
#[utoipa::path(post, path = "/api/v1/who-holds", tag = "credentials", request_body = WhoHolds,
    responses((status = 200, description = "Its holders, as stored.", body = Holders)))]
pub async fn who_holds(
    State(collector): State<Collector>,
    caller: Caller<Ask>,
    question: Question,
) -> Result<Response, Refusal> {
    let asked = hashed(&collector, question).await?;
    let key = caller.actor().name;
    if let Some(seconds) = collector.questions.wait(&key, Instant::now()) {
        return Err(Refusal::busy("Too many questions at once.", seconds));
    }
    collector.questions.count(&key, Instant::now());
    let (holders, object) = match asked {
        Asked::Id(id) => {
            let holders = collector.store.holders_of_id(&caller.scope(), &id).await?;
            (holders, format!("id:{id}"))
        }
        Asked::Fingerprints(fingerprints) => {
            let holders = collector
                .store
                .holders_of_secret(&caller.scope(), &fingerprints)
                .await?;
            (holders, "a pasted secret".to_owned())
        }
    };
    let found = holders
        .credential
        .as_ref()
        .map(|row| row.reference.as_str());
    let object = format!("{object} → {}", found.unwrap_or("nothing"));
    caller.audit(&collector, "who-holds", object).await?;
    let mut response = Json(view::for_role(caller.role(), holders)).into_response();
    // The connection's read buffer held the question: it is freed with the connection.
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

enum Asked {
    Id(akwatch_proto::credential::CredentialId),
    Fingerprints(Vec<akwatch_proto::credential::Fingerprint>),
}

/// Turns a pasted secret into fingerprints and wipes it. Argon2 takes tens of milliseconds and 19
/// MiB, so it takes a turn among the passwords.
async fn hashed(collector: &Collector, question: Question) -> Result<Asked, Refusal> {
    match question {
        Question::Id(id) => Ok(Asked::Id(id)),
        Question::Secret(secret) => {
            let with = collector.clone();
            let work = move || secret.fingerprints(&with.keys);
            Ok(Asked::Fingerprints(collector.passwords.turn(work).await?))
        }
    }
}
