//! Sixty-four bytes to a few bitmaps: the only work that is done for every byte.
//!
//! Two tables of sixteen, one for each half of a byte, are looked up for all bytes at once; a byte's
//! classes are what both say. The vector instructions are those of the processor at hand, behind the
//! safe calls of `fearless_simd`.

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// Which of sixty-four bytes are of a class: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// Letters and digits.
    pub(super) alnum: u64,
    /// `=` `:` `(` `,` `<` `>`: what may stand behind a name.
    pub(super) separators: u64,
    /// `(` `,`: behind these only strings are read.
    pub(super) arguments: u64,
    /// `:`.
    pub(super) colons: u64,
    /// `/`.
    pub(super) slashes: u64,
    /// `"` `'` and the backtick.
    pub(super) quotes: u64,
    /// Blanks and ends of lines.
    pub(super) white: u64,
    /// Ends of lines.
    pub(super) newlines: u64,
    /// What names are made of: letters, digits, and all beyond ASCII.
    pub(super) named: u64,
    /// What goes on where a token cannot begin: letters, digits, `+ - _`.
    pub(super) joined: u64,
    /// Backslash and `%`.
    pub(super) escapes: u64,
    /// What tokens are made of: letters, digits, `_ - . / + : = ~ ^` and DEL.
    pub(super) token: u64,
    /// The alphabet of base64.
    pub(super) base64: u64,
    /// `@`.
    pub(super) at_signs: u64,
}

/// Whether `byte` is one that [`Masks::token`] shows.
pub(super) const fn is_token(byte: u8) -> bool {
    let (low, high) = (LOW[(byte & 15) as usize], HIGH[(byte >> 4) as usize]);
    low & high & TOKEN != 0
}

const ALNUM: u8 = 0b0000_0111;
const SEPARATOR: u8 = 0b0011_1000;
const ARGUMENT: u8 = 0b0001_0000;
const TOKEN: u8 = 0b1100_1111;

/// The classes' rectangles: bytes whose upper half is in the first set and whose lower half is in the
/// second. The last also holds `^` and DEL, which do no harm there.
const RECTANGLES: Rectangles = [
    (1 << 4 | 1 << 6, 0xfffe),                           // A to O, a to o
    (1 << 5 | 1 << 7, 0x07ff),                           // P to Z, p to z
    (1 << 3, 0x03ff),                                    // digits
    (1 << 3, 1 << 0xa | 1 << 0xd),                       // : =
    (1 << 2, 1 << 8 | 1 << 0xc),                         // ( ,
    (1 << 3, 1 << 0xc | 1 << 0xe),                       // < >
    (1 << 2, 1 << 0xb | 1 << 0xd | 1 << 0xe | 1 << 0xf), // + - . /
    (1 << 5 | 1 << 7, 1 << 0xe | 1 << 0xf),              // _ ~
];

const QUOTE: u8 = 0b0000_0011;
const WHITE: u8 = 0b0000_1100;
const JOINED: u8 = 0b0011_0000;
const ESCAPE: u8 = 0b1100_0000;

/// The same of what stands between words.
const BETWEEN: Rectangles = [
    (1 << 2, 1 << 2 | 1 << 7),                    // " '
    (1 << 6, 1),                                  // `
    (1 << 2, 1),                                  // a space
    (1, 1 << 9 | 1 << 0xa | 1 << 0xc | 1 << 0xd), // tab, line feed, form feed, return
    (1 << 2, 1 << 0xb | 1 << 0xd),                // + -
    (1 << 5, 1 << 0xf),                           // _
    (1 << 5, 1 << 0xc),                           // backslash
    (1 << 2, 1 << 5),                             // %
];

type Rectangles = [(u16, u16); 8];

/// The tables, four times over: vectors look up within sixteen bytes.
const LOW: [u8; 64] = table(&RECTANGLES, false);
const HIGH: [u8; 64] = table(&RECTANGLES, true);
const LOW_BETWEEN: [u8; 64] = table(&BETWEEN, false);
const HIGH_BETWEEN: [u8; 64] = table(&BETWEEN, true);

const fn table(rectangles: &Rectangles, upper: bool) -> [u8; 64] {
    let mut table = [0; 64];
    let mut at = 0;
    while at < 64 {
        let mut class = 0;
        while class < 8 {
            let (high, low) = rectangles[class];
            let set = if upper { high } else { low };
            if set >> (at & 15) & 1 == 1 {
                table[at] |= 1 << class;
            }
            class += 1;
        }
        at += 1;
    }
    table
}

impl Masks {
    /// Classifies `block`.
    #[inline(always)]
    pub(super) fn of<S: Simd>(simd: S, block: &[u8; 64]) -> Masks {
        let bytes = u8x64::from_slice(simd, block);
        let (lower, upper) = (bytes & 15, bytes >> 4);
        let look_up = |low: &[u8; 64], high: &[u8; 64]| {
            u8x64::from_slice(simd, low).swizzle_dyn_within_blocks(lower)
                & u8x64::from_slice(simd, high).swizzle_dyn_within_blocks(upper)
        };
        let none = u8x64::splat(simd, 0);
        let classes = look_up(&LOW, &HIGH);
        let any = |of: u8| !(classes & of).simd_eq(none).to_bitmask();
        let between = look_up(&LOW_BETWEEN, &HIGH_BETWEEN);
        let any_between = |of: u8| !(between & of).simd_eq(none).to_bitmask();
        let each = |of: u8| bytes.simd_eq(u8x64::splat(simd, of)).to_bitmask();
        let alnum = any(ALNUM);
        let slashes = each(b'/');
        let foreign = !(bytes & 0x80).simd_eq(none).to_bitmask();
        Masks {
            alnum,
            separators: any(SEPARATOR),
            arguments: any(ARGUMENT),
            colons: each(b':'),
            slashes,
            quotes: any_between(QUOTE),
            white: any_between(WHITE),
            newlines: each(b'\n'),
            named: alnum | foreign,
            joined: alnum | any_between(JOINED),
            escapes: any_between(ESCAPE),
            token: any(TOKEN),
            base64: alnum | slashes | each(b'+'),
            at_signs: each(b'@'),
        }
    }
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::*;

    #[test]
    fn every_byte_is_classified_at_every_place() {
        for level in [Level::new(), Level::baseline()] {
            for byte in 0..=255_u8 {
                for at in 0..64 {
                    let mut block = [0; 64];
                    block[at] = byte;
                    let is = |is: bool| u64::from(is) << at;
                    let token = byte.is_ascii_alphanumeric() || b"_-./+:=~^\x7f".contains(&byte);
                    let expected = Masks {
                        alnum: is(byte.is_ascii_alphanumeric()),
                        separators: is(b"=:(,<>".contains(&byte)),
                        arguments: is(b"(,".contains(&byte)),
                        colons: is(byte == b':'),
                        slashes: is(byte == b'/'),
                        quotes: is(b"\"'`".contains(&byte)),
                        white: is(byte.is_ascii_whitespace()),
                        newlines: is(byte == b'\n'),
                        named: is(byte.is_ascii_alphanumeric() || byte >= 0x80),
                        joined: is(byte.is_ascii_alphanumeric() || b"+-_".contains(&byte)),
                        escapes: is(b"\\%".contains(&byte)),
                        token: is(token),
                        at_signs: is(byte == b'@'),
                        base64: is(byte.is_ascii_alphanumeric() || b"+/".contains(&byte)),
                    };
                    let found = dispatch!(level, simd => Masks::of(simd, &block));
                    assert_eq!(found, expected, "{byte} at {at}");
                    assert_eq!(is_token(byte), token);
                }
            }
        }
    }
}
