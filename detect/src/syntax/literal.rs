//! Strings as programs write them: with prefixes, over several lines, in brackets, as what is taken when
//! nothing else is given; and words between quotes that enclose nothing.
//!
//! Finds where a string begins and ends and what its pieces say together; what it is called is not asked.

use std::ops::Range;

use super::flow;

/// A string's range without its quotes, and its text where that differs.
pub(crate) type Literal = (Range<usize>, Option<Vec<u8>>);

/// Bytes of a string between three quotes. Stops: a quote that nothing closes.
const LONGEST_TRIPLE: usize = 16 * 1024;
/// Bytes of a string whose lines end with a backslash.
const LONGEST_CONTINUED: usize = 4 * 1024;

/// The string that begins at `at` with its prefix and quote: `b"…"`, `f'…'`, `@"…"`, three quotes, and
/// pieces that are joined. `end` is where its line ends.
pub(crate) fn string(text: &[u8], at: usize, end: usize) -> Option<Literal> {
    let length = prefix(&text[at..end]);
    let filled = text[at..at + length]
        .iter()
        .any(|b| matches!(b, b'f' | b'F' | b'$'));
    let at = at + length;
    let quote = *text[..end].get(at).filter(|b| is_quote(**b))?;
    // What a program fills in.
    if filled && memchr::memchr(b'{', &text[at..end]).is_some() {
        return None;
    }
    let triple = [quote; 3];
    if text[at..end].starts_with(&triple) {
        let start = at + 3;
        let limit = text.len().min(start + LONGEST_TRIPLE);
        let length = memchr::memmem::find(&text[start..limit], &triple)?;
        let raw = start..start + length;
        let wrapped = wrapped(&text[raw.clone()]);
        return (length > 0).then_some((raw, wrapped));
    }
    let (raw, decoded) = flow::quoted(&text[..end], at + 1, quote);
    if raw.end == end && text[at..end].trim_ascii_end().ends_with(b"\\") {
        return continued(text, at + 1, quote);
    }
    if let Some((raw, joined)) = joined(text, &raw, quote) {
        return Some((raw, Some(joined)));
    }
    (!raw.is_empty()).then_some((raw, decoded))
}

/// The string that begins at `start` and whose lines each end with a backslash but the last.
fn continued(text: &[u8], start: usize, quote: u8) -> Option<Literal> {
    let text = &text[..text.len().min(start + LONGEST_CONTINUED)];
    let mut whole = Vec::new();
    let mut at = start;
    for _ in 0..MOST_LINES {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n);
        let (piece, decoded) = flow::quoted(&text[..end], at, quote);
        if piece.end < end {
            whole.extend_from_slice(decoded.as_deref().unwrap_or(&text[piece.clone()]));
            return Some((start..piece.end, Some(whole)));
        }
        let line = text[at..end].trim_ascii_end().strip_suffix(b"\\")?;
        whole.extend_from_slice(&crate::unwrap::inline::unescape(line));
        at = (end + 1).min(text.len());
    }
    None
}

/// One run of base64 that lines cut, without the line ends.
fn wrapped(text: &[u8]) -> Option<Vec<u8>> {
    let lines = || {
        text.trim_ascii()
            .split(|&b| b == b'\n')
            .map(<[u8]>::trim_ascii)
    };
    let part = |b: &u8| crate::unwrap::inline::is_base64(*b) || matches!(b, b'=' | b'-' | b'_');
    let first = lines().next().map_or(0, <[u8]>::len);
    let fits = first >= 16
        && (2..=MOST_LINES).contains(&lines().take(MOST_LINES + 1).count())
        && lines().all(|line| (1..=first).contains(&line.len()) && line.iter().all(part));
    fits.then(|| lines().flatten().copied().collect())
}

