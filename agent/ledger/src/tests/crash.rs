//! Crashes: a real process killed with `kill -9` at every call that it makes to its disk, and a disk that
//! loses its power there. Every commit that returned is there, of the others all or nothing, and nobody
//! takes the file for damaged.
//!
//! The figure of SPECIFICATION.md is printed by
//! `AKWATCH_SLOW_TESTS=1 cargo test -p akwatch-ledger crash -- --nocapture`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use akwatch_proto::finding::{FindingKey, PresenceState};

use super::*;
use crate::faults::{Faults, Kind};
use crate::power::Disk;

/// Names the directory in which the child works; without it the child test does nothing.
const CHILD: &str = "AKWATCH_LEDGER_TEST_DIRECTORY";
/// The call at which the child waits to be killed, and the seed of what it does.
const CALL: &str = "AKWATCH_LEDGER_TEST_CALL";
const SEED: &str = "AKWATCH_LEDGER_TEST_SEED";

/// Seeded runs of the slow tests, and kills and cuts of the ordinary ones.
const SLOW_RUNS: u64 = 1_000;
const KILLS: u64 = 60;
const CUTS: u64 = 200;
/// What one run does at most before it ends by itself.
const DEEDS: u64 = 12;

fn runs(ordinary: u64) -> u64 {
    let slow = std::env::var_os("AKWATCH_SLOW_TESTS").is_some();
    if slow { SLOW_RUNS } else { ordinary }
}

/// xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(2);
        random
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end as u64)).unwrap()
    }
}

/// What a host did with its ledger.
#[derive(Clone, Debug)]
enum Deed {
    Read(Vec<Reading>),
    Deliver,
    List(u128),
}

/// The deeds of a seed: readings of a few places, alone and together, reports and full lists.
fn deeds(seed: u64) -> Vec<Deed> {
    let mut random = Random::of(seed);
    let mut at = i64::try_from(seed).unwrap() * 1_000_000;
    let mut deeds = Vec::new();
    for _ in 0..DEEDS {
        at += 60_000;
        deeds.push(match random.below(8) {
            0 => Deed::Deliver,
            1 => Deed::List(u128::from(seed) << 32 | u128::try_from(at).unwrap()),
            _ => {
                let count = 1 + random.below(3);
                let readings = (0..count).map(|index| {
                    let name = format!("{}-{index}", random.below(5));
                    let values: Vec<u8> = (0..6).filter(|_| random.below(2) == 0).collect();
                    whole(&file(&name), at, &values)
                });
                Deed::Read(readings.collect())
            }
        });
    }
    deeds
}

fn carry_out(ledger: &mut Ledger, deed: &Deed) -> Result<(), crate::LedgerError> {
    match deed {
        Deed::Read(readings) => ledger.commit(readings).map(drop),
        Deed::List(id) => ledger.resend_all(uuid::Uuid::from_u128(*id)),
        Deed::Deliver => match ledger.unsent(7)? {
            Some(batch) => ledger.acknowledge(batch.upto),
            None => Ok(()),
        },
    }
}

type Held = BTreeMap<FindingKey, PresenceState>;

/// What the ledger must hold after a deed.
fn after(held: &Held, deed: &Deed) -> Held {
    let mut held = held.clone();
    let Deed::Read(readings) = deed else {
        return held;
    };
    for reading in readings {
        let ReadingSubject::Place(place) = &reading.subject else {
            continue;
        };
        for (key, state) in &mut held {
            if key.place == *place {
                *state = PresenceState::Gone;
            }
        }
        let seen = reading.observed.iter().map(|one| one.key.clone());
        held.extend(seen.map(|key| (key, PresenceState::Present)));
    }
    held
}

fn held(ledger: &mut Ledger) -> Held {
    let findings = all(ledger).into_iter();
    findings
        .map(|finding| (finding.key, finding.presence.state()))
        .collect()
}

