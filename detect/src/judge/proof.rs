//! Proof without a network: checksums, structures, what an id encodes.

use akwatch_proto::finding::Proof;
use akwatch_proto::time::Time;

use crate::rule::ProofKind;
use crate::unwrap::inline;

/// What a proof said of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    /// It is still likely what it looks like, but does not keep to its documented structure.
    Lowers,
    Fails,
    Silent,
    /// It is no credential of this kind: its shape alone says too little.
    Alien,
}

/// Tries `kind` on the whole token (or an id); adds what it learns.
pub(crate) fn prove(kind: ProofKind, value: &[u8], proofs: &mut Vec<Proof>) -> Verdict {
    match kind {
        ProofKind::AzureSignature => structure(azure_signature(value), proofs),
        ProofKind::AwsAccount => {
            if let Some(account) = aws_account(value) {
                proofs.push(account);
            }
            Verdict::Silent
        }
        ProofKind::Jwt => jwt(value, proofs),
        ProofKind::Volcengine => Verdict::Silent,
        kind => super::checksum::prove(kind, value, proofs),
    }
}

fn structure(holds: bool, proofs: &mut Vec<Proof>) -> Verdict {
    proofs.push(Proof::Structure { holds });
    if holds {
        Verdict::Holds
    } else {
        Verdict::Lowers
    }
}

/// The version, year and month behind the signature of Azure's identifiable keys, and the letter that
/// begins the provider's part: <https://github.com/microsoft/security-utilities>.
fn azure_signature(value: &[u8]) -> bool {
    let Some(behind) = value
        .get(57..84)
        .filter(|_| value[52..].starts_with(b"JQQJ9"))
    else {
        return false;
    };
    matches!(behind[0], b'9' | b'D' | b'H')
        && matches!(behind[2], b'A'..=b'L')
        && behind[19].is_ascii_alphabetic()
}

/// Accounts of services that give out canary keys: using such a key raises its owner's alarm.
/// Published: canarytokens.org's and those of its imitators.
const CANARY_ACCOUNTS: [u64; 26] = [
    44_858_866_125,
    52_310_077_262,
    171_436_882_533,
    251_535_659_677,
    266_735_846_894,
    344_043_088_457,
    351_906_852_752,
    390_477_818_340,
    426_127_672_474,
    427_150_556_519,
    439_872_796_651,
    445_142_720_921,
    465_867_158_099,
    534_261_010_715,
    595_918_472_158,
    637_958_123_769,
    693_412_236_332,
    717_712_589_309,
    730_335_385_048,
    732_624_840_810,
    735_421_457_923,
    819_147_034_852,
    893_192_397_702,
    959_235_150_393,
    982_842_642_351,
    992_382_622_183,
];

/// The account that an AWS key id encodes. Ids from before 2019 (fifth character `A` to `P`) encode
/// none.
pub(crate) fn aws_account(id: &[u8]) -> Option<Proof> {
    let body = id.get(4..20)?;
    if !matches!(body[0], b'Q'..=b'Z' | b'2'..=b'7') {
        return None;
    }
    let mut bits = 0_u128;
    for &byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u128::from(value);
    }
    // Eighty bits; the first forty-eight hold the account above seven bits of their own.
    let account = u64::try_from(bits >> 32).ok()? & 0x7fff_ffff_ff80;
    let account = account >> 7;
    Some(Proof::Account {
        id: format!("{account:012}"),
        canary: CANARY_ACCOUNTS.contains(&account),
    })
}

