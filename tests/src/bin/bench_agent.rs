//! `cargo xtask bench agent`: what an agent costs its host, and how fast a key reaches the store.
//!
//! Starts a collector and an agent on this machine with the default watch set and prints the agent's
//! rows of the specification beside their goals: memory, CPU, times, sizes, bytes on the wire. Every
//! figure of a window or of an attempt is a median. What else ran on the machine meanwhile stands
//! beside them (load, pressure, programs started), since an agent that watches a busy host is not
//! idle. Asserts nothing. Takes root.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akwatch_tests::agent::Agent;
use akwatch_tests::bench::footprint::{MemoryWatch, Roles, Share};
use akwatch_tests::bench::host::Around;
use akwatch_tests::bench::short_lived::{self, Lifetime};
use akwatch_tests::bench::table::{self, row};
use akwatch_tests::bench::timing::median;
use akwatch_tests::bench::wire::{self, Counted};
use akwatch_tests::bench::writes::Writes;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::{self, Fleet, NO_FIRST_SCAN};
use akwatch_tests::{plant, program, wait};
use anyhow::{Context, Result};
use clap::Parser;
use serde_json::Value;

/// Windows of a CPU row.
const WINDOWS: u32 = 5;

/// Until an agent has started, said who it is, and given back what that took.
const SETTLED: Duration = Duration::from_secs(20);

/// Continues the table of what is watched.
const NOTHING_WATCHED: &str = "exclude = [\"/**\"]\nprocesses = false\nhistory = false\n\
     [first_scan]\nenabled = false\n";

