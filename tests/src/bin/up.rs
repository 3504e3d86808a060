//! `cargo xtask up`: a collector and an agent on this machine, on its real files.
//!
//! Starts the collector on loopback with its embedded store and built-in authority, enrolls an agent
//! over mutual TLS, lets it scan and watch this machine, and prints where to look: the console with
//! a one-time sign-in link, a table of what lies here, and one line to paste that plants a generated
//! key. Ctrl-C stops every process; what stays is the directory that it names.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person or a script"
)]

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use akwatch_tests::agent::Agent;
use akwatch_tests::collector::Collector;
use akwatch_tests::fleet::NO_FIRST_SCAN;
use akwatch_tests::rest::Rest;
use akwatch_tests::{plant, program};
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts a collector and an agent on this machine and shows what lies here.
#[derive(Parser)]
#[command(name = "cargo xtask up")]
struct Options {
    /// No terminal needed: print one line of JSON when ready; SIGTERM ends it
    #[arg(long)]
    json: bool,
    /// Watch what changes, and leave out the scan of what is there
    #[arg(long)]
    no_first_scan: bool,
    /// Where state and logs go; a new temporary directory when absent
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// How long the first scan is waited for before the table is printed all the same.
const FIRST_SCAN: Duration = Duration::from_secs(90);

/// Lines of the table that are printed; the rest is one command away.
const TABLE_LINES: usize = 36;

#[tokio::main]
async fn main() -> ExitCode {
    match up(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("up: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn up(options: &Options) -> Result<()> {
    let mut stop = Stop::new()?;
    let directory = directory(options)?;
    let planted = directory.join("planted");
    std::fs::create_dir_all(&planted)?;
    let collector = Collector::start(&directory.join("collector")).await?;
    let token = collector.api_token("up", "admin").await?;
    let rest = Rest::new(
        &collector.people,
        &std::fs::read(&collector.authority)?,
        &token,
    )?;
    let scan = if options.no_first_scan {
        NO_FIRST_SCAN
    } else {
        ""
    };
    let mut agent = Agent::start(&directory.join("agent"), &collector, &[&planted], scan).await?;
    agent.wait_heard(&rest).await?;
    let token_file = directory.join("token");
    write_private(&token_file, &token)?;
    let view = View {
        directory,
        planted,
        token_file,
        token,
    };
    if options.json {
        let line = json!({
            "console": collector.people,
            "api": format!("{}/api/v1", collector.people),
            "token": view.token,
            "ca": collector.authority,
            "state": view.directory,
        });
        println!("{line}");
        std::io::stdout().flush()?;
        watch(&mut stop, &mut agent).await?;
    } else {
        let ended = tokio::select! {
            shown = view.show(&collector, &agent, &rest) => { shown?; false }
            () = stop.asked() => true,
        };
        if !ended {
            watch(&mut stop, &mut agent).await?;
        }
    }
    let farewell = (agent.stop().await, collector.stop().await);
    if !options.json {
        println!(
            "\nStopped. State and logs stay in {}",
            view.directory.display()
        );
    }
    farewell.0.and(farewell.1)
}

/// Ctrl-C, or SIGTERM from a script.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits for the person, or for the agent to end by itself.
async fn watch(stop: &mut Stop, agent: &mut Agent) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => agent.check_running()?,
        }
    }
}

fn directory(options: &Options) -> Result<PathBuf> {
    let directory = match &options.dir {
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("making {}", directory.display()))?;
            if directory.join("agent").exists() {
                bail!(
                    "{} holds the state of an earlier run; name a new directory, or remove it",
                    directory.display()
                );
            }
            directory.canonicalize()?
        }
        None => tempfile::Builder::new()
            .prefix("akwatch-up.")
            .tempdir()?
            .keep(),
    };
    // The agent's roles run as users of their own and must be able to reach their state.
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    Ok(())
}

/// What a person is shown.
struct View {
    directory: PathBuf,
    planted: PathBuf,
    token_file: PathBuf,
    token: String,
}

impl View {
    async fn show(&self, collector: &Collector, agent: &Agent, rest: &Rest) -> Result<()> {
        let host = self.first_scan(agent, rest).await?;
        let link = collector.command(&["first-sign-in"]).await?;
        println!("Console   {}", collector.people);
        println!("Sign in   {link}");
        println!(
            "          (once; its certificate is signed by {})",
            collector.authority.display()
        );
        println!();
        self.table(collector, &["host", "show", &host]).await?;
        self.say_what_is_missing(agent).await?;
        self.invite(collector);
        Ok(())
    }

    /// Follows the first scan and says how far it is; gives the host's id.
    async fn first_scan(&self, agent: &Agent, rest: &Rest) -> Result<String> {
        let begun = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        loop {
            let status = agent.status().await?;
            let sources = status["coverage"]["sources"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let read: u64 = sources
                .iter()
                .filter_map(|source| source["read"].as_u64())
                .sum();
            if terminal {
                let found = &status["present"];
                eprint!("\r\x1b[KFirst scan: {read} places read, {found} findings");
            }
            let done = status["scan"]["first_done"] == true;
            if done || begun.elapsed() > FIRST_SCAN {
                if terminal {
                    eprintln!();
                }
                if !done {
                    println!("The first scan goes on; {read} places have been read so far.\n");
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let hosts = rest.get("hosts").await?;
        let id = hosts["rows"][0]["id"]
            .as_str()
            .context("the host has no id")?;
        Ok(id.to_owned())
    }

    /// The head of a table made by the responder's command line.
    async fn table(&self, collector: &Collector, args: &[&str]) -> Result<()> {
        let output = Command::new(program::path("akwatch")?)
            .args(args)
            .env("AKWATCH_URL", &collector.people)
            .env("AKWATCH_CA", &collector.authority)
            .env("AKWATCH_TOKEN", &self.token)
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!(
                "akwatch {} ended with {}: {error}",
                args.join(" "),
                output.status
            );
        }
        for line in text.lines().take(TABLE_LINES) {
            println!("{line}");
        }
        let more = text.lines().count().saturating_sub(TABLE_LINES);
        if more > 0 {
            println!("… and {more} more lines: akwatch {}", args.join(" "));
        }
        Ok(())
    }

    /// What the agent cannot see here, and which of its walls this machine lacks.
    async fn say_what_is_missing(&self, agent: &Agent) -> Result<()> {
        let status = agent.status().await?;
        let coverage = &status["coverage"];
        let walls: Vec<&str> = coverage["missing_walls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !walls.is_empty() {
            println!("Walls missing on this machine: {}", walls.join(", "));
        }
        for source in coverage["sources"].as_array().into_iter().flatten() {
            let name = source["source"].as_str().unwrap_or("places");
            for missed in source["not_read"].as_array().into_iter().flatten() {
                let why = missed["why"].as_str().unwrap_or("unknown");
                println!("Not read: {} {name} ({why})", missed["count"]);
            }
        }
        Ok(())
    }

    fn invite(&self, collector: &Collector) {
        let pair = plant::tencent();
        let file = self.planted.join(".env");
        println!("\nPlant a generated key and see it arrive; then remove it and see it gone:\n");
        println!(
            "  printf 'TENCENTCLOUD_SECRET_ID={}\\nTENCENTCLOUD_SECRET_KEY={}\\n' > {}",
            pair.id,
            pair.secret,
            file.display()
        );
        println!("  : > {}\n", file.display());
        println!(
            "Command line: AKWATCH_URL={} AKWATCH_CA={} akwatch --token-file {} findings",
            collector.people,
            collector.authority.display(),
            self.token_file.display()
        );
        println!("Ctrl-C stops everything.");
    }
}
