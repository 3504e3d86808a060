//! Which directories are other filesystems, and which of those are not read.
//!
//! Kernel interfaces hold no files. A network filesystem belongs to its server, may hang, and would be
//! read once by each of its thousand clients. A merged overlay repeats files that lie in its layers.
//! A bind mount repeats a tree that is read under its own name. Each is skipped where a walk comes to
//! it, counted and named; a path that a person names is read all the same.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;

use super::{Root, SYSTEM_FILE};

/// Mounts that are kept. The kernel's own default limit is 100,000.
const MOUNTS: usize = 131_072;

/// The kernel's table of this process's mounts.
const TABLE: &str = "/proc/self/mountinfo";

/// Why a directory is not walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipWhy {
    /// A kernel interface: proc, sysfs, cgroup and their kin.
    Pseudo,
    /// Served by another host, or by a program that may hang.
    Network,
    /// An overlay's merged view; its layers are read where they lie.
    Overlay,
    /// The same tree is read under another name.
    Bind,
}

impl SkipWhy {
    /// The reason as coverage names it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            SkipWhy::Pseudo => "pseudo-filesystem",
            SkipWhy::Network => "network-filesystem",
            SkipWhy::Overlay => "overlay-filesystem",
            SkipWhy::Bind => "bind-mount",
        }
    }
}

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The directory of the filesystem that is mounted there; `/` unless it is a bind mount.
    pub root: PathBuf,
    /// `major:minor` of the filesystem.
    pub device: Vec<u8>,
    /// The filesystem's type: `ext4`, `nfs4`, `fuse.sshfs`.
    pub kind: Vec<u8>,
    /// Of an overlay: the directory in which its changes lie.
    pub upper: Option<PathBuf>,
}

/// The mounts of the live host.
#[derive(Debug, Default)]
pub struct Mounts {
    all: Vec<Mount>,
    skipped: HashMap<PathBuf, SkipWhy>,
    /// Which of them have a server that may never answer.
    hanging: Vec<usize>,
}

/// The mount table of the live host, always as it is now: the kernel tells who polls the open table
/// that it changed, which costs less than a microsecond.
#[derive(Debug, Default)]
pub(super) struct Table {
    changes: Option<File>,
    read: Option<Arc<Mounts>>,
    /// When it could not be read; what was read before holds until it can.
    failed: Option<Instant>,
    /// Whether it is to be read although nothing tells that it changed.
    stale: bool,
}

/// How long a table that could not be read is let be.
const AGAIN: Duration = Duration::from_secs(1);

impl Table {
    /// The next answer is read anew.
    pub(super) fn forget(&mut self) {
        self.stale = true;
    }

    /// What is mounted at this moment.
    pub(super) fn now(&mut self, root: &Root) -> Arc<Mounts> {
        if !root.is_live() {
            return Arc::clone(self.read.get_or_insert_default());
        }
        if self.failed.is_some_and(|when| when.elapsed() < AGAIN) {
            return Arc::clone(self.read.get_or_insert_default());
        }
        let changes = match &self.changes {
            Some(open) => open,
            // Opened before it is read: what changes in between is told by the next poll.
            None => match File::open(TABLE) {
                Ok(open) => self.changes.insert(open),
                Err(why) => return self.fail(&why),
            },
        };
        let mut asked = [PollFd::new(changes.as_fd(), PollFlags::POLLPRI)];
        let changed = !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0));
        match &self.read {
            Some(read) if !changed && !self.stale && self.failed.is_none() => Arc::clone(read),
            _ => match Mounts::read(root) {
                Ok(mounts) => {
                    (self.failed, self.stale) = (None, false);
                    Arc::clone(self.read.insert(Arc::new(mounts)))
                }
                Err(why) => self.fail(&why.into()),
            },
        }
    }

    /// What is not known to be mounted is not entered: nothing is taken for another filesystem's.
    fn fail(&mut self, why: &std::io::Error) -> Arc<Mounts> {
        if self.failed.is_none() {
            tracing::warn!(%why, "the table of mounts cannot be read; the one before holds until it can");
        }
        self.failed = Some(Instant::now());
        Arc::clone(self.read.get_or_insert_default())
    }
}

