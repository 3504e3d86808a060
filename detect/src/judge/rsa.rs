//! The fingerprint of an RSA key's public half, as Oracle Cloud computes it: MD5 over the DER of its
//! SubjectPublicKeyInfo. <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/apisigningkey.htm>
//!
//! Reads just as much DER as that takes and verifies nothing. MD5 names a key here; it protects nothing.

use md5::{Digest, Md5};

use super::der::{BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, element};

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
    let public = wrap(SEQUENCE, &[RSA_ENCRYPTION, &bits].concat());
    Some(Md5::digest(public).into())
}

/// Whether `der` is one element and nothing else: no cut key is.
pub(crate) fn is_whole(der: &[u8]) -> bool {
    element(der, SEQUENCE).is_some_and(|(_, rest)| rest.is_empty())
}

/// `AlgorithmIdentifier { rsaEncryption, NULL }`, RFC 8017.
const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

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

#[cfg(test)]
mod tests {
    use super::*;

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
