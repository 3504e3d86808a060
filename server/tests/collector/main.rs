//! The collector's program as agents and people meet it: started for real, over real TLS.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers outside a #[test] function too"
)]

mod agents;
mod crash;
mod decisions;
mod documents;
mod lost_answer;
mod matrix;
mod people;
mod questions;
mod scopes;
mod world;
