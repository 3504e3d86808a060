//! Which paths of this host are watched, and in which order.
//!
//! The built-in trees are where people and services put credentials; an operator adds patterns and
//! takes paths away. Taking away outranks adding, and what a host denies outranks everything. The
//! agent's own directories are always out: a watcher that reads what it writes never stops.

use std::path::{Path, PathBuf};

use crate::config::{Config, GlobSet, WrongWord};

/// Trees beside the homes, those with the most credentials first.
const TREES: &[&str] = &[
    "/root",
    "/etc",
    "/opt",
    "/srv",
    "/var/www",
    "/www",
    "/app",
    "/data",
    "/usr/local",
    "/var/spool/cron",
    "/var/spool/at",
    "/var/lib/cloud",
    "/run/secrets",
    "/usr/lib/systemd/system",
    "/home",
    "/tmp",
    "/var/tmp",
];

/// Directories whose content is made by programs in bulk: they are not watched live but read by the
/// scans, last.
const BULK: &[&str] = &[
    ".cache",
    ".cargo",
    ".npm",
    ".rustup",
    "__pycache__",
    "node_modules",
    "site-packages",
    "vendor",
];

/// "Homes" of system accounts that are no homes.
const NO_HOMES: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/lib",
    "/nonexistent",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
];

/// Whether a path is looked at.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// Yes.
    Yes,
    /// It lies outside the watch set.
    Outside,
    /// An operator took it out.
    Excluded,
    /// This host refuses to open it.
    Denied,
    /// It is the agent's own.
    Own,
}

/// The paths that are watched.
#[derive(Clone, Debug)]
pub struct WatchSet {
    trees: Vec<PathBuf>,
    include: GlobSet,
    include_bases: Vec<PathBuf>,
    exclude: GlobSet,
    deny: GlobSet,
    own: Vec<PathBuf>,
    scans: Vec<PathBuf>,
}

impl WatchSet {
    /// The watch set of `config` on a host with these `homes`; `own` are the agent's directories.
    ///
    /// # Errors
    /// When the patterns together cannot be compiled.
    pub fn new(
        config: &Config,
        homes: &[PathBuf],
        own: Vec<PathBuf>,
    ) -> Result<WatchSet, WrongWord> {
        let homes: Vec<PathBuf> = homes.iter().filter(|home| is_home(home)).cloned().collect();
        let mut trees = Vec::new();
        for tree in homes.iter().cloned().chain(TREES.iter().map(PathBuf::from)) {
            if !trees.contains(&tree) {
                trees.push(tree);
            }
        }
        let mut include_bases = Vec::new();
        for base in config
            .watch
            .include
            .iter()
            .flat_map(|glob| glob.bases(&homes))
        {
            let known = trees
                .iter()
                .chain(&include_bases)
                .any(|tree| base.starts_with(tree));
            if !known {
                include_bases.push(base);
            }
        }
        Ok(WatchSet {
            include: GlobSet::new(&config.watch.include, &homes)?,
            exclude: GlobSet::new(&config.watch.exclude, &homes)?,
            deny: GlobSet::new(&config.deny.paths, &homes)?,
            scans: config.first_scan.paths.clone(),
            trees,
            include_bases,
            own,
        })
    }

    /// Exactly these trees, for tests and for hosts that are told so.
    #[must_use]
    pub fn of_trees(trees: Vec<PathBuf>, own: Vec<PathBuf>) -> WatchSet {
        let none = || GlobSet::new([], &[]).expect("invariant: no pattern compiles");
        WatchSet {
            trees,
            include: none(),
            include_bases: Vec::new(),
            exclude: none(),
            deny: none(),
            own,
            scans: Vec::new(),
        }
    }

    /// The directories to walk, in order; none lies inside an earlier one. What an operator named
    /// comes first.
    #[must_use]
    pub fn roots(&self) -> Vec<PathBuf> {
        outermost(self.include_bases.iter().chain(&self.trees))
    }

    /// What the scans read: the roots, then what the configuration adds for the first scan.
    #[must_use]
    pub fn scan_roots(&self) -> Vec<PathBuf> {
        outermost(
            self.include_bases
                .iter()
                .chain(&self.trees)
                .chain(&self.scans),
        )
    }

