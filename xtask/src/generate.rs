//! Files that are generated and committed, because a reviewer should read their difference.
//!
//! The tests fail when one of them is not what its source says; this verb writes them anew.

use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::build::{cargo, root, step};
use crate::{configuration, console};

/// Writes the packages' configuration, the OpenAPI documents, the console's client, the golden messages
/// and the agent's reference.
pub(crate) fn run() -> Result<ExitCode> {
    configuration::write()?;
    for listener in ["agents", "people"] {
        let output = cargo(&[
            "run",
            "--quiet",
            "--locked",
            "-p",
            "akwatch-server",
            "--",
            "openapi",
        ])
        .arg(listener)
        .stderr(Stdio::inherit())
        .output()
        .context("akwatch-server openapi")?;
        if !output.status.success() {
            bail!(
                "akwatch-server openapi {listener} failed ({})",
                output.status
            );
        }
        std::fs::write(
            root().join(format!("docs/openapi/{listener}.json")),
            output.stdout,
        )?;
    }
    console::install()?;
    step(
        "console: client",
        &mut console::npm(&["run", "--silent", "gen"]),
    )?;
    step(
        "golden messages",
        cargo(&[
            "test",
            "--quiet",
            "--locked",
            "-p",
            "akwatch-proto",
            "--test",
            "wire",
        ])
        .env("AKWATCH_BLESS", "1"),
    )?;
    step(
        "the agent's reference",
        cargo(&[
            "test",
            "--quiet",
            "--locked",
            "-p",
            "akwatch-agent",
            "--lib",
        ])
        .args([
            "--",
            "the_reference_is_generated",
            "the_reference_of_the_commands",
        ])
        .env("AKWATCH_BLESS", "1"),
    )?;
    Ok(ExitCode::SUCCESS)
}
