//! The one pass over each window: what could be a credential, and nothing else.
//!
//! Bytes are classified sixty-four at a time ([`masks`]). Where a run of letters and digits begins,
//! its first bytes are looked up in gates of all rules' beginnings ([`anchors`]); where a separator
//! stands, the end of the name before it is looked up ([`strip`]). The cost does not depend on the
//! number of rules, and no byte is looked at more than a bounded number of times, whatever the input.

mod anchors;
mod gate;
mod idle;
mod markers;
mod masks;
mod strip;

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

pub(crate) use anchors::Anchors;
pub(crate) use gate::Gate;
pub(crate) use idle::{is_idle_code, is_idle_flag};
use strip::STRIP;
pub(crate) use strip::Strip;

use crate::rule::name;
use crate::rule::pattern::{ALNUM, JOINED, NAME_PART};
use crate::rule::{Anchor, Half, Role, Rule, RuleSet};
use crate::syntax::known;
use crate::unwrap::inline;

/// Something worth reading the syntax for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A whole token of a rule's shape.
    Token(Token),
    /// The separator after a name that says secret.
    Name(usize),
    /// `://user:password@`, by its colon.
    Url(usize),
    /// `-----BEGIN`, by its first dash.
    Pem(usize),
    /// A long run that decodes to text.
    Wrapped(Range<usize>),
}

impl Hit {
    pub(crate) fn at(&self) -> usize {
        match self {
            Hit::Token(token) => token.start,
            Hit::Name(at) | Hit::Url(at) | Hit::Pem(at) => *at,
            Hit::Wrapped(range) => range.start,
        }
    }
}

/// A token of a rule's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) rule: u16,
    pub(crate) half: Half,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Hits of one window that are kept. Stops: a window that is nothing but names. What is beyond is
/// reported as *too many*.
pub(crate) const MOST_HITS: usize = 200_000;

/// What a pass over a window has seen beside hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sifted {
    /// There were more hits than are kept.
    pub(crate) too_many: bool,
    /// Some byte is beyond ASCII.
    pub(crate) foreign: bool,
    /// Somewhere stand thirty-two hexadecimal digits or more, or nearly so.
    pub(crate) digits: bool,
    /// Somewhere bytes are written by their numbers, `\x9c\x41`.
    pub(crate) numbered: bool,
    /// Somewhere a quote is escaped so often that what it encloses is seen only once that is undone.
    pub(crate) deep: bool,
}

/// Sifts `text` by means of a `strip` that was used before or not; hits come in order of position.
pub(crate) fn sift(text: &[u8], rules: &RuleSet, strip: &mut Strip, hits: &mut Vec<Hit>) -> Sifted {
    dispatch!(Level::new(), simd => sift_with(simd, text, rules, strip, hits))
}

#[inline(always)]
fn sift_with<S: Simd>(
    simd: S,
    text: &[u8],
    rules: &RuleSet,
    strip: &mut Strip,
    hits: &mut Vec<Hit>,
) -> Sifted {
    let mut sieve = Sieve {
        text,
        rules,
        hits,
        wrapped_until: 0,
        token_until: 0,
        escaped_until: 0,
        digits: false,
    };
    strip.begin();
    for base in (0..text.len()).step_by(STRIP) {
        strip.sift(simd, text, base, rules);
        sieve.strip(strip, base);
        if sieve.hits.len() > MOST_HITS {
            hits.truncate(MOST_HITS);
            hits.sort_by_key(Hit::at);
            return Sifted {
                too_many: true,
                foreign: true,
                digits: true,
                numbered: true,
                deep: true,
            };
        }
    }
    sieve.markers(true);
    let digits = sieve.digits;
    hits.sort_by_key(Hit::at);
    Sifted {
        too_many: false,
        foreign: strip.foreign(),
        digits,
        numbered: strip.numbered(),
        deep: strip.deep(),
    }
}

/// Where the lines of `text` begin; nothing is told beyond four GiB.
pub(crate) fn line_starts(text: &[u8]) -> Vec<u32> {
    dispatch!(Level::new(), simd => line_starts_with(simd, text))
}

