//! How a refusal is written on a connection: status, headers, JSON, and one line in the log.
//!
//! Answers are written in one place ([`answer`]), which also names each with a request id. What is
//! refused and why is the domain's ([`Refusal`]).

use akwatch_proto::agent::{RefusalCode, Refused};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub use crate::domain::refusal::{Refusal, chain};

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status(self.code).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Names each request, writes refusals as JSON and logs them once.
pub async fn answer(request: Request, next: Next) -> Response {
    let id = request_id();
    let call = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let (mut head, body) = response.into_parts();
    if let Ok(value) = HeaderValue::from_str(&id) {
        head.headers.insert("x-request-id", value);
    }
    let refusal = match head.extensions.remove::<Refusal>() {
        Some(refusal) => refusal,
        // What the framework itself refuses, an address that is not UTF-8, reads the same.
        None if head.status.is_client_error() => {
            Refusal::new(RefusalCode::Malformed, "The call is not understood.")
        }
        None => return Response::from_parts(head, body),
    };
    let internal = refusal.internal.as_deref().unwrap_or_default();
    let call = akwatch_proto::text::escape(call.as_bytes());
    if refusal.code == RefusalCode::Internal {
        tracing::error!(request = %id, %call, reason = %internal, "the collector failed a request");
    } else {
        tracing::debug!(request = %id, %call, code = ?refusal.code, reason = %internal, "refused");
    }
    let body = Refused {
        request: Some(id),
        ..refusal.told()
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Response::from_parts(head, body.into())
}

/// What a handler that panicked answers: nothing of the panic's text, which could hold anything.
#[must_use]
pub fn panicked(_panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Refusal::new(
        RefusalCode::Internal,
        "The collector could not answer. Nothing was changed.",
    )
    .because("a handler panicked")
    .into_response()
}

fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::TokenUnknown
        | RefusalCode::TokenExpired
        | RefusalCode::TokenUsedUp
        | RefusalCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        RefusalCode::WrongHost
        | RefusalCode::Revoked
        | RefusalCode::Clone
        | RefusalCode::Forbidden => StatusCode::FORBIDDEN,
        RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalCode::Busy => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::Conflict => StatusCode::CONFLICT,
        RefusalCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}
fn request_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(12).collect()
}
