//! What each role may ask of the kernel: tables as data, compiled with `seccompiler`.
//!
//! A role's table lists what it may call; everything else ends the process at once (`SIGSYS`). The
//! tables are written by call names that `libc` knows for the architecture, so an unknown name does
//! not compile. `clone3` is answered with `ENOSYS` before the table is asked: its arguments lie in
//! memory that a filter cannot see, and the C library then falls back to `clone`.
//!
//! `openat2` hides its flags in memory in the same way: it could open for writing where the table
//! allows reading only. It is answered likewise for every role that may open files but has no need to
//! write them wherever its user may.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

mod tables;

pub use tables::{
    Bound, BoundedCall, Call, DETECTOR, GATE, MARKER, MARKER_WITH_GATE, REPORTER, Table, WATCHER,
};

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
    let refused = compile_refused(table.absent(), libc::ENOSYS)?;
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
    let calls = tables::SOCKET_CALLS.iter().copied();
    #[cfg(target_arch = "x86_64")]
    let calls = calls.chain(tables::x32(tables::SOCKET_CALLS));
    install(&compile_refused(calls, libc::EPERM)?)
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
    // What is absent passes here because the filter before this one has answered it: of two filters
    // the stricter answer counts.
    let absent = table.absent().map(|(_, number)| (number, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = absent.collect();
    for &(_, number) in table.calls.iter().copied().flatten() {
        rules.insert(number, Vec::new());
    }
    for call in table.bounded {
        // One rule for each combination of what its arguments may be.
        let mut combined: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
        for &(argument, bound) in call.bounds {
            let allowed = conditions(argument, bound).map_err(SeccompError::Compile)?;
            combined = (combined.iter())
                .flat_map(|so_far| {
                    let with =
                        |one: &SeccompCondition| [so_far.clone(), vec![one.clone()]].concat();
                    allowed.iter().map(with).collect::<Vec<_>>()
                })
                .collect();
        }
        let any: Result<Vec<_>, _> = combined.into_iter().map(SeccompRule::new).collect();
        rules.insert(call.number, any.map_err(SeccompError::Compile)?);
    }
    build(rules, otherwise, SeccompAction::Allow)
}

/// What one argument may be: each condition is enough.
fn conditions(argument: u8, bound: Bound) -> Result<Vec<SeccompCondition>, BackendError> {
    let is = |operator, value: u32| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            operator,
            u64::from(value),
        )
    };
    match bound {
        Bound::OneOf(values) => values
            .iter()
            .map(|&value| is(SeccompCmpOp::Eq, value))
            .collect(),
        Bound::Without(bits) => Ok(vec![is(SeccompCmpOp::MaskedEq(u64::from(bits)), 0)?]),
        Bound::Myself => Ok(vec![is(SeccompCmpOp::Eq, std::process::id())?]),
    }
}

fn compile_refused(
    calls: impl IntoIterator<Item = Call>,
    errno: i32,
) -> Result<BpfProgram, SeccompError> {
    let calls = calls.into_iter();
    let rules = calls.map(|(_, number)| (number, Vec::new())).collect();
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

    /// Of roles that may not write where their user may, no call that can open says so in memory.
    #[test]
    fn who_may_only_read_has_no_way_to_open_for_writing() {
        for table in Table::ALL {
            let listed = |wanted: &str| {
                let calls = table.calls.iter().copied().flatten();
                calls.into_iter().any(|&(name, _)| name == wanted)
            };
            assert_eq!(listed("openat2"), table.role == "watcher", "{}", table.role);
            let writes = table.role == "watcher" || table.role == "reporter";
            for call in [
                "openat",
                "rename",
                "renameat2",
                "ftruncate",
                "unlinkat",
                "mkdirat",
            ] {
                let unbounded = listed(call);
                assert!(writes || !unbounded, "{} may {call}", table.role);
            }
            for call in [
                "creat",
                "truncate",
                "mknodat",
                "linkat",
                "symlinkat",
                "open_tree",
            ] {
                assert!(!listed(call), "{} may {call}", table.role);
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
                .filter(|call| call.name == "socket")
                .any(|call| matches!(call.bounds, [(0, Bound::OneOf(families))] if families.contains(&2)));
            assert_eq!(internet, table.role == "reporter", "{}", table.role);
        }
    }
}
