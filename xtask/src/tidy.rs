//! The rules that no compiler knows.
//!
//! Each check is a function from the clone's files to faults; all of them run, and every fault is
//! printed with the file, the rule and what to do. The list of checks is the list of promises that
//! ARCHITECTURE.md makes about structure.

mod arrows;
mod documents;
mod sources;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build::root;

/// A broken rule: where, and what to do about it.
struct Fault {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

/// The files that belong to the clone, read once.
struct Files {
    root: PathBuf,
    files: Vec<(PathBuf, String)>,
}

impl Files {
    /// Everything that git tracks or would track, as far as it is text.
    fn read() -> Result<Files> {
        let root = root();
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&root)
            .output()
            .context("git ls-files")?;
        if !output.status.success() {
            bail!(
                "git ls-files failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let mut files = Vec::new();
        for name in output
            .stdout
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
        {
            let path = PathBuf::from(String::from_utf8_lossy(name).into_owned());
            if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                files.push((path, text));
            }
        }
        Ok(Files { root, files })
    }

    /// The files with this ending.
    fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a Path, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.extension().is_some_and(|e| e == ending))
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }
}

/// Runs every check and prints every fault.
pub(crate) fn run() -> Result<ExitCode> {
    let files = Files::read()?;
    let mut faults = Vec::new();
    arrows::check(&files, &mut faults)?;
    sources::check(&files, &mut faults);
    documents::check(&files, &mut faults);
    for fault in &faults {
        let line = fault
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        eprintln!("{}{line}: {}", fault.file.display(), fault.what);
    }
    if faults.is_empty() {
        eprintln!("── tidy: {} files, no fault", files.files.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("── tidy: {} faults", faults.len());
    Ok(ExitCode::FAILURE)
}