#[inline(always)]
fn line_starts_with<S: Simd>(simd: S, text: &[u8]) -> Vec<u32> {
    let mut starts = vec![0];
    let (blocks, tail) = text.as_chunks::<64>();
    let mut next = 1_u32;
    for block in blocks {
        let bytes = u8x64::from_slice(simd, block);
        let mut ends = bytes.simd_eq(u8x64::splat(simd, b'\n')).to_bitmask();
        starts.reserve(64);
        while ends != 0 {
            starts.push(next.saturating_add(ends.trailing_zeros()));
            ends &= ends - 1;
        }
        next = next.saturating_add(64);
    }
    let ends = memchr::memchr_iter(b'\n', tail);
    starts.extend(ends.map(|at| next.saturating_add(u32::try_from(at).unwrap_or(u32::MAX))));
    starts
}

/// The tokens inside one value, in order, not overlapping.
pub(crate) fn tokens(value: &[u8], rules: &RuleSet) -> Vec<Token> {
    let mut hits = Vec::new();
    let mut sieve = Sieve {
        text: value,
        rules,
        hits: &mut hits,
        wrapped_until: usize::MAX,
        token_until: 0,
        escaped_until: 0,
        digits: false,
    };
    let mut inside = false;
    let mut run = 0;
    for (at, &byte) in value.iter().enumerate() {
        let is = ALNUM.has(byte);
        run = if inline::is_base64(byte) {
            run + 1
        } else {
            if run >= LONG_RUN {
                sieve.run(at);
            }
            0
        };
        if is && !inside {
            let word = value[at..]
                .first_chunk()
                .map_or(0, |&word| u32::from_le_bytes(word));
            if rules.anchors().may_begin(word) {
                sieve.start(at);
            }
        }
        inside = is;
    }
    sieve.markers(false);
    hits.sort_by_key(Hit::at);
    let mut until = 0;
    hits.into_iter()
        .filter_map(|hit| match hit {
            Hit::Token(token) if token.start >= until => {
                until = token.end;
                Some(token)
            }
            _ => None,
        })
        .collect()
}

struct Sieve<'a> {
    text: &'a [u8],
    rules: &'a RuleSet,
    hits: &'a mut Vec<Hit>,
    wrapped_until: usize,
    token_until: usize,
    escaped_until: usize,
    /// A long run ended with hexadecimal digits where it became one.
    digits: bool,
}

