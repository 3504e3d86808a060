//! `akwatch-server`: the collector's program. It only hands its arguments on; see the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    akwatch_server::cli::main()
}
