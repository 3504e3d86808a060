//! Configuration of words: nginx, Apache, Redis, HAProxy, keepalived, OpenVPN and their many kin.
//!
//! A line is a name and what follows it, with blanks between; brackets and `<Section>`s nest. There
//! are too many such languages for a grammar each, so every word names the one behind it: what does
//! not sound like a secret's name is judged by nobody.

use std::ops::Range;

use super::shell::words::{Dialect, Lexer, Word};
use super::{DEEPEST, Fields, ScopeId};

/// Bytes of a line that are read. Stops: a line of megabytes.
const LONGEST_LINE: usize = 16 * 1024;

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut stack = vec![fields.scopes.child(root)];
    let mut at = range.start;
    while at < range.end {
        let mut end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        while text[at..end].trim_ascii_end().ends_with(b"\\")
            && end < range.end
            && end - at < LONGEST_LINE
        {
            let from = end + 1;
            end = memchr::memchr(b'\n', &text[from..range.end]).map_or(range.end, |n| from + n);
        }
        let line = at..end.min(at + LONGEST_LINE);
        fields.scopes.note_cut(line.end < end);
        at = end + 1;
        let trimmed = text[line.clone()].trim_ascii();
        match trimmed.first() {
            None | Some(b'!') => continue,
            Some(b'#' | b';') if !trimmed.contains(&b' ') => continue,
            Some(b'}') => {
                close(&mut stack);
            }
            Some(b'<') if trimmed.starts_with(b"</") => {
                close(&mut stack);
                continue;
            }
            Some(b'<') => {
                open(&mut stack, fields);
                continue;
            }
            _ => {}
        }
        if trimmed.ends_with(b"{") && stack.len() < DEEPEST {
            open(&mut stack, fields);
        }
        let scope = stack.last().copied().unwrap_or(root);
        words(text, line, scope, fields);
    }
}

fn open(stack: &mut Vec<ScopeId>, fields: &mut Fields<'_>) {
    if let Some(&last) = stack.last().filter(|_| stack.len() < DEEPEST) {
        stack.push(fields.scopes.child(last));
    }
}

fn close(stack: &mut Vec<ScopeId>) {
    if stack.len() > 1 {
        stack.pop();
    }
}

/// The words of one line, each named by the one before it.
fn words(text: &[u8], line: Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    let start = line.start
        + text[line.clone()]
            .iter()
            .take_while(|b| b.is_ascii_whitespace() || matches!(b, b'#' | b';'))
            .count();
    let words = split(text, start..line.end);
    let first = words
        .first()
        .map(|word| word.text.clone())
        .unwrap_or_default();
    for pair in words.windows(2) {
        let [name, value] = pair else { continue };
        let name = name_of(&name.text);
        if name.is_empty() || name.len() > 128 {
            continue;
        }
        add(name, value, 0, scope, fields);
        let colon = memchr::memchr(b':', &value.text).filter(|&at| at > 0);
        if let (b"auth" | b"login" | b"userpw" | b"credentials" | b"user-auth", Some(colon)) =
            (name, colon)
        {
            add(
                &[name, b".password"].concat(),
                value,
                colon + 1,
                scope,
                fields,
            );
        }
    }
    // proftpd's and pure-ftpd's `SQLConnectInfo database user password`.
    if first == b"SQLConnectInfo" && words.len() > 3 {
        add(b"SQLConnectInfo.password", &words[3], 0, scope, fields);
    }
    behind_others(&first, &words, scope, fields);
    for (number, word) in words.iter().enumerate() {
        if let (b"user", Some(b'>')) = (&first[..], word.text.first()) {
            add(b"user.password", word, 1, scope, fields);
        }
        let Some(equals) = memchr::memchr(b'=', &word.text[..word.text.len().min(64)]) else {
            continue;
        };
        let name = name_of(&word.text[..equals]);
        if !name.is_empty()
            && name
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        {
            let user = name == b"login" || name == b"userpw" || (name == b"user" && number == 0);
            let colon = memchr::memchr(b':', &word.text[equals..]).filter(|_| user);
            let path = if colon.is_some() {
                b"login.password".to_vec()
            } else {
                name.to_vec()
            };
            add(
                &path,
                word,
                colon.map_or(equals + 1, |colon| equals + colon + 1),
                scope,
                fields,
            );
        }
    }
}

/// Passwords that other words than their names stand before: `sentinel auth-pass NAME password`, kickstart's
/// `rootpw --plaintext password`, monit's `allow user:password`, `createUser NAME SHA password`.
fn behind_others(first: &[u8], words: &[Word], scope: ScopeId, fields: &mut Fields<'_>) {
    match (first, words.get(1).map(|word| &word.text[..])) {
        (b"sentinel", Some(b"auth-pass")) if words.len() > 3 => {
            add(b"sentinel.auth-pass", &words[3], 0, scope, fields);
        }
        (b"rootpw", Some(b"--plaintext")) if words.len() > 2 => {
            add(b"rootpw", &words[2], 0, scope, fields);
        }
        (b"allow", Some(login)) => {
            if let Some(colon) = memchr::memchr(b':', login).filter(|&at| at > 0) {
                add(b"allow.password", &words[1], colon + 1, scope, fields);
            }
        }
        (b"createUser", Some(_)) => {
            for pair in words[2..].windows(2) {
                if matches!(
                    &pair[0].text[..],
                    b"SHA" | b"MD5" | b"AES" | b"DES" | b"SHA-256"
                ) {
                    add(b"createUser.password", &pair[1], 0, scope, fields);
                }
            }
        }
        _ => {}
    }
}

