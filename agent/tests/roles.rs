//! The four roles, looked at from outside: who each is, what it keeps, what it cannot do, and what
//! happens when one of them ends.
//!
//! The real program runs with a real supervisor; the collector that its identity names does not
//! exist, so the reporter waits for one for ever.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test, fixtures included"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use akwatch_agent::identity::{HostRecord, Identity, PendingKey, write, write_record};
use akwatch_agent::role::{FLEET_KEY_FILE, IDENTITY_DIRECTORY, Role, WATCHER_DIRECTORY};
use akwatch_proto::agent::{FleetKey, HostId, TrustDomain};
use akwatch_proto::credential::Epoch;
use akwatch_proto::time::Time;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    SanType,
};

#[path = "../../tests/src/skip.rs"]
mod skip;

use skip::skip;

const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `found` gives something; fails with what it last said.
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let (_never, tick) = crossbeam_channel::bounded::<()>(0);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        let _ = tick.recv_timeout(Duration::from_millis(20));
    }
}

/// A running agent on directories of its own.
struct Agent {
    supervisor: Child,
    directory: tempfile::TempDir,
}

impl Agent {
    fn start() -> Agent {
        Agent::start_with(|_| Command::new(env!("CARGO_BIN_EXE_akwatch-agent")))
    }

    /// As `start`, by a command that is given the agent's directory.
    fn start_with(program: impl FnOnce(&Path) -> Command) -> Agent {
        let directory = tempfile::tempdir().unwrap();
        enroll(&directory.path().join("state"));
        let watched = directory.path().join("watched");
        std::fs::create_dir(&watched).unwrap();
        let config = directory.path().join("agent.toml");
        let text = format!(
            "[collector]\nurls = [\"https://127.0.0.1:9\"]\n\
             [first_scan]\nenabled = false\n[watch]\ninclude = [\"{}/**\"]\n",
            watched.display()
        );
        std::fs::write(&config, text).unwrap();
        let supervisor = program(directory.path())
            .arg("run")
            .args(["--config".as_ref(), config.as_os_str()])
            .args([
                "--state".as_ref(),
                directory.path().join("state").as_os_str(),
            ])
            .args([
                "--runtime".as_ref(),
                directory.path().join("run").as_os_str(),
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Agent {
            supervisor,
            directory,
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.supervisor.id()).unwrap()
    }

    /// The roles that run and have raised their walls.
    fn confined(&self) -> BTreeMap<String, i32> {
        roles_of(self.pid())
            .into_iter()
            .filter(|&(_, pid)| field(pid, "Seccomp").as_deref() == Some("2"))
            .collect()
    }

    /// Waits until every role that this user can have is there.
    fn ready(&self) -> BTreeMap<String, i32> {
        let count = if root() { 4 } else { 3 };
        until("all roles behind their walls", || {
            let roles = self.confined();
            (roles.len() == count).then_some(roles)
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let roles = roles_of(self.pid());
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        // They end with it; until then they write into the directory that is removed next.
        let deadline = Instant::now() + PATIENCE;
        while roles.values().any(|&pid| lives(pid)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn root() -> bool {
    Uid::effective().is_root()
}

/// The children of a supervisor, by role.
fn roles_of(supervisor: i32) -> BTreeMap<String, i32> {
    let mut roles = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if field(pid, "PPid").as_deref() != Some(&*supervisor.to_string()) {
            continue;
        }
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|&byte| byte == 0);
        if words.nth(1) == Some(b"role")
            && let Some(role) = words.next()
        {
            roles.insert(String::from_utf8(role.to_vec()).unwrap(), pid);
        }
    }
    roles
}

/// A line of /proc/PID/status; `None` when there is no such process.
fn field(pid: i32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn lives(pid: i32) -> bool {
    field(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// Writes what `enroll` would have, from an authority that nobody else knows.
fn enroll(state: &Path) {
    let record = HostRecord {
        host: HostId::from_u128(7),
        trust_domain: TrustDomain::parse("roles.test").unwrap(),
        directive_keys: Vec::new(),
        heartbeat_seconds: 60,
        enrolled: Time(0),
    };
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authorities = authority.self_signed(&authority_key).unwrap().pem();
    let pending = PendingKey::make().unwrap();
    let request = CertificateSigningRequestParams::from_pem(&pending.csr).unwrap();
    let mut leaf = CertificateParams::default();
    let name = format!("spiffe://{}/host/{}", record.trust_domain, record.host);
    leaf.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = leaf.signed_by(&request.public_key, &issuer).unwrap().pem();
    let watcher = state.join(WATCHER_DIRECTORY);
    std::fs::create_dir_all(&watcher).unwrap();
    let identity = state.join(IDENTITY_DIRECTORY);
    Identity::found(
        &identity,
        &record,
        &pending,
        &certificate,
        &authorities,
        None,
    )
    .unwrap();
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let key = serde_json::to_vec(&FleetKey::new(Epoch::parse("1").unwrap(), &key)).unwrap();
    write(&watcher.join(FLEET_KEY_FILE), &key, 0o600).unwrap();
    write_record(&watcher, &record, None).unwrap();
}

/// The inodes of every network socket of a process's network namespace.
fn network_inodes(pid: i32) -> BTreeSet<String> {
    let mut inodes = BTreeSet::new();
    for table in [
        "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6",
        "packet",
    ] {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")) else {
            continue;
        };
        let column = if table == "packet" { 8 } else { 9 };
        let rows = text.lines().skip(1);
        inodes.extend(rows.filter_map(|row| row.split_whitespace().nth(column).map(String::from)));
    }
    inodes
}

/// What a process has open.
fn open_links(pid: i32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten();
    entries
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .collect()
}

/// Runs a command as another user; whether it succeeded.
fn as_user(uid: u32, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).uid(uid).gid(uid);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

#[test]
fn each_role_stands_behind_its_own_walls() {
    let agent = Agent::start();
    let roles = agent.ready();
    let mut users = BTreeSet::new();
    for (name, &pid) in &roles {
        assert_eq!(field(pid, "NoNewPrivs").unwrap(), "1", "{name}");
        assert_eq!(field(pid, "Seccomp").unwrap(), "2", "{name}");
        let uids = field(pid, "Uid").unwrap();
        let ids: BTreeSet<&str> = uids.split(' ').collect();
        assert_eq!(ids.len(), 1, "{name}: {uids}");
        users.insert(uids.split(' ').next().unwrap().to_owned());
        let held = field(pid, "CapEff").unwrap();
        let role = Role::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .unwrap();
        let allowed = [false, true].map(|net_admin| role.capabilities(net_admin).0);
        let held = u64::from_str_radix(&held, 16).unwrap();
        if root() {
            assert!(allowed.contains(&held), "{name}: {held:x}");
            for set in ["CapPrm", "CapInh", "CapBnd"] {
                let bits = u64::from_str_radix(&field(pid, set).unwrap(), 16).unwrap();
                assert!(allowed.contains(&bits), "{name} {set}: {bits:x}");
            }
            let memory = std::fs::metadata(format!("/proc/{pid}/mem")).unwrap();
            assert_eq!(memory.uid(), 0, "{name} can be dumped");
        } else {
            assert_eq!(held, 0, "{name}");
        }
        assert_eq!(field(pid, "CapAmb").unwrap(), "0000000000000000", "{name}");
    }
    if root() {
        assert_eq!(users.len(), 4, "{users:?}");
        assert!(!users.contains("0"));
    }
}

#[test]
fn only_the_reporter_has_the_network() {
    if !root() {
        return skip("only root may look at what undumpable processes have open");
    }
    let agent = Agent::start();
    let roles = agent.ready();
    let network = network_inodes(agent.pid());
    for (name, &pid) in roles.iter().filter(|(name, _)| *name != "reporter") {
        for link in open_links(pid) {
            let link = link.to_string_lossy().into_owned();
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            assert!(
                inode.is_none_or(|inode| !network.contains(inode)),
                "{name}: {link}"
            );
        }
    }
    // The detector has its link (twice, for the thread that watches it) and nothing else.
    for link in open_links(roles["detector"]) {
        let link = link.to_string_lossy().into_owned();
        assert!(
            link == "/dev/null" || link.starts_with("socket:["),
            "detector: {link}"
        );
    }
}

#[test]
fn no_role_can_reach_into_another() {
    if !root() {
        // The coverage says so.
        return skip("an ordinary user's roles share one user");
    }
    let agent = Agent::start();
    let roles = agent.ready();
    let uid = |name: &str| -> u32 {
        field(roles[name], "Uid")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    for from in roles.keys() {
        for (to, pid) in &roles {
            let (pid, user) = (pid.to_string(), uid(from));
            let memory = format!("/proc/{pid}/mem");
            let environment = format!("/proc/{pid}/environ");
            // Even its own user cannot: it is undumpable.
            assert!(
                !as_user(user, "dd", &[&format!("if={memory}"), "count=0"]),
                "{from} {to}"
            );
            assert!(!as_user(user, "cat", &[&environment]), "{from} {to}");
            if from != to {
                assert!(!as_user(user, "kill", &["-0", &pid]), "{from} signals {to}");
            }
        }
        let state = agent.directory.path().join("state");
        let key = state.join(WATCHER_DIRECTORY).join(FLEET_KEY_FILE);
        if from != "watcher" {
            assert!(
                !as_user(uid(from), "cat", &[key.to_str().unwrap()]),
                "{from} reads the key"
            );
        }
    }
}

/// Runs a line of shell as another user with some capabilities; whether it succeeded. None where
/// util-linux is too old, or not there.
fn with_capabilities(uid: u32, capabilities: &str, line: &str) -> Option<bool> {
    let mut command = Command::new("setpriv");
    let uid = uid.to_string();
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    for set in ["--inh-caps", "--ambient-caps"] {
        command.args([set, &format!("-all,{capabilities}")]);
    }
    command.args(["sh", "-c", line]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Some(command.status().ok()?.success())
}

/// What the capabilities of a role would let it do to the others, were its table of calls not there.
#[test]
fn capabilities_let_no_role_signal_another_or_write_its_memory() {
    if !root() {
        return skip("an ordinary user's roles have no capabilities");
    }
    let agent = Agent::start();
    let roles = agent.ready();
    let user = |name: &str| field(roles[name], "Uid").unwrap();
    let user = |name: &str| user(name).split(' ').next().unwrap().parse().unwrap();
    let held = [
        ("watcher", "+dac_read_search,+sys_ptrace"),
        ("marker", "+sys_admin"),
    ];
    for (from, capabilities) in held {
        let uid: u32 = user(from);
        // It does run with them: only they open what is root's alone, or name the host.
        let shows = match from {
            "watcher" => "cat /etc/shadow".to_owned(),
            _ => format!("hostname {}", nix::unistd::gethostname().unwrap().display()),
        };
        let Some(runs) = with_capabilities(uid, capabilities, &shows) else {
            return skip("it takes setpriv of util-linux 2.31");
        };
        assert!(runs, "{from}: the check is blind");
        for (to, pid) in roles.iter().filter(|(to, _)| *to != from) {
            let may = |line: &str| with_capabilities(uid, capabilities, line).unwrap();
            assert!(!may(&format!("kill -0 {pid}")), "{from} signals {to}");
            assert!(!may(&format!(": >> /proc/{pid}/mem")), "{from} writes {to}");
            let reads = may(&format!(": < /proc/{pid}/mem"));
            // As docs/threat-model.md says: who may read every environment may read memory.
            assert_eq!(reads, from == "watcher", "{from} reads {to}");
        }
    }
}

#[test]
fn a_detector_that_ends_comes_again_and_the_watcher_stays() {
    let agent = Agent::start();
    let before = agent.ready();
    kill(Pid::from_raw(before["detector"]), Signal::SIGKILL).unwrap();
    let after = until("another detector", || {
        let roles = agent.confined();
        let new = roles
            .get("detector")
            .is_some_and(|pid| *pid != before["detector"]);
        new.then_some(roles)
    });
    assert_eq!(after.get("watcher"), before.get("watcher"));
    assert_eq!(after.get("reporter"), before.get("reporter"));
}

#[test]
fn a_watcher_that_ends_comes_again_with_all_its_roles() {
    let agent = Agent::start();
    let before = agent.ready();
    // Past its first breath: an end within it is for whoever started the agent.
    kill(Pid::from_raw(before["watcher"]), Signal::SIGKILL).unwrap();
    until("four new roles", || {
        let roles = agent.confined();
        let all_new =
            roles.len() == before.len() && roles.iter().all(|(name, pid)| before[name] != *pid);
        all_new.then_some(())
    });
}

#[test]
fn asked_to_end_it_ends_every_role() {
    let mut agent = Agent::start();
    let roles = agent.ready();
    kill(Pid::from_raw(agent.pid()), Signal::SIGTERM).unwrap();
    let status = agent.supervisor.wait().unwrap();
    assert!(status.success(), "{status}");
    for (name, pid) in roles {
        assert!(!lives(pid), "{name} outlived the agent");
    }
}

#[test]
fn nothing_outlives_a_supervisor_that_is_killed() {
    let mut agent = Agent::start();
    let roles = agent.ready();
    agent.supervisor.kill().unwrap();
    agent.supervisor.wait().unwrap();
    until("the end of every role", || {
        roles.values().all(|&pid| !lives(pid)).then_some(())
    });
}

#[test]
fn a_second_agent_on_the_same_state_is_refused() {
    let agent = Agent::start();
    agent.ready();
    let directory = agent.directory.path();
    let second = Command::new(env!("CARGO_BIN_EXE_akwatch-agent"))
        .arg("run")
        .args([
            "--config".as_ref(),
            directory.join("agent.toml").as_os_str(),
        ])
        .args(["--state".as_ref(), directory.join("state").as_os_str()])
        .args(["--runtime".as_ref(), directory.join("run2").as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success());
    assert!(said.contains("another agent runs on"), "{said}");
}

/// Calls that a table lists and that this run need not make, with the reason and the roles. What is
/// neither made nor here is redundant.
const NOT_MADE_HERE: &[(&str, &[&str], &[&str])] = &[
    (
        "the C library, Rust's or an allocator makes them on another kernel, architecture or occasion",
        &["watcher", "marker", "detector", "reporter"],
        &[
            "brk",
            "clock_getres",
            "clock_gettime",
            "clock_nanosleep",
            "clone",
            "dup",
            "dup3",
            "exit",
            "fadvise64",
            "fstat",
            "futex",
            "getegid",
            "geteuid",
            "getgid",
            "getpid",
            "getppid",
            "getrandom",
            "getrusage",
            "gettid",
            "gettimeofday",
            "getuid",
            "lseek",
            "madvise",
            "mlock",
            "mmap",
            "mprotect",
            "mremap",
            "munlock",
            "munmap",
            "nanosleep",
            "newfstatat",
            "pipe2",
            "poll",
            "ppoll",
            "prctl",
            "pread64",
            "preadv",
            "preadv2",
            "prlimit64",
            "read",
            "readv",
            "rseq",
            "rt_sigaction",
            "rt_sigprocmask",
            "sched_getaffinity",
            "sched_yield",
            "set_robust_list",
            "sigaltstack",
            "statx",
            "uname",
            "write",
            "writev",
        ],
    ),
    (
        "the end of a process, a signal amid a call, a link that ends or is another kind of socket",
        &["watcher", "marker", "detector", "reporter"],
        &[
            "exit_group",
            "getsockname",
            "getsockopt",
            "recvfrom",
            "recvmsg",
            "restart_syscall",
            "rt_sigreturn",
            "shutdown",
            "tgkill",
        ],
    ),
    (
        "older names for opening, looking and listing, which other C libraries use",
        &["watcher", "marker", "reporter"],
        &[
            "access",
            "faccessat",
            "faccessat2",
            "fstatfs",
            "getcwd",
            "getdents64",
            "ioctl",
            "lstat",
            "open",
            "readlink",
            "readlinkat",
            "stat",
            "statfs",
            "sysinfo",
        ],
    ),
    (
        "a state directory is written by more ways than one run has occasion for",
        &["watcher", "reporter"],
        &[
            "chmod",
            "fallocate",
            "fchmod",
            "fchmodat",
            "fdatasync",
            "flock",
            "fsync",
            "ftruncate",
            "mkdir",
            "mkdirat",
            "pwrite64",
            "pwritev",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "umask",
            "unlink",
            "unlinkat",
            "utimensat",
        ],
    ),
    (
        "ways of waiting that the libraries choose from",
        &["watcher", "reporter"],
        &[
            "epoll_create1",
            "epoll_ctl",
            "epoll_pwait",
            "epoll_pwait2",
            "epoll_wait",
            "eventfd2",
            "signalfd4",
            "socketpair",
            "timerfd_create",
            "timerfd_settime",
        ],
    ),
    (
        "roles that are units of their own, the thread that hurries, a host without marks",
        &["watcher"],
        &[
            "getpriority",
            "inotify_rm_watch",
            "ioprio_set",
            "listen",
            "sched_getscheduler",
            "sched_setscheduler",
            "setpriority",
        ],
    ),
    (
        "what a scan reads on a calm host, behind everything else",
        &["detector"],
        &["ioprio_set", "sched_setscheduler"],
    ),
    (
        "a collector that answers, and names that have to be looked up: there is none here",
        &["reporter"],
        &[
            "bind",
            "getpeername",
            "recvmmsg",
            "sendmmsg",
            "sendto",
            "setsockopt",
        ],
    ),
];

/// The calls that each role makes behind its walls, by name, as strace writes them: one file for each
/// thread, each line with its moment.
fn calls_made(traces: &Path, roles: &BTreeMap<String, i32>) -> BTreeMap<String, BTreeSet<String>> {
    let mut lines: BTreeMap<i32, Vec<(f64, String)>> = BTreeMap::new();
    for entry in std::fs::read_dir(traces).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let thread = name.rsplit('.').next().unwrap().parse().unwrap();
        let text = std::fs::read(entry.path()).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let parsed = text.lines().filter_map(|line| {
            let (at, rest) = line.split_once(' ')?;
            Some((at.parse().ok()?, rest.to_owned()))
        });
        lines.insert(thread, parsed.collect());
    }
    let threads_of = |thread: i32| -> Vec<i32> {
        let made = lines.get(&thread).into_iter().flatten();
        let made =
            made.filter(|(_, line)| line.starts_with("clone(") && line.contains("CLONE_THREAD"));
        made.filter_map(|(_, line)| line.rsplit("= ").next()?.parse().ok())
            .collect()
    };
    let mut calls = BTreeMap::new();
    for (role, &pid) in roles {
        let confined = lines[&pid].iter().rev();
        let confined =
            confined.filter(|(_, line)| line.starts_with("seccomp(SECCOMP_SET_MODE_FILTER"));
        let begun = confined
            .map(|(at, _)| *at)
            .next()
            .expect("it confined itself");
        let (mut threads, mut next) = (vec![pid], 0);
        while let Some(&thread) = threads.get(next) {
            threads.extend(threads_of(thread));
            next += 1;
        }
        let all = threads
            .iter()
            .filter_map(|thread| lines.get(thread))
            .flatten();
        let later = all.filter(|(at, _)| *at > begun);
        let names = later
            .filter_map(|(_, line)| line.split_once('('))
            .map(|(name, _)| name);
        let names: BTreeSet<String> = names
            .filter(|name| !name.contains(' '))
            .map(String::from)
            .collect();
        calls.insert(role.clone(), names);
    }
    calls
}

/// Gives the agent some of everything that it does, and waits until it has done it.
fn occupy(agent: &Agent) {
    let directory = agent.directory.path();
    let watched = directory.join("watched");
    let key = |seed: u64| {
        let rules = akwatch_detect::RuleSet::builtin();
        let mut seed = akwatch_detect::sample::Seed(seed);
        let sample = akwatch_detect::sample::Sample::of(&rules, "tencent.access-key", &mut seed);
        let sample = sample.unwrap();
        format!(
            "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\n",
            sample.id, sample.secret
        )
    };
    let git = watched.join("repository/.git");
    std::fs::create_dir_all(git.join("refs/heads")).unwrap();
    std::fs::create_dir_all(git.join("objects/pack")).unwrap();
    std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    std::fs::write(watched.join("repository/.env"), key(1)).unwrap();
    std::fs::write(
        watched.join(".bash_history"),
        format!("export {}", key(2).replace('\n', " ")),
    )
    .unwrap();
    std::fs::create_dir(watched.join("before")).unwrap();
    std::fs::write(watched.join("before/a.env"), key(3)).unwrap();
    std::fs::rename(watched.join("before"), watched.join("after")).unwrap();
    std::os::unix::fs::symlink("after", watched.join("link")).unwrap();
    let mut environment = Command::new("sleep");
    environment
        .arg("600")
        .envs(key(4).lines().filter_map(|line| {
            line.split_once('=')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        }));
    let mut sleeping = environment.spawn().unwrap();
    let present = |wanted: u64| {
        until("everything to be found", || {
            let output = Command::new(env!("CARGO_BIN_EXE_akwatch-agent"))
                .args(["status", "--json", "--runtime"])
                .arg(directory.join("run"))
                .output()
                .unwrap();
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            (status["present"].as_u64()? >= wanted).then_some(status)
        })
    };
    present(4);
    std::fs::remove_file(watched.join("after/a.env")).unwrap();
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
    until("what was removed to be gone", || {
        let status = present(1);
        (status["gone"].as_u64()? >= 2).then_some(())
    });
}

#[test]
fn every_call_of_a_table_is_made_or_has_its_reason() {
    if !root() || Command::new("strace").arg("-V").output().is_err() {
        return skip("only root's agent has all roles, and only strace sees what they call");
    }
    let mut agent = Agent::start_with(|directory| {
        std::fs::create_dir(directory.join("traces")).unwrap();
        let mut strace = Command::new("strace");
        // The agent stays this process's child, and is looked at from beside.
        strace.args(["-D", "-f", "-ff", "-ttt", "-qq", "-s", "0", "-o"]);
        strace.arg(directory.join("traces/of"));
        strace.arg(env!("CARGO_BIN_EXE_akwatch-agent"));
        strace
    });
    let roles = agent.ready();
    occupy(&agent);
    assert_eq!(agent.confined(), roles, "a role ended");
    kill(Pid::from_raw(agent.pid()), Signal::SIGTERM).unwrap();
    agent.supervisor.wait().unwrap();
    let made = calls_made(&agent.directory.path().join("traces"), &roles);
    let mut redundant = Vec::new();
    for table in Role::ALL.map(Role::table) {
        for name in table.names() {
            let made = made.get(table.role).is_some_and(|made| made.contains(name));
            let excused = NOT_MADE_HERE
                .iter()
                .any(|(_, roles, calls)| roles.contains(&table.role) && calls.contains(&name));
            if !made && !excused {
                redundant.push(format!("{} {name}", table.role));
            }
        }
    }
    assert!(redundant.is_empty(), "{}", redundant.join(", "));
}
