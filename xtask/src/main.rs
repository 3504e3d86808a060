//! `cargo xtask <verb>`: the one script language of this repository.
//!
//! Everything that a person or CI does with a clone goes through here, so that both do the same
//! thing: `up` and `smoke` start the product, `test` runs every test and installs what it needs,
//! `tidy` checks the rules that no compiler knows, `dist` makes packages, `bench` prints our figures
//! beside the peers'.
//! It builds and starts programs and talks to nothing itself: what speaks to the collector lives in
//! `tests`, beside the end-to-end tests.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is for the person who runs it"
)]

mod build;
mod configuration;
mod console;
mod dist;
mod fuzz;
mod generate;
mod prerequisites;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, tests and checks akwatch")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build everything, start a collector and an agent on this machine, and show what lies here
    #[command(disable_help_flag = true)]
    Up {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Plant three generated key pairs, watch them arrive and go, print the milliseconds
    #[command(disable_help_flag = true)]
    Smoke {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Run every test, the browser's and the end-to-end ones included
    Test {
        /// Also what does not fit into a commit's time: soak, installs on a real systemd, long fuzzing
        #[arg(long)]
        slow: bool,
    },
    /// Check what no compiler knows: who may depend on whom, module docs, sizes, links, words
    Tidy,
    /// Write the generated files anew: OpenAPI documents, the console's client, golden messages
    Gen,
    /// Make packages, trees for apt and yum, a bill of materials, checksums and an offline bundle
    Dist(dist::Options),
    /// Run the fuzz targets of the detector and count
    Fuzz(fuzz::Options),
    /// Print our figures beside the peers'
    Bench {
        /// `detect` or `agent`
        subject: String,
        /// Passed on to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Up { options } => run::product("akwatch-up", &options),
        Verb::Smoke { options } => run::product("akwatch-smoke", &options),
        Verb::Test { slow } => test::run(slow),
        Verb::Tidy => tidy::run(),
        Verb::Gen => generate::run(),
        Verb::Dist(options) => dist::run(&options),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Bench { subject, options } => run::bench(&subject, &options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
