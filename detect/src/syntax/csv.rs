//! Tables of text: the first row names the columns, every other row is a scope.
//!
//! Cloud consoles hand out keys this way, and password stores export themselves so. A file whose
//! first row names nothing is read by its lines.

use std::ops::Range;

use super::{Fields, ScopeId};
use crate::rule::Names;

/// Columns that are read. Stops: a row of a megabyte of commas.
const MOST_COLUMNS: usize = 512;
/// Bytes of a column's name.
const LONGEST_NAME: usize = 64;
/// Bytes of one quoted cell.
const LONGEST_CELL: usize = 64 * 1024;

/// Whether a table's first row names a secret, so that its rows are worth reading.
pub(crate) fn is_worth(text: &[u8], names: &Names) -> bool {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len()).min(4096);
    text[..end]
        .split(|b| matches!(b, b',' | b'\t' | b';' | b'|'))
        .map(|cell| cell.trim_ascii().trim_ascii_end())
        .map(|cell| cell.strip_prefix(b"\"").unwrap_or(cell))
        .map(|cell| cell.strip_suffix(b"\"").unwrap_or(cell))
        .filter(|cell| cell.len() <= LONGEST_NAME)
        .any(|cell| names.may_hold_secret(cell))
}

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut at = range.start;
    if text[at..range.end].starts_with(&[0xef, 0xbb, 0xbf]) {
        at += 3;
    }
    let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
    let head = &text[at..end];
    let count = |separator: u8| memchr::memchr_iter(separator, head).count();
    let separator = [b',', b'\t', b';', b'|']
        .into_iter()
        .max_by_key(|&separator| (count(separator), separator == b','))
        .unwrap_or(b',');
    fields.scopes.note_cut(count(separator) >= MOST_COLUMNS);
    let mut names: Vec<Vec<u8>> = Vec::new();
    at = row(text, at, range.end, separator, |raw, decoded| {
        names.push(decoded.unwrap_or_else(|| text[raw].trim_ascii().to_vec()));
    });
    let named =
        |name: &Vec<u8>| !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(&b'=');
    if !names.iter().all(named) {
        return;
    }
    while at < range.end {
        let scope = fields.scopes.child(root);
        let first = fields.fields.len();
        let mut column = 0;
        at = row(text, at, range.end, separator, |raw, decoded| {
            if let Some(name) = names.get(column) {
                fields.add_decoded(name, raw, decoded, scope);
            }
            column += 1;
        });
        if fields.fields.len() == first {
            fields.scopes.forget(scope as usize);
        }
    }
}

/// The cells of the row at `at`; answers where the next row begins.
fn row(
    text: &[u8],
    mut at: usize,
    end: usize,
    separator: u8,
    mut cell: impl FnMut(Range<usize>, Option<Vec<u8>>),
) -> usize {
    let mut cells = 0;
    loop {
        let (raw, decoded, next) = if text[..end].get(at) == Some(&b'"') {
            quoted(text, at + 1, end)
        } else {
            let stop = memchr::memchr2(separator, b'\n', &text[at..end]).map_or(end, |n| at + n);
            (at..stop, None, stop)
        };
        let held = &text[raw.clone()];
        let start = raw.start + held.len() - held.trim_ascii_start().len();
        cells += 1;
        if cells <= MOST_COLUMNS {
            cell(start..start + held.trim_ascii().len(), decoded);
        }
        // What stands between a closing quote and the separator is nothing.
        let stop = memchr::memchr2(separator, b'\n', &text[next..end]).map_or(end, |n| next + n);
        if stop >= end || text[stop] == b'\n' {
            return (stop + 1).min(end.max(at + 1));
        }
        at = stop + 1;
    }
}

/// A quoted cell: its range, its text where quotes are doubled, and where it ends.
fn quoted(text: &[u8], start: usize, end: usize) -> (Range<usize>, Option<Vec<u8>>, usize) {
    let limit = end.min(start + LONGEST_CELL);
    let mut at = start;
    let mut doubled = false;
    while let Some(found) = memchr::memchr(b'"', &text[at..limit]) {
        let quote = at + found;
        if text[..limit].get(quote + 1) == Some(&b'"') {
            doubled = true;
            at = quote + 2;
            continue;
        }
        let decoded = doubled.then(|| {
            let held = &text[start..quote];
            let mut plain = Vec::with_capacity(held.len());
            let mut skip = false;
            for &byte in held {
                skip = byte == b'"' && !skip;
                if !skip {
                    plain.push(byte);
                }
            }
            plain
        });
        return (start..quote, decoded, quote + 1);
    }
    // A stray quote: the cell ends with its line.
    let stop = memchr::memchr(b'\n', &text[start..end]).map_or(end, |n| start + n);
    (start..stop, None, stop)
}
