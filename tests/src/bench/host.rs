//! What else a machine did while something was measured on it: load, pressure, programs started.

use std::time::Instant;

/// The machine at one moment.
#[derive(Clone, Debug)]
pub struct Around {
    at: Instant,
    forks: u64,
    cpu_waited: u64,
}

impl Around {
    /// Now.
    #[must_use]
    pub fn now() -> Around {
        Around {
            at: Instant::now(),
            forks: forks().unwrap_or(0),
            cpu_waited: waited().unwrap_or(0),
        }
    }

    /// Says on standard error what the machine did since.
    #[allow(clippy::print_stderr, reason = "a benchmark's words to a person")]
    #[expect(clippy::cast_precision_loss, reason = "counts of minutes fit a double")]
    pub fn print(&self, what: &str) {
        let now = Around::now();
        let seconds = self.at.elapsed().as_secs_f64();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load: Vec<&str> = load.split_whitespace().take(3).collect();
        eprintln!(
            "{what}: {seconds:.0} s, load {}, tasks waited for a processor {:.0} % of the time, {:.1} processes a second started on this machine",
            load.join(" "),
            (now.cpu_waited - self.cpu_waited) as f64 / seconds / 1e4,
            (now.forks - self.forks) as f64 / seconds,
        );
    }
}

/// Processes and threads made since the boot.
fn forks() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("processes "))?;
    line.trim().parse().ok()
}

/// Microseconds in which some task waited for a processor, where the kernel counts them.
fn waited() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    some.rsplit_once("total=")?.1.trim().parse().ok()
}
