//! Brings together what the watcher works with: configuration, host, ledger, identity, links.
//!
//! What needs calls that the watcher's table does not have, its listening sockets, is made before the
//! table is in force; everything that comes from outside is read after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_ledger::{Ledger, LedgerError};
use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::service::Service;
use super::walls::Walls;
use super::{Links, Role, WATCHER_DIRECTORY, users};
use crate::config::{Config, GlobSet};
use crate::control::Listener;
use crate::host::Root;
use crate::open::Opener;
use crate::sense::Stop;
use crate::sense::watch_set::WatchSet;
use crate::watcher::{self, Identity, Options, Setup};
use crate::{enroll, identity};

/// Inotify watches at most; each pins an inode and costs the kernel some 2 KiB.
const WATCHES: usize = 32_768;

/// Runs the watcher until it is asked to end or its supervisor is gone.
///
/// # Errors
/// When it cannot begin, or nothing is left to work with.
pub(super) fn run(config_file: &Path, state: &Path, runtime: &Path) -> anyhow::Result<()> {
    super::hurried::keep().context("becoming an ordinary process")?;
    let service = Service::connect();
    let control = match Listener::bind(runtime) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(
                "no status can be asked for: {:#}",
                anyhow::Error::from(error)
            );
            None
        }
    };
    let (config, links) = match super::supervised()? {
        Some((begin, channel, _)) => {
            let config = Config::from_texts(&begin.config)?;
            let walls = Walls::raise(Role::Watcher, begin.shared_user);
            (config, Links::supervised(channel, walls.close()))
        }
        None => listening(config_file, runtime)?,
    };
    let stop = Stop::new().context("an event descriptor")?;
    // Where a supervisor starts it, the supervisor takes changes over.
    let changed = std::env::var_os(super::SUPERVISED).is_none();
    let changed = changed.then(|| config_file.to_owned());
    stop_on_signals(stop.clone(), changed)?;
    let host = Arc::new(Root::live()?);
    let homes: Vec<PathBuf> = (host.accounts().homes().iter())
        .map(|home| home.path.clone())
        .collect();
    let own = vec![state.to_owned(), runtime.to_owned()];
    let deny = GlobSet::new(&config.deny.paths, &homes)?;
    let excluded = GlobSet::new(&config.watch.exclude, &homes)?;
    let directory = state.join(WATCHER_DIRECTORY);
    let set = WatchSet::new(&config, &homes, own)?;
    host.name(set.named());
    Ok(watcher::run(Setup {
        opener: Opener::new(Arc::clone(&host), deny).without(excluded),
        set,
        ledger: open_ledger(
            &directory,
            &akwatch_ledger::Options::new(boot_id(&host)?).within(config.budget.disk_bytes),
        )?,
        identity: who(state)?,
        options: options(&config, directory),
        host,
        links,
        control,
        stop,
        service,
    })?)
}

/// How long the ledger of an agent before this one is waited for: when a supervisor is killed, its
/// roles still have to end.
const PREDECESSOR: Duration = Duration::from_secs(5);

/// Opens the ledger, once an agent that is ending has let go of it.
fn open_ledger(directory: &Path, options: &akwatch_ledger::Options) -> Result<Ledger, LedgerError> {
    let begun = Instant::now();
    loop {
        match Ledger::open(directory, options) {
            Err(LedgerError::InUse { .. }) if begun.elapsed() < PREDECESSOR => {
                // Nothing tells when another process lets a lock go; the loop has a deadline.
                std::thread::park_timeout(Duration::from_millis(50));
            }
            opened => return opened,
        }
    }
}

/// Where each role is started by itself: makes the sockets, then closes the walls.
fn listening(config_file: &Path, runtime: &Path) -> anyhow::Result<(Config, Links)> {
    let config = Config::load(config_file)?;
    let users = users::Users::of_units(&config)?;
    let doors =
        [Role::Detector, Role::Reporter, Role::Marker].map(|role| (role, users.of(role).uid));
    let walls = Walls::raise(Role::Watcher, users.are_shared());
    let mut links = Links::listening(runtime, &doors, Vec::new())?;
    links.missing_walls = walls.close();
    Ok((config, links))
}

/// Who this host is, from what `enroll` wrote for the watcher.
fn who(state: &Path) -> anyhow::Result<Identity> {
    let record = identity::record(&state.join(WATCHER_DIRECTORY))?;
    let directive_keys = record
        .directive_keys
        .iter()
        .map(akwatch_proto::agent::PublicKey::parse);
    Ok(Identity {
        host: record.host,
        key: enroll::fleet_key(state)?,
        directive_keys: directive_keys.collect::<Result<_, _>>()?,
        heartbeat: Duration::from_secs(u64::from(record.heartbeat_seconds.max(1))),
    })
}

fn options(config: &Config, directory: PathBuf) -> Options {
    let labels = config.labels.iter();
    Options {
        histories: config.watch.history,
        processes: config.watch.processes,
        strict: config.processes.strict,
        first_scan: config.first_scan.enabled,
        first_scan_hours: config.first_scan.hours.clone(),
        max_file_bytes: config.watch.max_file_bytes,
        scan_bytes_per_second: config.budget.scan_bytes_per_second,
        watches: watches(),
        labels: labels
            .map(|(name, value)| (name.0.clone(), value.0.clone()))
            .collect::<BTreeMap<String, String>>(),
        ephemeral: config.ephemeral,
        refuses_pauses: config.deny.pauses,
        packs: Vec::new(),
        directory,
    }
}

/// Half of what the kernel gives one user, so that a shared user's other programs keep theirs.
fn watches() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    let limit: Option<usize> = limit.ok().and_then(|text| text.trim().parse().ok());
    limit.map_or(WATCHES, |limit| (limit / 2).min(WATCHES))
}

/// Whether a changed configuration can be taken over; says so either way.
fn takes_over(config_file: &Path) -> bool {
    match Config::load(config_file) {
        Ok(_) => {
            tracing::info!("the configuration may have changed: starting anew with it");
            true
        }
        Err(why) => {
            tracing::error!("the configuration is not taken over, the earlier one holds: {why}");
            false
        }
    }
}

fn boot_id(host: &Root) -> anyhow::Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = host.read(path, 64).context("reading the boot id")?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Turns the signals that ask a service to end into the watcher's own stop, so that it writes down
/// what it knows. To be called before there are other threads: they must not take the signals.
///
/// SIGHUP says that the configuration has changed: if it can be taken over, the watcher ends in order
/// and is started again with it; a wrong one changes nothing.
fn stop_on_signals(stop: Stop, config_file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block().context("blocking signals")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).context("signalfd")?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            while let Ok(Some(signal)) = signals.read_signal() {
                let changed = i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32);
                if !changed || config_file.as_deref().is_some_and(takes_over) {
                    stop.ask();
                    return;
                }
            }
        })
        .context("starting a thread")?;
    Ok(())
}
