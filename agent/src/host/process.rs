//! Facts of one process: what runs, as whom, started by what.
//!
//! Everything is read through one descriptor of its `/proc/PID` directory, so that a pid that is given
//! to another process meanwhile cannot mix two processes' facts: the kernel answers for the process
//! that the descriptor was opened on, or not at all. Environments and arguments are captured in
//! `open`, not here.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akwatch_ledger::reading::ProcessInstance;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::runtime::Container;
use super::{Root, container, runtime};

/// Bytes of stat, status or cgroup that are read.
const FACTS: usize = 64 << 10;
/// Processes listed in one sweep; the kernel's limit on pids is 2^22.
const PROCESSES: usize = 1 << 22;

/// Threads of a process that are asked for its memory when its first one has ended.
const THREADS: usize = 64;

/// An open `/proc/PID`.
pub struct ProcessDirectory {
    directory: OwnedFd,
    /// The directory of a thread that lives, of a process whose first one has ended: only it shows the
    /// process's memory.
    thread: Option<OwnedFd>,
    /// Its pid.
    pub pid: i32,
}

/// What is known of a process. Names are raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its effective user.
    pub uid: u32,
    /// Its executable; none for a kernel thread, or where it may not be asked.
    pub exe: Option<Vec<u8>>,
    /// The script that an interpreter runs.
    pub script: Option<Vec<u8>>,
    /// Its systemd unit.
    pub unit: Option<Vec<u8>>,
    /// The unit belongs to a user's own systemd.
    pub user_unit: bool,
    /// Its container.
    pub container: Option<Arc<Container>>,
    /// The path of its control group.
    pub cgroup: Option<Vec<u8>>,
}

/// The program that a process runs, read while its environment was open and before that was read.
///
/// A process that ends loses its program before it loses its pid, and would then be taken for another
/// workload than the one it was. What an open environment gives is of the program that this names, or
/// nothing: the kernel reads none of a program that was replaced or has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningProgram {
    exe: Option<Vec<u8>>,
    /// Where a script's relative name starts from; asked for interpreters only.
    from: Option<Vec<u8>>,
}

/// Numbers of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessNumbers {
    /// Which process.
    pub instance: ProcessInstance,
    /// Bytes of its environment, where this process may know: `env_end − env_start`.
    pub environ: Option<u64>,
    /// It is a zombie or a kernel thread: it has no memory to capture.
    pub without_memory: bool,
    /// Its first thread has ended and others live: see [`ProcessDirectory::first_numbers`].
    pub lives_on: bool,
    /// Where its environment lies, where this process may know: another address after each exec, but
    /// where a process runs without address space layout randomisation.
    pub image: u64,
}

