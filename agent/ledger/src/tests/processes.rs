//! Presence in processes: who holds what, what a sweep ends, what a restart does not.

use akwatch_proto::finding::{GoneProof, Presence, UnknownWhy};
use akwatch_proto::time::Time;

use super::*;

const UNIT: &str = "payments.service";
const MINUTE: i64 = 60_000;

fn ledger_with(readings: &[Reading]) -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(readings).unwrap();
    (directory, ledger)
}

fn held(pid: i32, at: i64) -> Reading {
    process(UNIT, pid, Extent::Whole, at, &[1])
}

/// What becomes of value 1 in a unit whose processes are read and swept like this.
fn check(expected: &Presence, readings: &[Reading]) {
    let (_directory, mut ledger) = ledger_with(readings);
    assert_eq!(presence(&mut ledger, &environ(UNIT), 1), *expected);
}

fn ended(at: i64) -> Presence {
    Presence::Gone {
        at: Time(at),
        proof: GoneProof::Ended,
    }
}

#[test]
fn only_a_complete_sweep_ends_it() {
    check(&ended(20), &[held(1, 10), sweep(20, &[], &[])]);
    check(&present(10), &[held(1, 10), sweep(20, &[1], &[])]);
    let mut partial = sweep(20, &[], &[]);
    partial.extent = Extent::Unread(UnknownWhy::SensorDegraded);
    check(&present(10), &[held(1, 10), partial]);
    // A process of the unit that lacks it says nothing of the others.
    check(
        &present(10),
        &[held(1, 10), process(UNIT, 2, Extent::Whole, 20, &[])],
    );
    let absent = process(UNIT, 1, Extent::Absent, 20, &[]);
    check(&present(10), &[held(1, 10), absent.clone()]);
    check(&ended(30), &[held(1, 10), absent, sweep(30, &[], &[])]);
}

#[test]
fn a_second_holder_keeps_it_present() {
    let both = [held(1, 10), held(2, 11)];
    check(&present(10), &[&both[..], &[sweep(20, &[2], &[])]].concat());
    check(&ended(20), &[&both[..], &[sweep(20, &[3], &[])]].concat());
}

#[test]
fn a_process_that_was_read_whole_without_it_lets_go_of_it() {
    let without = process(UNIT, 1, Extent::Whole, 20, &[]);
    check(&ended(30), &[held(1, 10), without, sweep(30, &[1], &[])]);
}

/// Its environment was made unreadable, or it went where nobody may look: it may hold the value still.
#[test]
fn what_a_live_process_was_seen_to_hold_is_unknown_once_it_cannot_be_read() {
    let why = UnknownWhy::ReadShort;
    let short = process(UNIT, 1, Extent::Unread(why), 20, &[]);
    let swept = sweep(30, &[1], &[1]);
    check(
        &unknown(30, why),
        &[held(1, 10), short.clone(), sweep(30, &[1], &[])],
    );
    // Where only the sweep knows of it.
    check(
        &unknown(30, UnknownWhy::Unreadable),
        &[held(1, 10), swept.clone()],
    );
    // What the short reading did see is there, and so is what another process holds.
    let seen = process(UNIT, 1, Extent::Unread(why), 20, &[1]);
    check(&present(10), &[held(1, 10), seen, swept]);
    let both = [held(1, 10), held(2, 11), short, sweep(30, &[1, 2], &[1])];
    check(&present(10), &both);
    // Whole again.
    let again = [
        &both[..1],
        &[both[2].clone(), sweep(30, &[1], &[1]), held(1, 40)],
    ]
    .concat();
    check(&present(10), &again);
}

#[test]
fn an_unread_process_of_the_unit_makes_it_unknown() {
    let why = UnknownWhy::Unreadable;
    let unread = process(UNIT, 2, Extent::Unread(why), 15, &[]);
    let unknown_since = unknown(20, why);
    check(
        &unknown_since,
        &[held(1, 10), unread, sweep(20, &[2], &[2])],
    );
    // Whose it is nobody knows, so it may be this unit's.
    check(&unknown_since, &[held(1, 10), sweep(20, &[2], &[2])]);
    // It is known to be another's.
    let other = process("other.service", 2, Extent::Unread(why), 15, &[]);
    check(&ended(20), &[held(1, 10), other, sweep(20, &[2], &[2])]);
}

#[test]
fn a_process_started_during_the_sweep_is_not_taken_for_an_ended_one() {
    // Process 2 was started in the very tick in which the sweep began.
    let mut during = sweep(20, &[], &[]);
    if let ReadingSubject::Sweep { began, .. } = &mut during.subject {
        *began = instance(2).started;
    }
    check(&present(10), &[held(1, 10), held(2, 25), during]);
}

/// What was read while the clock was a month ahead, or before it was set back, ends like everything else.
#[test]
fn a_clock_that_was_set_back_keeps_no_process_alive() {
    let month = 30 * 24 * 3_600_000;
    check(&ended(20), &[held(1, month), sweep(20, &[], &[])]);
}

#[test]
fn a_clock_that_was_set_back_has_nothing_pass_for_verified() {
    let month = 30 * 24 * 3_600_000;
    let (_directory, mut ledger) = ledger_with(&[held(1, month), sweep(20, &[1], &[])]);
    let found = finding(&mut ledger, &environ(UNIT), 1);
    assert_eq!(found.last_verified, Time(20));
    assert_eq!(ledger.revisit(Time(1_000_000), 9).unwrap().len(), 1);
}

