//! The process sensor's sweep: every live process once, and at once when one of interest ends.
//!
//! A sweep reads `/proc/PID/stat` and nothing else; captures are taken by `open`. An instance is
//! named when it is new, and again when it has executed another program, which a pid and a start time
//! do not show. A sweep is complete or it is not said: what is *gone* because it ended rests on it.
//! What starts and ends between two sweeps is seen by the exec rung or not at all, and coverage says
//! which rung a host is on. What a sweep shows is one moment, at which all numbers are listed: a process
//! that hands over to another one and ends while the sweep is under way still counts in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use akwatch_ledger::reading::ProcessInstance;
use akwatch_proto::time::Time;
use crossbeam_channel::Sender;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::measured::Measured;
use super::{Sensed, Status, Stop, Sweep, Woken};
use crate::job::{Target, TargetPlace, Urgency};

/// Time between two sweeps of a small host.
const EVERY: Duration = Duration::from_secs(5);

/// Additional time for each process, so that sweeping (about 17 µs a process) stays at 0.1 % of a
/// core.
const EVERY_PER_PROCESS: Duration = Duration::from_millis(17);

/// The shortest time between two sweeps, however many processes of interest end.
const SHORTEST: Duration = Duration::from_millis(20);

/// Processes that are waited for. Stops: a descriptor for each of a fork bomb's children. Those
/// beyond it are seen to have ended by the next sweep.
const WAITED_FOR: usize = 512;

/// Bytes of one stat line: 52 numbers of 20 digits and a name of 64 characters at most.
const STAT: usize = 2048;

/// How often a sweep is begun anew when pids wrapped meanwhile.
const ATTEMPTS: usize = 4;

/// `PF_KTHREAD` of the kernel: no program, no environment.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What the watcher tells the process sensors while they run, and what they measure.
#[derive(Clone, Debug)]
pub struct Interest(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wake: EventFd,
    wanted: Mutex<Wanted>,
    measured: Measured,
    paused: AtomicBool,
}

#[derive(Debug, Default)]
struct Wanted {
    holders: BTreeSet<ProcessInstance>,
    own: BTreeSet<i32>,
    sweep_now: bool,
}

impl Interest {
    /// No interest yet.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new() -> nix::Result<Interest> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Interest(Arc::new(Shared {
            wake,
            wanted: Mutex::default(),
            measured: Measured::default(),
            paused: AtomicBool::new(false),
        })))
    }

    /// These instances hold findings: their end is to be seen at once.
    pub fn wait_for(&self, holders: BTreeSet<ProcessInstance>) {
        self.change(|wanted| wanted.holders = holders);
    }

    /// These are the agent's own processes, which are not looked at.
    pub fn leave_out(&self, own: BTreeSet<i32>) {
        self.change(|wanted| wanted.own = own);
    }

    /// Whether a process is the agent's own.
    #[must_use]
    pub fn is_own(&self, pid: i32) -> bool {
        let wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.own.contains(&pid)
    }

    /// Whether nothing is to be captured.
    pub fn pause(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether nothing is to be captured.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Relaxed)
    }

    /// A sweep is wanted now.
    pub fn sweep(&self) {
        self.change(|wanted| wanted.sweep_now = true);
    }

    /// Whether one of these instances holds findings.
    fn any_holds(&self, instances: &[ProcessInstance]) -> bool {
        let wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        instances.iter().any(|one| wanted.holders.contains(one))
    }

    /// How fast the sensors are and what they cost.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.0.measured
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.0.wake.write(1); // fails only when it is pending 2^64 times
    }
}

/// What `/proc/PID/stat` says of a process, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    started: u64,
    image: Image,
}

/// What a look at one process shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// It lives.
    Lives(Stat),
    /// It has ended; its start is known while nobody has waited for it.
    Over(Option<u64>),
    /// It is none: a kernel thread, or nothing that can be read.
    Nothing,
}

