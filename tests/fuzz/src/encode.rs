//! Encoders that lay any bytes before a decoder, so that a fuzzer need not guess its alphabet.

use std::fmt::Write as _;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Padded base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            if at <= group.len() {
                text.push(char::from(BASE64[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Each byte as `format` writes it.
fn each(bytes: &[u8], write: impl Fn(&mut String, u8)) -> String {
    let mut text = String::with_capacity(bytes.len() * 4);
    for &byte in bytes {
        write(&mut text, byte);
    }
    text
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    each(bytes, |text, byte| {
        let _ = write!(text, "{byte:02x}");
    })
}

/// `%41`
#[must_use]
pub fn percent(bytes: &[u8]) -> String {
    each(bytes, |text, byte| {
        let _ = write!(text, "%{byte:02X}");
    })
}

/// `\u0041`
#[must_use]
pub fn unicode(bytes: &[u8]) -> String {
    each(bytes, |text, byte| {
        let _ = write!(text, "\\u{byte:04x}");
    })
}

/// `\101`
#[must_use]
pub fn octal(bytes: &[u8]) -> String {
    each(bytes, |text, byte| {
        let _ = write!(text, "\\{byte:03o}");
    })
}

/// `=41`
#[must_use]
pub fn quoted_printable(bytes: &[u8]) -> String {
    each(bytes, |text, byte| {
        let _ = write!(text, "={byte:02X}");
    })
}

/// Two bytes a character, the lower first, with its mark.
#[must_use]
pub fn utf16(bytes: &[u8]) -> Vec<u8> {
    let marked = [0xff, 0xfe].into_iter();
    marked
        .chain(bytes.iter().flat_map(|&byte| [byte, 0]))
        .collect()
}
