//! Bodies and filters from people: bounded, JSON only, and never repeated in a refusal.

use std::time::Duration;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::{limits, text};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::agents::wire;
use crate::refusal::Refusal;

/// For a whole body.
const BODY_TIME: Duration = Duration::from_secs(15);

/// A parsed JSON body. The bytes that it came from are wiped.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Body<T>, Refusal> {
        json_only(request.headers())?;
        let bytes = wire::read(request.into_body(), limits::PEOPLE_BODY, BODY_TIME).await?;
        let bytes = Zeroizing::new(bytes);
        parse(&bytes).map(Body)
    }
}

/// Refuses every content type but JSON: a form of another site cannot send it.
///
/// # Errors
/// When it is another.
pub fn json_only(headers: &HeaderMap) -> Result<(), Refusal> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim() == "application/json"
        });
    if json {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::Malformed,
        "The body must be application/json.",
    ))
}

/// Parses JSON; a refusal names the position and never the content.
///
/// # Errors
/// When it is not what the call takes.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::new(
            RefusalCode::Malformed,
            format!(
                "The body is not what this call takes, at line {} column {}.",
                error.line(),
                error.column()
            ),
        )
        .hint("The OpenAPI document lists the fields of every call.")
    })
}

/// Filters from the address; an unknown one is named with those that exist.
pub struct Filters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Filters<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Filters<T>, Refusal> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Filters(query)),
            Err(error) => {
                let why = crate::refusal::chain(&error);
                // Which filter and why; how it is read is no concern of the caller's.
                let why = why.replace("Failed to deserialize query string: ", "");
                let why = text::cut(&text::escape(why.as_bytes()), limits::FILTER);
                Err(Refusal::new(
                    RefusalCode::Malformed,
                    format!("A filter is not understood: {why}."),
                ))
            }
        }
    }
}
