//! SQL: statements as dumps, scripts and clients' histories hold them.
//!
//! Not a parser of any dialect: it follows strings, words and brackets, names a string by the word
//! before it, and knows the columns of `INSERT` and `COPY`. What it does not understand it steps
//! over.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Fields, ScopeId};
use crate::rule::Names;

/// Whether a text begins like a statement.
pub(crate) fn speaks(text: &[u8]) -> bool {
    const FIRST: [&[u8]; 18] = [
        b"create", b"alter", b"grant", b"insert", b"update", b"replace", b"change", b"copy",
        b"attach", b"pragma", b"exec", b"call", b"select", b"set", b"begin", b"use", b"with",
        b"drop",
    ];
    let length = text
        .iter()
        .take(9)
        .take_while(|b| b.is_ascii_alphabetic())
        .count();
    let blank = text.get(length).is_some_and(u8::is_ascii_whitespace);
    let first = text[..length].to_ascii_lowercase();
    blank && FIRST.contains(&&first[..]) && memchr::memchr2(b'\'', b'"', text).is_some()
}

/// Whether a dump is worth parsing although no name in it stands before a separator.
pub(crate) fn is_worth(text: &[u8], names: &Names) -> bool {
    names_secret(text) || has_secret_column(text, names) || super::logins::connects(text)
}

/// Whether a text speaks of passwords and keys at all.
pub(crate) fn names_secret(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [
        b"IDENTIFIED",
        b"identified",
        b"PASSWORD",
        b"password",
        b"secret",
        b"SECRET",
        b"_key",
        b"token",
    ];
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(text, word).is_some())
}

/// Lists of columns that are looked at, and bytes of one.
const MOST_LISTS: usize = 64;
const LONGEST_LIST: usize = 4096;

/// Whether one of the first lists of columns names a secret, or there are more than are looked at.
fn has_secret_column(text: &[u8], names: &Names) -> bool {
    static INTO: LazyLock<[Finder<'static>; 4]> =
        LazyLock::new(|| [&b"INTO "[..], b"into ", b"TABLE ", b"table "].map(Finder::new));
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || *b >= 0x80;
    let names_one = |at: usize| {
        let list = &text[at..text.len().min(at + LONGEST_LIST)];
        let Some(open) = memchr::memchr2(b'(', b';', list).filter(|&at| list[at] == b'(') else {
            return false;
        };
        // Up to the values, or to the end of what is created.
        let list = &list[open..];
        let end = memchr::memchr2(b'\'', b';', list).unwrap_or(list.len());
        list[..end]
            .split(|b| !part(b))
            .any(|word| word.len() <= LONGEST_NAME && names.may_hold_secret(word))
    };
    INTO.iter().any(|word| {
        let mut lists = word.find_iter(text);
        lists.by_ref().take(MOST_LISTS).any(names_one) || lists.next().is_some()
    })
}

/// Bytes of a column's name.
const LONGEST_NAME: usize = 64;

/// Reads the statements of `text[range]`; each is a scope below `root`.
pub(crate) fn statements(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    super::logins::connections(text, range.clone(), root, fields);
    let mut sql = Sql {
        text,
        at: range.start,
        end: range.end,
        root,
        tables: HashMap::new(),
        patience: range.len() * 4,
        fields,
    };
    while sql.at < sql.end {
        sql.statement();
    }
}

/// Tables whose columns are remembered, and columns of one. Stops: a dump of nothing but tables.
const MOST_TABLES: usize = 8192;
const MOST_COLUMNS: usize = 512;
/// Words of a statement that are remembered before a string.
const MOST_WORDS: usize = 6;
/// Bytes of one string.
const LONGEST_STRING: usize = 64 * 1024;
/// Bytes of one once the searches for the ends of stray quotes have used up their patience.
const LONGEST_LATER: usize = 256;

struct Sql<'a, 'f, 's> {
    text: &'a [u8],
    at: usize,
    end: usize,
    root: ScopeId,
    tables: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Bytes that may still be searched in vain for the ends of stray quotes.
    patience: usize,
    fields: &'f mut Fields<'s>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word, or one in grave accents or brackets.
    Word(Range<usize>),
    /// A string, its quotes excluded, with its text if it has escapes.
    String(Range<usize>, Option<Vec<u8>>),
    Mark(u8),
}

