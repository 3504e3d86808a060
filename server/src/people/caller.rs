//! Who is asking, and whether they may: the one typed way from a request to a handler.
//!
//! [`identify`] runs before every closed call and refuses whoever is nobody. A handler then names
//! the permission that it needs as a type, [`Caller<Read>`], and is not entered without it.

use std::marker::PhantomData;
use std::ops::Deref;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::Role;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::collector::{self, Collector};
use crate::domain::grants;
use crate::domain::people::{Asker, Operation, may};
use crate::listen::Peer;
use crate::refusal::Refusal;

/// The session cookie's name; the prefix binds it to this host and to HTTPS.
pub const COOKIE: &str = "__Host-akwatch";

/// What a call needs.
pub trait Permission: Send + Sync + 'static {
    /// The domain's name for it; none when being somebody is enough.
    const OPERATION: Option<Operation>;
    /// Who has it, in words, for the refusal.
    const NEEDS: &'static str;

    /// Whether a role has it: the domain decides.
    #[must_use]
    fn allows(role: Role) -> bool {
        Self::OPERATION.is_none_or(|operation| may(role, operation))
    }
}

macro_rules! permission {
    ($(#[$doc:meta])* $name:ident, $operation:expr, $needs:literal) => {
        $(#[$doc])*
        pub enum $name {}
        impl Permission for $name {
            const OPERATION: Option<Operation> = $operation;
            const NEEDS: &'static str = $needs;
        }
    };
}

permission!(
    /// To be somebody.
    SignedIn, None, "any role"
);
permission!(
    /// To read hosts, credentials and findings.
    Read, Some(Operation::Read), "viewer, responder or admin"
);
permission!(
    /// To ask who holds a key.
    Ask, Some(Operation::AskWhoHolds), "responder or admin"
);
permission!(
    /// To retire, rescan and pause hosts.
    Respond, Some(Operation::ActOnHosts), "responder or admin"
);
permission!(
    /// To decide about credentials.
    Decides, Some(Operation::Decide), "responder or admin"
);
permission!(
    /// To read the audit log.
    Audits, Some(Operation::ReadAudit), "auditor or admin"
);
permission!(
    /// To let hosts in.
    Administer, Some(Operation::Enroll), "admin"
);
permission!(
    /// To have API tokens of one's own.
    OwnTokens, Some(Operation::OwnTokens), "any role"
);

/// Somebody who has permission `P`.
pub struct Caller<P> {
    asker: Asker,
    permission: PhantomData<P>,
}

impl<P> Deref for Caller<P> {
    type Target = Asker;

    fn deref(&self) -> &Asker {
        &self.asker
    }
}

impl<P: Permission, S: Sync> FromRequestParts<S> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller<P>, Refusal> {
        let asker = parts
            .extensions
            .get::<Asker>()
            .cloned()
            .ok_or_else(Refusal::unauthenticated)?;
        if !P::allows(asker.role()) {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                format!("Your role does not allow this; it needs {}.", P::NEEDS),
            )
            .hint("Ask an administrator."));
        }
        Ok(Caller {
            asker,
            permission: PhantomData,
        })
    }
}

/// Lets nobody pass who is nobody.
pub async fn identify(
    State(collector): State<Collector>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.address.ip().to_string());
    match asker(&collector, request.headers(), from).await {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn asker(
    collector: &Collector,
    headers: &HeaderMap,
    from: Option<String>,
) -> Result<Asker, Refusal> {
    let (domain, now) = (&collector.domain, collector::now());
    let asker = match headers.get(header::AUTHORIZATION) {
        // Who sends a token is that token, whatever cookie comes with it.
        Some(value) => {
            let value = value.to_str().ok();
            let value = value
                .and_then(|value| value.strip_prefix("Bearer "))
                .ok_or_else(Refusal::unauthenticated)?;
            domain.by_token(value.trim(), from, now).await?
        }
        None => {
            let hash = session_hash(headers).ok_or_else(Refusal::unauthenticated)?;
            domain.by_session(hash, from, now).await?
        }
    };
    asker.ok_or_else(Refusal::unauthenticated)
}

/// What the domain knows a request's session cookie by.
#[must_use]
pub fn session_hash(headers: &HeaderMap) -> Option<[u8; 32]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && value.len() == grants::SECRET_CHARACTERS)
        .map(|(_, value)| Sha256::digest(value.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_the_permissions_of_the_table() {
        let table = |role| {
            [
                SignedIn::allows(role),
                Read::allows(role),
                Respond::allows(role),
                Administer::allows(role),
            ]
        };
        assert_eq!(table(Role::Auditor), [true, false, false, false]);
        assert_eq!(table(Role::Viewer), [true, true, false, false]);
        assert_eq!(table(Role::Responder), [true, true, true, false]);
        assert_eq!(table(Role::Admin), [true, true, true, true]);
    }

    #[test]
    fn the_cookie_is_found_among_others_and_nothing_else_is() {
        let value = "a".repeat(grants::SECRET_CHARACTERS);
        let mut headers = HeaderMap::new();
        let cookie = format!("theme=dark; {COOKIE}={value}");
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        assert_eq!(
            session_hash(&headers),
            Some(Sha256::digest(value.as_bytes()).into())
        );
        headers.insert(header::COOKIE, format!("{COOKIE}=short").parse().unwrap());
        assert_eq!(session_hash(&headers), None);
    }
}