    /// Whether `path` is looked at.
    pub fn covers(&self, path: &Path) -> Covered {
        if self.own.iter().any(|own| path.starts_with(own)) {
            return Covered::Own;
        }
        if self.deny.covers(path) {
            return Covered::Denied;
        }
        if self.exclude.covers(path) {
            return Covered::Excluded;
        }
        let mut trees = self.trees.iter().chain(&self.scans);
        if trees.any(|tree| path.starts_with(tree)) || self.include.covers(path) {
            return Covered::Yes;
        }
        Covered::Outside
    }

    /// Whether a walker may enter the directory `path`: it is watched, or leads to what is.
    pub fn enters(&self, path: &Path) -> Covered {
        match self.covers(path) {
            Covered::Outside if self.include_bases.iter().any(|base| path.starts_with(base)) => {
                Covered::Yes
            }
            covered => covered,
        }
    }
}

/// Whether a directory of this name is filled by programs in bulk.
#[must_use]
pub fn is_bulk(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default();
    let in_git = directory
        .parent()
        .is_some_and(|above| above.ends_with(".git"));
    BULK.iter().any(|bulk| name == *bulk) || (in_git && name == "objects")
}

/// Whether a file of this name is kept open and appended to, so that its changes are seen without
/// waiting for it to be closed.
#[must_use]
pub fn is_history_name(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(b"history") || name.ends_with(b"histfile")
}

fn is_home(home: &Path) -> bool {
    let system = NO_HOMES.iter().any(|no| home == Path::new(no));
    let in_system = ["/usr", "/proc", "/sys", "/dev", "/bin", "/sbin"]
        .iter()
        .any(|no| home.starts_with(no) && !home.starts_with("/usr/local"));
    home.is_absolute() && !system && !in_system
}

fn outermost<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(toml: &str) -> WatchSet {
        let text = format!("[collector]\nurls = [\"https://c.example:7443\"]\n{toml}");
        let config = Config::from_texts(&[(PathBuf::from("agent.toml"), text)]).unwrap();
        let homes = ["/home/app", "/usr/sbin", "/", "/var/lib/jenkins"].map(PathBuf::from);
        WatchSet::new(
            &config,
            &homes,
            vec![PathBuf::from("/var/lib/akwatch-agent")],
        )
        .unwrap()
    }

    fn check(toml: &str, path: &str, expected: Covered) {
        assert_eq!(
            set(toml).covers(Path::new(path)),
            expected,
            "{path} with {toml:?}"
        );
    }

    #[test]
    fn taking_away_outranks_adding_and_denial_outranks_all() {
        check("", "/home/app/.env", Covered::Yes);
        check("", "/var/lib/jenkins/credentials.xml", Covered::Yes);
        check("", "/usr/bin/ls", Covered::Outside);
        check("", "/var/lib/akwatch-agent/ledger.redb", Covered::Own);
        check(
            "[watch]\ninclude = [\"/mnt/x/**\"]",
            "/mnt/x/a/b.yml",
            Covered::Yes,
        );
        check(
            "[watch]\ninclude = [\"/mnt/x/**\"]\nexclude = [\"/mnt/x/a\"]",
            "/mnt/x/a/b.yml",
            Covered::Excluded,
        );
        check(
            "[watch]\nexclude = [\"/etc\"]\n[deny]\npaths = [\"/etc/shadow\"]",
            "/etc/shadow",
            Covered::Denied,
        );
    }

    #[test]
    fn roots_do_not_lie_in_one_another_and_named_ones_come_first() {
        let roots = set("[watch]\ninclude = [\"/mnt/x/*/app.yml\", \"/etc/app.yml\"]").roots();
        assert_eq!(roots[0], Path::new("/mnt/x"));
        assert_eq!(roots[1], Path::new("/home/app"));
        assert!(!roots.contains(&PathBuf::from("/etc/app.yml")));
        assert!(roots.contains(&PathBuf::from("/home")));
        assert!(!roots.contains(&PathBuf::from("/")));
    }

    #[test]
    fn bulk_and_histories_are_known_by_name() {
        assert!(is_bulk(Path::new("/srv/app/node_modules")));
        assert!(is_bulk(Path::new("/srv/app/.git/objects")));
        assert!(!is_bulk(Path::new("/srv/objects")));
        assert!(is_history_name(Path::new("/root/.bash_history")));
        assert!(!is_history_name(Path::new("/root/history.txt")));
    }
}
