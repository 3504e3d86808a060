//! What a page or a drawing says inside a value: text with tags and entities, escaped once or twice.
//!
//! `value="&lt;div&gt;password: a&amp;amp;b&lt;/div&gt;"` in a drawing, `placeholder="password: &quot;…&quot;"`
//! in a form. Tags end lines; what stands on a line is read like any other text, and told as it is meant.

use std::ops::Range;

use zeroize::Zeroizing;

use super::text::{Blocks, line};
use super::{Fields, ScopeId, read_as, xml};

/// Bytes of a value that is read so.
const LONGEST: usize = 16 * 1024;
/// The longest name before a word that is a line's rest.
const LONGEST_NAME: usize = 40;
/// Tags that stand inside a line.
const INSIDE_LINES: [&[u8]; 12] = [
    b"a", b"b", b"code", b"em", b"font", b"i", b"mark", b"s", b"small", b"span", b"strong", b"u",
];
/// Texts inside texts, whatever holds them.
const DEEPEST: u32 = 2;

/// Reads what `text[raw]` says once its entities and tags are undone, if it has entities and says anything.
pub(crate) fn read(text: &[u8], raw: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    let value = &text[raw.clone()];
    if value.len() > LONGEST || memchr::memchr(b'&', value).is_none() {
        return;
    }
    let Some(held) = undone(value).filter(|held| held.iter().any(|b| matches!(b, b':' | b'=')))
    else {
        return;
    };
    if fields.scopes.depth() >= DEEPEST {
        return;
    }
    read_as(text, raw, &held, fields, |held, _, fields| {
        let mut blocks = Blocks::new(scope, fields);
        let mut start = 0;
        for piece in held.split(|&b| b == b'\n') {
            let range = start..start + piece.len();
            start = range.end + 1;
            match word(piece) {
                Some((name, word)) => {
                    let scope = blocks.scope();
                    let word = range.start + word.start..range.start + word.end;
                    fields.add(&piece[name], word, scope, true);
                }
                None => line(held, range, &mut blocks, fields),
            }
        }
    });
}

/// The text of a value without its entities, and with line ends for tags; nothing if it has none.
fn undone(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(xml::entities(value));
    if plain.as_slice() == value {
        return None;
    }
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'<', &plain[at..]).map(|n| at + n) {
        let tag = matches!(plain.get(open + 1), Some(b'/' | b'a'..=b'z' | b'A'..=b'Z'));
        let close = memchr::memchr(b'>', &plain[open..]).filter(|_| tag);
        let Some(close) = close.map(|n| open + n) else {
            at = open + 1;
            if tag {
                break;
            }
            continue;
        };
        let name = plain[open + 1..close].strip_prefix(b"/");
        let name = name.unwrap_or(&plain[open + 1..close]);
        let name = name.split(|b| !b.is_ascii_alphanumeric()).next();
        let inside = name.is_some_and(|name| INSIDE_LINES.contains(&name));
        plain[open..=close].fill(if inside { b' ' } else { b'\n' });
        at = close + 1;
    }
    Some(match memchr::memchr(b'&', &plain) {
        Some(_) => Zeroizing::new(xml::entities(&plain)),
        None => plain,
    })
}

/// The name and the value of a line that is one name, a colon and one word, whatever the word is made of.
fn word(line: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let colon = memchr::memchr2(b':', b'=', line).filter(|&at| at <= LONGEST_NAME)?;
    let start = line.len() - line.trim_ascii_start().len();
    let name = line[..colon].trim_ascii();
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-') || *b >= 0x80;
    let rest = line[colon + 1..].trim_ascii();
    let first = rest.first().filter(|b| !super::literal::is_quote(**b))?;
    let single = !rest.iter().any(u8::is_ascii_whitespace) && !matches!(first, b'/' | b'=');
    let from = line.len() - line[colon + 1..].trim_ascii_start().len();
    (!name.is_empty() && name.iter().all(named) && single)
        .then(|| (start..start + name.len(), from..from + rest.len()))
}

/// The word that tags stand around, `<b>…</b>`, as a page says what is to be typed.
pub(super) fn emphasised(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    const DEEPEST_TAGS: usize = 3;
    let mut at = range.start;
    for _ in 0..DEEPEST_TAGS {
        let Some(rest) = text[at..range.end].strip_prefix(b"<") else {
            break;
        };
        let close = memchr::memchr(b'>', &rest[..rest.len().min(LONGEST_TAG)])?;
        let name = rest[..close]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric());
        let name = &rest[..name.count()];
        if !INSIDE_LINES.contains(&name) && !WORDS.contains(&name) {
            return None;
        }
        at += close + 2;
    }
    let length = memchr::memchr(b'<', &text[at..range.end])?;
    let word = &text[at..at + length];
    (length > 0 && word.iter().all(u8::is_ascii_graphic)).then_some(at..at + length)
}

/// Tags around what is to be typed, beside those inside lines.
const WORDS: [&[u8]; 4] = [b"kbd", b"samp", b"tt", b"var"];
/// Bytes of a tag with its attributes.
const LONGEST_TAG: usize = 128;
