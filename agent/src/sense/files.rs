//! The file sensor's inotify rung: a bounded number of watches over the watch set.
//!
//! inotify directly, not through the `notify` crate: that one subscribes to every write (measured: 5
//! to 6 events and 30 µs a file against 1 and 7), grows without a bound and cannot say which
//! directory it left out. Here each directory costs one watch, shallow ones first; what finds none is
//! named, and the scans cover it. Events are taken in batches, since waking up costs more than
//! reading. Nothing is opened here and no content is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_detect::places::{self, PlaceClass};
use crossbeam_channel::Sender;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use rustix::fs::{FileType, OFlags};

use super::marked::Marks;
use super::watch_set::{Covered, WatchSet, is_bulk, is_history};
use super::{Gap, Sensed, Status, Stop, Woken, linked_elsewhere, not_listed, unlisted};
use crate::host::Root;
use crate::host::mounts::{Mount, Mounts, SkipWhy};
use crate::job::{Target, TargetPlace, Urgency};

/// Watches at most: each pins an inode, about 1.3 KiB of kernel memory and 200 bytes of ours.
pub const WATCHES: usize = 16_384;

/// Directories that wait to be walked. Stops: a deep tree made to fill memory.
const WALK_QUEUE: usize = 65_536;

/// How long events gather before they are read: wake-ups dominate the cost.
const BATCH: Duration = Duration::from_millis(10);

/// Directories walked between two looks at the queue, so that events stay live meanwhile.
const WALK_STEP: usize = 32;

/// How often roots that are not there yet, and mounts, are looked for.
const ROOTS_AGAIN: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// How soon after a change the table of mounts is looked at, and how soon again at most: a host that
/// starts containers changes it all the time.
const MOUNTS_AFTER: Duration = Duration::from_millis(100);
const MOUNTS_AGAIN: Duration = Duration::from_secs(1);

/// Linux's `IN_EXCL_UNLINK`: no events for files that are already unlinked.
const EXCL_UNLINK: AddWatchFlags = AddWatchFlags::from_bits_retain(0x0400_0000);

/// Why the sensor could not start.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The kernel refused an inotify instance.
    #[error("the kernel refused an inotify instance; fs.inotify.max_user_instances may be used up")]
    Refused(#[source] Errno),
}

/// A directory to be watched and walked.
struct Walk {
    path: PathBuf,
    /// Whether the files in it are targets: they came here unseen.
    announce: bool,
    /// Whether its own directories are walked too.
    deep: bool,
    /// Whether it was named, and not come to.
    root: bool,
}

/// The inotify sensor.
pub struct Files {
    inotify: Inotify,
    set: WatchSet,
    host: Arc<Root>,
    mounts: Arc<Mounts>,
    /// The table of mounts, which tells of changes; none where there is none.
    table: Option<File>,
    /// When mounts were last looked at, and when they are to be.
    looked: Instant,
    look_due: Option<Instant>,
    /// What was mounted and is yet to be told: once it is watched.
    came: Vec<PathBuf>,
    limit: usize,
    by_watch: HashMap<WatchDescriptor, PathBuf>,
    by_path: BTreeMap<PathBuf, WatchDescriptor>,
    walks: VecDeque<Walk>,
    missing: Vec<PathBuf>,
    marks: Marks,
    marked: BTreeSet<u64>,
    gaps: BTreeMap<&'static str, Gap>,
    told: Option<Status>,
    out: Sender<Sensed>,
    stop: Stop,
}

