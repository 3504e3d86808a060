//! What somebody is told when the answer is no, and what the operator reads about it: two messages.
//!
//! A [`Refusal`] carries the wire's [`Refused`] body and, apart from it, the reason for the log.
//! Nothing here may repeat what a caller sent: a refused body can hold a password. It knows no HTTP;
//! how it is written on a connection is [`crate::refusal`]'s.

use std::fmt::{self, Write as _};

use akwatch_proto::agent::{RefusalCode, Refused};

/// A refusal on either listener.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) code: RefusalCode,
    message: String,
    hint: Option<String>,
    /// For the log only.
    pub(crate) internal: Option<String>,
    pub(crate) retry_after_seconds: Option<u32>,
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

    /// Why, for the operator: the reason behind it if there is one, else what the caller is told.
    #[must_use]
    pub fn reason(&self) -> String {
        self.internal.as_ref().unwrap_or(&self.message).clone()
    }

    /// Whether an enrollment token was not good: what is counted against guessing.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        use RefusalCode as Code;
        matches!(
            self.code,
            Code::TokenUnknown | Code::TokenExpired | Code::TokenUsedUp
        )
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

impl From<akwatch_store::filter::FilterError> for Refusal {
    fn from(error: akwatch_store::filter::FilterError) -> Refusal {
        Refusal::new(RefusalCode::Malformed, format!("Not understood: {error}."))
    }
}
