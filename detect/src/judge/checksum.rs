//! Service tokens that carry their own proof: a checksum, or a structure that chance does not make.
//!
//! Checksums are compared as integers, never as text: a leading zero is a digit like any other. A
//! token whose checksum fails is still told, with less confidence; only a shape that says nothing by
//! itself is dropped when its structure is not there. Each proof stands beside the function that
//! makes a value of its kind hold, so that tests and examples never need a live token.

use akwatch_proto::finding::Proof;

use super::proof::{Verdict, crc32};
use super::quiet;
use crate::rule::ProofKind;
use crate::unwrap::inline;

/// Tries `kind` on the whole token; adds what it learns.
pub(super) fn prove(kind: ProofKind, token: &[u8], proofs: &mut Vec<Proof>) -> Verdict {
    match kind {
        ProofKind::Atlassian => checksum(atlassian(token), proofs),
        ProofKind::Base64Json => structure(base64_json(token), proofs),
        ProofKind::Base64Number => match base64_number(token) {
            true => structure(true, proofs),
            // Two letters and a length are no evidence without the number, unless what follows is
            // no name of anything.
            false if !token.starts_with(b"BBDC-") && !ends_by_chance(token) => Verdict::Alien,
            false => structure(false, proofs),
        },
        // Two bytes and a length are a property's name as likely as a token.
        ProofKind::Chance if is_made_by_chance(token) => Verdict::Lowers,
        ProofKind::Chance => Verdict::Alien,
        // Its documents do not say what the sum is over: what holds is proof, what fails is none.
        ProofKind::Confluent => match confluent(token) {
            true => checksum(true, proofs),
            false => Verdict::Silent,
        },
        ProofKind::Crc32Base62 => checksum(crc32_base62(token), proofs),
        ProofKind::Crc32BodyHex => checksum(crc32_body_hex(token), proofs),
        ProofKind::Crc32Hex => checksum(crc32_hex(token), proofs),
        // Tokens of the older form have no sum.
        ProofKind::GitlabRoutable if !token.contains(&b'.') => Verdict::Silent,
        ProofKind::GitlabRoutable => checksum(gitlab_routable(token), proofs),
        ProofKind::Macaroon => structure(macaroon(token), proofs),
        ProofKind::AwsAccount
        | ProofKind::AzureSignature
        | ProofKind::Jwt
        | ProofKind::Volcengine => Verdict::Silent,
    }
}

/// Changes a generated token of `kind` so that its proof holds.
pub(crate) fn complete(kind: ProofKind, token: &mut String) {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let sum_before = |token: &str, tail: usize| crc32(&token.as_bytes()[..token.len() - tail]);
    let replace = |token: &mut String, tail: String| {
        let at = token.len() - tail.len();
        token.replace_range(at.., &tail);
    };
    match kind {
        ProofKind::Atlassian => {
            let tail = format!("{:08X}", sum_before(token, 8));
            replace(token, tail);
        }
        ProofKind::Base64Json => {
            let end = token.find("ey").unwrap_or(0);
            let filling = digest_like(token).repeat(5);
            let text = format!("{{\"k\":\"{filling}\",\"n\":\"key\",\"id\":1}}");
            token.replace_range(end.., &STANDARD_NO_PAD.encode(text));
        }
        ProofKind::Base64Number => base64_number_sample(token),
        ProofKind::Chance => replace(token, "7kQ2xW9z4T".to_owned()),
        ProofKind::Confluent => {
            let tail = packed_sum(&token.as_bytes()[4..58]);
            replace(token, tail);
        }
        ProofKind::Crc32Base62 => {
            let at = token.len() - 36;
            let tail = base62(crc32(&token.as_bytes()[at..at + 30]));
            replace(token, tail);
        }
        ProofKind::Crc32BodyHex => {
            let at = token.find('_').map_or(0, |at| at + 1);
            let body = token[at..token.len() - 8].trim_end_matches('_');
            let tail = format!("{:08x}", crc32(body.as_bytes()));
            replace(token, tail);
        }
        ProofKind::Crc32Hex => {
            let tail = format!("{:08x}", sum_before(token, 9));
            replace(token, tail);
        }
        ProofKind::GitlabRoutable if token.contains('.') => {
            let tail = base36(sum_before(token, 7));
            replace(token, tail);
        }
        ProofKind::Macaroon => {
            let filling = digest_like(token);
            let mut bytes = b"\x02\x01\x08pypi.org\x02".to_vec();
            bytes.push(u8::try_from(filling.len()).unwrap_or(0));
            bytes.extend_from_slice(filling.as_bytes());
            bytes.extend_from_slice(b"\0\0\x06\x20");
            bytes.extend_from_slice(&filling.as_bytes()[..32]);
            *token = format!("pypi-{}", URL_SAFE_NO_PAD.encode(bytes));
        }
        _ => {}
    }
}

