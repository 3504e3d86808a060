//! The first scan and the rescans: a walk over the watch set that waits for the agenda.
//!
//! Events say what changes from now on; this walk says what is there already, and makes good what
//! events missed. It gives one file at a time and only as fast as the watcher takes them, so it never
//! fills the agenda and live events pass it. Nothing is opened here but directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akwatch_proto::time::Time;
use crossbeam_channel::{Receiver, Sender, select};
use rustix::fs::FileType;

use super::watch_set::{Covered, WatchSet, is_bulk};
use super::{Gap, not_listed, unlisted};
use crate::host::Root;
use crate::host::mounts::{Mounts, SkipWhy};
use crate::job::{Target, TargetPlace, Urgency};

/// Files that wait between the walk and the watcher.
pub const AHEAD: usize = 64;

/// Directories that wait to be walked. Stops: a tree made to fill memory; what does not fit is
/// counted as not read.
const DIRECTORIES: usize = 262_144;

/// What a walk says.
#[derive(Debug)]
pub enum Walked {
    /// A file.
    File(Target),
    /// The walk came to its end.
    Ended(Walk),
    /// A walk over what was mounted there meanwhile did: nobody had asked for another.
    Came(PathBuf, Walk),
}

/// What one walk has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Files named.
    pub files: u64,
    /// Directories entered.
    pub directories: u64,
    /// What was left out.
    pub gaps: Vec<Gap>,
}

/// Asks for a walk: over everything, or over some trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The trees; all of the watch set when empty.
    pub trees: Vec<PathBuf>,
    /// Why.
    pub urgency: Urgency,
    /// Only what may have changed since then; everything when it is not given.
    pub since: Option<Time>,
}

/// The walker.
pub struct Scan {
    host: Arc<Root>,
    set: WatchSet,
    asks: Receiver<Ask>,
    /// Where filesystems were mounted: they are read at once, be it in the middle of a walk.
    mounted: Receiver<PathBuf>,
    out: Sender<Walked>,
}

/// A directory whose turn comes.
struct Turn {
    path: PathBuf,
    /// Whether names in the directory above have changed since the walk's moment.
    above_changed: bool,
    /// Whether everything below it counts as changed.
    came: bool,
}

/// One walk on its way.
struct Way<'a> {
    scan: &'a Scan,
    mounts: Arc<Mounts>,
    urgency: Urgency,
    since: Option<Time>,
    roots: Vec<PathBuf>,
    stack: Vec<Turn>,
    bulk: Vec<Turn>,
    walk: Walk,
    gaps: BTreeMap<&'static str, Gap>,
}

impl Scan {
    /// A walker over `set` that answers `asks` one after the other, and reads what is `mounted`.
    #[must_use]
    pub fn new(
        host: Arc<Root>,
        set: WatchSet,
        (asks, mounted): (Receiver<Ask>, Receiver<PathBuf>),
        out: Sender<Walked>,
    ) -> Scan {
        Scan {
            host,
            set,
            asks,
            mounted,
            out,
        }
    }

    /// Walks whenever asked, until nobody asks or listens any more.
    pub fn run(self) {
        loop {
            let (roots, asked) = select! {
                recv(self.asks) -> ask => match ask {
                    Ok(ask) if ask.trees.is_empty() => (self.set.scan_roots(), Ok(ask)),
                    Ok(ask) => (ask.trees.clone(), Ok(ask)),
                    Err(_) => return,
                },
                recv(self.mounted) -> point => match point {
                    Ok(point) => (self.roots_at(&point), Err(point)),
                    Err(_) => return,
                },
            };
            let way = Way {
                scan: &self,
                mounts: self.host.mounts_again(),
                urgency: (asked.as_ref()).map_or(Urgency::FirstScan, |ask| ask.urgency),
                since: asked.as_ref().ok().and_then(|ask| ask.since),
                roots,
                stack: Vec::new(),
                bulk: Vec::new(),
                walk: Walk::default(),
                gaps: BTreeMap::new(),
            };
            let Some(walk) = way.walk() else { return };
            let ended = match asked {
                Ok(_) => Walked::Ended(walk),
                Err(point) => Walked::Came(point, walk),
            };
            if self.out.send(ended).is_err() {
                return;
            }
        }
    }

    /// What is watched of a filesystem that was mounted: all of it, or the roots that lie on it.
    fn roots_at(&self, point: &Path) -> Vec<PathBuf> {
        if self.set.enters(point) == Covered::Yes {
            return vec![point.to_owned()];
        }
        let roots = self.set.scan_roots().into_iter();
        roots.filter(|root| root.starts_with(point)).collect()
    }
}

