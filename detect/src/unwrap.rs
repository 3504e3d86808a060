//! Undoes encodings and opens containers, bounded in depth and in work (`fuel`), never in time.

pub(crate) mod archive;
pub(crate) mod biff;
pub(crate) mod bytes;
pub(crate) mod carve;
pub(crate) mod charset;
pub(crate) mod compressed;
pub(crate) mod container;
pub(crate) mod dump;
pub(crate) mod fuel;
pub(crate) mod git;
pub(crate) mod inflate;
pub(crate) mod inline;
pub(crate) mod office;
pub(crate) mod package;
pub(crate) mod pdf;
pub(crate) mod plist;
pub(crate) mod run;
pub(crate) mod sqlite;
pub(crate) mod stream;
