//! What real writes, renames and removals make the inotify sensor say.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use crossbeam_channel::{Receiver, unbounded};

use super::*;

const DEADLINE: Duration = Duration::from_secs(180);

struct Watched {
    directory: tempfile::TempDir,
    said: Receiver<Sensed>,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watched {
    fn new() -> Watched {
        Watched::with(WATCHES, |_| ())
    }

    fn with(limit: usize, before: impl FnOnce(&Path)) -> Watched {
        Watched::beside(&Marks::new().unwrap(), limit, before)
    }

    fn beside(marks: &Marks, limit: usize, before: impl FnOnce(&Path)) -> Watched {
        let directory = tempfile::tempdir().unwrap();
        before(directory.path());
        let own = directory.path().join("own");
        let set = WatchSet::of_trees(vec![directory.path().to_owned()], vec![own]);
        let (out, said) = unbounded();
        let stop = Stop::new().unwrap();
        let host = Arc::new(Root::live().unwrap());
        let files = Files::new(host, set, marks.clone(), limit, out, stop.clone()).unwrap();
        let thread = Some(std::thread::spawn(move || files.run()));
        let watched = Watched {
            directory,
            said,
            stop,
            thread,
        };
        watched.status();
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn status(&self) -> Status {
        loop {
            if let Sensed::Status(status) = self.said.recv_timeout(DEADLINE).unwrap() {
                return status;
            }
        }
    }

    /// Waits until every one of `names` was named as a target, and says what else was.
    fn expect(&self, names: &[&str]) -> HashSet<PathBuf> {
        let mut missing: HashSet<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let mut others = HashSet::new();
        let until = Instant::now() + DEADLINE;
        while !missing.is_empty() {
            let said = self.said.recv_deadline(until);
            let Ok(said) = said else {
                panic!("never named: {missing:?}")
            };
            let Sensed::Targets(targets) = said else {
                continue;
            };
            for target in targets {
                let TargetPlace::File(path) = target.what else {
                    panic!("no file")
                };
                if !missing.remove(&path) {
                    others.insert(path);
                }
            }
        }
        others
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Where every filesystem is marked, only histories are this rung's business.
#[test]
fn a_history_that_stays_open_is_watched_once_somebody_has_seen_it() {
    let marks = Marks::new().unwrap();
    let device = std::fs::metadata(std::env::temp_dir()).unwrap().dev();
    marks.set(BTreeSet::from([device]));
    let watched = Watched::beside(&marks, WATCHES, |_| ());
    let path = watched.path(".mysql_history");
    let mut open = fs::File::create(&path).unwrap();
    marks.history(&path);
    watched.expect(&[".mysql_history"]);
    writeln!(open, "set password").unwrap();
    watched.expect(&[".mysql_history"]);
}

#[test]
fn a_closed_write_names_the_file_and_nothing_else() {
    let watched = Watched::new();
    fs::write(watched.path(".env"), "A=1").unwrap();
    assert!(watched.expect(&[".env"]).is_empty());
}

#[test]
fn an_atomic_save_names_the_target() {
    let watched = Watched::new();
    fs::write(watched.path("a.tmp"), "A=1").unwrap();
    fs::rename(watched.path("a.tmp"), watched.path("a")).unwrap();
    watched.expect(&["a", "a.tmp"]);
}

#[test]
fn removal_and_hard_links_and_modes_are_named() {
    let watched = Watched::new();
    fs::write(watched.path("a"), "A=1").unwrap();
    watched.expect(&["a"]);
    fs::hard_link(watched.path("a"), watched.path("b")).unwrap();
    watched.expect(&["b"]);
    fs::remove_file(watched.path("a")).unwrap();
    watched.expect(&["a"]);
}

#[test]
fn a_new_tree_is_walked_whenever_its_files_came() {
    let watched = Watched::new();
    fs::create_dir_all(watched.path("x/y/z")).unwrap();
    fs::write(watched.path("x/y/z/early"), "A=1").unwrap();
    watched.expect(&["x/y/z/early"]);
    fs::write(watched.path("x/y/z/late"), "A=1").unwrap();
    watched.expect(&["x/y/z/late"]);
}

#[test]
fn a_renamed_directory_leaves_its_path_and_its_files_are_named_under_the_new_one() {
    let watched = Watched::new();
    fs::create_dir_all(watched.path("old/deep")).unwrap();
    fs::write(watched.path("old/deep/a"), "A=1").unwrap();
    watched.expect(&["old/deep/a"]);
    fs::rename(watched.path("old"), watched.path("new")).unwrap();
    let mut left = None;
    let until = Instant::now() + DEADLINE;
    while left.is_none() {
        match watched.said.recv_deadline(until).unwrap() {
            Sensed::Left(path) => left = Some(path),
            _ => continue,
        }
    }
    assert_eq!(left, Some(watched.path("old")));
    watched.expect(&["new/deep/a"]);
    fs::write(watched.path("new/deep/b"), "A=1").unwrap();
    watched.expect(&["new/deep/b"]);
}

#[test]
fn a_history_is_named_while_it_is_still_open() {
    let watched = Watched::with(WATCHES, |directory| {
        fs::write(directory.join(".bash_history"), "ls\n").unwrap();
    });
    let mut history = fs::OpenOptions::new()
        .append(true)
        .open(watched.path(".bash_history"))
        .unwrap();
    history.write_all(b"pwd\n").unwrap();
    watched.expect(&[".bash_history"]);
}

#[test]
fn a_name_that_is_no_text_arrives_as_it_is() {
    let watched = Watched::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff\x1b[2J");
    fs::write(watched.directory.path().join(name), "A=1").unwrap();
    let until = Instant::now() + DEADLINE;
    loop {
        if let Sensed::Targets(targets) = watched.said.recv_deadline(until).unwrap() {
            let expected = watched.directory.path().join(name);
            assert_eq!(targets, [live(expected)]);
            return;
        }
    }
}

#[test]
fn the_agents_own_directory_is_never_named() {
    let watched = Watched::new();
    fs::create_dir(watched.path("own")).unwrap();
    fs::write(watched.path("own/ledger"), "x").unwrap();
    fs::write(watched.path("after"), "x").unwrap();
    let others = watched.expect(&["after"]);
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn directories_without_a_watch_are_counted_and_named() {
    let watched = Watched::with(3, |directory| {
        for n in 0..10 {
            fs::create_dir(directory.join(n.to_string())).unwrap();
        }
    });
    fs::create_dir(watched.path("one-more")).unwrap();
    let status = watched.status();
    let gap = &status.not_watched[0];
    assert_eq!((gap.why, gap.count), ("watch-limit", 9));
    assert!(gap.example.is_some());
}

#[test]
fn twenty_thousand_writes_are_all_named_or_the_overflow_is_said() {
    let watched = Watched::new();
    let names: Vec<String> = (0..20_000).map(|n| format!("f{n}")).collect();
    for name in &names {
        fs::write(watched.path(name), "A=1").unwrap();
    }
    let mut missing: HashSet<PathBuf> = names.iter().map(|name| watched.path(name)).collect();
    let until = Instant::now() + DEADLINE;
    while !missing.is_empty() {
        match watched.said.recv_deadline(until).unwrap() {
            Sensed::Targets(targets) => {
                for target in targets {
                    let TargetPlace::File(path) = target.what else {
                        panic!("no file")
                    };
                    missing.remove(&path);
                }
            }
            Sensed::Overflowed => return,
            _ => {}
        }
    }
}
