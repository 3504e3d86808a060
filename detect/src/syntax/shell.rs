//! Commands: what shell words say by assignments, flags, positions and pipes.
//!
//! One reader for scripts, histories, crontabs, units, Dockerfiles and captured arguments. It splits
//! ([`words`]), looks programs up ([`table`]) and expands nothing. A program is recognised wherever
//! it stands in a command (`sudo`, `docker exec`, cron's five fields before it), because what
//! matters are the words after it.

mod inner;
mod table;
pub(crate) mod words;

use std::ops::Range;

pub(crate) use table::calls;
pub(crate) use words::{Dialect, MOST_WORDS, Word};

use super::{Fields, ScopeId};
use crate::judge::quiet;
use crate::rule::Fnv;
use table::{Meaning, Row, rows_of};
use words::{Command, Lexer};

/// A run of commands that share what they export.
pub(crate) struct Session {
    root: ScopeId,
    block: ScopeId,
    seen: Vec<u64>,
    dialect: Dialect,
}

impl Session {
    pub(crate) fn new(root: ScopeId, fields: &mut Fields<'_>) -> Session {
        Session {
            block: fields.scopes.child(root),
            ..Session::within(root)
        }
    }

    /// A session whose assignments belong to `scope` itself: a unit's `ExecStart`, a job's `run`.
    fn within(scope: ScopeId) -> Session {
        Session {
            root: scope,
            block: scope,
            seen: Vec::new(),
            dialect: Dialect::Posix,
        }
    }

    pub(crate) fn in_dialect(self, dialect: Dialect) -> Session {
        Session { dialect, ..self }
    }

    /// Reads lines of commands.
    pub(crate) fn read(&mut self, text: &[u8], range: Range<usize>, fields: &mut Fields<'_>) {
        let mut lexer = Lexer::new(text, range, self.dialect);
        while let Some(commands) = lexer.line() {
            let (mut said, mut fed) = (None, None);
            for command in &commands {
                self.command(text, command, fed.take().as_ref(), fields);
                // A group's output is that of its last command.
                if !command.words.is_empty() {
                    said = inner::said(command);
                }
                fed = said.clone().filter(|_| command.piped);
            }
        }
        fields.scopes.note_cut(lexer.cut);
    }

    fn command(
        &mut self,
        text: &[u8],
        command: &Command,
        piped: Option<&Word>,
        fields: &mut Fields<'_>,
    ) {
        let rest = self.assigned(text, &command.words, fields);
        let scope = fields.scopes.child(self.block);
        let first = fields.fields.len();
        let mut reader = Reader {
            text,
            scope,
            fields,
        };
        let words = &command.words[rest..];
        reader.words(words);
        for fed in piped.into_iter().chain(&command.fed) {
            let written = if fed.text.starts_with(b"<(") {
                match reader.written(fed, 0) {
                    Some(written) => &Word { ..written },
                    None => continue,
                }
            } else {
                fed
            };
            reader.fed(&command.words, written, command.target.as_ref());
        }
        if let (Some(said), Some(target)) = (inner::said(command), &command.target) {
            reader.document(&said, &target.text);
        }
        if fields.fields.len() == first {
            fields.scopes.forget(scope as usize);
        }
    }

