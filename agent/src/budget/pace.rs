//! How fast a scan may go: as fast as the agent's own processor time allows.
//!
//! A scan has no deadline, and a host has other work: whatever the roles use together, a scan adds
//! only as much as keeps them below a share of one processor. Events are not slowed by this; their
//! cost is counted, so that a scan waits while there are many.

use std::time::{Duration, Instant};

/// Milliseconds of processor time that may be saved up: a scan starts at once and does not stutter.
const SAVED_MS: f64 = 50.0;

/// The longest that one place of a scan waits: under a storm of events a scan crawls, but goes on.
const LONGEST: Duration = Duration::from_millis(200);

/// Time between two looks at what was used.
const LOOK: Duration = Duration::from_millis(5);

/// An account of processor time.
#[derive(Debug, Default)]
pub struct Pace {
    /// Milliseconds that may be used now; below zero, a scan waits.
    credit_ms: f64,
    /// When it was last looked at, and the processor time that had been used by then.
    looked: Option<(Instant, Duration)>,
    share: f64,
}

impl Pace {
    /// Whether it is time to look at what was used.
    #[must_use]
    pub fn wants_look(&self, now: Instant) -> bool {
        self.looked
            .is_none_or(|(at, _)| now.saturating_duration_since(at) >= LOOK)
    }

    /// The roles have used `cpu` until `now`, and may use `share` of one processor.
    pub fn look(&mut self, cpu: Duration, share: f64, now: Instant) {
        self.share = share;
        let Some((at, before)) = self.looked.replace((now, cpu)) else {
            return;
        };
        let earned = now.saturating_duration_since(at).as_secs_f64() * 1e3 * share;
        let used = cpu.saturating_sub(before).as_secs_f64() * 1e3;
        let least = -(LONGEST.as_secs_f64() * 1e3 * share);
        self.credit_ms = (self.credit_ms + earned - used).clamp(least, SAVED_MS);
    }

    /// When the next place of a scan may be taken; none when it may be now.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let (at, _) = self.looked?;
        if self.credit_ms >= 0.0 || self.share <= 0.0 {
            return None;
        }
        let wait = Duration::try_from_secs_f64(-self.credit_ms / 1e3 / self.share);
        Some(at + wait.unwrap_or(LONGEST).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Looks at (milliseconds since the start, milliseconds used until then) at a quarter of a
    /// processor; says how long a scan waits after the last.
    fn check(looks: &[(u32, u32)], waits: Option<Duration>) {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for (at, cpu) in looks {
            pace.look(MS * *cpu, 0.25, start + MS * *at);
        }
        let last = start + MS * looks.last().unwrap().0;
        let due = pace.due().map(|due| due - last);
        let close = |due: Duration, wait: Duration| due.abs_diff(wait) < MS;
        assert!(
            match (due, waits) {
                (None, None) => true,
                (Some(due), Some(wait)) => close(due, wait),
                _ => false,
            },
            "{due:?} instead of {waits:?}"
        );
    }

    #[test]
    fn a_scan_waits_until_its_share_is_earned() {
        check(&[(0, 0)], None);
        check(&[(0, 0), (100, 25)], None);
        check(&[(0, 0), (100, 35)], Some(MS * 40));
        check(&[(0, 0), (100, 35), (140, 35)], None);
    }

    #[test]
    fn it_neither_saves_up_without_end_nor_stands_still() {
        check(&[(0, 0), (100_000, 0), (100_010, 60)], Some(MS * 30));
        check(&[(0, 0), (1_000, 4_000)], Some(LONGEST));
    }

    #[test]
    fn a_look_is_due_after_a_while() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(pace.wants_look(now));
        pace.look(MS, 0.5, now);
        assert!(!pace.wants_look(now + MS) && pace.wants_look(now + LOOK));
    }
}
