//! Sentences that tell a password: `the default password for 'app' is "…"`, `密码是 …`.
//!
//! People write them into notes, comments, commit messages and what scripts print. A sentence has no
//! separator, so the noun is looked for, and behind it a verb; what stands between them may only say
//! whose password it is. Without quotes a value is left to the judge as prose is: most words behind
//! *is* go on with the sentence.

use std::ops::Range;

use akwatch_proto::limits;

use super::text::Blocks;
use super::{Field, Fields};

/// Nouns in Latin letters: [`spots`](super::spots) know how they begin.
const NOUNS: [&[u8]; 5] = [b"password", b"passwd", b"passphrase", b"passcode", b"pwd"];
/// Nouns in Chinese.
const WIDE_NOUNS: [&str; 2] = ["密码", "口令"];
/// What may stand between a noun in Chinese and the value; the longer first.
const WIDE_VERBS: [&str; 14] = [
    "修改为",
    "设置为",
    "默认为",
    "默认是",
    "统一为",
    "改成",
    "改为",
    "设为",
    "都是",
    "就是",
    "是",
    "为",
    "：",
    ":",
];
/// Words that begin what says whose password it is.
const PREPOSITIONS: [&[u8]; 7] = [b"for", b"of", b"to", b"on", b"in", b"at", b"("];
/// Words between the verb and the value.
const FILLERS: [&[u8]; 10] = [
    b"now",
    b"still",
    b"always",
    b"currently",
    b"set",
    b"to",
    b"changed",
    b"just",
    b"simply",
    b"also",
];
/// Words between noun and verb.
const MOST_WORDS: usize = 8;
/// Bytes behind a noun that are looked at.
const LOOKED_AT: usize = 192;
/// Sentences of one text. Stops: a text of nothing but nouns.
pub(super) const MOST: usize = 1024;
const MOST_OF_LINE: usize = 16;

/// A password that a sentence tells: its noun, where it stands, and whether its end is certain.
struct Told {
    noun: Range<usize>,
    value: Range<usize>,
    quoted: bool,
}

/// Where the value begins that the sentence with the noun at a [spot](super::spots::Spots::nouns) tells.
pub(crate) fn place(text: &[u8], spot: usize) -> Option<usize> {
    latin(text, &(0..text.len()), spot - 2).map(|told| told.value.start - 1)
}

/// The same of all nouns in Chinese.
pub(crate) fn wide_places(text: &[u8]) -> impl Iterator<Item = usize> {
    wide(text, 0..text.len()).map(|told| told.value.start - 1)
}

/// All of them, for a test.
#[cfg(test)]
pub(super) fn places(text: &[u8]) -> impl Iterator<Item = usize> {
    told(text, 0..text.len()).map(|told| told.value.start - 1)
}

/// Reads what the sentences of the line `text[range]` tell.
pub(crate) fn line(text: &[u8], range: Range<usize>, blocks: &mut Blocks, fields: &mut Fields<'_>) {
    let found = super::bounded(told(text, range), MOST_OF_LINE, fields.scopes);
    for told in found {
        let scope = blocks.scope();
        fields.fields.push(Field {
            path: text[told.noun].to_vec(),
            raw: told.value,
            decoded: None,
            scope,
            quoted: told.quoted,
            told: true,
            encoding: None,
        });
    }
}

fn told(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Told> + '_ {
    let inner = range.clone();
    let nouns = memchr::memchr2_iter(b'p', b'P', &text[range.clone()])
        .filter_map(move |at| latin(text, &inner, inner.start + at));
    nouns.chain(wide(text, range))
}

/// What the noun in Latin letters at `at` tells, if it is one.
fn latin(text: &[u8], range: &Range<usize>, at: usize) -> Option<Told> {
    // What stands behind the range is not there.
    let text = &text[..range.end];
    let noun = NOUNS.iter().find(|noun| {
        let word = text.get(at..at + noun.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(noun))
    })?;
    let apart = at == range.start || !text[at - 1].is_ascii_alphanumeric();
    let noun = at..at + noun.len();
    let end = line_end(text, noun.end, range.end);
    apart.then(|| spoken(text, noun, end)).flatten()
}

