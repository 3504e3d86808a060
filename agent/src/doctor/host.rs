//! What this host gives the agent's sensors: kernel, privileges, mounts, processes, pressure.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use akwatch_sys::capability::{self, Capabilities, Capability};
use akwatch_sys::fanotify::{self, Group};
use akwatch_sys::proc_events::ProcEvents;

use super::Context;
use super::checked::Checked;
use crate::config::Config;
use crate::control;
use crate::host::mounts::{Mount, Mounts, SkipWhy, kind_skipped};
use crate::host::{ProcessDirectory, Root};
use crate::output::counted;
use crate::role::Role;
use crate::role::walls::needs_net_admin;
use crate::sense::watch_set::WatchSet;

/// Directories that inotify can watch, below which a host with many homes is not covered.
const FEW_WATCHES: u64 = 65_536;
/// Bytes of a mount table.
const TABLE: u64 = 16 << 20;
/// Names in one line.
const NAMES: usize = 4;

pub(crate) fn checks(context: &Context<'_>) -> Vec<Checked> {
    let mut checks = vec![kernel(), privileges(), file_events(), watches()];
    checks.extend([process_events(), environments(), hidden_processes()]);
    let built_in = Config::built_in();
    let config = context.config.as_ref().unwrap_or(&built_in);
    match Root::live() {
        Ok(root) => checks.extend(mounts(&root, config)),
        Err(why) => {
            let fix = "let this user list the root directory";
            checks.push(Checked::wrong(
                "mounts",
                format!("/ cannot be opened: {why}"),
                fix,
            ));
        }
    }
    if context.status.is_ok() {
        checks.push(seen_mounts(control::watcher(&context.paths.runtime)));
    }
    checks.push(pressure());
    checks
}

fn line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn kernel() -> Checked {
    let release = line("/proc/sys/kernel/osrelease");
    let system = crate::facts::read(Path::new("/"), BTreeMap::new(), false).os;
    let found = format!("Linux {release}, {}, {system}", std::env::consts::ARCH);
    Checked::good("kernel", found)
}

fn privileges() -> Checked {
    const CHECK: &str = "privileges";
    let net_admin = needs_net_admin();
    let wanted = Capabilities(
        Role::ALL
            .iter()
            .fold(0, |bits, role| bits | role.capabilities(net_admin).0),
    );
    let held = capability::effective().unwrap_or(Capabilities::NONE);
    let missing: Vec<&str> = Capability::ALL
        .into_iter()
        .filter(|capability| wanted.holds(*capability) && !held.holds(*capability))
        .map(name)
        .collect();
    if missing.is_empty() {
        let found = "everything that the roles need can be given to them";
        return Checked::good(CHECK, found);
    }
    let found = format!("this process has no {}", missing.join(", "));
    let fix = if nix::unistd::geteuid().is_root() {
        "this is a container, or a unit that is bounded: give it these, or run the agent on the host"
    } else {
        "run this as root, to see what the agent's units are given"
    };
    Checked::less(CHECK, found, fix)
}

fn name(capability: Capability) -> &'static str {
    match capability {
        Capability::DacReadSearch => "CAP_DAC_READ_SEARCH",
        Capability::SetGid => "CAP_SETGID",
        Capability::SetUid => "CAP_SETUID",
        Capability::NetAdmin => "CAP_NET_ADMIN",
        Capability::SysPtrace => "CAP_SYS_PTRACE",
        Capability::SysAdmin => "CAP_SYS_ADMIN",
    }
}

fn file_events() -> Checked {
    const CHECK: &str = "file events";
    let tried = Group::new().and_then(|group| {
        let root = fanotify::open_directory(Path::new("/"))?;
        group.mark_filesystem(root.as_fd())
    });
    match tried {
        Ok(()) => Checked::good(CHECK, "whole filesystems, by fanotify"),
        Err(why) => Checked::less(
            CHECK,
            format!("no fanotify on / ({why}): directories are watched one by one, by inotify"),
            "it takes Linux 5.9, CAP_SYS_ADMIN for the marker, and a root that is no overlay",
        ),
    }
}

