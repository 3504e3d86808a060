//! What each role may ask of the kernel: tables as data, compiled with `seccompiler`.
//!
//! A role's table lists what it may call; everything else ends the process at once (`SIGSYS`). The
//! tables are written by call names that `libc` knows for the architecture, so an unknown name does
//! not compile. `clone3` alone is answered with `ENOSYS` before the table is asked: its arguments
//! lie in memory that a filter cannot see, and the C library then falls back to `clone`.
//!
//! `openat2` hides its flags in memory in the same way, so only roles that may open any file
//! read-only have it, and what they may open is bounded by their user and, where it may be used, by
//! Landlock.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

mod tables;

pub use tables::{BoundedCall, Call, DETECTOR, MARKER, REPORTER, Table, WATCHER};

/// Why a filter could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The table does not compile for this architecture.
    #[error("compiling a system-call table")]
    Compile(#[source] BackendError),
    /// The kernel refused it: without `CONFIG_SECCOMP_FILTER` there is none.
    #[error("installing a system-call table")]
    Install(#[source] seccompiler::Error),
}

/// Leaves this process, all its threads included, nothing but what `table` lists, for good.
///
/// # Errors
/// When the kernel has no filters or the architecture no table; the process is then unconfined.
pub fn confine(table: &Table) -> Result<(), SeccompError> {
    let refused = compile_refused(&[("clone3", libc::SYS_clone3)], libc::ENOSYS)?;
    let allowed = compile(table, unlisted())?;
    install(&refused)?;
    install(&allowed)
}

/// Takes every way to a network or another process's socket from this process: the scan by hand
/// keeps everything else. Each such call fails with `EPERM`.
///
/// # Errors
/// When the kernel has no filters.
pub fn forbid_sockets() -> Result<(), SeccompError> {
    install(&compile_refused(tables::SOCKET_CALLS, libc::EPERM)?)
}

/// What an unlisted call meets. The feature `unstable-log-calls` is for finding a table's gaps on a
/// developer's machine: the kernel then logs the call and lets it pass. Nothing shipped has it.
fn unlisted() -> SeccompAction {
    if cfg!(feature = "unstable-log-calls") {
        SeccompAction::Log
    } else {
        SeccompAction::KillProcess
    }
}

fn install(program: &BpfProgram) -> Result<(), SeccompError> {
    seccompiler::apply_filter_all_threads(program).map_err(SeccompError::Install)
}

fn compile(table: &Table, otherwise: SeccompAction) -> Result<BpfProgram, SeccompError> {
    // `clone3` passes here because the filter before this one has answered it: of two filters the
    // stricter answer counts.
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = [(libc::SYS_clone3, Vec::new())].into();
    for &(_, number) in table.calls.iter().copied().flatten() {
        rules.insert(number, Vec::new());
    }
    for call in table.bounded {
        let mut any = Vec::new();
        for &value in call.values {
            let width = SeccompCmpArgLen::Dword;
            let condition =
                SeccompCondition::new(call.argument, width, SeccompCmpOp::Eq, u64::from(value))
                    .map_err(SeccompError::Compile)?;
            any.push(SeccompRule::new(vec![condition]).map_err(SeccompError::Compile)?);
        }
        rules.insert(call.number, any);
    }
    build(rules, otherwise, SeccompAction::Allow)
}

fn compile_refused(calls: &[(&str, i64)], errno: i32) -> Result<BpfProgram, SeccompError> {
    let rules = calls
        .iter()
        .map(|&(_, number)| (number, Vec::new()))
        .collect();
    let refused = SeccompAction::Errno(errno.unsigned_abs());
    build(rules, SeccompAction::Allow, refused)
}

fn build(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SeccompError> {
    let architecture =
        TargetArch::try_from(std::env::consts::ARCH).map_err(SeccompError::Compile)?;
    SeccompFilter::new(rules, otherwise, matched, architecture)
        .and_then(TryInto::try_into)
        .map_err(SeccompError::Compile)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_compiles() {
        for table in Table::ALL {
            let program = compile(table, SeccompAction::KillProcess).unwrap();
            assert!(
                program.len() < 4096,
                "{} is over the kernel's limit",
                table.role
            );
        }
    }

    #[test]
    fn no_table_names_a_call_twice() {
        for table in Table::ALL {
            let mut seen = BTreeSet::new();
            let listed = table.calls.iter().copied().flatten().map(|&(name, _)| name);
            for name in listed.chain(table.bounded.iter().map(|call| call.name)) {
                assert!(seen.insert(name), "{} lists {name} twice", table.role);
            }
        }
    }

    #[test]
    fn no_role_may_become_another_or_reach_into_one() {
        let never = [
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "execve",
            "execveat",
            "kill",
            "tkill",
            "setuid",
            "setresuid",
            "bpf",
            "mount",
            "umount2",
            "init_module",
            "kexec_load",
            "userfaultfd",
            "perf_event_open",
            "io_uring_setup",
            "pidfd_getfd",
            "unshare",
            "setns",
            "chroot",
            "pivot_root",
            "keyctl",
            "personality",
            "clone3",
            "io_uring_enter",
        ];
        for table in Table::ALL {
            let listed = table.calls.iter().copied().flatten().map(|&(name, _)| name);
            for name in listed.chain(table.bounded.iter().map(|call| call.name)) {
                assert!(!never.contains(&name), "{} may {name}", table.role);
            }
        }
    }

    #[test]
    fn only_the_reporter_has_the_network() {
        for table in Table::ALL {
            let listed = || table.calls.iter().copied().flatten().map(|&(name, _)| name);
            let connects = listed().any(|name| name == "connect");
            assert_eq!(connects, table.role == "reporter", "{}", table.role);
            let internet = table
                .bounded
                .iter()
                .any(|call| call.name == "socket" && call.values.contains(&2));
            assert_eq!(internet, table.role == "reporter", "{}", table.role);
        }
    }
}
