//! Signing in, signing out, and who one is.

use std::collections::BTreeMap;
use std::time::Instant;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::{FirstSignIn, Me, Role, SignIn};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use zeroize::Zeroizing;

use crate::collector::{self, Collector};
use crate::domain::access::{self, NAME, SESSION_MS};
use crate::listen::Peer;
use crate::people::bodies::Body;
use crate::people::caller::{COOKIE, Caller, SignedIn};
use crate::refusal::Refusal;

/// Creates the first administrator with the one-time link.
#[utoipa::path(post, path = "/api/v1/first-sign-in", tag = "sessions", request_body = FirstSignIn,
    responses(
        (status = 200, description = "Signed in; the session cookie is set.", body = Me),
        (status = 401, description = "The link is unknown, over, or was used.", body = akwatch_proto::agent::Refused)))]
pub async fn first_sign_in(
    State(collector): State<Collector>,
    Extension(peer): Extension<Peer>,
    Body(body): Body<FirstSignIn>,
) -> Result<Response, Refusal> {
    let from = peer.address.ip().to_string();
    let link = Zeroizing::new(body.token);
    let password = Zeroizing::new(body.password);
    let name = body.name.trim().to_owned();
    throttled(&collector, &[&from])?;
    let (domain, now) = (&collector.domain, collector::now());
    let done = domain.first_sign_in(&link, &name, password, from.clone(), now);
    let Some(done) = done.await? else {
        collector.sign_ins.count(&from, Instant::now());
        return Err(Refusal::new(
            RefusalCode::Unauthenticated,
            "The link is unknown, over, or was used.",
        )
        .hint("On the collector, `akwatch-server first-sign-in` prints a new one."));
    };
    tracing::info!(peer = %from, "the first administrator signed in");
    Ok(signed_in(&collector, done))
}

/// Signs in with a name and a password.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = SignIn,
    responses(
        (status = 200, description = "Signed in; the session cookie is set.", body = Me),
        (status = 401, description = "Name and password do not fit.", body = akwatch_proto::agent::Refused)))]
pub async fn sign_in(
    State(collector): State<Collector>,
    Extension(peer): Extension<Peer>,
    Body(body): Body<SignIn>,
) -> Result<Response, Refusal> {
    let from = peer.address.ip().to_string();
    let password = Zeroizing::new(body.password);
    let name = akwatch_proto::text::cut(body.name.trim(), NAME);
    let by_name = format!("name:{name}");
    throttled(&collector, &[&by_name, &from])?;
    let (domain, now) = (&collector.domain, collector::now());
    let done = domain.sign_in(&name, password, from.clone(), now).await?;
    let Some(done) = done else {
        collector.sign_ins.count(&by_name, Instant::now());
        collector.sign_ins.count(&from, Instant::now());
        return Err(Refusal::new(
            RefusalCode::Unauthenticated,
            "Name and password do not fit.",
        ));
    };
    collector.sign_ins.forgive(&by_name);
    collector.sign_ins.forgive(&from);
    Ok(signed_in(&collector, done))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions",
    responses((status = 204, description = "Signed out.")))]
pub async fn sign_out(
    State(collector): State<Collector>,
    caller: Caller<SignedIn>,
) -> Result<Response, Refusal> {
    collector.domain.sign_out(&caller, collector::now()).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(&gone) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Who is asking.
#[utoipa::path(get, path = "/api/v1/me", tag = "sessions",
    responses((status = 200, description = "The person or token that asks.", body = Me)))]
pub async fn me(State(collector): State<Collector>, caller: Caller<SignedIn>) -> Json<Me> {
    let scope = caller.labels().cloned();
    let (name, role) = (caller.name().to_owned(), caller.role());
    Json(about(&collector, name, role, scope))
}

fn about(
    collector: &Collector,
    name: String,
    role: Role,
    scope: Option<BTreeMap<String, String>>,
) -> Me {
    Me {
        name,
        role,
        scope,
        collector: collector.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: collector::now(),
    }
}

fn signed_in(collector: &Collector, done: access::SignedIn) -> Response {
    let seconds = SESSION_MS.0 / 1000;
    let cookie = Zeroizing::new(format!(
        "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}",
        *done.value
    ));
    let mut response = Json(about(collector, done.name, done.role, done.scope)).into_response();
    if let Ok(mut value) = HeaderValue::from_str(&cookie) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn throttled(collector: &Collector, keys: &[&str]) -> Result<(), Refusal> {
    let now = Instant::now();
    match keys
        .iter()
        .filter_map(|key| collector.sign_ins.wait(key, now))
        .max()
    {
        Some(seconds) => Err(Refusal::busy("Too many attempts to sign in.", seconds)),
        None => Ok(()),
    }
}
