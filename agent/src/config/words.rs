//! The values of a configuration, each a type that only a valid value can have.
//!
//! Everything is parsed while the file is read, so that the error can name the line. Nothing here
//! looks at the host: a user's name is resolved, and a `~` expanded, where the host is known.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use akwatch_proto::limits;
use serde::Deserialize;

/// Why a value was refused, with what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongWord {
    /// Not the address of a collector.
    #[error("{text:?} is not a collector's address: {why}; allowed is https://HOST[:PORT]")]
    Collector {
        /// What was written.
        text: String,
        /// Why not.
        why: String,
    },
    /// Not the address of a proxy.
    #[error("not a proxy's address: {why}; allowed is http://HOST:PORT or socks5h://HOST:PORT")]
    Proxy {
        /// Why not. The text itself is left out: it may hold a password.
        why: String,
    },
    /// Not a path pattern.
    #[error(
        "{text:?} is not a path pattern: {why}; it begins with / or ~/, and * ** ? [a-z] {{a,b}} \
         are allowed"
    )]
    Glob {
        /// What was written.
        text: String,
        /// Why not.
        why: String,
    },
    /// Not an absolute path.
    #[error("{text:?} is not an absolute path without `..`")]
    Path {
        /// What was written.
        text: String,
    },
    /// Not a user.
    #[error(
        "{text:?} is not a user: a name of lower-case letters, digits, - and _, or a number from 0 \
         to 4294967293"
    )]
    User {
        /// What was written.
        text: String,
    },
    /// Not a stretch of the day.
    #[error("{text:?} is not a stretch of the day: HH:MM-HH:MM, from 00:00 to 24:00")]
    Hours {
        /// What was written.
        text: String,
    },
    /// A number of bytes out of range.
    #[error("{bytes} is out of range: 4096 to 1099511627776 bytes are allowed")]
    Bytes {
        /// What was written.
        bytes: i64,
    },
    /// Not a number of bytes that a state fits into.
    #[error(
        "{bytes} is no limit for a disk; give 33554432 (32 MiB) to 1099511627776 (1 TiB) bytes"
    )]
    Disk {
        /// What was written.
        bytes: i64,
    },
    /// Not a label.
    #[error("a label's {part} is 1 to {limit} {allowed}")]
    Label {
        /// `name` or `value`.
        part: &'static str,
        /// The longest.
        limit: usize,
        /// The alphabet, in words.
        allowed: &'static str,
    },
}

/// Where a collector is: `https://HOST[:PORT]`, without user, path or query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub struct CollectorUrl(reqwest::Url);

