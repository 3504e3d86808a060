//! akwatch-store

#![forbid(unsafe_code)]
