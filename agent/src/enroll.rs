//! The first exchange: a bootstrap string becomes an identity.
//!
//! The string comes from standard input or from a file that only its owner can read, and the file is
//! deleted once the host is enrolled; it never comes from arguments or the environment, which other
//! processes can read. It pins the collector's authority: whoever answers must show a certificate
//! chain that ends in exactly that key, and the whole chain is then verified against it. Nothing is
//! sent before that.
//!
//! What comes back is written for two roles apart: certificate and key for the reporter, the fleet
//! key for the watcher. Each file is its role's before it has its name, and the identity's `host.json` is
//! written last: a host either is enrolled, or can try again, and an agent that it starts finds all there.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use akwatch_proto::agent::{Bootstrap, Enroll, Enrolled, FleetKey, HostId, PROTOCOL, RefusalCode};
use akwatch_proto::credential::InvalidWord;
use akwatch_proto::limits;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};
use zeroize::Zeroizing;

use crate::cli::EnrollArgs;
use crate::config::{Config, ConfigError, UserRef};
use crate::identity::{self, HostRecord, Identity, IdentityError, PendingKey};
use crate::reporter::{CallError, Caller, Carried, Clock, Roots, Seen, address, as_anybody};
use crate::role::{FLEET_KEY_FILE, IDENTITY_DIRECTORY, Role, WATCHER_DIRECTORY};

mod directories;
mod done;
mod unattended;

/// For the exchange with one collector.
const TIME: Duration = Duration::from_secs(60);

