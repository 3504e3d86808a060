//! The file sensor's fanotify rung: one mark for each filesystem, whatever the number of directories.
//!
//! The marker places the marks and hands over the group; this reads it. An event names a directory by
//! handle and a file by name; the path of a directory is looked up once and remembered until some
//! directory moves where that matters. Directories outside of the watch set are remembered as such, so
//! that other people's writes cost a look into a table. Events are taken in batches, which grow with
//! the rate of writes, and nothing is opened but directories that moved here with files in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use akwatch_sys::fanotify::{
    self, BUFFER, CLOSE_WRITE, CREATE, DELETE, FilesystemId, Group, Handle, MOVED_FROM, MOVED_TO,
    ONDIR, OVERFLOW, Resolved,
};
use crossbeam_channel::Sender;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustix::fs::FileType;

use super::hands::{Hands, Touch, Written};
use super::strict::Strict;
use super::watch_set::{Covered, WatchSet, is_history};
use super::{Gap, Sensed, Stop, Woken, linked_elsewhere, not_listed, unlisted};
use crate::host::Root;
use crate::link::{FromMarker, Inlet};

/// How long events gather before they are read: waking up costs more than reading.
const BATCH: Duration = Duration::from_millis(10);

/// How long they gather while many come. The kernel's queue holds 16,384, which is the events of this
/// time at 320,000 a second.
const LARGE_BATCH: Duration = Duration::from_millis(50);

/// Events in one batch from which the next one is a large one: 3,200 a second.
const MANY: usize = 32;

/// Directories remembered. Stops: memory that grows with a tree. 16,384 of them are about 4 MiB.
const DIRECTORIES: usize = 16_384;

/// Histories that wait to be watched at once. Stops: a stranger who makes a million of that name.
const HISTORIES: usize = 1024;

/// Files named in one go when a directory moved here; a walk that is longer owes a rescan.
const MOVED: usize = 16_384;

/// What is marked, shared with the inotify rung, which watches the rest.
#[derive(Clone, Debug)]
pub struct Marks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    changed: EventFd,
    devices: Mutex<BTreeSet<u64>>,
    /// Histories that were seen, and the descriptor that says so.
    seen: EventFd,
    histories: Mutex<BTreeSet<PathBuf>>,
    /// What marks told of and could not be looked at, by reason.
    unread: Mutex<BTreeMap<&'static str, Gap>>,
}

impl Marks {
    /// Nothing is marked yet.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new() -> nix::Result<Marks> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Marks(Arc::new(Shared {
            changed: EventFd::from_flags(flags)?,
            devices: Mutex::default(),
            seen: EventFd::from_flags(flags)?,
            histories: Mutex::default(),
            unread: Mutex::default(),
        })))
    }

    /// The filesystems that are marked, by device number.
    #[must_use]
    pub fn devices(&self) -> BTreeSet<u64> {
        lock(&self.0.devices).clone()
    }

    /// What becomes readable when they change.
    #[must_use]
    pub fn changed(&self) -> &EventFd {
        &self.0.changed
    }

    /// A history lies here. It may be kept open and appended to, which no mark tells: a mark that
    /// did would tell of every write to its filesystem. So the inotify rung watches it by itself.
    pub fn history(&self, path: &Path) {
        let mut histories = lock(&self.0.histories);
        if histories.len() < HISTORIES && histories.insert(path.to_owned()) {
            let _ = self.0.seen.write(1); // fails only when it is pending 2^64 times
        }
    }

    /// What becomes readable when a history was seen.
    #[must_use]
    pub fn seen(&self) -> &EventFd {
        &self.0.seen
    }

    /// The histories that were seen since the last call.
    #[must_use]
    pub fn take_histories(&self) -> BTreeSet<PathBuf> {
        let _ = self.0.seen.read(); // nothing to read when nothing was seen
        std::mem::take(&mut *lock(&self.0.histories))
    }

    /// Something changed below a directory that cannot be listed, or whose path cannot be said.
    fn not_read(&self, why: &'static str, example: Option<&Path>) {
        let mut unread = lock(&self.0.unread);
        let gap = unread.entry(why).or_insert(Gap {
            why,
            count: 0,
            example: None,
        });
        gap.count += 1;
        if gap.example.is_none() {
            gap.example = example.map(Path::to_owned);
        }
        let _ = self.0.seen.write(1); // fails only when it is pending 2^64 times
    }

    /// What could not be looked at so far: a slug, how often, one of them.
    #[must_use]
    pub fn unread(&self) -> Vec<Gap> {
        lock(&self.0.unread).values().cloned().collect()
    }

    pub(super) fn set(&self, devices: BTreeSet<u64>) {
        *lock(&self.0.devices) = devices;
        let _ = self.0.changed.write(1); // fails only when it is pending 2^64 times
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device number of the filesystem at a mount point, if it is the one of this id.
fn device_at(at: &Path, id: FilesystemId) -> Option<u64> {
    let open = fanotify::open_directory(at).ok()?;
    let same = FilesystemId::of(open.as_fd()).is_ok_and(|its| its == id);
    let stat = rustix::fs::fstat(&open).ok()?;
    same.then_some(stat.st_dev)
}

/// A directory's handle, owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    filesystem: FilesystemId,
    kind: i32,
    bytes: Vec<u8>,
}

