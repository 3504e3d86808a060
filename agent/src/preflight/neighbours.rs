//! Other programs that watch this host: who will see the agent at work, and what to tell them.
//!
//! Known by the names of their processes. None of them is asked anything or changed.

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::doctor::checked::Checked;
use crate::host::{ProcessDirectory, Root};

/// A program that sees what the agent does.
struct Neighbour {
    /// Names of its processes, as the kernel cuts them (15 bytes).
    processes: &'static [&'static str],
    name: &'static str,
    sees: &'static str,
    tell: &'static str,
}

const NEIGHBOURS: &[Neighbour] = &[
    Neighbour {
        processes: &["auditd"],
        name: "auditd",
        sees: "a rule that logs reads of files logs each one of a scan",
        tell: "put `-a never,exit -F exe=/usr/bin/akwatch-agent` before such rules",
    },
    Neighbour {
        processes: &["fapolicyd"],
        name: "fapolicyd",
        sees: "it may refuse to run a program that it does not trust, and decides on each file that is \
               opened",
        tell: "`fapolicyd-cli --file add /usr/bin/akwatch-agent`, then `fapolicyd-cli --update`",
    },
    Neighbour {
        processes: &["clamonacc", "clamd"],
        name: "ClamAV",
        sees: "on-access scanning reads again what the agent reads",
        tell: "`OnAccessExcludeUname akwatch-agent` in clamd.conf",
    },
    Neighbour {
        processes: &["falco", "tetragon", "sysdig", "tracee"],
        name: "Falco, Tetragon or kin",
        sees: "rules on reads of sensitive files and of /proc/PID/environ fire",
        tell: "except the executable /usr/bin/akwatch-agent in those rules",
    },
    Neighbour {
        processes: &[
            "wazuh-agentd",
            "ossec-agentd",
            "osqueryd",
            "elastic-agent",
            "auditbeat",
        ],
        name: "a host monitor (Wazuh, osquery, Elastic)",
        sees: "it reports the agent's process, its sockets and its state directory",
        tell: "leave /var/lib/akwatch-agent out of file integrity monitoring",
    },
    Neighbour {
        processes: &[
            "falcon-sensor",
            "falcond",
            "wdavdaemon",
            "s1-agent",
            "sentinelone-age",
            "cbagentd",
            "cbdaemon",
            "ds_agent",
            "xagt",
            "pmd",
            "traps_pmd",
            "sophos-spl",
            "sav-protect",
            "bdsecd",
            "eraagent",
            "oaeventd",
        ],
        name: "an EDR",
        sees: "a program that reads credentials, histories and environments of all users looks like a \
               thief to it",
        tell: "allow /usr/bin/akwatch-agent by its path and the package's checksum before the first \
               scan, and have its own reads of the files excluded from on-access scanning",
    },
    Neighbour {
        processes: &[
            "AliYunDun",
            "AliYunDunMonito",
            "YDService",
            "YDLive",
            "hostguard",
            "hostwatch",
        ],
        name: "a cloud's host agent",
        sees: "it may alert on the reading of credentials and on the binary being new",
        tell: "add /usr/bin/akwatch-agent to its list of trusted programs in the cloud's console",
    },
];

pub(super) fn checks(root: &Root) -> Vec<Checked> {
    let running = match running(root) {
        Ok(running) => running,
        Err(errno) => {
            let says = format!(
                "what else watches this host is not known: /proc cannot be listed: {errno}"
            );
            return vec![Checked::less(
                "neighbours",
                says,
                "mount /proc, and look again",
            )];
        }
    };
    let found: Vec<Checked> = NEIGHBOURS
        .iter()
        .filter_map(|neighbour| {
            let seen = neighbour
                .processes
                .iter()
                .find(|name| running.contains(**name))?;
            let says = format!("{} runs ({seen}): {}", neighbour.name, neighbour.sees);
            Some(Checked::less("neighbours", says, neighbour.tell))
        })
        .collect();
    if found.is_empty() {
        return vec![Checked::good(
            "neighbours",
            "no auditd, fapolicyd, antivirus, EDR or host monitor that is known by name runs here",
        )];
    }
    found
}

/// The names of all processes.
fn running(root: &Root) -> Result<BTreeSet<String>, Errno> {
    let pids = ProcessDirectory::pids(root)?;
    let name = |pid: i32| {
        let comm = ProcessDirectory::open(root, pid).ok()?.read("comm").ok()?;
        Some(String::from_utf8_lossy(&comm).trim_end().to_owned())
    };
    Ok(pids.into_iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_longer_than_the_kernel_keeps() {
        for name in NEIGHBOURS.iter().flat_map(|one| one.processes) {
            assert!(name.len() <= 15, "{name} would never be seen");
        }
    }

    #[test]
    fn a_neighbour_is_known_by_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let fake = directory.path().join("fapolicyd");
        // No copy: what this process writes to, children that other tests are just starting hold open, and
        // then nobody may execute it.
        std::os::unix::fs::symlink("/bin/sleep", &fake).unwrap();
        let mut child = std::process::Command::new(&fake)
            .arg("600")
            .spawn()
            .unwrap();
        // Whoever starts a program goes on a moment before the process has its name.
        let comm = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&comm).unwrap() != "fapolicyd\n" {
            std::thread::yield_now();
        }
        let found = checks(&Root::live().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        let said = found.iter().any(|one| {
            let fix = one.fix.as_deref().unwrap_or_default();
            one.found.starts_with("fapolicyd runs") && fix.contains("--file add")
        });
        assert!(said, "{found:?}");
    }
}
