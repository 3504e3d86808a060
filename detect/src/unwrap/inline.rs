//! Encodings inside a text: base64, hexadecimal, percent and backslash escapes, UTF-16.
//!
//! Each answers with the decoded bytes or nothing; what comes out is judged like any other text.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem::Finder;

use super::charset;
use super::compressed::Compression;
use crate::judge::{der, keystore};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Whether `byte` belongs to the standard alphabet without padding.
pub(crate) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where the base64 text that begins at `start` ends: padding included, and lines that go on at the
/// same width joined.
pub(crate) fn wrapped_end(text: &[u8], start: usize) -> usize {
    let run = |at: usize| {
        text[at..]
            .iter()
            .position(|&b| !is_base64(b))
            .map_or(text.len(), |n| at + n)
    };
    let mut end = run(start);
    let width = end - start;
    loop {
        if text[end..].starts_with(b"=") {
            let padding = text[end..]
                .iter()
                .take(2)
                .take_while(|&&b| b == b'=')
                .count();
            return end + padding;
        }
        let mut next = end;
        let blank = text[next..]
            .iter()
            .take(64)
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        if !(60..=80).contains(&width) || !text[next..next + blank].contains(&b'\n') {
            return end;
        }
        next += blank;
        let line = run(next);
        if line == next
            || line - next > width
            || !matches!(text.get(line), None | Some(b'\n' | b'\r' | b'='))
        {
            return end;
        }
        end = line;
        if line - next < width && !text[end..].starts_with(b"=") {
            return end;
        }
    }
}

/// The base64 text of the alphabet for addresses that a long run of the other one, which begins at `at`,
/// is a piece of, if it is worth decoding; what is before `floor` is another's. `may` is what
/// [`may_be_wrapped`] says of the run.
pub(crate) fn addressed(text: &[u8], at: usize, floor: usize, may: bool) -> Option<Range<usize>> {
    let mark = |b: &u8| matches!(b, b'-' | b'_');
    let either = |b: &&u8| is_base64(**b) || mark(b);
    let piece = at > floor && mark(&text[at - 1]);
    if !piece && !may {
        return None;
    }
    let before = &text[floor.max(at.saturating_sub(LONGEST_PIECE))..at];
    let start = at - before.iter().rev().take_while(either).count();
    let head = text[start..].iter().take(LONGEST_PIECE).take_while(either);
    let head = &text[start..start + head.count()];
    if !may_be_wrapped(head) || !looks_wrapped(head) {
        return None;
    }
    let length = text[start..].iter().take_while(either).count();
    if !text[start..start + length].iter().any(mark) {
        return None;
    }
    let padding = text[start + length..].iter().take(2);
    let padding = padding.take_while(|b| **b == b'=').count();
    Some(start..start + length + padding)
}

/// Bytes before a long run in which the beginning of its text is looked for, and of that beginning.
const LONGEST_PIECE: usize = 128;

/// Whether a long run decodes to text or to a container, judged by its beginning.
pub(crate) fn looks_wrapped(run: &[u8]) -> bool {
    let head = &run[..run.len().min(48) / 4 * 4];
    if head.len() < 8 {
        return false;
    }
    if head.iter().all(u8::is_ascii_hexdigit) {
        let mut bytes = [0; 24];
        let bytes = &mut bytes[..head.len() / 2];
        return hex_head(head) && {
            undo_digits(head, bytes);
            begins_wrapped(bytes)
        };
    }
    let url = head.iter().any(|b| matches!(b, b'-' | b'_'));
    let engine = if url { URL } else { STANDARD };
    match engine.decode(head) {
        Ok(bytes) if is_zlib(&bytes) => {
            let head = &run[..run.len().min(LONGEST_HEAD) / 4 * 4];
            let bytes = engine.decode(head).unwrap_or_default();
            Compression::of(&bytes) == Some(Compression::Zlib)
        }
        Ok(bytes) => is_worth(&bytes),
        Err(_) => false,
    }
}

/// Characters in which a stream of zlib has said how its text begins: two bytes are no mark.
const LONGEST_HEAD: usize = 1024;

/// Whether bytes begin as those of a stream of zlib do, and one in sixteen thousand others.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..])
}

/// Whether what a run decodes to is worth decoding all of it.
fn is_worth(head: &[u8]) -> bool {
    begins_wrapped(head) || der::may_begin(head) || keystore::may_begin(head)
}

