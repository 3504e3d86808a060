//! Which files matter and how they are written: one table for the watch set, the formats and the
//! console's advice.
//!
//! The table is data (`places.toml`) and matching is by name only: nothing here opens a file, and
//! nothing here decides whether a file is read.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::OnceLock;

use memchr::memmem;
use serde::Deserialize;

use crate::content::Format;
use crate::rule::Fnv;

/// What sort of place a file is: decides the order of the first scan and the advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlaceClass {
    /// A cloud's command line or SDK keeps its credentials here.
    CloudCli,
    /// Configuration of an application or of the system.
    Config,
    /// A container runtime's or cluster node's files.
    Container,
    /// Jobs run by the clock.
    Cron,
    /// What a shell or client remembers of its user.
    History,
    /// Private keys.
    Key,
    /// Logs.
    Log,
    /// Registries' and clusters' client files.
    Orchestration,
    /// Backups, mail spools and what editors leave.
    Residue,
    /// A running process's captures.
    Runtime,
    /// A shell's profile or the system's environment.
    Shell,
    /// Temporary directories.
    Tmp,
    /// Units, their drop-ins and environment files.
    Unit,
    /// What a web server may serve.
    Web,
}

/// One glob of the default watch set.
#[derive(Clone, Debug)]
pub struct WatchEntry {
    /// `/etc/**` from the root, or `~/.aws/credentials` under every home.
    pub glob: String,
    /// What sort of place.
    pub class: PlaceClass,
    /// How its files are written; [`Format::Guess`] when only their names and bytes say.
    pub format: Format,
    /// Key of the advice for this place.
    pub remedy: String,
}

impl WatchEntry {
    /// Whether the glob is relative to every home directory.
    #[must_use]
    pub fn in_home(&self) -> bool {
        self.glob.starts_with("~/")
    }

    /// The longest leading directory without a wildcard: where a watch has to be placed. For
    /// `/etc/**` it is `/etc`, for `~/.aws/credentials` `~/.aws`.
    #[must_use]
    pub fn base(&self) -> &str {
        let wild = self.glob.find(['*', '?', '[']).unwrap_or(self.glob.len());
        let end = self.glob[..wild].rfind('/').unwrap_or(0);
        if end == 0 { "/" } else { &self.glob[..end] }
    }

    /// Whether everything below [`base`](WatchEntry::base) belongs to it, at any depth.
    #[must_use]
    pub fn recursive(&self) -> bool {
        self.glob.contains("**")
    }

    /// Whether `path` belongs to it. `path` is absolute for `/…` globs and relative to the home,
    /// without a leading slash, for `~/…` ones.
    #[must_use]
    pub fn covers(&self, path: &[u8]) -> bool {
        match self.glob.strip_prefix("~/") {
            Some(glob) => glob_fits(glob.as_bytes(), path),
            None => glob_fits(self.glob.as_bytes(), path),
        }
    }
}

/// Rows by a component of their globs, which are the program's own: nobody chooses them to collide.
type Index = HashMap<Vec<u8>, Vec<usize>, BuildHasherDefault<Fnv>>;

/// The table, parsed and indexed.
#[derive(Debug)]
pub struct PlaceTable {
    rows: Vec<Row>,
    by_name: Index,
    by_extension: Index,
    /// Rows without a name or an extension, by the directory at the root that they begin with.
    by_top: Index,
    others: Vec<usize>,
    watch: Vec<WatchEntry>,
}

#[derive(Debug)]
struct Row {
    glob: Vec<u8>,
    /// What it begins with before its first wildcard, and what its last component does.
    lead: Vec<u8>,
    stem: Vec<u8>,
    /// How many dots its last component has: `*.json.*` is no name with one.
    dots: usize,
    /// Its longest piece without a wildcard.
    piece: memmem::Finder<'static>,
    /// Whether a component of it begins with a dot, as most in a home do.
    hidden: bool,
    /// Whether it is one component at any depth, so that the index has told all of it.
    anywhere: bool,
    format: Format,
    class: PlaceClass,
    remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    place: Vec<RawPlace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlace {
    globs: Vec<String>,
    format: String,
    class: PlaceClass,
    remedy: String,
    #[serde(default)]
    watch: bool,
}

/// The table that comes with this program.
#[must_use]
pub fn builtin() -> &'static PlaceTable {
    static TABLE: OnceLock<PlaceTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        PlaceTable::parse(include_str!("../places.toml"))
            .expect("invariant: the embedded table is parsed by a test")
    })
}

