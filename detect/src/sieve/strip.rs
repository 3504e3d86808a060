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

/// What one strip holds.
pub(super) struct Strip {
    /// Of the block before, the strip's, and the one behind.
    masks: [Masks; BLOCKS + 2],
    tokens: [u16; ROOM],
    token_count: usize,
    names: [u16; ROOM],
    name_count: usize,
    escapes: [u16; ROOM],
    escape_count: usize,
    /// A bit for each block in which a run of base64 comes to its thirty-second byte.
    dense: u32,
    /// Whether the last block held sixteen bytes of base64 together.
    was_dense: bool,
    /// A bit for each block that has an `@`; what is behind the strip may have one.
    at_signs: u64,
}

impl Strip {
    pub(super) fn new() -> Strip {
        Strip {
            masks: [Masks::default(); BLOCKS + 2],
            tokens: [0; ROOM],
            token_count: 0,
            names: [0; ROOM],
            name_count: 0,
            escapes: [0; ROOM],
            escape_count: 0,
            dense: 0,
            was_dense: false,
            at_signs: 0,
        }
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

    /// Each block in which a run of base64 comes to its thirty-second byte: where that is in the strip,
    /// how many bytes of the run are seen up to there, and how many behind it.
    pub(super) fn wrapped(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut dense = self.dense;
        std::iter::from_fn(move || {
            let block = dense.trailing_zeros() as usize;
            dense &= dense.wrapping_sub(1);
            let [before, now, next] = self.masks.get(block..)?.first_chunk()?;
            let all = u128::from(now.base64) << 64 | u128::from(before.base64);
            let behind = u128::from(next.base64) << 64 | u128::from(now.base64);
            let end = thirty_two(before.base64, now.base64).trailing_zeros();
            let seen = (all << 63_u32.checked_sub(end)?).leading_ones();
            let rest = (behind >> end).trailing_ones();
            Some((block * 64 + end as usize, seen as usize, rest as usize))
        })
    }

    /// Sifts the strip of `text` at `base`. Strips come in order.
    #[inline(always)]
    pub(super) fn sift<S: Simd>(&mut self, simd: S, text: &[u8], base: usize, rules: &RuleSet) {
        let blocks = (text.len() - base).div_ceil(64).min(BLOCKS);
        self.classify(simd, text, base);
        self.list(blocks, rules.anchors().short_runs());
        self.thin_tokens(text, base, rules);
        self.thin_names(text, base, rules);
        self.thin_escapes(text, base, rules);
    }

    #[inline(always)]
    fn classify<S: Simd>(&mut self, simd: S, text: &[u8], base: usize) {
        self.masks[0] = self.masks[BLOCKS];
        let mut block = 1;
        if base > 0 {
            self.masks[1] = self.masks[BLOCKS + 1];
            block = 2;
        }
        let rest = text.get(base + (block - 1) * 64..).unwrap_or_default();
        let (blocks, tail) = rest.as_chunks::<64>();
        for (mask, bytes) in self.masks[block..].iter_mut().zip(blocks) {
            *mask = Masks::of(simd, bytes);
        }
        block += blocks.len();
        if block < BLOCKS + 2 {
            let mut padded = [0; 64];
            padded[..tail.len()].copy_from_slice(tail);
            self.masks[block] = Masks::of(simd, &padded);
            self.masks[block + 1..].fill(Masks::default());
        }
    }

    /// Writes down where runs begin that go on for long enough, and where separators stand.
    #[inline(always)]
    fn list(&mut self, blocks: usize, short_runs: u64) {
        let (mut token_count, mut name_count, mut escape_count) = (0, 0, 0);
        let mut dense = 0;
        let mut was_dense = self.was_dense;
        let mut at_signs = u64::MAX << BLOCKS;
        let masks = &self.masks[..blocks + 2];
        for (block, [before, now, next]) in masks.array_windows().enumerate() {
            let starts = now.alnum & !(now.alnum << 1 | before.alnum >> 63);
            let long = starts & (long_runs(now.token, next.token) | short_runs);
            let offset = block as u16 * 64;
            token_count += write(&mut self.tokens, token_count, long, offset);
            name_count += write(&mut self.names, name_count, now.separators, offset);
            if now.escapes != 0 {
                escape_count += write(&mut self.escapes, escape_count, now.escapes, offset);
            }
            at_signs |= u64::from(now.at_signs != 0) << block;
            let is_dense = holds_sixteen(now.base64);
            if (is_dense | was_dense) && thirty_two(before.base64, now.base64) != 0 {
                dense |= 1 << block;
            }
            was_dense = is_dense;
        }
        self.token_count = token_count;
        self.name_count = name_count;
        self.escape_count = escape_count;
        self.dense = dense;
        self.was_dense = was_dense;
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
            let at = base + usize::from(place);
            let around = text.get(at.wrapping_sub(8)..).and_then(<[u8]>::first_chunk);
            // Where the text begins and ends, there is not enough of it to tell.
            let may = match around {
                Some(&around) => {
                    let at_sign = self.at_signs >> (place / 64) & ((1 << URL) - 1) != 0;
                    may_tell(u128::from_le_bytes(around), at_sign, rules)
                }
                None => true,
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

/// Which bits of the first word begin a run that fills their byte, or goes on to its end and through all
/// of the next: every run of [`LONG`](super::anchors::LONG) does, and few shorter ones.
#[inline(always)]
fn long_runs(now: u64, next: u64) -> u64 {
    let mut run = now & (now >> 1 | 0x8080_8080_8080_8080);
    run &= run >> 2 | 0xc0c0_c0c0_c0c0_c0c0;
    run &= run >> 4 | 0xf0f0_f0f0_f0f0_f0f0;
    let full = (run & 0x0101_0101_0101_0101).wrapping_mul(0xff);
    let behind = u64::from(next as u8 == 0xff).wrapping_neg();
    run & (0x0101_0101_0101_0101 | full >> 8 | behind << 56)
}

/// Whether sixteen bits at a multiple of sixteen are set: every run of thirty-two holds such.
#[inline(always)]
fn holds_sixteen(mut bits: u64) -> bool {
    for shift in [1, 2, 4, 8] {
        bits &= bits >> shift;
    }
    bits & 0x0001_0001_0001_0001 != 0
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

/// Whether eight bytes begin with a separator that is escaped by its number, `%3D` or `\u003a`, or with
/// one of several characters that are: `\u0061\u`, `\141\1`, `\x61\x`.
#[inline(always)]
fn is_written_out(behind: u64) -> bool {
    let lower = behind | 0x2020_2020_2020_2000;
    let three = lower as u32 & 0x00ff_ffff;
    let percent =
        (three == u32::from_le_bytes(*b"%3d\0")) | (three == u32::from_le_bytes(*b"%3a\0"));
    let unicode = lower as u32 == u32::from_le_bytes(*b"\\u00");
    let number = (lower >> 32) as u16;
    let separator = (number == u16::from_le_bytes(*b"3d")) | (number == u16::from_le_bytes(*b"3a"));
    let after = |bytes: u32| (behind >> (8 * bytes)) as u8 == b'\\';
    let byte = (behind as u8 == b'\\')
        & (((behind >> 8) as u8 == b'x') | ((behind >> 8) as u8 & 0xfc == b'0'));
    percent | (unicode & (separator | after(6))) | (byte & (after(4) | after(5)))
}

/// Whether the separator in the middle of sixteen bytes can be anything. A URL is something only with
/// an `@` in it.
#[inline(always)]
fn may_tell(around: u128, at_sign: bool, rules: &RuleSet) -> bool {
    let before = around as u64;
    let behind = (around >> 64) as u64;
    let separator = behind as u8;
    let next = (behind >> 8) as u8;
    // A name ends right before it, or has one quote or blank behind it.
    let last = (before >> 56) as u8;
    let skip = u32::from((last == b'"') | (last == b' ')) * 8;
    let word = (before >> (32 - skip)) as u32 | 0x2020_2020;
    let letters = super::letters(word);
    let plain = letters & 0x8080_8000 == 0x8080_8000;
    let fourth = (letters >> 7 & 1) * 0xff;
    let speaks = rules.names().may_speak_word(word & (0xffff_ff00 | fourth));
    // Of arguments only strings are read.
    let argument = separator & 0xfb == b'(';
    let string = FOLLOWS[usize::from(next)];
    let named = (!plain | speaks) & (!argument | string);
    let url = behind as u32 & 0x00ff_ffff == u32::from_le_bytes(*b"://\0");
    if url { at_sign } else { named }
}

/// Whether a byte behind a bracket or a comma is a quote, or a blank before one.
const FOLLOWS: [bool; 256] = {
    let mut follows = [false; 256];
    let bytes = b"\"'` \t\n\r\x0c";
    let mut at = 0;
    while at < bytes.len() {
        follows[bytes[at] as usize] = true;
        at += 1;
    }
    follows
};

#[cfg(test)]
mod tests {
    use super::super::anchors::LONG;
    use super::*;

    #[test]
    fn long_runs_are_seen_wherever_they_lie() {
        for start in 0..64 {
            for length in 0..64 {
                let run = ((1_u128 << length) - 1) << start;
                let (now, next) = (run as u64, (run >> 64) as u64);
                let long = long_runs(now, next) >> start & 1 == 1;
                assert!(long || length < LONG, "{length} from {start}");
                assert!(!long || length >= 8, "{length} from {start}");
            }
        }
    }

    #[test]
    fn runs_of_thirty_two_hold_sixteen() {
        for start in 0..=96 {
            let run = 0xffff_ffff_u128 << start;
            let (before, now) = (run as u64, (run >> 64) as u64);
            assert!(holds_sixteen(before) || holds_sixteen(now), "from {start}");
            assert_eq!(
                thirty_two(before, now) != 0,
                start + 31 >= 64,
                "from {start}"
            );
        }
    }
}
