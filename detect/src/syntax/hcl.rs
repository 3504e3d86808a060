//! HCL: Terraform, Packer, Nomad, Vault and Consul, by their lines and brackets.
//!
//! Not an HCL parser: labels become part of the path (`variable.db_password.default`), maps and
//! lists in one line go to [`flow`], here-documents are one value, and expressions are left as they
//! stand.

use std::ops::Range;

use super::{DEEPEST, Fields, ScopeId, flow};

struct Open {
    path: usize,
    scope: ScopeId,
}

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut path: Vec<u8> = Vec::new();
    let mut stack = vec![Open {
        path: 0,
        scope: fields.scopes.child(root),
    }];
    // Bytes that searches for the ends of here-documents may still look at.
    let mut patience = range.len() * 4;
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let start = at + (text[at..end].len() - text[at..end].trim_ascii_start().len());
        let line = text[start..end].trim_ascii();
        at = end + 1;
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"//") {
            continue;
        }
        if line.starts_with(b"/*") {
            let rest = &text[start..range.end];
            at = start + memchr::memmem::find(rest, b"*/").map_or(rest.len(), |n| n + 2);
            continue;
        }
        if matches!(line[0], b'}' | b']') {
            if stack.len() > 1 {
                stack.pop();
            }
            path.truncate(stack.last().map_or(0, |open| open.path));
            if !line.ends_with(b"{") {
                continue;
            }
        }
        let open = stack
            .last()
            .map_or((0, root), |open| (open.path, open.scope));
        path.truncate(open.0);
        let end = start + line.len();
        match key(text, start, end) {
            Some((name, value)) => {
                push(&mut path, &text[name]);
                let value =
                    value + (text[value..end].len() - text[value..end].trim_ascii_start().len());
                let rest = &text[value..end];
                if rest == b"{" || rest == b"[" || rest == b"[{" {
                    enter(&path, open.1, &mut stack, fields);
                } else if rest.starts_with(b"<<") {
                    let limit = range.end.min(at.saturating_add(patience.min(64 * 1024)));
                    let (next, looked) = heredoc(text, value..end, limit, &path, open.1, fields);
                    patience -= looked.min(patience);
                    at = next;
                } else {
                    scalar(text, value..end, &path, open.1, fields);
                }
            }
            None if line.ends_with(b"{") => {
                for label in labels(&line[..line.len() - 1]) {
                    push(&mut path, label);
                }
                enter(&path, open.1, &mut stack, fields);
            }
            None => {
                // An item of a list, or `block { key = "value" }` in one line.
                let inner = memchr::memchr(b'{', line).map(|n| start + n);
                if let Some(inner) = inner.filter(|_| line.ends_with(b"}")) {
                    for label in labels(&text[start..inner]) {
                        push(&mut path, label);
                    }
                    flow::parse(text, inner..end, &path, open.1, fields);
                } else {
                    scalar(text, start..end, &path, open.1, fields);
                }
            }
        }
    }
}

fn enter(path: &[u8], parent: ScopeId, stack: &mut Vec<Open>, fields: &mut Fields<'_>) {
    let scope = if stack.len() < DEEPEST {
        fields.scopes.child(parent)
    } else {
        parent
    };
    if stack.len() < DEEPEST * 8 {
        stack.push(Open {
            path: path.len(),
            scope,
        });
    }
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'.');
    }
    path.extend_from_slice(&name[..name.len().min(200)]);
}

/// `resource "type" "name"`: its words, the kinds of block left out.
fn labels(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .map(|word| {
            let word = word.strip_prefix(b"\"").unwrap_or(word);
            word.strip_suffix(b"\"").unwrap_or(word)
        })
        .filter(|word| !word.is_empty() && *word != b"=")
}

/// A key, bare or quoted, and where its value begins.
fn key(text: &[u8], start: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let quotes = usize::from(text[start] == b'"');
    let from = start + quotes;
    let length = text[from..end]
        .iter()
        .take_while(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/') || **b >= 0x80
        })
        .count();
    let stop = from + length;
    let after = stop + quotes;
    if length == 0 || after > end || (quotes == 1 && text.get(stop) != Some(&b'"')) {
        return None;
    }
    let rest = &text[after..end];
    let blank = rest.len() - rest.trim_ascii_start().len();
    let mark = *rest.get(blank)?;
    let equals = rest.get(blank + 1);
    let sets = mark == b'=' && equals != Some(&b'=') || mark == b':' && equals == Some(&b' ');
    sets.then_some((from..stop, after + blank + 1))
}

fn scalar(text: &[u8], value: Range<usize>, path: &[u8], scope: ScopeId, fields: &mut Fields<'_>) {
    if value.is_empty() {
        return;
    }
    match text[value.start] {
        b'"' => {
            let (raw, decoded) = flow::quoted(&text[..value.end], value.start + 1, b'"');
            fields.add_decoded(path, raw, decoded, scope);
        }
        b'{' | b'[' => flow::parse(text, value, path, scope, fields),
        _ => {
            // A function's first string, `base64encode("…")`, is the value as good as written.
            let line = &text[value.clone()];
            match memchr::memchr(b'"', line).filter(|_| line.contains(&b'(')) {
                Some(quote) => {
                    let (raw, decoded) =
                        flow::quoted(&text[..value.end], value.start + quote + 1, b'"');
                    fields.add_decoded(path, raw, decoded, scope);
                }
                None => fields.add(
                    path,
                    value.start..value.start + line.trim_ascii_end().len(),
                    scope,
                    false,
                ),
            }
        }
    }
}

/// `<<EOT` up to the line that is its word; answers where to go on and how many bytes were looked at.
fn heredoc(
    text: &[u8],
    opening: Range<usize>,
    end: usize,
    path: &[u8],
    scope: ScopeId,
    fields: &mut Fields<'_>,
) -> (usize, usize) {
    let word = text[opening.start + 2..opening.end].trim_ascii();
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let start = (opening.end + 1).min(end.max(opening.end));
    let mut at = start;
    while at < end && !word.is_empty() {
        let stop = memchr::memchr(b'\n', &text[at..end]).map_or(end, |n| at + n);
        if text[at..stop].trim_ascii() == word {
            fields.add(path, start..at, scope, true);
            return (stop + 1, stop + 1 - start);
        }
        at = stop + 1;
    }
    (start, at - start)
}