/// What is known of a directory.
#[derive(Clone, Debug)]
enum Directory {
    /// Names in it may be watched.
    Watched(PathBuf),
    /// A root lies below it, but not in it: what moves here may lead to one.
    Above,
    /// Nothing that is watched lies in or below it, whatever it is called.
    Outside,
}

/// The sensor.
pub struct Marked {
    host: Arc<Root>,
    link: Option<Inlet<FromMarker>>,
    group: Option<Group>,
    /// Where each marked filesystem can be opened, and its device number.
    mounts: HashMap<FilesystemId, (PathBuf, u64)>,
    /// Directories opened to resolve handles: only while a batch is read, since an open one would
    /// keep its filesystem from being unmounted.
    opened: HashMap<FilesystemId, OwnedFd>,
    directories: HashMap<Key, Directory>,
    set: WatchSet,
    /// Every directory above a root, and whether a root lies directly in it.
    above: HashMap<PathBuf, bool>,
    marks: Marks,
    strict: Strict,
    hands: Hands,
    own: i32,
    settled: bool,
    out: Sender<Sensed>,
    stop: Stop,
}

#[derive(Default)]
struct Batch {
    files: HashMap<PathBuf, Touch>,
    moved: Vec<PathBuf>,
    left: Vec<PathBuf>,
    overflowed: bool,
}

impl Marked {
    /// A sensor that reads what the marker at the other end of `link` marks.
    #[must_use]
    pub fn new(
        host: Arc<Root>,
        link: Inlet<FromMarker>,
        set: WatchSet,
        (marks, strict): (Marks, Strict),
        out: Sender<Sensed>,
        stop: Stop,
    ) -> Marked {
        let mut above = HashMap::new();
        for root in set.roots() {
            for (distance, directory) in root.ancestors().skip(1).enumerate() {
                *above.entry(directory.to_owned()).or_insert(false) |= distance == 0;
            }
        }
        Marked {
            host,
            link: Some(link),
            group: None,
            mounts: HashMap::new(),
            opened: HashMap::new(),
            directories: HashMap::new(),
            set,
            above,
            marks,
            strict,
            hands: Hands::default(),
            own: nix::unistd::getpid().as_raw(),
            settled: false,
            out,
            stop,
        }
    }

    /// Reads until told to stop, or until there is nothing to read from.
    pub fn run(mut self) {
        let (mut buffer, mut gather) = (vec![0; BUFFER], BATCH);
        while self.link.is_some() || self.group.is_some() {
            let mut fds = Vec::new();
            fds.extend(self.link.as_ref().map(AsFd::as_fd));
            fds.extend(self.group.as_ref().map(AsFd::as_fd));
            if self.stop.wait_any(&fds, None) == Woken::Stop {
                return;
            }
            self.hear_marker();
            // What is there is taken at once, since who wrote it may not live much longer; what it says
            // of files waits for the rest of the batch.
            let mut batch = Batch::default();
            let first = self.drain(&mut buffer, &mut batch);
            if self.stop.wait(None, Some(gather)) == Woken::Stop {
                return;
            }
            let rest = self.drain(&mut buffer, &mut batch);
            if !self.say(batch) {
                return;
            }
            let (Some(first), Some(rest)) = (first, rest) else {
                return;
            };
            let many = first + rest >= MANY;
            gather = if many { LARGE_BATCH } else { BATCH };
        }
    }

