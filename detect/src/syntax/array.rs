//! Arrays of bytes in source code: `char key[] = {0x3f, 017, 'x'}`, `bytes([63, 15, 120])`.
//!
//! Who writes a key as numbers keeps it from a search for text. Finds what such an array is called and
//! what it holds; whether that is a key is not asked.

use std::cell::Cell;
use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use crate::unwrap::inline;

/// Bytes that a key has: fewer are a nonce or a mark, more are a table.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=64;
/// Bytes of text that an array takes. Stops: blanks and remarks without end.
const LONGEST: usize = 4096;
/// How many times the bytes of a text may be walked over as remarks behind its brackets. Stops: brackets
/// inside a remark, behind each of which the same is walked over.
const MOST_TIMES: usize = 4;
/// Bytes between a name and its string: a call of a decoder's, at most.
const LONGEST_CALL: usize = 64;
/// Bytes of text before an array in which its name is looked for.
const LONGEST_BEFORE: usize = 192;

/// An array with a name.
pub(crate) struct Array {
    pub(crate) name: Range<usize>,
    /// From its bracket to the other.
    pub(crate) range: Range<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Bytes of remarks that may be walked over in a text.
pub(crate) fn remarks(text: &[u8]) -> Cell<usize> {
    Cell::new(
        text.len()
            .saturating_mul(MOST_TIMES)
            .saturating_add(LONGEST),
    )
}

/// The arrays of `text` with as many bytes as a key. Once no more `remarks` may be walked over, those behind
/// which one stands are left out.
pub(crate) fn find<'t>(
    text: &'t [u8],
    remarks: &'t Cell<usize>,
) -> impl Iterator<Item = Array> + 't {
    brackets(text).into_iter().filter_map(|at| {
        let (bytes, end) = numbers(text, at, remarks)?;
        let name = name_before(text, at)?;
        Some(Array {
            name,
            range: at..end,
            bytes,
        })
    })
}

/// The brackets of `text` behind which numbers may stand: nearly always a name does, or a statement.
fn brackets(text: &[u8]) -> Vec<usize> {
    dispatch!(Level::new(), simd => brackets_with(simd, text))
}

#[inline(always)]
fn brackets_with<S: Simd>(simd: S, text: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let (blocks, tail) = text.as_chunks::<64>();
    let mut padded = [b'a'; 64];
    padded[..tail.len()].copy_from_slice(tail);
    // Whether nothing but blanks stands between the block and a bracket before it.
    let mut open = false;
    for (base, block) in (0..).step_by(64).zip(blocks.iter().chain([&padded])) {
        let bytes = u8x64::from_slice(simd, block);
        // `[` and `{`.
        let opens = (bytes | 0x20)
            .simd_eq(u8x64::splat(simd, b'{'))
            .to_bitmask();
        if opens == 0 && !open {
            continue;
        }
        let white = bytes.simd_lt(u8x64::splat(simd, b' ' + 1)).to_bitmask();
        // `#` to `9`, among them digits, casts, characters and remarks, and a joined line's end.
        let first = (bytes - b'#')
            .simd_lt(u8x64::splat(simd, b'9' - b'#' + 1))
            .to_bitmask()
            | bytes.simd_eq(u8x64::splat(simd, b'\\')).to_bitmask();
        let starts = opens << 1 | u64::from(open);
        // Adding to a run's first bit carries to the one behind it.
        let (behind, carried) = white.overflowing_add(starts & white);
        open = carried || opens >> 63 == 1;
        let mut behind = (behind & !white | starts & !white) & first;
        while behind != 0 {
            let at = base + behind.trailing_zeros() as usize;
            behind &= behind - 1;
            found.extend(text[..at.min(text.len())].iter().rposition(|&b| b > b' '));
        }
    }
    found
}

/// The strings of `text` that are a key of 128, 192 or 256 bits in hexadecimal beside a name that ends
/// with `key`: `key = "…"`, `char key[33] = "…"`, `"key": "…"`.
pub(crate) fn keys(text: &[u8]) -> impl Iterator<Item = Array> {
    memchr::memchr2_iter(b'y', b'Y', text).filter_map(|at| {
        let end = at + 1;
        let start = at
            - text[..at]
                .iter()
                .rev()
                .take(32)
                .take_while(|b| is_part(**b))
                .count();
        let key = text[start..end].to_ascii_lowercase();
        let rest = &text[end..text.len().min(end + LONGEST_CALL)];
        let free = key.ends_with(b"key") && !rest.first().is_some_and(|b| is_part(*b));
        let rest = free.then(|| separated(rest))??;
        let from = end + rest;
        let quote = text[from - 1];
        let length = text[from..]
            .iter()
            .take(65)
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        let whole = matches!(length, 32 | 48 | 64) && text.get(from + length) == Some(&quote);
        let bytes = whole.then(|| inline::hex(&text[from..from + length]))??;
        Some(Array {
            name: start..end,
            range: from..from + length,
            bytes,
        })
    })
}

