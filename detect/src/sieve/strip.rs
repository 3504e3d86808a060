//! A strip of text to the few places in it that are worth a look.
//!
//! Blocks are classified, the places that matter are written to lists, and the lists are thinned by
//! gates: three loops with hardly a branch that depends on the text, since a processor that guesses
//! wrong at every word is slower than one that asks about every word.

#![expect(
    clippy::cast_possible_truncation,
    reason = "bits are cut off on purpose, and places in a strip fit sixteen"
)]

use fearless_simd::prelude::*;
use fearless_simd::u64x8;

use super::masks::Masks;
use crate::rule::RuleSet;

/// Blocks of a strip.
const BLOCKS: usize = 32;
/// Bytes of a strip.
pub(super) const STRIP: usize = BLOCKS * 64;
/// Room of a list: every byte may matter, and a block's places are written four at a time.
const ROOM: usize = STRIP + 64;
/// Blocks in which the end of a URL's password is looked for.
const URL: u32 = 5;

/// What one strip holds. It is large, so one is used for text after text; nothing of a text is in it.
pub(crate) struct Strip {
    /// Of the block before, the strip's, and the one behind.
    masks: Classes,
    tokens: [u16; ROOM],
    token_count: usize,
    names: [u16; ROOM],
    name_count: usize,
    escapes: [u16; ROOM],
    escape_count: usize,
    /// A bit for each block in which a run of base64 comes to its thirty-second byte.
    dense: u32,
    /// A bit for each block that has an `@`; what is behind the strip may have one.
    at_signs: u64,
    /// Not zero once there was a byte beyond ASCII.
    foreign: u64,
    /// Two bytes in a row were written by their numbers.
    numbered: bool,
    /// A row of eight backslashes was seen.
    deep: bool,
}

impl Strip {
    pub(crate) fn new() -> Strip {
        Strip {
            masks: Classes::default(),
            tokens: [0; ROOM],
            token_count: 0,
            names: [0; ROOM],
            name_count: 0,
            escapes: [0; ROOM],
            escape_count: 0,
            dense: 0,
            at_signs: 0,
            foreign: 0,
            numbered: false,
            deep: false,
        }
    }

    /// Forgets the text before.
    pub(super) fn begin(&mut self) {
        // What the last strip ended with would stand before the first of the next.
        self.masks
            .each()
            .into_iter()
            .for_each(|bits| bits[BLOCKS] = 0);
        self.foreign = 0;
        self.numbered = false;
        self.deep = false;
    }

    /// Whether a byte beyond ASCII was in the text so far.
    pub(super) fn numbered(&self) -> bool {
        self.numbered
    }

    pub(super) fn deep(&self) -> bool {
        self.deep
    }

    pub(super) fn foreign(&self) -> bool {
        self.foreign != 0
    }

    /// Places in the strip where a token of some rule may begin, in order.
    pub(super) fn tokens(&self) -> &[u16] {
        &self.tokens[..self.token_count]
    }

    /// Places of separators behind what may be a telling name, and the like, in order.
    pub(super) fn names(&self) -> &[u16] {
        &self.names[..self.name_count]
    }

    /// Places of escapes behind which a token of some rule may begin, in order.
    pub(super) fn escapes(&self) -> &[u16] {
        &self.escapes[..self.escape_count]
    }

    /// Each run of base64 in each block in which it has its thirty-second byte or a later one: where the
    /// first such is in the strip, how many bytes of the run are seen up to there, and how many behind it.
    pub(super) fn wrapped(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut dense = self.dense;
        let (mut block, mut runs) = (0, 0);
        std::iter::from_fn(move || {
            if runs == 0 {
                block = dense.trailing_zeros() as usize;
                dense &= dense.wrapping_sub(1);
            }
            let [before, now, next] = *self.masks.base64.get(block..)?.first_chunk()?;
            if runs == 0 {
                runs = thirty_two(before, now);
            }
            let all = u128::from(now) << 64 | u128::from(before);
            let behind = u128::from(next) << 64 | u128::from(now);
            let end = runs.trailing_zeros();
            let seen = (all << 63_u32.checked_sub(end)?).leading_ones();
            let rest = (behind >> end).trailing_ones();
            // Adding to a run's first bit carries through all of the run.
            runs &= runs.wrapping_add(1 << end);
            Some((block * 64 + end as usize, seen as usize, rest as usize))
        })
    }

