//! What is wrong with the ledger's disk, and since when: said, and never a reason to stop reading.
//!
//! A commit that fails is tried again every second, and its readings wait, a bounded number of them; the
//! agent goes on opening and reading meanwhile, and its heartbeats say what is wrong. Damage is another
//! matter: only opening the ledger anew sets the file aside, so the watcher ends and is started again.

use std::time::{Duration, Instant};

use akwatch_ledger::{Ledger, LedgerError};
use akwatch_proto::coverage::RecordTrouble;
use akwatch_proto::time::Time;

/// Time between two looks for findings that have been gone for long, a walk over all of them; and between
/// two where there was no room for a new one.
const TIDY: [Duration; 2] = [Duration::from_secs(86_400), Duration::from_secs(600)];

/// The state of the ledger's disk.
#[derive(Debug, Default)]
pub(super) struct Record {
    trouble: Option<(Time, &'static str)>,
    damage: Option<LedgerError>,
    /// When it was last relieved of what is gone, or first asked about that.
    tidied: Option<Instant>,
}

impl Record {
    /// The ledger could not do what it was asked.
    pub(super) fn fails(&mut self, why: LedgerError) {
        self.trouble_is(why.slug());
        if why.is_damage() {
            self.damage.get_or_insert(why);
        }
    }

    /// Whether the ledger is to be relieved of what has been gone for long; `short` says that it had no
    /// room for something.
    pub(super) fn wants_tidying(&mut self, short: bool, now: Instant) -> bool {
        let since = self.tidied.get_or_insert(now);
        let due = now.saturating_duration_since(*since) >= TIDY[usize::from(short)];
        if due {
            *since = now;
        }
        due
    }

    /// A commit was made durable.
    pub(super) fn works(&mut self, ledger: &Ledger) {
        if ledger.has_reserve() {
            self.trouble = None;
        } else {
            self.trouble_is("disk-full");
        }
    }

    fn trouble_is(&mut self, why: &'static str) {
        match &mut self.trouble {
            Some((_, known)) => *known = why,
            None => self.trouble = Some((crate::sense::now(), why)),
        }
    }

    /// What coverage says of it, where so many readings wait.
    pub(super) fn told(&self, waiting: u64) -> Option<RecordTrouble> {
        let (since, why) = self.trouble?;
        Some(RecordTrouble {
            since,
            why: why.to_owned(),
            waiting,
        })
    }

    /// The damage for which the watcher ends, once.
    pub(super) fn damage(&mut self) -> Option<LedgerError> {
        self.damage.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged() -> LedgerError {
        LedgerError::Damaged {
            path: "ledger.redb".into(),
            what: "a finding cannot be read".to_owned(),
        }
    }

    fn full() -> LedgerError {
        LedgerError::Directory {
            step: "writing",
            path: "instance".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        }
    }

    #[test]
    fn trouble_keeps_its_beginning_and_ends_when_the_disk_has_room() {
        let directory = tempfile::tempdir().unwrap();
        let options = akwatch_ledger::Options::new("boot");
        let ledger = Ledger::open(directory.path(), &options).unwrap();
        let mut record = Record::default();
        assert_eq!(record.told(0), None);
        record.fails(full());
        let told = record.told(3).unwrap();
        assert_eq!((told.why.as_str(), told.waiting), ("disk-full", 3));
        record.fails(full());
        assert_eq!(record.told(0).unwrap().since, told.since);
        assert!(record.damage().is_none(), "a full disk ends nobody");
        record.works(&ledger);
        assert_eq!(record.told(0), None);
    }

    #[test]
    fn what_is_gone_is_looked_for_daily_and_more_often_where_room_is_short() {
        let (mut record, now) = (Record::default(), Instant::now());
        assert!(!record.wants_tidying(true, now));
        assert!(!record.wants_tidying(false, now + TIDY[1]));
        assert!(record.wants_tidying(true, now + TIDY[1]));
        assert!(!record.wants_tidying(true, now + TIDY[1]));
        assert!(record.wants_tidying(false, now + TIDY[1] + TIDY[0]));
    }

    #[test]
    fn damage_is_told_and_ends_the_watcher_once() {
        let mut record = Record::default();
        record.fails(damaged());
        assert_eq!(record.told(0).unwrap().why, "damaged");
        assert!(record.damage().unwrap().is_damage());
        assert!(record.damage().is_none());
    }
}
