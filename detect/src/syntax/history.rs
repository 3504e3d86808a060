//! Histories of bash, zsh and fish: commands with their own escapes.

use std::ops::Range;

use super::{Fields, ScopeId, shell};

fn lines(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = at..end;
        at = end + 1;
        Some(line)
    })
}

/// bash: a command a line; lines of `#` and digits are times.
pub(crate) fn bash(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = shell::Session::new(root, fields);
    for line in lines(text, range) {
        let bytes = &text[line.clone()];
        let is_time = bytes.first() == Some(&b'#')
            && bytes.len() > 5
            && bytes[1..].iter().all(u8::is_ascii_digit);
        if !is_time {
            session.command(text, line, fields);
        }
    }
}

/// zsh: `: time:duration;command`, or the command alone; a backslash continues it.
pub(crate) fn zsh(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = shell::Session::new(root, fields);
    for line in lines(text, range) {
        let bytes = &text[line.clone()];
        let skip = if bytes.starts_with(b": ") {
            memchr::memchr(b';', &bytes[..bytes.len().min(40)]).map_or(0, |at| at + 1)
        } else {
            0
        };
        session.command(text, line.start + skip..line.end, fields);
    }
}

/// fish: `- cmd: command`, then indented particulars.
pub(crate) fn fish(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = shell::Session::new(root, fields);
    for line in lines(text, range) {
        if text[line.clone()].starts_with(b"- cmd: ") {
            session.command(text, line.start + 7..line.end, fields);
        }
    }
}
