//! The akwatch agent: one binary, every role. Everything is in the library beside it, so that tests
//! and benchmarks reach it; this file only hands over the command line and the exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use akwatch_sys::wiping::Wiping;

/// Roles that content passes through wipe what they free; everybody else's memory is the system's.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> ExitCode {
    akwatch_agent::cli::main()
}
