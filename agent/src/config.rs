//! What an operator may set, and nothing else.
//!
//! Two stages: [`RawConfig`] is what a file says, key by key; [`Config`] is what the agent runs
//! with. Every value is parsed into its own type while it is read, so a wrong one is refused with its
//! file, line, key and what is allowed. Unknown keys are refused: a misspelt exclusion must not pass
//! in silence. No key holds a secret, so the files may be read by anyone.
//!
//! `/etc/akwatch/agent.toml` is read first, then `agent.d/*.toml` beside it in order of name. A key
//! set later replaces the earlier value; labels are joined by name. What each key does, and what is
//! watched by default and why, is docs/reference/agent-configuration.md, which the tests hold to this.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[cfg(test)]
mod generated;
pub mod show;
mod words;

pub use words::{
    ByteLimit, CollectorUrl, DiskLimit, Glob, GlobSet, HostPath, Hours, LabelName, LabelValue,
    ProxyUrl,
};
pub use words::{UserRef, WrongWord};

/// Bytes of one configuration file. Stops: a link to a device or a log in its place.
const FILE_BYTES: u64 = 1 << 20;
/// Files in `agent.d`.
const DROP_INS: usize = 256;
/// Files at whose opening programs wait.
const STRICT_FILES: usize = 16;
/// Bytes of a file that live events read at most, unless set: larger ones wait for the first scan
/// or a rescan, which stream.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Bytes a second that scans read, unless set: a sixth of what the smallest disks of clouds give, and
/// a first scan of 10 GB is over in ten minutes.
const SCAN_BYTES_PER_SECOND: u64 = 16 << 20;
/// Bytes of the agent's state, unless set.
const DISK_BYTES: u64 = 384 << 20;

/// One configuration file, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Where findings are reported.
    #[serde(default)]
    pub collector: RawCollector,
    /// Names that an operator gives this host: `env = "prod"`. Shown as the host's own claim; labels
    /// that grant scope come from the enrollment token.
    #[serde(default)]
    pub labels: BTreeMap<LabelName, LabelValue>,
    /// Whether this host is made to come and go, as one of an autoscaling group is: its collector
    /// retires it once it has been silent for an hour, instead of missing it. Default false.
    pub ephemeral: Option<bool>,
    /// What is watched.
    #[serde(default)]
    pub watch: RawWatch,
    /// How processes are captured.
    #[serde(default)]
    pub processes: RawProcesses,
    /// The one pass over the watch set when a host is new.
    #[serde(default)]
    pub first_scan: RawFirstScan,
    /// What the agent may take from this host at most.
    #[serde(default)]
    pub budget: RawBudget,
    /// The users that the roles run as.
    #[serde(default)]
    pub roles: RawRoles,
    /// What this host refuses, whatever a collector asks. Outranks every other key and directive.
    #[serde(default)]
    pub deny: RawDeny,
}

/// `[collector]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawCollector {
    /// Collectors in order of preference: `["https://akwatch.example:7443"]`. The only key without
    /// a default.
    pub urls: Option<Vec<CollectorUrl>>,
    /// A CONNECT or SOCKS proxy: `"http://proxy.example:3128"`. No user or password in it.
    pub proxy: Option<ProxyUrl>,
    /// Whether `HTTPS_PROXY` and `NO_PROXY` are obeyed. Default false: the environment of a service
    /// is easily changed by accident.
    pub use_environment_proxy: Option<bool>,
}

/// `[watch]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawWatch {
    /// Paths watched beyond the built-in set: `/srv/**/*.yml`, `~/deploy/**`; `~` is every home.
    pub include: Option<Vec<Glob>>,
    /// Paths not watched; what was found there becomes unknown. Outranks `include`.
    pub exclude: Option<Vec<Glob>>,
    /// The largest file that a live event reads at once, in bytes; larger ones are streamed by the
    /// first scan and by rescans. Default 67108864 (64 MiB).
    pub max_file_bytes: Option<ByteLimit>,
    /// Whether shell histories are read. Default true.
    pub history: Option<bool>,
    /// Whether environments and command lines of processes are read. Default true.
    pub processes: Option<bool>,
}

/// `[processes]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawProcesses {
    /// Whether each program waits, as it starts, until it is captured, 20 ms at most, so that none is
    /// too short-lived to be seen. Costs every start of a dynamically linked program; programs that are
    /// linked statically, or to a container's own libraries, do not wait. Default false.
    pub strict: Option<bool>,
    /// Files at whose opening programs wait, 16 at most: of a container image whose programs are to wait
    /// too, say. Default none, which is this host's own C library, else the loader's cache.
    pub strict_files: Option<Vec<HostPath>>,
}

