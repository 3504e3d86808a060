//! Reads the syntax around candidates: fields with their key paths, exact ranges and scopes.
//!
//! Parsers here are tolerant on purpose: configuration on a server is cut, templated and half
//! edited, and a key in a broken file is as usable as in a valid one. None of them can fail; what
//! they do not understand is read line by line by [`text`]. None of them judges a value.

pub(crate) mod accounts;
pub(crate) mod argv;
pub(crate) mod array;
pub(crate) mod beside;
pub(crate) mod calls;
pub(crate) mod crontab;
pub(crate) mod csv;
pub(crate) mod directives;
pub(crate) mod dockerfile;
pub(crate) mod fences;
pub(crate) mod flow;
pub(crate) mod hcl;
pub(crate) mod history;
pub(crate) mod idiom;
pub(crate) mod keyed;
pub(crate) mod known;
pub(crate) mod lists;
pub(crate) mod literal;
pub(crate) mod logins;
pub(crate) mod makefile;
pub(crate) mod markup;
pub(crate) mod obfuscated;
pub(crate) mod prose;
pub(crate) mod refine;
pub(crate) mod shell;
pub(crate) mod spots;
pub(crate) mod sql;
pub(crate) mod text;
pub(crate) mod xml;
pub(crate) mod yaml;

use std::ops::Range;
use std::sync::LazyLock;

use akwatch_proto::place::Encoding;
use memchr::memmem::Finder;

use crate::content::Format;
use crate::rule::RuleSet;
use crate::unwrap::{container, inline};

/// Names a scope: an object, section, block, command line.
pub(crate) type ScopeId = u32;

/// The tree of scopes of one scan, by parent. Pairs are made inside one of them.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    parents: Vec<ScopeId>,
    /// How deep the text that is being read lies inside others.
    depth: u32,
    /// Whether a parser left something out, being over one of its bounds.
    cut: bool,
}

impl Scopes {
    /// The root, which is its own parent.
    pub(crate) const ROOT: ScopeId = 0;

    pub(crate) fn new() -> Scopes {
        Scopes {
            parents: vec![0],
            depth: 0,
            cut: false,
        }
    }

    pub(crate) fn child(&mut self, parent: ScopeId) -> ScopeId {
        let id = u32::try_from(self.parents.len()).unwrap_or(u32::MAX);
        if id == u32::MAX {
            return parent;
        }
        self.parents.push(parent);
        id
    }

    /// How deep the text that is being read lies inside others.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn deeper(&mut self) {
        self.depth += 1;
    }

    pub(crate) fn shallower(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(crate) fn parent(&self, scope: ScopeId) -> ScopeId {
        self.parents
            .get(scope as usize)
            .copied()
            .unwrap_or(Scopes::ROOT)
    }

    /// Notes that a parser leaves something out.
    pub(crate) fn note_cut(&mut self, cut: bool) {
        self.cut |= cut;
    }

    /// Whether something was left out since this was asked last.
    pub(crate) fn was_cut(&mut self) -> bool {
        std::mem::take(&mut self.cut)
    }

    /// How many there are; with [`forget`](Scopes::forget), drops those of a window without
    /// candidates.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    pub(crate) fn forget(&mut self, length: usize) {
        self.parents.truncate(length.max(1));
    }
}

/// One named value.
#[derive(Debug)]
pub(crate) struct Field {
    /// The key path, `cos.secretKey`; empty for a bare value.
    pub(crate) path: Vec<u8>,
    /// The value's range in the text, quotes excluded.
    pub(crate) raw: Range<usize>,
    /// The value with its escapes undone, where that differs.
    pub(crate) decoded: Option<Vec<u8>>,
    /// The innermost scope.
    pub(crate) scope: ScopeId,
    /// Whether the value was quoted, or its format leaves no doubt where it ends.
    pub(crate) quoted: bool,
    /// Whether a sentence tells it.
    pub(crate) told: bool,
    /// What `decoded` was undone from, where that is more than escapes.
    pub(crate) encoding: Option<Encoding>,
}

impl Field {
    pub(crate) fn value<'a>(&'a self, text: &'a [u8]) -> &'a [u8] {
        self.decoded.as_deref().unwrap_or(&text[self.raw.clone()])
    }
}

