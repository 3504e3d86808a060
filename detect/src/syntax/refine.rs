//! What several formats have in common once their fields are read.
//!
//! A key called `name` beside one called `value` names it; a list's `NAME=value` is an assignment; a
//! reference with a default holds the default; a block of several lines is a file inside the file;
//! a `command` is a command line, and so is a list of arguments.

use std::collections::HashMap;
use std::ops::Range;

use akwatch_proto::place::Encoding;
use zeroize::Zeroizing;

use super::text::{Blocks, line};
use super::{Field, Fields, ScopeId, innermost, known, obfuscated, parse, read_as, shell, sniff};
use crate::content::Format;
use crate::unwrap::inline;

/// Files inside files inside files.
const DEEPEST_BLOCK: usize = 3;
/// Texts inside texts, whatever holds them.
const DEEPEST_TEXT: u32 = 4;
/// Bytes of a command.
const LONGEST_COMMAND: usize = 64 * 1024;

/// Keys whose values are commands.
const COMMANDS: [&[u8]; 27] = [
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
    b"before_script",
    b"after_script",
    b"commands",
    b"shell",
    b"Entrypoint",
    b"Args",
    b"ENTRYPOINT",
    b"RUN",
    b"HEALTHCHECK",
    b"argv",
    b"test",
    b"Test",
    b"created_by",
    b"user_data",
    b"runcmd",
    b"inline",
    b"bash",
];

/// Refines the fields from `first` on.
pub(crate) fn refine(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    name_values(text, first, fields);
    assignments(text, first, fields);
    known::refine(text, first, fields);
    sources(text, first, fields);
    for field in &mut fields.fields[first..] {
        parent_names(field);
        default_of(text, field);
    }
    logins(text, first, fields);
    addresses(text, first, fields);
    obfuscated::undo(text, first, fields);
    arguments(text, first, fields);
    blocks(text, first, fields);
}

/// A notebook's cells are lists of lines: what one line names, another may go with.
fn sources(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let mut blocks: Option<(ScopeId, Blocks)> = None;
    for at in first..fields.fields.len() {
        let field = &fields.fields[at];
        if !field.path.ends_with(b"]") || !field.path.starts_with(b"cells") {
            continue;
        }
        let list = memchr::memrchr(b'[', &field.path).map_or(&[][..], |n| &field.path[..n]);
        if !list.ends_with(b".source") {
            continue;
        }
        let (raw, scope) = (field.raw.clone(), field.scope);
        if blocks.as_ref().is_none_or(|(known, _)| *known != scope) {
            blocks = Some((scope, Blocks::new(scope, fields)));
        }
        if let Some((_, blocks)) = &mut blocks {
            line(text, raw, blocks, fields);
        }
    }
    calls(text, first, fields);
}

/// Calls whose arguments stand on several lines of a notebook's cell.
fn calls(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let lists = |path: &[u8]| {
        let list = memchr::memrchr(b'[', path).filter(|_| path.ends_with(b"]"))?;
        (path.starts_with(b"cells") && path[..list].ends_with(b".source")).then_some(list)
    };
    let end = fields.fields.len();
    let mut at = first;
    while at < end {
        let Some(list) = lists(&fields.fields[at].path) else {
            at += 1;
            continue;
        };
        let mut held = Zeroizing::new(Vec::new());
        let mut lines = Vec::new();
        let (path, scope) = (
            fields.fields[at].path[..list].to_vec(),
            fields.fields[at].scope,
        );
        while let Some(field) = fields.fields[at..end].first()
            && lists(&field.path) == Some(list)
            && field.path.starts_with(&path)
        {
            lines.push((held.len(), field.raw.clone()));
            held.extend_from_slice(field.value(text));
            at += 1;
        }
        let before = fields.fields.len();
        let mut open = Vec::new();
        for (number, (start, _)) in lines.iter().enumerate() {
            let stop = lines.get(number + 1).map_or(held.len(), |(next, _)| *next);
            let brackets = memchr::memrchr(b'(', &held[*start..stop]).map(|n| start + n);
            // What ends on its line has been read with it.
            open.extend(
                brackets
                    .filter(|&at| memchr::memchr(b')', &held[at..stop]).is_none())
                    .map(|at| (*start, at)),
            );
        }
        for (start, open) in open {
            super::calls::arguments(&held, start, open, scope, fields);
        }
        for field in &mut fields.fields[before..] {
            let number = lines.partition_point(|(start, _)| *start <= field.raw.start);
            let (_, raw) = &lines[number.saturating_sub(1)];
            let value = field.value(&held).to_vec();
            let found = memchr::memmem::find(&text[raw.clone()], &value);
            field.raw = found.map_or(raw.clone(), |at| {
                raw.start + at..raw.start + at + value.len()
            });
            field.decoded = found.is_none().then_some(value);
        }
    }
}

fn last(path: &[u8]) -> &[u8] {
    let path = match memchr::memrchr(b'[', path) {
        Some(at) if path.ends_with(b"]") => &path[..at],
        _ => path,
    };
    path.rsplit(|&b| b == b'.').next().unwrap_or_default()
}

