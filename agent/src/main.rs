//! The akwatch agent: one binary, every role.
fn main() {}
