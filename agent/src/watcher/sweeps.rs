//! Which processes have been read, and when a sweep may therefore speak.
//!
//! A sweep says which processes live. It becomes a reading only when each of them has been read, or
//! is known to be unreadable: before that, what none holds may be held by one that nobody has looked
//! at. Instances that a sweep names and nobody has offered are asked for.

use std::collections::{BTreeSet, HashMap};

use akwatch_ledger::reading::{Extent, ProcessInstance, Reading, ReadingSubject};
use akwatch_proto::finding::{UnknownWhy, WhyNew};

use crate::sense::Sweep;

/// Stands for processes that the kernel hides; no process has this number.
const UNSEEN: ProcessInstance = ProcessInstance { pid: 0, started: 0 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Named by a sensor, not read yet.
    Waiting,
    /// Read to the end.
    Whole,
    /// Looked at, and not readable.
    Unread(UnknownWhy),
}

/// What is known of a process since a sensor last named it.
#[derive(Clone, Copy, Debug)]
struct Known {
    naming: u64,
    look: Look,
}

/// The live processes and what is known of each.
#[derive(Debug, Default)]
pub struct Sweeps {
    looks: HashMap<ProcessInstance, Known>,
    /// How often anything was named: a process that is named again runs another program, of which what
    /// was opened before says nothing.
    namings: u64,
    holders: BTreeSet<ProcessInstance>,
    told: BTreeSet<ProcessInstance>,
    due: Option<Sweep>,
    completed: u64,
}

impl Sweeps {
    /// A sensor named it: new, or running another program.
    pub fn named(&mut self, instance: ProcessInstance) {
        self.namings += 1;
        let known = Known {
            naming: self.namings,
            look: Look::Waiting,
        };
        self.looks.insert(instance, known);
    }

    /// The naming that what is opened now answers.
    #[must_use]
    pub fn naming(&self, instance: &ProcessInstance) -> u64 {
        self.looks.get(instance).map_or(0, |known| known.naming)
    }

    /// What was opened after that naming was read to the end; `holds` says whether anything was found
    /// in it.
    pub fn read(&mut self, instance: ProcessInstance, naming: u64, holds: bool) {
        let current = self.looked(instance, naming, Look::Whole);
        if current || holds {
            self.note(instance, holds);
        }
    }

    /// It could not be read to the end.
    pub fn unread(&mut self, instance: ProcessInstance, naming: u64, why: UnknownWhy, holds: bool) {
        let _ = self.looked(instance, naming, Look::Unread(why));
        if holds {
            self.note(instance, true);
        }
    }

    /// Takes a look that answers a naming; false when the process was named again since.
    fn looked(&mut self, instance: ProcessInstance, naming: u64, look: Look) -> bool {
        let current = self.naming(&instance) <= naming;
        if current {
            self.looks.insert(instance, Known { naming, look });
        }
        current
    }

    /// It has ended: nobody waits for it. A sweep that saw it alive still says so, since what it
    /// started meanwhile is not in that sweep.
    pub fn ended(&mut self, instance: ProcessInstance) {
        self.looks.remove(&instance);
        self.holders.remove(&instance);
    }

    fn note(&mut self, instance: ProcessInstance, holds: bool) {
        if holds {
            self.holders.insert(instance);
        } else {
            self.holders.remove(&instance);
        }
    }

    /// A sweep ended; says which of its instances have to be asked for.
    pub fn swept(&mut self, mut sweep: Sweep) -> Vec<ProcessInstance> {
        // They were captured as they started, and ended while the sweep was under way.
        let ended = self.looks.keys().copied();
        sweep
            .alive
            .extend(ended.filter(|instance| sweep.ended.contains(&instance.pid)));
        let alive: BTreeSet<ProcessInstance> = sweep.alive.iter().copied().collect();
        self.looks.retain(|instance, _| alive.contains(instance));
        self.holders.retain(|instance| alive.contains(instance));
        let unknown: Vec<ProcessInstance> = alive
            .into_iter()
            .filter(|instance| !self.looks.contains_key(instance))
            .collect();
        for instance in &unknown {
            self.named(*instance);
        }
        self.due = Some(sweep);
        unknown
    }

    /// The reading of the last sweep, once every instance in it has been looked at.
    pub fn reading(&mut self, rules: &str) -> Option<Reading> {
        let sweep = self.due.as_ref()?;
        let looks = &self.looks;
        let look = |instance: &ProcessInstance| looks.get(instance).map(|known| known.look);
        let waiting = |instance: &ProcessInstance| look(instance) == Some(Look::Waiting);
        if sweep.alive.iter().any(waiting) {
            return None;
        }
        let sweep = self.due.take()?;
        let mut unread: Vec<_> = sweep
            .alive
            .iter()
            .filter_map(|instance| match look(instance) {
                Some(Look::Unread(why)) => Some((*instance, why)),
                _ => None,
            })
            .collect();
        // What is hidden may hold anything: one process that nobody could read stands for it.
        unread.extend(sweep.hidden.then_some((UNSEEN, UnknownWhy::Unreadable)));
        self.completed += 1;
        Some(Reading {
            subject: ReadingSubject::Sweep {
                began: sweep.began,
                alive: sweep.alive,
                unread,
            },
            extent: Extent::Whole,
            at: sweep.at,
            rules: rules.to_owned(),
            observed: Vec::new(),
            too_many: false,
            unread_inside: None,
            why_new: WhyNew::PlaceChanged,
            written_by: None,
        })
    }

