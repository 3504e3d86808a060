//! Every test, in the order that finds a fault soonest.
//!
//! The cheap checks run first. The browser and the console's packages are installed while Rust
//! compiles. The end-to-end tests come last: they start the programs as they are shipped.

use std::process::ExitCode;
use std::thread;

use anyhow::{Result, anyhow};

use crate::build::{self, cargo, step};
use crate::{console, prerequisites, tidy};

/// Runs every test; with `slow` also those that take longer than a commit may.
pub(crate) fn run(slow: bool) -> Result<ExitCode> {
    prerequisites::check_build()?;
    step("rustfmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    if tidy::run()? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let front = thread::spawn(|| -> Result<()> {
        prerequisites::install_for_tests()?;
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
    if slow {
        tests.env("AKWATCH_SLOW_TESTS", "1");
    }
    step("tests", &mut tests)?;
    step(
        "console: browser tests",
        &mut console::npm(&["run", "--silent", "test:browser"]),
    )?;
    Ok(ExitCode::SUCCESS)
}