/// The first `most` of `found`; that there are more is noted in `scopes`.
pub(crate) fn bounded<T>(
    found: impl Iterator<Item = T>,
    most: usize,
    scopes: &mut Scopes,
) -> Vec<T> {
    let mut kept: Vec<T> = found.take(most + 1).collect();
    if kept.len() > most {
        kept.truncate(most);
        scopes.note_cut(true);
    }
    kept
}

/// Bytes of a path that are kept with a value. Stops: a window of short values below hundreds of long
/// keys, each with a copy of them all.
pub(crate) const LONGEST_PATH: usize = 256;

/// The last names of a path, those nearest the value.
pub(crate) fn innermost(path: &[u8]) -> &[u8] {
    let Some(cut) = path.len().checked_sub(LONGEST_PATH).filter(|&cut| cut > 0) else {
        return path;
    };
    let kept = &path[cut..];
    let dot = memchr::memchr(b'.', kept).filter(|dot| dot + 1 < kept.len());
    dot.map_or(kept, |dot| &kept[dot + 1..])
}

/// What parsers write into.
pub(crate) struct Fields<'s> {
    pub(crate) fields: Vec<Field>,
    pub(crate) scopes: &'s mut Scopes,
}

impl Fields<'_> {
    pub(crate) fn add(&mut self, path: &[u8], raw: Range<usize>, scope: ScopeId, quoted: bool) {
        if raw.start < raw.end {
            self.fields.push(Field {
                path: innermost(path).to_vec(),
                raw,
                decoded: None,
                scope,
                quoted,
                told: false,
                encoding: None,
            });
        }
    }

    pub(crate) fn add_decoded(
        &mut self,
        path: &[u8],
        raw: Range<usize>,
        decoded: Option<Vec<u8>>,
        scope: ScopeId,
    ) {
        if raw.start < raw.end {
            self.fields.push(Field {
                path: innermost(path).to_vec(),
                raw,
                decoded,
                scope,
                quoted: true,
                told: false,
                encoding: None,
            });
        }
    }
}

