//! Prints a score for a person.

use std::collections::BTreeMap;

use super::Corpus;
use super::score::{Score, Tally};

/// Prints the tables: tiers, formats, and families that are not perfect; with `misses` each miss and
/// each false alarm. Secrets of the corpus were issued by nobody and may be shown.
pub fn print(corpus: &Corpus, score: &Score, misses: bool) {
    let files: usize = corpus.hosts.iter().map(|host| host.files.len()).sum();
    println!(
        "{} hosts, {files} files, {:.1} MB, {} credentials planted\n",
        corpus.hosts.len(),
        corpus.bytes() as f64 / 1e6,
        corpus.labels().count()
    );
    head("tier");
    for (tier, tally) in &score.tiers {
        row(tier, tally);
    }
    println!();
    head("format");
    for (format, tally) in &score.formats {
        row(format, tally);
    }
    println!();
    head("family (those that are not perfect)");
    let perfect = |tally: &Tally| {
        tally.found == tally.planted && tally.false_alarms == 0 && tally.linked == tally.pairs
    };
    for (family, tally) in score.families.iter().filter(|(_, tally)| !perfect(tally)) {
        row(family, tally);
    }
    println!("\ntold twice in one file: {}", score.doubled);
    if misses {
        print_misses(score);
    }
}

fn print_misses(score: &Score) {
    println!("\nMissed:");
    for label in &score.missed {
        println!(
            "  {} {}/{} {}:{} {}",
            label.format,
            label.credential.tier.word(),
            label.credential.family,
            label.host,
            place(&label.path, label.line),
            label
                .credential
                .secret
                .escape_debug()
                .to_string()
                .chars()
                .take(60)
                .collect::<String>()
        );
    }
    println!("\nFound without its id:");
    for label in &score.unlinked {
        println!(
            "  {} {} {}:{}",
            label.format,
            label.credential.family,
            label.host,
            place(&label.path, label.line)
        );
    }
    println!("\nFalse alarms:");
    for (finding, format) in &score.false_alarms {
        println!(
            "  {format} {} {}:{}:{} {}",
            finding.rule,
            finding.host,
            finding.path,
            finding.lines.0,
            finding
                .secret
                .escape_debug()
                .to_string()
                .chars()
                .take(60)
                .collect::<String>()
        );
    }
    let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
    for (finding, _) in &score.false_alarms {
        *rules.entry(finding.rule.as_str()).or_default() += 1;
    }
    println!("\nFalse alarms by rule: {rules:?}");
}

fn place(path: &str, line: Option<u32>) -> String {
    line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}"))
}

fn head(first: &str) {
    println!(
        "| {first} | planted | found | recall | false alarms | precision | F1 | linked | right line |\n|---|---|---|---|---|---|---|---|---|"
    );
}

fn row(name: &str, tally: &Tally) {
    println!(
        "| {name} | {} | {} | {:.4} | {} | {:.4} | {:.4} | {}/{} | {}/{} |",
        tally.planted,
        tally.found,
        tally.recall(),
        tally.false_alarms,
        tally.precision(),
        tally.f1(),
        tally.linked,
        tally.pairs,
        tally.right_line,
        tally.lined,
    );
}
