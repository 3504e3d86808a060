//! People and what they sign in with: passwords, sessions, API tokens, the first link.
//!
//! Nothing here is a secret: passwords come as PHC strings, sessions, tokens and links as SHA-256 of
//! random values. Hashing and comparing passwords is the caller's.

use std::collections::BTreeMap;

use akwatch_proto::people::{ApiToken, Role};
use akwatch_proto::time::Time;

use crate::audit::Actor;
use crate::{Answer, Scope};

/// A person as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRecord {
    /// The name to sign in with.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Labels of the hosts that the person may see; the whole fleet when there are none.
    pub labels: BTreeMap<String, String>,
    /// The password's hash, a PHC string.
    pub password: String,
}

impl std::fmt::Debug for PersonRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonRecord")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Who is asking, by session or by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub name: String,
    /// What may be done: the person's role, or the token's if that is less.
    pub role: Role,
    /// Which hosts may be seen: the person's scope, or the token's within it.
    pub scope: Scope,
    /// The token's id, when it was one.
    pub token: Option<String>,
}

/// A session to be.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of the cookie's value.
    pub hash: [u8; 32],
    /// When it ends at the latest.
    pub until: Time,
    /// Milliseconds without a request after which it ends.
    pub idle_ms: i64,
}

/// An API token to be.
#[derive(Clone, Debug)]
pub struct NewApiTokenRecord {
    /// Its id, for people.
    pub id: String,
    /// SHA-256 of its value.
    pub hash: [u8; 32],
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Labels of the hosts that it may see; everything that its person may see when there are none.
    pub labels: BTreeMap<String, String>,
    /// Who makes it.
    pub person: String,
    /// When it ends.
    pub until: Time,
}

/// People. Sign-in belongs to the whole collector, so these take no scope.
pub trait People {
    /// Stores a person, or the new password and role of one; the person's sessions end.
    fn put_person(&self, person: PersonRecord, actor: Actor, now: Time) -> Answer<'_, ()>;

    /// One person.
    fn person<'a>(&'a self, name: &'a str) -> Answer<'a, Option<PersonRecord>>;

    /// Whether there is anybody: else the first sign-in is due.
    fn anybody(&self) -> Answer<'_, bool>;
}

/// Sessions.
pub trait Sessions {
    /// Starts a session after the password was checked; writes the audit entry.
    fn start_session(&self, session: NewSession, actor: Actor, now: Time) -> Answer<'_, ()>;

    /// Who a cookie stands for, and notes that it was used. None when it is unknown, over or idle
    /// for too long.
    fn session(&self, hash: [u8; 32], now: Time) -> Answer<'_, Option<Caller>>;

    /// Ends a session; false when there is none.
    fn end_session(&self, hash: [u8; 32], actor: Actor, now: Time) -> Answer<'_, bool>;
}

/// API tokens.
pub trait ApiTokens {
    /// Stores one; None when the person does not exist.
    fn create_api_token(
        &self,
        token: NewApiTokenRecord,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, Option<ApiToken>>;

    /// Tokens of one person, newest first.
    fn api_tokens<'a>(&'a self, person: &'a str) -> Answer<'a, Vec<ApiToken>>;

    /// Who a token stands for, and notes that it was used (to the minute). None when it is unknown
    /// or over.
    fn api_token(&self, hash: [u8; 32], now: Time) -> Answer<'_, Option<Caller>>;

    /// Deletes a token of a person; false when there is none.
    fn delete_api_token(
        &self,
        id: String,
        person: String,
        actor: Actor,
        now: Time,
    ) -> Answer<'_, bool>;
}

/// What became of a first sign-in.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSigningIn {
    /// The person exists now and the session has begun.
    Done,
    /// The link is unknown, over, or was used.
    Refused,
}

/// The one-time link by which the first administrator comes in.
pub trait FirstSignIns {
    /// Makes a link good until `until`; an earlier one is no longer good.
    fn offer_first_sign_in(&self, hash: [u8; 32], until: Time, now: Time) -> Answer<'_, ()>;

    /// Uses the link: stores the administrator and starts the session, in one transaction.
    fn first_sign_in(
        &self,
        hash: [u8; 32],
        person: PersonRecord,
        session: NewSession,
        from: Option<String>,
        now: Time,
    ) -> Answer<'_, FirstSigningIn>;
}
