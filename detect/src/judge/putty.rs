//! PuTTY's private keys, `.ppk`, of versions 2 and 3.
//!
//! A file ends in a MAC over its algorithm, comment and both halves. What is not encrypted has a MAC
//! whose key is known, so that a whole key is proven by it:
//! <https://the.earth.li/~sgtatham/putty/0.83/htmldoc/AppendixC.html>.

use akwatch_proto::finding::Proof;
use akwatch_proto::limits;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::PrivateKey;
use crate::unwrap::inline;

/// How every file begins; the version and the algorithm follow.
pub(crate) const BEGINNING: &[u8] = b"PuTTY-User-Key-File-";
/// What version 2 puts before the passphrase to make the MAC's key.
const MAC_KEY: &[u8] = b"putty-private-key-file-mac-key";
/// Lines of base64 of one half: RSA of 16384 bits has 160.
const MOST_LINES: usize = 400;

/// Reads the key whose beginning is at the start of `text`.
pub(crate) fn read(text: &[u8]) -> Option<PrivateKey> {
    let text = &text[..text.len().min(limits::LONGEST_SECRET)];
    let mut at = 0;
    let mut line = || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
        at += length;
        Some((rest[..length].trim_ascii(), at))
    };
    let (version, algorithm) = pair(line()?.0)?;
    let version = version.strip_prefix(BEGINNING)?;
    let mut headers: Vec<(&[u8], &[u8])> = Vec::new();
    let mut halves: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let (mac, length) = loop {
        let (text, end) = line()?;
        let (name, value) = pair(text)?;
        if name.ends_with(b"-Lines") {
            let lines: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
            let mut half = Zeroizing::new(Vec::new());
            for _ in 0..lines.min(MOST_LINES) {
                half.extend_from_slice(line()?.0);
            }
            halves.push(half);
        } else if name == b"Private-MAC" {
            break (value, end);
        } else if headers.len() < 16 {
            headers.push((name, value));
        }
    };
    let header = |wanted: &[u8]| {
        headers
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    };
    let encryption = header(b"Encryption")?;
    let [public, private] = &halves[..] else {
        return None;
    };
    let encrypted = encryption != b"none";
    let mut proofs = Vec::new();
    let mut holds = encrypted;
    if encrypted {
        proofs.extend([Proof::Structure { holds }, Proof::Encrypted]);
    } else {
        let comment = header(b"Comment").unwrap_or_default();
        let public = inline::base64(public)?;
        let private = Zeroizing::new(inline::base64(private)?);
        let parts: [&[u8]; 5] = [algorithm, encryption, comment, &public, &private];
        holds = inline::hex(mac).is_some_and(|mac| is_whole(version, &parts, &mac));
        proofs.push(Proof::Checksum { holds });
    }
    let text = trimmed(&text[..length]);
    Some(PrivateKey::told(text, length, holds, proofs))
}

/// Whether `mac` is that of `parts` without a passphrase.
fn is_whole(version: &[u8], parts: &[&[u8]; 5], mac: &[u8]) -> bool {
    let mut message = Zeroizing::new(Vec::new());
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(part);
    }
    match version {
        b"2" => Hmac::<Sha1>::new_from_slice(&Sha1::digest(MAC_KEY)).is_ok_and(|hmac| {
            hmac.chain_update(message.as_slice())
                .verify_slice(mac)
                .is_ok()
        }),
        b"3" => Hmac::<Sha256>::new_from_slice(b"").is_ok_and(|hmac| {
            hmac.chain_update(message.as_slice())
                .verify_slice(mac)
                .is_ok()
        }),
        _ => false,
    }
}

/// `Name: value`.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// The lines without carriage returns or blanks around them.
fn trimmed(text: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = text
        .split(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    lines.join(&b'\n').trim_ascii_end().to_vec()
}
