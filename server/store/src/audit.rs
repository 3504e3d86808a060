//! Audit: who did or saw what. Each entry's hash covers the one before it.

use akwatch_proto::people::{AuditEntry, Page};
use akwatch_proto::time::Time;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::filter::AuditFilter;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A person's name, `token:ID of NAME`, `host:ID` or `collector`.
    pub name: String,
    /// The peer's address.
    pub from: Option<String>,
}

impl Actor {
    /// The collector itself.
    #[must_use]
    pub fn collector() -> Actor {
        Actor {
            name: "collector".to_owned(),
            from: None,
        }
    }

    /// A person at an address.
    #[must_use]
    pub fn person(name: &str, from: Option<String>) -> Actor {
        Actor {
            name: name.to_owned(),
            from,
        }
    }
}

/// What is audited. Never holds a secret: objects are names and references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the collector's clock.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// What: `sign-in`, `retire-host`, `who-holds`, …
    pub action: String,
    /// On what.
    pub object: String,
    /// `done` or why it was refused.
    pub result: String,
}

/// An entry in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// The hash of the entry before; zeros for the first.
    pub previous: [u8; 32],
    /// What [`Rules::link`](crate::Rules::link) made of both.
    pub hash: [u8; 32],
    /// The entry.
    pub entry: Entry,
}

/// The audit log. It belongs to the whole collector, so it takes no scope; who may read it is the
/// domain's decision.
pub trait Audit {
    /// Appends what was seen or refused; writes that change something append their own entry.
    fn record(&self, entry: Entry) -> Answer<'_, u64>;

    /// One page of the log, newest first.
    fn audited<'a>(&'a self, filter: &'a AuditFilter) -> Answer<'a, Page<AuditEntry>>;

    /// Entries numbered above `after`, rising, at most `limit`.
    fn entries(&self, after: u64, limit: u32) -> Answer<'_, Vec<Linked>>;
}
