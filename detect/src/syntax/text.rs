//! Lines of anything: source code, logs, comments, formats without a parser.
//!
//! Only the lines near a hit are read. A name left of `=`, `:`, `=>`, `(` or `,` and the value right
//! of it make a field; brackets that open or close a line, blank lines and names that come back
//! bound the scopes.

use std::ops::Range;

use akwatch_proto::limits;

use super::literal::{self, is_quote};
use super::{DEEPEST, Fields, ScopeId, beside};
use crate::rule::Fnv;

/// Tracks the block that a line belongs to.
pub(crate) struct Blocks {
    stack: Vec<ScopeId>,
    seen: Vec<u64>,
    block: ScopeId,
    used: bool,
}

impl Blocks {
    pub(crate) fn new(root: ScopeId, fields: &mut Fields<'_>) -> Blocks {
        let block = fields.scopes.child(root);
        Blocks {
            stack: vec![root],
            seen: Vec::new(),
            block,
            used: false,
        }
    }

    fn top(&self) -> ScopeId {
        self.stack.last().copied().unwrap_or(super::Scopes::ROOT)
    }

    fn fresh(&mut self, fields: &mut Fields<'_>) {
        if self.used {
            self.block = fields.scopes.child(self.top());
            self.used = false;
        }
        self.seen.clear();
    }

    /// Called with every line, near a hit or not: what it opens and closes.
    pub(crate) fn line(&mut self, line: &[u8], fields: &mut Fields<'_>) {
        let trimmed = line.trim_ascii();
        match trimmed.first() {
            None => self.fresh(fields),
            Some(b'}' | b']' | b')') => {
                if self.stack.len() > 1 {
                    self.stack.pop();
                }
                self.used = true;
                self.fresh(fields);
            }
            _ => {}
        }
        if matches!(trimmed.last(), Some(b'{' | b'[' | b'(')) && self.stack.len() < DEEPEST {
            let inner = fields.scopes.child(self.top());
            self.stack.push(inner);
            self.used = true;
            self.fresh(fields);
        }
    }

    pub(super) fn scope_for(&mut self, name: &[u8], fields: &mut Fields<'_>) -> ScopeId {
        let hash = Fnv::of(name);
        if self.seen.contains(&hash) {
            self.fresh(fields);
        }
        if self.seen.len() < 64 {
            self.seen.push(hash);
        }
        self.used = true;
        self.block
    }

    /// The block as it is, for what may hold no value.
    pub(crate) fn block(&self) -> ScopeId {
        self.block
    }

    /// The same, unless the name is a verb: in `define('DB_USER', 'app')` it comes back with every name.
    fn scope_of(&mut self, name: &[u8], verb: bool, fields: &mut Fields<'_>) -> ScopeId {
        if verb {
            self.scope()
        } else {
            self.scope_for(name, fields)
        }
    }

    /// The block for values without a name.
    pub(crate) fn scope(&mut self) -> ScopeId {
        self.used = true;
        self.block
    }
}

/// Pairs of one line that are read. Stops: a line of a megabyte of `a=b`.
const MOST_PAIRS: usize = 4096;

