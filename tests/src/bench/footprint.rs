//! What a running agent takes from its host, read through /proc alone: memory, CPU, threads.
//!
//! CPU comes from the kernel's clock of each process, in nanoseconds: an idle agent uses less in a
//! minute than the hundredths of a second that `/proc/PID/stat` counts in. Memory is the
//! proportional set size, so that the program that all roles share counts once.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::process;

/// Time between two looks at an agent's memory.
const LOOK: Duration = Duration::from_millis(250);

/// An agent's processes: its supervisor and whatever roles that has now.
#[derive(Clone, Copy, Debug)]
pub struct Roles(Pid);

/// One process of an agent and a figure of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share<T> {
    /// `supervisor`, or the role.
    pub role: String,
    /// The figure.
    pub figure: T,
}

impl Roles {
    /// Those of the agent whose supervisor this is.
    #[must_use]
    pub fn of(supervisor: Pid) -> Roles {
        Roles(supervisor)
    }

    /// Every process by its role.
    #[must_use]
    pub fn all(self) -> Vec<(String, i32)> {
        let name = |pid: i32| {
            let words = process::cmdline(pid);
            let role = words.windows(2).find(|pair| pair[0] == "role");
            role.map_or_else(|| "supervisor".to_owned(), |pair| pair[1].clone())
        };
        process::descendants(self.0.as_raw())
            .into_iter()
            .map(|pid| (name(pid), pid))
            .collect()
    }

    /// Proportional set size of each process, KiB.
    ///
    /// # Errors
    /// When the kernel does not tell: this takes root.
    pub fn pss(self) -> Result<Vec<Share<u64>>> {
        let mut shares = Vec::new();
        for (role, pid) in self.all() {
            let figure = pss(pid)?;
            shares.push(Share { role, figure });
        }
        Ok(shares)
    }

    /// CPU time that each process has used so far.
    #[must_use]
    pub fn cpu(self) -> Vec<Share<Duration>> {
        let shares = self.all().into_iter().filter_map(|(role, pid)| {
            let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).ok()?;
            let figure = Duration::from(clock_gettime(clock).ok()?);
            Some(Share { role, figure })
        });
        shares.collect()
    }

    /// The sum of [`cpu`](Roles::cpu).
    #[must_use]
    pub fn cpu_sum(self) -> Duration {
        self.cpu().iter().map(|share| share.figure).sum()
    }
}

fn pss(pid: i32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("process {pid} does not tell its memory; run this as root"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("no Pss in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Looks at an agent's memory again and again, from a thread of its own.
#[derive(Debug)]
pub struct MemoryWatch {
    /// Dropped to end it.
    until: mpsc::Sender<()>,
    thread: JoinHandle<Vec<(f64, u64)>>,
}

impl MemoryWatch {
    /// Begins.
    #[must_use]
    pub fn start(roles: Roles) -> MemoryWatch {
        let ((until, ended), begun) = (mpsc::channel::<()>(), Instant::now());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                // A role that ends while it is looked at is looked at the next time.
                if let Ok(shares) = roles.pss() {
                    let sum = shares.iter().map(|share| share.figure).sum();
                    seen.push((begun.elapsed().as_secs_f64(), sum));
                }
            }
            seen
        });
        MemoryWatch { until, thread }
    }

    /// Ends, and gives what was seen: seconds since the start, and the sum in KiB.
    ///
    /// # Errors
    /// When the thread has panicked.
    pub fn end(self) -> Result<Vec<(f64, u64)>> {
        drop(self.until);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the thread that looked at the memory panicked"))
    }
}
