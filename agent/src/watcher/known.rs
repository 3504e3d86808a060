//! Which path holds findings under which name: raw on one side, clean on the other.
//!
//! A file that is gone cannot be opened, so its clean name cannot be asked of the detector again.
//! This keeps, in memory only, the place of every path that holds findings. Raw names are never
//! written anywhere, since they may hold secrets; after a restart the plain ones are derived from the
//! ledger, and a name with a replacement in it is found again when its file is read.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use akwatch_ledger::PathKey;
use akwatch_proto::place::{Place, SafeText};

use crate::host::mounts::{Mount, Mounts};

/// Paths kept. Stops: a host with millions of findings; beyond it, rescans decide.
const PATHS: usize = 65_536;
/// Names of one file that are looked at when it is written through another. Stops: a user whose file
/// has tens of thousands of links, each write of which would be as many looks; the next rescan of
/// everything finds those beyond.
pub const NAMES: usize = 1024;

#[derive(Clone, Debug)]
struct Entry {
    place: Place,
    /// Where it was last seen, in this run.
    seen: Option<SeenOn>,
    inode: Option<Inode>,
}

/// A file, whatever it is called: device and inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode(pub u64, pub u64);

/// What a path was read on: what is absent somewhere else is not gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOn {
    /// The filesystem's device number.
    pub device: u64,
    /// The mount that led to it; none where there is no table of mounts.
    pub mount: Option<Mount>,
}

/// The paths that hold findings.
#[derive(Debug, Default)]
pub struct Known {
    by_path: HashMap<PathKey, Entry>,
    /// The names of each file: an event tells of one.
    by_inode: HashMap<Inode, Vec<PathKey>>,
}

impl Known {
    /// From the places that the ledger holds.
    #[must_use]
    pub fn from_places<'a>(places: impl IntoIterator<Item = &'a Place>) -> Known {
        let mut known = Known::default();
        for place in places {
            if let Some(path) = plain_path(place) {
                known.insert(&path, place.outer(), None);
            }
        }
        known
    }

    /// `path` is `place`, seen there; without that, where it was before.
    pub fn insert(&mut self, path: &Path, place: Place, seen: Option<SeenOn>) {
        let key = PathKey::of(path.as_os_str().as_bytes());
        let before = self.by_path.get(&key);
        if before.is_some() || self.by_path.len() < PATHS {
            let seen = seen.or_else(|| before?.seen.clone());
            let inode = before.and_then(|before| before.inode);
            self.by_path.insert(key, Entry { place, seen, inode });
        }
    }

    /// `path`, if it holds findings, is a name of that file.
    pub fn is_name_of(&mut self, path: &Path, inode: Inode) {
        let key = PathKey::of(path.as_os_str().as_bytes());
        let Some(entry) = self.by_path.get_mut(&key) else {
            return;
        };
        let before = entry.inode.replace(inode);
        if before == Some(inode) {
            return;
        }
        if let Some(before) = before
            && let Some(names) = self.by_inode.get_mut(&before)
        {
            names.retain(|name| *name != key);
            if names.is_empty() {
                self.by_inode.remove(&before);
            }
        }
        self.by_inode.entry(inode).or_default().push(key);
    }

    /// The other names of a file that hold findings, as far as they are plain: at most one more than
    /// [`NAMES`].
    #[must_use]
    pub fn other_names(&self, path: &Path, inode: Inode) -> Vec<PathBuf> {
        let names = self.by_inode.get(&inode).map_or(&[][..], Vec::as_slice);
        let plain = names
            .iter()
            .filter_map(|name| plain_path(&self.by_path.get(name)?.place))
            .filter(|name| name != path);
        plain.take(NAMES + 1).collect()
    }

    /// The place of `path`, if it holds findings.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<&Place> {
        let key = PathKey::of(path.as_os_str().as_bytes());
        self.by_path.get(&key).map(|entry| &entry.place)
    }

    /// Whether the ledger may hold findings of `path`, whose name is plain: also where too many paths
    /// hold some for this to know all of them.
    #[must_use]
    pub fn may_hold(&self, path: &Path) -> bool {
        self.by_path.len() >= PATHS || self.place(path).is_some()
    }

    /// Where `path` was last seen, in this run.
    #[must_use]
    pub fn seen_on(&self, path: &Path) -> Option<&SeenOn> {
        let key = PathKey::of(path.as_os_str().as_bytes());
        self.by_path.get(&key)?.seen.as_ref()
    }

    /// The paths that were read on a mount which is none of these, as far as their names are plain.
    #[must_use]
    pub fn on_mounts_beyond(&self, mounts: &Mounts) -> Vec<PathBuf> {
        let there: HashSet<&Mount> = mounts.all().iter().collect();
        self.by_path
            .values()
            .filter(|entry| {
                let mount = entry.seen.as_ref().and_then(|seen| seen.mount.as_ref());
                mount.is_some_and(|mount| !there.contains(mount))
            })
            .filter_map(|entry| plain_path(&entry.place))
            .collect()
    }

    /// The paths below `directory` that hold findings, as far as their names are plain.
    #[must_use]
    pub fn below(&self, directory: &Path) -> Vec<PathBuf> {
        self.by_path
            .values()
            .filter_map(|entry| plain_path(&entry.place))
            .filter(|path| path.starts_with(directory))
            .collect()
    }
}

