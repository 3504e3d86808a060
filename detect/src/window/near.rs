//! Reads, line by line, what no parser has made a field of: around the hits of the sieve.
//!
//! Few lines of a text have any, and the values that belong together stand near each other.

use std::cell::LazyCell;

use super::cover::Cover;
use super::*;

/// Lines around a half of a key of which all values are read.
const NEAR: usize = 24;
/// The same around a password that is a word.
const NEXT: usize = 6;
/// Fields behind a name that are asked one by one; where there are more, all are asked once.
const ASKED: usize = 16;
/// Lines longer than this are read around their hits only.
const LONG_LINE: usize = 8192;

/// What vim keeps of a file that is open, as lines: each ends with a NUL, and what stands between its blocks
/// is no text.
pub(super) fn unswapped(region: &Region, text: &[u8]) -> Option<Vec<u8>> {
    let name = region.member.inside.last().unwrap_or(&region.member.name);
    let name = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let [b'.', .., b'.', b's', b'w', b'a'..=b'p'] = name else {
        return None;
    };
    memchr::memchr(0, text)?;
    let plain = |&byte: &u8| match byte {
        0 => b'\n',
        1..=8 | 14..=31 | 127 => b' ',
        other => other,
    };
    Some(text.iter().map(plain).collect())
}

/// Lines around a half of a key, or around a word: who and where stand next to that.
fn reach(half: bool, word: bool) -> usize {
    match (half, word) {
        (true, _) => NEAR,
        (_, true) => NEXT,
        _ => 0,
    }
}

/// Reads, line by line, what no parser has made a field of.
pub(super) fn around_hits(
    text: &[u8],
    region: &Region,
    lines: &Lines,
    hits: &[Hit],
    fields: &mut Fields<'_>,
    rules: &RuleSet,
) {
    let cover = Cover::of(&fields.fields);
    // A shell's words are what its parser says; what other parsers do not name may be another format's.
    let commands = syntax::are_commands(region.format);
    let plain = region.format.is_plain();
    let says = |field: usize| commands || rules.names().may_say(&fields.fields[field].path);
    let telling = LazyCell::new(|| cover.of_those(says));
    let mut wanted: Vec<(usize, usize)> = Vec::new();
    for hit in hits {
        let at = hit.at();
        let line = lines.index(at);
        let range = lines.range(line, text);
        let covered = match hit {
            Hit::Token(token) => cover.holds(token.start, token.end),
            // A value may hold names and values of its own: `user:app,password:…`.
            Hit::Name(at) => {
                let mut begins = cover.begins(*at + 1, range.end);
                begins.by_ref().take(ASKED).any(says)
                    || (begins.next().is_some() && telling.any(*at + 1, range.end))
            }
            Hit::Url(at) => cover.holds(*at, *at + 3),
            Hit::Pem(_) | Hit::Wrapped(_) => !plain,
        };
        if covered {
            continue;
        }
        let is_id = matches!(hit, Hit::Token(token) if token.half == Half::Id);
        let half = is_id || is_secret_half(text, hit, range.end, rules);
        let word = matches!(hit, Hit::Name(at) if chosen::may_follow(text, *at, range.end));
        let near = if plain { reach(half, word) } else { 0 };
        let alone = matches!(hit, Hit::Token(id) if is_id && is_alone(text, &range, id));
        let below = near.max(usize::from(alone));
        wanted.push((line.saturating_sub(near), line + below));
    }
    if wanted.is_empty() {
        return;
    }
    wanted.sort_unstable();
    let mut reader = LineReader {
        text,
        hits,
        rules,
        fields,
        after_id: false,
    };
    let root = region.scope;
    let parsed = reader.fields.fields.len();
    let mut blocks = Blocks::new(root, reader.fields);
    let mut next = 0;
    let mut done = 0;
    for &(first, last) in &wanted {
        let last = last.min(lines.starts.len() - 1);
        if plain {
            // Brackets and blank lines in between bound the blocks.
            while next < first {
                blocks.line(&text[lines.range(next, text)], reader.fields);
                next += 1;
            }
        } else if first > next {
            blocks = Blocks::new(
                scope_before(reader.fields, lines.starts[first] as usize, root),
                reader.fields,
            );
        }
        for line in first.max(done)..=last {
            let range = lines.range(line, text);
            blocks.line(&text[range.clone()], reader.fields);
            reader.line(range, &mut blocks);
            next = line + 1;
            done = line + 1;
        }
    }
    syntax::refine::name_values(text, parsed, reader.fields);
}

