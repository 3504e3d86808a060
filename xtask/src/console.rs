//! The console's build and tests: npm by lock file, never a download of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::build::{root, step};

fn directory() -> PathBuf {
    root().join("server/console")
}

/// An npm command in the console's directory.
pub(crate) fn npm(args: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(args).current_dir(directory());
    command
}

/// Installs the packages when the lock file is newer than what is installed.
pub(crate) fn install() -> Result<()> {
    let directory = directory();
    let installed = directory.join("node_modules/.package-lock.json");
    if newest(&directory.join("package-lock.json"))? > newest(&installed)? {
        step(
            "console: npm ci",
            &mut npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
        )?;
    }
    Ok(())
}

/// Builds `dist` when a source is newer than it.
pub(crate) fn build() -> Result<()> {
    install()?;
    let directory = directory();
    let built = newest(&directory.join("dist/index.html"))?;
    let mut sources = SystemTime::UNIX_EPOCH;
    for part in [
        "src",
        "index.html",
        "package-lock.json",
        "vite.config.ts",
        "tsconfig.json",
    ] {
        sources = sources.max(newest(&directory.join(part))?);
    }
    if sources > built {
        step("console: build", &mut npm(&["run", "--silent", "build"]))?;
    }
    Ok(())
}

/// The newest modification below `path`; the epoch when it does not exist.
fn newest(path: &std::path::Path) -> Result<SystemTime> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(SystemTime::UNIX_EPOCH);
    };
    let mut latest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in
            std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?
        {
            latest = latest.max(newest(&entry?.path())?);
        }
    }
    Ok(latest)
}
