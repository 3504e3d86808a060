//! What real repositories, made by `git` itself, say of the secrets in them; and hostile ones.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by ending

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use akwatch_detect::Source;
use akwatch_detect::repository::{Ask, ObjectId, Step, Trace, Traced, Tracer, Wanted};
use akwatch_proto::git::{PushState, UntracedWhy};

const SECRET: &str = "key=Vb7nQ2xR9sTkLw4m";
const OTHER: &str = "key=Hy5pZ8cD3fGjNa6u";

/// A directory in which `git` is at home, its clock one minute on with every command.
struct Bench {
    directory: tempfile::TempDir,
    clock: std::cell::Cell<i64>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            directory: tempfile::tempdir().unwrap(),
            clock: std::cell::Cell::new(1_700_000_000),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn git(&self, within: &str, arguments: &[&str]) -> String {
        self.clock.set(self.clock.get() + 60);
        let date = format!("{} +0000", self.clock.get());
        let done = Command::new("git")
            .args([
                "-c",
                "protocol.file.allow=always",
                "-c",
                "init.defaultBranch=main",
            ])
            .args([
                "-c",
                "gc.auto=0",
                "-c",
                "user.name=N",
                "-c",
                "user.email=n@x.example",
            ])
            .args(arguments)
            .current_dir(self.path(within))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// A new repository `app` with one commit, and a bare `hub.git` that is its `origin`.
    fn app_with_remote() -> Bench {
        let bench = Bench::app();
        bench.git(".", &["init", "-q", "--bare", "hub.git"]);
        bench.git("app", &["remote", "add", "origin", "../hub.git"]);
        bench
    }

    fn app() -> Bench {
        let bench = Bench::new();
        bench.git(".", &["init", "-q", "app"]);
        bench.write("app/README", "a");
        bench.commit("app");
        bench
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits everything; its id and date.
    fn commit(&self, within: &str) -> (String, i64) {
        self.git(within, &["add", "-A"]);
        self.git(within, &["commit", "-q", "--allow-empty", "-m", "c"]);
        let date = self.clock.get();
        (self.git(within, &["rev-parse", "HEAD"]), date)
    }

    fn trace(&self, git_directory: &str, wanted: &[Wanted]) -> Traced {
        Drive::of(&self.path(git_directory)).run(wanted, &[SECRET, OTHER])
    }

    /// What is said of [`SECRET`] in a file of the work tree `app`.
    fn file(&self, path: &str) -> Trace {
        let wanted = Wanted::Path {
            path: path.into(),
            secrets: 1,
        };
        self.trace("app/.git", &[wanted]).traces[0][0].clone()
    }

    fn object(&self, id: &str) -> Trace {
        let wanted = Wanted::Object(ObjectId::parse(id.as_bytes()).unwrap());
        self.trace("app/.git", &[wanted]).traces[0][0].clone()
    }
}

/// Does for a tracer what the watcher does.
struct Drive {
    directory: PathBuf,
    names: Vec<Vec<u8>>,
    steps: u64,
}

impl Drive {
    fn of(directory: &Path) -> Drive {
        let mut names = Vec::new();
        for name in ["HEAD", "config", "packed-refs", "shallow"] {
            if directory.join(name).is_file() {
                names.push(name.to_owned());
            }
        }
        for below in ["refs", "logs"] {
            below_of(directory, below, &mut names);
        }
        let mut packs = Vec::new();
        below_of(directory, "objects/pack", &mut packs);
        for index in packs.iter().filter(|name| name.ends_with(".idx")) {
            names.push(index.clone());
            names.push(index.replace(".idx", ".pack"));
        }
        Drive {
            directory: directory.to_owned(),
            names: names.into_iter().map(String::into_bytes).collect(),
            steps: 0,
        }
    }

    fn run(&mut self, wanted: &[Wanted], secrets: &[&str]) -> Traced {
        let mut tracer = Tracer::new(self.names.clone(), true, wanted);
        loop {
            self.steps += 1;
            assert!(self.steps < 10_000_000, "it does not end");
            match tracer.step() {
                Step::More => {}
                Step::Ask(ask) => {
                    let name = match ask {
                        Ask::File(file) => {
                            String::from_utf8(self.names[file as usize].clone()).unwrap()
                        }
                        Ask::Loose(id) => {
                            let id = id.to_hex();
                            format!("objects/{}/{}", &id[..2], &id[2..])
                        }
                    };
                    let file = fs::read(self.directory.join(name)).ok();
                    tracer.give(file.map(|bytes| Box::new(bytes) as Box<dyn Source>));
                }
                Step::Scan { content, .. } => {
                    let text = String::from_utf8_lossy(&content).into_owned();
                    let holds = secrets.iter().map(|secret| text.contains(secret));
                    tracer.scanned(holds.collect());
                }
                Step::Done => return tracer.finish(),
            }
        }
    }
}

fn below_of(directory: &Path, below: &str, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory.join(below)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            below_of(directory, &name, names);
        } else {
            names.push(name);
        }
    }
}

