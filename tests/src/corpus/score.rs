//! Compares what the shipped program finds with what was planted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Corpus;
use super::page::{Label, Tier};
use crate::program;

/// One finding of the scan, as far as it is compared.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The host's name.
    pub host: String,
    /// The file, from the host's root.
    pub path: String,
    /// First and last line.
    pub lines: (u64, u64),
    /// The secret.
    pub secret: String,
    /// The id, if it came with one.
    pub id: Option<String>,
    /// The rule.
    pub rule: String,
    /// Who issues it.
    pub provider: String,
    /// Its tier, by its kind and its rule's provider.
    pub tier: Tier,
}

/// Counts of a family, a format or a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was planted.
    pub planted: u64,
    /// Of it, what was found.
    pub found: u64,
    /// Planted pairs.
    pub pairs: u64,
    /// Pairs found with their id.
    pub linked: u64,
    /// Findings that are nothing planted.
    pub false_alarms: u64,
    /// Found ones whose line is known, and those told with the right line.
    pub lined: u64,
    /// See `lined`.
    pub right_line: u64,
}

impl Tally {
    /// Found of planted.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.found, self.planted)
    }

    /// Found of all that was told.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.found, self.found + self.false_alarms)
    }

    /// Pairs told with their id, of pairs planted.
    #[must_use]
    pub fn linked(&self) -> f64 {
        share(self.linked, self.pairs)
    }

    /// The harmonic mean of recall and precision.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let (recall, precision) = (self.recall(), self.precision());
        if recall + precision == 0.0 {
            0.0
        } else {
            2.0 * recall * precision / (recall + precision)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts fit a double")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// How a scan of the corpus came out.
#[derive(Debug, Default)]
pub struct Score {
    /// By tier's word.
    pub tiers: BTreeMap<&'static str, Tally>,
    /// By `tier/family`.
    pub families: BTreeMap<String, Tally>,
    /// By format.
    pub formats: BTreeMap<String, Tally>,
    /// What was planted and not found.
    pub missed: Vec<Label>,
    /// Pairs found without their id, or with another.
    pub unlinked: Vec<Label>,
    /// What was found and not planted, with the format of its file.
    pub false_alarms: Vec<(Finding, &'static str)>,
    /// Further findings of a credential already told in the same file.
    pub doubled: u64,
}

/// Writes `corpus` into a directory of its own, scans each host with the shipped program and compares.
///
/// # Errors
/// When the program is not built, the scan fails or its output cannot be read.
pub fn measure(corpus: &Corpus) -> Result<Score> {
    let directory = tempfile::tempdir()?;
    corpus.write(directory.path())?;
    let mut findings = Vec::new();
    for host in &corpus.hosts {
        findings.extend(scan(directory.path(), &host.name)?);
    }
    Ok(compare(corpus, findings))
}

/// Every finding of a host but references.
fn scan(directory: &Path, host: &str) -> Result<Vec<Finding>> {
    let output = Command::new(program::path("akwatch-agent")?)
        .args(["scan", "--format", "jsonl", "--reveal", "--root"])
        .arg(directory.join(host))
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "the scan of {host} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).context("findings are not UTF-8")?;
    let mut findings = Vec::new();
    for line in text.lines() {
        let finding: Value = serde_json::from_str(line).context("a finding is not JSON")?;
        if finding["kind"] != "reference" {
            findings.push(read(host, &finding));
        }
    }
    Ok(findings)
}

fn read(host: &str, finding: &Value) -> Finding {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let location = &finding["location"];
    let tier = match finding["kind"].as_str() {
        Some("access-key-pair" | "secret-key" | "temporary-credential") => Tier::Ak,
        Some("token") => Tier::Token,
        _ => Tier::Generic,
    };
    Finding {
        host: host.to_owned(),
        path: word(&location["path"]).trim_start_matches('/').to_owned(),
        lines: (
            location["line"].as_u64().unwrap_or(0),
            location["end_line"].as_u64().unwrap_or(0),
        ),
        secret: word(&finding["secret"]),
        id: finding["credential_id"].as_str().map(str::to_owned),
        rule: word(&finding["rule"]),
        provider: word(&finding["provider"]),
        tier,
    }
}

fn compare(corpus: &Corpus, findings: Vec<Finding>) -> Score {
    let mut score = Score::default();
    let mut at: HashMap<(String, String), Vec<Finding>> = HashMap::new();
    for finding in findings {
        at.entry((finding.host.clone(), finding.path.clone()))
            .or_default()
            .push(finding);
    }
    let mut labels: HashMap<(&str, &str), Vec<&Label>> = HashMap::new();
    for label in corpus.labels() {
        labels
            .entry((&label.host, &label.path))
            .or_default()
            .push(label);
    }
    let formats = formats_of(corpus);
    for label in corpus.labels() {
        let key = (label.host.clone(), label.path.clone());
        let found = at.get(&key).map(Vec::as_slice).unwrap_or_default();
        note(&mut score, label, found);
    }
    for ((host, path), found) in &at {
        let planted = labels
            .get(&(host.as_str(), path.as_str()))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let format = formats
            .get(&(host.as_str(), path.as_str()))
            .copied()
            .unwrap_or("other");
        let mut told = BTreeSet::new();
        for finding in found {
            match planted.iter().position(|label| explains(label, finding)) {
                Some(_) if told.insert(&finding.secret) => {}
                Some(_) => score.doubled += 1,
                None => {
                    alarm(&mut score, finding, format);
                }
            }
        }
    }
    score
        .false_alarms
        .sort_by(|a, b| (&a.0.rule, &a.0.path).cmp(&(&b.0.rule, &b.0.path)));
    score
}

/// The format of every file: its labels', else what its path says.
fn formats_of(corpus: &Corpus) -> HashMap<(&str, &str), &'static str> {
    let mut formats = HashMap::new();
    for host in &corpus.hosts {
        for file in &host.files {
            formats.insert((host.name.as_str(), file.path.as_str()), file.format);
        }
    }
    formats
}

fn note(score: &mut Score, label: &Label, found: &[Finding]) {
    let hit = found.iter().filter(|finding| is(label, finding));
    let best = hit.max_by_key(|finding| {
        (
            finding.id == label.credential.id,
            right_line(label, finding),
        )
    });
    let family = format!(
        "{}/{}",
        label.credential.tier.word(),
        label.credential.family
    );
    let mut tally = Tally {
        planted: 1,
        pairs: u64::from(label.credential.id.is_some()),
        ..Tally::default()
    };
    match best {
        None => score.missed.push(label.clone()),
        Some(finding) => {
            tally.found = 1;
            tally.lined = u64::from(label.line.is_some());
            tally.right_line = u64::from(label.line.is_some() && right_line(label, finding));
            if label.credential.id.is_some() {
                tally.linked = u64::from(finding.id == label.credential.id);
                if tally.linked == 0 {
                    score.unlinked.push(label.clone());
                }
            }
        }
    }
    add(
        score.tiers.entry(label.credential.tier.word()).or_default(),
        tally,
    );
    add(score.families.entry(family).or_default(), tally);
    add(
        score.formats.entry(label.format.to_owned()).or_default(),
        tally,
    );
}

fn alarm(score: &mut Score, finding: &Finding, format: &'static str) {
    let one = Tally {
        false_alarms: 1,
        ..Tally::default()
    };
    add(score.tiers.entry(finding.tier.word()).or_default(), one);
    add(score.formats.entry(format.to_owned()).or_default(), one);
    // A false alarm belongs to the family whose name its provider is, if there is one.
    let family = format!("{}/{}", finding.tier.word(), finding.provider);
    if let Some(tally) = score.families.get_mut(&family) {
        add(tally, one);
    }
    score.false_alarms.push((finding.clone(), format));
}

fn add(sum: &mut Tally, one: Tally) {
    sum.planted += one.planted;
    sum.found += one.found;
    sum.pairs += one.pairs;
    sum.linked += one.linked;
    sum.false_alarms += one.false_alarms;
    sum.lined += one.lined;
    sum.right_line += one.right_line;
}

fn right_line(label: &Label, finding: &Finding) -> bool {
    label
        .line
        .is_some_and(|line| (finding.lines.0..=finding.lines.1).contains(&u64::from(line)))
}

/// Whether a finding is the planted credential: the same secret; for keys in armour the same without
/// line ends; for what is a whole URL or has a scheme before it, also its secret part alone.
fn is(label: &Label, finding: &Finding) -> bool {
    let planted = &label.credential.secret;
    let told = &finding.secret;
    if planted == told || label.credential.forms.contains(told) {
        return true;
    }
    if planted.starts_with("-----") {
        return same_key(planted, told);
    }
    let composed = planted.contains("://") || planted.contains(' ');
    composed && told.len() >= 16 && planted.contains(told.as_str())
}

/// Whether two writings of a key in armour hold the same base64.
fn same_key(planted: &str, told: &str) -> bool {
    let bare = |text: &str| {
        text.replace("\\n", "")
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .collect::<String>()
    };
    let (planted, told) = (bare(planted), bare(told));
    planted == told || (told.len() > 60 && planted.contains(&told))
}

/// Whether a finding is accounted for by a label.
fn explains(label: &Label, finding: &Finding) -> bool {
    let told = finding.secret.as_str();
    is(label, finding)
        || label
            .credential
            .also
            .iter()
            .any(|also| also == told || (told.len() >= 16 && also.contains(told)))
}
