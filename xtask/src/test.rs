//! Every test, in the order that finds a fault soonest.
//!
//! The cheap checks run first. The browser, the console's packages and what makes ours are installed
//! while Rust compiles. The end-to-end tests come last: they start the programs as they are shipped.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::build::{self, cargo, step};
use crate::{console, dist, prerequisites, tidy};

/// Runs every test; with `slow` also those that take longer than a commit may.
pub(crate) fn run(slow: bool) -> Result<ExitCode> {
    prerequisites::check_build()?;
    prerequisites::say_room();
    step("rustfmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    if tidy::run()? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let front = thread::spawn(move || -> Result<()> {
        prerequisites::install_for_tests()?;
        if slow {
            prerequisites::install_for_slow_tests()?;
        }
        dist::prepare()?;
        console::build()
    });
    step(
        "clippy",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    front
        .join()
        .map_err(|_| anyhow!("the console's build panicked"))??;
    step(
        "console: unit tests",
        &mut console::npm(&["run", "--silent", "test"]),
    )?;
    build::programs(false)?;
    let mut tests = cargo(&[
        "test",
        "--workspace",
        "--locked",
        "--features",
        build::FEATURES,
    ]);
    // What cannot be proven on this machine fails instead of being left out.
    tests.env("AKWATCH_COMPLETE_TESTS", "1");
    if slow {
        tests.env("AKWATCH_SLOW_TESTS", "1");
    }
    step("tests", &mut tests)?;
    browser()?;
    Ok(ExitCode::SUCCESS)
}

/// The browser tests: on generated fleets, and on a real collector with an agent on this machine.
fn browser() -> Result<()> {
    let directory = tempfile::Builder::new()
        .prefix("akwatch-browser.")
        .tempdir()?;
    let state = directory.path().join("up");
    let mut up = Command::new(build::target().join("debug/akwatch-up"))
        // Pages are compared with answers: nothing may move but what a test plants.
        .args(["--json", "--no-first-scan"])
        .arg("--dir")
        .arg(&state)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting a collector and an agent for the browser tests")?;
    let outcome = drive(&mut up, &state);
    kill(Pid::from_raw(i32::try_from(up.id())?), Signal::SIGTERM)?;
    up.wait()?;
    outcome
}

fn drive(up: &mut Child, state: &Path) -> Result<()> {
    let mut line = String::new();
    let output = up.stdout.take().context("its output")?;
    BufReader::new(output).read_line(&mut line)?;
    let ready: serde_json::Value =
        serde_json::from_str(&line).with_context(|| format!("`up --json` said {line:?}"))?;
    let url = ready["console"].as_str().context("no console's address")?;
    let collector = state.join("collector");
    let link = Command::new(build::target().join("debug/akwatch-server"))
        .arg("first-sign-in")
        .arg("--config")
        .arg(collector.join("server.toml"))
        .arg("--state")
        .arg(collector.join("state"))
        .stderr(Stdio::inherit())
        .output()?;
    // A password for one collector that lives for a minute.
    let password = format!("browser-tests-{}", std::process::id());
    step(
        "console: browser tests",
        console::npm(&["run", "--silent", "test:browser"])
            .env("AKWATCH_CONSOLE_URL", url)
            .env(
                "AKWATCH_CONSOLE_LINK",
                String::from_utf8_lossy(&link.stdout).trim(),
            )
            .env("AKWATCH_CONSOLE_NAME", "admin")
            .env("AKWATCH_CONSOLE_PASSWORD", password)
            .env("AKWATCH_CONSOLE_PLANT", state.join("planted"))
            .env("AKWATCH_SCREENSHOTS", build::target().join("screenshots")),
    )
}
