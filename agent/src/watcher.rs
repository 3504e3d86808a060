//! The one loop.
pub mod answer;
pub mod flights;
pub mod known;
pub mod sweeps;
