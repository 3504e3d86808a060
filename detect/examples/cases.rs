//! Measures the detector on labelled cases, or on a tree: prints figures and, of misses and false
//! alarms, only the case's name. Never prints a secret unless `--reveal` is given for test data.
//!
//! `cargo run --release -p akwatch-detect --example cases -- cases FILE.jsonl [TIER] [--reveal]`
//! `cargo run --release -p akwatch-detect --example cases -- tree DIR…`
//! `cargo run --release -p akwatch-detect --example cases -- speed FILE…` scans files from memory
//! `cargo run -p akwatch-detect --example cases -- rules` prints the reference page

#![expect(clippy::print_stdout, reason = "a measuring tool that prints")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use akwatch_detect::{Detector, Format, Limits, Match, Part, Position, RuleSet};
use akwatch_proto::credential::{Confidence, Kind};
use base64::Engine as _;
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("cases") => cases(&arguments[1..]),
        Some("rules") => print!("{}", RuleSet::builtin().reference()),
        Some("speed") => speed(&arguments[1..]),
        Some("tree") => tree(&arguments[1..]),
        _ => println!("cases FILE [TIER] [--reveal] | tree DIR…"),
    }
}

fn scan(detector: &mut Detector, name: &str, bytes: &Vec<u8>) -> Vec<Match> {
    let part = Part {
        name: name.as_bytes(),
        format: Format::Guess,
        start: Position::default(),
        source: bytes,
    };
    detector
        .scan(&[part])
        .matches
        .into_iter()
        .filter(|found| found.confidence > Confidence::Unknown)
        .collect()
}

fn shown(found: &Match, reveal: bool) -> String {
    let secret = match (&found.secret, reveal) {
        (Some(secret), true) => String::from_utf8_lossy(secret.expose())
            .chars()
            .take(70)
            .collect(),
        _ => String::new(),
    };
    let field = found
        .spot
        .field
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    format!(
        "{} {:?} {:?} line {} field {field} id {:?} {secret} {:?} {:?}",
        found.rule,
        found.kind,
        found.confidence,
        found.spot.line,
        found.id,
        found.proof,
        found.spot.encoding
    )
}

#[derive(Default)]
struct Tally {
    found: u32,
    missed: u32,
    false_alarms: u32,
    negatives: u32,
}

fn cases(arguments: &[String]) {
    let Some(text) = arguments
        .first()
        .and_then(|file| std::fs::read_to_string(file).ok())
    else {
        println!("no such file");
        return;
    };
    let wanted = arguments.get(1).filter(|tier| !tier.starts_with('-'));
    let reveal = arguments.iter().any(|word| word == "--reveal");
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut kinds: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for line in text.lines() {
        let Ok(case) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let word = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        if wanted.is_some_and(|tier| *tier != word("tier")) {
            continue;
        }
        let bytes = match case["text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => base64::engine::general_purpose::STANDARD
                .decode(word("base64"))
                .unwrap_or_default(),
        };
        let matches = scan(&mut detector, &word("name"), &bytes);
        let tally = tallies.entry(word("tier")).or_default();
        if case["expect"].is_null() {
            tally.negatives += 1;
            let alarms: Vec<&Match> = matches
                .iter()
                .filter(|found| found.kind != Kind::Reference)
                .collect();
            if !alarms.is_empty() {
                tally.false_alarms += 1;
                println!(
                    "FALSE {} {} {}",
                    word("id"),
                    word("kind"),
                    shown(alarms[0], reveal)
                );
            }
            continue;
        }
        let also = case["also"].as_array().cloned().unwrap_or_default();
        let accepted = std::iter::once(&case["expect"])
            .chain(&also)
            .filter_map(Value::as_str);
        let hit = accepted
            .into_iter()
            .any(|expect| matches.iter().any(|found| tells(found, expect)));
        let kind = kinds
            .entry(format!("{} {}", word("tier"), word("kind")))
            .or_default();
        if hit {
            tally.found += 1;
            kind.0 += 1;
        } else {
            tally.missed += 1;
            kind.1 += 1;
            let value: String = if reveal {
                word("expect").chars().take(60).collect()
            } else {
                String::new()
            };
            println!("MISS {} {} {value}", word("id"), word("kind"));
        }
    }
    report(&kinds, &tallies);
}