/// Reads the pairs of the line `text[range]`.
pub(crate) fn line(text: &[u8], range: Range<usize>, blocks: &mut Blocks, fields: &mut Fields<'_>) {
    two_words(text, range.clone(), blocks, fields);
    if text.len() <= beside::LONGEST {
        beside::line(text, &range, blocks, fields);
    }
    let mut at = range.start;
    let (mut pairs, mut undone) = (0, at);
    while at < range.end && pairs < MOST_PAIRS {
        let rest = &text[at..range.end];
        let Some(found) = rest
            .iter()
            .position(|b| matches!(b, b'=' | b':' | b'(' | b',' | b'>'))
        else {
            return;
        };
        let separator = at + found;
        at = separator + 1;
        // What stands behind a run of marks stands behind each of them: it is read once.
        if matches!(text[separator], b'=' | b':') {
            let run = |b: &&u8| matches!(b, b'=' | b'>' | b':');
            at += text[at..range.end].iter().take_while(run).count();
        }
        if text[separator] == b'(' {
            let scope = blocks.block;
            super::calls::arguments(text, range.start, separator, scope, fields);
        }
        if text[separator] == b'='
            && let Some(end) =
                super::lists::unpacked(text, range.start, separator, range.end, blocks, fields)
        {
            at = end;
            continue;
        }
        let Some(value) = value_after(text, separator, range.end) else {
            continue;
        };
        let Some(name) = name_before(text, range.start, separator) else {
            continue;
        };
        pairs += 1;
        let (raw, decoded, quoted) = value;
        if let Some(end) = super::logins::told(text, &name, separator, range.end, blocks, fields) {
            at = at.max(end);
            continue;
        }
        let verb = text[separator] == b'(' && is_key(&text[raw.start..range.end]);
        let scope = blocks.scope_of(&text[name.clone()], verb, fields);
        at = at.max(raw.start);
        if quoted {
            // What a call is given may be a text with names of its own: `print("token: …")`.
            if !matches!(text[separator], b'(' | b',') || decoded.is_some() {
                at = raw.end;
            }
            if let Some((own, default)) = defaulted(text, &raw) {
                fields.add(&text[name.clone()], default.clone(), scope, true);
                fields.add(&text[own], default, scope, true);
            }
            if decoded.is_none() {
                held_at(&text[name.clone()], text, &raw, scope, fields);
            }
            // Each value is undone once, also where one lies in another.
            if raw.start >= undone {
                undone = raw.end;
                super::markup::read(text, raw.clone(), scope, fields);
            }
            fields.add_decoded(&text[name], raw, decoded, scope);
        } else {
            driver(text, range.end, &name, &raw, scope, fields);
            if let Some((default, decoded)) = literal::fallback(&text[..range.end], raw.end) {
                fields.add_decoded(&text[name.clone()], default, decoded, scope);
            }
            fields.add(&text[name], raw, scope, false);
        }
    }
}

/// What the value at `raw` holds by other names.
fn held_at(path: &[u8], text: &[u8], raw: &Range<usize>, scope: ScopeId, fields: &mut Fields<'_>) {
    held(path, &text[raw.clone()], |path, part| {
        fields.add(
            path,
            raw.start + part.start..raw.start + part.end,
            scope,
            true,
        );
    });
}

/// A driver's string goes on behind the bracket that ended it: `user:pw@tcp(host)/base`.
fn driver(
    text: &[u8],
    end: usize,
    name: &Range<usize>,
    raw: &Range<usize>,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    if text.get(raw.end) != Some(&b'(') {
        return;
    }
    let rest = &text[raw.start..end.min(raw.start + 512).max(raw.end)];
    let length = rest.iter().position(u8::is_ascii_whitespace);
    let whole = &rest[..length.unwrap_or(rest.len())];
    held(&text[name.clone()], whole, |path, part| {
        let place = raw.start + part.start..raw.start + part.end;
        fields.add(path, place, scope, true);
    });
}

type Value = (Range<usize>, Option<Vec<u8>>, bool);

