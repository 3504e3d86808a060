//! What the agent takes of its host at most, measured from outside: bytes that a scan reads, bytes that
//! its state takes on the disk. At a limit it goes on with what it has, and says what it leaves out. What
//! costs too much is set aside by name.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use akwatch_tests::fleet::{ALONE, BEATING, Fleet, directory_alone};
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::{agent::Agent, collector::Collector, process, wait};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long a scan at a MiB a second may take; on a host under pressure it is a tenth of that.
const PATIENCE: Duration = Duration::from_secs(300);

const MIB: u64 = 1 << 20;

/// A fleet whose agent sees `watched` alone.
async fn start(more: &str) -> Result<Fleet> {
    let (directory, watched) = directory_alone()?;
    let collector = Collector::configured(&directory.path().join("collector"), BEATING)?;
    let collector = Collector::start(&collector).await?;
    let rest = collector.rest().await?;
    let more = format!("processes = false\nhistory = false\n{ALONE}{more}");
    let home = directory.path().join("agent");
    let mut agent = Agent::start(&home, &collector, &[&watched], &more).await?;
    agent.wait_heard(&rest).await?;
    Ok(Fleet {
        directory,
        watched,
        collector,
        agent,
        rest,
    })
}

fn text(pair: &Pair) -> String {
    format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret)
}

/// What a process had read at some moment between two others.
struct Sample {
    since: Instant,
    bytes: u64,
    until: Instant,
}

impl Sample {
    fn of(pid: i32) -> Result<Sample> {
        let since = Instant::now();
        let bytes = read_by(pid)?;
        let until = Instant::now();
        Ok(Sample {
            since,
            bytes,
            until,
        })
    }
}

/// Bytes that a process has read from files so far, by the kernel's count.
fn read_by(pid: i32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    let count = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(count.context("no rchar in io")?.parse()?)
}

#[tokio::test]
async fn a_scan_reads_no_faster_than_its_budget() -> Result<()> {
    const FILES: u64 = 32;
    const SIZE: u64 = MIB / 4;
    let more = "enabled = true\n\n[budget]\nscan_bytes_per_second = 1048576\n";
    let pair = plant::tencent();
    let mut fleet = start("").await?;
    // The same host, once more, as a new one: with a scan, and with something to read.
    let home = fleet.directory.path().join("agent");
    fleet.agent.pause().await?;
    let mut there = 0;
    for number in 0..FILES {
        let filler = format!("# line {number}\n").repeat(usize::try_from(SIZE)? / 10);
        plant::write(&fleet.watched.join(format!("{number:02}.env")), &filler)?;
        there += filler.len() as u64;
    }
    plant::write(&fleet.watched.join("last.env"), &text(&pair))?;
    let config = home.join("agent.toml");
    let with_scan = std::fs::read_to_string(&config)?.replace("enabled = false\n", more);
    std::fs::write(&config, with_scan)?;
    let begun = Instant::now();
    fleet.agent = Agent::run(&home)?;
    let detector = wait::until("a detector", async || {
        let found = fleet
            .agent
            .pid()
            .and_then(|pid| process::role(pid, "detector"));
        Ok(found.ok())
    })
    .await?;
    let mut seen = vec![Sample::of(detector)?];
    wait::within(PATIENCE, "the first scan to end", async || {
        seen.push(Sample::of(detector)?);
        let status = fleet.agent.status().await?;
        let scan = &status["scan"];
        let over = scan["first_done"] == true && scan["waiting"] == 0 && scan["in_flight"] == 0;
        Ok(over.then_some(()))
    })
    .await
    .with_context(|| fleet.agent.log_end())?;
    let took = begun.elapsed();
    // All of it: some may have been read before the first look.
    let read = read_by(detector)?;
    ensure!(read >= there, "{read} of {there} bytes were read");
    // Two seconds may be saved up and under way, and one file is opened before its size is charged.
    ensure!(took >= Duration::from_secs(5), "8 MiB in {took:?}");
    for (at, first) in seen.iter().enumerate() {
        for last in &seen[at..] {
            // This process may have stood still between a look and its clock: the longest that it can have
            // been.
            let seconds = (last.until - first.since).as_secs() + 1;
            let most = (seconds + 2) * MIB + 2 * SIZE;
            let read = last.bytes - first.bytes;
            ensure!(read <= most, "{read} bytes in {seconds} s");
        }
    }
    fleet
        .wait_findings("what a slow scan finds", &pair.id, |rows| rows.len() == 1)
        .await?;
    fleet.stop().await
}

/// Bytes on disk of everything in `directory`, in which files come and go.
fn on_disk(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        match entry?.metadata() {
            Ok(meta) => sum += meta.blocks() * 512,
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(why.into()),
        }
    }
    Ok(sum)
}