/// Reads `held`, which is what `text[raw]` says once its escapes are undone; what is found is told
/// where it stands in `text`, or, where it does not stand there as it is, at `raw` as a whole.
pub(crate) fn read_as(
    text: &[u8],
    raw: Range<usize>,
    held: &[u8],
    fields: &mut Fields<'_>,
    read: impl FnOnce(&[u8], Range<usize>, &mut Fields<'_>),
) {
    fields.scopes.deeper();
    let mut inner = Fields {
        fields: Vec::new(),
        scopes: fields.scopes,
    };
    read(held, 0..held.len(), &mut inner);
    let found = inner.fields;
    fields.scopes.shallower();
    for mut field in found {
        let value = match field.decoded.take() {
            Some(value) => value,
            None => held[field.raw.clone()].to_vec(),
        };
        // Where it is looked for first: no earlier than as many bytes in.
        let from = (raw.start + field.raw.start.min(held.len())).min(raw.end);
        let found = memchr::memmem::find(&text[from..raw.end], &value)
            .filter(|_| !value.is_empty())
            .map(|at| from + at);
        field.raw = found.map_or(raw.clone(), |at| at..at + value.len());
        field.decoded = found.is_none().then_some(value);
        fields.fields.push(field);
    }
}

/// Deepest nesting of scopes that a parser follows. Stops: a megabyte of `[`.
pub(crate) const DEEPEST: usize = 96;

/// Parses `text[range]` as `format` into `fields`. [`Format::Text`] and what is not understood
/// yield nothing here: the caller reads the lines of its hits with [`text`].
pub(crate) fn parse(
    text: &[u8],
    range: Range<usize>,
    format: Format,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let first = fields.fields.len();
    match format {
        Format::Environ => argv::environ(text, range, root, fields),
        Format::Argv => argv::arguments(text, range, root, fields),
        Format::Dotenv => keyed::parse(text, range, keyed::Style::DOTENV, root, fields),
        Format::Ini => keyed::parse(text, range, keyed::Style::INI, root, fields),
        Format::Properties => keyed::parse(text, range, keyed::Style::PROPERTIES, root, fields),
        Format::Toml => keyed::parse(text, range, keyed::Style::TOML, root, fields),
        Format::Yaml => yaml::parse(text, range, root, fields),
        Format::Json => flow::parse(text, range, b"", root, fields),
        Format::Xml => xml::parse(text, range, root, fields),
        Format::Shell => shell::script(text, range, root, fields),
        Format::BashHistory => history::bash(text, range, root, fields),
        Format::ZshHistory => history::zsh(text, range, root, fields),
        Format::FishHistory => history::fish(text, range, root, fields),
        Format::PowerShell => history::power_shell(text, range, root, fields),
        Format::SqlHistory => history::sql(text, range, root, fields),
        Format::RedisHistory => history::redis(text, range, root, fields),
        Format::CodeHistory => history::code(text, range, root, fields),
        Format::Viminfo => history::viminfo(text, range, root, fields),
        Format::Sql => sql::statements(text, range, root, fields),
        Format::Unit => keyed::parse(text, range, keyed::Style::UNIT, root, fields),
        Format::Crontab => crontab::parse(text, range, root, fields),
        Format::Dockerfile => dockerfile::parse(text, range, root, fields),
        Format::Hcl => hcl::parse(text, range, root, fields),
        Format::Csv => csv::parse(text, range, root, fields),
        Format::Directives => directives::parse(text, range, root, fields),
        Format::Conf => {
            let format = settled(&text[range.clone()]);
            return parse(text, range, format, root, fields);
        }
        Format::Netrc => directives::netrc(text, range, root, fields),
        Format::PgPass => {
            let names: [&[u8]; 1] = [b"password"];
            directives::records(text, range, |&b| b == b':', &names, root, fields);
        }
        Format::ChapSecrets => {
            let names: [&[u8]; 3] = [b"", b"", b"password"];
            directives::records(text, range, u8::is_ascii_whitespace, &names, root, fields);
        }
        Format::KeyPairs => {
            let names: [&[u8]; 2] = [b"access-key-id", b"secret-key"];
            directives::records(text, range, |&b| b == b':', &names, root, fields);
        }
        Format::Logins => directives::logins(text, range, root, fields),
        Format::PipedKeys => {
            let names: [&[u8]; 2] = [b"access-key-id", b"secret-key"];
            directives::piped(text, range, &names, root, fields);
        }
        Format::Makefile => makefile::parse(text, range, root, fields),
        Format::IpsecSecrets => accounts::ipsec(text, range, root, fields),
        Format::UserList => accounts::users(text, range, root, fields),
        Format::CurlRc => accounts::options(text, range, b"curl", root, fields),
        Format::Notes => {
            known::cloud_parts(text, range.clone(), root, fields);
            fences::parse_all(text, range.clone(), root, fields);
            text::wide_colons(text, range.clone(), root, fields);
            lists::tables(text, range.clone(), root, fields);
            text::worded(text, range, root, fields);
        }
        Format::Text => {
            known::cloud_parts(text, range.clone(), root, fields);
            text::wide_colons(text, range, root, fields);
        }
        Format::Guess => {}
    }
    refine::refine(text, first, fields);
}

/// What a file is whose name says configuration and no more: pairs, words, or nothing of the kind.
pub(crate) fn settled(text: &[u8]) -> Format {
    let sniffed = sniff(text);
    if sniffed != Format::Text {
        return sniffed;
    }
    let (mut worded, mut others) = (0, 0);
    for line in text.split(|&b| b == b'\n').take(2000) {
        let line = line.trim_ascii();
        if line.is_empty() || matches!(line[0], b'#' | b';' | b'}' | b'<' | b'!') {
            continue;
        }
        let name = line
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$'))
            .count();
        let blank = matches!(line.get(name), Some(b' ' | b'\t'));
        // A command in a file of another kind is none of its words.
        if name > 0 && blank && !shell::is_program(&line[..name]) {
            worded += 1;
        } else {
            others += 1;
        }
    }
    if worded > others {
        Format::Directives
    } else {
        Format::Text
    }
}

/// Whether a format's lines are commands of a shell.
pub(crate) fn are_commands(format: Format) -> bool {
    matches!(
        format,
        Format::Argv
            | Format::Shell
            | Format::Crontab
            | Format::Dockerfile
            | Format::Makefile
            | Format::PowerShell
            | Format::BashHistory
            | Format::ZshHistory
            | Format::FishHistory
    )
}

/// Whether a text's fields are wanted even when the sieve saw nothing: flags and names there do not
/// stand before `=` or `:`.
pub(crate) fn always(format: Format, text: &[u8], foreign: bool, rules: &RuleSet) -> bool {
    let names = rules.names();
    match format {
        Format::Sql => sql::is_worth(text, names),
        Format::Csv => csv::is_worth(text, names),
        Format::Yaml => holds_flags(text) || holds_commands(text) || is_cloud_config(text),
        Format::Json => holds_flags(text) || known::may_be_state(text),
        Format::Conf
        | Format::Directives
        | Format::Hcl
        | Format::Environ
        | Format::SqlHistory
        | Format::RedisHistory
        | Format::CodeHistory
        | Format::Viminfo
        | Format::Unit
        | Format::Netrc
        | Format::PgPass
        | Format::ChapSecrets
        | Format::KeyPairs
        | Format::Logins
        | Format::IpsecSecrets
        | Format::UserList
        | Format::CurlRc
        | Format::PipedKeys => true,
        Format::Guess | Format::Text => {
            (foreign && text::has_wide_colon(text)) || is_cloud_config(text)
        }
        Format::Notes => {
            (foreign && text::has_wide_colon(text))
                || text::is_worded(text)
                || fences::has(text)
                || is_cloud_config(text)
        }
        format => are_commands(format),
    }
}

/// Whether flags that carry a secret stand in a text: what is typed on command lines is also written
/// into manifests and pipelines, and no separator stands before a flag's value there.
fn holds_flags(text: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"pass",
        b"password",
        b"passwd",
        b"token",
        b"secret",
        b"-key",
        b"pwd",
        b"_key",
    ];
    static LONG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"--"));
    static SHORT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" -p"));
    let long = LONG.find_iter(text).any(|at| {
        let rest = &text[at + 2..text.len().min(at + 42)];
        let length = rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            .count();
        matches!(rest.get(length), Some(b' ' | b'"' | b'\''))
            && NAMES.iter().any(|name| rest[..length].ends_with(name))
    });
    long || SHORT.find_iter(text).any(|at| {
        let rest = &text[at + 3..text.len().min(at + 11)];
        rest.len() == 8 && rest.iter().all(u8::is_ascii_graphic)
    })
}

