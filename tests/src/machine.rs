//! A Debian with a real systemd, booted in a container, and driven from outside.
//!
//! The tree is made once below `target/` by debootstrap; each machine is a copy of it. It shares this
//! machine's network, so that a collector on loopback is reached, and has the capabilities and system
//! calls that the sensors need. It is ended when dropped, and then says how it stood: of a test that passes,
//! nothing of that is shown.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::control_group::ControlGroup;
use crate::{process, program, wait};

/// What the container may do beyond the usual: the sensors' and the sandbox's system calls.
pub const SYSTEM_CALLS: &str = "fanotify_init fanotify_mark open_by_handle_at name_to_handle_at landlock_create_ruleset \
     landlock_add_rule landlock_restrict_self";

/// What a process enters to be on the machine; the network is this machine's own.
const ALL_NAMESPACES: [&str; 7] = ["--mount", "--uts", "--ipc", "--pid", "--root", "--wd", "--"];

/// How long a machine may take to boot: two seconds on an idle one, a minute and a half where twenty
/// others want its processors.
const BOOT: Duration = Duration::from_secs(240);

/// Whether machines can be booted here; says on standard error why not.
#[must_use]
pub fn are_possible() -> bool {
    let why = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if !Path::new("/usr/bin/systemd-nspawn").exists() {
        "systemd-nspawn is not installed; `cargo xtask test` installs it"
    } else if !Path::new("/usr/sbin/debootstrap").exists() {
        "debootstrap is not installed; `cargo xtask test` installs it"
    } else {
        return true;
    };
    // Not by a macro: what a passing test prints is not shown.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no machine can be booted: {why}"
    );
    false
}

/// What the tree has beyond the minimum: a real systemd, and what Ansible needs on a host.
const INCLUDED: &str = "systemd,systemd-sysv,dbus,procps,python3,python3-apt";

/// A minimal Debian tree, made once.
///
/// # Errors
/// When debootstrap fails.
pub fn base() -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let target = program::path("akwatch-agent")?;
    let target = target.parent().and_then(Path::parent);
    let place = target.context("a target directory")?.join("nspawn");
    let tree = place.join("bookworm");
    let complete = place.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|included| included == INCLUDED) {
        return Ok(tree);
    }
    std::fs::create_dir_all(&place)?;
    if tree.exists() {
        std::fs::remove_dir_all(&tree)?; // of a run that did not get through
    }
    succeed(
        Command::new("debootstrap")
            .args(["--variant=minbase", "--include", INCLUDED, "bookworm"])
            .arg(&tree),
    )?;
    std::fs::write(complete, INCLUDED)?;
    Ok(tree)
}

/// Puts programs, units and a configuration for loopback where packages would.
///
/// # Errors
/// When one is not there.
pub fn place(root: &Path) -> Result<()> {
    for name in ["akwatch-agent", "akwatch-server", "akwatch"] {
        // Without what only a debugger reads: most of its bytes.
        let to = root.join("usr/bin").join(name);
        succeed(
            Command::new("strip")
                .arg("-o")
                .arg(to)
                .arg(program::path(name)?),
        )?;
    }
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for entry in std::fs::read_dir(&units)? {
        let path = entry?.path();
        let Some(name) = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        let target = match path.extension().and_then(|ending| ending.to_str()) {
            Some("service" | "slice" | "socket" | "target") => "usr/lib/systemd/system",
            Some("conf") if name.contains("sysusers") => "usr/lib/sysusers.d",
            Some("conf") => "usr/lib/tmpfiles.d",
            _ => continue,
        };
        std::fs::create_dir_all(root.join(target))?;
        std::fs::copy(&path, root.join(target).join(name))?;
    }
    std::fs::create_dir_all(root.join("etc/akwatch"))?;
    std::fs::write(
        root.join("etc/akwatch/server.toml"),
        "[listen]\nagents = \"127.0.0.1:7443\"\npeople = \"127.0.0.1:8443\"\n",
    )?;
    std::fs::write(
        root.join("etc/akwatch/agent.toml"),
        "[collector]\nurls = [\"https://127.0.0.1:7443\"]\n",
    )?;
    Ok(())
}

/// Runs a command to its end and gives its standard output.
///
/// # Errors
/// When it cannot be started or fails, with what it said.
pub fn succeed(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    told(
        command,
        &output.with_context(|| format!("starting {command:?}"))?,
    )
}

fn told(command: &Command, output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}:\n{text}{error}", output.status);
    }
    Ok(text)
}

/// A copy of a tree that no machine runs on.
#[derive(Debug)]
pub struct Tree {
    directory: TempDir,
}

impl Tree {
    /// A copy of `of`, named so that a machine on it is told from others.
    ///
    /// # Errors
    /// When there is no room.
    pub fn copy(of: &Path, host_name: &str) -> Result<Tree> {
        let directory = tempfile::Builder::new()
            .prefix("akwatch-nspawn.")
            .tempdir()?;
        let tree = Tree { directory };
        succeed(
            Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(of)
                .arg(tree.root()),
        )?;
        tree.write("/etc/hostname", &format!("{host_name}\n"))?;
        Ok(tree)
    }

