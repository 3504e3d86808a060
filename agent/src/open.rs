//! A target becomes a job: the one place where this program opens what it will examine.
//!
//! Nothing here may block, follow a link at the end of a path, or touch what is no plain file: a
//! target is first opened as a bare name (`O_PATH`), looked at, and only a regular file is opened
//! again for reading, through that same descriptor, so that it cannot be swapped in between. FIFOs,
//! sockets, devices, symbolic links, leased files and kernel interfaces are refused by name.
//!
//! Content is not read here, with one exception: a process's environment and arguments exist only as
//! long as it does, so they are captured at once, unparsed, into memory that is wiped.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use akwatch_detect::places;
use akwatch_ledger::reading::{Extent, FileState, ProcessInstance};
use akwatch_proto::finding::UnknownWhy;
use akwatch_proto::place::Capture;
use akwatch_proto::time::Time;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::config::GlobSet;
use crate::host::process::ProcessNumbers;
use crate::host::{
    self, ProcessDirectory, ProcessFacts, Root, RunningProgram, SkipWhy, mounts, reach, runtime,
    units,
};
use crate::job::{
    Appended, Captured, CompanionHeader, Content, Job, JobHeader, JobId, Names, PartForm,
    PartHeader, Pending, PendingOrigin, PendingPlace, PendingWorkload, Target, TargetPlace,
};

pub mod companions;

/// Bytes of one capture. The kernel allows a process about 6 MiB of arguments and environment.
/// Stops: a process that makes them endless with `PR_SET_MM`.
pub const CAPTURE: usize = 8 << 20;
/// Filesystems whose kind is cached.
const FILESYSTEMS: usize = 1024;

/// The longest tick of a kernel's clock for files (100 Hz), and the millisecond to which our own is
/// rounded.
const GRAIN_NS: i64 = 11_000_000;

/// Opens targets on one host.
pub struct Opener {
    root: Arc<Root>,
    deny: GlobSet,
    /// What is not watched, and so no companion of what is.
    excluded: GlobSet,
    keep_access_time: AtomicBool,
    listed: Mutex<companions::Listings>,
    filesystems: Mutex<HashMap<u64, Option<SkipWhy>>>,
}

/// Why a target was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is there, and the directory that should hold it could be read.
    #[error("it is not there")]
    Absent {
        /// The device of the nearest directory that exists: another one than before means that a
        /// filesystem is not mounted, not that the file is gone.
        device: u64,
    },
    /// Another sensor has captured it.
    #[error("it has been captured")]
    Captured,
    /// The process has ended, or its pid is another's now.
    #[error("the process has ended")]
    Ended,
    /// A symbolic link: what it leads to is watched under its own name.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// A directory, FIFO, socket or device.
    #[error("it is a {kind}, not a file")]
    NotAFile {
        /// What it is.
        kind: &'static str,
    },
    /// Somebody holds a lease on it; waiting would block.
    #[error("another program holds a lease on it")]
    Leased,
    /// A file of a kernel interface.
    #[error("it belongs to a kernel interface")]
    KernelInterface,
    /// The local deny list names it.
    #[error("this host's deny list names it")]
    Denied,
    /// Too many files are open.
    #[error("too many files are open")]
    TooManyOpen,
    /// The kernel refused.
    #[error("{step}: {errno}")]
    Unreadable {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl Refusal {
    /// The reason as coverage counts it.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Refusal::Absent { .. } => "absent",
            Refusal::Captured => "captured",
            Refusal::Ended => "ended",
            Refusal::SymbolicLink => "symbolic-link",
            Refusal::NotAFile { kind } => kind,
            Refusal::Leased => "leased",
            Refusal::KernelInterface => SkipWhy::Pseudo.slug(),
            Refusal::Denied => "denied-by-configuration",
            Refusal::TooManyOpen => "too-many-open-files",
            Refusal::Unreadable { errno, .. } => match *errno {
                Errno::ACCESS | Errno::PERM => "permission-denied",
                Errno::NAMETOOLONG => "name-too-long",
                Errno::LOOP => "symbolic-link-loop",
                Errno::IO | Errno::STALE => "input-output-error",
                Errno::XDEV => SkipWhy::Network.slug(),
                _ => "unreadable",
            },
        }
    }

    /// What this says of the place: only a name that is not there, in a directory that could be
    /// read, is an answer; everything else is not known.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match self {
            Refusal::Absent { .. } => Extent::Absent,
            Refusal::Denied => Extent::Unread(UnknownWhy::PathExcluded),
            _ => Extent::Unread(UnknownWhy::Unreadable),
        }
    }
}

