//! What a caller reads when it is refused, and what the operator reads about it: two messages.
//!
//! A [`Refusal`] carries the wire's [`Refused`] body and, apart from it, the reason for the log.
//! Nothing here may repeat what a caller sent: a refused body can hold a password. Answers are
//! written in one place ([`answer`]), which also names each with a request id and logs it once.

use std::fmt::{self, Write as _};

use akwatch_proto::agent::{RefusalCode, Refused};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// A refusal on either listener.
#[derive(Clone, Debug)]
pub struct Refusal {
    code: RefusalCode,
    message: String,
    hint: Option<String>,
    /// For the log only.
    internal: Option<String>,
    retry_after_seconds: Option<u32>,
}

impl Refusal {
    /// A refusal with what the caller may read.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            hint: None,
            internal: None,
            retry_after_seconds: None,
        }
    }

    /// The collector's own fault: the caller learns nothing but the request's id.
    #[must_use]
    pub fn internal(step: &'static str, error: &dyn std::error::Error) -> Refusal {
        Refusal::new(
            RefusalCode::Internal,
            "The collector could not answer. Nothing was changed.",
        )
        .hint("Try again; if it persists, look for this request in the collector's log.")
        .because(format!("{step}: {}", chain(error)))
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn unauthenticated() -> Refusal {
        Refusal::new(
            RefusalCode::Unauthenticated,
            "Nobody is signed in, or the session is over.",
        )
        .hint("Sign in, or send an API token as `Authorization: Bearer`.")
    }

    /// No such thing, or not within the caller's sight.
    #[must_use]
    pub fn not_found(what: &str) -> Refusal {
        Refusal::new(RefusalCode::NotFound, format!("There is no such {what}."))
    }

    /// Too much at once.
    #[must_use]
    pub fn busy(message: impl Into<String>, retry_after_seconds: u32) -> Refusal {
        let mut refusal = Refusal::new(RefusalCode::Busy, message)
            .hint(format!("Try again in {retry_after_seconds} s."));
        refusal.retry_after_seconds = Some(retry_after_seconds);
        refusal
    }

    /// What to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    /// What only the log may say.
    #[must_use]
    pub fn because(mut self, internal: impl Into<String>) -> Refusal {
        self.internal = Some(internal.into());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        self.code
    }

    /// What the caller may read, without a request's id.
    #[must_use]
    pub fn told(&self) -> Refused {
        Refused {
            code: self.code,
            message: self.message.clone(),
            hint: self.hint.clone(),
            request: None,
        }
    }

    fn status(&self) -> StatusCode {
        match self.code {
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
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
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

/// An error with all its sources, each once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            let _ = write!(text, ": {inner_text}");
        }
        source = inner.source();
    }
    text
}

fn request_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(12).collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<akwatch_store::StoreError> for Refusal {
    fn from(error: akwatch_store::StoreError) -> Refusal {
        if error.is_callers() {
            Refusal::new(RefusalCode::Malformed, format!("Not understood: {error}."))
        } else {
            Refusal::internal("the store", &error)
        }
    }
}