    /// The instances in which something was found, when they are others than at the last call: their
    /// end is of interest.
    pub fn changed_holders(&mut self) -> Option<BTreeSet<ProcessInstance>> {
        if self.holders == self.told {
            return None;
        }
        self.told.clone_from(&self.holders);
        Some(self.told.clone())
    }

    /// How many instances wait to be read.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.looks
            .values()
            .filter(|known| known.look == Look::Waiting)
            .count() as u64
    }

    /// The instances that wait to be read.
    #[must_use]
    pub fn still_waiting(&self) -> Vec<ProcessInstance> {
        let waiting = self
            .looks
            .iter()
            .filter(|(_, known)| known.look == Look::Waiting);
        waiting.map(|(instance, _)| *instance).collect()
    }

    /// Whether any sweep has spoken yet.
    #[must_use]
    pub fn any_completed(&self) -> bool {
        self.completed > 0
    }

    /// Whether the instance has been looked at before.
    #[must_use]
    pub fn knows(&self, instance: &ProcessInstance) -> bool {
        let known = self.looks.get(instance);
        known.is_some_and(|known| known.look != Look::Waiting)
    }

    /// Everything has to be read again: other rules, another key.
    pub fn read_again(&mut self) -> Vec<ProcessInstance> {
        let all: Vec<ProcessInstance> = self.looks.keys().copied().collect();
        for instance in &all {
            self.named(*instance);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use akwatch_proto::time::Time;

    use super::*;

    fn one(pid: i32) -> ProcessInstance {
        ProcessInstance { pid, started: 1 }
    }

    fn sweep(pids: &[i32]) -> Sweep {
        Sweep {
            at: Time(5),
            began: 7,
            alive: pids.iter().map(|pid| one(*pid)).collect(),
            ended: Vec::new(),
            hidden: false,
        }
    }

    #[test]
    fn a_sweep_speaks_only_when_every_process_has_been_looked_at() {
        let mut sweeps = Sweeps::default();
        sweeps.named(one(1));
        assert_eq!(sweeps.swept(sweep(&[1, 2])), [one(2)]);
        assert_eq!(sweeps.reading("r"), None);
        sweeps.read(one(1), sweeps.naming(&one(1)), true);
        assert_eq!(sweeps.reading("r"), None);
        sweeps.unread(
            one(2),
            sweeps.naming(&one(2)),
            UnknownWhy::Unreadable,
            false,
        );
        let reading = sweeps.reading("r").unwrap();
        let expected = ReadingSubject::Sweep {
            began: 7,
            alive: vec![one(1), one(2)],
            unread: vec![(one(2), UnknownWhy::Unreadable)],
        };
        assert_eq!((reading.subject, reading.at), (expected, Time(5)));
        assert_eq!(sweeps.reading("r"), None);
        assert_eq!(sweeps.changed_holders().unwrap().len(), 1);
    }

    #[test]
    fn a_sweep_that_may_have_missed_some_proves_no_end() {
        let mut sweeps = Sweeps::default();
        let _ = sweeps.swept(Sweep {
            hidden: true,
            ..sweep(&[])
        });
        let ReadingSubject::Sweep { unread, .. } = sweeps.reading("r").unwrap().subject else {
            panic!("no sweep")
        };
        assert_eq!(unread, [(UNSEEN, UnknownWhy::Unreadable)]);
    }

    #[test]
    fn a_process_that_ended_while_the_sweep_was_under_way_still_lives_in_it() {
        let mut sweeps = Sweeps::default();
        for pid in [1, 2, 3] {
            sweeps.named(one(pid));
            sweeps.read(one(pid), sweeps.naming(&one(pid)), true);
        }
        let _ = sweeps.swept(Sweep {
            ended: vec![2, 9],
            ..sweep(&[1])
        });
        let ReadingSubject::Sweep { alive, .. } = sweeps.reading("r").unwrap().subject else {
            panic!("no sweep")
        };
        assert_eq!(alive, [one(1), one(2)]);
    }

    #[test]
    fn a_process_that_ends_while_it_waits_does_not_hold_the_sweep_up() {
        let mut sweeps = Sweeps::default();
        let _ = sweeps.swept(sweep(&[1]));
        sweeps.ended(one(1));
        assert!(sweeps.reading("r").is_some());
    }

    #[test]
    fn another_program_in_the_same_process_is_waited_for_again() {
        let mut sweeps = Sweeps::default();
        sweeps.named(one(1));
        sweeps.read(one(1), sweeps.naming(&one(1)), true);
        sweeps.named(one(1));
        assert!(sweeps.swept(sweep(&[1])).is_empty());
        assert_eq!(sweeps.reading("r"), None);
        sweeps.read(one(1), sweeps.naming(&one(1)), false);
        assert!(sweeps.reading("r").is_some());
        assert!(sweeps.changed_holders().is_none());
    }

    #[test]
    fn what_was_opened_before_a_process_became_another_program_does_not_answer_for_it() {
        let mut sweeps = Sweeps::default();
        sweeps.named(one(1));
        let before = sweeps.naming(&one(1));
        sweeps.named(one(1));
        let after = sweeps.naming(&one(1));
        let _ = sweeps.swept(sweep(&[1]));
        sweeps.read(one(1), before, false);
        assert_eq!(sweeps.reading("r"), None);
        sweeps.unread(one(1), before, UnknownWhy::ReadShort, false);
        assert_eq!(sweeps.reading("r"), None);
        sweeps.read(one(1), after, true);
        assert!(sweeps.reading("r").is_some());
        assert_eq!(sweeps.changed_holders().unwrap().len(), 1);
        sweeps.read(one(1), before, false);
        assert!(sweeps.changed_holders().is_none(), "it still holds");
    }
}