impl Mounts {
    fn read(root: &Root) -> Result<Mounts, Errno> {
        // /proc files have no size, so this is read in one go to its end.
        root.read(Path::new(TABLE), SYSTEM_FILE)
            .map(|text| Mounts::parse(&text))
    }

    /// Parses mountinfo, `proc_pid_mountinfo(5)`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Mounts {
        let lines = text.split(|&byte| byte == b'\n');
        let all: Vec<Mount> = lines.filter_map(parse_line).take(MOUNTS).collect();
        let mut widest: HashMap<&[u8], &Mount> = HashMap::new();
        for mount in &all {
            let known = widest.entry(&mount.device).or_insert(mount);
            let order =
                |mount: &Mount| (mount.root.as_os_str().len(), mount.point.as_os_str().len());
            if order(mount) < order(known) {
                *known = mount;
            }
        }
        let mut skipped = HashMap::new();
        for mount in &all {
            let why = if mount.point == Path::new("/") {
                None
            } else if let Some(why) = kind_skipped(&mount.kind) {
                Some(why)
            } else {
                widest
                    .get(mount.device.as_slice())
                    .filter(|widest| {
                        widest.point != mount.point && mount.root.starts_with(&widest.root)
                    })
                    .map(|_| SkipWhy::Bind)
            };
            // A later line on the same point covers the earlier one.
            match why {
                Some(why) => skipped.insert(mount.point.clone(), why),
                None => skipped.remove(&mount.point),
            };
        }
        // A host whose root hangs does nothing at all.
        let hanging = (0..all.len())
            .filter(|&at| may_hang(&all[at].kind) && all[at].point != Path::new("/"))
            .collect();
        Mounts {
            all,
            skipped,
            hanging,
        }
    }

    /// Where, on the way to `path`, filesystems are mounted whose servers may never answer. What was
    /// mounted over one later makes no difference: it may be taken away again. An automounter's point
    /// counts while nothing is mounted on it: what is mounted there speaks for itself.
    pub fn that_may_hang<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        let waits = |mount: &Mount| mount.kind == AUTOMOUNTER;
        let above = self.hanging.iter().map(|&at| &self.all[at]);
        let above = above.filter(|mount| path.starts_with(&mount.point));
        above
            .filter(move |mount| !waits(mount) || self.around(path).is_some_and(waits))
            .map(|mount| mount.point.as_path())
    }

    /// Every mount, in the kernel's order.
    #[must_use]
    pub fn all(&self) -> &[Mount] {
        &self.all
    }

    /// Why a walk that comes to `directory` turns away, if it does.
    #[must_use]
    pub fn skipped(&self, directory: &Path) -> Option<SkipWhy> {
        self.skipped.get(directory).copied()
    }

    /// Why the filesystem that `path` lies on is not walked, for a walk that begins there.
    #[must_use]
    pub fn skipped_around(&self, path: &Path) -> Option<SkipWhy> {
        self.skipped(&self.around(path)?.point)
    }

    /// The overlay in whose directory of changes `path` lies: that directory, and where it is mounted.
    #[must_use]
    pub fn upper_above(&self, path: &Path) -> Option<(&Path, &Path)> {
        let uppers = self.all.iter().filter_map(|mount| {
            let upper = mount.upper.as_deref()?;
            (upper.is_absolute() && path.starts_with(upper)).then_some((upper, &*mount.point))
        });
        uppers.max_by_key(|(upper, _)| upper.as_os_str().len())
    }

    /// Whether something is mounted exactly here.
    #[must_use]
    pub fn is_point(&self, path: &Path) -> bool {
        self.all.iter().any(|mount| mount.point == path)
    }

    /// The mount that `path` lies on: the deepest, and of several on one point the last.
    #[must_use]
    pub fn around(&self, path: &Path) -> Option<&Mount> {
        let above = self
            .all
            .iter()
            .filter(|mount| path.starts_with(&mount.point));
        above.max_by_key(|mount| mount.point.as_os_str().len())
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = fields.nth(2)?.to_vec();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let mut fields = fields.skip_while(|&field| field != b"-");
    let kind = fields.nth(1)?.to_vec();
    // Behind the type come the source and the filesystem's own options.
    let options = fields.nth(1).filter(|_| kind == b"overlay");
    let upper = options.and_then(|options| {
        let mut options = options.split(|&byte| byte == b',');
        options.find_map(|option| option.strip_prefix(b"upperdir="))
    });
    Some(Mount {
        point,
        root,
        device,
        kind,
        upper: upper.map(unescape),
    })
}

