//! Encodings that a generator needs, so that no part of the corpus depends on how a library writes.

use std::fmt::Write as _;

/// Padded base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// CRC-32 as zlib and Ethernet have it.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A number in the digits of `alphabet`, at least `width` long.
#[must_use]
pub fn in_base(mut number: u64, alphabet: &str, width: usize) -> String {
    let digits = alphabet.as_bytes();
    let base = digits.len() as u64;
    let mut reversed = Vec::new();
    while number > 0 || reversed.len() < width {
        let digit = usize::try_from(number % base).unwrap_or(0);
        reversed.push(char::from(digits[digit]));
        number /= base;
    }
    reversed.iter().rev().collect()
}

/// Percent-encoding of everything but letters, digits and `-._~`.
#[must_use]
pub fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A string as JSON writes it, without the quotes.
#[must_use]
pub fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A string as XML text.
#[must_use]
pub fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A word of a shell, quoted when it must be.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_digits_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            in_base(61, "0123456789abcdefghijklmnopqrstuvwxyz", 3),
            "01p"
        );
        assert_eq!(percent("a b/+"), "a%20b%2F%2B");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
    }
}
