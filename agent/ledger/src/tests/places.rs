//! Presence in files and histories: each way to *gone*, each reason for *unknown*, and that no check
//! is there for show.

use akwatch_proto::credential::Epoch;
use akwatch_proto::finding::{GoneProof, Presence, PresenceState, UnknownWhy};
use akwatch_proto::place::Place;
use akwatch_proto::time::Time;

use super::*;

/// Value 1 is seen at 10, then `change` meets the ledger and the reading of time 20, which does not
/// see it; gives its presence after that.
fn after(change: impl FnOnce(&mut Ledger, &mut Reading)) -> Presence {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    ledger.commit(&[whole(&place, 10, &[1])]).unwrap();
    let mut second = whole(&place, 20, &[]);
    change(&mut ledger, &mut second);
    ledger.commit(&[second]).unwrap();
    presence(&mut ledger, &place, 1)
}

fn check(expected: &Presence, change: impl FnOnce(&mut Ledger, &mut Reading)) {
    assert_eq!(after(change), *expected);
}

const fn gone(at: i64, proof: GoneProof) -> Presence {
    Presence::Gone {
        at: Time(at),
        proof,
    }
}

#[test]
fn read_to_its_end_and_not_there_is_gone() {
    check(&gone(20, GoneProof::Reread), |_, _| {});
}

#[test]
fn a_removed_file_is_gone() {
    check(&gone(20, GoneProof::Removed), |_, reading| {
        reading.extent = Extent::Absent;
    });
}

#[test]
fn a_tail_says_nothing_of_what_is_above() {
    check(&present(10), |_, reading| {
        reading.extent = Extent::Tail { from: 5 };
    });
}

#[test]
fn a_tail_adds_and_does_not_take_what_is_known_better() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    ledger.commit(&[whole(&place, 10, &[1])]).unwrap();
    let mut tail = reading(&place, Extent::Tail { from: 100 }, 20, &[1, 2]);
    for observed in &mut tail.observed {
        observed.confidence = Confidence::Contextual;
        observed.spot.line = 7;
    }
    ledger.commit(&[tail]).unwrap();
    let held = ledger.holding(&Query::default()).unwrap();
    let said = |value: u8| {
        let key = seen(&place, value).key;
        let finding = held.iter().find(|finding| finding.key == key).unwrap();
        (finding.confidence, finding.spot.line)
    };
    assert_eq!(said(1), (Confidence::Paired, 1), "as the whole said");
    assert_eq!(said(2), (Confidence::Contextual, 7), "new");
}

#[test]
fn what_could_not_be_read_is_unknown() {
    for why in [UnknownWhy::Unreadable, UnknownWhy::ChangedWhileRead] {
        check(&unknown(20, why), |_, reading| {
            reading.extent = Extent::Unread(why);
        });
    }
    check(&unknown(20, UnknownWhy::ReadShort), |_, reading| {
        reading.unread_inside = Some(UnknownWhy::ReadShort);
    });
    check(&unknown(20, UnknownWhy::TooMany), |_, reading| {
        reading.too_many = true;
    });
}

#[test]
fn another_key_in_the_same_file_changes_nothing_for_this_one() {
    check(&gone(20, GoneProof::Reread), |_, reading| {
        reading.observed = vec![seen(&file("app.env"), 2)];
    });
    check(&present(10), |_, reading| {
        reading.observed = vec![seen(&file("app.env"), 1)];
    });
}

#[test]
fn what_is_no_longer_looked_for_is_unknown() {
    check(&unknown(20, UnknownWhy::RuleRemoved), |ledger, reading| {
        reading.rules = "r2".to_owned();
        ledger.in_force().add_rules("r2", [rule(7)]);
    });
    check(&unknown(20, UnknownWhy::RuleRemoved), |_, reading| {
        reading.rules = "never heard of".to_owned();
    });
    check(&unknown(20, UnknownWhy::RuleRemoved), |ledger, _| {
        ledger.in_force().epochs = [Epoch::parse("2").unwrap()].into();
    });
    check(&unknown(20, UnknownWhy::PathExcluded), |ledger, _| {
        ledger.in_force().covers = Box::new(|_| false);
    });
    check(&unknown(20, UnknownWhy::LimitLowered), |ledger, _| {
        ledger.in_force().limits.depth = 1;
    });
}