fn check(
    trace: &Trace,
    state: PushState,
    why: Option<UntracedWhy>,
    commit: Option<&(String, i64)>,
) {
    assert_eq!((trace.state, trace.why), (state, why), "{trace:?}");
    let named = trace.commit.map(ObjectId::to_hex).zip(trace.authored);
    assert_eq!(named.as_ref(), commit, "{trace:?}");
}

fn pushed(trace: &Trace, commit: &(String, i64)) {
    check(trace, PushState::Pushed, None, Some(commit));
    assert_eq!(trace.reached, [0]);
}

fn not_pushed(trace: &Trace, commit: Option<&(String, i64)>) {
    check(trace, PushState::NotPushed, None, commit);
    assert!(trace.reached.is_empty());
}

fn unknown(trace: &Trace, why: UntracedWhy, commit: Option<&(String, i64)>) {
    check(trace, PushState::Unknown, Some(why), commit);
}

#[test]
fn what_is_not_committed_is_not_pushed() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", SECRET);
    not_pushed(&bench.file(".env"), None);
    bench.git("app", &["add", ".env"]);
    not_pushed(&bench.file(".env"), None);
}

#[test]
fn a_commit_is_not_pushed_until_it_is() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/conf/app/.env", SECRET);
    let brought = bench.commit("app");
    not_pushed(&bench.file("conf/app/.env"), Some(&brought));
    bench.write("app/conf/app/.env", &format!("A=1\n{SECRET}"));
    bench.commit("app");
    bench.write("app/other", "b");
    bench.commit("app");
    not_pushed(&bench.file("conf/app/.env"), Some(&brought));
    bench.git("app", &["push", "-q", "origin", "main"]);
    pushed(&bench.file("conf/app/.env"), &brought);
    bench.git("app", &["gc", "-q"]);
    pushed(&bench.file("conf/app/.env"), &brought);
}

#[test]
fn an_edit_of_the_work_tree_changes_nothing_about_what_was_pushed() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", &format!("NEW=1\n{SECRET}\n"));
    pushed(&bench.file(".env"), &brought);
}

#[test]
fn another_secret_in_a_pushed_file_is_told_apart() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    let first = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", &format!("{SECRET}\n{OTHER}\n"));
    let second = bench.commit("app");
    let wanted = Wanted::Path {
        path: b".env".to_vec(),
        secrets: 2,
    };
    let traced = bench.trace("app/.git", &[wanted]);
    pushed(&traced.traces[0][0], &first);
    not_pushed(&traced.traces[0][1], Some(&second));
}

#[test]
fn what_a_later_commit_removed_and_what_is_ignored_by_now_was_pushed_all_the_same() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    let blob = bench.git("app", &["rev-parse", "HEAD:.env"]);
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("app", &["rm", "-q", "--cached", ".env"]);
    bench.write("app/.gitignore", ".env");
    bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    pushed(&bench.file(".env"), &brought);
    let object = bench.object(&blob);
    pushed(&object, &brought);
    assert_eq!(object.path.as_deref(), Some(&b".env"[..]));
    bench.git("app", &["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    pushed(&bench.object(&blob), &brought);
}

#[test]
fn a_secret_that_came_back_is_named_by_its_last_coming() {
    let bench = Bench::app();
    bench.write("app/.env", SECRET);
    bench.commit("app");
    bench.write("app/.env", "A=1");
    bench.commit("app");
    bench.write("app/.env", &format!("B=1\n{SECRET}"));
    let again = bench.commit("app");
    not_pushed(&bench.file(".env"), Some(&again));
}

#[test]
fn a_merge_is_followed_to_the_side_that_brought_it() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["checkout", "-q", "-b", "side"]);
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["checkout", "-q", "main"]);
    bench.write("app/x", "x");
    bench.commit("app");
    bench.git("app", &["merge", "-q", "--no-edit", "side"]);
    bench.git("app", &["push", "-q", "origin", "main"]);
    pushed(&bench.file(".env"), &brought);
}