/// The strings of `text` that are a key of as many bytes as one has, most of them by their numbers:
/// `b"\x9c\x41…"`.
pub(crate) fn escaped(text: &[u8]) -> impl Iterator<Item = Array> {
    let mut until = 0;
    memchr::memmem::find_iter(text, b"\\x").filter_map(move |at| {
        let before =
            (at >= until).then(|| &text[at.saturating_sub(LONGEST_PIECE).max(until)..at])?;
        let quote = before
            .iter()
            .rposition(|b| matches!(b, b'"' | b'\'' | b'`' | b'\n'))?;
        let start = at - before.len() + quote;
        (text[start] != b'\n').then_some(())?;
        let mut bytes = Vec::with_capacity(*LENGTH.end());
        let (mut end, mut numbers) = (start + 1, 0);
        while text.get(end) != Some(&text[start]) && bytes.len() <= *LENGTH.end() {
            let (byte, length) = written(&text[end..])?;
            bytes.push(byte);
            numbers += usize::from(length == 4);
            end += length;
            until = end;
        }
        let binary = numbers >= SHORTEST_BINARY && bytes.iter().any(|byte| *byte >= 0x80);
        let name =
            (binary && LENGTH.contains(&bytes.len())).then(|| name_before(text, start))??;
        Some(Array {
            name,
            range: start..end + 1,
            bytes,
        })
    })
}

/// Bytes of a string before the first that is written by its number.
const LONGEST_PIECE: usize = 128;
/// Bytes that are written by their numbers, at least: chance makes one in two that can be written no other
/// way.
const SHORTEST_BINARY: usize = 4;

/// The byte of a string that `text` begins with, and how it is written: `\x9c`, `\n`, `a`.
fn written(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'x', ..] => {
            let digits = std::str::from_utf8(text.get(2..4)?).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, 4))
        }
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', b'0', ..] => Some((0, 2)),
        [b'\\', byte, ..] if byte.is_ascii_punctuation() => Some((*byte, 2)),
        [byte, ..] if byte.is_ascii_graphic() || *byte == b' ' => Some((*byte, 1)),
        _ => None,
    }
}

/// Bytes from behind a name to behind the quote of its string, which a call may be given:
/// `= bytes.fromhex("`.
fn separated(text: &[u8]) -> Option<usize> {
    let skip = |at: usize, of: &[u8]| at + text[at..].iter().take_while(|b| of.contains(b)).count();
    let length = skip(0, b"[]0123456789\"' ");
    // Go's calls answer with an error beside.
    let length = match text[length..].strip_prefix(b", ") {
        Some(error) => {
            let word = error.iter().take_while(|b| is_part(**b) || **b == b' ');
            length + 2 + word.count()
        }
        None => length,
    };
    let separator = skip(length, b":=>");
    let mut quote = skip(separator, b" ");
    let call = text[quote..]
        .iter()
        .take_while(|b| is_part(**b) || matches!(b, b'.' | b':' | b'!' | b' '));
    let call = quote + call.count();
    if call > quote && text.get(call) == Some(&b'(') {
        quote = skip(call, b"( ");
        // A string's prefix inside the call.
        quote += usize::from(matches!(text[quote..], [b'b', b'"' | b'\'', ..]));
    }
    let known = matches!(text.get(quote)?, b'"' | b'\'') && separator > length;
    known.then_some(quote + 1)
}

/// The bytes between the bracket at `at` and the one that closes it, and where it stands.
fn numbers(text: &[u8], at: usize, remarks: &Cell<usize>) -> Option<(Vec<u8>, usize)> {
    // Most brackets hold one number: nothing is kept and nothing taken from the heap for those.
    let mut kinds = Kinds::default();
    let end = walk(text, at, remarks, |value| kinds.add(value))?;
    let size = kinds.size()?;
    let mut bytes = Vec::with_capacity(*LENGTH.end());
    walk(text, at, remarks, |value| {
        bytes.extend_from_slice(&value.to_be_bytes()[16 - size..]);
        true
    })?;
    Some((bytes, end))
}

