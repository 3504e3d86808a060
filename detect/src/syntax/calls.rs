//! Calls whose arguments are told by their place: `login("user", "password")`.
//!
//! A table (`commands.toml`) says which function takes what where. Strings alone are arguments here;
//! what a variable holds is not asked.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Fields, ScopeId, flow, literal};

/// One row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCall {
    functions: Vec<String>,
    arguments: Vec<String>,
}

/// Bytes of a call's arguments that are read.
const LONGEST_CALL: usize = 1024;
/// The longest name in the table.
const LONGEST_NAME: usize = 40;

fn table() -> &'static HashMap<String, Vec<String>> {
    static TABLE: OnceLock<HashMap<String, Vec<String>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for row in super::shell::calls() {
            for name in row.functions {
                table.insert(name, row.arguments.clone());
            }
        }
        table
    })
}

/// Reads the arguments of the call whose bracket is at `open`, if the table knows its function.
pub(crate) fn arguments(
    text: &[u8],
    start: usize,
    open: usize,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    let name = function(text, start, open);
    default_of(text, start, &name, open, scope, fields);
    let Some(meanings) =
        lookup(&qualified(text, start, &name)).or_else(|| lookup(&text[name.clone()]))
    else {
        return;
    };
    let end = text.len().min(open + LONGEST_CALL);
    let mut at = open + 1;
    let mut number = 0;
    let mut depth = 0_usize;
    // Where the argument that is one string and nothing else begins.
    let mut alone = true;
    while at < end && number < meanings.len() {
        match text[at] {
            quote @ (b'"' | b'\'' | b'`') => {
                let (raw, decoded) = flow::quoted(&text[..end], at + 1, quote);
                at = raw.end + 1;
                let meaning = meanings[number].as_str();
                if alone && depth == 0 && !meaning.is_empty() {
                    let path = [&text[name.clone()], b".", meaning.as_bytes()].concat();
                    if decoded.is_none() {
                        let start = raw.start;
                        super::text::held(&path, &text[raw.clone()], |path, part| {
                            fields.add(path, start + part.start..start + part.end, scope, true);
                        });
                    }
                    fields.add_decoded(&path, raw, decoded, scope);
                }
                alone = false;
                continue;
            }
            b',' if depth == 0 => {
                number += 1;
                alone = true;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                if depth == 0 {
                    return;
                }
                depth -= 1;
            }
            // Prefixes of strings, blanks and line breaks.
            byte if byte.is_ascii_whitespace() || matches!(byte, b'@' | b'r' | b'b' | b'u') => {}
            _ => alone = false,
        }
        at += 1;
    }
}

/// Functions whose second argument is what is taken when nothing is there under the first.
const GETTERS: [&[u8]; 10] = [
    b"getenv",
    b"Getenv",
    b"GetEnv",
    b"getEnv",
    b"get_env",
    b"env",
    b"get",
    b"getOrDefault",
    b"getProperty",
    b"fetch",
];

/// `password = getenv("DBPW", "…")`: the default by the name that it is assigned to, whatever the
/// variable is called.
fn default_of(
    text: &[u8],
    start: usize,
    function: &Range<usize>,
    open: usize,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    if !GETTERS.contains(&&text[function.clone()]) {
        return;
    }
    let line = &text[start..function.start];
    let Some(equals) = line.iter().rposition(|&b| b == b'=') else {
        return;
    };
    let before = line[..equals].trim_ascii_end();
    let before = before.strip_suffix(b":").unwrap_or(before).trim_ascii_end();
    // What the call stands behind is a path, `os.environ.`, and no other call or comparison.
    let path = line[equals + 1..].trim_ascii_start();
    let plain = path.iter().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'>' | b'-' | b'\\')
    });
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$');
    let length = before
        .iter()
        .rev()
        .take(LONGEST_NAME)
        .take_while(part)
        .count();
    if length == 0 || !plain {
        return;
    }
    let end = text.len().min(open + LONGEST_CALL);
    let end = memchr::memchr(b'\n', &text[open..end]).map_or(end, |n| open + n);
    let first = open + 1 + blanks(&text[open + 1..end]);
    let Some((raw, _)) = literal::string(text, first, end) else {
        return;
    };
    // A variable whose name speaks is told by it.
    let variable = text[raw.clone()].to_ascii_lowercase();
    if [&b"pass"[..], b"secret", b"token", b"key"]
        .iter()
        .any(|word| memchr::memmem::find(&variable, word).is_some())
    {
        return;
    }
    let comma = raw.end + 1 + text.get(raw.end + 1..end).map_or(0, blanks);
    if text[..end].get(comma) != Some(&b',') {
        return;
    }
    let second = comma + 1 + blanks(&text[comma + 1..end]);
    if let Some((raw, decoded)) = literal::string(text, second, end) {
        let name = &before[before.len() - length..];
        fields.add_decoded(name, raw, decoded, scope);
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// The last word before a bracket: a function's or type's name, or what a tuple is assigned to:
/// `auth=("user", "password")`.
fn function(text: &[u8], start: usize, open: usize) -> Range<usize> {
    let floor = start.max(open.saturating_sub(LONGEST_NAME + 1));
    let before = text[floor..open].trim_ascii_end();
    let before = before.strip_suffix(b"=").unwrap_or(before).trim_ascii_end();
    let open = floor + before.len();
    let mut begin = open;
    while begin > floor && (text[begin - 1].is_ascii_alphanumeric() || text[begin - 1] == b'_') {
        begin -= 1;
    }
    begin..open
}

/// A function with what it belongs to, as the table writes it: `DBI->connect` is `DBI.connect`.
fn qualified(text: &[u8], start: usize, name: &Range<usize>) -> Vec<u8> {
    let before = &text[start.max(name.start.saturating_sub(LONGEST_NAME))..name.start];
    let owner = [&b"."[..], b"->", b"::"]
        .iter()
        .find_map(|mark| before.strip_suffix(*mark));
    let Some(owner) = owner else {
        return Vec::new();
    };
    let part = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let length = owner.iter().rev().take_while(part).count();
    [&owner[owner.len() - length..], b".", &text[name.clone()]].concat()
}

fn lookup(name: &[u8]) -> Option<&'static Vec<String>> {
    if name.len() < 3 || name.len() > LONGEST_NAME {
        return None;
    }
    table().get(std::str::from_utf8(name).ok()?)
}