fn value_after(text: &[u8], separator: usize, end: usize) -> Option<Value> {
    let byte = text[separator];
    // What a call is given counts where it is quoted.
    let named = !matches!(byte, b'(' | b',');
    let mut at = separator + 1;
    if byte == b'=' || byte == b':' {
        while at < end && matches!(text[at], b'=' | b'>' | b':') {
            at += 1;
        }
    }
    while at < end && matches!(text[at], b' ' | b'\t' | 0x0b | 0x0c) {
        at += 1;
    }
    let (at, end) = match byte {
        b'=' | b':' => literal::next_line(text, at, end),
        _ => (at, end),
    };
    let start = at;
    let at = at + literal::prefix(&text[at..end]);
    if matches!(text[..end].get(at), Some(b'=')) && matches!(byte, b'=' | b':') {
        let word = literal::cluttered(text, at..end)?;
        return Some((word, None, false));
    }
    match text[..end].get(at)? {
        // An escaped quote: a string inside a string.
        b'\\' if matches!(text[..end].get(at + 1), Some(b'"' | b'\'')) => {
            let start = at + 2;
            let length = memchr::memchr(b'\\', &text[start..end])?;
            Some((start..start + length, None, true))
        }
        &quote if is_quote(quote) => {
            if let Some(word) = literal::cluttered(text, at..end) {
                return Some((word, None, false));
            }
            let (raw, decoded) = literal::string(text, start, end)?;
            Some((raw, decoded, true))
        }
        // The quotes that word processors and people's keyboards write.
        0xe2 | 0xe3 => literal::typographic(text, at, end).map(|raw| (raw, None, true)),
        // A reference with a default, as a whole.
        b'$' if named && text[at..end].starts_with(b"${") => {
            let length = memchr::memchr(b'}', &text[at..end])? + 1;
            Some((at..at + length, None, true))
        }
        b'[' if named && text[at..end].starts_with(b"[[") => {
            let length = memchr::memmem::find(&text[at + 2..end], b"]]")?;
            Some((at + 2..at + 2 + length, None, true))
        }
        _ if !named => None,
        b'<' => super::markup::emphasised(text, at..end).map(|raw| (raw, None, true)),
        _ => {
            let mut length = bare_length(&text[at..end]);
            // `Authorization: Bearer …`: the scheme alone is not the value.
            let rest = text[at + length..end].strip_prefix(b" ");
            if let Some(rest) = rest.filter(|_| is_scheme(&text[at..at + length])) {
                length += 1 + bare_length(rest);
            }
            (length > 0).then_some((at..at + length, None, false))
        }
    }
}

/// Whether a first argument is a name of several words, and a string follows it.
fn is_key(text: &[u8]) -> bool {
    let joint = |b: &u8| matches!(b, b'_' | b'.' | b'-');
    let name = text
        .iter()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || joint(b))
        .count();
    let rest = text[name..].get(1..).unwrap_or_default();
    let next = rest.strip_prefix(b",").map(<[u8]>::trim_ascii_start);
    text[..name].iter().any(joint)
        && next.is_some_and(|next| next.first().copied().is_some_and(is_quote))
}