    /// Takes everything that the marker has said.
    fn hear_marker(&mut self) {
        while let Some(link) = &mut self.link {
            match link.hear(Some(Duration::ZERO)) {
                Ok(None) => return,
                Ok(Some(said)) => self.take(said),
                Err(why) => {
                    // The marks live as long as the group: what is mounted later is not marked.
                    tracing::warn!(%why, "the marker ended; its marks go on");
                    self.link = None;
                }
            }
        }
    }

    fn take(&mut self, said: FromMarker) {
        match said {
            FromMarker::Group {
                group,
                missing_walls,
            } => {
                self.group = Some(Group::received(group));
                let _ = self.out.send(Sensed::Walls("marker", missing_walls));
            }
            FromMarker::Marked { at, fsid } => {
                let at = PathBuf::from(std::ffi::OsString::from_vec(at));
                // Something else may lie there by now: then the marker is about to say where it is.
                if let Some(device) = device_at(&at, FilesystemId(fsid)) {
                    self.mounts.insert(FilesystemId(fsid), (at.clone(), device));
                    self.directories.clear(); // the paths of its own are others now
                    self.tell();
                    if self.settled {
                        // What was written between its mounting and its mark nobody has told.
                        let _ = self.out.send(Sensed::Mounted(at));
                    }
                }
            }
            FromMarker::Unmounted { fsid } => {
                self.mounts.remove(&FilesystemId(fsid));
                self.directories.clear();
                self.tell();
            }
            FromMarker::NotMarked { errno, .. } => {
                tracing::info!(errno, "a filesystem cannot be marked; inotify watches it");
            }
            FromMarker::Settled => {
                self.settled = true;
                self.tell();
            }
            FromMarker::Gate { link, pid } => self.strict.arrived(link, pid),
            FromMarker::Refused { why, missing_walls } => {
                tracing::info!(%why, "this host gives no marks; inotify watches");
                let _ = self.out.send(Sensed::Walls("marker", missing_walls));
                self.group = None;
            }
        }
    }

    /// The inotify rung may let go of what is marked, once the first marks are all there.
    fn tell(&self) {
        if self.settled {
            self.marks
                .set(self.mounts.values().map(|(_, device)| *device).collect());
        }
    }

    /// Reads everything that waits, and says how many events; none when they cannot be read any more.
    fn drain(&mut self, buffer: &mut [u8], batch: &mut Batch) -> Option<usize> {
        let Some(group) = self.group.take() else {
            return Some(0);
        };
        self.hands.begin();
        let mut events = 0;
        let goes_on = loop {
            match group.read(buffer) {
                Ok([]) => break true,
                Ok(read) => {
                    for event in fanotify::events(read) {
                        events += 1;
                        self.take_event(&event, batch);
                    }
                }
                Err(why) => {
                    tracing::error!(%why, "marks cannot be read any more; inotify takes over");
                    self.marks.set(BTreeSet::new());
                    break false;
                }
            }
        };
        self.group = goes_on.then_some(group);
        self.opened.clear();
        goes_on.then_some(events)
    }