/// Whether a text of keys and values has one whose value is a command: a pipeline's `script`, a service's
/// `command`. What is typed there has names for nothing.
fn holds_commands(text: &[u8]) -> bool {
    const KEYS: [&[u8]; 8] = [
        b"run:",
        b"script:",
        b"command:",
        b"commands:",
        b"args:",
        b"cmd:",
        b"shell:",
        b"entrypoint:",
    ];
    static FINDERS: LazyLock<Vec<Finder<'static>>> =
        LazyLock::new(|| KEYS.iter().map(Finder::new).collect());
    text.len() <= LONGEST_PIPELINE && FINDERS.iter().any(|key| key.find(text).is_some())
}

/// Bytes of a text that is parsed for its commands although nothing in it was seen.
const LONGEST_PIPELINE: usize = 256 * 1024;

/// What a text is that is not written as its name says, or that its name says too little of: JSON, or, where
/// the name says nothing, what Java wrote. Pairs of another name stay what they are, whatever stands in one
/// of them, and have Java's escapes undone where they stand.
pub(crate) fn contradicted(named: Format, text: &[u8]) -> Option<Format> {
    let loose = matches!(
        named,
        Format::Text | Format::Dotenv | Format::Ini | Format::Notes
    );
    loose.then(|| sniff(text)).filter(|format| match format {
        Format::Json => !matches!(named, Format::Text | Format::Notes),
        Format::Yaml => is_cloud_config(text),
        Format::Properties => matches!(named, Format::Text | Format::Notes),
        _ => false,
    })
}

/// Whether a text is what cloud-init is given, whatever it is called.
fn is_cloud_config(text: &[u8]) -> bool {
    inline::unmarked(text)
        .trim_ascii_start()
        .starts_with(b"#cloud-config")
}

