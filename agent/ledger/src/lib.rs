//! What this host holds, and what the collector has yet to hear.
//!
//! The ledger is the one durable truth of an agent. It keeps findings (redacted: no secret can be in
//! it), each with the revision of its last change; what is unsent is whatever is newer than the
//! acknowledged revision. It decides presence: *gone* is written in one function, from a [`Reading`]
//! whose extent is [`Extent::Whole`] or [`Extent::Absent`].

#![forbid(unsafe_code)]

pub mod reading;

pub use reading::{Extent, FileState, Observed, Reading, ReadingSubject};
