//! The collector: takes agents' reports over mutual TLS, keeps what they say, answers people.
//!
//! The line runs `listen → agents → domain → store` inward and `store → domain → people → console`
//! outward. Handlers decide nothing and never see the store; only the store knows SQL.
//! Nothing in this crate logs, prints or stores a secret; the one that may pass through it is a
//! pasted one, hashed in the first line of its handler.

#![forbid(unsafe_code)]

pub mod agents;
pub mod cli;
pub mod collector;
pub mod config;
pub mod console;
pub mod document;
pub mod domain;
pub mod fingerprint;
pub mod listen;
pub mod listening;
pub mod local;
pub mod people;
pub mod pki;
pub mod refusal;
pub mod run;
pub mod throttle;
