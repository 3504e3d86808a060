//! What somebody without privilege can do to the agent with processes and with what costs: names and
//! environments, exec loops, false keys by the hundred thousand, pressure, bombs. Each attack ends with
//! another user's key that arrives all the same. They take turns: no attack is an attack on the agent of
//! another test.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command as Plain, Stdio};
use std::time::Duration;

use akwatch_tests::fleet::Fleet;
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::stranger::{Stranger, Talking};
use akwatch_tests::{process, program, turn, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Nothing that a stranger does may make others wait for longer: it goes on for as long.
const PROMPTLY: Duration = wait::DEADLINE;

/// What the kernel lets all roles together hold at most (`MemoryMax=` of the slice), in KiB.
const HELD: u64 = 96 << 10;

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

fn roles(fleet: &Fleet) -> Result<Vec<i32>> {
    let supervisor = fleet.agent.pid()?;
    let all = ["watcher", "detector", "reporter"];
    all.map(|role| process::role(supervisor, role))
        .into_iter()
        .collect()
}

/// Another user's key in a file and one in an environment arrive.
async fn others_are_served(fleet: &Fleet) -> Result<()> {
    let (in_file, in_process) = (plant::tencent(), plant::tencent());
    let file = format!("others/{}.env", plant::random("abc", 8));
    plant::write(&fleet.watched.join(file), &text(&in_file))?;
    let mut running = tokio::process::Command::new("sleep")
        .arg("600")
        .env("SECRET_ID", &in_process.id)
        .env("SECRET_KEY", &in_process.secret)
        .kill_on_drop(true)
        .spawn()?;
    for pair in [&in_file, &in_process] {
        wait::within(PROMPTLY, "another user's key", async || {
            let rows = fleet.rest.findings_of(&pair.id).await?;
            Ok(rows
                .iter()
                .any(|row| row["state"] == "present")
                .then_some(()))
        })
        .await
        .with_context(|| fleet.agent.log_end())?;
    }
    running.kill().await?;
    Ok(())
}

/// Waits until the agent says, with an example below `place`, that something was not read, for `why`.
async fn wait_named(fleet: &Fleet, why: &str, place: &str) -> Result<()> {
    let mut last = Value::Null;
    wait::until(&format!("{why} in {place} to be said"), async || {
        last = fleet.agent.status().await?["coverage"]["sources"].clone();
        let sources = last.as_array().into_iter().flatten();
        let mut reasons =
            sources.flat_map(|source| source["not_read"].as_array().into_iter().flatten());
        let said = reasons.any(|one| {
            let example = one["example"].as_str().unwrap_or_default();
            one["why"] == why && example.starts_with(place)
        });
        Ok(said.then_some(()))
    })
    .await
    .with_context(|| format!("{last:#}"))
}

/// KiB that the roles hold together: what they share counts once.
fn held(roles: &[i32]) -> Result<u64> {
    let mut sum = 0;
    for role in roles {
        let text = std::fs::read_to_string(format!("/proc/{role}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.context("no Pss")?.trim().trim_end_matches(" kB");
        sum += kib.parse::<u64>()?;
    }
    Ok(sum)
}

/// A program whose name, arguments and environment are a stranger's; waits to be ended.
const NAMED: &str = r#"$| = 1; print "up\n"; <STDIN>;"#;

#[tokio::test]
async fn hostile_names_and_two_megabytes_of_environment_are_read_and_shown_clean() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let (last, named) = (plant::tencent(), plant::tencent());
    // 20 variables of 100 KB: the kernel allows 128 KiB for one and some 2 MiB for all of them.
    let filler = "x".repeat(100_000);
    let mut command = stranger.command("perl");
    command.args(["-e", NAMED]);
    for number in 0..20 {
        command.env(format!("A{number}"), &filler);
    }
    command
        .env("ZZ_SECRET_ID", &last.id)
        .env("ZZ_SECRET_KEY", &last.secret);
    let large = Talking::begin(command).await?;
    // A program, and with it `comm`, that a terminal would obey; as hostile an argv[0].
    let name = OsStr::from_bytes(b"a\x1b[2J\n(b) R 1");
    let program = stranger.home.join(name);
    program::copy(Path::new("/usr/bin/perl"), &program)?;
    let mut command = stranger.command(&program);
    command
        .arg0(OsStr::from_bytes(b"\x1b]0;t\x07\n\xe2\x80\xae\xff"))
        .args(["-e", NAMED, "--"])
        .arg(format!("--secret-id={}", named.id))
        .env("SECRET_ID", &named.id)
        .env("SECRET_KEY", &named.secret);
    let strange = Talking::begin(command).await?;
    let comm = std::fs::read(format!("/proc/{}/comm", strange.child.id().context("up")?))?;
    ensure!(comm.starts_with(b"a\x1b[2J"), "{comm:?}");
    for pair in [&last, &named] {
        let rows = fleet
            .wait_findings("a key in an environment", &pair.id, |rows| {
                rows.iter().any(|row| row["state"] == "present")
            })
            .await?;
        let shown = serde_json::to_string(&rows)?;
        let spoilt = shown
            .chars()
            .find(|one| one.is_control() || *one == '\u{202e}');
        assert!(spoilt.is_none(), "{shown}");
    }
    drop((large, strange));
    others_are_served(&fleet).await?;
    fleet.stop().await
}

/// Executes itself again and again until its time is over: a new program each time, a key in each.
const LOOP: &str = r#"my ($program, $end, $round) = @ARGV; exit 0 if time() > $end;
    $ENV{ROUND} = $round; exec($^X, "-e", $program, $program, $end, $round + 1);"#;

#[tokio::test]
async fn programs_that_execute_in_a_loop_hold_nobody_up() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let pair = plant::tencent();
    let before = roles(&fleet)?;
    let end = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs()
        + 12;
    let mut loops = Vec::new();
    for _ in 0..3 {
        let mut command = stranger.command("perl");
        command
            .args(["-e", LOOP, LOOP, &end.to_string(), "0"])
            .env("SECRET_ID", &pair.id)
            .env("SECRET_KEY", &pair.secret);
        loops.push(command.spawn()?);
    }
    others_are_served(&fleet).await?;
    fleet
        .wait_findings("the loop's own key", &pair.id, |rows| !rows.is_empty())
        .await?;
    for mut one in loops {
        one.wait().await?;
    }
    // Three loops for many thousand programs are one place, not thousands.
    let rows = fleet.rest.findings_of(&pair.id).await?;
    assert!(rows.len() <= 2, "{} findings of one program", rows.len());
    assert_eq!(roles(&fleet)?, before, "a role ended");
    fleet.stop().await
}

#[tokio::test]
async fn a_hundred_thousand_false_keys_are_counted_bounded_and_hide_nobodys() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let before = roles(&fleet)?;
    let mut many = String::new();
    let mut first = None;
    for _ in 0..100_000 {
        let pair = plant::tencent();
        many.push_str(&text(&pair));
        first.get_or_insert(pair);
    }
    stranger.write("many.env", &many)?;
    let first = first.context("invariant: there are some")?;
    let served = others_are_served(&fleet);
    let found = fleet.wait_findings("some of them", &first.id, |rows| !rows.is_empty());
    let (served, found) = tokio::join!(served, found);
    served?;
    found?;
    let path = stranger.home.join("many.env");
    wait_named(&fleet, "too-many", &path.to_string_lossy()).await?;
    // Those of the file alone: whatever else lies on this host is found as well.
    let rows = fleet.rest.findings().await?;
    let of_file = |row: &&Value| row["location"]["path"] == *path.to_string_lossy();
    let kept = rows.iter().filter(of_file).count();
    assert!((1..=260).contains(&kept), "{kept} findings are kept");
    assert_eq!(roles(&fleet)?, before, "a role ended");
    let held = held(&before)?;
    ensure!(held < HELD, "the roles hold {held} KiB");
    fleet.stop().await
}