/// Blanks divide; quotes hold together; `=` stands for itself; a semicolon at the end is none.
fn split(text: &[u8], range: Range<usize>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut at = range.start;
    while at < range.end && words.len() < 64 {
        let byte = text[at];
        // Brackets that stand alone; `{cipher}…` is a value.
        let alone = text[..range.end]
            .get(at + 1)
            .is_none_or(u8::is_ascii_whitespace);
        if byte.is_ascii_whitespace()
            || byte == b';'
            || (matches!(byte, b'{' | b'}') && alone)
            || (byte == b'\\' && at + 1 == range.end)
        {
            at += 1;
            continue;
        }
        if byte == b'#' && at > range.start && text[at - 1].is_ascii_whitespace() {
            break;
        }
        if matches!(byte, b'"' | b'\'') {
            let (raw, decoded) = super::flow::quoted(&text[..range.end], at + 1, byte);
            at = raw.end + 1;
            words.push(Word {
                exact: decoded.is_none(),
                text: decoded.unwrap_or_else(|| text[raw.clone()].to_vec()),
                raw,
            });
            continue;
        }
        let length = text[at..range.end]
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(range.end - at);
        let word = &text[at..at + length];
        let end = at + word.strip_suffix(b";").unwrap_or(word).len();
        if !(word == b"=" || end == at) {
            words.push(Word {
                text: text[at..end].to_vec(),
                raw: at..end,
                exact: true,
            });
        }
        at += length;
    }
    words
}

fn name_of(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"$").unwrap_or(word);
    word.strip_suffix(b":").unwrap_or(word)
}

fn add(name: &[u8], word: &Word, skip: usize, scope: ScopeId, fields: &mut Fields<'_>) {
    if skip >= word.text.len() {
        return;
    }
    let raw = if word.exact {
        word.raw.start + skip..word.raw.end
    } else {
        word.raw.clone()
    };
    let decoded = (!word.exact).then(|| word.text[skip..].to_vec());
    fields.add_decoded(name, raw, decoded, scope);
}

/// `machine h login u password p`, over any number of lines.
pub(crate) fn netrc(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut scope = fields.scopes.child(root);
    let mut lexer = Lexer::new(text, range, Dialect::Posix);
    let mut name: Option<Vec<u8>> = None;
    while let Some(commands) = lexer.line() {
        for word in commands.into_iter().flat_map(|command| command.words) {
            match name.take() {
                Some(name) => add(&name, &word, 0, scope, fields),
                None if word.text == b"default" => scope = fields.scopes.child(root),
                None => {
                    if word.text == b"machine" {
                        scope = fields.scopes.child(root);
                    }
                    name = Some(word.text);
                }
            }
        }
    }
}

/// `host user:password`: what stands behind the first colon of each line's last word.
pub(crate) fn logins(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut at = range.start;
    for line in text[range].split(|&b| b == b'\n') {
        let end = at + line.trim_ascii_end().len();
        let start = text[at..end]
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(at, |blank| at + blank + 1);
        let colon = memchr::memchr(b':', &text[start..end]);
        if let (Some(colon), false) = (colon, line.starts_with(b"#")) {
            let scope = fields.scopes.child(root);
            fields.add(b"login.password", start + colon + 1..end, scope, true);
        }
        at += line.len() + 1;
    }
}

/// A record a line, its cells divided by `|`, the first ones named by `names`.
pub(crate) fn piped(
    text: &[u8],
    range: Range<usize>,
    names: &[&[u8]],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut at = range.start;
    for line in text[range].split(|&b| b == b'\n') {
        let scope = fields.scopes.child(root);
        let mut from = at;
        for (name, cell) in names.iter().zip(line.split(|&b| b == b'|')) {
            fields.add(name, from..from + cell.trim_ascii_end().len(), scope, true);
            from += cell.len() + 1;
        }
        at += line.len() + 1;
    }
}

/// A record a line, its cells divided by `separator`, named by `names` from the last one back.
pub(crate) fn records(
    text: &[u8],
    range: Range<usize>,
    separator: fn(&u8) -> bool,
    names: &[&[u8]],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut at = range.start;
    while at < range.end {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = at..end;
        at = end + 1;
        let bytes = text[line.clone()].trim_ascii();
        if bytes.is_empty() || bytes[0] == b'#' {
            continue;
        }
        let mut cells: Vec<Range<usize>> = Vec::new();
        let mut from = line.start;
        for cell in text[line].split(separator).take(64) {
            let raw = from..from + cell.len();
            from += cell.len() + 1;
            let cell = cell.trim_ascii();
            let quotes = usize::from(cell.len() > 1 && cell[0] == b'"' && cell.ends_with(b"\""));
            let start =
                raw.start + text[raw.clone()].len() - text[raw.clone()].trim_ascii_start().len();
            // Blanks in a row divide once.
            if !(cell.is_empty() && separator(&b' ')) {
                cells.push(start + quotes..start + cell.len() - quotes);
            }
        }
        let scope = fields.scopes.child(root);
        let skip = if separator(&b' ') {
            0
        } else {
            cells.len().saturating_sub(names.len())
        };
        for (name, cell) in names.iter().zip(cells.into_iter().skip(skip)) {
            if !name.is_empty() {
                fields.add(name, cell, scope, true);
            }
        }
    }
}
