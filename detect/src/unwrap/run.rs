//! Base64 and hexadecimal that are longer than a window, undone as they flow.
//!
//! What lies in one window is undone there, as the value of its field. A text that the window's end cuts
//! would be undone to there, and what it holds behind would be lost: an archive in a Secret, an
//! attachment, a backup in a script. So it is followed through the stream that it stands in, in no more
//! memory than any other, and the text goes on behind it.

use std::io::{Error, Read};

use akwatch_proto::place::Encoding;
use zeroize::Zeroizing;

use super::fuel::Fuel;
use super::inline;

/// Bytes of such a text before a window's end, at least: shorter ones are whole in the next window.
const LEAST: usize = 16 << 10;
/// Characters of a line of a text that is broken into lines: those of MIME have 76, of PEM 64.
const WIDTHS: std::ops::RangeInclusive<usize> = 56..=80;
/// Bytes behind a line that say whether it is one of the run: padding, blanks, and what ends it.
const LONGEST_BEHIND: usize = 8;
/// Bytes of it that are read at once.
const CHUNK: usize = 4096;

/// An encoded text that goes on behind the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where it begins in the window.
    pub(crate) start: usize,
    /// Characters of each of its lines; none when it is one line.
    width: Option<usize>,
    /// Whether it is hexadecimal.
    hex: bool,
}

impl Run {
    /// What undoing it undoes.
    pub(crate) fn encoding(&self) -> Encoding {
        match self.hex {
            true => Encoding::Hex,
            false => Encoding::Base64,
        }
    }
}

/// The encoded text that the end of `window` cuts, if what it holds is worth undoing.
pub(crate) fn open(window: &[u8]) -> Option<Run> {
    let mut end = window.len();
    let mut width = None;
    let mut start = line_start(window, end);
    // The last line is cut, so nothing is known of its width unless it is longer than any.
    let mut lines = end - start <= *WIDTHS.end();
    while lines {
        let before = window[..start].trim_ascii_end();
        if memchr::memchr(b'\n', &window[before.len()..start]).is_none() {
            break;
        }
        end = before.len();
        let begin = line_start(window, end);
        let length = end - begin;
        let wide = *width.get_or_insert(length);
        if !WIDTHS.contains(&wide) || length > wide {
            break;
        }
        // A shorter line is the first one, behind a name; or none of the run.
        if length == wide || (length > 0 && is_worth(&window[begin..])) {
            start = begin;
        }
        lines = length == wide;
    }
    let run = &window[start..];
    (run.len() >= LEAST && is_worth(run)).then(|| Run {
        start,
        width,
        hex: run[..64].iter().all(u8::is_ascii_hexdigit),
    })
}

/// Whether what a run begins with stands for a text or a container.
fn is_worth(run: &[u8]) -> bool {
    inline::may_be_wrapped(run) && inline::looks_wrapped(&run[..run.len().min(64)])
}

/// Where the characters that end at `end` begin.
fn line_start(window: &[u8], end: usize) -> usize {
    let inside = |b: &u8| inline::is_base64(*b) || matches!(b, b'-' | b'_' | b'\\');
    window[..end]
        .iter()
        .rposition(|b| !inside(b))
        .map_or(0, |at| at + 1)
}

/// The bytes that a run stands for.
pub(crate) struct Decoder<'a> {
    run: Run,
    /// What of the run is in the window, and where it goes on.
    head: &'a [u8],
    rest: &'a mut dyn Read,
    fuel: Fuel,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    /// Characters of the line that has been begun.
    line: usize,
    /// Bits that have come and were not given.
    bits: u32,
    count: u32,
    /// Whether one of the characters was `-` or `_`, of the alphabet for addresses.
    of_addresses: bool,
    /// The last line, if it is shorter than the others: a word on a line of its own looks the same.
    short: Zeroizing<Vec<u8>>,
    /// Bytes of `rest` that were taken, and line ends of the run.
    taken: u64,
    lines: u32,
    /// Whether `rest` has no more; why, if that is not its end.
    drained: bool,
    failed: Option<Error>,
    ended: bool,
}

