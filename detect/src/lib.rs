//! Bytes and their context in, matches out.
//!
//! The detector is where secrets are seen, so it can do nothing with them: no file, socket, clock,
//! log or randomness is in reach of this crate, and it cannot fail. What could not be read comes
//! back as [`Unread`] beside the matches.
//!
//! One scan is one sentence: *unwrap* the parts, *sieve* each window for candidates, read the
//! *syntax* around each, *judge* it, and *pair* what belongs together.

#![forbid(unsafe_code)]

pub mod content;
mod documentation;
mod judge;
mod name;
mod pair;
pub mod places;
pub mod repository;
pub mod rule;
pub mod sample;
pub mod scan;
mod sieve;
mod syntax;
#[cfg(test)]
mod tests;
mod typed;
mod unwrap;
mod window;

pub use content::{Companion, Format, Part, Position, Secret, Source, Unreadable};
pub use rule::{RuleDescription, RuleFault, RulePack, RuleSet, RulesVersion};
pub use scan::{Detector, Limits, Match, RawSpot, Scan, Unread, UnreadWhy};
