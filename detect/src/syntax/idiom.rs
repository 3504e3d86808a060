//! Values that programs write beside neither a name nor a separator that the sieve knows.
//!
//! `ConvertTo-SecureString "…"`, `%define token …` of package sources, `password.equals("…")`, and names
//! that say it with their first word, `key_wrap = "…"`. Like what stands [beside](super::beside) names, they
//! are looked for in short texts only, and what stands there is judged by its name.

use std::ops::Range;

use super::literal::{self, is_quote};
use super::{Fields, ScopeId, spots};
use crate::judge::quiet;
use crate::rule::Names;

/// Places of one text. Stops: a table of nothing but such.
pub(super) const MOST: usize = 4096;
/// Bytes behind a place that are looked at.
const REACH: usize = 512;
/// Bytes of a name.
const LONGEST_NAME: usize = 64;

/// What each idiom is known by, in either case.
const SECURE_STRING: (&[u8], &[u8]) = (b"convertto-", b"securestring");
const DEFINITIONS: [&[u8]; 2] = [b"%define ", b"%global "];
const COMPARISONS: [&[u8]; 2] = [b".equals(", b".equalsignorecase("];
const FIRST_WORDS: [&[u8]; 6] = [
    b"secret_",
    b"key_",
    b"token_",
    b"password_",
    b"passwd_",
    b"credential_",
];

/// What an idiom names and the value beside it.
struct Named<'a> {
    path: &'a [u8],
    value: Range<usize>,
    /// Whether other readers make a field of it, once they read its line.
    known: bool,
}

/// Where in `text` the value begins that the idiom at a [spot](spots::Spots::marks) speaks of.
pub(crate) fn place(text: &[u8], spot: usize) -> Option<usize> {
    at(text, &(0..text.len()), spot).map(|named| named.value.start)
}

/// Reads the idioms of the line `text[range]`.
pub(crate) fn line(text: &[u8], range: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    let mut count = 0;
    spots::each(&text[range.clone()], |base, spots| {
        for spot in spots::places(spots.marks, range.start + base) {
            if let Some(named) = at(text, &range, spot) {
                count += 1;
                if count > MOST {
                    fields.scopes.note_cut(true);
                } else if !named.known {
                    fields.add(named.path, named.value, scope, true);
                }
            }
        }
    });
}

fn at<'a>(text: &'a [u8], range: &Range<usize>, spot: usize) -> Option<Named<'a>> {
    let before = &text[range.start..=spot];
    let after = &text[spot + 1..range.end];
    let ends = |mark: &&&[u8]| {
        let end = before.len().checked_sub(mark.len()).map(|n| &before[n..]);
        end.is_some_and(|end| end.eq_ignore_ascii_case(mark))
    };
    let place = |mark: &[u8]| spot + 1 - mark.len()..spot + 1;
    let rest = |from: usize| {
        let end = range.end.min(from + REACH);
        memchr::memchr(b'\n', &text[from..end]).map_or(end, |n| from + n)
    };
    match text[spot] {
        b'_' => {
            let mark = place(FIRST_WORDS.iter().find(ends)?);
            first_word(text, mark, rest(spot + 1))
        }
        b'(' => {
            let mark = place(COMPARISONS.iter().find(ends)?);
            comparison(text, mark, rest(spot + 1))
        }
        b'-' => {
            let (front, back) = SECURE_STRING;
            let end = after.get(..back.len())?;
            if !ends(&&front) || !end.eq_ignore_ascii_case(back) {
                return None;
            }
            let end = spot + 1 + back.len();
            secure_string(text, end..rest(end))
        }
        b'd' | b'D' | b'g' | b'G' => {
            let begin = spot.checked_sub(1).filter(|&n| n >= range.start)?;
            let all = &text[begin..range.end];
            let mark = DEFINITIONS.iter().find(|mark| {
                let begins = all.get(..mark.len());
                begins.is_some_and(|begins| begins.eq_ignore_ascii_case(mark))
            })?;
            let end = begin + mark.len();
            definition(text, begin..end, rest(end))
        }
        _ => None,
    }
}

