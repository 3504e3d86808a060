//! The akwatch agent: one binary, every role.

#![forbid(unsafe_code)]
fn main() {}
