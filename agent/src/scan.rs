//! The engine by hand: one process, no network, no privileges, nothing kept.
//!
//! It walks, opens and examines exactly as the agent does and writes what it finds to standard
//! output. It never writes to a scanned host, never follows a link that it meets, and obeys no ignore
//! file: what hides a secret from a program's repository does not hide it from a thief. What could
//! not be read is counted by reason and named; nothing found is only said together with that.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use akwatch_detect::{Detector, Limits, RuleSet};
use anyhow::Context;
use rustix::fs::{FileType, OFlags};

use crate::cli::{ScanArgs, TROUBLE};
use crate::config::{Config, GlobSet};
use crate::host::{ProcessDirectory, Root};
use crate::job::{JobId, Target, TargetPlace, Urgency};
use crate::open::{Opener, Refusal, companions};
use crate::redact::FingerprintKey;
use crate::sense::watch_set::{Covered, WatchSet};

mod output;
mod repositories;
mod scanner;
mod sparse;
mod tally;
mod walk;

use output::Output;
use scanner::Scanner;
use tally::Tally;
use walk::{Choice, Visit, Walk};

/// Bytes of one file that are looked at. Holes of sparse files do not count.
const FILE: u64 = 1 << 40;

/// Matches of one place that are said: more than the agent keeps, since nothing is stored here.
const MATCHES: usize = 1 << 16;

/// Runs `scan` and returns its exit code: 0 clean, 1 findings, 2 trouble.
///
/// # Errors
/// When nothing could be scanned at all, or the output could not be written.
pub fn run(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let mut stderr = std::io::stderr().lock();
    if let Err(why) = akwatch_sys::seccomp::forbid_sockets() {
        // Nothing in a scan opens a socket; without this wall only our word stands for it.
        let _ = writeln!(
            stderr,
            "akwatch-agent: cannot forbid itself sockets: {why}; going on"
        );
    }
    let stdout = std::io::stdout().lock();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let progress = stderr.is_terminal();
    let done = scan(
        args,
        Box::new(stdout),
        colour,
        progress.then_some(&mut stderr as _),
    )?;
    let _ = stderr.write_all(done.summary.as_bytes());
    Ok(ExitCode::from(done.code))
}

/// How a scan ended.
pub struct Done {
    /// The exit code.
    pub code: u8,
    /// What was read and what was not, for people.
    pub summary: String,
}

/// Scans as `args` say and writes findings to `out`, progress to `progress`.
///
/// # Errors
/// When nothing could be scanned at all, or the output could not be written.
pub fn scan<'a>(
    args: &ScanArgs,
    out: Box<dyn Write + 'a>,
    colour: bool,
    progress: Option<&'a mut dyn Write>,
) -> anyhow::Result<Done> {
    let root = match &args.root {
        Some(directory) => Root::at(directory)?,
        None => Root::live()?,
    };
    let root = Arc::new(root);
    let named = args.paths.iter().map(std::path::absolute);
    root.name(named.filter_map(Result::ok).collect());
    let nothing = GlobSet::new([], &[]).expect("invariant: no pattern compiles");
    let limits = Limits {
        bytes: FILE,
        matches: MATCHES,
        ..Limits::default()
    };
    let scanner = Scanner::new(
        Arc::clone(&root),
        Detector::new(RuleSet::builtin(), limits),
        FingerprintKey::local().context("the kernel gives no randomness")?,
        Output::new(args.format, args.reveal, colour, out),
        Tally::new(progress),
        args.min_confidence,
    );
    let mut run = Run {
        opener: Opener::new(Arc::clone(&root), nothing),
        root,
        scanner,
        chosen: None,
        troubles: Vec::new(),
    };
    run.everything(args)?;
    run.finish()
}

/// One run: what is asked for, in order.
struct Run<'a> {
    root: Arc<Root>,
    opener: Opener,
    scanner: Scanner<'a>,
    /// The watch set, when it decides what is read.
    chosen: Option<WatchSet>,
    troubles: Vec<String>,
}