#[test]
fn a_stash_is_not_pushed_and_its_commit_is_named() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", "A=1");
    bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", SECRET);
    let blob = bench.git("app", &["hash-object", "-w", ".env"]);
    bench.git("app", &["stash", "-q"]);
    let stash = bench.git("app", &["rev-parse", "refs/stash"]);
    let trace = bench.object(&blob);
    assert_eq!(trace.state, PushState::NotPushed);
    assert_eq!(trace.commit.unwrap().to_hex(), stash);
    // A second one above it: the first is only in the log of the stash.
    bench.write("app/.env", OTHER);
    bench.git("app", &["stash", "-q"]);
    assert_eq!(bench.object(&blob).state, PushState::NotPushed);
}

#[test]
fn what_was_pushed_and_rewritten_is_pushed_by_the_word_of_the_refs_log() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    let blob = bench.git("app", &["rev-parse", "HEAD:.env"]);
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", "A=1");
    bench.git("app", &["commit", "-q", "-a", "--amend", "-m", "clean"]);
    bench.git("app", &["push", "-q", "-f", "origin", "main"]);
    pushed(&bench.object(&blob), &brought);
    bench.write("app/.env", SECRET);
    pushed(&bench.file(".env"), &brought);
    // Without that log nobody knows.
    fs::remove_dir_all(bench.path("app/.git/logs/refs/remotes")).unwrap();
    unknown(
        &bench.object(&blob),
        UntracedWhy::Unreferenced,
        Some(&brought),
    );
    fs::remove_dir_all(bench.path("app/.git/logs")).unwrap();
    unknown(&bench.object(&blob), UntracedWhy::Unreferenced, None);
}

#[test]
fn a_branch_whose_upstream_is_gone_and_a_tag_are_unknown() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("app", &["checkout", "-q", "-b", "feature"]);
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["push", "-q", "-u", "origin", "feature"]);
    pushed(&bench.file(".env"), &brought);
    bench.git("hub.git", &["branch", "-q", "-D", "feature"]);
    bench.git("app", &["fetch", "-q", "--prune"]);
    unknown(
        &bench.file(".env"),
        UntracedWhy::UpstreamGone,
        Some(&brought),
    );
    bench.git("app", &["tag", "v1"]);
    bench.git("app", &["tag", "-a", "-m", "t", "v2"]);
    bench.git("app", &["checkout", "-q", "main"]);
    bench.git("app", &["branch", "-q", "-D", "feature"]);
    unknown(&bench.file(".env"), UntracedWhy::OtherRef, Some(&brought));
}

#[test]
fn without_any_remote_nothing_is_pushed() {
    let bench = Bench::app();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["tag", "v1"]);
    not_pushed(&bench.file(".env"), Some(&brought));
}

#[test]
fn a_shallow_clone_knows_what_was_pushed_and_not_what_was_not() {
    let bench = Bench::app_with_remote();
    bench.write("app/old.env", SECRET);
    bench.commit("app");
    bench.git("app", &["rm", "-q", "old.env"]);
    bench.commit("app");
    bench.write("app/.env", SECRET);
    let newest = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    let hub = format!("file://{}", bench.path("hub.git").display());
    bench.git(".", &["clone", "-q", "--depth", "1", &hub, "flat"]);
    let of = |path: &str| {
        let wanted = Wanted::Path {
            path: path.into(),
            secrets: 1,
        };
        bench.trace("flat/.git", &[wanted]).traces[0][0].clone()
    };
    pushed(&of(".env"), &newest);
    unknown(&of("old.env"), UntracedWhy::Shallow, None);
}

