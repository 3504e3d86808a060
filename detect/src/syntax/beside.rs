//! Values beside names without a separator that the sieve knows: flags, definitions, cells of tables,
//! defaults.
//!
//! `--password …`, `#define PASSWORD "…"`, `(token . "…")`, `| password | … |`, `env.API_KEY || "…"`. Only
//! short texts are looked through for them: notes, documents, sources and settings. What stands there is
//! judged by its name like all else.

use std::ops::Range;

use super::literal::{self, is_quote, is_space};
use super::spots::{self, Spots};
use super::text::{Blocks, bare_length};
use super::{Fields, idiom, prose, shell};
use crate::rule::{Role, RuleSet};
use crate::sieve;

/// Bytes of a text that is looked through.
pub(crate) const LONGEST: usize = 256 * 1024;
/// Places of one text, and of one line. Stops: a table of nothing but names.
const MOST: usize = 4096;
const MOST_OF_LINE: usize = 64;

/// What a text is looked through for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// What sentences tell, and those in Chinese among them.
    pub(crate) sentences: bool,
    pub(crate) wide: bool,
    /// What stands behind flags.
    pub(crate) flags: bool,
    /// Definitions, cells, defaults and idioms.
    pub(crate) strings: bool,
}

/// What a name says, if it is that a secret follows.
fn speaks(rules: &RuleSet, name: &[u8]) -> Option<Role> {
    let names = rules.names();
    let role = names
        .says(name, |_| true)
        .or_else(|| names.says_which(name, |_| true));
    role.filter(|role| !matches!(role, Role::Id | Role::Expiry | Role::Vendor))
}

/// Where in `text` a value begins that a name without a separator speaks of. Answers whether all of them
/// were told: a text has more than are read only where somebody wants it so.
#[must_use]
pub(crate) fn places(
    text: &[u8],
    wanted: Wanted,
    rules: &RuleSet,
    mut found: impl FnMut(usize),
) -> bool {
    let whole = 0..text.len();
    let speaks = |name: &[u8]| speaks(rules, name);
    let (mut flags, mut strings, mut idioms, mut sentences) = (0, 0, 0, 0);
    let only = |bits: u64, wanted: bool| if wanted { bits } else { 0 };
    spots::each(text, |base, spots| {
        for spot in spots::places(only(spots.nouns, wanted.sentences), base) {
            if let Some(at) = prose::place(text, spot) {
                sentences += 1;
                if sentences <= prose::MOST {
                    found(at);
                }
            }
        }
        for spot in spots::places(only(spots.flags, wanted.flags), base) {
            let Some((name, value)) = flag(text, &whole, spot - 1) else {
                continue;
            };
            flags += 1;
            if flags > MOST {
                continue;
            }
            let login = &text[name.clone()] == b"u"
                && memchr::memchr(b':', &text[value..text.len().min(value + 40)]).is_some();
            let name = &text[name];
            let secret = speaks(name).is_some_and(|role| {
                !sieve::is_idle_flag(text, value, sieve::is_password(role, name))
            });
            if login || secret {
                found(value - 1);
            }
        }
        for spot in spots::places(only(spots.strings, wanted.strings), base) {
            let named = string(text, &whole, spot);
            if let Some((_, value)) =
                named.filter(|(name, _)| speaks(&text[name.clone()]).is_some())
            {
                strings += 1;
                if strings <= MOST {
                    found(value - 1);
                }
            }
        }
        for spot in spots::places(only(spots.marks, wanted.strings), base) {
            if let Some(at) = idiom::place(text, spot) {
                idioms += 1;
                if idioms <= idiom::MOST {
                    found(at);
                }
            }
        }
    });
    if wanted.sentences && wanted.wide {
        for at in prose::wide_places(text).take(prose::MOST + 1) {
            sentences += 1;
            if sentences <= prose::MOST {
                found(at);
            }
        }
    }
    flags <= MOST && strings <= MOST && idioms <= idiom::MOST && sentences <= prose::MOST
}