impl Run<'_> {
    fn everything(&mut self, args: &ScanArgs) -> anyhow::Result<()> {
        if !args.paths.is_empty() {
            for path in &args.paths {
                self.named(Path::new(path))?;
            }
        } else if self.root.is_live() {
            self.watched()?;
        } else {
            self.processes()?;
            self.tree(Path::new("/"))?;
        }
        Ok(())
    }

    /// What the agent watches on this host: processes, homes, the built-in set of places.
    fn watched(&mut self) -> anyhow::Result<()> {
        self.processes()?;
        let accounts = self.root.accounts();
        let homes: Vec<PathBuf> = accounts
            .homes()
            .iter()
            .map(|home| home.path.clone())
            .collect();
        let set = WatchSet::new(&Config::built_in(), &homes, Vec::new())?;
        let roots = set.roots();
        self.chosen = Some(set);
        for directory in roots {
            self.tree(&directory)?;
        }
        Ok(())
    }

    /// A path that a person named: followed if it is a link, and trouble if it cannot be read.
    fn named(&mut self, given: &Path) -> anyhow::Result<()> {
        let path = if self.root.is_live() {
            std::path::absolute(given)
                .with_context(|| format!("cannot name {}", given.display()))?
        } else {
            Path::new("/").join(given)
        };
        if let Some(pid) = pid_of(&path) {
            return self.process(pid, true);
        }
        let kind = self
            .root
            .open(&path, OFlags::PATH)
            .and_then(rustix::fs::fstat)
            .map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Directory) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
                match self.root.open(&path, flags) {
                    Ok(_) => self.tree(&path),
                    Err(errno) => {
                        self.trouble(&path, &errno.to_string());
                        Ok(())
                    }
                }
            }
            Ok(FileType::RegularFile) => match self.opener.named_file(&path) {
                Ok((file, stat)) => {
                    Reader { run: self }.file(path.as_os_str().as_bytes(), file, &stat)
                }
                Err(why) => {
                    self.trouble(&path, &why.to_string());
                    Ok(())
                }
            },
            Ok(_) => {
                self.trouble(&path, "it is neither a file nor a directory");
                Ok(())
            }
            Err(errno) => {
                self.trouble(&path, &errno.to_string());
                Ok(())
            }
        }
    }

    fn trouble(&mut self, path: &Path, why: &str) {
        let name = self.scanner.clean(path.as_os_str().as_bytes());
        self.troubles.push(format!("cannot read {name}: {why}"));
    }

    fn tree(&mut self, start: &Path) -> anyhow::Result<()> {
        let root = Arc::clone(&self.root);
        Walk::new(&root).run(start, &mut Reader { run: self })
    }

    fn processes(&mut self) -> anyhow::Result<()> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        for pid in ProcessDirectory::pids(&self.root).unwrap_or_default() {
            if !(self.root.is_live() && pid == own) {
                self.process(pid, false)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, pid: i32, named: bool) -> anyhow::Result<()> {
        let opened = if self.root.is_live() {
            self.live_process(pid)
        } else {
            self.opener.open_described(pid, JobId(0)).map(Some)
        };
        match opened {
            Ok(Some((job, pending))) => self.scanner.process(&job, &pending),
            Ok(None) => Ok(()),
            Err(why) if named => {
                self.trouble(&PathBuf::from(format!("/proc/{pid}")), &why.to_string());
                Ok(())
            }
            Err(why) => {
                self.scanner
                    .refused(format!("/proc/{pid}").as_bytes(), why.slug());
                Ok(())
            }
        }
    }

    /// A live process; none where there is nothing to capture, as of a kernel thread.
    fn live_process(
        &self,
        pid: i32,
    ) -> Result<Option<(crate::job::Job, crate::job::Pending)>, Refusal> {
        let process = ProcessDirectory::open(&self.root, pid).map_err(|_| Refusal::Ended)?;
        let numbers = process.numbers().map_err(|_| Refusal::Ended)?;
        if numbers.without_memory {
            return Ok(None);
        }
        let target = Target {
            what: TargetPlace::Process(numbers.instance),
            urgency: Urgency::FirstScan,
        };
        self.opener.open(&target, JobId(0)).map(Some)
    }

    fn finish(self) -> anyhow::Result<Done> {
        let troubled = !self.troubles.is_empty();
        let (summary, findings) = self.scanner.finish()?;
        let mut text = String::new();
        for trouble in &self.troubles {
            text.push_str("akwatch-agent: ");
            text.push_str(trouble);
            text.push('\n');
        }
        text.push_str(&summary);
        Ok(Done {
            code: if troubled {
                TROUBLE
            } else {
                u8::from(findings > 0)
            },
            summary: text,
        })
    }
}

/// Reads what a walk comes to.
struct Reader<'r, 'a> {
    run: &'r mut Run<'a>,
}

impl Visit for Reader<'_, '_> {
    fn choose(&mut self, directory: &Path) -> Choice {
        match &self.run.chosen {
            Some(set) if set.enters(directory) != Covered::Yes => Choice::Pass,
            _ => Choice::Enter,
        }
    }

    fn wants(&mut self, path: &[u8]) -> bool {
        if !self.run.root.is_live()
            && pid_of(Path::new(std::ffi::OsStr::from_bytes(path))).is_some()
        {
            return false; // read as a process, with its sister
        }
        match &self.run.chosen {
            Some(set) => set.covers(Path::new(std::ffi::OsStr::from_bytes(path))) == Covered::Yes,
            None => true,
        }
    }

    fn opener(&self) -> &Opener {
        &self.run.opener
    }

    fn file(&mut self, path: &[u8], file: OwnedFd, stat: &rustix::fs::Stat) -> anyhow::Result<()> {
        let mut beside = companions::Beside::default();
        if companions::is_keystore(path) {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            beside = self.run.opener.beside(path, stat);
        }
        let beside = &beside.companions;
        self.run.scanner.file(path, file.as_fd(), stat, beside)
    }

    fn refused(&mut self, path: &[u8], slug: &'static str) {
        self.run.scanner.refused(path, slug);
    }
}

/// The pid of `/proc/PID`, `/proc/PID/environ` and `/proc/PID/cmdline`.
fn pid_of(path: &Path) -> Option<i32> {
    let mut names = path.strip_prefix("/proc").ok()?.iter();
    let pid = names
        .next()?
        .to_str()?
        .parse()
        .ok()
        .filter(|&pid| pid > 0)?;
    let file = names.next().map(OsStrExt::as_bytes);
    (matches!(file, None | Some(b"environ" | b"cmdline")) && names.next().is_none()).then_some(pid)
}

#[cfg(test)]
mod tests;
