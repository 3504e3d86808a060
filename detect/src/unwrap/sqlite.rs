//! Rows of SQLite databases, each read as an object of its columns.
//!
//! The file format is the one that <https://www.sqlite.org/fileformat2.html> describes. Every page
//! is visited once, whatever its pointers say; what lies on free pages and between cells is what
//! was deleted and is there still, and is read as text. What a database may make us hold is bounded
//! by its own pages; what is left out is said.

use std::collections::HashMap;
use std::io::{Cursor, Error, ErrorKind, Read};

use zeroize::Zeroizing;

pub(crate) mod log;
mod schema;

use schema::{Columns, MOST_COLUMNS, Schema};

use super::bytes::{Bytes, read_up_to};
use super::{charset, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Bytes of one row that are put together. Stops: a row of gigabytes. What follows is read as text.
const LONGEST_ROW: u64 = 4 << 20;
/// Bytes of a text that is read as part of its row. Longer ones are read by themselves, through
/// windows: what a parser makes of a text takes many times its size.
const LONGEST_CELL: usize = 64 << 10;
/// Bytes of a row that are read again with what follows them: a value may lie on both sides.
const OVERLAP: usize = 4096;
/// Bytes of rows, or of what was deleted, that are judged at once.
const BATCH: usize = 256 << 10;
/// Levels of a tree of pages: SQLite's own bound is 20.
const DEEPEST: usize = 20;

/// Kinds of pages of a tree.
const INDEX_INNER: u8 = 2;
const TABLE_INNER: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;

/// Whether `head` begins a database.
pub(crate) fn is_sqlite(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

/// Reads all tables of a database.
pub(crate) fn read(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let mut remains = stream::member(scanner, region, b"(deleted)");
    remains.format = Format::Text;
    let Some(mut database) = Database::open(bytes, remains) else {
        return scanner.skipped(&region.member, UnreadWhy::Damaged);
    };
    database.tables(scanner, region);
    database.free_pages(scanner);
    if database.limited {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
    if database.damaged {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
}

/// Rows of one table, as one object a line.
struct Batch {
    region: Region,
    text: Zeroizing<Vec<u8>>,
    /// Rows before this batch, and in it.
    first: u32,
    rows: u32,
}

impl Batch {
    fn new(region: Region) -> Batch {
        Batch {
            region,
            text: Zeroizing::default(),
            first: 0,
            rows: 0,
        }
    }

    /// Takes a row, and reads by itself what is too long for it or no text.
    fn take(
        &mut self,
        scanner: &mut Scanner<'_>,
        columns: &Columns,
        row: &Row,
        rest: Option<&mut dyn Read>,
    ) {
        self.row(scanner, columns, row);
        for (number, cell) in row.cells.iter().enumerate() {
            if let Some(bytes) = cell.alone() {
                let mut inner = self.alone();
                inner.path = columns.name(number, row.by_key).to_vec();
                stream::nested(scanner, &inner, bytes);
            }
        }
        if let Some(mut rest) = rest {
            let mut inner = self.alone();
            inner.format = Format::Text;
            stream::read(scanner, &inner, &mut rest, Some(inner.line));
        }
    }

    fn row(&mut self, scanner: &mut Scanner<'_>, columns: &Columns, row: &Row) {
        self.text.push(b'{');
        for (number, cell) in row.cells.iter().enumerate() {
            if cell.alone().is_some() {
                continue;
            }
            let Some(value) = cell.text() else { continue };
            if self.text.last() != Some(&b'{') {
                self.text.extend_from_slice(b", ");
            }
            quote(columns.name(number, row.by_key), &mut self.text);
            self.text.extend_from_slice(b": ");
            quote(&value, &mut self.text);
        }
        self.text.extend_from_slice(b"}\n");
        self.rows = self.rows.saturating_add(1);
        if self.text.len() >= BATCH {
            self.flush(scanner);
        }
    }

    /// The region of something that lies in the last row alone.
    fn alone(&self) -> Region {
        let mut inner = self.region.clone();
        inner.line = LineBase::Fixed(self.first.saturating_add(self.rows));
        inner
    }

    fn flush(&mut self, scanner: &mut Scanner<'_>) {
        self.region.line = LineBase::Counted(self.first);
        count(scanner, self.text.len());
        scanner.text(&self.region, &self.text, false);
        self.region.offset += self.text.len() as u64;
        self.first = self.first.saturating_add(self.rows);
        self.rows = 0;
        self.text = Zeroizing::default();
    }
}

/// Counts `bytes` as unwrapped.
fn count(scanner: &mut Scanner<'_>, bytes: usize) {
    scanner.fuel.burn(bytes as u64);
}

/// What was deleted and lies in the file still.
struct Deleted {
    region: Region,
    text: Zeroizing<Vec<u8>>,
}

impl Deleted {
    fn add(&mut self, scanner: &mut Scanner<'_>, bytes: &[u8]) {
        if bytes.iter().any(|&b| b != 0) {
            // Numbers and the marks of records end what stands beside them.
            let ends = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\r');
            let lines = bytes.iter().map(|&b| if ends(b) { b'\n' } else { b });
            self.text.extend(lines);
            self.text.push(b'\n');
        }
        if self.text.len() >= BATCH {
            self.flush(scanner);
        }
    }

    fn flush(&mut self, scanner: &mut Scanner<'_>) {
        if !self.text.is_empty() {
            self.region.line = LineBase::Fixed(1);
            count(scanner, self.text.len());
            scanner.text(&self.region, &self.text, false);
            self.region.offset += self.text.len() as u64;
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

    /// The bytes of what is read by itself: long texts, containers, and bytes that are no text.
    fn alone(&self) -> Option<&[u8]> {
        match self {
            Cell::Text(text) => (text.len() > LONGEST_CELL).then_some(text),
            Cell::Blob(blob) => {
                let by_row = blob.len() <= LONGEST_CELL && std::str::from_utf8(blob).is_ok();
                (!by_row || stream::is_container(blob)).then_some(blob)
            }
            _ => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

/// One row.
struct Row {
    cells: Vec<Cell>,
    /// Whether it is that of a table without row ids: the columns of its key come first.
    by_key: bool,
}

struct Database<'a> {
    bytes: &'a Bytes<'a>,
    page_size: usize,
    /// Where pages lie that do not lie one after another: in a log, which has only some of them.
    places: Option<HashMap<u32, u64>>,
    /// Bytes of a page that hold content.
    usable: usize,
    wide: Option<bool>,
    free: u32,
    /// Pages of the file, and one bit for each that was visited or will be.
    pages: u32,
    seen: Vec<u64>,
    deleted: Deleted,
    damaged: bool,
    /// Whether a bound was reached.
    limited: bool,
}

/// What takes the rows of a tree, and what follows of one that is too long.
type Visit<'v, 's> = &'v mut dyn FnMut(&mut Scanner<'s>, &Row, Option<&mut dyn Read>);

impl<'a> Database<'a> {
    fn open(bytes: &'a Bytes<'a>, remains: Region) -> Option<Database<'a>> {
        let mut header = [0_u8; 100];
        if !bytes.exact(0, &mut header) {
            return None;
        }
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => return None,
        };
        let pages = u32::try_from(bytes.len() / page_size as u64).unwrap_or(u32::MAX);
        Some(Database {
            bytes,
            page_size,
            places: None,
            usable: page_size
                .checked_sub(usize::from(header[20]))
                .filter(|&n| n >= 480)?,
            wide: match header[59] {
                2 => Some(true),
                3 => Some(false),
                _ => None,
            },
            free: be32(&header[32..36]),
            pages,
            seen: vec![0; pages as usize / 64 + 1],
            deleted: Deleted {
                region: remains,
                text: Zeroizing::default(),
            },
            damaged: false,
            limited: false,
        })
    }

    /// Takes a page to be visited; whether it is there and was not taken before.
    fn claim(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        let fresh = (1..=self.pages).contains(&number) && self.seen[word] & bit == 0;
        if fresh {
            self.seen[word] |= bit;
        }
        fresh
    }

    fn page(&self, number: u32) -> Option<Zeroizing<Vec<u8>>> {
        let at = match &self.places {
            None => u64::from(number.checked_sub(1)?) * self.page_size as u64,
            Some(places) => *places.get(&number)?,
        };
        let mut page = Zeroizing::new(vec![0; self.page_size]);
        self.bytes.exact(at, &mut page).then_some(page)
    }

    /// Whether all was unwrapped that may be.
    fn spent(&mut self, scanner: &Scanner<'_>) -> bool {
        let spent = scanner.fuel.is_spent();
        self.limited |= spent;
        spent
    }

    /// Reads the rows of all tables.
    fn tables(&mut self, scanner: &mut Scanner<'_>, region: &Region) {
        let mut schema = Schema::default();
        let statements = Columns::of_schema();
        let name = b"sqlite_schema";
        self.table(scanner, region, name, 1, &statements, &mut |row| {
            schema.add(row);
        });
        self.limited |= schema.cut;
        for table in schema.tables {
            let columns = Columns::of(&table.sql);
            let name = &table.name;
            self.table(scanner, region, name, table.root, &columns, &mut |_| {});
        }
    }

    /// Reads the rows of one table.
    fn table(
        &mut self,
        scanner: &mut Scanner<'_>,
        region: &Region,
        name: &[u8],
        root: u32,
        columns: &Columns,
        also: &mut dyn FnMut(&Row),
    ) {
        let mut inner = stream::member(scanner, region, name);
        inner.format = Format::Json;
        let mut batch = Batch::new(inner);
        self.walk(scanner, root, &mut |scanner, row, rest| {
            also(row);
            batch.take(scanner, columns, row, rest);
        });
        batch.flush(scanner);
        self.deleted.flush(scanner);
    }

    /// Visits the rows of the table whose tree has its root at `root`.
    fn walk<'s>(&mut self, scanner: &mut Scanner<'s>, root: u32, visit: Visit<'_, 's>) {
        let mut levels = vec![self.claimed([root]).into_iter()];
        while let Some(level) = levels.last_mut() {
            let Some(number) = level.next() else {
                levels.pop();
                continue;
            };
            if self.spent(scanner) {
                return;
            }
            let Some(page) = self.page(number) else {
                // What a log does not have is in the database.
                self.damaged |= self.places.is_none();
                continue;
            };
            let children = self.visit(scanner, number, &page, visit);
            if levels.len() <= DEEPEST {
                levels.push(children.into_iter());
            } else {
                self.damaged |= !children.is_empty();
            }
        }
    }

    /// Those of `pages` that can be visited.
    fn claimed(&mut self, pages: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut claimed = Vec::new();
        for page in pages {
            if self.claim(page) {
                claimed.push(page);
            } else {
                // What a log does not have is in the database.
                self.damaged |= self.places.is_none() || page <= self.pages;
            }
        }
        claimed
    }

    /// Visits the rows of one page; answers the pages below it.
    fn visit<'s>(
        &mut self,
        scanner: &mut Scanner<'s>,
        number: u32,
        page: &[u8],
        visit: Visit<'_, 's>,
    ) -> Vec<u32> {
        let head = if number == 1 { 100 } else { 0 };
        let kind = page[head];
        if !matches!(kind, INDEX_INNER | INDEX_LEAF | TABLE_INNER | TABLE_LEAF) {
            self.damaged = true;
            self.deleted.add(scanner, &page[head..]);
            return Vec::new();
        }
        let inner = matches!(kind, INDEX_INNER | TABLE_INNER);
        let by_key = matches!(kind, INDEX_INNER | INDEX_LEAF);
        let count = usize::from(be16(&page[head + 3..]));
        let pointers = head + if inner { 12 } else { 8 };
        let mut children = Vec::new();
        // Cells that lie upon one another are not those of a page.
        let mut room = page.len();
        let cells = cells(page, pointers, count);
        self.damaged |= cells.len() < count;
        for mut cell in cells {
            if inner {
                match page.get(cell..cell + 4) {
                    Some(left) => children.extend(self.claimed([be32(left)])),
                    None => self.damaged = true,
                }
                cell += 4;
            }
            if kind == TABLE_INNER {
                continue;
            }
            if self.spent(scanner) {
                return Vec::new();
            }
            let read = self.payload(page, cell, by_key, &mut room);
            let read = read.and_then(|(payload, rest)| {
                scanner.fuel.burn(payload.len() as u64);
                Some((self.row(&payload, by_key)?, payload, rest))
            });
            match read {
                Some((row, payload, Some(chain))) => {
                    self.limited = true;
                    let again = payload.len().saturating_sub(OVERLAP);
                    let rest = Overflow {
                        database: self,
                        chain,
                    };
                    let mut rest = Cursor::new(&payload[again..]).chain(rest);
                    visit(scanner, &row, Some(&mut rest));
                }
                Some((row, _, None)) => visit(scanner, &row, None),
                None => self.damaged = true,
            }
        }
        if inner {
            let right = be32(&page[head + 8..head + 12]);
            children.extend(self.claimed([right]));
        }
        self.gaps(scanner, page, head, pointers + count * 2);
        children
    }

    /// Reads what lies between the cells of a page.
    fn gaps(&mut self, scanner: &mut Scanner<'_>, page: &[u8], head: usize, from: usize) {
        let to = match be16(&page[head + 5..]) {
            0 => 65536,
            to => usize::from(to),
        };
        if let Some(gap) = page.get(from..to.max(from)) {
            self.deleted.add(scanner, gap);
        }
        let mut block = usize::from(be16(&page[head + 1..]));
        while block > 0 {
            let Some(header) = page.get(block..block + 4) else {
                self.damaged = true;
                return;
            };
            let (next, size) = (usize::from(be16(header)), usize::from(be16(&header[2..])));
            let Some(bytes) = page.get(block + 4..block + size) else {
                self.damaged = true;
                return;
            };
            self.deleted.add(scanner, bytes);
            // They come in order and do not lie upon one another.
            if next > 0 && next < block + size {
                self.damaged = true;
                return;
            }
            block = next;
        }
    }

    /// The record of a cell, its overflow pages joined up to a bound, and what follows.
    fn payload(
        &mut self,
        page: &[u8],
        cell: usize,
        by_key: bool,
        room: &mut usize,
    ) -> Option<(Zeroizing<Vec<u8>>, Option<Chain>)> {
        let (length, used) = varint(page.get(cell..)?)?;
        let mut start = cell + used;
        if !by_key {
            start += varint(page.get(start..)?)?.1;
        }
        let usable = self.usable as u64;
        let least = (usable - 12) * 32 / 255 - 23;
        let most = match by_key {
            true => (usable - 12) * 64 / 255 - 23,
            false => usable - 35,
        };
        let kept = match length <= most {
            true => length,
            false => least + (length - least) % (usable - 4),
        };
        let local = usize::try_from(if kept <= most { kept } else { least }).ok()?;
        *room = room.checked_sub(local)?;
        let mut payload = Zeroizing::new(page.get(start..start + local)?.to_vec());
        if length <= most {
            return Some((payload, None));
        }
        let chain = Chain {
            next: be32(page.get(start + local..start + local + 4)?),
            left: length - local as u64,
            page: Zeroizing::default(),
            at: 0,
        };
        let whole = chain.left.min(LONGEST_ROW);
        let mut rest = Overflow {
            database: self,
            chain,
        };
        // One that ends early or leads nowhere keeps what is there.
        let sound = read_up_to(&mut rest, whole, &mut payload).is_ok();
        let chain = rest.chain;
        self.damaged |= !sound && self.places.is_none();
        let follows = sound && (chain.left > 0 || chain.at < chain.page.len());
        Some((payload, follows.then_some(chain)))
    }

    /// The values of a record; one that was cut at its end keeps what is there.
    fn row(&mut self, record: &[u8], by_key: bool) -> Option<Row> {
        let (header, used) = varint(record)?;
        let header = usize::try_from(header).ok()?;
        let mut kinds = record.get(used..header)?;
        let mut body = record.get(header..)?;
        let mut cells = Vec::new();
        while !kinds.is_empty() {
            if cells.len() == MOST_COLUMNS {
                self.limited = true;
                break;
            }
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
            cells.push(match kind {
                1..=6 => Cell::Integer(integer(bytes)),
                8 => Cell::Integer(0),
                9 => Cell::Integer(1),
                kind if kind >= 12 && kind % 2 == 0 => Cell::Blob(bytes.to_vec().into()),
                kind if kind >= 13 => Cell::Text(self.narrow(bytes)),
                _ => Cell::Null,
            });
        }
        Some(Row { cells, by_key })
    }

    /// Text as UTF-8, whatever the database's encoding.
    fn narrow(&self, text: &[u8]) -> Zeroizing<Vec<u8>> {
        match self.wide {
            None => text.to_vec().into(),
            Some(little) => charset::from_utf16(text, little),
        }
    }

    /// Pages on the list of free ones.
    fn free_pages(&mut self, scanner: &mut Scanner<'_>) {
        let mut trunk = self.free;
        while trunk != 0 && self.claim(trunk) {
            let Some(page) = self.page(trunk) else { break };
            let count = usize::try_from(be32(&page[4..8])).unwrap_or(usize::MAX);
            // A trunk's list is short; behind it lies what the page held before.
            let listed = count.saturating_mul(4).saturating_add(8);
            self.deleted
                .add(scanner, page.get(listed..).unwrap_or_default());
            self.deleted.flush(scanner);
            for leaf in page[8..].as_chunks::<4>().0.iter().take(count) {
                if self.spent(scanner) {
                    return;
                }
                let leaf = be32(leaf);
                if self.claim(leaf)
                    && let Some(page) = self.page(leaf)
                {
                    self.deleted.add(scanner, &page);
                    self.deleted.flush(scanner);
                }
            }
            trunk = be32(&page[..4]);
        }
    }
}

/// The overflow pages of a row, from where they were read to.
struct Chain {
    next: u32,
    /// Bytes on the pages that follow.
    left: u64,
    page: Zeroizing<Vec<u8>>,
    at: usize,
}

/// What lies on overflow pages, as a stream.
struct Overflow<'d, 'a> {
    database: &'d mut Database<'a>,
    chain: Chain,
}

impl Read for Overflow<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let chain = &mut self.chain;
        if chain.at == chain.page.len() {
            if chain.left == 0 {
                return Ok(0);
            }
            let page = match self.database.claim(chain.next) {
                true => self.database.page(chain.next),
                false => None,
            };
            let mut page = page.ok_or(Error::from(ErrorKind::InvalidData))?;
            chain.next = be32(&page[..4]);
            let usable = self.database.usable - 4;
            let held = usize::try_from(chain.left).map_or(usable, |left| left.min(usable));
            chain.left -= held as u64;
            page.truncate(4 + held);
            (chain.page, chain.at) = (page, 4);
        }
        let count = into.len().min(chain.page.len() - chain.at);
        into[..count].copy_from_slice(&chain.page[chain.at..chain.at + count]);
        chain.at += count;
        Ok(count)
    }
}

/// Where the cells of a page begin.
fn cells(page: &[u8], from: usize, count: usize) -> impl ExactSizeIterator<Item = usize> {
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
