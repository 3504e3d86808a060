//! XML by its tags: element paths, attributes, and the `<name>`/`<value>` pairs of Hadoop. In a
//! property list a `<key>` names the element behind it.
//!
//! No entities beyond the five and those by number, no namespaces, no DTD: nothing in the text can make this fetch or
//! expand anything.

use std::ops::Range;

use super::{DEEPEST, Fields, ScopeId};

struct Open {
    path: usize,
    scope: ScopeId,
}

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut path = Vec::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut at = range.start;
    let mut content = at;
    let mut key = None;
    while let Some(found) = memchr::memchr(b'<', &text[at..range.end]) {
        let tag = at + found;
        let rest = &text[tag..range.end];
        if rest.starts_with(b"<!--") {
            let length = memchr::memmem::find(rest, b"-->").map_or(rest.len(), |n| n + 3);
            if length > 4 {
                commented(text, tag + 4..tag + length, &stack, root, fields);
            }
            at = tag + length;
            content = at;
            continue;
        }
        if let Some(inner) = rest.strip_prefix(b"<![CDATA[") {
            let length = memchr::memmem::find(inner, b"]]>").unwrap_or(inner.len());
            let scope = stack.last().map_or(root, |open| open.scope);
            let value = trimmed(text, tag + 9..tag + 9 + length);
            fields.add(&path, value, parent_of(&stack, root, scope), true);
            at = (tag + 9 + length + 3).min(range.end);
            content = at;
            continue;
        }
        let Some(close) = memchr::memchr(b'>', rest).map(|n| tag + n) else {
            break;
        };
        let inner = &text[tag + 1..close];
        if inner.first() == Some(&b'/') {
            let scope = stack.last().map_or(root, |open| open.scope);
            let value = trimmed(text, content..tag);
            if content < tag {
                add(&path, value, text, parent_of(&stack, root, scope), fields);
            }
            if let Some(open) = stack.pop() {
                path.truncate(open.path);
            }
            let value = trimmed(text, content..tag);
            key = (inner == b"/key" && (1..=100).contains(&value.len())).then_some(value);
        } else if !matches!(inner.first(), Some(b'!' | b'?')) {
            let name = key.take().filter(|_| is_property(inner));
            let place = (tag + 1..close, name);
            element(text, place, &mut path, &mut stack, root, fields);
        }
        at = close + 1;
        content = at;
    }
}

/// Elements that were commented out are read as if they stood alone.
fn commented(
    text: &[u8],
    inner: Range<usize>,
    stack: &[Open],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let Some(held) = text[inner.clone()].strip_suffix(b"-->") else {
        return;
    };
    // A comment in a comment would be read by another level.
    let nested = memchr::memmem::find(held, b"<!--").is_some();
    let (start, end) = (inner.start, inner.start + held.len());
    if memchr::memchr(b'<', held).is_some() && !nested {
        let scope = stack.last().map_or(root, |open| open.scope);
        let scope = fields.scopes.child(scope);
        parse(text, start..end, scope, fields);
    }
}

/// A leaf's value belongs to the scope of the element around it.
fn parent_of(stack: &[Open], root: ScopeId, scope: ScopeId) -> ScopeId {
    if stack.is_empty() {
        return scope;
    }
    stack
        .len()
        .checked_sub(2)
        .and_then(|at| stack.get(at))
        .map_or(root, |open| open.scope)
}

/// Whether a tag begins a value of a property list.
fn is_property(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"string" | b"data" | b"dict" | b"array" | b"integer" | b"date" | b"real"
    )
}

