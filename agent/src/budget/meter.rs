//! What the host has to spare and what the roles use: read every second, so it costs next to nothing.
//!
//! Files of /proc are kept open and read in place, and processor time comes from the kernel's clock
//! of each process. What a role used before it ended stays in the sums.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use akwatch_proto::agent::CostReceipt;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::Pressure;

/// Bytes of a file that is read in place; none of them is as long.
const FILE: usize = 4096;

/// Seconds over which the agent's own share is averaged, as the kernel averages pressure.
const AVERAGED: f64 = 10.0;

/// The pressure files of Linux 4.20 and later, where they are switched on.
const PRESSURE: [&str; 3] = [
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
];

/// Measures.
#[derive(Debug)]
pub struct Meter {
    pressure: [Option<File>; 3],
    roles: BTreeMap<i32, Role>,
    /// Of roles that have ended.
    ended_cpu: Duration,
    began: Instant,
    looked: Option<(Instant, Duration)>,
    own_cpu: f64,
    peak_kib: u64,
}

/// One role's process.
#[derive(Debug)]
struct Role {
    memory: Option<File>,
    cpu: Duration,
}

/// Memory of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// Its own pages, KiB.
    private: u64,
    /// Pages of files, which is the program that all roles share, KiB.
    shared: u64,
}

impl Meter {
    /// Measures from now on.
    #[must_use]
    pub fn new(now: Instant) -> Meter {
        Meter {
            pressure: PRESSURE.map(|path| File::open(path).ok()),
            roles: BTreeMap::new(),
            ended_cpu: Duration::ZERO,
            began: now,
            looked: None,
            own_cpu: 0.0,
            peak_kib: 0,
        }
    }

    /// These are the roles' processes now.
    pub fn follow(&mut self, own: &BTreeSet<i32>) {
        let before = std::mem::take(&mut self.roles);
        for (pid, role) in before {
            if own.contains(&pid) {
                self.roles.insert(pid, role);
            } else {
                self.ended_cpu += role.cpu;
            }
        }
        for pid in own {
            self.roles.entry(*pid).or_insert_with(|| Role {
                memory: File::open(format!("/proc/{pid}/statm")).ok(),
                cpu: Duration::ZERO,
            });
        }
    }

    /// Processor time of all roles so far.
    pub fn cpu(&mut self) -> Duration {
        for (pid, role) in &mut self.roles {
            role.cpu = cpu_of(*pid).unwrap_or(role.cpu).max(role.cpu);
        }
        self.ended_cpu + self.roles.values().map(|role| role.cpu).sum::<Duration>()
    }

    /// Measures the host and the roles. What the kernel does not tell counts as none.
    pub fn measure(&mut self, now: Instant) -> Pressure {
        let cpu = self.cpu();
        if let Some((at, before)) = self.looked.replace((now, cpu)) {
            let seconds = now.saturating_duration_since(at).as_secs_f64();
            if seconds > 0.0 {
                let share = cpu.saturating_sub(before).as_secs_f64() / seconds * 100.0;
                self.own_cpu += (share - self.own_cpu) * (1.0 - (-seconds / AVERAGED).exp());
            }
        }
        let memory: Vec<Memory> = self.roles.values().map(Role::memory).collect();
        let [waits_cpu, waits_io, waits_memory] = &self.pressure;
        let told = |file: &Option<File>, line| file.as_ref().map(|file| average(file, line));
        Pressure {
            cpu_some: told(waits_cpu, "some").unwrap_or_else(waiting_by_load),
            io_some: told(waits_io, "some").unwrap_or(0.0),
            memory_full: told(waits_memory, "full").unwrap_or_else(full_by_what_is_left),
            rss_kib: resident(&memory),
            own_cpu: self.own_cpu,
        }
    }

    /// What the roles have cost since the start; bytes are the caller's to add.
    pub fn receipt(&mut self, now: Instant) -> CostReceipt {
        let cpu = self.cpu();
        let peaks: Vec<Memory> = self
            .roles
            .keys()
            .map(|pid| peak_of(*pid).unwrap_or_default())
            .collect();
        // Each one's own peak: together they may have held less, never more.
        self.peak_kib = self.peak_kib.max(resident(&peaks));
        CostReceipt {
            cpu_ms: u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX),
            peak_rss_kib: self.peak_kib,
            seconds: now.saturating_duration_since(self.began).as_secs(),
            ..CostReceipt::default()
        }
    }
}

impl Role {
    fn memory(&self) -> Memory {
        let pages = self.memory.as_ref().and_then(|file| {
            let text = read(file)?;
            let mut words = text.split_ascii_whitespace().skip(1);
            let mut number = || words.next()?.parse::<u64>().ok();
            Some((number()?, number()?))
        });
        let (resident, shared) = pages.unwrap_or_default();
        let kib = procfs::page_size() / 1024;
        Memory {
            private: resident.saturating_sub(shared) * kib,
            shared: shared * kib,
        }
    }
}

