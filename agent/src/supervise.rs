//! `akwatch-agent run` where there is no systemd to start the roles: a small parent that starts each
//! under its own user, links it to the watcher, and starts it again when it ends.
//!
//! It reads the configuration and nothing else; no finding, key or message passes through it. What it
//! starts cannot outlive it: each role asks for its own end when its parent ends, however that ends.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::io::IsTerminal as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akwatch_sys::capability::{self, Capabilities};
use akwatch_sys::launch::{Child, Launch, Voice, launch};
use akwatch_sys::link::Channel;
use akwatch_sys::{memory, process};
use anyhow::Context as _;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};

use crate::cli::TROUBLE;
use crate::config::Config;
use crate::role::users::Users;
use crate::role::walls::{needs_net_admin, proxy_variables};
use crate::role::{BEGIN, Begin, FromWatcher, Handover, Role, SUPERVISED, WATCHER_DIRECTORY};
use crate::{identity, link, log};

mod back_off;
pub mod state;

use back_off::BackOff;

/// How long a role may take to accept its first message.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the watcher may take to end when it is asked to.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long the others may take once it has ended and their links with it.
const FAREWELL: Duration = Duration::from_secs(3);
/// A watcher that fails within this time of the first start has something to say to whoever started
/// it, rather than to be started again.
const FIRST_BREATH: Duration = Duration::from_secs(5);

/// Runs the agent until it is asked to end.
///
/// # Errors
/// When it cannot begin: the configuration, the users, the state directory.
pub fn run(config: &Path, state: &Path, runtime: &Path) -> anyhow::Result<ExitCode> {
    crate::log::start();
    let plan = Plan::make(config, state, runtime)?;
    let mut supervisor = Supervisor::ready(plan)?;
    supervisor.start(Role::Watcher)?;
    supervisor.start_others();
    supervisor.serve()
}

/// What is started, as whom, with what.
struct Plan {
    arguments: Vec<CString>,
    config_file: PathBuf,
    config: Config,
    texts: Vec<(PathBuf, String)>,
    /// `None` for an ordinary user, whose roles share.
    users: Option<Users>,
    /// Whether the watcher needs `CAP_NET_ADMIN` on this kernel.
    net_admin: bool,
    state: state::State,
    state_directory: PathBuf,
}

impl Plan {
    fn make(config_file: &Path, state: &Path, runtime: &Path) -> anyhow::Result<Plan> {
        let texts = Config::texts(config_file)?;
        let config = Config::from_texts(&texts)?;
        let users = if Uid::effective().is_root() {
            Some(Users::for_root(&config)?)
        } else {
            tracing::warn!(
                "not root: the roles share one user, and only this user's files and processes are seen"
            );
            None
        };
        let state_held = state::State::prepare(state, users.as_ref())?;
        if let Err(error) = state::prepare_runtime(runtime, users.as_ref()) {
            tracing::warn!(
                "no status can be asked for: {:#}",
                anyhow::Error::from(error)
            );
        }
        let paths = [
            ("--config", config_file),
            ("--state", state),
            ("--runtime", runtime),
        ];
        let mut arguments = Vec::new();
        for (flag, path) in paths {
            let path = std::path::absolute(path).context("finding the current directory")?;
            arguments.push(c_string(OsStr::new(flag))?);
            arguments.push(c_string(path.as_os_str())?);
        }
        Ok(Plan {
            arguments,
            config_file: config_file.to_owned(),
            config,
            texts,
            users,
            net_admin: needs_net_admin(),
            state: state_held,
            state_directory: std::path::absolute(state).context("finding the current directory")?,
        })
    }

    /// Whether the host's identity was removed: a watcher that has ended in order will not come back.
    fn is_retired(&self) -> bool {
        let record = self.state_directory.join(WATCHER_DIRECTORY);
        matches!(record.join(identity::HOST_FILE).try_exists(), Ok(false))
    }