/// What a sweep saw.
#[derive(Debug, Default)]
struct Seen {
    lives: HashMap<i32, Stat>,
    /// Those that were listed and had ended when their turn came.
    over: BTreeMap<i32, Option<u64>>,
    /// Whether some may be hidden.
    hidden: bool,
}

/// Changes with every exec: where the program's arguments and environment lie (random for each
/// exec), and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    arguments: u64,
    environment: u64,
    comm: u64,
}

/// The sensor.
pub struct Processes {
    proc: PathBuf,
    interest: Interest,
    known: HashMap<i32, Stat>,
    /// Those that had ended at the last sweep and that nobody has waited for.
    zombies: HashSet<ProcessInstance>,
    /// Whether something of interest ended while the last sweep was under way: the next one tells.
    again: bool,
    waited_for: BTreeMap<ProcessInstance, Option<OwnedFd>>,
    begins: Status,
    /// Time between two sweeps of a small host.
    every: Duration,
    out: Sender<Sensed>,
    stop: Stop,
}

impl Processes {
    /// A sensor over /proc; `begins` says how processes are watched from now on, by all sensors.
    #[must_use]
    pub fn new(interest: Interest, begins: Status, out: Sender<Sensed>, stop: Stop) -> Processes {
        Processes {
            proc: PathBuf::from("/proc"),
            interest,
            known: HashMap::new(),
            zombies: HashSet::new(),
            again: false,
            waited_for: BTreeMap::new(),
            begins,
            every: EVERY,
            out,
            stop,
        }
    }

    /// Sweeps until told to stop.
    pub fn run(mut self) {
        let begins = std::mem::take(&mut self.begins);
        if self.out.send(Sensed::Status(begins)).is_err() {
            return;
        }
        let (mut due, mut last) = (Instant::now(), None::<Instant>);
        loop {
            let now = Instant::now();
            if now >= due {
                let before = used();
                if !self.sweep() {
                    return;
                }
                let cpu = used().saturating_sub(before);
                self.interest.measured().swept(self.known.len(), cpu);
                last = Some(Instant::now());
                due = Instant::now() + if self.again { SHORTEST } else { self.pace() };
            }
            let limit = due.saturating_duration_since(Instant::now());
            let mut fds = vec![self.interest.0.wake.as_fd()];
            fds.extend(self.waited_for.values().flatten().map(AsFd::as_fd));
            match self.stop.wait_any(&fds, Some(limit)) {
                Woken::Stop => return,
                Woken::Ready if self.is_due_at_once() => {
                    due = last.map_or_else(Instant::now, |last| last + SHORTEST);
                }
                Woken::Ready | Woken::Told | Woken::Limit => {}
            }
        }
    }

    fn pace(&self) -> Duration {
        let processes = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.every.max(EVERY_PER_PROCESS.saturating_mul(processes))
    }

    /// Takes over what the watcher wants; whether that, or an end, calls for a sweep.
    fn is_due_at_once(&mut self) -> bool {
        let _ = self.interest.0.wake.read(); // empties it; EAGAIN when a process ended instead
        let (holders, asked) = {
            let mut wanted = self
                .interest
                .0
                .wanted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            (
                wanted.holders.clone(),
                std::mem::take(&mut wanted.sweep_now),
            )
        };
        let mut ended = asked;
        self.waited_for.retain(|instance, fd| {
            let over = fd.as_ref().is_some_and(|fd| {
                self.stop.wait(Some(fd.as_fd()), Some(Duration::ZERO)) == Woken::Ready
            });
            ended |= over;
            !over && holders.contains(instance)
        });
        for instance in holders {
            if self.waited_for.len() >= WAITED_FOR {
                break;
            }
            if !self.waited_for.contains_key(&instance) {
                match self.open(instance) {
                    Ok(fd) => {
                        self.waited_for.insert(instance, fd);
                    }
                    Err(Ended) => ended = true,
                }
            }
        }
        ended
    }

