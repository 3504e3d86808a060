//! A PDF's file: where its objects begin and end, and what its filters hide.

use std::io::Read;

use zeroize::Zeroizing;

use super::object::{Lexer, Object, is_blank, parsed};
use super::{LARGEST_OBJECT, LONGEST_MARK, NEAR, STRETCH};
use crate::unwrap::bytes::Bytes;
use crate::unwrap::charset;
use crate::unwrap::fuel::Metered;
use crate::window::Scanner;

/// A file, through the stretch of it that is held.
pub(super) struct View<'a> {
    bytes: &'a Bytes<'a>,
    held: Zeroizing<Vec<u8>>,
    start: u64,
    /// Where the file ends, as far as that is known: it may be shorter than it said.
    length: u64,
    /// Bytes that are read at once.
    pub(super) chunk: usize,
    /// Whether some of it could not be had.
    pub(super) unreadable: bool,
    /// Whether an object was left out for its size or its depth.
    pub(super) limited: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(bytes: &'a Bytes<'a>) -> View<'a> {
        View {
            bytes,
            held: Zeroizing::default(),
            start: 0,
            length: bytes.len(),
            chunk: STRETCH,
            unreadable: false,
            limited: false,
        }
    }

    /// What is held from `at` on, `want` bytes at least unless the file ends before, and whether it
    /// reaches to the end. Where a file gives no more, it ends.
    pub(super) fn at(&mut self, at: u64, want: usize) -> (&[u8], bool) {
        let end = self.start + self.held.len() as u64;
        let short = at.saturating_add(want as u64) > end && end < self.length;
        if at < self.start || at > end || short {
            let rest = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
            let chunk = want.max(self.chunk).min(rest);
            self.held.resize(chunk, 0);
            let mut input = self.bytes.from(at);
            let mut filled = 0;
            while filled < chunk
                && let Ok(count @ 1..) = input.read(&mut self.held[filled..])
            {
                filled += count;
            }
            self.held.truncate(filled);
            self.start = at;
            if filled < chunk {
                self.length = at + filled as u64;
                self.unreadable = true;
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let text = self.held.get(from..).unwrap_or_default();
        (text, self.start + self.held.len() as u64 >= self.length)
    }

    /// The object at `at` and how long it is.
    pub(super) fn object(&mut self, scanner: &mut Scanner<'_>, at: u64) -> Option<(Object, usize)> {
        let mut want = NEAR.min(self.chunk);
        loop {
            let (text, whole) = self.at(at, want);
            let cut = !whole || text.len() > LARGEST_OBJECT;
            let text = &text[..text.len().min(LARGEST_OBJECT)];
            let more = cut && text.len() < LARGEST_OBJECT;
            let mut lexer = Lexer::new(text, more);
            let object = lexer.next();
            // What has to be read again costs again.
            let (length, used, deep) = (text.len(), lexer.at, lexer.deep);
            let looked_at = object.as_ref().map_or(length, |_| 0);
            scanner.fuel.burn(lexer.cost() + looked_at as u64);
            match object {
                Ok(Some(object)) => return Some((object, used)),
                _ if more && !deep => want = length.saturating_mul(4).min(LARGEST_OBJECT),
                _ => {
                    self.limited |= deep || cut;
                    return None;
                }
            }
        }
    }

    /// Where the data of a stream begin whose dictionary ends at `at`.
    pub(super) fn stream_data(&mut self, at: u64) -> Option<u64> {
        let (text, _) = self.at(at, NEAR);
        let blank = text.iter().position(|&b| !is_blank(b))?;
        let rest = text[blank..].strip_prefix(b"stream")?;
        let line_end = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => 0,
        };
        Some(at + (blank + b"stream".len() + line_end) as u64)
    }

    /// Whether the data of a stream end at `at`.
    pub(super) fn ends_stream(&mut self, at: u64) -> bool {
        let (text, _) = self.at(at, LONGEST_MARK);
        text.trim_ascii_start().starts_with(b"endstream")
    }

    /// Where `word` stands from `at` on, or where the file ends.
    pub(super) fn find(&mut self, at: u64, word: &[u8]) -> u64 {
        let mut at = at;
        loop {
            let (text, whole) = self.at(at, NEAR);
            if let Some(found) = memchr::memmem::find(text, word) {
                return at + found as u64;
            }
            let passed = text.len().saturating_sub(word.len());
            if whole || passed == 0 {
                return at + text.len() as u64;
            }
            at += passed as u64;
        }
    }
}

