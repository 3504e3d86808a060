//! The texts in a dump of a process's memory (ELF core): environments, command lines, and what the
//! program had read or made.
//!
//! Memory is not written in any format; what people wrote is found in it as runs of letters. Those that
//! stand side by side, as the variables of an environment do, stay side by side as lines; what is
//! further apart is parted by an empty line, so that halves of different things are not paired. Runs
//! of UTF-16 are read too: programs in Java and .NET hold their texts so.

use std::io::Read;

use super::charset;
use super::fuel::Metered;

/// Letters of a run that is read.
const SHORTEST: usize = 4;
/// Bytes between two runs that stand side by side.
const APART: usize = 16;
/// Bytes of a run that are read as one; the next goes on in the same line.
const LONGEST: usize = 16 << 10;

/// Whether `head` begins a core file.
pub(crate) fn is_core(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") && matches!(head.get(16..18), Some([4, 0] | [0, 4]))
}

/// The runs of letters in a stream of bytes, one a line.
pub(crate) fn texts<R: Read>(input: Metered<R>) -> impl Read {
    // Bytes since the last line; none before the first.
    let mut parted = None;
    // Whether the last line goes on, and is one of UTF-16.
    let mut unfinished = None;
    charset::converted(input, move |raw, ended, ready| {
        let mut at = 0;
        while at < raw.len() {
            let rest = &raw[at..];
            let (length, wide) = run(rest);
            // What reaches to the end of what has come may go on.
            let open = length + 2 > rest.len() && !ended;
            if open && length < LONGEST {
                break;
            }
            let goes_on = unfinished == Some(wide) && length > 0;
            if unfinished.is_some() && !goes_on {
                ready.push(b'\n');
            }
            unfinished = None;
            if !goes_on && length < SHORTEST * (1 + usize::from(wide)) {
                let passed = length.max(1);
                at += passed;
                parted = parted.map(|parted: usize| parted.saturating_add(passed));
                continue;
            }
            if !goes_on && parted.is_some_and(|parted| parted > APART) {
                ready.push(b'\n');
            }
            let step = if wide { 2 } else { 1 };
            ready.extend(rest[..length].iter().step_by(step));
            at += length;
            parted = Some(0);
            match open {
                true => unfinished = Some(wide),
                false => ready.push(b'\n'),
            }
        }
        at.min(raw.len())
    })
}

/// How many bytes of letters `bytes` begins with, and whether each is followed by a NUL.
fn run(bytes: &[u8]) -> (usize, bool) {
    let narrow = bytes.iter().position(|&b| !is_letter(b));
    let narrow = narrow.unwrap_or(bytes.len());
    if narrow != 1 {
        return (narrow, false);
    }
    let pairs = bytes.as_chunks::<2>().0.iter();
    let wide = pairs.take_while(|pair| is_letter(pair[0]) && pair[1] == 0);
    ((wide.count().max(1) * 2).min(bytes.len()), true)
}

/// What keys and their names are written with.
fn is_letter(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}
