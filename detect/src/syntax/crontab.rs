//! Tables of jobs: variables that are no shell's, and commands in which `%` ends a line.
//!
//! crontab(5) takes what stands behind the `=` of a variable as it is, up to the end of the line, and
//! hands a job to the shell up to its first `%` that no backslash escapes; `\%` is a `%`.

use std::ops::Range;

use super::shell::{Session, Word};
use super::{Fields, ScopeId, read_as};

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut session = Session::new(root, fields);
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = &text[at..end];
        if let Some((name, value)) = variable(line) {
            let raw = at + value.start..at + value.end;
            let word = Word {
                text: text[raw.clone()].to_vec(),
                raw,
                exact: true,
            };
            session.assign(text, &line[name], &word, 0, fields);
        } else if memchr::memmem::find(line, b"\\%").is_some() {
            let mut plain = Vec::with_capacity(line.len());
            for (number, &byte) in line.iter().enumerate() {
                if !(byte == b'\\' && line.get(number + 1) == Some(&b'%')) {
                    plain.push(byte);
                }
            }
            read_as(text, at..end, &plain, fields, |text, range, fields| {
                session.read(text, range, fields);
            });
        } else {
            session.read(text, at..end, fields);
        }
        at = end + 1;
    }
}

/// The name and the value of a line that sets a variable.
fn variable(line: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let equals = memchr::memchr(b'=', &line[..line.len().min(137)])?;
    let name = trimmed(line, 0..equals);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if name.is_empty()
        || line[name.start].is_ascii_digit()
        || !line[name.clone()].iter().all(is_name)
    {
        return None;
    }
    let mut value = trimmed(line, equals + 1..line.len());
    if let [quote @ (b'"' | b'\''), .., last] = &line[value.clone()]
        && quote == last
    {
        value = value.start + 1..value.end - 1;
    }
    Some((name, value))
}

fn trimmed(line: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = &line[range.clone()];
    let start = range.start + (bytes.len() - bytes.trim_ascii_start().len());
    start..start + bytes.trim_ascii().len()
}