/// The format that `path`'s name says, by the built-in table; [`Format::Guess`] if none.
#[must_use]
pub fn format_of(path: &[u8]) -> Format {
    builtin().format_of(path)
}

/// The history format of `path`, if it is a history, by the built-in table.
#[must_use]
pub fn is_history(path: &[u8]) -> Option<Format> {
    builtin().is_history(path)
}

/// The default watch set.
#[must_use]
pub fn watch_set() -> &'static [WatchEntry] {
    builtin().watch_set()
}

impl Row {
    /// Whether `path`, whose last component is `name`, belongs to it. Every file that is scanned asks
    /// this of many rows, so what is cheap is asked first.
    fn fits(&self, name: &[u8], path: &[u8], (hidden, dots): (bool, usize)) -> bool {
        (hidden || !self.hidden)
            && dots >= self.dots
            && begins(path, &self.lead)
            && begins(name, &self.stem)
            && self.piece.find(path).is_some()
            && glob_fits(&self.glob, path)
    }
}

impl PlaceTable {
    /// Parses a table.
    ///
    /// # Errors
    /// When the TOML is malformed or a row names a format that does not exist.
    pub fn parse(text: &str) -> Result<PlaceTable, toml::de::Error> {
        let raw: RawTable = toml::from_str(text)?;
        let mut table = PlaceTable {
            rows: Vec::new(),
            by_name: Index::default(),
            by_extension: Index::default(),
            by_top: Index::default(),
            others: Vec::new(),
            watch: Vec::new(),
        };
        for place in raw.place {
            let format = format_named(&place.format).ok_or_else(|| {
                serde::de::Error::custom(format!("no format is called {:?}", place.format))
            })?;
            for glob in place.globs {
                if place.watch && (glob.starts_with('/') || glob.starts_with("~/")) {
                    table.watch.push(WatchEntry {
                        glob: glob.clone(),
                        class: place.class,
                        format,
                        remedy: place.remedy.clone(),
                    });
                }
                table.add(&glob, format, place.class, &place.remedy);
            }
        }
        Ok(table)
    }

    fn add(&mut self, glob: &str, format: Format, class: PlaceClass, remedy: &str) {
        let row = self.rows.len();
        let glob = match glob.strip_prefix("~/") {
            Some(rest) => format!("**/{rest}"),
            None if glob.starts_with('/') => glob.to_owned(),
            None => format!("**/{glob}"),
        };
        let last = glob.rsplit('/').next().unwrap_or_default();
        let extension = last
            .strip_prefix("*.")
            .filter(|rest| !is_wild(rest) && !rest.contains('.'));
        if !is_wild(last) {
            self.by_name
                .entry(last.as_bytes().to_vec())
                .or_default()
                .push(row);
        } else if let Some(extension) = extension {
            self.by_extension
                .entry(extension.as_bytes().to_vec())
                .or_default()
                .push(row);
        } else if let Some(top) =
            top_of(glob.as_bytes()).filter(|top| !top.contains(&b'*') && !top.contains(&b'?'))
        {
            self.by_top.entry(top.to_vec()).or_default().push(row);
        } else {
            self.others.push(row);
        }
        let piece = glob.split(['*', '?']).max_by_key(|piece| piece.len());
        let indexed = !is_wild(last) || extension.is_some();
        self.rows.push(Row {
            hidden: glob.contains("/."),
            lead: before_wild(&glob),
            stem: before_wild(last),
            dots: match last.contains("**") {
                true => 0,
                false => last.bytes().filter(|&byte| byte == b'.').count(),
            },
            piece: memmem::Finder::new(piece.unwrap_or_default()).into_owned(),
            anywhere: indexed && glob.strip_prefix("**/") == Some(last),
            glob: glob.into_bytes(),
            format,
            class,
            remedy: remedy.to_owned(),
        });
    }