impl CollectorUrl {
    /// The address.
    #[must_use]
    pub fn url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl TryFrom<String> for CollectorUrl {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<CollectorUrl, WrongWord> {
        let wrong = |why: &str| {
            // An address with a password in it is not repeated into a log.
            let text = if text.contains('@') {
                "…@…".to_owned()
            } else {
                text.clone()
            };
            Err(WrongWord::Collector {
                text,
                why: why.to_owned(),
            })
        };
        let url = match reqwest::Url::parse(&text) {
            Ok(url) => url,
            Err(why) => return wrong(&why.to_string()),
        };
        if url.scheme() != "https" {
            return wrong("its scheme is not https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("it holds a user or password; the certificate says who this host is");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return wrong("it has a path, query or fragment");
        }
        Ok(CollectorUrl(url))
    }
}

/// A proxy: `http://HOST:PORT`, `https://HOST:PORT` or `socks5h://HOST:PORT`, without user or
/// password.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub struct ProxyUrl(reqwest::Url);

impl ProxyUrl {
    /// The address.
    #[must_use]
    pub fn url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl TryFrom<String> for ProxyUrl {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<ProxyUrl, WrongWord> {
        let wrong = |why: String| Err(WrongWord::Proxy { why });
        let url = match reqwest::Url::parse(&text) {
            Ok(url) => url,
            Err(why) => return wrong(why.to_string()),
        };
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return wrong("its scheme is none of http, https, socks5, socks5h".to_owned());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return wrong("it names no host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "it holds a user or password, and this file may hold no secret; let the proxy \
                 admit this host by its address"
                    .to_owned(),
            );
        }
        Ok(ProxyUrl(url))
    }
}

/// A path pattern: `*` and `?` stay within one name, `**` crosses names, `~/` is every home.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct Glob(String);

impl Glob {
    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The longest directory that every match lies in, where the walk for it begins: `/srv` of
    /// `/srv/*/app.yml`, the path itself where nothing in it is a pattern. For `~/…` one for each of
    /// `homes`.
    #[must_use]
    pub fn bases(&self, homes: &[PathBuf]) -> Vec<PathBuf> {
        let fixed = |pattern: &str| -> PathBuf {
            let parts = pattern.split_inclusive('/');
            let literal = parts.take_while(|part| !part.contains(['*', '?', '[', '{', '\\']));
            PathBuf::from(literal.collect::<String>())
        };
        match self.0.strip_prefix("~/") {
            Some(rest) => homes.iter().map(|home| home.join(fixed(rest))).collect(),
            None => vec![fixed(&self.0)],
        }
    }

    fn compile(text: &str) -> Result<globset::Glob, WrongWord> {
        globset::GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|why| WrongWord::Glob {
                text: text.to_owned(),
                why: why.kind().to_string(),
            })
    }
}

impl TryFrom<String> for Glob {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<Glob, WrongWord> {
        let wrong = |text: String, why: &str| {
            Err(WrongWord::Glob {
                text,
                why: why.to_owned(),
            })
        };
        if text.len() > limits::SAFE_TEXT {
            return wrong(text.chars().take(40).collect(), "it is too long");
        }
        if !text.starts_with('/') && !text.starts_with("~/") {
            return wrong(text, "it does not begin with / or ~/");
        }
        Glob::compile(&text)?;
        Ok(Glob(text))
    }
}

/// Many patterns, matched at once in time linear in the path.
#[derive(Clone, Debug)]
pub struct GlobSet(globset::GlobSet);

impl GlobSet {
    /// Compiles `globs`, with `~/` standing for each of `homes`. A pattern that names a directory
    /// also covers everything below it. A home whose name is not UTF-8 is not covered by `~`.
    ///
    /// # Errors
    /// When the patterns together are larger than can be compiled.
    pub fn new<'a>(
        globs: impl IntoIterator<Item = &'a Glob>,
        homes: &[PathBuf],
    ) -> Result<GlobSet, WrongWord> {
        let mut set = globset::GlobSetBuilder::new();
        let mut add = |pattern: &str| -> Result<(), WrongWord> {
            set.add(Glob::compile(pattern)?);
            set.add(Glob::compile(&format!(
                "{}/**",
                pattern.trim_end_matches('/')
            ))?);
            Ok(())
        };
        for glob in globs {
            match glob.0.strip_prefix("~/") {
                Some(rest) => {
                    for home in homes.iter().filter_map(|home| home.to_str()) {
                        let home = globset::escape(home.trim_end_matches('/'));
                        add(&format!("{home}/{rest}"))?;
                    }
                }
                None => add(&glob.0)?,
            }
        }
        set.build().map(GlobSet).map_err(|why| WrongWord::Glob {
            text: why.glob().unwrap_or_default().to_owned(),
            why: why.kind().to_string(),
        })
    }

    /// Whether `path`, absolute as the host names it, is covered.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }

    /// Whether nothing can be covered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An absolute path without `..`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct HostPath(pub PathBuf);

impl TryFrom<String> for HostPath {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<HostPath, WrongWord> {
        let path = PathBuf::from(&text);
        let up = path
            .components()
            .any(|part| matches!(part, std::path::Component::ParentDir));
        if !path.is_absolute() || up || path.as_os_str().as_bytes().contains(&0) {
            return Err(WrongWord::Path { text });
        }
        Ok(HostPath(path))
    }
}

/// A stretch of each day, `22:00-06:00`: from its first minute until before its last. One that ends
/// before it begins goes over midnight.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub struct Hours {
    from: u32,
    to: u32,
}

