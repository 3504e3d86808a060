//! A smoke run of every fuzz target on seeded inputs: the same functions, the same promises, for a
//! moment. Long runs are `cargo xtask fuzz`.

#![allow(unreachable_pub, reason = "the modules are those of the fuzz crate")]

#[path = "../../tests/fuzz/src/encode.rs"]
mod encode;
#[path = "../../tests/fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../tests/fuzz/src/packs.rs"]
mod packs;
#[path = "../../tests/fuzz/src/targets.rs"]
mod targets;

use mutate::{Numbers, input};

/// Inputs of each target, and of those that compile a rule set for each.
const INPUTS: usize = 250;
const SLOW_INPUTS: usize = 10;

#[test]
fn every_target_holds_its_promises_on_seeded_inputs() {
    for (number, (name, _)) in targets::TARGETS.iter().enumerate() {
        let mut numbers = Numbers(number as u64 + 1);
        let slow = matches!(*name, "rule_packs" | "floors" | "runs");
        for _ in 0..if slow { SLOW_INPUTS } else { INPUTS } {
            targets::run(name, &input(&mut numbers, &[]));
        }
    }
}

/// What `main` of a build of targets would catch too late: a target without its file.
#[test]
fn every_target_has_its_file_for_the_fuzzer() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/fuzz_targets");
    for (name, _) in targets::TARGETS {
        let file = format!("{directory}/{name}.rs");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("run(\"{name}\", data)")), "{file}");
    }
    let files = std::fs::read_dir(directory).unwrap().count();
    assert_eq!(files, targets::TARGETS.len());
}

/// A script that tries to read a file out through packs: each pack asks whether a line of a file
/// begins with a guess, and a fingerprint would answer.
#[test]
fn packs_cannot_ask_what_a_file_holds() {
    let mut numbers = Numbers(3);
    for _ in 0..40 {
        let data = numbers.next_number().to_le_bytes();
        packs::read_out(&data);
    }
    packs::guess_lines();
}