/// Whether a hit is a secret half, whose id may stand anywhere around it.
fn is_secret_half(text: &[u8], hit: &Hit, end: usize, rules: &RuleSet) -> bool {
    match hit {
        Hit::Token(token) => token.half == Half::Secret && rules.rule(token.rule).is_pair(),
        Hit::Name(at) => names_half(text, *at, end, rules),
        _ => false,
    }
}

/// Whether the name before the separator at `at` is that of a secret half and a long value that no word is
/// follows: its id, which may have no beginning of its own, is looked for around it.
fn names_half(text: &[u8], at: usize, end: usize, rules: &RuleSet) -> bool {
    let from = behind_type(text, at, end);
    let value = text[from..end.min(from + 256)]
        .iter()
        .skip_while(|b| !b.is_ascii_alphanumeric())
        .take_while(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`' | b'$'));
    let (mut length, mut digits, mut cases) = (0, 0, [0; 2]);
    for byte in value {
        length += 1;
        digits += u32::from(byte.is_ascii_digit());
        cases[0] += u32::from(byte.is_ascii_lowercase());
        cases[1] += u32::from(byte.is_ascii_uppercase());
    }
    if length < limits::SHORTEST_SECRET || (digits == 0 && cases.iter().any(|&count| count < 3)) {
        return false;
    }
    let mut before = text[at.saturating_sub(64)..at].trim_ascii_end();
    // `store['secret_key'] = …`, `set("secret_key", …`.
    while let [rest @ .., b']' | b'"' | b'\'' | b'`' | b'\\' | b')' | b' '] = before {
        before = rest;
    }
    let name = before.iter().rposition(|&b| {
        !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'"' | b'\'') || b >= 0x80)
    });
    let name = &before[name.map_or(0, |n| n + 1)..];
    let role = rules.names().says(name, |_| true);
    matches!(role, Some(Role::Secret | Role::IdOrSecret))
}

/// Where the value is looked for behind the separator at `at`: behind the type of `name: &str = "…"`.
fn behind_type(text: &[u8], at: usize, end: usize) -> usize {
    const LONGEST_TYPE: usize = 40;
    let rest = &text[at..end.min(at + LONGEST_TYPE)];
    if rest.first() != Some(&b':') {
        return at;
    }
    let kind = |b: &u8| b.is_ascii_alphanumeric() || b"_.&'<>[]?*| :".contains(b);
    let length = rest.iter().take_while(|b| kind(b)).count();
    if rest[length..].starts_with(b"= ") {
        at + length
    } else {
        at
    }
}

/// The scope of the last field that begins before `at`.
fn scope_before(fields: &Fields<'_>, at: usize, root: ScopeId) -> ScopeId {
    fields
        .fields
        .iter()
        .filter(|field| field.raw.start < at)
        .max_by_key(|field| field.raw.start)
        .map_or(root, |field| field.scope)
}

struct LineReader<'a, 'f, 's> {
    text: &'a [u8],
    hits: &'a [Hit],
    rules: &'a RuleSet,
    fields: &'f mut Fields<'s>,
    /// Whether the line before is an id and nothing else.
    after_id: bool,
}

/// Whether a line holds nothing but an id.
fn is_alone(text: &[u8], line: &std::ops::Range<usize>, id: &sieve::Token) -> bool {
    let piece = syntax::text::alone(text, line.clone());
    piece.is_some_and(|piece| piece == (id.start..id.end))
}

