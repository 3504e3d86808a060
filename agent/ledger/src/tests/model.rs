//! The ledger against a plain model: generated readings, reports, lost answers, failing media and
//! restarts; after each the two must agree, and in the end the collector holds what the host does.

use std::collections::{BTreeMap, BTreeSet};

use akwatch_proto::digest::{Element, SetDigest, is_listed};
use akwatch_proto::finding::{FindingKey, PresenceState};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::Batch;
use crate::faults::{Faults, Kind};

const UNITS: [&str; 2] = ["a.service", "b.service"];

/// One step of a host's life.
#[derive(Clone, Debug)]
enum Step {
    File {
        file: u8,
        extent: u8,
        values: Vec<u8>,
        many: bool,
    },
    Process {
        unit: usize,
        pid: i32,
        extent: u8,
        values: Vec<u8>,
    },
    Sweep {
        alive: BTreeSet<i32>,
        unread: bool,
    },
    Send,
    Answer,
    FullList,
    /// The medium fails at this call of the next commit, if it makes so many.
    Fail {
        after: u64,
        kind: u8,
    },
    Restart,
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..4_u8, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, 0..6_u8, values(), proptest::bool::weighted(0.1))
            .prop_map(|(file, extent, values, many)| Step::File { file, extent, values, many }),
        4 => (0..2_usize, 1..4_i32, 0..4_u8, values())
            .prop_map(|(unit, pid, extent, values)| Step::Process { unit, pid, extent, values }),
        3 => (proptest::collection::btree_set(1..4_i32, 0..3), proptest::bool::weighted(0.2))
            .prop_map(|(alive, unread)| Step::Sweep { alive, unread }),
        3 => Just(Step::Send),
        3 => Just(Step::Answer),
        1 => Just(Step::FullList),
        2 => (0..40_u64, 0..4_u8).prop_map(|(after, kind)| Step::Fail { after, kind }),
        1 => Just(Step::Restart),
    ]
}

/// A finding as the model knows it.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    state: PresenceState,
    returns: u32,
    unheld: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    items: BTreeMap<FindingKey, Item>,
    /// What each process was seen to hold, whether it may hold more, and what its last reading saw.
    holders: BTreeMap<i32, (usize, BTreeSet<FindingKey>, bool, BTreeSet<FindingKey>)>,
}

impl Model {
    fn apply(&mut self, reading: &Reading) {
        match &reading.subject {
            ReadingSubject::Place(place) => self.place(place, reading),
            ReadingSubject::Process {
                workload, instance, ..
            } => {
                let unit = UNITS
                    .iter()
                    .position(|name| unit(name) == *workload)
                    .unwrap();
                self.process(unit, instance.pid, reading);
            }
            ReadingSubject::Sweep { alive, unread, .. } => {
                let alive: BTreeSet<i32> = alive.iter().map(|instance| instance.pid).collect();
                let unread: BTreeSet<i32> =
                    unread.iter().map(|(instance, _)| instance.pid).collect();
                self.sweep(&alive, &unread, reading.at.0);
            }
        }
    }

    fn place(&mut self, place: &Place, reading: &Reading) {
        let seen: BTreeSet<FindingKey> = reading
            .observed
            .iter()
            .map(|observed| observed.key.clone())
            .collect();
        let to = match reading.extent {
            Extent::Whole if reading.too_many => Some(PresenceState::Unknown),
            Extent::Whole | Extent::Absent => Some(PresenceState::Gone),
            Extent::Tail { .. } => None,
            Extent::Unread(_) => Some(PresenceState::Unknown),
        };
        let here = self.items.iter().filter(|(key, item)| {
            key.place == *place && item.state != PresenceState::Gone && !seen.contains(key)
        });
        let here: Vec<FindingKey> = here.map(|(key, _)| key.clone()).collect();
        for key in here {
            if let Some(state) = to {
                self.turn(&key, state);
            }
        }
        self.present(seen);
    }