    /// What a role keeps: what it should, as far as this process has it.
    fn capabilities(&self, role: Role) -> Capabilities {
        let wanted = role.capabilities(self.net_admin);
        let kept = capability::effective().map_or(Capabilities::NONE, |held| wanted.and(held));
        if kept != wanted && self.users.is_some() {
            tracing::warn!(
                "{}: this environment withholds capabilities: {wanted:?} wanted, {kept:?} kept",
                role.name()
            );
        }
        kept
    }

    fn environment(&self, role: Role) -> anyhow::Result<Vec<CString>> {
        let mut variables = vec![format!("{SUPERVISED}=1")];
        let stream = std::env::var(log::JOURNAL_STREAM).ok();
        variables.extend(stream.map(|stream| format!("{}={stream}", log::JOURNAL_STREAM)));
        if role == Role::Reporter {
            let proxies = proxy_variables(&self.config).into_iter();
            variables.extend(proxies.map(|(name, value)| format!("{name}={value}")));
        }
        variables
            .iter()
            .map(|variable| c_string(OsStr::new(variable)))
            .collect()
    }
}

fn c_string(text: &OsStr) -> anyhow::Result<CString> {
    CString::new(text.as_bytes()).context("an argument with a NUL byte in it")
}

/// A started role.
struct Running {
    child: Child,
    since: Instant,
}

struct Supervisor {
    plan: Plan,
    program: OwnedFd,
    signals: SignalFd,
    began: Instant,
    /// To the running watcher.
    handover: Option<Handover>,
    running: BTreeMap<Role, Running>,
    /// Roles that are to be started, and when.
    due: BTreeMap<Role, Instant>,
    back_off: BTreeMap<Role, BackOff>,
    /// A terminal that hangs up ends the agent; elsewhere SIGHUP says that the configuration changed.
    at_terminal: bool,
    /// A signal that came while roles were ending.
    asked: Option<Signal>,
}

/// Why the supervisor stops serving.
enum End {
    /// It was asked to.
    Asked(Signal),
    /// The watcher cannot run here at all.
    Failed(u8),
    /// This host has been retired, and nobody has enrolled it since.
    Retired,
}

