//! Processes for the process sensor's rows: some that end at once, with a key each, and a crowd that
//! stays.

use std::fmt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::plant::{self, Pair};
use crate::rest::Rest;

/// Time between two of them: a hundred a second, which the sensor's own bound lets through.
const GAP: Duration = Duration::from_millis(10);

/// How long what was captured may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);

/// How long a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As short as a program can be: `true`.
    Shortest,
    /// `sleep 0.005`.
    FiveMilliseconds,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lifetime::Shortest => "processes that live below 1 ms",
            Lifetime::FiveMilliseconds => "processes that live 5 ms and more",
        })
    }
}

/// Starts `count` processes one after the other, each with a pair of its own in its environment.
///
/// # Errors
/// When one cannot be started.
pub async fn start(lifetime: Lifetime, count: usize) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        let pair = plant::alibaba();
        let mut command = match lifetime {
            Lifetime::Shortest => Command::new("/bin/true"),
            Lifetime::FiveMilliseconds => {
                let mut sleep = Command::new("/bin/sleep");
                sleep.arg("0.005");
                sleep
            }
        };
        let status = command
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
            .stdin(Stdio::null())
            .status()
            .await
            .context("starting a short-lived process")?;
        anyhow::ensure!(
            status.success(),
            "a short-lived process ended with {status}"
        );
        pairs.push(pair);
        tokio::time::sleep(GAP).await;
    }
    Ok(pairs)
}

/// Programs started one after the other by each of the storm's threads.
const STORM_THREADS: u32 = 8;

/// A storm of programs: `/bin/true` at `rate` a second for `seconds`, as far as this machine manages,
/// with a key in each environment, the same in all. How many were started, and in which time.
///
/// # Errors
/// When one cannot be started, or a thread has panicked.
pub fn storm(rate: u32, seconds: u64) -> Result<(u64, Duration)> {
    let (begun, pair) = (Instant::now(), plant::alibaba());
    let gap = Duration::from_secs(1) * STORM_THREADS / rate;
    let until = begun + Duration::from_secs(seconds);
    let one = |pair: Pair| -> Result<u64> {
        let (mut started, mut due) = (0, begun);
        while due < until && Instant::now() < until {
            let status = std::process::Command::new("/bin/true")
                .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &pair.id)
                .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &pair.secret)
                .stdin(Stdio::null())
                .status()
                .context("starting a program of a storm")?;
            anyhow::ensure!(status.success(), "a program of a storm ended with {status}");
            started += 1;
            due += gap;
            // Nothing unparks it: this is the storm's own pace.
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
        Ok(started)
    };
    let started: Result<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..STORM_THREADS)
            .map(|_| scope.spawn(|| one(pair.clone())))
            .collect();
        let counts = threads.into_iter().map(|thread| {
            let joined = thread.join();
            joined.map_err(|_| anyhow::anyhow!("a thread of the storm panicked"))?
        });
        counts.sum()
    });
    Ok((started?, begun.elapsed()))
}

/// How many of them the collector knows, once no more arrive.
///
/// # Errors
/// When the collector does not answer.
pub async fn captured(rest: &Rest, pairs: &[Pair]) -> Result<usize> {
    let (begun, mut captured) = (Instant::now(), 0);
    let mut missing: Vec<&Pair> = pairs.iter().collect();
    while !missing.is_empty() && begun.elapsed() < ARRIVAL {
        let mut still = Vec::new();
        for pair in missing {
            if rest.findings_of(&pair.id).await?.is_empty() {
                still.push(pair);
            } else {
                captured += 1;
            }
        }
        missing = still;
        tokio::time::sleep(GAP).await;
    }
    Ok(captured)
}

/// Processes that do nothing. Ended when dropped.
#[derive(Debug)]
pub struct Crowd(Vec<std::process::Child>);

impl Crowd {
    /// `count` of them, with three KiB of environment each.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(count: usize) -> Result<Crowd> {
        let mut crowd = Crowd(Vec::new());
        for _ in 0..count {
            let child = std::process::Command::new("/bin/sleep")
                .arg("3600")
                .env("BENCH_PADDING", "x".repeat(3000))
                .stdin(Stdio::null())
                .spawn()
                .context("starting a crowd of processes")?;
            crowd.0.push(child);
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
