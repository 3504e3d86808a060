//! Strict mode with the real program: programs wait for their capture, and nobody waits for an agent that
//! does not answer.
//!
//! What is held is a copy of the C library that only the programs of a test open, or a copy of the agent:
//! a fault of the agent's would hang nothing else on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test, fixtures included"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use akwatch_agent::control::{self, Status};
use akwatch_agent::gate::files_of_host;
use akwatch_agent::identity::{HostRecord, Identity, PendingKey, write, write_record};
use akwatch_agent::role::{FLEET_KEY_FILE, IDENTITY_DIRECTORY, WATCHER_DIRECTORY};
use akwatch_agent::sense::strict::Standing;
use akwatch_proto::agent::{FleetKey, HostId, TrustDomain};
use akwatch_proto::credential::Epoch;
use akwatch_proto::time::Time;
use akwatch_sys::fanotify::permission::PermissionGroup;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    SanType,
};

#[path = "../../tests/src/skip.rs"]
mod skip;

use skip::skip;

const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `found` gives something.
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Runs a program for which the host is calm, whoever else works on this machine: under pressure nobody
/// is held.
const CALMED: &str = "for file in /proc/pressure/*; do test ! -e $file || mount --bind $0 $file; done; \
                      exec \"$@\"";

/// What the kernel says of a host without pressure.
const CALM: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

/// A running agent that holds opens of a file of its own.
struct Agent {
    supervisor: Child,
    directory: tempfile::TempDir,
}

impl Agent {
    /// Holds at `file` in the agent's directory, which is a copy of `of`.
    fn at(file: &str, of: &Path) -> Option<Agent> {
        if PermissionGroup::new().is_err() {
            skip("only root may hold opens");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        enroll(&here.join("state"));
        let program = here.join("akwatch-agent");
        std::fs::copy(env!("CARGO_BIN_EXE_akwatch-agent"), &program).unwrap();
        let held = here.join(file);
        if held != program {
            std::fs::copy(of, &held).unwrap();
        }
        let text = format!(
            "[collector]\nurls = [\"https://127.0.0.1:9\"]\n[first_scan]\nenabled = false\n\
             [watch]\nexclude = [\"/**\"]\n[processes]\nstrict = true\nstrict_files = [\"{}\"]\n",
            held.display()
        );
        std::fs::write(here.join("agent.toml"), text).unwrap();
        let calm = here.join("calm");
        std::fs::write(&calm, CALM).unwrap();
        let supervisor = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-ec", CALMED])
            .args([&calm, &program])
            .arg("run")
            .args(["--config".as_ref(), here.join("agent.toml").as_os_str()])
            .args(["--state".as_ref(), here.join("state").as_os_str()])
            .args(["--runtime".as_ref(), here.join("run").as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Some(Agent {
            supervisor,
            directory,
        })
    }

    /// Holds at a copy of the host's C library.
    fn at_library() -> Option<Agent> {
        let files = files_of_host();
        if !files[0].ends_with("libc.so.6") {
            skip("this host has no shared C library");
            return None;
        }
        let agent = Agent::at("libc.so.6", &files[0])?;
        agent.on();
        Some(agent)
    }

    fn status(&self) -> Option<Status> {
        control::status(&self.directory.path().join("run")).ok()
    }

    fn standing(&self) -> Option<Standing> {
        self.status()?.strict
    }

    /// Waits until programs are held.
    fn on(&self) {
        until("strict mode on", || {
            self.standing()?.off.is_none().then_some(())
        });
    }

    /// Waits until it is off for this reason, and coverage says so.
    fn off(&self, why: &str) {
        until(why, || {
            let status = self.status()?;
            let processes = status.coverage.sources.iter();
            let mut processes = processes.filter(|source| source.source == "processes");
            let said = processes.any(|source| {
                !source.mechanism.starts_with("strict")
                    && source.not_read.iter().any(|not_read| not_read.why == why)
            });
            (said && status.strict?.off.as_deref() == Some(why)).then_some(())
        });
    }

    /// A program that opens the copied library.
    fn start(&self) -> Child {
        let mut command = Command::new("true");
        command.env("LD_LIBRARY_PATH", self.directory.path());
        command.spawn().unwrap()
    }

    fn role(&self, name: &str) -> i32 {
        let supervisor = i32::try_from(self.supervisor.id()).unwrap();
        let words = format!("role\0{name}\0");
        until(name, || {
            children(supervisor).into_iter().find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(&words)
            })
        })
    }

    fn gate(&self) -> i32 {
        let marker = self.role("marker");
        until("a gate", || children(marker).into_iter().next())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.supervisor.kill(); // its roles end with it, and the gate with the marker
        let _ = self.supervisor.wait();
    }
}

/// The children of a process that have not ended.
fn children(of: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = pid else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let mut words = rest.split_whitespace();
        let (state, parent) = (words.next(), words.next());
        if parent == Some(&*of.to_string()) && state != Some("Z") {
            children.push(pid);
        }
    }
    children
}