    fn row_of(&self, path: &[u8], wanted: impl Fn(&Row) -> bool) -> Option<&Row> {
        self.number_of(path, wanted).map(|row| &self.rows[row])
    }

    fn number_of(&self, path: &[u8], wanted: impl Fn(&Row) -> bool) -> Option<usize> {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let extension = name
            .rsplit(|&b| b == b'.')
            .next()
            .filter(|rest| rest.len() < name.len());
        let named = self
            .by_name
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let extended = extension
            .and_then(|extension| self.by_extension.get(extension))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let hidden = memchr::memchr_iter(b'.', path).any(|at| at > 0 && path[at - 1] == b'/');
        let dots = memchr::memchr_iter(b'.', name).count();
        let first = |rows: &[usize]| {
            rows.iter().copied().find(|&row| {
                let row = &self.rows[row];
                wanted(row) && (row.anywhere || row.fits(name, path, (hidden, dots)))
            })
        };
        let top = top_of(path)
            .and_then(|top| self.by_top.get(top))
            .map(Vec::as_slice)
            .unwrap_or_default();
        [named, extended, top, &self.others]
            .into_iter()
            .filter_map(first)
            .min()
    }

    /// The format that `path`'s name says; [`Format::Guess`] when it says nothing. What lies below
    /// another root, in an image's layer, a backup or an archive, is written as it is below ours.
    #[must_use]
    pub fn format_of(&self, path: &[u8]) -> Format {
        let said = |path: &[u8]| self.number_of(path, |row| row.format != Format::Guess);
        let rooted = roots(path).filter_map(|at| match at {
            0 => said(&[b"/", path].concat()),
            1 => None,
            at => said(&path[at - 1..]),
        });
        let row = rooted.chain(said(path)).min();
        row.map_or(Format::Guess, |row| self.rows[row].format)
    }

    /// The history format of `path`, if it is a history.
    #[must_use]
    pub fn is_history(&self, path: &[u8]) -> Option<Format> {
        self.row_of(path, |row| row.class == PlaceClass::History)
            .map(|row| row.format)
    }

    /// What sort of place `path` is.
    #[must_use]
    pub fn class_of(&self, path: &[u8]) -> Option<PlaceClass> {
        self.row_of(path, |_| true).map(|row| row.class)
    }

    /// The key of the advice for `path`.
    #[must_use]
    pub fn remedy_of(&self, path: &[u8]) -> Option<&str> {
        self.row_of(path, |_| true).map(|row| row.remedy.as_str())
    }

    /// The default watch set, in the table's order.
    #[must_use]
    pub fn watch_set(&self) -> &[WatchEntry] {
        &self.watch
    }
}

/// Where the directories begin in `path` that another root may have, those whose files the table knows.
fn roots(path: &[u8]) -> impl Iterator<Item = usize> {
    const ROOTS: [&[u8]; 5] = [b"etc/", b"var/", b"run/", b"www/", b"proc/"];
    /// The last ones are asked. Stops: a name of nothing else, each looked up with all behind it.
    const MOST: usize = 8;
    const LONGEST: usize = 4096;
    let from = path.len().saturating_sub(LONGEST);
    let slashes = memchr::memrchr_iter(b'/', &path[from..]);
    let begins = slashes.map(move |slash| from + slash + 1);
    let begins = begins.chain((from == 0).then_some(0));
    let known = begins.filter(|&at| {
        let rest = &path[at..];
        matches!(rest.first(), Some(b'e' | b'v' | b'r' | b'w' | b'p'))
            && ROOTS.iter().any(|root| rest.starts_with(root))
    });
    known.take(MOST)
}

/// The directory at the root that an absolute path begins with.
fn top_of(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/")?;
    memchr::memchr(b'/', rest).map(|end| &rest[..end])
}

