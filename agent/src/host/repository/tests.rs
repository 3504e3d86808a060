//! What a repository on disk may cost the watcher, and what is said of one that costs more.

use std::fs;

use super::*;
use crate::config::GlobSet;

/// A host with one repository, as bare as it can be.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        // In memory where the host has that: some of these have very many directories.
        let memory = tempfile::tempdir_in("/dev/shm");
        let host = Host {
            directory: memory.or_else(|_| tempfile::tempdir()).unwrap(),
        };
        for name in ["objects", "refs/heads"] {
            fs::create_dir_all(host.path(name)).unwrap();
        }
        fs::write(host.path("HEAD"), "ref: refs/heads/main\n").unwrap();
        host
    }

    /// Of a name in the repository.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("app/.git").join(name)
    }

    fn opener(&self) -> Opener {
        let root = Root::at(self.directory.path()).unwrap();
        let none = GlobSet::new([], &[]).unwrap();
        Opener::new(std::sync::Arc::new(root), none)
    }

    fn open(&self) -> Repository {
        let location = Location {
            top: PathBuf::from("/app"),
            work_tree: true,
        };
        Repository::open(&self.opener(), &location).unwrap()
    }
}

#[test]
fn names_without_end_are_cut_and_the_list_says_so() {
    let host = Host::new();
    assert!(host.open().whole);
    let deep = vec!["d".repeat(240); DEPTH - 2].join("/");
    let deep = host.path(&format!("refs/{deep}"));
    fs::create_dir_all(&deep).unwrap();
    for number in 0..=NAMES / (240 * (DEPTH - 2)) {
        fs::write(deep.join(number.to_string()), "").unwrap();
    }
    let repository = host.open();
    let names: usize = repository.files().iter().map(Vec::len).sum();
    assert!(names <= NAMES && names > NAMES / 2, "{names}");
    assert!(!repository.whole);
}

#[test]
fn directories_without_files_are_counted_too() {
    let host = Host::new();
    for above in 0..=ENTRIES / 1000 {
        for number in 0..1000 {
            let name = format!("refs/heads/{above}/{number}");
            fs::create_dir_all(host.path(&name)).unwrap();
        }
    }
    let repository = host.open();
    assert!(!repository.whole);
    assert!(repository.entries <= ENTRIES, "{}", repository.entries);
}