impl Sieve<'_> {
    /// Looks at what a strip has left.
    fn strip(&mut self, strip: &Strip, base: usize) {
        for &name in strip.names() {
            self.separator(base + usize::from(name));
        }
        let mut tokens = strip.tokens().iter();
        for &escape in strip.escapes() {
            // A token that goes on over an escape is one already.
            while let Some(&token) = tokens.as_slice().first().filter(|&&token| token < escape) {
                self.start(base + usize::from(token));
                tokens.next();
            }
            self.escape(base + usize::from(escape));
        }
        for &token in tokens {
            self.start(base + usize::from(token));
        }
        for (end, seen, rest) in strip.wrapped() {
            self.wrapped(base + end, seen, rest);
        }
    }

    fn start(&mut self, at: usize) {
        if let Some(&key) = self.text.get(at..).and_then(<[u8]>::first_chunk) {
            self.token(at, key);
        }
    }

    fn token(&mut self, at: usize, key: [u8; 3]) {
        let anchors = self.rules.anchors().at(key);
        if anchors.is_empty() || at < self.token_until || !begins(self.text, at) {
            return;
        }
        let mut best: Option<Token> = None;
        for anchor in anchors {
            let rule = self.rules.rule(anchor.rule);
            let pattern = &rule.shape(anchor.half).patterns[usize::from(anchor.pattern)];
            let Some(end) = pattern
                .end_at(self.text, at)
                .filter(|&end| ends(self.text, end))
            else {
                continue;
            };
            if best.is_none_or(|best| end > best.end) {
                best = Some(Token {
                    rule: anchor.rule,
                    half: anchor.half,
                    start: at,
                    end,
                });
            }
        }
        if let Some(token) = best {
            self.token_until = token.end;
            self.hits.push(Hit::Token(token));
        }
    }

    fn separator(&mut self, at: usize) {
        let text = self.text;
        match text[at] {
            b':' if text[at..].starts_with(b"://") => {
                let rest = &text[at + 3..text.len().min(at + 256)];
                if memchr::memchr(b'@', rest).is_none() {
                    return;
                }
                let stop = rest.iter().position(|&b| {
                    b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'@' | b'<')
                });
                if stop.is_some_and(|stop| rest[stop] == b'@' && rest[..stop].contains(&b':')) {
                    self.hits.push(Hit::Url(at));
                }
            }
            b'(' | b','
                if !matches!(
                    text[at + 1..].trim_ascii_start_limited().first(),
                    Some(b'"' | b'\'' | b'`')
                ) =>
            {
                // A driver's string: `user:password@tcp(host)/base`.
                if text[at] == b'(' && text[..at].ends_with(b"@tcp") {
                    self.hits.push(Hit::Name(at));
                }
            }
            _ => {
                if names_secret(text, at, self.rules) {
                    self.hits.push(Hit::Name(at));
                }
            }
        }
    }

    /// After an escape a token may begin that no run shows: `\nAKID…`, `%3DAKID…`; an escaped separator
    /// may stand behind a name; and a text may be escapes all over.
    fn escape(&mut self, at: usize) {
        if at < self.escaped_until {
            return;
        }
        let rest = &self.text[at..];
        if inline::is_separator(rest) {
            // The name is written like the separator.
            let before = &self.text[at.saturating_sub(LONGEST_ESCAPED)..at];
            let mut name = match rest[0] {
                b'%' => inline::percent_all(before),
                _ => inline::unescape(before),
            };
            let end = name.len();
            name.push(b'=');
            if names_secret(&name, end, self.rules) {
                self.hits.push(Hit::Name(at));
            }
        }
        let length = inline::escapes(rest);
        if length > 0 {
            self.escaped_until = at + length;
            // Formats undo this one by themselves, once they are read.
            if rest.starts_with(b"\\u") {
                self.hits.push(Hit::Name(at));
            } else {
                let around = inline::string_around(self.text, at);
                self.escaped_until = self.escaped_until.max(around.end);
                self.hits.push(Hit::Wrapped(around));
            }
            return;
        }
        let sign = inline::percent_sign(rest);
        let again = matches!(
            rest.get(sign.map_or(0, |(length, _)| length)),
            Some(b'u' | b'x' | b'0'..=b'3')
        );
        if matches!(sign, Some((_, b'\\'))) && again {
            let around = inline::string_around(self.text, at);
            self.escaped_until = around.end;
            self.hits.push(Hit::Wrapped(around));
            return;
        }
        let at = at + sign.map_or(2, |(length, _)| length);
        let key = self.text.get(at..).and_then(<[u8]>::first_chunk);
        if at >= self.token_until
            && key.is_some_and(|&key| !self.rules.anchors().at(key).is_empty())
        {
            self.hits.push(Hit::Name(at - 1));
        }
    }

    /// A long run has its thirty-second byte at `at`, or goes on there from the block before: the
    /// `seen` bytes up to it belong to it, and the `rest` bytes from it on.
    fn wrapped(&mut self, at: usize, seen: usize, rest: usize) {
        let last = self.text[..=at].last_chunk::<16>();
        self.digits |= last.is_some_and(inline::are_digits);
        if at < self.wrapped_until {
            return;
        }
        let mut start = (at + 1 - seen.min(at + 1)).max(self.wrapped_until);
        start -= self.text[self.wrapped_until..start]
            .iter()
            .rev()
            .take_while(|&&b| inline::is_base64(b))
            .count();
        let may = inline::may_be_wrapped(&self.text[start..]);
        if let Some(around) = self.between_escapes(start, may) {
            self.wrapped_until = around.end.max(at + 1);
            self.hits.push(Hit::Wrapped(around));
            return;
        }
        let whole = inline::addressed(self.text, start, self.wrapped_until, may);
        if let Some(whole) = whole.filter(|whole| whole.end > at) {
            self.wrapped_until = whole.end;
            self.hits.push(Hit::Wrapped(whole));
            return;
        }
        if !may {
            // Nearly always a digest or a key.
            let known = (at + rest).min(self.text.len());
            let more = self.text[known..]
                .iter()
                .position(|&b| !inline::is_base64(b));
            self.wrapped_until = more.map_or(self.text.len(), |more| known + more);
            self.run(self.wrapped_until);
            return;
        }
        let end = inline::wrapped_end(self.text, start);
        self.wrapped_until = end.max(at + 1);
        if inline::looks_wrapped(&self.text[start..end]) {
            self.hits.push(Hit::Wrapped(start..end));
        }
    }

    /// The string around a long run that begins at `start`, if it is one of several lines whose ends are
    /// escaped, or begins behind an escape: what it is a piece of is read, not the piece. `may` is what
    /// [`inline::may_be_wrapped`] says of it.
    fn between_escapes(&self, start: usize, may: bool) -> Option<Range<usize>> {
        let text = self.text;
        let skipped = inline::escape_before(text, start);
        let start = start + skipped;
        let may = match skipped {
            0 => may,
            _ => inline::may_be_wrapped(text.get(start..)?),
        };
        if !may {
            return None;
        }
        let run = text[start..].iter().take_while(|b| inline::is_base64(**b));
        let end = start + run.count();
        let cut = skipped > 0 || inline::is_line_end(&text[end..]);
        let cut = cut && !inline::is_armoured(text, start);
        (cut && inline::looks_wrapped(&text[start..end]))
            .then(|| inline::string_around(text, start))
    }

    /// A long run ends at `at`: shapes that begin with one and go on behind it.
    fn run(&mut self, at: usize) {
        let text = self.text;
        if !matches!(text.get(at), Some(b'-' | b'.' | b'_' | b':' | b'|')) {
            return;
        }
        let tokens = self.rules.anchors().runs().iter();
        let tokens = tokens.filter_map(|&(length, anchor)| {
            let start = at.checked_sub(length).filter(|&at| begins(text, at))?;
            token(self.rules.rule(anchor.rule), anchor, text, start)
        });
        let longest = tokens.max_by_key(|token| token.end);
        self.hits.extend(longest.map(Hit::Token));
    }

    /// Shapes without a beginning of their own, by what they hold; and private `keys`, by how their
    /// first line begins.
    fn markers(&mut self, keys: bool) {
        let Sieve {
            text, rules, hits, ..
        } = self;
        let most = hits.len() + MOST_HITS;
        let mut until = 0;
        rules.anchors().markers().each(text, |marker, at| {
            if hits.len() >= most {
                return;
            }
            if keys && marker.is_key() {
                hits.push(Hit::Pem(at));
            } else if keys && marker.shapes.is_empty() && at >= until {
                // Asked only behind the last one: each may be a string of many KiB, full of others.
                let range = inline::armoured(text, at);
                until = range.as_ref().map_or(until, |range| range.end);
                hits.extend(range.map(Hit::Wrapped));
            }
            let shapes = marker.shapes.iter().filter_map(|&(anchor, offset)| {
                let rule = rules.rule(anchor.rule);
                let start = at
                    .checked_sub(offset)
                    .filter(|&at| begins(text, behind(rule, text, at)))?;
                token(rule, anchor, text, start)
            });
            hits.extend(shapes.max_by_key(|token| token.end).map(Hit::Token));
        });
    }
}

