//! Counts failures by key, and makes the next try wait: who guesses gets slower.
//!
//! In memory and bounded: a restart forgives, and a flood of keys forgets the oldest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys kept, at most. Stops: an attacker who makes a new key with each try and fills memory.
const KEYS: usize = 10_000;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A counter of failures by key.
pub struct Throttle {
    allowed: u32,
    window: Duration,
    counts: Mutex<HashMap<String, Count>>,
}

/// Proof that somebody was within the limit: what costs much asks for it.
#[must_use]
#[derive(Debug)]
pub struct Admitted(());

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Throttle {
    /// Allows `allowed` failures; each further one doubles the wait, beginning with `window`. A key
    /// is forgiven after its wait and one window without a failure.
    #[must_use]
    pub fn new(allowed: u32, window: Duration) -> Throttle {
        Throttle {
            allowed,
            window,
            counts: Mutex::default(),
        }
    }

    /// Admits a key to something that is to be limited, and counts it.
    ///
    /// # Errors
    /// The seconds that it has still to wait.
    pub fn admit(&self, key: &str, now: Instant) -> Result<Admitted, u32> {
        if let Some(seconds) = self.wait(key, now) {
            return Err(seconds);
        }
        self.count(key, now);
        Ok(Admitted(()))
    }

    /// How many seconds a key has still to wait; none when it may try.
    #[must_use]
    pub fn wait(&self, key: &str, now: Instant) -> Option<u32> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(key)?;
        let left = self
            .pause(count.failures)
            .checked_sub(now.duration_since(count.last))?;
        (!left.is_zero()).then(|| u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1))
    }

    /// Counts a failure, or any use that is to be limited.
    pub fn count(&self, key: &str, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEYS && !counts.contains_key(key) {
            counts.retain(|_, count| now.duration_since(count.last) < self.window);
            if counts.len() >= KEYS {
                counts.clear();
            }
        }
        let count = counts.entry(key.to_owned()).or_insert(Count {
            failures: 0,
            last: now,
        });
        if now.duration_since(count.last) > self.pause(count.failures) + self.window {
            count.failures = 0;
        }
        count.failures = count.failures.saturating_add(1);
        count.last = now;
    }

    /// Forgets a key, after a success.
    pub fn forgive(&self, key: &str) {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    fn pause(&self, failures: u32) -> Duration {
        let Some(over) = failures.checked_sub(self.allowed) else {
            return Duration::ZERO;
        };
        self.window
            .saturating_mul(2_u32.saturating_pow(over))
            .min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_beyond_the_allowed_wait_longer_and_longer() {
        let throttle = Throttle::new(3, 10 * SECOND);
        let start = Instant::now();
        for _ in 0..2 {
            throttle.count("a", start);
            assert_eq!(throttle.wait("a", start), None);
        }
        throttle.count("a", start);
        assert_eq!(throttle.wait("a", start), Some(10));
        assert_eq!(throttle.wait("b", start), None);
        assert_eq!(throttle.wait("a", start + 11 * SECOND), None);
        throttle.count("a", start + 11 * SECOND);
        assert_eq!(throttle.wait("a", start + 11 * SECOND), Some(20));
        throttle.forgive("a");
        assert_eq!(throttle.wait("a", start + 11 * SECOND), None);
    }

    #[test]
    fn who_is_admitted_is_counted_and_who_is_not_waits() {
        let throttle = Throttle::new(2, 10 * SECOND);
        let start = Instant::now();
        for _ in 0..2 {
            assert!(throttle.admit("a", start).is_ok());
        }
        assert_eq!(throttle.admit("a", start).unwrap_err(), 10);
        assert!(throttle.admit("b", start).is_ok());
        assert!(throttle.admit("a", start + 11 * SECOND).is_ok());
    }

    #[test]
    fn a_key_is_forgiven_with_time_and_keys_are_bounded() {
        let throttle = Throttle::new(2, 10 * SECOND);
        let start = Instant::now();
        throttle.count("a", start);
        throttle.count("a", start + 30 * SECOND);
        assert_eq!(throttle.wait("a", start + 30 * SECOND), None);
        for key in 0..KEYS + 10 {
            throttle.count(&key.to_string(), start);
        }
        assert!(throttle.counts.lock().unwrap().len() <= KEYS);
    }
}