/// `[first_scan]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawFirstScan {
    /// Whether a new host is read once as a whole. Default true. What changed while no agent ran is
    /// looked at whenever one starts, whatever this says.
    pub enabled: Option<bool>,
    /// Directories that the scans read beyond the watch set: `["/"]` is every local filesystem.
    /// Default none, since what is read and not watched cannot be kept true.
    pub paths: Option<Vec<HostPath>>,
    /// Hours of the day, by the host's own time, in which the first scan reads: `["22:00-06:00"]`.
    /// Outside it waits and goes on where it was. Default none: at any time, at idle priority.
    pub hours: Option<Vec<Hours>>,
}

/// `[budget]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Bytes a second that the first scan and rescans read at most, a tenth of that while the host is
    /// under pressure; a small file counts as 16 KiB. Default 16777216 (16 MiB). Events are not slowed:
    /// what was just written is in memory.
    pub scan_bytes_per_second: Option<ByteLimit>,
    /// Bytes that the agent's state may take on its disk, at least 33554432 (32 MiB). At this limit no
    /// new finding is kept: coverage counts what was left out as `ledger-full`. Default 402653184
    /// (384 MiB), room for 175,000 findings.
    pub disk_bytes: Option<DiskLimit>,
}

/// `[roles]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawRoles {
    /// User of the watcher, a name or a number. Default `akwatch-agent`.
    pub watcher: Option<UserRef>,
    /// User of the marker. Default `akwatch-marker`.
    pub marker: Option<UserRef>,
    /// User of the detector. Default `akwatch-detector`.
    pub detector: Option<UserRef>,
    /// User of the reporter. Default `akwatch-reporter`.
    pub reporter: Option<UserRef>,
}

/// `[deny]`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawDeny {
    /// Paths that are never opened, for any reason. Shown in this host's coverage.
    pub paths: Option<Vec<Glob>>,
    /// Whether hunts are refused. Default false.
    pub hunts: Option<bool>,
    /// Whether a pause that the collector asks for is refused; `akwatch-agent pause` on this host works
    /// all the same. Default false.
    pub pauses: Option<bool>,
}

/// What the agent runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where findings are reported.
    pub collector: Collector,
    /// This host's own labels.
    pub labels: BTreeMap<LabelName, LabelValue>,
    /// Whether it is made to come and go.
    pub ephemeral: bool,
    /// What is watched.
    pub watch: Watch,
    /// How processes are captured.
    pub processes: Processes,
    /// The one pass when a host is new.
    pub first_scan: FirstScan,
    /// What it may take of the host.
    pub budget: Budget,
    /// Users of the roles, where they are set; `None` leaves the choice to `run`.
    pub roles: RawRoles,
    /// What this host refuses.
    pub deny: Deny,
}

/// Where findings are reported.
#[derive(Clone, Debug)]
pub struct Collector {
    /// At least one, in order of preference.
    pub urls: Vec<CollectorUrl>,
    /// The proxy in between.
    pub proxy: Option<ProxyUrl>,
    /// Whether the environment's proxy counts.
    pub use_environment_proxy: bool,
}

/// What is watched.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Beyond the built-in set.
    pub include: Vec<Glob>,
    /// Not watched.
    pub exclude: Vec<Glob>,
    /// Bytes that a live event reads of one file at most.
    pub max_file_bytes: u64,
    /// Whether histories are read.
    pub history: bool,
    /// Whether processes are read.
    pub processes: bool,
}

/// How processes are captured.
#[derive(Clone, Debug)]
pub struct Processes {
    /// Whether programs wait for their capture.
    pub strict: bool,
    /// Where; at the host's own C library when none are named.
    pub strict_files: Vec<PathBuf>,
}

/// The one pass when a host is new.
#[derive(Clone, Debug)]
pub struct FirstScan {
    /// Whether it runs.
    pub enabled: bool,
    /// Directories that scans read beyond the watch set.
    pub paths: Vec<PathBuf>,
    /// When it reads; at any time when none are named.
    pub hours: Vec<Hours>,
}

/// What the agent may take of the host at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes a second that scans read.
    pub scan_bytes_per_second: u64,
    /// Bytes of the agent's state on its disk.
    pub disk_bytes: u64,
}