impl LineReader<'_, '_, '_> {
    fn line(&mut self, range: std::ops::Range<usize>, blocks: &mut Blocks) {
        let from = self.hits.partition_point(|hit| hit.at() < range.start);
        let here: Vec<&Hit> = self.hits[from..]
            .iter()
            .take_while(|hit| hit.at() < range.end)
            .take(4096)
            .collect();
        if range.len() <= LONG_LINE {
            // `id` and `secret` on lines of their own.
            if std::mem::take(&mut self.after_id)
                && let Some(piece) = syntax::text::alone(self.text, range.clone())
            {
                let scope = blocks.scope();
                self.fields.add(b"", piece, scope, true);
            }
            self.after_id = here.iter().any(|hit| {
                matches!(hit, Hit::Token(id) if id.half == Half::Id && is_alone(self.text, &range, id))
            });
            self.stretch(range, &here, blocks);
            return;
        }
        self.after_id = false;
        let mut done = range.start;
        for hit in &here {
            let start = hit.at().saturating_sub(256).max(done);
            let end = range.end.min(hit.at() + 4096);
            if start < end {
                let inside: Vec<&Hit> = here
                    .iter()
                    .copied()
                    .filter(|hit| (start..end).contains(&hit.at()))
                    .take(64)
                    .collect();
                self.stretch(start..end, &inside, blocks);
                done = end;
            }
        }
    }

    /// The address in which a signature stands: all of it says what it is and when it ends.
    fn address(&self, at: usize, line: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        let outside = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<');
        let floor = line.start.max(at.saturating_sub(1024));
        let limit = line.end.min(at + 1024);
        let before = self.text[floor..at].iter().rposition(outside);
        let after = self.text[at..limit].iter().position(outside);
        before.map_or(floor, |n| floor + n + 1)..after.map_or(limit, |n| at + n)
    }

    fn stretch(&mut self, range: std::ops::Range<usize>, hits: &[&Hit], blocks: &mut Blocks) {
        let first = self.fields.fields.len();
        syntax::text::line(self.text, range.clone(), blocks, self.fields);
        let named = Cover::of(&self.fields.fields[first..]);
        let mut id = None;
        for hit in hits {
            match hit {
                Hit::Token(token) => {
                    if !named.holds(token.start, token.end) {
                        let scope = blocks.scope();
                        self.fields.add(b"", token.start..token.end, scope, true);
                    }
                    if token.half == Half::Id {
                        id = id.or(Some(token));
                    }
                }
                Hit::Name(at) if self.text[..*at].ends_with(b"sig") => {
                    let around = self.address(*at, &range);
                    let scope = blocks.scope();
                    self.fields.add(b"", around, scope, true);
                }
                Hit::Url(at) if !named.holds(*at, *at + 3) => {
                    let start = self.text[range.start..*at]
                        .iter()
                        .rposition(|b| !b.is_ascii_alphanumeric() && *b != b'+')
                        .map_or(range.start, |n| range.start + n + 1);
                    let end = self.text[*at..range.end]
                        .iter()
                        .position(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`'))
                        .map_or(range.end, |n| at + n);
                    let scope = blocks.scope();
                    self.fields.add(b"", start..end, scope, true);
                }
                _ => {}
            }
        }
        if let Some(id) = id {
            let slash = self.rules.rule(id.rule).secret.is_whole(&[b'/'; 40]);
            let near = id.start.saturating_sub(512).max(range.start)..range.end.min(id.end + 512);
            let named = Cover::of(&self.fields.fields[first..]);
            for piece in syntax::text::pieces(self.text, near, slash) {
                if !named.holds(piece.start, piece.end) {
                    let scope = blocks.scope();
                    self.fields.add(b"", piece, scope, true);
                }
            }
        }
    }
}
