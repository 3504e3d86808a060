//! What a test does where a machine lacks what it takes: it says so, and fails where nothing may be
//! lacking. A test that ends in silence there would pass for ever, with its promise unproven.
//!
//! The agent's own tests include this file by its path.

#![allow(unreachable_pub, reason = "a private module of the agent's tests")]

/// Set by `cargo xtask test`, which promises to prove everything: nothing is left out under it.
pub const COMPLETE: &str = "AKWATCH_COMPLETE_TESTS";

/// Says why a test is left out.
///
/// # Panics
/// Where [`COMPLETE`] is set.
#[track_caller]
pub fn skip(why: &str) {
    assert!(
        std::env::var_os(COMPLETE).is_none(),
        "this machine cannot prove it, and {COMPLETE} is set: {why}"
    );
    #[allow(clippy::print_stderr, reason = "for whoever runs the test")]
    {
        eprintln!("left out: {why}");
    }
}