    /// Takes the leading `NAME=value` words; answers how many words they were.
    fn assigned(&mut self, text: &[u8], words: &[Word], fields: &mut Fields<'_>) -> usize {
        const DECLARE: [&[u8]; 12] = [
            b"ENV",
            b"ARG",
            b"export",
            b"set",
            b"setenv",
            b"declare",
            b"typeset",
            b"local",
            b"readonly",
            b"alias",
            b"setx",
            b"SetEnv",
        ];
        // Traces of `set -x` and prompts that were pasted along.
        let mark = |word: &Word| {
            matches!(&word.text[..], b"$" | b"#" | b"%" | b"PS>" | b"mysql>")
                || word.text.iter().all(|&b| b == b'+')
        };
        let mut at = words.iter().take_while(|word| mark(word)).count();
        let mut declared = false;
        while let Some(word) = words.get(at) {
            let spaced = words.get(at + 1).is_some_and(|word| word.text == b"=");
            if let (true, Some(name), Some(value)) =
                (spaced, variable(&word.text), words.get(at + 2))
            {
                // PowerShell: `$c = ConvertTo-SecureString …` is a command.
                if !rows_of(&value.text).is_empty() {
                    return at + 2;
                }
                self.assign(text, name, value, 0, fields);
                at += 2;
            } else if DECLARE.contains(&word.text.as_slice()) {
                declared = true;
            } else if let Some((name, skip)) = assigned_name(&word.text) {
                self.assign(text, name, word, skip, fields);
            } else if declared && !word.text.starts_with(b"-") {
                // `setenv NAME value`, fish's `set -gx NAME value`.
                if let (true, Some(value)) = (is_name(&word.text), words.get(at + 1)) {
                    self.assign(text, &word.text, value, 0, fields);
                }
                return words.len();
            } else if !declared {
                return at;
            }
            at += 1;
        }
        at
    }

    /// A variable that is set to `word` from its byte `skip` on.
    pub(crate) fn assign(
        &mut self,
        text: &[u8],
        name: &[u8],
        word: &Word,
        skip: usize,
        fields: &mut Fields<'_>,
    ) {
        let hash = Fnv::of(name);
        if self.seen.contains(&hash) {
            self.block = fields.scopes.child(self.root);
            self.seen.clear();
        }
        if self.seen.len() < 128 {
            self.seen.push(hash);
        }
        let mut reader = Reader {
            text,
            scope: self.block,
            fields,
        };
        reader.push(name, word, skip..word.text.len());
        reader.inside(&slice(word, skip..word.text.len(), text), None);
    }
}

/// A script or a history: lines of commands.
pub(crate) fn script(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    Session::new(root, fields).read(text, range, fields);
}

/// Commands that belong to `scope`: a unit's `ExecStart`, a job's `run`.
pub(crate) fn line(text: &[u8], range: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    Session::within(scope).read(text, range, fields);
}

/// The words of one command that is split already.
pub(crate) fn command(text: &[u8], words: &[Word], scope: ScopeId, fields: &mut Fields<'_>) {
    let rest = Session::within(scope).assigned(text, words, fields);
    Reader {
        text,
        scope,
        fields,
    }
    .words(&words[rest..]);
}

/// Words that are assignments, as in systemd's `Environment=` and supervisor's `environment=`.
pub(crate) fn assignments(
    text: &[u8],
    range: Range<usize>,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut lexer = Lexer::new(text, range, Dialect::Words);
    let mut reader = Reader {
        text,
        scope,
        fields,
    };
    while let Some(commands) = lexer.line() {
        for word in commands.iter().flat_map(|command| &command.words) {
            // supervisor separates by commas: A="x",B="y".
            reader.pairs(word, 0, b",");
        }
    }
}

/// A line that a client read after its own name: `AUTH …` in redis-cli.
pub(crate) fn client(
    text: &[u8],
    range: Range<usize>,
    program: &[u8],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut lexer = Lexer::new(text, range, Dialect::Posix);
    while let Some(commands) = lexer.line() {
        for command in commands {
            let scope = fields.scopes.child(root);
            let own = Word {
                text: program.to_vec(),
                raw: 0..0,
                exact: false,
            };
            let mut words: Vec<Word> = std::iter::once(own).chain(command.words).collect();
            // Redis knows no redirection: `ACL SETUSER name >password`.
            if let Some(target) = command.target {
                let after = |word: &Word| word.raw.start < target.raw.start;
                let at = words.partition_point(after);
                words.insert(at, target);
            }
            Reader {
                text,
                scope,
                fields,
            }
            .words(&words);
        }
    }
}