impl Hours {
    /// Whether a minute of the day, from 0, lies in it.
    #[must_use]
    pub fn hold(&self, minute: u32) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

impl TryFrom<String> for Hours {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<Hours, WrongWord> {
        let minute = |text: &str| -> Option<u32> {
            let (hours, minutes) = text.split_once(':')?;
            let two = |text: &str| {
                let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| text.parse::<u32>().ok()).flatten()
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            let minute = hours * 60 + minutes;
            (minutes < 60 && minute <= 24 * 60).then_some(minute)
        };
        let parsed = text
            .split_once('-')
            .and_then(|(from, to)| Some((minute(from)?, minute(to)?)))
            .filter(|(from, to)| from != to && *from < 24 * 60);
        match parsed {
            Some((from, to)) => Ok(Hours { from, to }),
            None => Err(WrongWord::Hours { text }),
        }
    }
}

/// A user, by name or number; whether it exists is asked where the host is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum UserRef {
    /// A name of passwd.
    Name(String),
    /// A number, which passwd need not know.
    Uid(u32),
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserRef::Name(name) => f.write_str(name),
            UserRef::Uid(uid) => uid.fmt(f),
        }
    }
}

impl UserRef {
    fn parse(text: &str) -> Result<UserRef, WrongWord> {
        let wrong = || WrongWord::User {
            text: text.to_owned(),
        };
        let first = text.bytes().next().ok_or_else(wrong)?;
        if first.is_ascii_digit() {
            return match text.parse::<u32>() {
                Ok(uid) if uid < u32::MAX - 1 => Ok(UserRef::Uid(uid)),
                _ => Err(wrong()),
            };
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if text.len() > 32 || first == b'-' || !text.bytes().all(allowed) {
            return Err(wrong());
        }
        Ok(UserRef::Name(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<UserRef, D::Error> {
        struct NameOrNumber;
        impl serde::de::Visitor<'_> for NameOrNumber {
            type Value = UserRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user's name or number")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserRef, E> {
                UserRef::parse(text).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<UserRef, E> {
                UserRef::parse(&number.to_string()).map_err(E::custom)
            }
        }
        from.deserialize_any(NameOrNumber)
    }
}

/// A number of bytes, 4 KiB to 1 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "i64")]
pub struct ByteLimit(pub u64);

impl TryFrom<i64> for ByteLimit {
    type Error = WrongWord;
    fn try_from(bytes: i64) -> Result<ByteLimit, WrongWord> {
        match u64::try_from(bytes) {
            Ok(limit) if (1 << 12..=1 << 40).contains(&limit) => Ok(ByteLimit(limit)),
            _ => Err(WrongWord::Bytes { bytes }),
        }
    }
}

/// A limit on what lies on a disk: 32 MiB to 1 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "i64")]
pub struct DiskLimit(pub u64);

impl TryFrom<i64> for DiskLimit {
    type Error = WrongWord;
    fn try_from(bytes: i64) -> Result<DiskLimit, WrongWord> {
        match u64::try_from(bytes) {
            Ok(limit) if (1 << 25..=1 << 40).contains(&limit) => Ok(DiskLimit(limit)),
            _ => Err(WrongWord::Disk { bytes }),
        }
    }
}

/// A label's name: lower-case letters, digits, `.`, `-`, `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct LabelName(pub String);

impl TryFrom<String> for LabelName {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<LabelName, WrongWord> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if text.is_empty() || text.len() > limits::SLUG || !text.bytes().all(allowed) {
            return Err(WrongWord::Label {
                part: "name",
                limit: limits::SLUG,
                allowed: "lower-case letters, digits, `.`, `-`, `_`",
            });
        }
        Ok(LabelName(text))
    }
}

/// A label's value: printable text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct LabelValue(pub String);

impl TryFrom<String> for LabelValue {
    type Error = WrongWord;
    fn try_from(text: String) -> Result<LabelValue, WrongWord> {
        let hostile = text.chars().any(akwatch_proto::text::is_hostile);
        if text.is_empty() || text.chars().count() > limits::LABEL_VALUE || hostile {
            return Err(WrongWord::Label {
                part: "value",
                limit: limits::LABEL_VALUE,
                allowed: "printable characters",
            });
        }
        Ok(LabelValue(text))
    }
}
