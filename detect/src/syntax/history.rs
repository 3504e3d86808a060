//! Histories: what shells and clients remember of their users, each with its own escapes.
//!
//! A history is read as what was typed: shells' as commands, database clients' as statements. What a
//! line means is left to the readers of those languages.

use std::ops::Range;

use super::shell::{Dialect, Session};
use super::{Fields, ScopeId, flow, read_as, shell, sql, text};

fn lines(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = at..end;
        at = end + 1;
        Some(line)
    })
}

/// bash, ash and ksh: a command a line; lines of `#` and digits are times. ksh may separate by NUL.
pub(crate) fn bash(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    if memchr::memchr(0, &text[range.clone()]).is_none() {
        return session.read(text, range, fields);
    }
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(0, &text[at..range.end]).map_or(range.end, |n| at + n);
        // What counts the entries stands before and between them.
        let skip = text[at..end]
            .iter()
            .take_while(|b| !b.is_ascii_graphic() && **b != b' ')
            .count();
        session.read(text, at + skip..end, fields);
        at = end + 1;
    }
}

/// zsh: `: time:duration;command`, or the command alone; a backslash continues it, and bytes that
/// zsh gives a meaning of its own are metafied: 0x83, then the byte with its sixth bit turned.
/// Source: zsh's `Src/utils.c`, `metafy`.
pub(crate) fn zsh(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    let mut at = range.start;
    while at < range.end {
        let mut end = at;
        loop {
            end = memchr::memchr(b'\n', &text[end..range.end]).map_or(range.end, |n| end + n);
            if end >= range.end || !text[at..end].ends_with(b"\\") || end - at > 64 * 1024 {
                break;
            }
            end += 1;
        }
        let bytes = &text[at..end];
        let skip = if bytes.starts_with(b": ") {
            memchr::memchr(b';', &bytes[..bytes.len().min(40)]).map_or(0, |at| at + 1)
        } else {
            0
        };
        let entry = at + skip..end;
        if memchr::memchr(0x83, bytes).is_some() {
            let plain = unmetafied(&text[entry.clone()]);
            read_as(text, entry, &plain, fields, |text, range, fields| {
                session.read(text, range, fields);
            });
        } else {
            session.read(text, entry, fields);
        }
        at = end + 1;
    }
}

fn unmetafied(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (0x83, Some(&next)) => {
                out.push(next ^ 32);
                bytes.next();
            }
            _ => out.push(byte),
        }
    }
    out
}

/// fish: `- cmd: command`, then indented particulars; line breaks and backslashes are escaped.
pub(crate) fn fish(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    for line in lines(text, range) {
        if !text[line.clone()].starts_with(b"- cmd: ") {
            continue;
        }
        let entry = line.start + 7..line.end;
        if memchr::memchr(b'\\', &text[entry.clone()]).is_some() {
            let plain = crate::unwrap::inline::unescape(&text[entry.clone()]);
            read_as(text, entry, &plain, fields, |text, range, fields| {
                session.read(text, range, fields);
            });
        } else {
            session.read(text, entry, fields);
        }
    }
}

/// PowerShell: a command a line; a grave accent continues it.
pub(crate) fn power_shell(
    text: &[u8],
    range: Range<usize>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    Session::new(root, fields)
        .in_dialect(Dialect::PowerShell)
        .read(text, range, fields);
}

/// mysql, psql, sqlite and their kin: statements. libedit writes octal escapes after a first line
/// `_HiStOrY_V2_`; psql keeps a line break as the byte 1. Sources: libedit's `history.c`, psql's
/// `input.c`.
pub(crate) fn sql(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    for line in lines(text, range) {
        let bytes = &text[line.clone()];
        let escaped = memchr::memmem::find(bytes, b"\\040").is_some();
        if escaped || memchr::memchr(1, bytes).is_some() {
            let plain = octal(bytes);
            read_as(text, line, &plain, fields, |text, range, fields| {
                entry(text, range, root, fields);
            });
        } else {
            entry(text, line, root, fields);
        }
    }
}

/// One entry: a statement, a client's own command, `\connect …`, `.open …`, or one of the shell, `\! …`,
/// `system …`.
fn entry(text: &[u8], line: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let client = text[line.clone()].trim_ascii_start();
    if client.starts_with(b"\\") || client.starts_with(b".") {
        let scope = fields.scopes.child(root);
        super::text::spaced_pairs(text, line.clone(), scope, fields);
        shell::line(text, line, scope, fields);
    } else if let Some(command) = client.strip_prefix(b"system ") {
        shell::line(text, line.end - command.len()..line.end, root, fields);
    } else {
        statements(text, line, root, fields);
    }
}

