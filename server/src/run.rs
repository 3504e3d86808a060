//! The collector's life: open what it needs, listen, say that it is ready, end in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_store::sqlite::Sqlite;
use akwatch_store::{PepperKey, StoreError};
use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::collector::{self, Collector};
use crate::config::Config;
use crate::domain::{Domain, Judge};
use crate::listen::{self, Listener};
use crate::listening::Listening;
use crate::pki::{Authority, Keys, ServerCertificate, files};
use crate::refusal::chain;
use crate::{agents, local, people};

/// How often silence is looked for.
const SILENCE: Duration = Duration::from_secs(5);
/// How often hosts are looked for that came and went.
const RETIRE: Duration = Duration::from_secs(60);
/// How often expired credentials are scored again.
const RESCORE: Duration = Duration::from_secs(60);
/// How often the listeners' certificate is looked at: a clock that is set back has it not begun.
const CERTIFICATE: Duration = Duration::from_secs(10);
/// How long an agent's kept connection may be idle, unless its heartbeats are further apart.
const IDLE: Duration = Duration::from_secs(150);
/// File descriptors that are not connections: database, logs, libraries.
const OWN_FILES: u64 = 128;

/// What the ready file says.
#[derive(Serialize)]
struct Ready<'a> {
    agents: String,
    people: &'a str,
    ca: &'a Path,
    version: &'static str,
}

/// Opens the database of a state directory.
///
/// # Errors
/// As the store says.
pub async fn open_store(config: &Config, keys: &Keys) -> Result<Arc<Sqlite>, StoreError> {
    let path = config.state.join("akwatch.db");
    let pepper = PepperKey::new(*keys.pepper());
    Ok(Arc::new(
        Sqlite::open(&path, pepper, Arc::new(Judge)).await?,
    ))
}

/// Runs the collector until it is told to end.
///
/// # Errors
/// When it cannot start; once it listens it ends only in order.
pub async fn run(config: Config, ready_file: Option<&Path>) -> Result<()> {
    harden();
    let ended = end_signal()?;
    files::prepare_directory(&config.state)?;
    let keys = Keys::open(&config.state)?;
    let now = collector::now();
    let authority = Authority::open(&config.state, config.trust_domain.clone(), now)?;
    let store = open_store(&config, &keys)
        .await
        .context("cannot open the database")?;
    let certificate = Arc::new(ServerCertificate::issue(&authority, &config.names, now)?);
    let agents_socket = listen::bind("listen.agents", config.agents)?;
    let people_socket = listen::bind("listen.people", config.people)?;
    let (agents_at, people_at) = (agents_socket.local_addr()?, people_socket.local_addr()?);
    let agents_tls = listen::agents_tls(&authority, Arc::clone(&certificate))?;
    let people_tls = listen::people_tls(Arc::clone(&certificate))?;
    let (drain, draining) = watch::channel(false);
    let seconds = config.heartbeat_seconds;
    let domain = Domain::new(Arc::clone(&store) as _, authority, keys, seconds);
    let collector = Collector::new(&config, Arc::new(domain), draining.clone());
    let (agents_seats, people_seats) = seats();
    let agents = Listener {
        socket: agents_socket,
        tls: agents_tls,
        router: agents::router(collector.clone()),
        domain: config.trust_domain.clone(),
        idle: IDLE.max(Duration::from_secs(
            u64::from(config.heartbeat_seconds) * 5 / 2,
        )),
        seats: agents_seats,
    };
    let people = Listener {
        socket: people_socket,
        tls: people_tls,
        router: people::router(collector.clone()),
        domain: config.trust_domain.clone(),
        idle: IDLE,
        seats: people_seats,
    };
    let served = [
        tokio::spawn(agents.serve(draining.clone())),
        tokio::spawn(people.serve(draining)),
    ];
    keep(&collector, certificate);
    let console = config
        .people_url
        .clone()
        .unwrap_or_else(|| config.url(people_at));
    local::serve(collector.clone(), &config.state, console);
    announce(&config, agents_at, people_at, ready_file)?;
    ended.await;
    tracing::info!("ending: open requests may finish");
    let _ = drain.send(true);
    for listener in served {
        let _ = listener.await;
    }
    store.close().await;
    Ok(())
}