/// Decides a format from the first bytes of a text whose name says nothing.
pub(crate) fn sniff(head: &[u8]) -> Format {
    let head = inline::unmarked(&head[..head.len().min(4096)]);
    let start = head
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .map_or(&[][..], |at| &head[at..]);
    if start.starts_with(b"#!") {
        let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
        let shell = [&b"sh"[..], b"bash", b"zsh", b"ksh", b"dash"];
        let is_shell = line
            .split(|&b| b == b'/' || b == b' ')
            .any(|word| shell.contains(&word.trim_ascii()));
        return if is_shell {
            Format::Shell
        } else {
            Format::Text
        };
    }
    if start.starts_with(b"#cloud-config") {
        return Format::Yaml;
    }
    if start.starts_with(b"<?xml") || start.starts_with(b"<!DOCTYPE") {
        return Format::Xml;
    }
    let follows = start
        .get(1..)
        .unwrap_or_default()
        .trim_ascii_start()
        .first();
    match (start.first(), follows) {
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b'"')) => return Format::Json,
        _ => {}
    }
    if is_message(start) {
        return Format::Text;
    }
    sniff_lines(head)
}

/// Whether a text begins with the header of a message (RFC 5322), one that says how its body is written or
/// what it is about: what
/// follows is no value of the last field.
fn is_message(head: &[u8]) -> bool {
    const SAYS: [&[u8]; 4] = [
        b"Content-Transfer-Encoding:",
        b"MIME-Version:",
        b"\nSubject: ",
        b"\nTo: ",
    ];
    static FIELDS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| SAYS.map(Finder::new));
    // Most texts that have a colon in their first line have it behind another name.
    container::begins_message(head) && FIELDS.iter().any(|field| field.find(head).is_some())
}

/// Counts what the lines look like.
fn sniff_lines(head: &[u8]) -> Format {
    let (mut equals, mut colons, mut sections, mut others) = (0, 0, 0, 0);
    // Pairs whose value is written as Java writes it, and `key:value`, which only such files have.
    let (mut escaped, mut tight) = (0, 0);
    // What Java neither writes nor reads: a remark behind a value, a shell's word before a name.
    let mut foreign = 0;
    let mut goes_on = false;
    for line in head.split(|&b| b == b'\n').take(60) {
        let line = line.trim_ascii();
        let continued = std::mem::replace(&mut goes_on, false);
        let bare = line.strip_prefix(b"export ");
        foreign += usize::from(bare.is_some());
        let line = bare.unwrap_or(line);
        match line.first() {
            None | Some(b'#' | b';') => continue,
            Some(b'[') if line.ends_with(b"]") => {
                sections += 1;
                continue;
            }
            _ => {}
        }
        let key = line
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
            .count();
        // `cache_peer h parent 3128 0 login=…` is no pair.
        let sentence = line[..key].split(|&b| b == b' ').count() > 3;
        if key > 0 && !sentence && matches!(line.get(key), Some(b'=' | b':')) {
            goes_on = line[key + 1..].trim_ascii() == b"\\";
            escaped += usize::from(is_java_value(&line[key + 1..]));
            foreign += usize::from(keyed::remark_behind(&line[key + 1..]).is_some());
        }
        match line.get(key) {
            Some(b'=' | b':') if sentence => others += 1,
            Some(b'=') if key > 0 => equals += 1,
            Some(b':') if key > 0 && matches!(line.get(key + 1), None | Some(b' ' | b'\r')) => {
                colons += 1;
            }
            Some(b':') if key > 0 && line.get(key + 1) != Some(&b'/') => tight += 1,
            _ if line.starts_with(b"- ") || line == b"---" => colons += 1,
            _ if continued => escaped += usize::from(!line.iter().any(is_quote)),
            _ => others += 1,
        }
    }
    if escaped > 0 && foreign == 0 && sections == 0 && equals + colons + tight > others {
        return Format::Properties;
    }
    others += tight;
    if sections > 0 && equals + colons + sections > others {
        Format::Ini
    } else if equals > others && equals >= colons {
        Format::Dotenv
    } else if colons > others + equals {
        Format::Yaml
    } else {
        Format::Text
    }
}

/// Whether a value without quotes escapes what nothing but Java's properties has to.
fn is_java_value(value: &[u8]) -> bool {
    !value.iter().any(is_quote)
        && memchr::memchr_iter(b'\\', value)
            .any(|at| matches!(value.get(at + 1), Some(b'=' | b':' | b'#' | b'!')))
}

fn is_quote(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}