impl ProcessDirectory {
    /// Opens `/proc/PID` of `root`.
    ///
    /// # Errors
    /// The kernel's; `ENOENT` when it has ended.
    pub fn open(root: &Root, pid: i32) -> Result<ProcessDirectory, Errno> {
        let path = PathBuf::from(format!("/proc/{pid}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let directory = root.open(&path, flags)?;
        Ok(ProcessDirectory {
            directory,
            thread: None,
            pid,
        })
    }

    /// Its numbers, and from now on asks a thread that lives for what belongs to its memory (captures,
    /// program, working directory) if its first one has ended.
    ///
    /// # Errors
    /// As [`ProcessDirectory::numbers`]; `ESRCH` when no thread lives among the first [`THREADS`].
    pub fn first_numbers(&mut self) -> Result<ProcessNumbers, Errno> {
        let numbers = self.numbers()?;
        if !numbers.lives_on {
            return Ok(numbers);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tasks = rustix::fs::openat(&self.directory, "task", flags, Mode::empty())?;
        let own = self.pid.to_string();
        for entry in rustix::fs::Dir::new(tasks)?.take(THREADS) {
            let entry = entry?;
            let number = entry.file_name().to_string_lossy();
            if *number == *own || number.starts_with('.') {
                continue;
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let path = format!("task/{number}");
            // One that cannot be opened has ended since.
            self.thread = rustix::fs::openat(&self.directory, path, flags, Mode::empty()).ok();
            if self.thread.is_some()
                && let Ok(numbers) = self.numbers()
                && !numbers.without_memory
            {
                return Ok(numbers);
            }
        }
        Err(Errno::SRCH)
    }

    /// The pids of `root` at this moment.
    ///
    /// # Errors
    /// When its `/proc` cannot be listed.
    pub fn pids(root: &Root) -> Result<Vec<i32>, Errno> {
        let mut pids: Vec<i32> = root
            .list(Path::new("/proc"), PROCESSES)?
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok())
            .filter(|&pid| pid > 0)
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// Opens one of its files that show its memory: `environ`, `cmdline`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn memory_file(&self, name: &str) -> Result<OwnedFd, Errno> {
        file_of(self.memory(), name)
    }

    /// Reads one of its small files.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        super::read_all(&file_of(&self.directory, name)?, FACTS)
    }

    /// Its command line.
    ///
    /// # Errors
    /// The kernel's.
    pub fn arguments(&self) -> Result<Vec<u8>, Errno> {
        super::read_all(&self.memory_file("cmdline")?, FACTS)
    }

    fn memory(&self) -> &OwnedFd {
        self.thread.as_ref().unwrap_or(&self.directory)
    }

    /// Its numbers.
    ///
    /// # Errors
    /// The kernel's; `EPROTO` when stat is not as `proc_pid_stat(5)` says.
    pub fn numbers(&self) -> Result<ProcessNumbers, Errno> {
        let numbers = parse_stat(self.pid, &self.read("stat")?).ok_or(Errno::PROTO)?;
        let Some(thread) = self.thread.as_ref().filter(|_| numbers.lives_on) else {
            return Ok(numbers);
        };
        let stat = super::read_all(&file_of(thread, "stat")?, FACTS)?;
        let shown = parse_stat(self.pid, &stat).ok_or(Errno::PROTO)?;
        Ok(ProcessNumbers {
            environ: shown.environ,
            without_memory: shown.without_memory,
            ..numbers
        })
    }

    /// The program that it runs at this moment. What cannot be read is left out.
    #[must_use]
    pub fn program(&self) -> RunningProgram {
        let exe = self.link("exe").map(|exe| {
            // The kernel says so when the file was replaced, by an update for example.
            let kept = exe.strip_suffix(b" (deleted)").map(<[u8]>::to_vec);
            kept.unwrap_or(exe)
        });
        let interprets = exe.as_deref().is_some_and(|exe| interpreter(exe).is_some());
        let from = interprets.then(|| self.link("cwd")).flatten();
        RunningProgram { exe, from }
    }

    /// What runs, as whom, in which unit and container. `arguments` are its captured command line.
    /// What cannot be read is left out.
    #[must_use]
    pub fn facts(&self, root: &Root, program: RunningProgram, arguments: &[u8]) -> ProcessFacts {
        let status = self.read("status").unwrap_or_default();
        let uid = effective_uid(&status).or_else(|| {
            let owner = rustix::fs::fstat(&self.directory).ok()?;
            Some(owner.st_uid)
        });
        let script = program.script(arguments);
        let group = container::of_cgroup(&self.read("cgroup").unwrap_or_default());
        let container = runtime::of_group(root, &group);
        ProcessFacts {
            uid: uid.unwrap_or(u32::MAX),
            exe: program.exe,
            script,
            unit: group.unit,
            user_unit: group.user_unit,
            container,
            cgroup: Some(group.path).filter(|path| path.len() > 1),
        }
    }

    pub(super) fn link(&self, name: &str) -> Option<Vec<u8>> {
        let target = rustix::fs::readlinkat(self.memory(), name, Vec::new()).ok()?;
        Some(target.into_bytes())
    }
}

impl RunningProgram {
    /// Its executable.
    #[must_use]
    pub fn exe(&self) -> Option<&[u8]> {
        self.exe.as_deref()
    }

    /// The script that it runs, where it is an interpreter.
    #[must_use]
    pub fn script(&self, arguments: &[u8]) -> Option<Vec<u8>> {
        let script = script_of(self.exe.as_deref()?, arguments)?;
        let script = Path::new(OsStr::from_bytes(script));
        let whole = if script.is_absolute() {
            script.to_owned()
        } else {
            let from = self.from.as_deref()?;
            Path::new(OsStr::from_bytes(from)).join(script)
        };
        Some(whole.into_os_string().into_encoded_bytes())
    }
}

fn file_of(directory: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty())
}

fn parse_stat(pid: i32, stat: &[u8]) -> Option<ProcessNumbers> {
    // comm is in parentheses and may itself hold blanks and parentheses: the last one counts.
    let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    // Fields are numbered from 1 in proc_pid_stat(5); the first one after comm is 3, state.
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
    let state = *fields.first()?;
    let environ = match (field(50), field(51)) {
        (Some(start), Some(end)) if start != 0 && end >= start => Some(end - start),
        _ => None,
    };
    // Field 20 counts threads: a process whose first one has ended shows that one's state.
    let lives_on = state == "Z" && field(20) > Some(1);
    Some(ProcessNumbers {
        instance: ProcessInstance {
            pid,
            started: field(22)?,
        },
        environ,
        // Field 23 is the size of virtual memory: none for kernel threads and zombies.
        image: field(50).unwrap_or(0),
        without_memory: !lives_on && (matches!(state, "Z" | "X") || field(23) == Some(0)),
        lives_on,
    })
}

pub(super) fn effective_uid(status: &[u8]) -> Option<u32> {
    let line = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:"))?;
    let text = std::str::from_utf8(line).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The name of the interpreter that `exe` is, without its version.
fn interpreter(exe: &[u8]) -> Option<&[u8]> {
    let name = exe.rsplit(|&byte| byte == b'/').next()?;
    let versionless = name
        .iter()
        .rposition(|byte| !(byte.is_ascii_digit() || *byte == b'.'))
        .map_or(name, |last| &name[..=last]);
    let known: [&[u8]; 17] = [
        b"java", b"python", b"node", b"nodejs", b"perl", b"ruby", b"php", b"php-cgi", b"bash",
        b"sh", b"dash", b"zsh", b"ksh", b"busybox", b"lua", b"Rscript", b"deno",
    ];
    known.contains(&versionless).then_some(versionless)
}

/// The script among an interpreter's arguments: the first that is no option. Code given by `-c` or
/// `-e` and modules have no script.
fn script_of<'a>(exe: &[u8], arguments: &'a [u8]) -> Option<&'a [u8]> {
    let java = interpreter(exe)? == b"java";
    let mut rest = arguments.split(|&byte| byte == 0).skip(1);
    while let Some(argument) = rest.next() {
        match argument {
            b"-jar" if java => return rest.next().filter(|jar| !jar.is_empty()),
            b"-cp" | b"-classpath" | b"--class-path" if java => drop(rest.next()),
            b"-c" | b"-e" | b"-m" | b"--eval" | b"-r" | b"" => return None,
            option if option.starts_with(b"-") => {}
            // A main class is no file, but it is what starts again.
            script => return Some(script),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_script(arguments: &str, expected: Option<&str>) {
        let arguments = arguments.replace(' ', "\0");
        let exe = arguments.split('\0').next().unwrap();
        let found = script_of(exe.as_bytes(), arguments.as_bytes());
        assert_eq!(found, expected.map(str::as_bytes), "{arguments:?}");
    }

    #[test]
    fn an_interpreters_script_is_found() {
        check_script(
            "/usr/bin/python3.11 -u /srv/app.py --port 80",
            Some("/srv/app.py"),
        );
        check_script("/usr/bin/python3 -m http.server", None);
        check_script("/bin/bash -c true", None);
        check_script("/usr/bin/java -Xmx1g -jar app.jar x", Some("app.jar"));
        check_script(
            "/usr/bin/java -cp a:b com.example.Main",
            Some("com.example.Main"),
        );
        check_script("/usr/sbin/nginx -g daemon", None);
        check_script("/usr/bin/node server.js", Some("server.js"));
    }

    #[test]
    fn stat_is_read_past_a_hostile_name() {
        let mut fields = vec!["S".to_owned()];
        fields.extend((4..=52).map(|number: u32| number.to_string()));
        let stat = format!("7 (a) b) 1 2) {}", fields.join(" "));
        let numbers = parse_stat(7, stat.as_bytes()).unwrap();
        assert_eq!(numbers.instance.started, 22);
        assert_eq!(numbers.environ, Some(1));
        assert!(!numbers.without_memory);
        assert_eq!(parse_stat(7, b"7 (x"), None);
    }

    #[test]
    fn this_process_knows_itself() {
        let root = Root::live().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let process = ProcessDirectory::open(&root, pid).unwrap();
        let numbers = process.numbers().unwrap();
        assert!(numbers.environ.is_some() && !numbers.without_memory);
        let facts = process.facts(&root, process.program(), b"");
        assert_eq!(facts.uid, nix::unistd::geteuid().as_raw());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(facts.exe.as_deref(), Some(exe.as_os_str().as_bytes()));
        assert!(ProcessDirectory::pids(&root).unwrap().contains(&pid));
    }

    #[test]
    fn what_ended_while_it_was_captured_is_still_the_program_that_it_was() {
        let root = Root::live().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = ProcessDirectory::open(&root, pid).unwrap();
        let program = process.program();
        child.kill().unwrap();
        while !process.numbers().unwrap().without_memory {
            std::thread::yield_now();
        }
        let facts = process.facts(&root, program, b"sleep\x00600\x00");
        assert!(facts.exe.is_some_and(|exe| exe.ends_with(b"/sleep")));
        assert_eq!(process.program(), RunningProgram::default());
        child.wait().unwrap();
    }
}
