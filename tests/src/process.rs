//! Looks at running processes from outside, as an auditor would: through /proc alone.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context, Result, bail};
use nix::unistd::Pid;

/// The process of the agent under `supervisor` that plays `role`.
///
/// # Errors
/// When there is none.
pub fn role(supervisor: Pid, role: &str) -> Result<i32> {
    let own = descendants(supervisor.as_raw());
    own.iter()
        .copied()
        .find(|pid| {
            let words = cmdline(*pid);
            words
                .windows(2)
                .any(|pair| pair[0] == "role" && pair[1] == role)
        })
        .with_context(|| {
            let lines: Vec<String> = own.iter().map(|pid| cmdline(*pid).join(" ")).collect();
            format!("no process plays the {role}; there are: {lines:?}")
        })
}

/// A process and all that it started, directly or not.
#[must_use]
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
    }
    all
}

/// The words of a process's command line.
#[must_use]
pub fn cmdline(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// One field of `/proc/PID/status`.
///
/// # Errors
/// When the process has ended or the field does not exist.
pub fn status(pid: i32, field: &str) -> Result<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .with_context(|| format!("no {field} in the status of {pid}"))
}

/// The four user ids of a process: real, effective, saved, file system.
///
/// # Errors
/// When it has ended.
pub fn uids(pid: i32) -> Result<Vec<u32>> {
    status(pid, "Uid")?
        .split_whitespace()
        .map(|id| Ok(id.parse()?))
        .collect()
}

/// The effective capabilities of a process.
///
/// # Errors
/// When it has ended.
pub fn capabilities(pid: i32) -> Result<u64> {
    Ok(u64::from_str_radix(&status(pid, "CapEff")?, 16)?)
}

/// Whether a process that is not root's can be dumped or traced by its own user: the files of an
/// undumpable one belong to root.
///
/// # Errors
/// When it has ended, or is root's, where the owner says nothing.
pub fn dumpable(pid: i32) -> Result<bool> {
    if uids(pid)?.first() == Some(&0) {
        bail!("process {pid} is root's");
    }
    Ok(std::fs::metadata(format!("/proc/{pid}/environ"))?.uid() != 0)
}

/// Every readable and writable mapping of a process; for root.
///
/// # Errors
/// When it has ended, or this process may not read it.
pub fn memory(pid: i32) -> Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let file = std::fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut memory = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().unwrap_or_default();
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let (start, end) = (
            u64::from_str_radix(start, 16)?,
            u64::from_str_radix(end, 16)?,
        );
        let mut at = start;
        let mut piece = vec![0; 1 << 20];
        while at < end {
            let want = usize::try_from((end - at).min(1 << 20))?;
            match file.read_at(&mut piece[..want], at) {
                Ok(count) if count > 0 => {
                    memory.extend_from_slice(&piece[..count]);
                    at += count as u64;
                }
                _ => break,
            }
        }
    }
    Ok(memory)
}

/// The internet sockets that a process holds, by their inodes.
///
/// # Errors
/// When its descriptors cannot be read.
pub fn internet_sockets(pid: i32) -> Result<Vec<u64>> {
    let mut internet = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        internet.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| line.split_whitespace().nth(9)?.parse::<u64>().ok()),
        );
    }
    let mut held = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = std::fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.to_string_lossy();
        let inode = target
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(inode) = inode.and_then(|inode| inode.parse().ok())
            && internet.contains(&inode)
        {
            held.push(inode);
        }
    }
    Ok(held)
}