/// `starts_with` for what nearly never does: the first byte and the next are looked at first.
fn begins(text: &[u8], start: &[u8]) -> bool {
    match start {
        [] => true,
        [a] => text.first() == Some(a),
        [a, b, ..] => matches!(text, [c, d, ..] if a == c && b == d) && text.starts_with(start),
    }
}

fn before_wild(text: &str) -> Vec<u8> {
    let literal = text.split(['*', '?']).next().unwrap_or_default();
    literal.as_bytes().to_vec()
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Every format, by the name that the table has for it.
pub(crate) const FORMATS: [(&str, Format); 39] = [
    ("guess", Format::Guess),
    ("environ", Format::Environ),
    ("argv", Format::Argv),
    ("dotenv", Format::Dotenv),
    ("ini", Format::Ini),
    ("properties", Format::Properties),
    ("yaml", Format::Yaml),
    ("json", Format::Json),
    ("toml", Format::Toml),
    ("xml", Format::Xml),
    ("shell", Format::Shell),
    ("bash-history", Format::BashHistory),
    ("zsh-history", Format::ZshHistory),
    ("fish-history", Format::FishHistory),
    ("powershell", Format::PowerShell),
    ("sql", Format::Sql),
    ("sql-history", Format::SqlHistory),
    ("redis-history", Format::RedisHistory),
    ("code-history", Format::CodeHistory),
    ("viminfo", Format::Viminfo),
    ("unit", Format::Unit),
    ("crontab", Format::Crontab),
    ("dockerfile", Format::Dockerfile),
    ("hcl", Format::Hcl),
    ("csv", Format::Csv),
    ("directives", Format::Directives),
    ("conf", Format::Conf),
    ("netrc", Format::Netrc),
    ("pgpass", Format::PgPass),
    ("chap-secrets", Format::ChapSecrets),
    ("key-pairs", Format::KeyPairs),
    ("logins", Format::Logins),
    ("piped-keys", Format::PipedKeys),
    ("makefile", Format::Makefile),
    ("ipsec-secrets", Format::IpsecSecrets),
    ("user-list", Format::UserList),
    ("curlrc", Format::CurlRc),
    ("notes", Format::Notes),
    ("text", Format::Text),
];

fn format_named(name: &str) -> Option<Format> {
    let mut formats = FORMATS.iter();
    formats
        .find(|(known, _)| *known == name)
        .map(|(_, format)| *format)
}

/// Whether `glob` fits the whole of `path`. `**/` also fits no directory at all. Bytes looked at
/// are bounded by the product of the lengths, and globs are the program's own.
#[must_use]
pub fn glob_fits(glob: &[u8], path: &[u8]) -> bool {
    let mut at = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        let (g, p) = at;
        if let (Some(b'*'), Some(b'*')) = (glob.get(g), glob.get(g + 1)) {
            let skip = if glob.get(g + 2) == Some(&b'/') { 3 } else { 2 };
            double = Some((g + skip, p));
            star = None;
            at = (g + skip, p);
            continue;
        }
        match (glob.get(g), path.get(p)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((g + 1, p));
                at = (g + 1, p);
                continue;
            }
            (Some(b'?'), Some(&byte)) if byte != b'/' => {
                at = (g + 1, p + 1);
                continue;
            }
            (Some(a), Some(b)) if a == b => {
                at = (g + 1, p + 1);
                continue;
            }
            _ => {}
        }
        match (star, double) {
            (Some((g, p)), _) if path.get(p).is_some_and(|&byte| byte != b'/') => {
                star = Some((g, p + 1));
                at = (g, p + 1);
            }
            (_, Some((g, p))) if p < path.len() => {
                // `**/` resumes at the next component only; a trailing `**` anywhere.
                let step = if glob[..g].ends_with(b"/") {
                    match path[p..].iter().position(|&byte| byte == b'/') {
                        Some(slash) => slash + 1,
                        None => return false,
                    }
                } else {
                    1
                };
                star = None;
                double = Some((g, p + step));
                at = (g, p + step);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, format: Format) {
        assert_eq!(format_of(path.as_bytes()), format, "{path}");
    }

    #[test]
    fn what_is_asked_first_refuses_nothing_that_fits() {
        let table = builtin();
        for row in &table.rows {
            let glob = String::from_utf8_lossy(&row.glob);
            for filler in ["x", "a.b", "", ".ssh"] {
                let path = glob.replace("**", "a/.b").replace(['*', '?'], filler);
                let path = path.as_bytes();
                let every = (0..).zip(&table.rows);
                let fitting = every.filter(|(_, row)| glob_fits(&row.glob, path));
                let first = fitting.map(|(number, _)| number).min();
                assert_eq!(
                    table.number_of(path, |_| true),
                    first,
                    "{}",
                    path.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn names_say_formats() {
        check("/home/app/.bash_history", Format::BashHistory);
        check("/root/.zsh_history", Format::ZshHistory);
        check(
            "/home/a/.local/share/fish/fish_history",
            Format::FishHistory,
        );
        check("/home/app/.aws/credentials", Format::Ini);
        check("/srv/app/application.yml", Format::Yaml);
        check("/srv/app/.env.production", Format::Dotenv);
        check("prod.env", Format::Dotenv);
        check("/proc/4242/environ", Format::Environ);
        check("/proc/4242/cmdline", Format::Argv);
        check("/etc/systemd/system/pay.service", Format::Unit);
        check("/etc/cron.d/backup", Format::Crontab);
        check("/etc/cron.daily/backup", Format::Shell);
        check("/etc/default/pay", Format::Dotenv);
        check("/srv/x/core-site.xml", Format::Xml);
        check("/srv/x/main.go", Format::Text);
        check("/srv/x/nginx.conf", Format::Directives);
        check("/srv/x/app.conf", Format::Conf);
        check("/srv/x/Dockerfile.web", Format::Dockerfile);
        check("/srv/x/prod.tfvars", Format::Hcl);
        check("/root/.netrc", Format::Netrc);
        check("/tmp/AccessKey.csv", Format::Csv);
        check("/srv/x/unheard-of", Format::Guess);
    }

    #[test]
    fn globs_keep_to_their_components() {
        for (glob, path, fits) in [
            ("/etc/*", "/etc/a", true),
            ("/etc/*", "/etc/a/b", false),
            ("/etc/**", "/etc/a/b", true),
            ("**/.env", ".env", true),
            ("**/.env", "/a/b/.env", true),
            ("**/.env", "/a/b/x.env", false),
            ("/x/**/*.conf", "/x/a.conf", true),
            ("/x/**/*.conf", "/x/a/b/c.conf", true),
            ("/x/**/*.conf", "/x/a/b/c.confx", false),
            ("/x/*/y?", "/x/a/yz", true),
            ("**/a/*/b", "/a/c/a/d/b", true),
        ] {
            assert_eq!(
                glob_fits(glob.as_bytes(), path.as_bytes()),
                fits,
                "{glob} {path}"
            );
        }
    }

    #[test]
    fn histories_are_known_and_nothing_else_is() {
        assert_eq!(
            is_history(b"/root/.bash_history"),
            Some(Format::BashHistory)
        );
        assert_eq!(
            is_history(b"/root/.mysql_history"),
            Some(Format::SqlHistory)
        );
        assert_eq!(is_history(b"/root/notes.txt"), None);
    }

    #[test]
    fn the_watch_set_names_where_watches_go() {
        let bases: Vec<&str> = watch_set().iter().map(WatchEntry::base).collect();
        for base in ["/etc", "~/.aws", "~", "/tmp", "/var/spool/cron", "/var/www"] {
            assert!(bases.contains(&base), "{base} in {bases:?}");
        }
        let aws = watch_set()
            .iter()
            .find(|entry| entry.glob == "~/.aws/credentials")
            .unwrap();
        assert!(aws.in_home() && !aws.recursive() && aws.covers(b".aws/credentials"));
        assert!(!aws.covers(b".aws/other"));
    }
}