/// Measures the agent on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench agent")]
struct Options {
    /// Keys planted one after the other for the time to the store
    #[arg(long, default_value_t = 200)]
    keys: usize,
    /// Seconds of each of the five windows of a CPU row
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Minutes of each of the two soaks: network where nothing changes, the slope of memory
    #[arg(long, default_value_t = 4)]
    soak: u64,
    /// Directories made for the set-up row: 2 GB of them in /tmp
    #[arg(long, default_value_t = 500_000)]
    directories: usize,
    /// Processes started for the sweep row
    #[arg(long, default_value_t = 1000)]
    processes: usize,
    /// Processes started for each row of short-lived ones
    #[arg(long, default_value_t = 300)]
    short_lived: usize,
    /// What the first scan reads beside the watch set; may be given again
    #[arg(long = "scan", default_value = "/usr/share")]
    scans: Vec<PathBuf>,
    /// Minutes after which a first scan is no longer waited for
    #[arg(long, default_value_t = 30)]
    scan_minutes: u64,
    /// Leaves the first scan out
    #[arg(long)]
    no_scan: bool,
    /// Only these rows; may be given again
    #[arg(long = "row", value_enum)]
    rows: Vec<Row>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Row {
    /// The size of the program.
    Size,
    /// An agent for which nothing changes: CPU, network, memory.
    Quiet,
    /// The first scan, with the peak of memory.
    Scan,
    /// CPU and memory on this host as it is.
    Soak,
    /// Ten thousand unrelated writes a second.
    Writes,
    /// File closed to finding in the store.
    Keys,
    /// Processes that live shortly.
    Processes,
    /// A thousand programs a second.
    Storm,
    /// Sweeps of a thousand processes.
    Sweep,
    /// A file of 100,000 keys.
    Many,
    /// Set-up with many directories.
    Directories,
}

impl Options {
    fn wants(&self, row: Row) -> bool {
        let left_out = row == Row::Scan && self.no_scan;
        !left_out && (self.rows.is_empty() || self.rows.contains(&row))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    table::begin();
    if options.wants(Row::Size) {
        size()?;
    }
    if options.wants(Row::Quiet) {
        quiet(options).await?;
    }
    let scans = options.wants(Row::Scan);
    let more = if scans {
        format!("[first_scan]\npaths = {:?}\n", options.scans)
    } else {
        NO_FIRST_SCAN.to_owned()
    };
    let (mut fleet, _) = start(&more).await?;
    let roles = Roles::of(fleet.agent.pid()?);
    if scans {
        first_scan(&fleet, roles, options).await?;
    }
    if options.wants(Row::Soak) {
        soak(roles, options).await?;
        memory("steady", roles)?;
    }
    if options.wants(Row::Writes) {
        unrelated_writes(roles, options).await?;
    }
    if options.wants(Row::Keys) {
        keys(&fleet, options).await?;
    }
    if options.wants(Row::Processes) {
        short_lived_processes(&fleet, options).await?;
    }
    if options.wants(Row::Storm) {
        storm(&fleet, roles, options).await?;
    }
    if options.wants(Row::Sweep) {
        sweep(&fleet, options).await?;
    }
    if options.wants(Row::Many) {
        many_keys(&fleet, roles).await?;
    }
    memory("after all of that", roles)?;
    if options.wants(Row::Directories) {
        directories(&mut fleet, options).await?;
    }
    fleet.stop().await
}

/// A collector, and an agent that reaches it through a counting forwarder.
async fn start(more: &str) -> Result<(Fleet, Counted)> {
    let (directory, watched) = fleet::directory()?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let rest = collector.rest().await?;
    let (url, counted) = wire::forward(&collector.agents).await?;
    let home = directory.path().join("agent");
    Agent::configure(&home, &url, &[&watched], more)?;
    Agent::enroll(&home, &collector.bootstrap().await?).await?;
    let agent = Agent::run(&home)?;
    let mut fleet = Fleet {
        directory,
        watched,
        collector,
        agent,
        rest,
    };
    fleet.agent.wait_heard(&fleet.rest).await?;
    Ok((fleet, counted))
}

#[expect(clippy::cast_precision_loss, reason = "sizes fit a double")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes fit a double")]
fn kib_as_mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

fn size() -> Result<()> {
    let own = program::path("akwatch-agent")?;
    let profile = own.parent().context("a program lies in a directory")?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let packaged = profile.with_file_name("dist").join(target);
    let packaged = packaged.join("dist/akwatch-agent");
    for (name, path) in [("as measured here", &own), ("as packaged", &packaged)] {
        match std::fs::metadata(path) {
            Ok(meta) => row(
                &format!("program, {name}"),
                &format!("{:.1} MB", mb(meta.len())),
                "≤ 15 MB",
            ),
            Err(_) => row(
                &format!("program, {name}"),
                "not built: cargo xtask dist",
                "≤ 15 MB",
            ),
        }
    }
    Ok(())
}

/// Waits until the first scan has ended, or long enough; what it cost.
async fn first_scan(fleet: &Fleet, roles: Roles, options: &Options) -> Result<()> {
    let (memory, begun, around) = (MemoryWatch::start(roles), Instant::now(), Around::now());
    let mut last = Value::Null;
    while !over(&last) && begun.elapsed() < Duration::from_secs(options.scan_minutes * 60) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        last = fleet.agent.status().await?;
    }
    let took = begun.elapsed();
    let peak = memory
        .end()?
        .into_iter()
        .map(|(_, kib)| kib)
        .max()
        .unwrap_or(0);
    let files = last["scan"]["files"].as_u64().unwrap_or(0);
    let read = last["cost"]["bytes_read"].as_u64().unwrap_or(0);
    let how_far = if over(&last) { "" } else { ", not at its end" };
    let of = format!(
        "first scan of {files} files, {:.0} MB read{how_far}",
        mb(read)
    );
    row(&of, &format!("{:.0} s", took.as_secs_f64()), "");
    let shares = roles.cpu();
    let spent: Vec<String> = shares
        .iter()
        .map(|share| format!("{} {:.1}", share.role, share.figure.as_secs_f64()))
        .collect();
    row("CPU seconds of it", &spent.join(", "), "");
    row(
        "memory of all roles at its peak, PSS",
        &format!("{:.1} MB", kib_as_mb(peak)),
        "≤ 64 MB",
    );
    around.print("first scan");
    Ok(())
}

/// Whether the agent has read the host as a whole.
fn over(status: &Value) -> bool {
    status["scan"]["first_done"] == true && status["scan"]["running"].is_null()
}

fn memory(when: &str, roles: Roles) -> Result<()> {
    let shares = roles.pss()?;
    let sum: u64 = shares.iter().map(|share| share.figure).sum();
    let each: Vec<String> = shares
        .iter()
        .map(|Share { role, figure }| format!("{role} {:.1}", kib_as_mb(*figure)))
        .collect();
    row(
        &format!("memory of all roles {when}, PSS"),
        &format!("{:.1} MB ({})", kib_as_mb(sum), each.join(", ")),
        "≤ 25 MB",
    );
    Ok(())
}

/// The percentages of one core that the agent uses in each of the windows.
async fn windows(
    roles: Roles,
    seconds: u64,
    mut work: impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<f64>> {
    let mut shares = Vec::new();
    for _ in 0..WINDOWS {
        let (before, begun) = (roles.cpu_sum(), Instant::now());
        while begun.elapsed() < Duration::from_secs(seconds) {
            work().await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let used = roles.cpu_sum().saturating_sub(before).as_secs_f64();
        shares.push(used / begun.elapsed().as_secs_f64() * 100.0);
    }
    Ok(shares)
}

fn each(figures: &[f64], digits: usize) -> String {
    let all: Vec<String> = figures
        .iter()
        .map(|figure| format!("{figure:.digits$}"))
        .collect();
    all.join(" ")
}

/// An agent for which nothing changes, whatever else this machine does: what it costs to be there,
/// and what it says to its collector.
#[expect(clippy::cast_precision_loss, reason = "bytes of minutes fit a double")]
async fn quiet(options: &Options) -> Result<()> {
    let (fleet, counted) = start(NOTHING_WATCHED).await?;
    let (roles, around) = (Roles::of(fleet.agent.pid()?), Around::now());
    tokio::time::sleep(SETTLED).await;
    let network = async || -> Result<u64> {
        let status = fleet.agent.status().await?;
        Ok(status["cost"]["network_bytes"].as_u64().unwrap_or(0))
    };
    let (bodies, bytes, begun) = (network().await?, counted.bytes(), Instant::now());
    let held = MemoryWatch::start(roles);
    let connections = counted.connections();
    let seconds = (options.soak * 60).div_ceil(u64::from(WINDOWS));
    let cpu = windows(roles, seconds, async || Ok(())).await?;
    row(
        "CPU, nothing changes in what is watched",
        &format!(
            "{:.3} % of one core ({})",
            median(cpu.clone()),
            each(&cpu, 3)
        ),
        "≤ 0.1 %",
    );
    let days = begun.elapsed().as_secs_f64() / 86_400.0;
    let daily = |bytes: u64| bytes as f64 / days / 1e6;
    row(
        &format!("network, steady, over {} min", options.soak),
        &format!(
            "{:.2} MB a day of bodies, {:.2} MB with HTTP and TLS, {} new connections",
            daily(network().await?.saturating_sub(bodies)),
            daily(counted.bytes() - bytes),
            counted.connections() - connections
        ),
        "≤ 1 MB a day",
    );
    slope("where nothing changes", held, options)?;
    memory("where nothing changes", roles)?;
    around.print("nothing changes");
    fleet.stop().await
}

/// How memory went over a soak.
#[expect(clippy::cast_precision_loss, reason = "kilobytes fit a double")]
fn slope(when: &str, memory: MemoryWatch, options: &Options) -> Result<()> {
    let seen: Vec<(f64, f64)> = memory
        .end()?
        .into_iter()
        .map(|(at, kib)| (at / 3600.0, kib as f64))
        .collect();
    row(
        &format!("slope of memory {when}, over {} min, PSS", options.soak),
        &format!("{:+.0} KiB an hour", table::slope(&seen)),
        "0",
    );
    Ok(())
}

/// An agent on this machine as it is: CPU in windows, and how its memory goes.
async fn soak(roles: Roles, options: &Options) -> Result<()> {
    let (memory, around, begun) = (MemoryWatch::start(roles), Around::now(), Instant::now());
    let idle = windows(roles, options.seconds, async || Ok(())).await?;
    row(
        "CPU, this host as it is",
        &format!(
            "{:.2} % of one core ({})",
            median(idle.clone()),
            each(&idle, 2)
        ),
        "≤ 0.1 % where it is idle",
    );
    let left = Duration::from_secs(options.soak * 60).saturating_sub(begun.elapsed());
    tokio::time::sleep(left).await;
    slope("on this host as it is", memory, options)?;
    around.print("as it is");
    Ok(())
}

/// Ten thousand files a second are written where nobody watches.
async fn unrelated_writes(roles: Roles, options: &Options) -> Result<()> {
    let around = Around::now();
    let mut writes = Writes::unwatched()?;
    let begun = Instant::now();
    let busy = windows(roles, options.seconds.div_ceil(2), async || writes.due()).await?;
    let rate = writes.rate(begun.elapsed());
    row(
        &format!("CPU, {rate:.0} unrelated writes a second"),
        &format!(
            "{:.2} % of one core ({})",
            median(busy.clone()),
            each(&busy, 2)
        ),
        "≤ 1 %",
    );
    around.print("writes");
    Ok(())
}

/// Keys are planted one by one; how long until each is in the collector's store.
async fn keys(fleet: &Fleet, options: &Options) -> Result<()> {
    let around = Around::now();
    let mut times = Vec::new();
    for number in 0..options.keys {
        times.push(time_to_store(fleet, number).await?);
    }
    let what = format!("file closed → finding in the store ({} keys)", options.keys);
    row(
        &what,
        &format!(
            "p50 {:.0} ms, p99 {:.0} ms",
            table::quantile(&times, 0.5),
            table::quantile(&times, 0.99)
        ),
        "p50 ≤ 150 ms, p99 ≤ 1 s",
    );
    around.print("keys");
    Ok(())
}

/// Milliseconds from the close of a file to its finding at the REST API.
async fn time_to_store(fleet: &Fleet, number: usize) -> Result<f64> {
    let pair = plant::tencent();
    let text = format!("SECRET_ID={}\nSECRET_KEY={}\n", pair.id, pair.secret);
    plant::write(&fleet.watched.join(format!("{number}.env")), &text)?;
    let begun = Instant::now();
    loop {
        if !fleet.rest.findings_of(&pair.id).await?.is_empty() {
            return Ok(begun.elapsed().as_secs_f64() * 1000.0);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            anyhow::bail!("a planted key did not arrive:\n{}", fleet.agent.log_end());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Programs that end soon, each with a key of its own in its environment.
async fn short_lived_processes(fleet: &Fleet, options: &Options) -> Result<()> {
    let around = Around::now();
    for (lifetime, goal) in [
        (Lifetime::Shortest, "≥ 99 %"),
        (Lifetime::FiveMilliseconds, "100 %"),
    ] {
        let started = short_lived::start(lifetime, options.short_lived).await?;
        let captured = short_lived::captured(&fleet.rest, &started).await?;
        row(
            &format!("{lifetime}: environment captured"),
            &format!("{captured} of {}", started.len()),
            goal,
        );
    }
    let status = fleet.agent.status().await?;
    let sensing = &status["sensing"];
    row(
        "exec → environment captured, since the start",
        &format!(
            "p50 {} µs, p99 {} µs of {}",
            sensing["capture_p50_us"], sensing["capture_p99_us"], sensing["captured"]
        ),
        "p99 ≤ 1 ms",
    );
    around.print("short-lived processes");
    Ok(())
}

/// A thousand programs a second, as far as this machine manages.
async fn storm(fleet: &Fleet, roles: Roles, options: &Options) -> Result<()> {
    const RATE: u32 = 1000;
    let around = Around::now();
    let counts = async || -> Result<[u64; 2]> {
        let status = fleet.agent.status().await?;
        let sensing = &status["sensing"];
        Ok(["captured", "missed"].map(|name| sensing[name].as_u64().unwrap_or(0)))
    };
    let (before, cpu) = (counts().await?, roles.cpu_sum());
    let seconds = options.seconds;
    let (started, took) =
        tokio::task::spawn_blocking(move || short_lived::storm(RATE, seconds)).await??;
    let used = roles.cpu_sum().saturating_sub(cpu);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = counts().await?;
    let [captured, missed] = [after[0] - before[0], after[1] - before[1]];
    row(
        &format!(
            "exec storm, {:.0} programs a second",
            table::ratio(started * 1000, u64::try_from(took.as_millis())?)
        ),
        &format!(
            "{:.1} % of one core; {captured} environments captured, {missed} missed, of {started} started",
            used.as_secs_f64() / took.as_secs_f64() * 100.0
        ),
        "bounded, 0 in silence",
    );
    around.print("exec storm");
    Ok(())
}

/// A file of a hundred thousand keys: what reading it holds, and what is left of that.
async fn many_keys(fleet: &Fleet, roles: Roles) -> Result<()> {
    const KEYS: usize = 100_000;
    let mut text = String::new();
    let last = plant::tencent();
    for _ in 1..KEYS {
        let pair = plant::tencent();
        text.push_str(&format!(
            "SECRET_ID={}\nSECRET_KEY={}\n",
            pair.id, pair.secret
        ));
    }
    let (memory, around) = (MemoryWatch::start(roles), Around::now());
    let file = fleet.watched.join("many.env");
    plant::write(&file, &text)?;
    plant::write(
        &fleet.watched.join("after-many.env"),
        &format!("SECRET_ID={}\nSECRET_KEY={}\n", last.id, last.secret),
    )?;
    wait::within(
        Duration::from_secs(300),
        "the file to be read",
        async || Ok((!fleet.rest.findings_of(&last.id).await?.is_empty()).then_some(())),
    )
    .await?;
    let peak = memory.end()?.into_iter().map(|(_, kib)| kib).max();
    row(
        &format!("memory of all roles at its peak, a file of {KEYS} keys, PSS"),
        &format!("{:.1} MB", kib_as_mb(peak.unwrap_or(0))),
        "≤ 64 MB",
    );
    around.print("many keys");
    std::fs::remove_file(&file)?;
    Ok(())
}

/// Many processes, and what looking at all of them costs.
async fn sweep(fleet: &Fleet, options: &Options) -> Result<()> {
    let crowd = short_lived::Crowd::start(options.processes)?;
    let mut times = Vec::new();
    let mut seen = 0;
    let enough = wait::within(Duration::from_secs(300), "five sweeps", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = fleet.agent.status().await?;
        let sensing = &status["sensing"];
        let (sweeps, swept) = (
            sensing["sweeps"].as_u64().unwrap_or(0),
            sensing["swept"].as_u64().unwrap_or(0),
        );
        if sweeps > seen && swept >= options.processes as u64 {
            seen = sweeps;
            times.push(table::ratio(
                sensing["sweep_us"].as_u64().unwrap_or(0),
                swept,
            ));
        }
        Ok((times.len() >= 5).then_some(swept))
    })
    .await?;
    row(
        &format!("sweep of {enough} processes"),
        &format!(
            "{:.1} µs of CPU each ({})",
            median(times.clone()),
            each(&times, 1)
        ),
        "≤ 20 µs",
    );
    drop(crowd);
    Ok(())
}

/// The agent is started again with many more directories to watch.
async fn directories(fleet: &mut Fleet, options: &Options) -> Result<()> {
    let (few, little) = set_up(fleet).await?;
    make_directories(&fleet.watched.join("tree"), options.directories)?;
    let (many, much) = set_up(fleet).await?;
    row(
        &format!("set-up, {} more directories", options.directories),
        &format!(
            "{many:.0} ms against {few:.0} ms from start to watching; {:+.1} MB",
            kib_as_mb(much) - kib_as_mb(little)
        ),
        "≤ 100 ms, no memory for each",
    );
    Ok(())
}

/// Starts the agent again without a scan: milliseconds until it watches, and its PSS then.
async fn set_up(fleet: &mut Fleet) -> Result<(f64, u64)> {
    let home = fleet.directory.path().join("agent");
    let config = home.join("agent.toml");
    let text = std::fs::read_to_string(&config)?;
    let text = text.split("[first_scan]").next().unwrap_or_default();
    std::fs::write(&config, format!("{text}{NO_FIRST_SCAN}"))?;
    let mut times = Vec::new();
    let mut kib = 0;
    for _ in 0..WINDOWS {
        fleet.agent.pause().await?;
        let begun = Instant::now();
        fleet.agent = Agent::run(&home)?;
        fleet.agent.wait_watching().await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        kib = Roles::of(fleet.agent.pid()?)
            .pss()?
            .iter()
            .map(|share| share.figure)
            .sum();
    }
    Ok((median(times), kib))
}

/// `count` directories, a hundred in each.
fn make_directories(top: &Path, count: usize) -> Result<()> {
    for number in 0..count {
        std::fs::create_dir_all(top.join(format!("{}/{number}", number / 100)))?;
    }
    Ok(())
}
