//! When a role that ended is started again: at once the first time, then ever later, and from the
//! beginning once it has lived long enough to count as sound.

use std::time::Duration;

/// After the first end.
const FIRST: Duration = Duration::from_millis(250);
/// At most.
const LAST: Duration = Duration::from_secs(60);
/// A role that lived for this long has worked.
const SOUND: Duration = Duration::from_secs(60);

/// How often a role has ended in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BackOff {
    ends: u32,
}

impl BackOff {
    /// The role ended after `lived`: how long to wait until it is started again.
    #[must_use]
    pub(super) fn ended(&mut self, lived: Duration) -> Duration {
        if lived >= SOUND {
            self.ends = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.ends.min(16)).min(LAST);
        self.ends = self.ends.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_keeps_ending_waits_ever_longer() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u128> = (0..10).map(|_| back_off.ended(short).as_millis()).collect();
        assert_eq!(
            waits,
            [
                250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(back_off.ended(SOUND), FIRST);
    }
}
