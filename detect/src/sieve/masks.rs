//! Sixty-four bytes to three bitmaps: the only work that is done for every byte.
//!
//! Arithmetic that the compiler turns into vector code on every processor: no instruction is named
//! here, since that would take unsafe code, and the detector has none.

const SEPARATORS: [u8; 8] = [b'=', b':', b'(', b',', b'<', b'>', b'\\', b'%'];

/// Letters and digits; separators and escapes; base64's alphabet.
#[inline]
pub(super) fn of(block: &[u8; 64]) -> [u64; 3] {
    // A bit of each byte for each class: one pass of compares, one store.
    let mut classes = [0_u8; 64];
    for (class, &byte) in classes.iter_mut().zip(block) {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let separator = SEPARATORS
            .iter()
            .fold(false, |is, &separator| is | (byte == separator));
        let plus = (byte == b'+') | (byte == b'/');
        let select = |is: bool, bit: u8| u8::from(is).wrapping_neg() & bit;
        *class = select(letter | digit, 0b101) | select(separator, 0b010) | select(plus, 0b100);
    }
    let mut masks = [0_u64; 3];
    for (at, eight) in classes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        for (bit, mask) in masks.iter_mut().enumerate() {
            // Eight bits, eight apart, to eight neighbours at the top.
            let spread = word >> bit & 0x0101_0101_0101_0101;
            *mask |= (spread.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
        }
    }
    masks
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
                assert_eq!(of(&block), expected, "{byte} at {at}");
            }
        }
    }
}
