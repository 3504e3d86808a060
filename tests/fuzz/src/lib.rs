//! What the fuzzers call: every parser and decoder of the detector, by a name, with the promises that
//! hold for any input.
//!
//! Nothing here needs a fuzzer: the same functions run under libFuzzer (`fuzz_targets/`), under the
//! driver (`src/bin/drive.rs`) and, for a moment, in the tests of `akwatch-detect`. A broken promise is
//! a panic, which names the promise and never the input.

#![forbid(unsafe_code)]

pub mod encode;
pub mod mutate;
pub mod packs;
pub mod targets;

pub use targets::{TARGETS, Target, run};
