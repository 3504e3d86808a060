//! Who is asking, and what lets them in: sessions, API tokens, enrollment tokens, the first link.
//!
//! Every value that lets somebody in is made here, leaves once, and is stored by its hash only.

use std::collections::BTreeMap;

use akwatch_proto::agent::{RefusalCode, TokenId};
use akwatch_proto::people::{
    ApiToken, CreatedApiToken, CreatedEnrollmentToken, EnrollmentToken, NewApiToken,
    NewEnrollmentToken, Role,
};
use akwatch_proto::time::Time;
use akwatch_store::access::{Caller, FirstSigningIn, NewSession, PersonRecord};
use akwatch_store::audit::Entry;
use akwatch_store::{Actor, Scope};
use zeroize::Zeroizing;

use crate::domain::Domain;
use crate::domain::grants::{self, Grantor};
use crate::domain::people::{Asker, Proof};
use crate::domain::refusal::Refusal;

/// Milliseconds that a session lasts at most, and without a request.
pub const SESSION_MS: (i64, i64) = (12 * 60 * 60 * 1000, 30 * 60 * 1000);
/// Characters of a person's name.
pub const NAME: usize = 64;
/// The person in whose name the command line makes API tokens; nobody can sign in as it.
const LOCAL: &str = "local";

/// Somebody who has just signed in.
pub struct SignedIn {
    /// The person.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Labels of the hosts in sight; the whole fleet when none.
    pub scope: Option<BTreeMap<String, String>>,
    /// The session's value, for the cookie and nothing else.
    pub value: Zeroizing<String>,
}

