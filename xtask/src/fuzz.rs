//! Long runs of the fuzz targets: by libFuzzer where a C++ compiler is, else by the seeded driver.
//!
//! The crate lies outside the workspace; it is built into a directory of its own below `target`, and
//! its lock file follows the detector's dependencies without being asked for.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::build;

/// What libFuzzer needs of the compiler, as cargo-fuzz sets it, without what only nightly has.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Ccodegen-units=1";

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the driver's numbers start; the same seed makes the same inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Files to begin from, as `cargo xtask bench detect --corpus --write DIR` makes them
    #[arg(long)]
    seeds: Option<PathBuf>,
    /// Guided by coverage: one target, under libFuzzer
    #[arg(long)]
    libfuzzer: bool,
    /// Targets; none: all
    targets: Vec<String>,
}

/// Builds and runs.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let directory = build::target().join(if options.libfuzzer {
        "libfuzzer"
    } else {
        "fuzz"
    });
    let name = match (options.libfuzzer, options.targets.as_slice()) {
        (false, _) => "drive",
        (true, [one]) => one,
        (true, _) => bail!("name one target for --libfuzzer: a file of tests/fuzz/fuzz_targets"),
    };
    let mut cargo = build::cargo(&["build", "--release", "--bin", name]);
    cargo
        .current_dir(build::root().join("tests/fuzz"))
        .env("CARGO_TARGET_DIR", &directory);
    if options.libfuzzer {
        cargo
            .args(["--features", "libfuzzer"])
            .env("RUSTFLAGS", COVERAGE);
        // Flags of coverage are for the targets, not for build scripts.
        cargo.args(["--target", &host()?]);
    }
    build::step("build (fuzz)", &mut cargo)?;
    let program = if options.libfuzzer {
        directory.join(host()?).join("release").join(name)
    } else {
        directory.join("release").join(name)
    };
    let mut command = Command::new(program);
    if options.libfuzzer {
        command.arg(format!("-max_total_time={}", options.seconds));
        command.arg(format!("-seed={}", options.seed));
        command.args(&options.seeds);
    } else {
        command.args([options.seconds.to_string(), options.seed.to_string()]);
        command.args(&options.targets);
        if let Some(seeds) = &options.seeds {
            command.env("AKWATCH_FUZZ_SEEDS", seeds);
        }
    }
    build::step("fuzz", &mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// The compiler's own target.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc -vV names no host"),
    }
}
