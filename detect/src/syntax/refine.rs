//! What several formats have in common once their fields are read.
//!
//! A key called `name` beside one called `value` names it; a list's `NAME=value` is an assignment;
//! a block of several lines is a file inside the file; a `command` is a command line.

use std::collections::HashMap;

use super::{Fields, ScopeId, parse, shell, sniff};
use crate::content::Format;

/// Files inside files inside files.
const DEEPEST_BLOCK: usize = 3;

/// Refines the fields from `first` on.
pub(crate) fn refine(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    name_values(text, first, fields);
    assignments(text, first, fields);
    blocks(text, first, fields);
}

fn last(path: &[u8]) -> &[u8] {
    let path = match memchr::memrchr(b'[', path) {
        Some(at) if path.ends_with(b"]") => &path[..at],
        _ => path,
    };
    path.rsplit(|&b| b == b'.').next().unwrap_or_default()
}

/// `{name: COS_SECRET_KEY, value: …}` and Hadoop's `<name>` and `<value>`.
fn name_values(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let mut names: HashMap<ScopeId, usize> = HashMap::new();
    for (at, field) in fields.fields.iter().enumerate().skip(first) {
        if matches!(
            last(&field.path),
            b"name" | b"key" | b"Name" | b"Key" | b"variable"
        ) {
            names.insert(field.scope, at);
        }
    }
    if names.is_empty() {
        return;
    }
    for at in first..fields.fields.len() {
        if !matches!(last(&fields.fields[at].path), b"value" | b"Value" | b"val") {
            continue;
        }
        let Some(&name) = names.get(&fields.fields[at].scope) else {
            continue;
        };
        let name = fields.fields[name].value(text);
        if name.len() <= 128 && !name.iter().any(u8::is_ascii_whitespace) {
            let name = name.to_vec();
            fields.fields[at].path = name;
        }
    }
}

/// `- NAME=value` in lists: compose files, container configurations.
fn assignments(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    for field in &mut fields.fields[first..] {
        if !field.path.ends_with(b"]") {
            continue;
        }
        let value = field.value(text);
        let Some(equals) = memchr::memchr(b'=', &value[..value.len().min(129)]) else {
            continue;
        };
        let name = &value[..equals];
        let is_name = !name.is_empty()
            && name
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if !is_name || equals + 1 >= value.len() {
            continue;
        }
        let trimmed = name.iter().take_while(|&&b| b == b'-').count();
        field.path = name[trimmed..].to_vec();
        match &mut field.decoded {
            Some(decoded) => {
                decoded.drain(..=equals);
            }
            None => field.raw.start += equals + 1,
        }
    }
}

/// Block scalars and command strings, read in place so that lines stay exact.
fn blocks(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    const COMMANDS: [&[u8]; 10] = [
        b"command",
        b"cmd",
        b"run",
        b"script",
        b"entrypoint",
        b"args",
        b"Cmd",
        b"exec",
        b"CMD",
        b"ExecStart",
    ];
    let end = fields.fields.len();
    for at in first..end {
        let field = &fields.fields[at];
        if field.decoded.is_some() {
            continue;
        }
        let (raw, scope) = (field.raw.clone(), field.scope);
        let bytes = &text[raw.clone()];
        let name = last(&field.path).to_vec();
        if COMMANDS.contains(&name.as_slice()) && bytes.len() <= 64 * 1024 {
            shell::script(text, raw, scope, fields);
        } else if memchr::memchr(b'\n', bytes).is_some()
            && depth(text, &raw, fields, at) < DEEPEST_BLOCK
        {
            let path = fields.fields[at].path.clone();
            let format = match crate::places::format_of(&path) {
                Format::Guess | Format::Text => sniff(bytes),
                format => format,
            };
            if format != Format::Json || bytes.trim_ascii_start().starts_with(b"{") {
                let scope = fields.scopes.child(scope);
                let before = fields.fields.len();
                parse(text, raw, format, scope, fields);
                // What has been read as a file is not also one long value.
                if fields.fields.len() > before {
                    let start = fields.fields[at].raw.start;
                    fields.fields[at].raw = start..start;
                }
            }
        }
    }
}

/// How many earlier fields hold this one.
fn depth(text: &[u8], raw: &std::ops::Range<usize>, fields: &Fields<'_>, at: usize) -> usize {
    fields.fields[..at]
        .iter()
        .rev()
        .take(64)
        .filter(|field| {
            field.decoded.is_none()
                && field.raw.start <= raw.start
                && field.raw.end >= raw.end
                && memchr::memchr(b'\n', &text[field.raw.clone()]).is_some()
        })
        .count()
}
