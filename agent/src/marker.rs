//! The role that may mark filesystems: it does so, hands the group to the watcher, and follows the
//! mount table. It opens no file but mount points and the table, and never reads an event. Where strict
//! mode is configured it branches off the gate, which alone does more ([`crate::gate`]).
//!
//! A filesystem that cannot be marked (a btrfs subvolume, an overlay, a mount point that only its
//! owner may read) is told with the kernel's reason: the watcher then watches it in another way and
//! says so in its coverage.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akwatch_sys::fanotify::{FilesystemId, Group, open_directory};
use akwatch_sys::memory;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::gate::keeper::Keeper;
use crate::host::mounts::{Mount, Mounts, SkipWhy, kind_skipped};
use crate::link::{FromMarker, Inlet, Link, Nothing, Outlet, TalkError};

/// How long the watcher may take to accept one message.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of the mount table. Stops: a container host with a runaway number of mounts.
const TABLE: u64 = 32 << 20;
/// Mount points of one filesystem that are tried.
const ATTEMPTS: usize = 8;

/// Why the marker ended, other than with its link.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// The link broke.
    #[error("the watcher's link")]
    Talk(#[from] TalkError),
    /// The mount table could not be followed.
    #[error("{step} the mount table")]
    Table {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The group could not be passed on.
    #[error("duplicating the group's descriptor")]
    Group(#[source] std::io::Error),
}

/// Marks what is mounted now and later, and keeps a gate where strict mode is configured, until the link
/// ends.
///
/// # Errors
/// When it ended in any other way than by the watcher closing it.
pub fn run(
    link: Link<FromMarker, Nothing>,
    missing_walls: Vec<String>,
    keeper: Option<Keeper>,
) -> Result<(), MarkerError> {
    let (mut outlet, inlet) = link.split();
    let ended = begin(&mut outlet, missing_walls).and_then(|marking| {
        let mut marker = Marker { marking, keeper };
        marker.follow(&mut outlet, &inlet)
    });
    match ended {
        Err(MarkerError::Talk(error)) if error.is_end() => Ok(()),
        other => other,
    }
}

/// Marks what is mounted. Where there is nothing to be had it says so, and the marker stays all the same,
/// so that nobody starts it again and again.
fn begin(
    outlet: &mut Outlet<FromMarker>,
    missing_walls: Vec<String>,
) -> Result<Option<(Table, Marks)>, MarkerError> {
    let group = match Group::new() {
        Ok(group) => group,
        Err(error) => {
            let why = format!("{error}: {}", error.source);
            let message = FromMarker::Refused { why, missing_walls };
            outlet.say(&message, PATIENCE)?;
            return Ok(None);
        }
    };
    let passed = group.as_fd().try_clone_to_owned();
    outlet.say(
        &FromMarker::Group {
            group: passed.map_err(MarkerError::Group)?,
            missing_walls,
        },
        PATIENCE,
    )?;
    let mut table = Table::open()?;
    let mut marks = Marks {
        group,
        known: BTreeMap::new(),
    };
    marks.update(&table.read()?, outlet)?;
    outlet.say(&FromMarker::Settled, PATIENCE)?;
    Ok(Some((table, marks)))
}

/// What the marker keeps up.
struct Marker {
    marking: Option<(Table, Marks)>,
    keeper: Option<Keeper>,
}

/// What a wait of the marker ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// The link has ended.
    Ended,
    /// The mount table may have changed.
    Changed,
    /// The gate may have ended, or something else is due.
    Gate,
}

impl Marker {
    fn follow(
        &mut self,
        outlet: &mut Outlet<FromMarker>,
        inlet: &Inlet<Nothing>,
    ) -> Result<(), MarkerError> {
        loop {
            if let Some(keeper) = &mut self.keeper
                && let Some(link) = keeper.turn(Instant::now())
                && let Some(pid) = keeper.pid()
            {
                outlet.say(&FromMarker::Gate { link, pid }, PATIENCE)?;
            }
            memory::give_back();
            match self.wait(inlet)? {
                Woken::Ended => return Ok(()),
                Woken::Gate => {}
                Woken::Changed => {
                    if let Some((table, marks)) = &mut self.marking {
                        marks.update(&table.read()?, outlet)?;
                    }
                }
            }
        }
    }

    fn wait(&mut self, inlet: &Inlet<Nothing>) -> Result<Woken, MarkerError> {
        let lead = self.keeper.as_ref().and_then(Keeper::lead);
        let due = self.keeper.as_ref().map(Keeper::due);
        let mut waiting = vec![PollFd::new(inlet.as_fd(), PollFlags::empty())];
        waiting.extend(lead.map(|lead| PollFd::new(lead, PollFlags::POLLIN)));
        let table = self.marking.as_ref().map(|(Table(table), _)| table);
        waiting.extend(table.map(|table| PollFd::new(table.as_fd(), PollFlags::POLLPRI)));
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut waiting, timeout) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Woken::Changed),
            Err(errno) => {
                return Err(MarkerError::Table {
                    step: "waiting for",
                    source: errno.into(),
                });
            }
        }
        let told = |at: usize| waiting.get(at).is_some_and(|fd| fd.any().unwrap_or(true));
        let (ended, gate) = (told(0), lead.is_some() && told(1));
        let changed = told(1 + usize::from(lead.is_some()));
        if let Some(keeper) = self.keeper.as_mut().filter(|_| gate) {
            keeper.told(Instant::now());
        }
        Ok(match (ended, changed) {
            (true, _) => Woken::Ended,
            (false, true) => Woken::Changed,
            (false, false) => Woken::Gate,
        })
    }
}

