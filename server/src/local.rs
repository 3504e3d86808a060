//! Verbs of the command line on a state directory: asked of the collector that runs there, by a
//! socket that only its owner and root may open; without one, carried out here.
//!
//! One program writes the database at a time, so a running collector does the work itself.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_proto::agent::Refused;
use akwatch_proto::people::{NewApiToken, NewEnrollmentToken};
use akwatch_store::StoreError;
use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use crate::collector::{self, Collector};
use crate::config::Config;
use crate::domain::Domain;
use crate::pki::{Authority, Keys, files};
use crate::refusal::Refusal;

const SOCKET: &str = "control.sock";
/// Bytes of a request or answer.
const MESSAGE: u64 = 64 * 1024;
/// For a request, and for what it asks: a long audit log takes a while to verify.
const TIME: Duration = Duration::from_secs(120);
/// How long a collector that is starting is waited for, and how often it is looked for.
const STARTING: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(100);

/// What may be asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Create an enrollment token; answers its bootstrap string.
    EnrollmentToken(NewEnrollmentToken),
    /// Offer the first sign-in; answers the link.
    FirstSignIn,
    /// Create an API token; answers its value.
    ApiToken(NewApiToken),
    /// Verify the audit log's chain; answers how long it is and its newest hash.
    VerifyAudit,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Line(String),
    Refused(Refused),
}

/// Has a verb carried out and gives its one line, which may be a secret.
///
/// # Errors
/// When it is refused, or neither a collector nor the state directory can be used.
pub async fn ask(config: &Config, verb: Verb) -> Result<Zeroizing<String>> {
    let begun = Instant::now();
    loop {
        if let Some(stream) = connect(&config.state).await? {
            return match over(stream, &verb)
                .await
                .context("the running collector did not answer")?
            {
                Answer::Line(line) => Ok(Zeroizing::new(line)),
                Answer::Refused(refused) => Err(told(&refused)),
            };
        }
        match alone(config).await? {
            Some(domain) => {
                let people = config.people_url.clone();
                let people = people.unwrap_or_else(|| config.url(config.people));
                let line = carry_out(&domain, &people, verb).await;
                return line.map_err(|refusal| told(&refusal.told()));
            }
            // Who has just started the collector asks at once.
            None if begun.elapsed() < STARTING => tokio::time::sleep(AGAIN).await,
            None => bail!(
                "another program holds the database in {} but does not answer on {SOCKET} there",
                config.state.display()
            ),
        }
    }
}

/// The state directory, where no collector runs on it; none where another program holds the database.
async fn alone(config: &Config) -> Result<Option<Domain>> {
    files::prepare_directory(&config.state)?;
    let keys = Keys::open(&config.state)?;
    let authority = Authority::open(&config.state, config.trust_domain.clone(), collector::now())?;
    let store = match crate::run::open_store(config, &keys).await {
        Err(StoreError::Held) => return Ok(None),
        other => other?,
    };
    Ok(Some(Domain::new(
        store,
        authority,
        keys,
        config.heartbeat_seconds,
    )))
}

fn told(refused: &Refused) -> anyhow::Error {
    match &refused.hint {
        Some(hint) => anyhow!("{} {hint}", refused.message),
        None => anyhow!("{}", refused.message),
    }
}

async fn carry_out(
    domain: &Domain,
    people: &str,
    verb: Verb,
) -> Result<Zeroizing<String>, Refusal> {
    let now = collector::now();
    match verb {
        Verb::EnrollmentToken(new) => {
            let created = domain.local_enrollment_token(new, now).await?;
            Ok(Zeroizing::new(created.bootstrap))
        }
        Verb::FirstSignIn => {
            let link = domain.local_first_sign_in(now).await?;
            // Behind the #, so that it never reaches a server's log.
            Ok(Zeroizing::new(format!(
                "{people}/#/first-sign-in?token={}",
                *link
            )))
        }
        Verb::VerifyAudit => {
            let (entries, newest) = domain.verify_audit().await?;
            Ok(Zeroizing::new(format!(
                "whole: {entries} entries, newest hash {}",
                data_encoding::HEXLOWER.encode(&newest)
            )))
        }
        Verb::ApiToken(new) => {
            let created = domain.local_api_token(new, now).await?;
            Ok(Zeroizing::new(created.value))
        }
    }
}

/// Answers verbs until the collector ends. Without the socket the collector works all the same.
pub fn serve(collector: Collector, state: &Path, people: String) {
    let listener = match listen(state) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "no verbs can be asked of this collector while it runs");
            return;
        }
    };
    let people = Arc::new(people);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (collector, people) = (collector.clone(), Arc::clone(&people));
            tokio::spawn(async move {
                let served = tokio::time::timeout(TIME, answer(&collector, &people, stream)).await;
                if let Ok(Err(error)) = served {
                    tracing::warn!(%error, "a verb was not answered");
                }
            });
        }
    });
}

async fn answer(collector: &Collector, people: &str, mut stream: UnixStream) -> io::Result<()> {
    let own = nix::unistd::geteuid().as_raw();
    let peer = stream.peer_cred()?.uid();
    if peer != own && peer != 0 {
        return Err(io::Error::other("another user asked"));
    }
    let mut request = Vec::new();
    (&mut stream)
        .take(MESSAGE)
        .read_to_end(&mut request)
        .await?;
    let verb: Verb = serde_json::from_slice(&request)?;
    let answer = match carry_out(&collector.domain, people, verb).await {
        Ok(line) => Answer::Line(line.to_string()),
        Err(refusal) => Answer::Refused(refusal.told()),
    };
    stream
        .write_all(&Zeroizing::new(serde_json::to_vec(&answer)?))
        .await?;
    stream.shutdown().await
}

async fn over(mut stream: UnixStream, verb: &Verb) -> Result<Answer> {
    stream.write_all(&serde_json::to_vec(verb)?).await?;
    stream.shutdown().await?;
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    let mut limited = stream.take(MESSAGE);
    let read = limited.read_to_end(&mut answer);
    tokio::time::timeout(TIME, read)
        .await
        .context("it took too long")??;
    Ok(serde_json::from_slice(&answer)?)
}

/// The socket by way of an open descriptor: a socket's path has room for 108 bytes only.
fn through<T>(state: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let directory = std::fs::File::open(state)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    with(Path::new(&path))
}

fn listen(state: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    through(state, |path| {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    })
}

/// The running collector's socket; none when no collector runs.
async fn connect(state: &Path) -> Result<Option<UnixStream>> {
    let stream = through(state, |path| std::os::unix::net::UnixStream::connect(path));
    match stream {
        Ok(stream) => {
            stream.set_nonblocking(true)?;
            Ok(Some(UnixStream::from_std(stream)?))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot ask the collector that runs on {}", state.display())),
    }
}
