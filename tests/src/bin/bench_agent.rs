//! `cargo xtask bench agent`: what an agent costs its host, and how fast a key reaches the store.
//!
//! Starts a collector and an agent on this machine with the default watch set and prints the agent's
//! rows of the specification: memory, CPU when idle and under unrelated writes, and the time from a
//! closed file to the finding at the REST API. Prints the load beside them; asserts nothing.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akwatch_tests::bench::timing::median;
use akwatch_tests::fleet::Fleet;
use akwatch_tests::plant;
use akwatch_tests::process;
use anyhow::{Context, Result};
use clap::Parser;

/// Measures the agent on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench agent")]
struct Options {
    /// Keys planted one after the other for the time to the store
    #[arg(long, default_value_t = 100)]
    keys: usize,
    /// Seconds of each CPU row
    #[arg(long, default_value_t = 20)]
    seconds: u64,
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
    let fleet = Fleet::start().await?;
    let roles = process::descendants(fleet.agent.pid()?.as_raw());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    println!("| what | figure |\n|---|---|");
    row(
        "memory of all roles, PSS",
        &format!("{:.1} MB", pss(&roles)?),
    );

    let idle = share(&roles, options.seconds, async || Ok(())).await?;
    row("CPU, idle host", &format!("{idle:.2} % of one core"));
    let noise = fleet.directory.path().join("noise");
    std::fs::create_dir_all(&noise)?;
    let mut written = 0_u64;
    let busy = share(&roles, options.seconds, async || {
        write_some(&noise, &mut written)
    })
    .await?;
    let rate = written / options.seconds.max(1);
    row(
        &format!("CPU, {rate} unrelated writes a second"),
        &format!("{busy:.2} % of one core"),
    );

    let mut times = Vec::new();
    for number in 0..options.keys {
        times.push(time_to_store(&fleet, number).await?);
    }
    times.sort_by(f64::total_cmp);
    let late = times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or(f64::NAN);
    row(
        "file closed → finding at REST, median",
        &format!("{:.0} ms", median(times)),
    );
    row("the same, 99 of 100", &format!("{late:.0} ms"));
    row(
        "memory of all roles after that, PSS",
        &format!("{:.1} MB", pss(&roles)?),
    );
    fleet.stop().await
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// Proportional set size of all processes, in MB.
#[expect(clippy::cast_precision_loss, reason = "kilobytes fit a double")]
fn pss(roles: &[i32]) -> Result<f64> {
    let mut sum = 0;
    for pid in roles {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .context("no Pss")?;
        sum += line.trim().trim_end_matches(" kB").parse::<u64>()?;
    }
    Ok(sum as f64 / 1000.0)
}

/// CPU clock ticks that all processes have used.
fn ticks(roles: &[i32]) -> u64 {
    roles
        .iter()
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let rest = stat.rsplit_once(')')?.1;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum()
}

/// The percentage of one core that the agent uses while `work` is done every 10 ms.
#[expect(clippy::cast_precision_loss, reason = "ticks fit a double")]
async fn share(
    roles: &[i32],
    seconds: u64,
    mut work: impl AsyncFnMut() -> Result<()>,
) -> Result<f64> {
    let (before, begun) = (ticks(roles), Instant::now());
    while begun.elapsed() < Duration::from_secs(seconds) {
        work().await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let used = (ticks(roles) - before) as f64 / 100.0;
    Ok(used / begun.elapsed().as_secs_f64() * 100.0)
}

/// A hundred writes to files that nobody watches.
fn write_some(noise: &Path, written: &mut u64) -> Result<()> {
    for _ in 0..100 {
        let name = noise.join(format!("{}.dat", *written % 1000));
        std::fs::write(name, written.to_string())?;
        *written += 1;
    }
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