impl Way<'_> {
    /// Walks every root, bulk directories last; none when nobody listens any more.
    fn walk(mut self) -> Option<Walk> {
        for at in 0..self.roots.len() {
            let root = self.roots[at].clone();
            // Asked before anything on that filesystem is touched: it may hang.
            if let Some(why) = self.scan.set.skips_root(&root, &self.mounts) {
                self.gap(why.slug(), &root);
                continue;
            }
            let found = self.scan.host.look(&root);
            match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::RegularFile) => self.file(root, false)?,
                Ok(FileType::Directory) => {
                    let above_changed = root.parent().is_some_and(|above| self.changed(above));
                    self.stack.push(Turn {
                        path: root,
                        above_changed,
                        came: false,
                    });
                    self.descend(at)?;
                }
                _ => {}
            }
        }
        let last = self.roots.len();
        while let Some(turn) = self.bulk.pop() {
            self.stack.push(turn);
            self.descend(last)?;
        }
        self.walk.gaps = self.gaps.into_values().collect();
        Some(self.walk)
    }

    fn descend(&mut self, root: usize) -> Option<()> {
        while let Some(turn) = self.stack.pop() {
            self.take_mounted(root)?;
            let directory = turn.path;
            if !self.may_enter(&directory, root) {
                continue;
            }
            let changed = self.changed(&directory);
            // A directory that moved here changed itself and the one above it; what lies in it may
            // be older than both.
            let came = turn.came || (changed && turn.above_changed);
            let entries = match self.scan.host.entries(&directory) {
                Ok(entries) => entries,
                Err(why) => {
                    if let Some(why) = not_listed(why) {
                        self.gap(why, &directory);
                    }
                    continue;
                }
            };
            self.walk.directories += 1;
            for entry in entries {
                match entry {
                    Ok((path, FileType::Directory)) => {
                        let turn = Turn {
                            path,
                            above_changed: changed,
                            came,
                        };
                        self.queue(turn, root);
                    }
                    Ok((path, FileType::RegularFile)) => self.file(path, came)?,
                    Ok(_) => {}
                    Err(why) => self.gap(unlisted(why), &directory),
                }
            }
        }
        Some(())
    }

    /// Reads what was mounted meanwhile, before the rest: a first scan may take hours.
    fn take_mounted(&mut self, root: usize) -> Option<()> {
        if root >= self.roots.len() {
            return Some(()); // one at a time; what comes in the last stretch is a walk of its own
        }
        while let Ok(point) = self.scan.mounted.try_recv() {
            self.mounts = self.scan.host.mounts_again();
            let rest = std::mem::take(&mut self.stack);
            for path in self.scan.roots_at(&point) {
                if let Some(why) = self.scan.set.skips_root(&path, &self.mounts) {
                    self.gap(why.slug(), &path);
                    continue;
                }
                self.stack.push(Turn {
                    path,
                    above_changed: true,
                    came: true,
                });
            }
            self.descend(self.roots.len())?;
            self.stack = rest;
        }
        Some(())
    }

    fn queue(&mut self, turn: Turn, root: usize) {
        if self.stack.len() + self.bulk.len() >= DIRECTORIES {
            self.gap("walk-limit", &turn.path);
        } else if is_bulk(&turn.path) && root < self.roots.len() {
            self.bulk.push(turn);
        } else {
            self.stack.push(turn);
        }
    }

    /// Whether a name's content, mode or place may have changed since the walk's moment: its ctime,
    /// which no program can set, says. What cannot be asked counts as changed.
    fn changed(&self, path: &Path) -> bool {
        let Some(since) = self.since else {
            return true;
        };
        self.scan.host.look(path).map_or(true, |stat| {
            let at = stat.st_ctime.saturating_mul(1000);
            let within = i64::try_from(stat.st_ctime_nsec / 1_000_000).unwrap_or(0);
            Time(at.saturating_add(within)) >= since
        })
    }

    fn may_enter(&mut self, directory: &Path, root: usize) -> bool {
        if self
            .roots
            .iter()
            .take(root)
            .any(|earlier| earlier == directory)
            && root < self.roots.len()
        {
            return false; // walked already
        }
        match self.mounts.skipped(directory) {
            Some(_) if self.roots.get(root).is_some_and(|root| root == directory) => {}
            Some(SkipWhy::Pseudo) => return false,
            Some(why) => {
                self.gap(why.slug(), directory);
                return false;
            }
            None => {}
        }
        match self.scan.set.enters(directory) {
            Covered::Yes => true,
            Covered::Excluded | Covered::Denied => {
                self.gap("excluded", directory);
                false
            }
            Covered::Own | Covered::Outside => false,
        }
    }

    /// Hands one file over if it came here or changed, waiting for the watcher; none when nobody
    /// listens any more.
    fn file(&mut self, path: PathBuf, came: bool) -> Option<()> {
        match self.scan.set.covers(&path) {
            Covered::Yes => {}
            Covered::Excluded | Covered::Denied => {
                self.gap("excluded", &path);
                return Some(());
            }
            Covered::Own | Covered::Outside => return Some(()),
        }
        if !came && !self.changed(&path) {
            return Some(());
        }
        self.walk.files += 1;
        let target = Target {
            what: TargetPlace::File(path),
            urgency: self.urgency,
        };
        let walked = Walked::File(target);
        self.scan.out.send(walked).ok()
    }

    fn gap(&mut self, why: &'static str, path: &Path) {
        let gap = self.gaps.entry(why).or_insert(Gap {
            why,
            count: 0,
            example: None,
        });
        gap.count += 1;
        gap.example.get_or_insert_with(|| path.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use crossbeam_channel::{bounded, unbounded};

    use super::*;

    /// Makes `files`, walks, and says which were named, in order, and what the walk says of itself.
    fn walk(files: &[&str], set: impl FnOnce(&Path) -> WatchSet) -> (Vec<String>, Walk) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            make(&directory.path().join(file));
        }
        walk_in(directory.path(), set(directory.path()), None)
    }

    fn make(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn walk_in(directory: &Path, set: WatchSet, since: Option<Time>) -> (Vec<String>, Walk) {
        let (ask, asks) = unbounded();
        let (out, walked) = bounded(1);
        let (_mount, mounted) = unbounded();
        let scan = Scan::new(Arc::new(Root::live().unwrap()), set, (asks, mounted), out);
        let thread = std::thread::spawn(move || scan.run());
        ask.send(Ask {
            trees: Vec::new(),
            urgency: Urgency::FirstScan,
            since,
        })
        .unwrap();
        let mut named = Vec::new();
        loop {
            match walked.recv().unwrap() {
                Walked::File(target) => {
                    let TargetPlace::File(path) = target.what else {
                        panic!("a process")
                    };
                    let path = path.strip_prefix(directory).unwrap();
                    named.push(path.to_str().unwrap().to_owned());
                }
                Walked::Ended(walk) | Walked::Came(_, walk) => {
                    drop(ask);
                    thread.join().unwrap();
                    return (named, walk);
                }
            }
        }
    }

    fn whole(directory: &Path) -> WatchSet {
        WatchSet::of_trees(vec![directory.to_owned()], vec![directory.join("own")])
    }

    #[test]
    fn every_file_is_named_once_and_bulk_comes_last() {
        let files = ["node_modules/x/a", "b/c/d", ".env", "own/ledger"];
        let (named, walk) = walk(&files, whole);
        assert_eq!(walk.files, 3);
        assert_eq!(named.last().map(String::as_str), Some("node_modules/x/a"));
        assert!(named.contains(&".env".to_owned()) && named.contains(&"b/c/d".to_owned()));
    }

    #[test]
    fn a_root_inside_a_later_one_is_walked_first_and_once() {
        let (named, walk) = walk(&["home/app/.env", "home/b", "a"], |directory| {
            WatchSet::of_trees(
                vec![directory.join("home/app"), directory.to_owned()],
                Vec::new(),
            )
        });
        assert_eq!(named[0], "home/app/.env");
        assert_eq!((named.len(), walk.files), (3, 3));
    }

    #[test]
    fn links_and_pipes_are_not_followed() {
        let (named, _) = walk(&["a"], |directory| {
            std::os::unix::fs::symlink(directory, directory.join("loop")).unwrap();
            nix::unistd::mkfifo(&directory.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
            whole(directory)
        });
        assert_eq!(named, ["a"]);
    }

    /// Writes `name` until the kernel's clock for files has moved past what was there before; gives
    /// that moment.
    fn moment_after(directory: &Path, name: &str) -> Time {
        let newest = |path: &Path| {
            let meta = fs::symlink_metadata(path).unwrap();
            Time(meta.ctime() * 1000 + meta.ctime_nsec() / 1_000_000)
        };
        let before = fs::read_dir(directory).unwrap().flatten();
        let before = before.map(|entry| newest(&entry.path())).max().unwrap();
        loop {
            make(&directory.join(name));
            let at = newest(&directory.join(name));
            if at > before {
                return at;
            }
        }
    }

    #[test]
    fn a_walk_since_a_moment_names_what_changed_and_what_moved_here() {
        let elsewhere = tempfile::tempdir().unwrap();
        // Nobody else makes anything in the directory above: it would say that this one moved.
        let above = tempfile::tempdir().unwrap();
        let directory = &above.path().join("root");
        let path = |name: &str| directory.join(name);
        for file in ["old/unchanged", "old/deep/unchanged", "rewritten", "z"] {
            make(&path(file));
        }
        make(&elsewhere.path().join("tree/older"));
        let since = moment_after(directory, "new");
        make(&path("rewritten"));
        make(&path("old/deep/new"));
        fs::rename(elsewhere.path().join("tree"), path("tree")).unwrap();
        let (mut named, walk) = walk_in(directory, whole(directory), Some(since));
        named.sort();
        assert_eq!(named, ["new", "old/deep/new", "rewritten", "tree/older"]);
        assert_eq!(walk.files, 4);
        let (named, _) = walk_in(directory, whole(directory), None);
        assert_eq!(named.len(), 7, "without a moment everything");
    }
}