fn watches() -> Checked {
    let path = "/proc/sys/fs/inotify/max_user_watches";
    let fix = "`sysctl fs.inotify.max_user_watches=524288`, and the same in /etc/sysctl.d";
    match line(path).parse::<u64>() {
        Ok(few) if few < FEW_WATCHES => {
            Checked::less("inotify", format!("{few} directories at most"), fix)
        }
        Ok(many) => Checked::good("inotify", format!("{many} directories at most")),
        Err(_) => Checked::less("inotify", format!("{path} cannot be read"), "mount /proc"),
    }
}

fn process_events() -> Checked {
    match ProcEvents::subscribe() {
        Ok(_) => Checked::good("process events", "each exec is told by the kernel"),
        Err(why) => Checked::less(
            "process events",
            format!("none ({why}): processes are found by sweeps, short-lived ones are missed"),
            "it takes the host's own network namespace, and CAP_NET_ADMIN before Linux 6.6",
        ),
    }
}

fn environments() -> Checked {
    // One is enough: the first process of a container may belong to a host that shows it to nobody.
    let own = nix::unistd::geteuid().as_raw();
    let of_others =
        |pid: &i32| std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() != own);
    let read = Root::live().ok().and_then(|root| {
        let pids = ProcessDirectory::pids(&root).ok()?;
        let all: Vec<i32> = pids.into_iter().filter(of_others).collect();
        let open = |pid: &i32| {
            let process = ProcessDirectory::open(&root, *pid).ok()?;
            process.memory_file("environ").ok()
        };
        Some((all.is_empty(), all.iter().any(|pid| open(pid).is_some())))
    });
    let fix = "it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: run this as root, and the agent by \
               its units";
    match read {
        Some((_, true)) => Checked::good("environments", "those of other users can be read"),
        Some((true, false)) => {
            Checked::untried("environments", "no other user runs a process here", "")
        }
        _ => Checked::less("environments", "those of other users cannot be read", fix),
    }
}

/// The word of `hidepid=` in a mount table, where it hides anything.
fn hidepid(table: &str) -> Option<&str> {
    let proc = table
        .lines()
        .find(|line| line.contains(" /proc ") && line.contains(" - proc "))?;
    let (_, word) = proc.split_once("hidepid=")?;
    let word = word.split([',', ' ']).next()?;
    (!matches!(word, "0" | "off")).then_some(word)
}

fn hidden_processes() -> Checked {
    const CHECK: &str = "hidepid";
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(word) = hidepid(&table) else {
        return Checked::good(CHECK, "/proc shows every process");
    };
    let held = capability::effective().unwrap_or(Capabilities::NONE);
    if held.holds(Capability::SysPtrace) {
        let found =
            format!("/proc has hidepid={word}, from which CAP_SYS_PTRACE exempts the agent");
        return Checked::good(CHECK, found);
    }
    let found =
        format!("/proc has hidepid={word}: processes of other users are hidden from this one");
    let fix = "start the agent by its units, whose CAP_SYS_PTRACE is exempt; or mount /proc with gid= \
               of its group";
    Checked::less(CHECK, found, fix)
}

