//! Splits a text of commands into lines, commands and words, as a shell does.
//!
//! Quotes, escapes, pipelines, redirections and here-documents are followed; nothing is expanded.
//! It never fails: a quote that nothing closes is a letter, because histories and logs hold what
//! was mistyped, cut and pasted, and one stray apostrophe must not turn the rest inside out.

use std::ops::Range;

/// One word of a command, quotes removed.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: Vec<u8>,
    pub(crate) raw: Range<usize>,
    /// Whether `raw` holds exactly `text`.
    pub(crate) exact: bool,
}

/// One command: its words, and what is fed to it or taken from it.
#[derive(Debug, Default)]
pub(crate) struct Command {
    pub(crate) words: Vec<Word>,
    /// Whether its output goes to the next command.
    pub(crate) piped: bool,
    /// What a here-document or a here-string feeds to it.
    pub(crate) fed: Vec<Word>,
    /// The file that its output goes to.
    pub(crate) target: Option<Word>,
}

/// Words of one command that are read. Stops: a command line of megabytes.
pub(crate) const MOST_WORDS: usize = 2048;
/// Commands of one line that are read.
const MOST_COMMANDS: usize = 16_384;
/// Texts that are fed to one command. Stops: a megabyte of `<<<x`.
const MOST_FED: usize = 16;
/// Bytes that a quote, a substitution or a here-document may span. Stops: a search from each of a
/// megabyte of openings.
const LONGEST_SPAN: usize = 32 * 1024;

/// How a shell escapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A backslash escapes.
    #[default]
    Posix,
    /// A grave accent escapes; a backslash is part of a path.
    PowerShell,
    /// Words and nothing else, as systemd splits them: no byte is an operator.
    Words,
}

pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    dialect: Dialect,
    waiting: Vec<Waiting>,
    /// Bytes that searches for the ends of here-documents may still look at: unclosed ones on every
    /// line must not cost a search each.
    patience: usize,
    /// Whether a bound was reached.
    pub(crate) cut: bool,
}