/// Whether the first bytes of what a run decodes to may be those of a text, in whatever character set, or
/// of a container.
fn begins_wrapped(head: &[u8]) -> bool {
    // What half of all digests have in their first bytes is in nothing but a container.
    if kinds_of(head) & CONTROL_BYTE != 0 {
        return is_container(head);
    }
    is_texty(head) || is_container(head) || charset::may_be_gbk(head) || is_member_name(head)
}

/// A short name and nothing behind it: how an archive of tar begins, whose mark comes much later.
fn is_member_name(head: &[u8]) -> bool {
    let name = head.iter().take_while(|b| b.is_ascii_graphic()).count();
    name > 0 && name < head.len() && head[name..].iter().all(|&b| b == 0)
}

/// Whether a value without a telling name may decode to text, judged by its first bytes: nearly all
/// values do not, and are not worth decoding to learn that.
pub(crate) fn may_be_wrapped(value: &[u8]) -> bool {
    if value.len() < 16 {
        return false;
    }
    if value.first_chunk().is_some_and(are_digits) {
        return hex_head(value);
    }
    let mut bytes = [0; 9];
    for (three, four) in bytes.chunks_mut(3).zip(value.chunks(4)) {
        let mut word = 0;
        for &byte in four {
            let Some(six) = sextet(byte) else {
                return false;
            };
            word = word << 6 | six;
        }
        three.copy_from_slice(&word.to_be_bytes()[1..]);
    }
    is_zlib(&bytes) || is_worth(&bytes)
}

/// Whether all are hexadecimal digits.
pub(crate) fn are_digits(bytes: &[u8; 16]) -> bool {
    // Without a way out before the end, and without a table, so that it is done by vectors.
    let digit = |byte: u8| (byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 6);
    bytes.iter().fold(true, |all, &byte| all & digit(byte))
}

/// What a character of either alphabet of base64 stands for.
pub(crate) fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// What a hexadecimal digit stands for; 255 for other bytes.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Whether the first hexadecimal digits stand for text or for a container's mark. Most long runs are
/// digests: this tells without decoding the rest.
fn hex_head(run: &[u8]) -> bool {
    let mut bytes = [0; 6];
    undo_digits(run, &mut bytes);
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes[..4].iter().all(text) || begins_wrapped(&bytes)
}