impl Sql<'_, '_, '_> {
    fn token(&mut self) -> Option<Token> {
        loop {
            let &byte = self.text[..self.end].get(self.at)?;
            let rest = &self.text[self.at..self.end];
            if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if rest.starts_with(b"-- ") || rest.starts_with(b"--\n") || byte == b'#' {
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") && !rest.starts_with(b"/*!") {
                self.at += memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2);
            } else {
                break;
            }
        }
        let start = self.at;
        let part =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.') || *b >= 0x80;
        let token = match self.text[start] {
            b'\'' => self.string(b'\''),
            b'"' => self.string(b'"'),
            b'`' => {
                let close = memchr::memchr(b'`', &self.text[start + 1..self.end.min(start + 130)]);
                let end = close.map_or(start + 1, |at| start + 1 + at);
                self.at = end + 1;
                Token::Word(start + 1..end)
            }
            byte if part(&byte) => {
                let length = self.text[start..self.end]
                    .iter()
                    .take_while(|b| part(b))
                    .count();
                self.at += length;
                Token::Word(start..start + length)
            }
            byte => {
                self.at += 1;
                Token::Mark(byte)
            }
        };
        self.at = self.at.min(self.end);
        Some(token)
    }

    fn string(&mut self, quote: u8) -> Token {
        let start = self.at + 1;
        let limit = self
            .end
            .min(start + LONGEST_STRING.min(self.patience.max(LONGEST_LATER)));
        let mut at = start;
        let mut escaped = false;
        while at < limit {
            match memchr::memchr2(quote, b'\\', &self.text[at..limit]) {
                Some(found) if self.text[at + found] == b'\\' => {
                    escaped = true;
                    at += found + 2;
                }
                Some(found) if self.text[..limit].get(at + found + 1) == Some(&quote) => {
                    escaped = true;
                    at += found + 2;
                }
                Some(found) => {
                    at += found;
                    self.at = at + 1;
                    let raw = start..at;
                    let decoded = escaped.then(|| unquoted(&self.text[raw.clone()], quote));
                    return Token::String(raw, decoded);
                }
                None => at = limit,
            }
        }
        // A stray quote.
        self.patience -= (limit - start).min(self.patience);
        self.at = start;
        Token::Mark(quote)
    }

    fn word(&self, word: &Range<usize>) -> Vec<u8> {
        self.text[word.start..word.end.min(word.start + 128)].to_ascii_lowercase()
    }

    /// One statement, up to its semicolon.
    fn statement(&mut self) {
        let before = self.fields.fields.len();
        let scope = self.fields.scopes.child(self.root);
        let mut words: Vec<Vec<u8>> = Vec::new();
        // What the next string is called when an operator stands between: `'key' = 'value'`.
        let mut named: Option<Vec<u8>> = None;
        let mut sets_password = false;
        while let Some(token) = self.token() {
            match token {
                Token::Mark(b';') => break,
                Token::Mark(b',' | b')') => {
                    words.clear();
                    named = None;
                }
                Token::Mark(b'=') if named.is_none() => {
                    named = (!words.is_empty()).then(|| name_of(&words));
                }
                Token::Mark(_) => {}
                Token::Word(word) => {
                    let lower = self.word(&word);
                    if self.identified(&words, &word, &lower, scope) {
                        continue;
                    }
                    let list = match &lower[..] {
                        b"table" => {
                            self.create();
                            continue;
                        }
                        b"into" | b"copy" => true,
                        _ => false,
                    };
                    if list {
                        self.rows(lower == b"copy");
                        continue;
                    }
                    sets_password |=
                        lower == b"password" && words.last().is_some_and(|w| w == b"set");
                    named = None;
                    words.push(lower);
                    if words.len() > MOST_WORDS {
                        words.remove(0);
                    }
                }
                Token::String(raw, decoded) => {
                    let name = if sets_password && named.is_some() {
                        b"password".to_vec()
                    } else {
                        named.take().unwrap_or_else(|| name_of(&words))
                    };
                    named = (raw.len() <= 64).then(|| self.text[raw.clone()].to_vec());
                    self.value(&name, raw, decoded, scope);
                }
            }
        }
        if self.fields.fields.len() == before {
            self.fields.scopes.forget(scope as usize);
        }
    }

    /// `IDENTIFIED BY tiger`, as Oracle lets it be written.
    fn identified(
        &mut self,
        words: &[Vec<u8>],
        word: &Range<usize>,
        lower: &[u8],
        scope: ScopeId,
    ) -> bool {
        let by = words.len() >= 2
            && words[words.len() - 1] == b"by"
            && words[words.len() - 2] == b"identified";
        let known: [&[u8]; 4] = [b"password", b"values", b"random", b"externally"];
        if !by || known.contains(&lower) {
            return false;
        }
        self.fields.add(b"password", word.clone(), scope, true);
        true
    }

    fn value(&mut self, name: &[u8], raw: Range<usize>, decoded: Option<Vec<u8>>, scope: ScopeId) {
        let text = &self.text[raw.clone()];
        if decoded.is_none() && memchr::memchr(b'=', text).is_some() && text.len() < 4096 {
            super::text::spaced_pairs(self.text, raw.clone(), scope, self.fields);
        }
        self.fields.add_decoded(name, raw, decoded, scope);
    }

    /// The columns of a `CREATE TABLE`.
    fn create(&mut self) {
        let mut name = Vec::new();
        let mut columns: Vec<Vec<u8>> = Vec::new();
        let mut depth = 0_usize;
        let mut fresh = false;
        loop {
            let before = self.at;
            let Some(token) = self.token() else { break };
            match token {
                Token::Mark(b'(') => {
                    depth += 1;
                    fresh = depth == 1;
                }
                Token::Mark(b')') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                Token::Mark(b';') => {
                    self.at = before;
                    break;
                }
                Token::Mark(b',') => fresh = depth == 1,
                Token::Word(word) if depth == 0 => name = self.word(&word),
                Token::Word(word) | Token::String(word, _) if fresh => {
                    fresh = false;
                    let room = columns.len() < MOST_COLUMNS;
                    self.fields.scopes.note_cut(!room);
                    if room {
                        columns.push(self.word(&word));
                    }
                }
                _ => {}
            }
        }
        if columns.is_empty() {
            return;
        }
        match self.tables.len() < MOST_TABLES {
            true => {
                self.tables.insert(last(&name).to_vec(), columns);
            }
            false => self.fields.scopes.note_cut(true),
        }
    }

    /// `INTO table (columns) VALUES (…), (…)` and `COPY table (columns) FROM stdin`.
    fn rows(&mut self, copy: bool) {
        let Some(Token::Word(table) | Token::String(table, _)) = self.token() else {
            return;
        };
        let table = last(&self.word(&table)).to_vec();
        let mut columns = self.tables.get(&table).cloned().unwrap_or_default();
        let mut before = self.at;
        if self.token() == Some(Token::Mark(b'(')) {
            columns.clear();
            while let Some(token) = self.token() {
                match token {
                    Token::Mark(b')') => break,
                    Token::Word(word) | Token::String(word, _) if columns.len() < MOST_COLUMNS => {
                        columns.push(self.word(&word));
                    }
                    Token::Mark(b',') => {}
                    _ => return,
                }
            }
            before = self.at;
        } else {
            self.at = before;
        }
        match self.token() {
            Some(Token::Word(word)) if self.word(&word).starts_with(b"value") => {
                self.tuples(&table, &columns);
            }
            Some(Token::Word(word)) if copy && self.word(&word) == b"from" => {
                self.lines(&table, &columns);
            }
            _ => self.at = before,
        }
    }

    fn tuples(&mut self, table: &[u8], columns: &[Vec<u8>]) {
        loop {
            let before = self.at;
            match self.token() {
                Some(Token::Mark(b'(')) => {}
                Some(Token::Mark(b',')) => continue,
                _ => {
                    self.at = before;
                    return;
                }
            }
            let scope = self.fields.scopes.child(self.root);
            let mut column = 0;
            let mut depth = 1;
            // The string before, which names the next where no column does: `('oss.ak', '…')`.
            let mut key: Option<Range<usize>> = None;
            while depth > 0 {
                let Some(token) = self.token() else { return };
                match token {
                    Token::Mark(b'(') => depth += 1,
                    Token::Mark(b')') => depth -= 1,
                    Token::Mark(b',') if depth == 1 => column += 1,
                    Token::Mark(b';') => return,
                    Token::String(raw, decoded) => {
                        let name = columns.get(column).map_or(&[][..], Vec::as_slice);
                        let mut path = join(table, name);
                        if let Some(key) = key.replace(raw.clone()).filter(|_| name.is_empty())
                            && is_key(&self.text[key.clone()])
                        {
                            path = self.text[key].to_vec();
                        }
                        self.value(&path, raw, decoded, scope);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The lines of a `COPY`, separated by tabulators, up to `\.`.
    fn lines(&mut self, table: &[u8], columns: &[Vec<u8>]) {
        let rest = &self.text[self.at..self.end];
        let Some(line) = memchr::memchr(b'\n', rest) else {
            return;
        };
        if !rest[..line].to_ascii_lowercase().starts_with(b" stdin") {
            return;
        }
        self.at += line + 1;
        while self.at < self.end {
            let rest = &self.text[self.at..self.end];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let start = self.at;
            self.at = (start + length + 1).min(self.end);
            if rest.starts_with(b"\\.") {
                return;
            }
            let scope = self.fields.scopes.child(self.root);
            let mut from = start;
            for (column, cell) in rest[..length].split(|&b| b == b'\t').enumerate() {
                if cell != b"\\N" {
                    let name = columns.get(column).map_or(&[][..], Vec::as_slice);
                    self.fields
                        .add(&join(table, name), from..from + cell.len(), scope, true);
                }
                from += cell.len() + 1;
            }
        }
    }
}

/// What the words before a string call it.
fn name_of(words: &[Vec<u8>]) -> Vec<u8> {
    let Some(last) = words.last() else {
        return Vec::new();
    };
    let identified = words.iter().any(|word| word == b"identified");
    let by = words.iter().any(|word| word == b"by");
    match &last[..] {
        // What follows is a hash.
        b"password" | b"values" if identified && by => b"hash".to_vec(),
        b"as" if identified => b"hash".to_vec(),
        b"by" if identified => b"password".to_vec(),
        b"key" | b"rekey" if words[0] == b"pragma" || words[0] == b"attach" => b"password".to_vec(),
        // `N'…'` and `E'…'`: the letter belongs to the string.
        b"n" | b"e" | b"x" | b"by" | b"is" | b"to" => name_of(&words[..words.len() - 1]),
        _ => last.clone(),
    }
}

/// Whether a string may be the name of a setting.
fn is_key(text: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (2..=LONGEST_NAME).contains(&text.len())
        && text[0].is_ascii_alphabetic()
        && text.iter().all(part)
}

fn last(name: &[u8]) -> &[u8] {
    name.rsplit(|&b| b == b'.').next().unwrap_or_default()
}

fn join(table: &[u8], column: &[u8]) -> Vec<u8> {
    if column.is_empty() {
        return Vec::new();
    }
    [super::innermost(table), b".", column].concat()
}

/// Undoes doubled quotes and backslash escapes.
fn unquoted(raw: &[u8], quote: u8) -> Vec<u8> {
    let mut joined = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        joined.push(raw[at]);
        let doubled = raw[at] == quote && raw.get(at + 1) == Some(&quote);
        at += 1 + usize::from(doubled);
    }
    crate::unwrap::inline::unescape(&joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Scopes;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let mut scopes = Scopes::new();
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut scopes,
        };
        statements(text.as_bytes(), 0..text.len(), Scopes::ROOT, &mut fields);
        let found: Vec<(String, String)> = fields
            .fields
            .iter()
            .map(|field| {
                (
                    String::from_utf8_lossy(&field.path).into_owned(),
                    String::from_utf8_lossy(field.value(text.as_bytes())).into_owned(),
                )
            })
            .collect();
        for (name, value) in expected {
            assert!(
                found.iter().any(|(n, v)| n == name && v == value),
                "{text}: no {name}={value} in {found:?}"
            );
        }
    }

    #[test]
    fn passwords_of_statements_are_named() {
        check(
            "ALTER USER 'a'@'%' IDENTIFIED BY 'x''y';",
            &[("password", "x'y")],
        );
        check(
            "CREATE USER a IDENTIFIED WITH sha256_password BY 'xy'",
            &[("password", "xy")],
        );
        check(
            "CREATE USER a IDENTIFIED BY tiger;",
            &[("password", "tiger")],
        );
        check("IDENTIFIED BY PASSWORD '*AB'", &[("hash", "*AB")]);
        check(
            "SET PASSWORD FOR 'r'@'h' = PASSWORD('xy');",
            &[("password", "xy")],
        );
        check("set password = 'xy'", &[("password", "xy")]);
        check(
            "ALTER ROLE a WITH LOGIN PASSWORD 'xy' VALID UNTIL 'z'",
            &[("password", "xy")],
        );
        check(
            "CREATE LOGIN a WITH PASSWORD = N'xy', X = Y",
            &[("password", "xy")],
        );
        check(
            "CHANGE MASTER TO MASTER_USER='u', MASTER_PASSWORD='xy'",
            &[("master_password", "xy")],
        );
        check(
            "WITH ('username' = 'u', 'password' = 'xy')",
            &[("password", "xy")],
        );
        check("OPTIONS (user 'u', password 'xy')", &[("password", "xy")]);
        check("UPDATE t SET secret='xy' WHERE id=1", &[("secret", "xy")]);
        check(
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=xyz'",
            &[("password", "xyz")],
        );
    }

    #[test]
    fn more_lists_than_are_looked_at_are_worth_it() {
        let rules = crate::rule::RuleSet::builtin();
        let worth = |before: usize, last: &str| {
            let text = "INSERT INTO a (b) VALUES ('c');\n".repeat(before) + last;
            is_worth(text.as_bytes(), rules.names())
        };
        let last = "INSERT INTO users (name, passwd) VALUES ('root', 'c');\n";
        assert!(worth(0, last) && worth(MOST_LISTS, last));
        assert!(!worth(MOST_LISTS, ""));
    }

    #[test]
    fn rows_have_the_names_of_their_columns() {
        check(
            "INSERT INTO `c` (`id`, `secret_key`) VALUES (1,'a'),(2,'b\\'c');",
            &[("c.secret_key", "a"), ("c.secret_key", "b'c")],
        );
        check(
            "CREATE TABLE c (id int, token varchar(9), PRIMARY KEY (id));\nINSERT INTO c VALUES (1,'a');",
            &[("c.token", "a")],
        );
        check(
            "COPY public.c (id, token) FROM stdin;\n1\tab\n\\.\nSELECT 1;",
            &[("c.token", "ab")],
        );
    }
}