/// The program that a process runs: another one after each exec, but where a process runs without address
/// space layout randomisation and its next environment is as long as the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Which process.
    pub instance: ProcessInstance,
    /// Where its environment lies.
    pub at: u64,
    /// How long that is.
    pub environ: Option<u64>,
}

impl Opener {
    /// Opens targets of `root`; what `deny` covers is never opened.
    #[must_use]
    pub fn new(root: Arc<Root>, deny: GlobSet) -> Opener {
        Opener {
            root,
            deny,
            excluded: GlobSet::new([], &[]).expect("invariant: no pattern compiles"),
            keep_access_time: AtomicBool::new(true),
            listed: Mutex::default(),
            filesystems: Mutex::default(),
        }
    }

    /// The same, which opens nothing that `excluded` covers beside something else.
    #[must_use]
    pub fn without(self, excluded: GlobSet) -> Opener {
        Opener { excluded, ..self }
    }

    /// The host.
    #[must_use]
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Whether this host's deny list names `path`.
    #[must_use]
    pub fn denies(&self, path: &Path) -> bool {
        self.deny.covers(path)
    }

    /// Opens `target` as job `id`.
    ///
    /// # Errors
    /// When it is not to be opened or could not be.
    pub fn open(&self, target: &Target, id: JobId) -> Result<(Job, Pending), Refusal> {
        match &target.what {
            TargetPlace::File(path) => self.open_file(path, target, id),
            TargetPlace::Process(instance) => self.open_process(*instance, target, id),
        }
    }

    fn open_file(
        &self,
        path: &Path,
        target: &Target,
        id: JobId,
    ) -> Result<(Job, Pending), Refusal> {
        let (file, stat) = self.regular_file(path)?;
        let asked = crate::sense::now(); // before its first byte is read
        let mut names = Names::default();
        let name = names.add(path.as_os_str().as_bytes());
        let accounts = self.root.accounts();
        let history = places::is_history(path.as_os_str().as_bytes());
        let place = if history.is_some() {
            let user = accounts
                .home_of(path)
                .map_or_else(|| accounts.user(stat.st_uid), |home| home.user.clone());
            PendingPlace::History {
                path: name,
                user: names.add(&user),
            }
        } else {
            PendingPlace::File { path: name }
        };
        let state = state_of(&stat);
        let part = PartHeader {
            name: name.0,
            form: form_of(history),
            appended: history.map(|_| Appended::default()),
            expected: state.size,
        };
        let reach = reach::of_file(&self.root, path, &stat, Some(file.as_fd()), &mut names);
        let pending = Pending {
            target: target.clone(),
            place,
            before: Some(state),
            fresh: is_fresh(&state, asked),
            reach,
            origin: layer_of(&self.root, path, &mut names),
            delivered: is_delivered(path),
            expected: vec![state.size],
            writer: None,
        };
        let mut contents = vec![Content::File(file)];
        let mut companions = Vec::new();
        if companions::is_keystore(path.as_os_str().as_bytes()) {
            for companion in self.beside(path, &stat).companions {
                companions.push(CompanionHeader {
                    name: companion.path.into_os_string().into_vec(),
                    bytes: companion.size,
                    above: companion.above,
                });
                contents.push(Content::File(companion.file));
            }
        }
        let header = JobHeader {
            id,
            idle: false,
            parts: vec![part],
            companions,
            names: names.into_raw(),
        };
        Ok((Job { header, contents }, pending))
    }