/// The token that begins at `start` by a shape of `rule`, if nothing goes on where it ends.
fn token(rule: &Rule, anchor: Anchor, text: &[u8], start: usize) -> Option<Token> {
    let shape = rule.shape(anchor.half);
    let end = shape.patterns[usize::from(anchor.pattern)].end_at(text, start)?;
    ends(text, end).then_some(Token {
        rule: anchor.rule,
        half: anchor.half,
        start,
        end,
    })
}

/// Bytes of base64 that make a run a long one.
const LONG_RUN: usize = 32;
/// Bytes before an escaped separator in which its name is looked for.
const LONGEST_ESCAPED: usize = 192;
trait TrimLimited {
    fn trim_ascii_start_limited(&self) -> &[u8];
}

impl TrimLimited for [u8] {
    /// Skips up to four blanks: no more are looked at.
    fn trim_ascii_start_limited(&self) -> &[u8] {
        let skip = self
            .iter()
            .take(4)
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        &self[skip..]
    }
}

/// Whether the name before the separator at `at` says that a secret follows.
fn names_secret(text: &[u8], at: usize, rules: &RuleSet) -> bool {
    let (ending, end) = match plain_ending(text, at) {
        Some(plain) => plain,
        None => match odd_ending(text, at) {
            Some((ending, end)) if rules.names().may_speak(ending, &text[..end]) => (ending, end),
            _ => return false,
        },
    };
    let name = &text[at.saturating_sub(64)..end];
    let part = |byte: u8| NAME_PART.has(byte);
    let is_value = || {
        let key = name.iter().rposition(|&byte| !part(byte));
        name[key.map_or(0, |at| at + 1)..].trim_ascii() == b"value"
    };
    let names = rules.names();
    let neighbour = ending == *b"lue" && is_value();
    let role = names
        .says(name, part)
        .or_else(|| names.says_which(name, part))
        .or_else(|| names.says(behind_escape(name, part)?, part));
    let says = neighbour
        || role.is_some_and(|role| !matches!(role, Role::Id | Role::Expiry))
        || role == Some(Role::Id) && is_second_half(name, &text[at..]);
    says && !idle::is_idle(
        text,
        at,
        neighbour || role.is_some_and(|role| is_password(role, name)),
    )
}