/// `-String 'value' -AsPlainText -Force` in any order, between quotes that may be escaped.
fn secure_string(text: &[u8], range: Range<usize>) -> Option<Named<'_>> {
    let mut at = range.start;
    loop {
        let rest = &text[at..range.end];
        let blank = rest.len() - rest.trim_ascii_start().len();
        if blank == 0 {
            return None;
        }
        at += blank;
        let rest = &text[at..range.end];
        if rest.first() != Some(&b'-') {
            break;
        }
        at += rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(rest.len());
    }
    at += usize::from(text[at..range.end].starts_with(b"\\"));
    let rest = &text[at..range.end];
    let quote = rest.first().copied().filter(|b| is_quote(*b));
    let start = at + usize::from(quote.is_some());
    let stop = |b: &u8| match quote {
        Some(quote) => *b == quote || *b == b'\\',
        None => b.is_ascii_whitespace() || is_quote(*b) || matches!(b, b')' | b';' | b'|'),
    };
    let length = text[start..range.end].iter().position(stop);
    let value = start..length.map_or(range.end, |n| start + n);
    let plain = !matches!(text[value.clone()].first(), None | Some(b'$' | b'('));
    plain.then_some(Named {
        path: b"SecureString.password",
        value,
        known: false,
    })
}

/// `%define name value`, the value one word.
fn definition(text: &[u8], mark: Range<usize>, end: usize) -> Option<Named<'_>> {
    let before = &text[mark.start.saturating_sub(32)..mark.start];
    let line = memchr::memrchr(b'\n', before).map_or(before, |n| &before[n + 1..]);
    if !line.trim_ascii().is_empty() {
        return None;
    }
    let rest = &text[mark.end..end];
    let front = rest.len() - rest.trim_ascii_start().len();
    let name = rest[front..].iter().take_while(|b| is_part(**b)).count();
    let value = &rest[front + name..];
    let word = value.trim_ascii();
    let start = mark.end + front + name + (value.len() - value.trim_ascii_start().len());
    let one = name > 0
        && start > mark.end + front + name
        && !word.is_empty()
        && !word
            .iter()
            .any(|b| b.is_ascii_whitespace() || is_quote(*b) || matches!(b, b'%' | b'('));
    one.then(|| Named {
        path: &rest[front..front + name],
        value: start..start + word.len(),
        known: false,
    })
}

/// `password.equals("value")`, `"value".equals(password)`.
fn comparison(text: &[u8], mark: Range<usize>, end: usize) -> Option<Named<'_>> {
    let floor = mark.start.saturating_sub(REACH);
    let before = &text[floor..mark.start];
    if let Some(&quote) = before.last().filter(|b| is_quote(**b)) {
        let line = memchr::memrchr(b'\n', before).map_or(0, |n| n + 1);
        let start = memchr::memrchr(quote, &before[line..before.len() - 1])? + line + 1;
        let name = text[mark.end..end].iter();
        let name = mark.end..mark.end + name.take_while(|b| is_part(**b)).count();
        return Some(Named {
            path: &text[name],
            value: floor + start..mark.start - 1,
            known: false,
        });
    }
    let name = before.iter().rev().take(LONGEST_NAME);
    let name = name.take_while(|b| is_part(**b)).count();
    let (value, decoded) = literal::string(text, mark.end, end)?;
    (name > 0 && decoded.is_none()).then(|| Named {
        path: &before[before.len() - name..],
        value,
        known: false,
    })
}

/// `key_wrap = "…"`, where what is quoted can be nothing but machine-made.
fn first_word(text: &[u8], mark: Range<usize>, end: usize) -> Option<Named<'_>> {
    if mark.start.checked_sub(1).is_some_and(|n| is_part(text[n])) {
        return None;
    }
    let name = text[mark.start..end].iter().take(LONGEST_NAME);
    let name = mark.start..mark.start + name.take_while(|b| is_part(**b)).count();
    let signs = |b: &u8| {
        matches!(
            b,
            b' ' | b'\t' | b'=' | b':' | b'"' | b'\'' | b'`' | b'\\' | b']'
        )
    };
    let skipped = text[name.end..end].iter().take_while(|b| signs(b)).count();
    let between = &text[name.end..name.end + skipped];
    let sign = between.iter().position(|b| matches!(b, b'=' | b':'))?;
    let quote = between[sign..].iter().position(|b| is_quote(*b))?;
    if !Names::leads(&text[name.clone()]) {
        return None;
    }
    let (value, whole) = literal::string(text, name.end + sign + quote, end)?;
    let strong = quiet::is_strong_secret(whole.as_deref().unwrap_or(&text[value.clone()]));
    strong.then_some(Named {
        path: &text[name],
        value,
        known: true,
    })
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$')
}