fn is_scheme(word: &[u8]) -> bool {
    [&b"bearer"[..], b"basic", b"token"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// The name and the default of `${name:default}`, a value that frameworks fill in.
fn defaulted(text: &[u8], raw: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let inner = text[raw.clone()].strip_prefix(b"${")?.strip_suffix(b"}")?;
    let colon = memchr::memchr(b':', inner).filter(|&at| at > 0 && at + 1 < inner.len())?;
    let start = raw.start + 2;
    let dash = usize::from(inner[colon + 1] == b'-');
    Some((start..start + colon, start + colon + 1 + dash..raw.end - 1))
}

/// How far a value without quotes goes.
pub(crate) fn bare_length(text: &[u8]) -> usize {
    let stop = |b: &u8| {
        b.is_ascii_whitespace()
            || matches!(b, b',' | b';' | b'"' | b'\'' | b'`' | b'<' | b'>')
            || matches!(
                b,
                b'(' | b')' | b'{' | b'}' | b'[' | b']' | b'|' | b'\\' | b'&'
            )
    };
    text.iter().position(stop).unwrap_or(text.len())
}

/// What may stand between a name and its separator: blanks, quotes, brackets, `!` of `!=`.
fn is_between(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | 0x0b
            | 0x0c
            | b'"'
            | b'\''
            | b'`'
            | b'\\'
            | b']'
            | b'?'
            | b':'
            | b')'
            | b'|'
            | b'!'
            | b'*'
            | b'['
    )
}

/// The name left of a separator: quoted, or a dotted identifier, with the words before it.
fn name_before(text: &[u8], start: usize, separator: usize) -> Option<Range<usize>> {
    let floor = start.max(separator.saturating_sub(96));
    if is_in_resource(text, floor, separator) {
        return None;
    }
    words_before(text, floor, separator)
}

/// Bytes that the length of an array takes before its bracket: `char password[65] = "…"`.
fn subscript(before: &[u8], after: &[u8]) -> usize {
    let digits = before.iter().rev().take_while(|b| b.is_ascii_digit());
    let digits = digits.count();
    let closes = after.starts_with(b"]") && before[..before.len() - digits].ends_with(b"[");
    if closes { digits + 1 } else { 0 }
}

fn words_before(text: &[u8], floor: usize, separator: usize) -> Option<Range<usize>> {
    let mut end = separator;
    if text[separator] == b'>' {
        // `=>` is handled at its `=`; `<name>` here.
        if separator > floor && text[separator - 1] == b'=' {
            return None;
        }
    }
    while end > floor && is_between(text[end - 1]) {
        end -= 1;
    }
    end -= subscript(&text[floor..end], &text[end..separator]);
    let quoted = end < separator && matches!(text[end], b'"' | b'\'' | b'`');
    // `Password { get; set; } = "…"`.
    if text[separator] == b'=' && end > floor && text[end - 1] == b'}' {
        return typed(text, floor..end);
    }
    let part = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$') || byte >= 0x80
    };
    let mut begin = end;
    while begin > floor && part(text[begin - 1]) {
        begin -= 1;
    }
    if begin == end {
        return None;
    }
    // The name of a kind of thing, `"AWS::ApiGateway::ApiKey": …`, is one name.
    while quoted && begin > floor && (part(text[begin - 1]) || text[floor..begin].ends_with(b"::"))
    {
        begin -= if part(text[begin - 1]) { 1 } else { 2 };
    }
    // `setopt(handle, PASSWORD, "…")`: a constant names its neighbour, any other word does not.
    let name = &text[begin..end];
    let constant = name.len() >= 6
        && name
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    let tuple = begin > floor && text[begin - 1] == b'{';
    if text[separator] == b',' && !quoted && !constant && !tuple {
        return None;
    }
    // The last word of a string is no name of the next.
    let whole = begin > floor && is_quote(text[begin - 1]);
    if text[separator] == b',' && quoted && !whole {
        return None;
    }
    // `password: string = …`: a type stands between.
    let string = text[separator + 1..]
        .iter()
        .take(8)
        .find(|b| **b != b' ')
        .is_some_and(|b| matches!(b, b'"' | b'\'' | b'`' | b'@'));
    if text[separator] == b'='
        && !quoted
        && string
        && let Some(name) = typed(text, floor..end)
    {
        return Some(name);
    }
    // `secret key: …`, `unseal key 2: …` in prose: up to two more words.
    for _ in 0..2 {
        let short = text[begin..end]
            .iter()
            .position(|b| *b == b' ')
            .unwrap_or(end - begin)
            <= 6;
        if quoted || !short || begin <= floor + 1 || text[begin - 1] != b' ' {
            break;
        }
        let mut word = begin - 1;
        while word > floor && part(text[word - 1]) {
            word -= 1;
        }
        begin = word.min(begin);
    }
    Some(begin..end)
}

/// Whether a colon stands inside the name of a resource, `arn:aws:secretsmanager:…:secret:name`.
fn is_in_resource(text: &[u8], floor: usize, separator: usize) -> bool {
    let inside =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'/' | b'_' | b'*');
    let before = &text[floor..separator];
    let length = before.iter().rev().take_while(inside).count();
    text[separator] == b':' && before[before.len() - length..].starts_with(b"arn:")
}

/// The name before its type: `password: Option<&str> = …`, `Dim password As String = …`,
/// `string Password { get; set; } = …`.
fn typed(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let part =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$') || **b >= 0x80;
    let before = &text[range.clone()];
    let kind = |b: &&u8| b.is_ascii_alphanumeric() || b"_.&'<>[]?*| ".contains(b);
    let rest = match before
        .strip_suffix(b"String")
        .or(before.strip_suffix(b"string"))
    {
        Some(rest)
            if rest.len() > 4 && rest.trim_ascii_end().to_ascii_lowercase().ends_with(b" as") =>
        {
            let rest = rest.trim_ascii_end();
            &rest[..rest.len() - 2]
        }
        _ => match before
            .strip_suffix(b"}")
            .and_then(|_| memchr::memrchr(b'{', before))
        {
            Some(brace) => &before[..brace],
            None => {
                let length = before.iter().rev().take(48).take_while(kind).count();
                let rest = before[..before.len() - length].strip_suffix(b":")?;
                if rest.ends_with(b":") || length == 0 {
                    return None;
                }
                rest
            }
        },
    };
    let rest = rest.trim_ascii_end();
    let length = rest.iter().rev().take_while(part).count();
    // `$env:NAME`.
    let name = rest.len() - length..rest.len();
    (length > 0 && !rest[name.clone()].starts_with(b"$"))
        .then(|| range.start + name.start..range.start + name.end)
}

