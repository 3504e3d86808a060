//! Who is asking, and whether they may: the one typed way from a request to a handler.
//!
//! [`identify`] runs before every closed call and refuses whoever is nobody. A handler then names
//! the permission that it needs as a type, [`Caller<Read>`], and is not entered without it.

use std::marker::PhantomData;

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::Role;
use akwatch_store::audit::Entry;
use akwatch_store::{Actor, Scope};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::collector::{self, Collector};
use crate::domain::people::{Operation, may};
use crate::grants;
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
    /// To retire and rescan hosts.
    Respond, Some(Operation::ActOnHosts), "responder or admin"
);
permission!(
    /// To let hosts in.
    Administer, Some(Operation::Enroll), "admin"
);
permission!(
    /// To have API tokens of one's own.
    OwnTokens, Some(Operation::OwnTokens), "any role"
);

/// How somebody proved who they are.
#[derive(Clone, Debug)]
enum Proof {
    Session([u8; 32]),
    Token(String),
}

/// Somebody, before any permission was asked for.
#[derive(Clone, Debug)]
pub struct Identity {
    name: String,
    role: Role,
    proof: Proof,
    from: Option<String>,
}

/// Somebody who has permission `P`.
pub struct Caller<P> {
    identity: Identity,
    permission: PhantomData<P>,
}

impl<P> Caller<P> {
    /// The person's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The role in force: the person's, or the token's if that is less.
    #[must_use]
    pub fn role(&self) -> Role {
        self.identity.role
    }

    /// The session, when it was not a token.
    #[must_use]
    pub fn session(&self) -> Option<[u8; 32]> {
        match self.identity.proof {
            Proof::Session(hash) => Some(hash),
            Proof::Token(_) => None,
        }
    }

    /// Which hosts the caller may see. Roles are not scoped by label yet: everyone sees the fleet.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::All
    }

    /// The caller as an actor.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let name = match &self.identity.proof {
            Proof::Session(_) => self.identity.name.clone(),
            Proof::Token(id) => format!("token:{id} of {}", self.identity.name),
        };
        Actor {
            name,
            from: self.identity.from.clone(),
        }
    }

    /// Appends to the audit log in the caller's name.
    ///
    /// # Errors
    /// When the store fails: what cannot be audited is not done.
    pub async fn audit(
        &self,
        collector: &Collector,
        action: &str,
        object: String,
    ) -> Result<(), Refusal> {
        let entry = Entry {
            time: collector::now(),
            actor: self.actor(),
            action: action.to_owned(),
            object,
            result: "done".to_owned(),
        };
        collector.store.record(entry).await?;
        Ok(())
    }
}

impl<P: Permission, S: Sync> FromRequestParts<S> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller<P>, Refusal> {
        let identity = parts
            .extensions
            .get::<Identity>()
            .cloned()
            .ok_or_else(Refusal::unauthenticated)?;
        if !P::allows(identity.role) {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                format!("Your role does not allow this; it needs {}.", P::NEEDS),
            )
            .hint("Ask an administrator."));
        }
        Ok(Caller {
            identity,
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
    match identity(&collector, request.headers(), from).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn identity(
    collector: &Collector,
    headers: &HeaderMap,
    from: Option<String>,
) -> Result<Identity, Refusal> {
    let now = collector::now();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        // Who sends a token is that token, whatever cookie comes with it.
        let hash = value
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|value| grants::api_token_hash(value.trim()))
            .ok_or_else(Refusal::unauthenticated)?;
        let caller = collector.store.api_token(hash, now).await?;
        let caller = caller.ok_or_else(Refusal::unauthenticated)?;
        let proof = Proof::Token(caller.token.unwrap_or_default());
        return Ok(Identity {
            name: caller.name,
            role: caller.role,
            proof,
            from,
        });
    }
    let hash = session_hash(headers).ok_or_else(Refusal::unauthenticated)?;
    let caller = collector.store.session(hash, now).await?;
    let caller = caller.ok_or_else(Refusal::unauthenticated)?;
    Ok(Identity {
        name: caller.name,
        role: caller.role,
        proof: Proof::Session(hash),
        from,
    })
}

/// What the store knows a request's session cookie by.
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