    fn take_event(&mut self, event: &fanotify::Event<'_>, batch: &mut Batch) {
        if event.mask & OVERFLOW != 0 {
            batch.overflowed = true;
            return;
        }
        if event.pid == self.own {
            return;
        }
        let Some(at) = event.at else { return };
        if event.mask & ONDIR == 0 {
            if let Some(path) = self.watched(&at.directory, at.name) {
                if event.mask & (CREATE | MOVED_TO | CLOSE_WRITE) != 0 && is_history(&path) {
                    self.marks.history(&path);
                }
                self.take_file(&path, (event.mask, event.pid), batch);
            }
            return;
        }
        let path = self.watched(&at.directory, at.name);
        if event.mask & (MOVED_FROM | MOVED_TO) != 0 && !self.is_outside(&at.directory) {
            // Paths below it are others now. What moves about outside stays there, and the handle of
            // a directory that was removed is never given to another.
            self.directories.clear();
        }
        let Some(path) = path else { return };
        // The kernel makes one event of what happens to one name in a row, so both may have happened;
        // which of the two came last, the directory that is there now says.
        if event.mask & (MOVED_FROM | DELETE) != 0 {
            batch.left.push(path.clone());
        }
        if event.mask & MOVED_TO != 0 {
            batch.moved.push(path);
        }
    }

    fn take_file(&mut self, path: &Path, (mask, pid): (u64, i32), batch: &mut Batch) {
        let done = mask & (CLOSE_WRITE | MOVED_TO | MOVED_FROM | DELETE) != 0;
        // A hard link brings no further event; everything else is written and closed.
        if !done && !linked_elsewhere(&self.host, path) {
            self.hands.created(&self.host, path, pid);
            return;
        }
        let touch = batch.files.entry(path.to_owned()).or_default();
        self.hands.touched(&self.host, path, (mask, pid), touch);
    }

    /// The path of a name in a directory, if it is watched.
    fn watched(&mut self, handle: &Handle<'_>, name: &[u8]) -> Option<PathBuf> {
        let Directory::Watched(directory) = self.directory(handle)? else {
            return None;
        };
        let path = directory.join(std::ffi::OsStr::from_bytes(name));
        (self.set.enters(&path) == Covered::Yes).then_some(path)
    }

    /// Whether nothing that is watched can come to lie in or below a directory.
    fn is_outside(&mut self, handle: &Handle<'_>) -> bool {
        matches!(self.directory(handle), Some(Directory::Outside))
    }

    fn directory(&mut self, handle: &Handle<'_>) -> Option<&Directory> {
        let key = Key {
            filesystem: handle.filesystem,
            kind: handle.kind,
            bytes: handle.bytes.to_vec(),
        };
        if !self.directories.contains_key(&key) {
            self.open(handle.filesystem)?;
            let mount = self.opened.get(&handle.filesystem)?;
            let found = match handle.resolve(mount.as_fd()) {
                Ok(Resolved::Path(path)) => self.what_is(path),
                Ok(Resolved::Gone) => return None,
                Err(why) => {
                    // Its path is longer than one may be: nothing in it can be opened by name.
                    let errno = rustix::io::Errno::from_raw_os_error(why.errno().unwrap_or(0));
                    if let Some(why) = not_listed(errno) {
                        self.marks.not_read(why, None);
                    }
                    return None;
                }
            };
            if self.directories.len() >= DIRECTORIES {
                self.directories.clear();
            }
            self.directories.insert(key.clone(), found);
        }
        self.directories.get(&key)
    }

    /// Opens a directory of a filesystem, unless another one is mounted there by now.
    fn open(&mut self, filesystem: FilesystemId) -> Option<()> {
        if !self.opened.contains_key(&filesystem) {
            let (at, _) = self.mounts.get(&filesystem)?;
            let directory = fanotify::open_directory(at).ok()?;
            if FilesystemId::of(directory.as_fd()).ok()? != filesystem {
                return None;
            }
            self.opened.insert(filesystem, directory);
        }
        Some(())
    }

    /// Names in a directory may be watched when it is, or when a root lies directly in it.
    fn what_is(&self, directory: PathBuf) -> Directory {
        match self.above.get(&directory) {
            Some(true) => Directory::Watched(directory),
            _ if self.set.enters(&directory) == Covered::Yes => Directory::Watched(directory),
            Some(false) => Directory::Above,
            None => Directory::Outside,
        }
    }