/// Whether what follows the first two bytes has digits in several places, as no name has.
fn is_made_by_chance(token: &[u8]) -> bool {
    let body = token.get(2..).unwrap_or_default();
    let groups = body
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .filter(|group| group[0].is_ascii_digit())
        .count();
    groups >= 2 && quiet::is_chance(body)
}

fn checksum(holds: bool, proofs: &mut Vec<Proof>) -> Verdict {
    proofs.push(Proof::Checksum { holds });
    verdict(holds)
}

fn structure(holds: bool, proofs: &mut Vec<Proof>) -> Verdict {
    proofs.push(Proof::Structure { holds });
    verdict(holds)
}

fn verdict(holds: bool) -> Verdict {
    if holds {
        Verdict::Holds
    } else {
        Verdict::Fails
    }
}

/// The number that `digits` write in `base`, whose digits are 0-9, then letters. Base 62 orders upper
/// case first; smaller bases take either case.
fn number(digits: &[u8], base: u64) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' if base <= 36 => byte - b'a' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        let digit = u64::from(digit);
        (digit < base).then(|| sum.checked_mul(base)?.checked_add(digit))?
    })
}

/// GitHub's and npm's: the last six characters are the base62 number, padded with zeros, of the
/// checksum of the thirty before them.
fn crc32_base62(token: &[u8]) -> bool {
    let Some(start) = token.len().checked_sub(36) else {
        return false;
    };
    let (entropy, tail) = token[start..].split_at(30);
    number(tail, 62) == Some(u64::from(crc32(entropy)))
}

/// Grafana's: eight hexadecimal digits after the last `_`, of all before it, in either byte order.
fn crc32_hex(token: &[u8]) -> bool {
    memchr::memrchr(b'_', token).is_some_and(|at| is_sum(&token[at + 1..], &token[..at]))
}

/// Cloudflare's and Zuplo's: the last eight characters, of what stands between them and the prefix.
fn crc32_body_hex(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(8) else {
        return false;
    };
    let body = memchr::memchr(b'_', token).filter(|&at| at < end);
    body.is_some_and(|at| {
        let body = &token[at + 1..end];
        is_sum(&token[end..], body.strip_suffix(b"_").unwrap_or(body))
    })
}

/// Atlassian's: eight hexadecimal digits after the last `=`, of all before them, the `=` included.
fn atlassian(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(8) else {
        return false;
    };
    token[..end].ends_with(b"=") && is_sum(&token[end..], &token[..end])
}

fn is_sum(digits: &[u8], of: &[u8]) -> bool {
    let sum = crc32(of);
    digits.len() == 8
        && number(digits, 16)
            .is_some_and(|stated| stated == u64::from(sum) || stated == u64::from(sum.swap_bytes()))
}

/// GitLab's routable tokens: the last seven characters are the base36 number of the checksum of all
/// before them, prefix included.
fn gitlab_routable(token: &[u8]) -> bool {
    let Some(end) = token.len().checked_sub(7) else {
        return false;
    };
    number(&token[end..], 36) == Some(u64::from(crc32(&token[..end])))
}