#[test]
fn a_partial_clone_lacks_objects_and_is_unknown() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    bench.commit("app");
    bench.write("app/.env", "A=1");
    bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("hub.git", &["config", "uploadpack.allowFilter", "true"]);
    let hub = format!("file://{}", bench.path("hub.git").display());
    bench.git(".", &["clone", "-q", "--filter=blob:none", &hub, "thin"]);
    let wanted = Wanted::Path {
        path: b".env".to_vec(),
        secrets: 1,
    };
    let traced = bench.trace("thin/.git", &[wanted]);
    unknown(&traced.traces[0][0], UntracedWhy::Missing, None);
}

#[test]
fn remotes_that_leave_no_trace_and_bare_repositories_are_unknown() {
    let bench = Bench::app();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git(".", &["init", "-q", "--bare", "hub.git"]);
    bench.git(
        "app",
        &["remote", "add", "--mirror=push", "hub", "../hub.git"],
    );
    bench.git("app", &["push", "-q", "hub"]);
    unknown(&bench.file(".env"), UntracedWhy::Untracked, Some(&brought));
    let blob = bench.git("app", &["rev-parse", "HEAD:.env"]);
    let wanted = || [Wanted::Object(ObjectId::parse(blob.as_bytes()).unwrap())];
    let traced = bench.trace("hub.git", &wanted());
    unknown(&traced.traces[0][0], UntracedWhy::Untracked, Some(&brought));
    // A mirror's own refs are the remote's.
    bench.git(".", &["clone", "-q", "--mirror", "hub.git", "mirror.git"]);
    pushed(&bench.trace("mirror.git", &wanted()).traces[0][0], &brought);
}

#[test]
fn of_several_remotes_the_one_that_has_it_is_named_without_its_credential() {
    let bench = Bench::app_with_remote();
    bench.git(".", &["init", "-q", "--bare", "second.git"]);
    let url = "https://oauth2:Tr4n5m1tT3dN3v3r@git.example.org/acme/app.git";
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("app", &["remote", "add", "backup", "../second.git"]);
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["push", "-q", "backup", "main"]);
    bench.git("app", &["remote", "set-url", "backup", url]);
    let wanted = Wanted::Path {
        path: b".env".to_vec(),
        secrets: 1,
    };
    let traced = bench.trace("app/.git", &[wanted]);
    check(
        &traced.traces[0][0],
        PushState::Pushed,
        None,
        Some(&brought),
    );
    let reached = traced.traces[0][0].reached.iter();
    let names: Vec<_> = reached.map(|at| traced.remotes[*at].clone()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].name.as_deref(), Some(&b"backup"[..]));
    let address = names[0].address.as_deref();
    assert_eq!(address, Some(&b"git.example.org/acme/app"[..]));
    assert!(!format!("{traced:?}").contains("Tr4n5m1tT3dN3v3r"));
}

#[test]
fn a_remote_that_was_removed_leaves_nothing_and_one_without_url_its_name() {
    let bench = Bench::app_with_remote();
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("app", &["config", "--remove-section", "remote.origin"]);
    let wanted = Wanted::Path {
        path: b".env".to_vec(),
        secrets: 1,
    };
    let traced = bench.trace("app/.git", &[wanted]);
    pushed(&traced.traces[0][0], &brought);
    assert_eq!(traced.remotes[0].name.as_deref(), Some(&b"origin"[..]));
    assert_eq!(traced.remotes[0].address, None);
}

#[test]
fn a_secret_in_a_commits_own_text_is_that_commits() {
    let bench = Bench::app_with_remote();
    let first = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    let second = bench.commit("app");
    pushed(&bench.object(&first.0), &first);
    not_pushed(&bench.object(&second.0), Some(&second));
}

#[test]
fn other_formats_are_unknown() {
    let bench = Bench::new();
    bench.git(".", &["init", "-q", "--object-format=sha256", "app"]);
    bench.write("app/.env", SECRET);
    bench.commit("app");
    unknown(&bench.file(".env"), UntracedWhy::Unsupported, None);
}

