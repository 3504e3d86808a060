//! Detection in memory, to be measured from outside: reads files once, then scans them again and again.
//!
//! `throughput RULES REPEATS PATH…`: scans every file below the paths `REPEATS` times with the rules
//! that come with the program and `RULES` made ones, and prints rules, bytes and findings of one pass.
//! Who runs it takes the CPU seconds of two numbers of repeats and subtracts.

#![expect(clippy::print_stdout, reason = "a measuring tool that prints")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akwatch_detect::{Detector, Format, Limits, Part, Position, RulePack, RuleSet};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse::<usize>().ok());
    let (Some(rules), Some(repeats)) = (number(), number()) else {
        println!("throughput RULES REPEATS PATH…");
        return;
    };
    let mut files = Vec::new();
    for path in arguments {
        read(&PathBuf::from(path), &mut files);
    }
    let (set, faults) = RuleSet::compile(&[made(rules)]);
    for fault in faults.iter().take(3) {
        println!("refused: {:?}: {}", fault.rule, fault.why);
    }
    let rules = set.ids().count();
    let mut detector = Detector::new(Arc::new(set), Limits::default());
    let mut found = 0;
    for _ in 0..repeats {
        found = files
            .iter()
            .map(|(name, content)| {
                let part = Part {
                    name: name.as_bytes(),
                    format: Format::Guess,
                    start: Position::default(),
                    source: content,
                };
                detector.scan(&[part]).matches.len()
            })
            .sum();
    }
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    println!("{rules} {bytes} {found}");
}

fn read(path: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.for_each(|entry| read(&entry.path(), files));
    } else if let Ok(content) = std::fs::read(path) {
        files.push((path.display().to_string(), content));
    }
}

/// Rules like real ones: beginnings of four to seven characters, tokens that only a word beside them
/// tells, pairs. The same for the same number.
fn made(count: usize) -> RulePack {
    let mut state = 7_u64;
    let mut letters = |length: usize| -> String {
        (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or(0))
            })
            .collect()
    };
    let mut toml = String::new();
    for number in 0..count {
        let word = letters(6);
        let shape = match number % 10 {
            0 | 1 => format!(
                "by-word = true\nwords = [\"{word}\"]\nsecret-part = {{ patterns = [\"{{alnum:32}}\"] }}"
            ),
            2 => format!(
                "words = [\"{word}\"]\nid-part = {{ patterns = [\"{}{{upnum:16}}\"] }}\nsecret-part = {{ patterns = [\"{{alnum:40}}\"], names = [\"{word}_secret\"] }}",
                letters(4).to_uppercase()
            ),
            _ => format!(
                "secret-part = {{ patterns = [\"{}{}{{alnum:32}}\"] }}",
                letters(3 + number % 4),
                if number % 2 == 0 { "_" } else { "-" }
            ),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            toml,
            "[[rule]]\nid = \"made.rule-{number}\"\nprovider = \"generic\"\nkind = \"token\"\nabout = \"Made.\"\nsource = \"made\"\nremedy = \"service-token\"\n{shape}\nexamples = []\nlook-alikes = []\n\n"
        );
    }
    RulePack {
        name: "made".to_owned(),
        toml,
    }
}
