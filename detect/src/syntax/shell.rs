//! Commands: one small reader of shell words, and the table of programs whose flags carry secrets.
//!
//! It splits words, quotes, pipelines and assignments; it expands nothing. A program is recognised
//! wherever it stands in a command (`sudo`, `docker exec`, cron's five fields before it), because
//! what matters are the words after it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Fields, ScopeId};
use crate::rule::Fnv;

/// One word of a command, quotes removed.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) text: Vec<u8>,
    pub(crate) raw: Range<usize>,
    /// Whether `raw` holds exactly `text`.
    pub(crate) exact: bool,
}

/// Words of one command that are read. Stops: a command line of megabytes.
pub(crate) const MOST_WORDS: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    command: Vec<RawCommand>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    programs: Vec<String>,
    #[serde(default)]
    flags: HashMap<String, String>,
    #[serde(default)]
    attached: Vec<String>,
    #[serde(default)]
    when: Vec<String>,
    #[serde(default)]
    positional: HashMap<String, Vec<String>>,
    #[serde(default)]
    assignments: Vec<String>,
}

#[derive(Default)]
struct Program {
    rows: Vec<RawCommand>,
}

fn programs() -> &'static HashMap<Vec<u8>, Program> {
    static TABLE: OnceLock<HashMap<Vec<u8>, Program>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let raw: RawTable = toml::from_str(include_str!("../../commands.toml"))
            .expect("invariant: the embedded table is parsed by a test");
        let mut table: HashMap<Vec<u8>, Program> = HashMap::new();
        for row in raw.command {
            for name in &row.programs {
                table
                    .entry(name.clone().into_bytes())
                    .or_default()
                    .rows
                    .push(RawCommand {
                        programs: Vec::new(),
                        flags: row.flags.clone(),
                        attached: row.attached.clone(),
                        when: row.when.clone(),
                        positional: row.positional.clone(),
                        assignments: row.assignments.clone(),
                    });
            }
        }
        table
    })
}

/// A run of commands that share what they export.
pub(crate) struct Session {
    root: ScopeId,
    block: ScopeId,
    seen: Vec<u64>,
}

impl Session {
    pub(crate) fn new(root: ScopeId, fields: &mut Fields<'_>) -> Session {
        Session {
            root,
            block: fields.scopes.child(root),
            seen: Vec::new(),
        }
    }

    /// Reads one line of commands.
    pub(crate) fn command(&mut self, text: &[u8], range: Range<usize>, fields: &mut Fields<'_>) {
        let mut at = range.start;
        while at < range.end {
            let (words, next) = split(text, at, range.end);
            at = next;
            if words.is_empty() {
                continue;
            }
            let scope = fields.scopes.child(self.block);
            let first = fields.fields.len();
            let rest = self.assigned(&words, fields);
            command(&words[rest..], scope, fields);
            if fields.fields.len() == first {
                fields.scopes.forget(scope as usize);
            }
        }
    }

    /// Takes the leading `NAME=value` words; answers how many words they were.
    fn assigned(&mut self, words: &[Word], fields: &mut Fields<'_>) -> usize {
        const DECLARE: [&[u8]; 9] = [
            b"export",
            b"set",
            b"setenv",
            b"declare",
            b"typeset",
            b"local",
            b"ENV",
            b"ARG",
            b"readonly",
        ];
        let mut at = 0;
        let mut declared: &[u8] = b"";
        while let Some(word) = words.get(at) {
            if DECLARE.contains(&word.text.as_slice()) {
                declared = &word.text;
            } else if let Some(name) = assigned_name(&word.text) {
                let name = word.text[..name].to_vec();
                self.note(&name, fields);
                let value = after(word, name.len() + 1);
                push(&name, value, self.block, fields);
            } else if !(declared.is_empty() || word.text.starts_with(b"-")) {
                // `setenv NAME value`, `ENV NAME value`, fish's `set -gx NAME value`.
                if let (true, Some(value)) = (is_name(&word.text), words.get(at + 1)) {
                    let name = word.text.clone();
                    self.note(&name, fields);
                    push(&name, after(value, 0), self.block, fields);
                }
                return words.len();
            } else if declared.is_empty() {
                return at;
            }
            at += 1;
        }
        at
    }