/// Bytes of the letters and signs before a quote that say how a string is to be read.
pub(crate) fn prefix(text: &[u8]) -> usize {
    let mark = |b: &&u8| {
        matches!(
            b,
            b'b' | b'r' | b'u' | b'f' | b'B' | b'R' | b'U' | b'F' | b'L' | b'N' | b'@' | b'$'
        )
    };
    let length = text.iter().take(2).take_while(mark).count();
    let quote = text.get(length).is_some_and(|b| is_quote(*b));
    if quote { length } else { 0 }
}

/// The string that a program takes when what stands before it gives nothing: `env.get("X") or "…"`,
/// `process.env.X || '…'`, `a ?? "…"`, `getenv("X") ?: "…"`.
pub(crate) fn fallback(line: &[u8], from: usize) -> Option<Literal> {
    const WORDS: [&[u8]; 4] = [b"||", b"??", b"?:", b" or "];
    let rest = line.get(from..)?;
    let rest = &rest[..rest.len().min(160)];
    let (at, word) = WORDS
        .iter()
        .filter_map(|word| Some((memchr::memmem::find(rest, word)?, word)))
        .min()?;
    // Another assignment's, or a condition's.
    if rest[..at].iter().any(|b| matches!(b, b';' | b'=' | b'{')) {
        return None;
    }
    let behind = at + word.len();
    let blank = rest[behind..].iter().take_while(|b| **b == b' ').count();
    let start = from + behind + blank;
    string(line, start, line.len()).filter(|(raw, _)| raw.end < line.len())
}

/// What stands between the quotes of print that begin at `at`.
pub(crate) fn typographic(text: &[u8], at: usize, end: usize) -> Option<Range<usize>> {
    /// Opening and closing; some programs close on both sides, some languages open below.
    const QUOTES: [(&str, &[&str]); 8] = [
        ("“", &["”", "“"]),
        ("”", &["”"]),
        ("„", &["“", "”"]),
        ("‘", &["’", "‘"]),
        ("’", &["’"]),
        ("‚", &["‘", "’"]),
        ("「", &["」"]),
        ("『", &["』"]),
    ];
    let rest = &text[at..end];
    let (open, closes) = QUOTES
        .iter()
        .find(|(open, _)| rest.starts_with(open.as_bytes()))?;
    let start = at + open.len();
    let inside = &text[start..end.min(start + LONGEST_CONTINUED)];
    let close = closes
        .iter()
        .filter_map(|close| memchr::memmem::find(inside, close.as_bytes()))
        .min()?;
    (close > 0).then_some(start..start + close)
}

pub(crate) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Where the value is looked for that begins at `at` of a line that ends at `end`: behind a bracket or a
/// line break that only a string follows, `key = (\n    "…"`, else where it was.
pub(crate) fn next_line(text: &[u8], at: usize, end: usize) -> (usize, usize) {
    let rest = &text[at..text.len().min(at + 160)];
    let (mut brackets, mut breaks, mut lines) = (0, 0, 0);
    for (skipped, &byte) in rest.iter().enumerate() {
        match byte {
            b'(' => brackets += 1,
            b'\\' => breaks += 1,
            b'\n' => lines += 1,
            byte if is_space(byte) => {}
            byte if is_quote(byte) && skipped > 0 => {
                let start = at + skipped;
                let stop = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n);
                // What is quoted on the next line may be a key of its own.
                let value = (lines == 0 && brackets == 1 || lines == 1)
                    && !is_key(&text[start..stop], byte);
                return if value { (start, stop) } else { (at, end) };
            }
            _ => break,
        }
        if brackets > 1 || breaks > 1 || lines > 1 {
            break;
        }
    }
    (at, end)
}

/// Whether the string that begins a line has a separator behind it.
fn is_key(line: &[u8], quote: u8) -> bool {
    let (raw, _) = flow::quoted(line, 1, quote);
    let rest = line.get(raw.end + 1..).unwrap_or_default().trim_ascii();
    matches!(rest.first(), Some(b':' | b'=' | b','))
}

