//! How much this host can spare, and what the agent therefore leaves for later.
//!
//! Pressure slows what can wait (the first scan, rescans), never the reading of events. The rungs go
//! down at once and up slowly, so that the agent never flaps, and there is no kill: an agent that
//! restarts under pressure makes it worse. Every rung below *full* carries its reason to the
//! collector, and ends with a catch-up, since what was left waits in the agenda or is owed a rescan.

use std::time::{Duration, Instant};

use akwatch_proto::coverage::Rung;

mod meter;
mod pace;

pub use meter::Meter;
pub use pace::Pace;

/// How long pressure must be low before the rung rises.
const CALM: Duration = Duration::from_secs(30);

/// Resident KiB of all roles above which scans slow down: a little below the peak that is promised.
const RSS_REDUCED: u64 = 56 * 1024;

/// Resident KiB of all roles above which only the heartbeat goes on: a little below the hard limit of
/// the units' slice, 96 MiB, at which the kernel would end a role.
const RSS_HEARTBEAT: u64 = 88 * 1024;

/// Percent of one processor that all roles together may use before scans slow down. Scans themselves
/// stay below ([`Governor::scan_share`]), so what goes beyond are events.
const OWN_CPU: f64 = 75.0;

/// Share of ten seconds, in percent, in which some task waited for a processor.
const CPU_SOME: f64 = 80.0;

/// Share in which some task waited for a disk.
const IO_SOME: f64 = 60.0;

/// Share in which every task waited for memory.
const MEMORY_FULL: f64 = 10.0;

/// As before, but so that the host hardly runs any more.
const MEMORY_STALLED: f64 = 60.0;

/// What was measured of the host and of the agent itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// PSI `cpu some avg10`, percent.
    pub cpu_some: f64,
    /// PSI `io some avg10`, percent.
    pub io_some: f64,
    /// PSI `memory full avg10`, percent.
    pub memory_full: f64,
    /// Resident KiB of all roles.
    pub rss_kib: u64,
    /// Percent of one processor that all roles used over the last ten seconds.
    pub own_cpu: f64,
}

/// Decides the rung.
#[derive(Debug)]
pub struct Governor {
    rung: Rung,
    reason: Option<String>,
    calm_since: Option<Instant>,
}

impl Default for Governor {
    fn default() -> Governor {
        Governor {
            rung: Rung::Full,
            reason: None,
            calm_since: None,
        }
    }
}

