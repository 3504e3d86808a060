//! Repositories on disk, made by `git` itself, as `scan` finds, opens and asks them: linked work trees,
//! submodules, alternates, links that lead elsewhere. What a history says is tested in the detector.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;
use std::process::Command;

use akwatch_detect::RuleSet;
use akwatch_detect::sample::{Sample, Seed};
use serde_json::Value;

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

/// A host's root in which `git` is at home.
struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// With a repository `/srv/app` that pushes to `/srv/hub.git` and says that this is elsewhere.
    fn new() -> Fixture {
        let fixture = Fixture {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(fixture.path("srv")).unwrap();
        fixture.git("srv", &["init", "-q", "--bare", "hub.git"]);
        fixture.git("srv", &["init", "-q", "app"]);
        fixture.git("srv/app", &["remote", "add", "origin", "../hub.git"]);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn git(&self, within: &str, arguments: &[&str]) -> String {
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
            .args(["-c", "safe.directory=*"])
            .args(arguments)
            .current_dir(self.path(within))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, within: &str, file: &str, text: &str) -> String {
        let path = self.path(within).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.git(within, &["add", "-A"]);
        self.git(within, &["commit", "-q", "-m", "c"]);
        self.git(within, &["rev-parse", "HEAD"])
    }

    /// What a scan writes, and each of its findings by path.
    fn scan(&self) -> (String, Vec<Value>) {
        let done = Command::new(env!("CARGO_BIN_EXE_akwatch-agent"))
            .args(["scan", "--format", "jsonl", "--root"])
            .arg(self.directory.path())
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines = lines.collect();
        (text, lines)
    }

    /// What is said of the finding in one file.
    #[track_caller]
    fn said(&self, path: &str) -> Value {
        let (text, lines) = self.scan();
        let mut of = lines.iter().filter(|line| line["location"]["path"] == path);
        let line = of
            .next()
            .unwrap_or_else(|| panic!("{path} is not in {text}"));
        line["git"].clone()
    }
}

fn secret(seed: u64) -> String {
    let sample = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut Seed(seed)).unwrap();
    format!(
        "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
        sample.id, sample.secret
    )
}

#[track_caller]
fn check(git: &Value, state: &str, commit: Option<&str>) {
    assert_eq!(git["state"], state, "{git}");
    assert_eq!(git["commit"].as_str(), commit, "{git}");
}

#[test]
fn a_finding_says_its_commit_its_date_and_where_it_was_pushed() {
    let fixture = Fixture::new();
    let commit = fixture.commit("srv/app", "conf/.env", &secret(1));
    check(
        &fixture.said("/srv/app/conf/.env"),
        "not-pushed",
        Some(&commit),
    );
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    let git = fixture.said("/srv/app/conf/.env");
    check(&git, "pushed", Some(&commit));
    let authored = fixture.git("srv/app", &["log", "-1", "--format=%at"]);
    assert_eq!(git["authored"].to_string(), format!("{authored}000"));
    assert_eq!(git["repository"], "/srv/app");
    assert_eq!(git["remotes"][0]["name"], "origin");
    assert_eq!(git["remotes"][0]["reached"], true);
    let (_, lines) = fixture.scan();
    let objects = lines.iter().filter(|line| {
        let path = line["location"]["path"].as_str().unwrap();
        path.starts_with("/srv/app/.git/objects/")
    });
    let objects: Vec<&Value> = objects.collect();
    assert_eq!(objects.len(), 1);
    check(&objects[0]["git"], "pushed", Some(&commit));
    assert_eq!(objects[0]["git"]["path"], "conf/.env");
}

#[test]
fn the_credential_of_a_remote_is_a_finding_and_shown_nowhere() {
    let fixture = Fixture::new();
    let commit = fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    let token = Sample::of(&RuleSet::builtin(), "github.token", &mut Seed(3));
    let token = token.unwrap().secret;
    let url = format!("https://x:{token}@git.example.org/acme/app.git?also={token}");
    fixture.git("srv/app", &["remote", "set-url", "origin", &url]);
    let git = fixture.said("/srv/app/.env");
    check(&git, "pushed", Some(&commit));
    assert_eq!(git["remotes"][0]["address"], "git.example.org/acme/app");
    let (text, lines) = fixture.scan();
    let config = |line: &&Value| line["location"]["path"] == "/srv/app/.git/config";
    let found = lines.iter().find(config).unwrap();
    assert!(found.get("git").is_none(), "{found}");
    assert!(!text.contains(&token[..8]), "{text}");
}

