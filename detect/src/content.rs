//! What is scanned: sources of bytes, named parts of them, and the secrets found inside.

use std::fmt;

use zeroize::Zeroize;

/// A stretch of bytes that can be read at any offset, bounded by its own end.
pub trait Source {
    /// Its length in bytes, when known beforehand.
    fn len(&self) -> Option<u64>;

    /// Whether it is known to be empty.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Reads up to `into.len()` bytes at `at`; 0 at the end.
    ///
    /// # Errors
    /// When the bytes cannot be had; the scan records it and goes on.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable>;
}

impl Source for [u8] {
    fn len(&self) -> Option<u64> {
        Some(self.len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let rest = usize::try_from(at)
            .ok()
            .and_then(|at| self.get(at..))
            .unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> Option<u64> {
        Source::len(self.as_slice())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        self.as_slice().read_at(at, into)
    }
}

/// A source that did not give its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source could not be read")]
pub struct Unreadable;

/// How the bytes of a part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Decide by the part's name, then by its first bytes.
    Guess,
    /// `NAME=VALUE` separated by NUL: a process's environment.
    Environ,
    /// Arguments separated by NUL: a process's command line.
    Argv,
    /// `NAME=value` lines of shell quoting.
    Dotenv,
    /// Sections and `key = value`.
    Ini,
    /// Java properties.
    Properties,
    /// YAML, one or more documents.
    Yaml,
    /// JSON, also with comments.
    Json,
    /// TOML.
    Toml,
    /// XML.
    Xml,
    /// A shell script.
    Shell,
    /// bash's history, plain or with `#epoch` lines.
    BashHistory,
    /// zsh's extended history, metafied.
    ZshHistory,
    /// fish's history.
    FishHistory,
    /// PowerShell: its scripts and what its line editor remembers.
    PowerShell,
    /// Statements of SQL: scripts and dumps.
    Sql,
    /// What a database's client remembers: statements, with the client's escapes.
    SqlHistory,
    /// redis-cli's history.
    RedisHistory,
    /// The history of an interpreter: python, node, irb, mongosh.
    CodeHistory,
    /// vim's registers and command lines.
    Viminfo,
    /// systemd's units and supervisor's programs.
    Unit,
    /// A table of cron's jobs.
    Crontab,
    /// A Dockerfile.
    Dockerfile,
    /// Terraform's and its kin's language.
    Hcl,
    /// A table with its columns' names in the first row.
    Csv,
    /// Lines of names and words: nginx, Redis, HAProxy and their kin.
    Directives,
    /// Configuration that is either pairs or words: its lines say which.
    Conf,
    /// `.netrc`.
    Netrc,
    /// `.pgpass`: `host:port:database:user:password`.
    PgPass,
    /// `chap-secrets`: `client server secret addresses`.
    ChapSecrets,
    /// `key:secret`, perhaps with a bucket before it.
    KeyPairs,
    /// `host user:password`, as mail servers' maps of logins have it.
    Logins,
    /// `key|secret|bucket|…`, as a server panel's plugins keep them.
    PipedKeys,
    /// `Makefile` and `justfile`.
    Makefile,
    /// `ipsec.secrets`.
    IpsecSecrets,
    /// `userlist.txt` of PgBouncer: `"user" "password"`.
    UserList,
    /// `.curlrc`: options of curl, a line each.
    CurlRc,
    /// What people write down for themselves, `name value` among it.
    Notes,
    /// Anything else: lines of text or bytes.
    Text,
}

impl Format {
    /// Whether the text has no syntax of its own: its values end where they seem to.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Format::Guess | Format::Notes | Format::Text)
    }
}

/// Where a part begins in its file, when it is a tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Byte offset of the part's first byte.
    pub offset: u64,
    /// Lines before it.
    pub lines: u32,
}

/// One named stretch of bytes.
pub struct Part<'a> {
    /// The file's name or path, which may say its format; may itself hold a secret.
    pub name: &'a [u8],
    /// How it is written.
    pub format: Format,
    /// Where it begins.
    pub start: Position,
    /// Its bytes.
    pub source: &'a dyn Source,
}

/// A file beside what is scanned, which may hold a keystore's password.
pub struct Companion<'a> {
    /// The file.
    pub part: Part<'a>,
    /// Whether it is looked into only where it names the keystore's file: it lies one directory above.
    pub above: bool,
}

/// The bytes of a secret. Wiped when dropped; cannot be printed, cloned or serialized.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    /// The bytes. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
