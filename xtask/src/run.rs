//! Building, then becoming, a program that starts the product.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{build, console, prerequisites};

/// Builds everything and becomes `program` (of `tests`), so that signals reach it directly.
pub(crate) fn product(program: &str, options: &[String]) -> Result<ExitCode> {
    prerequisites::check_build()?;
    console::build()?;
    build::programs(true)?;
    let path = build::target().join("debug").join(program);
    let error = Command::new(&path)
        .args(options)
        .current_dir(build::root())
        .exec();
    Err(error).with_context(|| format!("cannot start {}", path.display()))
}

/// Builds the benchmark of `subject` in the release profile and becomes it.
pub(crate) fn bench(subject: &str, options: &[String]) -> Result<ExitCode> {
    let program = match subject {
        "detect" => "bench-detect",
        "agent" => "bench-agent",
        other => bail!("no benchmark {other:?}; there are: detect, agent"),
    };
    build::step(
        "build (release)",
        &mut build::cargo(&[
            "build",
            "--release",
            "--locked",
            "-p",
            "akwatch-agent",
            "-p",
            "akwatch-server",
            "-p",
            "akwatch",
            "-p",
            "akwatch-tests",
        ]),
    )?;
    if subject == "detect" {
        let example = ["--example", "throughput"];
        let package = ["build", "--release", "--locked", "-p", "akwatch-detect"];
        build::step(
            "build (release, example)",
            &mut build::cargo(&[&package[..], &example].concat()),
        )?;
    }
    let path = build::target().join("release").join(program);
    let error = Command::new(&path)
        .args(options)
        .current_dir(build::root())
        .exec();
    Err(error).with_context(|| format!("cannot start {}", path.display()))
}
