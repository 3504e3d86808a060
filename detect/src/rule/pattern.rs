//! The little language in which rules write shapes: literals and `{class:length}`.
//!
//! `AKID{alnum:32}` is four letters and thirty-two letters or digits; `{b64:42-43}=` is a range
//! followed by a literal. There is no alternation, no nesting and no unbounded repeat, so that
//! matching is a few table look-ups, and the same text can also generate examples.

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    const fn of(ranges: &[(u8, u8)]) -> ByteSet {
        let mut set = [0_u64; 4];
        let mut at = 0;
        while at < ranges.len() {
            let mut byte = ranges[at].0;
            loop {
                set[(byte >> 6) as usize] |= 1 << (byte & 63);
                if byte == ranges[at].1 {
                    break;
                }
                byte += 1;
            }
            at += 1;
        }
        ByteSet(set)
    }

    const fn with(self, bytes: &[u8]) -> ByteSet {
        let mut set = self.0;
        let mut at = 0;
        while at < bytes.len() {
            set[(bytes[at] >> 6) as usize] |= 1 << (bytes[at] & 63);
            at += 1;
        }
        ByteSet(set)
    }

    /// Whether `byte` is in the set.
    pub(crate) const fn has(self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    fn members(self) -> Vec<u8> {
        (0..=255).filter(|&byte| self.has(byte)).collect()
    }
}

/// Letters and digits, the alphabet of most keys.
pub(crate) const ALNUM: ByteSet = ByteSet::of(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')]);
/// What may not stand beside a token: it would be a piece of something longer.
pub(crate) const JOINED: ByteSet = ALNUM.with(b"+/_-");

/// What stands in a name before its separator.
pub(crate) const NAME_PART: ByteSet =
    ByteSet::of(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (0x80, 0xff)]).with(b"_-.$ ");

