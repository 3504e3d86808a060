//! How long to wait before trying again: exponential, with full jitter, and never against the
//! collector's word.
//!
//! Full jitter (a random wait between nothing and the ceiling) is what spreads a fleet that lost its
//! collector at one moment evenly over the time in which it comes back.

use std::time::Duration;

/// The waits of one sort of call.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Ceiling of the first wait.
    pub first: Duration,
    /// Ceiling of every wait.
    pub longest: Duration,
    /// The longest that a `Retry-After` is believed.
    pub believed: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            believed: Duration::from_secs(3600),
        }
    }
}

impl Patience {
    /// The wait after `failures` failures in a row, at least 1, where `random` is from 0 to 1. With
    /// a `Retry-After` it is never shorter than that and at most a quarter longer, or a ceiling.
    #[must_use]
    pub fn wait(&self, failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        match retry_after {
            None => ceiling.mul_f64(random),
            Some(after) => {
                let after = after.min(self.believed);
                after + (after / 4).max(self.first).mul_f64(random)
            }
        }
    }
}

/// A random number from 0 to 1 (1 left out).
pub(crate) fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the wait is the whole ceiling: late, but not wrong.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0,
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_to_their_ceiling_and_obey(
            failures in 1..1000_u32, after in 0..10_000_u64, random in 0.0..1.0_f64,
        ) {
            let patience = Patience::default();
            let wait = patience.wait(failures, None, random);
            prop_assert!(wait <= patience.longest);
            prop_assert!(wait <= Duration::from_secs(1) * 2_u32.saturating_pow(failures.min(12) - 1));
            let after = Duration::from_secs(after);
            let told = patience.wait(failures, Some(after), random);
            let believed = after.min(patience.believed);
            prop_assert!(told >= believed);
            prop_assert!(told <= believed + believed / 4 + patience.first);
        }
    }

    #[test]
    fn the_whole_range_is_used() {
        let patience = Patience::default();
        let tenth = |random| patience.wait(10, None, random);
        assert_eq!(tenth(0.0), Duration::ZERO);
        assert_eq!(tenth(0.5), patience.longest / 2);
    }
}
