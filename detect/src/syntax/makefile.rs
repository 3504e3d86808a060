//! Makefiles and justfiles: variables, recipes, and variables of one target.
//!
//! A recipe's lines are commands of a shell; what make does itself with them, `@` and `$$`, changes no
//! secret in them.

use std::ops::Range;

use super::shell::{Session, Word};
use super::{Fields, ScopeId};

/// Bytes of a line with its continuations.
const LONGEST: usize = 64 * 1024;

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    let mut inside = false;
    let mut at = range.start;
    while at < range.end {
        let end = logical(text, at, range.end, fields);
        let line = at..end;
        at = end + 1;
        let first = text[line.clone()].first().copied();
        let trimmed = trim(text, line);
        let words = &text[trimmed.clone()];
        if words.is_empty() || words[0] == b'#' {
            continue;
        }
        // What `define` holds is a recipe or a file that is written out.
        if inside {
            inside = !words.starts_with(b"endef");
            recipe(text, trimmed, &mut session, fields);
        } else if words.starts_with(b"define ") {
            inside = true;
        } else if first == Some(b'\t') {
            recipe(text, trimmed, &mut session, fields);
        } else if !variable(text, &trimmed, &mut session, fields) {
            match first {
                Some(b' ') => recipe(text, trimmed, &mut session, fields),
                _ => target(text, &trimmed, &mut session, fields),
            }
        }
    }
}

/// Where the line that begins at `at` ends, with the lines that continue it.
fn logical(text: &[u8], at: usize, end: usize, fields: &mut Fields<'_>) -> usize {
    let mut stop = at;
    loop {
        stop = memchr::memchr(b'\n', &text[stop..end]).map_or(end, |n| stop + n);
        let open = text[at..stop].trim_ascii_end().ends_with(b"\\");
        let long = open && stop - at > LONGEST;
        fields.scopes.note_cut(long && stop < end);
        if stop >= end || !open || long {
            return stop;
        }
        stop += 1;
    }
}

fn trim(text: &[u8], range: Range<usize>) -> Range<usize> {
    let line = &text[range.clone()];
    let end = range.start + line.trim_ascii_end().len();
    let start = range.end - line.trim_ascii_start().len();
    start.min(end)..end
}

/// A line of a recipe, without the marks that are make's own.
fn recipe(text: &[u8], line: Range<usize>, session: &mut Session, fields: &mut Fields<'_>) {
    let mark = |b: &&u8| matches!(b, b'@' | b'-' | b'+' | b' ');
    let marks = text[line.clone()].iter().take_while(mark).count();
    session.read(text, line.start + marks..line.end, fields);
}

/// `NAME = value` in its many forms; whether it is one.
fn variable(
    text: &[u8],
    line: &Range<usize>,
    session: &mut Session,
    fields: &mut Fields<'_>,
) -> bool {
    const BEFORE: [&[u8]; 5] = [b"export", b"override", b"private", b"unexport", b"set"];
    let mut from = line.start;
    loop {
        let rest = &text[from..line.end];
        let word = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let blanks = rest[word..].len() - rest[word..].trim_ascii_start().len();
        if blanks == 0 || !BEFORE.contains(&&rest[..word]) {
            break;
        }
        from += word + blanks;
    }
    let rest = &text[from..line.end];
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let name = rest.iter().take_while(part).count();
    let tail = rest[name..].trim_ascii_start();
    let mark = tail.iter().take(4).position(|&b| b == b'=');
    let Some(mark) = mark.filter(|&mark| {
        name > 0
            && matches!(
                &tail[..mark],
                b"" | b":" | b"::" | b":::" | b"?" | b"+" | b"!"
            )
    }) else {
        return false;
    };
    let value = trim(text, line.end - tail.len() + mark + 1..line.end);
    let value = bare(text, value);
    if &tail[..mark] == b"!" {
        session.read(text, value, fields);
    } else if !value.is_empty() {
        let word = Word {
            text: text[value.clone()].to_vec(),
            raw: value,
            exact: true,
        };
        session.assign(text, &rest[..name], &word, 0, fields);
    }
    true
}

/// `target: prerequisites ; recipe`, `target: NAME = value`.
fn target(text: &[u8], line: &Range<usize>, session: &mut Session, fields: &mut Fields<'_>) {
    let Some(colon) = memchr::memchr(b':', &text[line.clone()]) else {
        return;
    };
    let behind = trim(text, line.start + colon + 1..line.end);
    if variable(text, &behind, session, fields) {
        return;
    }
    if let Some(mark) = memchr::memchr(b';', &text[behind.clone()]) {
        recipe(
            text,
            trim(text, behind.start + mark + 1..behind.end),
            session,
            fields,
        );
    }
}

/// A value without its quotes and the remark behind it.
fn bare(text: &[u8], value: Range<usize>) -> Range<usize> {
    let bytes = &text[value.clone()];
    if let Some(&quote) = bytes.first().filter(|b| matches!(b, b'"' | b'\''))
        && let Some(close) = memchr::memchr(quote, &bytes[1..])
        && matches!(
            bytes[close + 2..].trim_ascii_start().first(),
            None | Some(b'#')
        )
    {
        return value.start + 1..value.start + 1 + close;
    }
    let end =
        memchr::memmem::find(bytes, b" #").map_or(bytes, |mark| bytes[..mark].trim_ascii_end());
    value.start..value.start + end.len()
}
