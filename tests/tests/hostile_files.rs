//! What somebody without privilege can do to the agent with files: names, links, races, mounts, sheer
//! numbers, bombs. Each attack ends with another user's key that arrives all the same. They take turns: no
//! attack is an attack on the agent of another test.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use akwatch_tests::fleet::{Fleet, shown};
use akwatch_tests::hung::Hung;
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::stranger::Stranger;
use akwatch_tests::{process, program, turn, wait};
use anyhow::{Context as _, Result, ensure};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;
use tokio::process::Command;

/// A mount that hangs, and a stranger who goes on, would hold somebody up for any time.
const PROMPTLY: Duration = wait::DEADLINE;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// The roles that run, by name.
fn roles(fleet: &Fleet) -> Result<Vec<(String, i32)>> {
    let supervisor = fleet.agent.pid()?;
    let mut roles = Vec::new();
    for role in ["watcher", "detector", "reporter"] {
        roles.push((role.to_owned(), process::role(supervisor, role)?));
    }
    Ok(roles)
}

/// Another user's key arrives all the same.
async fn others_are_served(fleet: &Fleet) -> Result<()> {
    let pair = plant::tencent();
    let file = fleet
        .watched
        .join("others")
        .join(format!("{}.env", plant::random("abc", 8)));
    plant::write(&file, &text(&pair))?;
    wait::within(PROMPTLY, "another user's key", async || {
        let rows = fleet.rest.findings_of(&pair.id).await?;
        Ok((rows.len() == 1 && rows[0]["state"] == "present").then_some(()))
    })
    .await
    .with_context(|| fleet.agent.log_end())
}

/// A directory that only root may enter, with a key in it, where the agent itself looks for none.
fn closed(pair: &Pair) -> Result<tempfile::TempDir> {
    let closed = tempfile::Builder::new()
        .prefix("akwatch-closed.")
        .tempdir_in("/var/cache")?;
    plant::write(&closed.path().join("notes"), &text(pair))?;
    Ok(closed)
}