#[test]
fn a_member_is_judged_by_the_reading_of_its_outer_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let (outer, inner) = (file("backup.tar"), member("backup.tar", "etc/app.yml"));
    let mut first = whole(&outer, 10, &[1]);
    first.observed.push(seen(&inner, 1));
    ledger.commit(&[first]).unwrap();
    let mut second = whole(&outer, 20, &[]);
    second.observed.push(seen(&inner, 1));
    ledger.commit(&[second]).unwrap();
    assert_eq!(presence(&mut ledger, &inner, 1), present(10));
    let outer_presence = presence(&mut ledger, &outer, 1);
    assert_eq!(outer_presence, gone(20, GoneProof::Reread));
}

#[test]
fn what_names_another_place_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let mut first = whole(&file("a"), 10, &[1]);
    first.observed.push(seen(&file("b"), 2));
    let changes = ledger.commit(&[first]).unwrap();
    assert_eq!((changes.appeared, changes.foreign), (1, 1));
    assert_eq!(all(&mut ledger).len(), 1);
}

#[test]
fn coming_back_is_the_same_finding_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    for (at, values) in [(10, &[1][..]), (20, &[]), (30, &[1])] {
        ledger.commit(&[whole(&place, at, values)]).unwrap();
    }
    let back = finding(&mut ledger, &place, 1);
    assert_eq!(back.presence, present(30));
    assert_eq!((back.returns, back.first_seen), (1, Time(10)));
    assert_eq!(all(&mut ledger).len(), 1);
}

#[test]
fn unknown_in_between_is_no_break() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    let unreadable = Extent::Unread(UnknownWhy::Unreadable);
    ledger
        .commit(&[
            whole(&place, 10, &[1]),
            reading(&place, unreadable, 20, &[]),
            whole(&place, 30, &[1]),
        ])
        .unwrap();
    let found = finding(&mut ledger, &place, 1);
    assert_eq!((found.presence, found.returns), (present(10), 0));
}

#[test]
fn an_edit_above_moves_the_line_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    ledger.commit(&[whole(&place, 10, &[1])]).unwrap();
    let mut moved = whole(&place, 20, &[1]);
    moved.observed[0].spot.line = 9;
    let changes = ledger.commit(&[moved.clone()]).unwrap();
    assert_eq!((changes.altered, changes.revision), (1, 2));
    let found = finding(&mut ledger, &place, 1);
    assert_eq!((found.presence, found.spot.line), (present(10), 9));
    moved.at = Time(30);
    let changes = ledger.commit(&[moved]).unwrap();
    assert!(!changes.any());
    assert_eq!(changes.revision, 2);
}

#[test]
fn of_one_value_twice_the_surer_and_then_the_first_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app.env");
    let mut twice = whole(&place, 10, &[1, 1, 1]);
    twice.observed[0].spot.line = 7;
    twice.observed[1].spot.line = 3;
    twice.observed[2].confidence = Confidence::Contextual;
    ledger.commit(&[twice]).unwrap();
    let found = finding(&mut ledger, &place, 1);
    assert_eq!((found.spot.line, found.confidence), (3, Confidence::Paired));
}

#[test]
fn places_of_one_path_but_another_kind_are_apart() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let history = Place::History {
        path: text("/srv/app.env"),
        user: text("app"),
    };
    ledger
        .commit(&[whole(&history, 10, &[1]), whole(&file("app.env"), 20, &[])])
        .unwrap();
    assert_eq!(presence(&mut ledger, &history, 1), present(10));
}

#[test]
fn policy_and_rule_changes_make_unknown_what_they_concern() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    ledger
        .commit(&[whole(&file("a"), 10, &[1, 2]), whole(&file("b"), 10, &[3])])
        .unwrap();
    ledger.commit(&[whole(&file("a"), 20, &[1])]).unwrap();
    let changes = ledger
        .unknown_where(UnknownWhy::PathExcluded, Time(30), |finding| {
            finding.key.place == file("a")
        })
        .unwrap();
    assert_eq!(changes.unknown, 1);
    let excluded = unknown(30, UnknownWhy::PathExcluded);
    assert_eq!(presence(&mut ledger, &file("a"), 1), excluded);
    let still_gone = gone(20, GoneProof::Reread);
    assert_eq!(presence(&mut ledger, &file("a"), 2), still_gone);
    assert_eq!(presence(&mut ledger, &file("b"), 3), present(10));
}

