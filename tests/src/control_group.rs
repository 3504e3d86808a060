//! A control group of its own for what a test starts.
//!
//! Whoever shares one shares more than a name: a service manager that stops its unit removes the directory
//! that another has just made for a unit of that name, ends what lies in it, and lays its filters over the
//! other's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};

/// Where a service manager keeps its groups: one hierarchy, or the old one beside the new one. Of other
/// hosts some of these are a directory like any other, in which nothing is a group.
const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/systemd",
];

/// How long what is in a group may take to end, once it was killed, before its directories are left.
const ENDING: Duration = Duration::from_secs(30);

/// A group below this process's own, in each hierarchy of a service manager. What is still in it when it is
/// dropped is ended, and its directories are removed.
#[derive(Debug)]
pub struct ControlGroup {
    directories: Vec<PathBuf>,
}

impl ControlGroup {
    /// Makes one of this name.
    ///
    /// # Errors
    /// When this machine has no such hierarchy, or nothing may be made there.
    pub fn make(name: &str) -> Result<ControlGroup> {
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let mut group = ControlGroup {
            directories: Vec::new(),
        };
        for hierarchy in HIERARCHIES.map(Path::new) {
            let prefix = match statfs(hierarchy).map(|found| found.filesystem_type()) {
                Ok(CGROUP2_SUPER_MAGIC) => "0::",
                Ok(CGROUP_SUPER_MAGIC) => ":name=systemd:",
                _ => continue,
            };
            let above = own
                .lines()
                .find_map(|line| Some(line.split_once(prefix)?.1));
            let above = hierarchy.join(above.unwrap_or_default().trim_start_matches('/'));
            // A namespace may show a path that is not mounted here.
            let above = if above.is_dir() { &above } else { hierarchy };
            let directory = above.join(name);
            std::fs::create_dir(&directory)
                .with_context(|| format!("making {}", directory.display()))?;
            group.directories.push(directory);
        }
        ensure!(!group.directories.is_empty(), "no control groups here");
        Ok(group)
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// When it has ended or may not be moved.
    pub fn add(&self, pid: u32) -> Result<()> {
        for directory in &self.directories {
            std::fs::write(directory.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// The words before a command line that runs in it from its first moment.
    #[must_use]
    pub fn around(&self) -> Vec<String> {
        let script = "while [ \"$1\" != -- ]; do echo $$ > \"$1/cgroup.procs\"; shift; done; shift; \
             exec \"$@\"";
        let words = ["sh", "-ec", script, "sh"].map(str::to_owned);
        let directories = self
            .directories
            .iter()
            .map(|path| path.display().to_string());
        let end = std::iter::once("--".to_owned());
        words.into_iter().chain(directories).chain(end).collect()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // Linux 5.14; the old hierarchy has no such file.
            let kill = directory.join("cgroup.kill");
            let _ = std::fs::OpenOptions::new()
                .write(true)
                .open(kill)
                .and_then(|mut kill| std::io::Write::write_all(&mut kill, b"1"));
        }
        let begun = Instant::now();
        for directory in &self.directories {
            while !removed(directory) {
                if begun.elapsed() > ENDING {
                    println!(
                        "{} is left: something in it does not end",
                        directory.display()
                    );
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}

/// Removes a group and all below it; false while something runs there.
fn removed(directory: &Path) -> bool {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !removed(&entry.path()) {
            return false;
        }
    }
    match std::fs::remove_dir(directory) {
        Err(why) => why.kind() == std::io::ErrorKind::NotFound,
        Ok(()) => true,
    }
}
