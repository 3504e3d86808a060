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

const PATIENCE: Duration = Duration::from_secs(60);

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
        let supervisor = Command::new(env!("CARGO_BIN_EXE_akwatch-agent"))
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
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
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
    Identity::found(&identity, &record, &pending, &certificate, &authorities).unwrap();
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let key = serde_json::to_vec(&FleetKey::new(Epoch::parse("1").unwrap(), &key)).unwrap();
    write(&watcher.join(FLEET_KEY_FILE), &key, 0o600).unwrap();
    write_record(&watcher, &record).unwrap();
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
        return; // only root may look at what undumpable processes have open
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
        return; // an ordinary user's roles share one user, and the coverage says so
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
