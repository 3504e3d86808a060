//! Rows of SQLite databases, each read as an object of its columns.
//!
//! The file format is the one that <https://www.sqlite.org/fileformat2.html> describes. Every page
//! is visited once, whatever its pointers say; what lies on free pages and between cells is what
//! was deleted and is there still, and is read as text.

use std::collections::HashSet;
use std::io::Read as _;

use zeroize::Zeroizing;

use super::bytes::Bytes;
use super::{charset, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Bytes of one row that are put together. Stops: a row of gigabytes.
const LONGEST_ROW: u64 = 1 << 20;
/// Bytes of rows that are judged at once.
const BATCH: usize = 256 << 10;
/// Tables of one database. Stops: a schema that never ends.
const MOST_TABLES: usize = 4096;
/// Levels of a tree of pages: SQLite's own bound is 20.
const DEEPEST: u32 = 20;

const TABLE_LEAF: u8 = 13;
const TABLE_INNER: u8 = 5;

/// Whether `head` begins a database.
pub(crate) fn is_sqlite(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

/// Reads all tables of a database.
pub(crate) fn read(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let Some(mut database) = Database::open(bytes) else {
        return scanner.skipped(&region.member, UnreadWhy::Damaged);
    };
    let mut tables = Vec::new();
    let mut deleted = Deleted::default();
    let mut remains = stream::member(scanner, region, b"(deleted)");
    remains.format = Format::Text;
    let schema = database.walk(scanner, 1, &mut deleted, &mut |_, row| {
        let text = |at: usize| row.get(at).and_then(Cell::text);
        if let (Some(b"table"), Some(name), Some(root)) = (
            text(0).as_deref().map(Vec::as_slice),
            text(1),
            row.get(3).and_then(Cell::integer),
        ) && let Ok(root) = u32::try_from(root)
            && root > 0
            && tables.len() < MOST_TABLES
        {
            let columns = text(4).map(|sql| columns(&sql)).unwrap_or_default();
            tables.push((name, root, columns));
        }
    });
    deleted.flush(scanner, &mut remains);
    let mut sound = schema;
    for (name, root, columns) in tables {
        let mut inner = stream::member(scanner, region, &name);
        inner.format = Format::Json;
        let mut batch = Batch::default();
        sound &= database.walk(scanner, root, &mut deleted, &mut |scanner, row| {
            batch.row(&columns, &row);
            if batch.text.len() >= BATCH {
                batch.flush(scanner, &mut inner);
            }
            for cell in &row {
                if let Cell::Blob(blob) = cell
                    && stream::is_container(blob)
                {
                    inner.line = LineBase::Fixed(batch.first + batch.rows);
                    stream::nested(scanner, &inner, blob);
                }
            }
        });
        batch.flush(scanner, &mut inner);
        deleted.flush(scanner, &mut remains);
    }
    database.free_pages(&mut deleted, scanner, &mut remains);
    if !sound {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
}

/// Rows of one table, as one object a line.
#[derive(Default)]
struct Batch {
    text: Zeroizing<Vec<u8>>,
    /// Rows before this batch, and in it.
    first: u32,
    rows: u32,
}

impl Batch {
    fn row(&mut self, columns: &[Vec<u8>], row: &[Cell]) {
        self.text.push(b'{');
        for (number, cell) in row.iter().enumerate() {
            let Some(value) = cell.text() else { continue };
            if self.text.last() != Some(&b'{') {
                self.text.extend_from_slice(b", ");
            }
            match columns.get(number) {
                Some(name) => quote(name, &mut self.text),
                None => quote(b"?", &mut self.text),
            }
            self.text.extend_from_slice(b": ");
            quote(&value, &mut self.text);
        }
        self.text.extend_from_slice(b"}\n");
        self.rows += 1;
    }

    fn flush(&mut self, scanner: &mut Scanner<'_>, region: &mut Region) {
        region.line = LineBase::Counted(self.first);
        count(scanner, self.text.len());
        scanner.text(region, &self.text, false);
        region.offset += self.text.len() as u64;
        self.first += self.rows;
        self.rows = 0;
        self.text = Zeroizing::default();
    }
}

/// Counts `bytes` as unwrapped.
fn count(scanner: &mut Scanner<'_>, bytes: usize) {
    scanner.unwrapped += bytes as u64;
}

/// What was deleted and lies in the file still.
#[derive(Default)]
struct Deleted {
    text: Zeroizing<Vec<u8>>,
}

impl Deleted {
    fn add(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|&b| b != 0) && self.text.len() < BATCH * 4 {
            // Numbers and the marks of records end what stands beside them.
            let ends = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\r');
            let lines = bytes.iter().map(|&b| if ends(b) { b'\n' } else { b });
            self.text.extend(lines);
            self.text.push(b'\n');
        }
    }

    fn flush(&mut self, scanner: &mut Scanner<'_>, region: &mut Region) {
        if !self.text.is_empty() {
            region.line = LineBase::Fixed(1);
            count(scanner, self.text.len());
            scanner.text(region, &self.text, false);
            region.offset += self.text.len() as u64;
            self.text = Zeroizing::default();
        }
    }
}

/// One value of a row.
enum Cell {
    Null,
    Integer(i64),
    Text(Zeroizing<Vec<u8>>),
    Blob(Zeroizing<Vec<u8>>),
}

impl Cell {
    /// As text, when it can stand for a value.
    fn text(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Cell::Null => None,
            Cell::Integer(number) => Some(number.to_string().into_bytes().into()),
            Cell::Text(text) => Some(text.clone()),
            Cell::Blob(blob) => std::str::from_utf8(blob).is_ok().then(|| blob.clone()),
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

struct Database<'a> {
    bytes: &'a Bytes<'a>,
    page_size: usize,
    /// Bytes of a page that hold content.
    usable: usize,
    wide: Option<bool>,
    free: u32,
    seen: HashSet<u32>,
}

type Row = Vec<Cell>;

impl<'a> Database<'a> {
    fn open(bytes: &'a Bytes<'a>) -> Option<Database<'a>> {
        let mut header = [0_u8; 100];
        if !bytes.exact(0, &mut header) {
            return None;
        }
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => return None,
        };
        Some(Database {
            bytes,
            page_size,
            usable: page_size
                .checked_sub(usize::from(header[20]))
                .filter(|&n| n >= 480)?,
            wide: match header[59] {
                2 => Some(true),
                3 => Some(false),
                _ => None,
            },
            free: be32(&header[32..36]),
            seen: HashSet::new(),
        })
    }

    fn page(&self, number: u32) -> Option<Zeroizing<Vec<u8>>> {
        let at = u64::from(number.checked_sub(1)?) * self.page_size as u64;
        let mut page = Zeroizing::new(vec![0; self.page_size]);
        self.bytes.exact(at, &mut page).then_some(page)
    }

    /// Visits the rows of the table whose tree has its root at `root`. Whether all pages were sound.
    fn walk<'s>(
        &mut self,
        scanner: &mut Scanner<'s>,
        root: u32,
        deleted: &mut Deleted,
        visit: &mut dyn FnMut(&mut Scanner<'s>, Row),
    ) -> bool {
        let mut sound = true;
        let mut waiting = vec![(root, 0)];
        while let Some((number, depth)) = waiting.pop() {
            if scanner.unwrapped > scanner.limits.unwrapped {
                return false;
            }
            if depth > DEEPEST || !self.seen.insert(number) {
                sound = false;
                continue;
            }
            let Some(page) = self.page(number) else {
                sound = false;
                continue;
            };
            let head = if number == 1 { 100 } else { 0 };
            let count = usize::from(be16(&page[head + 3..]));
            match page[head] {
                TABLE_INNER => {
                    waiting.push((be32(&page[head + 8..head + 12]), depth + 1));
                    for cell in cells(&page, head + 12, count).rev() {
                        match page.get(cell..cell + 4) {
                            Some(left) => waiting.push((be32(left), depth + 1)),
                            None => sound = false,
                        }
                    }
                }
                TABLE_LEAF => {
                    sound &= self.leaf(scanner, &page, head, count, deleted, visit);
                }
                // A table without row ids is an index: its rows are read as text.
                _ => deleted.add(&page[head.min(page.len())..]),
            }
        }
        sound
    }

    fn leaf<'s>(
        &mut self,
        scanner: &mut Scanner<'s>,
        page: &[u8],
        head: usize,
        count: usize,
        deleted: &mut Deleted,
        visit: &mut dyn FnMut(&mut Scanner<'s>, Row),
    ) -> bool {
        let mut sound = true;
        for cell in cells(page, head + 8, count) {
            match self
                .payload(page, cell)
                .and_then(|payload| self.row(&payload))
            {
                Some(row) => visit(scanner, row),
                None => sound = false,
            }
        }
        let (from, to) = (head + 8 + count * 2, usize::from(be16(&page[head + 5..])));
        if let Some(gap) = page.get(from..to.max(from)) {
            deleted.add(gap);
        }
        let mut block = usize::from(be16(&page[head + 1..]));
        for _ in 0..count + 64 {
            let Some(header) = page.get(block..block + 4).filter(|_| block > 0) else {
                break;
            };
            let size = usize::from(be16(&header[2..]));
            deleted.add(page.get(block + 4..block + size).unwrap_or_default());
            let next = usize::from(be16(header));
            if next <= block {
                break;
            }
            block = next;
        }
        sound
    }

    /// The whole record of a cell, its overflow pages joined.
    fn payload(&mut self, page: &[u8], cell: usize) -> Option<Zeroizing<Vec<u8>>> {
        let (length, used) = varint(page.get(cell..)?)?;
        let (_, row_id) = varint(page.get(cell + used..)?)?;
        let start = cell + used + row_id;
        let most = self.usable as u64 - 35;
        if length <= most {
            let end = start + usize::try_from(length).ok()?;
            return Some(Zeroizing::new(page.get(start..end)?.to_vec()));
        }
        let least = (self.usable as u64 - 12) * 32 / 255 - 23;
        let kept = least + (length - least) % (self.usable as u64 - 4);
        let local = usize::try_from(if kept <= most { kept } else { least }).ok()?;
        let mut payload = Zeroizing::new(page.get(start..start + local)?.to_vec());
        let mut next = be32(page.get(start + local..start + local + 4)?);
        let whole = usize::try_from(length.min(LONGEST_ROW)).ok()?;
        while payload.len() < whole && next != 0 && self.seen.insert(next) {
            let page = self.page(next)?;
            next = be32(&page[..4]);
            let take = (whole - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&page[4..4 + take]);
        }
        Some(payload)
    }

    /// The values of a record; one that was cut at its end keeps what is there.
    fn row(&self, record: &[u8]) -> Option<Row> {
        let (header, used) = varint(record)?;
        let header = usize::try_from(header).ok()?;
        let mut kinds = record.get(used..header)?;
        let mut body = record.get(header..)?;
        let mut row = Vec::new();
        while !kinds.is_empty() && row.len() < 2000 {
            let (kind, used) = varint(kinds)?;
            kinds = &kinds[used..];
            let size = match kind {
                0 | 8 | 9 => 0,
                1..=4 => usize::try_from(kind).ok()?,
                5 => 6,
                6 | 7 => 8,
                10 | 11 => return None,
                kind => usize::try_from((kind - 12) / 2).ok()?,
            };
            let bytes = &body[..size.min(body.len())];
            body = &body[bytes.len()..];
            row.push(match kind {
                1..=6 => Cell::Integer(integer(bytes)),
                8 => Cell::Integer(0),
                9 => Cell::Integer(1),
                kind if kind >= 12 && kind % 2 == 0 => Cell::Blob(bytes.to_vec().into()),
                kind if kind >= 13 => Cell::Text(self.narrow(bytes)),
                _ => Cell::Null,
            });
        }
        Some(row)
    }

    /// Text as UTF-8, whatever the database's encoding.
    fn narrow(&self, text: &[u8]) -> Zeroizing<Vec<u8>> {
        match self.wide {
            None => text.to_vec().into(),
            Some(little) => {
                let mut narrow = Zeroizing::new(Vec::new());
                // A slice cannot fail to be read.
                let _ = charset::utf16(text, little).read_to_end(&mut narrow);
                narrow
            }
        }
    }

    /// Pages on the list of free ones.
    fn free_pages(
        &mut self,
        deleted: &mut Deleted,
        scanner: &mut Scanner<'_>,
        region: &mut Region,
    ) {
        let mut trunk = self.free;
        while trunk != 0 && self.seen.insert(trunk) {
            let Some(page) = self.page(trunk) else { break };
            let count = usize::try_from(be32(&page[4..8])).unwrap_or(usize::MAX);
            // A trunk's list is short; behind it lies what the page held before.
            let listed = count.saturating_mul(4).saturating_add(8);
            deleted.add(page.get(listed..).unwrap_or_default());
            deleted.flush(scanner, region);
            for leaf in page[8..].as_chunks::<4>().0.iter().take(count) {
                if scanner.unwrapped > scanner.limits.unwrapped {
                    return scanner.skipped(&region.member, UnreadWhy::Limit);
                }
                let leaf = be32(leaf);
                if self.seen.insert(leaf)
                    && let Some(page) = self.page(leaf)
                {
                    deleted.add(&page);
                    deleted.flush(scanner, region);
                }
            }
            trunk = be32(&page[..4]);
        }
    }
}

/// Where the cells of a page begin.
fn cells(page: &[u8], from: usize, count: usize) -> impl DoubleEndedIterator<Item = usize> {
    let pointers = page.get(from..).unwrap_or_default();
    pointers
        .as_chunks::<2>()
        .0
        .iter()
        .take(count)
        .map(|pair| usize::from(u16::from_be_bytes(*pair)))
}

fn be16(bytes: &[u8]) -> u16 {
    bytes
        .first_chunk()
        .map_or(0, |pair| u16::from_be_bytes(*pair))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |four| u32::from_be_bytes(*four))
}

/// A big-endian number of up to nine bytes, seven bits each but the last; and how many it took.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// A signed big-endian integer of one to eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|&b| b & 0x80 != 0);
    bytes
        .iter()
        .fold(if negative { -1 } else { 0 }, |sum: i64, &byte| {
            sum << 8 | i64::from(byte)
        })
}

/// A string of JSON; only what must be is escaped, so that values stay as they are.
pub(super) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The columns' names in a `CREATE TABLE`.
fn columns(sql: &[u8]) -> Vec<Vec<u8>> {
    let Some(open) = memchr::memchr(b'(', sql) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut depth = 0_u32;
    let mut quoted = None;
    let mut start = open + 1;
    for (at, &byte) in sql.iter().enumerate().skip(open + 1) {
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
                names.extend(column(&sql[start..at]));
                start = at + 1;
                if byte == b')' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
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