/// Where an object begins whose word `obj` stands at `word`, and its number.
pub(super) fn marked(text: &[u8], word: usize) -> Option<(usize, u32)> {
    let before = &text[word.saturating_sub(LONGEST_MARK)..word];
    let digits = |text: &[u8]| text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let generation = before.trim_ascii_end();
    let blank = &generation[..generation.len() - digits(generation)];
    let number = blank.trim_ascii_end();
    let count = digits(number);
    let apart = blank.len() < generation.len() && number.len() < blank.len();
    let number = number.get(number.len() - count..).filter(|_| apart)?;
    let start = word - before.len() + blank.trim_ascii_end().len() - count;
    Some((start, parsed(number)?))
}

/// A stream in ASCII base 85 undone (ISO 32000-1, 7.4.3).
pub(super) fn ascii85<R: Read>(input: Metered<R>) -> impl Read {
    // Digits of the group that is open: blanks of any length may stand among them.
    let mut group = [0_u8; 5];
    let mut filled = 0;
    let mut done = false;
    charset::converted(input, move |raw, ended, ready| {
        let digits = if done { &[][..] } else { raw };
        for &byte in digits {
            match byte {
                b'z' if filled == 0 => ready.extend_from_slice(&[0; 4]),
                b'!'..=b'u' => {
                    group[filled] = byte - b'!';
                    filled += 1;
                    if filled == 5 {
                        ready.extend_from_slice(&base85(&group));
                        filled = 0;
                    }
                }
                b'~' => {
                    done = true;
                    break;
                }
                _ => {}
            }
        }
        if ended || done {
            if filled > 1 {
                group[filled..].fill(84);
                ready.extend_from_slice(&base85(&group)[..filled - 1]);
            }
            filled = 0;
        }
        raw.len()
    })
}

/// Four bytes of five digits.
fn base85(group: &[u8; 5]) -> [u8; 4] {
    let number = group.iter().fold(0_u32, |sum, &digit| {
        sum.wrapping_mul(85).wrapping_add(u32::from(digit))
    });
    number.to_be_bytes()
}

/// A stream in hexadecimal digits undone (ISO 32000-1, 7.4.2).
pub(super) fn ascii_hex<R: Read>(input: Metered<R>) -> impl Read {
    let mut high = None;
    charset::converted(input, move |raw, _, ready| {
        for &byte in raw.iter().take_while(|&&byte| byte != b'>') {
            let Some(digit) = char::from(byte).to_digit(16) else {
                continue;
            };
            let digit = (digit & 15) as u8;
            match high.take() {
                Some(high) => ready.push(high << 4 | digit),
                None => high = Some(digit),
            }
        }
        raw.len()
    })
}

/// A stream of runs undone (ISO 32000-1, 7.4.5).
pub(super) fn run_lengths<R: Read>(input: Metered<R>) -> impl Read {
    let mut done = false;
    charset::converted(input, move |raw, ended, ready| {
        let mut at = 0;
        while let (Some(&length), false) = (raw.get(at), done) {
            let (taken, copies) = match length {
                0..128 => (usize::from(length) + 1, 1),
                128 => {
                    done = true;
                    break;
                }
                129.. => (1, 257 - usize::from(length)),
            };
            let run = raw.get(at + 1..at + 1 + taken);
            // What is not whole yet comes again; of what is cut the rest is told.
            let Some(run) = run.or_else(|| raw.get(at + 1..).filter(|_| ended)) else {
                return at;
            };
            for _ in 0..copies {
                ready.extend_from_slice(run);
            }
            at += 1 + run.len();
        }
        raw.len()
    })
}

/// A stream of LZW undone (ISO 32000-1, 7.4.4); `early` says when its codes grow.
pub(super) fn lzw<R: Read>(input: Metered<R>, early: bool) -> impl Read {
    let decoder = match early {
        true => weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8),
        false => weezl::decode::Decoder::new(weezl::BitOrder::Msb, 8),
    };
    Lzw {
        input,
        decoder,
        chunk: Zeroizing::new([0; 4096]),
        at: 0,
        filled: 0,
    }
}

struct Lzw<R> {
    input: Metered<R>,
    decoder: weezl::decode::Decoder,
    chunk: Zeroizing<[u8; 4096]>,
    at: usize,
    filled: usize,
}

impl<R: Read> Read for Lzw<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let mut ended = false;
            if self.at == self.filled {
                self.filled = self.input.read(&mut *self.chunk)?;
                self.at = 0;
                ended = self.filled == 0;
            }
            let step = self
                .decoder
                .decode_bytes(&self.chunk[self.at..self.filled], into);
            self.at += step.consumed_in;
            let status = step.status.map_err(std::io::Error::other)?;
            let over = ended || into.is_empty() || matches!(status, weezl::LzwStatus::Done);
            if step.consumed_out > 0 || over {
                return Ok(step.consumed_out);
            }
        }
    }
}
