//! What programs that are upgraded apart must agree on: the vocabulary of akwatch and its wire.
//!
//! The agent, the collector and the command line are installed, upgraded and rolled back
//! separately, so everything that one of them may hear from another is defined here, once. This
//! crate does no I/O, reads no clock and depends on nothing else of akwatch.
//!
//! Receivers ignore unknown fields, and every enum that may grow has an `Unknown` variant: an old
//! collector must be able to read a new agent, and the reverse. Only configuration denies what it
//! does not know.
//!
//! No type in this crate can hold a secret that was found on a host: what leaves an agent is a
//! keyed [`Fingerprint`](credential::Fingerprint), the key's id, its kind and its length class, and
//! names that have been through the agent's redaction ([`SafeText`](place::SafeText)).

#![forbid(unsafe_code)]

pub mod agent;
pub mod coverage;
pub mod credential;
pub mod digest;
pub mod finding;
pub mod git;
pub mod limits;
pub mod people;
pub mod place;
pub mod signed;
pub mod text;
pub mod time;
