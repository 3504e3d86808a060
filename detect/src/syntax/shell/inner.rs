//! What one word of a command may hold: pairs, a header, a document, another command, statements.
//!
//! A word is read as another text only a few levels deep, and what is found there is told where the
//! word stands.

use std::ops::Range;

use super::words::{Command, Lexer, substitution};
use super::{
    Dialect, Known, Meaning, Reader, Session, Word, assigned_name, is_name, rows_of, slice,
};
use crate::content::Format;
use crate::syntax::{Fields, flow, parse, read_as, sniff, sql, text};

/// Texts inside texts inside texts. Stops: `sh -c "sh -c …"`.
const DEEPEST_INNER: u32 = 4;
/// Bytes of a word that are read as another text.
const LONGEST_INNER: usize = 64 * 1024;
/// Pairs of one word that are read.
const MOST_PAIRS: usize = 512;

/// What `echo` and its kin write: their words, as one.
pub(super) fn said(command: &Command) -> Option<Word> {
    let mut words = command
        .words
        .iter()
        .skip_while(|word| assigned_name(&word.text).is_some() || stands_before(&word.text));
    let program = words
        .next()?
        .text
        .rsplit(|&b| b == b'/')
        .next()?
        .to_ascii_lowercase();
    match &program[..] {
        b"cat" | b"tee" => return command.fed.first().cloned(),
        b"echo" | b"printf" | b"print" | b"yes" | b"write-output" => {}
        _ => return None,
    }
    let format = |word: &&Word| program == b"printf" && word.text.starts_with(b"%");
    let option = |word: &&Word| word.text.len() <= 3 && word.text.starts_with(b"-");
    let mut words = words.skip_while(|word| option(word) || format(word));
    let first = words.next()?;
    let rest: Vec<&Word> = words.collect();
    if program == b"printf" && memchr::memchr(b'%', &first.text).is_some() {
        return Some(formatted(first, &rest));
    }
    if rest.is_empty() && memchr::memchr(b'\\', &first.text).is_none() {
        return Some(first.clone());
    }
    let mut joined = first.text.clone();
    for word in &rest {
        joined.push(b' ');
        joined.extend_from_slice(&word.text);
    }
    joined.truncate(LONGEST_INNER);
    let end = rest.last().map_or(first.raw.end, |word| word.raw.end);
    let unescaped = crate::unwrap::inline::unescape(&joined);
    Some(Word {
        text: unescaped,
        raw: first.raw.start..end,
        exact: false,
    })
}

