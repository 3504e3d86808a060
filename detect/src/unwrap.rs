//! Undoes encodings and opens containers, each bounded in bytes and depth, never in time.

pub(crate) mod archive;
pub(crate) mod inline;
pub(crate) mod stream;
