//! Other people's writes: files that nobody watches, on a filesystem that is marked.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Where they may go: on a disk, and in no default watch set.
const DIRECTORIES: [&str; 2] = ["/var/cache", "/var/lib"];

/// Writes a second.
const RATE: u32 = 10_000;

/// Files that are written again and again, in a hundred directories.
const FILES: u64 = 10_000;

/// Keeps the rate.
#[derive(Debug)]
pub struct Writes {
    directory: TempDir,
    begun: Instant,
    /// Of this stretch without a pause.
    written: u64,
    total: u64,
}

impl Writes {
    /// In a directory of their own that no agent watches.
    ///
    /// # Errors
    /// When none can be made.
    pub fn unwatched() -> Result<Writes> {
        let directory = DIRECTORIES
            .iter()
            .find_map(|above| {
                tempfile::Builder::new()
                    .prefix("akwatch-bench.")
                    .tempdir_in(above)
                    .ok()
            })
            .with_context(|| {
                format!("no directory can be made in {DIRECTORIES:?}; run this as root")
            })?;
        for number in 0..100 {
            std::fs::create_dir(directory.path().join(number.to_string()))?;
        }
        Ok(Writes {
            directory,
            begun: Instant::now(),
            written: 0,
            total: 0,
        })
    }

    /// Writes as many files as are due by now. What a busy machine was late with is not made good in
    /// one burst: that would be another row.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn due(&mut self) -> Result<()> {
        let due = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
            * u64::from(RATE)
            / 1_000_000;
        let late = due.saturating_sub(self.written);
        for _ in 0..late.min(1000) {
            let number = self.total % FILES;
            let path = self
                .directory
                .path()
                .join(format!("{}/{number}", number % 100));
            write(&path, self.total)?;
            self.written += 1;
            self.total += 1;
        }
        if late > 1000 {
            (self.begun, self.written) = (Instant::now(), 0);
        }
        Ok(())
    }

    /// Writes a second over `elapsed`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of seconds fit a double")]
    pub fn rate(&self, elapsed: Duration) -> f64 {
        self.total as f64 / elapsed.as_secs_f64()
    }
}

/// Writes in place: what a truncation costs the disk is not the agent's.
fn write(path: &Path, number: u64) -> Result<()> {
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(&number.to_ne_bytes())?;
    Ok(())
}
