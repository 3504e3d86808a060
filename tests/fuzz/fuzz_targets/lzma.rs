//! Under libFuzzer: the target `lzma` of `akwatch_fuzz::TARGETS`; it decides nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| akwatch_fuzz::run("lzma", data));
