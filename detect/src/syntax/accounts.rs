//! Files in which one program keeps logins in a way of its own: IPsec's secrets, curl's settings,
//! PgBouncer's users.

use std::ops::Range;

use super::shell::{self, Word};
use super::{Fields, ScopeId, flow};

/// Bytes of a line that are looked at.
const LONGEST: usize = 8 * 1024;

/// `host peer : PSK "…"`, `user : EAP "…"`, `: RSA file "passphrase"`.
pub(crate) fn ipsec(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    each_line(text, range, fields, |line, fields| {
        let mut marks = memchr::memchr_iter(b':', &text[line.clone()]);
        let found = marks.find_map(|mark| {
            let from = line.start + mark + 1;
            let rest = &text[from..line.end];
            let start = from + rest.len() - rest.trim_ascii_start().len();
            let kind = text[start..line.end]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric());
            let kind = kind.count();
            let behind = if is_shared(&text[start..start + kind]) {
                0
            } else if is_key(&text[start..start + kind]) {
                1
            } else {
                return None;
            };
            Some((start..start + kind, behind))
        });
        let Some((kind, behind)) = found else { return };
        let mut at = kind.end;
        for _ in 0..behind {
            at = word(text, at, line.end).map_or(line.end, |(_, next)| next);
        }
        let Some((value, _)) = word(text, at, line.end) else {
            return;
        };
        if !text[value.clone()].starts_with(b"%") {
            let path = [&text[kind].to_ascii_lowercase()[..], b".password"].concat();
            let scope = fields.scopes.child(root);
            fields.add(&path, value, scope, true);
        }
    });
}

fn is_shared(kind: &[u8]) -> bool {
    const KINDS: [&[u8]; 3] = [b"PSK", b"EAP", b"XAUTH"];
    KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

fn is_key(kind: &[u8]) -> bool {
    const KINDS: [&[u8]; 7] = [
        b"RSA", b"ECDSA", b"EDDSA", b"PKCS8", b"P12", b"BLISS", b"PIN",
    ];
    KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// `"user" "password"`: what is no password but a hash of one is told by nobody.
pub(crate) fn users(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    each_line(text, range, fields, |line, fields| {
        let Some((_, at)) = word(text, line.start, line.end) else {
            return;
        };
        let Some((value, _)) = word(text, at, line.end) else {
            return;
        };
        let secret = &text[value.clone()];
        let digest = secret.strip_prefix(b"md5");
        let digest =
            digest.is_some_and(|hex| hex.len() == 32 && hex.iter().all(u8::is_ascii_hexdigit));
        if !digest && !secret.starts_with(b"SCRAM-SHA-") {
            let scope = fields.scopes.child(root);
            fields.add(b"userlist.password", value, scope, true);
        }
    });
}

/// Options of curl, a line each: `user = "name:password"`, `--user name:password`, `-u name:password`.
pub(crate) fn options(
    text: &[u8],
    range: Range<usize>,
    program: &[u8],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let scope = fields.scopes.child(root);
    each_line(text, range, fields, |line, fields| {
        let dash = |b: &&u8| **b == b'-';
        let start = line.start + text[line.clone()].iter().take_while(dash).count();
        let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let name = text[start..line.end].iter().take_while(part).count();
        let mark = |b: &&u8| b.is_ascii_whitespace() || matches!(b, b'=' | b':');
        let at = start + name;
        let at = at + text[at..line.end].iter().take_while(mark).count();
        if name == 0 || at == start + name || at >= line.end {
            return;
        }
        let quoted = matches!(text[at], b'"' | b'\'');
        let (raw, decoded) = if quoted {
            flow::quoted(&text[..line.end], at + 1, text[at])
        } else {
            (at..line.end, None)
        };
        let dashes: &[u8] = if name == 1 { b"-" } else { b"--" };
        let own = |text: Vec<u8>| Word {
            text,
            raw: 0..0,
            exact: false,
        };
        let words = [
            own(program.to_vec()),
            own([dashes, &text[start..start + name]].concat()),
            Word {
                exact: decoded.is_none(),
                text: decoded.unwrap_or_else(|| text[raw.clone()].to_vec()),
                raw,
            },
        ];
        shell::command(text, &words, scope, fields);
    });
}

/// The lines of a text that are neither empty nor remarks, without the blanks around them.
fn each_line(
    text: &[u8],
    range: Range<usize>,
    fields: &mut Fields<'_>,
    mut read: impl FnMut(Range<usize>, &mut Fields<'_>),
) {
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = &text[at..end];
        let stop = at + line.trim_ascii_end().len();
        let start = end - line.trim_ascii_start().len();
        at = end + 1;
        if start < stop && !matches!(text[start], b'#' | b';') {
            fields.scopes.note_cut(stop - start > LONGEST);
            read(start..stop.min(start + LONGEST), fields);
        }
    }
}

/// The next word from `at` on, without its quotes, and where it ends.
fn word(text: &[u8], at: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let rest = &text[at..end];
    let start = at + rest.len() - rest.trim_ascii_start().len();
    match *text[start..end].first()? {
        quote @ (b'"' | b'\'') => {
            let length = memchr::memchr(quote, &text[start + 1..end])?;
            Some((start + 1..start + 1 + length, start + length + 2))
        }
        _ => {
            let length = text[start..end].iter().position(u8::is_ascii_whitespace);
            let stop = length.map_or(end, |length| start + length);
            Some((start..stop, stop))
        }
    }
}