/// Calls `each` with every number between the bracket at `at` and the one that closes it, as long as it says
/// so; answers where that stands.
fn walk(
    text: &[u8],
    mut at: usize,
    remarks: &Cell<usize>,
    mut each: impl FnMut(i128) -> bool,
) -> Option<usize> {
    let close = if text[at] == b'{' { b'}' } else { b']' };
    let (whole, bracket) = (text, at);
    let text = &text[..text.len().min(at + LONGEST)];
    at = skip(text, at + 1, remarks, FEW_REMARKS)?;
    // A block of statements begins with remarks as well, and has no name.
    if matches!(text.get(at), Some(b'/' | b'#')) {
        name_before(whole, bracket)?;
    }
    loop {
        at = skip(text, at, remarks, usize::MAX)?;
        if text.get(at) == Some(&close) {
            break;
        }
        let (value, length) = number(&text[at..])?;
        each(value).then_some(())?;
        at = skip(text, at + length, remarks, usize::MAX)?;
        match text.get(at)? {
            b',' => at += 1,
            byte if *byte == close => break,
            _ => return None,
        }
    }
    Some(at + 1)
}

/// What numbers an array has.
#[derive(Default)]
struct Kinds {
    count: usize,
    least: i128,
    most: i128,
    /// Those of more than twenty bits and of more than fifty-two.
    large: [usize; 2],
}

impl Kinds {
    /// Whether there may be more.
    fn add(&mut self, value: i128) -> bool {
        self.count += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        for (large, bits) in self.large.iter_mut().zip([20, 52]) {
            *large += usize::from(value.abs() >> bits != 0);
        }
        self.count <= *LENGTH.end()
    }

    /// Bytes of each of them, if all are as many as a key has. Of larger numbers nearly all are large:
    /// chance makes one of 4,096 with twelve zeros first.
    fn size(&self) -> Option<usize> {
        let fits = |size: &usize| {
            let bits = 8 * size;
            self.least >= -(1_i128 << (bits - 1)) && self.most < 1_i128 << bits
        };
        let size = [1, 4, 8].into_iter().find(fits)?;
        let large = match size {
            1 => self.count,
            4 => self.large[0],
            _ => self.large[1],
        };
        let made = large * 8 >= self.count * 7 && LENGTH.contains(&(self.count * size));
        made.then_some(size)
    }
}

/// Remarks before an array's first number for which nobody is asked what it is called.
const FEW_REMARKS: usize = 8;

/// Where what is no blank, no joined line's end and no remark begins, or what is behind the `most` first
/// remarks.
fn skip(text: &[u8], mut at: usize, remarks: &Cell<usize>, mut most: usize) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        at += match rest {
            [b, ..] if b.is_ascii_whitespace() => 1,
            [b'\\', b'\n' | b'\r', ..] => 1,
            [b'/', b'*' | b'/', ..] | [b'#', ..] if most > 0 => {
                most -= 1;
                let left = remarks.get();
                let end = (left > 0).then(|| remark_end(rest))?;
                remarks.set(left.saturating_sub(end.unwrap_or(rest.len())));
                end?
            }
            _ => return Some(at),
        };
    }
}

/// Where the remark ends that `text` begins with.
fn remark_end(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"/*") {
        return memchr::memmem::find(text, b"*/").map(|at| at + 2);
    }
    // A remark goes on over a line's end with a backslash.
    let ends = |end: &usize| {
        let line = &text[..*end];
        !line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"\\")
    };
    let end = memchr::memchr_iter(b'\n', text).find(ends)?;
    Some(end + 1)
}

/// One number as source code writes it, and how long that is: `0x3f`, `077`, `-12`, `(byte) 0xf0`, `'x'`.
fn number(text: &[u8]) -> Option<(i128, usize)> {
    if let [b'\'', byte, b'\'', ..] = text
        && byte.is_ascii_graphic()
        && !matches!(byte, b'\\' | b'\'')
    {
        return Some((i128::from(*byte), 3));
    }
    let cast = cast(text);
    let minus = usize::from(text.get(cast) == Some(&b'-'));
    let from = cast + minus;
    let word = text[from..]
        .iter()
        .take(LONGEST_NUMBER)
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let digits = &text[from..from + word];
    let hex = digits.strip_prefix(b"0x").or(digits.strip_prefix(b"0X"));
    let (digits, radix) = match (hex, digits) {
        (Some(digits), _) => (digits, 16),
        (None, [b'0', rest @ .., b'0'..=b'7']) if rest.iter().all(u8::is_ascii_digit) => {
            (digits, 8)
        }
        _ => (digits, 10),
    };
    let digits = [
        &b"u8"[..],
        b"i8",
        b"u32",
        b"i32",
        b"u64",
        b"i64",
        b"ULL",
        b"UL",
        b"u",
        b"U",
        b"L",
    ]
    .iter()
    .find_map(|suffix| digits.strip_suffix(*suffix))
    .unwrap_or(digits);
    let value = u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    let value = i128::from(value);
    Some((if minus == 0 { value } else { -value }, from + word))
}