/// The word behind quotes, blanks and `=` that enclose nothing: `=""key`, `'= ' key`, what a careless
/// edit, a log or a string of a string left before a value too long to be a word.
pub(crate) fn cluttered(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let mark = |b: &u8| matches!(b, b'=' | b'"' | b'\'' | b'`');
    let odd = |b: &&u8| mark(b) || matches!(b, b' ' | b'\t' | 0x0b | 0x0c);
    let line = &text[range.clone()];
    let skipped = line.iter().take(8).take_while(odd).count();
    let (before, rest) = line.split_at(skipped);
    let marks: Vec<u8> = before.iter().copied().filter(|b| mark(b)).collect();
    let length = super::text::bare_length(rest);
    // One string, whose quote is closed behind the word or further on, or on another line.
    let goes_on = line.trim_ascii_end().ends_with(b"\\");
    let string = match marks[..] {
        [] => true,
        [quote, ref others @ ..] if others.iter().all(|b| *b == b'=' || *b == quote) => {
            let again = others.iter().filter(|b| **b == quote).count();
            let closed = memchr::memchr(quote, rest).is_some();
            quote != b'=' && again != 1 && (closed || goes_on || again == 2)
        }
        _ => false,
    };
    (!string && length >= 16).then(|| range.start + skipped..range.start + skipped + length)
}

/// Lines over which a string may go on. Stops: a table of strings.
const MOST_LINES: usize = 64;

/// A string that is written in several pieces, one a line, with or without a sign between them; what
/// they say together, and the range from the first to the last.
pub(crate) fn joined(
    text: &[u8],
    first: &Range<usize>,
    quote: u8,
) -> Option<(Range<usize>, Vec<u8>)> {
    let mut range = first.clone();
    let mut whole: Option<Vec<u8>> = None;
    for _ in 0..MOST_LINES {
        let after = text.get(range.end + 1..)?;
        let after = &after[..after.len().min(160)];
        let Some(skipped) = between_pieces(after) else {
            break;
        };
        if after.get(skipped) != Some(&quote) {
            break;
        }
        let start = range.end + 1 + skipped + 1;
        // Two strings side by side are one only inside brackets: elsewhere the second is a key.
        let signed = after[..skipped].iter().any(|b| !b.is_ascii_whitespace());
        if !signed && !in_brackets(text, first.start) {
            break;
        }
        let line = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n);
        let (piece, decoded) = flow::quoted(&text[..line], start, quote);
        if piece.end >= line {
            break;
        }
        let whole = whole.get_or_insert_with(|| said(text, first));
        whole.extend_from_slice(decoded.as_deref().unwrap_or(&text[piece.clone()]));
        range.end = piece.end;
    }
    whole.map(|whole| (range, whole))
}

/// Whether a round bracket opens right before the string at `start`.
fn in_brackets(text: &[u8], start: usize) -> bool {
    let before = text[start.saturating_sub(32)..start].trim_ascii_end();
    let quote = before
        .iter()
        .rev()
        .take_while(|b| !is_space(**b) && **b != b'(');
    let before = before[..before.len() - quote.count()].trim_ascii_end();
    before.ends_with(b"(")
}

pub(crate) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

fn said(text: &[u8], raw: &Range<usize>) -> Vec<u8> {
    let raw = &text[raw.clone()];
    match memchr::memchr(b'\\', raw) {
        Some(_) => crate::unwrap::inline::unescape(raw),
        None => raw.to_vec(),
    }
}

/// Bytes between two pieces of one string: one line end at least, and at most one sign that joins.
fn between_pieces(after: &[u8]) -> Option<usize> {
    let (mut signs, mut lines) = (0, 0);
    for (at, &byte) in after.iter().enumerate() {
        match byte {
            b'\n' => lines += 1,
            byte if byte.is_ascii_whitespace() => {}
            b'+' | b'.' | b'&' | b'_' | b'\\' | b'~' => signs += 1,
            _ => return ((1..=2).contains(&lines) && signs <= 2).then_some(at),
        }
    }
    None
}