/// A here-document whose body has not been reached.
struct Waiting {
    delimiter: Vec<u8>,
    tabs: bool,
    command: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8], range: Range<usize>, dialect: Dialect) -> Lexer<'a> {
        Lexer {
            text,
            patience: range.len() * 4,
            cut: false,
            at: range.start,
            end: range.end,
            dialect,
            waiting: Vec::new(),
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text[..self.end].get(self.at + ahead).copied()
    }

    /// The commands of the next line that has any, with the bodies of its here-documents.
    pub(crate) fn line(&mut self) -> Option<Vec<Command>> {
        let mut commands: Vec<Command> = Vec::new();
        while self.at < self.end {
            let (command, over) = self.command(commands.len());
            if command.piped || !command.words.is_empty() {
                match commands.len() < MOST_COMMANDS {
                    true => commands.push(command),
                    false => self.cut = true,
                }
            }
            if over {
                self.bodies(&mut commands);
                if !commands.is_empty() {
                    return Some(commands);
                }
            }
        }
        self.bodies(&mut commands);
        (!commands.is_empty()).then_some(commands)
    }

    /// One command, and whether its line ends with it.
    fn command(&mut self, number: usize) -> (Command, bool) {
        let mut command = Command::default();
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\n' => {
                    self.at += 1;
                    return (command, true);
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                _ if self.dialect == Dialect::Words && !self.continues(self.at) => {
                    let word = self.word();
                    self.push(&mut command, word);
                }
                b'|' => {
                    self.at += 1 + usize::from(matches!(self.byte(1), Some(b'&')));
                    command.piped = self.byte(0) != Some(b'|');
                    return (command, false);
                }
                b';' | b'&' | b'(' | b')' => {
                    if byte == b'&' && self.byte(1) == Some(b'>') {
                        self.at += 1;
                        continue;
                    }
                    self.at += 1;
                    return (command, false);
                }
                b'`' if self.dialect == Dialect::Posix => {
                    self.at += 1;
                    return (command, false);
                }
                b'<' => self.input(&mut command, number),
                b'>' => self.output(&mut command),
                b'#' => self.comment(),
                _ if self.continues(self.at) => {
                    self.at += 2 + usize::from(self.byte(1) == Some(b'\r'));
                }
                _ => {
                    let word = self.word();
                    self.push(&mut command, word);
                }
            }
        }
        (command, true)
    }

    /// Adds a word to a command.
    fn push(&mut self, command: &mut Command, word: Word) {
        match command.words.len() < MOST_WORDS {
            true => command.words.push(word),
            false => self.cut = true,
        }
    }

    /// Whether a line is continued at `at`.
    fn continues(&self, at: usize) -> bool {
        let mark = match self.dialect {
            Dialect::Posix | Dialect::Words => b'\\',
            Dialect::PowerShell => b'`',
        };
        let rest = &self.text[at..self.end];
        rest.first() == Some(&mark)
            && (rest[1..].starts_with(b"\n") || rest[1..].starts_with(b"\r\n"))
    }

    /// A comment is stepped over by its mark alone: what was commented out is a command as well.
    /// Its mark at the beginning of a script and the times of a history are no commands.
    fn comment(&mut self) {
        let rest = &self.text[self.at..self.end];
        let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let body = rest[1..line].trim_ascii();
        // What Docker writes before the instructions of an image's history.
        if rest.starts_with(b"#(nop)") {
            self.at += 6;
            return;
        }
        let is_time = body.len() >= 5 && body.iter().all(u8::is_ascii_digit);
        if body.first() == Some(&b'!') || is_time || !is_commanding(body) {
            self.at += line;
        } else {
            self.at += 1;
        }
    }

    fn input(&mut self, command: &mut Command, number: usize) {
        let rest = &self.text[self.at..self.end];
        if rest.starts_with(b"<<<") {
            self.at += 3;
            self.blanks();
            if self.wordy() {
                let word = self.word();
                match command.fed.len() < MOST_FED {
                    true => command.fed.push(word),
                    false => self.cut = true,
                }
            }
        } else if rest.starts_with(b"<<") && self.dialect == Dialect::Posix {
            let tabs = rest.get(2) == Some(&b'-');
            self.at += 2 + usize::from(tabs);
            self.blanks();
            if self.wordy() {
                let delimiter = self.word().text;
                if !delimiter.is_empty() && delimiter.len() <= 64 && self.waiting.len() < 16 {
                    self.waiting.push(Waiting {
                        delimiter,
                        tabs,
                        command: number,
                    });
                }
            }
        } else if self.produces(self.at) {
            // A process substitution is a word that another command writes.
            let word = self.word();
            self.push(command, word);
        } else {
            self.at += 1;
            self.blanks();
            if self.produces(self.at) {
                let word = self.word();
                match command.fed.len() < MOST_FED {
                    true => command.fed.push(word),
                    false => self.cut = true,
                }
            } else if self.wordy() && self.byte(0) != Some(b'-') {
                self.word();
            }
        }
    }

    /// Whether `<(` begins at `at`.
    fn produces(&self, at: usize) -> bool {
        self.dialect == Dialect::Posix && self.text[at..self.end].starts_with(b"<(")
    }

    fn output(&mut self, command: &mut Command) {
        let digit = |word: &Word| word.text.len() == 1 && word.text[0].is_ascii_digit();
        if command
            .words
            .last()
            .is_some_and(|word| digit(word) && word.raw.end == self.at)
        {
            command.words.pop();
        }
        self.at += 1;
        while matches!(self.byte(0), Some(b'>' | b'&' | b'|')) {
            self.at += 1;
        }
        self.blanks();
        if self.wordy() {
            let word = self.word();
            command.target = Some(word);
        }
    }

    fn blanks(&mut self) {
        while matches!(self.byte(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn wordy(&self) -> bool {
        self.byte(0).is_some_and(|byte| !self.ends_word(byte))
    }

    fn ends_word(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
            || (self.dialect != Dialect::Words
                && matches!(byte, b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>'))
            || (byte == b'`' && self.dialect == Dialect::Posix)
    }

    fn word(&mut self) -> Word {
        let start = self.at;
        let mut out = Vec::new();
        let mut exact = true;
        while let Some(byte) = self.byte(0) {
            if byte == b'<' && self.produces(self.at) {
                let stop = substitution(self.text, self.at, self.end);
                out.extend_from_slice(&self.text[self.at..stop]);
                self.at = stop;
                continue;
            }
            if self.ends_word(byte) || self.continues(self.at) {
                break;
            }
            match byte {
                b'\\' if self.dialect != Dialect::PowerShell => {
                    exact = false;
                    out.extend(self.byte(1));
                    self.at += 2;
                }
                b'`' => {
                    exact = false;
                    out.extend(self.byte(1));
                    self.at += 2;
                }
                b'$' if self.byte(1) == Some(b'\'') && self.close(b'\'', self.at + 2).is_some() => {
                    let close = self.close(b'\'', self.at + 2).unwrap_or(self.end);
                    exact = false;
                    let inner = &self.text[self.at + 2..close];
                    out.extend_from_slice(&crate::unwrap::inline::unescape(inner));
                    self.at = close + 1;
                }
                b'$' if matches!(self.byte(1), Some(b'(' | b'{')) => {
                    let stop = substitution(self.text, self.at, self.end);
                    out.extend_from_slice(&self.text[self.at..stop]);
                    self.at = stop;
                }
                b'"' | b'\'' => match self.close(byte, self.at + 1) {
                    Some(close) => {
                        let raw = self.at + 1..close;
                        self.at = close + 1;
                        let plain = self.unquote(byte, raw.clone(), &mut out);
                        let whole = raw.start == start + 1
                            && self.byte(0).is_none_or(|byte| self.ends_word(byte));
                        if whole && plain {
                            return Word {
                                text: out,
                                raw,
                                exact: true,
                            };
                        }
                        exact = false;
                    }
                    None => {
                        out.push(byte);
                        self.at += 1;
                    }
                },
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at = self.at.clamp(start + 1, self.end.max(start + 1));
        let raw = start..self.at.min(self.end);
        Word {
            exact: exact && out.len() == raw.len(),
            text: out,
            raw,
        }
    }

    /// Adds what stands between quotes; whether it was taken as it stands.
    fn unquote(&self, quote: u8, raw: Range<usize>, out: &mut Vec<u8>) -> bool {
        let inner = &self.text[raw];
        let mark = match self.dialect {
            Dialect::Posix | Dialect::Words => b'\\',
            Dialect::PowerShell => b'`',
        };
        if quote == b'\'' || memchr::memchr(mark, inner).is_none() {
            out.extend_from_slice(inner);
            return true;
        }
        let mut at = 0;
        while let Some(&byte) = inner.get(at) {
            let next = inner.get(at + 1).copied();
            let escapes = byte == mark
                && (mark == b'`' || matches!(next, Some(b'"' | b'\\' | b'$' | b'`' | b'\n')));
            if escapes {
                out.extend(next.filter(|&next| next != b'\n'));
                at += 2;
            } else {
                out.push(byte);
                at += 1;
            }
        }
        false
    }

    /// Where the quote that was opened before `at` is closed; none if it is a stray one.
    fn close(&self, quote: u8, at: usize) -> Option<usize> {
        let end = self.end.min(at + LONGEST_SPAN);
        let first = self.next_quote(quote, at, end)?;
        if memchr::memchr(b'\n', &self.text[at..first]).is_none() {
            return Some(first);
        }
        // On a later line: there it must stand alone, else both of its quotes are its own.
        let start = memchr::memrchr(b'\n', &self.text[at..first]).map_or(at, |n| at + n + 1);
        let stop = memchr::memchr(b'\n', &self.text[first..end]).map_or(end, |n| first + n);
        let mut count = 0;
        let mut from = start;
        while let Some(found) = self.next_quote(quote, from, stop) {
            count += 1;
            from = found + 1;
        }
        let timed = memchr::memmem::find_iter(&self.text[at..first], b"\n#1").any(|n| {
            self.text[at + n + 2..first]
                .iter()
                .take(9)
                .all(u8::is_ascii_digit)
        });
        (count % 2 == 1 && !timed).then_some(first)
    }

    /// The next quote that nothing escapes.
    fn next_quote(&self, quote: u8, mut at: usize, end: usize) -> Option<usize> {
        if quote == b'\'' {
            return memchr::memchr(quote, self.text.get(at..end)?).map(|n| at + n);
        }
        let mark = match self.dialect {
            Dialect::Posix | Dialect::Words => b'\\',
            Dialect::PowerShell => b'`',
        };
        while at < end {
            let found = at + memchr::memchr3(quote, mark, b'$', &self.text[at..end])?;
            if self.text[found] == quote {
                return Some(found);
            }
            at = if self.text[found] == b'$' {
                match self.text.get(found + 1) {
                    Some(b'(') => substitution(self.text, found, end),
                    _ => found + 1,
                }
            } else {
                found + 2
            };
        }
        None
    }

    /// Hands the here-documents that begin here to their commands.
    fn bodies(&mut self, commands: &mut [Command]) {
        for waiting in std::mem::take(&mut self.waiting) {
            let start = self.at;
            let limit = self.end.min(start + LONGEST_SPAN.min(self.patience));
            let mut at = start;
            let mut found = None;
            while at < limit {
                let end =
                    memchr::memchr(b'\n', &self.text[at..self.end]).map_or(self.end, |n| at + n);
                let line = self.text[at..end].trim_ascii_end();
                let line = if waiting.tabs {
                    line.trim_ascii_start()
                } else {
                    line
                };
                if line == waiting.delimiter {
                    found = Some((at, end));
                    break;
                }
                at = end + 1;
            }
            self.patience -= (at.max(start) - start).min(self.patience);
            // Histories of some shells lose the bodies: without its end it is none.
            let Some((body, end)) = found else { continue };
            self.at = (end + 1).min(self.end);
            if let Some(command) = commands.get_mut(waiting.command) {
                command.fed.push(Word {
                    text: self.text[start..body].to_vec(),
                    raw: start..body,
                    exact: true,
                });
            }
        }
    }
}

/// Substitutions inside one another. Stops: a search from each of a megabyte of `$(`.
const DEEPEST_SUBSTITUTION: usize = 16;

/// Whether a comment may be a command that was commented out: it is no prose.
fn is_commanding(body: &[u8]) -> bool {
    memchr::memchr3(b'=', b'-', b'|', body).is_some()
        || memchr::memmem::find(body, b"://").is_some()
}

/// Where the substitution that begins at `at` with `$(` or `${` ends, at most a few KiB further.
pub(crate) fn substitution(text: &[u8], at: usize, end: usize) -> usize {
    let end = end.min(at + 4096);
    let (open, close) = match text.get(at + 1) {
        Some(b'(') => (b'(', b')'),
        _ => (b'{', b'}'),
    };
    let mut depth = 0_usize;
    let mut here = at + 1;
    while let Some(found) = text
        .get(here..end)
        .and_then(|rest| memchr::memchr3(open, close, b'\n', rest))
    {
        here += found;
        match text[here] {
            b'\n' => break,
            byte if byte == open && depth == DEEPEST_SUBSTITUTION => break,
            byte if byte == open => depth += 1,
            _ => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return here + 1;
                }
            }
        }
        here += 1;
    }
    (at + 2).min(end.max(at + 1))
}