/// Whether the table knows a program by this name.
pub(crate) fn is_program(name: &[u8]) -> bool {
    !rows_of(name).is_empty()
}

/// Whether a text begins like a command of a shell.
pub(crate) fn is_command(text: &[u8]) -> bool {
    inner::commands(text.trim_ascii_start())
}

fn is_name(text: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The name of a variable as PowerShell writes it too: `$env:NAME`, `$name`.
fn variable(word: &[u8]) -> Option<&[u8]> {
    let name = word.strip_prefix(b"$").unwrap_or(word);
    let name = match name.get(..4) {
        Some(scope) if scope.eq_ignore_ascii_case(b"env:") => &name[4..],
        _ => name,
    };
    is_name(name).then_some(name)
}

/// The name in `NAME=value`, and where the value begins.
fn assigned_name(word: &[u8]) -> Option<(&[u8], usize)> {
    let equals = memchr::memchr(b'=', &word[..word.len().min(137)])?;
    let name = variable(word[..equals].strip_suffix(b"+").unwrap_or(&word[..equals]))?;
    (!name.starts_with(b"-")).then_some((name, equals + 1))
}

/// Part of a word as a word.
fn slice(word: &Word, part: Range<usize>, text: &[u8]) -> Word {
    let (raw, exact) = locate(word, part.clone(), text);
    Word {
        text: word.text[part].to_vec(),
        raw,
        exact,
    }
}

/// Where part of a word stands in the text, and whether exactly there.
fn locate(word: &Word, part: Range<usize>, text: &[u8]) -> (Range<usize>, bool) {
    if word.exact {
        return (word.raw.start + part.start..word.raw.start + part.end, true);
    }
    let wanted = &word.text[part.clone()];
    let from = (word.raw.start + part.start).min(word.raw.end);
    match memchr::memmem::find(&text[from..word.raw.end], wanted) {
        Some(at) if !wanted.is_empty() => (from + at..from + at + wanted.len(), true),
        _ => (word.raw.clone(), false),
    }
}

/// Reads the words of one command into fields.
pub(super) struct Reader<'t, 'f, 's> {
    text: &'t [u8],
    scope: ScopeId,
    fields: &'f mut Fields<'s>,
}

/// A program that was recognised, and the rows of the table that hold for this command.
struct Known<'w> {
    name: &'w [u8],
    rows: Vec<&'static Row>,
}