    fn note(&mut self, name: &[u8], fields: &mut Fields<'_>) {
        let hash = Fnv::of(name);
        if self.seen.contains(&hash) {
            self.block = fields.scopes.child(self.root);
            self.seen.clear();
        }
        if self.seen.len() < 128 {
            self.seen.push(hash);
        }
    }
}

/// A script, line by line; a backslash at a line's end continues it.
pub(crate) fn script(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    let mut at = range.start;
    while at < range.end {
        let start = at;
        loop {
            let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
            at = (end + 1).min(range.end).max(at + 1);
            let continued = end > start && text[..end].trim_ascii_end_matches_backslash();
            if !continued || at >= range.end || at - start > 64 * 1024 {
                session.command(text, start..end, fields);
                break;
            }
        }
    }
}

trait EndsWithBackslash {
    fn trim_ascii_end_matches_backslash(&self) -> bool;
}

impl EndsWithBackslash for [u8] {
    fn trim_ascii_end_matches_backslash(&self) -> bool {
        self.strip_suffix(b"\r").unwrap_or(self).ends_with(b"\\")
    }
}

/// One line of commands that belongs to `scope`: a unit's `ExecStart`, a job's `run`.
pub(crate) fn line(text: &[u8], range: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session {
        root: scope,
        block: scope,
        seen: Vec::new(),
    };
    session.command(text, range, fields);
}

/// Words that are assignments, as in systemd's `Environment=` and supervisor's `environment=`.
pub(crate) fn assignments(
    text: &[u8],
    range: Range<usize>,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    let (words, _) = split(text, range.start, range.end);
    for word in &words {
        let mut start = 0;
        // supervisor separates by commas: A="x",B="y".
        for piece in word.text.split(|&b| b == b',') {
            if let Some(name) = assigned_name(piece) {
                let value = Word {
                    text: piece[name + 1..].to_vec(),
                    raw: word.raw.clone(),
                    exact: false,
                };
                let value = if word.exact {
                    let from = word.raw.start + start + name + 1;
                    Word {
                        raw: from..from + value.text.len(),
                        exact: true,
                        ..value
                    }
                } else {
                    value
                };
                push(&piece[..name], value, scope, fields);
            }
            start += piece.len() + 1;
        }
    }
}

