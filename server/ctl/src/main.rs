//! akwatch
fn main() {}