/// No core dump and no tracing by the same user: this process holds keys.
fn harden() {
    // Files of this process are its owner's alone unless they say otherwise.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let undumpable = nix::sys::prctl::set_dumpable(false);
    // A service manager that forbids this call has set the limit itself.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let no_core = getrlimit(Resource::RLIMIT_CORE).is_ok_and(|(soft, _)| soft == 0);
    if undumpable.is_err() && !no_core {
        tracing::warn!("the kernel refused to forbid core dumps, and one could hold keys");
    }
}

/// Ends at SIGTERM or SIGINT.
fn end_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Connections at once of the two listeners: what the file limit allows, agents first.
fn seats() -> (usize, usize) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        hard
    } else {
        soft
    };
    let connections = usize::try_from(files.saturating_sub(OWN_FILES)).unwrap_or(usize::MAX / 2);
    let people = (connections / 4).clamp(16, 2048);
    (connections.saturating_sub(people).max(16), people)
}

/// What goes on beside the listeners.
fn keep(collector: &Collector, certificate: Arc<ServerCertificate>) {
    let listening = Arc::new(Listening::default());
    let (silence, heard) = (collector.clone(), Arc::clone(&listening));
    tokio::spawn(every(SILENCE, "mark silent hosts", move || {
        let (collector, now) = (silence.clone(), collector::now());
        let listened = heard.count(Instant::now(), now);
        async move {
            let marked = collector.domain.mark_silent(listened, now).await;
            marked.map_err(|refusal| refusal.reason())
        }
    }));
    let ended = collector.clone();
    tokio::spawn(every(RETIRE, "retire ephemeral hosts", move || {
        let (collector, now) = (ended.clone(), collector::now());
        let listened = listening.count(Instant::now(), now);
        async move {
            let retired = collector.domain.retire_ephemeral(listened, now).await;
            retired.map_err(|refusal| refusal.reason())
        }
    }));
    let scores = collector.clone();
    tokio::spawn(every(RESCORE, "score what expired", move || {
        let collector = scores.clone();
        async move {
            let scored = collector.domain.rescore_expired(collector::now()).await;
            scored.map_err(|refusal| refusal.reason())
        }
    }));
    let authority = collector.clone();
    tokio::spawn(every(
        CERTIFICATE,
        "renew the listeners' certificate",
        move || {
            let fresh = certificate.refresh(authority.domain.authority(), collector::now());
            std::future::ready(fresh.map(drop).map_err(|error| chain(&error)))
        },
    ));
}

async fn every<F, Work>(period: Duration, what: &'static str, work: F)
where
    F: Fn() -> Work,
    Work: Future<Output = Result<(), String>>,
{
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(reason) = work().await {
            tracing::error!(what, %reason, "a task of the collector failed; it goes on");
        }
    }
}

fn announce(
    config: &Config,
    agents: SocketAddr,
    people: SocketAddr,
    ready_file: Option<&Path>,
) -> Result<()> {
    let (agents, people) = (config.url(agents), config.url(people));
    tracing::info!(%agents, %people, state = %config.state.display(), "the collector listens");
    let Some(path) = ready_file else {
        return Ok(());
    };
    let ca = config.state.join("ca.pem");
    let ca = ca.canonicalize().unwrap_or(ca);
    let version = env!("CARGO_PKG_VERSION");
    let mut line = serde_json::to_vec(&Ready {
        agents,
        people: &people,
        ca: &ca,
        version,
    })?;
    line.push(b'\n');
    files::write_atomic(path, &line, 0o644)?;
    Ok(())
}
