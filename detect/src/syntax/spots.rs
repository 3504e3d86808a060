//! Where in a text something may stand that has no separator: in one pass over it, by vectors.
//!
//! Flags, strings beside names, [idioms](super::idiom) and [sentences](super::prose) are each looked for
//! in all short texts, and each begins with bytes that are common by themselves. Told by two or three
//! bytes at a time few places are left, and those who ask look at each of them.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

/// Places among sixty-four bytes, a bit for each. What is none may be among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spots {
    /// The byte behind the first dash of a flag.
    pub(crate) flags: u64,
    /// A quote behind a blank, or a bar.
    pub(crate) strings: u64,
    /// The last byte of an idiom's mark, or the second of one that begins with `%`.
    pub(crate) marks: u64,
    /// The third byte of a noun in Latin letters.
    pub(crate) nouns: u64,
    /// Bytes beyond ASCII.
    pub(crate) foreign: u64,
}

impl Spots {
    /// What there is of each in all of `text`.
    pub(crate) fn of(text: &[u8]) -> Spots {
        let mut all = Spots::default();
        each(text, |_, spots| {
            all.flags |= spots.flags;
            all.strings |= spots.strings;
            all.marks |= spots.marks;
            all.nouns |= spots.nouns;
            all.foreign |= spots.foreign;
        });
        all
    }
}

/// The places of `bits`, which stand for the bytes from `base` on.
pub(crate) fn places(mut bits: u64, base: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(base + bit)
    })
}

/// Calls `found` for each sixty-four bytes of `text` with where they begin and their spots.
pub(crate) fn each(text: &[u8], found: impl FnMut(usize, &Spots)) {
    dispatch!(Level::new(), simd => each_with(simd, text, found));
}

#[inline(always)]
fn each_with<S: Simd>(simd: S, text: &[u8], mut found: impl FnMut(usize, &Spots)) {
    let (blocks, tail) = text.as_chunks::<64>();
    // What begins has blanks before it, and no letters.
    let mut before = Classes {
        white: u64::MAX,
        ..Classes::default()
    };
    let mut base = 0;
    for block in blocks {
        let now = Classes::of(simd, block);
        found(base, &now.spots(&before));
        before = now;
        base += 64;
    }
    if !tail.is_empty() {
        let mut padded = [0; 64];
        padded[..tail.len()].copy_from_slice(tail);
        let mut spots = Classes::of(simd, &padded).spots(&before);
        // Every one ends with a byte that is not zero, so that none is in the padding.
        spots.foreign &= u64::MAX >> (64 - tail.len());
        found(base, &spots);
    }
}

/// Which of sixty-four bytes are what; letters in either case.
#[derive(Clone, Copy, Default)]
struct Classes {
    letters: u64,
    a: u64,
    d: u64,
    e: u64,
    g: u64,
    l: u64,
    n: u64,
    o: u64,
    p: u64,
    r: u64,
    s: u64,
    t: u64,
    w: u64,
    y: u64,
    underscores: u64,
    brackets: u64,
    braces: u64,
    dashes: u64,
    percents: u64,
    bars: u64,
    /// Both quotes, `#` and `&`.
    quotes: u64,
    backticks: u64,
    /// Blanks, ends of lines and control characters.
    white: u64,
    foreign: u64,
}

impl Classes {
    #[inline(always)]
    fn of<S: Simd>(simd: S, block: &[u8; 64]) -> Classes {
        let bytes = u8x64::from_slice(simd, block);
        let lower = bytes | 0x20;
        let is = |of: u8| bytes.simd_eq(u8x64::splat(simd, of)).to_bitmask();
        let letter = |of: u8| lower.simd_eq(u8x64::splat(simd, of)).to_bitmask();
        let some = u8x64::splat(simd, b'"');
        Classes {
            letters: (lower - b'a').simd_lt(u8x64::splat(simd, 26)).to_bitmask(),
            a: letter(b'a'),
            d: letter(b'd'),
            e: letter(b'e'),
            g: letter(b'g'),
            l: letter(b'l'),
            n: letter(b'n'),
            o: letter(b'o'),
            p: letter(b'p'),
            r: letter(b'r'),
            s: letter(b's'),
            t: letter(b't'),
            w: letter(b'w'),
            y: letter(b'y'),
            underscores: is(b'_'),
            brackets: is(b'('),
            braces: is(b'{'),
            dashes: is(b'-'),
            percents: is(b'%'),
            bars: is(b'|'),
            quotes: (bytes & 0xfa).simd_eq(some).to_bitmask(),
            backticks: is(b'`'),
            white: bytes.simd_lt(u8x64::splat(simd, b' ' + 1)).to_bitmask(),
            foreign: bytes.simd_ge(u8x64::splat(simd, 0x80)).to_bitmask(),
        }
    }

