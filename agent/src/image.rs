//! `image-prepare`: makes an enrolled host a blank one, before an image is made of it.
//!
//! A host that starts from an image must not come up as the host that the image was made of: so
//! identity, keys and ledger are removed. Configuration stays, and so does what lies in
//! `/etc/akwatch/enroll.d`: with a bootstrap string of several uses there, each host that starts from
//! the image enrolls as itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::ImagePrepareArgs;
use crate::control;
use crate::role::{IDENTITY_DIRECTORY, WATCHER_DIRECTORY};

/// Where systemd keeps what tells one installation from another.
const MACHINE_ID: &str = "/etc/machine-id";

/// Why a host was not made blank.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It would write its state again.
    #[error(
        "the agent runs: stop it first, `systemctl stop akwatch-agent.service akwatch-agent.path`"
    )]
    Running,
    /// Something could not be removed.
    #[error("cannot remove {path}; is this root?", path = .path.display())]
    Left {
        /// What is left.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The verb `image-prepare`.
///
/// # Errors
/// When the agent runs, or something could not be removed.
pub fn run(args: &ImagePrepareArgs) -> anyhow::Result<ExitCode> {
    if control::status(&args.paths.runtime).is_ok() {
        return Err(ImageError::Running.into());
    }
    let removed = forget(&args.paths.state)?;
    let mut out = std::io::stdout().lock();
    for path in &removed {
        writeln!(out, "removed {}", path.display())?;
    }
    if removed.is_empty() {
        writeln!(
            out,
            "this host was not enrolled; there was nothing to remove"
        )?;
    }
    if has_machine_id(Path::new(MACHINE_ID)) {
        writeln!(
            out,
            "{MACHINE_ID} is set: empty it (`truncate -s 0 {MACHINE_ID}`) before the image is made, or \
             all hosts that start from it share it"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes identity, keys and ledger, and says what there was. Links are removed, never followed.
///
/// # Errors
/// At the first that cannot be removed.
pub fn forget(state: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let mut removed = Vec::new();
    // The identity first: without it nothing of the rest belongs to anybody.
    for name in [IDENTITY_DIRECTORY, WATCHER_DIRECTORY] {
        let path = state.join(name);
        match std::fs::remove_dir_all(&path) {
            Ok(()) => removed.push(path),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(ImageError::Left { path, source }),
        }
    }
    Ok(removed)
}

/// Whether the file names a machine: neither empty nor `uninitialized`.
fn has_machine_id(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| {
        let text = text.trim();
        !text.is_empty() && text != "uninitialized"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_and_ledger_go_and_links_are_not_followed() {
        let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = other.path().join("kept");
        std::fs::write(&kept, "of somebody else").unwrap();
        for (directory, file) in [("identity", "key.pem"), ("watcher", "ledger.redb")] {
            let directory = state.path().join(directory);
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(other.path(), state.path().join("watcher/link")).unwrap();
        assert_eq!(forget(state.path()).unwrap().len(), 2);
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
        assert!(kept.exists());
        assert!(forget(state.path()).unwrap().is_empty(), "twice is once");
    }

    #[test]
    fn an_empty_machine_id_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("machine-id");
        assert!(!has_machine_id(&path));
        for (text, is_set) in [("", false), ("uninitialized\n", false), ("0f3a9c\n", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(has_machine_id(&path), is_set, "{text:?}");
        }
    }
}