fn wide(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Told> + '_ {
    let text = &text[..range.end];
    WIDE_NOUNS.iter().flat_map(move |noun| {
        let range = range.clone();
        memchr::memmem::find_iter(&text[range.clone()], noun.as_bytes()).filter_map(move |at| {
            let noun = range.start + at..range.start + at + noun.len();
            let end = line_end(text, noun.end, range.end);
            spoken_widely(text, noun, end)
        })
    })
}

fn line_end(text: &[u8], from: usize, end: usize) -> usize {
    let end = end.min(from + LOOKED_AT);
    memchr::memchr(b'\n', &text[from..end]).map_or(end, |n| from + n)
}

/// `password for the user 'app' is …`, `password to …`.
fn spoken(text: &[u8], noun: Range<usize>, end: usize) -> Option<Told> {
    let mut at = noun.end;
    let mut verb = false;
    for number in 0..MOST_WORDS {
        let (word, next) = word(text, at, end)?;
        let bytes = &text[word];
        let bytes = bytes.strip_suffix(b":").unwrap_or(bytes);
        let is = |other: &&[u8]| bytes.eq_ignore_ascii_case(other);
        if is(&&b"is"[..]) || is(&&b"was"[..]) || bytes == b"==" {
            verb = true;
            at = next;
            break;
        }
        // `set the password to …`.
        if number == 0 && is(&&b"to"[..]) && asks(text, noun.start) {
            verb = true;
            at = next;
            break;
        }
        if number == 0 && !PREPOSITIONS.iter().any(is) && !bytes.starts_with(b"(") {
            return None;
        }
        at = next;
    }
    if !verb {
        return None;
    }
    for _ in 0..3 {
        let Some((word, next)) = word(text, at, end) else {
            break;
        };
        let bytes = &text[word];
        let bytes = bytes.strip_suffix(b":").unwrap_or(bytes);
        if !FILLERS
            .iter()
            .any(|filler| bytes.eq_ignore_ascii_case(filler))
        {
            break;
        }
        at = next;
    }
    if text[at..end].trim_ascii_start().starts_with(b":") {
        at += text[at..end].len() - text[at..end].trim_ascii_start().len() + 1;
    }
    value(text, noun, at, end, false)
}

/// Whether a sentence asks for the password that follows: `set the password to …`.
fn asks(text: &[u8], noun: usize) -> bool {
    const VERBS: [&[u8]; 8] = [
        b"set", b"sets", b"change", b"changed", b"reset", b"update", b"updated", b"setting",
    ];
    let before = &text[noun.saturating_sub(48)..noun];
    let line = memchr::memrchr(b'\n', before).map_or(before, |n| &before[n + 1..]);
    line.rsplit(|b| !b.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .take(5)
        .any(|word| VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb)))
}

/// The next word before `end`, a quoted string being one, and where it ends with what follows it.
fn word(text: &[u8], at: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let blank = text[at..end]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let start = at + blank;
    if blank == 0 || start >= end {
        return None;
    }
    let first = text[start];
    let length = if matches!(first, b'"' | b'\'' | b'`') {
        memchr::memchr(first, &text[start + 1..end])? + 2
    } else {
        let stop = |b: &u8| matches!(b, b' ' | b'\t');
        let rest = &text[start..end];
        rest.iter().position(stop).unwrap_or(rest.len())
    };
    // A sentence that ends here tells nothing of what comes next.
    let ends = matches!(text[start + length - 1], b'.' | b';' | b'!' | b'?' | b',');
    (!ends || start + length == end).then_some((start..start + length, start + length))
}

