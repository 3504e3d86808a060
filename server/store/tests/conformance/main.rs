//! What every store must do, whatever the engine: run against SQLite; another engine joins by
//! another [`open`](world::open).

#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the whole binary is a test"
)]

mod access;
mod decisions;
mod hosts;
mod lists;
mod load;
mod model;
mod reports;
mod survival;
mod world;