/// Checks what a crash left: everything up to the last deed that returned, and of the one that was
/// under way all or nothing. Gives what is held now.
fn check_left(ledger: &mut Ledger, before: &Held, seed: u64, returned: usize) -> Held {
    assert!(ledger.lost().is_none(), "seed {seed}: {:?}", ledger.lost());
    let deeds = deeds(seed);
    let sure = deeds[..returned]
        .iter()
        .fold(before.clone(), |held, deed| after(&held, deed));
    let left = held(ledger);
    let next = deeds.get(returned).map(|deed| after(&sure, deed));
    assert!(
        left == sure || Some(&left) == next.as_ref(),
        "seed {seed} after {returned} deeds: {left:#?} instead of {sure:#?}"
    );
    assert_eq!(ledger.digest(), ledger.recomputed_digest().unwrap());
    left
}

/// Not a test of its own: what the child process runs until it is killed. It says when each deed has
/// returned.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let number = |name: &str| -> u64 { std::env::var(name).unwrap().parse().unwrap() };
    let faults = Faults::default();
    faults.begin(number(CALL), Kind::Parked);
    let medium = Medium::Faulty(faults);
    let mut ledger = ready(opened(Path::new(&directory), &options(), &medium).unwrap());
    println!("\nopened");
    for deed in deeds(number(SEED)) {
        carry_out(&mut ledger, &deed).unwrap();
        println!("\nreturned");
    }
}

fn start(directory: &Path, call: u64, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::child", "--nocapture"])
        .env(CHILD, directory)
        .env(CALL, call.to_string())
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child at that call. Gives how many deeds had returned, and whether it came to the call.
fn killed_at(directory: &Path, call: u64, seed: u64) -> (usize, bool) {
    let mut child = start(directory, call, seed);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut returned, mut parked) = (0, false);
    for line in lines.map_while(Result::ok) {
        returned += usize::from(line == "returned");
        parked = line == "parked";
        if parked {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    (returned, parked)
}

/// Calls that opening and all deeds make: those of one run that is not killed.
fn calls_of_a_run() -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let medium = Medium::Faulty(faults.clone());
    let mut ledger = ready(opened(directory.path(), &options(), &medium).unwrap());
    for deed in deeds(0) {
        carry_out(&mut ledger, &deed).unwrap();
    }
    drop(ledger);
    faults.calls()
}

#[test]
fn a_process_killed_at_any_call_to_its_disk_loses_nothing_that_returned() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path())); // the first opening of all has nothing to lose
    let (runs, calls) = (runs(KILLS), calls_of_a_run());
    let (mut truth, mut killed, mut revision) = (Held::new(), 0, 0);
    for seed in 1..=runs {
        // Every call in turn, then again with other deeds.
        let (returned, parked) = killed_at(directory.path(), seed * 7 % calls, seed);
        killed += u64::from(parked);
        let mut ledger = open(directory.path());
        truth = check_left(&mut ledger, &truth, seed, returned);
        assert!(ledger.revision() >= revision, "seed {seed}");
        revision = ledger.revision();
    }
    println!("kill -9 at {killed} of {runs} seeded calls of {calls}: 0 lost, 0 damaged");
    assert!(killed > runs / 2, "{killed} of {runs}");
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_returned() {
    let (mut truth, mut image, mut cut) = (Held::new(), Vec::new(), 0);
    let (directory, runs) = (tempfile::tempdir().unwrap(), runs(CUTS));
    for seed in 0..runs {
        let mut random = Random::of(seed);
        let disk = Disk::holding(image);
        let on = |disk: &Disk| {
            let medium = Medium::Powered(disk.clone());
            opened(directory.path(), &options(), &medium).map(ready)
        };
        disk.cut_before(random.below(90) as u64 + if seed == 0 { 40 } else { 0 });
        let mut returned = 0;
        if let Ok(mut ledger) = on(&disk) {
            for deed in deeds(seed) {
                if carry_out(&mut ledger, &deed).is_err() {
                    break;
                }
                returned += 1;
            }
        }
        cut += u64::from(disk.is_off());
        image = disk.left(|end| random.below(end));
        let disk = Disk::holding(image);
        let mut ledger = on(&disk).unwrap();
        truth = check_left(&mut ledger, &truth, seed, returned);
        drop(ledger);
        image = disk.left(|_| 2); // everything: this run ended in order
        if image.len() > 4 << 20 {
            (truth, image) = (Held::new(), Vec::new());
        }
    }
    println!("power cut in {cut} of {runs} seeded runs: 0 lost, 0 damaged");
    assert!(cut > runs / 2, "{cut} of {runs}");
}
