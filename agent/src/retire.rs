//! `retire`: this host leaves its fleet, in order.
//!
//! The running agent tells its collector, which closes the host: what was found here stays, not
//! verified and counted apart. Only when the collector has confirmed that are key and fleet key
//! removed from this machine, so that a host that could not be heard can still try again.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::RetireArgs;
use crate::role::{FLEET_KEY_FILE, IDENTITY_DIRECTORY, WATCHER_DIRECTORY};
use crate::{control, identity};

/// Retires this host. Exit 0 when its collector has closed it.
///
/// # Errors
/// When no agent answers, its collector does not confirm, or a file cannot be removed.
pub fn run(args: &RetireArgs) -> anyhow::Result<ExitCode> {
    let paths = &args.paths;
    let host = control::retire(&paths.runtime).context("this host was not retired")?;
    forget(&paths.state).context("this host is retired, but still has its identity")?;
    writeln!(
        std::io::stdout(),
        "host {host} is retired: its collector has closed it, and its identity is removed from {}.\n\
         Its agent ends by itself and stays quiet. To watch this host again, enroll it with a new \
         bootstrap string.",
        paths.state.display()
    )
    .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// Removes certificate and key, then the fleet key; the ledger stays, which holds no secret.
fn forget(state: &Path) -> anyhow::Result<()> {
    identity::forget(&state.join(IDENTITY_DIRECTORY))?;
    let watcher = state.join(WATCHER_DIRECTORY);
    identity::forget(&watcher)?;
    match std::fs::remove_file(watcher.join(FLEET_KEY_FILE)) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(why).context("removing the fleet key")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_and_the_record_stays() {
        let state = tempfile::tempdir().unwrap();
        for file in [
            "identity/key.pem",
            "identity/cert.pem",
            "identity/host.json",
            "watcher/host.json",
            "watcher/fleet-key.json",
            "watcher/ledger.redb",
        ] {
            let path = state.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        forget(state.path()).unwrap();
        forget(state.path()).unwrap(); // as often as one likes
        let left = |directory: &str| {
            let entries = std::fs::read_dir(state.path().join(directory)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name());
            names.collect::<Vec<_>>()
        };
        assert!(left("identity").is_empty());
        assert_eq!(left("watcher"), ["ledger.redb"]);
    }
}
