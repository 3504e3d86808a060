//! Values that hold other values: addresses with a password, headers, connection strings.
//!
//! Each part is judged by its own name, as if it stood alone.

use akwatch_proto::credential::Kind;
use akwatch_proto::limits;
use akwatch_proto::place::Encoding;
use zeroize::Zeroizing;

use super::{Candidate, Judge, Part, Value, chosen, quiet};
use crate::rule::{Engine, Half};
use crate::sieve::{self, Token};
use crate::unwrap::inline;

impl Judge<'_> {
    /// `Name: value` inside one value, as clients take headers: the value by its own name.
    pub(super) fn header_line(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        colon: usize,
        out: &mut Vec<Candidate>,
    ) {
        let (mut name, mut start) = (0..colon, colon + 1);
        // The last of `a: b: c: …` names the value. A loop: there may be thousands of them.
        loop {
            let rest = &bytes[start..];
            start += rest.len() - rest.trim_ascii_start().len();
            let rest = &bytes[start..];
            let Some(next) = header_name(rest).filter(|_| !quiet::is_reference(rest)) else {
                break;
            };
            name = start..start + next;
            start += next + 1;
        }
        self.part(value, &bytes[name], &bytes[start..], offset + start, 0, out);
    }

    /// A part of `value`, `from` bytes into it, that has a name of its own.
    fn part(
        &self,
        value: &Value<'_>,
        path: &[u8],
        bytes: &[u8],
        from: usize,
        spoken: i8,
        out: &mut Vec<Candidate>,
    ) {
        let line = |inner: usize| (value.line)(from + inner);
        let inner = Value {
            path,
            bytes,
            order: value.order + from as u64,
            line: &line,
            sure: true,
            loose: false,
            spoken: &|| spoken,
            ..*value
        };
        self.value(&inner, out);
    }

    /// The passwords of the addresses in a value with percent-escapes: an address is split first and
    /// undone afterwards, since a mark that was escaped divides nothing. Whether there was one.
    pub(crate) fn escaped_urls(&self, value: &Value<'_>, out: &mut Vec<Candidate>) -> bool {
        let bytes = value.bytes.trim_ascii();
        let offset = value.bytes.len() - value.bytes.trim_ascii_start().len();
        if memchr::memmem::find(bytes, b"://").is_none() || quiet::is_reference(bytes) {
            return false;
        }
        let before = out.len();
        self.urls(value, bytes, offset, true, out);
        out.len() > before
    }

    /// `scheme://user:password@host`.
    pub(super) fn url(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        out: &mut Vec<Candidate>,
    ) {
        self.urls(value, bytes, offset, false, out);
    }

    fn urls(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        escaped: bool,
        out: &mut Vec<Candidate>,
    ) {
        let Some(rule) = self.rules.engine(Engine::UrlPassword) else {
            return;
        };
        for at in memchr::memmem::find_iter(bytes, b"://").take(64) {
            let start = at + 3;
            let rest = &bytes[start..];
            let stop = rest
                .iter()
                .take(512)
                .position(|&b| {
                    b.is_ascii_whitespace()
                        || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
                })
                .unwrap_or(rest.len().min(512));
            let Some(host) = memchr::memrchr(b'@', &rest[..stop]) else {
                continue;
            };
            let Some(colon) = memchr::memchr(b':', &rest[..host]) else {
                continue;
            };
            let written = &rest[colon + 1..host];
            let undone = inline::percent(written).filter(|_| escaped);
            let undone = undone.map(Zeroizing::new);
            let password = undone.as_ref().map_or(written, |undone| undone.as_slice());
            let own_rule = sieve::tokens(password, self.rules)
                .iter()
                .any(|token| token.start == 0);
            if password.len() < limits::SHORTEST_PASSWORD
                || own_rule
                || quiet::is_reference(password)
                || is_template(password)
                || rest[host..stop].starts_with(b"@example.")
            {
                continue;
            }
            let looks = !quiet::is_placeholder(password) && quiet::is_password(password);
            let doubt = match looks {
                true => None,
                // A user and a host stand beside it; in examples they are words as well.
                false => self.weigh(
                    password,
                    &Value {
                        path: b"url.password",
                        ..*value
                    },
                ),
            };
            if !looks && doubt.is_none() {
                continue;
            }
            let mut found =
                self.candidate(value, Part::Single, password, offset + start + colon + 1);
            found.rules = vec![rule];
            found.kind = Some(Kind::Password);
            found.doubt = doubt;
            if undone.is_some() {
                found.encoding.push(Encoding::Url);
            }
            out.push(found);
        }
    }

    /// `Authorization: Bearer …` and `Basic …`, whose text is `user:password`.
    pub(super) fn header(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        out: &mut Vec<Candidate>,
    ) {
        let Some((space, bearer)) = header_scheme(bytes) else {
            return;
        };
        let credentials = &bytes[space + 1..];
        let at = offset + space + 1;
        if bearer {
            if sieve::tokens(credentials, self.rules).is_empty()
                && !quiet::is_reference(credentials)
            {
                let found = self.candidate(value, Part::Single, credentials, at);
                let sure = Value {
                    sure: true,
                    ..*value
                };
                self.bearer(credentials, found, &sure, out);
            }
        } else if credentials.len() >= 12 {
            let decoded = inline::base64(credentials).map(Zeroizing::new);
            // A password in another character set, or one byte of it that was mistyped.
            let odd = |text: &[u8]| text.contains(&b':') && !inline::is_texty(text);
            if decoded.as_ref().is_some_and(|text| odd(text)) && credentials.len() >= 32 {
                let found = self.candidate(value, Part::Single, credentials, at);
                let sure = Value {
                    sure: true,
                    ..*value
                };
                return self.bearer(credentials, found, &sure, out);
            }
            let password = decoded
                .as_ref()
                .and_then(|text| memchr::memchr(b':', text).map(|colon| &text[colon + 1..]));
            let rule = self.rules.engine(Engine::NamedPassword);
            let told = password.filter(|password| quiet::is_sent_password(password));
            if let (Some(password), Some(rule)) = (told, rule) {
                let mut found = self.candidate(value, Part::Single, password, at);
                found.rules = vec![rule];
                found.kind = Some(Kind::Password);
                found.encoding.push(Encoding::Base64);
                out.push(found);
            }
        }
    }

    /// `host=… user=… password=…`: its pairs, each by its own name.
    pub(super) fn settings(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        out: &mut Vec<Candidate>,
    ) {
        for (name, range) in spaced(bytes).into_iter().flatten() {
            let dot: &[u8] = if value.path.is_empty() { b"" } else { b"." };
            let path = [value.path, dot, name].concat();
            let from = offset + range.start;
            self.part(value, &path, &bytes[range], from, chosen::SPOKEN, out);
        }
    }

    /// `id:secret`, `id secret` in one value: what stands behind an id with a beginning of its own.
    pub(super) fn behind_id(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        tokens: &[Token],
        out: &mut Vec<Candidate>,
    ) {
        let id = tokens
            .iter()
            .find(|token| token.start == 0 && token.half == Half::Id);
        let Some(id) = id.filter(|id| id.end < bytes.len()) else {
            return;
        };
        let between = |b: &&u8| matches!(b, b':' | b',' | b';' | b'|' | b'/' | b' ' | b'\t');
        let marks = bytes[id.end..].iter().take(8).take_while(between).count();
        let start = id.end + marks;
        let piece = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(b);
        let rest = &bytes[start..];
        if marks > 0 && rest.len() >= limits::SHORTEST_SECRET && rest.iter().all(piece) {
            self.part(value, b"", rest, offset + start, 0, out);
        }
    }

    /// `Server=…;User=…;Password=…`: its pairs, each by its own name.
    pub(super) fn connection(
        &self,
        value: &Value<'_>,
        bytes: &[u8],
        offset: usize,
        out: &mut Vec<Candidate>,
    ) {
        let first = out.len();
        let mut at = 0;
        for piece in bytes.split(|&b| b == b';').take(64) {
            let start = at;
            at += piece.len() + 1;
            let Some(equals) = memchr::memchr(b'=', piece) else {
                continue;
            };
            // The mark behind it was half of an entity.
            let piece = piece.strip_suffix(b"&amp").unwrap_or(piece);
            let name = piece[..equals].trim_ascii();
            let name = name
                .rsplit(|&b| b == b'?' || b == b'"')
                .next()
                .unwrap_or_default();
            if name.is_empty() || name.len() > 64 || piece.len() == bytes.len() {
                continue;
            }
            let name = if name.eq_ignore_ascii_case(b"id") {
                b"KeyId"
            } else {
                name
            };
            let path = [
                value.path,
                if value.path.is_empty() { b"" } else { b"." },
                name,
            ]
            .concat();
            let from = offset + start + equals + 1;
            let piece = &piece[equals + 1..];
            self.part(value, &path, piece, from, chosen::SPOKEN, out);
        }
        // The address beside the halves says whose they are.
        let mut spoken = Vec::new();
        if out.len() > first {
            self.rules.words().apart(bytes, &mut spoken);
        }
        for found in &mut out[first..] {
            found.hints.near.extend(&spoken);
        }
    }
}

