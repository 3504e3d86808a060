//! An instant, as both programs write it.
//!
//! Milliseconds since 1970-01-01T00:00:00Z as a JSON integer: no time zone, no parser, no rounding.
//! Nothing here reads a clock; the programs do, and the collector's clock orders events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Milliseconds since the Unix epoch, UTC. Negative values are before 1970 and are accepted, since a
/// host's clock may be anywhere.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// The instant `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by `milliseconds`, stopping at the ends of the range.
    #[must_use]
    pub const fn plus(self, milliseconds: i64) -> Time {
        Time(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