/// What this host refuses.
#[derive(Clone, Debug)]
pub struct Deny {
    /// Never opened.
    pub paths: Vec<Glob>,
    /// Whether hunts are refused.
    pub hunts: bool,
    /// Whether the collector's pauses are refused.
    pub pauses: bool,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The main file is not there.
    #[error("{file} does not exist; create it with at least [collector] urls = [\"https://…:7443\"]", file = .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file or the drop-in directory could not be read.
    #[error("cannot read {file}; check that it is a file that this user may read", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any configuration.
    #[error("{file} is larger than {limit} bytes; is it the right file?", file = .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Too many drop-ins.
    #[error("{directory} holds more than {limit} files; join some of them", directory = .directory.display())]
    TooManyFiles {
        /// The directory.
        directory: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A key is unknown or its value is wrong.
    #[error("{file}:{line}: {key}{why}", file = .file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key with `: ` behind it, or nothing where the text is no TOML at all.
        key: String,
        /// What is wrong and what is allowed.
        why: String,
    },
    /// A key without a default is missing.
    #[error("{file}: [collector] urls is not set; give at least one, urls = [\"https://…:7443\"]", file = .file.display())]
    NoCollector {
        /// The main file.
        file: PathBuf,
    },
    /// More files than programs may be held at.
    #[error("{count} files are named in [processes] strict_files; at most {limit} are allowed")]
    TooManyStrictFiles {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More labels than a host may have.
    #[error("{count} labels are set; at most {limit} are allowed")]
    TooManyLabels {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl Config {
    /// Reads `main` and `agent.d/*.toml` beside it.
    ///
    /// # Errors
    /// With the file, line and key that is wrong.
    pub fn load(main: &Path) -> Result<Config, ConfigError> {
        Config::from_texts(&Config::texts(main)?)
    }

    /// The texts of `main` and `agent.d/*.toml` beside it: for who must pass them on to a role that
    /// cannot reach them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn texts(main: &Path) -> Result<Vec<(PathBuf, String)>, ConfigError> {
        let mut files = vec![(main.to_owned(), read_file(main)?)];
        for drop_in in drop_ins(main)? {
            let text = read_file(&drop_in)?;
            files.push((drop_in, text));
        }
        Ok(files)
    }

    /// Whether nothing is configured at all: neither `main` nor anything beside it is there.
    #[must_use]
    pub fn is_absent(main: &Path) -> bool {
        let missing = |why: ConfigError| matches!(why, ConfigError::Missing { .. });
        read_file(main).is_err_and(missing) && drop_ins(main).is_ok_and(|files| files.is_empty())
    }

    /// What is watched where nothing is configured, without a collector: for the scan by hand.
    #[must_use]
    pub fn built_in() -> Config {
        RawConfig::default().with_defaults(Vec::new())
    }

    /// Reads files that are already in memory, the main one first.
    ///
    /// # Errors
    /// As [`load`](Config::load).
    pub fn from_texts(files: &[(PathBuf, String)]) -> Result<Config, ConfigError> {
        let mut whole = RawConfig::default();
        for (file, text) in files {
            whole.replace_with(parse(file, text)?);
        }
        let main = files
            .first()
            .map(|(file, _)| file.clone())
            .unwrap_or_default();
        whole.resolve(main)
    }
}

impl RawConfig {
    fn replace_with(&mut self, later: RawConfig) {
        fn newer<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        newer(&mut self.collector.urls, later.collector.urls);
        newer(&mut self.collector.proxy, later.collector.proxy);
        newer(
            &mut self.collector.use_environment_proxy,
            later.collector.use_environment_proxy,
        );
        self.labels.extend(later.labels);
        newer(&mut self.ephemeral, later.ephemeral);
        newer(&mut self.watch.include, later.watch.include);
        newer(&mut self.watch.exclude, later.watch.exclude);
        newer(&mut self.watch.max_file_bytes, later.watch.max_file_bytes);
        newer(&mut self.watch.history, later.watch.history);
        newer(&mut self.watch.processes, later.watch.processes);
        newer(&mut self.processes.strict, later.processes.strict);
        newer(
            &mut self.processes.strict_files,
            later.processes.strict_files,
        );
        newer(&mut self.first_scan.enabled, later.first_scan.enabled);
        newer(&mut self.first_scan.paths, later.first_scan.paths);
        newer(&mut self.first_scan.hours, later.first_scan.hours);
        newer(
            &mut self.budget.scan_bytes_per_second,
            later.budget.scan_bytes_per_second,
        );
        newer(&mut self.budget.disk_bytes, later.budget.disk_bytes);
        newer(&mut self.roles.watcher, later.roles.watcher);
        newer(&mut self.roles.marker, later.roles.marker);
        newer(&mut self.roles.detector, later.roles.detector);
        newer(&mut self.roles.reporter, later.roles.reporter);
        newer(&mut self.deny.paths, later.deny.paths);
        newer(&mut self.deny.hunts, later.deny.hunts);
        newer(&mut self.deny.pauses, later.deny.pauses);
    }

    fn resolve(self, main: PathBuf) -> Result<Config, ConfigError> {
        let urls = self.collector.urls.clone().unwrap_or_default();
        if urls.is_empty() {
            return Err(ConfigError::NoCollector { file: main });
        }
        if self.labels.len() > akwatch_proto::limits::LABELS {
            return Err(ConfigError::TooManyLabels {
                count: self.labels.len(),
                limit: akwatch_proto::limits::LABELS,
            });
        }
        let strict_files = self.processes.strict_files.as_ref().map_or(0, Vec::len);
        if strict_files > STRICT_FILES {
            return Err(ConfigError::TooManyStrictFiles {
                count: strict_files,
                limit: STRICT_FILES,
            });
        }
        Ok(self.with_defaults(urls))
    }

    fn with_defaults(self, urls: Vec<CollectorUrl>) -> Config {
        let paths = |paths: Option<Vec<HostPath>>| {
            let paths = paths.unwrap_or_default().into_iter();
            paths.map(|path| path.0).collect()
        };
        Config {
            collector: Collector {
                urls,
                proxy: self.collector.proxy,
                use_environment_proxy: self.collector.use_environment_proxy.unwrap_or(false),
            },
            labels: self.labels,
            ephemeral: self.ephemeral.unwrap_or(false),
            watch: Watch {
                include: self.watch.include.unwrap_or_default(),
                exclude: self.watch.exclude.unwrap_or_default(),
                max_file_bytes: self
                    .watch
                    .max_file_bytes
                    .map_or(MAX_FILE_BYTES, |limit| limit.0),
                history: self.watch.history.unwrap_or(true),
                processes: self.watch.processes.unwrap_or(true),
            },
            processes: Processes {
                strict: self.processes.strict.unwrap_or(false),
                strict_files: paths(self.processes.strict_files),
            },
            first_scan: FirstScan {
                enabled: self.first_scan.enabled.unwrap_or(true),
                paths: paths(self.first_scan.paths),
                hours: self.first_scan.hours.unwrap_or_default(),
            },
            budget: Budget {
                scan_bytes_per_second: self
                    .budget
                    .scan_bytes_per_second
                    .map_or(SCAN_BYTES_PER_SECOND, |limit| limit.0),
                disk_bytes: self.budget.disk_bytes.map_or(DISK_BYTES, |limit| limit.0),
            },
            roles: self.roles,
            deny: Deny {
                paths: self.deny.paths.unwrap_or_default(),
                hunts: self.deny.hunts.unwrap_or(false),
                pauses: self.deny.pauses.unwrap_or(false),
            },
        }
    }
}

fn read_file(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        file: file.to_owned(),
        source,
    };
    let open = std::fs::File::open(file).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            ConfigError::Missing {
                file: file.to_owned(),
            }
        } else {
            unreadable(source)
        }
    })?;
    let mut text = String::new();
    open.take(FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(ConfigError::TooLarge {
            file: file.to_owned(),
            limit: FILE_BYTES,
        });
    }
    Ok(text)
}