    /// A descriptor for the end of an instance; none where the kernel (before 5.3) has no such.
    fn open(&self, instance: ProcessInstance) -> Result<Option<OwnedFd>, Ended> {
        let pid = Pid::from_raw(instance.pid).ok_or(Ended)?;
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH) => return Err(Ended),
            Err(_) => None,
        };
        // The pid may have been given to another process before it was opened.
        match self.stat(instance.pid) {
            Ok(Looked::Lives(stat)) if stat.started == instance.started => Ok(fd),
            _ => Err(Ended),
        }
    }

    /// Looks at every process; false when nobody listens any more.
    fn sweep(&mut self) -> bool {
        for _ in 0..ATTEMPTS {
            let (before, at, began) = (self.last_pid(), super::now(), ticks());
            let Some(seen) = self.look() else {
                return true;
            };
            if self.last_pid() < before {
                continue; // pids wrapped: a child may have got a number that was passed already
            }
            return self.tell(seen, at, began);
        }
        true
    }

    /// Every process; none when that cannot be said.
    fn look(&self) -> Option<Seen> {
        let own = {
            let wanted = self
                .interest
                .0
                .wanted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            wanted.own.clone()
        };
        // All numbers first, as close to one moment as the kernel gives them.
        let mut listed = Vec::with_capacity(self.known.len() + 16);
        for entry in std::fs::read_dir(&self.proc).ok()? {
            let name = entry.ok()?.file_name();
            listed.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
        }
        // Every pid namespace has a first process; where it is not shown, others are not either.
        let mut seen = Seen {
            lives: HashMap::with_capacity(listed.len()),
            hidden: !listed.contains(&1),
            ..Seen::default()
        };
        for pid in listed.into_iter().filter(|pid| !own.contains(pid)) {
            match self.stat(pid) {
                Ok(Looked::Lives(stat)) => {
                    seen.lives.insert(pid, stat);
                }
                Ok(Looked::Over(started)) => {
                    seen.over.insert(pid, started);
                }
                Ok(Looked::Nothing) => {}
                Err(why) if why.kind() == std::io::ErrorKind::PermissionDenied => {
                    seen.hidden = true;
                }
                Err(_) => return None, // too many open files, say: this is not a process's end
            }
        }
        Some(seen)
    }

    fn tell(&mut self, seen: Seen, at: Time, began: u64) -> bool {
        let instance = |pid: &i32, started: u64| ProcessInstance { pid: *pid, started };
        let lives = seen.lives.iter();
        let mut alive: Vec<_> = lives
            .map(|(pid, stat)| instance(pid, stat.started))
            .collect();
        let (mut ended, mut zombies) = (Vec::new(), HashSet::new());
        let mut just_over = Vec::new();
        for (pid, started) in &seen.over {
            let known = self.known.get(pid).map(|stat| instance(pid, stat.started));
            match started.map(|started| instance(pid, started)) {
                Some(zombie) => {
                    zombies.insert(zombie);
                    just_over.extend((!self.zombies.contains(&zombie)).then_some(zombie));
                }
                None if known.is_some() => just_over.extend(known),
                None => ended.push(*pid),
            }
        }
        self.again = self.interest.any_holds(&just_over);
        alive.append(&mut just_over);
        let new: Vec<Target> = seen
            .lives
            .iter()
            .filter(|(pid, stat)| self.known.get(pid) != Some(stat))
            .map(|(pid, stat)| Target {
                what: TargetPlace::Process(instance(pid, stat.started)),
                urgency: Urgency::Live,
            })
            .collect();
        (self.known, self.zombies) = (seen.lives, zombies);
        let hidden = seen.hidden;
        let sweep = Sweep {
            at,
            began,
            alive,
            ended,
            hidden,
        };
        (new.is_empty() || self.out.send(Sensed::Targets(new)).is_ok())
            && self.out.send(Sensed::Swept(sweep)).is_ok()
    }

    /// A look at one process. Only the kernel's own word counts as an end.
    fn stat(&self, pid: i32) -> std::io::Result<Looked> {
        let mut line = [0; STAT];
        let path = self.proc.join(pid.to_string()).join("stat");
        let read = File::open(path).and_then(|mut file| file.read(&mut line));
        let ended = [Errno::NOENT, Errno::SRCH].map(|errno| Some(errno.raw_os_error()));
        match read {
            Ok(length) => Ok(parse(&line[..length])),
            Err(why) if ended.contains(&why.raw_os_error()) => Ok(Looked::Over(None)),
            Err(why) => Err(why),
        }
    }

    /// The pid given last, from `/proc/loadavg`.
    fn last_pid(&self) -> u64 {
        let text = std::fs::read_to_string(self.proc.join("loadavg")).unwrap_or_default();
        text.split_whitespace()
            .last()
            .and_then(|last| last.parse().ok())
            .unwrap_or(0)
    }
}

