//! RSA keys as Microsoft's providers export them: `PRIVATEKEYBLOB`, which is also what the key files of
//! strong names (`.snk`) hold. The public half, `PUBLICKEYBLOB` with `RSA1`, is no secret.
//!
//! The form: <https://learn.microsoft.com/en-us/windows/win32/seccrypto/rsa-schannel-key-blobs>. A blob's
//! length follows from the bits that it states, so nothing else has it by chance.

/// A private key's type, the version, what is reserved.
const HEAD: [u8; 5] = [7, 2, 0, 0, 0];
const MAGIC: &[u8] = b"RSA2";
/// Bytes before the modulus: two headers and the public exponent.
const HEADERS: usize = 20;
/// Bits of keys that are still made; older ones had 384 and more.
const BITS: std::ops::RangeInclusive<usize> = 384..=16_384;

/// Whether bytes may begin such a blob: the first nine, the algorithm for signatures or for exchange
/// among them.
pub(super) fn may_begin(head: &[u8]) -> bool {
    head.starts_with(&HEAD) && matches!(head.get(5..9), Some([0x24 | 0xa4, 0, 0, b'R']))
}

/// Whether `blob` begins with a whole private key: a modulus, five numbers of half its size and the
/// private exponent.
pub(super) fn is_private_key(blob: &[u8]) -> bool {
    let bits = || {
        let bits = blob.get(12..16)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bits)).ok()
    };
    may_begin(blob)
        && blob.get(8..12) == Some(MAGIC)
        && bits().is_some_and(|bits| {
            BITS.contains(&bits) && bits % 16 == 0 && blob.len() >= HEADERS + bits / 16 * 9
        })
        && blob[HEADERS..].iter().any(|&byte| byte != 0)
}