fn is_name(text: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Length of the name in `NAME=value`.
fn assigned_name(word: &[u8]) -> Option<usize> {
    let equals = memchr::memchr(b'=', &word[..word.len().min(129)])?;
    let name = &word[..equals];
    (is_name(name) && !name.starts_with(b"-")).then_some(equals)
}

/// What of `word` comes after its first `skip` bytes.
fn after(word: &Word, skip: usize) -> Word {
    let text = word.text[skip.min(word.text.len())..].to_vec();
    if word.exact {
        Word {
            text,
            raw: word.raw.start + skip..word.raw.end,
            exact: true,
        }
    } else {
        Word {
            text,
            raw: word.raw.clone(),
            exact: false,
        }
    }
}

fn push(path: &[u8], value: Word, scope: ScopeId, fields: &mut Fields<'_>) {
    if value.raw.is_empty() || value.text.is_empty() {
        return;
    }
    let decoded = (!value.exact).then_some(value.text);
    fields.add_decoded(path, value.raw, decoded, scope);
}

/// Reads one command's words: long flags by their own names, the rest by the table.
pub(crate) fn command(words: &[Word], scope: ScopeId, fields: &mut Fields<'_>) {
    let mut program: Option<(usize, &Program)> = None;
    let mut covered = usize::MAX;
    for (at, word) in words.iter().enumerate() {
        if at == covered {
            continue;
        }
        let name = word.text.rsplit(|&b| b == b'/').next().unwrap_or_default();
        if let Some(found) = programs()
            .get(name)
            .filter(|_| !word.text.starts_with(b"-"))
        {
            program = program.or(Some((at, found)));
            positional(found, name, words, at, scope, fields);
        }
        let by_table = program.is_some_and(|(start, program)| {
            table_flag(program, &words[start].text, words, at, scope, fields)
        });
        if !by_table && flag(words, at, scope, fields) {
            covered = at + 1;
        } else if !by_table && !word.text.starts_with(b"-") {
            bare(word, scope, fields);
        }
    }
}

/// `--name=value`, `--name value`, `-name=value`, `-Dname=value`: the flag's name is the key.
fn flag(words: &[Word], at: usize, scope: ScopeId, fields: &mut Fields<'_>) -> bool {
    let word = &words[at];
    let Some(rest) = word.text.strip_prefix(b"-") else {
        return false;
    };
    let dashes = 1 + usize::from(rest.first() == Some(&b'-'));
    let body = &word.text[dashes..];
    if let Some(equals) = memchr::memchr(b'=', &body[..body.len().min(129)]) {
        let name = body[..equals]
            .strip_prefix(b"D")
            .filter(|_| dashes == 1)
            .unwrap_or(&body[..equals]);
        if !name.is_empty() {
            push(name, after(word, dashes + equals + 1), scope, fields);
        }
        return false;
    }
    if body.len() < 2 || !is_name(body) {
        return false;
    }
    let Some(value) = words.get(at + 1).filter(|value| {
        !value
            .text
            .starts_with(if dashes == 1 { b"-" } else { &b"--"[..] })
    }) else {
        return false;
    };
    push(body, after(value, 0), scope, fields);
    true
}

/// A word that is itself `name=value`, a header, a URL: kept as a bare value.
fn bare(word: &Word, scope: ScopeId, fields: &mut Fields<'_>) {
    match assigned_name(&word.text) {
        Some(name) => push(&word.text[..name], after(word, name + 1), scope, fields),
        None if word.text.len() >= 12 => push(b"", after(word, 0), scope, fields),
        None => {}
    }
}

fn table_flag(
    program: &Program,
    name: &[u8],
    words: &[Word],
    at: usize,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) -> bool {
    let word = &words[at];
    for row in &program.rows {
        let due = row.when.is_empty()
            || words
                .iter()
                .any(|word| row.when.iter().any(|when| when.as_bytes() == word.text));
        for (flag, meaning) in row.flags.iter().filter(|_| due) {
            let Some(rest) = word.text.strip_prefix(flag.as_bytes()) else {
                continue;
            };
            let attached = row.attached.contains(flag);
            let value = if rest.is_empty() {
                if attached {
                    continue;
                }
                words.get(at + 1).map(|value| after(value, 0))
            } else if rest[0] == b'=' {
                Some(after(word, flag.len() + 1))
            } else if flag.len() == 2 {
                Some(after(word, flag.len()))
            } else {
                continue;
            };
            if let Some(value) = value {
                meant(name, meaning, value, scope, fields);
                return true;
            }
        }
        for flag in &row.assignments {
            let Some(rest) = word.text.strip_prefix(flag.as_bytes()) else {
                continue;
            };
            let value = if rest.is_empty() {
                words.get(at + 1).map(|value| after(value, 0))
            } else {
                let skip = flag.len() + usize::from(rest[0] == b'=');
                Some(after(word, skip))
            };
            if let Some(value) = value {
                bare(&value, scope, fields);
                return true;
            }
        }
    }
    false
}

/// Words after a sub-command, by position.
fn positional(
    program: &Program,
    name: &[u8],
    words: &[Word],
    at: usize,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    let plain: Vec<&Word> = words[at + 1..].iter().take(64).collect();
    for row in &program.rows {
        for (sub, meanings) in &row.positional {
            let sub: Vec<&[u8]> = sub.split_whitespace().map(str::as_bytes).collect();
            if plain.len() <= sub.len() {
                continue;
            }
            // Options may stand between the program and its sub-command.
            let Some(start) = (0..=(plain.len() - sub.len()).min(8)).find(|&start| {
                sub.iter()
                    .zip(&plain[start..])
                    .all(|(sub, word)| word.text == **sub)
            }) else {
                continue;
            };
            let values = plain[start + sub.len()..]
                .iter()
                .filter(|word| !word.text.starts_with(b"-"));
            for (meaning, value) in meanings.iter().zip(values) {
                if meaning != "_" {
                    meant(name, meaning, after(value, 0), scope, fields);
                }
            }
        }
    }
}

fn meant(program: &[u8], meaning: &str, value: Word, scope: ScopeId, fields: &mut Fields<'_>) {
    let program = program.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let path = |name: &str| [program, b".", name.as_bytes()].concat();
    match meaning {
        "userpass" | "smbuser" | "lftpuser" | "oracle" => {
            let separators: &[u8] = match meaning {
                "userpass" => b":",
                "smbuser" => b"%",
                "lftpuser" => b",",
                _ => b"/",
            };
            let at = value.text.iter().position(|b| separators.contains(b));
            if let Some(at) = at.filter(|&at| at > 0) {
                let mut value = after(&value, at + 1);
                if meaning == "oracle" {
                    let end = value
                        .text
                        .iter()
                        .position(|&b| b == b'@')
                        .unwrap_or(value.text.len());
                    value.text.truncate(end);
                    value.raw.end = value.raw.end.min(value.raw.start + end.max(1));
                }
                push(&path("password"), value, scope, fields);
            }
        }
        "passarg" => {
            if value.text.starts_with(b"pass:") {
                push(&path("password"), after(&value, 5), scope, fields);
            }
        }
        name => push(&path(name), value, scope, fields),
    }
}

/// The words of the command at `at`, up to a separator, and where the next one begins.
fn split(text: &[u8], at: usize, end: usize) -> (Vec<Word>, usize) {
    let mut words = Vec::new();
    let mut at = at;
    while at < end {
        match text[at] {
            b' ' | b'\t' | b'\r' | b'\n' | b'<' | b'>' => at += 1,
            b';' | b'|' | b'&' | b'(' | b')' | b'`' => return (words, at + 1),
            b'#' => return (words, end),
            b'\\' if matches!(text[..end].get(at + 1), Some(b'\n' | b'\r')) => at += 2,
            _ => {
                let (word, next) = word(text, at, end);
                at = next;
                if words.len() < MOST_WORDS {
                    words.push(word);
                }
            }
        }
    }
    (words, end)
}

fn word(text: &[u8], start: usize, end: usize) -> (Word, usize) {
    let mut out = Vec::new();
    let mut at = start;
    let mut exact = true;
    while at < end {
        match text[at] {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>'
            | b'`' => break,
            b'\\' => {
                exact = false;
                out.extend(text[..end].get(at + 1));
                at += 2;
            }
            b'$' if matches!(text[..end].get(at + 1), Some(b'(' | b'{')) => {
                // A substitution is kept as it stands: it is a reference, not a value.
                let close = if text[at + 1] == b'(' { b')' } else { b'}' };
                let stop = memchr::memchr(close, &text[at..end]).map_or(end, |n| at + n + 1);
                out.extend_from_slice(&text[at..stop]);
                at = stop;
            }
            quote @ (b'"' | b'\'') => {
                let (raw, decoded) = if quote == b'"' {
                    super::flow::quoted(&text[..end], at + 1, quote)
                } else {
                    let stop =
                        memchr::memchr(quote, &text[at + 1..end]).map_or(end, |n| at + 1 + n);
                    (at + 1..stop, None)
                };
                let whole = at == start
                    && matches!(
                        text[..end].get(raw.end + 1),
                        None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b')')
                    );
                let next = (raw.end + 1).min(end);
                if whole && decoded.is_none() {
                    let text = text[raw.clone()].to_vec();
                    return (
                        Word {
                            text,
                            raw,
                            exact: true,
                        },
                        next,
                    );
                }
                // `NAME="value"`: the value's own range is exact.
                exact = exact && decoded.is_none() && out.is_empty() && at == start;
                match decoded {
                    Some(decoded) => out.extend_from_slice(&decoded),
                    None => out.extend_from_slice(&text[raw]),
                }
                at = next;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    let raw = start..at.min(end);
    let exact = exact && out.len() == raw.len();
    (
        Word {
            text: out,
            raw,
            exact,
        },
        at.max(start + 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Scopes;

    fn check(line: &str, expected: &[(&str, &str)]) {
        let mut scopes = Scopes::new();
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut scopes,
        };
        let text = line.as_bytes();
        script(text, 0..text.len(), Scopes::ROOT, &mut fields);
        for (name, value) in expected {
            assert!(
                fields.fields.iter().any(|field| {
                    field.path == name.as_bytes() && field.value(text) == value.as_bytes()
                }),
                "{line}: no {name}={value}; fields {:?}",
                fields
                    .fields
                    .iter()
                    .map(|f| (
                        String::from_utf8_lossy(&f.path),
                        String::from_utf8_lossy(f.value(text))
                    ))
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn flags_and_assignments_become_fields() {
        check("export A_KEY='x y' B=2", &[("A_KEY", "x y"), ("B", "2")]);
        check("AWS_SECRET=abc aws s3 ls", &[("AWS_SECRET", "abc")]);
        check(
            "mysql -uroot -pHunter22 db",
            &[("mysql.password", "Hunter22")],
        );
        check(
            "sudo mysqldump -u root -p'Hunter 22' db > x",
            &[("mysqldump.password", "Hunter 22")],
        );
        check(
            "redis-cli -h db -a s3cret99 ping",
            &[("redis-cli.password", "s3cret99")],
        );
        check(
            "curl -u bob:hunter222 https://x/",
            &[("curl.password", "hunter222")],
        );
        check(
            "mc alias set m https://s3 AKX SKX",
            &[("mc.access-key-id", "AKX"), ("mc.secret-key", "SKX")],
        );
        check(
            "obsutil config -i=AKX -k=SKX -e=obs.x",
            &[
                ("obsutil.access-key-id", "AKX"),
                ("obsutil.secret-key", "SKX"),
            ],
        );
        check(
            "aliyun configure set --access-key-id AKX --access-key-secret SKX",
            &[("access-key-id", "AKX"), ("access-key-secret", "SKX")],
        );
        check(
            "aws configure set aws_secret_access_key SKX",
            &[("aws.secret-key", "SKX")],
        );
        check(
            "* * * * * root coscmd config -a AKX -s SKX",
            &[("coscmd.secret-id", "AKX"), ("coscmd.secret-key", "SKX")],
        );
        check(
            "docker run -e COS_SECRET_KEY=SKX img",
            &[("COS_SECRET_KEY", "SKX")],
        );
        check(
            "terraform apply -var 'secret_key=SKX'",
            &[("secret_key", "SKX")],
        );
        check(
            "java -Daliyun.secretKey=SKX -jar a.jar",
            &[("aliyun.secretKey", "SKX")],
        );
        check("set -gx TOKEN abc", &[("TOKEN", "abc")]);
        check(
            "echo 'x' | sshpass -p Hunter22 ssh a@b",
            &[("sshpass.password", "Hunter22")],
        );
        check("a \\\n  --secret-key SKX", &[("secret-key", "SKX")]);
    }
}