    /// Opens the regular file at `path` for reading.
    ///
    /// # Errors
    /// When it is not to be opened or could not be.
    pub fn regular_file(&self, path: &Path) -> Result<(OwnedFd, Stat), Refusal> {
        if self.deny.covers(path) {
            return Err(Refusal::Denied);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let name = match self.root.open_guarded(path, flags) {
            Ok(name) => name,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(self.absent(path)),
            Err(errno) => return Err(unreadable("open", errno)),
        };
        let stat = rustix::fs::fstat(&name).map_err(|errno| unreadable("fstat", errno))?;
        self.check_kind(&stat, name.as_fd())?;
        Ok((self.reopen(&name)?, stat))
    }

    /// Opens a file that a person named: as [`regular_file`](Opener::regular_file), but a link at the
    /// end of its path is followed.
    ///
    /// # Errors
    /// When it is not to be opened or could not be.
    pub fn named_file(&self, path: &Path) -> Result<(OwnedFd, Stat), Refusal> {
        let name = self
            .root
            .open(path, OFlags::PATH)
            .map_err(|errno| unreadable("open", errno))?;
        let stat = rustix::fs::fstat(&name).map_err(|errno| unreadable("fstat", errno))?;
        self.check_kind(&stat, name.as_fd())?;
        Ok((self.reopen(&name)?, stat))
    }

    /// Opens the regular file `name` of an open directory of a walk, which has just said that it is
    /// one: without the first, bare open, and checked afterwards.
    ///
    /// # Errors
    /// When it is not to be opened or could not be.
    pub fn file_in(
        &self,
        directory: BorrowedFd<'_>,
        name: &std::ffi::CStr,
    ) -> Result<(OwnedFd, Stat), Refusal> {
        let file = self.reading(|flags| {
            rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable("fstat", errno))?;
        self.check_kind(&stat, file.as_fd())?;
        Ok((file, stat))
    }

    /// As [`file_in`](Opener::file_in), but leaves alone what is mounted on the name.
    ///
    /// # Errors
    /// When it is not to be opened or could not be.
    pub fn file_within(
        &self,
        directory: BorrowedFd<'_>,
        name: &std::ffi::CStr,
    ) -> Result<(OwnedFd, Stat), Refusal> {
        let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let file = self.reading(|flags| host::open_in(directory, name, flags))?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable("fstat", errno))?;
        self.check_kind(&stat, file.as_fd())?;
        Ok((file, stat))
    }

    fn reopen(&self, name: &OwnedFd) -> Result<OwnedFd, Refusal> {
        let own = format!("/proc/self/fd/{}", name.as_raw_fd());
        self.reading(|flags| rustix::fs::open(own.as_str(), flags, Mode::empty()))
    }

    fn reading(&self, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Refusal> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut opened = Err(Errno::PERM);
        if self.keep_access_time.load(Ordering::Relaxed) {
            opened = open(flags | OFlags::NOATIME);
        }
        if matches!(opened, Err(Errno::PERM)) {
            // Only a file's owner may keep its access time; relatime makes the loss small.
            self.keep_access_time.store(false, Ordering::Relaxed);
            opened = open(flags);
        }
        opened.map_err(|errno| match errno {
            Errno::AGAIN => Refusal::Leased,
            Errno::LOOP => Refusal::SymbolicLink,
            Errno::NXIO => Refusal::NotAFile { kind: "socket" },
            errno => unreadable("open for reading", errno),
        })
    }

    fn check_kind(&self, stat: &Stat, open: BorrowedFd<'_>) -> Result<(), Refusal> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(Refusal::SymbolicLink),
            other => {
                return Err(Refusal::NotAFile {
                    kind: kind_of(other),
                });
            }
        }
        let mut known = self
            .filesystems
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= FILESYSTEMS {
            known.clear();
        }
        let skipped = known
            .entry(stat.st_dev)
            .or_insert_with(|| mounts::skipped_by_magic(open));
        if *skipped == Some(SkipWhy::Pseudo) {
            return Err(Refusal::KernelInterface);
        }
        Ok(())
    }

    /// Tells *not there* from *nobody can say*: only a directory that can be read vouches for a name
    /// that is not in it.
    fn absent(&self, path: &Path) -> Refusal {
        for directory in path.ancestors().skip(1) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
            match self.root.open_guarded(directory, flags) {
                Ok(open) => {
                    return match rustix::fs::fstat(&open) {
                        Ok(stat) => Refusal::Absent {
                            device: stat.st_dev,
                        },
                        Err(errno) => unreadable("fstat of the directory", errno),
                    };
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return unreadable("open the directory", errno),
            }
        }
        unreadable("open the root", Errno::NOENT)
    }

    fn open_process(
        &self,
        instance: ProcessInstance,
        target: &Target,
        id: JobId,
    ) -> Result<(Job, Pending), Refusal> {
        let mut process = ProcessDirectory::open(&self.root, instance.pid)
            .map_err(|errno| ended(errno, "open"))?;
        let before = process
            .first_numbers()
            .map_err(|errno| ended(errno, "read stat"))?;
        if before.instance != instance {
            return Err(Refusal::Ended);
        }
        self.open_captured(&process, &before, target, id)
    }