/// The colon of Chinese texts, U+FF1A.
const WIDE_COLON: &[u8] = "\u{ff1a}".as_bytes();

/// Whether a wide colon stands behind a name in Latin letters: no separator of the sieve's.
pub(crate) fn has_wide_colon(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, WIDE_COLON)
        .take(4096)
        .any(|at| at > 0 && text[at - 1].is_ascii_alphanumeric())
}

/// `name：value`, as people write in notes.
pub(crate) fn wide_colons(
    text: &[u8],
    range: Range<usize>,
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut from = range.start;
    let mut blocks = Blocks::new(root, fields);
    for found in memchr::memmem::find_iter(&text[range.clone()], WIDE_COLON).take(MOST_PAIRS) {
        let colon = range.start + found;
        // A blank line between two of them divides what they say.
        if memchr::memmem::find(&text[from..colon.max(from)], b"\n\n").is_some() {
            blocks.line(b"", fields);
        }
        let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ');
        let length = text[from..colon]
            .iter()
            .rev()
            .take(64)
            .take_while(part)
            .count();
        let name = colon - length
            + text[colon - length..colon]
                .iter()
                .take_while(|b| **b == b' ')
                .count()..colon;
        let value = colon + WIDE_COLON.len();
        from = value;
        let blank = text[value..range.end]
            .iter()
            .take(8)
            .take_while(|b| **b == b' ')
            .count();
        let start = value + blank;
        let stop =
            |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b';' | b'"') || *b >= 0x80;
        let end = text[start..range.end]
            .iter()
            .take(8192)
            .position(stop)
            .map_or(range.end.min(start + 8192), |n| start + n);
        if !name.is_empty() && start < end {
            let scope = blocks.scope_for(&text[name.clone()], fields);
            fields.add(&text[name], start..end, scope, true);
        }
    }
}

/// `name value` alone on a line near an id: notes.
fn two_words(text: &[u8], range: Range<usize>, blocks: &mut Blocks, fields: &mut Fields<'_>) {
    let start = range.start;
    if let Some((name, value)) = words_of(&text[range], 16) {
        let name = start + name.start..start + name.end;
        let scope = blocks.scope_for(&text[name.clone()], fields);
        let value = start + value.start..start + value.end;
        let value = super::logins::split(text, &name, &value).unwrap_or(value);
        fields.add(&text[name], value, scope, true);
    }
}

/// A name and a value of at least `shortest` bytes that are all of a line.
fn words_of(line: &[u8], shortest: usize) -> Option<(Range<usize>, Range<usize>)> {
    let start = line.len() - line.trim_ascii_start().len();
    let end = line.trim_ascii_end().len();
    let part =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') || **b >= 0x80;
    let name = line.get(start..end)?.iter().take_while(part).count();
    let rest = &line[start + name..end];
    let from = end - rest.trim_ascii_start().len();
    let value = &line[from..end];
    let blank = matches!(rest.first(), Some(b' ' | b'\t'));
    let begins = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+');
    // `char password[]="…";`: a type and a statement.
    let statement = [&b"=\""[..], b"='"]
        .iter()
        .any(|mark| memchr::memmem::find(value, mark).is_some());
    (blank
        && !statement
        && (2..=64).contains(&name)
        && value.len() >= shortest
        && value.first().is_some_and(begins)
        && value.iter().all(u8::is_ascii_graphic))
    .then(|| (start..start + name, from..end))
}

