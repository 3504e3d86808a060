//! The mount points that known findings lie below, over restarts.
//!
//! A file that is not there is proof that it is gone only while the filesystem that held it is
//! mounted. Within a run its device number tells; after a restart, and above all after a boot that
//! did not mount everything yet, only a note does. fstab names some mounts, units, automounters and
//! people make others. What is noted is a prefix of a name that nothing was replaced in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Mounts;

/// Mount points noted. Stops: a host that mounts a new directory for each of its containers.
const POINTS: usize = 1024;

/// Bytes of the note that are read.
const NOTE: usize = POINTS * 4097;

/// Holds the note in the watcher's directory, one path a line.
const FILE: &str = "mount-points";

/// The noted mount points.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    file: PathBuf,
    points: BTreeSet<PathBuf>,
}

impl Mounted {
    /// What an earlier run noted in `directory`; nothing when that cannot be read.
    pub(super) fn load(directory: &Path) -> Mounted {
        let file = directory.join(FILE);
        let mut text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.len() > NOTE {
            text.clear(); // not ours
        }
        let points = text.lines().filter(|line| line.starts_with('/'));
        let points = points.take(POINTS).map(PathBuf::from).collect();
        Mounted { file, points }
    }

    /// Notes where the filesystem of `path` is mounted, whose name is plain.
    pub(super) fn note(&mut self, path: &Path, mounts: &Mounts) {
        let above = mounts
            .all()
            .iter()
            .filter(|mount| path.starts_with(&mount.point) && mount.point.as_os_str().len() > 1);
        // What memory held is gone with its mount, but for a second name of it.
        let Some(mount) = above
            .max_by_key(|mount| mount.point.as_os_str().len())
            .filter(|mount| {
                let memory = matches!(mount.kind.as_slice(), b"tmpfs" | b"ramfs");
                !memory || mount.root != Path::new("/")
            })
        else {
            return;
        };
        if self.points.len() >= POINTS || !self.points.insert(mount.point.clone()) {
            return;
        }
        let lines: String = self
            .points
            .iter()
            .filter_map(|point| Some(format!("{}\n", point.to_str()?)))
            .collect();
        let next = self.file.with_extension("next");
        let written =
            std::fs::write(&next, lines).and_then(|()| std::fs::rename(&next, &self.file));
        if let Err(why) = written {
            tracing::warn!(%why, "a mount point could not be noted");
        }
    }

    /// Whether `path` lies below a noted mount point where nothing is mounted now.
    pub(super) fn is_missing(&self, path: &Path, mounts: &Mounts) -> bool {
        let mounted = |point: &Path| mounts.all().iter().any(|mount| mount.point == point);
        path.ancestors()
            .any(|above| self.points.contains(above) && !mounted(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1 0 8:1 / / rw - ext4 /dev/a rw\n";
    const DATA: &str = "2 1 8:2 / /data rw - ext4 /dev/b rw\n";
    const MEMORY: &str = "3 1 0:9 / /run/user rw - tmpfs tmpfs rw\n";

    fn mounts(lines: &[&str]) -> Mounts {
        Mounts::parse(lines.concat().as_bytes())
    }

    #[test]
    fn a_noted_mount_that_is_missing_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let all = mounts(&[ROOT, DATA, MEMORY]);
        let mut mounted = Mounted::load(directory.path());
        for path in ["/data/app/.env", "/srv/.env", "/run/user/x"] {
            mounted.note(Path::new(path), &all);
        }
        let mounted = Mounted::load(directory.path());
        let fewer = mounts(&[ROOT]);
        let missing = |path: &str, now: &Mounts| mounted.is_missing(Path::new(path), now);
        assert!(missing("/data/app/.env", &fewer) && missing("/data/other", &fewer));
        assert!(!missing("/data/app/.env", &all));
        assert!(!missing("/srv/.env", &fewer) && !missing("/run/user/x", &fewer));
    }
}
