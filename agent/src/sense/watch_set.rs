//! Which paths of this host are watched, and in which order.
//!
//! The built-in set is every home and what the table of places names; an operator adds patterns and
//! takes paths away. Taking away outranks adding, and what a host denies outranks everything. The
//! agent's own directories are always out: a watcher that reads what it writes never stops.

use std::path::{Path, PathBuf};

use akwatch_detect::places::{self, WatchEntry};

use crate::config::{Config, GlobSet, WrongWord};
use crate::host::mounts::{Mounts, SkipWhy};

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
    /// Trees of which everything is watched.
    trees: Vec<PathBuf>,
    /// Patterns, and the directories that lead to what they cover.
    patterns: Vec<&'static WatchEntry>,
    include: GlobSet,
    bases: Vec<PathBuf>,
    named: Vec<PathBuf>,
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
        let absolute = places::watch_set().iter().filter(|entry| !entry.in_home());
        let (whole, patterns): (Vec<_>, Vec<_>) = absolute.partition(|entry| is_tree(entry));
        let mut trees = homes.clone();
        trees.extend(whole.iter().map(|entry| PathBuf::from(entry.base())));
        let bases = patterns
            .iter()
            .map(|entry| PathBuf::from(entry.base()))
            .collect();
        let include = &config.watch.include;
        Ok(WatchSet {
            trees: outermost_in_order(&trees),
            patterns,
            bases,
            named: include.iter().flat_map(|glob| glob.bases(&homes)).collect(),
            include: GlobSet::new(include, &homes)?,
            exclude: GlobSet::new(&config.watch.exclude, &homes)?,
            deny: GlobSet::new(&config.deny.paths, &homes)?,
            scans: config.first_scan.paths.clone(),
            own,
        })
    }

    /// Exactly these trees, for tests and for hosts that are told so.
    #[must_use]
    pub fn of_trees(trees: Vec<PathBuf>, own: Vec<PathBuf>) -> WatchSet {
        let none = || GlobSet::new([], &[]).expect("invariant: no pattern compiles");
        WatchSet {
            trees,
            patterns: Vec::new(),
            include: none(),
            bases: Vec::new(),
            named: Vec::new(),
            exclude: none(),
            deny: none(),
            own,
            scans: Vec::new(),
        }
    }

    /// The directories to walk, in order: what an operator named, homes, the table's. None lies
    /// inside an earlier one.
    #[must_use]
    pub fn roots(&self) -> Vec<PathBuf> {
        outermost_in_order(self.named.iter().chain(&self.trees).chain(&self.bases))
    }

    /// What the scans read: the roots, then what the configuration adds for scans alone.
    #[must_use]
    pub fn scan_roots(&self) -> Vec<PathBuf> {
        let roots = self.roots();
        outermost_in_order(roots.iter().chain(&self.scans))
    }

    /// Whether `path` is looked at.
    pub fn covers(&self, path: &Path) -> Covered {
        if let Some(taken) = self.taken_away(path) {
            return taken;
        }
        let raw = path.as_os_str().as_encoded_bytes();
        let covered = self
            .trees
            .iter()
            .chain(&self.scans)
            .any(|tree| path.starts_with(tree))
            || self.include.covers(path)
            || self.patterns.iter().any(|entry| entry.covers(raw));
        if covered {
            Covered::Yes
        } else {
            Covered::Outside
        }
    }

    /// Whether a walker may enter the directory `path`: it is watched, or leads to what is.
    pub fn enters(&self, path: &Path) -> Covered {
        match self.covers(path) {
            Covered::Outside
                if self
                    .named
                    .iter()
                    .chain(&self.bases)
                    .any(|base| path.starts_with(base)) =>
            {
                Covered::Yes
            }
            covered => covered,
        }
    }

    /// Why a walk does not begin at `root`: it lies on a filesystem that is not read unless a person
    /// names it. A second name of a tree is where it is asked for.
    #[must_use]
    pub fn skips_root(&self, root: &Path, mounts: &Mounts) -> Option<SkipWhy> {
        let named = || self.named().iter().any(|named| named == root);
        match mounts.skipped_around(root)? {
            SkipWhy::Bind => None,
            SkipWhy::Pseudo => Some(SkipWhy::Pseudo),
            _ if named() => None,
            why => Some(why),
        }
    }

    /// What a person named, to be watched or scanned: there the agent goes wherever it lies.
    #[must_use]
    pub fn named(&self) -> Vec<PathBuf> {
        self.named.iter().chain(&self.scans).cloned().collect()
    }

    fn taken_away(&self, path: &Path) -> Option<Covered> {
        if self.own.iter().any(|own| path.starts_with(own)) {
            Some(Covered::Own)
        } else if self.deny.covers(path) {
            Some(Covered::Denied)
        } else if self.exclude.covers(path) {
            Some(Covered::Excluded)
        } else {
            None
        }
    }
}