/// What printf writes: its format, with a word for each of its directives.
fn formatted(format: &Word, words: &[&Word]) -> Word {
    let mut text = Vec::new();
    let mut next = words.iter();
    let mut rest = &format.text[..];
    while let Some(mark) = memchr::memchr(b'%', rest) {
        text.extend_from_slice(&rest[..mark]);
        if matches!(rest.get(mark + 1), Some(b's' | b'b' | b'q')) {
            text.extend_from_slice(next.next().map_or(&[][..], |word| &word.text));
        }
        rest = rest.get(mark + 2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text.truncate(LONGEST_INNER);
    let end = words.last().map_or(format.raw.end, |word| word.raw.end);
    Word {
        text: crate::unwrap::inline::unescape(&text),
        raw: format.raw.start..end,
        exact: false,
    }
}

/// Where the command begins that writes what `word` names, `<(…)`: at once, or behind a flag's `=`.
pub(super) fn substituted(word: &[u8]) -> Option<usize> {
    let mut marks = memchr::memchr_iter(b'<', word);
    let at = marks.find(|&at| word.get(at + 1) == Some(&b'('))?;
    (at == 0 || matches!(word[at - 1], b'=' | b':' | b'@')).then_some(at)
}

/// Whether a word may stand before a program: a job's times, an instruction, a prompt.
fn stands_before(word: &[u8]) -> bool {
    let time = |b: &u8| b.is_ascii_digit() || matches!(b, b'*' | b',' | b'-' | b'/');
    let listed = matches!(
        word,
        b"sudo" | b"+" | b"then" | b"do" | b"else" | b"RUN" | b"root" | b"$" | b"#" | b"%" | b"!"
    );
    listed || word.len() <= 16 && word.iter().all(time) || word.starts_with(b"@")
}

impl Reader<'_, '_, '_> {
    /// A word that is no flag: `name=value`, a header, a URL, a text of its own.
    pub(super) fn bare(&mut self, word: &Word, known: &[Known<'_>]) {
        let forced = known
            .iter()
            .rev()
            .find_map(|known| known.rows.iter().find_map(|row| row.inner));
        let blank = word.text.iter().any(|b| matches!(b, b' ' | b'\n'));
        if self.inside(
            word,
            forced.filter(|&inner| blank || matches!(inner, Meaning::Sed | Meaning::Percona)),
        ) {
            return;
        }
        if let Some(part) = login(&word.text) {
            self.push(b"login.password", word, part);
        }
        if let Some(colon) = halves(&word.text) {
            self.push(b"", word, 0..colon);
            self.push(b"", word, colon + 1..word.text.len());
        } else if (is_signed(word) || !self.pairs(word, 0, b",&;?")) && word.text.len() >= 12 {
            self.push(b"", word, 0..word.text.len());
        }
    }

    /// `name=value` pieces between `separators` that are followed by another such piece.
    pub(super) fn pairs(&mut self, word: &Word, from: usize, separators: &[u8]) -> bool {
        let text = &word.text;
        let mut at = from;
        let mut any = false;
        for _ in 0..MOST_PAIRS {
            let rest = &text[at..];
            let Some((name, skip)) = assigned_name(rest).or_else(|| trailing_name(rest)) else {
                // A URL's own part before its query.
                match rest.iter().position(|b| separators.contains(b)) {
                    Some(next) if !any => {
                        at += next + 1;
                        continue;
                    }
                    _ => break,
                }
            };
            let mut end = skip;
            loop {
                match rest[end..].iter().position(|b| separators.contains(b)) {
                    Some(next) => {
                        end += next;
                        let more = rest[end + 1..].trim_ascii_start();
                        if assigned_name(more).is_some_and(|(_, skip)| skip <= 64) {
                            break;
                        }
                        end += 1;
                    }
                    None => {
                        end = rest.len();
                        break;
                    }
                }
            }
            // `SCRAM-SHA-512=[iterations=8192,password=…]`: pairs inside a pair.
            if rest.get(skip) == Some(&b'[') {
                at += skip + 1;
                any = true;
                continue;
            }
            if text[at + end - 1] == b']' && !rest[skip..end].contains(&b'[') {
                let name = name.to_vec();
                self.push(&name, word, at + skip..at + end - 1);
                return true;
            }
            let quote = matches!(rest.get(skip), Some(b'"' | b'\'')) && end > skip + 1;
            let quote = usize::from(quote && rest.get(end - 1) == rest.get(skip));
            let name = name.to_vec();
            self.push(&name, word, at + skip + quote..at + end - quote);
            any = true;
            if at + end >= text.len() {
                break;
            }
            let blank = text[at + end + 1..].len() - text[at + end + 1..].trim_ascii_start().len();
            at += end + 1 + blank;
        }
        any
    }

    /// `Name: value`.
    pub(super) fn header(&mut self, word: &Word) {
        let Some(colon) = memchr::memchr(b':', &word.text[..word.text.len().min(128)]) else {
            return;
        };
        let name = word.text[..colon].trim_ascii().to_vec();
        let value = &word.text[colon + 1..];
        let mut from = colon + 1 + (value.len() - value.trim_ascii_start().len());
        let end = from + word.text[from..].trim_ascii_end().len();
        // `token …`, `ApiKey …`: other schemes than the two whose values are decoded.
        let value = &word.text[from..end];
        if let Some(blank) = memchr::memchr(b' ', value) {
            let scheme = value[..blank].to_ascii_lowercase();
            if name.eq_ignore_ascii_case(b"authorization")
                && scheme != b"bearer"
                && scheme != b"basic"
            {
                from += blank + 1;
            }
        }
        if name.eq_ignore_ascii_case(b"cookie") {
            self.pairs(word, from, b";");
        } else if is_name(&name) {
            self.push(&name, word, from..end);
        }
    }

    /// Reads a word as a text of its own, if it is one: `forced`, or by its looks.
    pub(super) fn inside(&mut self, word: &Word, forced: Option<Meaning>) -> bool {
        if word.text.len() > LONGEST_INNER || self.fields.scopes.depth() >= DEEPEST_INNER {
            return false;
        }
        self.substitutions(word);
        let held = word.text.trim_ascii_start();
        let blank = held.iter().any(u8::is_ascii_whitespace);
        match forced {
            Some(Meaning::Sql) => self.within(word, |text, range, scope, fields| {
                sql::statements(text, range, scope, fields);
            }),
            Some(Meaning::Code) => self.within(word, lines),
            Some(Meaning::Sed) => self.edited(word),
            Some(Meaning::Percona) => return self.percona(word),
            Some(_) => self.within(word, |text, range, scope, fields| {
                Session::within(scope).read(text, range, fields);
            }),
            None if matches!(held.first(), Some(b'{' | b'[')) && held.contains(&b'"') => {
                self.within(word, |text, range, scope, fields| {
                    flow::parse(text, range, b"", scope, fields);
                });
            }
            // Options for another program: `JAVA_OPTS="-Dx.password=…"`.
            None if held.starts_with(b"-") && (blank || held.contains(&b'=')) => {
                self.within(word, |text, range, scope, fields| {
                    Session::within(scope).read(text, range, fields);
                });
            }
            None if !blank => return false,
            None if sql::speaks(held) => self.within(word, |text, range, scope, fields| {
                sql::statements(text, range, scope, fields);
            }),
            None if commands(held) => self.within(word, |text, range, scope, fields| {
                Session::within(scope).read(text, range, fields);
            }),
            None if held.contains(&b'\n') => self.document(word, b""),
            None if is_header(held) => self.header(word),
            None => self.within(word, lines),
        }
        true
    }

    /// What sed's `s/…/…/`, `a` and `i` put in.
    fn edited(&mut self, word: &Word) {
        let text = &word.text;
        let start = text
            .iter()
            .position(|&b| b == b's')
            .map_or(text.len(), |at| at + 1);
        let mark = text.get(start).copied().filter(u8::is_ascii_punctuation);
        let Some(mark) = mark else {
            return self.within(word, lines);
        };
        let piece =
            |from: usize| memchr::memchr(mark, &text[from..]).map_or(text.len(), |n| from + n);
        let middle = piece(start + 1);
        let from = (middle + 1).min(text.len());
        let end = piece(from);
        self.within(&slice(word, from..end, self.text), lines);
    }

    fn percona(&mut self, word: &Word) -> bool {
        let mut at = 0;
        for piece in word.text.split(|&b| b == b',') {
            if piece.starts_with(b"p=") {
                self.push(b"percona.password", word, at + 2..at + piece.len());
                return true;
            }
            at += piece.len() + 1;
        }
        false
    }

    /// The commands in `$(…)` of a word.
    fn substitutions(&mut self, word: &Word) {
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&word.text[at..], b"$(") {
            let start = at + found;
            let stop = substitution(&word.text, start, word.text.len());
            if stop > start + 3 && word.text[stop - 1] == b')' {
                let inner = slice(word, start + 2..stop - 1, self.text);
                self.within(&inner, |text, range, scope, fields| {
                    Session::within(scope).read(text, range, fields);
                });
            }
            at = stop;
        }
    }

    /// What a file that is written by a command holds, by its name or its looks.
    pub(super) fn document(&mut self, word: &Word, name: &[u8]) {
        let named = crate::places::format_of(name);
        let several = memchr::memchr(b'\n', word.text.trim_ascii()).is_some();
        let one_line = || memchr::memchr(b'\n', &self.text[word.raw.clone()]).is_none();
        if named.is_plain() && several && !word.exact && one_line() {
            // Lines that are all escaped are a text of their own, whatever is wrapped in it again.
            let text = Some(word.text.clone());
            return self
                .fields
                .add_decoded(b"", word.raw.clone(), text, self.scope);
        }
        let format = match named {
            Format::Guess | Format::Text => sniff(&word.text),
            format => format,
        };
        self.within(word, |text, range, scope, fields| match format {
            // One line without a format has been read as a word.
            Format::Text | Format::Guess if !several => {}
            Format::Text | Format::Guess => lines(text, range, scope, fields),
            format => {
                let scope = fields.scopes.child(scope);
                parse(text, range, format, scope, fields);
            }
        });
    }

    /// What a command reads from a pipe, a here-document or a here-string.
    pub(super) fn fed(&mut self, words: &[Word], fed: &Word, target: Option<&Word>) {
        let said: std::collections::HashSet<&[u8]> =
            words.iter().map(|word| word.text.as_slice()).collect();
        let is_flag = |flag: &[u8]| flag.is_empty() || said.contains(flag);
        for word in words.iter().filter(|word| !word.text.starts_with(b"-")) {
            let name = word.text.rsplit(|&b| b == b'/').next().unwrap_or_default();
            for row in rows_of(&word.text) {
                let Some(&(_, meaning)) = row.stdin.iter().find(|(flag, _)| is_flag(flag)) else {
                    continue;
                };
                if matches!(meaning, Meaning::Shell | Meaning::Sql | Meaning::Code) {
                    self.inside(fed, Some(meaning));
                    return;
                }
                let mut at = 0;
                for line in fed.text.split(|&b| b == b'\n').take(64) {
                    let end = at + line.trim_ascii_end().len();
                    self.meant(name, meaning, &slice(fed, at..end, self.text), 0);
                    at += line.len() + 1;
                }
                return;
            }
        }
        let file = target.map(|word| word.text.as_slice()).or_else(|| {
            let tee = words.iter().position(|word| word.text.ends_with(b"tee"))?;
            let file = words[tee + 1..]
                .iter()
                .find(|word| !word.text.starts_with(b"-"))?;
            Some(file.text.as_slice())
        });
        self.document(fed, file.unwrap_or_default());
    }

    /// Reads the command that writes what `word` names from its byte `at` on, and answers what it writes,
    /// where that stands in the text.
    pub(super) fn written(&mut self, word: &Word, at: usize) -> Option<Word> {
        let open = word.raw.start + at;
        if !word.exact || self.fields.scopes.depth() >= DEEPEST_INNER {
            return None;
        }
        let stop = substitution(self.text, open, word.raw.end);
        if stop < open + 4 || self.text[stop - 1] != b')' {
            return None;
        }
        let range = open + 2..stop - 1;
        self.fields.scopes.deeper();
        Session::within(self.scope).read(self.text, range.clone(), self.fields);
        self.fields.scopes.shallower();
        let mut lexer = Lexer::new(self.text, range, Dialect::Posix);
        let mut written = None;
        while let Some(commands) = lexer.line() {
            written = commands.last().and_then(said).or(written);
        }
        written
    }

    /// A file that another command writes: by the flag before it, by its name or its looks.
    pub(super) fn delivered(
        &mut self,
        known: &[Known<'_>],
        words: &[Word],
        at: usize,
        from: usize,
    ) {
        const FILES: [(&[u8], &[u8]); 4] = [
            (b"netrc", b".netrc"),
            (b"defaults", b"my.cnf"),
            (b"config", b".curlrc"),
            (b"K", b".curlrc"),
        ];
        let Some(written) = self.written(&words[at], from) else {
            return;
        };
        let own = &words[at].text[..from.saturating_sub(1)];
        let before = at.checked_sub(1).map_or(&[][..], |at| &words[at].text[..]);
        let flag = if own.is_empty() { before } else { own };
        let meant = known.iter().rev().find_map(|program| {
            let carried = program.rows.iter().find_map(|row| row.flag(flag))?;
            let file = carried.meaning == Meaning::PasswordFile;
            let argument = carried.meaning == Meaning::PassArgument;
            (file || argument).then_some(program.name)
        });
        let line = written.text.trim_ascii_end().len();
        let one = slice(&written, 0..line, self.text);
        if let Some(program) = meant.or_else(|| (own == b"file").then_some(b"file")) {
            return self.meant(program, Meaning::Password, &one, 0);
        }
        let name = flag.trim_ascii_start();
        let dashes = name.iter().take_while(|&&b| b == b'-').count();
        let name = &name[dashes..];
        let stem = name.strip_suffix(b"file").unwrap_or(name);
        let stem = stem
            .strip_suffix(b"-")
            .or(stem.strip_suffix(b"_"))
            .unwrap_or(stem);
        if is_name(stem) && !one.text.iter().any(u8::is_ascii_whitespace) {
            self.push(stem, &one, 0..line);
            return;
        }
        let file = FILES.iter().find(|(begins, _)| name.starts_with(begins));
        self.document(&written, file.map_or(&[][..], |(_, file)| file));
    }

    /// Reads `word` as a text of its own with `read`, and tells what is found where the word stands.
    fn within(
        &mut self,
        word: &Word,
        read: impl FnOnce(&[u8], Range<usize>, crate::syntax::ScopeId, &mut Fields<'_>),
    ) {
        if word.text.is_empty() || self.fields.scopes.depth() >= DEEPEST_INNER {
            return;
        }
        let scope = self.scope;
        if word.exact {
            self.fields.scopes.deeper();
            read(self.text, word.raw.clone(), scope, self.fields);
            self.fields.scopes.shallower();
        } else {
            read_as(
                self.text,
                word.raw.clone(),
                &word.text,
                self.fields,
                |text, range, fields| {
                    read(text, range, scope, fields);
                },
            );
        }
    }
}

/// Lines of anything, each by its own names.
fn lines(text: &[u8], range: Range<usize>, scope: crate::syntax::ScopeId, fields: &mut Fields<'_>) {
    let mut blocks = text::Blocks::new(scope, fields);
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        blocks.line(&text[at..end], fields);
        let first = fields.fields.len();
        text::line(text, at..end, &mut blocks, fields);
        for field in &mut fields.fields[first..] {
            field.quoted = true;
        }
        let url = memchr::memmem::find(&text[at..end], b"://").is_some();
        if url || fields.fields.len() == first {
            let scope = blocks.scope();
            fields.add(b"", at..end, scope, true);
        }
        at = end + 1;
    }
}

/// Whether a text begins like a command.
pub(super) fn commands(text: &[u8]) -> bool {
    const FIRST: [&[u8]; 16] = [
        b"export", b"cd", b"sudo", b"env", b"set", b"source", b"echo", b"printf", b"cat", b"sh",
        b"bash", b"exec", b"nohup", b"if", b"for", b"test",
    ];
    let first = text
        .split(|b| b.is_ascii_whitespace() || *b == b';')
        .next()
        .unwrap_or_default();
    FIRST.contains(&first)
        || assigned_name(first).is_some()
        // cron's five fields.
        || first.iter().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'/' | b',' | b'-'))
        || (!first.starts_with(b"-") && !rows_of(first).is_empty())
}