/// Whether a name that says id, and what stands `behind` it, are the secret half of a role: `secret_id` and
/// a UUID. What is an id by that name is none.
fn is_second_half(name: &[u8], behind: &[u8]) -> bool {
    const UUID: usize = 36;
    let ends = |ending: &[u8]| {
        let from = name.len().checked_sub(ending.len());
        from.is_some_and(|from| name[from..].eq_ignore_ascii_case(ending))
    };
    if !(ends(b"secret_id") || ends(b"secret-id") || ends(b"secretid")) {
        return false;
    }
    let behind = &behind[..behind.len().min(UUID + 8)];
    let skip = behind
        .iter()
        .take_while(|b| !b.is_ascii_alphanumeric())
        .count();
    behind.get(skip..skip + UUID).is_some_and(known::is_uuid)
}

/// Whether a word may be a password behind `name`: what else says secret is made by machines.
pub(crate) fn is_password(role: Role, name: &[u8]) -> bool {
    let name = name::unqualified(name);
    let ends = |word: &[u8]| {
        let start = name.len().checked_sub(word.len());
        start.is_some_and(|start| name[start..].eq_ignore_ascii_case(word))
    };
    match role {
        Role::Password => true,
        Role::Secret | Role::Bearer => ends(b"secret") || ends(b"password"),
        _ => false,
    }
}

/// A name without the line's end before it, which is written as text: the `pwd` of `\npwd`.
fn behind_escape(name: &[u8], part: impl Fn(u8) -> bool) -> Option<&[u8]> {
    // Nearly no name has one, and bytes are read one by one.
    memchr::memchr(b'\\', name)?;
    let end = name.iter().rposition(|&byte| part(byte))? + 1;
    let before = name[..end].iter().rposition(|&byte| !part(byte))?;
    let escaped = name[before] == b'\\' && matches!(name[before + 1], b'n' | b'r' | b't');
    escaped.then(|| &name[before + 2..])
}

/// The last three letters, in lower case, of a name that stands right before the separator at `at`
/// or has one quote or blank behind it, and where it ends: nearly every name.
#[inline]
fn plain_ending(text: &[u8], at: usize) -> Option<([u8; 3], usize)> {
    let word = u32::from_le_bytes(*text[..at].last_chunk()?);
    let behind = matches!((word >> 24) as u8, b'"' | b' ');
    let three = if behind {
        word & 0x00ff_ffff
    } else {
        word >> 8
    } | 0x0020_2020;
    let [a, b, c, _] = three.to_le_bytes();
    are_letters(three | 0x6100_0000).then_some(([a, b, c], at - usize::from(behind)))
}

/// Whether four bytes, in lower case, are letters.
#[inline]
pub(crate) fn are_letters(word: u32) -> bool {
    letters(word.into()) & 0x8080_8080 == 0x8080_8080
}

/// Which of eight bytes are letters in lower case: their highest bits.
#[inline(always)]
pub(crate) fn letters(word: u64) -> u64 {
    let low = word & 0x7f7f_7f7f_7f7f_7f7f;
    let from_a = low + 0x1f1f_1f1f_1f1f_1f1f;
    let past_z = low + 0x0505_0505_0505_0505;
    from_a & !past_z & !word & 0x8080_8080_8080_8080
}

