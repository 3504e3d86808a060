//! What every store must do, whatever the engine: run against SQLite; another engine joins by
//! another [`World::open`](world::World).

#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "the whole binary is a test"
)]

mod reports;
mod world;
