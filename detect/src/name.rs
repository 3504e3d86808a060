//! What a rule would find inside a name: a path, a variable, a unit.
//!
//! Names leave the host, so this errs on the side of cleaning too much. It never says where in a
//! file something is; it only says which bytes of the name must not be shown.

use std::ops::Range;

use akwatch_proto::credential::RuleId;

use crate::judge::quiet;
use crate::rule::{Engine, Half, RuleSet};
use crate::sieve;

/// Ranges of `name` that must be replaced, in order, not overlapping.
pub(crate) fn secrets(name: &[u8], rules: &RuleSet) -> Vec<(Range<usize>, RuleId)> {
    let mut found: Vec<(Range<usize>, u16)> = Vec::new();
    let mut id = None;
    // Pieces between separators of names, then with `_` and `-` as separators too: a key glued to
    // other words by them is found all the same.
    for piece in pieces(name, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'=' | b'.' | b'~')
    }) {
        for token in sieve::tokens(&name[piece.clone()], rules) {
            found.push((
                piece.start + token.start..piece.start + token.end,
                token.rule,
            ));
            id = id.or((token.half == Half::Id).then_some(token.rule));
        }
    }
    for token in sieve::tokens(name, rules) {
        found.push((token.start..token.end, token.rule));
        id = id.or((token.half == Half::Id).then_some(token.rule));
    }
    for piece in pieces(name, |b| b.is_ascii_alphanumeric()) {
        if let Some((end, rule, half)) = glued(name, &piece, rules) {
            found.push((piece.start..end, rule));
            id = id.or((half == Half::Id).then_some(rule));
        }
    }
    let by_name = rules.engine(Engine::NamedSecret);
    for piece in pieces(name, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=')
    }) {
        let text = &name[piece.clone()];
        let random = text.len() >= 20 && quiet::entropy(text) >= 3.5 && is_mixed(text);
        let beside = id
            .or(by_name)
            .filter(|_| random && (id.is_some() || (text.len() >= 28 && !quiet::is_hex(text))));
        if let Some(rule) = beside {
            found.push((piece, rule));
        }
    }
    if id.is_some() {
        // A secret of base64 goes on behind its slashes.
        for piece in pieces(name, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=' | b'/')
        }) {
            let text = &name[piece.clone()];
            let tail = text.len().saturating_sub(40);
            if text.len() >= 40 && quiet::entropy(&text[tail..]) >= 4.0 && is_mixed(&text[tail..]) {
                found.extend(id.map(|rule| (piece.start + tail..piece.end, rule)));
            }
        }
    }
    merge(found)
        .into_iter()
        .map(|(range, rule)| (range, rules.rule(rule).id.clone()))
        .collect()
}

/// A token that begins at a piece and is followed by `_` or `-`, which a file's content would not
/// allow.
fn glued(name: &[u8], piece: &Range<usize>, rules: &RuleSet) -> Option<(usize, u16, Half)> {
    let key = *name[piece.start..].first_chunk::<3>()?;
    rules
        .anchors()
        .at(key)
        .iter()
        .filter_map(|anchor| {
            let pattern =
                &rules.rule(anchor.rule).shape(anchor.half).patterns[usize::from(anchor.pattern)];
            let end = pattern.end_at(name, piece.start)?;
            let whole = name.get(end).is_none_or(|b| !b.is_ascii_alphanumeric());
            whole.then_some((end, anchor.rule, anchor.half))
        })
        .max_by_key(|&(end, ..)| end)
}

fn is_mixed(text: &[u8]) -> bool {
    let digits = text.iter().any(u8::is_ascii_digit);
    let letters = text.iter().any(u8::is_ascii_alphabetic);
    digits && letters
}

fn pieces(name: &[u8], inside: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = None;
    for (at, &byte) in name.iter().chain(std::iter::once(&0)).enumerate() {
        match (inside(byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                pieces.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    pieces
}

fn merge(mut found: Vec<(Range<usize>, u16)>) -> Vec<(Range<usize>, u16)> {
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut merged: Vec<(Range<usize>, u16)> = Vec::new();
    for (range, rule) in found {
        match merged.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push((range, rule)),
        }
    }
    merged
}