/// Bytes of a number: of twenty digits, with what says its kind.
const LONGEST_NUMBER: usize = 23;

/// Bytes of a cast that a number has before it.
fn cast(text: &[u8]) -> usize {
    [&b"(byte)"[..], b"(char)", b"(uint8_t)", b"(unsigned char)"]
        .iter()
        .find(|cast| text.starts_with(cast))
        .map_or(0, |cast| {
            let rest = &text[cast.len()..];
            cast.len() + usize::from(rest.starts_with(b" "))
        })
}

/// What the array whose bracket is at `at` is called: left of `=` with a type or a constructor between, of
/// a colon, or behind `#define`.
fn name_before(text: &[u8], at: usize) -> Option<Range<usize>> {
    let floor = at.saturating_sub(LONGEST_BEFORE);
    let before = &text[floor..at];
    // Types, casts and calls: `= new byte[] {`, `= bytes([`, `:= []byte{`.
    let between = |b: &u8| {
        b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"_()[]<>&*.\\:".contains(b)
    };
    if let Some(equals) = memchr::memrchr(b'=', before)
        && before[equals + 1..].iter().all(between)
    {
        let left = &before[..equals];
        return identifier(left.strip_suffix(b":").unwrap_or(left), floor);
    }
    let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let told = before[line..].trim_ascii_start();
    if let Some(rest) = told.strip_prefix(b"#define") {
        let start = floor + before.len() - rest.trim_ascii_start().len();
        let length = text[start..at].iter().take_while(|b| is_part(**b));
        let name = start..start + length.count();
        let free = text[name.end..at]
            .iter()
            .all(|b| b.is_ascii_whitespace() || *b == b'\\' || *b == b'(');
        return (!name.is_empty() && free).then_some(name);
    }
    let colon = memchr::memrchr(b':', &before[line..])? + line;
    let word = |b: &u8| is_part(*b) || matches!(b, b' ' | b'(' | b'.' | b'[' | b']' | b'{');
    let left = before[..colon].trim_ascii_end();
    let left = left
        .strip_suffix(b"\"")
        .or(left.strip_suffix(b"'"))
        .unwrap_or(left);
    let free = before[colon + 1..].iter().all(word);
    free.then(|| identifier(left, floor)).flatten()
}

/// The name at the end of `left`, which begins at `floor`, without the lengths and types behind it:
/// `key[16]`, `key: [u8; 16]`, `key: Uint8Array`.
fn identifier(left: &[u8], floor: usize) -> Option<Range<usize>> {
    let mut left = bare(left);
    for _ in 0..2 {
        let length = left.iter().rev().take_while(|b| is_part(**b)).count();
        let (rest, name) = left.split_at(left.len() - length);
        let outer = bare(rest);
        if length == 0 || name == b"PROGMEM" {
            left = outer.strip_suffix(b":").map_or(outer, bare);
        } else if outer.ends_with(b":") && !outer.ends_with(b"::") {
            left = bare(&outer[..outer.len() - 1]);
        } else {
            break;
        }
    }
    let length = left.iter().rev().take_while(|b| is_part(**b)).count();
    let end = floor + left.len();
    (length > 0).then_some(end - length..end)
}