/// Why a host was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is an identity already, or one cannot be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The bootstrap file cannot be used.
    #[error("the bootstrap file {path} {why}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: &'static str,
        /// The system's word, if it said one.
        #[source]
        source: Option<io::Error>,
    },
    /// Standard input cannot be read.
    #[error("cannot read the bootstrap string from standard input")]
    Input(#[source] io::Error),
    /// The string is not one; it is not repeated.
    #[error(
        "this is no bootstrap string: copy it again, from `akwatch1:` to its end, as the collector \
         showed it"
    )]
    Mistyped(#[source] InvalidWord),
    /// The collector does not know the token, or its secret is another.
    #[error(
        "{address} does not know this bootstrap string's token, or its secret was mistyped: copy the \
         string again, and check that it is of this collector"
    )]
    TokenUnknown {
        /// Who said so.
        address: String,
    },
    /// Too late.
    #[error("the bootstrap string has expired, says {address}: have a new one made there")]
    TokenExpired {
        /// Who said so.
        address: String,
    },
    /// Used as often as it may be.
    #[error(
        "the bootstrap string was used as often as it may be, says {address}: have a new one made \
         there; if this host did not use it, somebody else has it"
    )]
    TokenUsedUp {
        /// Who said so.
        address: String,
    },
    /// No collector could be asked.
    #[error("no collector could be asked:{}", list(.0))]
    Nobody(Vec<CallError>),
    /// The collector refused for another reason.
    #[error(transparent)]
    Refused(Box<CallError>),
    /// Something on this host.
    #[error("cannot {step}")]
    Start {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl EnrollError {
    /// Whether a collector may have enrolled this host without the answer having come back: then
    /// the key is kept, and the same string is good until its time is over.
    fn may_have_enrolled(&self) -> bool {
        match self {
            EnrollError::Nobody(errors) => errors.iter().any(CallError::may_have_arrived),
            EnrollError::Refused(error) => error.may_have_arrived(),
            // The answer is here, and could not be written.
            EnrollError::Identity(IdentityError::File { .. }) => true,
            _ => false,
        }
    }

    /// Whether the same string can never serve: no later attempt ends otherwise.
    fn is_final(&self) -> bool {
        matches!(
            self,
            EnrollError::File { .. }
                | EnrollError::Mistyped(_)
                | EnrollError::TokenUnknown { .. }
                | EnrollError::TokenExpired { .. }
                | EnrollError::TokenUsedUp { .. }
        )
    }

    /// Whether a collector has judged the string, rather than this host.
    fn is_the_collectors(&self) -> bool {
        !matches!(self, EnrollError::File { .. } | EnrollError::Mistyped(_))
    }
}

fn list(errors: &[CallError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

/// A host that was enrolled.
#[derive(Debug)]
pub struct Enrollment {
    /// Its identity.
    pub host: HostId,
    /// The collector that enrolled it.
    pub collector: String,
    /// The bootstrap file, when it could not be deleted.
    pub left: Option<PathBuf>,
}

/// The verb `enroll`.
///
/// # Errors
/// As [`EnrollError`] says, each with what to do.
pub fn command(args: &EnrollArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.paths.config).map_err(EnrollError::from)?;
    if let Some(directory) = &args.directory {
        return unattended::command(&config, &args.paths.state, directory);
    }
    let enrollment = enroll(&config, &args.paths.state, args.bootstrap_file.as_deref())?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "enrolled at {} as {}",
        enrollment.collector, enrollment.host
    )?;
    if let Some(path) = enrollment.left {
        let path = path.display();
        writeln!(
            io::stderr(),
            "akwatch-agent: {path} could not be deleted; delete it now"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Enrolls this host with the first of the configuration's collectors that answers.
///
/// # Errors
/// As [`EnrollError`] says. Nothing is left behind unless a collector may have enrolled the host.
pub fn enroll(
    config: &Config,
    state: &Path,
    bootstrap_file: Option<&Path>,
) -> Result<Enrollment, EnrollError> {
    let identity_directory = state.join(IDENTITY_DIRECTORY);
    identity::absent(&identity_directory)?;
    let bootstrap = match bootstrap_file {
        Some(path) => read_file(path)?,
        None => read_input(&mut io::stdin().lock())?,
    };
    // On disk before anybody hears of it: if the answer is lost, or this process ends, asking again
    // with the same key and the same string gets the same answer.
    state_directory(state)?;
    directories::own(&identity_directory)?;
    let key = Identity::next_key(&identity_directory)?;
    let kept = ask(config, &bootstrap, &key).and_then(|(enrolled, collector)| {
        keep(config, state, &key, &enrolled).map(|()| (enrolled.host, collector))
    });
    let (host, collector) = kept.inspect_err(|error| {
        if !error.may_have_enrolled() {
            identity::forget_next_key(&identity_directory);
        }
    })?;
    let left = bootstrap_file.filter(|path| std::fs::remove_file(path).is_err());
    Ok(Enrollment {
        host,
        collector,
        left: left.map(Path::to_owned),
    })
}

/// Reads the string from a file that nobody but its owner can read.
fn read_file(path: &Path) -> Result<Bootstrap, EnrollError> {
    let wrong = |why, source| EnrollError::File {
        path: path.to_owned(),
        why,
        source,
    };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(|source| {
            let why = "cannot be opened; it must be a file of this user, not a link";
            wrong(why, Some(source))
        })?;
    let metadata = file
        .metadata()
        .map_err(|source| wrong("cannot be looked at", Some(source)))?;
    if !metadata.is_file() {
        return Err(wrong("is not a regular file", None));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let why = "can be read by others: `chmod 600` it, and have a new string made if others \
                   use this host";
        return Err(wrong(why, None));
    }
    let own = Uid::effective().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(wrong(
            "belongs to another user: `chown` it to this one",
            None,
        ));
    }
    read(file).map_err(|error| match error {
        EnrollError::Input(source) => wrong("cannot be read", Some(source)),
        other => other,
    })
}

fn read_input(input: &mut dyn Read) -> Result<Bootstrap, EnrollError> {
    if io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "Bootstrap string, then Enter and Ctrl-D:");
    }
    read(input)
}

fn read(input: impl Read) -> Result<Bootstrap, EnrollError> {
    // Sized once: a growing buffer would leave copies behind.
    let limit = limits::BOOTSTRAP + 2;
    let mut text = Zeroizing::new(Vec::with_capacity(limit + 1));
    input
        .take(limit as u64)
        .read_to_end(&mut text)
        .map_err(EnrollError::Input)?;
    let text = std::str::from_utf8(&text).unwrap_or_default();
    text.parse().map_err(EnrollError::Mistyped)
}

/// Asks the collectors in order; the first that takes or refuses the token decides.
fn ask(
    config: &Config,
    bootstrap: &Bootstrap,
    key: &PendingKey,
) -> Result<(Enrolled, String), EnrollError> {
    let start = |step, source| EnrollError::Start { step, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| start("start an event loop", error.into()))?;
    let (clock, seen) = (Arc::new(Clock::default()), Seen::default());
    let tls = as_anybody(Roots::Pinned(bootstrap.authority), false, &clock, &seen)
        .map_err(|error| start("set up TLS", error.into()))?;
    let caller = Caller::new(tls, &config.collector, &seen, &Carried::default())
        .map_err(|error| start("set up the client; check `collector.proxy`", error.into()))?;
    let labels = config
        .labels
        .iter()
        .map(|(name, value)| (name.0.clone(), value.0.clone()))
        .collect();
    let request = Enroll {
        protocol: PROTOCOL,
        token: bootstrap.token.clone(),
        secret: bootstrap.secret.clone(),
        csr: key.csr.clone(),
        facts: crate::facts::read(Path::new("/"), labels, config.ephemeral),
    };
    let mut failures = Vec::new();
    for url in &config.collector.urls {
        let url = url.url();
        match runtime.block_on(caller.post(url, "/v1/enroll", &request, TIME)) {
            Ok(enrolled) => return Ok((enrolled, address(url))),
            Err(error) if error.elsewhere() => failures.push(error),
            Err(error) => return Err(told(error)),
        }
    }
    match failures.pop() {
        // A collector that says when to come back is better heard alone.
        Some(only @ CallError::Refused { .. }) if failures.is_empty() => Err(told(only)),
        Some(last) => {
            failures.push(last);
            Err(EnrollError::Nobody(failures))
        }
        None => Err(EnrollError::Nobody(failures)),
    }
}

fn told(error: CallError) -> EnrollError {
    let CallError::Refused {
        address, refused, ..
    } = &error
    else {
        return EnrollError::Refused(Box::new(error));
    };
    let address = address.clone();
    match refused.code {
        RefusalCode::TokenUnknown => EnrollError::TokenUnknown { address },
        RefusalCode::TokenExpired => EnrollError::TokenExpired { address },
        RefusalCode::TokenUsedUp => EnrollError::TokenUsedUp { address },
        _ => EnrollError::Refused(Box::new(error)),
    }
}

/// Writes what came back, each file as its role's own: the watcher's part first and the identity last, whose
/// `host.json` starts the agent the moment it has its name.
fn keep(
    config: &Config,
    state: &Path,
    key: &PendingKey,
    enrolled: &Enrolled,
) -> Result<(), EnrollError> {
    if enrolled.fleet_key.expose().map(Zeroizing::new).is_err() {
        return Err(IdentityError::Answer("its fleet key is no key").into());
    }
    let record = HostRecord {
        host: enrolled.host,
        trust_domain: enrolled.trust_domain.clone(),
        directive_keys: enrolled.directive_keys.clone(),
        heartbeat_seconds: enrolled.heartbeat_seconds,
        enrolled: enrolled.time,
    };
    let (watchers, reporters) = (&config.roles.watcher, &config.roles.reporter);
    let of_watcher = owner(watchers.as_ref(), Role::Watcher);
    let of_reporter = owner(reporters.as_ref(), Role::Reporter);
    state_directory(state)?;
    let watcher = state.join(WATCHER_DIRECTORY);
    directories::take(&watcher)?;
    write_fleet_key(&watcher, &enrolled.fleet_key, of_watcher)?;
    identity::write_record(&watcher, &record, of_watcher)?;
    directories::give(&watcher, of_watcher)?;
    let directory = state.join(IDENTITY_DIRECTORY);
    Identity::found(
        &directory,
        &record,
        key,
        &enrolled.certificate,
        &enrolled.authorities,
        of_reporter,
    )?;
    // Only now: had it been given before, and this process ended in between, the next enrollment would
    // find the directory of somebody else. Whoever starts in the meantime gives it to the same user.
    Ok(directories::give(&directory, of_reporter)?)
}

/// Makes the state directory, which every role must be able to pass through.
fn state_directory(state: &Path) -> Result<(), IdentityError> {
    if state.is_dir() {
        return directories::see_state(state);
    }
    std::fs::create_dir_all(state)
        .and_then(|()| std::fs::set_permissions(state, PermissionsExt::from_mode(0o755)))
        .map_err(|source| IdentityError::File {
            step: "making",
            path: state.to_owned(),
            source,
        })
}

fn write_fleet_key(
    directory: &Path,
    key: &FleetKey,
    owner: Option<Uid>,
) -> Result<(), IdentityError> {
    let json = serde_json::to_vec(key).expect("invariant: a fleet key serializes");
    let json = Zeroizing::new(json);
    identity::write_for(&directory.join(FLEET_KEY_FILE), &json, 0o600, owner)
}

/// Reads the fleet key of a state directory: for the watcher alone.
///
/// # Errors
/// When the host is not enrolled or the file is damaged.
pub fn fleet_key(state: &Path) -> Result<FleetKey, IdentityError> {
    let path = state.join(WATCHER_DIRECTORY).join(FLEET_KEY_FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(IdentityError::NotEnrolled { path });
        }
        Err(source) => {
            return Err(IdentityError::File {
                step: "reading",
                path,
                source,
            });
        }
    };
    let key: Option<FleetKey> = serde_json::from_slice(&bytes).ok();
    let key = key.filter(|key| key.expose().map(Zeroizing::new).is_ok());
    key.ok_or(IdentityError::Unusable {
        path,
        what: "fleet key",
    })
}

/// Whose the files of a role are, when root enrolls and the role has a user of its own; else whoever
/// enrolls keeps them.
fn owner(user: Option<&UserRef>, role: Role) -> Option<Uid> {
    if !Uid::effective().is_root() {
        return None;
    }
    let known = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid);
    match user {
        Some(UserRef::Uid(uid)) => Some(Uid::from_raw(*uid)),
        Some(UserRef::Name(name)) => known(name),
        None => known(role.user()),
    }
}

#[cfg(test)]
mod tests;