/// What of the watch set lies on filesystems that are not read, or that cannot be marked.
fn mounts(root: &Root, config: &Config) -> Vec<Checked> {
    const CHECK: &str = "mounts";
    let homes: Vec<PathBuf> = root
        .accounts()
        .homes()
        .iter()
        .map(|home| home.path.clone())
        .collect();
    let set = match WatchSet::new(config, &homes, Vec::new()) {
        Ok(set) => set,
        Err(why) => {
            return vec![Checked::wrong(
                CHECK,
                why.to_string(),
                "correct the pattern",
            )];
        }
    };
    let mounts = root.mounts_again();
    let (mut skipped, mut inside) = (Vec::new(), BTreeMap::new());
    for tree in set.scan_roots() {
        // Asked before anything on that filesystem is touched: it may hang.
        let Some(mount) = mounts.around(&tree) else {
            continue;
        };
        match set.skips_root(&tree, &mounts) {
            Some(SkipWhy::Pseudo) | None => {
                inside.insert(mount.device.clone(), mount.clone());
            }
            Some(_) => skipped.push(format!(
                "{} ({})",
                tree.display(),
                String::from_utf8_lossy(&mount.kind)
            )),
        }
    }
    for mount in mounts.all() {
        let below = set.enters(&mount.point) == crate::sense::watch_set::Covered::Yes;
        if below && mounts.skipped(&mount.point).is_none() {
            inside.insert(mount.device.clone(), mount.clone());
        }
    }
    // Nor what lies below one that may, whatever it is itself: the marker leaves it out too.
    inside.retain(|_, mount| mounts.that_may_hang(&mount.point).next().is_none());
    let mut checks = vec![not_read(&skipped)];
    checks.extend(unmarked(inside.into_values().collect()));
    checks
}

fn not_read(skipped: &[String]) -> Checked {
    if skipped.is_empty() {
        return Checked::good(
            "mounts",
            "every tree of the watch set lies on a local filesystem",
        );
    }
    let count = counted(skipped.len() as u64, "tree", "trees");
    let found = format!(
        "{count} of the watch set not read, on filesystems of other hosts or programs: {}",
        some(skipped)
    );
    let fix = "let an agent on the server read them; or name them in `watch.include`, and they are \
               read here whatever they lie on";
    Checked::less("mounts", found, fix)
}

/// The local filesystems of the watch set that the kernel does not let anybody mark as a whole.
fn unmarked(filesystems: Vec<Mount>) -> Option<Checked> {
    const CHECK: &str = "marks";
    let held = capability::effective().unwrap_or(Capabilities::NONE);
    if !held.holds(Capability::SysAdmin) {
        return None; // nothing at all can be marked from here, which is said above
    }
    let group = Group::new().ok()?;
    let count = counted(
        filesystems.len() as u64,
        "local filesystem",
        "local filesystems",
    );
    let refused: Vec<String> = filesystems
        .into_iter()
        .filter(|mount| {
            let opened = fanotify::open_directory(&mount.point);
            opened
                .and_then(|at| group.mark_filesystem(at.as_fd()))
                .is_err()
        })
        .map(|mount| {
            format!(
                "{} ({})",
                mount.point.display(),
                String::from_utf8_lossy(&mount.kind)
            )
        })
        .collect();
    if refused.is_empty() {
        return Some(Checked::good(
            CHECK,
            format!("{count} of the watch set can be marked as a whole"),
        ));
    }
    let found = format!(
        "{} of {count} cannot be marked, and {} watched directory by directory: {}",
        refused.len(),
        if refused.len() == 1 { "is" } else { "are" },
        some(&refused)
    );
    let fix = "of btrfs mount the top level somewhere as well; of an overlay nothing helps, and its \
               layers are marked where they lie";
    Some(Checked::less(CHECK, found, fix))
}

