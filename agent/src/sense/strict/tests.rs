//! The strict rung with a gate that the test plays, and with a real one at a library of the test's own.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use akwatch_sys::fanotify::permission::PermissionGroup;
use crossbeam_channel::{Receiver, unbounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::config::GlobSet;
use crate::gate::keeper::packets;
use crate::gate::{Limits, files_of_host, serve};
use crate::host::Root;
use crate::job::Content;
use crate::skip::skip;

/// The rung on its thread.
struct Rung {
    strict: Strict,
    captured: Captured,
    said: Receiver<Sensed>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Rung {
    fn start() -> Rung {
        let host = Arc::new(Root::live().unwrap());
        let opener = Arc::new(Opener::new(host, GlobSet::new([], &[]).unwrap()));
        let (out, said) = unbounded();
        let (stop, interest) = (Stop::new().unwrap(), Interest::new().unwrap());
        let (strict, captured) = (Strict::new(true).unwrap(), Captured::default());
        let with = (opener, captured.clone());
        let held = Held::new(strict.clone(), with, interest, true, out, stop.clone());
        let thread = Some(std::thread::spawn(move || held.run()));
        Rung {
            strict,
            captured,
            said,
            stop,
            thread,
        }
    }

    /// The next status.
    fn status(&self) -> Status {
        loop {
            if let Sensed::Status(status) = self.said.recv().unwrap() {
                return status;
            }
        }
    }

    /// Why it says that it is off.
    fn off(&self) -> &'static str {
        let status = self.status();
        assert_eq!(status.mechanism, "exec-events+sweep");
        status.not_watched[0].why
    }
}

impl Drop for Rung {
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The next word to a gate that the test plays.
fn told(gate: &OwnedFd) -> ToGate {
    loop {
        let mut fds = [PollFd::new(gate.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        if let Some(word) = ToGate::hear(gate.as_fd()).unwrap() {
            return word;
        }
    }
}

/// A gate that the test plays, wanted and said to hold.
fn played(rung: &Rung) -> OwnedFd {
    let (gate, link) = packets().unwrap();
    rung.strict.arrived(link, 7);
    assert_eq!(told(&gate), ToGate::ForgetOwn);
    assert_eq!(told(&gate), ToGate::Hold(true));
    FromGate::Holding.say(&gate).unwrap();
    assert_eq!(rung.status().mechanism, "strict+exec-events+sweep");
    gate
}

fn environ(sensed: &Sensed) -> Option<String> {
    let Sensed::Executed(taken) = sensed else {
        return None;
    };
    let Content::Captured(environ) = &taken.0.contents[0] else {
        return None;
    };
    Some(String::from_utf8_lossy(&environ.0).into_owned())
}

#[test]
fn a_process_that_waits_is_captured_once_by_both_sensors_and_may_go_on() {
    let rung = Rung::start();
    let gate = played(&rung);
    let mut child = Command::new("cat")
        .env("STRICT_TEST", "captured-while-it-waits")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    // Its parent goes on before its arguments and environment are in place; the gate asks later.
    while std::fs::read(format!("/proc/{pid}/cmdline")).unwrap() != b"cat\0" {
        std::thread::yield_now();
    }
    let before = monotonic_ns();
    FromGate::Ask { number: 1, pid }.say(&gate).unwrap();
    assert_eq!(told(&gate), ToGate::Done(1));
    let taken = rung.said.recv().unwrap();
    assert!(environ(&taken).is_some_and(|text| text.contains("captured-while-it-waits")));
    assert!(
        rung.captured.turn().since(pid, before),
        "the exec rung leaves it"
    );
    // Its next open is of the same program.
    FromGate::Ask { number: 2, pid }.say(&gate).unwrap();
    assert_eq!(told(&gate), ToGate::Done(2));
    assert!(rung.said.is_empty());
    // One that has ended is answered as well.
    child.kill().unwrap();
    child.wait().unwrap();
    FromGate::Ask { number: 3, pid }.say(&gate).unwrap();
    assert_eq!(told(&gate), ToGate::Done(3));
    assert!(rung.said.is_empty());
    assert_eq!(rung.strict.standing().unwrap().captured, 1);
}

#[test]
fn why_it_is_off_is_said_whoever_ended_it() {
    let rung = Rung::start();
    drop(played(&rung));
    assert_eq!(rung.off(), "strict-off-gate-killed");
    for (last, why) in [
        (FromGate::Overdue, "strict-off-overdue"),
        (FromGate::Refused, "strict-off-refused"),
        (FromGate::NoFile, "strict-off-no-file"),
        (FromGate::Freezable, "strict-off-freezer"),
        (FromGate::Released, "strict-off-files-changed"),
    ] {
        let gate = played(&rung);
        // A question that nobody waits for any more does not hide its last word.
        FromGate::Ask { number: 1, pid: 1 }.say(&gate).unwrap();
        last.say(&gate).unwrap();
        drop(gate);
        assert_eq!(rung.off(), why);
        let standing = rung.strict.standing().unwrap();
        assert_eq!(standing.off.as_deref(), Some(why));
    }
}

#[test]
fn pressure_and_pauses_let_everybody_go_until_they_are_over() {
    let rung = Rung::start();
    let gate = played(&rung);
    for off in [Off::Pressure, Off::Paused] {
        rung.strict.want(Err(off));
        assert_eq!(told(&gate), ToGate::ForgetOwn);
        assert_eq!(told(&gate), ToGate::Hold(false));
        FromGate::NotHolding.say(&gate).unwrap();
        assert_eq!(rung.off(), off.slug());
        rung.strict.want(Ok(()));
        assert_eq!(told(&gate), ToGate::ForgetOwn);
        assert_eq!(told(&gate), ToGate::Hold(true));
        FromGate::Holding.say(&gate).unwrap();
        assert!(rung.status().not_watched.is_empty());
    }
    rung.strict.leave_out(BTreeSet::from([4, 5]));
    let words = [0, 1, 2, 3].map(|_| told(&gate));
    let own = [ToGate::Own(4), ToGate::Own(5), ToGate::Hold(true)];
    assert_eq!(words[0], ToGate::ForgetOwn);
    assert_eq!(words[1..], own);
}

#[test]
fn the_counts_of_all_gates_are_added() {
    let rung = Rung::start();
    for _ in 0..2 {
        let gate = played(&rung);
        for held in [3, 5] {
            let (late, not_held) = (1, 2);
            let counts = FromGate::Counts {
                held,
                late,
                not_held,
            };
            counts.say(&gate).unwrap();
        }
        drop(gate);
        rung.off();
    }
    let standing = rung.strict.standing().unwrap();
    assert_eq!(
        (standing.held, standing.late, standing.not_held),
        (10, 2, 4)
    );
}

#[test]
fn where_nobody_asked_for_it_nothing_is_said_of_it_and_no_gate_is_kept() {
    let strict = Strict::new(false).unwrap();
    let (gate, link) = packets().unwrap();
    strict.arrived(link, 7);
    assert_eq!(FromGate::Holding.say(&gate), Err(nix::errno::Errno::EPIPE));
    assert_eq!((strict.off(), strict.standing()), (None, None));
    let status = strict.status(true, 3);
    assert_eq!(status.mechanism, "exec-events+sweep");
    assert!(status.not_watched.is_empty());
}

/// Programs that live for less than a millisecond, at a copy of the library that only they open: each
/// one is captured, and by nothing but this rung.
#[test]
fn each_of_300_programs_that_end_at_once_is_captured() {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libc.so.6");
    let files = files_of_host();
    if !files[0].ends_with("libc.so.6") {
        skip("this host has no shared C library");
        return;
    }
    std::fs::copy(&files[0], &library).unwrap();
    let held = vec![File::open(&library).unwrap()];
    let (Ok(group), rung) = (PermissionGroup::new(), Rung::start()) else {
        skip("only root may hold opens");
        return;
    };
    let ((gates, link), (their_lead, lead)) = (packets().unwrap(), packets().unwrap());
    // A neighbour that keeps both processors for a while makes captures late: here they may be.
    let limits = Limits {
        answer: Duration::from_secs(60),
        overdue: Duration::from_secs(60),
        ..Limits::default()
    };
    let gate = std::thread::spawn(move || {
        let (watcher, lead) = (gates.as_fd(), their_lead.as_fd());
        serve(&group, &held, watcher, lead, None, limits)
    });
    rung.strict.arrived(link, 7);
    assert_eq!(rung.status().mechanism, "strict+exec-events+sweep");
    let number = |sensed: &Sensed| {
        let text = environ(sensed)?;
        let mut lines = text.split('\0');
        lines.find_map(|line| Some(line.strip_prefix("STRICT_NUMBER=")?.to_owned()))
    };
    let run = |number: &str| {
        let mut program = Command::new("true");
        program.env("LD_LIBRARY_PATH", directory.path());
        let status = program.env("STRICT_NUMBER", number).status();
        assert!(status.unwrap().success());
    };
    let mut seen = BTreeSet::new();
    for each in 0..300 {
        run(&each.to_string());
        seen.extend(rung.said.try_iter().filter_map(|sensed| number(&sensed)));
    }
    run("end"); // its capture comes behind all others
    let rest = rung.said.iter().filter_map(|sensed| number(&sensed));
    seen.extend(rest.take_while(|number| number != "end"));
    assert_eq!(seen.len(), 300);
    drop(lead);
    gate.join().unwrap();
}