    /// Sifts the strip of `text` at `base`. Strips come in order.
    #[inline(always)]
    pub(super) fn sift<S: Simd>(&mut self, simd: S, text: &[u8], base: usize, rules: &RuleSet) {
        let blocks = (text.len() - base).div_ceil(64).min(BLOCKS);
        self.classify(simd, text, base);
        self.list(simd, blocks, rules.anchors().short_runs());
        self.thin_tokens(text, base, rules);
        self.thin_names(text, base, rules);
        self.thin_escapes(text, base, rules);
    }

    #[inline(always)]
    fn classify<S: Simd>(&mut self, simd: S, text: &[u8], base: usize) {
        self.masks.copy(BLOCKS, 0);
        let mut block = 1;
        if base > 0 {
            self.masks.copy(BLOCKS + 1, 1);
            block = 2;
        }
        let rest = text.get(base + (block - 1) * 64..).unwrap_or_default();
        let (blocks, tail) = rest.as_chunks::<64>();
        for (place, bytes) in (block..BLOCKS + 2).zip(blocks) {
            self.masks.set(place, Masks::of(simd, bytes));
        }
        block += blocks.len();
        if block < BLOCKS + 2 {
            let mut padded = [0; 64];
            padded[..tail.len()].copy_from_slice(tail);
            self.masks.set(block, Masks::of(simd, &padded));
            self.masks.clear(block + 1);
        }
    }

    /// Writes down where runs begin that go on for long enough, and where separators stand.
    #[inline(always)]
    fn list<S: Simd>(&mut self, simd: S, blocks: usize, short_runs: u64) {
        let (mut token_count, mut name_count, mut escape_count) = (0, 0, 0);
        let mut dense = 0;
        let mut at_signs = u64::MAX << BLOCKS;
        for first in (0..blocks).step_by(TOGETHER) {
            let classes = &self.masks;
            let tokens: [u64; TOGETHER] = token_starts(simd, classes, first, short_runs).into();
            let names: [u64; TOGETHER] = separators(simd, classes, first).into();
            let runs: [u64; TOGETHER] = ends_of_thirty_two(simd, classes, first).into();
            for block in first..first + TOGETHER {
                let offset = block as u16 * 64;
                let of = block - first;
                token_count += write(&mut self.tokens, token_count, tokens[of], offset);
                name_count += write(&mut self.names, name_count, names[of], offset);
                let escapes = self.masks.escapes[block + 1];
                if escapes != 0 {
                    escape_count += write(&mut self.escapes, escape_count, escapes, offset);
                }
                at_signs |= u64::from(self.masks.at_signs[block + 1] != 0) << block;
                dense |= u32::from(runs[of] != 0) << block;
                self.foreign |= self.masks.named[block + 1] & !self.masks.alnum[block + 1];
            }
        }
        self.token_count = token_count;
        self.name_count = name_count;
        self.escape_count = escape_count;
        self.dense = dense;
        self.at_signs = at_signs;
    }

    #[inline(always)]
    fn thin_tokens(&mut self, text: &[u8], base: usize, rules: &RuleSet) {
        let anchors = rules.anchors();
        let text = &text[base..];
        let mut kept = 0;
        for number in 0..self.token_count.min(ROOM) {
            let place = self.tokens[number];
            let may = match text.get(usize::from(place)..).and_then(<[u8]>::first_chunk) {
                Some(&word) => anchors.may_begin_soon(u32::from_le_bytes(word)),
                None => false,
            };
            self.tokens[kept.min(number)] = place;
            kept += usize::from(may);
        }
        self.token_count = kept;
    }

