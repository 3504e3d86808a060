//! Recall and precision on a file of labelled cases, one JSON object a line.
//!
//! A case names a file, its content, and the secret that must be found in it, or none. All cases are
//! written below one directory and scanned in one run, as a user would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program;

#[derive(Default)]
struct Tally {
    expected: u64,
    found: u64,
    false_alarms: u64,
}

/// Scans the cases of `file` and prints a row a tier; with `verbose` also each miss and each false
/// alarm by the case's name.
///
/// # Errors
/// When the file is not of that form, or the scan fails.
pub fn measure(file: &Path, verbose: bool) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let mut cases = BTreeMap::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let case: Value =
            serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
        let folder = directory.path().join(number.to_string());
        std::fs::create_dir_all(&folder)?;
        let content = match (case["text"].as_str(), case["base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(packed)) => data_encoding::BASE64.decode(packed.as_bytes())?,
            (None, None) => anyhow::bail!("line {}: neither text nor base64", number + 1),
        };
        let name = case["name"].as_str().unwrap_or("file").replace('/', "_");
        std::fs::write(folder.join(name), content)?;
        cases.insert(number, case);
    }
    let found = scan(directory.path())?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let none = BTreeSet::new();
    for (number, case) in &cases {
        let tier = case["tier"].as_str().unwrap_or("other").to_owned();
        let secrets = found.get(number).unwrap_or(&none);
        judge(case, secrets, tallies.entry(tier).or_default(), verbose);
    }
    println!(
        "| tier | expected | found | recall | false alarms | precision |\n|---|---|---|---|---|---|"
    );
    for (tier, tally) in tallies {
        println!(
            "| {tier} | {} | {} | {:.3} | {} | {:.3} |",
            tally.expected,
            tally.found,
            share(tally.found, tally.expected),
            tally.false_alarms,
            share(tally.found, tally.found + tally.false_alarms),
        );
    }
    Ok(())
}

fn judge(case: &Value, secrets: &BTreeSet<String>, tally: &mut Tally, verbose: bool) {
    let id = case["id"].as_str().unwrap_or("?");
    let accepted: Vec<&str> = case["expect"]
        .as_str()
        .into_iter()
        .chain(
            case["also"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        )
        .collect();
    if case["expect"].is_null() {
        if !secrets.is_empty() {
            tally.false_alarms += 1;
            if verbose {
                println!("false alarm {id} {} ({})", case["name"], case["kind"]);
            }
        }
        return;
    }
    tally.expected += 1;
    let hit = secrets.iter().any(|secret| {
        accepted
            .iter()
            .any(|want| secret == want || secret.contains(want))
    });
    if hit {
        tally.found += 1;
    } else if verbose {
        println!(
            "missed {id} {} ({}, {})",
            case["name"], case["provider"], case["kind"]
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases fit a double")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        f64::NAN
    } else {
        part as f64 / whole as f64
    }
}

/// The secrets (and lone ids) found in each numbered case.
fn scan(directory: &Path) -> Result<BTreeMap<usize, BTreeSet<String>>> {
    let output = Command::new(program::path("akwatch-agent")?)
        .args(["scan", "--format", "jsonl", "--reveal"])
        .arg(directory)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let finding: Value = serde_json::from_str(line).context("a finding is not JSON")?;
        if finding["kind"] == "reference" {
            continue;
        }
        let path = finding["location"]["path"].as_str().unwrap_or_default();
        let number = Path::new(path)
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str()?.parse().ok());
        let secret = finding["secret"].as_str();
        if let (Some(number), Some(secret)) = (number, secret) {
            found.entry(number).or_default().insert(secret.to_owned());
        }
    }
    Ok(found)
}