/// Waits until the agent says that something was not read, for `why`.
async fn wait_not_read(fleet: &Fleet, why: &str) -> Result<()> {
    let mut last = Value::Null;
    wait::until(&format!("{why} to be counted"), async || {
        last = fleet.agent.status().await?["coverage"]["sources"].clone();
        Ok(not_read(&last, why).then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))
}

fn not_read(sources: &Value, why: &str) -> bool {
    let sources = sources.as_array().into_iter().flatten();
    let mut reasons = sources.flat_map(|one| one["not_read"].as_array().into_iter().flatten());
    reasons.any(|one| one["why"] == why)
}

/// Characters that a terminal obeys, or that show a text in another order than it is in.
fn unclean(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first of them in a page of text, which may have ends of lines; [`broken`] looks at those.
fn raw(text: &str) -> Option<char> {
    text.chars().find(|&one| one != '\n' && unclean(one))
}

/// A line that begins in the middle of a name: its line feed was printed as it is.
fn broken(text: &str) -> Option<&str> {
    text.lines()
        .find(|line| line.trim_start().starts_with("feed.env"))
}

/// Every string of an answer, names of fields too.
fn strings(answer: &Value, found: &mut Vec<String>) {
    match answer {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| strings(one, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                found.push(name.clone());
                strings(value, found);
            }
        }
        _ => {}
    }
}

const NAMES: [&[u8]; 9] = [
    b"line\nfeed",
    b"clear\x1b[2J\x1b]0;title\x07",
    b"copy\x1b]52;c;aGk=\x07",
    b"order\xe2\x80\xaevne.\xe2\x81\xa6x",
    b"c1\xc2\x9b31m\x9b31m",
    b"back\x08\x08\x7f\r",
    b"=cmd|' C'!A0",
    b"<img src=x onerror=alert(1)>",
    b"\xff\xfe\xf0\x9f",
];

/// What the responder's command line prints.
async fn lists(fleet: &Fleet, pair: &Pair) -> Result<Vec<(String, String)>> {
    let mut said = Vec::new();
    let token = fleet.collector.api_token("hostile", "responder").await?;
    for verb in [
        &["findings"][..],
        &["credentials"],
        &["hosts"],
        &["who-holds", &pair.id],
    ] {
        for format in ["table", "json", "csv"] {
            let output = Command::new(program::path("akwatch")?)
                .args(verb)
                .args(["--output", format])
                .env("AKWATCH_URL", &fleet.collector.people)
                .env("AKWATCH_CA", &fleet.collector.authority)
                .env("AKWATCH_TOKEN", &token)
                .output()
                .await?;
            let text = String::from_utf8(output.stdout)?;
            said.push((format!("akwatch {verb:?} {format}"), text));
        }
    }
    Ok(said)
}

/// What the agent's own commands print, for what is there and for what is not.
async fn local(fleet: &Fleet, stranger: &Stranger) -> Result<Vec<(String, String)>> {
    let mut said = Vec::new();
    let agent = shown(&fleet.directory.path().join("agent"));
    let runtime = format!("{agent}/run");
    let missing = [stranger.home.as_os_str().as_bytes(), b"/gone\x1b[2J\nx"].concat();
    let home = stranger.home.as_os_str();
    for arguments in [
        vec![OsStr::new("scan"), home],
        vec![
            OsStr::new("scan"),
            OsStr::new("--format"),
            OsStr::new("jsonl"),
            home,
        ],
        vec![
            OsStr::new("scan"),
            OsStr::new("--format"),
            OsStr::new("sarif"),
            home,
        ],
        vec![OsStr::new("scan"), OsStr::from_bytes(&missing)],
        vec![
            OsStr::new("status"),
            OsStr::new("--runtime"),
            OsStr::new(&runtime),
        ],
        vec![
            OsStr::new("rules"),
            OsStr::new("check"),
            OsStr::from_bytes(&missing),
        ],
    ] {
        let output = Command::new(program::path("akwatch-agent")?)
            .args(&arguments)
            .output()
            .await?;
        let what = format!("akwatch-agent {arguments:?}");
        said.push((what.clone(), String::from_utf8(output.stdout)?));
        said.push((what, String::from_utf8(output.stderr)?));
    }
    Ok(said)
}

#[tokio::test]
async fn hostile_names_reach_no_terminal_and_no_log_as_they_are() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let pair = plant::tencent();
    for name in NAMES {
        let name = [name, b".env"].concat();
        std::fs::write(stranger.home.join(OsStr::from_bytes(&name)), text(&pair))?;
    }
    let rows = fleet
        .wait_findings("a key under every name", &pair.id, |rows| {
            rows.len() >= NAMES.len()
        })
        .await?;
    let mut said = lists(&fleet, &pair).await?;
    let mut told = Vec::new();
    strings(&Value::from(rows), &mut told);
    for (verb, text) in said.iter().filter(|(verb, _)| verb.ends_with("json")) {
        let answer = serde_json::from_str(text).with_context(|| verb.clone())?;
        strings(&answer, &mut told);
    }
    ensure!(
        told.iter().any(|text| text.contains("feed.env")),
        "the check is blind: {told:#?}"
    );
    for text in &told {
        assert!(!text.contains(unclean), "an answer has {text:?}");
    }
    said.extend(local(&fleet, &stranger).await?);
    let log = std::fs::read_to_string(fleet.directory.path().join("agent/agent.log"))?;
    said.push(("the agent's log".to_owned(), log));
    let printed = said.iter().filter(|(_, text)| text.contains("feed.env"));
    ensure!(
        printed.count() >= 8,
        "the names were not shown: the check is blind: {said:#?}"
    );
    for (what, text) in &said {
        let found = raw(text);
        assert!(found.is_none(), "{what} has {found:?} in:\n{text:?}");
        let found = broken(text);
        assert!(found.is_none(), "{what} has a line {found:?} in:\n{text:?}");
    }
    fleet.stop().await
}

/// Writes a key, then puts a link to the closed directory where its directory was, and back.
const SWAP: &str = r#"my ($closed, $text, $rounds) = @ARGV; $| = 1;
    mkdir "app"; mkdir "parked";
    for my $round (1..$rounds) {
        for my $name ("notes", "$round") {
            open(my $file, ">", "app/$name") or die "open: $!"; print $file $text; close $file; }
        select(undef, undef, undef, 0.001 * ($round % 12));
        rename("app", "parked/app") or die "rename: $!";
        symlink($closed, "app") or die "symlink: $!";
        open(my $file, ">", "swapped.env") or die "open: $!"; print $file $text; close $file;
        unlink("swapped.env"); symlink("$closed/notes", "swapped.env") or die "symlink: $!";
        select(undef, undef, undef, 0.02);
        unlink("app"); unlink("swapped.env"); rename("parked/app", "app") or die "rename: $!"; }
    link("$closed/notes", "hard.env"); print "done\n";"#;

