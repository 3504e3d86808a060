//! What a database says of its tables: where each begins and what its columns are called.
//!
//! Statements are not parsed further than their list of columns, and what does not look like one
//! leaves columns without names.

use zeroize::Zeroizing;

use super::{Cell, Row};

/// Tables of one database. Stops: a schema that never ends.
const MOST_TABLES: usize = 4096;
/// Bytes of statements from which columns are named. Stops: a schema that takes the host's memory.
const LARGEST_SCHEMA: usize = 4 << 20;
/// Bytes of a table's name.
const LONGEST_NAME: usize = 1024;
/// Columns of one table: SQLite's own bound, unless it was built with another. Stops: a row of a
/// million empty columns.
pub(super) const MOST_COLUMNS: usize = 2000;
/// Columns of a key. Stops: each of two thousand columns compared with each.
const MOST_KEYS: usize = 64;

/// The tables that a database says to have.
#[derive(Default)]
pub(super) struct Schema {
    pub(super) tables: Vec<Table>,
    /// Bytes of statements that are held.
    held: usize,
    /// Whether something of it was left out.
    pub(super) cut: bool,
}

/// A table, not read yet.
pub(super) struct Table {
    pub(super) name: Vec<u8>,
    pub(super) root: u32,
    pub(super) sql: Zeroizing<Vec<u8>>,
}

impl Schema {
    /// Takes a row of the schema.
    pub(super) fn add(&mut self, row: &Row) {
        let text = |at: usize| row.cells.get(at).and_then(Cell::text);
        let root = row.cells.get(3).and_then(Cell::integer);
        let root = root.and_then(|root| u32::try_from(root).ok());
        let (Some(kind), Some(mut name), Some(root @ 1..)) = (text(0), text(1), root) else {
            return;
        };
        if kind.as_slice() != b"table" {
            return;
        }
        if self.tables.len() == MOST_TABLES {
            self.cut = true;
            return;
        }
        let sql = text(4).unwrap_or_default();
        let fits = self.held + sql.len() <= LARGEST_SCHEMA;
        self.cut |= !fits;
        name.truncate(LONGEST_NAME);
        self.held += if fits { sql.len() } else { 0 };
        self.tables.push(Table {
            name: name.to_vec(),
            root,
            sql: if fits { sql } else { Zeroizing::default() },
        });
    }
}

/// The columns' names of a table.
pub(super) struct Columns {
    /// In the order in which they were declared.
    named: Vec<Vec<u8>>,
    /// In the order in which a table without row ids stores them.
    by_key: Vec<Vec<u8>>,
}

impl Columns {
    /// Those of the table that lists the others.
    pub(super) fn of_schema() -> Columns {
        let named = ["type", "name", "tbl_name", "rootpage", "sql"];
        Columns {
            named: named.map(|name| name.as_bytes().to_vec()).to_vec(),
            by_key: Vec::new(),
        }
    }

    /// Those that a `CREATE TABLE` names.
    pub(super) fn of(sql: &[u8]) -> Columns {
        let mut named = Vec::new();
        let mut key = Vec::new();
        for definition in listed(sql) {
            let end = memchr::memchr(b'(', definition).unwrap_or(definition.len());
            match column(definition) {
                Some(name) if named.len() < MOST_COLUMNS => {
                    if contains(definition, b"PRIMARY KEY") {
                        key = vec![name.clone()];
                    }
                    named.push(name);
                }
                None if contains(&definition[..end], b"PRIMARY KEY") => {
                    key = listed(definition).filter_map(column).collect();
                    key.truncate(MOST_KEYS);
                }
                _ => {}
            }
        }
        let others = named.iter().filter(|name| !key.contains(name)).cloned();
        let by_key = key.iter().cloned().chain(others).collect();
        Columns { named, by_key }
    }

    /// The name of a column of a row.
    pub(super) fn name(&self, number: usize, by_key: bool) -> &[u8] {
        let names = if by_key { &self.by_key } else { &self.named };
        names.get(number).map_or(b"?", Vec::as_slice)
    }
}

/// Whether a text has words in it, in any case.
fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len())
        .any(|window| window.eq_ignore_ascii_case(words))
}

/// What stands between the commas of the first list in brackets.
fn listed(sql: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = memchr::memchr(b'(', sql).map_or(sql.len(), |open| open + 1);
    std::iter::from_fn(move || {
        let rest = sql.get(start..).filter(|rest| !rest.is_empty())?;
        let mut depth = 0_u32;
        let mut quoted = None;
        for (at, &byte) in rest.iter().enumerate() {
            if let Some(close) = quoted {
                quoted = (byte != close).then_some(close);
                continue;
            }
            match byte {
                b'"' | b'\'' | b'`' => quoted = Some(byte),
                b'[' => quoted = Some(b']'),
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b',' | b')' if depth == 0 => {
                    start += at + 1;
                    if byte == b')' {
                        start = sql.len();
                    }
                    return Some(&rest[..at]);
                }
                _ => {}
            }
        }
        start = sql.len();
        None
    })
}

/// The name of one column; none for a constraint of the table.
fn column(definition: &[u8]) -> Option<Vec<u8>> {
    let definition = definition.trim_ascii();
    let close = match definition.first()? {
        b'[' => Some(b']'),
        quote @ (b'"' | b'`' | b'\'') => Some(*quote),
        _ => None,
    };
    if let Some(close) = close {
        let rest = &definition[1..];
        return Some(rest[..memchr::memchr(close, rest)?].to_vec());
    }
    let end = definition
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(definition.len());
    let name = &definition[..end];
    let constraint = [
        &b"CONSTRAINT"[..],
        b"PRIMARY",
        b"UNIQUE",
        b"CHECK",
        b"FOREIGN",
    ]
    .iter()
    .any(|word| name.eq_ignore_ascii_case(word));
    (!constraint).then(|| name.to_vec())
}