/// A filesystem by its device number, and where it is mounted.
type Filesystems = BTreeMap<Vec<u8>, Mounted>;

#[derive(Debug)]
struct Mounted {
    fs_type: String,
    /// Widest first: the mount of the filesystem's own root before those of directories in it.
    at: Vec<PathBuf>,
}

impl Mounted {
    /// The first mount point that leads to the filesystem of this id.
    fn opened_as(&self, id: FilesystemId) -> Option<&PathBuf> {
        self.at.iter().find(|path| {
            let opened = open_directory(path);
            opened.is_ok_and(|open| FilesystemId::of(open.as_fd()).is_ok_and(|its| its == id))
        })
    }
}

fn marked(FilesystemId(fsid): FilesystemId, at: &Path) -> FromMarker {
    FromMarker::Marked {
        at: at.as_os_str().as_bytes().to_vec(),
        fsid,
    }
}

/// /proc/self/mountinfo, kept open: it tells of changes to whoever polls it.
struct Table(File);

impl Table {
    fn open() -> Result<Table, MarkerError> {
        File::open("/proc/self/mountinfo")
            .map(Table)
            .map_err(|source| MarkerError::Table {
                step: "opening",
                source,
            })
    }

    fn read(&mut self) -> Result<Filesystems, MarkerError> {
        let failed = |source| MarkerError::Table {
            step: "reading",
            source,
        };
        let mut text = Vec::new();
        self.0.rewind().map_err(failed)?;
        (&self.0)
            .take(TABLE)
            .read_to_end(&mut text)
            .map_err(failed)?;
        Ok(by_filesystem(&Mounts::parse(&text)))
    }
}

/// The local filesystems of a mount table. A merged overlay is among them: it cannot be marked, and
/// where it is the root that has to be said. One that is mounted below another that may never answer is
/// not: the way there leads through that one.
fn by_filesystem(mounts: &Mounts) -> Filesystems {
    let mut found: BTreeMap<&[u8], Vec<&Mount>> = BTreeMap::new();
    for mount in mounts.all() {
        let hangs = mounts.that_may_hang(&mount.point).next().is_some();
        if !hangs && matches!(kind_skipped(&mount.kind), None | Some(SkipWhy::Overlay)) {
            found.entry(&mount.device).or_default().push(mount);
        }
    }
    found
        .into_iter()
        .map(|(device, mut at)| {
            at.sort_by_key(|mount| (mount.root.as_os_str().len(), &mount.point));
            let mounted = Mounted {
                fs_type: at.first().map_or_else(String::new, |mount| {
                    String::from_utf8_lossy(&mount.kind).into_owned()
                }),
                at: at
                    .into_iter()
                    .map(|mount| mount.point.clone())
                    .take(ATTEMPTS)
                    .collect(),
            };
            (device.to_vec(), mounted)
        })
        .collect()
}

/// What was tried: the filesystem's id where it is marked, and the mount point that was told.
struct Marks {
    group: Group,
    known: BTreeMap<Vec<u8>, Option<(FilesystemId, PathBuf)>>,
}

