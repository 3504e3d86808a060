//! Lines of `key = value`: dotenv, INI and its many cousins, Java properties, TOML.
//!
//! What differs between them is data ([`Style`]). Sections are scopes; in files without sections a
//! blank line or a key that comes back begins a new block, so that the second of two pairs with the
//! same names is not mixed with the first.

use std::ops::Range;

use super::{Fields, ScopeId, flow, literal, shell};
use crate::rule::Fnv;

/// What a format does with its lines.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// `:` separates as well as `=`.
    colon: bool,
    /// Blanks separate too: Java properties.
    blank: bool,
    /// Backslash escapes in unquoted values, and continuation lines.
    escapes: bool,
    /// `[a.b]` becomes the path's beginning.
    sections: bool,
    /// ` #` and ` ;` end an unquoted value.
    comments: bool,
    /// An unquoted value may be Java's, whose escapes no other has.
    java: bool,
    /// `[…]` and `{…}` are collections.
    collections: bool,
    /// Values are continued while a line ends with a backslash; some are commands.
    unit: bool,
}

impl Style {
    pub(crate) const DOTENV: Style = Style {
        colon: true,
        blank: false,
        escapes: false,
        sections: false,
        comments: true,
        java: true,
        collections: false,
        unit: false,
    };
    pub(crate) const INI: Style = Style {
        sections: true,
        ..Style::DOTENV
    };
    pub(crate) const PROPERTIES: Style = Style {
        blank: true,
        escapes: true,
        comments: false,
        ..Style::DOTENV
    };
    /// systemd's units and supervisor's programs.
    pub(crate) const UNIT: Style = Style {
        colon: false,
        comments: false,
        java: false,
        unit: true,
        ..Style::INI
    };
    pub(crate) const TOML: Style = Style {
        collections: true,
        colon: false,
        java: false,
        ..Style::INI
    };
}

struct Keyed<'a, 'f, 's> {
    text: &'a [u8],
    end: usize,
    style: Style,
    root: ScopeId,
    section: Vec<u8>,
    section_scope: ScopeId,
    block: ScopeId,
    seen: Vec<u64>,
    fields: &'f mut Fields<'s>,
}

/// Keys remembered of one block.
const MOST_SEEN: usize = 256;

/// Parses `text[range]`.
pub(crate) fn parse(
    text: &[u8],
    range: Range<usize>,
    style: Style,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let block = fields.scopes.child(root);
    let mut keyed = Keyed {
        text,
        end: range.end,
        style,
        root,
        section: Vec::new(),
        section_scope: root,
        block,
        seen: Vec::new(),
        fields,
    };
    let mut at = range.start;
    while at < keyed.end {
        at = keyed.line(at);
    }
}