#[test]
fn a_long_history_in_packs_and_loose_is_walked_to_its_end() {
    let bench = Bench::app_with_remote();
    bench.write("app/deep/.env", SECRET);
    let brought = bench.commit("app");
    for number in 0..60 {
        bench.write("app/deep/.env", &format!("N={number}\n{SECRET}\n"));
        bench.write(&format!("app/deep/er/{number}"), "x");
        bench.commit("app");
        if number == 30 {
            bench.git("app", &["repack", "-q", "-a", "-d"]);
        }
    }
    not_pushed(&bench.file("deep/.env"), Some(&brought));
    bench.git("app", &["push", "-q", "origin", "main"]);
    pushed(&bench.file("deep/.env"), &brought);
}

/// A forged object is one whose content is not what its name says.
#[test]
fn forged_and_damaged_objects_are_missing_ones() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.write("app/.env", SECRET);
    let brought = bench.commit("app");
    not_pushed(&bench.file(".env"), Some(&brought));
    let parent = bench.git("app", &["rev-parse", "HEAD~1"]);
    let loose = |id: &str| bench.path(&format!("app/.git/objects/{}/{}", &id[..2], &id[2..]));
    let (own, before) = (loose(&brought.0), loose(&parent));
    fs::remove_file(&before).unwrap();
    fs::copy(&own, &before).unwrap(); // its own parent: a circle, were it believed
    unknown(&bench.file(".env"), UntracedWhy::Missing, Some(&brought));
    fs::remove_file(&before).unwrap();
    fs::write(&before, b"x\x9c not zlib").unwrap();
    unknown(&bench.file(".env"), UntracedWhy::Missing, Some(&brought));
}

#[test]
fn packs_cut_anywhere_or_changed_anywhere_end_and_never_say_not_pushed() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    for number in 0..12 {
        bench.write(
            "app/.env",
            &format!("{number}{number}\n{SECRET}\n{}", "y".repeat(300)),
        );
        bench.commit("app");
    }
    bench.git("app", &["push", "-q", "origin", "main"]);
    bench.git("app", &["repack", "-q", "-a", "-d", "-f"]);
    let packs = fs::read_dir(bench.path("app/.git/objects/pack")).unwrap();
    for entry in packs.map(|entry| entry.unwrap().path()) {
        if !matches!(
            entry.extension().and_then(|e| e.to_str()),
            Some("pack" | "idx")
        ) {
            continue;
        }
        let whole = fs::read(&entry).unwrap();
        let mut permissions = fs::metadata(&entry).unwrap().permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test")]
        permissions.set_readonly(false);
        fs::set_permissions(&entry, permissions).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            fs::write(&entry, &changed).unwrap();
            assert_ne!(bench.file(".env").state, PushState::NotPushed, "byte {at}");
            fs::write(&entry, &whole[..at]).unwrap();
            assert_ne!(
                bench.file(".env").state,
                PushState::NotPushed,
                "cut at {at}"
            );
        }
        fs::write(&entry, &whole).unwrap();
    }
    assert_eq!(bench.file(".env").state, PushState::Pushed);
}

/// A step goes through all that leads down to where it was: more directories than a step has must not
/// take it all.
#[test]
fn directories_deep_inside_one_another_are_searched_to_their_end() {
    let bench = Bench::app_with_remote();
    let deep = "d/".repeat(100);
    bench.write(&format!("app/{deep}.env"), SECRET);
    let brought = bench.commit("app");
    bench.git("app", &["push", "-q", "origin", "main"]);
    let mut drive = Drive::of(&bench.path("app/.git"));
    let trace = |drive: &mut Drive, id: &str| {
        let id = ObjectId::parse(id.as_bytes()).unwrap();
        let traced = drive.run(&[Wanted::Object(id)], &[]);
        traced.traces[0][0].clone()
    };
    let blob = bench.git("app", &["rev-parse", &format!("HEAD:{deep}.env")]);
    let told = trace(&mut drive, &blob);
    pushed(&told, &brought);
    assert_eq!(told.path, Some(format!("{deep}.env").into_bytes()));
    bench.write("app/unheard", OTHER);
    let blob = bench.git("app", &["hash-object", "-w", "unheard"]);
    unknown(&trace(&mut drive, &blob), UntracedWhy::Unreferenced, None);
    assert!(drive.steps < 2000, "{}", drive.steps);
}