impl Marks {
    /// Marks what is new and forgets what is gone.
    fn update(
        &mut self,
        mounted: &Filesystems,
        outlet: &mut Outlet<FromMarker>,
    ) -> Result<(), MarkerError> {
        let gone: Vec<Vec<u8>> = self
            .known
            .keys()
            .filter(|device| !mounted.contains_key(*device))
            .cloned()
            .collect();
        for device in gone {
            if let Some(Some((FilesystemId(fsid), _))) = self.known.remove(&device) {
                outlet.say(&FromMarker::Unmounted { fsid }, PATIENCE)?;
            }
        }
        for (device, filesystem) in mounted {
            let known = match self.known.get(device) {
                None => {
                    let (message, marked) = self.mark(filesystem);
                    outlet.say(&message, PATIENCE)?;
                    marked
                }
                // It was moved, or one of its mount points is no more.
                Some(Some((id, at))) if !filesystem.at.contains(at) => {
                    let Some(at) = filesystem.opened_as(*id) else {
                        continue;
                    };
                    outlet.say(&marked(*id, at), PATIENCE)?;
                    Some((*id, at.clone()))
                }
                Some(_) => continue,
            };
            self.known.insert(device.clone(), known);
        }
        Ok(())
    }

    /// Marks one filesystem through the first of its mount points that allows it.
    fn mark(&self, filesystem: &Mounted) -> (FromMarker, Option<(FilesystemId, PathBuf)>) {
        let mut errno = 0;
        for path in &filesystem.at {
            let tried = open_directory(path).and_then(|directory: OwnedFd| {
                self.group.mark_filesystem(directory.as_fd())?;
                FilesystemId::of(directory.as_fd())
            });
            match tried {
                Ok(id) => return (marked(id, path), Some((id, path.clone()))),
                Err(error) => errno = error.errno().unwrap_or(errno),
            }
        }
        let at = filesystem
            .at
            .first()
            .map(|path| path.as_os_str().as_bytes());
        let message = FromMarker::NotMarked {
            at: at.unwrap_or_default().to_vec(),
            fs_type: filesystem.fs_type.clone(),
            errno,
        };
        (message, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_secs(60));

    fn table(text: &str) -> Filesystems {
        by_filesystem(&Mounts::parse(text.as_bytes()))
    }

    #[test]
    fn a_filesystem_is_tried_at_its_own_root_first() {
        let mounted = table(
            "30 1 8:1 /var/lib/a /mnt/a rw - ext4 /dev/sda1 rw\n\
             31 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             32 31 0:5 / /proc rw - proc proc rw\n\
             33 31 0:44 / /mnt/nfs rw - nfs4 host:/ rw\n\
             34 31 0:50 / /dev/shm rw - tmpfs tmpfs rw\n",
        );
        let devices: Vec<&[u8]> = mounted.keys().map(Vec::as_slice).collect();
        assert_eq!(devices, [&b"0:50"[..], b"8:1"]);
        assert_eq!(
            mounted[&b"8:1"[..]].at,
            [PathBuf::from("/"), PathBuf::from("/mnt/a")]
        );
    }

    /// The way to it leads through what may never answer.
    #[test]
    fn what_lies_below_one_that_may_hang_is_left_out() {
        let mounted = table(
            "31 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             33 31 0:44 / /mnt/nfs rw - nfs4 host:/ rw\n\
             34 33 0:50 / /mnt/nfs/near rw - tmpfs tmpfs rw\n\
             35 33 0:51 / /mnt/nfs/twice rw - tmpfs tmpfs rw\n\
             36 31 0:51 / /mnt/here rw - tmpfs tmpfs rw\n",
        );
        let devices: Vec<&[u8]> = mounted.keys().map(Vec::as_slice).collect();
        assert_eq!(devices, [&b"0:51"[..], b"8:1"]);
        assert_eq!(mounted[&b"0:51"[..]].at, [PathBuf::from("/mnt/here")]);
    }

    #[test]
    fn the_watcher_gets_a_group_and_a_word_on_every_filesystem() {
        let (marker, mut watcher) = Link::<FromMarker, Nothing>::pair().unwrap();
        let thread = std::thread::spawn(move || run(marker, Vec::new(), None));
        let mut told = 0;
        let group = watcher.inlet.hear(WAIT).unwrap().unwrap();
        if let FromMarker::Group { .. } = group {
            loop {
                match watcher.inlet.hear(WAIT).unwrap().unwrap() {
                    FromMarker::Settled => break,
                    FromMarker::Marked { at, .. } => {
                        assert!(at.starts_with(b"/"));
                        told += 1;
                    }
                    FromMarker::NotMarked { errno, .. } => {
                        assert_ne!(errno, 0);
                        told += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            let mounted = Table::open().unwrap().read().unwrap();
            assert_eq!(told, mounted.len());
        } else {
            assert!(matches!(group, FromMarker::Refused { .. }));
        }
        drop(watcher);
        thread.join().unwrap().unwrap();
    }
}