impl Keyed<'_, '_, '_> {
    fn new_block(&mut self) {
        self.block = self.fields.scopes.child(self.section_scope);
        self.seen.clear();
    }

    fn line(&mut self, at: usize) -> usize {
        let end = memchr::memchr(b'\n', &self.text[at..self.end]).map_or(self.end, |n| at + n);
        let next = (end + 1).min(self.end).max(at + 1);
        let mut start = at;
        while start < end && matches!(self.text[start], b' ' | b'\t') {
            start += 1;
        }
        let line = self.text[start..end].trim_ascii_end();
        let end = start + line.len();
        match line.first() {
            None => {
                if !self.seen.is_empty() {
                    self.new_block();
                }
                return next;
            }
            Some(b'#' | b'!' | b';') => return next,
            Some(b'[') if self.style.sections => {
                self.open_section(start, end);
                return next;
            }
            _ => {}
        }
        for word in [
            &b"export "[..],
            b"set -x ",
            b"set ",
            b"setenv ",
            b"ENV ",
            b"ARG ",
        ] {
            if line.starts_with(word) {
                start += word.len();
                break;
            }
        }
        self.pair(start, end, next)
    }

    fn open_section(&mut self, start: usize, end: usize) {
        let inner = &self.text[start..end];
        let close = memchr::memrchr(b']', inner).unwrap_or(inner.len());
        let name = inner[..close].trim_ascii();
        let name = name
            .iter()
            .copied()
            .skip_while(|b| *b == b'[')
            .filter(|b| *b != b'"' && *b != b']');
        self.section = name.take(200).collect();
        self.section_scope = self.fields.scopes.child(self.root);
        self.new_block();
    }

    fn pair(&mut self, start: usize, end: usize, next: usize) -> usize {
        let Some((key, value)) = self.split(start, end) else {
            return next;
        };
        let hash = Fnv::of(&self.text[key.clone()]);
        if self.seen.contains(&hash) {
            self.new_block();
        }
        if self.seen.len() < MOST_SEEN {
            self.seen.push(hash);
        }
        let mut path = self.section.clone();
        if !path.is_empty() {
            path.push(b'.');
        }
        path.extend_from_slice(&self.text[key.clone()]);
        // An inventory's line: a host, then `name=value` with blanks between.
        let several = self.style.sections
            && memchr::memchr(b' ', &self.text[key.clone()]).is_some()
            && memchr::memchr(b'=', &self.text[value..end]).is_some();
        if several {
            let scope = self.fields.scopes.child(self.block);
            super::text::spaced_pairs(self.text, start..end, scope, self.fields);
            return next;
        }
        self.value(&path, &key, value, end, next)
    }

    /// The key and where its value begins.
    fn split(&self, start: usize, end: usize) -> Option<(Range<usize>, usize)> {
        let line = &self.text[start..end];
        let mut at = 0;
        let length = loop {
            let byte = *line.get(at)?;
            // npm's names begin with a registry: `//host/:_authToken=…`.
            let colon = self.style.colon && !line.starts_with(b"//");
            if byte == b'=' || (byte == b':' && colon) {
                // `password: Option<&str> = "…"` is a statement.
                if byte == b':' && is_typed(&line[at + 1..]) {
                    return None;
                }
                break at;
            }
            if byte == b'\\' {
                at += 1;
            } else if self.style.blank && byte.is_ascii_whitespace() {
                let rest = line[at..].trim_ascii_start();
                // `name '= value`, half edited.
                let quote = |b: &&u8| matches!(b, b'"' | b'\'' | b'`');
                let marks = rest.iter().take(4).take_while(quote).count();
                if !matches!(rest.get(marks), Some(b'=' | b':')) {
                    let value = end - rest.len();
                    return (at > 0).then_some((start..start + at, value));
                }
            }
            at += 1;
        };
        let raw = line[..length].trim_ascii_end();
        let quotes = usize::from(matches!(raw.first(), Some(b'"' | b'\'')));
        let odd = |b: &&u8| matches!(b, b'"' | b'\'' | b'`' | b' ' | b'\t');
        let tail = raw[quotes..].iter().rev().take_while(odd).count();
        let key = start + quotes..start + raw.len() - tail;
        // A command or a statement among the pairs is read as what it is.
        let odd = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b'(' | b'{' | b';' | b'|');
        let name = &self.text[key.clone()];
        let is_key = !name.is_empty()
            && name.len() <= 256
            && !name.iter().any(odd)
            && !is_sentence(name, self.style.colon);
        is_key.then_some((key, start + length + 1))
    }

    fn value(
        &mut self,
        path: &[u8],
        key: &Range<usize>,
        mut start: usize,
        end: usize,
        next: usize,
    ) -> usize {
        if self.text[start..end].starts_with(b"=") || self.text[start..end].starts_with(b">") {
            start += 1;
        }
        while start < end && matches!(self.text[start], b' ' | b'\t' | 0x0b | 0x0c) {
            start += 1;
        }
        if start >= end {
            return next;
        }
        let name = &self.text[key.clone()];
        let (mut end, mut next) = (end, next);
        if self.style.unit {
            (end, next) = self.unit_end(start, end, next);
        }
        if name.starts_with(b"Exec") || (self.style.unit && name == b"command") {
            shell::line(self.text, start..end, self.block, self.fields);
        } else if matches!(name, b"Environment" | b"environment") {
            let first = self.fields.fields.len();
            shell::assignments(self.text, start..end, self.block, self.fields);
            if self.style.unit {
                percents(self.text, &mut self.fields.fields[first..]);
            }
            return next;
        }
        if let Some(word) = literal::cluttered(self.text, start..end) {
            self.fields.add(path, word, self.block, false);
            return next;
        }
        // A program's string among settings: `b"…"`, `("…")`.
        let bracket = usize::from(self.text[start] == b'(');
        if bracket + literal::prefix(&self.text[start + bracket..end]) > 0
            && let Some((raw, decoded)) = literal::string(self.text, start + bracket, end)
            && raw.end < end
        {
            self.fields.add_decoded(path, raw, decoded, self.block);
            return next;
        }
        match self.text[start] {
            quote @ (b'"' | b'\'' | b'`') => self.quoted(path, quote, start, end, next),
            b'[' | b'{' if self.style.collections => {
                flow::parse(self.text, start..end, path, self.block, self.fields);
                next
            }
            _ if self.style.escapes => self.continued(path, start, end, next),
            _ => {
                let line = &self.text[start..end];
                let remark = remark_behind(line).filter(|_| self.style.comments);
                let line = line[..remark.unwrap_or(line.len())].trim_ascii_end();
                let raw = start..start + line.len();
                let first = self.fields.fields.len();
                self.fields.add(path, raw, self.block, false);
                if self.style.java
                    && let Some(field) = self.fields.fields.get_mut(first)
                {
                    field.decoded = java_unescaped(line);
                }
                next
            }
        }
    }

    /// Where a unit's value ends: a backslash at a line's end continues it, as does, for supervisor,
    /// a line that begins with blanks.
    fn unit_end(&self, start: usize, mut end: usize, mut next: usize) -> (usize, usize) {
        let mut lines = 0;
        while next < self.end && lines < 256 {
            let continued = self.text[start..end].ends_with(b"\\")
                || matches!(self.text[next], b' ' | b'\t')
                    && !self.text[next..self.end]
                        .trim_ascii_start()
                        .starts_with(b"[");
            if !continued {
                break;
            }
            let stop =
                memchr::memchr(b'\n', &self.text[next..self.end]).map_or(self.end, |n| next + n);
            end = start + self.text[start..stop].trim_ascii_end().len();
            next = (stop + 1).min(self.end).max(next + 1);
            lines += 1;
        }
        (end, next)
    }

    fn quoted(&mut self, path: &[u8], quote: u8, start: usize, end: usize, next: usize) -> usize {
        let triple = [quote; 3];
        if self.text[start..end].starts_with(&triple) {
            let from = start + 3;
            let limit = self.end.min(from + 64 * 1024);
            let stop = memchr::memmem::find(&self.text[from..limit], &triple);
            if let Some(length) = stop {
                self.fields.add(path, from..from + length, self.block, true);
                let after = from + length + 3;
                return memchr::memchr(b'\n', &self.text[after..self.end])
                    .map_or(self.end, |n| after + n + 1);
            }
            return next;
        }
        let (raw, decoded) = flow::quoted(&self.text[..end], start + 1, quote);
        let decoded = decoded.filter(|_| quote == b'"');
        if raw.end < end || quote == b'\'' {
            self.fields.add_decoded(path, raw, decoded, self.block);
            return next;
        }
        // A quote that is closed on a later line: a key in PEM form, mostly.
        let limit = self.end.min(start + 16 * 1024);
        let close = memchr::memchr(quote, &self.text[start + 1..limit]).map(|n| start + 1 + n);
        match close {
            Some(close)
                if memchr::memmem::find(&self.text[start..close], b"-----BEGIN").is_some() =>
            {
                self.fields.add(path, start + 1..close, self.block, true);
                memchr::memchr(b'\n', &self.text[close..self.end])
                    .map_or(self.end, |n| close + n + 1)
            }
            _ => {
                self.fields.add_decoded(path, raw, decoded, self.block);
                next
            }
        }
    }

    /// A properties value: escapes undone, continued while a line ends with one backslash.
    fn continued(&mut self, path: &[u8], start: usize, mut end: usize, mut next: usize) -> usize {
        let mut lines = 0;
        while self.text[start..end].ends_with(b"\\") && next < self.end && lines < 64 {
            end = memchr::memchr(b'\n', &self.text[next..self.end]).map_or(self.end, |n| next + n);
            next = (end + 1).min(self.end).max(next + 1);
            end = start + self.text[start..end].trim_ascii_end().len();
            lines += 1;
        }
        let raw = &self.text[start..end];
        let decoded = memchr::memchr(b'\\', raw).map(|_| {
            let joined = if lines > 0 {
                join_lines(raw)
            } else {
                raw.to_vec()
            };
            crate::unwrap::inline::unescape(&joined)
        });
        self.fields.fields.push(super::Field {
            path: path.to_vec(),
            raw: start..end,
            decoded,
            scope: self.block,
            quoted: false,
            told: false,
            encoding: None,
        });
        next
    }
}