    fn say(&self, batch: Batch) -> bool {
        for left in batch.left {
            if self.out.send(Sensed::Left(left)).is_err() {
                return false;
            }
        }
        let (mut files, mut overflowed) = (Vec::new(), batch.overflowed);
        for moved in batch.moved {
            overflowed |= !self.walk(moved, &mut files);
        }
        if overflowed && self.out.send(Sensed::Overflowed).is_err() {
            return false;
        }
        files.retain(|path| !batch.files.contains_key(path));
        let came = files.into_iter().map(|path| Written { path, hand: None });
        let written = batch.files.into_iter().map(|(path, touch)| Written {
            hand: touch.hand(&self.host, &path),
            path,
        });
        let written: Vec<Written> = written
            .chain(came)
            .filter(|written| self.set.covers(&written.path) == Covered::Yes)
            .collect();
        written.is_empty() || self.out.send(Sensed::Written(written)).is_ok()
    }

    /// The files of a directory that moved here: they bring no events. False when there are too many.
    fn walk(&self, top: PathBuf, files: &mut Vec<PathBuf>) -> bool {
        let mut directories = vec![top];
        while let Some(directory) = directories.pop() {
            let entries = match self.host.entries(&directory) {
                Ok(entries) => entries,
                Err(why) => {
                    if let Some(why) = not_listed(why) {
                        self.marks.not_read(why, Some(&directory));
                    }
                    continue;
                }
            };
            for entry in entries {
                match entry {
                    Ok((path, FileType::Directory)) => directories.push(path),
                    Ok((path, FileType::RegularFile)) => files.push(path),
                    Ok(_) => {}
                    Err(why) => self.marks.not_read(unlisted(why), Some(&directory)),
                }
                if files.len() + directories.len() > MOVED {
                    return false;
                }
            }
            if files.len() + directories.len() > MOVED {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::time::Instant;

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;
    use crate::link::{Link, Nothing, Outlet};
    use crate::skip::skip;

    const DEADLINE: Duration = Duration::from_secs(180);

    /// A sensor over one marked directory; the test is its marker.
    struct Sensor {
        directory: tempfile::TempDir,
        said: Receiver<Sensed>,
        marks: Marks,
        stop: Stop,
        _marker: Outlet<FromMarker>,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    fn live() -> Arc<Root> {
        Arc::new(Root::live().unwrap())
    }

    impl Sensor {
        /// None where handles cannot be resolved: it takes `CAP_DAC_READ_SEARCH`.
        fn new() -> Option<Sensor> {
            if !nix::unistd::geteuid().is_root() {
                skip("only root may resolve the handles that fanotify gives");
                return None;
            }
            let directory = tempfile::tempdir().unwrap();
            let on = fanotify::open_directory(directory.path()).unwrap();
            let Ok(group) = Group::new() else {
                skip("this kernel gives no fanotify group that names directories");
                return None;
            };
            group.mark_directory(on.as_fd()).unwrap();
            let fsid = FilesystemId::of(on.as_fd()).unwrap();
            let (marker, watcher) = Link::<FromMarker, Nothing>::pair().unwrap();
            let set = WatchSet::of_trees(vec![directory.path().to_owned()], Vec::new());
            let (out, said) = unbounded();
            let (stop, marks) = (Stop::new().unwrap(), Marks::new().unwrap());
            let strict = Strict::new(false).unwrap();
            let mut sensor = Marked::new(
                live(),
                watcher.inlet,
                set,
                (marks.clone(), strict),
                out,
                stop.clone(),
            );
            sensor.own = 0; // this process writes what is to be seen
            let thread = Some(std::thread::spawn(move || sensor.run()));
            let mut outlet = marker.outlet;
            let said_by_marker = [
                FromMarker::Group {
                    group: group.into(),
                    missing_walls: Vec::new(),
                },
                FromMarker::Marked {
                    at: directory.path().as_os_str().as_bytes().to_vec(),
                    fsid: fsid.0,
                },
                FromMarker::Settled,
            ];
            for message in &said_by_marker {
                outlet.say(message, DEADLINE).unwrap();
            }
            Some(Sensor {
                directory,
                said,
                marks,
                stop,
                _marker: outlet,
                thread,
            })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn expect(&self, names: &[&str]) {
            let mut missing: HashSet<PathBuf> = names.iter().map(|name| self.path(name)).collect();
            let until = Instant::now() + DEADLINE;
            while !missing.is_empty() {
                let Ok(said) = self.said.recv_deadline(until) else {
                    panic!("never named: {missing:?}")
                };
                let Sensed::Written(written) = said else {
                    continue;
                };
                for written in written {
                    missing.remove(&written.path);
                }
            }
        }
    }

    impl Drop for Sensor {
        fn drop(&mut self) {
            self.stop.ask();
            if let Some(thread) = self.thread.take() {
                thread.join().unwrap();
            }
        }
    }

    #[test]
    fn only_moves_that_can_lead_to_a_root_are_of_interest() {
        let (_marker, watcher) = Link::<FromMarker, Nothing>::pair().unwrap();
        let set = WatchSet::of_trees(vec!["/srv/app/etc".into()], vec!["/srv/app/etc/own".into()]);
        let ((out, _said), stop) = (unbounded(), Stop::new().unwrap());
        let with = (Marks::new().unwrap(), Strict::new(false).unwrap());
        let marked = Marked::new(live(), watcher.inlet, set, with, out, stop);
        let is = |path: &str| match marked.what_is(path.into()) {
            Directory::Watched(_) => "watched",
            Directory::Above => "above",
            Directory::Outside => "outside",
        };
        for (path, expected) in [
            ("/", "above"),
            ("/srv", "above"),
            ("/srv/app", "watched"), // a root lies directly in it
            ("/srv/app/etc", "watched"),
            ("/srv/app/etc/deep/er", "watched"),
            ("/srv/app/etc/own", "outside"),
            ("/srv/app/other", "outside"),
            ("/var", "outside"),
        ] {
            assert_eq!(is(path), expected, "{path}");
        }
    }

    #[test]
    fn writes_saves_links_and_removals_are_named() {
        let Some(sensor) = Sensor::new() else { return };
        fs::write(sensor.path("a"), "x").unwrap();
        sensor.expect(&["a"]);
        fs::rename(sensor.path("a"), sensor.path("b")).unwrap();
        sensor.expect(&["a", "b"]);
        fs::hard_link(sensor.path("b"), sensor.path("c")).unwrap();
        sensor.expect(&["c"]);
        fs::remove_file(sensor.path("b")).unwrap();
        sensor.expect(&["b"]);
        assert_eq!(sensor.marks.devices().len(), 1);
    }

    #[test]
    fn a_directory_that_moves_here_brings_its_files() {
        let Some(sensor) = Sensor::new() else { return };
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir(elsewhere.path().join("d")).unwrap();
        fs::write(elsewhere.path().join("d/a"), "x").unwrap();
        fs::rename(elsewhere.path().join("d"), sensor.path("d")).unwrap();
        sensor.expect(&["d/a"]);
        fs::rename(sensor.path("d"), elsewhere.path().join("d")).unwrap();
        let until = Instant::now() + DEADLINE;
        loop {
            if let Sensed::Left(path) = sensor.said.recv_deadline(until).unwrap() {
                assert_eq!(path, sensor.path("d"));
                return;
            }
        }
    }

    /// The kernel makes one event of both, which has to be read as both.
    #[test]
    fn a_directory_that_takes_anothers_place_at_once_brings_its_files() {
        let Some(sensor) = Sensor::new() else { return };
        let elsewhere = tempfile::tempdir().unwrap();
        let beside = |name: &str| elsewhere.path().join(name);
        for (directory, file) in [("d", "a"), ("e", "b")] {
            fs::create_dir(beside(directory)).unwrap();
            fs::write(beside(directory).join(file), "x").unwrap();
        }
        fs::rename(beside("d"), sensor.path("d")).unwrap();
        sensor.expect(&["d/a"]);
        fs::rename(sensor.path("d"), beside("old")).unwrap();
        fs::rename(beside("e"), sensor.path("d")).unwrap();
        sensor.expect(&["d/b"]);
    }
}