    fn present(&mut self, seen: BTreeSet<FindingKey>) {
        for key in seen {
            match self.items.get_mut(&key) {
                None => {
                    let item = Item {
                        state: PresenceState::Present,
                        returns: 0,
                        unheld: None,
                    };
                    self.items.insert(key, item);
                }
                Some(item) => {
                    item.unheld = None;
                    item.returns += u32::from(item.state == PresenceState::Gone);
                    self.turn(&key, PresenceState::Present);
                }
            }
        }
    }

    fn turn(&mut self, key: &FindingKey, state: PresenceState) {
        self.items.get_mut(key).unwrap().state = state;
    }

    fn process(&mut self, unit: usize, pid: i32, reading: &Reading) {
        let mut seen: BTreeSet<FindingKey> = reading
            .observed
            .iter()
            .map(|observed| observed.key.clone())
            .collect();
        self.present(seen.clone());
        let partly = !matches!(reading.extent, Extent::Whole);
        if reading.extent == Extent::Absent {
            self.holders.remove(&pid);
            return;
        }
        let in_it = seen.clone();
        if partly && let Some((_, before, ..)) = self.holders.get(&pid) {
            seen.extend(before.iter().cloned());
        }
        self.holders.insert(pid, (unit, seen, partly, in_it));
    }

    fn sweep(&mut self, alive: &BTreeSet<i32>, unread: &BTreeSet<i32>, at: i64) {
        self.holders.retain(|pid, _| alive.contains(pid));
        let mut doubtful = BTreeSet::new();
        let mut stray = false;
        for pid in unread {
            match self.holders.get(pid) {
                // The ledger does not keep a process that was read whole and held nothing.
                Some((unit, held, partly, _)) if !held.is_empty() || *partly => {
                    doubtful.insert(*unit);
                }
                _ => stray = true,
            }
        }
        let partly = self.holders.values().filter(|(_, _, partly, _)| *partly);
        doubtful.extend(partly.map(|(unit, ..)| *unit));
        // What was read whole and cannot be read any more has been seen by nobody.
        let held: BTreeSet<FindingKey> = self
            .holders
            .iter()
            .filter(|(pid, (_, _, partly, _))| *partly || !unread.contains(pid))
            .flat_map(|(_, (.., in_it))| in_it.iter().cloned())
            .collect();
        let keys: Vec<FindingKey> = self.items.keys().cloned().collect();
        for key in keys {
            let Some(unit) = UNITS.iter().position(|name| environ(name) == key.place) else {
                continue;
            };
            let item = self.items.get_mut(&key).unwrap();
            if item.state == PresenceState::Gone {
                continue;
            }
            if held.contains(&key) {
                item.unheld = None;
                continue;
            }
            let since = *item.unheld.get_or_insert(at);
            let grace = i64::from(item.returns) * 60_000;
            if stray || doubtful.contains(&unit) {
                self.turn(&key, PresenceState::Unknown);
            } else if at - since >= grace {
                self.turn(&key, PresenceState::Gone);
            }
        }
    }
}