const CLASSES: [(&str, ByteSet); 23] = [
    ("digit", ByteSet::of(&[(b'0', b'9')])),
    ("lower", ByteSet::of(&[(b'a', b'z')])),
    ("upper", ByteSet::of(&[(b'A', b'Z')])),
    ("alpha", ByteSet::of(&[(b'A', b'Z'), (b'a', b'z')])),
    ("alnum", ALNUM),
    ("upnum", ByteSet::of(&[(b'0', b'9'), (b'A', b'Z')])),
    ("lownum", ByteSet::of(&[(b'0', b'9'), (b'a', b'z')])),
    ("hex", ByteSet::of(&[(b'0', b'9'), (b'a', b'f')])),
    (
        "xdigit",
        ByteSet::of(&[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')]),
    ),
    ("base32", ByteSet::of(&[(b'A', b'Z'), (b'2', b'7')])),
    ("word", ALNUM.with(b"_")),
    ("url", ALNUM.with(b"_-")),
    ("urldot", ALNUM.with(b"_-.")),
    ("b64", ALNUM.with(b"+/")),
    ("b64any", ALNUM.with(b"+/_-=")),
    // Base64 for addresses whose padding may stand inside, and dots.
    ("padded", ALNUM.with(b"_-.=")),
    // Base64 as it is, or escaped for an address, a cookie or a header.
    ("pct", ALNUM.with(b"+/_-=%")),
    ("tilde", ALNUM.with(b"_-.~")),
    (
        "lowdash",
        ByteSet::of(&[(b'0', b'9'), (b'a', b'z')]).with(b"-"),
    ),
    // What Django's generator of secret keys draws from.
    (
        "django",
        ByteSet::of(&[(b'0', b'9'), (b'a', b'z')]).with(b"!#$%&()*+-=@^_"),
    ),
    // The version and the month in keys with Microsoft's signature.
    (
        "cask",
        ByteSet::of(&[(b'9', b'9'), (b'D', b'D'), (b'H', b'H')]),
    ),
    ("month", ByteSet::of(&[(b'A', b'L')])),
    // Any printable byte but space, quotes, backslash, comma, semicolon, brackets.
    (
        "print",
        ByteSet::of(&[
            (b'!', b'!'),
            (b'#', b'&'),
            (b'*', b'+'),
            (b'-', b':'),
            (b'=', b'Z'),
            (b'^', b'_'),
            (b'a', b'z'),
            (b'|', b'|'),
            (b'~', b'~'),
        ]),
    ),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(Vec<u8>),
    Class {
        set: ByteSet,
        min: usize,
        max: usize,
    },
}

/// A compiled shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    items: Vec<Item>,
    min: usize,
    max: usize,
}

/// What `{uuid}` stands for.
const UUID: &str = "{xdigit:8}-{xdigit:4}-{xdigit:4}-{xdigit:4}-{xdigit:12}";
/// Longest repeat of one class: session tokens fit.
const LONGEST_REPEAT: usize = 4096;
/// Letters and digits that the sieve takes for a long run.
const LONG_RUN: usize = 32;
/// Items and variable items of one pattern: what bounds the backtracking.
const MOST_ITEMS: usize = 48;
const MOST_VARIABLE: usize = 4;

impl Pattern {
    /// Parses the written form; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let written = text;
        let expanded = text.replace("{uuid}", UUID);
        let text = expanded.as_str();
        let mut items = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (class, after) = inner
                    .split_once('}')
                    .ok_or_else(|| format!("`{text}` has a `{{` without `}}`"))?;
                items.push(class_item(class)?);
                rest = after;
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                items.push(Item::Literal(rest.as_bytes()[..end].to_vec()));
                rest = &rest[end..];
            }
        }
        let variable = items
            .iter()
            .filter(|item| matches!(item, Item::Class { min, max, .. } if min != max))
            .count();
        if items.is_empty() || items.len() > MOST_ITEMS || variable > MOST_VARIABLE {
            return Err(format!(
                "`{written}` needs 1 to {MOST_ITEMS} items, at most {MOST_VARIABLE} of variable length"
            ));
        }
        let sum = |f: fn(&Item) -> usize| items.iter().map(f).sum();
        let min = sum(|item| match item {
            Item::Literal(bytes) => bytes.len(),
            Item::Class { min, .. } => *min,
        });
        let max = sum(|item| match item {
            Item::Literal(bytes) => bytes.len(),
            Item::Class { max, .. } => *max,
        });
        Ok(Pattern { items, min, max })
    }

    /// The literal that every match begins with.
    pub(crate) fn anchor(&self) -> &[u8] {
        match self.items.first() {
            Some(Item::Literal(bytes)) => bytes,
            _ => &[],
        }
    }

    /// The first three bytes that a match may have; none if the shape has no beginning of its own.
    pub(crate) fn beginnings(&self) -> Vec<[u8; 3]> {
        match (self.anchor(), self.items.get(1)) {
            ([a, b, c, ..], _) => vec![[*a, *b, *c]],
            ([a, b], Some(Item::Class { set, .. })) => {
                set.members().into_iter().map(|c| [*a, *b, c]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The first four bytes that a match may have, where its literals say three of them.
    pub(crate) fn longer_beginnings(&self) -> Vec<[u8; 4]> {
        match (self.anchor(), self.items.get(1)) {
            ([a, b, c, d, ..], _) => vec![[*a, *b, *c, *d]],
            ([a, b, c], Some(Item::Class { set, .. })) => {
                set.members().into_iter().map(|d| [*a, *b, *c, d]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How many letters and digits every match begins with, where that many make a long run and a literal
    /// that is none of them ends it.
    pub(crate) fn run_before_literal(&self) -> Option<usize> {
        let [Item::Class { set, min, max }, Item::Literal(bytes), ..] = self.items.as_slice()
        else {
            return None;
        };
        let ends = bytes.first().is_some_and(|byte| b"-._:|".contains(byte));
        let plain = set.members().into_iter().all(|byte| ALNUM.has(byte));
        (min == max && *min >= LONG_RUN && plain && ends).then_some(*min)
    }

    /// With how many bytes of a kind every match begins. `=` counts as one in a class: it is padding,
    /// which stands at an end.
    pub(crate) fn run_of(&self, is_token: impl Fn(u8) -> bool) -> usize {
        let is = |byte: u8| is_token(byte) || byte == b'=';
        let mut run = 0;
        for item in &self.items {
            match item {
                Item::Literal(bytes) => {
                    // A literal `=` stands where it is written: `sig=…`.
                    let inside = bytes.iter().take_while(|&&byte| is_token(byte)).count();
                    run += inside;
                    if inside < bytes.len() {
                        break;
                    }
                }
                Item::Class { set, min, .. } => {
                    if !set.members().into_iter().all(&is) {
                        break;
                    }
                    run += min;
                }
            }
        }
        run
    }

    /// Bytes of the shortest match.
    pub(crate) fn shortest(&self) -> usize {
        self.min
    }

    /// Bytes of the longest match.
    pub(crate) fn longest(&self) -> usize {
        self.max
    }

    /// Bytes that every match has in common: a measure of how much the shape says by itself.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.items
            .iter()
            .map(|item| match item {
                Item::Literal(bytes) => bytes.len(),
                Item::Class { .. } => 0,
            })
            .sum()
    }

    /// Where `marker` stands in every match, if a literal holds it and all before is of fixed length.
    pub(crate) fn offset_of(&self, marker: &[u8]) -> Option<usize> {
        let mut offset = 0;
        for item in &self.items {
            match item {
                Item::Literal(bytes) => {
                    if let Some(at) = memchr::memmem::find(bytes, marker) {
                        return Some(offset + at);
                    }
                    offset += bytes.len();
                }
                Item::Class { min, max, .. } if min == max => offset += min,
                Item::Class { .. } => return None,
            }
        }
        None
    }

    /// The longest literal before which all is of fixed length, and its place.
    pub(crate) fn longest_literal(&self) -> Option<(usize, &[u8])> {
        let mut offset = 0;
        let mut longest: Option<(usize, &[u8])> = None;
        for item in &self.items {
            match item {
                Item::Literal(bytes) => {
                    if longest.is_none_or(|(_, known)| known.len() < bytes.len()) {
                        longest = Some((offset, bytes));
                    }
                    offset += bytes.len();
                }
                Item::Class { min, max, .. } if min == max => offset += min,
                Item::Class { .. } => break,
            }
        }
        longest
    }

    /// The end of the longest match that begins at `at`.
    pub(crate) fn end_at(&self, text: &[u8], at: usize) -> Option<usize> {
        // Many shapes begin alike (`https://…`): where the literals end is where they differ.
        let anchor = self.anchor();
        if let Some(last) = anchor.last()
            && text.get(at + anchor.len() - 1) != Some(last)
        {
            return None;
        }
        let mut steps = LONGEST_REPEAT;
        fit(&self.items, text, at, &mut steps)
    }

    /// Whether the whole of `value` has this shape.
    pub(crate) fn is_whole(&self, value: &[u8]) -> bool {
        value.len() >= self.min
            && value.len() <= self.max
            && self.end_at(value, 0) == Some(value.len())
    }

    /// A value of this shape; `next` gives random numbers.
    pub(crate) fn generate(&self, next: &mut dyn FnMut() -> u64) -> Vec<u8> {
        let mut value = Vec::new();
        for item in &self.items {
            match item {
                Item::Literal(bytes) => value.extend_from_slice(bytes),
                Item::Class { set, min, max } => {
                    // With a percent sign a value would seem to be encoded.
                    let mut members = set.members();
                    members.retain(|&byte| byte != b'%');
                    let count = min + pick(next, max - min + 1);
                    for _ in 0..count {
                        value.push(members[pick(next, members.len())]);
                    }
                }
            }
        }
        value
    }
}

impl Pattern {
    /// A value that is one byte too short in its longest class.
    pub(crate) fn shorten(&self, next: &mut dyn FnMut() -> u64) -> Vec<u8> {
        let longest = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| match item {
                Item::Class { min, .. } => Some((*min, at)),
                Item::Literal(_) => None,
            });
        let mut shorter = self.clone();
        if let Some((_, at)) = longest.max()
            && let Item::Class { min, max, .. } = &mut shorter.items[at]
        {
            *min = min.saturating_sub(1);
            *max = *min;
        }
        shorter.generate(next)
    }

    /// A value of this shape whose every free place holds the same byte.
    pub(crate) fn mask(&self) -> Vec<u8> {
        let mut value = Vec::new();
        for item in &self.items {
            match item {
                Item::Literal(bytes) => value.extend_from_slice(bytes),
                Item::Class { set, min, .. } => {
                    let byte = if set.has(b'x') { b'x' } else { b'0' };
                    value.extend(std::iter::repeat_n(byte, *min));
                }
            }
        }
        value
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for item in &self.items {
            match item {
                Item::Literal(bytes) => f.write_str(&String::from_utf8_lossy(bytes))?,
                Item::Class { set, min, max } => {
                    let class = CLASSES.iter().find(|(_, known)| known == set);
                    write!(f, "{{{}:{min}", class.map_or("", |(name, _)| name))?;
                    if min != max {
                        write!(f, "-{max}")?;
                    }
                    f.write_str("}")?;
                }
            }
        }
        Ok(())
    }
}

fn pick(next: &mut dyn FnMut() -> u64, below: usize) -> usize {
    usize::try_from(next() >> 33).unwrap_or(0) % below.max(1)
}

fn class_item(text: &str) -> Result<Item, String> {
    let (name, length) = text
        .split_once(':')
        .ok_or_else(|| format!("`{{{text}}}` has no `:`"))?;
    let set = CLASSES
        .iter()
        .find(|(class, _)| *class == name)
        .map(|&(_, set)| set)
        .ok_or_else(|| format!("no class is called `{name}`"))?;
    let (low, high) = length.split_once('-').unwrap_or((length, length));
    let number = |text: &str| {
        text.parse::<usize>()
            .ok()
            .filter(|&n| n <= LONGEST_REPEAT)
            .ok_or_else(|| format!("`{text}` is no length up to {LONGEST_REPEAT}"))
    };
    let (min, max) = (number(low)?, number(high)?);
    if max == 0 || min > max {
        return Err(format!("`{length}` is no range"));
    }
    Ok(Item::Class { set, min, max })
}

/// Greedy, with a bounded number of steps back: items are few and literals cheap to refuse.
fn fit(items: &[Item], text: &[u8], at: usize, steps: &mut usize) -> Option<usize> {
    let Some((item, rest)) = items.split_first() else {
        return Some(at);
    };
    match item {
        Item::Literal(bytes) => {
            let end = at + bytes.len();
            (text.get(at..end)? == bytes.as_slice()).then(|| fit(rest, text, end, steps))?
        }
        Item::Class { set, min, max } => {
            let room = text.get(at..)?;
            let count = room
                .iter()
                .take(*max)
                .take_while(|&&byte| set.has(byte))
                .count();
            let mut take = count;
            while take >= *min {
                if let Some(end) = fit(rest, text, at + take, steps) {
                    return Some(end);
                }
                *steps = steps.checked_sub(1)?;
                take = take.checked_sub(1)?;
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, end: Option<usize>) {
        assert_eq!(
            Pattern::parse(pattern).unwrap().end_at(text.as_bytes(), 0),
            end,
            "{pattern} {text}"
        );
    }

    #[test]
    fn shapes_match_from_the_left_and_greedily() {
        check("AB{digit:2}", "AB12", Some(4));
        check("AB{digit:2}", "AB1", None);
        check("AB{digit:1-3}", "AB12345", Some(5));
        check("{b64:2-4}=", "abc=", Some(4));
        check("{alnum:1-9}-{digit:2}", "abc-12", Some(6));
        check("{lower:1-9}c{digit:1}", "abc1", Some(4));
    }

    #[test]
    fn what_a_pattern_generates_it_matches() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed
        };
        for text in [
            "LTAI{alnum:20}",
            "{b64:10-20}==",
            "{print:8}",
            "a{hex:4}-{tilde:3-5}",
        ] {
            let pattern = Pattern::parse(text).unwrap();
            for _ in 0..50 {
                let value = pattern.generate(&mut next);
                assert!(pattern.is_whole(&value), "{text}");
            }
        }
    }

    #[test]
    fn bad_patterns_are_refused_with_a_reason() {
        for text in [
            "",
            "{alnum}",
            "{alnum:9-1}",
            "{nothing:3}",
            "{alnum:99999}",
            "{alnum:3",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
