//! The gate by itself, with the kernel's own events on a file of the test's: nobody else is held.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use super::keeper::packets;
use super::*;
use crate::skip::skip;

/// No test waits for it.
const AGES: Duration = Duration::from_secs(3600);

/// A gate on a thread, at a file of its own. The test is the watcher.
struct Kept {
    path: PathBuf,
    _file: tempfile::NamedTempFile,
    watcher: OwnedFd,
    lead: OwnedFd,
    gate: JoinHandle<End>,
}

impl Kept {
    fn with(limits: Limits) -> Option<Kept> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = vec![file.reopen().unwrap()];
        let probe = PermissionGroup::new();
        if !probe.is_ok_and(|group| group.hold(held[0].as_fd()).is_ok()) {
            skip("only root may hold opens, and not every kernel has permission events");
            return None;
        }
        let (gates, watcher) = packets().unwrap();
        let (their_lead, lead) = packets().unwrap();
        let gate = std::thread::spawn(move || {
            let group = PermissionGroup::new().unwrap();
            let (watcher, lead) = (gates.as_fd(), their_lead.as_fd());
            serve(&group, &held, watcher, lead, None, limits)
        });
        Some(Kept {
            path: file.path().to_owned(),
            _file: file,
            watcher,
            lead,
            gate,
        })
    }

    /// A gate that holds already.
    fn holding(limits: Limits) -> Option<Kept> {
        let kept = Kept::with(limits)?;
        ToGate::Hold(true).say(&kept.watcher).unwrap();
        assert_eq!(kept.said(), FromGate::Holding);
        Some(kept)
    }

    /// The next word, counts aside.
    fn said(&self) -> FromGate {
        loop {
            let mut fds = [PollFd::new(self.watcher.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::NONE).unwrap();
            match FromGate::hear(self.watcher.as_fd()).unwrap() {
                None | Some(FromGate::Counts { .. }) => {}
                Some(word) => return word,
            }
        }
    }

    fn asked(&self) -> u32 {
        match self.said() {
            FromGate::Ask { number, pid } => {
                assert_eq!(pid, own());
                number
            }
            other => panic!("{other:?}"),
        }
    }

    /// Opens the file on a thread, and tells when that is done.
    fn open(&self) -> Receiver<bool> {
        let (opened, hear) = channel();
        let path = self.path.clone();
        std::thread::spawn(move || opened.send(File::open(path).is_ok()));
        hear
    }

    fn end(self) -> End {
        drop(self.lead);
        self.gate.join().unwrap()
    }
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn patient() -> Limits {
    Limits {
        answer: AGES,
        overdue: AGES,
        ..Limits::default()
    }
}

#[test]
fn an_open_waits_for_its_answer_and_for_no_other() {
    let Some(kept) = Kept::holding(patient()) else {
        return;
    };
    let first = kept.open();
    let number = kept.asked();
    let second = kept.open();
    let later = kept.asked();
    assert_eq!(later, number + 1);
    assert!(first.try_recv().is_err());
    ToGate::Done(number).say(&kept.watcher).unwrap();
    assert!(first.recv().unwrap());
    assert!(second.try_recv().is_err());
    ToGate::Done(later).say(&kept.watcher).unwrap();
    assert!(second.recv().unwrap());
    assert_eq!(kept.end(), End::Released);
}

#[test]
fn an_open_whose_capture_is_late_goes_on_and_a_watcher_that_owes_for_too_long_ends_the_gate() {
    let limits = Limits {
        answer: Duration::from_millis(5),
        overdue: Duration::from_millis(60),
        ..Limits::default()
    };
    let Some(kept) = Kept::holding(limits) else {
        return;
    };
    let opened = kept.open();
    kept.asked(); // and says nothing
    assert!(opened.recv().unwrap());
    assert_eq!(kept.gate.join().unwrap(), End::Overdue);
    File::open(&kept.path).unwrap(); // nobody is held any more
}

#[test]
fn what_waits_is_free_when_the_gate_ends_however_it_does() {
    for leaves in [true, false] {
        let Some(kept) = Kept::holding(patient()) else {
            return;
        };
        let opened = kept.open();
        kept.asked();
        let Kept {
            watcher,
            lead,
            gate,
            ..
        } = kept;
        let left = if leaves {
            drop(lead);
            (End::Released, Some(watcher), None)
        } else {
            drop(watcher);
            (End::Unwatched, None, Some(lead))
        };
        assert_eq!(gate.join().unwrap(), left.0);
        assert!(opened.recv().unwrap());
    }
}

#[test]
fn the_agents_own_are_not_held_nor_is_anybody_while_it_is_not_wanted() {
    let Some(kept) = Kept::with(patient()) else {
        return;
    };
    File::open(&kept.path).unwrap(); // nobody has asked for it yet
    ToGate::Own(own()).say(&kept.watcher).unwrap();
    ToGate::Hold(true).say(&kept.watcher).unwrap();
    assert_eq!(kept.said(), FromGate::Holding);
    File::open(&kept.path).unwrap(); // would wait for ages
    ToGate::Hold(false).say(&kept.watcher).unwrap();
    assert_eq!(kept.said(), FromGate::NotHolding);
    ToGate::ForgetOwn.say(&kept.watcher).unwrap();
    File::open(&kept.path).unwrap();
    ToGate::Hold(true).say(&kept.watcher).unwrap();
    assert_eq!(kept.said(), FromGate::Holding, "no question came between");
    let opened = kept.open();
    let number = kept.asked();
    ToGate::Done(number).say(&kept.watcher).unwrap();
    assert!(opened.recv().unwrap());
    kept.end();
}

#[test]
fn a_storm_is_not_held() {
    let limits = Limits {
        per_second: 0.0,
        at_once: 2.0,
        ..patient()
    };
    let Some(kept) = Kept::holding(limits) else {
        return;
    };
    for _ in 0..2 {
        let opened = kept.open();
        let number = kept.asked();
        ToGate::Done(number).say(&kept.watcher).unwrap();
        assert!(opened.recv().unwrap());
    }
    for _ in 0..100 {
        File::open(&kept.path).unwrap(); // nobody answers
    }
    kept.end();
}

#[test]
fn no_more_wait_at_once_than_the_watcher_may_owe() {
    let Some(kept) = Kept::holding(patient()) else {
        return;
    };
    let waiting: Vec<_> = (0..WAITING).map(|_| kept.open()).collect();
    let numbers: Vec<u32> = (0..WAITING).map(|_| kept.asked()).collect();
    File::open(&kept.path).unwrap(); // one too many
    for number in numbers {
        ToGate::Done(number).say(&kept.watcher).unwrap();
    }
    for opened in waiting {
        assert!(opened.recv().unwrap());
    }
    kept.end();
}

#[test]
fn what_a_control_group_may_freeze_for_good_is_known() {
    let (first, second) = ("6:freezer:/\n5:cpu:/a\n", "0::/system.slice/a\n");
    assert!(!is_freezable(first.as_bytes()) && !is_freezable(second.as_bytes()));
    for frozen in ["6:freezer:/docker/a\n", "3:cpu,freezer:/a\n"] {
        assert!(is_freezable(frozen.as_bytes()), "{frozen}");
    }
}

#[test]
fn every_end_has_its_exit_code() {
    for end in End::ALL {
        assert_eq!(End::of(end as u8), Some(end));
    }
    assert_eq!(End::of(101), None);
}

#[test]
fn a_bucket_gives_at_once_and_then_by_the_second() {
    let now = Instant::now();
    let mut bucket = Bucket::full(200.0, 2.0, now);
    assert!(bucket.take(now) && bucket.take(now) && !bucket.take(now));
    let later = now + Duration::from_secs(1);
    assert_eq!((0..1000).filter(|_| bucket.take(later)).count(), 2);
}