/// A name, and where its value begins.
type Named = (Range<usize>, usize);

/// The flags of a text whose names may say something, `--password …`, `-Password …`, `-u user:…`.
fn flags(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Named> + '_ {
    memchr::memchr_iter(b'-', &text[range.clone()])
        .filter_map(move |at| flag(text, &range, range.start + at))
}

/// The flag whose first dash is at `at`.
fn flag(text: &[u8], range: &Range<usize>, at: usize) -> Option<Named> {
    let before = at.checked_sub(1).filter(|&n| n >= range.start);
    if before.is_some_and(|n| !(is_space(text[n]) || is_quote(text[n]))) {
        return None;
    }
    let start = at + 1 + usize::from(text[..range.end].get(at + 1) == Some(&b'-'));
    let name = text[start..range.end]
        .iter()
        .take(40)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        .count();
    let end = start + name;
    let blank = end < range.end && matches!(text[end], b' ' | b'\t');
    let login = &text[start..end] == b"u" || name >= 4;
    (blank && login && text[start].is_ascii_alphabetic()).then_some((start..end, end + 1))
}

/// Strings and cells that stand beside a name.
fn named(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Named> + '_ {
    memchr::memchr3_iter(b'"', b'\'', b'|', &text[range.clone()])
        .filter_map(move |at| string(text, &range, range.start + at))
}

/// The name beside what begins or ends at `at`.
fn string(text: &[u8], range: &Range<usize>, at: usize) -> Option<Named> {
    let before = &text[range.start.max(at.saturating_sub(96))..at];
    let name = match text[at] {
        b'|' if text.get(at + 1) == Some(&b'|') => return None,
        b'|' => cell(before)?,
        // Too short a word is a verb of prose and of programs.
        b'"' | b'\'' => beside(before).filter(|(name, _)| *name > 4)?,
        _ => return None,
    };
    let end = at - name.1;
    let value = at + usize::from(text[at] == b'|');
    (value < range.end).then_some((end - name.0..end, value))
}

/// Bytes of the name at the end of `before`, the text before a string, and of what stands between.
fn beside(before: &[u8]) -> Option<(usize, usize)> {
    // Nearly every string of any text has a separator or a bracket before it.
    if !matches!(before.last(), Some(b' ' | b'\t' | b'{')) {
        return None;
    }
    let rest = before.strip_suffix(b"{").unwrap_or(before).trim_ascii_end();
    match rest {
        [.., b',' | b'(' | b'[' | b'+'] => return None,
        // A type, or a property: see below.
        [shorter @ .., b'='] if !matches!(shorter.trim_ascii_end(), [.., b'g' | b'}']) => {
            return None;
        }
        _ => {}
    }
    let line = memchr::memrchr(b'\n', before).map_or(before, |n| &before[n + 1..]);
    let mut rest = line.strip_suffix(b"{").unwrap_or(line).trim_ascii_end();
    for sign in [
        &b"<-"[..],
        b"->",
        b" .",
        b"||",
        b"??",
        b"?:",
        b" or",
        b" is",
    ] {
        if let Some(shorter) = rest.strip_suffix(sign) {
            rest = shorter.trim_ascii_end();
            // `env.get("NAME") or "…"`, `ENV['NAME'] || '…'`.
            while let [shorter @ .., b')' | b']' | b'"' | b'\''] = rest {
                rest = shorter;
            }
            break;
        }
    }
    // `Dim password As String = "…"`.
    if let Some(basic) = rest.strip_suffix(b"String =").map(<[u8]>::trim_ascii_end)
        && let Some(name) = basic.strip_suffix(b" As")
    {
        rest = name;
    }
    // `Password { get; set; } = "…"`.
    if let Some(property) = rest.strip_suffix(b"=").map(<[u8]>::trim_ascii_end)
        && property.ends_with(b"}")
        && let Some(brace) = memchr::memrchr(b'{', property)
    {
        rest = property[..brace].trim_ascii_end();
    }
    let name = word(rest);
    (name > 1).then_some((name, line.len() - rest.len()))
}

