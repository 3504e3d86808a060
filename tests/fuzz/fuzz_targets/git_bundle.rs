//! Under libFuzzer: the target `git_bundle` of `akwatch_fuzz::TARGETS`; it decides nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| akwatch_fuzz::run("git_bundle", data));