#[test]
fn a_restart_is_the_same_finding_under_the_pid_that_lives() {
    let (_directory, mut ledger) = ledger_with(&[held(1, 10), sweep(20, &[1], &[])]);
    assert_eq!(deliver(&mut ledger), 1);
    for pid in 2..50 {
        let at = i64::from(pid) * 100;
        let changes = ledger
            .commit(&[held(pid, at), sweep(at + 1, &[pid], &[])])
            .unwrap();
        assert_eq!(
            (changes.altered, changes.appeared, changes.returned),
            (1, 0, 0)
        );
    }
    let found = finding(&mut ledger, &environ(UNIT), 1);
    assert_eq!(found.origin.pid, Some(49));
    assert_eq!((found.presence, found.returns), (present(10), 0));
    assert_eq!(
        deliver(&mut ledger),
        1,
        "one state, however often it changed"
    );
}

#[test]
fn what_starts_and_ends_between_two_sweeps_is_no_news() {
    let (_directory, mut ledger) = ledger_with(&[held(1, 10), sweep(20, &[1], &[])]);
    assert_eq!(deliver(&mut ledger), 1);
    for pid in 2..50 {
        let at = i64::from(pid) * 100;
        let changes = ledger
            .commit(&[held(pid, at), sweep(at + 1, &[1], &[])])
            .unwrap();
        assert!(!changes.any(), "{changes:?}");
    }
    assert_eq!(finding(&mut ledger, &environ(UNIT), 1).origin.pid, Some(1));
    assert_eq!(deliver(&mut ledger), 0);
}

#[test]
fn many_processes_of_one_unit_do_not_change_it_in_turn() {
    let named = |pid: i32, at: i64, exe: &str| {
        let mut reading = held(pid, at);
        reading.observed[0].origin.exe = Some(text(exe));
        reading
    };
    let (_directory, mut ledger) = ledger_with(&[named(1, 10, "/bin/main")]);
    for at in 11..40 {
        let changes = ledger
            .commit(&[named(2, at, "/bin/worker"), named(1, at, "/bin/main")])
            .unwrap();
        assert!(!changes.any());
    }
    // Once the first has ended, another speaks for the unit.
    ledger.commit(&[sweep(50, &[2], &[])]).unwrap();
    let changes = ledger.commit(&[named(2, 51, "/bin/worker")]).unwrap();
    assert_eq!(changes.altered, 1);
}

#[test]
fn a_job_that_runs_every_minute_settles_as_present() {
    let (_directory, mut ledger) = ledger_with(&[]);
    let mut news = 0;
    for run in 0..120_i64 {
        let (pid, at) = (i32::try_from(run).unwrap() + 1, run * MINUTE);
        let readings = [
            held(pid, at),
            sweep(at + 1_000, &[pid], &[]),
            sweep(at + 30_000, &[], &[]),
        ];
        for reading in readings {
            let changes = ledger.commit(&[reading]).unwrap();
            news += changes.gone + changes.returned + changes.appeared + changes.altered;
        }
    }
    assert_eq!(news, 3, "seen, gone once, back once");
    let (at, place) = (120 * MINUTE, environ(UNIT));
    assert!(matches!(
        presence(&mut ledger, &place, 1),
        Presence::Present { .. }
    ));
    // The job was removed: after its minute of grace it is gone.
    ledger
        .commit(&[sweep(at, &[], &[]), sweep(at + MINUTE, &[], &[])])
        .unwrap();
    assert_eq!(presence(&mut ledger, &place, 1), ended(at + MINUTE));
}

#[test]
fn a_reboot_ends_every_process_but_not_what_they_held() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger.commit(&[held(1, 10)]).unwrap();
    drop(ledger);
    let rebooted = Options {
        boot_id: "boot-b".to_owned(),
        ..options()
    };
    let mut ledger = ready(Ledger::open(directory.path(), &rebooted).unwrap());
    assert_eq!(presence(&mut ledger, &environ(UNIT), 1), present(10));
    // Process 1 of this boot is another process, even if its numbers are the same.
    ledger.commit(&[sweep(20, &[1], &[])]).unwrap();
    assert_eq!(presence(&mut ledger, &environ(UNIT), 1), ended(20));
}

#[test]
fn a_sweep_says_nothing_of_files() {
    let (_directory, mut ledger) = ledger_with(&[whole(&file("a"), 10, &[1]), sweep(20, &[], &[])]);
    assert_eq!(presence(&mut ledger, &file("a"), 1), present(10));
}

/// A process that holds more than is kept may hold anything: nothing of it is called gone.
#[test]
fn a_process_with_too_many_is_not_taken_to_hold_only_what_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let many: Vec<u8> = (0..=255).collect();
    ledger.commit(&[held(2, 10)]).unwrap();
    let mut crowded = process(UNIT, 1, Extent::Whole, 20, &many);
    // The known one, which another process held, comes last, beyond what is kept.
    crowded.observed.swap(1, 255);
    ledger.commit(&[crowded, sweep(30, &[1], &[])]).unwrap();
    let place = environ(UNIT);
    assert_eq!(
        presence(&mut ledger, &place, 1),
        unknown(30, UnknownWhy::TooMany)
    );
}
