//! `cargo xtask smoke`: the whole line once, without a person.
//!
//! Starts a collector and an agent in a temporary directory, plants one generated pair in a file,
//! one in the environment of a process and one in a shell history, waits for all three at the REST
//! API as paired findings at the right place, removes them and waits for all three to be *gone*.
//! Prints one line of JSON with the milliseconds that each took.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person or a script"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::plant::{self, Pair};
use akwatch_tests::rest::Rest;
use akwatch_tests::wait;
use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Plants three generated key pairs, waits until the collector shows them, removes them, waits until
/// they are gone, and prints the milliseconds.
#[derive(Parser)]
#[command(name = "cargo xtask smoke")]
struct Options {
    /// Keep the directory with logs and state
    #[arg(long)]
    keep: bool,
    /// Seconds that each wait may take
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match smoke(&options).await {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn smoke(options: &Options) -> Result<Value> {
    let mut directory = tempfile::Builder::new()
        .prefix("akwatch-smoke.")
        .tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    if options.keep {
        directory.disable_cleanup(true);
        eprintln!("smoke: everything lies in {}", directory.path().display());
    }
    let watched = directory.path().join("watched");
    std::fs::create_dir_all(watched.join("home"))?;
    let collector = Collector::start(&directory.path().join("collector")).await?;
    let rest = collector.rest().await?;
    let mut agent =
        Agent::start(&directory.path().join("agent"), &collector, &[&watched], "").await?;
    agent.wait_heard(&rest).await?;

    let deadline = Duration::from_secs(options.seconds);
    let outcome = plant_and_remove(&watched, &rest, deadline).await;
    let line = outcome.with_context(|| {
        format!(
            "agent:\n{}\ncollector:\n{}",
            agent.log_end(),
            collector.log_end()
        )
    })?;
    agent.stop().await?;
    collector.stop().await?;
    Ok(line)
}

/// One planted pair: where it must be shown, and how long that took.
struct Planted {
    name: &'static str,
    pair: Pair,
    place: &'static str,
    path: String,
    at: Instant,
}

async fn plant_and_remove(watched: &Path, rest: &Rest, deadline: Duration) -> Result<Value> {
    let file = watched.join("app/.env");
    let history = watched.join("home/.bash_history");
    let (tencent, alibaba, aws) = (plant::tencent(), plant::alibaba(), plant::aws());

    let mut planted = Vec::new();
    plant::write(
        &file,
        &format!(
            "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
            tencent.id, tencent.secret
        ),
    )?;
    planted.push(Planted {
        name: "file",
        pair: tencent,
        place: "file",
        path: shown(&file),
        at: Instant::now(),
    });
    let mut process = start_with(&alibaba)?;
    let pid = process.id().context("the planted process ended")?;
    planted.push(Planted {
        name: "process",
        pair: alibaba,
        place: "process",
        path: format!("/proc/{pid}/environ"),
        at: Instant::now(),
    });
    std::fs::write(
        &history,
        format!(
            "ls -la\nAWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws s3 ls\n",
            aws.id, aws.secret
        ),
    )?;
    planted.push(Planted {
        name: "history",
        pair: aws,
        place: "history",
        path: shown(&history),
        at: Instant::now(),
    });

    let mut found = serde_json::Map::new();
    for one in &planted {
        wait_for(rest, one, "present", deadline).await?;
        found.insert(
            one.name.to_owned(),
            json!({ "found_ms": milliseconds(one.at) }),
        );
    }

    plant::write(&file, "TENCENTCLOUD_REGION=ap-guangzhou\n")?;
    planted[0].at = Instant::now();
    process.kill().await?;
    planted[1].at = Instant::now();
    std::fs::write(&history, "ls -la\n")?;
    planted[2].at = Instant::now();
    for one in &planted {
        wait_for(rest, one, "gone", deadline).await?;
        found[one.name]["gone_ms"] = milliseconds(one.at).into();
    }
    Ok(Value::Object(found))
}

fn start_with(pair: &Pair) -> Result<Child> {
    Command::new("sleep")
        .arg("3600")
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting a process with a key in its environment")
}

/// Waits until the collector shows the pair in its place, paired and in `state`.
async fn wait_for(rest: &Rest, planted: &Planted, state: &str, deadline: Duration) -> Result<()> {
    let mut last = Vec::new();
    let what = format!("the {} to be {state} at {}", planted.name, planted.path);
    wait::within(deadline, &what, async || {
        last = rest.findings_of(&planted.pair.id).await?;
        let there = last.iter().any(|row| {
            row["location"]["type"] == planted.place
                && row["location"]["path"] == planted.path.as_str()
                && matches!(row["confidence"].as_str(), Some("paired" | "proven"))
                && row["kind"] == "access-key-pair"
                && row["state"] == state
        });
        Ok(there.then_some(()))
    })
    .await
    .with_context(|| format!("what the collector shows of it: {last:#?}"))
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn shown(path: &Path) -> String {
    let resolved: PathBuf = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    resolved.to_string_lossy().into_owned()
}