/// Waits until a program has ended well.
fn ends(child: &mut Child) {
    until("the end of a program", || child.try_wait().unwrap())
        .success()
        .then_some(())
        .unwrap();
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Writes what `enroll` would have, from an authority that nobody else knows.
fn enroll(state: &Path) {
    let record = HostRecord {
        host: HostId::from_u128(7),
        trust_domain: TrustDomain::parse("strict.test").unwrap(),
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

#[test]
fn programs_wait_at_what_lies_at_the_path_now_and_the_gate_can_do_nothing_else() {
    let Some(agent) = Agent::at_library() else {
        return;
    };
    let held = || agent.standing().map_or(0, |standing| standing.held);
    ends(&mut agent.start());
    until("a word on who was held", || (held() == 1).then_some(()));
    let gate = agent.gate();
    let status = std::fs::read_to_string(format!("/proc/{gate}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim().to_owned())
    };
    for set in ["CapEff:", "CapPrm:", "CapInh:"] {
        assert_eq!(field(set).as_deref(), Some("0000000000000000"), "{set}");
    }
    assert_eq!(field("Seccomp:").as_deref(), Some("2"));
    assert_eq!(field("Threads:").as_deref(), Some("1"));
    // Nobody but the gate has the group open: its end frees everybody.
    let groups = |pid: i32| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
        let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let marks = |text: String| text.lines().any(|line| line.contains("mask:10000 "));
        texts.filter(|text| marks(text.clone())).count()
    };
    assert_eq!(groups(gate), 1);
    assert_eq!(
        groups(agent.role("marker")) + groups(agent.role("watcher")),
        0
    );
    // A library that is replaced, as a package manager does.
    let library = agent.directory.path().join("libc.so.6");
    let newer = library.with_extension("new");
    std::fs::copy(&library, &newer).unwrap();
    std::fs::rename(&newer, &library).unwrap();
    until("another gate", || (agent.gate() != gate).then_some(()));
    until("programs held at the new library", || {
        ends(&mut agent.start());
        (held() > 1).then_some(())
    });
}

#[test]
fn programs_go_on_when_the_gate_is_stopped_and_it_is_said_why_strict_mode_is_off() {
    let Some(agent) = Agent::at_library() else {
        return;
    };
    signal(agent.gate(), Signal::SIGSTOP);
    ends(&mut agent.start());
    agent.off("strict-off-gate-killed");
    ends(&mut agent.start());
    assert!(
        children(agent.role("marker")).is_empty(),
        "it stays away for a while"
    );
}

#[test]
fn programs_go_on_when_the_gate_is_killed() {
    let Some(agent) = Agent::at_library() else {
        return;
    };
    let gate = agent.gate();
    signal(gate, Signal::SIGSTOP);
    let mut waiting: Vec<Child> = (0..8).map(|_| agent.start()).collect();
    let _ = kill(Pid::from_raw(gate), Signal::SIGKILL); // unless the kernel was first
    waiting.iter_mut().for_each(ends);
    agent.off("strict-off-gate-killed");
}

#[test]
fn programs_go_on_when_the_watcher_is_stopped() {
    let Some(agent) = Agent::at_library() else {
        return;
    };
    let (gate, watcher) = (agent.gate(), agent.role("watcher"));
    signal(watcher, Signal::SIGSTOP);
    let mut waiting: Vec<Child> = (0..8).map(|_| agent.start()).collect();
    waiting.iter_mut().for_each(ends);
    until("the end of the gate", || {
        let lives = children(agent.role("marker")).contains(&gate);
        (!lives).then_some(())
    });
    ends(&mut agent.start());
    signal(watcher, Signal::SIGCONT);
    agent.off("strict-off-overdue");
}

/// Every start of a role waits at the program's own file.
#[test]
fn the_agents_own_programs_do_not_wait_for_themselves() {
    let Some(agent) = Agent::at("akwatch-agent", &PathBuf::new()) else {
        return;
    };
    agent.on();
    for name in ["detector", "reporter", "marker", "watcher"] {
        let before = agent.role(name);
        signal(before, Signal::SIGKILL);
        until("a new one", || (agent.role(name) != before).then_some(()));
        let all = ["watcher", "detector", "reporter", "marker"];
        for other in all {
            agent.role(other);
        }
        until("an answer of the watcher", || agent.status().map(drop));
    }
    // A program that asks it is held as any other is.
    let asked = Command::new(agent.directory.path().join("akwatch-agent"))
        .args(["status", "--runtime"])
        .arg(agent.directory.path().join("run"))
        .stdout(Stdio::null())
        .status();
    assert!(asked.unwrap().success());
}
