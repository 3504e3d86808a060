//! Dockerfiles: instructions whose words are commands, lists of arguments or assignments.
//!
//! What is not an instruction of its own form is left to the reader of commands, which knows `ENV`
//! and `ARG` as it knows `export`.

use std::ops::Range;

use super::shell::Session;
use super::{Fields, ScopeId, flow};

/// Bytes of one instruction.
const LONGEST: usize = 256 * 1024;

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    const LISTS: [&[u8]; 5] = [b"CMD", b"ENTRYPOINT", b"RUN", b"HEALTHCHECK", b"SHELL"];
    let mut session = Session::new(root, fields);
    let mut at = range.start;
    while at < range.end {
        let mut end = at;
        loop {
            end = memchr::memchr(b'\n', &text[end..range.end]).map_or(range.end, |n| end + n);
            let line = text[at..end].trim_ascii_end();
            let open =
                line.ends_with(b"\\") || is_comment(line) && at < end && line.contains(&b'\n');
            let long = open && end - at > LONGEST;
            fields.scopes.note_cut(long && end < range.end);
            if end >= range.end || !open || long {
                break;
            }
            end += 1;
        }
        let line = &text[at..end];
        let start = at + (line.len() - line.trim_ascii_start().len());
        let word = text[start..end]
            .iter()
            .take_while(|b| b.is_ascii_alphabetic())
            .count();
        let name = text[start..start + word].to_ascii_uppercase();
        let list = memchr::memchr(b'[', &text[start..end]).map(|n| start + n);
        let plain = |open: usize| {
            !text[start + word..open].contains(&b'"')
                && text[open + 1..end].trim_ascii_start().starts_with(b"\"")
        };
        match list.filter(|&open| LISTS.contains(&&name[..]) && plain(open)) {
            Some(open) => {
                let scope = fields.scopes.child(root);
                flow::parse(text, open..end, &name, scope, fields);
            }
            // A here-document belongs to its instruction.
            None if memchr::memmem::find(&text[start..end], b"<<").is_some() => {
                session.read(text, start..range.end, fields);
                return;
            }
            None => session.read(text, start..end, fields),
        }
        at = end + 1;
    }
}

/// Whether the last line of a continued instruction is a comment, which does not end it.
fn is_comment(text: &[u8]) -> bool {
    let line = text.rsplit(|&b| b == b'\n').next().unwrap_or_default();
    line.trim_ascii_start().starts_with(b"#")
}
