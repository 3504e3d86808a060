//! akwatch-server
fn main() {}