#[test]
fn outside_a_repository_and_in_its_own_files_nothing_is_said() {
    let fixture = Fixture::new();
    fs::write(fixture.path("srv/alone.env"), secret(1)).unwrap();
    fs::write(fixture.path("srv/app/.git/notes"), secret(2)).unwrap();
    assert_eq!(fixture.said("/srv/alone.env"), Value::Null);
    assert_eq!(fixture.said("/srv/app/.git/notes"), Value::Null);
}

#[test]
fn linked_work_trees_and_submodules_are_asked_where_they_really_lie() {
    let fixture = Fixture::new();
    let first = fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    fixture.git(
        "srv/app",
        &["worktree", "add", "-q", "-b", "side", "../side"],
    );
    let second = fixture.commit("srv/side", "other.env", &secret(2));
    relative(
        &fixture,
        "srv/side/.git",
        "gitdir: ../app/.git/worktrees/side\n",
    );
    check(&fixture.said("/srv/side/.env"), "pushed", Some(&first));
    check(
        &fixture.said("/srv/side/other.env"),
        "not-pushed",
        Some(&second),
    );
    // The other work tree's branch is a local one here, too.
    check(&fixture.said("/srv/app/.env"), "pushed", Some(&first));

    fixture.git("srv", &["init", "-q", "outer"]);
    let url = fixture.path("srv/hub.git");
    let add = [
        "submodule",
        "add",
        "-q",
        "--name",
        "sub",
        url.to_str().unwrap(),
        "sub",
    ];
    fixture.git("srv/outer", &add);
    let third = fixture.commit("srv/outer/sub", "third.env", &secret(3));
    check(&fixture.said("/srv/outer/sub/.env"), "pushed", Some(&first));
    let git = fixture.said("/srv/outer/sub/third.env");
    check(&git, "not-pushed", Some(&third));
    assert_eq!(git["repository"], "/srv/outer/sub");
}

/// What names a directory of the fixture absolutely, as seen from within it.
fn relative(fixture: &Fixture, file: &str, text: &str) {
    fs::write(fixture.path(file), text).unwrap();
}

#[test]
fn alternates_of_the_same_owner_are_followed_and_others_are_not() {
    let fixture = Fixture::new();
    let commit = fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    fixture.git("srv", &["clone", "-q", "--shared", "hub.git", "shared"]);
    let alternates = "srv/shared/.git/objects/info/alternates";
    relative(&fixture, alternates, "../../../hub.git/objects\n");
    check(&fixture.said("/srv/shared/.env"), "pushed", Some(&commit));
    if rustix::process::geteuid().is_root() {
        // Whoever can write that file could have it lead to anybody's repository.
        chown(fixture.path(alternates), Some(NOBODY), None).unwrap();
        let git = fixture.said("/srv/shared/.env");
        check(&git, "unknown", None);
        assert_eq!(git["why"], "missing");
    }
}

#[test]
fn links_and_names_of_others_directories_are_not_followed() {
    let fixture = Fixture::new();
    fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    fs::create_dir(fixture.path("srv/linked")).unwrap();
    fs::write(fixture.path("srv/linked/.env"), secret(1)).unwrap();
    let dot = fixture.path("srv/linked/.git");
    symlink("../app/.git", &dot).unwrap();
    let unreadable = |what: &str| {
        let git = fixture.said("/srv/linked/.env");
        check(&git, "unknown", None);
        assert_eq!(git["why"], "unreadable", "{what}");
    };
    unreadable("a link");
    fs::remove_file(&dot).unwrap();
    for text in ["gitdir: ../nowhere\n", "nonsense", "", "gitdir:"] {
        fs::write(&dot, text).unwrap();
        unreadable(text);
    }
    if rustix::process::geteuid().is_root() {
        fs::write(&dot, "gitdir: ../app/.git\n").unwrap();
        assert_eq!(fixture.said("/srv/linked/.env")["state"], "pushed");
        chown(&dot, Some(NOBODY), None).unwrap();
        unreadable("another's");
        chown(&dot, Some(0), None).unwrap();
    }
    // Nor within a repository: its objects and refs lie where they say.
    fs::remove_file(&dot).unwrap();
    fs::create_dir(&dot).unwrap();
    for name in ["HEAD", "config", "refs", "packed-refs"] {
        symlink(fixture.path("srv/app/.git").join(name), dot.join(name)).unwrap();
    }
    symlink("../../app/.git/objects", dot.join("objects")).unwrap();
    unreadable("linked objects");
}