#[tokio::test]
async fn pressure_slows_scans_and_blinds_nobody() -> Result<()> {
    let _turn = turn::take().await;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let mut burning = Vec::new();
    for _ in 0..8 {
        burning.push(stranger.command("perl").args(["-e", "1 while 1"]).spawn()?);
    }
    let pressed = "/proc/pressure/cpu";
    if Path::new(pressed).exists() {
        wait::until("the agent to feel it", async || {
            let rung = fleet.agent.status().await?["coverage"]["rung"].clone();
            Ok((rung == "reduced").then_some(()))
        })
        .await?;
    }
    others_are_served(&fleet).await?;
    for mut one in burning {
        one.kill().await?;
    }
    fleet.stop().await
}

/// Bytes that a bomb makes: more than one place may be unwrapped to (`Limits::unwrapped`, 256 MiB).
const BOMB: u64 = 300 << 20;

/// What a program of this host makes of `input`; none where it is not installed.
fn packed(program: &str, arguments: &[&str], input: u64) -> Result<Option<Vec<u8>>> {
    let child = Plain::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return Ok(None);
    };
    let mut stdin = child.stdin.take().context("a pipe")?;
    let feeding = std::thread::spawn(move || {
        let zeros = vec![0; 1 << 20];
        (0..input >> 20).try_for_each(|_| stdin.write_all(&zeros))
    });
    let output = child.wait_with_output()?;
    feeding.join().map_err(|_| anyhow::anyhow!("feeding"))??;
    ensure!(
        output.status.success(),
        "{program} ended with {}",
        output.status
    );
    Ok(Some(output.stdout))
}

