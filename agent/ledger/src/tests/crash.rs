//! `kill -9` of a real process in the middle of its commits: every commit that returned is there.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Names the directory in which the child commits; without it the child test does nothing.
const CHILD: &str = "AKWATCH_LEDGER_TEST_DIRECTORY";

/// Not a test of its own: what the child process runs until it is killed. It prints the number of
/// each commit once it has returned.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let mut ledger = open(Path::new(&directory));
    let first = all(&mut ledger).len();
    for number in first.. {
        let place = file(&format!("file-{number}"));
        ledger.commit(&[whole(&place, 10, &[1])]).unwrap();
        println!("\ncommitted {number}");
    }
}

/// Starts the child, kills it when it has said that it committed `commits` times and then a
/// little work more, and gives the number of the last commit that it saw.
fn killed_after(directory: &Path, commits: usize, spins: u64) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::child", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = lines
        .by_ref()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("committed ")?.parse::<usize>().ok());
    let mut last = numbers.nth(commits).unwrap();
    for spin in 0..spins {
        std::hint::black_box(spin);
    }
    child.kill().unwrap();
    if let Some(later) = numbers.last() {
        last = later;
    }
    child.wait().unwrap();
    last
}

#[test]
fn every_commit_that_returned_outlasts_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..12 {
        // xorshift: the same moments in every run, as far as the machine allows.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let commits = usize::try_from(seed % 7).unwrap();
        let last = killed_after(directory.path(), commits, seed % 3_000_000);
        let mut ledger = open(directory.path());
        assert!(ledger.lost().is_none(), "round {round}");
        let found = all(&mut ledger).len();
        // One more may have been made durable before its line was printed.
        assert!(
            found == last + 1 || found == last + 2,
            "{found} after {last}"
        );
        assert_eq!(
            ledger.unsent_count().unwrap(),
            u64::try_from(found).unwrap()
        );
    }
}
