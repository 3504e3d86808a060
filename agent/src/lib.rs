//! What runs on a watched host: senses, opens, examines, remembers and reports.
//!
//! The line is straight: a sensor names a `Target`, `open` turns it into a `Job`, `examine` into an
//! `Examined`, the watcher into a `Reading`, the ledger into a report. Secrets exist between
//! `Detector::scan` and `redact` only; no type above that line can hold one.

#![forbid(unsafe_code)]

pub mod agenda;
pub mod budget;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod coverage;
pub mod detector;
pub mod doctor;
pub mod enroll;
pub mod examine;
pub mod explain;
pub mod facts;
pub mod gate;
pub mod host;
pub mod identity;
pub mod image;
pub mod job;
pub mod link;
mod log;
pub mod marker;
pub mod metrics;
pub mod open;
pub mod output;
pub mod preflight;
pub mod redact;
pub mod reporter;
pub mod retire;
pub mod role;
pub mod rule_check;
pub mod rule_list;
pub mod scan;
pub mod sense;
#[cfg(test)]
#[path = "../../tests/src/skip.rs"]
mod skip;
pub mod status;
pub mod supervise;
pub mod trace;
pub mod watcher;