/// The ledger under test, its model and a collector that believes what it hears.
struct World {
    directory: tempfile::TempDir,
    faults: Faults,
    ledger: Option<Ledger>,
    model: Model,
    collector: BTreeMap<FindingKey, PresenceState>,
    /// The report under way.
    under_way: Option<Batch>,
    clock: i64,
    lists: u128,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let mut world = World {
            directory,
            faults,
            ledger: None,
            model: Model::default(),
            collector: BTreeMap::new(),
            under_way: None,
            clock: 0,
            lists: 0,
        };
        world.restart();
        world
    }

    fn restart(&mut self) {
        self.ledger = None;
        self.under_way = None;
        let medium = Medium::Faulty(self.faults.clone());
        let ledger = opened(self.directory.path(), &options(), &medium).unwrap();
        assert!(ledger.lost().is_none());
        self.ledger = Some(ready(ledger));
    }

    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().unwrap()
    }

    fn play(&mut self, step: &Step) {
        self.clock += 20_000;
        let at = self.clock;
        let why = UnknownWhy::Unreadable;
        let extents = [
            Extent::Whole,
            Extent::Unread(why),
            Extent::Absent,
            Extent::Whole,
            Extent::Tail { from: 7 },
            Extent::Whole,
        ];
        match step {
            Step::File {
                file: number,
                extent,
                values,
                many,
            } => {
                let extent = extents[usize::from(*extent)].clone();
                let values = if extent == Extent::Absent {
                    &[]
                } else {
                    values.as_slice()
                };
                let mut reading = reading(&file(&number.to_string()), extent, at, values);
                reading.too_many = *many && reading.extent == Extent::Whole;
                self.commit(&reading);
            }
            Step::Process {
                unit,
                pid,
                extent,
                values,
            } => {
                let extent = extents[usize::from(*extent)].clone();
                let values = if extent == Extent::Absent {
                    &[]
                } else {
                    values.as_slice()
                };
                self.commit(&process(UNITS[*unit], *pid, extent, at, values));
            }
            Step::Sweep { alive, unread } => {
                let alive: Vec<i32> = alive.iter().copied().collect();
                let unread = if *unread {
                    &alive[..alive.len().min(1)]
                } else {
                    &[]
                };
                self.commit(&sweep(at, &alive, unread));
            }
            Step::Send => self.send(),
            Step::Answer => self.answer(),
            Step::FullList => {
                self.lists += 1;
                let id = Uuid::from_u128(self.lists);
                self.ledger().resend_all(id).unwrap();
                self.under_way = None;
            }
            Step::Fail { after, kind } => {
                let kinds = [Kind::Full, Kind::Broken, Kind::Short, Kind::Unsynced];
                self.faults.begin(*after, kinds[usize::from(*kind)]);
            }
            Step::Restart => {
                self.faults.end();
                self.restart();
            }
        }
        self.compare();
    }

    /// A commit that fails is tried again, as the watcher does: readings are idempotent.
    fn commit(&mut self, reading: &Reading) {
        if self.ledger().commit(std::slice::from_ref(reading)).is_err() {
            self.faults.end();
            self.ledger().commit(std::slice::from_ref(reading)).unwrap();
        }
        self.faults.end();
        self.model.apply(reading);
    }

    fn send(&mut self) {
        self.faults.end();
        if let Some(batch) = self.ledger().unsent(3).unwrap() {
            for finding in &batch.findings {
                self.collector
                    .insert(finding.key.clone(), finding.presence.state());
            }
            self.under_way = Some(batch);
        }
    }

    fn answer(&mut self) {
        self.faults.end();
        if let Some(batch) = self.under_way.take() {
            self.ledger().acknowledge(batch.upto).unwrap();
        }
    }

    fn compare(&mut self) {
        self.faults.end();
        let found: BTreeMap<FindingKey, (PresenceState, u32)> = all(self.ledger())
            .into_iter()
            .map(|finding| (finding.key, (finding.presence.state(), finding.returns)))
            .collect();
        let expected: BTreeMap<FindingKey, (PresenceState, u32)> = (self.model.items.iter())
            .map(|(key, item)| (key.clone(), (item.state, item.returns)))
            .collect();
        assert_eq!(found, expected);
        let ledger = self.ledger();
        assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    }

    /// In the end everything is sent: the collector holds what the host does, and the digest says so.
    fn settle(&mut self) {
        self.faults.end();
        while let Some(batch) = self.ledger().unsent(3).unwrap() {
            self.under_way = Some(batch);
            self.send();
            self.answer();
        }
        let states: BTreeMap<FindingKey, PresenceState> = (self.model.items.iter())
            .map(|(key, item)| (key.clone(), item.state))
            .collect();
        assert_eq!(self.collector, states);
        let mut digest = SetDigest::default();
        for (key, state) in states.iter().filter(|(_, state)| is_listed(**state)) {
            digest.add(Element::of(key, *state));
        }
        assert_eq!(self.ledger().digest(), digest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_ledger_does_what_the_model_does(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.play(step);
        }
        world.settle();
    }
}