/// A secret in the name of a branch, a remote or a file does not get out by it.
#[test]
fn names_in_a_repository_are_cleaned() {
    let fixture = Fixture::new();
    let sample = Sample::of(&RuleSet::builtin(), "tencent.access-key", &mut Seed(7)).unwrap();
    let name = format!("secret_key={}", sample.secret);
    fixture.commit("srv/app", &format!("{name}/.env"), &secret(7));
    let add = format!("https://git.example.org/{name}");
    fixture.git("srv/app", &["remote", "set-url", "origin", &add]);
    fixture.git(
        "srv/app",
        &[
            "update-ref",
            &format!("refs/remotes/{}/x", sample.secret),
            "HEAD",
        ],
    );
    let (text, lines) = fixture.scan();
    assert!(
        lines.iter().any(|line| line["git"]["state"] == "pushed"),
        "{text}"
    );
    for window in sample.secret.as_bytes().windows(8) {
        let window = String::from_utf8_lossy(window);
        assert!(!text.contains(&*window), "{window} is in {text}");
    }
}

/// A name is cleaned whole and cut then, and one that is a URL loses what stands in it.
#[test]
fn the_names_of_remotes_are_cleaned_before_they_are_cut() {
    let fixture = Fixture::new();
    fixture.commit("srv/app", ".env", &secret(1));
    let token = Sample::of(&RuleSet::builtin(), "github.token", &mut Seed(9));
    let token = token.unwrap().secret;
    // Wherever the end falls within the token.
    for before in [34, 44, 54] {
        let name = format!("{}/{token}", "n".repeat(before));
        let key = format!("remote.{name}.url");
        fixture.git("srv/app", &["config", &key, "../hub.git"]);
    }
    // As `git fetch --filter=blob:none URL` writes it; the password has no form of its own.
    let password = "correct-horse-battery";
    let key = format!("remote.file://deploy:{password}@/srv/hub.git.promisor");
    fixture.git("srv/app", &["config", &key, "true"]);
    let (text, lines) = fixture.scan();
    assert!(
        lines.iter().any(|line| line["git"]["remotes"].is_array()),
        "{text}"
    );
    for part in [&token[..8], &token[8..16], &password[..8]] {
        assert!(!text.contains(part), "{part} is in {text}");
    }
    assert!(text.contains("\"/srv/hub\""), "{text}");
}

/// What cannot be read may name a remote: then nobody can say that nothing was pushed.
#[test]
fn a_configuration_or_refs_that_cannot_be_read_leave_it_unknown() {
    let fixture = Fixture::new();
    fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    fixture.git("srv/app", &["pack-refs", "--all"]);
    // A log of the remote's refs would still say it.
    fs::remove_dir_all(fixture.path("srv/app/.git/logs")).unwrap();
    assert_eq!(fixture.said("/srv/app/.env")["state"], "pushed");
    let dot = fixture.path("srv/app/.git");
    for name in ["packed-refs", "config"] {
        fs::rename(dot.join(name), dot.join("aside")).unwrap();
        symlink("aside", dot.join(name)).unwrap();
        let git = fixture.said("/srv/app/.env");
        check(&git, "unknown", None);
        assert_eq!(git["why"], "unreadable", "{name}");
        // Without the refs that it had, to which the configuration belongs.
        fs::remove_file(dot.join(name)).unwrap();
        if name == "config" {
            fs::rename(dot.join("aside"), dot.join(name)).unwrap();
        }
    }
    // No remote at all is an answer.
    fixture.git("srv/app", &["remote", "remove", "origin"]);
    assert_eq!(fixture.said("/srv/app/.env")["state"], "not-pushed");
}

/// Whoever swaps a directory for a link to a repository of root is told nothing of that.
#[test]
fn a_gitdir_behind_somebodys_link_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a link away
    }
    let fixture = Fixture::new();
    fixture.commit("srv/app", ".env", &secret(1));
    fixture.git("srv/app", &["push", "-q", "origin", "main"]);
    fs::create_dir(fixture.path("srv/own")).unwrap();
    fs::write(fixture.path("srv/own/.env"), secret(1)).unwrap();
    fs::write(fixture.path("srv/own/.git"), "gitdir: ../way/.git\n").unwrap();
    let way = fixture.path("srv/way");
    symlink("app", &way).unwrap();
    assert_eq!(fixture.said("/srv/own/.env")["state"], "pushed");
    std::os::unix::fs::lchown(&way, Some(NOBODY), None).unwrap();
    let git = fixture.said("/srv/own/.env");
    check(&git, "unknown", None);
    assert_eq!(git["why"], "unreadable");
}