/// The first names of a list, and how many more there are.
fn some(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether the running watcher sees the filesystems that the host's first process sees.
fn seen_mounts(watcher: Option<i32>) -> Checked {
    const CHECK: &str = "mounts it sees";
    let read = |pid: i32| {
        use std::io::Read as _;
        let mut text = Vec::new();
        let file = std::fs::File::open(format!("/proc/{pid}/mountinfo")).ok()?;
        file.take(TABLE).read_to_end(&mut text).ok()?;
        Some(text)
    };
    let tables = watcher.and_then(|pid| Some((read(1)?, read(pid)?)));
    let Some((host, agent)) = tables else {
        return Checked::untried(
            CHECK,
            "the agent's mounts cannot be read",
            "run this as root",
        );
    };
    let unseen = unseen(&Mounts::parse(&host), &Mounts::parse(&agent));
    if unseen.is_empty() {
        return Checked::good(CHECK, "the running agent sees what the host has mounted");
    }
    let found = format!("the running agent does not see {}", some(&unseen));
    let fix = "`systemctl restart akwatch-agent`; if it stays, an option of its unit hides them \
               (`systemctl cat akwatch-agent`)";
    Checked::wrong(CHECK, found, fix)
}

/// The mount points of the host that another table lacks, or has covered by something else.
fn unseen(host: &Mounts, agent: &Mounts) -> Vec<String> {
    // What systemd makes for each unit, and devices that it takes away, hold nothing to be read.
    let ours = |mount: &&Mount| {
        let apart = ["/dev", "/proc", "/sys", "/run/credentials", "/run/systemd"];
        kind_skipped(&mount.kind) != Some(SkipWhy::Pseudo)
            && !apart.iter().any(|apart| mount.point.starts_with(apart))
    };
    let last = |mounts: &Mounts, point: &Path| {
        let on = mounts.all().iter().rfind(|mount| mount.point == point);
        on.map(|mount| (mount.device.clone(), mount.root.clone()))
    };
    let points = host.all().iter().filter(ours).map(|mount| &mount.point);
    let mut missing: Vec<String> = points
        .filter(|point| last(host, point) != last(agent, point))
        .map(|point| point.display().to_string())
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

fn pressure() -> Checked {
    match std::fs::read("/proc/pressure/cpu") {
        Ok(_) => Checked::good("pressure", "the kernel tells the host's load"),
        Err(_) => Checked::less(
            "pressure",
            "no /proc/pressure: the host is judged by its load and its free memory",
            "boot with psi=1",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &[u8] = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:4 / /proc rw - proc proc rw\n\
                          3 1 8:2 / /data rw - xfs /dev/b rw\n4 1 0:5 / /dev rw - devtmpfs d rw\n";

    #[test]
    fn a_covered_or_missing_filesystem_is_noticed_and_a_units_own_mounts_are_not() {
        let host = Mounts::parse(HOST);
        let unit = b"1 0 8:1 / / rw - ext4 /dev/a rw\n3 1 8:2 / /data rw - xfs /dev/b rw\n\
                     9 1 8:1 / / ro - ext4 /dev/a rw\n5 1 0:9 / /dev rw - tmpfs t rw\n";
        assert!(unseen(&host, &Mounts::parse(unit)).is_empty());
        let covered = b"1 0 8:1 / / rw - ext4 /dev/a rw\n3 1 8:2 / /data rw - xfs /dev/b rw\n\
                        7 3 0:9 / /data rw - tmpfs t rw\n";
        assert_eq!(unseen(&host, &Mounts::parse(covered)), ["/data"]);
        let missing = b"1 0 8:1 / / rw - ext4 /dev/a rw\n";
        assert_eq!(unseen(&host, &Mounts::parse(missing)), ["/data"]);
    }

    #[test]
    fn hidepid_is_read_by_number_and_by_word() {
        let table = |options: &str| format!("2 1 0:4 / /proc rw,nosuid - proc proc {options}\n");
        assert_eq!(hidepid(&table("rw,hidepid=2,gid=4")), Some("2"));
        assert_eq!(hidepid(&table("rw,hidepid=invisible")), Some("invisible"));
        assert_eq!(hidepid(&table("rw,hidepid=off")), None);
        assert_eq!(hidepid(&table("rw")), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (1..=6).map(|number| number.to_string()).collect();
        assert_eq!(some(&names), "1, 2, 3, 4 and 2 more");
        assert_eq!(some(&names[..1]), "1");
    }
}
