//! The fingerprint of an RSA key's public half, as Oracle Cloud computes it: MD5 over the DER of its
//! SubjectPublicKeyInfo. <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/apisigningkey.htm>
//!
//! Reads just as much DER as that takes and verifies nothing. MD5 names a key here; it protects nothing.

/// MD5 of the public half of the private key in `der` (PKCS #8, or PKCS #1).
pub(crate) fn fingerprint(der: &[u8]) -> Option<[u8; 16]> {
    let (mut inner, _) = element(der, SEQUENCE)?;
    let (_version, rest) = element(inner, INTEGER)?;
    if let Some((_algorithm, rest)) = element(rest, SEQUENCE) {
        let (wrapped, _) = element(rest, OCTET_STRING)?;
        inner = element(wrapped, SEQUENCE)?.0;
        inner = element(inner, INTEGER)?.1;
    } else {
        inner = rest;
    }
    let (_, after_modulus) = element(inner, INTEGER)?;
    let (_, after_exponent) = element(after_modulus, INTEGER)?;
    let numbers = &inner[..inner.len() - after_exponent.len()];
    let key = wrap(SEQUENCE, numbers);
    let bits = wrap(BIT_STRING, &[&[0], key.as_slice()].concat());
    Some(md5(&wrap(SEQUENCE, &[RSA_ENCRYPTION, &bits].concat())))
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `AlgorithmIdentifier { rsaEncryption, NULL }`, RFC 8017.
const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The content of the element of type `tag` at the start of `der`, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first().filter(|_| first == tag)?;
    let (length, rest) = match length {
        0x00..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = bytes.iter().fold(0, |sum, &b| sum << 8 | usize::from(b));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let used = length.iter().skip_while(|&&b| b == 0).count();
    let mut out = vec![tag];
    if content.len() > 0x7f {
        out.push(0x80 | u8::try_from(used).unwrap_or(4));
    }
    out.extend_from_slice(&length[4 - used.max(1)..]);
    out.extend_from_slice(content);
    out
}

/// MD5, RFC 1321.
fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(
        padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 },
        0,
    );
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(message.len() as u64 * 8).to_le_bytes());
    for block in padded.chunks_exact(64) {
        let word = |at: usize| {
            u32::from_le_bytes([
                block[at * 4],
                block[at * 4 + 1],
                block[at * 4 + 2],
                block[at * 4 + 3],
            ])
        };
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64_usize {
            let (mixed, at) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(sine(step))
                .wrapping_add(word(at % 16));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (value, add) in state.iter_mut().zip([a, b, c, d]) {
            *value = value.wrapping_add(add);
        }
    }
    let mut out = [0; 16];
    for (bytes, value) in out.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    out
}

/// The whole part of 2³² · |sin(step + 1)|.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 2³²"
)]
fn sine(step: usize) -> u32 {
    (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn md5_is_that_of_its_specification() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            hex(&md5(b"message digest")),
            "f96b697d7cb7938d525a2f31aaf161d0"
        );
        let digits = "1234567890".repeat(8);
        assert_eq!(
            hex(&md5(digits.as_bytes())),
            "57edf4a22be3c955ac49da2e2107b67a"
        );
        for length in 54..=66 {
            assert_eq!(md5(&vec![7; length]), md5(&vec![7; length]));
        }
    }

    #[test]
    fn both_wrappings_of_a_key_have_one_fingerprint() {
        let numbers = [
            wrap(INTEGER, &[&[0], [0xab_u8; 256].as_slice()].concat()),
            wrap(INTEGER, &[1, 0, 1]),
            wrap(INTEGER, &[5; 200]),
        ]
        .concat();
        let first = wrap(SEQUENCE, &[wrap(INTEGER, &[0]), numbers].concat());
        let wrapped = [
            wrap(INTEGER, &[0]),
            RSA_ENCRYPTION.to_vec(),
            wrap(OCTET_STRING, &first),
        ]
        .concat();
        let eighth = wrap(SEQUENCE, &wrapped);
        assert!(fingerprint(&first).is_some());
        assert_eq!(fingerprint(&first), fingerprint(&eighth));
        assert_eq!(fingerprint(&eighth[..20]), None);
        assert_eq!(fingerprint(b""), None);
    }
}
