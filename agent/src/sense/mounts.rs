//! Which filesystems are walked: disks and memory, never the kernel's own views or the network's.
//!
//! Reading a network filesystem costs other hosts and may hang for ever; a pseudo filesystem holds no
//! file that anybody wrote. Both are left out by type and named in coverage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Longest mount table that is read. Stops: a container host with a runaway number of mounts.
const MOUNTS: usize = 65_536;

/// What a mount is to a walker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A disk or memory: walked.
    Local,
    /// A view of the kernel: no file in it was written by anyone.
    Pseudo,
    /// Somebody else's disk.
    Network,
}

/// The mount points of this host as the agent sees them.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    by_path: BTreeMap<PathBuf, MountKind>,
}

impl Mounts {
    /// Reads the mount table; empty when it cannot be read, so that everything counts as local.
    #[must_use]
    pub fn read() -> Mounts {
        let table = procfs::process::Process::myself().and_then(|myself| myself.mountinfo());
        let mut by_path = BTreeMap::new();
        for mount in table.into_iter().flatten().take(MOUNTS) {
            by_path.insert(mount.mount_point, kind(&mount.fs_type)); // later mounts cover earlier
        }
        Mounts { by_path }
    }

    /// What is mounted exactly at `path`.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<MountKind> {
        self.by_path.get(path).copied()
    }

    /// What `path` lies on.
    #[must_use]
    pub fn under(&self, path: &Path) -> MountKind {
        path.ancestors()
            .find_map(|above| self.at(above))
            .unwrap_or(MountKind::Local)
    }
}

fn kind(fs_type: &str) -> MountKind {
    match fs_type {
        "proc" | "sysfs" | "cgroup" | "cgroup2" | "devpts" | "devtmpfs" | "debugfs" | "tracefs"
        | "securityfs" | "pstore" | "bpf" | "configfs" | "fusectl" | "hugetlbfs" | "mqueue"
        | "binfmt_misc" | "efivarfs" | "nsfs" | "rpc_pipefs" | "selinuxfs" | "autofs" | "nfsd" => {
            MountKind::Pseudo
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "ceph" | "glusterfs" | "afs" | "9p"
        | "lustre" | "gpfs" | "ocfs2" | "gfs2" | "ncpfs" | "coda" | "beegfs" | "orangefs" => {
            MountKind::Network
        }
        // What a user's program serves may hang or lie.
        other if other.starts_with("fuse") && other != "fuseblk" => MountKind::Network,
        _ => MountKind::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_proc_is_pseudo_and_its_root_is_not() {
        let mounts = Mounts::read();
        assert_eq!(
            mounts.under(Path::new("/proc/1/environ")),
            MountKind::Pseudo
        );
        assert_eq!(mounts.under(Path::new("/etc/passwd")), MountKind::Local);
    }

    #[test]
    fn other_hosts_disks_are_left_out() {
        for remote in ["nfs4", "cifs", "fuse.sshfs", "9p"] {
            assert_eq!(kind(remote), MountKind::Network, "{remote}");
        }
        assert_eq!(kind("fuseblk"), MountKind::Local);
        assert_eq!(kind("overlay"), MountKind::Local);
    }
}