/// What a run ended with.
pub(crate) struct Behind {
    /// What stands behind it and was read with it, and before that its last line again, if that is short.
    pub(crate) text: Zeroizing<Vec<u8>>,
    /// Bytes that were taken of the stream.
    pub(crate) taken: u64,
    /// Line ends inside the run.
    pub(crate) lines: u32,
    /// Why its end was not come to.
    pub(crate) error: Option<Error>,
}

/// What a character of a run is.
enum Sign {
    Bits(u32),
    Nothing,
    End,
    More,
}

impl<'a> Decoder<'a> {
    /// A decoder of the `run` that begins `head`, goes on in `rest`, and is paid for with `fuel`.
    pub(crate) fn new(run: Run, head: &'a [u8], rest: &'a mut dyn Read, fuel: Fuel) -> Decoder<'a> {
        Decoder {
            run,
            head,
            rest,
            fuel,
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK)),
            at: 0,
            line: 0,
            bits: 0,
            count: 0,
            of_addresses: false,
            short: Zeroizing::default(),
            taken: 0,
            lines: 0,
            drained: false,
            failed: None,
            ended: false,
        }
    }

    /// Reads past what is left of the run: what came with its end and stands behind it.
    pub(crate) fn finish(mut self) -> Behind {
        let mut error = None;
        while !self.ended {
            if let Err(failed) = self.next(false) {
                error = Some(failed);
                break;
            }
        }
        let mut text = Zeroizing::new(Vec::with_capacity(CHUNK));
        text.extend_from_slice(&self.short);
        text.extend_from_slice(&self.window()[self.at..]);
        Behind {
            text,
            taken: self.taken,
            lines: self.lines,
            error,
        }
    }

    /// The stretch that is being read: that of the window, then what was read behind it.
    fn window(&self) -> &[u8] {
        match self.head {
            [] => &self.chunk,
            head => head,
        }
    }

    /// The next byte of what the run stands for; nothing at its end, and while none is whole.
    fn next(&mut self, paid: bool) -> std::io::Result<Option<u8>> {
        let width = if self.run.hex { 4 } else { 6 };
        match self.sign() {
            Sign::Bits(bits) => {
                self.bits = self.bits << width | bits;
                self.count += width;
                if self.count >= 8 {
                    self.count -= 8;
                    return Ok(Some((self.bits >> self.count & 0xff) as u8));
                }
            }
            Sign::Nothing => {}
            Sign::End => self.ended = true,
            Sign::More => self.fill(paid)?,
        }
        Ok(None)
    }

    /// Reads on behind what is left.
    fn fill(&mut self, paid: bool) -> std::io::Result<()> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut chunk = Zeroizing::new(Vec::with_capacity(CHUNK));
        chunk.extend_from_slice(&self.window()[self.at..]);
        let held = chunk.len();
        if paid {
            self.fuel.check()?;
        }
        let room = CHUNK.saturating_sub(held) as u64;
        // What came before an error is undone first.
        self.failed = self.rest.take(room).read_to_end(&mut chunk).err();
        let count = (chunk.len() - held) as u64;
        self.fuel.take(count);
        self.taken += count;
        self.drained = count == 0 && self.failed.is_none();
        (self.head, self.chunk, self.at) = (&[], chunk, 0);
        Ok(())
    }

    /// Takes the next character.
    fn sign(&mut self) -> Sign {
        let rest = &self.window()[self.at..];
        let (sign, taken) = match *rest {
            [] | [b'\\'] if self.drained => return Sign::End,
            [] | [b'\\'] => return Sign::More,
            [b'=', ..] => {
                // As much of it as what came before asks for.
                let most = match self.count {
                    _ if self.run.hex => 0,
                    bits => bits as usize / 2,
                };
                let padding = rest.iter().take(most).take_while(|b| **b == b'=').count();
                if !self.short.is_empty() {
                    self.short.extend(std::iter::repeat_n(b'=', padding));
                }
                self.at += padding;
                return Sign::End;
            }
            [b'\\', b'n' | b'r', ..] => (Sign::Nothing, 2),
            [b'\\', b'/', ..] => (Sign::Bits(63), 2),
            [byte, ..] if byte.is_ascii_whitespace() => return self.line_end(),
            [byte, ..] => match inline::sextet(byte) {
                Some(bits) if !self.run.hex => (Sign::Bits(bits), 1),
                _ => match char::from(byte).to_digit(16).filter(|_| self.run.hex) {
                    Some(bits) => (Sign::Bits(bits), 1),
                    None => return Sign::End,
                },
            },
        };
        self.of_addresses |= matches!(rest[0], b'-' | b'_');
        self.at += taken;
        self.line += 1;
        sign
    }

    /// Takes the end of a line and the blanks before the next, if the run goes on there.
    fn line_end(&mut self) -> Sign {
        let window = self.window();
        let rest = &window[self.at..];
        let blank = rest.len() - rest.trim_ascii_start().len();
        let Some(width) = self.run.width.filter(|_| blank < 256) else {
            return Sign::End;
        };
        // What follows is not there yet.
        if rest.len() < blank + width + LONGEST_BEHIND && !self.drained {
            return Sign::More;
        }
        let lines = memchr::memchr_iter(b'\n', &rest[..blank]).count();
        // The line that the window begins with may stand behind a name.
        let whole = self.line == width || self.lines == 0;
        let next = self.next_line(&rest[blank..]);
        if lines != 1 || !whole || !(1..=width).contains(&next) {
            return Sign::End;
        }
        let short = match next < width {
            true => Zeroizing::new(rest[blank..blank + next].to_vec()),
            false => Zeroizing::default(),
        };
        self.short = short;
        self.at += blank;
        self.line = 0;
        self.lines += 1;
        Sign::Nothing
    }

    /// Characters of the run on the line that begins `text`; none if anything else stands on it, as in
    /// `NAME=value`.
    fn next_line(&self, text: &[u8]) -> usize {
        let inside = |b: &&u8| match self.run.hex {
            true => b.is_ascii_hexdigit(),
            false => inline::is_base64(**b) || self.of_addresses && matches!(b, b'-' | b'_'),
        };
        let length = text.iter().take_while(inside).count();
        let behind = text[length..].iter().take(LONGEST_BEHIND);
        match behind.copied().find(|b| !matches!(b, b'=' | b' ' | b'\t')) {
            None => length,
            Some(byte) if b"\n\r\"'`<)]},;\\".contains(&byte) => length,
            Some(_) => 0,
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() && !self.ended {
            match self.next(true) {
                Ok(Some(byte)) => {
                    into[filled] = byte;
                    filled += 1;
                }
                Ok(None) => {}
                Err(failed) if filled == 0 => return Err(failed),
                Err(failed) => {
                    // What was undone before it is looked at.
                    self.failed = Some(failed);
                    break;
                }
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows `before` in a stream, undone, and what stands behind it.
    fn undone(before: usize, text: &str) -> (Vec<u8>, Vec<u8>, u32) {
        let bytes = text.as_bytes();
        let window = before + LEAST + 1000;
        let run = open(&bytes[..window]).unwrap();
        assert_eq!(run.start, before);
        let mut rest = &bytes[window..];
        let head = &bytes[before..window];
        let mut decoder = Decoder::new(run, head, &mut rest, Fuel::new(1 << 30));
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        let behind = decoder.finish();
        assert!(behind.error.is_none());
        assert_eq!(
            behind.taken + rest.len() as u64,
            (bytes.len() - window) as u64
        );
        (out, [behind.text.as_slice(), rest].concat(), behind.lines)
    }

    fn content() -> Vec<u8> {
        (0..5000)
            .flat_map(|n| format!("line {n} of it\n").into_bytes())
            .collect()
    }

    #[test]
    fn a_run_is_undone_to_its_end_and_the_text_goes_on_behind_it() {
        let content = content();
        let text = String::from_utf8(inline::to_base64(&content)).unwrap();
        for (before, behind) in [
            ("{\"a\": \"", "\", \"b\": 1}"),
            ("x: ", "\ny: 2\n"),
            ("", ""),
        ] {
            let (out, rest, lines) = undone(before.len(), &format!("{before}{text}{behind}"));
            assert!(
                out == content && rest == behind.as_bytes() && lines == 0,
                "{before}"
            );
        }
        let url = text.replace('+', "-").replace('/', "_");
        let (out, rest, _) = undone(2, &format!("k={} more", url.trim_end_matches('=')));
        assert!(out == content && rest == b" more");
        let hex = String::from_utf8(inline::to_hex(&content)).unwrap();
        let (out, rest, _) = undone(2, &format!("k={hex};"));
        assert!(out == content && rest == b";");
    }

    #[test]
    fn lines_of_one_width_are_one_run() {
        let content = content();
        let text = inline::to_base64(&content);
        let lines: Vec<&str> = text
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        for (before, end) in [
            ("", "\n"),
            ("Encoding: base64\r\n\r\n", "\r\n"),
            ("a: |\n  ", "\n  "),
        ] {
            let body = lines.join(end);
            let (out, rest, count) = undone(before.len(), &format!("{before}{body}\n--end\n"));
            // The last line is shorter than the others: it may be a word as well.
            let last = lines.last().filter(|last| last.len() < 76).unwrap_or(&"");
            let behind = format!("{last}\n--end\n");
            assert!(out == content && rest == behind.as_bytes(), "{before}");
            assert_eq!(count as usize, lines.len() - 1);
        }
        let escaped = lines.join("\\n");
        let (out, rest, count) = undone(1, &format!("\"{escaped}\"}}"));
        assert!(out == content && rest == b"\"}" && count == 0);
    }

    /// Full lines have no padding that would end the run before what stands below it.
    #[test]
    fn a_name_or_a_word_below_the_lines_is_left_in_the_text() {
        let content = &content()[..57 * 1200];
        let text = inline::to_base64(content);
        let lines: Vec<&str> = text
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let body = lines.join("\n");
        let word = "Yk8wq2Lm5vTx9RbN3cJd";
        for below in [
            format!("PASSWORD={word}"),
            format!("password: {word}"),
            format!("gh_{word}"),
            word.to_owned(),
            "x".repeat(77),
        ] {
            for end in ["", "\n", "\nmore of it\n", &"\n".repeat(5000)] {
                let (out, rest, count) = undone(0, &format!("{body}\n{below}{end}"));
                let text = [b"\n", below.as_bytes(), end.as_bytes()].concat();
                assert!(rest == text || rest == text[1..], "{below}");
                let behind = usize::from(rest.len() < text.len());
                assert_eq!(count as usize, lines.len() - 1 + behind, "{below}");
                assert!(out.starts_with(content) && (below == word || out == content));
            }
        }
    }

    /// A stream that ends amid a run: what came before is undone.
    #[test]
    fn what_came_before_an_error_is_undone() {
        struct Broken(Vec<u8>);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let count = into.len().min(self.0.len());
                if count == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                into[..count].copy_from_slice(&self.0[..count]);
                self.0.drain(..count);
                Ok(count)
            }
        }
        let content = content();
        let bytes = inline::to_base64(&content);
        let (head, tail) = bytes.split_at(LEAST + 1000);
        let run = open(head).unwrap();
        for left in [0, 1, 3000, 9001] {
            let mut rest = Broken(tail[..left].to_vec());
            let mut decoder = Decoder::new(run, head, &mut rest, Fuel::new(1 << 30));
            let mut out = vec![0; content.len()];
            let mut filled = 0;
            while let Ok(count @ 1..) = decoder.read(&mut out[filled..]) {
                filled += count;
            }
            assert_eq!(filled, (head.len() + left) * 3 / 4);
            assert!(out[..filled] == content[..filled]);
            assert_eq!(decoder.finish().taken, left as u64);
        }
    }

    #[test]
    fn what_is_no_text_and_no_container_is_left_alone() {
        let noise: Vec<u8> = (0..90_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
            .collect();
        assert_eq!(open(&inline::to_base64(&noise)), None);
        assert_eq!(
            open(&"a sentence of words. ".repeat(2000).into_bytes()),
            None
        );
        assert_eq!(open(b""), None);
    }
}
