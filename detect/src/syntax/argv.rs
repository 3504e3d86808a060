//! Captures of processes: NUL-separated environments and argument lists.

use std::ops::Range;

use super::{Fields, ScopeId, shell};

/// `NAME=VALUE` separated by NUL: one scope.
pub(crate) fn environ(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let scope = fields.scopes.child(root);
    for entry in pieces(text, range) {
        let Some(equals) = memchr::memchr(b'=', &text[entry.clone()]) else {
            continue;
        };
        let value = entry.start + equals + 1..entry.end;
        let name = &text[entry.start..entry.start + equals];
        if !name.is_empty() && name.len() <= 256 {
            fields.add(name, value, scope, true);
        }
    }
}

/// Arguments separated by NUL: one command.
pub(crate) fn arguments(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let scope = fields.scopes.child(root);
    let many = pieces(text, range.clone()).nth(shell::MOST_WORDS).is_some();
    fields.scopes.note_cut(many);
    let words: Vec<shell::Word> = pieces(text, range)
        .take(shell::MOST_WORDS)
        .map(|raw| shell::Word {
            text: text[raw.clone()].to_vec(),
            raw,
            exact: true,
        })
        .collect();
    shell::command(text, &words, scope, fields);
}

fn pieces(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end {
            let end = memchr::memchr(0, &text[at..range.end]).map_or(range.end, |nul| at + nul);
            let piece = at..end;
            at = end + 1;
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    })
}