/// KiB that the roles hold together: what each has for itself, and the program they share, once.
fn resident(roles: &[Memory]) -> u64 {
    let private: u64 = roles.iter().map(|role| role.private).sum();
    private + roles.iter().map(|role| role.shared).max().unwrap_or(0)
}

/// Processor time of a process; none when it has ended.
fn cpu_of(pid: i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

/// The most that a process has held.
fn peak_of(pid: i32) -> Option<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let shared = field("RssFile:").unwrap_or(0);
    Some(Memory {
        private: field("VmHWM:")?.saturating_sub(shared),
        shared,
    })
}

/// Reads a file of /proc from its start.
fn read(file: &File) -> Option<String> {
    let mut buffer = [0; FILE];
    let length = file.read_at(&mut buffer, 0).ok()?;
    String::from_utf8(buffer[..length].to_vec()).ok()
}

/// `avg10` of one line of a pressure file; 0 when it does not say.
fn average(file: &File, line: &str) -> f64 {
    read(file).map_or(0.0, |text| average_of(&text, line))
}

fn average_of(text: &str, line: &str) -> f64 {
    text.lines()
        .filter_map(|text| text.strip_prefix(line))
        .flat_map(str::split_ascii_whitespace)
        .find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
        .unwrap_or(0.0)
}

/// Stands in for the pressure on processors in kernels that do not tell it: with more runnable tasks
/// than processors, the share of them that has to wait.
fn waiting_by_load() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    waiting(&load, processors)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of processors")]
fn waiting(load: &str, processors: usize) -> f64 {
    let load = load.split_ascii_whitespace().next();
    let load: f64 = load.and_then(|word| word.parse().ok()).unwrap_or(0.0);
    if load > processors as f64 {
        (1.0 - processors as f64 / load) * 100.0
    } else {
        0.0
    }
}

/// Stands in for the pressure on memory: a host with less than a fiftieth of its memory left is about
/// to stall, one with less than a twentieth is short of it.
fn full_by_what_is_left() -> f64 {
    full(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

fn full(meminfo: &str) -> f64 {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let (Some(total), Some(left)) = (field("MemTotal:"), field("MemAvailable:")) else {
        return 0.0;
    };
    if left < total / 50 {
        super::MEMORY_STALLED + 1.0
    } else if left < total / 20 {
        super::MEMORY_FULL + 1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> BTreeSet<i32> {
        [i32::try_from(std::process::id()).unwrap()].into()
    }

    #[test]
    fn pressure_files_are_read_and_nonsense_is_none() {
        let text =
            "some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.50 avg60=0 total=2\n";
        assert!((average_of(text, "some") - 12.34).abs() < 1e-9);
        assert!((average_of(text, "full") - 1.5).abs() < 1e-9);
        assert!(average_of("some avg10=x", "full").abs() < 1e-9);
    }

    #[test]
    fn without_pressure_files_load_and_free_memory_stand_in() {
        for (load, expected) in [
            ("0.5 0 0", 0.0),
            ("2 0 0", 0.0),
            ("10.0 0 0", 80.0),
            ("", 0.0),
        ] {
            assert!((waiting(load, 2) - expected).abs() < 1e-9, "{load}");
        }
        let left = |kib: u64| full(&format!("MemTotal: 1000 kB\nMemAvailable: {kib} kB\n"));
        assert!(left(100).abs() < 1e-9 && full("").abs() < 1e-9);
        assert!(left(40) > super::super::MEMORY_FULL && left(40) < super::super::MEMORY_STALLED);
        assert!(left(10) > super::super::MEMORY_STALLED);
    }

    #[test]
    fn this_process_is_measured_and_its_cost_outlasts_it() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.follow(&own());
        while meter.cpu() < Duration::from_millis(2) {
            std::hint::black_box(now.elapsed());
        }
        let pressure = meter.measure(now);
        assert!(pressure.rss_kib > 0);
        let later = meter.measure(now + Duration::from_millis(1));
        assert!(later.own_cpu >= 0.0 && later.own_cpu.is_finite());
        let receipt = meter.receipt(now);
        assert!(receipt.cpu_ms > 0 && receipt.peak_rss_kib >= pressure.rss_kib / 2);
        meter.follow(&BTreeSet::new());
        assert!(meter.receipt(now).cpu_ms >= receipt.cpu_ms);
    }

    #[test]
    fn a_program_that_is_shared_counts_once() {
        let roles = [(3, 10), (4, 8)].map(|(private, shared)| Memory { private, shared });
        assert_eq!(resident(&roles), 17);
    }
}
