//! Under libFuzzer: the target `sqlite_log` of `akwatch_fuzz::TARGETS`; it decides nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| akwatch_fuzz::run("sqlite_log", data));
