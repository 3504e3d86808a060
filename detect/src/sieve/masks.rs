//! Sixty-four bytes to three bitmaps: the only work that is done for every byte.
//!
//! Arithmetic that the compiler turns into vector code on every processor: no instruction is named
//! here, since that would take unsafe code, and the detector has none.

#[cfg(test)]
const SEPARATORS: [u8; 8] = [b'=', b':', b'(', b',', b'<', b'>', b'\\', b'%'];

const ALNUM: u64 = 0;
const SEPARATOR: u64 = 1;
const BASE64: u64 = 2;

/// What each of sixty-four bytes is: a bit for each class.
pub(super) struct Classes([u64; 8]);

impl Classes {
    /// One pass of compares.
    #[inline]
    pub(super) fn of(block: &[u8; 64]) -> Classes {
        let mut classes = [0_u8; 64];
        for (class, &byte) in classes.iter_mut().zip(block) {
            let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
            let digit = byte.wrapping_sub(b'0') < 10;
            // `<` and `>`, `(` and `,` each differ in one bit.
            let separator = (byte | 2 == b'>')
                | (byte | 4 == b',')
                | (byte == b'=')
                | (byte == b':')
                | (byte == b'\\')
                | (byte == b'%');
            let plus = (byte == b'+') | (byte == b'/');
            let select = |is: bool, bits: u8| u8::from(is).wrapping_neg() & bits;
            *class = select(letter | digit, 1 << ALNUM | 1 << BASE64)
                | select(separator, 1 << SEPARATOR)
                | select(plus, 1 << BASE64);
        }
        let eights = classes.as_chunks::<8>().0;
        Classes(std::array::from_fn(|at| u64::from_le_bytes(eights[at])))
    }

    /// Letters and digits.
    #[inline]
    pub(super) fn alnum(&self) -> u64 {
        self.bitmap(ALNUM)
    }

    /// Separators and escapes.
    #[inline]
    pub(super) fn separators(&self) -> u64 {
        self.bitmap(SEPARATOR)
    }

    /// The alphabet of base64.
    pub(super) fn base64(&self) -> u64 {
        self.bitmap(BASE64)
    }

    /// Whether sixteen bytes at a multiple of sixteen are of that alphabet: every run of thirty-two
    /// holds such, and few blocks do.
    #[inline]
    pub(super) fn hold_sixteen(&self) -> bool {
        let all = 0x0101_0101_0101_0101 << BASE64;
        self.0
            .as_chunks::<2>()
            .0
            .iter()
            .fold(false, |any, [low, high]| any | (low & high & all == all))
    }

    /// Eight bits, eight apart, to eight neighbours at the top; eight times.
    #[inline]
    fn bitmap(&self, class: u64) -> u64 {
        let mut bits = 0;
        for (at, eight) in self.0.iter().enumerate() {
            let spread = eight >> class & 0x0101_0101_0101_0101;
            bits |= (spread.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_classified_at_every_place() {
        for byte in 0..=255_u8 {
            for at in 0..64 {
                let mut block = [0; 64];
                block[at] = byte;
                let is = |is: bool| u64::from(is) << at;
                let expected = [
                    is(byte.is_ascii_alphanumeric()),
                    is(SEPARATORS.contains(&byte)),
                    is(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')),
                ];
                let classes = Classes::of(&block);
                assert_eq!(
                    [classes.alnum(), classes.separators(), classes.base64()],
                    expected,
                    "{byte} at {at}"
                );
            }
        }
    }

    #[test]
    fn sixteen_are_seen_at_their_places() {
        for at in 0..=48 {
            let mut block = [b'-'; 64];
            block[at..at + 16].fill(b'+');
            assert_eq!(Classes::of(&block).hold_sixteen(), at % 16 == 0, "at {at}");
        }
    }
}