/// CPU time of this thread so far.
fn used() -> Duration {
    let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// This moment in clock ticks since boot, suspended time included, as the kernel counts when processes
/// were started: `starttime` of proc_pid_stat(5).
fn ticks() -> u64 {
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let second = second
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100);
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    let rest = u64::from(boot.subsec_nanos()) * second / 1_000_000_000;
    boot.as_secs() * second + rest
}

/// The agent's own processes: this one, its parent where that is the agent too, and their other
/// children that run the same program. A role that this process may not look at is left to the
/// kernel's own refusal.
#[must_use]
pub fn own_processes() -> BTreeSet<i32> {
    let myself = nix::unistd::getpid().as_raw();
    let parent = nix::unistd::getppid().as_raw();
    let name = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let called = name(myself);
    let program = |pid: i32| {
        // By its name first, which the kernel knows: a program of another name may lie where a server
        // never answers.
        if name(pid) != called {
            return None;
        }
        let meta = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    let mut own = BTreeSet::from([myself]);
    let Some(mine) = program(myself) else {
        return own;
    };
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    own.extend(pids.filter(|pid| {
        (*pid == parent || parent_of(*pid) == Some(parent)) && program(*pid) == Some(mine)
    }));
    own
}

fn parent_of(pid: i32) -> Option<i32> {
    let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(close + 2..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The instance is no longer there.
struct Ended;

/// Reads a stat line.
fn parse(line: &[u8]) -> Looked {
    parse_fields(line).unwrap_or(Looked::Nothing)
}

/// The name stands in parentheses and may itself hold any byte, so it ends at the last one.
fn parse_fields(line: &[u8]) -> Option<Looked> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let comm = line.get(open + 1..close)?;
    let rest = std::str::from_utf8(line.get(close + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and this list begins with field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    if number(9)? & KERNEL_THREAD != 0 {
        return Some(Looked::Nothing);
    }
    // A process whose first thread has ended goes on while others live, with the memory of all.
    let lives_on = number(20) > Some(1);
    if matches!(*fields.first()?, "Z" | "X" | "x") && !lives_on {
        return Some(Looked::Over(number(22)));
    }
    let image = Image {
        arguments: number(48).unwrap_or(0),
        environment: number(50).unwrap_or(0),
        comm: comm.iter().fold(0, |hash: u64, byte| {
            hash.wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(u64::from(*byte) + 1)
        }),
    };
    Some(Looked::Lives(Stat {
        started: number(22)?,
        image,
    }))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use crossbeam_channel::{Receiver, unbounded};
    use proptest::prelude::*;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(180);

    fn live(line: &[u8]) -> Stat {
        match parse(line) {
            Looked::Lives(stat) => stat,
            other => panic!("{other:?}"),
        }
    }

    struct Sensor {
        said: Receiver<Sensed>,
        interest: Interest,
        stop: Stop,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Sensor {
        fn new() -> Sensor {
            Sensor::sweeping(EVERY)
        }

        fn sweeping(every: Duration) -> Sensor {
            let (out, said) = unbounded();
            let (stop, interest) = (Stop::new().unwrap(), Interest::new().unwrap());
            let mut sensor = Processes::new(interest.clone(), Status::default(), out, stop.clone());
            sensor.every = every;
            let thread = Some(std::thread::spawn(move || sensor.run()));
            Sensor {
                said,
                interest,
                stop,
                thread,
            }
        }

        /// The next sweep and what was named before it.
        fn sweep(&self) -> (BTreeSet<i32>, BTreeSet<i32>) {
            let mut named = BTreeSet::new();
            loop {
                match self.said.recv_timeout(DEADLINE).unwrap() {
                    Sensed::Targets(targets) => named.extend(targets.iter().map(|target| {
                        let TargetPlace::Process(instance) = &target.what else {
                            panic!("a file")
                        };
                        instance.pid
                    })),
                    Sensed::Swept(sweep) => {
                        return (named, sweep.alive.iter().map(|one| one.pid).collect());
                    }
                    _ => {}
                }
            }
        }
    }

    impl Drop for Sensor {
        fn drop(&mut self) {
            self.stop.ask();
            if let Some(thread) = self.thread.take() {
                thread.join().unwrap();
            }
        }
    }

    /// Lives until its standard input is closed.
    fn process() -> (Child, i32) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, pid)
    }

    #[test]
    fn a_process_is_named_once_and_not_again() {
        let (mut child, pid) = process();
        let sensor = Sensor::new();
        let (named, alive) = sensor.sweep();
        assert!(named.contains(&pid) && alive.contains(&pid));
        sensor.interest.sweep();
        let (named, alive) = sensor.sweep();
        assert!(!named.contains(&pid) && alive.contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        sensor.interest.sweep();
        assert!(!sensor.sweep().1.contains(&pid));
    }

    #[test]
    fn the_end_of_a_process_of_interest_is_seen_at_once() {
        let (mut child, pid) = process();
        // No sweep but the first one comes by itself.
        let sensor = Sensor::sweeping(10 * DEADLINE);
        let (_, alive) = sensor.sweep();
        assert!(alive.contains(&pid));
        let line = std::fs::read(format!("/proc/{pid}/stat")).unwrap();
        let instance = ProcessInstance {
            pid,
            started: live(&line).started,
        };
        sensor.interest.wait_for([instance].into());
        child.kill().unwrap();
        // Not waited for: a process that has ended is gone although its parent has not looked.
        while sensor.sweep().1.contains(&pid) {}
        child.wait().unwrap();
    }

    #[test]
    fn another_program_in_the_same_process_is_named_again() {
        let mut child = Command::new("sh")
            .args(["-c", "read line; exec cat"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let sensor = Sensor::new();
        assert!(sensor.sweep().0.contains(&pid));
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
        let until = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < until, "never named again");
            sensor.interest.sweep();
            if sensor.sweep().0.contains(&pid) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_agents_own_processes_are_left_out() {
        let (mut child, pid) = process();
        let sensor = Sensor::new();
        let _ = sensor.sweep();
        sensor.interest.leave_out([pid].into());
        sensor.interest.sweep();
        assert!(!sensor.sweep().1.contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a sweep over a made-up /proc says: how many live and whether others may be hidden.
    fn check_look(processes: &[i32], broken: Option<i32>) -> Option<(usize, bool)> {
        let proc = tempfile::tempdir().unwrap();
        for pid in processes {
            let directory = proc.path().join(pid.to_string());
            std::fs::create_dir(&directory).unwrap();
            let numbers = "1 1 1 0 -1 4194304 ".to_owned() + &"0 ".repeat(43);
            std::fs::write(directory.join("stat"), format!("{pid} (sh) S {numbers}")).unwrap();
        }
        if let Some(pid) = broken {
            let directory = proc.path().join(pid.to_string());
            std::fs::create_dir_all(directory.join("stat")).unwrap();
        }
        let (out, _said) = unbounded();
        let (stop, interest) = (Stop::new().unwrap(), Interest::new().unwrap());
        let mut sensor = Processes::new(interest, Status::default(), out, stop);
        sensor.proc = proc.path().to_owned();
        sensor.look().map(|seen| (seen.lives.len(), seen.hidden))
    }

    /// A service starts its successor and ends: a sweep that listed the one and not yet the other must
    /// not say that nobody is left.
    #[test]
    fn what_ends_after_it_was_listed_lived_when_the_sweep_began() {
        let proc = tempfile::tempdir().unwrap();
        let write = |pid: i32, state: &str| {
            let directory = proc.path().join(pid.to_string());
            std::fs::create_dir_all(&directory).unwrap();
            let numbers = "1 1 1 0 -1 4194304 ".to_owned() + &"0 ".repeat(43);
            let line = format!("{pid} (sh) {state} {numbers}");
            std::fs::write(directory.join("stat"), line).unwrap();
        };
        let (out, said) = unbounded();
        let (stop, interest) = (Stop::new().unwrap(), Interest::new().unwrap());
        let mut sensor = Processes::new(interest.clone(), Status::default(), out, stop);
        sensor.proc = proc.path().to_owned();
        interest.wait_for([ProcessInstance { pid: 7, started: 0 }].into());
        let mut sweep = || {
            let seen = sensor.look().unwrap();
            assert!(sensor.tell(seen, Time(1), 1));
            let swept = said.try_iter().find_map(|sensed| match sensed {
                Sensed::Swept(sweep) => Some(sweep),
                _ => None,
            });
            let swept = swept.unwrap();
            let alive: BTreeSet<i32> = swept.alive.iter().map(|one| one.pid).collect();
            (alive, swept.ended, sensor.again)
        };
        write(1, "S");
        write(7, "S");
        assert_eq!(sweep(), ([1, 7].into(), vec![], false));
        // 7 has ended since it was listed; 8 was never seen before; 9 waits to be waited for.
        std::fs::remove_file(proc.path().join("7/stat")).unwrap();
        std::fs::create_dir(proc.path().join("8")).unwrap();
        write(9, "Z");
        assert_eq!(sweep(), ([1, 7, 9].into(), vec![8], true));
        for pid in ["7", "8"] {
            std::fs::remove_dir(proc.path().join(pid)).unwrap();
        }
        assert_eq!(sweep(), ([1].into(), vec![], false), "9 was over before");
    }

    #[test]
    fn a_sweep_knows_what_it_cannot_see() {
        assert_eq!(check_look(&[1, 7], None), Some((2, false)));
        assert_eq!(check_look(&[7], None), Some((1, true)));
        // Neither an end nor a refusal: nothing can be said of any process.
        assert_eq!(check_look(&[1], Some(7)), None);
    }

    #[test]
    fn a_name_full_of_parentheses_does_not_move_the_fields() {
        let line = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (start, rest) = line.split_once('(').unwrap();
        let (_, rest) = rest.rsplit_once(')').unwrap();
        let plain = live(line.as_bytes());
        let hostile = live(format!("{start}(a) Z 1 (b){rest}").as_bytes());
        assert_eq!(plain.started, hostile.started);
        assert_ne!(plain.image.comm, hostile.image.comm);
    }

    #[test]
    fn kernel_threads_and_zombies_are_no_processes() {
        let numbers = "1 1 1 0 -1 2097152 ".to_owned() + &"0 ".repeat(43);
        let parse = |line: String| parse(line.as_bytes());
        assert_eq!(parse(format!("2 (kthreadd) S {numbers}")), Looked::Nothing);
        let numbers = "1 1 1 0 -1 4194304 ".to_owned() + &"0 ".repeat(43);
        assert_eq!(parse(format!("7 (sh) Z {numbers}")), Looked::Over(Some(0)));
        let live = parse(format!("7 (sh) S {numbers}"));
        assert!(matches!(live, Looked::Lives(_)));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }
    }
}