/// The same of a cell's end, `| name |`; elsewhere the sign says *or*.
fn cell(before: &[u8]) -> Option<(usize, usize)> {
    let line = memchr::memrchr(b'\n', before).map_or(before, |n| &before[n + 1..]);
    if !line.trim_ascii_start().starts_with(b"|") {
        return None;
    }
    let mark = |b: &&u8| matches!(b, b' ' | b'\t' | b'*' | b'`' | b'"' | b'\'');
    let marks = before.iter().rev().take_while(mark).count();
    let name = word(&before[..before.len() - marks]);
    (name > 1).then_some((name, marks))
}

/// Bytes of the name at the end of `text`.
fn word(text: &[u8]) -> usize {
    let part = |b: &&u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$') || **b >= 0x80
    };
    text.iter().rev().take_while(part).count()
}

/// Reads what stands beside names on the line `text[range]`, and what its sentences tell.
pub(crate) fn line(
    text: &[u8],
    range: &Range<usize>,
    blocks: &mut Blocks,
    fields: &mut Fields<'_>,
) {
    let spots = Spots::of(&text[range.clone()]);
    if spots.flags != 0 {
        flagged(text, range, blocks, fields);
    }
    if spots.marks != 0 {
        idiom::line(text, range.clone(), blocks.block(), fields);
    }
    if spots.strings != 0 {
        strings(text, range, blocks, fields);
    }
    if spots.nouns != 0 || spots.foreign != 0 {
        prose::line(text, range.clone(), blocks, fields);
    }
}

/// Reads the strings and cells of the line `text[range]`.
fn strings(text: &[u8], range: &Range<usize>, blocks: &mut Blocks, fields: &mut Fields<'_>) {
    let found = super::bounded(named(text, range.clone()), MOST_OF_LINE, fields.scopes);
    for (name, value) in found {
        let scope = blocks.scope();
        if is_quote(text[value]) {
            if let Some((raw, decoded)) = literal::string(text, value, range.end) {
                fields.add_decoded(&text[name], raw, decoded, scope);
            }
            continue;
        }
        // A cell is one word, plain or set as code.
        let length = memchr::memchr(b'|', &text[value..range.end]);
        let cell = &text[value..length.map_or(range.end, |n| value + n)];
        let odd = |b: &&u8| is_space(**b) || matches!(b, b'*' | b'`');
        let front = cell.iter().take_while(odd).count();
        let back = cell[front..].iter().rev().take_while(odd).count();
        let raw = value + front..value + cell.len() - back;
        if !text[raw.clone()].iter().any(u8::is_ascii_whitespace) {
            fields.add(&text[name], raw, scope, true);
        }
    }
}