/// Confluent's: base64 of the checksum, lowest byte first, of the 54 characters before it.
fn confluent(token: &[u8]) -> bool {
    let Some((body, tail)) = token.get(4..58).zip(token.get(58..64)) else {
        return false;
    };
    [body, &token[..58]]
        .iter()
        .any(|of| packed_sum(of).as_bytes().starts_with(tail))
}

fn packed_sum(of: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(crc32(of).to_le_bytes())
}

/// Base64 of a JSON object behind a prefix: Grafana, Sentry, 1Password.
fn base64_json(token: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(token, b"ey") else {
        return false;
    };
    let rest = &token[at..];
    let end = rest.iter().position(|&b| matches!(b, b'_' | b'.' | b'='));
    let object = inline::base64(&rest[..end.unwrap_or(rest.len())]);
    object.is_some_and(|object| {
        let object = object.trim_ascii();
        object.starts_with(b"{\"") && object.ends_with(b"}")
    })
}

/// A token whose first part is base64 of a number: a Discord bot's (its account), an Atlassian
/// server's (twelve digits, `:`, twenty bytes).
/// Whether the token's last part has both cases and digits, as no chain of names ends.
fn ends_by_chance(token: &[u8]) -> bool {
    let last = token.rsplit(|&b| b == b'.').next().unwrap_or_default();
    let count = |is: fn(&u8) -> bool| last.iter().filter(|b| is(b)).count();
    count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 2
        && super::quiet::is_chance(last)
}

fn base64_number(token: &[u8]) -> bool {
    let body = token.strip_prefix(b"BBDC-").unwrap_or(token);
    let (first, account) = match memchr::memchr(b'.', body) {
        Some(at) => (&body[..at], true),
        None => (body, false),
    };
    let Some(decoded) = inline::base64(first) else {
        return false;
    };
    let digits = decoded.iter().take_while(|b| b.is_ascii_digit()).count();
    if account {
        (15..=20).contains(&digits) && digits == decoded.len()
    } else {
        digits >= 8 && decoded.get(digits) == Some(&b':') && decoded.len() == digits + 21
    }
}

fn base64_number_sample(token: &mut String) {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let sum = u64::from(crc32(token.as_bytes()));
    let number = 100_000_000_000 + sum * 7;
    if let Some(at) = token.find('.') {
        let account = format!("{number:018}").replacen('0', "1", 1);
        token.replace_range(..at, STANDARD_NO_PAD.encode(account).as_str());
        return;
    }
    let prefix = if token.starts_with("BBDC-") {
        "BBDC-"
    } else {
        ""
    };
    let mut bytes = format!("{number:012}:").into_bytes();
    let filling = digest_like(token);
    bytes.extend_from_slice(&filling.as_bytes()[..20]);
    *token = format!("{prefix}{}", STANDARD.encode(bytes));
}

/// Text that differs from token to token: thirty-two characters or more.
fn digest_like(token: &str) -> String {
    (0..5_u8)
        .map(|round| base62(crc32(&[token.as_bytes(), &[round]].concat())))
        .chain(["Zq7".to_owned()])
        .collect()
}

/// PyPI's: a macaroon of version 2, read to its signature of 32 bytes.
fn macaroon(token: &[u8]) -> bool {
    let packed = token.strip_prefix(b"pypi-").unwrap_or(token);
    let Some(bytes) = inline::base64(packed) else {
        return false;
    };
    let Some(mut rest) = bytes.strip_prefix(&[2]) else {
        return false;
    };
    // A header, caveats, and an empty section behind the last of them.
    for number in 0..64 {
        let before = rest;
        let Some(after) = section(rest) else {
            return false;
        };
        rest = after;
        if number > 0 && before.len() - rest.len() == 1 {
            return rest.starts_with(&[6, 32]) && rest.len() == 34;
        }
    }
    false
}

/// What follows one section: fields of a type, a length and so many bytes, ended by a zero.
fn section(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&kind, rest) = bytes.split_first()?;
        if kind == 0 {
            return Some(rest);
        }
        let (length, rest) = varint(rest)?;
        bytes = rest.get(length..)?;
    }
}