impl Reader<'_, '_, '_> {
    fn push(&mut self, path: &[u8], word: &Word, part: Range<usize>) {
        let written = word.text[part.clone()].starts_with(b"<(");
        if part.is_empty() || word.raw.is_empty() || written {
            return;
        }
        let (raw, exact) = locate(word, part.clone(), self.text);
        let decoded = (!exact).then(|| word.text[part].to_vec());
        self.fields.add_decoded(path, raw, decoded, self.scope);
    }

    /// Long flags by their own names, the rest by the table.
    fn words(&mut self, words: &[Word]) {
        let mut known: Vec<Known<'_>> = Vec::new();
        let mut covered = usize::MAX;
        for (at, word) in words.iter().enumerate() {
            let flag = word.text.starts_with(b"-");
            let rows = if flag { &[] } else { rows_of(&word.text) };
            if !rows.is_empty() && known.len() < 8 {
                let name = word.text.rsplit(|&b| b == b'/').next().unwrap_or_default();
                self.positional(name, rows, &words[at + 1..]);
                let is_due = |row: &&Row| row.is_due(words.iter().map(|w| w.text.as_slice()));
                let rows = rows.iter().filter(is_due).collect();
                known.push(Known { name, rows });
            }
            if let Some(from) = inner::substituted(&word.text) {
                self.delivered(&known, words, at, from);
                continue;
            }
            if at == covered {
                continue;
            }
            if let Some(next) = self.by_table(&known, words, at) {
                covered = if next { at + 1 } else { covered };
            } else if flag {
                covered = if self.flag(words, at) {
                    at + 1
                } else {
                    covered
                };
            } else {
                self.bare(word, &known);
            }
        }
    }

    /// A flag that the table knows; whether its value is the next word.
    fn by_table(&mut self, known: &[Known<'_>], words: &[Word], at: usize) -> Option<bool> {
        let word = &words[at];
        for program in known.iter().rev() {
            for row in &program.rows {
                let Some(carried) = row.flag(&word.text) else {
                    continue;
                };
                if carried.meaning == Meaning::Nothing {
                    // People type the blank all the same: then the program asks, and takes the password
                    // for the name of a database.
                    let value = words.get(at + 1).filter(|value| {
                        quiet::is_short_secret(&value.text) || quiet::is_strong_secret(&value.text)
                    });
                    let Some((value, meaning)) = value.zip(row.parted(&word.text)) else {
                        return Some(false);
                    };
                    self.meant(program.name, meaning, value, 0);
                    return Some(true);
                }
                if !carried.next {
                    self.meant(program.name, carried.meaning, word, carried.skip);
                    return Some(false);
                }
                if let Some(value) = words.get(at + 1) {
                    self.meant(program.name, carried.meaning, value, 0);
                    return Some(true);
                }
            }
        }
        None
    }

    /// `--name=value`, `--name value`, `-name=value`, `-Dname=value`: the flag's name is the key.
    /// Whether the value is the next word.
    fn flag(&mut self, words: &[Word], at: usize) -> bool {
        let word = &words[at];
        let dashes = 1 + usize::from(word.text.get(1) == Some(&b'-'));
        let body = &word.text[dashes.min(word.text.len())..];
        if let Some(equals) = memchr::memchr(b'=', &body[..body.len().min(129)]) {
            let name = body[..equals]
                .strip_prefix(b"D")
                .or_else(|| body[..equals].strip_prefix(b"P"))
                .filter(|name| dashes == 1 && !name.is_empty())
                .unwrap_or(&body[..equals]);
            if !name.is_empty() {
                self.named(name, word, dashes + equals + 1);
            }
            return false;
        }
        if body.len() < 2 || !is_name(body) {
            return false;
        }
        let dash: &[u8] = if dashes == 1 { b"-" } else { b"--" };
        let Some(value) = words
            .get(at + 1)
            .filter(|value| !value.text.starts_with(dash))
        else {
            return false;
        };
        self.named(body, value, 0);
        true
    }

    /// A value by a flag's name; what is inside it by its own.
    fn named(&mut self, name: &[u8], word: &Word, skip: usize) {
        self.push(name, word, skip..word.text.len());
        let value = slice(word, skip..word.text.len(), self.text);
        if !self.inside(&value, None) {
            self.pairs(&value, 0, b",");
        }
    }

    /// Words after a sub-command, by position.
    fn positional(&mut self, name: &[u8], rows: &[Row], words: &[Word]) {
        let words = &words[..words.len().min(64)];
        for row in rows {
            for (sub, meanings) in &row.positional {
                if words.len() <= sub.len() {
                    continue;
                }
                // Options may stand between the program and its sub-command.
                let same = |start: usize| {
                    sub.iter()
                        .zip(&words[start..])
                        .all(|(sub, word)| word.text.eq_ignore_ascii_case(sub))
                };
                let Some(start) =
                    (0..=(words.len() - sub.len()).min(12)).find(|&start| same(start))
                else {
                    continue;
                };
                let mut values = Vec::new();
                let mut skip = false;
                for word in &words[start + sub.len()..] {
                    if std::mem::take(&mut skip) {
                        continue;
                    }
                    if word.text.starts_with(b"-") && word.text.len() > 1 {
                        skip = row.takes_value(&word.text);
                    } else {
                        values.push(word);
                    }
                }
                self.values(name, meanings, &values);
            }
        }
    }

    fn values(&mut self, name: &[u8], meanings: &[Meaning], values: &[&Word]) {
        for (at, (&meaning, &value)) in meanings.iter().zip(values).enumerate() {
            match meaning {
                Meaning::Skip | Meaning::Nothing => {}
                Meaning::UserThenPassword => {
                    let last = values.get(at + 1).copied().unwrap_or(value);
                    self.meant(name, Meaning::Password, last, 0);
                }
                Meaning::Name => {
                    // npm's names have a registry before them: `//host/:_authToken`.
                    let piece = |b: &u8| matches!(b, b'/' | b':');
                    let key = value.text.rsplit(piece).next().unwrap_or_default();
                    if let Some(word) = values.get(at + 1).filter(|_| is_name(key)) {
                        self.push(key, word, 0..word.text.len());
                    }
                }
                meaning => self.meant(name, meaning, value, 0),
            }
        }
    }

    /// What of `word` comes after `skip` bytes, by its meaning.
    fn meant(&mut self, program: &[u8], meaning: Meaning, word: &Word, skip: usize) {
        let value = &word.text[skip.min(word.text.len())..];
        let part = |from: usize| skip + from..skip + value.len();
        let after = |byte: u8| memchr::memchr(byte, value).map(|at| at + 1);
        let name = match meaning {
            Meaning::SecretKey => "secret-key",
            Meaning::AccessKeyId => "access-key-id",
            Meaning::SecretId => "secret-id",
            Meaning::SessionToken => "session-token",
            Meaning::Token => "token",
            Meaning::Url => "url",
            _ => "password",
        };
        let path = [program, b".", name.as_bytes()].concat();
        match meaning {
            nothing if nothing.is_no_value() => {}
            Meaning::UserPassword | Meaning::CommaUser | Meaning::SmbUser => {
                let separator = match meaning {
                    Meaning::UserPassword => b':',
                    Meaning::CommaUser => b',',
                    _ => b'%',
                };
                if let Some(from) = after(separator).filter(|&from| from > 1) {
                    self.push(&path, word, part(from));
                }
            }
            Meaning::Oracle => {
                if let Some(from) = after(b'/').filter(|&from| from > 1) {
                    let end =
                        memchr::memchr(b'@', &value[from..]).map_or(value.len(), |at| from + at);
                    let quotes = usize::from(value[from..end].starts_with(b"\""));
                    self.push(
                        &path,
                        word,
                        skip + from + quotes..skip + end - quotes.min(end - from),
                    );
                }
            }
            Meaning::PassArgument => {
                if value.starts_with(b"pass:") {
                    self.push(&path, word, part(5));
                }
            }
            Meaning::KeyPair => {
                if let Some(from) = after(b':').filter(|&from| from > 1) {
                    let id = [program, b".access-key-id"].concat();
                    self.push(&id, word, skip..skip + from - 1);
                    let secret = [program, b".secret-key"].concat();
                    self.push(&secret, word, part(from));
                }
            }
            Meaning::Header => self.header(&slice(word, part(0), self.text)),
            Meaning::Pairs => {
                let value = slice(word, part(0), self.text);
                let paired = assigned_name(&value.text).is_some() && self.pairs(&value, 0, b",&; ");
                if !paired {
                    self.inside(&value, None);
                }
            }
            Meaning::Shell | Meaning::Sql | Meaning::Code | Meaning::Sed | Meaning::Percona => {
                self.inside(&slice(word, part(0), self.text), Some(meaning));
            }
            _ => {
                // A line break that is typed along: `send "…\r"`.
                let typed = value
                    .strip_suffix(b"\\r")
                    .or_else(|| value.strip_suffix(b"\\n"));
                let end = typed.unwrap_or(value).len();
                // `ACL SETUSER name >password`.
                let mark = usize::from(meaning == Meaning::Password && value.starts_with(b">"));
                self.push(&path, word, skip + mark..skip + end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