/// Reads what stands behind flags on the line `text[range]`: all of it as a command, where it is one.
fn flagged(text: &[u8], range: &Range<usize>, blocks: &mut Blocks, fields: &mut Fields<'_>) {
    let mut program = None;
    let found = super::bounded(flags(text, range.clone()), MOST_OF_LINE, fields.scopes);
    for (name, value) in found {
        let own = *program.get_or_insert_with(|| {
            let line = &text[range.clone()];
            // A prompt, or the mark of a comment.
            let marks = |b: &&u8| b.is_ascii_whitespace() || matches!(b, b'$' | b'#' | b'>' | b'%');
            let start = range.start + line.iter().take(16).take_while(marks).count();
            let word = text[start..range.end].split(u8::is_ascii_whitespace).next();
            word.is_some_and(shell::is_program).then_some(start)
        });
        if let Some(start) = own {
            let scope = blocks.scope();
            return shell::line(text, start..range.end, scope, fields);
        }
        let skipped = text[value..range.end]
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let start = value + skipped;
        let bare = start..start + bare_length(&text[start..range.end]);
        let raw = literal::string(text, start, range.end).map_or(bare, |(raw, _)| raw);
        if name.len() > 1 && !text[raw.clone()].starts_with(b"-") {
            let scope = blocks.scope();
            fields.add(&text[name], raw, scope, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_at_the_end_of_a_piece_has_no_value_there() {
        let text = b"run --password x";
        for end in 0..=text.len() {
            let values: Vec<usize> = flags(text, 0..end).map(|(_, value)| value).collect();
            assert!(values.iter().all(|&value| value <= end), "{end} {values:?}");
            assert_eq!(values.len(), usize::from(end > 14), "{end}");
        }
    }

    #[test]
    fn what_is_beyond_a_bound_is_said() {
        let rules = RuleSet::builtin();
        let wanted = Wanted {
            sentences: true,
            wide: true,
            flags: true,
            strings: true,
        };
        for (piece, most) in [
            ("the password is \"gooseberry7\"\n", prose::MOST),
            ("密码是 a1b2c3d4\n", prose::MOST),
            (" --password b9Xk2LmQ7v\n", MOST),
            ("| password | b9Xk2LmQ7v |\n", MOST),
            ("%define token b9Xk2LmQ7vT4zR8p\n", idiom::MOST),
        ] {
            for (count, all) in [(most, true), (most + 1, false)] {
                let text = piece.repeat(count);
                let mut found = 0;
                let told = places(text.as_bytes(), wanted, &rules, |_| found += 1);
                assert_eq!(told, all, "{piece} {count}");
                assert!(found > 0, "{piece}");
            }
        }
    }

    const PIECES: [&str; 24] = [
        "--password ",
        "-u ",
        "x",
        "abc",
        "\n",
        " ",
        "password",
        "{",
        "\"",
        "'",
        "| ",
        "||",
        "`token`",
        "pwd is ",
        "\"gooseberry\"",
        "default_secret",
        "= ",
        " or ",
        "key_wrap = ",
        "\"b9Xk2LmQ7vT4zR8p\"",
        ".equals(",
        "ConvertTo-SecureString ",
        "密码是",
        "%define token ",
    ];

    #[test]
    fn a_text_is_looked_through_for_all_that_its_lines_hold() {
        let rules = RuleSet::builtin();
        let wanted = Wanted {
            sentences: true,
            wide: true,
            flags: true,
            strings: true,
        };
        let mut numbers = 5_u64;
        let mut seen = 0;
        for round in 0..2000 {
            let mut text = String::new();
            for _ in 0..round % 60 {
                numbers = numbers
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push_str(PIECES[usize::try_from(numbers >> 33).unwrap() % PIECES.len()]);
            }
            let text = text.as_bytes();
            let mut found = Vec::new();
            assert!(places(text, wanted, &rules, |at| found.push(at)));
            let whole = 0..text.len();
            let speaks = |name: &[u8]| speaks(&rules, name);
            let mut expected: Vec<usize> = flags(text, whole.clone())
                .filter(|(name, value)| {
                    let next = &text[*value..text.len().min(value + 40)];
                    let idle = |role| {
                        let password = sieve::is_password(role, &text[name.clone()]);
                        sieve::is_idle_flag(text, *value, password)
                    };
                    speaks(&text[name.clone()]).is_some_and(|role| !idle(role))
                        || &text[name.clone()] == b"u" && next.contains(&b':')
                })
                .chain(
                    named(text, whole.clone())
                        .filter(|(name, _)| speaks(&text[name.clone()]).is_some()),
                )
                .map(|(_, value)| value - 1)
                .chain(prose::places(text))
                .chain((0..text.len()).filter_map(|spot| idiom::place(text, spot)))
                .collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", text.escape_ascii());
            seen += found.len();
        }
        assert!(seen > 1000, "{seen}");
    }
}
