//! Names in one list and values in another: `id, key = "…", "…"`, and tables of notes whose first row
//! names the cells of the others.

use std::ops::Range;

use super::literal::{self, is_quote};
use super::text::Blocks;
use super::{Fields, ScopeId};

/// Names in one list, values in another: `id, key = "…", "…"`. Answers where the last value ends; nothing
/// if a name or a value is missing or is anything else.
pub(super) fn unpacked(
    text: &[u8],
    start: usize,
    equals: usize,
    end: usize,
    blocks: &mut Blocks,
    fields: &mut Fields<'_>,
) -> Option<usize> {
    const LONGEST: usize = 192;
    const MOST: usize = 8;
    let left = &text[start.max(equals.saturating_sub(LONGEST))..equals];
    let left = left.strip_suffix(b":").unwrap_or(left);
    memchr::memchr(b',', left)?;
    // Behind a declaration's own word, between brackets: `const [id, key] = […]`.
    let open = left.iter().rposition(|b| matches!(b, b'(' | b'[' | b'{'));
    let declares: [&[u8]; 6] = [b"", b"const", b"let", b"var", b"val", b"my"];
    if open.is_some_and(|at| !declares.contains(&left[..at].trim_ascii())) {
        return None;
    }
    let left = left[open.map_or(0, |at| at + 1)..].trim_ascii();
    let left = left
        .strip_suffix(b")")
        .or(left.strip_suffix(b"]"))
        .unwrap_or(left);
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
    let names: Vec<&[u8]> = left
        .split(|&b| b == b',')
        .map(|name| {
            let name = name.trim_ascii();
            name.rsplit(|&b| b == b' ').next().unwrap_or(name)
        })
        .collect();
    if !(2..=MOST).contains(&names.len())
        || names
            .iter()
            .any(|name| name.is_empty() || !name.iter().all(part))
    {
        return None;
    }
    let mut at = equals + 1;
    let mut values = Vec::with_capacity(names.len());
    for number in 0..names.len() {
        let skipped = text[at..end]
            .iter()
            .take_while(|b| b.is_ascii_whitespace() || number == 0 && matches!(b, b'(' | b'['))
            .count();
        at += skipped;
        if !text[..end].get(at).is_some_and(|b| is_quote(*b)) {
            return None;
        }
        let (raw, decoded) = literal::string(text, at, end)?;
        at = raw.end + 1;
        values.push((raw, decoded));
        if number + 1 < names.len() {
            let blanks = text
                .get(at..end)?
                .iter()
                .take_while(|b| b.is_ascii_whitespace());
            at += blanks.count();
            if text[..end].get(at) != Some(&b',') {
                return None;
            }
            at += 1;
        }
    }
    let scope = blocks.scope();
    for (name, (raw, decoded)) in names.into_iter().zip(values) {
        fields.add_decoded(name, raw, decoded, scope);
    }
    Some(at)
}

/// Rows of tables in one text, and columns. Stops: a text of nothing but bars.
const MOST_ROWS: usize = 4096;
const MOST_CELLS: usize = 64;

/// Tables of notes, `| name | key |` above `|---|---|`: every row is a scope, its cells named by the first
/// row's.
pub(crate) fn tables(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut above: Option<Range<usize>> = None;
    let mut rows = 0;
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = at..end;
        at = end + 1;
        if !text[line.clone()].trim_ascii_start().starts_with(b"|") {
            names.clear();
            above = None;
            continue;
        }
        let rule = |b: &u8| matches!(b, b'|' | b'-' | b':' | b' ' | b'\t' | b'\r');
        if text[line.clone()].iter().all(rule) {
            if let Some(head) = above.take() {
                names = cells(text, head).map(|cell| text[cell].to_vec()).collect();
            }
            continue;
        }
        if names.is_empty() {
            above = Some(line);
            continue;
        }
        rows += 1;
        if rows > MOST_ROWS {
            return fields.scopes.note_cut(true);
        }
        let scope = fields.scopes.child(root);
        for (name, cell) in names.iter().zip(cells(text, line)) {
            if !text[cell.clone()].iter().any(u8::is_ascii_whitespace) {
                fields.add(name, cell, scope, true);
            }
        }
    }
}

/// The cells of a row, without what sets them as code or bold.
fn cells(text: &[u8], row: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = row.start;
    let front = text[row.clone()].iter().take_while(|b| **b != b'|').count();
    from += front + 1;
    text[from.min(row.end)..row.end]
        .split(|&b| b == b'|')
        .take(MOST_CELLS)
        .map(move |cell| {
            let odd = |b: &&u8| b.is_ascii_whitespace() || matches!(b, b'*' | b'`');
            let front = cell.iter().take_while(odd).count();
            let back = cell[front..].iter().rev().take_while(odd).count();
            let raw = from + front..from + cell.len() - back;
            from += cell.len() + 1;
            raw
        })
}
