//! Under libFuzzer: the target `pdf_lzw` of `akwatch_fuzz::TARGETS`; it decides nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| akwatch_fuzz::run("pdf_lzw", data));