/// The password of `user:password@host`, an address without a scheme.
fn login(text: &[u8]) -> Option<Range<usize>> {
    let at = memchr::memrchr(b'@', text)?;
    let colon = memchr::memchr(b':', &text[..at]).filter(|&colon| colon > 0)?;
    let user = text[..colon]
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'\\'));
    let host = text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
    let plain = !text[colon..at].contains(&b'/');
    (user && host && plain && at - colon > 8).then_some(colon + 1..at)
}

/// Where `key:secret` is divided, if both could be a half of a key.
fn halves(text: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', text)?;
    let half = |part: &[u8]| {
        part.len() >= 16
            && part
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-'))
    };
    (half(&text[..colon]) && half(&text[colon + 1..])).then_some(colon)
}

/// The name right before the first `=`, and where its value begins: `//host/:_authToken=…`.
fn trailing_name(text: &[u8]) -> Option<(&[u8], usize)> {
    let equals = memchr::memchr(b'=', &text[..text.len().min(200)])?;
    let name = text[..equals]
        .rsplit(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')))
        .next()?;
    let head = &text[..equals - name.len()];
    let clean = !head
        .iter()
        .any(|b| matches!(b, b'?' | b'&' | b';' | b',' | b' '));
    (!name.is_empty() && !head.is_empty() && clean).then_some((name, equals + 1))
}

fn is_header(text: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', &text[..text.len().min(64)]) else {
        return false;
    };
    is_name(&text[..colon]) && text.get(colon + 1) == Some(&b' ') && !text.contains(&b'\n')
}

/// Whether a word is a signed address, which says only as a whole what it is.
fn is_signed(word: &Word) -> bool {
    memchr::memmem::find(&word.text, b"sig=").is_some()
}
