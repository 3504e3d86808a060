//! Somebody who has an account on the watched host and no privilege: what hostile-host tests do, they
//! do as this user.
//!
//! Started by root, its programs run under a number that nobody else uses. Started by anybody else
//! they run as the tester; what the stranger could not read is then not tested.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Below the numbers that systems hand out by themselves, and in nobody's table of users.
const UID: u32 = 54_321;

/// The user and a directory of its own.
#[derive(Debug)]
pub struct Stranger {
    /// Its directory, which the agent watches when it lies in a watched one.
    pub home: PathBuf,
    uid: Option<u32>,
}

impl Stranger {
    /// A stranger whose directory lies in `above`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn within(above: &Path) -> Result<Stranger> {
        let home = above.join("stranger");
        std::fs::create_dir(&home)?;
        let uid = geteuid().is_root().then_some(UID);
        if let Some(uid) = uid {
            chown(&home, Some(uid), Some(uid))?;
        }
        Ok(Stranger { home, uid })
    }

    /// Whether it is somebody else than the tester, so that there is something that it may not read.
    #[must_use]
    pub fn is_another(&self) -> bool {
        self.uid.is_some()
    }

    /// Its number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid.unwrap_or_else(|| geteuid().as_raw())
    }

    /// A command that runs as this user, in its directory, with an empty environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// Runs a perl program to its end.
    ///
    /// # Errors
    /// When it fails.
    pub async fn perl(&self, program: &str, arguments: &[&OsStr]) -> Result<()> {
        let mut command = self.command("perl");
        command.args(["-e", program]).args(arguments);
        let status = command.status().await.context(PERL)?;
        ensure!(status.success(), "a stranger's program ended with {status}");
        Ok(())
    }

    /// Starts a perl program and waits for its first word.
    ///
    /// # Errors
    /// When it ends before.
    pub async fn talk(&self, program: &str, arguments: &[&OsStr]) -> Result<Talking> {
        let mut command = self.command("perl");
        command.args(["-e", program]).args(arguments);
        Talking::begin(command).await
    }

    /// Writes a file of its own, readable for itself alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.home.join(name);
        let directory = path.parent().context("a directory")?;
        std::fs::create_dir_all(directory)?;
        // Written beside and renamed: its owner and mode stand before the agent sees it.
        let beside = directory.join(".beside");
        std::fs::write(&beside, content)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        if let Some(uid) = self.uid {
            chown(directory, Some(uid), Some(uid))?;
            chown(&beside, Some(uid), Some(uid))?;
        }
        std::fs::rename(&beside, &path)?;
        Ok(path)
    }
}

const PERL: &str = "perl, which every Debian has, is needed here";

/// A program that says words and waits for lines.
#[derive(Debug)]
pub struct Talking {
    /// Ended when dropped.
    pub child: Child,
    lines: BufReader<ChildStdout>,
}

impl Talking {
    /// Starts it and waits for its first word.
    ///
    /// # Errors
    /// When it ends before.
    pub async fn begin(mut command: Command) -> Result<Talking> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(PERL)?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut talking = Talking { child, lines };
        talking.word().await?;
        Ok(talking)
    }

    /// Its next word.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn word(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line).await?;
        ensure!(!line.is_empty(), "the program ended");
        Ok(line.trim().to_owned())
    }

    /// Gives it a line and waits for its next word.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn say(&mut self) -> Result<String> {
        let stdin = self.child.stdin.as_mut().context("a pipe")?;
        stdin.write_all(b"\n").await?;
        self.word().await
    }
}
