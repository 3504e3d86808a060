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
    LOW[(byte & 15) as usize] & HIGH[(byte >> 4) as usize] & TOKEN != 0
}

const ALNUM: u8 = 0b0000_0111;
const SEPARATOR: u8 = 0b0011_1000;
const TOKEN: u8 = 0b1100_1111;

/// The classes' rectangles: bytes whose upper half is in the first set and whose lower half is in the
/// second. The last also holds `^` and DEL, which do no harm there.
const RECTANGLES: [(u16, u16); 8] = [
    (1 << 4 | 1 << 6, 0xfffe),                           // A to O, a to o
    (1 << 5 | 1 << 7, 0x07ff),                           // P to Z, p to z
    (1 << 3, 0x03ff),                                    // digits
    (1 << 3, 1 << 0xa | 1 << 0xd),                       // : =
    (1 << 2, 1 << 8 | 1 << 0xc),                         // ( ,
    (1 << 3, 1 << 0xc | 1 << 0xe),                       // < >
    (1 << 2, 1 << 0xb | 1 << 0xd | 1 << 0xe | 1 << 0xf), // + - . /
    (1 << 5 | 1 << 7, 1 << 0xe | 1 << 0xf),              // _ ~
];

/// The tables, four times over: vectors look up within sixteen bytes.
const LOW: [u8; 64] = table(false);
const HIGH: [u8; 64] = table(true);

const fn table(upper: bool) -> [u8; 64] {
    let mut table = [0; 64];
    let mut at = 0;
    while at < 64 {
        let mut class = 0;
        while class < 8 {
            let (high, low) = RECTANGLES[class];
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
        let low = u8x64::from_slice(simd, &LOW);
        let high = u8x64::from_slice(simd, &HIGH);
        let classes =
            low.swizzle_dyn_within_blocks(bytes & 15) & high.swizzle_dyn_within_blocks(bytes >> 4);
        let none = u8x64::splat(simd, 0);
        let any = |of: u8| !(classes & of).simd_eq(none).to_bitmask();
        let alnum = any(ALNUM);
        // `+` and `/` differ in one bit.
        let slash = (bytes | 4).simd_eq(u8x64::splat(simd, b'/')).to_bitmask();
        let each = |of: u8| bytes.simd_eq(u8x64::splat(simd, of)).to_bitmask();
        Masks {
            alnum,
            separators: any(SEPARATOR),
            escapes: each(b'\\') | each(b'%'),
            token: any(TOKEN),
            base64: alnum | slash,
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