/// Where the remark behind an unquoted value begins: a mark of one behind a blank.
pub(super) fn remark_behind(value: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'#', b';', value)
        .find(|&at| at > 0 && matches!(value[at - 1], b' ' | b'\t'))
        .map(|at| at - 1)
}

/// A value without the escapes that only Java writes; nothing if it has none.
fn java_unescaped(value: &[u8]) -> Option<Vec<u8>> {
    let escapes = |two: &[u8]| two[0] == b'\\' && b"=:#!".contains(&two[1]);
    value.windows(2).any(escapes).then(|| {
        let mut plain = Vec::with_capacity(value.len());
        let mut at = 0;
        while at < value.len() {
            at += usize::from(value[at..].get(..2).is_some_and(escapes));
            plain.push(value[at]);
            at += 1;
        }
        plain
    })
}

/// Whether what stands before a separator is no key but the beginning of a comparison, `if x.secret !`, or
/// says a pair of its own, `token-> app: …`, where a `colon` separates nothing.
fn is_sentence(name: &[u8], colon: bool) -> bool {
    let ends = name.last().is_some_and(|b| matches!(b, b'!' | b'<' | b'~'));
    ends && memchr::memchr(b' ', name).is_some()
        || memchr::memmem::find(name, b"->").is_some()
        || !colon && memchr::memmem::find(name, b": ").is_some()
}