#[tokio::test]
async fn a_state_at_its_limit_on_disk_goes_on_and_counts_what_it_leaves_out() -> Result<()> {
    const LIMIT: u64 = 32 * MIB;
    let more = format!("\n[budget]\ndisk_bytes = {LIMIT}\n");
    let fleet = start(&more).await?;
    let first = plant::tencent();
    let file = fleet.watched.join("first.env");
    plant::write(&file, &text(&first))?;
    fleet
        .wait_state(&first.id, &file.to_string_lossy(), "present")
        .await?;
    // A path as long as one may be, in each of 200 findings of each file.
    let deep = (0..14).fold(fleet.watched.clone(), |path, _| path.join("d".repeat(240)));
    std::fs::create_dir_all(&deep)?;
    for number in 0..30 {
        let keys: String = (0..200).map(|_| text(&plant::tencent())).collect();
        plant::write(&deep.join(format!("{number}.env")), &keys)?;
    }
    let state = fleet.directory.path().join("agent/state/watcher");
    wait::within(
        PATIENCE,
        "the ledger to be full, and that to be said",
        async || {
            ensure!(
                on_disk(&state)? <= LIMIT,
                "{} bytes on disk",
                on_disk(&state)?
            );
            let hosts = fleet.rest.get("hosts").await?;
            let id = hosts["rows"][0]["id"].as_str().context("an id")?;
            let host = fleet.rest.get(&format!("hosts/{id}")).await?;
            // Thousands of findings in one commit keep it busy.
            let status = fleet.agent.status().await?;
            let says = |what: &Value| what.to_string().contains("\"ledger-full\"");
            let idle = status["scan"]["waiting"] == 0 && status["scan"]["in_flight"] == 0;
            Ok((idle && says(&status["coverage"]) && says(&host)).then_some(()))
        },
    )
    .await
    .with_context(|| fleet.agent.log_end())?;
    // What it has it goes on to follow.
    std::fs::remove_file(&file)?;
    fleet
        .wait_state(&first.id, &file.to_string_lossy(), "gone")
        .await?;
    ensure!(
        on_disk(&state)? <= LIMIT,
        "{} bytes on disk",
        on_disk(&state)?
    );
    fleet.stop().await
}

/// Megabytes of a file on which a detector works for seconds: a password that never ends.
const SLOW: usize = 24;

/// What the agent, and its collector, name as set aside.
async fn set_aside(fleet: &Fleet) -> Result<[Value; 2]> {
    let own = fleet.agent.status().await?["coverage"]["set_aside"].clone();
    let hosts = fleet.rest.get("hosts").await?;
    let id = hosts["rows"][0]["id"].as_str().context("an id")?;
    let host = fleet.rest.get(&format!("hosts/{id}")).await?;
    Ok([own, host["coverage"]["set_aside"].clone()])
}

#[tokio::test]
async fn a_file_that_ends_the_detector_is_set_aside_by_name_and_tried_again() -> Result<()> {
    let fleet = start("").await?;
    let (within, other) = (plant::tencent(), plant::tencent());
    let file = fleet.watched.join("slow.env");
    let path = file.to_string_lossy().into_owned();
    plant::write(
        &file,
        &(text(&within) + &"password=".repeat(SLOW << 20 >> 3)),
    )?;
    let supervisor = fleet.agent.pid()?;
    let mut last = Value::Null;
    wait::within(PATIENCE, "the file to be set aside by name", async || {
        let [own, told] = set_aside(&fleet).await?;
        let named = |all: &Value| {
            let mut all = all.as_array().into_iter().flatten();
            all.any(|one| one["name"] == path.as_str() && one["kind"] == "file")
        };
        last = own.clone();
        if named(&own) {
            return Ok(named(&told).then_some(()));
        }
        let scan = fleet.agent.status().await?["scan"].clone();
        if scan["in_flight"].as_u64() > Some(0)
            && let Ok(detector) = process::role(supervisor, "detector")
        {
            let _ = kill(Pid::from_raw(detector), Signal::SIGKILL); // or it has ended by itself
        }
        Ok(None)
    })
    .await
    .with_context(|| format!("{last:#}\n{}", fleet.agent.log_end()))?;
    assert_eq!(last[0]["why"], "ended-detector", "{last:#}");
    let said = fleet.agent.command("status", &[]).await?;
    let line = said.lines().find(|line| line.starts_with("set aside"));
    let line = line.with_context(|| said.clone())?;
    ensure!(
        line.contains(&path) && line.contains("tried again in"),
        "{line}"
    );
    let sources = fleet.agent.status().await?["coverage"]["sources"].clone();
    ensure!(sources.to_string().contains("\"set-aside\""), "{sources:#}");
    // It holds nobody up.
    plant::write(&fleet.watched.join("other.env"), &text(&other))?;
    fleet
        .wait_findings("another key", &other.id, |rows| rows.len() == 1)
        .await?;
    // A minute later it is read, and named no more.
    wait::within(PATIENCE, "the file to be tried again", async || {
        let found = !fleet.rest.findings_of(&within.id).await?.is_empty();
        let [own, told] = set_aside(&fleet).await?;
        Ok((found && own.is_null() && told.is_null()).then_some(()))
    })
    .await
    .with_context(|| fleet.agent.log_end())?;
    fleet.stop().await
}