/// The pairs of `host=h user=u password='p w'`, as libpq takes them: each name and the range of its value.
/// Nothing if any piece is no pair, as in prose.
fn spaced(bytes: &[u8]) -> Option<Vec<(&[u8], std::ops::Range<usize>)>> {
    let mut pairs = Vec::new();
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|b| **b == b' ').count();
        if at == bytes.len() {
            return (pairs.len() > 1).then_some(pairs);
        }
        let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let length = bytes[at..].iter().take(33).take_while(part).count();
        let name = &bytes[at..at + length];
        if !(1..=32).contains(&length) || bytes.get(at + length) != Some(&b'=') || pairs.len() > 64
        {
            return None;
        }
        at += length + 1;
        let rest = &bytes[at..];
        let quote = usize::from(rest.starts_with(b"'"));
        let end = match memchr::memchr(if quote > 0 { b'\'' } else { b' ' }, &rest[quote..]) {
            Some(end) => end,
            None if quote > 0 => return None,
            None => rest.len(),
        };
        pairs.push((name, at + quote..at + quote + end));
        at = bytes.len().min(at + quote + end + quote);
    }
}

/// `{password}`: a name that a program fills in.
fn is_template(password: &[u8]) -> bool {
    let inner = password
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"));
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    inner.is_some_and(|inner| inner.iter().all(part))
}