    /// Captures a process that has just executed a program, whichever instance of its pid that is, if
    /// `is_wanted` says so of that program: every step before the environment is read loses a race.
    ///
    /// # Errors
    /// When it has ended, may not be read, or is not wanted.
    pub fn open_executed(
        &self,
        pid: i32,
        id: JobId,
        is_wanted: impl FnOnce(Image) -> bool,
    ) -> Result<(Job, Pending), Refusal> {
        let mut process =
            ProcessDirectory::open(&self.root, pid).map_err(|errno| ended(errno, "open"))?;
        let before = process
            .first_numbers()
            .map_err(|errno| ended(errno, "read stat"))?;
        let image = Image {
            instance: before.instance,
            at: before.image,
            environ: before.environ,
        };
        if !is_wanted(image) {
            return Err(Refusal::Captured);
        }
        let target = Target {
            what: TargetPlace::Process(before.instance),
            urgency: crate::job::Urgency::Live,
        };
        self.open_captured(&process, &before, &target, id)
    }

    fn open_captured(
        &self,
        process: &ProcessDirectory,
        before: &ProcessNumbers,
        target: &Target,
        id: JobId,
    ) -> Result<(Job, Pending), Refusal> {
        let (environ, program) = capture_environ(process, before.environ)?;
        let cmdline = capture(process, "cmdline", None)?;
        let facts = process.facts(&self.root, program, &cmdline.bytes);
        let after = process
            .numbers()
            .map_err(|errno| ended(errno, "read stat"))?;
        if has_ended(before, &after, &environ) {
            return Err(Refusal::Ended);
        }
        let unsteady = after.environ != before.environ;
        Ok(self.process_job(target, id, before, [environ, cmdline], &facts, unsteady))
    }

    /// Opens the captures of a process that another host's files describe: `proc/PID/environ` and
    /// `cmdline` below `--root`, with or without the rest of a `/proc`.
    ///
    /// # Errors
    /// When neither capture can be read.
    pub fn open_described(&self, pid: i32, id: JobId) -> Result<(Job, Pending), Refusal> {
        let process =
            ProcessDirectory::open(&self.root, pid).map_err(|errno| ended(errno, "open"))?;
        let numbers = process.numbers().unwrap_or(ProcessNumbers {
            instance: ProcessInstance { pid, started: 0 },
            environ: None,
            without_memory: false,
            lives_on: false,
            image: 0,
        });
        let (environ, program) = capture_environ(&process, None)?;
        let cmdline = capture(&process, "cmdline", None)?;
        let facts = process.facts(&self.root, program, &cmdline.bytes);
        let target = Target {
            what: TargetPlace::Process(numbers.instance),
            urgency: crate::job::Urgency::FirstScan,
        };
        Ok(self.process_job(&target, id, &numbers, [environ, cmdline], &facts, false))
    }

    fn process_job(
        &self,
        target: &Target,
        id: JobId,
        numbers: &ProcessNumbers,
        captures: [OneCapture; 2],
        facts: &ProcessFacts,
        unsteady: bool,
    ) -> (Job, Pending) {
        let mut names = Names::default();
        let user = self.root.accounts().user(facts.uid);
        let (workload, origin) = self.workload(numbers, facts, &user, &captures[1], &mut names);
        // Both captures are one job with one reach: the environment's, which is the narrower.
        let reach = reach::of_process(&user, false, &mut names);
        let mut parts = Vec::new();
        let mut contents = Vec::new();
        let mut expected = Vec::new();
        for (capture, (form, file)) in captures.into_iter().zip([
            (PartForm::Environ, "environ"),
            (PartForm::Cmdline, "cmdline"),
        ]) {
            let name = names.add(format!("/proc/{}/{file}", numbers.instance.pid).as_bytes());
            let bytes = capture.expected + u64::from(unsteady && form == PartForm::Environ);
            parts.push(PartHeader {
                name: name.0,
                form,
                appended: None,
                expected: bytes,
            });
            expected.push(bytes);
            contents.push(Content::Captured(Captured(capture.bytes)));
        }
        let pending = Pending {
            target: target.clone(),
            place: PendingPlace::Process {
                workload,
                user: names.add(&user),
                instance: numbers.instance,
                naming: 0,
                captures: vec![Capture::Environ, Capture::Cmdline],
            },
            before: None,
            fresh: false,
            reach,
            origin,
            delivered: false,
            expected,
            writer: None,
        };
        let header = JobHeader {
            id,
            idle: false,
            companions: Vec::new(),
            parts,
            names: names.into_raw(),
        };
        (Job { header, contents }, pending)
    }

