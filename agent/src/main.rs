//! The akwatch agent: one binary, every role. Everything is in the library beside it, so that tests
//! and benchmarks reach it; this file only hands over the command line and the exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    akwatch_agent::cli::main()
}