/// The blank before the credentials of an `Authorization` value, and whether they are a bearer's.
pub(crate) fn header_scheme(bytes: &[u8]) -> Option<(usize, bool)> {
    let space = memchr::memrchr(b' ', bytes)?;
    let before = bytes[..space].trim_ascii_end();
    let start = before
        .iter()
        .rposition(|&b| b == b' ' || b == b':' || b == b'"')
        .map_or(0, |at| at + 1);
    let scheme = &before[start..];
    let is = |name: &&str| scheme.eq_ignore_ascii_case(name.as_bytes());
    if is(&"bearer") {
        Some((space, true))
    } else if is(&"basic") {
        Some((space, false))
    } else {
        // These are words of prose too: nothing but a header's name may stand before them.
        let header = before[..start].trim_ascii_end();
        let alone = header.is_empty() || header.ends_with(b"uthorization:");
        (alone && SCHEMES.iter().any(is)).then_some((space, true))
    }
}

/// Words that services use in place of `Bearer`.
const SCHEMES: [&str; 10] = [
    "ntlm",
    "token",
    "api-token",
    "apitoken",
    "apikey",
    "api-key",
    "key",
    "bot",
    "ssws",
    "geniekey",
];

/// The colon of `Name: value`, where the name is a header's.
pub(super) fn header_name(bytes: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', &bytes[..bytes.len().min(48)])?;
    let name = &bytes[..colon];
    let is_name = name.len() >= 3
        && name[0].is_ascii_alphabetic()
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (is_name && bytes.get(colon + 1) == Some(&b' ') && !bytes.contains(&b'\n')).then_some(colon)
}