/// Undoes mountinfo's `\040` for blank, tab, newline and backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        if let Some(value) = octal {
            out.push(value);
            rest = &after[3..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

/// The type of what an automounter puts where something is mounted when it is touched.
const AUTOMOUNTER: &[u8] = b"autofs";

/// Whether a filesystem of this type is served by somebody who may never answer; one that is mounted
/// when it is touched may be any.
fn may_hang(kind: &[u8]) -> bool {
    kind_skipped(kind) == Some(SkipWhy::Network)
        || kind == AUTOMOUNTER
        || kind.starts_with(b"fuse.")
}

/// Why a filesystem of this type is not walked.
pub(crate) fn kind_skipped(kind: &[u8]) -> Option<SkipWhy> {
    Some(match kind {
        b"proc" | b"sysfs" | b"devpts" | b"devtmpfs" | b"cgroup" | b"cgroup2" | b"securityfs"
        | b"debugfs" | b"tracefs" | b"pstore" | b"bpf" | b"configfs" | b"efivarfs" | b"fusectl"
        | b"mqueue" | b"hugetlbfs" | b"binfmt_misc" | b"autofs" | b"rpc_pipefs" | b"nsfs"
        | b"nfsd" | b"selinuxfs" | b"smackfs" | b"resctrl" | b"fuse.lxcfs" | b"fuse.gvfsd-fuse"
        | b"fuse.portal" => SkipWhy::Pseudo,
        b"nfs" | b"nfs4" | b"cifs" | b"smb3" | b"smbfs" | b"ncpfs" | b"9p" | b"ceph"
        | b"glusterfs" | b"lustre" | b"afs" | b"coda" | b"beegfs" | b"gpfs" | b"orangefs"
        | b"davfs" | b"fuse" | b"virtiofs" | b"pvfs2" => SkipWhy::Network,
        b"overlay" | b"aufs" | b"fuse.fuse-overlayfs" => SkipWhy::Overlay,
        other if other.starts_with(b"fuse.") => SkipWhy::Network,
        _ => return None,
    })
}

/// Why the filesystem of an open directory is not walked, asked of the filesystem itself by its
/// magic number (`statfs(2)`): for roots whose mount table cannot be known.
#[must_use]
pub fn skipped_by_magic(directory: impl AsFd) -> Option<SkipWhy> {
    let magic = u64::try_from(rustix::fs::fstatfs(directory).ok()?.f_type).ok()? & 0xffff_ffff;
    Some(match magic {
        0x9fa0 | 0x6265_6572 | 0x0027_e0eb | 0x6367_7270 | 0x1cd1 | 0x6462_6720 | 0x7472_6163
        | 0x7363_6673 | 0xcafe_4a11 | 0x6165_676c | 0x1980_0202 | 0x9584_58f6 | 0x4249_4e4d
        | 0x6265_6570 | 0xde5e_81e4 | 0xf97c_ff8c | 0x0187 | 0x6e73_6673 | 0x6573_5543 => {
            SkipWhy::Pseudo
        }
        0x6969 | 0xff53_4d42 | 0xfe53_4d42 | 0x517b | 0x00c3_6400 | 0x0102_1997 | 0x5346_414f
        | 0x0bd0_0bd0 | 0x4750_4653 | 0x6573_5546 => SkipWhy::Network,
        0x794c_7630 => SkipWhy::Overlay,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, expected: &[(&str, Option<SkipWhy>)]) {
        let mounts = Mounts::parse(mountinfo.as_bytes());
        for (point, why) in expected {
            assert_eq!(mounts.skipped(Path::new(point)), *why, "{point}");
        }
    }

    #[test]
    fn kernel_interfaces_and_network_filesystems_are_skipped() {
        check(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             23 22 0:5 / /proc rw shared:1 master:2 - proc proc rw\n\
             24 22 0:44 / /mnt/with\\040blank rw - nfs4 server:/x rw\n\
             25 22 0:45 / /mnt/s3 rw - fuse.s3fs s3fs rw\n\
             26 22 0:46 / /tmp rw - tmpfs tmpfs rw\n\
             27 22 0:47 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n",
            &[
                ("/", None),
                ("/proc", Some(SkipWhy::Pseudo)),
                ("/mnt/with blank", Some(SkipWhy::Network)),
                ("/mnt/s3", Some(SkipWhy::Network)),
                ("/tmp", None),
                ("/var/lib/docker/overlay2/x/merged", Some(SkipWhy::Overlay)),
            ],
        );
    }

    #[test]
    fn a_tree_is_read_once_under_its_widest_name() {
        check(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             23 22 8:1 /srv/app /chroot/app rw - ext4 /dev/sda1 rw\n\
             24 22 8:17 /deep /data rw - ext4 /dev/sdb1 rw\n\
             25 22 8:17 /deep /other/data rw - ext4 /dev/sdb1 rw\n",
            &[
                ("/chroot/app", Some(SkipWhy::Bind)),
                ("/data", None),
                ("/other/data", Some(SkipWhy::Bind)),
            ],
        );
    }

    #[test]
    fn an_overlay_at_the_root_is_a_container_and_is_read() {
        check("1 0 0:33 / / rw - overlay overlay rw\n", &[("/", None)]);
    }

    #[test]
    fn a_mount_covers_what_was_mounted_there_before() {
        check(
            "1 0 0:3 / /x rw - nfs s:/ rw\n2 0 8:3 / /x rw - xfs /dev/b rw\n",
            &[("/x", None)],
        );
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        check(
            "garbage\n1 2\n\n1 0 8:3 / /x rw - nfs s:/ rw",
            &[("/x", Some(SkipWhy::Network))],
        );
    }

    #[test]
    fn what_others_serve_may_hang_and_so_may_what_lies_below() {
        let mounts = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / /n rw - nfs4 s:/ rw\n\
              3 2 8:2 / /n/local rw - ext4 /dev/b rw\n4 1 0:8 / /auto rw - autofs x rw\n\
              5 1 0:7 / /f rw - fuse x rw\n6 1 0:6 / /l rw - fuse.lxcfs x rw\n\
              7 1 0:5 / /disk rw - autofs x rw\n8 7 8:3 / /disk rw - ext4 /dev/c rw\n\
              9 4 8:4 / /auto/local rw - xfs /dev/d rw\n10 4 0:4 / /auto/far rw - nfs s:/ rw\n",
        );
        for (path, hangs) in [
            ("/n", true),
            ("/n/local/x", true),
            ("/auto/u", true),
            ("/auto/local/x", false),
            ("/auto/far/x", true),
            ("/disk/x", false), // mounted when it was first touched
            ("/f/x", true),
            ("/l", true),
            ("/", false),
            ("/nn", false),
        ] {
            let found = mounts.that_may_hang(Path::new(path)).next();
            assert_eq!(found.is_some(), hangs, "{path}");
        }
    }
}