/// Takes an element's tag, and the key that names it.
fn element(
    text: &[u8],
    (inner, key): (Range<usize>, Option<Range<usize>>),
    path: &mut Vec<u8>,
    stack: &mut Vec<Open>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let bytes = &text[inner.clone()];
    let closed = bytes.ends_with(b"/");
    let length = bytes
        .iter()
        .position(|b| b.is_ascii_whitespace() || *b == b'/')
        .unwrap_or(bytes.len());
    let before = path.len();
    let scope = stack.last().map_or(root, |open| open.scope);
    let scope = if stack.len() < DEEPEST {
        fields.scopes.child(scope)
    } else {
        scope
    };
    if before > 0 {
        path.push(b'.');
    }
    path.extend_from_slice(match key {
        Some(key) => &text[key],
        None => &bytes[..length.min(100)],
    });
    let attributes = attributes(text, inner.start + length..inner.end);
    let named = attributes.iter().find(|(name, _)| {
        matches!(
            &text[name.clone()],
            b"name" | b"key" | b"Name" | b"Key" | b"id"
        )
    });
    if let Some((_, value)) = named.filter(|(_, value)| value.len() <= 200) {
        path.push(b'.');
        path.extend_from_slice(&text[value.clone()]);
    }
    for (name, value) in &attributes {
        let length = path.len();
        if !(named.is_some() && matches!(&text[name.clone()], b"value" | b"Value")) {
            path.push(b'.');
            path.extend_from_slice(&text[name.clone()]);
        }
        add(path, value.clone(), text, scope, fields);
        path.truncate(length);
    }
    if closed || stack.len() == DEEPEST * 8 {
        path.truncate(before);
    } else {
        stack.push(Open {
            path: before,
            scope,
        });
    }
}

fn attributes(text: &[u8], range: Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = range.start;
    while let Some(equals) = memchr::memchr(b'=', &text[at..range.end]).map(|n| at + n) {
        let name = trimmed(text, at..equals);
        let start = text[name.clone()]
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(name.start, |n| name.start + n + 1);
        let mut open = equals + 1;
        while open < range.end && text[open].is_ascii_whitespace() {
            open += 1;
        }
        let Some(&quote @ (b'"' | b'\'')) = text[..range.end].get(open) else {
            at = equals + 1;
            continue;
        };
        let stop =
            memchr::memchr(quote, &text[open + 1..range.end]).map_or(range.end, |n| open + 1 + n);
        if found.len() < 256 {
            found.push((start..name.end, open + 1..stop));
        }
        at = (stop + 1).min(range.end);
    }
    found
}

fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = &text[range.clone()];
    let start = range.start + (bytes.len() - bytes.trim_ascii_start().len());
    start..start + bytes.trim_ascii().len()
}

fn add(path: &[u8], raw: Range<usize>, text: &[u8], scope: ScopeId, fields: &mut Fields<'_>) {
    let value = &text[raw.clone()];
    let decoded = memchr::memchr(b'&', value).map(|_| entities(value));
    if decoded.is_some() {
        super::markup::read(text, raw.clone(), scope, fields);
    }
    fields.add_decoded(path, raw, decoded, scope);
}

/// The text without its entities.
pub(crate) fn entities(value: &[u8]) -> Vec<u8> {
    const NAMED: [(&[u8], u8); 5] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
    ];
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        let rest = &value[at..];
        match NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, byte)) => {
                out.push(*byte);
                at += name.len();
            }
            None => match numbered(rest) {
                Some((character, length)) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    at += length;
                }
                None => {
                    out.push(value[at]);
                    at += 1;
                }
            },
        }
    }
    out
}

/// `&#64;` and `&#x40;` at the start of `text`: the character, and how many bytes it took.
fn numbered(text: &[u8]) -> Option<(char, usize)> {
    let digits = text.strip_prefix(b"&#")?;
    let (digits, radix) = match digits {
        [b'x' | b'X', rest @ ..] => (rest, 16),
        _ => (digits, 10),
    };
    let end = memchr::memchr(b';', &digits[..digits.len().min(9)])?;
    let number = u32::from_str_radix(std::str::from_utf8(&digits[..end]).ok()?, radix).ok()?;
    let length = text.len() - digits.len() + end + 1;
    Some((char::from_u32(number)?, length))
}