fn report(kinds: &BTreeMap<String, (u32, u32)>, tallies: &BTreeMap<String, Tally>) {
    for (kind, (found, missed)) in kinds.iter().filter(|(_, (_, missed))| *missed > 0) {
        println!("kind {kind}: {found} found, {missed} missed");
    }
    for (tier, tally) in tallies {
        println!(
            "{tier}: found {} missed {} false {} of {} negatives; recall {:.3}",
            tally.found,
            tally.missed,
            tally.false_alarms,
            tally.negatives,
            f64::from(tally.found) / f64::from((tally.found + tally.missed).max(1))
        );
    }
}

/// Whether a match is the expected value: equal, or one holds the other.
fn tells(found: &Match, expect: &str) -> bool {
    let strip = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace() && *c != '\\')
            .collect::<String>()
    };
    let expect = strip(&expect.replace("\\n", ""));
    let secret = found
        .secret
        .as_ref()
        .map(|secret| strip(&String::from_utf8_lossy(secret.expose())));
    let secret = secret.unwrap_or_default();
    (secret.len() >= 8 && (expect.contains(&secret) || secret.contains(&expect)))
        || found
            .id
            .as_ref()
            .is_some_and(|id| expect.contains(id.as_str()))
        || found
            .also
            .iter()
            .any(|also| strip(&String::from_utf8_lossy(also.expose())).contains(&expect))
}

fn tree(roots: &[String]) {
    let reveal = roots.iter().any(|word| word == "--reveal");
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let mut pending: Vec<std::path::PathBuf> = roots
        .iter()
        .filter(|root| !root.starts_with('-'))
        .map(|root| Path::new(root).to_owned())
        .collect();
    let (mut files, mut bytes, mut told) = (0_u64, 0_u64, 0_u64);
    let mut spent = std::time::Duration::ZERO;
    while let Some(path) = pending.pop() {
        let Ok(about) = path.symlink_metadata() else {
            continue;
        };
        if about.is_dir() {
            pending.extend(
                std::fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path()),
            );
        } else if about.is_file() {
            let Ok(content) = std::fs::read(&path) else {
                continue;
            };
            files += 1;
            bytes += content.len() as u64;
            let start = Instant::now();
            let matches = scan(&mut detector, &path.to_string_lossy(), &content);
            let took = start.elapsed();
            spent += took;
            if took.as_millis() > 2000 {
                println!("SLOW {} {took:?}", path.display());
            }
            for found in matches.iter().filter(|found| found.kind != Kind::Reference) {
                told += 1;
                let inside: Vec<_> = found
                    .spot
                    .inside
                    .iter()
                    .map(|name| String::from_utf8_lossy(name))
                    .collect();
                println!("{} {inside:?} {}", path.display(), shown(found, reveal));
            }
        }
    }
    println!(
        "{files} files, {bytes} bytes, {told} findings, {:.2} s scanning",
        spent.as_secs_f64()
    );
}

/// Scans files that lie in memory, three times, and prints the best rate of all together.
fn speed(files: &[String]) {
    let contents: Vec<(String, Vec<u8>)> = files
        .iter()
        .filter_map(|file| Some((file.clone(), std::fs::read(file).ok()?)))
        .collect();
    let bytes: usize = contents.iter().map(|(_, content)| content.len()).sum();
    let mut detector = Detector::new(RuleSet::builtin(), Limits::default());
    let best = (0..3)
        .map(|_| {
            let start = Instant::now();
            for (name, content) in &contents {
                scan(&mut detector, name, content);
            }
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    let rate = bytes as f64 / best / 1e9;
    println!(
        "{} files, {bytes} bytes, {best:.3} s, {rate:.2} GB/s",
        contents.len()
    );
}