fn drop_ins(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = main.with_file_name("agent.d");
    let unreadable = |source| ConfigError::Unreadable {
        file: directory.clone(),
        source,
    };
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(unreadable(why)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
        if files.len() > DROP_INS {
            return Err(ConfigError::TooManyFiles {
                directory,
                limit: DROP_INS,
            });
        }
    }
    files.sort();
    Ok(files)
}

fn parse(file: &Path, text: &str) -> Result<RawConfig, ConfigError> {
    toml::from_str(text).map_err(|wrong| {
        let at = wrong.span().map_or(0, |span| span.start.min(text.len()));
        ConfigError::Wrong {
            file: file.to_owned(),
            line: 1 + text.as_bytes()[..at]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count(),
            key: key_at(text, at),
            why: wrong.message().replace('\n', "; "),
        }
    })
}

/// The key on whose line `at` lies, with its table: a message that says `watch.exclude` is found
/// faster than one that says a column.
fn key_at(text: &str, at: usize) -> String {
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |length| at + length);
    let mut table = "";
    let mut key = "";
    for line in text[..end].lines() {
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            table = name.trim_matches(['[', ']', ' ']);
            key = "";
        } else if let Some((name, _)) = line.split_once('=') {
            let name = name.trim();
            if name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            {
                key = name;
            }
        }
    }
    match (table, key) {
        ("", "") => String::new(),
        ("", only) | (only, "") => format!("{only}: "),
        (table, key) => format!("{table}.{key}: "),
    }
}

#[cfg(test)]
mod tests;
