//! How fast a scan may go: as fast as the agent's own processor time and its budget of bytes allow.
//!
//! A scan has no deadline, and a host has other work: whatever the roles use together, a scan adds
//! only as much as keeps them below a share of one processor. Events are not slowed by this; their
//! cost is counted, so that a scan waits while there are many. What scans read has a budget of its own,
//! in bytes a second: a disk that others wait for is no processor, and its pressure is seen too late.
//! A place is read before its bytes are known, so one large file may overdraw the account; nothing of
//! a scan is opened until that is earned again.

use std::time::{Duration, Instant};

/// Milliseconds of processor time that may be saved up: a scan starts at once and does not stutter.
const SAVED_MS: f64 = 50.0;

/// The longest that one place of a scan waits: under a storm of events a scan crawls, but goes on.
const LONGEST: Duration = Duration::from_millis(200);

/// For how long bytes that were not read may be saved up.
const SAVED_BYTES_FOR: Duration = Duration::from_secs(1);

/// Time between two looks at what was used.
const LOOK: Duration = Duration::from_millis(5);

/// What opening and reading a place costs a disk at least, in bytes: its inode and one block, each a
/// request of its own. Stops: a million small files that are few bytes and two million requests.
const LEAST_READ: u64 = 16 * 1024;

/// An account of processor time, and one of bytes read.
#[derive(Debug)]
pub struct Pace {
    /// Milliseconds that may be used now; below zero, a scan waits.
    credit_ms: f64,
    /// When it was last looked at, and the processor time that had been used by then.
    looked: Option<(Instant, Duration)>,
    share: f64,
    /// Bytes a second that scans read at most.
    bytes_per_second: u64,
    /// Until when what was read is earned; what lies in the past is not saved up beyond a second.
    earned: Option<Instant>,
    /// Of the bytes a second: all, or a tenth under pressure.
    allowed: f64,
}

impl Pace {
    /// Accounts that allow scans to read so many bytes a second.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Pace {
        Pace {
            credit_ms: 0.0,
            looked: None,
            share: 0.0,
            bytes_per_second: bytes_per_second.max(1),
            earned: None,
            allowed: 1.0,
        }
    }

    /// A place of a scan was read, so many bytes of it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of one place fit a double"
    )]
    pub fn read(&mut self, bytes: u64, now: Instant) {
        let rate = self.bytes_per_second as f64 * self.allowed;
        let cost = Duration::try_from_secs_f64(bytes.max(LEAST_READ) as f64 / rate);
        let saved = now.checked_sub(SAVED_BYTES_FOR).unwrap_or(now);
        let earned = self.earned.unwrap_or(saved).max(saved);
        self.earned = earned.checked_add(cost.unwrap_or(LONGEST)).or(self.earned);
    }

    /// When the bytes that scans have read are earned, if they are not: nothing of a scan is opened
    /// until then.
    #[must_use]
    pub fn reads_due(&self, now: Instant) -> Option<Instant> {
        self.earned.filter(|earned| *earned > now)
    }

    /// Under pressure scans read a tenth of what they may otherwise.
    pub fn press(&mut self, pressed: bool) {
        self.allowed = if pressed { 0.1 } else { 1.0 };
    }

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
        let (mut pace, start) = (Pace::new(1 << 40), Instant::now());
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

    /// Reads (milliseconds since the start, bytes) at a MiB a second; the share of wall time in which
    /// nothing may be read afterwards, in milliseconds.
    fn waits(pressed: bool, reads: &[(u32, u64)]) -> u128 {
        let (mut pace, start) = (Pace::new(1 << 20), Instant::now());
        pace.press(pressed);
        let mut now = start;
        for (at, bytes) in reads {
            now = start + MS * *at;
            pace.read(*bytes, now);
        }
        let due = pace.reads_due(now);
        due.map_or(0, |due| (due - now).as_millis())
    }

    #[test]
    fn what_a_scan_has_read_is_earned_before_it_reads_more() {
        // A second is saved up at the start, and never more.
        assert_eq!(waits(false, &[(0, 1 << 20)]), 0);
        assert_eq!(waits(false, &[(0, 3 << 20)]), 2000);
        assert_eq!(waits(false, &[(0, 3 << 20), (1000, 1 << 20)]), 2000);
        assert_eq!(waits(false, &[(0, 1), (100_000, 3 << 20)]), 2000);
        assert_eq!(waits(true, &[(0, 1 << 20)]), 9000);
        // Small files are requests.
        let small: Vec<(u32, u64)> = (0..128).map(|_| (0, 10)).collect();
        assert_eq!(waits(false, &small), 1000);
    }

    #[test]
    fn a_look_is_due_after_a_while() {
        let (mut pace, now) = (Pace::new(1 << 40), Instant::now());
        assert!(pace.wants_look(now));
        pace.look(MS, 0.5, now);
        assert!(!pace.wants_look(now + MS) && pace.wants_look(now + LOOK));
    }
}