impl Supervisor {
    fn ready(plan: Plan) -> anyhow::Result<Supervisor> {
        memory::forbid_dumps()?;
        let mut mask = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ] {
            mask.add(signal);
        }
        mask.thread_block().context("blocking signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Supervisor {
            plan,
            program: process::own_program()?,
            signals: SignalFd::with_flags(&mask, flags).context("waiting for signals")?,
            began: Instant::now(),
            handover: None,
            running: BTreeMap::new(),
            due: BTreeMap::new(),
            back_off: BTreeMap::new(),
            at_terminal: std::io::stdin().is_terminal(),
            asked: None,
        })
    }

    /// Serves until it is asked to end, and then ends every role, the watcher first.
    fn serve(&mut self) -> anyhow::Result<ExitCode> {
        let end = loop {
            memory::give_back();
            self.wait(self.next_due())?;
            if let Some(end) = self.hear_signals()? {
                break end;
            }
            self.hear_watcher();
            self.start_due();
        };
        let code = match end {
            End::Asked(signal) => {
                tracing::info!("{signal}: ending");
                ExitCode::SUCCESS
            }
            End::Failed(code) => ExitCode::from(code),
            End::Retired => {
                tracing::info!("this host is retired: ending");
                ExitCode::SUCCESS
            }
        };
        self.end_all()?;
        Ok(code)
    }

    fn next_due(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Waits for a signal, a word of the watcher, or the time.
    fn wait(&self, until: Option<Instant>) -> anyhow::Result<()> {
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let mut waiting = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(handover) = &self.handover {
            waiting.push(PollFd::new(handover.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno).context("waiting for signals"),
        }
    }

    fn hear_signals(&mut self) -> anyhow::Result<Option<End>> {
        while let Some(heard) = self.signals.read_signal().context("reading a signal")? {
            let number = i32::try_from(heard.ssi_signo).unwrap_or(0);
            match Signal::try_from(number) {
                Ok(Signal::SIGCHLD) => {
                    if let Some(end) = self.reap() {
                        return Ok(Some(end));
                    }
                }
                Ok(Signal::SIGHUP) if !self.at_terminal => {
                    self.reload()?;
                    if let Some(signal) = self.asked.take() {
                        return Ok(Some(End::Asked(signal)));
                    }
                }
                Ok(signal) => return Ok(Some(End::Asked(signal))),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Takes a changed configuration over: the roles end in order and start anew with it. A wrong one
    /// changes nothing.
    fn reload(&mut self) -> anyhow::Result<()> {
        let read = Config::texts(&self.plan.config_file)
            .and_then(|texts| Ok((Config::from_texts(&texts)?, texts)));
        let (config, texts) = match read {
            Ok(read) => read,
            Err(why) => {
                tracing::error!(
                    "the configuration is not taken over, the earlier one holds: {why}"
                );
                return Ok(());
            }
        };
        tracing::info!("the configuration may have changed: the roles start anew with it");
        self.plan.config = config;
        self.plan.texts = texts;
        self.end_all()?;
        if self.asked.is_none() {
            self.back_off.clear();
            self.due.clear();
            self.start_or_retry(Role::Watcher);
            self.start_others();
        }
        Ok(())
    }

    fn hear_watcher(&mut self) {
        let Some(handover) = &mut self.handover else {
            return;
        };
        match handover.asked() {
            Ok(Some(FromWatcher::Replace(Role::Watcher)) | None) => {}
            Ok(Some(FromWatcher::Replace(role))) => {
                tracing::warn!("{}: replaced at the watcher's request", role.name());
                self.kill(role, Signal::SIGKILL);
            }
            // The watcher has ended or is about to: its end is heard as a signal.
            Err(_) => self.handover = None,
        }
    }

    /// Takes note of every role that has ended.
    fn reap(&mut self) -> Option<End> {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid() else {
                break;
            };
            let ended = self
                .running
                .iter()
                .find(|(_, running)| running.child.pid == pid.as_raw())
                .map(|(&role, _)| role);
            if let Some(role) = ended
                && let Some(running) = self.running.remove(&role)
                && let Some(end) = self.ended(role, running.since.elapsed(), status)
            {
                return Some(end);
            }
        }
        None
    }

    /// A role has ended: says how, and when it is started again.
    fn ended(&mut self, role: Role, lived: Duration, status: WaitStatus) -> Option<End> {
        let how = describe(status);
        tracing::warn!(
            "{} ended after {:.1} s: {how}",
            role.name(),
            lived.as_secs_f32()
        );
        if role == Role::Watcher {
            self.handover = None;
            if matches!(status, WaitStatus::Exited(_, 0)) && self.plan.is_retired() {
                return Some(End::Retired);
            }
            let at_first = self.began.elapsed() < FIRST_BREATH;
            if let WaitStatus::Exited(_, code) = status
                && at_first
            {
                return Some(End::Failed(u8::try_from(code).unwrap_or(TROUBLE)));
            }
            // The others end with their links; what does not is ended here.
            for other in [Role::Detector, Role::Reporter, Role::Marker] {
                self.kill(other, Signal::SIGKILL);
            }
        }
        let wait = self.back_off.entry(role).or_default().ended(lived);
        self.due.insert(role, Instant::now() + wait);
        None
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for role in Role::ALL {
            let is_due = self.due.get(&role).is_some_and(|&at| at <= now);
            // The watcher first: it hands out the links.
            if is_due && (role == Role::Watcher || self.handover.is_some()) {
                self.due.remove(&role);
                self.start_or_retry(role);
            } else if is_due {
                self.due.insert(role, now + Duration::from_millis(250));
            }
        }
    }

    fn start_others(&mut self) {
        for role in [Role::Detector, Role::Reporter, Role::Marker] {
            // Without capabilities there is nothing that a marker could do.
            if role != Role::Marker || self.plan.users.is_some() {
                self.start_or_retry(role);
            }
        }
    }

    fn start_or_retry(&mut self, role: Role) {
        if let Err(error) = self.start(role) {
            tracing::error!("{} did not start: {error:#}", role.name());
            let wait = self.back_off.entry(role).or_default().ended(Duration::ZERO);
            self.due.insert(role, Instant::now() + wait);
        }
    }

    fn start(&mut self, role: Role) -> anyhow::Result<()> {
        let (mut ours, theirs) = Channel::pair()?;
        let child = self.launch(role, theirs.as_fd())?;
        drop(theirs);
        tracing::info!("{} started as process {}", role.name(), child.pid);
        let since = Instant::now();
        self.running.insert(role, Running { child, since });
        let begin = Begin {
            config: self.plan.texts.clone(),
            shared_user: self.plan.users.as_ref().is_none_or(Users::are_shared),
        };
        let begin = link::to_json(BEGIN, &begin)?;
        if role == Role::Watcher {
            ours.send(&begin, &[], PATIENCE)?;
            self.handover = Some(Handover::over(ours));
            return Ok(());
        }
        let handover = self.handover.as_mut().context("there is no watcher")?;
        let to_watcher = handover.connect(role)?;
        let mut beside = vec![to_watcher.as_fd()];
        if role == Role::Reporter {
            beside.push(self.plan.state.identity.as_fd());
        }
        Ok(ours.send(&begin, &beside, PATIENCE)?)
    }

    fn launch(&self, role: Role, control: BorrowedFd<'_>) -> anyhow::Result<Child> {
        let mut arguments = vec![c"akwatch-agent".to_owned(), c"role".to_owned()];
        arguments.push(c_string(OsStr::new(role.name()))?);
        arguments.extend(self.plan.arguments.iter().cloned());
        Ok(launch(&Launch {
            program: self.program.as_fd(),
            arguments: &arguments,
            environment: &self.plan.environment(role)?,
            identity: self.plan.users.map(|users| users.of(role)),
            capabilities: self.plan.capabilities(role),
            inherit: &[control],
            voice: if role == Role::Detector {
                Voice::None
            } else {
                Voice::Kept
            },
            raise_limits: match role {
                Role::Watcher | Role::Detector => true,
                Role::Marker => self.plan.config.processes.strict, // for the gate
                Role::Reporter => false,
            },
            at_once: role == Role::Watcher,
        })?)
    }

    /// Signals a role that has not been waited for, so its number is still its own.
    fn kill(&self, role: Role, signal: Signal) {
        if let Some(running) = self.running.get(&role) {
            let _ = kill(Pid::from_raw(running.child.pid), signal);
        }
    }

    /// Ends the watcher, which writes down what it knows, and then the others.
    fn end_all(&mut self) -> anyhow::Result<()> {
        if let Some(mut handover) = self.handover.take() {
            let _ = handover.end();
            self.wait_for(&[Role::Watcher], LAST_WORDS)?;
        }
        self.kill(Role::Watcher, Signal::SIGKILL);
        self.wait_for(&Role::ALL, FAREWELL)?;
        for role in Role::ALL {
            self.kill(role, Signal::SIGKILL);
        }
        self.wait_for(&Role::ALL, FAREWELL)
    }

    /// Waits until none of `roles` runs; a second signal cuts it short.
    fn wait_for(&mut self, roles: &[Role], patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while roles.iter().any(|role| self.running.contains_key(role)) {
            if Instant::now() >= deadline {
                return Ok(());
            }
            self.wait(Some(deadline))?;
            while let Some(heard) = self.signals.read_signal().context("reading a signal")? {
                match i32::try_from(heard.ssi_signo).map(Signal::try_from) {
                    Ok(Ok(Signal::SIGCHLD)) => {}
                    Ok(Ok(signal)) => {
                        self.asked = Some(signal);
                        return Ok(());
                    }
                    _ => return Ok(()),
                }
            }
            while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                let Some(pid) = status.pid() else { break };
                self.running
                    .retain(|_, running| running.child.pid != pid.as_raw());
            }
        }
        Ok(())
    }
}

/// How a process ended, in words.
fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, Signal::SIGSYS, _) => {
            "ended by the kernel for a system call outside of its table; please report this"
                .to_owned()
        }
        WaitStatus::Signaled(_, signal, _) => signal.to_string(),
        other => format!("{other:?}"),
    }
}