/// A length of one or two bytes, seven bits each; no token needs more.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&low, rest) = bytes.split_first()?;
    if low < 0x80 {
        return Some((usize::from(low), rest));
    }
    let (&high, rest) = rest.split_first()?;
    (high < 0x80).then(|| (usize::from(low & 0x7f) | usize::from(high) << 7, rest))
}

fn base62(sum: u32) -> String {
    written(
        sum,
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        6,
    )
}

fn base36(sum: u32) -> String {
    written(sum, b"0123456789abcdefghijklmnopqrstuvwxyz", 7)
}

fn written(mut sum: u32, digits: &[u8], width: usize) -> String {
    let base = u32::try_from(digits.len()).unwrap_or(10);
    let mut text = vec![b'0'; width];
    for place in text.iter_mut().rev() {
        *place = digits[(sum % base) as usize];
        sum /= base;
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A completed token holds, and a change of its last digit makes it fail.
    fn check(kind: ProofKind, shape: &str) {
        for round in 0..200 {
            let mut token =
                shape.replace('#', &base36(crc32(format!("{shape}{round}").as_bytes())));
            complete(kind, &mut token);
            let mut proofs = Vec::new();
            assert_eq!(prove(kind, token.as_bytes(), &mut proofs), Verdict::Holds);
            assert_eq!(proofs.len(), 1);
        }
    }

    #[test]
    fn what_is_completed_holds() {
        check(ProofKind::Atlassian, "ATATT3xFfGF0######-_=00000000");
        check(ProofKind::Base64Json, "glc_eyJvIjoi########");
        check(
            ProofKind::Base64Number,
            "MTIzNDU2Nzg5MDEyMzQ1Njc4.AAAAAA.####",
        );
        check(ProofKind::Base64Number, "BBDC-########");
        check(
            ProofKind::Confluent,
            &format!("cflt{}{}", "#".repeat(7), "0".repeat(11)),
        );
        check(ProofKind::Crc32Base62, "ghp_####00000000");
        check(ProofKind::Crc32BodyHex, "zpka_####0000_00000000");
        check(ProofKind::Crc32BodyHex, "cfut_#####0000000000000");
        check(ProofKind::Crc32Hex, "glsa_####0000_00000000");
        check(ProofKind::GitlabRoutable, "glpat-########.0z0000000");
        check(ProofKind::Macaroon, "pypi-####");
    }

    fn fails(kind: ProofKind, token: &str, verdict: Verdict) {
        let mut proofs = Vec::new();
        assert_eq!(
            prove(kind, token.as_bytes(), &mut proofs),
            verdict,
            "{token}"
        );
    }

    #[test]
    fn what_does_not_hold_says_so() {
        fails(
            ProofKind::Crc32Base62,
            &format!("ghp_{}", "a".repeat(36)),
            Verdict::Fails,
        );
        fails(ProofKind::Crc32Hex, "glsa_abc_00000000", Verdict::Fails);
        fails(
            ProofKind::GitlabRoutable,
            "glpat-abcdefghijklmnopqrst",
            Verdict::Silent,
        );
        fails(
            ProofKind::GitlabRoutable,
            "glpat-abc.01.aaaaaaaaa",
            Verdict::Fails,
        );
        fails(
            ProofKind::Base64Number,
            "MTrainStation.Second.Third",
            Verdict::Alien,
        );
        fails(
            ProofKind::Macaroon,
            "pypi-AgEIcHlwaS5vcmcCJDU3OTM1",
            Verdict::Fails,
        );
        fails(ProofKind::Confluent, "cflt", Verdict::Silent);
        fails(ProofKind::Atlassian, "x", Verdict::Fails);
    }

    #[test]
    fn leading_zeros_are_digits() {
        let zeros = (0..2000)
            .filter(|round| {
                let mut token = format!("ghp_{round:030}000000");
                complete(ProofKind::Crc32Base62, &mut token);
                assert!(crc32_base62(token.as_bytes()), "{token}");
                token.as_bytes()[34] == b'0'
            })
            .count();
        assert!(zeros > 100, "tokens with a leading zero are among them");
    }
}
