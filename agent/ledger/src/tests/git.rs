//! What Git says is an attribute: it changes a finding in place, once for each change, and what was
//! pushed stays pushed.

use akwatch_proto::git::{CommitId, Git, PushState, Remote, UntracedWhy};

use super::*;

fn git(state: PushState, commit: &str) -> Git {
    Git {
        repository: text("/srv/app"),
        commit: Some(CommitId::parse(commit).unwrap()),
        authored: Some(Time(1)),
        path: None,
        state,
        why: (state == PushState::Unknown).then_some(UntracedWhy::Shallow),
        remotes: vec![Remote {
            name: text("origin"),
            address: Some(text("git.example.org/acme/app")),
            reached: state == PushState::Pushed,
        }],
    }
}

#[test]
fn what_git_says_is_reported_once_and_changes_no_identity() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app/.env");
    ledger.commit(&[whole(&place, 10, &[1, 2])]).unwrap();
    deliver(&mut ledger);
    let (key, digest) = (seen(&place, 1).key, ledger.digest());
    let said = [(key.clone(), Some(git(PushState::NotPushed, "a1")))];
    assert_eq!(ledger.note_git(&said).unwrap().altered, 1);
    assert_eq!(deliver(&mut ledger), 1);
    assert_eq!(ledger.digest(), digest);
    // Said again, and read again, it is the same finding with the same word.
    assert!(!ledger.note_git(&said).unwrap().any());
    ledger.commit(&[whole(&place, 20, &[1, 2])]).unwrap();
    assert_eq!(deliver(&mut ledger), 0);
    let known = finding(&mut ledger, &place, 1);
    assert_eq!(known.git, said[0].1);
    assert_eq!((known.key, known.presence), (key, present(10)));
    assert_eq!(finding(&mut ledger, &place, 2).git, None);
    // It is still there after gone and back, and after another opening.
    ledger.commit(&[whole(&place, 30, &[])]).unwrap();
    ledger.commit(&[whole(&place, 40, &[1])]).unwrap();
    drop(ledger);
    let mut ledger = open(directory.path());
    assert_eq!(finding(&mut ledger, &place, 1).git, said[0].1);
}

#[test]
fn what_was_pushed_stays_pushed() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let place = file("app/.env");
    ledger.commit(&[whole(&place, 10, &[1])]).unwrap();
    let key = seen(&place, 1).key;
    let mut say = |git: Option<Git>| {
        ledger.note_git(&[(key.clone(), git)]).unwrap();
        finding(&mut ledger, &place, 1).git
    };
    for earlier in [PushState::Unknown, PushState::NotPushed] {
        let earlier = git(earlier, "a1");
        assert_eq!(say(Some(earlier.clone())), Some(earlier));
    }
    assert_eq!(say(None), None);
    let pushed = git(PushState::Pushed, "a1");
    assert_eq!(say(Some(pushed.clone())), Some(pushed.clone()));
    for later in [
        Some(git(PushState::Unknown, "b2")),
        Some(git(PushState::NotPushed, "b2")),
        None,
    ] {
        assert_eq!(say(later), Some(pushed.clone()));
    }
    let elsewhere = git(PushState::Pushed, "c3");
    assert_eq!(say(Some(elsewhere.clone())), Some(elsewhere));
}

#[test]
fn a_finding_that_is_not_held_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path());
    let said = [(seen(&file("x"), 1).key, Some(git(PushState::Pushed, "a1")))];
    assert!(!ledger.note_git(&said).unwrap().any());
    assert!(all(&mut ledger).is_empty());
}