/// The same for names with numbers, separators or other scripts at their end.
fn odd_ending(text: &[u8], at: usize) -> Option<([u8; 3], usize)> {
    let mut end = at;
    let floor = at.saturating_sub(8);
    while end > floor && !ALNUM.has(text[end - 1]) && text[end - 1] < 0x80 && text[end - 1] != b'\n'
    {
        end -= 1;
    }
    let mut last = end;
    while last > floor && text[last - 1].is_ascii_digit() {
        last -= 1;
    }
    // `password[65]`: how long it may be is no name.
    if last < end && text[end] == b']' && text[..last].ends_with(b"[") {
        last -= 1;
        end = last;
    }
    let mut ending = [0_u8; 3];
    let mut found = 0;
    while last > at.saturating_sub(14) && found < 3 {
        last -= 1;
        let byte = text[last];
        if ALNUM.has(byte) || byte >= 0x80 {
            ending[2 - found] = byte.to_ascii_lowercase();
            found += 1;
        } else if found >= 2 && !matches!(byte, b'_' | b'-') {
            break;
        } else if !matches!(byte, b'_' | b'-' | b'.' | b' ') {
            return None;
        }
    }
    (found >= 2).then_some((ending, end))
}

/// Where what is written right before a secret of `rule` at `at` begins, if it is.
fn behind(rule: &Rule, text: &[u8], at: usize) -> usize {
    let before = rule.behind.as_ref();
    before
        .and_then(|before| text[..at].strip_suffix(before.as_bytes()))
        .map_or(at, <[u8]>::len)
}

/// Whether a token may begin at `at`: what stands before it does not make it a piece of something.
fn begins(text: &[u8], at: usize) -> bool {
    let Some(&before) = at.checked_sub(1).and_then(|n| text.get(n)) else {
        return true;
    };
    if before == b'/' {
        // A path or a URL, but not a longer base64 text.
        let piece = text[..at - 1]
            .iter()
            .rev()
            .take(24)
            .take_while(|&&b| ALNUM.has(b) || b == b'+')
            .count();
        return piece < 16;
    }
    // Flags carry values without a blank: `-iHPUA…`, `--sk-…` do not begin here, `-p` does.
    !JOINED.has(before)
}

