//! Compressed streams inside messages of protocol buffers, which have no mark of their own.
//!
//! A field of such a message says how long it is right before its bytes: where these begin like gzip,
//! so many are read as a stream.

use std::ops::Range;

/// Fields of one file that are read. Stops: a file of streams that hold nothing.
pub(crate) const MOST: usize = 4096;
/// Bytes that a stream counts as, besides its content. Stops: streams of streams that hold nothing.
pub(crate) const LEAST_UNWRAPPED: u64 = 4 << 10;
/// What a gzip stream begins with.
const MARK: &[u8] = &[0x1f, 0x8b, 8];

/// The fields of `bytes` that hold a gzip stream; the last may end behind them.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut until = 0;
    memchr::memmem::find_iter(bytes, MARK).filter_map(move |at| {
        let length = length_before(&bytes[..at])?;
        let end = at.checked_add(length)?;
        // A stream is never shorter than its header and its sums.
        (length >= 18 && at >= until).then(|| {
            if end <= bytes.len() {
                until = end;
            }
            at..end
        })
    })
}

/// The length that stands at the end of `bytes`, behind the key of a field that has one.
fn length_before(bytes: &[u8]) -> Option<usize> {
    /// Bytes of a length: 256 MiB at most.
    const LONGEST: usize = 4;
    let more = |b: &&u8| **b & 0x80 != 0;
    let (last, before) = bytes.split_last().filter(|(last, _)| **last < 0x80)?;
    let count = before.iter().rev().take(LONGEST).take_while(more).count();
    // A key may end with the same bits only where it is more than one byte: the shortest length counts.
    (0..=count.min(LONGEST - 1)).find_map(|count| {
        let (head, low) = before.split_at(before.len() - count);
        is_key(head).then_some(())?;
        let low = low.iter().rev();
        Some(low.fold(usize::from(*last), |value, byte| {
            value << 7 | usize::from(byte & 0x7f)
        }))
    })
}

/// Whether `bytes` end with the key of a field that has a length, of one byte or of up to five.
fn is_key(bytes: &[u8]) -> bool {
    let Some((&last, before)) = bytes.split_last() else {
        return false;
    };
    let long = || {
        let low = before.iter().rev().take(4).take_while(|b| **b >= 0x80);
        last > 0 && low.into_iter().any(|b| b & 7 == 2)
    };
    last < 0x80 && (last & 7 == 2 && last > 7 || long())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: &[u8], stream: &[u8]) -> Vec<u8> {
        [&[0x0a, 2, b'i', b'd', 0x12], length, stream].concat()
    }

    #[test]
    fn fields_are_as_long_as_they_say() {
        let stream = [MARK, &[7; 297]].concat();
        let whole = message(&[0xac, 0x02], &stream);
        let tail = [&whole[..], &[0x1a, 1, b'x']].concat();
        assert!(fields(&tail).eq(std::iter::once(7..307)));
        let short = message(&[40], &stream[..40]);
        assert!(fields(&short).eq(std::iter::once(6..46)));
        assert!(fields(&whole[..200]).eq(std::iter::once(7..307)));
        assert_eq!(fields(&stream).count(), 0);
        let unkeyed = [&[0x0a, 2, b'i', b'd', 0x13, 40][..], &stream[..40]].concat();
        assert_eq!(fields(&unkeyed).count(), 0);
    }

    #[test]
    fn fields_of_high_numbers_have_long_keys() {
        let stream = [MARK, &[7; 37]].concat();
        for key in [
            &[0x82, 0x01][..],
            &[0xfa, 0xff, 0x03],
            &[0x8a, 0x80, 0x80, 0x80, 0x01],
        ] {
            let whole = [&[0x0a, 2, b'i', b'd'], key, &[40], &stream].concat();
            let start = whole.len() - 40;
            assert!(
                fields(&whole).eq(std::iter::once(start..whole.len())),
                "{key:?}"
            );
        }
        let other = [&[0x0a, 2, b'i', b'd', 0x81, 0x01, 40][..], &stream].concat();
        assert_eq!(fields(&other).count(), 0);
    }

    #[test]
    fn streams_inside_a_field_are_the_fields_own() {
        let inner = message(&[40], &[MARK, &[7; 37]].concat());
        let outer = message(&[0x7f], &[MARK, &[7; 60], &inner, &[7; 90]].concat());
        assert!(fields(&outer).eq(std::iter::once(6..133)));
    }
}