#[tokio::test]
async fn a_directory_swapped_for_a_link_leads_nowhere_that_its_owner_could_not_go() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    if !stranger.is_another() {
        return fleet.stop().await; // nothing here that it may not read
    }
    let (secret, own) = (plant::tencent(), plant::tencent());
    let closed = closed(&secret)?;
    let closed = closed.path();
    let before = roles(&fleet)?;
    let own_text = text(&own);
    stranger
        .perl(
            SWAP,
            &[closed.as_os_str(), OsStr::new(&own_text), OsStr::new("150")],
        )
        .await?;
    fleet
        .wait_findings("the stranger's own key", &own.id, |rows| {
            rows.iter().any(|row| row["state"] == "present")
        })
        .await?;
    others_are_served(&fleet).await?;
    let found = fleet.rest.findings_of(&secret.id).await?;
    assert!(
        found.is_empty(),
        "read on the stranger's behalf: {found:#?}"
    );
    assert_eq!(roles(&fleet)?, before, "a role ended");
    fleet.stop().await
}

/// What a stranger's files may name, and the agent must not open for it.
fn references(stranger: &Stranger, closed: &Path) -> Result<()> {
    let at = shown(closed);
    stranger.write("repository/.git/HEAD", "ref: refs/heads/main\n")?;
    stranger.write(
        "repository/.git/objects/info/alternates",
        format!("{at}/objects\n"),
    )?;
    stranger.write("repository/.git/commondir", format!("{at}\n"))?;
    stranger.write("linked/.git", format!("gitdir: {at}\n"))?;
    stranger.write(
        "compose.yaml",
        format!(
            "services:\n  a:\n    image: x\n    env_file: {at}/notes\n    volumes: [\"{at}:/x\"]\n"
        ),
    )?;
    stranger.write(
        ".config/systemd/user/a.service",
        format!("[Service]\nEnvironmentFile={at}/notes\nLoadCredential=x:{at}/notes\n"),
    )?;
    let mut archive = tar::Builder::new(Vec::new());
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        archive.append_link(&mut header, format!("{kind:?}.env"), format!("{at}/notes"))?;
    }
    stranger.write("links.tar", archive.into_inner()?)?;
    Ok(())
}

/// Links of every sort, made by the stranger itself; waits to be ended, so that its /proc entries lead
/// somewhere.
const LINKS: &str = r#"my ($closed) = @ARGV; $| = 1;
    symlink("$closed/notes", "link.env"); symlink($closed, "link");
    symlink("/proc/self/root$closed/notes", "root.env"); symlink("/proc/$$/root", "root");
    symlink("/proc/1/environ", "environ.env"); symlink("/dev/zero", "zero.env");
    symlink("/proc/$$/cwd/link.env", "cwd.env"); symlink("/dev/fd/0", "fd.env");
    for my $name ("one", "two") { open(my $file, ">", "$name.env"); print $file "A=1\n"; close $file; }
    print "linked\n"; <STDIN>;"#;

#[tokio::test]
async fn what_a_strangers_files_name_is_not_opened_for_it() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    if !stranger.is_another() {
        return fleet.stop().await; // nothing here that it may not read
    }
    let (secret, own) = (plant::tencent(), plant::tencent());
    let closed = closed(&secret)?;
    let closed = closed.path();
    for directory in ["objects/pack", "refs/heads"] {
        std::fs::create_dir_all(closed.join(directory))?;
    }
    std::fs::write(closed.join("HEAD"), "ref: refs/heads/main\n")?;
    std::fs::write(closed.join("config"), "[core]\n\tbare = false\n")?;
    // Whoever opens or lists anything there is seen.
    let opened = Inotify::init(InitFlags::IN_NONBLOCK)?;
    let mask = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_ACCESS;
    for place in ["", "objects", "objects/pack", "refs", "refs/heads"] {
        opened.add_watch(&closed.join(place), mask)?;
    }
    references(&stranger, closed)?;
    let _linked = stranger.talk(LINKS, &[closed.as_os_str()]).await?;
    // A finding in each repository makes the agent ask what was pushed.
    for repository in ["repository", "linked"] {
        stranger.write(&format!("{repository}/.env"), text(&own))?;
    }
    let rows = fleet
        .wait_findings("an answer about both repositories", &own.id, |rows| {
            rows.len() == 2 && rows.iter().all(|row| !row["git"].is_null())
        })
        .await?;
    assert!(
        rows.iter().all(|row| row["state"] == "present"),
        "{rows:#?}"
    );
    others_are_served(&fleet).await?;
    let found = fleet.rest.findings_of(&secret.id).await?;
    assert!(found.is_empty(), "{found:#?}");
    let seen = opened.read_events();
    assert!(
        matches!(seen, Err(nix::errno::Errno::EAGAIN)),
        "the closed directory was opened: {seen:?}"
    );
    std::fs::read(closed.join("notes"))?;
    ensure!(opened.read_events().is_ok(), "the check is blind");
    fleet.stop().await
}