/// A zip of zips of zips: 16 members on each of 5 floors, a MiB of zeros in each of the last.
fn nested_zip() -> Result<Vec<u8>> {
    let mut content = vec![0; 1 << 20];
    for floor in 0..5 {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for member in 0..16 {
            archive.start_file(format!("{floor}-{member}.zip"), options)?;
            archive.write_all(&content)?;
        }
        content = archive.finish()?.into_inner();
    }
    Ok(content)
}

/// A tar whose one member says that it is 8 EiB long, and one of a hundred thousand empty members.
fn tars() -> Result<[Vec<u8>; 2]> {
    let mut header = tar::Header::new_gnu();
    header.set_path("endless.env")?;
    header.set_size(1 << 62);
    header.set_cksum();
    let endless = [header.as_bytes().to_vec(), vec![b'x'; 4096]].concat();
    let mut many = tar::Builder::new(Vec::new());
    for number in 0..100_000 {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        many.append_data(&mut header, format!("{number}.env"), &b""[..])?;
    }
    Ok([endless, many.into_inner()?])
}

/// A package of Debian whose data is a bomb.
fn package(gzip: &[u8]) -> Vec<u8> {
    let member = |name: &str, content: &[u8]| {
        let length = content.len();
        let head = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n",
            0, 0, 0, 100_644
        );
        let padding = vec![b'\n'; length % 2];
        [head.as_bytes(), content, &padding].concat()
    };
    let parts = [b"!<arch>\n".to_vec(), member("debian-binary", b"2.0\n")];
    [parts.concat(), member("data.tar.gz", gzip)].concat()
}

/// One of each, by name: those that programs of this host make, inside one another, and in a package.
fn bombs() -> Result<Vec<(String, Vec<u8>)>> {
    let packers: [(&str, &str, &[&str]); 5] = [
        ("gzip.gz", "gzip", &["-1", "-c"]),
        ("bzip2.bz2", "bzip2", &["-1", "-c"]),
        ("xz.xz", "xz", &["-0", "-c"]),
        ("lzma.lzma", "xz", &["-0", "-c", "--format=lzma"]),
        ("zstd.zst", "zstd", &["-1", "-c"]),
    ];
    // A detector that is not optimised works on each for long: the first stands for them all.
    let slow = std::env::var_os("AKWATCH_SLOW_TESTS").is_some();
    let mut bombs = vec![("nested.zip".to_owned(), nested_zip()?)];
    for (name, program, arguments) in &packers[..if slow { packers.len() } else { 1 }] {
        let bomb = packed(program, arguments, BOMB)?;
        bombs.extend(bomb.map(|bomb| ((*name).to_owned(), bomb)));
    }
    let mut wrapped = tar::Builder::new(Vec::new());
    for (name, bomb) in &bombs {
        let mut header = tar::Header::new_gnu();
        header.set_size(bomb.len() as u64);
        wrapped.append_data(&mut header, name, bomb.as_slice())?;
    }
    bombs.push(("wrapped.tar".to_owned(), wrapped.into_inner()?));
    if let Some((_, gzip)) = bombs.iter().find(|(name, _)| name == "gzip.gz") {
        bombs.push(("package.deb".to_owned(), package(gzip)));
    }
    let [endless, many] = tars()?;
    bombs.extend([
        ("endless.tar".to_owned(), endless),
        ("many.tar".to_owned(), many),
    ]);
    Ok(bombs)
}

#[tokio::test]
async fn bombs_of_every_archive_format_cost_their_share_and_no_more() -> Result<()> {
    let _turn = turn::take().await;
    let bombs = tokio::task::spawn_blocking(bombs).await??;
    let fleet = Fleet::start().await?;
    let stranger = Stranger::within(&fleet.watched)?;
    let before = roles(&fleet)?;
    for (name, bomb) in &bombs {
        stranger.write(name, bomb)?;
    }
    wait_named(&fleet, "read-short", &stranger.home.to_string_lossy()).await?;
    let patience = 6 * wait::DEADLINE;
    wait::within(patience, "all of them to be looked at", async || {
        let status = fleet.agent.status().await?;
        let idle = status["scan"]["waiting"] == 0 && status["scan"]["in_flight"] == 0;
        Ok(idle.then_some(()))
    })
    .await?;
    others_are_served(&fleet).await?;
    assert_eq!(roles(&fleet)?, before, "a role ended");
    let held = held(&before)?;
    ensure!(held < HELD, "the roles hold {held} KiB");
    fleet.stop().await
}