/// What hexadecimal digits stand for, as many as there is room for.
fn undo_digits(digits: &[u8], bytes: &mut [u8]) {
    for (byte, &[high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
        *byte = DIGITS[usize::from(high)] << 4 | DIGITS[usize::from(low)] & 0xf;
    }
}

/// Whether decoded bytes begin with the mark of a compressed stream, an archive or a database: marks of
/// three bytes and more, since random bytes are decoded too. Those that begin with words are texts here.
pub(crate) fn is_container(bytes: &[u8]) -> bool {
    match bytes {
        [0x1f, 0x8b, 8, ..]
        | [b'P', b'K', 3, 4, ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..]
        | [b'B', b'Z', b'h', ..]
        | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
        | [0xed, 0xab, 0xee, 0xdb, ..]
        | [0x5d, 0, 0, ..] => true,
        [b'S', ..] => bytes.starts_with(b"SQLite format 3\0"),
        [b'P', ..] => bytes.starts_with(b"PACK\0\0\0"),
        _ => false,
    }
}

/// What base64 of a container begins with: gzip, zstd in either alphabet, bzip2, xz, zip, rpm, ar. In the
/// alphabet for addresses its runs are cut by marks, and so are too short for the sieve.
pub(crate) const ARMOURS: [&[u8]; 9] = [
    b"H4sI",
    b"KLUv_",
    b"KLUv/",
    b"QlpoO",
    b"/Td6WF",
    b"_Td6WF",
    b"UEsDB",
    b"7avu2",
    b"ITxhcmNo",
];
/// Bytes of a container in base64, at least.
const SHORTEST_ARMOUR: usize = 32;

/// The base64 of a container that begins at `at`, where one of [`ARMOURS`] stands, if the sieve's own
/// search for long runs does not see it; where percent-escapes cut it, the string around it.
pub(crate) fn armoured(text: &[u8], at: usize) -> Option<Range<usize>> {
    let either = |b: &u8| is_base64(*b) || matches!(b, b'-' | b'_');
    let escaped = is_behind_percent(text, at);
    let before = at.checked_sub(1).map(|before| text[before]);
    if !escaped && before.is_some_and(|before| either(&before)) {
        return None;
    }
    let run = text[at..]
        .iter()
        .take(32)
        .take_while(|b| is_base64(**b))
        .count();
    let length = text[at..].iter().take_while(|b| either(b)).count();
    let cut = |byte: u8| is_base64(byte) || matches!(byte, b'=' | b'\r' | b'\n');
    if escaped || percent_sign(&text[at + length..]).is_some_and(|(_, byte)| cut(byte)) {
        return Some(string_around(text, at));
    }
    let padding = text[at + length..]
        .iter()
        .take(2)
        .take_while(|b| **b == b'=')
        .count();
    (run < 32 && length >= SHORTEST_ARMOUR).then_some(at..at + length + padding)
}

/// Whether a percent-escape ends at `at`.
fn is_behind_percent(text: &[u8], at: usize) -> bool {
    (2..=2 + MOST_PERCENTS).any(|length| {
        let sign = at.checked_sub(length + 1);
        let sign = sign.filter(|&sign| text[sign] == b'%');
        sign.is_some_and(|sign| escape_before(text, sign + 1) == length)
    })
}

/// Whether a base64 text that begins at `start` is the body of a key with armour.
pub(crate) fn is_armoured(text: &[u8], start: usize) -> bool {
    memchr::memmem::find(&text[start.saturating_sub(160)..start], b"-----").is_some()
}

/// The string, quoted or of one line, in which the escapes at `at` stand; of an address the part.
pub(crate) fn string_around(text: &[u8], at: usize) -> Range<usize> {
    let floor = at.saturating_sub(256);
    let limit = text.len().min(at + LONGEST_STRING);
    let quote = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b'\n');
    let part = |b: &u8| quote(b) || matches!(b, b' ' | b'&' | b'=' | b'?' | b'<' | b'>' | b'\\');
    let around = |outside: &dyn Fn(&u8) -> bool| {
        let start = text[floor..at].iter().rposition(outside);
        let end = text[at..limit].iter().position(outside);
        start.map_or(floor, |n| floor + n + 1)..end.map_or(limit, |n| at + n)
    };
    let address = around(&part);
    match text[at] != b'\\' && text[address.clone()].contains(&b'%') {
        true => address,
        false => around(&quote),
    }
}

/// Bytes of a string of escapes behind where they begin: all that a window has. Each is looked at once.
const LONGEST_STRING: usize = super::stream::WINDOW;

/// A text without the mark of UTF-8 before it.
pub(crate) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Printable in nine of ten bytes and not a run of one byte: what names and values are made of.
pub(crate) fn is_texty(bytes: &[u8]) -> bool {
    // The marks of UTF-16 and of UTF-8 are no text.
    let marks = bytes
        .chunks_exact(2)
        .take_while(|two| matches!(two, [0xff, 0xfe] | [0xfe, 0xff]));
    let bytes = unmarked(&bytes[2 * marks.count()..]);
    match kinds_of(bytes) {
        0 => !bytes.is_empty(),
        // Text in another script.
        HIGH => std::str::from_utf8(&bytes[..bytes.len() - bytes.len().min(3)]).is_ok(),
        // UTF-16.
        NUL => bytes.iter().filter(|&&b| b == 0).count() * 2 + 2 >= bytes.len(),
        _ => false,
    }
}

/// Of which kinds any of `bytes` are.
fn kinds_of(bytes: &[u8]) -> u8 {
    let add = |all, byte: &u8| all | KINDS[usize::from(*byte)];
    bytes.iter().fold(0, add)
}

/// Bytes beyond ASCII.
const HIGH: u8 = 1;
/// The byte zero.
const NUL: u8 = 2;
/// What no text holds.
const CONTROL_BYTE: u8 = 4;