/// `密码是…`, `密码：…`, `密码 …`.
fn spoken_widely(text: &[u8], noun: Range<usize>, end: usize) -> Option<Told> {
    let blanks = |at: usize| {
        text[at..end]
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count()
    };
    let mut at = noun.end + blanks(noun.end);
    let mut verb = false;
    for _ in 0..2 {
        let Some(found) = WIDE_VERBS
            .iter()
            .find(|verb| text[at..end].starts_with(verb.as_bytes()))
        else {
            break;
        };
        verb = true;
        at += found.len() + blanks(at + found.len());
    }
    // Two words of a list, and no sentence.
    (at > noun.end).then(|| value(text, noun, at, end, verb))?
}

/// The value at `at`: quoted, or one word; `certain` where no sentence goes on with words like it.
fn value(text: &[u8], noun: Range<usize>, at: usize, end: usize, certain: bool) -> Option<Told> {
    const QUOTES: [(&str, &str); 8] = [
        ("\"", "\""),
        ("'", "'"),
        ("`", "`"),
        ("“", "”"),
        ("‘", "’"),
        ("「", "」"),
        ("**", "**"),
        ("\\\"", "\\\""),
    ];
    if let Some(value) = super::logins::paired(text, noun.start, at, end) {
        return Some(Told {
            noun,
            value,
            quoted: true,
        });
    }
    let rest = &text[at..end];
    let start = at + rest.len() - rest.trim_ascii_start().len();
    let rest = &text[start..end];
    let quote = QUOTES
        .iter()
        .find(|(open, _)| rest.starts_with(open.as_bytes()));
    let (value, quoted) = match quote {
        Some((open, close)) => {
            let inner = &rest[open.len()..];
            let length = memchr::memmem::find(inner, close.as_bytes())?;
            (start + open.len()..start + open.len() + length, true)
        }
        None => {
            let stop = |b: &u8| !b.is_ascii_graphic() || b"\"'`<>".contains(b);
            let length = rest.iter().position(stop).unwrap_or(rest.len());
            let word = &rest[..length];
            let marks = |b: &&u8| b".,;:)]}".contains(b);
            let length = length - word.iter().rev().take_while(marks).count();
            (start..start + length, certain)
        }
    };
    let length = value.len();
    let fits = (limits::SHORTEST_PASSWORD..=128).contains(&length);
    (fits && text[value.clone()].iter().all(u8::is_ascii_graphic)).then_some(Told {
        noun,
        value,
        quoted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, bool)]) {
        let bytes = text.as_bytes();
        let found: Vec<(&str, bool)> = told(bytes, 0..bytes.len())
            .map(|told| (&text[told.value], told.quoted))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn sentences_tell_values() {
        check(
            "The default password is \"gooseberry\".",
            &[("gooseberry", true)],
        );
        check(
            "password for user 'app' is 'gooseberry' now",
            &[("gooseberry", true)],
        );
        check(
            "my password is k3mmerling7, do not lose it",
            &[("k3mmerling7", false)],
        );
        check(
            "Set the root password to `Sommer2019`",
            &[("Sommer2019", true)],
        );
        check(
            "The password was changed to Sommer2019.",
            &[("Sommer2019", false)],
        );
        check(
            "# passphrase of the backup is: \"gooseberry\"",
            &[("gooseberry", true)],
        );
        check("初始密码是 gooseberry，请修改", &[("gooseberry", true)]);
        check("登录密码：Sommer2019", &[("Sommer2019", true)]);
        check("口令改为“Sommer2019”", &[("Sommer2019", true)]);
        check("账号 app 密码 Sommer2019", &[("Sommer2019", false)]);
    }

    #[test]
    fn a_piece_ends_where_it_ends() {
        let text = "password for 'app' is 'gooseberry' now, 密码：“gooseberry”".as_bytes();
        for start in 0..text.len() {
            for end in start..=text.len() {
                let inside = |told: Told| start <= told.noun.start && told.value.end <= end;
                assert!(told(text, start..end).all(inside), "{start} {end}");
            }
        }
    }

    #[test]
    fn sentences_that_tell_none() {
        check("The password must be at least twelve characters", &[]);
        check("If the password is wrong, try again", &[]);
        check("passwords is a list", &[]);
        check("The password. It is 'gooseberry'", &[]);
        check("密码不能为空", &[]);
        check("the password to unlock", &[]);
    }
}