    #[inline(always)]
    fn thin_escapes(&mut self, text: &[u8], base: usize, rules: &RuleSet) {
        let anchors = rules.anchors();
        let text = &text[base..];
        let mut kept = 0;
        for number in 0..self.escape_count.min(ROOM) {
            let place = self.escapes[number];
            let may = match text.get(usize::from(place)..).and_then(<[u8]>::first_chunk) {
                Some(&behind) => {
                    let behind = u64::from_le_bytes(behind);
                    let percent = behind as u8 == b'%';
                    self.numbered |= behind & TWO_NUMBERS == X_AND_X;
                    self.deep |= behind == u64::from_le_bytes([b'\\'; 8]);
                    let letter = (behind >> 8) as u8;
                    let white = (letter == b'n') | (letter == b't') | (letter == b'r');
                    let key = (behind >> (16 + 8 * u32::from(percent))) as u32;
                    let begins = (percent | white) & anchors.may_begin_soon(key);
                    begins | is_written_out(behind)
                }
                None => false,
            };
            self.escapes[kept.min(number)] = place;
            kept += usize::from(may);
        }
        self.escape_count = kept;
    }

    #[inline(always)]
    fn thin_names(&mut self, text: &[u8], base: usize, rules: &RuleSet) {
        let mut kept = 0;
        for number in 0..self.name_count.min(ROOM) {
            let place = self.names[number];
            let (block, bit) = (usize::from(place / 64), u32::from(place % 64));
            let at = base + usize::from(place);
            let around = text
                .get(at.wrapping_sub(FARTHEST + 4)..)
                .and_then(<[u8]>::first_chunk);
            let may = match (around, self.masks.named.get(block..block + 2)) {
                (Some(around), Some([before, now])) => {
                    let behind = before >> bit | now << (63 - bit) << 1;
                    let at_sign = self.at_signs >> block & ((1 << URL) - 1) != 0;
                    may_tell(around, behind.leading_zeros() as usize, at_sign, rules)
                }
                // Where the text begins and ends, there is not enough of it to tell.
                _ => true,
            };
            self.names[kept.min(number)] = place;
            kept += usize::from(may);
        }
        self.name_count = kept;
    }
}