/// Whether a line of notes is a name that says secret and a value: nothing there is a separator of the
/// sieve's.
pub(crate) fn is_worded(text: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 10] = [
        b"pass",
        b"word",
        b"passwd",
        b"pwd",
        b"secret",
        b"token",
        b"key",
        b"sk",
        "密码".as_bytes(),
        "密钥".as_bytes(),
    ];
    text.split(|&b| b == b'\n').any(|line| {
        line.len() <= LONGEST_WORDED
            && words_of(line, limits::SHORTEST_PASSWORD).is_some_and(|(name, _)| {
                let name = line[name].to_ascii_lowercase();
                ENDINGS.iter().any(|ending| name.ends_with(ending))
            })
    })
}

/// Bytes of a line of two words.
const LONGEST_WORDED: usize = 4096;

/// The lines of notes that are a name and a value.
pub(crate) fn worded(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut blocks = Blocks::new(root, fields);
    let mut at = range.start;
    let mut pairs = 0;
    while at < range.end && pairs < MOST_PAIRS {
        let end = memchr::memchr(b'\n', &text[at..range.end]).map_or(range.end, |n| at + n);
        let line = &text[at..end];
        blocks.line(line, fields);
        let short = line.len() <= LONGEST_WORDED;
        if let Some((name, value)) = words_of(line, limits::SHORTEST_PASSWORD).filter(|_| short) {
            let scope = blocks.scope_for(&line[name.clone()], fields);
            // A value that is hardly one is judged as prose would be.
            let sure = value.len() >= limits::SHORTEST_SECRET;
            let value = super::logins::split(line, &name, &value).unwrap_or(value);
            fields.add(&line[name], at + value.start..at + value.end, scope, sure);
            pairs += 1;
        }
        at = end + 1;
    }
}

/// What a value holds by other names: `user:password@tcp(host)` of Go's drivers, and the query of
/// an address, `…?user=u&password=p`.
pub(crate) fn held(path: &[u8], value: &[u8], mut found: impl FnMut(&[u8], Range<usize>)) {
    if value.len() < 16 || value.len() > 4096 {
        return;
    }
    // Most values have neither mark.
    if memchr::memchr(b'@', value).is_some() {
        let driver = memchr::memmem::find(value, b"@tcp(");
        let driver = driver.or_else(|| memchr::memmem::find(value, b"@unix("));
        let driver = driver.or_else(|| memchr::memmem::find(value, b"@/"));
        let user = driver.map_or(&[][..], |at| &value[..at]);
        let plain = memchr::memmem::find(user, b"://").is_none()
            && !user.iter().any(u8::is_ascii_whitespace);
        if let Some(colon) = memchr::memchr(b':', user).filter(|&colon| plain && colon > 0) {
            found(&[path, b".password"].concat(), colon + 1..user.len());
        }
        if let Some(part) = super::logins::oracle(value) {
            found(&[path, b".password"].concat(), part);
        }
    }
    let Some(question) = memchr::memchr(b'?', value) else {
        return;
    };
    if !value.starts_with(b"jdbc:") && memchr::memmem::find(value, b"://").is_none() {
        return;
    }
    let mut from = question + 1;
    for _ in 0..64 {
        let Some(rest) = value.get(from..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        // An address inside an address has its marks escaped.
        let (length, mark) = mark_in(rest, b'&', b"%26")
            .filter(|&(length, mark)| mark == 1 || is_escaped_pair(&rest[length + mark..]))
            .or_else(|| Some((memchr::memchr(b'&', rest)?, 1)))
            .unwrap_or((rest.len(), 1));
        let piece = &rest[..length];
        if let Some((equals, mark)) = mark_in(piece, b'=', b"%3D").filter(|mark| mark.0 <= 64) {
            let stop = |b: &u8| b.is_ascii_whitespace() || *b == b'#';
            let end = piece.iter().position(stop).unwrap_or(piece.len());
            let name = &piece[..equals];
            let name = name.strip_prefix(b"amp;").unwrap_or(name);
            if equals > 0 && equals + mark < end {
                found(
                    &[path, b".", name].concat(),
                    from + equals + mark..from + end,
                );
            }
        }
        from += length + mark;
    }
}

/// Whether a name and an escaped `=` begin `text`: before them an escaped `&` divides, else it is a part of
/// the value.
fn is_escaped_pair(text: &[u8]) -> bool {
    let name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b';');
    let length = text.iter().take(64).take_while(name).count();
    let equals = text.get(length..length + 3).unwrap_or_default();
    length > 0 && equals.eq_ignore_ascii_case(b"%3D")
}