    /// What the machine is called on this computer: as nothing else is.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.directory.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Where the machine's root directory lies.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// What the machine calls `path`.
    #[must_use]
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Writes a file of the machine, and the directories above it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let file = self.inside(path);
        std::fs::create_dir_all(file.parent().context("a directory")?)?;
        std::fs::write(&file, text).with_context(|| format!("writing {path}"))
    }
}

/// A booted machine.
#[derive(Debug)]
pub struct Machine {
    tree: Tree,
    container: Child,
    /// All of it runs there; made anew for each boot.
    group: Option<ControlGroup>,
    /// Its first process, by our numbers.
    init: i32,
    network: Network,
}

/// Which network a machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// This computer's: a collector on loopback is reached, and the kernel tells of programs.
    Ours,
    /// Loopback of its own, so that ports are free that people are told of.
    Own,
    /// That of another machine, by its first process.
    Of(i32),
}

impl Machine {
    /// Boots a machine and waits until its services are up.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn boot(tree: Tree) -> Result<Machine> {
        Machine::boot_in(tree, Network::Ours).await
    }

    /// As [`boot`](Machine::boot), on this network.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn boot_in(tree: Tree, network: Network) -> Result<Machine> {
        let group = ControlGroup::make(&tree.name())?;
        let container = start(&tree, &network, &group)?;
        let mut machine = Machine {
            tree,
            container,
            group: Some(group),
            init: 0,
            network,
        };
        machine.wait_until_up().await?;
        Ok(machine)
    }

    /// This machine's network, for another one.
    #[must_use]
    pub fn network(&self) -> Network {
        match self.network {
            Network::Ours => Network::Ours,
            _ => Network::Of(self.init),
        }
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let begun = wait::within(BOOT, "a machine to boot", async || {
            if let Some(status) = self.container.try_wait()? {
                bail!("the container ended ({status}):\n{}", self.console());
            }
            let Some(init) = self.first_process() else {
                return Ok(None);
            };
            self.init = init;
            let up = self.run("systemctl is-active --quiet multi-user.target");
            Ok(up.is_ok().then_some(()))
        });
        begun.await
    }

    /// The process that is the first one of a namespace below ours.
    fn first_process(&self) -> Option<i32> {
        let container = i32::try_from(self.container.id()).ok()?;
        process::descendants(container).into_iter().find(|pid| {
            process::status(*pid, "NSpid").is_ok_and(|numbers| {
                let numbers: Vec<&str> = numbers.split_whitespace().collect();
                numbers.len() > 1 && numbers.last() == Some(&"1")
            })
        })
    }

    /// Writes a program that takes the arguments of `ssh` and runs the command in them on this machine,
    /// for a tool that knows no other way to a host.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn door(&self) -> Result<PathBuf> {
        let path = self.tree.directory.path().join("ssh");
        let text = format!(
            "#!/bin/sh\nfor command; do :; done\nexec nsenter --target {} {} \
             /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /bin/sh -c \"$command\"\n",
            self.init,
            ALL_NAMESPACES.join(" ")
        );
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(path)
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string()]);
        if self.network != Network::Ours {
            command.arg("--net");
        }
        command
            .args(ALL_NAMESPACES)
            .args([
                "/usr/bin/env",
                "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL=C",
            ])
            .args([
                "HOME=/root",
                "DEBIAN_FRONTEND=noninteractive",
                "/bin/sh",
                "-ec",
                script,
            ]);
        command
    }

    /// Runs a shell script on the machine, as root, and gives what it wrote.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run(&self, script: &str) -> Result<String> {
        succeed(&mut self.command(script))
    }

    /// The same, with `input` on its standard input.
    ///
    /// # Errors
    /// As [`run`](Machine::run).
    pub fn run_with(&self, script: &str, input: &str) -> Result<String> {
        let mut command = self.command(script);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("its standard input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        told(&command, &child.wait_with_output()?)
    }

    /// Waits until a script succeeds.
    ///
    /// # Errors
    /// When it never does: with what it said last, and the end of the journal.
    pub async fn until(&self, script: &str) -> Result<()> {
        let waited = wait::until(script, async || Ok(self.run(script).ok().map(drop))).await;
        waited.with_context(|| {
            let last = self.run(script).err();
            format!("{last:?}\n{}", self.journal())
        })
    }

    /// The end of what the agent wrote to the journal.
    #[must_use]
    pub fn journal(&self) -> String {
        self.run("journalctl --quiet --no-pager --lines=60 --unit='akwatch-*' || true")
            .unwrap_or_default()
    }

    /// What it wrote to its console.
    fn console(&self) -> String {
        let log = std::fs::read_to_string(self.tree.directory.path().join("console.log"));
        log.unwrap_or_default()
    }

    /// How it stands, for a person who asks why a test failed.
    fn story(&mut self) -> String {
        let script = "hostname; systemctl --no-pager --failed || true; systemctl --no-pager list-jobs || true; \
             journalctl --quiet --no-pager --lines=200";
        let mut command = Command::new("timeout");
        let within = self.command(script);
        command.arg("60").arg(within.get_program());
        match self.container.try_wait() {
            Ok(None) if self.init != 0 => match command.args(within.get_args()).output() {
                Ok(told) => String::from_utf8_lossy(&told.stdout).into_owned(),
                Err(why) => format!("it cannot be asked: {why}"),
            },
            state => format!("it does not run ({state:?}):\n{}", self.console()),
        }
    }

    /// Shuts the machine down and boots it again.
    ///
    /// # Errors
    /// When it does not end or does not come up.
    pub async fn reboot(&mut self) -> Result<()> {
        self.end().await?;
        drop(self.group.take()); // systemd-nspawn has divided it
        let group = ControlGroup::make(&self.tree.name())?;
        self.container = start(&self.tree, &self.network, &group)?;
        self.group = Some(group);
        self.wait_until_up().await
    }

    /// Shuts the machine down; what is left are its files.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn power_off(&mut self) -> Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        self.run("systemctl --no-block poweroff")?;
        let ended = wait::within(BOOT, "a machine to end", async || {
            Ok(self.container.try_wait()?)
        });
        ended.await.map(drop)
    }

    /// The machine's files, from outside.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

