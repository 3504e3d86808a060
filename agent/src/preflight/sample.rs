//! What reading costs here: some of the files, chosen evenly, really read and examined.
//!
//! What is found in them is dropped at once: a preflight counts, it reports no secret.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use akwatch_detect::{Detector, Format, Part, Position};
use nix::time::{ClockId, clock_gettime};
use rustix::io::Errno;

/// Files in the sample.
const FILES: usize = 200;
/// Bytes of one that are read.
const BYTES: u64 = 1 << 20;
/// How long reading the sample may take.
pub(super) const TIME: Duration = Duration::from_secs(5);

/// An even choice among files that come one by one.
#[derive(Debug, Default)]
pub(super) struct Sample {
    chosen: Vec<PathBuf>,
    seen: u64,
}

impl Sample {
    /// Offers one file: each that came has the same chance to be in the sample in the end.
    pub(super) fn offer(&mut self, path: PathBuf) {
        self.seen += 1;
        if self.chosen.len() < FILES {
            self.chosen.push(path);
            return;
        }
        let slot = usize::try_from(mixed(self.seen) % self.seen).unwrap_or(usize::MAX);
        if let Some(place) = self.chosen.get_mut(slot) {
            *place = path;
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.chosen.iter().map(PathBuf::as_path)
    }
}

/// A number that looks like chance and is the same in every run (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Reads the beginning of a file and looks for secrets in it; gives the bytes that were read.
pub(super) fn examine(detector: &mut Detector, name: &[u8], file: BorrowedFd<'_>) -> u64 {
    let mut content = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while (content.len() as u64) < BYTES {
        match rustix::io::read(file, &mut chunk) {
            Ok(0) => break,
            Ok(count) => content.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    drop(detector.scan(&[Part {
        name,
        format: Format::Guess,
        start: Position::default(),
        source: &content,
    }]));
    content.len() as u64
}

/// CPU time of this process.
pub(super) fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// What so many files with so many bytes take, when a sample took `spent`: by files or by bytes,
/// whichever is more.
pub(super) fn scaled(spent: Duration, sample: (u64, u64), all: (u64, u64)) -> Duration {
    let times = |all: u64, sampled: u64| {
        let micros = spent.as_micros().saturating_mul(u128::from(all)) / u128::from(sampled.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    };
    times(all.0, sample.0).max(times(all.1, sample.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_even_and_bounded() {
        let mut sample = Sample::default();
        for number in 0..20_000 {
            sample.offer(PathBuf::from(number.to_string()));
        }
        let numbers: Vec<u32> = sample
            .paths()
            .map(|path| path.to_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), FILES);
        for quarter in 0..4 {
            let from = quarter * 5_000;
            let count = numbers
                .iter()
                .filter(|number| (from..from + 5_000).contains(*number))
                .count();
            assert!(
                (25..=75).contains(&count),
                "{count} of {FILES} in quarter {quarter}"
            );
        }
    }

    #[test]
    fn the_dearer_of_files_and_bytes_counts() {
        let second = Duration::from_secs(1);
        assert_eq!(
            scaled(second, (10, 100), (100, 200)),
            Duration::from_secs(10)
        );
        assert_eq!(
            scaled(second, (10, 100), (20, 5_000)),
            Duration::from_secs(50)
        );
        assert_eq!(scaled(second, (0, 0), (3, 0)), Duration::from_secs(3));
    }
}
