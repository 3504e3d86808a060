//! Which programs were captured as they started, so that the two sensors that see a start take it once.
//!
//! The exec rung hears of a program when the kernel has begun it, the strict rung a moment later, when it
//! opens its library. Whichever is first captures it under this lock, and the other then finds it taken:
//! a process that is held waits for a capture that is under way, and is not let go before it is done. A
//! storm of programs is not chased: one bucket bounds the captures of both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::gate::Bucket;
use crate::open::Image;

/// Captures a second, in the long run: about 200 µs of one core each.
const PER_SECOND: f64 = 200.0;

/// Captures at once after a quiet while.
const AT_ONCE: f64 = 1000.0;

/// Programs remembered: more than two sensors can be apart.
const REMEMBERED: usize = 256;

/// What was captured last, by both sensors.
#[derive(Clone)]
pub struct Captured(Arc<Mutex<Taken>>);

/// What was captured last, while nobody else captures.
pub struct Taken {
    last: [Option<(Image, u64)>; REMEMBERED],
    next: usize,
    bucket: Bucket,
}

impl Default for Captured {
    fn default() -> Captured {
        Captured(Arc::new(Mutex::new(Taken {
            last: [None; REMEMBERED],
            next: 0,
            bucket: Bucket::full(PER_SECOND, AT_ONCE, Instant::now()),
        })))
    }
}

impl Captured {
    /// Waits for one's turn to capture.
    pub fn turn(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Whether this process was captured at this time of `CLOCK_MONOTONIC` or later, in nanoseconds:
    /// what it executed then is what was captured.
    #[must_use]
    pub fn since(&self, pid: i32, at_ns: u64) -> bool {
        let mut known = self.last.iter().flatten();
        known.any(|(image, taken_ns)| image.instance.pid == pid && *taken_ns >= at_ns)
    }

    /// Whether this program was captured.
    #[must_use]
    pub fn knows(&self, image: &Image) -> bool {
        self.last.iter().flatten().any(|(known, _)| known == image)
    }

    /// Whether one more may be captured now; to be asked once for each.
    #[must_use]
    pub fn may(&mut self, now: Instant) -> bool {
        self.bucket.take(now)
    }

    /// This program was captured at this time, in nanoseconds of `CLOCK_MONOTONIC`.
    pub fn note(&mut self, image: Image, at_ns: u64) {
        if let Some(oldest) = self.last.get_mut(self.next) {
            *oldest = Some((image, at_ns));
        }
        self.next = (self.next + 1) % REMEMBERED;
    }
}

#[cfg(test)]
mod tests {
    use akwatch_ledger::reading::ProcessInstance;

    use super::*;

    fn image(pid: i32, at: u64) -> Image {
        Image {
            instance: ProcessInstance { pid, started: 1 },
            at,
            environ: Some(100),
        }
    }

    #[test]
    fn a_program_is_known_by_its_place_in_memory_and_by_its_time() {
        let captured = Captured::default();
        let mut taken = captured.turn();
        taken.note(image(7, 1), 50);
        assert!(taken.knows(&image(7, 1)));
        assert!(
            !taken.knows(&image(7, 2)),
            "the next program of the same process"
        );
        assert!(!taken.knows(&image(8, 1)));
        assert!(taken.since(7, 50) && taken.since(7, 49));
        assert!(!taken.since(7, 51), "it executed another one since");
        assert!(!taken.since(8, 0));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let captured = Captured::default();
        let mut taken = captured.turn();
        for pid in 1..=i32::try_from(REMEMBERED).unwrap() + 1 {
            taken.note(image(pid, 1), 1);
        }
        assert!(!taken.knows(&image(1, 1)) && taken.knows(&image(2, 1)));
    }

    #[test]
    fn captures_are_bounded_at_once_and_by_the_second() {
        let captured = Captured::default();
        let mut taken = captured.turn();
        let now = Instant::now();
        assert!((0..5000).filter(|_| taken.may(now)).count() >= 1000);
        let later = now + std::time::Duration::from_secs(1);
        assert_eq!((0..5000).filter(|_| taken.may(later)).count(), 200);
    }
}