/// Whether an entry is a whole tree: `/etc/**`.
fn is_tree(entry: &WatchEntry) -> bool {
    entry.glob.strip_suffix("/**") == Some(entry.base())
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

/// Whether a file is kept open and appended to, so that its changes are seen without waiting for it
/// to be closed.
#[must_use]
pub fn is_history(file: &Path) -> bool {
    places::is_history(file.as_os_str().as_encoded_bytes()).is_some()
}

fn is_home(home: &Path) -> bool {
    let system = NO_HOMES.iter().any(|no| home == Path::new(no));
    let in_system = ["/usr", "/proc", "/sys", "/dev", "/bin", "/sbin"]
        .iter()
        .any(|no| home.starts_with(no) && !home.starts_with("/usr/local"));
    home.is_absolute() && !system && !in_system
}

fn outermost_in_order<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
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
        assert_eq!(roots[1], Path::new("/etc/app.yml"));
        assert_eq!(roots[2], Path::new("/home/app"));
        assert!(roots.contains(&PathBuf::from("/home")));
        assert!(roots.contains(&PathBuf::from("/etc")));
        assert!(!roots.contains(&PathBuf::from("/")));
    }

    #[test]
    fn a_home_on_another_hosts_disk_is_read_only_when_named() {
        let mounts = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / /home rw - nfs4 server:/home rw\n\
              3 1 0:10 / /mnt/x rw - fuse.sshfs x rw\n4 1 0:11 / /proc rw - proc proc rw\n",
        );
        let skips = |toml: &str, root: &str| set(toml).skips_root(Path::new(root), &mounts);
        assert_eq!(skips("", "/home/app"), Some(SkipWhy::Network));
        assert_eq!(skips("", "/var/lib/jenkins"), None);
        let named = "[watch]\ninclude = [\"/mnt/x/**\", \"/proc/**\"]";
        assert_eq!(skips(named, "/mnt/x"), None);
        assert_eq!(skips(named, "/proc"), Some(SkipWhy::Pseudo));
        assert_eq!(skips("[first_scan]\npaths = [\"/home\"]", "/home"), None);
    }

    #[test]
    fn patterns_of_the_table_cover_what_they_name_and_are_walked_to() {
        check("", "/data/shop/application.yml", Covered::Yes);
        check("", "/data/shop/table.ibd", Covered::Outside);
        assert_eq!(set("").enters(Path::new("/data/shop")), Covered::Yes);
    }

    #[test]
    fn bulk_and_histories_are_known_by_name() {
        assert!(is_bulk(Path::new("/srv/app/node_modules")));
        assert!(is_bulk(Path::new("/srv/app/.git/objects")));
        assert!(!is_bulk(Path::new("/srv/objects")));
        assert!(is_history(Path::new("/root/.bash_history")));
        assert!(!is_history(Path::new("/root/history.txt")));
    }
}
