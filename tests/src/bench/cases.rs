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
    /// The same without the kinds that are no leak.
    leaks: u64,
    leaks_found: u64,
    negatives: u64,
    false_alarms: u64,
}

/// Scans the cases of `file` and prints a row a tier; with `verbose` also each miss and each false
/// alarm by the case's name.
///
/// # Errors
/// When the file is not of that form, or the scan fails.
pub fn measure(file: &Path, verbose: bool) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let cases = write(file, directory.path())?;
    let no_leak = kinds_of_no_leak()?;
    let found = scan(directory.path())?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let none = BTreeSet::new();
    for (number, case) in &cases {
        let tier = case["tier"].as_str().unwrap_or("other").to_owned();
        let secrets = found.get(number).unwrap_or(&none);
        let tally = tallies.entry(tier).or_default();
        judge(case, secrets, &no_leak, tally, verbose);
    }
    println!(
        "| tier | expected | found | recall | leaks | found | recall | negatives | false alarms | precision | F1 | F1 of leaks |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for (tier, tally) in tallies {
        let precision = share(tally.found, tally.found + tally.false_alarms);
        let recall = share(tally.found, tally.expected);
        let leaks = share(tally.leaks_found, tally.leaks);
        println!(
            "| {tier} | {} | {} | {recall:.3} | {} | {} | {leaks:.3} | {} | {} | {precision:.3} | {:.3} | {:.3} |",
            tally.expected,
            tally.found,
            tally.leaks,
            tally.leaks_found,
            tally.negatives,
            tally.false_alarms,
            harmonic(recall, precision),
            harmonic(leaks, precision),
        );
    }
    println!("\nleaks: without the kinds of tests/corpus/no-leak-kinds.toml");
    Ok(())
}

/// Writes each case into a numbered directory.
fn write(file: &Path, directory: &Path) -> Result<BTreeMap<usize, Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let mut cases = BTreeMap::new();
    let filled = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in filled {
        let case: Value =
            serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
        let folder = directory.join(number.to_string());
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
    Ok(cases)
}

/// The committed list of kinds whose value opens nothing.
fn kinds_of_no_leak() -> Result<BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/no-leak-kinds.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let groups: BTreeMap<String, Vec<String>> = toml::from_str(&text)?;
    Ok(groups.into_values().flatten().collect())
}

fn judge(
    case: &Value,
    secrets: &BTreeSet<String>,
    no_leak: &BTreeSet<String>,
    tally: &mut Tally,
    verbose: bool,
) {
    let id = case["id"].as_str().unwrap_or("?");
    if case["expect"].is_null() {
        tally.negatives += 1;
        if !secrets.is_empty() {
            tally.false_alarms += 1;
            if verbose {
                println!("false alarm {id} {} ({})", case["name"], case["kind"]);
            }
        }
        return;
    }
    let also = case["also"].as_array().into_iter().flatten();
    let accepted: Vec<&str> = std::iter::once(&case["expect"])
        .chain(also)
        .filter_map(Value::as_str)
        .collect();
    let leak = !case["kind"]
        .as_str()
        .is_some_and(|kind| no_leak.contains(kind));
    let hit = accepted
        .iter()
        .any(|want| secrets.iter().any(|secret| same(secret, want)));
    tally.expected += 1;
    tally.leaks += u64::from(leak);
    tally.found += u64::from(hit);
    tally.leaks_found += u64::from(leak && hit);
    if !hit && verbose {
        let note = if leak { "" } else { " no leak" };
        println!(
            "missed{note} {id} {} ({}, {})",
            case["name"], case["provider"], case["kind"]
        );
    }
}

