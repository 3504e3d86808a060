//! Runs targets on seeded mutated inputs without a fuzzer, and counts: for machines that have none.
//!
//! `drive SECONDS [SEED] [TARGET…]`, seeds read from the directories in `AKWATCH_FUZZ_SEEDS`. A broken
//! promise ends it with the target and the number of the input, which reproduces it; the input itself is
//! written to `crash-TARGET` for the person who looks.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akwatch_fuzz::mutate::{Numbers, input};
use akwatch_fuzz::{TARGETS, Target};

/// Inputs of one target before the next has its turn; each of the slow ones compiles a rule set.
const TURN: u64 = 400;
const SLOW_TURN: u64 = 1;
const SLOW: &[&str] = &["rule_packs", "floors"];
/// Seeds longer than this are left out.
const LONGEST_SEED: usize = 12 << 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (Some(seconds), seed) = (number(0), number(1).unwrap_or(1)) else {
        let _ = writeln!(std::io::stderr(), "drive SECONDS [SEED] [TARGET…]");
        return ExitCode::FAILURE;
    };
    let wanted = words.get(2..).unwrap_or_default();
    let targets: Vec<&Target> = TARGETS
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| word == name))
        .collect();
    let seeds = seeds();
    let mut numbers = Numbers(seed);
    let mut counts = vec![0_u64; targets.len()];
    let mut crashes = 0;
    let begun = Instant::now();
    let mut told = begun;
    while begun.elapsed() < Duration::from_secs(seconds) {
        for (target, count) in targets.iter().zip(&mut counts) {
            let slow = SLOW.contains(&target.0);
            for _ in 0..if slow { SLOW_TURN } else { TURN } {
                let data = input(&mut numbers, &seeds);
                *count += 1;
                if catch_unwind(AssertUnwindSafe(|| (target.1)(&data))).is_err() {
                    crashes += 1;
                    let _ = std::fs::write(format!("crash-{}-{crashes}", target.0), &data);
                    let _ = writeln!(std::io::stderr(), "{} broke at input {count}", target.0);
                }
            }
        }
        if told.elapsed() > Duration::from_secs(60) || crashes > 50 {
            told = Instant::now();
            say(&targets, &counts, crashes, begun);
        }
        if crashes > 50 {
            break;
        }
    }
    say(&targets, &counts, crashes, begun);
    if crashes == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn say(targets: &[&Target], counts: &[u64], crashes: u64, begun: Instant) {
    let total: u64 = counts.iter().sum();
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "{total} executions of {} targets, {crashes} crashes, {} s",
        targets.len(),
        begun.elapsed().as_secs()
    );
    let _ = out.flush();
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let Some(directories) = std::env::var_os("AKWATCH_FUZZ_SEEDS") else {
        return seeds;
    };
    let mut pending: Vec<_> = std::env::split_paths(&directories).collect();
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes.len() <= LONGEST_SEED
            {
                seeds.push(bytes);
            }
        }
    }
    seeds
}