/// Whether a type and the string that is assigned follow a colon.
fn is_typed(rest: &[u8]) -> bool {
    let kind = |b: &&u8| b.is_ascii_alphanumeric() || b"_.&'<>[]?*| ".contains(b);
    let length = rest.iter().take(48).take_while(kind).count();
    let value = rest[length..]
        .strip_prefix(b"=")
        .map(<[u8]>::trim_ascii_start);
    length > 2 && value.is_some_and(|value| literal::is_quote(*value.first().unwrap_or(&0)))
}

/// A unit's `%%` is one: other specifiers stay as they stand.
fn percents(text: &[u8], fields: &mut [super::Field]) {
    for field in fields {
        let value = field.value(text);
        if memchr::memmem::find(value, b"%%").is_some() {
            let mut plain = Vec::with_capacity(value.len());
            let mut at = 0;
            while at < value.len() {
                plain.push(value[at]);
                at += 1 + usize::from(value[at..].starts_with(b"%%"));
            }
            field.decoded = Some(plain);
        }
    }
}

/// Drops backslash, line break and the next line's indentation.
fn join_lines(raw: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(raw.len());
    for (number, line) in raw.split(|&b| b == b'\n').enumerate() {
        let line = if number == 0 {
            line
        } else {
            line.trim_ascii_start()
        };
        let line = line.trim_ascii_end();
        joined.extend_from_slice(line.strip_suffix(b"\\").unwrap_or(line));
    }
    joined
}
