//! Measures the shipped programs: beside their peers, and on the host that they are to spare.
//!
//! Comparisons are ratios of CPU seconds (user and system) of whole processes, taken in one run, in
//! turn, on one processor: machines that run benchmarks are noisy, and a wall-clock second of a noisy
//! machine says nothing. What an agent costs is read from outside, through /proc and the wire.
//! Nothing here is asserted in a test.

pub mod bare;
pub mod cases;
pub mod corpus;
pub mod footprint;
pub mod host;
pub mod peers;
pub mod short_lived;
pub mod speed;
pub mod table;
pub mod timing;
pub mod tree;
pub mod wire;
pub mod writes;
