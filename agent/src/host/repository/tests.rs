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
        self.opener_that_denies(&[])
    }

    fn opener_that_denies(&self, globs: &[crate::config::Glob]) -> Opener {
        let root = Root::at(self.directory.path()).unwrap();
        let denied = GlobSet::new(globs, &[]).unwrap();
        Opener::new(std::sync::Arc::new(root), denied)
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

/// What a repository's owner writes there costs a few open directories, and leads nowhere that the host
/// has denied.
#[test]
fn alternates_are_few_and_none_that_is_denied() {
    let host = Host::new();
    let mut lines = String::new();
    for number in 0..ALTERNATES * 2 {
        fs::create_dir_all(host.directory.path().join(format!("alt/{number}"))).unwrap();
        // The same again under another name is no further one.
        lines += &format!("/alt/{number}\n/alt/./{number}\n");
    }
    fs::create_dir_all(host.path("objects/info")).unwrap();
    fs::write(
        host.path("objects/info/alternates"),
        &lines[..LINE.min(lines.len())],
    )
    .unwrap();
    let paths = |repository: &Repository| -> Vec<PathBuf> {
        let objects = repository.objects.iter();
        objects.skip(1).map(|(path, _)| path.clone()).collect()
    };
    let first = |numbers: std::ops::Range<usize>| -> Vec<PathBuf> {
        numbers
            .map(|n| PathBuf::from(format!("/alt/{n}")))
            .collect()
    };
    assert_eq!(paths(&host.open()), first(0..OBJECTS - 1));
    let location = Location {
        top: PathBuf::from("/app"),
        work_tree: true,
    };
    let denied = crate::config::Glob::try_from("/alt/0".to_owned()).unwrap();
    let opener = host.opener_that_denies(&[denied]);
    let repository = Repository::open(&opener, &location).unwrap();
    assert_eq!(paths(&repository), first(1..OBJECTS));
}