/// `text` without blanks, signs of references and brackets at its end.
fn bare(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii_end();
    for _ in 0..4 {
        let open = match text.last() {
            Some(b']') => b'[',
            Some(b'>') => b'<',
            Some(b'&' | b'*') => {
                text = text[..text.len() - 1].trim_ascii_end();
                continue;
            }
            _ => break,
        };
        let Some(open) = memchr::memrchr(open, text) else {
            break;
        };
        text = text[..open].trim_ascii_end();
    }
    text
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

/// What the bytes say as text, if they are one, without the zero that ends it; else in hexadecimal.
pub(crate) fn told(bytes: &[u8]) -> Vec<u8> {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if text.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        text.to_vec()
    } else {
        inline::to_hex(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [
        0x9c, 0x41, 0x07, 0xe3, 0x5a, 0xd8, 0x22, 0xb6, 0x6f, 0x13, 0xc9, 0x84, 0x3e, 0xf1, 0x70,
        0x2d,
    ];

    fn check(text: &str, expected: Option<&str>) {
        let remarks = remarks(text.as_bytes());
        let found: Vec<Array> = find(text.as_bytes(), &remarks).collect();
        let name = found.first().map(|array| &text[array.name.clone()]);
        assert_eq!(name, expected, "{text}");
        for array in found {
            assert_eq!(array.bytes, BYTES, "{text}");
            assert!(text[..array.range.end].ends_with(['}', ']']), "{text}");
        }
    }

    fn list(of: impl Fn(u8) -> String) -> String {
        BYTES.map(of).join(", ")
    }

    #[test]
    fn arrays_are_found_as_languages_write_them() {
        let hex = list(|b| format!("{b:#04x}"));
        let decimal = list(|b| b.to_string());
        check(&format!("char app_key[] = {{{hex}}};"), Some("app_key"));
        check(&format!("#define AESKEY {{ {hex} }}"), Some("AESKEY"));
        check(&format!("var key = []byte{{{hex}}}"), Some("key"));
        check(&format!("key := []byte{{\n\t{hex},\n}}"), Some("key"));
        check(&format!("let key: [u8; 16] = [{decimal}];"), Some("key"));
        check(&format!("const KEY: &[u8] = &[{decimal}];"), Some("KEY"));
        check(&format!("KEY = \\\n  bytes([{decimal}])"), Some("KEY"));
        check(
            &format!("const k: Uint8Array = new Uint8Array([{decimal}])"),
            Some("k"),
        );
        check(&format!("  \"secret\": [{decimal}],"), Some("secret"));
        check(
            &format!("const uint8_t key[16] PROGMEM = {{{hex}}};"),
            Some("key"),
        );
        let octal = list(|b| format!("0{b:03o}"));
        check(&format!("uint8_t key[16] = {{{octal}}};"), Some("key"));
        let signed = list(|b| i8::from_ne_bytes([b]).to_string());
        check(&format!("byte[] key = {{{signed}}};"), Some("key"));
        let cast = list(|b| format!("(byte) {b:#x}"));
        check(&format!("byte[] key = new byte[] {{{cast}}};"), Some("key"));
        let remarks = hex.replacen(", ", ", // one \\\n two\n /* three */ ", 1);
        check(&format!("char key[] = {{\n{remarks}\n}};"), Some("key"));
    }

    #[test]
    fn brackets_before_numbers_are_found_wherever_blocks_end() {
        for pad in (0..130).map(|pad| "x".repeat(pad)) {
            for blanks in [0, 1, 7, 63, 64, 65, 140].map(|blanks| "\n".repeat(blanks)) {
                let text =
                    format!("{pad}{{{blanks}'a'{{}}[{blanks}9] ({blanks}9{{{blanks}x[{blanks}");
                let second = pad.len() + blanks.len() + 6;
                assert_eq!(brackets(text.as_bytes()), [pad.len(), second], "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_list_of_bytes_is_none() {
        let hex = list(|b| format!("{b:#04x}"));
        check(&format!("f({{{hex}}});"), None);
        check(&format!("int key[] = {{{hex}, 256}};"), None);
        check(&format!("int key[] = {{{hex}, x}};"), None);
        check("char key[] = {1, 2, 3};", None);
        check(
            &format!("int key[] = {{{}}};", [hex.as_str(); 5].join(",")),
            None,
        );
        check(&format!("char key[] = {{{hex}"), None);
    }

    #[test]
    fn hexadecimal_keys_are_found() {
        let hex: String = BYTES.iter().map(|b| format!("{b:02x}")).collect();
        let check = |text: &str, expected: Option<&str>| {
            let found = keys(text.as_bytes()).next();
            let name = found.as_ref().map(|key| &text[key.name.clone()]);
            assert_eq!(name, expected, "{text}");
            assert!(found.is_none_or(|key| text[key.range] == hex));
        };
        check(&format!("char key[33]=\"{hex}\";"), Some("key"));
        check(&format!("aesKey := '{hex}'"), Some("aesKey"));
        check(&format!("key = '{hex}'"), Some("key"));
        check(&format!("{{\"key\" : \"{hex}\"}}"), Some("key"));
        check(&format!("key = \"{hex}ab\""), None);
        check(&format!("keys = \"{hex}\""), None);
        check(&format!("key = {hex}"), None);
    }

    #[test]
    fn text_is_told_as_text() {
        assert_eq!(told(b"kJ8s-2 x\0"), b"kJ8s-2 x");
        assert_eq!(told(&[0x9c, 0, 0x41]), b"9c0041");
    }
}
