//! `server.toml`: what it says ([`RawConfig`]) and what it means ([`Config`]).
//!
//! An empty file works, an unknown key is refused with the keys that are allowed. No secret belongs
//! in it: keys come from files of the state directory or from the service manager.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use akwatch_proto::agent::TrustDomain;
use rcgen::SanType;
use serde::Deserialize;

use crate::pki::server::{self, InvalidName};

/// Where the configuration lies when nobody says.
pub const DEFAULT_PATH: &str = "/etc/akwatch/server.toml";
const DEFAULT_STATE: &str = "/var/lib/akwatch-server";
/// Seconds between heartbeats: the least that makes sense, the default, the most.
const HEARTBEAT_SECONDS: (u32, u32, u32) = (1, 60, 3600);
/// Names in the listeners' certificate, at most.
const MOST_NAMES: usize = 64;

/// The file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// What people see in the top bar. Default: `akwatch`.
    pub name: Option<String>,
    /// The host part of every certificate's SPIFFE name. Default: `akwatch.internal`. Changing it
    /// means enrolling every host again.
    pub trust_domain: Option<String>,
    /// DNS names and addresses under which agents and people reach this collector; they go into
    /// its certificate. Loopback is always there.
    pub names: Vec<String>,
    /// Where the database and the keys are. Default: `/var/lib/akwatch-server`.
    pub state: Option<PathBuf>,
    /// Where people reach the console, for links: `https://akwatch.example`. Default: the listener.
    pub people_url: Option<String>,
    /// Seconds between an agent's heartbeats, 1 to 3600. Default: 60.
    pub heartbeat_seconds: Option<u32>,
    /// Where to listen.
    pub listen: RawListen,
}

/// The two listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawListen {
    /// For agents. Default: `0.0.0.0:7443`.
    pub agents: Option<SocketAddr>,
    /// For people. Default: `127.0.0.1:8443`.
    pub people: Option<SocketAddr>,
}

/// What the collector runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What people see in the top bar.
    pub name: String,
    /// The host part of every certificate's name.
    pub trust_domain: TrustDomain,
    /// The first configured name, for addresses that are shown.
    pub first_name: Option<String>,
    /// Names in the listeners' certificate.
    pub names: Vec<SanType>,
    /// The state directory.
    pub state: PathBuf,
    /// Where people reach the console, without a trailing slash.
    pub people_url: Option<String>,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u32,
    /// Agents' listener.
    pub agents: SocketAddr,
    /// People's listener.
    pub people: SocketAddr,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not TOML, or a key or type that is not known; the message names both and what is allowed.
    #[error("{}: {message}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, key and what is allowed.
        message: String,
    },
    /// A value out of its range.
    #[error("{}: `{key}` is {what}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong and what is allowed.
        what: String,
    },
}

impl Config {
    /// Reads a file. A missing one counts as empty only when it is the default one.
    ///
    /// # Errors
    /// As [`ConfigError`] says, naming the file.
    pub fn load(path: Option<&Path>, state: Option<&Path>) -> Result<Config, ConfigError> {
        let named = path.is_some();
        let path = path.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => String::new(),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let mut raw: RawConfig = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        if let Some(state) = state {
            raw.state = Some(state.to_owned());
        }
        Config::check(raw).map_err(|(key, what)| ConfigError::Value {
            path: path.to_owned(),
            key,
            what,
        })
    }

    fn check(raw: RawConfig) -> Result<Config, (&'static str, String)> {
        let trust_domain = raw.trust_domain.as_deref().unwrap_or("akwatch.internal");
        let trust_domain = TrustDomain::parse(trust_domain)
            .map_err(|error| ("trust_domain", format!("not usable: {error}")))?;
        if raw.names.len() > MOST_NAMES {
            return Err((
                "names",
                format!("a list of {}; at most {MOST_NAMES}", raw.names.len()),
            ));
        }
        let names = server::names(&raw.names).map_err(|InvalidName(name)| {
            (
                "names",
                format!("not usable: `{name}` is neither a DNS name nor an address"),
            )
        })?;
        let (least, default, most) = HEARTBEAT_SECONDS;
        let heartbeat_seconds = raw.heartbeat_seconds.unwrap_or(default);
        if !(least..=most).contains(&heartbeat_seconds) {
            return Err((
                "heartbeat_seconds",
                format!("{heartbeat_seconds}; {least} to {most} are allowed"),
            ));
        }
        let people_url = raw
            .people_url
            .map(|url| url.trim_end_matches('/').to_owned());
        if people_url
            .as_ref()
            .is_some_and(|url| !url.starts_with("https://") || url.len() > 512)
        {
            return Err((
                "people_url",
                "not an address that begins with https://".to_owned(),
            ));
        }
        let name = raw.name.unwrap_or_else(|| "akwatch".to_owned());
        if name.is_empty() || name.len() > 64 || name.chars().any(akwatch_proto::text::is_hostile) {
            return Err(("name", "not 1 to 64 printable characters".to_owned()));
        }
        Ok(Config {
            name,
            trust_domain,
            first_name: raw.names.first().cloned(),
            names,
            state: raw.state.unwrap_or_else(|| PathBuf::from(DEFAULT_STATE)),
            people_url,
            heartbeat_seconds,
            agents: raw
                .listen
                .agents
                .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 7443))),
            people: raw
                .listen
                .people
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8443))),
        })
    }

    /// The address at which a listener is reached: its first name if it listens everywhere.
    #[must_use]
    pub fn url(&self, bound: SocketAddr) -> String {
        let port = bound.port();
        match &self.first_name {
            Some(name) if bound.ip().is_unspecified() => match name.parse::<std::net::Ipv6Addr>() {
                Ok(address) => format!("https://[{address}]:{port}"),
                Err(_) => format!("https://{name}:{port}"),
            },
            _ if bound.ip().is_unspecified() => format!("https://localhost:{port}"),
            _ => format!("https://{bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), None).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let error = load(text).unwrap_err();
        for part in parts.iter().chain(&["server.toml"]) {
            assert!(error.contains(part), "{error:?} should say {part:?}");
        }
    }

    #[test]
    fn an_empty_file_works() {
        let config = load("").unwrap();
        assert_eq!(config.agents.port(), 7443);
        assert_eq!(config.people.to_string(), "127.0.0.1:8443");
        assert_eq!(config.trust_domain.as_str(), "akwatch.internal");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        refused("nmae = 'x'", &["nmae", "trust_domain", "heartbeat_seconds"]);
        refused("[listen]\nagent = '0.0.0.0:1'", &["agent", "people"]);
        refused("[listen]\nagents = 'here'", &["agents", "socket address"]);
        refused("heartbeat_seconds = 0", &["heartbeat_seconds", "1 to 3600"]);
        refused("names = ['a b']", &["names", "a b"]);
        refused("trust_domain = 'A/B'", &["trust_domain"]);
        refused("people_url = 'http://x'", &["people_url", "https://"]);
        refused("name = ", &["1"]);
    }

    #[test]
    fn a_missing_file_that_was_named_is_an_error() {
        let error = Config::load(Some(Path::new("/nowhere/x.toml")), None).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.toml"));
    }

    #[test]
    fn shown_addresses_can_be_reached() {
        let config = load("names = ['akwatch.example']").unwrap();
        let at = |text: &str| config.url(text.parse().unwrap());
        assert_eq!(at("0.0.0.0:7443"), "https://akwatch.example:7443");
        assert_eq!(at("127.0.0.1:9"), "https://127.0.0.1:9");
        assert_eq!(
            load("").unwrap().url("[::]:9".parse().unwrap()),
            "https://localhost:9"
        );
    }
}
