//! Measures the shipped programs beside their peers, as whole processes.
//!
//! Figures are ratios of CPU seconds (user and system) taken in one run, in turn, on one processor:
//! machines that run benchmarks are noisy, and a wall-clock second of a noisy machine says nothing.
//! Nothing here is asserted in a test.

pub mod cases;
pub mod corpus;
pub mod peers;
pub mod timing;
