//! `doctor`: what on this host would keep the agent from working, or from seeing everything.
//!
//! Each thing is tried, never inferred from a version, and nothing is changed or left behind. It does
//! not speak to the collector: whether that answers is the reporter's to say, in `status`.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use akwatch_proto::text::escape;
use akwatch_sys::fanotify::{self, Group};
use akwatch_sys::proc_events::ProcEvents;
use anyhow::Context;

use crate::cli::{DoctorArgs, Paths};
use crate::config::Config;
use crate::host::{ProcessDirectory, Root};
use crate::role::IDENTITY_DIRECTORY;
use crate::role::users::Users;
use crate::{control, identity};

/// Directories that inotify can watch, below which a host with many homes is not covered.
const FEW_WATCHES: u64 = 65_536;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    /// The agent works with less; what it lacks is shown in its coverage.
    Less,
    /// The agent does not work.
    Wrong,
}

struct Checked {
    what: &'static str,
    standing: Standing,
    /// What was found, and what to do.
    says: String,
}

/// Checks this host. Exit 0 when the agent can work, 1 when it cannot.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let all = check(&args.paths);
    let mut text = String::new();
    for one in &all {
        let standing = match one.standing {
            Standing::Good => "good ",
            Standing::Less => "less ",
            Standing::Wrong => "WRONG",
        };
        text.push_str(&format!(
            "{standing}  {:<14}  {}\n",
            one.what,
            escape(one.says.as_bytes())
        ));
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")?;
    let wrong = all.iter().any(|one| one.standing == Standing::Wrong);
    Ok(ExitCode::from(u8::from(wrong)))
}

fn check(paths: &Paths) -> Vec<Checked> {
    let config = Config::load(&paths.config);
    vec![
        configuration(&config),
        enrollment(&paths.state),
        users(config.as_ref().ok()),
        running(&paths.runtime),
        file_events(),
        watches(),
        process_events(),
        environments(),
        pressure(),
    ]
}

fn told(what: &'static str, standing: Standing, says: impl Into<String>) -> Checked {
    Checked {
        what,
        standing,
        says: says.into(),
    }
}

fn configuration(config: &Result<Config, crate::config::ConfigError>) -> Checked {
    match config {
        Ok(config) => {
            let count = config.collector.urls.len();
            told(
                "configuration",
                Standing::Good,
                format!(
                    "read; {count} collector{}",
                    if count == 1 { "" } else { "s" }
                ),
            )
        }
        Err(why) => told("configuration", Standing::Wrong, why.to_string()),
    }
}

fn enrollment(state: &Path) -> Checked {
    match identity::record(&state.join(IDENTITY_DIRECTORY)) {
        Ok(record) => told(
            "enrollment",
            Standing::Good,
            format!("this is host {}", record.host),
        ),
        Err(why) => told("enrollment", Standing::Wrong, why.to_string()),
    }
}

fn users(config: Option<&Config>) -> Checked {
    if !nix::unistd::geteuid().is_root() {
        let says = "not root: all roles would share this user, and only its own files and processes \
                    are seen; start the agent by its systemd units or as root";
        return told("users", Standing::Less, says);
    }
    match config.map(Users::for_root) {
        Some(Ok(users)) if users.are_shared() => told(
            "users",
            Standing::Less,
            "two roles share a user; name four in [roles]",
        ),
        Some(Ok(_)) => told("users", Standing::Good, "each role has its own"),
        Some(Err(why)) => told("users", Standing::Wrong, why.to_string()),
        None => told("users", Standing::Less, "not known without a configuration"),
    }
}

fn running(runtime: &Path) -> Checked {
    match control::status(runtime) {
        Ok(status) => match status.roles.iter().find(|role| !role.up) {
            None => told("agent", Standing::Good, "running, every role up"),
            Some(down) => told(
                "agent",
                Standing::Less,
                format!("running without its {}", down.role),
            ),
        },
        Err(why) => told("agent", Standing::Less, why.to_string()),
    }
}

fn file_events() -> Checked {
    let tried = Group::new().and_then(|group| {
        let root = fanotify::open_directory(Path::new("/"))?;
        group.mark_filesystem(std::os::fd::AsFd::as_fd(&root))
    });
    match tried {
        Ok(()) => told(
            "file events",
            Standing::Good,
            "whole filesystems, by fanotify",
        ),
        Err(why) => told(
            "file events",
            Standing::Less,
            format!("no fanotify on / ({why}): directories are watched one by one, by inotify"),
        ),
    }
}

fn watches() -> Checked {
    let path = "/proc/sys/fs/inotify/max_user_watches";
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match text.trim().parse::<u64>() {
        Ok(few) if few < FEW_WATCHES => told(
            "inotify",
            Standing::Less,
            format!("{few} directories at most; raise fs.inotify.max_user_watches"),
        ),
        Ok(many) => told(
            "inotify",
            Standing::Good,
            format!("{many} directories at most"),
        ),
        Err(_) => told("inotify", Standing::Less, format!("{path} cannot be read")),
    }
}

fn process_events() -> Checked {
    match ProcEvents::subscribe() {
        Ok(_) => told(
            "process events",
            Standing::Good,
            "each exec is told by the kernel",
        ),
        Err(why) => told(
            "process events",
            Standing::Less,
            format!("none ({why}): processes are found by sweeps, short-lived ones are missed"),
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
        pids.into_iter().filter(of_others).find_map(|pid| {
            ProcessDirectory::open(&root, pid)
                .ok()?
                .file("environ")
                .ok()
        })
    });
    match read {
        Some(_) => told(
            "environments",
            Standing::Good,
            "those of other users can be read",
        ),
        None => told(
            "environments",
            Standing::Less,
            "those of other users cannot be read; it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        ),
    }
}

fn pressure() -> Checked {
    match std::fs::read("/proc/pressure/cpu") {
        Ok(_) => told(
            "pressure",
            Standing::Good,
            "the kernel tells the host's load",
        ),
        Err(_) => told(
            "pressure",
            Standing::Less,
            "no /proc/pressure: scans are slowed by the agent's own use alone; boot with psi=1",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_host_is_told_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            config: dir.path().join("agent.toml"),
            state: dir.path().join("state"),
            runtime: dir.path().join("run"),
        };
        let all = check(&paths);
        let of = |what: &str| all.iter().find(|one| one.what == what).unwrap();
        assert_eq!(of("configuration").standing, Standing::Wrong);
        assert!(of("configuration").says.contains("agent.toml"));
        assert_eq!(of("enrollment").standing, Standing::Wrong);
        assert_eq!(of("agent").standing, Standing::Less);
        std::fs::write(&paths.config, "[collector]\nurls = [\"https://a:1\"]\n").unwrap();
        let all = check(&paths);
        assert_eq!(all[0].standing, Standing::Good);
    }
}
