//! Under libFuzzer: the target `runs` of `akwatch_fuzz::TARGETS`; it decides nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| akwatch_fuzz::run("runs", data));