    #[inline(always)]
    fn spots(&self, before: &Classes) -> Spots {
        let back = |of: fn(&Classes) -> u64, by: u32| of(self) << by | of(before) >> (64 - by);
        let first_words = self.underscores
            & (back(|c| c.e, 2) & back(|c| c.t | c.y | c.n, 1)
                | back(|c| c.r | c.w, 2) & back(|c| c.d, 1)
                | back(|c| c.a, 2) & back(|c| c.l, 1));
        let calls = self.brackets
            & (back(|c| c.l, 2) & back(|c| c.s, 1) | back(|c| c.s, 2) & back(|c| c.e, 1));
        let secure = self.dashes & back(|c| c.t, 2) & back(|c| c.o, 1);
        let definitions = (self.d | self.g) & back(|c| c.percents, 1);
        let nouns = back(|c| c.p, 2) & (back(|c| c.a, 1) & self.s | back(|c| c.w, 1) & self.d);
        Spots {
            flags: (self.letters | self.dashes)
                & back(|c| c.dashes, 1)
                & back(|c| c.white | c.quotes | c.backticks, 2),
            strings: self.quotes & back(|c| c.white | c.braces, 1) | self.bars,
            marks: first_words | calls | secure | definitions,
            nouns: nouns & !back(|c| c.letters, 3),
            foreign: self.foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &str = "password|PassWd|pwd|spawn|secret_|key_|TOKEN_|credential_|passwd_|.equals(\
        |.equalsIgnoreCase(|%define |%global |ConvertTo-SecureString|to-do|--|-p| -u |\"--token|'-x|`-y\
        | \"|\t'|{\"|\"|'|`|#|&|||| |  |\n|\t|=|:|x|12|_|(|{|密码|A";

    /// What stands at each place, byte by byte.
    fn told(text: &[u8]) -> [Vec<usize>; 5] {
        let lower = text.to_ascii_lowercase();
        let places = |is: &dyn Fn(usize) -> bool| (0..text.len()).filter(|&at| is(at)).collect();
        let ends =
            |at: usize, any: &[&str]| any.iter().any(|end| lower[..=at].ends_with(end.as_bytes()));
        let flag = |at: usize| {
            let before = at.checked_sub(2).map(|n| text[n]);
            let apart = before.is_none_or(|b| b <= b' ' || b"\"'`#&".contains(&b));
            let next = text[at].is_ascii_alphabetic() || text[at] == b'-';
            at >= 1 && text[at - 1] == b'-' && apart && next
        };
        let string = |at: usize| {
            let before = at.checked_sub(1).map(|n| text[n]);
            let apart = before.is_none_or(|b| b <= b' ' || b == b'{');
            text[at] == b'|' || (b"\"'#&".contains(&text[at]) && apart)
        };
        let mark = |at: usize| {
            let first = ["et_", "ey_", "en_", "rd_", "wd_", "al_"];
            ends(at, &first) || ends(at, &["ls(", "se(", "to-", "%d", "%g"])
        };
        let noun = |at: usize| {
            let apart = at < 3 || !text[at - 3].is_ascii_alphabetic();
            ends(at, &["pas", "pwd"]) && apart
        };
        [
            places(&flag),
            places(&string),
            places(&mark),
            places(&noun),
            places(&|at| text[at] >= 0x80),
        ]
    }

    #[test]
    fn spots_are_told_at_every_place() {
        let pieces: Vec<&str> = PIECES.split('|').chain(["|", "||"]).collect();
        let mut numbers = 11_u64;
        let mut below = |bound: usize| {
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(numbers >> 33).unwrap() % bound
        };
        let mut seen = [0; 5];
        for round in 0..600 {
            let mut text = Vec::new();
            while text.len() < round {
                text.extend_from_slice(pieces[below(pieces.len())].as_bytes());
            }
            let expected = told(&text);
            for level in [Level::new(), Level::baseline()] {
                let mut found: [Vec<usize>; 5] = Default::default();
                dispatch!(level, simd => each_with(simd, &text, |base, spots| {
                    let Spots { flags, strings, marks, nouns, foreign } = *spots;
                    for (bits, found) in [flags, strings, marks, nouns, foreign].into_iter().zip(&mut found) {
                        found.extend(places(bits, base));
                    }
                }));
                assert_eq!(found, expected, "{}", text.escape_ascii());
            }
            for (seen, found) in seen.iter_mut().zip(&expected) {
                *seen += found.len();
            }
        }
        assert!(seen.iter().all(|&count| count > 300), "{seen:?}");
    }
}