/// Keeps moving a directory that has the hung mount in it, and links to the mount where the agent looks.
const AROUND: &str = r#"$| = 1; my $text = $ARGV[0];
    symlink("above/mnt/x", ".bash_history"); symlink("above/mnt", ".config"); symlink("above/mnt", "app");
    for my $round (1..40) {
        open(my $file, ">", "above/$round.env") or die "open: $!"; print $file $text; close $file;
        rename("above", "moved") or die "rename: $!"; select(undef, undef, undef, 0.03);
        rename("moved", "above") or die "rename: $!";
        unlink("app"); mkdir("app"); open($file, ">", "app/x.env") or die "open: $!"; print $file $text; close $file;
        unlink("app/x.env"); rmdir("app"); symlink("above/mnt", "app");
        select(undef, undef, undef, 0.02); }
    print "done\n";"#;

#[tokio::test]
async fn a_mount_that_hangs_holds_nobody_up() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let own = plant::tencent();
    stranger
        .perl("mkdir 'above'; mkdir 'above/mnt'", &[])
        .await?;
    let point = stranger.home.join("above/mnt");
    let Some(hung) = Hung::mounted(&point, stranger.uid())? else {
        return fleet.stop().await; // this host or user has no FUSE
    };
    let own_text = text(&own);
    let arguments = [OsStr::new(&own_text)];
    let around = tokio::time::timeout(wait::DEADLINE, stranger.perl(AROUND, &arguments));
    around.await.context("the stranger itself hangs")??;
    others_are_served(&fleet).await?;
    ensure!(!hung.somebody_waits()?, "the agent asked the hung mount");
    // It does hang whoever touches it.
    let mut toucher = stranger.command("ls").arg(&point).spawn()?;
    wait::until("somebody to wait for the mount", async || {
        Ok(hung.somebody_waits()?.then_some(()))
    })
    .await?;
    ensure!(toucher.try_wait()?.is_none(), "it does not hang");
    drop(hung);
    toucher.wait().await?;
    fleet.stop().await
}

#[tokio::test]
async fn floods_deep_trees_and_sparse_files_are_bounded_and_named() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let (own, last) = (plant::tencent(), plant::tencent());
    let before = roles(&fleet)?;
    std::fs::File::create(stranger.home.join("sparse.env"))?.set_len(1 << 40)?;
    let flood = r#"mkdir "many"; for my $n (1..3000) { open(my $f, ">", "many/$n.env"); print $f "A=$n\n"; close $f; }
        open(my $f, ">", "many/last.env"); print $f $ARGV[0]; close $f;"#;
    let last_text = text(&last);
    let arguments = [OsStr::new(&last_text)];
    let flooding = stranger.perl(flood, &arguments);
    let (flooded, served) = tokio::join!(flooding, others_are_served(&fleet));
    flooded?;
    served?;
    // 60 directories of 100 bytes are beyond what a path may have.
    let deep = r#"for my $n (1..60) { mkdir("d" x 100) or die "mkdir: $!"; chdir("d" x 100);
            if ($n == 10) { open(my $f, ">", "k.env"); print $f $ARGV[0]; close $f; } }
        open(my $f, ">", "deep.env") or die "open: $!"; print $f $ARGV[0]; close $f;"#;
    let own_text = text(&own);
    stranger.perl(deep, &[OsStr::new(&own_text)]).await?;
    for pair in [&last, &own] {
        fleet
            .wait_findings("what can be read", &pair.id, |rows| {
                rows.iter().any(|row| row["state"] == "present")
            })
            .await?;
    }
    wait_not_read(&fleet, "name-too-long").await?;
    wait_not_read(&fleet, "read-short").await?;
    others_are_served(&fleet).await?;
    assert_eq!(roles(&fleet)?, before, "a role ended");
    fleet.stop().await
}