/// Whether a token may end at `end`.
fn ends(text: &[u8], end: usize) -> bool {
    let Some(&after) = text.get(end) else {
        return true;
    };
    if after == b'/' {
        let piece = text[end + 1..]
            .iter()
            .take(24)
            .take_while(|&&b| ALNUM.has(b) || b == b'+')
            .count();
        return piece < 16;
    }
    !JOINED.has(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, usize)]) {
        let rules = RuleSet::builtin();
        let mut hits = Vec::new();
        sift(text.as_bytes(), &rules, &mut Strip::new(), &mut hits);
        let found: Vec<(&str, usize)> = hits
            .iter()
            .map(|hit| match hit {
                Hit::Token(token) => (rules.rule(token.rule).id.as_str(), token.start),
                Hit::Name(at) => ("name", *at),
                Hit::Url(at) => ("url", *at),
                Hit::Pem(at) => ("pem", *at),
                Hit::Wrapped(range) => ("wrapped", range.start),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tokens_are_whole_or_nothing() {
        let (short, long) = ("a1B2".repeat(8), "a1B2".repeat(16));
        check(
            &format!("x={}{short}", "AKID"),
            &[("tencent.access-key", 2)],
        );
        check(
            &format!("x={}{long}", "AKID"),
            &[("tencent.temporary-credential", 2)],
        );
        check(&format!("x={}{short}_", "AKID"), &[]);
        check(&format!("xAKID{short}"), &[]);
        check(&format!("abcdefghijklmnopqrstu/AKID{short}"), &[]);
        check(
            &format!("https://x/AKID{short}/2024"),
            &[("tencent.access-key", 10)],
        );
    }

    /// The same without a strip: every place is asked about.
    fn everywhere(text: &[u8], rules: &RuleSet) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut sieve = Sieve {
            text,
            rules,
            hits: &mut hits,
            wrapped_until: usize::MAX,
            token_until: 0,
            escaped_until: 0,
            digits: false,
        };
        let begins_token = |at: usize| {
            let word = text.get(at..).and_then(<[u8]>::first_chunk);
            word.is_some_and(|&word| rules.anchors().may_begin_soon(u32::from_le_bytes(word)))
        };
        for (at, &byte) in text.iter().enumerate() {
            let inside = at > 0 && ALNUM.has(text[at - 1]);
            if ALNUM.has(byte) && !inside {
                sieve.start(at);
            }
            match byte {
                b'=' | b':' | b'(' | b',' | b'<' | b'>' => sieve.separator(at),
                b'%' | b'\\' if text.len() >= at + 8 && inline::is_separator(&text[at..]) => {
                    sieve.escape(at);
                }
                b'%' if begins_token(at + 3) => sieve.escape(at),
                b'\\' if begins_token(at + 2) && b"ntr".contains(&text[at + 1]) => sieve.escape(at),
                _ => {}
            }
        }
        sieve.markers(true);
        hits.sort_by_key(Hit::at);
        hits
    }

    fn starts_of(text: &[u8]) -> Vec<u32> {
        let behind = (1..).zip(text).filter(|&(_, &byte)| byte == b'\n');
        std::iter::once(0).chain(behind.map(|(at, _)| at)).collect()
    }

    /// What names, separators and tokens are made of, between bars; the one id is made.
    const PIECES: &str = "password|PASSWORD|secretKey|secret_key|api-key|token|value|sk|aws.sk|pwd2\
        |s_e_c_r_e_t|bucket|bitbucket|Ghost|loghost|mimaPwd|x|12|密码|=|:|(|,|<|>| |  |          |\n|\t\
        |\"|'|`|[|]|_|-|//|@|://u:p@h|\\n|%3D|hunter22222|AKIDa1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2";

    #[test]
    fn strips_leave_out_nothing() {
        let rules = RuleSet::builtin();
        let pieces: Vec<&str> = PIECES.split('|').collect();
        // One for all, as in a scan: what is left from a text before means nothing to the next.
        let mut strip = Strip::new();
        let mut numbers = 7_u64;
        let mut below = |bound: usize| {
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(numbers >> 33).unwrap() % bound
        };
        let mut seen = [0; 3];
        for round in 0..400 {
            let mut text = Vec::new();
            while text.len() < 40 * round % 5000 {
                text.extend_from_slice(pieces[below(pieces.len())].as_bytes());
            }
            let mut hits = Vec::new();
            sift(&text, &rules, &mut strip, &mut hits);
            assert_eq!(line_starts(&text), starts_of(&text));
            hits.retain(|hit| !matches!(hit, Hit::Wrapped(_)));
            assert_eq!(hits, everywhere(&text, &rules), "{}", text.escape_ascii());
            for hit in hits {
                match hit {
                    Hit::Token(_) => seen[0] += 1,
                    Hit::Name(_) => seen[1] += 1,
                    Hit::Url(_) => seen[2] += 1,
                    Hit::Pem(_) | Hit::Wrapped(_) => {}
                }
            }
        }
        assert!(seen.iter().all(|&count| count > 300), "{seen:?}");
    }

    #[test]
    fn letters_are_told_four_at_a_time() {
        for byte in 0..=255_u8 {
            for at in 0..4 {
                let mut four = *b"azmq";
                four[at] = byte;
                assert_eq!(
                    are_letters(u32::from_le_bytes(four)),
                    byte.is_ascii_lowercase(),
                    "{byte} at {at}"
                );
            }
        }
    }

    #[test]
    fn names_that_say_secret_are_seen() {
        check("secretKey: x", &[("name", 9)]);
        check("\"secret_key\" : x", &[("name", 13)]);
        check("disk: x", &[]);
        check("name: x", &[]);
        check("postgres://a:b@c", &[("url", 8)]);
        check("-----BEGIN PRIVATE KEY-----", &[("pem", 0)]);
    }

    #[test]
    fn long_runs_are_seen_wherever_blocks_end() {
        for pad in 0..130 {
            let text = format!(
                "{}{}",
                " ".repeat(pad),
                "c2VjcmV0S2V5OiBhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg"
            );
            check(&text, &[("wrapped", pad)]);
            let two = format!(
                "{}{} {}",
                " ".repeat(pad),
                "/".repeat(32),
                "c2VjcmV0S2V5OiBhYmNkZWZnaGlqa2xt"
            );
            check(&two, &[("wrapped", pad + 33)]);
        }
    }

    #[test]
    fn long_runs_of_digits_are_seen_beside_others() {
        let rules = RuleSet::builtin();
        for pad in 0..130 {
            let text = format!("{} {} {}", " ".repeat(pad), "/".repeat(32), "9c".repeat(16));
            let mut hits = Vec::new();
            let digits = |text: &str, hits: &mut _| {
                sift(text.as_bytes(), &rules, &mut Strip::new(), hits).digits
            };
            assert!(digits(&text, &mut hits), "{pad}");
            assert!(!digits(&text[..text.len() - 1], &mut hits), "{pad}");
        }
    }
}