/// Of which of these kinds each byte is; 0 for what is printable, and blanks.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0_u8;
    loop {
        kinds[byte as usize] = match byte {
            0 => NUL,
            b' '..=b'~' | b'\n' | b'\r' | b'\t' => 0,
            0x80.. => HIGH,
            _ => CONTROL_BYTE,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    kinds
};

/// What introduces a terminal's control sequence, ECMA-48.
const CONTROL: &[u8] = b"\x1b[";

/// The text with blanks where a terminal's control sequences were, and quotes where a page's names for
/// them were, so that all else stays where it was: logs of pipelines are coloured, and what `ESC[93m`
/// touches would else be one word with its `m`. Nothing if there are none.
pub(crate) fn undressed(text: &[u8]) -> Option<Vec<u8>> {
    let coloured = memchr::memchr(CONTROL[0], text)
        .and_then(|first| Some(first + memchr::memmem::find(&text[first..], CONTROL)?));
    static QUOTES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(QUOTE));
    // Marked texts are read as such, and undo them where they stand.
    let marked = text.trim_ascii_start().starts_with(b"<");
    let quoted = QUOTES.find(text).filter(|_| !marked);
    let mut plain = coloured.or(quoted).map(|_| text.to_vec())?;
    let controls = coloured.into_iter().flat_map(|first| {
        memchr::memmem::find_iter(&text[first..], CONTROL).map(move |at| first + at)
    });
    for at in controls {
        // Parameters and intermediate bytes, then one final byte.
        let length = text[at + 2..]
            .iter()
            .take(24)
            .take_while(|b| matches!(b, 0x20..=0x3f))
            .count();
        let last = at + 2 + length;
        if matches!(text.get(last), Some(0x40..=0x7e)) {
            plain[at..=last].fill(b' ');
        }
    }
    let quotes = quoted.into_iter().flat_map(|first| {
        memchr::memmem::find_iter(&text[first..], QUOTE).map(move |at| first + at)
    });
    for at in quotes {
        // The quote stands beside what it encloses.
        let end = at + QUOTE.len();
        let opens = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
        plain[at..end].fill(b' ');
        plain[if opens { end - 1 } else { at }] = b'"';
    }
    Some(plain)
}

/// How a page writes a quote inside an attribute.
const QUOTE: &[u8] = b"&quot;";

/// Decodes base64 of either alphabet, padded or not, blanks ignored.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let clean: Vec<u8> = text
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    if clean.len() < 8 || clean.len() % 4 == 1 {
        return None;
    }
    let url = clean.iter().any(|b| matches!(b, b'-' | b'_'));
    if url {
        URL.decode(&clean).ok()
    } else {
        STANDARD.decode(&clean).ok()
    }
}

/// Base64 of the standard alphabet, padded.
pub(crate) fn to_base64(bytes: &[u8]) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .encode(bytes)
        .into_bytes()
}

