//! The audit chain: each entry's hash covers the one before it, so that an entry cannot be changed,
//! removed or slipped in without every later hash being wrong.
//!
//! Whoever can rewrite the whole table can rewrite the chain; exporting the newest hash elsewhere is
//! what makes that visible.

use akwatch_proto::agent::RefusalCode;
use akwatch_proto::people::{AuditEntry, AuditQuery, Page};
use akwatch_store::audit::{Entry, Linked};
use akwatch_store::filter::AuditFilter;
use sha2::{Digest as _, Sha256};

use crate::domain::people::{Asker, Operation, may};
use crate::domain::refusal::Refusal;
use crate::domain::{Domain, view};

impl Domain {
    /// One page of the audit log, newest first. It is of the whole collector.
    ///
    /// # Errors
    /// When the asker sees a part of the fleet only, a filter is refused, or the store fails.
    pub async fn audited(
        &self,
        by: &Asker,
        query: &AuditQuery,
    ) -> Result<Page<AuditEntry>, Refusal> {
        by.must_see_the_fleet()?;
        let filter = AuditFilter {
            ids: may(by.role(), Operation::ReadIds),
            ..AuditFilter::try_from(query)?
        };
        let page = self.store.audited(&filter).await?;
        Ok(view::for_role(by.role(), page))
    }
}

/// Entries that are verified at a time.
const PAGE: u32 = 1000;

impl Domain {
    /// Verifies the whole chain; answers how many entries it has and the newest hash, which, written
    /// down elsewhere, shows later whether the log was rewritten as a whole.
    ///
    /// # Errors
    /// Naming the first entry that does not follow, or when the store fails.
    pub async fn verify_audit(&self) -> Result<(u64, [u8; 32]), Refusal> {
        let (mut number, mut hash) = (0, [0; 32]);
        loop {
            let entries = self.store.entries(number, PAGE).await?;
            if entries.is_empty() {
                return Ok((number, hash));
            }
            (number, hash) = verify(number, hash, &entries).map_err(|broken| {
                Refusal::new(
                    RefusalCode::Conflict,
                    format!("The audit log is not whole: entry {} was changed, removed or slipped in.", broken.number),
                )
                .hint("Compare the database with its backups; keep this one for whoever investigates.")
            })?;
        }
    }
}

/// The hash of `entry` in its place after `previous`.
#[must_use]
pub fn link(previous: &[u8; 32], entry: &Entry) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"akwatch audit v1\0");
    hash.update(previous);
    hash.update(entry.time.0.to_be_bytes());
    let from = entry.actor.from.as_deref();
    for field in [
        entry.actor.name.as_str(),
        from.unwrap_or_default(),
        &entry.action,
        &entry.object,
        &entry.result,
    ] {
        // The length comes first, so that no text can move from one field into the next.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hash.update([u8::from(from.is_some())]);
    hash.finalize().into()
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log is not whole at entry {number}")]
pub struct Broken {
    /// The first entry that does not follow.
    pub number: u64,
}

/// Verifies `entries`, which must follow the entry `number` with the hash `previous`; zero and zeros
/// for the beginning. Answers number and hash of the last one, to go on with.
///
/// # Errors
/// Naming the first entry that is missing, changed or out of place.
pub fn verify(
    mut number: u64,
    mut previous: [u8; 32],
    entries: &[Linked],
) -> Result<(u64, [u8; 32]), Broken> {
    for linked in entries {
        number += 1;
        let follows = linked.number == number
            && linked.previous == previous
            && linked.hash == link(&previous, &linked.entry);
        if !follows {
            return Err(Broken { number });
        }
        previous = linked.hash;
    }
    Ok((number, previous))
}

#[cfg(test)]
mod tests {
    use akwatch_proto::time::Time;
    use akwatch_store::Actor;

    use super::*;

    fn chain(length: u64) -> Vec<Linked> {
        let mut previous = [0; 32];
        (1..=length)
            .map(|number| {
                let entry = Entry {
                    time: Time(7),
                    actor: Actor::person("ada", None),
                    action: "retire-host".to_owned(),
                    object: number.to_string(),
                    result: "done".to_owned(),
                };
                let hash = link(&previous, &entry);
                let linked = Linked {
                    number,
                    previous,
                    hash,
                    entry,
                };
                previous = hash;
                linked
            })
            .collect()
    }

    fn check(change: impl FnOnce(&mut Vec<Linked>), expected: Option<u64>) {
        let mut entries = chain(5);
        change(&mut entries);
        let broken = verify(0, [0; 32], &entries)
            .err()
            .map(|broken| broken.number);
        assert_eq!(broken, expected);
    }

    #[test]
    fn any_change_is_seen_where_it_is() {
        check(|_| {}, None);
        check(|entries| entries[2].entry.object = "9".to_owned(), Some(3));
        check(
            |entries| entries[2].entry.actor.from = Some(String::new()),
            Some(3),
        );
        check(|entries| drop(entries.remove(1)), Some(2));
        check(|entries| entries.swap(3, 4), Some(4));
        check(
            |entries| {
                let text = std::mem::take(&mut entries[0].entry.action);
                entries[0].entry.object.insert_str(0, &text);
            },
            Some(1),
        );
    }

    #[test]
    fn a_chain_is_verified_page_by_page() {
        let entries = chain(5);
        let (number, hash) = verify(0, [0; 32], &entries[..2]).unwrap();
        assert_eq!(verify(number, hash, &entries[2..]).unwrap().0, 5);
    }
}
