//! A strip of text to the few places in it that are worth a look.
//!
//! Blocks are classified, the places that matter are written to lists, and the lists are thinned by
//! gates: three loops without a branch that depends on the text, since a processor that guesses wrong
//! at every word is slower than one that asks about every word.

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

/// What one strip holds.
pub(super) struct Strip {
    /// Of the block before, the strip's, and the one behind.
    masks: [Masks; BLOCKS + 2],
    tokens: List,
    names: List,
    /// A bit for each block in which a long run may come to its thirty-second byte.
    dense: u32,
    /// Whether a block holds the beginning of a long run.
    was_long: bool,
}

impl Strip {
    pub(super) fn new() -> Strip {
        Strip {
            masks: [Masks::default(); BLOCKS + 2],
            tokens: List::new(),
            names: List::new(),
            dense: 0,
            was_long: false,
        }
    }

    /// Places in the strip where a token of some rule may begin, in order.
    pub(super) fn tokens(&self) -> &[u16] {
        self.tokens.all()
    }

    /// Places of separators behind what may be a telling name, and the like, in order.
    pub(super) fn names(&self) -> &[u16] {
        self.names.all()
    }

    /// Each block in which a run of base64 comes to its thirty-second byte: where that is in the strip,
    /// and how many bytes of the run are seen up to there.
    pub(super) fn wrapped(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..BLOCKS)
            .filter(|block| self.dense >> block & 1 == 1)
            .filter_map(|block| {
                let (before, now) = (self.masks[block].base64, self.masks[block + 1].base64);
                let all = u128::from(now) << 64 | u128::from(before);
                let ends = thirty_two(before, now);
                let end = ends.trailing_zeros();
                let length = (all << (63_u32.checked_sub(end)?)).leading_ones();
                Some((block * 64 + end as usize, length as usize))
            })
    }

    /// Sifts the strip of `text` at `base`. Strips come in order.
    #[inline(always)]
    pub(super) fn sift<S: Simd>(&mut self, simd: S, text: &[u8], base: usize, rules: &RuleSet) {
        self.classify(simd, text, base);
        self.list(rules.anchors().short_runs());
        self.thin_tokens(text, base, rules);
        self.thin_names(text, base, rules);
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
        for bytes in blocks.iter().take(BLOCKS + 2 - block) {
            self.masks[block] = Masks::of(simd, bytes);
            block += 1;
        }
        if block < BLOCKS + 2 {
            let mut padded = [0; 64];
            padded[..tail.len()].copy_from_slice(tail);
            self.masks[block] = Masks::of(simd, &padded);
            self.masks[block + 1..].fill(Masks::default());
        }
    }

    /// Writes down where runs begin that go on for long enough, and where separators stand.
    #[inline(always)]
    fn list(&mut self, short_runs: u64) {
        self.tokens.length = 0;
        self.names.length = 0;
        self.dense = 0;
        for (block, [before, now, next]) in self.masks.array_windows().enumerate() {
            let mut run = u128::from(next.token) << 64 | u128::from(now.token);
            for shift in [1, 2, 4, 8] {
                run &= run >> shift;
            }
            let long = run as u64;
            let starts = now.alnum & !(now.alnum << 1 | before.alnum >> 63);
            self.tokens.write(starts & (long | short_runs), block);
            self.names.write(now.separators, block);
            let is_long = long != 0;
            if (is_long | self.was_long) && thirty_two(before.base64, now.base64) != 0 {
                self.dense |= 1 << block;
            }
            self.was_long = is_long;
        }
    }

    #[inline(always)]
    fn thin_tokens(&mut self, text: &[u8], base: usize, rules: &RuleSet) {
        let anchors = rules.anchors();
        let text = &text[base..];
        let list = &mut self.tokens;
        let mut kept = 0;
        for number in 0..list.length.min(ROOM) {
            let place = list.places[number];
            let word = text.get(usize::from(place)..).and_then(<[u8]>::first_chunk);
            let may = word.is_some_and(|&word| anchors.may_begin(u32::from_le_bytes(word)));
            list.places[kept.min(number)] = place;
            kept += usize::from(may);
        }
        list.length = kept;
    }

    #[inline(always)]
    fn thin_names(&mut self, text: &[u8], base: usize, rules: &RuleSet) {
        let list = &mut self.names;
        let mut kept = 0;
        for number in 0..list.length.min(ROOM) {
            let place = list.places[number];
            let at = base + usize::from(place);
            let around = text.get(at.wrapping_sub(8)..).and_then(<[u8]>::first_chunk);
            // Where the text begins and ends, there is not enough of it to tell.
            let may = match around {
                Some(&around) => may_tell(u128::from_le_bytes(around), rules),
                None => true,
            };
            list.places[kept.min(number)] = place;
            kept += usize::from(may);
        }
        list.length = kept;
    }
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

/// Whether the separator in the middle of sixteen bytes can be anything.
#[inline(always)]
fn may_tell(around: u128, rules: &RuleSet) -> bool {
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
    let speaks = rules.names().may_speak_word(word, letters & 0x80 != 0);
    // Of arguments only strings are read.
    let blank = next.is_ascii_whitespace();
    let quote = (next == b'"') | (next == b'\'') | (next == b'`');
    let argument = (separator == b'(') | (separator == b',');
    let named = (!plain | speaks) & (!argument | blank | quote);
    // After an escape a token may begin that no run shows: `\nAKID…`, `%3DAKID…`.
    let percent = separator == b'%';
    let backslash = separator == b'\\';
    let white = (next == b'n') | (next == b't') | (next == b'r');
    let escaped = percent | (backslash & white);
    let key = (behind >> (16 + 8 * u32::from(percent))) as u32;
    let url = behind as u32 & 0x00ff_ffff == u32::from_le_bytes(*b"://\0");
    let escape = percent | backslash;
    (escaped & rules.anchors().may_begin(key)) | (!escape & (url | named))
}

/// Places of a strip, in order.
struct List {
    places: [u16; ROOM],
    length: usize,
}

impl List {
    fn new() -> List {
        List {
            places: [0; ROOM],
            length: 0,
        }
    }

    fn all(&self) -> &[u16] {
        &self.places[..self.length]
    }

    /// Adds a block's places. Four are written at a time, whether there are that many or not.
    #[inline(always)]
    fn write(&mut self, mut bits: u64, block: usize) {
        let count = bits.count_ones() as usize;
        let Some(room) = self
            .places
            .get_mut(self.length..)
            .and_then(<[u16]>::first_chunk_mut::<64>)
        else {
            return;
        };
        let offset = block as u16 * 64;
        for four in room.as_chunks_mut::<4>().0 {
            for place in four {
                *place = offset.wrapping_add(bits.trailing_zeros() as u16);
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
        self.length += count;
    }
}