/// Writes the places of `bits` to `list` from `from` on and answers how many there are. Four are
/// written at a time, whether there are that many or not.
#[inline(always)]
fn write(list: &mut [u16; ROOM], from: usize, mut bits: u64, offset: u16) -> usize {
    let count = bits.count_ones() as usize;
    let Some(room) = list
        .get_mut(from..)
        .and_then(<[u16]>::first_chunk_mut::<64>)
    else {
        return 0;
    };
    for four in room.as_chunks_mut::<4>().0 {
        for place in four {
            *place = offset.wrapping_add(bits.trailing_zeros() as u16);
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
    count
}

/// Where in the second block runs of thirty-two bytes or more go on.
#[inline(always)]
fn thirty_two(before: u64, now: u64) -> u64 {
    let mut run = u128::from(now) << 64 | u128::from(before);
    for shift in [1, 2, 4, 8, 16] {
        run &= run << shift;
    }
    (run >> 64) as u64
}

/// `\x` and, behind its two digits, `\x` again; and which bytes of eight those are.
const X_AND_X: u64 = u64::from_le_bytes(*b"\\x\0\0\\x\0\0");
const TWO_NUMBERS: u64 = 0x0000_ffff_0000_ffff;

/// Whether eight bytes begin with a separator that is escaped by its number, `%3D` or `\u003a`, with one
/// of several characters that are, `\u0061\u`, `\141\1`, `\x61\x`, or with what was so and is escaped
/// again, `%253D` or `%5C141`.
#[inline(always)]
fn is_written_out(behind: u64) -> bool {
    let lower = behind | 0x2020_2020_2020_2000;
    let three = lower as u32 & 0x00ff_ffff;
    let next = (lower >> 24) as u16;
    let percent =
        (three == u32::from_le_bytes(*b"%3d\0")) | (three == u32::from_le_bytes(*b"%3a\0"));
    // An escape of an escape.
    let again = (three == u32::from_le_bytes(*b"%25\0"))
        & ((next == u16::from_le_bytes(*b"25"))
            | (next == u16::from_le_bytes(*b"3d"))
            | (next == u16::from_le_bytes(*b"3a"))
            | (next == u16::from_le_bytes(*b"5c")));
    let letter = (behind >> 24) as u8;
    let backslash = (three == u32::from_le_bytes(*b"%5c\0"))
        & ((letter == b'u') | (letter == b'x') | (letter & 0xfc == b'0'));
    let unicode = lower as u32 == u32::from_le_bytes(*b"\\u00");
    let number = (lower >> 32) as u16;
    let separator = (number == u16::from_le_bytes(*b"3d")) | (number == u16::from_le_bytes(*b"3a"));
    let after = |bytes: u32| (behind >> (8 * bytes)) as u8 == b'\\';
    let byte = (behind as u8 == b'\\')
        & (((behind >> 8) as u8 == b'x') | ((behind >> 8) as u8 & 0xfc == b'0'));
    percent
        | again
        | backslash
        | (unicode & (separator | after(6)))
        | (byte & (after(4) | after(5)))
}

/// The masks of a strip's blocks, class by class, so that eight blocks are looked at together.
struct Classes {
    alnum: Bits,
    separators: Bits,
    arguments: Bits,
    colons: Bits,
    slashes: Bits,
    quotes: Bits,
    white: Bits,
    newlines: Bits,
    named: Bits,
    joined: Bits,
    escapes: Bits,
    token: Bits,
    base64: Bits,
    at_signs: Bits,
}

type Bits = [u64; BLOCKS + 2];

impl Default for Classes {
    fn default() -> Classes {
        let none = [0; BLOCKS + 2];
        Classes {
            alnum: none,
            separators: none,
            arguments: none,
            colons: none,
            slashes: none,
            quotes: none,
            white: none,
            newlines: none,
            named: none,
            joined: none,
            escapes: none,
            token: none,
            base64: none,
            at_signs: none,
        }
    }
}

impl Classes {
    fn each(&mut self) -> [&mut Bits; 14] {
        [
            &mut self.alnum,
            &mut self.separators,
            &mut self.arguments,
            &mut self.colons,
            &mut self.slashes,
            &mut self.quotes,
            &mut self.white,
            &mut self.newlines,
            &mut self.named,
            &mut self.joined,
            &mut self.escapes,
            &mut self.token,
            &mut self.base64,
            &mut self.at_signs,
        ]
    }

    #[inline(always)]
    fn copy(&mut self, from: usize, to: usize) {
        self.each()
            .into_iter()
            .for_each(|bits| bits[to] = bits[from]);
    }

    #[inline(always)]
    fn clear(&mut self, from: usize) {
        self.each()
            .into_iter()
            .for_each(|bits| bits[from..].fill(0));
    }

    #[inline(always)]
    fn set(&mut self, place: usize, masks: Masks) {
        self.alnum[place] = masks.alnum;
        self.separators[place] = masks.separators;
        self.arguments[place] = masks.arguments;
        self.colons[place] = masks.colons;
        self.slashes[place] = masks.slashes;
        self.quotes[place] = masks.quotes;
        self.white[place] = masks.white;
        self.newlines[place] = masks.newlines;
        self.named[place] = masks.named;
        self.joined[place] = masks.joined;
        self.escapes[place] = masks.escapes;
        self.token[place] = masks.token;
        self.base64[place] = masks.base64;
        self.at_signs[place] = masks.at_signs;
    }
}

/// Blocks that are looked at together.
const TOGETHER: usize = 8;

/// Eight blocks' bits of one class, and those of the blocks one further back or on.
#[inline(always)]
fn eight<S: Simd>(simd: S, bits: &Bits, from: usize) -> u64x8<S> {
    u64x8::from_slice(simd, &bits[from..from + TOGETHER])
}

/// Bits moved towards the beginning, those of the `next` blocks behind them.
#[inline(always)]
fn ahead<S: Simd>(now: u64x8<S>, next: u64x8<S>, by: u32) -> u64x8<S> {
    now >> by | next << (64 - by)
}

/// Bits moved towards the end, those of the blocks `before` in front of them.
#[inline(always)]
fn back<S: Simd>(before: u64x8<S>, now: u64x8<S>, by: u32) -> u64x8<S> {
    now << by | before >> (64 - by)
}

/// Where in eight blocks a token may begin: a run of letters and digits does, nothing before it goes on
/// into it, and at least [`LONG`](super::anchors::LONG) bytes of tokens follow unless `short_runs` says
/// that fewer do.
#[inline(always)]
fn token_starts<S: Simd>(simd: S, classes: &Classes, first: usize, short_runs: u64) -> u64x8<S> {
    let now = |bits| eight(simd, bits, first + 1);
    let joined = back(eight(simd, &classes.joined, first), now(&classes.joined), 1);
    let starts = now(&classes.alnum) & !joined;
    starts & (long_runs(now(&classes.token), eight(simd, &classes.token, first + 2)) | short_runs)
}

/// Which bits begin a run of [`LONG`](super::anchors::LONG).
#[inline(always)]
fn long_runs<S: Simd>(now: u64x8<S>, next: u64x8<S>) -> u64x8<S> {
    const { assert!(super::anchors::LONG == 15, "the steps add up to it") };
    let two = now & ahead(now, next, 1);
    let next_two = next & next >> 1;
    let four = two & ahead(two, next_two, 2);
    let next_four = next_two & next_two >> 2;
    let eight = four & ahead(four, next_four, 4);
    let next_eight = next_four & next_four >> 4;
    eight & ahead(eight, next_eight, 7)
}

/// Where in eight blocks a separator stands behind a name on its line, for arguments before a string; and
/// the colons of `://`.
#[inline(always)]
fn separators<S: Simd>(simd: S, classes: &Classes, first: usize) -> u64x8<S> {
    let now = |bits| eight(simd, bits, first + 1);
    let next = |bits| eight(simd, bits, first + 2);
    let named = now(&classes.named);
    let between = !(named | now(&classes.newlines));
    // A name that ended in the block before goes as far as it may: whether a line ended in between is
    // seen when the name is read.
    let far = eight(simd, &classes.named, first) >> (64 - FARTHEST as u32);
    let far = (far + ((1 << FARTHEST) - 1)) >> FARTHEST as u32;
    let begin = between & (named << 1 | far);
    // Adding to a run's first bit carries through all of the run.
    let behind = between & !(between + begin);
    let (slashes, slashes_next) = (now(&classes.slashes), next(&classes.slashes));
    let urls =
        now(&classes.colons) & ahead(slashes, slashes_next, 1) & ahead(slashes, slashes_next, 2);
    let (quotes, quotes_next) = (now(&classes.quotes), next(&classes.quotes));
    let (white, white_next) = (now(&classes.white), next(&classes.white));
    let (mut string, mut string_next) = (quotes, quotes_next);
    for _ in 0..4 {
        string = quotes | white & ahead(string, string_next, 1);
        string_next = quotes_next | white_next & string_next >> 1;
    }
    let strange = now(&classes.arguments) & !ahead(string, string_next, 1);
    now(&classes.separators) & behind & !strange | urls
}

/// Where in eight blocks runs of thirty-two bytes of base64 or more go on.
#[inline(always)]
fn ends_of_thirty_two<S: Simd>(simd: S, classes: &Classes, first: usize) -> u64x8<S> {
    let mut before = eight(simd, &classes.base64, first);
    let mut now = eight(simd, &classes.base64, first + 1);
    for by in [1, 2, 4, 8, 16] {
        now = now & back(before, now, by);
        before = before & before << by;
    }
    now
}

/// How far before a separator the last letter or digit of a name stands at most.
const FARTHEST: usize = 14;

/// Whether the separator behind the first eighteen bytes can be anything: the name before it ends `gap`
/// bytes earlier. A URL is something only with an `@` in it.
#[inline(always)]
fn may_tell(around: &[u8; FARTHEST + 7], gap: usize, at_sign: bool, rules: &RuleSet) -> bool {
    let [.., a, b, c] = *around;
    if [a, b, c] == *b"://" {
        return at_sign;
    }
    let Some(&last) = around
        .get(NAME.wrapping_sub(gap)..)
        .and_then(<[u8]>::first_chunk)
    else {
        return gap <= FARTHEST;
    };
    let word = u64::from_le_bytes(last) | 0x2020_2020_2020_2020;
    let letters = super::letters(word);
    let plain = letters & THREE == THREE;
    if !plain && gap <= NEAR {
        return odd_may_tell(last, gap, rules);
    }
    rules.names().may_speak_word(word, letters) | (gap > NEAR)
}

/// The same of a name whose `last` three bytes are not all letters and that ends `gap` bytes before its
/// separator, as `super::odd_ending` reads it: `x`, `T`, `id`, `a.b`, `u8`. Where that would look further,
/// it is asked.
#[inline(always)]
fn odd_may_tell(last: [u8; 8], gap: usize, rules: &RuleSet) -> bool {
    let mut word = u64::from_le_bytes(last);
    let next = |word: u64| (word >> 56) as u8;
    let mut digits = 0;
    while next(word).is_ascii_digit() {
        word <<= 8;
        digits += 1;
    }
    // `password[65]`
    if digits > 0 && (gap + digits > NEAR || next(word) == b'[') {
        return true;
    }
    let (mut ending, mut found) = (0, 0);
    for _ in 0..(8 - digits).min(FARTHEST - gap) {
        let byte = next(word);
        word <<= 8;
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            ending |= u32::from(byte.to_ascii_lowercase()) << (24 - 8 * found);
            found += 1;
            if found == 3 {
                return rules.names().may_speak_three(ending);
            }
        } else if found >= 2 && !matches!(byte, b'_' | b'-') {
            return rules.names().may_speak_three(ending);
        } else if !matches!(byte, b'_' | b'-' | b'.' | b' ') {
            return false;
        }
    }
    true
}

/// Where the last eight bytes of a name begin that stands right before its separator.
const NAME: usize = FARTHEST - 4;
/// The highest bits of the last three bytes of eight.
const THREE: u64 = 0x8080_8000_0000_0000;

/// Bytes between a name and its separator of which the name's end is told exactly.
const NEAR: usize = 8;

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::super::anchors::LONG;
    use super::*;

    #[test]
    fn long_runs_are_seen_wherever_they_lie() {
        for start in 0..64_u32 {
            for length in 0..64_u32 {
                let run = ((1_u128 << length) - 1) << start;
                let (now, next) = (run as u64, (run >> 64) as u64);
                let found: [u64; 8] = dispatch!(Level::new(), simd => {
                    long_runs(u64x8::splat(simd, now), u64x8::splat(simd, next)).into()
                });
                for bit in start..64 {
                    let left = (start + length).saturating_sub(bit);
                    assert_eq!(
                        found[3] >> bit & 1 == 1,
                        left as usize >= LONG,
                        "{length} from {start}"
                    );
                }
            }
        }
    }

    #[test]
    fn runs_of_thirty_two_are_seen_across_blocks() {
        for start in 0..=96 {
            let run = 0xffff_ffff_u128 << start;
            let mut classes = Classes::default();
            (classes.base64[4], classes.base64[5]) = (run as u64, (run >> 64) as u64);
            let found: [u64; 8] = dispatch!(Level::new(), simd => {
                ends_of_thirty_two(simd, &classes, 0).into()
            });
            assert_eq!(found[4] != 0, start + 31 >= 64, "from {start}");
            assert_eq!(found[4], thirty_two(classes.base64[4], classes.base64[5]));
        }
    }
}
