//! Starts the shipped programs and talks to their ports, as a user would.
//!
//! `cargo xtask up`, `cargo xtask smoke` and the end-to-end tests stand on this harness. It links
//! nothing of akwatch but the contract: what it knows of the programs is their command lines, their
//! ready file and the REST API. It waits on conditions with a deadline, never for a fixed time.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "benchmarks print their tables for a person"
)]

pub mod agent;
pub mod bench;
pub mod clock;
pub mod collector;
pub mod control_group;
pub mod corpus;
pub mod emulated;
pub mod fleet;
pub mod hung;
pub mod line;
pub mod machine;
pub mod plant;
pub mod process;
pub mod program;
pub mod recorder;
pub mod rest;
pub mod search;
pub mod sets;
pub mod skip;
pub mod stranger;
pub mod turn;
pub mod wait;
