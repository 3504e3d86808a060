//! The shipped programs: where they are, how one is started, stopped and ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::{process, wait};

/// The path of a shipped program, built beside this one.
///
/// # Errors
/// When it has not been built, with the command that builds it.
pub fn path(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    own.ancestors()
        .skip(1)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| {
            format!(
                "{name} is not built beside {}; run: cargo build --workspace --bins",
                own.display()
            )
        })
}

/// Copies a program that is to be started from there. Another process writes it: what this one has open for
/// writing, a child that another thread is just starting has as well, and nobody may execute it meanwhile.
///
/// # Errors
/// When it cannot be copied.
pub fn copy(program: &Path, to: &Path) -> Result<()> {
    let status = std::process::Command::new("cp")
        .args([program, to])
        .status()
        .context("starting cp")?;
    ensure!(status.success(), "copying {}: {status}", program.display());
    Ok(())
}

/// Runs a shipped program to its end and gives its standard output.
///
/// # Errors
/// When it cannot be started, or ends with anything but success: then its standard error is told.
pub async fn answer(name: &str, args: &[&str], input: Option<&str>) -> Result<String> {
    let mut child = Command::new(path(name)?)
        .args(args)
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        use tokio::io::AsyncWriteExt as _;
        // One that ends before it reads has its reason, which is told below.
        match stdin.write_all(text.as_bytes()).await {
            Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(why).with_context(|| format!("writing to {name}"));
            }
            _ => {}
        }
    }
    let output = child.wait_with_output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{name} {} ended with {}:\n{text}{}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}

/// A started program, whose output goes to a file. Ended with SIGKILL when dropped, with all that it started:
/// what is dropped after it has its directory to itself.
#[derive(Debug)]
pub struct Running {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Running {
    /// Starts `name`; both its outputs are appended to `log`.
    ///
    /// # Errors
    /// When it is not built or cannot be started.
    pub fn start(name: &str, args: &[&str], log: &Path) -> Result<Running> {
        Running::start_by(name, args, log, &[], None)
    }

    /// As [`Running::start`], with words before its command line and a variable in its environment.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub fn start_by(
        name: &str,
        args: &[&str],
        log: &Path,
        before: &[String],
        variable: Option<(&str, &Path)>,
    ) -> Result<Running> {
        let file = File::options().create(true).append(true).open(log)?;
        let program = path(name)?;
        let mut command = match before.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let child = command
            .args(args)
            .envs(variable)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Running {
            name: name.to_owned(),
            log: log.to_path_buf(),
            child,
        })
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn pid(&self) -> Result<Pid> {
        let id = self
            .child
            .id()
            .with_context(|| format!("{} has ended", self.name))?;
        Ok(Pid::from_raw(i32::try_from(id)?))
    }

    /// Fails, with the end of its log, when it has ended by itself.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} ended by itself ({status}):\n{}",
                self.name,
                self.log_end()
            );
        }
        Ok(())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop within [`wait::DEADLINE`]; it is then killed.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let Ok(pid) = self.pid() {
            kill(pid, Signal::SIGTERM).ok();
        }
        match tokio::time::timeout(wait::DEADLINE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!("{} did not stop on SIGTERM:\n{}", self.name, self.log_end())
            }
        }
    }

    /// Ends it with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// When it had already ended.
    pub async fn kill(mut self) -> Result<()> {
        kill(self.pid()?, Signal::SIGKILL)?;
        self.child.wait().await?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Ok(pid) = self.pid() else {
            return; // it was stopped, and waited for those
        };
        let all: Vec<Pid> = process::descendants(pid.as_raw())
            .into_iter()
            .map(Pid::from_raw)
            .collect();
        for one in &all {
            let _ = kill(*one, Signal::SIGKILL);
        }
        let ended = |pid: &Pid| {
            let state = process::status(pid.as_raw(), "State");
            state.map_or(true, |state| state.starts_with(['Z', 'X']))
        };
        let begun = Instant::now();
        while !all.iter().all(ended) && begun.elapsed() < wait::DEADLINE {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}