/// Inotify instances that root may have. The kernel gives each user 128, root of every container is the
/// same one, and a systemd takes some twenty: with too few it does not boot, or its path units hear nothing.
const INOTIFY_INSTANCES: u32 = 1024;

/// Raises the limit where it is lower; it stays so until this machine boots again.
fn room_for_machines() -> Result<()> {
    let limit = "/proc/sys/fs/inotify/max_user_instances";
    let there: u32 = std::fs::read_to_string(limit)?.trim().parse()?;
    if there < INOTIFY_INSTANCES {
        std::fs::write(limit, INOTIFY_INSTANCES.to_string())
            .with_context(|| format!("raising {limit} from {there}"))?;
    }
    Ok(())
}

/// The words that start systemd-nspawn on this directory, in a mount namespace that ends with it and in a
/// control group of its own; whoever starts it adds what else it wants, and [`UNIFIED`].
///
/// Of another machine of this name they would share what lies in `/run/systemd/nspawn`.
#[must_use]
pub fn nspawn(root: &Path, name: &str, group: &ControlGroup) -> Vec<String> {
    let mut words = group.around();
    words.extend(["unshare", "--mount", "systemd-nspawn", "--boot"].map(str::to_owned));
    words.extend([
        format!("--directory={}", root.display()),
        format!("--machine={name}"),
        format!("--system-call-filter={SYSTEM_CALLS}"),
    ]);
    let rest = ["--register=no", "--keep-unit", "--capability=all"];
    words.extend(rest.map(str::to_owned));
    words
}

/// Has the machine's systemd keep its groups in the one hierarchy.
pub const UNIFIED: (&str, &str) = ("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");

/// Starts systemd-nspawn on a tree.
fn start(tree: &Tree, network: &Network, group: &ControlGroup) -> Result<Child> {
    room_for_machines()?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(tree.directory.path().join("console.log"))?;
    let words = nspawn(&tree.root(), &tree.name(), group);
    let (first, rest) = words.split_first().context("a command")?;
    let mut command = Command::new(first);
    command.args(rest).arg("--quiet");
    match network {
        Network::Ours => &mut command,
        Network::Own => command.arg("--private-network"),
        Network::Of(init) => command.arg(format!("--network-namespace-path=/proc/{init}/ns/net")),
    };
    command
        .envs([UNIFIED])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("starting systemd-nspawn")
}

/// Removes what systemd-nspawn leaves of a machine that did not end by itself.
pub fn forget(root: &Path, name: &str) {
    let run = Path::new("/run/systemd/nspawn");
    let _ = std::fs::remove_dir_all(run.join("propagate").join(name));
    let _ = std::fs::remove_dir_all(run.join("unix-export").join(name));
    if let Ok(found) = root.metadata() {
        let lock = format!("inode-{}:{}", found.dev(), found.ino());
        let _ = std::fs::remove_file(run.join("locks").join(lock));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        println!("{}: {}", self.tree.name(), self.story());
        // Everything in the container ends with its first process, the one child of systemd-nspawn, which
        // outlives a parent that is killed.
        let pid = i32::try_from(self.container.id()).unwrap_or(i32::MAX);
        if let Some(init) = process::descendants(pid).get(1) {
            let _ = kill(Pid::from_raw(*init), Signal::SIGKILL);
        }
        let _ = self.container.kill();
        let _ = self.container.wait();
        drop(self.group.take());
        forget(&self.tree.root(), &self.tree.name());
    }
}
