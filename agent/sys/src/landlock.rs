//! Which files and ports a role may reach, whoever it is: Landlock.
//!
//! For detector and reporter only. On the watcher it would blind: before Linux 6.18 a process in a
//! Landlock domain cannot read another's environment, whatever its capabilities. What the running
//! kernel cannot enforce is said, never pretended.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::SysError;

/// The rules that are asked for; an older kernel enforces the part that it knows.
const NEWEST: ABI = ABI::V6;

/// What a role may reach beyond the descriptors that it has.
#[derive(Debug, Default)]
pub struct Reach<'a> {
    /// Directories, open, to read and write below.
    pub write: &'a [BorrowedFd<'a>],
    /// Files and directories to read; those that are not there are left out.
    pub read: &'a [&'a Path],
    /// TCP ports to connect to.
    pub connect: &'a [u16],
}

/// What the kernel enforces of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Enforced {
    /// Files: Linux 5.13 and newer, where it is switched on.
    pub files: bool,
    /// TCP ports: Linux 6.7 and newer.
    pub ports: bool,
}

/// Leaves this thread, and those that it starts, nothing but `reach`, for good. To be called before
/// there are other threads.
///
/// # Errors
/// When the kernel refuses a rule that it should know; the process is then unconfined.
pub fn confine(reach: &Reach<'_>) -> Result<Enforced, SysError> {
    restrict(reach).map_err(|error| SysError {
        call: "landlock_restrict_self",
        source: std::io::Error::other(error),
    })
}

fn restrict(reach: &Reach<'_>) -> Result<Enforced, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for directory in reach.write {
        rules = rules.add_rule(PathBeneath::new(
            directory.as_fd(),
            AccessFs::from_all(NEWEST),
        ))?;
    }
    for path in reach.read {
        rules = allow_reading(rules, path)?;
    }
    for port in reach.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = rules.restrict_self()?;
    let ports = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi >= ABI::V4,
        _ => false,
    };
    let files = status.ruleset != RulesetStatus::NotEnforced;
    Ok(Enforced {
        files,
        ports: files && ports,
    })
}

fn allow_reading(rules: RulesetCreated, path: &Path) -> Result<RulesetCreated, RulesetError> {
    let Ok(open) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        AccessFs::from_read(NEWEST)
    } else {
        AccessFs::from_read(NEWEST) & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(open, access))
}