/// What a key that only says *name* or *value* has before that word: nothing, or `config_`.
fn stem<'a>(key: &'a [u8], words: &[&[u8]]) -> Option<&'a [u8]> {
    words.iter().find_map(|word| {
        let at = key.len().checked_sub(word.len())?;
        key[at..].eq_ignore_ascii_case(word).then_some(&key[..at])
    })
}

/// A key without an element's name before it: `<add key=`.
fn own_word(path: &[u8]) -> &[u8] {
    let key = last(path);
    memchr::memrchr(b' ', key).map_or(key, |blank| &key[blank + 1..])
}

/// `{name: COS_SECRET_KEY, value: …}`, Hadoop's `<name>` and `<value>`, a table's `config_key` and
/// `config_value`.
pub(crate) fn name_values(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    const NAMES: [&[u8]; 7] = [
        b"name",
        b"key",
        b"variable",
        b"property",
        b"attribute",
        b"envvar",
        b"label",
    ];
    const VALUES: [&[u8]; 4] = [b"value", b"val", b"content", b"defaultvalue"];
    const PLAIN: usize = 16;
    // Keys of most texts end with other letters than those of values.
    let is_value = |field: &Field| {
        matches!(
            field.path.last(),
            Some(b'e' | b'l' | b't' | b'E' | b'L' | b'T' | b']')
        ) && stem(own_word(&field.path), &VALUES).is_some()
    };
    if !fields.fields[first..].iter().any(is_value) {
        return;
    }
    let mut names: HashMap<(ScopeId, Vec<u8>), usize> = HashMap::new();
    for (at, field) in fields.fields.iter().enumerate().skip(first) {
        let key = own_word(&field.path);
        if key.len() > PLAIN * 2 {
            continue;
        }
        if let Some(stem) = stem(key, &NAMES) {
            names
                .entry((field.scope, stem.to_ascii_lowercase()))
                .or_insert(at);
        }
    }
    if names.is_empty() {
        return;
    }
    for at in first..fields.fields.len() {
        let key = own_word(&fields.fields[at].path);
        let Some(stem) = stem(key, &VALUES).filter(|stem| stem.len() <= PLAIN) else {
            continue;
        };
        let Some(&name) = names.get(&(fields.fields[at].scope, stem.to_ascii_lowercase())) else {
            continue;
        };
        let name = fields.fields[name].value(text);
        if !name.is_empty() && name.len() <= 128 && !name.iter().any(u8::is_ascii_whitespace) {
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
        // A flag of a list of arguments is read with its list.
        if trimmed > 0 && COMMANDS.contains(&last(&field.path)) {
            continue;
        }
        field.path = name[trimmed..].to_vec();
        match &mut field.decoded {
            Some(decoded) => {
                decoded.drain(..=equals);
            }
            None => field.raw.start += equals + 1,
        }
    }
}

/// `db_password.value`, `variable.db_password.default`: the key above is the name.
fn parent_names(field: &mut Field) {
    const WORDS: [&[u8]; 6] = [
        b"value",
        b"default",
        b"defaultValue",
        b"plaintext",
        b"plainText",
        b"stringValue",
    ];
    let Some(dot) = memchr::memrchr(b'.', &field.path) else {
        return;
    };
    if dot > 0 && WORDS.contains(&&field.path[dot + 1..]) {
        field.path.truncate(dot);
    }
}

/// `${NAME:-default}`, `${NAME:default}`: the default is what is used when nobody sets the name.
fn default_of(text: &[u8], field: &mut Field) {
    let value = field.value(text);
    let Some(inner) = value
        .strip_prefix(b"${")
        .and_then(|rest| rest.strip_suffix(b"}"))
    else {
        return;
    };
    let name = inner
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        .count();
    // A dash belongs to the name or begins the default.
    let name = match memchr::memchr(b'-', &inner[..name]) {
        Some(dash)
            if inner[..dash]
                .iter()
                .all(|b| b.is_ascii_uppercase() || *b == b'_' || b.is_ascii_digit()) =>
        {
            dash
        }
        _ => name,
    };
    let mark = match &inner[name..] {
        [b':', b'-' | b'=', ..] => 2,
        [b':' | b'-', ..] => 1,
        _ => return,
    };
    let (from, to) = (2 + name + mark, value.len() - 1);
    if name == 0 || from >= to || value[from..to].starts_with(b"?") {
        return;
    }
    match &mut field.decoded {
        Some(decoded) => *decoded = decoded[from..to].to_vec(),
        None => field.raw = field.raw.start + from..field.raw.start + to,
    }
}

/// What addresses and drivers' strings hold by other names.
fn addresses(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let mut found: Vec<Field> = Vec::new();
    for field in &fields.fields[first..] {
        let value = field.value(text);
        super::text::held(&field.path, value, |path, part| {
            let exact = field.decoded.is_none();
            found.push(Field {
                path: path.to_vec(),
                decoded: (!exact).then(|| value[part.clone()].to_vec()),
                raw: if exact {
                    field.raw.start + part.start..field.raw.start + part.end
                } else {
                    field.raw.clone()
                },
                scope: field.scope,
                quoted: true,
                told: false,
                encoding: field.encoding,
            });
        });
    }
    fields.fields.append(&mut found);
}

/// `auths.HOST.auth` of registries and npm's `_auth`: base64 of `user:password`.
fn logins(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    for at in first..fields.fields.len() {
        let field = &fields.fields[at];
        let key = last(&field.path);
        let holds = (key == b"auth" && memchr::memmem::find(&field.path, b"auths").is_some())
            || key == b"_auth"
            || key.ends_with(b":_auth");
        if !holds || field.raw.len() > 4096 {
            continue;
        }
        let Some(plain) = inline::base64(field.value(text)) else {
            continue;
        };
        let Some(colon) = memchr::memchr(b':', &plain).filter(|_| inline::is_texty(&plain)) else {
            continue;
        };
        let login = Field {
            path: [&field.path[..], b".password"].concat(),
            raw: field.raw.clone(),
            decoded: Some(plain[colon + 1..].to_vec()),
            scope: field.scope,
            quoted: true,
            told: false,
            encoding: Some(Encoding::Base64),
        };
        fields.fields[at] = login;
    }
}

/// Lists of arguments: `command: ["mysql", "-pSECRET"]` and the `args` beside them.
fn arguments(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    let owner = |path: &[u8]| -> Option<usize> {
        let open = memchr::memrchr(b'[', path).filter(|_| path.ends_with(b"]"))?;
        // A list of lists is several commands.
        if path[..open].ends_with(b"]") {
            return COMMANDS.contains(&last(&path[..open])).then_some(open);
        }
        let name = last(path);
        COMMANDS.contains(&name).then(|| open - name.len())
    };
    let end = fields.fields.len();
    let mut at = first;
    while at < end {
        let Some(length) = owner(&fields.fields[at].path) else {
            at += 1;
            continue;
        };
        let prefix = fields.fields[at].path[..length].to_vec();
        let mut words = Vec::new();
        let start = at;
        while at < end
            && owner(&fields.fields[at].path) == Some(length)
            && fields.fields[at].path.starts_with(&prefix)
        {
            let field = &fields.fields[at];
            if words.len() < shell::MOST_WORDS {
                words.push(shell::Word {
                    text: field.value(text).to_vec(),
                    raw: field.raw.clone(),
                    exact: field.decoded.is_none(),
                });
            }
            at += 1;
        }
        if words.len() > 1 {
            let scope = fields.fields[start].scope;
            shell::command(text, &words, scope, fields);
        }
    }
}

/// Block scalars and command strings, read in place so that lines stay exact.
fn blocks(text: &[u8], first: usize, fields: &mut Fields<'_>) {
    if fields.scopes.depth() >= DEEPEST_TEXT {
        return;
    }
    let end = fields.fields.len();
    for at in first..end {
        let field = &fields.fields[at];
        let (raw, scope) = (field.raw.clone(), field.scope);
        let command = COMMANDS.contains(&last(&field.path)) && raw.len() <= LONGEST_COMMAND;
        if let Some(held) = field.decoded.clone() {
            if command {
                read_as(text, raw, &held, fields, |text, range, fields| {
                    shell::script(text, range, scope, fields);
                });
            }
            continue;
        }
        let bytes = &text[raw.clone()];
        if command {
            fields.scopes.deeper();
            shell::script(text, raw, scope, fields);
            fields.scopes.shallower();
        } else if memchr::memchr(b'\n', bytes).is_some()
            && depth(text, &raw, fields, at) < DEEPEST_BLOCK
        {
            block(text, at, raw, scope, fields);
        }
    }
}

/// A value of several lines: a file, by its key's name or its looks.
fn block(text: &[u8], at: usize, raw: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    let bytes = &text[raw.clone()];
    let path = fields.fields[at].path.clone();
    let format = match crate::places::format_of(last_file(&path)) {
        Format::Guess | Format::Text => sniff(bytes),
        format => format,
    };
    if format != Format::Json || bytes.trim_ascii_start().starts_with(b"{") {
        let scope = fields.scopes.child(scope);
        let before = fields.fields.len();
        parse(text, raw, format, scope, fields);
        // What the block is called is part of the path, unless it is a file of its own.
        if format != Format::Text {
            for field in &mut fields.fields[before..] {
                if !field.path.is_empty() && !path.is_empty() {
                    let whole = [&path[..], b".", &field.path].concat();
                    field.path = innermost(&whole).to_vec();
                }
            }
        }
        // What has been read as a file is not also one long value.
        if fields.fields.len() > before {
            let start = fields.fields[at].raw.start;
            fields.fields[at].raw = start..start;
        }
    }
}

/// The part of a key path that may be a file's name: `data.app.properties`.
fn last_file(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"data.").unwrap_or(path)
}

/// How many earlier fields hold this one.
fn depth(text: &[u8], raw: &Range<usize>, fields: &Fields<'_>, at: usize) -> usize {
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