/// Trees that hold one another a hundred times over: 100^60 files by their paths, sixty objects.
#[test]
fn a_tree_bomb_costs_what_its_objects_do() {
    let bench = Bench::app_with_remote();
    bench.git("app", &["push", "-q", "origin", "main"]);
    let blob = bench.git("app", &["hash-object", "-w", "README"]);
    // What lies lowest may not be there: that too is learnt once.
    for (name, lowest) in [("bomb", blob), ("hollow", "7".repeat(40))] {
        let kind = if name == "bomb" {
            "100644 blob"
        } else {
            "040000 tree"
        };
        let mut entry = format!("{kind} {lowest}");
        for _ in 0..60 {
            let listing: String = (10..110)
                .map(|name| format!("{entry}\td{name}\n"))
                .collect();
            bench.write("listing", &listing);
            let made = Command::new("git")
                .args(["mktree", "--missing"])
                .current_dir(bench.path("app"))
                .stdin(fs::File::open(bench.path("listing")).unwrap())
                .output()
                .unwrap();
            let tree = String::from_utf8(made.stdout).unwrap().trim().to_owned();
            entry = format!("040000 tree {tree}");
        }
        let tree = entry.rsplit(' ').next().unwrap().to_owned();
        let commit = bench.git("app", &["commit-tree", "-m", name, &tree]);
        bench.git(
            "app",
            &[
                "update-ref",
                &format!("refs/remotes/origin/{name}"),
                &commit,
            ],
        );
    }
    let wanted = Wanted::Object(ObjectId([7; 20]));
    let absent = bench.trace("app/.git", &[wanted]);
    assert_eq!(absent.traces[0][0].why, Some(UntracedWhy::Missing));
    bench.write("app/unheard", SECRET);
    let blob = bench.git("app", &["hash-object", "-w", "unheard"]);
    let mut drive = Drive::of(&bench.path("app/.git"));
    let wanted = [Wanted::Object(ObjectId::parse(blob.as_bytes()).unwrap())];
    let traced = drive.run(&wanted, &[]);
    unknown(&traced.traces[0][0], UntracedWhy::Missing, None);
    assert!(drive.steps < 10_000, "{}", drive.steps);
}

#[test]
fn names_that_are_no_refs_and_files_that_are_not_given_are_survived() {
    let names: Vec<Vec<u8>> = [
        &b"refs/heads/\xff\n"[..],
        b"objects/pack/a.idx",
        b"objects/pack/a.pack",
        b"logs/",
        b"",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let wanted = [Wanted::Path {
        path: b"a".to_vec(),
        secrets: 1,
    }];
    for given in [None, Some(b"\0\0\0".to_vec()), Some(vec![b'a'; 100_000])] {
        let mut tracer = Tracer::new(names.clone(), true, &wanted);
        let traced = loop {
            match tracer.step() {
                Step::Ask(_) => {
                    let source = given.clone();
                    tracer.give(source.map(|bytes| Box::new(bytes) as Box<dyn Source>));
                }
                Step::Done => break tracer.finish(),
                Step::More | Step::Scan { .. } => {}
            }
        };
        assert_eq!(traced.traces[0][0].commit, None);
    }
}

#[test]
fn refs_or_a_configuration_that_were_not_seen_may_name_a_remote() {
    let wanted = [Wanted::Path {
        path: b"a".to_vec(),
        secrets: 1,
    }];
    let traced = |names: &[&[u8]], whole: bool, config: Option<&[u8]>| {
        let names = names.iter().map(|name| name.to_vec()).collect();
        let mut tracer = Tracer::new(names, whole, &wanted);
        loop {
            match tracer.step() {
                Step::Ask(_) => {
                    tracer.give(config.map(|text| Box::new(text.to_vec()) as Box<dyn Source>));
                }
                Step::Done => break tracer.finish().traces[0][0].clone(),
                Step::More | Step::Scan { .. } => {}
            }
        }
    };
    let config = Some(&b"[core]\n\tbare = false\n"[..]);
    not_pushed(&traced(&[b"config"], true, config), None);
    unknown(
        &traced(&[b"config"], true, None),
        UntracedWhy::Unreadable,
        None,
    );
    unknown(
        &traced(&[b"config"], false, config),
        UntracedWhy::Limit,
        None,
    );
    unknown(&traced(&[], false, None), UntracedWhy::Limit, None);
}
