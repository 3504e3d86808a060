//! By whom what waits to be read was written, and whether that can be said of what is found in it.
//!
//! A finding that the ledger did not hold is not for that reason younger than the write that led to its
//! reading: the value may have been there unread. So a write is said to have brought a finding only
//! where its process made the file or moved it here, or where everything that was in the file before is
//! known: it was read to its last member by the same rules, in a run that has since walked over
//! everything and lost no event. Whatever else touched the file meanwhile makes its writer unknown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use akwatch_ledger::PathKey;
use akwatch_ledger::reading::FileState;

use super::Watcher;
use crate::agenda::WAITING;
use crate::job::{Names, Pending, PendingWriter};
use crate::sense::hands::{Hand, Written};
use crate::sense::watch_set::is_history;

/// The hands of what waits; none where several wrote, or somebody who is not known.
#[derive(Debug, Default)]
pub(super) struct Hands(HashMap<PathBuf, Option<Hand>>);

impl Hands {
    /// A write was told. `waits` says that the place waits already, or is being read.
    pub(super) fn written(&mut self, written: &Written, waits: bool) {
        if self.0.len() >= WAITING {
            self.0.clear(); // what waits without a hand has none from now on
        }
        match (self.0.get_mut(&written.path), &written.hand) {
            (Some(Some(known)), Some(hand)) if same(known, hand) => {
                known.state = hand.state;
                known.whole |= hand.whole;
                known.alone &= hand.alone;
            }
            (Some(known), _) => *known = None,
            (None, Some(hand)) if !waits => {
                self.0.insert(written.path.clone(), Some(hand.clone()));
            }
            (None, _) => {
                self.0.insert(written.path.clone(), None);
            }
        }
    }

    /// Something else wants a place read: nobody can say what happened to it.
    pub(super) fn unsaid(&mut self, path: &Path) {
        if let Some(known) = self.0.get_mut(path) {
            *known = None;
        }
    }

    /// The hand of a place that is opened now, or does not wait any more.
    pub(super) fn take(&mut self, path: &Path) -> Option<Hand> {
        self.0.remove(path).flatten()
    }
}

fn same(one: &Hand, other: &Hand) -> bool {
    one.instance == other.instance && one.writer == other.writer
}

impl Watcher {
    /// Notes who wrote the file that is about to be read, as far as what is new in it is theirs.
    pub(super) fn sign(
        &mut self,
        path: &Path,
        state: &FileState,
        hand: Option<Hand>,
        names: &mut Vec<Vec<u8>>,
        pending: &mut Pending,
    ) {
        let Some(hand) = hand.filter(|hand| self.vouches(path, state, hand)) else {
            return;
        };
        let accounts = self.host.accounts();
        let mut all = Names::after(std::mem::take(names));
        pending.writer = Some(PendingWriter::of(&hand.writer, &accounts, &mut all));
        *names = all.into_raw();
    }

    fn vouches(&self, path: &Path, state: &FileState, hand: &Hand) -> bool {
        if hand.state != *state || is_history(path) {
            return false; // somebody has written since; what is typed is not written by programs
        }
        let key = PathKey::of(path.as_os_str().as_encoded_bytes());
        let rules = self.detecting.rules().unwrap_or_default();
        hand.whole
            || (hand.alone
                && self.scans.in_step(path)
                && self.ledger.was_known(key, state.dev, rules))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use akwatch_ledger::ProcessInstance;

    use super::*;
    use crate::host::writer::Writer;

    fn hand(pid: i32, ctime_ns: i64, whole: bool) -> Hand {
        Hand {
            instance: ProcessInstance { pid, started: 1 },
            writer: Arc::new(Writer {
                exe: format!("/bin/{pid}").into_bytes(),
                script: None,
                uid: 0,
                login: None,
                unit: None,
                container: None,
            }),
            state: FileState {
                dev: 1,
                ino: 2,
                size: 3,
                ctime_ns,
                mtime_ns: ctime_ns,
            },
            whole,
            alone: true,
        }
    }

    fn written(hand: Option<Hand>) -> Written {
        Written {
            path: PathBuf::from("/srv/.env"),
            hand,
        }
    }

    fn check(told: &[(Option<Hand>, bool)]) -> Option<Hand> {
        let mut hands = Hands::default();
        for (hand, waits) in told {
            hands.written(&written(hand.clone()), *waits);
        }
        hands.take(Path::new("/srv/.env"))
    }

    #[test]
    fn one_hand_stays_one_and_two_are_nobodys() {
        let one = hand(1, 5, false);
        assert_eq!(check(&[(Some(one.clone()), false)]), Some(one.clone()));
        let later = hand(1, 9, true);
        let both = check(&[(Some(one.clone()), false), (Some(later.clone()), true)]);
        assert_eq!(both, Some(later));
        let other = (Some(hand(2, 9, true)), true);
        assert_eq!(check(&[(Some(one.clone()), false), other.clone()]), None);
        assert_eq!(check(&[(Some(one.clone()), false), (None, true)]), None);
        assert_eq!(check(&[(None, false), (Some(one.clone()), true)]), None);
        // Once it is nobody's it stays so until it is read.
        let back = (Some(one.clone()), true);
        assert_eq!(check(&[(Some(one), false), other, back]), None);
    }

    #[test]
    fn what_waits_for_another_reason_has_no_hand() {
        let one = hand(1, 5, true);
        assert_eq!(check(&[(Some(one.clone()), true)]), None);
        let mut hands = Hands::default();
        hands.written(&written(Some(one.clone())), false);
        hands.unsaid(Path::new("/srv/.env"));
        assert_eq!(hands.take(Path::new("/srv/.env")), None);
        hands.written(&written(Some(one.clone())), false);
        assert_eq!(hands.take(Path::new("/srv/.env")), Some(one));
        assert_eq!(hands.take(Path::new("/srv/.env")), None);
    }
}