/// CRC-32 (IEEE 802.3).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn jwt(token: &[u8], proofs: &mut Vec<Proof>) -> Verdict {
    let mut parts = token.split(|&b| b == b'.');
    let header = parts.next().and_then(inline::base64);
    let payload = parts.next().and_then(inline::base64);
    let (Some(header), Some(payload)) = (header, payload) else {
        proofs.push(Proof::Structure { holds: false });
        return Verdict::Fails;
    };
    let signed = parts.next().is_some_and(|signature| !signature.is_empty());
    let holds = header.starts_with(b"{")
        && memchr::memmem::find(&header, b"\"alg\"").is_some()
        && payload.starts_with(b"{")
        && payload.trim_ascii_end().ends_with(b"}");
    proofs.push(Proof::Structure { holds });
    if let Some(at) = memchr::memmem::find(&payload, b"\"exp\":") {
        let digits: Vec<u8> = payload[at + 6..]
            .trim_ascii_start()
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        proofs.extend(expires(&digits));
    }
    match holds {
        true if signed => Verdict::Holds,
        // Cut before its signature, or accepted without one.
        true => Verdict::Lowers,
        false if signed => Verdict::Fails,
        false => Verdict::Alien,
    }
}

/// Whether a decoded value is the inside of a Volcengine secret: base64 once more, of 32
/// hexadecimal digits. Such a value is a key as it stands, not a wrapped text.
pub(crate) fn is_volcengine_half(decoded: &[u8]) -> bool {
    decoded.len() == 43
        && inline::base64(decoded).is_some_and(|bytes| bytes.iter().all(u8::is_ascii_hexdigit))
}

/// Volcengine's: the id's tail is base64 of 32 hexadecimal digits; the secret is base64 of such.
pub(crate) fn volcengine(id: &[u8], secret: &[u8]) -> bool {
    let is_uuid = |bytes: &[u8]| bytes.len() == 32 && bytes.iter().all(u8::is_ascii_hexdigit);
    let tail = id.get(4..).and_then(inline::base64);
    let inner = inline::base64(secret).and_then(|once| inline::base64(&once));
    tail.is_some_and(|tail| is_uuid(&tail)) && inner.is_some_and(|inner| is_uuid(&inner))
}

/// When a credential ends, from seconds, milliseconds or RFC 3339.
pub(crate) fn expires(value: &[u8]) -> Option<Proof> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let at = match text.parse::<i64>() {
        Ok(seconds) if (1_000_000_000..10_000_000_000).contains(&seconds) => {
            Time::from_seconds(seconds)
        }
        Ok(millis) if (1_000_000_000_000..10_000_000_000_000).contains(&millis) => Time(millis),
        Ok(_) => return None,
        Err(_) => Time(rfc3339(text.as_bytes())?),
    };
    Some(Proof::Expires { at })
}

/// Milliseconds since 1970 of `2031-02-03T04:05:06` with an optional fraction and zone.
fn rfc3339(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.iter().try_fold(0_i64, |sum, &b| {
            b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0'))
        })
    };
    let separated =
        text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-') && text.get(13) == Some(&b':');
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !separated || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 {
        return None;
    }
    // Days from the civil calendar, counted from March.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let zone = text[19..]
        .iter()
        .position(|b| matches!(b, b'+' | b'-'))
        .map(|at| at + 19);
    let offset = match zone {
        Some(at) => {
            let minutes = number(at + 1..at + 3)? * 60
                + number(at + 4..at + 6)
                    .or_else(|| number(at + 3..at + 5))
                    .unwrap_or(0);
            if text[at] == b'-' { -minutes } else { minutes }
        }
        None => 0,
    };
    Some((((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_its_published_example() {
        let id = ["ASIA", "Y34FZKBOKMUTVV7A"].concat();
        assert_eq!(
            aws_account(id.as_bytes()),
            Some(Proof::Account {
                id: "609629065308".to_owned(),
                canary: false
            })
        );
        assert_eq!(aws_account(b"AKIAIOSFODNN7EXAMPLE"), None);
    }

    #[test]
    fn instants_are_read_in_the_forms_that_vendors_write() {
        let at = |text: &str| match expires(text.as_bytes()) {
            Some(Proof::Expires { at }) => at.0,
            _ => 0,
        };
        assert_eq!(at("2031-02-03T04:05:06Z"), 1_927_857_906_000);
        assert_eq!(at("2031-02-03T12:05:06+08:00"), 1_927_857_906_000);
        assert_eq!(at("1927857906"), 1_927_857_906_000);
        assert_eq!(at("1927857906000"), 1_927_857_906_000);
        assert_eq!(at("soon"), 0);
    }
}