    fn workload(
        &self,
        numbers: &ProcessNumbers,
        facts: &ProcessFacts,
        user: &[u8],
        cmdline: &OneCapture,
        names: &mut Names,
    ) -> (PendingWorkload, PendingOrigin) {
        let home = facts.user_unit.then(|| self.home_named(user)).flatten();
        let unit_files = match &facts.unit {
            Some(unit) if !facts.user_unit || home.is_some() => {
                units::files_of(&self.root, unit, home.as_deref())
            }
            _ => Vec::new(),
        };
        let mut origin = PendingOrigin {
            pid: Some(numbers.instance.pid),
            exe: facts.exe.as_deref().map(|exe| names.add(exe)),
            user: Some(names.add(user)),
            unit: facts.unit.as_deref().map(|unit| names.add(unit)),
            unit_files: unit_files.iter().map(|file| names.add(file)).collect(),
            script: facts.script.as_deref().map(|script| names.add(script)),
            cgroup: facts.cgroup.as_deref().map(|path| names.add(path)),
            ..PendingOrigin::default()
        };
        if let Some(container) = &facts.container {
            origin.put_in(container, names);
        }
        let workload = match (origin.unit, origin.container, origin.exe) {
            (Some(unit), _, _) => PendingWorkload::Unit(unit),
            (None, Some(container), _) => PendingWorkload::Container(container),
            (None, None, exe) => {
                // Where the executable may not be asked, its own word for itself has to do; where
                // there is none, as in another host's bare captures, it is like no other process.
                let called = cmdline.bytes.split(|&byte| byte == 0).next();
                let called = called.filter(|name| !name.is_empty()).map(<[u8]>::to_vec);
                let exe = exe.unwrap_or_else(|| {
                    let own = || format!("/proc/{}/exe", numbers.instance.pid).into_bytes();
                    names.add(&called.unwrap_or_else(own))
                });
                PendingWorkload::Executable(exe, origin.script)
            }
        };
        (workload, origin)
    }

    fn home_named(&self, user: &[u8]) -> Option<PathBuf> {
        let accounts = self.root.accounts();
        let home = accounts.homes().iter().find(|home| home.user == user)?;
        Some(home.path.clone())
    }
}

/// The container whose layer a file lies in, and where in it.
#[must_use]
pub fn layer_of(root: &Root, path: &Path, names: &mut Names) -> PendingOrigin {
    let mut origin = PendingOrigin::default();
    if let Some((container, inside)) = runtime::of_layer(root, path) {
        origin.put_in(&container, names);
        origin.path_inside = Some(names.add(inside.as_os_str().as_bytes()));
    }
    origin
}