/// Whether what was told is what was expected: the same, or one within the other, where a tool of
/// another author calls the whole line or URL the secret, or the base64 of a login its password. Line
/// ends and their escapes do not count.
fn same(told: &str, want: &str) -> bool {
    let decoded = data_encoding::BASE64.decode(want.as_bytes()).ok();
    if let Some(login) = decoded.and_then(|bytes| String::from_utf8(bytes).ok())
        && login
            .split_once(':')
            .is_some_and(|(_, password)| password == told)
    {
        return true;
    }
    let bare = |text: &str| {
        text.replace("\\n", "")
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .collect::<String>()
    };
    // A private key may stand there with the marks of a log or a string between its lines, and may be
    // expected without its first and last one, or in the encoding that it was undone from.
    let longest = told.lines().max_by_key(|line| line.len());
    let key = told.starts_with("-----BEGIN") || told.starts_with("MI") && !told.contains(' ');
    if key {
        let piece = longest.and_then(|line| line.get(..line.len().min(48)));
        let holds =
            |text: &str| piece.is_some_and(|piece| piece.len() >= 32 && text.contains(piece));
        if holds(want) || undone(want).is_some_and(|plain| holds(&plain)) {
            return true;
        }
    }
    if written_otherwise(told, want) {
        return true;
    }
    let (told, want) = (bare(told), bare(want));
    told == want
        || (told.len() >= 8 && want.contains(&told))
        || (want.len() >= 8 && told.contains(&want))
}

/// Whether what was told is what was expected once that is undone: a tool of another author tells an array
/// of bytes, the base64 of a list of web keys, and an address or a page's text with its escapes.
fn written_otherwise(told: &str, want: &str) -> bool {
    if let Some(bytes) = numbers(want).filter(|bytes| bytes.len() >= 12) {
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        return told.starts_with(&hex) || told.as_bytes().starts_with(&bytes);
    }
    let key: Option<Value> = serde_json::from_str(told).ok();
    let secrets = key.iter().flat_map(|key| ["d", "k"].map(|name| &key[name]));
    let mut secrets = secrets.filter_map(Value::as_str);
    if undone(want).is_some_and(|list| secrets.any(|one| one.len() >= 16 && list.contains(one))) {
        return true;
    }
    let entities = |text: &str| {
        [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&amp;", "&"),
        ]
        .iter()
        .fold(text.to_owned(), |text, (entity, plain)| {
            text.replace(entity, plain)
        })
    };
    told == entities(&entities(want)) || percent(want).is_some_and(|plain| plain == told)
}

/// The bytes that a list of numbers says, `0x3f, 077, 63`, of which the last may be cut off.
fn numbers(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches(['\\', ' ', '\n', ',']);
    text.split(',')
        .map(|number| {
            let number = number.trim();
            let (digits, radix) = match number.strip_prefix("0x") {
                Some(digits) => (digits, 16),
                None if number.len() > 1 && number.starts_with('0') => (number, 8),
                None => (number, 10),
            };
            u8::from_str_radix(digits, radix).ok()
        })
        .collect()
}

/// The text with its percent-escapes undone, if it has any.
fn percent(text: &str) -> Option<String> {
    let (first, rest) = text.split_once('%')?;
    let mut bytes = first.as_bytes().to_vec();
    for piece in rest.split('%') {
        bytes.push(u8::from_str_radix(piece.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// The text that base64 holds, of which a tool of another author may expect a part only.
fn undone(want: &str) -> Option<String> {
    let whole = want.trim_end_matches('=');
    let whole = whole.get(..whole.len() / 4 * 4)?;
    let bytes = data_encoding::BASE64.decode(whole.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

fn harmonic(a: f64, b: f64) -> f64 {
    2.0 * a * b / (a + b)
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases fit a double")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        f64::NAN
    } else {
        part as f64 / whole as f64
    }
}

/// The secrets found in each numbered case, and the ids that were told with them: a pair is one
/// finding, by whichever half a case names it. An id without a secret is none.
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
            let told = found.entry(number).or_default();
            told.insert(secret.to_owned());
            told.extend(finding["credential_id"].as_str().map(str::to_owned));
        }
    }
    Ok(found)
}
