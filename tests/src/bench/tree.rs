//! What is told of a tree that should be quiet: findings per 100 MB at the default confidence.
//!
//! Prints where each lies and by which rule, never a secret: a tree of this machine may hold real ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::program;

/// Scans `tree` and prints each finding's place and rule, then the count per 100 MB.
///
/// # Errors
/// When the tree cannot be scanned.
pub fn findings(tree: &Path) -> Result<()> {
    let output = Command::new(program::path("akwatch-agent")?)
        .args(["scan", "--format", "jsonl"])
        .arg(tree)
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "the scan ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let mut rules: BTreeMap<String, u64> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let finding: Value = serde_json::from_str(line).context("a finding is not JSON")?;
        if finding["kind"] == "reference" {
            continue;
        }
        let rule = finding["rule"].as_str().unwrap_or("?").to_owned();
        let at = &finding["location"];
        println!(
            "{rule} {} {}:{} {} {}",
            finding["confidence"].as_str().unwrap_or("?"),
            at["path"].as_str().unwrap_or("?"),
            at["line"],
            at["inside"],
            at["field"],
        );
        *rules.entry(rule).or_default() += 1;
    }
    let told: u64 = rules.values().sum();
    let bytes = bytes_of(tree);
    #[expect(clippy::cast_precision_loss, reason = "counts and sizes fit a double")]
    let rate = told as f64 / (bytes as f64 / 1e8);
    println!("{rules:?}");
    println!(
        "{}: {told} findings in {bytes} bytes, {rate:.2} per 100 MB",
        tree.display()
    );
    Ok(())
}

/// Bytes of the regular files below `tree`, links not followed.
fn bytes_of(tree: &Path) -> u64 {
    let mut bytes = 0;
    let mut pending = vec![tree.to_path_buf()];
    while let Some(path) = pending.pop() {
        let Ok(about) = path.symlink_metadata() else {
            continue;
        };
        if about.is_file() {
            bytes += about.len();
        } else if about.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()));
        }
    }
    bytes
}
