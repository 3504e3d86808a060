//! Where things are, and how a step is run: announced, timed, and named when it fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The root of the clone.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: xtask lies one level below the root")
        .to_path_buf()
}

/// The target directory in force.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A cargo command at the root, with the lock file binding.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs one step, says how long it took, and fails naming it.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("── {name}");
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot start {}", words(command)))?;
    if !status.success() {
        bail!("{name} failed ({status}): {}", words(command));
    }
    eprintln!("── {name}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// A command's program and arguments. Not its environment, in which a test hands over a password or
/// a sign-in link: neither belongs in a log.
fn words(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Builds the shipped programs and those that start them, in the profile of the tests: whoever has
/// run one of `up`, `smoke` and `test` has built for all three.
pub(crate) fn programs(quiet: bool) -> Result<()> {
    let mut command = cargo(&[
        "build",
        "--workspace",
        "--bins",
        "--locked",
        "--features",
        FEATURES,
    ]);
    if quiet {
        command.arg("--quiet");
    }
    step("build", &mut command)
}

/// What the shipped programs are built with.
pub(crate) const FEATURES: &str = "akwatch-server/console";
