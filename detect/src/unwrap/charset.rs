//! Texts in other character sets, made UTF-8 as they flow.
//!
//! Names and values are told by their bytes, so a text has to be UTF-8 before it is looked at. GB18030
//! covers GBK and GB2312; it is believed only where the text is no UTF-8 and every character is one.

use std::io::{ErrorKind, Read};

use encoding_rs::GB18030;
use zeroize::Zeroizing;

use super::fuel::Metered;

/// The byte order of UTF-16, by its mark or by its NULs.
pub(crate) fn utf16_order(head: &[u8]) -> Option<bool> {
    if head.starts_with(&[0xff, 0xfe]) {
        return Some(true);
    }
    if head.starts_with(&[0xfe, 0xff]) {
        return Some(false);
    }
    let head = &head[..head.len().min(512) / 2 * 2];
    if head.len() < 16 || memchr::memchr(0, head).is_none() {
        return None;
    }
    let nuls = |from: usize| head[from..].iter().step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let most = head.len() / 2 * 9 / 10;
    if odd >= most && even == 0 {
        Some(true)
    } else if even >= most && odd == 0 {
        Some(false)
    } else {
        None
    }
}

/// Whether `head` is a text in GB18030: some of it is not ASCII, none of it is UTF-8, and each of its
/// characters is one that such texts use.
pub(crate) fn is_gbk(head: &[u8]) -> bool {
    let head = &head[..head.len().min(4096)];
    // Many bytes at once: most texts are nothing but ASCII.
    if head.is_ascii() {
        return false;
    }
    let Some(first) = head.iter().position(|&b| b >= 0x80) else {
        return false;
    };
    if !(0x81..=0xfe).contains(&head[first]) || memchr::memchr(0, head).is_some() {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => return false,
        // A character that the window's end cuts.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > first => return false,
        Err(_) => {}
    }
    let mut at = first;
    let (mut common, mut other) = (0, 0);
    while at < head.len() {
        if head[at] < 0x80 {
            at += 1;
            continue;
        }
        let Some(&[lead, trail]) = head.get(at..at + 2) else {
            break;
        };
        // GB2312's punctuation and its characters: nearly all that is written.
        if matches!(lead, 0xa1..=0xa9 | 0xb0..=0xf7) && trail >= 0xa1 && trail != 0xff {
            common += 1;
        } else if matches!(lead, 0x81..=0xfe) && matches!(trail, 0x40..=0x7e | 0x80..=0xfe) {
            other += 1;
        } else {
            return false;
        }
        at += 2;
    }
    common >= 2 && common >= other * 8
}

/// Whether a few bytes may begin a text in GB18030: ASCII, and the characters that most such texts are
/// made of.
pub(crate) fn may_be_gbk(head: &[u8]) -> bool {
    let mut rest = head;
    loop {
        rest = match rest {
            [] | [0xa1..=0xa9 | 0xb0..=0xf7] => return !head.is_empty(),
            [b'\t' | b'\n' | b'\r' | b' '..=b'~', rest @ ..]
            | [0xa1..=0xa9 | 0xb0..=0xf7, 0xa1..=0xfe, rest @ ..] => rest,
            _ => return false,
        };
    }
}

/// A stream of UTF-16 as UTF-8.
pub(crate) fn utf16<R: Read>(input: Metered<R>, little: bool) -> impl Read {
    converted(input, move |raw, ended, ready| {
        add_utf16(raw, little, ended, ready)
    })
}

/// A text in UTF-16 that lies in memory, as UTF-8.
pub(crate) fn from_utf16(text: &[u8], little: bool) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    add_utf16(text, little, true, &mut out);
    out
}

fn add_utf16(raw: &[u8], little: bool, ended: bool, ready: &mut Vec<u8>) -> usize {
    let (mut units, _) = raw.as_chunks::<2>();
    let unit = |pair: &[u8; 2]| match little {
        true => u16::from_le_bytes(*pair),
        false => u16::from_be_bytes(*pair),
    };
    // The first half of a character waits for the second.
    if let [before @ .., last] = units
        && !ended
        && (0xd800..0xdc00).contains(&unit(last))
    {
        units = before;
    }
    let mut text = [0_u8; 4];
    let kept = units.iter().map(unit).filter(|&unit| unit != 0xfeff);
    for character in char::decode_utf16(kept) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        ready.extend_from_slice(character.encode_utf8(&mut text).as_bytes());
    }
    units.len() * 2
}

/// A stream of GB18030 as UTF-8.
pub(crate) fn gbk<R: Read>(input: Metered<R>) -> impl Read {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    converted(input, move |raw, ended, ready| {
        let room = decoder.max_utf8_buffer_length(raw.len());
        let start = ready.len();
        ready.resize(start + room.unwrap_or(raw.len() * 4), 0);
        let (_, used, written, _) = decoder.decode_to_utf8(raw, &mut ready[start..], ended);
        ready.truncate(start + written);
        used
    })
}

/// A stream of quoted-printable text (RFC 2045, section 6.7) undone.
pub(crate) fn quoted_printable<R: Read>(input: Metered<R>) -> impl Read {
    converted(input, |raw, ended, ready| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut at = 0;
        while at < raw.len() {
            let rest = &raw[at..];
            let run = memchr::memchr(b'=', rest).unwrap_or(rest.len());
            ready.extend_from_slice(&rest[..run]);
            at += run;
            match rest[run..] {
                [] => {}
                [b'=', b'\n', ..] => at += 2,
                [b'=', b'\r', b'\n', ..] => at += 3,
                // A line that was ended twice.
                [b'=', b'\r', b'\r', b'\n', ..] => at += 4,
                [b'=', high, low, ..] => match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => {
                        ready.extend(u8::try_from(high << 4 | low));
                        at += 3;
                    }
                    // Not an escape: it is text as it stands.
                    _ => {
                        ready.push(b'=');
                        at += 1;
                    }
                },
                _ if ended => {
                    ready.extend_from_slice(&raw[at..]);
                    at = raw.len();
                }
                // What follows the sign is not there yet.
                _ => break,
            }
        }
        at
    })
}

/// Bytes that are converted at once.
const CHUNK: usize = 4096;
/// Bytes that may be left for the next time. Stops: what waits for an end that does not come, and is
/// looked at again with each read.
const MOST_LEFT: usize = 64 << 10;

/// A stream through `convert`, which takes what has come, whether that is all, and where to write; it
/// answers how many bytes it has used. What it leaves comes again, with more behind.
pub(crate) fn converted<R: Read>(
    input: Metered<R>,
    convert: impl FnMut(&[u8], bool, &mut Vec<u8>) -> usize,
) -> impl Read {
    Converted {
        input,
        convert,
        raw: Zeroizing::new(Vec::new()),
        ready: Zeroizing::new(Vec::new()),
        at: 0,
        ended: false,
    }
}

struct Converted<R, F> {
    input: Metered<R>,
    convert: F,
    raw: Zeroizing<Vec<u8>>,
    ready: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl<R: Read, F: FnMut(&[u8], bool, &mut Vec<u8>) -> usize> Read for Converted<R, F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.ready.len() && !self.ended {
            self.ready.clear();
            self.at = 0;
            let mut more = Zeroizing::new([0_u8; CHUNK]);
            let count = self.input.read(&mut *more)?;
            self.raw.extend_from_slice(&more[..count]);
            self.ended = count == 0;
            let used = (self.convert)(&self.raw, self.ended, &mut self.ready);
            self.raw.drain(..used);
            if self.raw.len() > MOST_LEFT {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
