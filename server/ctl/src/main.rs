//! `akwatch`: the responder's command line. It speaks the people's REST interface and nothing else.
//!
//! Whatever comes from a collector may have been chosen by whoever can create a file on a watched
//! host, so it reaches the terminal or a spreadsheet only escaped. Exit status: 0 answered, 1 the
//! collector refused or knows no such thing, 2 anything else (usage, files, network).

#![forbid(unsafe_code)]

mod account;
mod ask;
mod cli;
mod decide;
mod lists;
mod one;
mod rest;
mod show;
mod trouble;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
