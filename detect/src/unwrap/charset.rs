//! Texts in other character sets, made UTF-8 as they flow.
//!
//! Names and values are told by their bytes, so a text has to be UTF-8 before it is looked at. GB18030
//! covers GBK and GB2312; it is believed only where the text is no UTF-8 and every character is one.

use std::io::Read;

use encoding_rs::{CoderResult, Decoder, GB18030};

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

/// A stream of UTF-16 as UTF-8.
pub(crate) fn utf16<R: Read>(input: R, little: bool) -> impl Read {
    Utf16 {
        input,
        little,
        ready: Vec::new(),
        at: 0,
    }
}

/// A stream of GB18030 as UTF-8.
pub(crate) fn gbk<R: Read>(input: R) -> impl Read {
    Gbk {
        input,
        decoder: GB18030.new_decoder_without_bom_handling(),
        raw: Vec::new(),
        ended: false,
    }
}

/// A stream of quoted-printable text (RFC 2045, section 6.7) undone.
pub(crate) fn quoted_printable<R: Read>(input: R) -> impl Read {
    QuotedPrintable {
        input: std::io::BufReader::new(input),
    }
}

struct Gbk<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    ended: bool,
}

impl<R: Read> Read for Gbk<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        // A character takes up to four bytes of UTF-8: less room would never be filled.
        if into.len() < 8 {
            return Ok(0);
        }
        loop {
            if self.raw.len() < 4096 && !self.ended {
                let mut more = [0_u8; 4096];
                let count = self.input.read(&mut more)?;
                self.raw.extend_from_slice(&more[..count]);
                self.ended = count == 0;
            }
            let (result, read, written, _) =
                self.decoder
                    .decode_to_utf8(&self.raw, into, self.ended && !self.raw.is_empty());
            self.raw.drain(..read);
            if written > 0 || (self.ended && self.raw.is_empty()) {
                return Ok(written);
            }
            if result == CoderResult::OutputFull {
                return Ok(0);
            }
        }
    }
}

struct QuotedPrintable<R> {
    input: std::io::BufReader<R>,
}

impl<R: Read> Read for QuotedPrintable<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        use std::io::BufRead as _;
        let mut filled = 0;
        while filled < into.len() {
            let buffer = self.input.fill_buf()?;
            let Some(&byte) = buffer.first() else { break };
            if byte != b'=' {
                let run = memchr::memchr(b'=', buffer).unwrap_or(buffer.len());
                let run = run.min(into.len() - filled);
                into[filled..filled + run].copy_from_slice(&buffer[..run]);
                self.input.consume(run);
                filled += run;
                continue;
            }
            self.input.consume(1);
            let mut pair = [0_u8; 2];
            if self.input.read_exact(&mut pair).is_err() {
                break;
            }
            let digit = |byte: u8| char::from(byte).to_digit(16);
            match (pair, digit(pair[0]), digit(pair[1])) {
                (_, Some(high), Some(low)) => {
                    into[filled] = u8::try_from(high << 4 | low).unwrap_or_default();
                    filled += 1;
                }
                ([b'\r', b'\n'], ..) => {}
                // A soft end of a line without its carriage return: the next byte is text again.
                ([b'\n', next], ..) => {
                    into[filled] = next;
                    filled += 1;
                }
                // Not an escape: what follows is text as it stands.
                ([first, second], ..) => {
                    for byte in [b'=', first, second].into_iter().take(into.len() - filled) {
                        into[filled] = byte;
                        filled += 1;
                    }
                }
            }
        }
        Ok(filled)
    }
}

/// UTF-16 to UTF-8, as it flows.
struct Utf16<R> {
    input: R,
    little: bool,
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let mut raw = [0_u8; 4096];
            let mut filled = 0;
            while filled < raw.len() {
                match self.input.read(&mut raw[filled..])? {
                    0 => break,
                    count => filled += count,
                }
            }
            let units = raw[..filled].as_chunks::<2>().0.iter().map(|pair| {
                if self.little {
                    u16::from_le_bytes(*pair)
                } else {
                    u16::from_be_bytes(*pair)
                }
            });
            let mut text = [0_u8; 4];
            for unit in char::decode_utf16(units.filter(|&unit| unit != 0xfeff)) {
                let character = unit.unwrap_or(char::REPLACEMENT_CHARACTER);
                self.ready
                    .extend_from_slice(character.encode_utf8(&mut text).as_bytes());
            }
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
