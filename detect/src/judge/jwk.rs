//! Private keys as JSON Web Keys (RFC 7517, RFC 7518) and as .NET's `RSAKeyValue`.
//!
//! A web key is an object that names its type; what makes it private is the member `d`, or `k` of a
//! symmetric one. Public keys have the same members but that, and are nothing.

use std::ops::Range;

use akwatch_proto::finding::Proof;

use zeroize::Zeroizing;

use super::key::PrivateKey;
use super::quiet;
use crate::unwrap::inline;

/// How a web key names its type, in an object or in a string that holds one.
pub(crate) const KEY_TYPE: &[u8] = b"\"kty";
/// How .NET writes an RSA key.
pub(crate) const RSA_VALUE: &[u8] = b"<RSAKeyValue>";

/// Bytes of an object before and after its type. Stops: a file of nothing but `"kty"`.
const AROUND: usize = 16 * 1024;

/// The web key around the type at `at`, and where it stands.
pub(crate) fn read(text: &[u8], at: usize) -> Option<(Range<usize>, PrivateKey)> {
    let range = object(text, at)?;
    let object = &text[range.clone()];
    let kind = member(object, b"kty")?;
    let size = |name: &[u8]| {
        let value = member(object, name)?;
        inline::base64(value).map(|bytes| bytes.len())
    };
    let secret = member(object, if kind == b"oct" { b"k" } else { b"d" })?;
    let length = Zeroizing::new(inline::base64(secret)?).len();
    if length < 16 || quiet::is_placeholder(secret) {
        return None;
    }
    let coordinate = |bytes: usize| {
        length == bytes
            && size(b"x") == Some(bytes)
            && (kind == b"OKP" || size(b"y") == Some(bytes))
    };
    let holds = match (kind, member(object, b"crv")) {
        (b"oct", _) => true,
        (b"RSA", _) => {
            size(b"n").is_some_and(|n| length <= n && n <= length + 8)
                && member(object, b"e").is_some()
        }
        (_, Some(b"P-256" | b"secp256k1" | b"Ed25519" | b"X25519")) => coordinate(32),
        (_, Some(b"P-384")) => coordinate(48),
        (_, Some(b"X448")) => coordinate(56),
        (_, Some(b"Ed448")) => coordinate(57),
        (_, Some(b"P-521")) => coordinate(66),
        _ => false,
    };
    // A symmetric key's structure is any number of bytes.
    let proven = holds && kind != b"oct";
    let proofs = vec![Proof::Structure { holds }];
    let key = PrivateKey::told(packed(object), range.len(), proven, proofs);
    Some((range, key))
}

/// The key whose `<RSAKeyValue>` is at `at`.
pub(crate) fn read_rsa_value(text: &[u8], at: usize) -> Option<(Range<usize>, PrivateKey)> {
    const END: &[u8] = b"</RSAKeyValue>";
    let limit = text.len().min(at + AROUND);
    let length = memchr::memmem::find(&text[at..limit], END)? + END.len();
    let range = at..at + length;
    let element = &text[range.clone()];
    let size = |name: &str| {
        let open = format!("<{name}>");
        let start = memchr::memmem::find(element, open.as_bytes())? + open.len();
        let end = start + memchr::memchr(b'<', &element[start..])?;
        inline::base64(&element[start..end]).map(|bytes| Zeroizing::new(bytes).len())
    };
    let secret = size("D").filter(|&length| length >= 32)?;
    let holds = size("Modulus").is_some_and(|modulus| secret <= modulus && modulus <= secret + 8);
    let proofs = vec![Proof::Structure { holds }];
    let key = PrivateKey::told(packed(element), length, holds, proofs);
    Some((range, key))
}

/// The innermost object that holds the byte at `at`: one without objects inside it, as keys are.
fn object(text: &[u8], at: usize) -> Option<Range<usize>> {
    let floor = at.saturating_sub(AROUND);
    let start = floor
        + memchr::memrchr2(b'{', b'}', &text[floor..at]).filter(|&n| text[floor + n] == b'{')?;
    let limit = text.len().min(at + AROUND);
    let end =
        at + memchr::memchr2(b'{', b'}', &text[at..limit]).filter(|&n| text[at + n] == b'}')?;
    Some(start..end + 1)
}

/// The string that `name` has in `object`.
fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let quoted = [b"\"", name, b"\""].concat();
    memchr::memmem::find_iter(object, &quoted).find_map(|at| {
        let rest = object[at + quoted.len()..].trim_ascii_start();
        let rest = rest.strip_prefix(b":")?.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"")?;
        memchr::memchr(b'"', rest).map(|length| &rest[..length])
    })
}

/// An object without the blanks between its members: equal keys are equal text.
fn packed(object: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let mut packed = Vec::with_capacity(object.len());
    for &byte in object {
        inside ^= byte == b'"';
        if inside || !byte.is_ascii_whitespace() {
            packed.push(byte);
        }
    }
    packed
}