#[test]
fn places_are_revisited_longest_unread_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    for (name, at) in [("c", 30), ("a", 10), ("b", 20)] {
        ledger.commit(&[whole(&file(name), at, &[1])]).unwrap();
    }
    let old = ledger.revisit(Time(25), 10).unwrap();
    assert_eq!(old, [file("a"), file("b")]);
    assert_eq!(ledger.revisit(Time(25), 1).unwrap(), [file("a")]);
    // A look that changes nothing is noted once it is worth a write.
    let later = 10 + crate::VERIFIED_GRAIN_MS;
    ledger.commit(&[whole(&file("a"), later, &[1])]).unwrap();
    assert_eq!(ledger.revisit(Time(25), 10).unwrap(), [file("b")]);
}

type Scene = fn(&mut Ledger);

/// For each check a scene in which only that check stands between a finding and a false *gone*.
const SCENES: [(&str, Scene); 11] = [
    ("same place", |ledger| {
        let other = process("db.service", 9, Extent::Whole, 20, &[]);
        ledger.commit(&[other]).unwrap();
    }),
    ("looked for this value", |ledger| {
        ledger.commit(&[whole(&file("a"), 20, &[1])]).unwrap();
    }),
    ("read to an answer", |ledger| {
        not_seen(ledger, |reading| reading.extent = Extent::Tail { from: 9 });
    }),
    ("kept everything", |ledger| {
        not_seen(ledger, |reading| reading.too_many = true);
    }),
    ("nothing unread inside", |ledger| {
        let short = Some(UnknownWhy::ReadShort);
        not_seen(ledger, |reading| reading.unread_inside = short);
    }),
    ("no process unread", |ledger| {
        ledger.commit(&[sweep(20, &[8], &[8])]).unwrap();
    }),
    ("rule in force", |ledger| {
        not_seen(ledger, |reading| reading.rules = "r9".to_owned());
    }),
    ("fingerprint in force", |ledger| {
        ledger.in_force().epochs.clear();
        not_seen(ledger, |_| {});
    }),
    ("path covered", |ledger| {
        ledger.in_force().covers = Box::new(|_| false);
        not_seen(ledger, |_| {});
    }),
    ("limits kept", |ledger| {
        ledger.in_force().limits.file_bytes = 1;
        not_seen(ledger, |_| {});
    }),
    ("unheld long enough", |ledger| {
        // It came back once, so a minute must pass before it is called gone again.
        let back = process("db.service", 8, Extent::Whole, 21, &[1]);
        ledger.commit(&[sweep(20, &[], &[]), back]).unwrap();
        ledger.commit(&[sweep(22, &[], &[])]).unwrap();
    }),
];

/// Reads file `a` to its end without seeing anything, but for what `change` makes of that.
fn not_seen(ledger: &mut Ledger, change: impl FnOnce(&mut Reading)) {
    let mut reading = whole(&file("a"), 20, &[]);
    change(&mut reading);
    ledger.commit(&[reading]).unwrap();
}

/// With the check the finding is not gone; without it, it is, or was.
#[test]
fn removing_any_check_lets_a_false_gone_through() {
    let scenes = SCENES.iter().map(|(name, _)| *name);
    let checks = crate::presence::check_names();
    assert!(scenes.eq(checks), "a check without a scene proves nothing");
    for (name, play) in SCENES {
        assert!(!ends_gone(play, None), "{name}: with all checks");
        assert!(ends_gone(play, Some(name)), "{name}: without it");
    }
}

/// Plays a scene over value 1 in file `a` and in process 7 of `db.service`; whether one of them
/// was called gone by its last commit.
fn ends_gone(play: Scene, without: Option<&'static str>) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let held = process("db.service", 7, Extent::Whole, 10, &[1]);
    ledger.commit(&[whole(&file("a"), 10, &[1]), held]).unwrap();
    if let Some(check) = without {
        ledger.leave_out(check);
    }
    play(&mut ledger);
    let file_returned = finding(&mut ledger, &file("a"), 1).returns > 0;
    let gone = all(&mut ledger)
        .iter()
        .any(|finding| finding.presence.state() == PresenceState::Gone);
    gone || file_returned
}