fn statements(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let first = text[range.clone()].trim_ascii();
    if sql::speaks(first) || sql::names_secret(first) {
        sql::statements(text, range, root, fields);
    }
}

/// Undoes `\040` and its kin.
fn octal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let code = (text[at] == b'\\')
            .then(|| text.get(at + 1..at + 4))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(match code {
            Some(byte) => byte,
            None if text[at] == 1 => b'\n',
            None => text[at],
        });
        at += if code.is_some() { 4 } else { 1 };
    }
    out
}

/// redis-cli: what stands behind the program's name on a command line.
pub(crate) fn redis(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    for line in lines(text, range) {
        shell::client(text, line, b"redis-cli", root, fields);
    }
}

/// python, node, irb, mongosh and their kin: lines of a programming language.
pub(crate) fn code(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut blocks = text::Blocks::new(root, fields);
    for line in lines(text, range) {
        blocks.line(&text[line.clone()], fields);
        text::line(text, line.clone(), &mut blocks, fields);
        strings(text, line, root, fields);
    }
}

/// Strings of one line that are read for what they hold.
const MOST_STRINGS: usize = 32;

/// Commands and statements that a line hands to a shell or to a database as strings.
fn strings(text: &[u8], line: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut at = line.start;
    for _ in 0..MOST_STRINGS {
        let rest = &text[at..line.end];
        let Some(quote) = memchr::memchr3(b'"', b'\'', b'`', rest) else {
            return;
        };
        let start = at + quote + 1;
        let (raw, decoded) = flow::quoted(&text[..line.end], start, rest[quote]);
        at = (raw.end + 1).min(line.end);
        let held = &text[raw.clone()];
        if decoded.is_some() || memchr::memchr(b' ', held).is_none() {
            continue;
        }
        let scope = fields.scopes.child(root);
        if shell::is_command(held) {
            shell::line(text, raw, scope, fields);
        } else if sql::speaks(held) {
            sql::statements(text, raw, scope, fields);
        }
    }
}

/// vim and less: command lines, searches and the contents of registers, each in its own wrapping.
pub(crate) fn viminfo(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let less = text[range.clone()].starts_with(b".less-history-file");
    let mut blocks = text::Blocks::new(root, fields);
    for line in lines(text, range) {
        let bytes = &text[line.clone()];
        let mut held = match bytes.first() {
            Some(b'"') if less => line.start + 1..line.end,
            // Headings, marks, and lines of `|` that copy what stands above with quotes.
            Some(b'#' | b'*' | b'>' | b'-' | b'\'' | b'%' | b'&' | b'~' | b'"' | b'|') | None => {
                continue;
            }
            Some(b':' | b'?' | b'/' | b'\t' | b'=' | b'@') => line.start + 1..line.end,
            _ => line.clone(),
        };
        if text[held.clone()].starts_with(b"!") {
            shell::line(text, held.start + 1..held.end, root, fields);
            continue;
        }
        let scope = blocks.scope();
        if shell::is_command(&text[held.clone()]) {
            shell::line(text, held, scope, fields);
            continue;
        }
        if bytes.first() == Some(&b':') {
            held = substituted(text, held);
        }
        blocks.line(&text[held.clone()], fields);
        let first = fields.fields.len();
        text::line(text, held, &mut blocks, fields);
        fields.fields[first..]
            .iter_mut()
            .for_each(|field| field.quoted = true);
    }
}

/// What `:%s/…/…/` puts in; other command lines as they stand.
fn substituted(text: &[u8], line: Range<usize>) -> Range<usize> {
    let bytes = &text[line.clone()];
    // Behind the lines that it is done to: `%`, `1,$`, `'<,'>`.
    let start = bytes
        .iter()
        .take_while(|b| !b.is_ascii_alphabetic())
        .count();
    let mark = match bytes.get(start..start + 2) {
        Some(&[b's', mark]) if mark.is_ascii_punctuation() => mark,
        _ => return line,
    };
    let Some(middle) = memchr::memchr(mark, &bytes[start + 2..]).map(|n| start + 3 + n) else {
        return line;
    };
    let end = memchr::memchr(mark, &bytes[middle..]).map_or(bytes.len(), |n| middle + n);
    line.start + middle..line.start + end
}
