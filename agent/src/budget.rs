//! How much this host can spare, and what the agent therefore leaves for later.
//!
//! Pressure slows what can wait (the first scan, rescans), never the reading of events. The rungs go
//! down at once and up slowly, so that the agent never flaps, and there is no kill: an agent that
//! restarts under pressure makes it worse. Every rung below *full* carries its reason to the
//! collector, and ends with a catch-up, since what was left waits in the agenda or is owed a rescan.

use std::time::{Duration, Instant};

use akwatch_proto::agent::CostReceipt;
use akwatch_proto::coverage::Rung;

/// How long pressure must be low before the rung rises.
const CALM: Duration = Duration::from_secs(30);

/// Resident KiB of all roles above which scans slow down: the peak that is promised.
const RSS_REDUCED: u64 = 80 * 1024;

/// Resident KiB of all roles above which only the heartbeat goes on, below the unit's hard limit.
const RSS_HEARTBEAT: u64 = 192 * 1024;

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
}

impl Pressure {
    /// Measures this host and the processes `own`. What the kernel does not tell counts as none.
    #[must_use]
    pub fn measure(own: &[i32]) -> Pressure {
        Pressure {
            cpu_some: psi("/proc/pressure/cpu", "some"),
            io_some: psi("/proc/pressure/io", "some"),
            memory_full: psi("/proc/pressure/memory", "full"),
            rss_kib: resident(&own.iter().map(|pid| Usage::of(*pid)).collect::<Vec<_>>()),
        }
    }
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

/// What one process has used.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    cpu_ms: u64,
    /// Its own pages.
    private_kib: u64,
    /// Pages of files, which is the program that all roles share.
    shared_kib: u64,
    peak_kib: u64,
}

impl Usage {
    fn of(pid: i32) -> Usage {
        let Ok(process) = procfs::process::Process::new(pid) else {
            return Usage::default();
        };
        let ticks = procfs::ticks_per_second().max(1);
        let cpu_ms = process.stat().map_or(0, |stat| {
            (stat.utime + stat.stime).saturating_mul(1000) / ticks
        });
        let Ok(status) = process.status() else {
            return Usage {
                cpu_ms,
                ..Usage::default()
            };
        };
        Usage {
            cpu_ms,
            private_kib: status.rssanon.or(status.vmrss).unwrap_or(0),
            shared_kib: status.rssfile.unwrap_or(0),
            peak_kib: status.vmhwm.unwrap_or(0),
        }
    }
}

/// KiB that the roles hold together: what each has for itself, and the program they share, once.
fn resident(used: &[Usage]) -> u64 {
    let private: u64 = used.iter().map(|usage| usage.private_kib).sum();
    private + used.iter().map(|usage| usage.shared_kib).max().unwrap_or(0)
}

/// The most that the roles can have held together: each one's peak, the shared program counted once.
fn peak(used: &[Usage]) -> u64 {
    let shared = used.iter().map(|usage| usage.shared_kib).max().unwrap_or(0);
    let private = |usage: &Usage| usage.peak_kib.saturating_sub(usage.shared_kib);
    used.iter().map(private).sum::<u64>() + shared
}

/// What the processes `own` have cost; bytes are the caller's to add.
#[must_use]
pub fn cost(own: &[i32], since: Instant, now: Instant) -> CostReceipt {
    let used: Vec<Usage> = own.iter().map(|pid| Usage::of(*pid)).collect();
    CostReceipt {
        cpu_ms: used.iter().map(|usage| usage.cpu_ms).sum(),
        peak_rss_kib: peak(&used),
        seconds: now.saturating_duration_since(since).as_secs(),
        ..CostReceipt::default()
    }
}

fn psi(path: &str, line: &str) -> f64 {
    std::fs::read_to_string(path).map_or(0.0, |text| average(&text, line))
}

/// `avg10` of one line of a pressure file; 0 when it does not say.
fn average(text: &str, line: &str) -> f64 {
    text.lines()
        .filter_map(|text| text.strip_prefix(line))
        .flat_map(str::split_ascii_whitespace)
        .find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
        .unwrap_or(0.0)
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

    #[test]
    fn pressure_files_are_read_and_nonsense_is_none() {
        let text =
            "some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.50 avg60=0 total=2\n";
        assert!((average(text, "some") - 12.34).abs() < 1e-9);
        assert!((average(text, "full") - 1.5).abs() < 1e-9);
        assert!(average("some avg10=x", "full").abs() < 1e-9);
    }

    #[test]
    fn this_process_has_a_cost() {
        let own = [i32::try_from(std::process::id()).unwrap()];
        assert!(Pressure::measure(&own).rss_kib > 0);
        assert!(cost(&own, Instant::now(), Instant::now()).peak_rss_kib > 0);
    }
}