impl Domain {
    /// Who a token stands for; none when it is unknown, over, or none of ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn by_token(
        &self,
        value: &str,
        from: Option<String>,
        now: Time,
    ) -> Result<Option<Asker>, Refusal> {
        let Some(hash) = grants::api_token_hash(value) else {
            return Ok(None);
        };
        let caller = self.store.api_token(hash, now).await?;
        Ok(caller.map(|caller| {
            let proof = Proof::Token(caller.token.clone().unwrap_or_default());
            asker(caller, proof, from)
        }))
    }

    /// Who a session stands for, by its value's hash; notes that it was used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn by_session(
        &self,
        hash: [u8; 32],
        from: Option<String>,
        now: Time,
    ) -> Result<Option<Asker>, Refusal> {
        let caller = self.store.session(hash, now).await?;
        Ok(caller.map(|caller| asker(caller, Proof::Session(hash), from)))
    }

    /// Makes the first administrator with the one-time link; none when the link is not good.
    ///
    /// # Errors
    /// When name or password are refused, or the store fails.
    pub async fn first_sign_in(
        &self,
        link: &str,
        name: &str,
        password: Zeroizing<String>,
        from: String,
        now: Time,
    ) -> Result<Option<SignedIn>, Refusal> {
        grants::printable("The name", name, NAME)?;
        let person = PersonRecord {
            name: name.to_owned(),
            role: Role::Admin,
            labels: BTreeMap::new(),
            password: self.passwords.hash(password).await?,
        };
        let (value, session) = new_session(now);
        let (hash, role) = (grants::hash(link), person.role);
        let signed = self
            .store
            .first_sign_in(hash, person, session, Some(from), now)
            .await?;
        Ok(match signed {
            FirstSigningIn::Done => Some(SignedIn {
                name: name.to_owned(),
                role,
                scope: None,
                value,
            }),
            FirstSigningIn::Refused => None,
        })
    }

    /// Signs in with a name and a password; none, and an audit entry, when they do not fit.
    ///
    /// # Errors
    /// When no turn for hashing was free, or the store fails.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Zeroizing<String>,
        from: String,
        now: Time,
    ) -> Result<Option<SignedIn>, Refusal> {
        let person = self.store.person(name).await?;
        let hash = person.as_ref().map(|person| person.password.clone());
        let fits = self.passwords.verify(password, hash).await?;
        let Some(person) = person.filter(|_| fits) else {
            let nobody = Actor::person("nobody", Some(from));
            self.record(nobody, "sign-in", "session".to_owned(), "refused", now)
                .await?;
            return Ok(None);
        };
        let (value, session) = new_session(now);
        let actor = Actor::person(&person.name, Some(from));
        self.store.start_session(session, actor, now).await?;
        Ok(Some(SignedIn {
            name: person.name,
            role: person.role,
            scope: (!person.labels.is_empty()).then_some(person.labels),
            value,
        }))
    }

    /// Ends the asker's session, if it is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_out(&self, by: &Asker, now: Time) -> Result<(), Refusal> {
        if let Some(hash) = by.session() {
            let _ended = self.store.end_session(hash, by.actor(), now).await?;
        }
        Ok(())
    }

    /// The asker's own API tokens, newest first, without their values.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn own_tokens(&self, by: &Asker) -> Result<Vec<ApiToken>, Refusal> {
        Ok(self.store.api_tokens(by.name()).await?)
    }

    /// Makes an API token. Needs a session: a token makes no tokens, so that a leaked one cannot
    /// outlive its end.
    ///
    /// # Errors
    /// When the asker is a token, a wish is out of range or above the asker's role, or the store
    /// fails.
    pub async fn create_own_token(
        &self,
        by: &Asker,
        new: NewApiToken,
        now: Time,
    ) -> Result<CreatedApiToken, Refusal> {
        if by.session().is_none() {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                "An API token cannot make API tokens.",
            )
            .hint("Sign in to the console, or run `akwatch-server api-token create`."));
        }
        let grantor = Grantor {
            name: by.name(),
            role: by.role(),
            scope: by.scope(),
        };
        self.api_token(new, &grantor, by.actor(), now).await
    }

    /// Revokes one of the asker's own API tokens.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn revoke_own_token(&self, by: &Asker, id: &str, now: Time) -> Result<(), Refusal> {
        let (person, actor) = (by.name().to_owned(), by.actor());
        let known = id.len() <= 64
            && self
                .store
                .delete_api_token(id.to_owned(), person, actor, now)
                .await?;
        known
            .then_some(())
            .ok_or_else(|| Refusal::not_found("API token"))
    }

    /// Enrollment tokens, newest first, without their secrets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrollment_tokens(&self, by: &Asker) -> Result<Vec<EnrollmentToken>, Refusal> {
        by.must_see_the_fleet()?;
        Ok(self.store.tokens(by.scope()).await?)
    }

    /// Makes an enrollment token; the answer holds its bootstrap string.
    ///
    /// # Errors
    /// When a wish is out of range, or the store fails.
    pub async fn create_enrollment_token(
        &self,
        by: &Asker,
        new: NewEnrollmentToken,
        now: Time,
    ) -> Result<CreatedEnrollmentToken, Refusal> {
        by.must_see_the_fleet()?;
        self.enrollment_token(new, by.actor(), now).await
    }

    /// Revokes an enrollment token; hosts enrolled with it stay.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn revoke_enrollment_token(
        &self,
        by: &Asker,
        id: &str,
        now: Time,
    ) -> Result<(), Refusal> {
        by.must_see_the_fleet()?;
        let missing = || Refusal::not_found("enrollment token");
        let id = TokenId::parse(id).map_err(|_| missing())?;
        let deleted = self.store.delete_token(id, by.actor(), now).await?;
        deleted.then_some(()).ok_or_else(missing)
    }

    /// What whoever holds the state directory asks for: an enrollment token.
    ///
    /// # Errors
    /// As [`Domain::create_enrollment_token`].
    pub async fn local_enrollment_token(
        &self,
        new: NewEnrollmentToken,
        now: Time,
    ) -> Result<CreatedEnrollmentToken, Refusal> {
        self.enrollment_token(new, Actor::person(LOCAL, None), now)
            .await
    }

    /// What whoever holds the state directory asks for: the token of a link to sign in with first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn local_first_sign_in(&self, now: Time) -> Result<Zeroizing<String>, Refusal> {
        let link = grants::secret(grants::SECRET_CHARACTERS);
        let until = now.plus(grants::LINK_MS);
        self.store
            .offer_first_sign_in(grants::hash(&link), until, now)
            .await?;
        Ok(link)
    }

    /// What whoever holds the state directory asks for: an API token of any role.
    ///
    /// # Errors
    /// When a wish is out of range, or the store fails.
    pub async fn local_api_token(
        &self,
        new: NewApiToken,
        now: Time,
    ) -> Result<CreatedApiToken, Refusal> {
        if self.store.person(LOCAL).await?.is_none() {
            // `!` is no PHC string: no password fits it.
            let local = PersonRecord {
                name: LOCAL.to_owned(),
                role: Role::Admin,
                labels: BTreeMap::new(),
                password: "!".to_owned(),
            };
            self.store
                .put_person(local, Actor::collector(), now)
                .await?;
        }
        let grantor = Grantor {
            name: LOCAL,
            role: Role::Admin,
            scope: &Scope::All,
        };
        self.api_token(new, &grantor, Actor::person(LOCAL, None), now)
            .await
    }

    /// Appends to the audit log.
    pub(super) async fn record(
        &self,
        actor: Actor,
        action: &str,
        object: String,
        result: &str,
        time: Time,
    ) -> Result<(), Refusal> {
        let entry = Entry {
            time,
            actor,
            action: action.to_owned(),
            object,
            result: result.to_owned(),
        };
        self.store.record(entry).await?;
        Ok(())
    }
}

fn asker(caller: Caller, proof: Proof, from: Option<String>) -> Asker {
    Asker::new(caller.name, caller.role, caller.scope, proof, from)
}

fn new_session(now: Time) -> (Zeroizing<String>, NewSession) {
    let (most, idle_ms) = SESSION_MS;
    let value = grants::secret(grants::SECRET_CHARACTERS);
    let session = NewSession {
        hash: grants::hash(&value),
        until: now.plus(most),
        idle_ms,
    };
    (value, session)
}
