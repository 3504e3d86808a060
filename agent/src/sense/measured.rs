//! How fast the process sensors are and what they cost, for `status`: counts that each sensor adds to
//! from its own thread and the watcher only reads.
//!
//! Nothing here decides anything, and no figure leaves the host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Classes of times: four for each doubling of microseconds, up to more than an hour.
const CLASSES: usize = 128;

/// What the process sensors measured so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensing {
    /// Programs captured while they started.
    pub captured: u64,
    /// Programs that ended or were too many before they could be.
    pub missed: u64,
    /// Half of the captures were complete within so many microseconds of the execution.
    pub capture_p50_us: u64,
    /// 99 of 100 were.
    pub capture_p99_us: u64,
    /// Sweeps over all processes.
    pub sweeps: u64,
    /// Processes that the last one looked at.
    pub swept: u64,
    /// Microseconds of CPU that the last one took.
    pub sweep_us: u64,
}

/// The counts.
#[derive(Debug)]
pub struct Measured {
    captures: [AtomicU64; CLASSES],
    missed: AtomicU64,
    sweeps: AtomicU64,
    swept: AtomicU64,
    sweep_us: AtomicU64,
}

impl Default for Measured {
    fn default() -> Measured {
        Measured {
            captures: std::array::from_fn(|_| AtomicU64::new(0)),
            missed: AtomicU64::new(0),
            sweeps: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            sweep_us: AtomicU64::new(0),
        }
    }
}

impl Measured {
    /// A program was captured so long after it was executed.
    pub fn captured(&self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.captures[class_of(us)].fetch_add(1, Ordering::Relaxed);
    }

    /// A program was not captured.
    pub fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// A sweep looked at so many processes and took so much CPU.
    pub fn swept(&self, processes: usize, cpu: Duration) {
        let us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.swept.store(processes as u64, Ordering::Relaxed);
        self.sweep_us.store(us, Ordering::Relaxed);
    }

    /// The figures now.
    #[must_use]
    pub fn read(&self) -> Sensing {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let captures = self.captures.each_ref().map(load);
        Sensing {
            captured: captures.iter().sum(),
            missed: load(&self.missed),
            capture_p50_us: within(&captures, 50),
            capture_p99_us: within(&captures, 99),
            sweeps: load(&self.sweeps),
            swept: load(&self.swept),
            sweep_us: load(&self.sweep_us),
        }
    }
}

/// The class of a time in microseconds.
fn class_of(us: u64) -> usize {
    if us < 4 {
        return usize::try_from(us).unwrap_or(0);
    }
    let doubling = us.ilog2();
    let quarter = (us >> (doubling - 2)) & 3;
    let class = u64::from(doubling - 1) * 4 + quarter;
    usize::try_from(class).unwrap_or(CLASSES).min(CLASSES - 1)
}

/// The first time beyond a class, in microseconds.
fn end_of(class: usize) -> u64 {
    if class < 4 {
        return class as u64 + 1;
    }
    let (doubling, quarter) = (class / 4 + 1, class as u64 % 4);
    (4 + quarter + 1) << (doubling - 2)
}

/// Within how many microseconds `percent` of the counts lie; 0 of none.
fn within(counts: &[u64; CLASSES], percent: u64) -> u64 {
    let all: u64 = counts.iter().sum();
    let mut seen = 0;
    for (class, count) in counts.iter().enumerate() {
        seen += count;
        if *count > 0 && seen * 100 >= all * percent {
            return end_of(class);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_lies_below_the_end_of_its_class_and_within_a_quarter_of_it() {
        for us in (0..5_000).chain([1 << 20, (1 << 31) + 1]) {
            let end = end_of(class_of(us));
            assert!(us < end, "{us} {end}");
            assert!(end <= us + us / 4 + 1, "{us} {end}");
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn what_half_and_nearly_all_stay_within_is_said() {
        let measured = Measured::default();
        assert_eq!(measured.read(), Sensing::default());
        for us in 1..=100 {
            measured.captured(Duration::from_micros(us));
        }
        measured.missed();
        measured.swept(40, Duration::from_micros(600));
        let read = measured.read();
        assert_eq!((read.captured, read.missed), (100, 1));
        assert_eq!((read.capture_p50_us, read.capture_p99_us), (56, 112));
        assert_eq!((read.sweeps, read.swept, read.sweep_us), (1, 40, 600));
    }
}