impl Governor {
    /// The rung in force.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Why it is not full.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Takes a measurement in; down at once, up by one rung after [`CALM`].
    pub fn observe(&mut self, pressure: Pressure, now: Instant) -> Rung {
        let (wanted, reason) = judge(pressure, 1.0);
        if depth(wanted) >= depth(self.rung) {
            self.calm_since = None;
            if depth(wanted) > depth(self.rung) {
                self.rung = wanted;
            }
            if wanted != Rung::Full {
                self.reason = reason;
            }
            return self.rung;
        }
        // Rising needs pressure well below the line, or the rung would flap.
        if depth(judge(pressure, 0.7).0) >= depth(self.rung) {
            self.calm_since = None;
            return self.rung;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CALM {
            self.calm_since = Some(now);
            self.rung = match self.rung {
                Rung::HeartbeatOnly => Rung::Reduced,
                _ => Rung::Full,
            };
            if self.rung == Rung::Full {
                self.reason = None;
            }
        }
        self.rung
    }

    /// How many places of the first scan or a rescan may be read at once.
    #[must_use]
    pub fn scans_at_once(&self) -> usize {
        match self.rung {
            Rung::Full => 16,
            Rung::Reduced => 1,
            _ => 0,
        }
    }

    /// The share of one processor below which scans keep all roles together.
    #[must_use]
    pub fn scan_share(&self) -> f64 {
        match self.rung {
            Rung::Full => 0.5,
            _ => 0.1,
        }
    }

    /// The shortest time between two places of a scan.
    #[must_use]
    pub fn scan_pause(&self) -> Duration {
        match self.rung {
            Rung::Full => Duration::ZERO,
            // The detector runs only when nothing else wants to; this bounds what it reads.
            _ => Duration::from_millis(5),
        }
    }
}

fn judge(pressure: Pressure, share: f64) -> (Rung, Option<String>) {
    let percent = |what: &str, is: f64| Some(format!("{what} {is:.0} % of the last 10 s"));
    let rss = |limit: u64| pressure.rss_kib as f64 > limit as f64 * share;
    let own = || {
        Some(format!(
            "the agent itself holds {} MiB",
            pressure.rss_kib / 1024
        ))
    };
    if rss(RSS_HEARTBEAT) {
        (Rung::HeartbeatOnly, own())
    } else if pressure.memory_full > MEMORY_STALLED * share {
        (
            Rung::HeartbeatOnly,
            percent("all tasks waited for memory", pressure.memory_full),
        )
    } else if rss(RSS_REDUCED) {
        (Rung::Reduced, own())
    } else if pressure.memory_full > MEMORY_FULL * share {
        (
            Rung::Reduced,
            percent("all tasks waited for memory", pressure.memory_full),
        )
    } else if pressure.own_cpu > OWN_CPU * share {
        (
            Rung::Reduced,
            percent("the agent itself used a processor", pressure.own_cpu),
        )
    } else if pressure.cpu_some > CPU_SOME * share {
        (
            Rung::Reduced,
            percent("tasks waited for a processor", pressure.cpu_some),
        )
    } else if pressure.io_some > IO_SOME * share {
        (
            Rung::Reduced,
            percent("tasks waited for a disk", pressure.io_some),
        )
    } else {
        (Rung::Full, None)
    }
}

fn depth(rung: Rung) -> u8 {
    match rung {
        Rung::Full => 0,
        Rung::Reduced => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(cpu_some: f64) -> Pressure {
        Pressure {
            cpu_some,
            ..Pressure::default()
        }
    }

    /// Observes (second, pressure) and says the rung after each.
    fn check(observed: &[(u64, Pressure)], expected: &[Rung]) {
        let (mut governor, start) = (Governor::default(), Instant::now());
        let rungs: Vec<Rung> = observed
            .iter()
            .map(|(at, pressure)| governor.observe(*pressure, start + Duration::from_secs(*at)))
            .collect();
        assert_eq!(rungs, expected);
        assert_eq!(governor.reason().is_none(), governor.rung() == Rung::Full);
    }

    use Rung::{Full, HeartbeatOnly, Reduced};

    #[test]
    fn pressure_lowers_the_rung_at_once_and_calm_raises_it_slowly() {
        check(
            &[
                (0, cpu(10.0)),
                (1, cpu(90.0)),
                (2, cpu(5.0)),
                (31, cpu(5.0)),
                (32, cpu(5.0)),
            ],
            &[Full, Reduced, Reduced, Reduced, Full],
        );
    }

    #[test]
    fn pressure_around_the_line_does_not_make_it_flap() {
        check(
            &[
                (0, cpu(81.0)),
                (40, cpu(65.0)),
                (80, cpu(81.0)),
                (120, cpu(65.0)),
                (160, cpu(65.0)),
            ],
            &[Reduced; 5],
        );
    }

    #[test]
    fn an_agent_that_grows_stops_scanning_and_rises_rung_by_rung() {
        let own = |rss_kib| Pressure {
            rss_kib,
            ..Pressure::default()
        };
        let large = own(RSS_HEARTBEAT + 1);
        check(
            &[
                (0, large),
                (1, own(1)),
                (31, own(1)),
                (60, own(1)),
                (61, own(1)),
            ],
            &[HeartbeatOnly, HeartbeatOnly, Reduced, Reduced, Full],
        );
    }
}