/// The path of a file or history whose name nothing was replaced or escaped in.
#[must_use]
pub fn plain_path(place: &Place) -> Option<PathBuf> {
    let (Place::File { path, .. } | Place::History { path, .. }) = place else {
        return None;
    };
    is_plain(path).then(|| PathBuf::from(path.as_str()))
}

fn is_plain(name: &SafeText) -> bool {
    !name.as_str().contains(['‹', '›', '\\', '…'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Place {
        Place::File {
            path: SafeText::try_from(path.to_owned()).unwrap(),
            inside: vec![SafeText::from_program("member")],
        }
    }

    #[test]
    fn plain_names_are_found_again_after_a_restart_and_others_are_not_guessed() {
        let places = [file("/srv/a"), file("/srv/‹aws.key›"), file("/srv/\\u{a}")];
        let known = Known::from_places(&places);
        assert_eq!(known.place(Path::new("/srv/a")), Some(&places[0].outer()));
        assert_eq!(known.by_path.len(), 1);
        assert_eq!(known.below(Path::new("/srv")), [PathBuf::from("/srv/a")]);
        assert!(known.below(Path::new("/sr")).is_empty());
        assert!(known.may_hold(Path::new("/srv/a")) && !known.may_hold(Path::new("/srv/b")));
    }

    #[test]
    fn what_was_read_on_a_mount_that_went_is_told() {
        let root = "1 0 8:1 / / rw - ext4 /dev/a rw\n";
        let data = "2 1 8:2 / /data rw - ext4 /dev/b rw\n";
        let both = Mounts::parse([root, data].concat().as_bytes());
        let mut known = Known::from_places(&[file("/data/of-an-earlier-run")]);
        for (path, device) in [("/data/a", 2), ("/srv/a", 1)] {
            let path = Path::new(path);
            let mount = both.around(path).cloned();
            let place = file(path.to_str().unwrap()).outer();
            known.insert(path, place, Some(SeenOn { device, mount }));
        }
        assert!(known.on_mounts_beyond(&both).is_empty());
        let rest = Mounts::parse(root.as_bytes());
        assert_eq!(known.on_mounts_beyond(&rest), [PathBuf::from("/data/a")]);
        let instead = data.replace("8:2", "8:3");
        let instead = Mounts::parse([root, &instead].concat().as_bytes());
        assert_eq!(known.on_mounts_beyond(&instead), [PathBuf::from("/data/a")]);
    }

    #[test]
    fn a_file_is_known_by_all_of_its_names() {
        let mut known = Known::from_places(&[file("/srv/a"), file("/srv/b")]);
        let (a, b, c) = (
            Path::new("/srv/a"),
            Path::new("/srv/b"),
            Path::new("/srv/c"),
        );
        for name in [a, b, c] {
            known.is_name_of(name, Inode(1, 7));
        }
        assert_eq!(known.other_names(c, Inode(1, 7)), [a, b]);
        assert_eq!(
            known.other_names(a, Inode(1, 7)),
            [b],
            "of c nothing is known"
        );
        known.is_name_of(b, Inode(1, 8));
        assert!(
            known.other_names(a, Inode(1, 7)).is_empty(),
            "b is another file now"
        );
        known.is_name_of(a, Inode(2, 7));
        assert!(known.by_inode.keys().all(|inode| *inode != Inode(1, 7)));
    }

    #[test]
    fn a_file_of_many_names_is_not_looked_at_under_each() {
        let names: Vec<String> = (0..=NAMES).map(|number| format!("/srv/{number}")).collect();
        let places: Vec<Place> = names.iter().map(|name| file(name)).collect();
        let mut known = Known::from_places(&places);
        let (last, others) = names.split_last().unwrap();
        for name in others {
            known.is_name_of(Path::new(name), Inode(1, 7));
        }
        assert_eq!(known.other_names(Path::new(last), Inode(1, 7)).len(), NAMES);
        for more in ["/srv/more", "/srv/still-more"] {
            known.insert(Path::new(more), file(more), None);
            known.is_name_of(Path::new(more), Inode(1, 7));
        }
        let told = known.other_names(Path::new(last), Inode(1, 7));
        assert_eq!(told.len(), NAMES + 1);
    }
}