/// The state of an open file, to be compared before and after it is examined.
#[must_use]
pub fn state_of(stat: &Stat) -> FileState {
    let nanoseconds = |seconds: i64, rest: u64| {
        let rest = i64::try_from(rest).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(rest)
    };
    FileState {
        dev: stat.st_dev,
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Whether a file that was in this state at that moment may change without its state doing so: its
/// change time is that of the kernel's last tick, and size and time may be the same after the next
/// write. A change time that lies far ahead is of another clock, which no write repeats; our own is
/// rounded down.
fn is_fresh(state: &FileState, at: Time) -> bool {
    let age =
        at.0.saturating_mul(1_000_000)
            .saturating_sub(state.ctime_ns);
    (-GRAIN_NS..GRAIN_NS).contains(&age)
}

/// The state of an open file now.
///
/// # Errors
/// The kernel's.
pub fn state_now(file: impl AsFd) -> Result<FileState, Errno> {
    rustix::fs::fstat(file).map(|stat| state_of(&stat))
}

/// Whether a secret store hands credentials over at `path`: systemd's credentials, a container's
/// secrets, a kubelet's secret volumes.
#[must_use]
pub fn is_delivered(path: &Path) -> bool {
    let volumes = [&b"kubernetes.io~secret"[..], b"kubernetes.io~projected"];
    path.starts_with("/run/credentials")
        || path.starts_with("/run/secrets")
        || path.iter().any(|part| volumes.contains(&part.as_bytes()))
}

/// How a history of the places' table is told to the detector.
#[must_use]
pub fn form_of(history: Option<akwatch_detect::Format>) -> PartForm {
    match history {
        Some(akwatch_detect::Format::BashHistory) => PartForm::BashHistory,
        Some(akwatch_detect::Format::ZshHistory) => PartForm::ZshHistory,
        Some(akwatch_detect::Format::FishHistory) => PartForm::FishHistory,
        _ => PartForm::Guess,
    }
}

/// A capture, and how long it must be to be whole. One that could not be had is empty and expects a
/// byte, so that it never counts as read.
struct OneCapture {
    bytes: Zeroizing<Vec<u8>>,
    expected: u64,
}

/// Whether a process ended while it was captured. One that nobody has waited for yet has ended too, and
/// gives nothing any more: that is an end, not something that could not be read.
fn has_ended(before: &ProcessNumbers, after: &ProcessNumbers, environ: &OneCapture) -> bool {
    let nothing = environ.bytes.is_empty() && environ.expected > 0;
    after.instance != before.instance || (after.without_memory && nothing)
}

/// Captures the environment, and says which program it is of.
fn capture_environ(
    process: &ProcessDirectory,
    expected: Option<u64>,
) -> Result<(OneCapture, RunningProgram), Refusal> {
    let open = process.memory_file("environ");
    let program = process.program();
    Ok((read_opened(open, expected)?, program))
}

fn capture(
    process: &ProcessDirectory,
    name: &str,
    expected: Option<u64>,
) -> Result<OneCapture, Refusal> {
    read_opened(process.memory_file(name), expected)
}

fn read_opened(open: Result<OwnedFd, Errno>, expected: Option<u64>) -> Result<OneCapture, Refusal> {
    match open {
        Ok(file) => read_whole(&file, expected),
        Err(Errno::SRCH) => Err(Refusal::Ended),
        Err(_) => Ok(OneCapture {
            bytes: Zeroizing::default(),
            expected: 1,
        }),
    }
}

fn read_whole(file: &OwnedFd, expected: Option<u64>) -> Result<OneCapture, Refusal> {
    let room = expected.and_then(|bytes| usize::try_from(bytes).ok());
    let (bytes, whole) = match read_capture(file, room.unwrap_or(0)) {
        Ok(read) => read,
        Err(Errno::SRCH | Errno::NOENT) => return Err(Refusal::Ended),
        Err(_) => (Zeroizing::default(), false),
    };
    let read = bytes.len() as u64;
    let expected = match expected {
        Some(expected) if whole => expected,
        Some(expected) => expected.max(read + 1),
        None => read + u64::from(!whole),
    };
    Ok(OneCapture { bytes, expected })
}

/// Reads to the end, at most [`CAPTURE`] bytes, without leaving an unwiped copy behind. Says whether
/// the end was reached.
fn read_capture(file: &OwnedFd, room: usize) -> Result<(Zeroizing<Vec<u8>>, bool), Errno> {
    // One byte more than expected, so that the end is seen without growing.
    let room = room.clamp(4095, CAPTURE) + 1;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled > CAPTURE {
                bytes.truncate(CAPTURE);
                return Ok((bytes, false));
            }
            let mut larger = Zeroizing::new(vec![0; (filled * 2).min(CAPTURE + 1)]);
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
        match rustix::io::read(file, &mut bytes[filled..]) {
            Ok(0) => {
                bytes.truncate(filled);
                return Ok((bytes, true));
            }
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(why) => return Err(why),
        }
    }
}

fn kind_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "special-file",
    }
}

fn unreadable(step: &'static str, errno: Errno) -> Refusal {
    match errno {
        Errno::MFILE | Errno::NFILE => Refusal::TooManyOpen,
        errno => Refusal::Unreadable { step, errno },
    }
}

fn ended(errno: Errno, step: &'static str) -> Refusal {
    match errno {
        Errno::NOENT | Errno::SRCH => Refusal::Ended,
        errno => unreadable(step, errno),
    }
}

#[cfg(test)]
mod tests;