/// Where a mark first stands in `text`, plain or escaped, and its bytes.
fn mark_in(text: &[u8], plain: u8, escaped: &[u8; 3]) -> Option<(usize, usize)> {
    memchr::memchr2_iter(plain, b'%', text).find_map(|at| match text[at] {
        b'%' => {
            let here = text.get(at..at + 3)?;
            here.eq_ignore_ascii_case(escaped).then_some((at, 3))
        }
        _ => Some((at, 1)),
    })
}

/// `host=h user=u password=p`: pairs with blanks between, as libpq and ODBC's cousins take them.
pub(crate) fn spaced_pairs(
    text: &[u8],
    range: Range<usize>,
    scope: ScopeId,
    fields: &mut Fields<'_>,
) {
    let mut at = range.start;
    for piece in text[range]
        .split(|b| matches!(b, b' ' | b'\t' | b';'))
        .take(256)
    {
        let start = at;
        at += piece.len() + 1;
        let Some(equals) = memchr::memchr(b'=', piece) else {
            continue;
        };
        let name = piece[..equals]
            .rsplit(|b| matches!(b, b'"' | b'\''))
            .next()
            .unwrap_or_default();
        let quote = |b: &u8| matches!(b, b'"' | b'\'');
        let value = &piece[equals + 1..];
        let front = value.iter().take_while(|b| quote(b)).count();
        let back = value[front..].iter().rev().take_while(|b| quote(b)).count();
        let from = start + equals + 1;
        if !name.is_empty() && name.len() <= 64 {
            fields.add(name, from + front..from + value.len() - back, scope, true);
        }
    }
}

/// The one piece that a line holds, without the mark of a list and quotes.
pub(crate) fn alone(text: &[u8], line: Range<usize>) -> Option<Range<usize>> {
    let whole = text.get(line.clone()).filter(|line| line.len() <= 512)?;
    let mut piece = whole.trim_ascii();
    if let [b'-' | b'*', b' ', rest @ ..] = piece {
        piece = rest.trim_ascii_start();
    }
    if let [b'"' | b'\'', ..] = piece {
        piece = &piece[1..];
        piece = piece.strip_suffix(b",").unwrap_or(piece);
        piece = piece.strip_suffix(b"\"").or(piece.strip_suffix(b"'"))?;
    }
    let inside = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(b);
    if !(limits::SHORTEST_SECRET..=256).contains(&piece.len()) || !piece.iter().all(inside) {
        return None;
    }
    let start = line.start + memchr::memmem::find(whole, piece)?;
    Some(start..start + piece.len())
}

/// The pieces of a line that could be a half of a key: what is left when the rest is cut away.
pub(crate) fn pieces(text: &[u8], range: Range<usize>, with_slash: bool) -> Vec<Range<usize>> {
    let inside = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'=' | b'_' | b'-')
            || (with_slash && byte == b'/')
    };
    let mut pieces = Vec::new();
    let mut at = range.start;
    while at < range.end && pieces.len() < 256 {
        let Some(begin) = text[at..range.end].iter().position(|&b| inside(b)) else {
            break;
        };
        let begin = at + begin;
        let length = text[begin..range.end].iter().position(|&b| !inside(b));
        let end = length.map_or(range.end, |length| begin + length);
        // `key=value` keeps the value; `==` at the end is padding.
        let piece = &text[begin..end];
        let equals = piece.iter().rposition(|&b| b == b'=');
        let padding = piece.iter().rev().take_while(|&&b| b == b'=').count();
        let body = piece.len() - padding;
        let start = match equals.and_then(|_| piece[..body].iter().rposition(|&b| b == b'=')) {
            Some(equals) => begin + equals + 1,
            None => begin,
        };
        if end - start >= 16 {
            pieces.push(start..end);
        }
        at = end;
    }
    pieces
}
