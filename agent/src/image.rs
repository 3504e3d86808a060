//! `image-prepare`: makes an enrolled host a blank one, before an image is made of it.
//!
//! A host that starts from an image must not come up as the host that the image was made of: so
//! identity, keys and ledger are removed. Configuration stays, and so does what lies in
//! `/etc/akwatch/enroll.d`: with a bootstrap string of several uses there, each host that starts from
//! the image enrolls as itself.
//!
//! An agent that still runs would go on with what it has in memory, and write it again: into the image
//! of a host that is to be nobody. That none answers proves little, since it may be busy, or listen
//! elsewhere; so its locks are taken, and held while its directories are removed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use akwatch_ledger::{Held, Ledger, LedgerError};

use crate::cli::{ImagePrepareArgs, Paths};
use crate::control::{self, ControlError};
use crate::role::{IDENTITY_DIRECTORY, WATCHER_DIRECTORY};
use crate::supervise::state::{self, StateError};

/// Where systemd keeps what tells one installation from another.
const MACHINE_ID: &str = "/etc/machine-id";

/// Why a host was not made blank.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It would write its state again.
    #[error(
        "the agent runs: stop it first, `systemctl stop akwatch-agent.service akwatch-agent.path \
         akwatch-enroll.path akwatch-enroll.service`"
    )]
    Running,
    /// Somebody listens where it would, or what it holds while it runs could not be looked at.
    #[error(
        "it cannot be told whether the agent runs: stop it first, `systemctl stop \
         akwatch-agent.service akwatch-agent.path akwatch-enroll.path akwatch-enroll.service`"
    )]
    Untold(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    let stopped = stopped(&args.paths)?;
    let removed = forget(&args.paths.state)?;
    drop(stopped);
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

/// No agent runs, and none can begin to while this lives.
#[derive(Debug)]
struct Stopped {
    _ledger: Option<Held>,
    _state: Option<File>,
}

/// Sees that no agent runs. Whatever is not a clear no is a yes.
fn stopped(paths: &Paths) -> Result<Stopped, ImageError> {
    match control::status(&paths.runtime) {
        Err(why) if why.is_nobody() => {}
        Ok(_) | Err(ControlError::Refused(_)) => return Err(ImageError::Running),
        Err(why) => return Err(ImageError::Untold(why.into())),
    }
    let state = state::hold(&paths.state).map_err(|why| match why {
        StateError::Taken { .. } => ImageError::Running,
        why => ImageError::Untold(why.into()),
    })?;
    let ledger = Ledger::hold(&paths.state.join(WATCHER_DIRECTORY)).map_err(|why| match why {
        LedgerError::InUse { .. } => ImageError::Running,
        why => ImageError::Untold(why.into()),
    })?;
    Ok(Stopped {
        _ledger: ledger,
        _state: state,
    })
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

    /// A state directory that an agent has used, and where it would be asked.
    fn used() -> (tempfile::TempDir, ImagePrepareArgs) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let paths = Paths {
            config: at("agent.toml"),
            state: at("state"),
            runtime: at("run"),
        };
        std::fs::create_dir(&paths.runtime).unwrap();
        std::fs::create_dir_all(paths.state.join(IDENTITY_DIRECTORY)).unwrap();
        let watchers = paths.state.join(WATCHER_DIRECTORY);
        drop(Ledger::open(&watchers, &akwatch_ledger::Options::new("a-boot")).unwrap());
        drop(state::State::prepare(&paths.state, None).unwrap());
        (directory, ImagePrepareArgs { paths })
    }

    fn is_kept(args: &ImagePrepareArgs, words: &str) {
        let why = run(args).unwrap_err().to_string();
        for word in [words, "akwatch-agent.service", "akwatch-enroll.path"] {
            assert!(why.contains(word), "{why}");
        }
        for name in [IDENTITY_DIRECTORY, WATCHER_DIRECTORY] {
            assert!(args.paths.state.join(name).is_dir(), "{name} went");
        }
    }

    #[test]
    fn an_agent_that_does_not_answer_keeps_what_it_has() {
        let (_directory, args) = used();
        let watchers = args.paths.state.join(WATCHER_DIRECTORY);
        let options = akwatch_ledger::Options::new("a-boot");
        // It listens elsewhere, or not at all: a watcher of its own unit, then one with a supervisor.
        let ledger = Ledger::open(&watchers, &options).unwrap();
        is_kept(&args, "the agent runs");
        drop(ledger);
        let supervisor = state::State::prepare(&args.paths.state, None).unwrap();
        is_kept(&args, "the agent runs");
        drop(supervisor);
        // Somebody listens and hangs up, as where an agent of another version is asked.
        let socket = args.paths.runtime.join(control::SOCKET);
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let hangs_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
        is_kept(&args, "cannot be told");
        hangs_up.join().unwrap();
        // What it left behind is nobody.
        run(&args).unwrap();
        assert!(!args.paths.state.join(WATCHER_DIRECTORY).exists());
    }

    /// The lock of a directory is the watcher's, and it is root who asks.
    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let (directory, args) = used();
        let others = directory.path().join("others");
        std::fs::write(&others, "of somebody else").unwrap();
        let lock = args.paths.state.join(WATCHER_DIRECTORY).join("lock");
        std::fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&others, &lock).unwrap();
        is_kept(&args, "cannot be told");
        let left = std::fs::read_to_string(others).unwrap();
        assert_eq!(left, "of somebody else");
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
