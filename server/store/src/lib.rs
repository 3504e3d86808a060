//! akwatch-store: what the collector remembers, and the only SQL of the project.
//!
//! Everything that a handler may ask is a method of a trait named after a noun ([`Hosts`],
//! [`Findings`], [`Credentials`], …); [`Store`] is all of them, so that an `Arc<dyn Store>` is what a
//! handler holds and a second database engine is a second implementation. Three promises shape the
//! methods:
//!
//! * **A write is a decision**: one call is one transaction, its audit entry included, and its answer
//!   comes after the commit is durable.
//! * **A read has a [`Scope`]**: which hosts the caller may see. Without one it does not compile.
//! * **Rules live elsewhere**: scores, verdicts, causes, token decisions and the audit chain are
//!   [`Rules`], written in the collector's domain and handed in when the store is opened. The store
//!   calls them inside its transactions and keeps their results in columns to sort by.
//!
//! No fingerprint of the wire (F1) is ever stored: the store keeps F2 = HMAC(P, F1), with P the
//! [`PepperKey`] that the caller reads from a file which is no part of the database or its backup.
//! What could betray an F1 by being hashed without P (the identity of a finding, the elements of a
//! host's digest) is keyed or masked with P too.

#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;

pub mod access;
pub mod audit;
pub mod credentials;
pub mod cursor;
pub mod decisions;
pub mod directives;
pub mod enrollment;
pub mod events;
pub mod filter;
pub mod findings;
pub mod hosts;
pub mod pepper;
pub mod rules;
pub mod scope;
pub mod settings;
pub mod sqlite;

pub use access::{ApiTokens, FirstSignIns, People, Sessions};
pub use audit::{Actor, Audit};
pub use credentials::Credentials;
pub use decisions::Decisions;
pub use directives::Directives;
pub use enrollment::{Certificates, EnrollmentTokens};
pub use events::Events;
pub use findings::Findings;
pub use hosts::Hosts;
pub use pepper::PepperKey;
pub use rules::Rules;
pub use scope::Scope;
pub use settings::Settings;
pub use sqlite::Sqlite;

/// What every method answers: a future that any handler may await.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Everything that the collector remembers.
pub trait Store:
    Hosts
    + Findings
    + Credentials
    + Decisions
    + EnrollmentTokens
    + Certificates
    + People
    + Sessions
    + ApiTokens
    + FirstSignIns
    + Directives
    + Audit
    + Settings
    + Events
    + Send
    + Sync
{
}

/// Why the store could not answer. Refusals that are decisions are part of the answers' types.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or failed a step.
    #[error("the database failed at: {step}")]
    Database {
        /// What was being done.
        step: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema version {found}, and this program knows {known}: start the newer \
         program, or restore the backup that was made before the upgrade"
    )]
    NewerSchema {
        /// In the file.
        found: usize,
        /// The newest that this program knows.
        known: usize,
    },
    /// The file is a database of something else.
    #[error("the file is not an akwatch database: {0}")]
    Foreign(&'static str),
    /// Another program holds the database.
    #[error("another program holds the database; is a second collector running on this directory?")]
    Held,
    /// The pepper key is not the one that the database was made with.
    #[error(
        "the pepper key is not the one that this database was made with: put the right key file \
         back, since nothing stored can be matched without it"
    )]
    WrongPepper,
    /// The writer has stopped; nothing can be written until the collector is started again.
    #[error("the store is closed")]
    Closed,
    /// A stored value does not read back.
    #[error("a stored {what} does not read back: {why}")]
    Damaged {
        /// Of what.
        what: &'static str,
        /// How.
        why: String,
    },
    /// The cursor was not made by this list.
    #[error("the cursor does not belong to this list; ask for its first page again")]
    BadCursor,
}

impl StoreError {
    /// Whether the caller sent something wrong, rather than the store having failed.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        matches!(self, StoreError::BadCursor)
    }
}