impl Files {
    /// A sensor over `set` on `host`, with at most `limit` watches.
    ///
    /// # Errors
    /// When the kernel gives no inotify instance.
    pub fn new(
        host: Arc<Root>,
        set: WatchSet,
        marks: Marks,
        limit: usize,
        out: Sender<Sensed>,
        stop: Stop,
    ) -> Result<Files, FilesError> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags).map_err(FilesError::Refused)?;
        let walks = VecDeque::new();
        let missing = set.roots();
        // Opened before it is read: what changes in between is told.
        let table = host.is_live().then(|| File::open("/proc/self/mountinfo"));
        let mounts = host.mounts();
        let mut files = Files {
            inotify,
            set,
            host,
            mounts,
            table: table.and_then(Result::ok),
            looked: Instant::now(),
            look_due: None,
            came: Vec::new(),
            limit,
            by_watch: HashMap::new(),
            by_path: BTreeMap::new(),
            walks,
            missing,
            marks,
            marked: BTreeSet::new(),
            gaps: BTreeMap::new(),
            told: None,
            out,
            stop,
        };
        files.look_for_roots(false);
        Ok(files)
    }

    /// Watches until told to stop.
    pub fn run(mut self) {
        let mut roots_again = Instant::now() + ROOTS_AGAIN;
        loop {
            for _ in 0..WALK_STEP {
                let Some(walk) = self.walks.pop_front() else {
                    break;
                };
                if !self.walk(&walk) {
                    return;
                }
            }
            let idle = self.walks.is_empty();
            if idle && !(self.tell() && self.tell_mounted()) {
                return;
            }
            let limit = if idle {
                let due = self.look_due.unwrap_or(roots_again).min(roots_again);
                due.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let fds = [
                self.inotify.as_fd(),
                self.marks.changed().as_fd(),
                self.marks.seen().as_fd(),
            ];
            let table = self.table.as_ref().map(AsFd::as_fd);
            match self.stop.wait_any_or_told(&fds, table, Some(limit)) {
                Woken::Stop => return,
                Woken::Told => {
                    let soon = Instant::now() + MOUNTS_AFTER;
                    let due = soon.max(self.looked + MOUNTS_AGAIN);
                    self.look_due.get_or_insert(due);
                }
                Woken::Ready => {
                    if idle && self.stop.wait(None, Some(BATCH)) == Woken::Stop {
                        return;
                    }
                    self.give_way();
                    if !self.watch_seen() || !self.drain() {
                        return;
                    }
                }
                Woken::Limit => {}
            }
            if self.look_due.is_some_and(|due| Instant::now() >= due) && !self.look_at_mounts() {
                return;
            }
            if Instant::now() >= roots_again {
                if !self.look_at_mounts() {
                    return;
                }
                self.look_for_roots(true);
                self.look_for_histories();
                self.look_for_unmarked_mounts();
                roots_again = Instant::now() + ROOTS_AGAIN;
            }
        }
    }

    /// Lets go of what is marked by now, and watches what is not marked any more.
    fn give_way(&mut self) {
        if self.marks.changed().read().is_err() {
            return; // nothing changed
        }
        let marked = self.marks.devices();
        let lost = self.marked.difference(&marked).next().is_some();
        self.marked = marked;
        let on_marked = |path: &PathBuf| self.is_marked(path) && !is_history(path);
        let given: Vec<PathBuf> = self
            .by_path
            .keys()
            .filter(|path| on_marked(path))
            .cloned()
            .collect();
        for path in given {
            self.unwatch(&path);
        }
        self.gaps.clear();
        self.missing = self.set.roots();
        self.look_for_roots(lost);
        self.look_for_histories();
        self.look_for_unmarked_mounts();
    }

    fn is_marked(&self, path: &Path) -> bool {
        !self.marked.is_empty()
            && (self.host.look(path)).is_ok_and(|stat| self.marked.contains(&stat.st_dev))
    }

    fn is_file(&self, path: &Path) -> bool {
        (self.host.look(path))
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    /// Histories are appended to while they stay open, which no mark shows.
    fn look_for_histories(&mut self) {
        if self.marked.is_empty() {
            return;
        }
        let accounts = self.host.accounts();
        for home in accounts.homes() {
            for entry in places::watch_set()
                .iter()
                .filter(|entry| entry.class == PlaceClass::History)
            {
                let Some(below) = entry.glob.strip_prefix("~/") else {
                    continue;
                };
                let path = home.path.join(below);
                if !self.by_path.contains_key(&path) && self.is_file(&path) {
                    self.watch_history(&path);
                }
            }
        }
    }

    /// Watches histories that somebody else saw, wherever they lie; false when nobody listens any
    /// more. What was typed between the two is looked at.
    fn watch_seen(&mut self) -> bool {
        let mut targets = Vec::new();
        for history in self.marks.take_histories() {
            if !self.is_file(&history) || self.set.covers(&history) != Covered::Yes {
                continue;
            }
            let before = self.by_path.get(&history).copied();
            self.watch_history(&history);
            if self.by_path.get(&history).copied() != before {
                targets.push(live(history));
            }
        }
        targets.is_empty() || self.out.send(Sensed::Targets(targets)).is_ok()
    }

    /// What was mounted or unmounted takes names with it, or brings others: known places there are to
    /// be looked at, what came is to be watched and then read. False when nobody listens any more.
    fn look_at_mounts(&mut self) -> bool {
        self.looked = Instant::now();
        let told = self.look_due.take().is_some() || self.table.is_none();
        let before = std::mem::replace(&mut self.mounts, self.host.mounts_again());
        let changed = |these: &Mounts, those: &Mounts| -> Vec<PathBuf> {
            let known: HashSet<&Mount> = those.all().iter().collect();
            let new = these.all().iter().filter(|mount| !known.contains(mount));
            new.map(|mount| mount.point.clone()).collect()
        };
        let mut points = changed(&before, &self.mounts);
        points.extend(changed(&self.mounts, &before));
        // What was a second name of a tree may be its only one by now.
        let walked = |mounts: &Mounts| -> HashSet<Mount> {
            let read = |mount: &&Mount| mounts.skipped(&mount.point).is_none();
            mounts.all().iter().filter(read).cloned().collect()
        };
        let earlier = walked(&before);
        let came = walked(&self.mounts).into_iter();
        let came = came.filter(|mount| !earlier.contains(mount));
        let came: Vec<PathBuf> = came.map(|mount| mount.point).collect();
        points.extend(
            came.iter()
                .filter(|point| !points.contains(point))
                .cloned()
                .collect::<Vec<_>>(),
        );
        points.retain(|point| self.mounts.skipped(point) != Some(SkipWhy::Pseudo));
        for point in &points {
            self.watch_anew(point);
        }
        self.came.extend(came);
        points
            .into_iter()
            .map(Sensed::Left)
            .chain(told.then_some(Sensed::MountsChanged))
            .all(|sensed| self.out.send(sensed).is_ok())
    }

    /// Watches lie on directories, not on names: what is called so now has none yet.
    fn watch_anew(&mut self, point: &Path) {
        self.unwatch_tree(point);
        let roots = self.set.roots().into_iter();
        self.missing
            .extend(roots.filter(|root| root.starts_with(point)));
        if self.set.enters(point) == Covered::Yes && self.mounts.skipped(point).is_none() {
            self.walks.push_back(Walk {
                path: point.to_owned(),
                announce: false,
                deep: true,
                root: true,
            });
        }
        self.look_for_roots(true);
    }

    /// Tells what was mounted, now that it is watched; false when nobody listens any more.
    fn tell_mounted(&mut self) -> bool {
        let mut came = std::mem::take(&mut self.came).into_iter();
        came.all(|point| self.out.send(Sensed::Mounted(point)).is_ok())
    }

    /// A filesystem without a mark may be mounted inside one that has it.
    fn look_for_unmarked_mounts(&mut self) {
        if self.marked.is_empty() {
            return;
        }
        let mounts = Arc::clone(&self.mounts);
        for mount in mounts.all() {
            let path = &mount.point;
            let walked = mounts.skipped(path).is_none() && self.set.enters(path) == Covered::Yes;
            if walked && !self.is_marked(path) && !self.by_path.contains_key(path) {
                self.walks.push_back(Walk {
                    path: path.clone(),
                    announce: false,
                    deep: true,
                    root: true,
                });
            }
        }
    }

    fn look_for_roots(&mut self, announce: bool) {
        for root in std::mem::take(&mut self.missing) {
            // Asked before anything on that filesystem is touched: it may hang.
            if let Some(why) = self.set.skips_root(&root, &self.mounts) {
                if !announce || !self.gaps.contains_key(why.slug()) {
                    self.gap(why.slug(), &root);
                }
                self.missing.push(root); // something else may be mounted there later
                continue;
            }
            let found = self.host.open_guarded(&root, OFlags::PATH);
            let kind = found.and_then(rustix::fs::fstat);
            match kind.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::Directory) => {
                    self.walks.push_back(Walk {
                        path: root,
                        announce,
                        deep: true,
                        root: true,
                    });
                }
                Ok(_) => {
                    let above = root.parent().unwrap_or(Path::new("/")).to_owned();
                    if self.set.enters(&above) == Covered::Yes {
                        continue; // its directory is a root's, or lies in one
                    }
                    self.walks.push_back(Walk {
                        path: above,
                        announce,
                        deep: false,
                        root: true,
                    });
                }
                Err(why) => match not_listed(why) {
                    Some(why @ "permission-denied") => self.gap(why, &root),
                    _ => self.missing.push(root),
                },
            }
        }
    }

    /// Watches one directory, then looks at what is in it; false when nobody listens any more.
    fn walk(&mut self, walk: &Walk) -> bool {
        let covered = self.set.enters(&walk.path);
        if walk.deep && covered != Covered::Yes {
            if covered == Covered::Excluded || covered == Covered::Denied {
                self.gap("excluded", &walk.path);
            }
            return true;
        }
        match self.host.mounts().skipped(&walk.path) {
            Some(SkipWhy::Pseudo) => return true,
            Some(_) if walk.root => {}
            Some(why) => {
                self.gap(why.slug(), &walk.path);
                return true;
            }
            None => {}
        }
        if self.is_marked(&walk.path) {
            return true; // its mark tells
        }
        if self.by_path.contains_key(&walk.path) && !walk.announce {
            return true; // an earlier root led here
        }
        if !self.watch(&walk.path) {
            return true;
        }
        let entries = match self.host.entries(&walk.path) {
            Ok(entries) => entries,
            Err(why) => {
                if let Some(why) = not_listed(why) {
                    self.gap(why, &walk.path);
                }
                return true;
            }
        };
        let mut targets = Vec::new();
        for entry in entries {
            let (path, kind) = match entry {
                Ok(entry) => entry,
                Err(why) => {
                    self.gap(unlisted(why), &walk.path);
                    continue;
                }
            };
            if kind.is_dir() && walk.deep {
                self.queue(Walk {
                    path,
                    announce: walk.announce,
                    deep: true,
                    root: false,
                });
            } else if kind.is_file() {
                if is_history(&path) {
                    self.watch_history(&path);
                }
                if walk.announce && self.set.covers(&path) == Covered::Yes {
                    targets.push(live(path));
                }
            }
        }
        targets.is_empty() || self.out.send(Sensed::Targets(targets)).is_ok()
    }

    fn queue(&mut self, walk: Walk) {
        if is_bulk(&walk.path) && !walk.announce {
            self.gap("bulk-directory", &walk.path);
        } else if self.walks.len() >= WALK_QUEUE {
            self.gap("walk-limit", &walk.path);
        } else {
            self.walks.push_back(walk);
        }
    }

    fn watch(&mut self, directory: &Path) -> bool {
        let mask = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR
            | EXCL_UNLINK;
        self.add(directory, mask)
    }

    fn watch_history(&mut self, file: &Path) {
        self.add(file, AddWatchFlags::IN_MODIFY);
    }

    fn add(&mut self, path: &Path, mask: AddWatchFlags) -> bool {
        if self.by_watch.len() >= self.limit && !self.by_path.contains_key(path) {
            self.gap("watch-limit", path);
            return false;
        }
        // Through a descriptor: between two looks at a path anybody may put a link there.
        let opened = match self
            .host
            .open_guarded(path, OFlags::PATH | OFlags::NOFOLLOW)
        {
            Ok(opened) => opened,
            Err(why) => {
                if let Some(why) = not_listed(why) {
                    self.gap(why, path);
                }
                return false;
            }
        };
        let own = format!("/proc/self/fd/{}", opened.as_raw_fd());
        match self.inotify.add_watch(own.as_str(), mask) {
            Ok(watch) => {
                if let Some(old) = self.by_watch.insert(watch, path.to_owned())
                    && old != path
                {
                    self.by_path.remove(&old); // the directory moved: the same inode, a new name
                }
                self.by_path.insert(path.to_owned(), watch);
                true
            }
            Err(Errno::ENOSPC) => {
                self.gap("watch-limit", path);
                false
            }
            Err(Errno::EACCES) => {
                self.gap("permission-denied", path);
                false
            }
            Err(_) => false, // gone meanwhile, or no directory any more
        }
    }

    /// Reads everything that waits in the kernel's queue; false when nobody listens any more.
    fn drain(&mut self) -> bool {
        let mut batch = Batch::default();
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        self.take(event, &mut batch);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            if batch.targets.len() >= 1024 {
                break;
            }
        }
        for left in std::mem::take(&mut batch.left) {
            if self.out.send(Sensed::Left(left)).is_err() {
                return false;
            }
        }
        if batch.overflowed && self.out.send(Sensed::Overflowed).is_err() {
            return false;
        }
        let targets: Vec<Target> = batch.targets.into_iter().map(live).collect();
        targets.is_empty() || self.out.send(Sensed::Targets(targets)).is_ok()
    }

    fn take(&mut self, event: InotifyEvent, batch: &mut Batch) {
        let mask = event.mask;
        if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            batch.overflowed = true;
            return;
        }
        let Some(watched) = self.by_watch.get(&event.wd) else {
            return;
        };
        if mask.contains(AddWatchFlags::IN_IGNORED) {
            if let Some(path) = self.by_watch.remove(&event.wd)
                && self.by_path.get(&path) == Some(&event.wd)
            {
                self.by_path.remove(&path);
            }
            return;
        }
        let path = match event.name {
            Some(name) => watched.join(name),
            None if mask.contains(AddWatchFlags::IN_MODIFY) => watched.clone(),
            None => return,
        };
        if mask.contains(AddWatchFlags::IN_ISDIR) {
            self.take_directory(path, mask, batch);
        } else {
            self.take_file(path, mask, batch);
        }
    }

    fn take_directory(&mut self, path: PathBuf, mask: AddWatchFlags, batch: &mut Batch) {
        if mask.intersects(AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE) {
            self.unwatch_tree(&path);
            batch.left.push(path);
        } else if mask.intersects(AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE) {
            self.queue(Walk {
                path,
                announce: true,
                deep: true,
                root: false,
            });
        }
    }

    fn take_file(&mut self, path: PathBuf, mask: AddWatchFlags, batch: &mut Batch) {
        if self.set.covers(&path) != Covered::Yes {
            return;
        }
        let came = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        if mask.intersects(came) && is_history(&path) {
            self.watch_history(&path);
        }
        let only_created = mask.contains(AddWatchFlags::IN_CREATE);
        if only_created && !linked_elsewhere(&self.host, &path) {
            return; // its content follows, and with it the close
        }
        batch.targets.insert(path);
    }

    fn unwatch_tree(&mut self, top: &Path) {
        let below: Vec<PathBuf> = self
            .by_path
            .range(top.to_owned()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(top))
            .cloned()
            .collect();
        for path in below {
            self.unwatch(&path);
        }
    }

    fn unwatch(&mut self, path: &Path) {
        if let Some(watch) = self.by_path.remove(path) {
            self.by_watch.remove(&watch);
            let _ = self.inotify.rm_watch(watch); // gone already when the directory is
        }
    }

    fn mechanism(&self) -> &'static str {
        let directories = self.by_path.keys().any(|path| !is_history(path));
        match (self.marked.is_empty(), directories) {
            (true, _) => "inotify",
            (false, true) => "fanotify+inotify",
            (false, false) => "fanotify",
        }
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

    /// Says how the source stands, when that changed; false when nobody listens any more.
    fn tell(&mut self) -> bool {
        let mut gaps = self.gaps.clone();
        for gap in self.marks.unread() {
            match gaps.get_mut(gap.why) {
                Some(known) => known.count += gap.count,
                None => drop(gaps.insert(gap.why, gap)),
            }
        }
        let status = Status {
            source: "files",
            mechanism: self.mechanism(),
            not_watched: gaps.into_values().collect(),
            ready: true,
            raced: 0,
        };
        if self.told.as_ref() == Some(&status) {
            return true;
        }
        self.told = Some(status.clone());
        self.out.send(Sensed::Status(status)).is_ok()
    }
}

#[derive(Default)]
struct Batch {
    targets: HashSet<PathBuf>,
    left: Vec<PathBuf>,
    overflowed: bool,
}

fn live(path: PathBuf) -> Target {
    Target {
        what: TargetPlace::File(path),
        urgency: Urgency::Live,
    }
}

#[cfg(test)]
mod tests;
