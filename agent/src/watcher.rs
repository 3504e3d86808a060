//! The one loop.
pub mod answer;
