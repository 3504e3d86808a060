//! Private keys by their structure: ASN.1 in its distinguished encoding, raw or in base64 without armour.
//!
//! Programs keep keys as one line of base64 in a setting or a string, and as `.der` files; no first line
//! says what they are. Reads as much structure as tells a private key from a certificate or a public key:
//! RFC 8017 (PKCS #1), RFC 5958 (PKCS #8), RFC 5915 (elliptic curves). Verifies no arithmetic. Microsoft's
//! own form stands in the same places and is asked about with these.

use zeroize::Zeroizing;

use super::csp;
use crate::unwrap::inline;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Bytes of the smallest private key with a version: Ed25519 in PKCS #8 has 48.
const SHORTEST: usize = 40;
/// Characters of base64 that are decoded. RSA of 16384 bits has 12,500.
const LONGEST: usize = 16 * 1024;

/// Whether `der` begins with a whole private key.
pub(crate) fn is_private_key(der: &[u8]) -> bool {
    der.len() >= SHORTEST && (key(der).is_some() || csp::is_private_key(der))
}

fn key(der: &[u8]) -> Option<()> {
    let (inner, _) = element(der, SEQUENCE)?;
    let (version, rest) = element(inner, INTEGER)?;
    match version {
        // PKCS #8: the algorithm, then the key in an octet string.
        [0 | 1] if rest.first() == Some(&SEQUENCE) => {
            let (algorithm, rest) = element(rest, SEQUENCE)?;
            element(algorithm, OBJECT_ID)?;
            let (held, _) = element(rest, OCTET_STRING)?;
            (held.len() >= 16).then_some(())
        }
        // An elliptic curve's scalar.
        [1] if rest.first() == Some(&OCTET_STRING) => {
            let (scalar, _) = element(rest, OCTET_STRING)?;
            (20..=66).contains(&scalar.len()).then_some(())
        }
        // RSA has eight numbers behind the version, DSA five; the first are long.
        [0 | 1] => {
            let mut numbers = 0;
            let mut rest = rest;
            let mut longest = 0;
            while let Some((number, after)) = element(rest, INTEGER).filter(|_| numbers < 9) {
                longest = longest.max(number.len());
                numbers += 1;
                rest = after;
            }
            (numbers >= 5 && longest >= 32).then_some(())
        }
        _ => None,
    }
}

/// Whether bytes may be the beginning of such a key: its first nine, which nothing else shares.
pub(crate) fn may_begin(head: &[u8]) -> bool {
    let length = match head {
        [SEQUENCE, 0x82, _, _, ..] => 4,
        [SEQUENCE, 0x81, _, ..] => 3,
        [SEQUENCE, 0x20..=0x7f, ..] => 2,
        _ => return csp::may_begin(head),
    };
    matches!(
        head.get(length..length + 4),
        Some([INTEGER, 1, 0, INTEGER | SEQUENCE] | [INTEGER, 1, 1, OCTET_STRING])
    )
}

/// The base64 of the key that `text` holds, without blanks: equal keys are equal text.
pub(crate) fn wrapped(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    if !matches!(text.first(), Some(b'M' | b'B')) || !(SHORTEST..=LONGEST).contains(&text.len()) {
        return None;
    }
    let part = |b: &u8| inline::is_base64(*b) || matches!(b, b'=' | b'-' | b'_');
    if !text.iter().all(|b| part(b) || b.is_ascii_whitespace()) {
        return None;
    }
    let clean: Vec<u8> = text.iter().copied().filter(part).collect();
    let der = Zeroizing::new(inline::base64(&clean)?);
    is_private_key(&der).then_some(clean)
}

/// The content of the element of type `tag` at the start of `der`, and what follows it.
pub(super) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    }

    fn number(bytes: usize) -> Vec<u8> {
        wrap(INTEGER, &vec![0x5a; bytes])
    }

    #[test]
    fn private_keys_are_told_from_what_is_public() {
        let rsa: Vec<u8> = [128, 3, 128, 64, 64, 64, 64, 64]
            .into_iter()
            .flat_map(number)
            .collect();
        let version = [INTEGER, 1, 0];
        let pkcs1 = wrap(SEQUENCE, &[&version[..], &rsa].concat());
        assert!(is_private_key(&pkcs1));
        assert!(may_begin(&pkcs1[..9]));
        let algorithm = [SEQUENCE, 5, OBJECT_ID, 3, 0x2b, 0x65, 0x70];
        let held = [&[OCTET_STRING, 0x22, OCTET_STRING, 0x20][..], &[7; 32]].concat();
        let pkcs8 = [&version[..], &algorithm, &held].concat();
        let pkcs8 = [&[SEQUENCE, 0x2e][..], &pkcs8].concat();
        assert!(is_private_key(&pkcs8));
        // A public key is a modulus and an exponent, or an algorithm and bits.
        assert!(!is_private_key(&wrap(
            SEQUENCE,
            &[number(128), number(3)].concat()
        )));
        let bits = wrap(BIT_STRING, &[0; 64]);
        assert!(!is_private_key(&wrap(
            SEQUENCE,
            &[&algorithm[..], &bits].concat()
        )));
        // A certificate begins with what is signed; a cut key is none.
        assert!(!is_private_key(&wrap(SEQUENCE, &pkcs1)));
        assert!(!is_private_key(&pkcs1[..100]));
    }
}