/// Hexadecimal in lower case.
pub(crate) fn to_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| DIGITS[usize::from(four)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// Decodes hexadecimal of either case.
pub(crate) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 2 == 1 || text.len() < 8 {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    text.chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Undoes percent-encoding; nothing if there is none.
pub(crate) fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut any = false;
    while at < text.len() {
        let byte = (text[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                at += 3;
                any = true;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    any.then_some(out)
}

/// Undoes percent-encoding as often as it was done.
pub(crate) fn percent_all(text: &[u8]) -> Vec<u8> {
    let mut plain = text.to_vec();
    for _ in 0..MOST_PERCENTS / 2 {
        match percent(&plain) {
            Some(once) => plain = once,
            None => break,
        }
    }
    plain
}

/// Characters by their numbers that make a text of escapes: fewer are a control character or two.
const FEWEST_ESCAPES: usize = 6;

/// How many bytes of characters that are escaped by their numbers, each the same way, `text` begins
/// with; none if they are few or no text: `\u0061…`, `\x61…`, `\141…`.
pub(crate) fn escapes(text: &[u8]) -> usize {
    let (head, width): (&[u8], _) = match text {
        [b'\\', b'u', ..] => (b"\\u00", 6),
        [b'\\', b'x', ..] => (b"\\x", 4),
        // As `echo` takes them.
        [b'\\', b'0', _, _, _, b'\\', ..] => (b"\\0", 5),
        [b'\\', b'0'..=b'3', ..] => (b"\\", 4),
        _ => return 0,
    };
    let radix = if width - head.len() == 3 { 8 } else { 16 };
    let is_text = |unit: &&[u8]| {
        unit.starts_with(head)
            && std::str::from_utf8(&unit[head.len()..])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, radix).ok())
                .is_some_and(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
    };
    let count = text.chunks_exact(width).take_while(is_text).count();
    if count >= FEWEST_ESCAPES {
        return count * width;
    }
    // Backslashes that were escaped again, as often as the text was wrapped.
    let (mut at, mut count) = (0, 0);
    while text.get(at..at + width).is_some_and(|unit| is_text(&unit)) {
        at += width;
        count += 1;
        let more = text[at..]
            .iter()
            .take(MOST_BACKSLASHES)
            .take_while(|b| **b == b'\\')
            .count();
        if more == 0 {
            break;
        }
        at += more - 1;
    }
    if count < FEWEST_ESCAPES { 0 } else { at }
}

/// Backslashes before one escape: two to the power of how often it is wrapped.
const MOST_BACKSLASHES: usize = 32;

/// Whether `text` begins with an escaped `=` or `:`.
pub(crate) fn is_separator(text: &[u8]) -> bool {
    if let Some((_, byte)) = percent_sign(text) {
        return matches!(byte, b'=' | b':');
    }
    let head = &text[..text.len().min(6)].to_ascii_lowercase();
    [
        &b"\\u003d"[..],
        b"\\u003a",
        b"\\x3d",
        b"\\x3a",
        b"\\075",
        b"\\072",
    ]
    .iter()
    .any(|escape| head.starts_with(escape))
}

/// How long the escape is that `text` begins with, and which byte it stands for: `%3D`, or `%25253D` in a
/// text that was escaped three times.
pub(crate) fn percent_sign(text: &[u8]) -> Option<(usize, u8)> {
    let digits = text.strip_prefix(b"%")?;
    let pair = |at: usize| {
        let pair = digits.get(at..at + 2)?;
        let [high, low] = [pair[0], pair[1]].map(|digit| DIGITS[usize::from(digit)]);
        (high < 16 && low < 16).then_some(high << 4 | low)
    };
    let mut at = 0;
    while at < MOST_PERCENTS && pair(at) == Some(b'%') && pair(at + 2).is_some() {
        at += 2;
    }
    pair(at).map(|byte| (at + 3, byte))
}

/// Digits of signs of escapes that were escaped again.
const MOST_PERCENTS: usize = 8;

/// How many bytes of the run of letters and digits that begins at `at` belong to an escape before it:
/// the `0A` of `%0A`, the `n` of `\n`.
pub(crate) fn escape_before(text: &[u8], at: usize) -> usize {
    let Some(sign) = at.checked_sub(1) else {
        return 0;
    };
    let octal = |digits: &[u8]| digits.iter().all(|b| matches!(b, b'0'..=b'7'));
    match text[sign..] {
        [b'%', ..] => percent_sign(&text[sign..]).map_or(0, |(length, _)| length - 1),
        [b'\\', b'n' | b'r' | b't', ..] => 1,
        [b'\\', b'u', ..] if code(text, at + 1, 4).is_some() => 5,
        [b'\\', b'x', ..] if code(text, at + 1, 2).is_some() => 3,
        [b'\\', b'0'..=b'3', a, b, ..] if octal(&[a, b]) => 3,
        _ => 0,
    }
}

/// Whether `text` begins with a line's end that is escaped, and a line behind it.
pub(crate) fn is_line_end(text: &[u8]) -> bool {
    let breaks = |byte: u8| matches!(byte, b'\n' | b'\r');
    match text {
        [b'%', ..] => percent_sign(text).is_some_and(|(_, byte)| breaks(byte)),
        [b'\\', ..] => {
            let signs = text.iter().take(MOST_BACKSLASHES);
            let signs = signs.take_while(|b| **b == b'\\').count();
            matches!(text.get(signs), Some(b'n' | b'r'))
        }
        _ => false,
    }
}

/// Undoes backslash escapes of JSON and its kin; an unknown one keeps its character.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let Some(backslash) = memchr::memchr(b'\\', &text[at..]) else {
            out.extend_from_slice(&text[at..]);
            break;
        };
        out.extend_from_slice(&text[at..at + backslash]);
        at += backslash + 1;
        let Some(&kind) = text.get(at) else {
            break;
        };
        at += 1;
        match kind {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'u' => at += unicode(text, at, &mut out),
            b'x' => match code(text, at, 2) {
                Some(byte) => {
                    out.extend(u8::try_from(byte));
                    at += 2;
                }
                None => out.push(b'x'),
            },
            b'0'..=b'3' => at += octal(text, at - 1, &mut out) - 1,
            // No language has these: whoever wrote the backslash meant it.
            b'4'..=b'9'
            | b'A'..=b'Z'
            | b'c'..=b'd'
            | b'g'..=b'm'
            | b'o'..=b'q'
            | b's'
            | b'w'..=b'z' => {
                out.extend([b'\\', kind]);
            }
            other => out.push(other),
        }
    }
    out
}

