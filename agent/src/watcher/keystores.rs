//! Where keystores lie, so that one is looked at again when a file beside it changes.
//!
//! What a keystore is told as rests on other files than its own: a password that is written beside it
//! opens it, one that is taken away shuts it again, and nothing happens to the keystore's place. This
//! keeps, in memory only, the keystores that were looked at, by the directories whose files are asked
//! for their passwords. What is beyond its bounds waits for the day's revisit of every place with a
//! finding.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use akwatch_ledger::PathKey;

use super::Watcher;
use crate::job::{Target, TargetPlace, Urgency};
use crate::open::companions::{is_keystore, likelihood};

/// Keystores that are kept in mind. Stops: a tree made of them.
const KEYSTORES: usize = 4_096;
/// Of those, how many one change has looked at again. Stops: a user's file whose every write is a
/// thousand guesses.
const AGAIN: usize = 32;

/// Keystores by directory: their own and the one above.
#[derive(Debug, Default)]
pub(super) struct Keystores {
    by_directory: HashMap<PathKey, Vec<PathBuf>>,
    /// How often: each keystore counts for both.
    count: usize,
}

impl Keystores {
    /// Those of some paths.
    #[must_use]
    fn among(paths: Vec<PathBuf>) -> Keystores {
        let mut keystores = Keystores::default();
        for path in paths {
            if is_keystore(path.as_os_str().as_bytes()) {
                keystores.know(&path);
            }
        }
        keystores
    }

    fn know(&mut self, path: &Path) {
        if self.count >= 2 * KEYSTORES {
            return;
        }
        for directory in directories(path) {
            let held = self.by_directory.entry(directory).or_default();
            if held.len() < AGAIN && !held.iter().any(|known| known == path) {
                held.push(path.to_owned());
                self.count += 1;
            }
        }
    }

    /// Forgets one that is not there any more.
    pub(super) fn forget(&mut self, path: &Path) {
        for directory in directories(path) {
            let Some(held) = self.by_directory.get_mut(&directory) else {
                continue;
            };
            let before = held.len();
            held.retain(|known| known != path);
            self.count -= before - held.len();
            if held.is_empty() {
                self.by_directory.remove(&directory);
            }
        }
    }

    /// The keystores whose password a file may hold.
    fn beside(&self, path: &Path) -> Vec<PathBuf> {
        let (Some(directory), false) = (path.parent(), self.by_directory.is_empty()) else {
            return Vec::new();
        };
        let name = path.file_name().unwrap_or_default().as_bytes();
        let held = self.by_directory.get(&key(directory));
        let held = held.map_or(&[][..], Vec::as_slice);
        let asked = held
            .iter()
            .filter(|store| likelihood(store, name).is_some());
        asked.cloned().collect()
    }
}

fn key(directory: &Path) -> PathKey {
    PathKey::of(directory.as_os_str().as_bytes())
}

fn directories(path: &Path) -> impl Iterator<Item = PathKey> {
    path.ancestors().skip(1).take(2).map(key)
}

impl Watcher {
    /// Takes up the keystores with findings that an earlier run knew.
    pub(super) fn know_keystores(&mut self) {
        let paths = self.known.below(Path::new("/"));
        self.detecting.keystores = Keystores::among(paths);
    }

    /// Notes a keystore before it is opened; of another file that something happened to, has the
    /// keystores looked at again whose password it may hold.
    pub(super) fn look_beside(&mut self, target: &Target, now: Instant) {
        let TargetPlace::File(path) = &target.what else {
            return;
        };
        if is_keystore(path.as_os_str().as_bytes()) {
            return self.detecting.keystores.know(path);
        }
        if target.urgency != Urgency::Live {
            return;
        }
        for store in self.detecting.keystores.beside(path) {
            let again = Target {
                what: TargetPlace::File(store),
                urgency: Urgency::Revisit,
            };
            self.offer(again, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(keystores: &Keystores, path: &str) -> Vec<PathBuf> {
        keystores.beside(Path::new(path))
    }

    #[test]
    fn a_change_beside_or_above_names_the_keystores() {
        let paths = ["/opt/app/certs/a.jks", "/opt/app/b.p12", "/opt/app/app.yml"];
        let mut keystores = Keystores::among(paths.map(PathBuf::from).to_vec());
        let (a, b) = (PathBuf::from(paths[0]), PathBuf::from(paths[1]));
        let only_a = vec![a.clone()];
        assert_eq!(beside(&keystores, "/opt/app/certs/a.pass"), only_a);
        assert_eq!(beside(&keystores, "/opt/app/app.yml"), [a, b]);
        for other in [
            "/opt/app/certs/a.crt",
            "/opt/app/certs/x/a.pass",
            "/srv/a.pass",
        ] {
            assert!(beside(&keystores, other).is_empty(), "{other}");
        }
        keystores.forget(Path::new(paths[1]));
        assert_eq!(beside(&keystores, "/opt/app/app.yml"), only_a);
        keystores.forget(Path::new(paths[0]));
        assert_eq!((keystores.by_directory.len(), keystores.count), (0, 0));
    }

    #[test]
    fn a_tree_of_keystores_is_bounded() {
        let many = |name: fn(usize) -> String| (0..3 * KEYSTORES).map(name).map(PathBuf::from);
        let one = Keystores::among(many(|n| format!("/srv/{n}.jks")).collect());
        assert_eq!(beside(&one, "/srv/app.env").len(), AGAIN);
        let wide = Keystores::among(many(|n| format!("/srv/{n}/{n}/a.jks")).collect());
        assert!(wide.count <= 2 * KEYSTORES + 1);
    }
}
