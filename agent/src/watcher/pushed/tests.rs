//! When repositories are looked at and given up: the clock is the test's.

use super::*;

fn location(number: usize) -> Location {
    Location {
        top: PathBuf::from(format!("/srv/{number}")),
        work_tree: true,
    }
}

#[test]
fn no_other_repository_is_looked_at_while_one_look_is_paid_for() {
    let (mut pushed, now) = (Pushed::default(), Instant::now());
    pushed.wants(location(1), now);
    pushed.wants(location(2), now);
    let later = now + SETTLE;
    assert!(pushed.take_due(now).is_none());
    assert!(pushed.take_due(later).is_some());
    let rests = later + Duration::from_secs(3);
    pushed.rests = Some(rests);
    assert!(pushed.take_due(later).is_none());
    assert_eq!(pushed.next_due(later), Some(rests));
    assert!(pushed.take_due(rests).is_some());
    assert_eq!(pushed.next_due(rests), None);
}
