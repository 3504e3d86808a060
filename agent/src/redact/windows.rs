//! Finds any piece of a job's secrets inside a name, whatever its case or encoding.
//!
//! The secrets' windows are kept as sorted numbers, so a job of 200 large private keys costs about
//! 25 MB for as long as the job lasts, and a name costs a few binary searches a byte. The numbers are
//! pieces of secrets: they are wiped.

use std::ops::Range;

use zeroize::Zeroizing;

use super::WINDOW;

/// Every window of every secret of a job, in lower case.
#[derive(Default)]
pub(super) struct Windows {
    sorted: Zeroizing<Vec<u64>>,
    /// The folded secrets themselves, to say whose window was hit.
    secrets: Vec<(usize, Zeroizing<Vec<u8>>)>,
}

impl Windows {
    /// Adds the secret of match `index`, whose public prefix stays readable.
    pub(super) fn add(&mut self, index: usize, secret: &[u8], prefix: &[u8]) {
        let part = without_armour(secret.strip_prefix(prefix).unwrap_or(secret));
        let folded = Zeroizing::new(part.to_ascii_lowercase());
        // Grown by hand, so that no unwiped copy is left behind.
        let more = folded.len().saturating_sub(WINDOW - 1);
        if self.sorted.capacity() - self.sorted.len() < more {
            let room = (self.sorted.len() + more).next_power_of_two();
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.sorted);
            self.sorted = larger;
        }
        self.sorted.extend(folded.windows(WINDOW).map(packed));
        self.secrets.push((index, folded));
    }

    /// To be called when all secrets were added.
    pub(super) fn finish(&mut self) {
        self.sorted.sort_unstable();
        self.sorted.dedup();
    }

    /// Whether any window is anywhere in `text`, in any of the forms.
    pub(super) fn touch(&self, text: &[u8]) -> bool {
        !self.in_name(text).is_empty()
    }

    /// Where `name` shows a window, and of which match; ranges may overlap.
    pub(super) fn in_name(&self, name: &[u8]) -> Vec<(Range<usize>, usize)> {
        if self.sorted.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        self.in_decoded(name, |at| at, &mut hits);
        self.in_percent(name, &mut hits);
        for run in runs(name, |byte| byte.is_ascii_hexdigit()) {
            for offset in 0..2 {
                self.in_hex(name, run.start + offset..run.end, &mut hits);
            }
        }
        for run in runs(name, |byte| sextet(byte).is_some()) {
            for offset in 0..4 {
                self.in_base64(name, run.start + offset..run.end, &mut hits);
            }
        }
        hits
    }

    fn in_percent(&self, name: &[u8], hits: &mut Vec<(Range<usize>, usize)>) {
        if !name.contains(&b'%') {
            return;
        }
        let mut decoded = Zeroizing::new(Vec::with_capacity(name.len()));
        let mut starts = Vec::with_capacity(name.len() + 1);
        let mut at = 0;
        while at < name.len() {
            starts.push(at);
            let pair = name.get(at + 1..at + 3).filter(|_| name[at] == b'%');
            match pair.and_then(|pair| Some((nibble(pair[0])?, nibble(pair[1])?))) {
                Some((high, low)) => {
                    decoded.push(high << 4 | low);
                    at += 3;
                }
                None => {
                    decoded.push(name[at]);
                    at += 1;
                }
            }
        }
        starts.push(name.len());
        self.in_decoded(&decoded, |at| starts[at], hits);
    }

    fn in_hex(&self, name: &[u8], run: Range<usize>, hits: &mut Vec<(Range<usize>, usize)>) {
        if run.len() < 2 * WINDOW {
            return;
        }
        let decoded: Zeroizing<Vec<u8>> = Zeroizing::new(
            name[run.clone()]
                .chunks_exact(2)
                .filter_map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
                .collect(),
        );
        self.in_decoded(&decoded, |at| run.start + 2 * at, hits);
    }

    fn in_base64(&self, name: &[u8], run: Range<usize>, hits: &mut Vec<(Range<usize>, usize)>) {
        if run.len() * 3 / 4 < WINDOW {
            return;
        }
        let mut decoded = Zeroizing::new(Vec::with_capacity(run.len()));
        let (mut bits, mut count) = (0_u32, 0);
        for &byte in &name[run.clone()] {
            bits = bits << 6 | u32::from(sextet(byte).unwrap_or(0));
            count += 6;
            if count >= 8 {
                count -= 8;
                decoded.push(u8::try_from(bits >> count & 0xff).unwrap_or(0));
            }
        }
        // Byte `at` begins within character `at * 4 / 3`. A range ends where the next byte begins,
        // so the character that the two share is left in part: it is taken along.
        let first = hits.len();
        self.in_decoded(&decoded, |at| run.start + at * 4 / 3, hits);
        for (range, _) in &mut hits[first..] {
            range.end = (range.end + 1).min(run.end);
        }
    }

    /// Searches decoded text; `origin` says where in the name a decoded byte begins, also one past
    /// the last.
    fn in_decoded(
        &self,
        decoded: &[u8],
        origin: impl Fn(usize) -> usize,
        hits: &mut Vec<(Range<usize>, usize)>,
    ) {
        let folded = Zeroizing::new(decoded.to_ascii_lowercase());
        let mut owner = 0;
        let mut last: Option<Range<usize>> = None;
        for (at, window) in folded.windows(WINDOW).enumerate() {
            if self.sorted.binary_search(&packed(window)).is_err() {
                continue;
            }
            let next = at..at + WINDOW;
            last = match last {
                Some(open) if next.start <= open.end => Some(open.start..next.end),
                Some(open) => {
                    hits.push((origin(open.start)..origin(open.end), owner));
                    owner = self.owner(window);
                    Some(next)
                }
                None => {
                    owner = self.owner(window);
                    Some(next)
                }
            };
        }
        if let Some(open) = last {
            hits.push((origin(open.start)..origin(open.end), owner));
        }
    }

    fn owner(&self, window: &[u8]) -> usize {
        let holds = |secret: &[u8]| secret.windows(WINDOW).any(|part| part == window);
        self.secrets
            .iter()
            .find(|(_, secret)| holds(secret))
            .map_or(0, |(index, _)| *index)
    }
}

fn packed(window: &[u8]) -> u64 {
    window
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A PEM block's `-----BEGIN …-----` lines and headers are no secret, and `private` is a common name
/// for a directory; its body is taken as one line.
fn without_armour(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    if !secret.starts_with(b"-----BEGIN") {
        return Zeroizing::new(secret.to_vec());
    }
    let mut body = Zeroizing::new(Vec::with_capacity(secret.len()));
    for line in secret.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let header = line.windows(2).any(|pair| pair == b": ");
        if !line.starts_with(b"-----") && !header {
            body.extend_from_slice(line);
        }
    }
    body
}

fn runs(text: &[u8], belongs: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, &byte) in text.iter().enumerate() {
        match (belongs(byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                runs.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| from..text.len()));
    runs
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// A base64 character of either alphabet.
fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