/// Writes the byte whose three octal digits are at `at`, or four as `echo` takes them; answers how many
/// bytes they took.
fn octal(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let byte = |from: usize| {
        let digits = std::str::from_utf8(text.get(from..from + 3)?).ok()?;
        u8::from_str_radix(digits, 8).ok()
    };
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let (short, long) = (byte(at), byte(at + 1).filter(is_text));
    match (short, long) {
        // The next escape follows: the fourth digit is no character of its own.
        (Some(_), Some(long)) if text[at] == b'0' && text.get(at + 4) == Some(&b'\\') => {
            out.push(long);
            4
        }
        (Some(short), Some(long)) if text[at] == b'0' && !is_text(&short) => {
            out.push(long);
            4
        }
        (Some(short), _) => {
            out.push(short);
            3
        }
        (None, _) => {
            out.push(text[at]);
            1
        }
    }
}

/// Writes the character whose digits are at `at`; answers how many bytes they took.
fn unicode(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    // `\u{41}` of JavaScript and Rust.
    if text.get(at) == Some(&b'{') {
        let digits = text[at + 1..].iter().take(7).position(|&b| b == b'}');
        let scalar = digits.and_then(|digits| Some((digits, code(text, at + 1, digits)?)));
        if let Some((digits, scalar)) = scalar.filter(|(digits, _)| *digits > 0) {
            let character = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return digits + 2;
        }
    }
    let Some(first) = code(text, at, 4) else {
        out.push(b'u');
        return 0;
    };
    let low = (0xd800..0xdc00)
        .contains(&first)
        .then(|| text.get(at + 4..at + 6).filter(|next| next == b"\\u"))
        .flatten()
        .and_then(|_| code(text, at + 6, 4))
        .filter(|low| (0xdc00..0xe000).contains(low));
    let (scalar, taken) = match low {
        Some(low) => (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), 10),
        None => (first, 4),
    };
    let character = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    taken
}

fn code(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = std::str::from_utf8(text.get(at..at + digits)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_told_sixteen_at_a_time() {
        for byte in 0..=255_u8 {
            for at in 0..16 {
                let mut bytes = *b"0123456789abcDEF";
                bytes[at] = byte;
                assert_eq!(
                    are_digits(&bytes),
                    byte.is_ascii_hexdigit(),
                    "{byte} at {at}"
                );
            }
        }
    }

    #[test]
    fn what_has_control_characters_may_be_a_container_alone() {
        let (mut numbers, mut with) = (9_u64, 0);
        for _ in 0..20_000 {
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Marks and names among them, not only what chance makes.
            let mut head = numbers.to_be_bytes();
            match numbers >> 20 & 7 {
                0 => head[..2].copy_from_slice(&[0xff, 0xfe]),
                1 => head[..3].copy_from_slice(&[0x1f, 0x8b, 8]),
                2 => head[..4].copy_from_slice(b"name"),
                3 => head[3..].fill(0),
                _ => {}
            }
            with += usize::from(kinds_of(&head) & CONTROL_BYTE != 0);
            let any = is_texty(&head)
                || is_container(&head)
                || charset::may_be_gbk(&head)
                || is_member_name(&head);
            assert_eq!(begins_wrapped(&head), any, "{head:x?}");
        }
        assert!(with > 1000, "{with}");
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(
            unescape(br"a\nb\u0041\x42\\c\/\ud83d\ude00\"),
            "a\nbAB\\c/\u{1f600}".as_bytes()
        );
        assert_eq!(percent(b"a%2Bb%3d"), Some(b"a+b=".to_vec()));
        assert_eq!(percent(b"plain"), None);
        assert_eq!(hex(b"4142434445"), Some(b"ABCDE".to_vec()));
        assert_eq!(base64(b"QUJD REVG\nR0hJ"), Some(b"ABCDEFGHI".to_vec()));
        assert_eq!(base64(b"QUJDRA"), None);
        assert_eq!(base64(b"QUJDREVGRw"), Some(b"ABCDEFG".to_vec()));
    }
}
