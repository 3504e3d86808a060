//! rpm's record of the files that packages brought, as far as it lies in SQLite: `rpmdb.sqlite`, which
//! Fedora, RHEL 9, their kin and Debian's rpm keep.
//!
//! Of a database (<https://www.sqlite.org/fileformat2.html>) this reads what one question needs: the
//! index over base names, the rows that it leads to, and the header of their package, whose layout
//! rpm's `docs/manual/format_header.md` gives. Not through SQLite itself, which would be a megabyte of C in
//! the process that opens everything; and not through the detector's reader, which hands everything
//! that it reads to the rules. Whoever can write the record is root. It is bounded all the same: a
//! damaged one costs a bounded amount and answers nothing, and without an answer a file's findings count.
//!
//! What is not read: the older forms (Berkeley DB in `Packages`, ndb in `Packages.db`), digests other
//! than MD5 and SHA-256, and what rpm has written beside the database (`rpmdb.sqlite-wal`) and not moved
//! into it yet, as it does when it ends.

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::Root;
use super::packages::Recorded;

/// Where distributions keep the record.
const PLACES: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// Its name where it is read, and where it is not.
const READ: &str = "rpmdb.sqlite";
const NOT_READ: [(&str, &str); 2] = [("Packages", "Berkeley DB"), ("Packages.db", "ndb")];

/// Bytes of pages that one question reads. A kernel's headers have a header of 5 MB, a base name such as
/// `__init__.py` thousands of rows. Stops: a record made to be read for hours.
const WORK: u64 = 256 << 20;

/// Bytes of one row, which holds a package's header.
const LONGEST: u64 = 32 << 20;

/// Rows of one base name that are looked at.
const SAME_NAME: usize = 16_384;

/// Levels of a tree of pages: SQLite's own bound.
const DEEPEST: usize = 20;

/// Kinds of pages of a tree.
const INDEX_INNER: u8 = 2;
const TABLE_INNER: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;

/// Tags of a header: rpm's `docs/manual/tags.md`.
const FILE_DIGESTS: u32 = 1035;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const FILE_DIGEST_ALGORITHM: u32 = 5011;

/// Types of a header's entries.
const INT32: u32 = 4;
const STRING_ARRAY: u32 = 8;

/// OpenPGP's numbers of digests, as the algorithm's tag gives them (RFC 4880, 9.4).
const MD5: u32 = 1;
const SHA256: u32 = 8;

/// rpm's record on one host.
pub(super) struct Record {
    database: Database,
    packages: u32,
    names: u32,
    index: u32,
}

/// The form of a record of rpm's that is there and is not read.
#[must_use]
pub fn not_read(root: &Root) -> Option<&'static str> {
    let there = |place: &str, name: &str| {
        let path = Path::new(place).join(name);
        root.open(&path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
    };
    if PLACES.iter().any(|place| there(place, READ)) {
        return None;
    }
    let old = |form: &&(&str, &str)| PLACES.iter().any(|place| there(place, form.0));
    NOT_READ.iter().find(old).map(|(_, form)| *form)
}

impl Record {
    /// Opens the record of a host; none where there is none that can be read.
    pub(super) fn open(root: &Root) -> Option<Record> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        PLACES.iter().find_map(|place| {
            let path = Path::new(place).join(READ);
            let file = File::from(root.open(&path, flags).ok()?);
            Record::over(Database::open(file)?)
        })
    }

    fn over(mut database: Database) -> Option<Record> {
        let (mut packages, mut names, mut index) = (None, None, None);
        // Rows of the schema: type, name, table, root page, statement.
        database.rows(1, DEEPEST, &mut |_, row| {
            let row = Row::parse(&row)?;
            let root = || row.integer(3).and_then(|page| u32::try_from(page).ok());
            match (row.bytes(0)?, row.bytes(1)?) {
                (b"table", b"Packages") => packages = root(),
                (b"table", b"Basenames") => names = root(),
                (b"index", b"Basenames_key_idx") => index = root(),
                _ => {}
            }
            Some(())
        })?;
        Some(Record {
            database,
            packages: packages?,
            names: names?,
            index: index?,
        })
    }

    /// What a package says of the file `directory` (which ends with a slash) + `name`.
    pub(super) fn digest(&mut self, directory: &[u8], name: &[u8]) -> Option<Recorded> {
        self.database.left = WORK;
        let mut same = Vec::new();
        self.database
            .find_all(self.index, DEEPEST, name, &mut same)?;
        let mut header: Option<(i64, Vec<u8>)> = None;
        for row in same {
            // Rows of the names: name, number of the package's header, which of its files.
            let row = self.database.find(self.names, row)?;
            let row = Row::parse(&row)?;
            let (number, file) = (row.integer(1)?, usize::try_from(row.integer(2)?).ok()?);
            if header.as_ref().is_none_or(|(held, _)| *held != number) {
                let package = self.database.find(self.packages, number)?;
                let blob = Row::parse(&package)?.bytes(1)?.to_vec();
                header = Some((number, blob));
            }
            let (_, blob) = header.as_ref()?;
            if let Some(digest) = digest_in(blob, file, directory, name) {
                return Some(digest);
            }
        }
        None
    }
}

/// What a header says of its file of this number, if it is the one that is asked about.
fn digest_in(blob: &[u8], file: usize, directory: &[u8], name: &[u8]) -> Option<Recorded> {
    let header = Header::parse(blob)?;
    if header.string(BASE_NAMES, file)? != name {
        return None;
    }
    let of = header.number(DIRECTORY_INDEXES, file)?;
    if header.string(DIRECTORY_NAMES, usize::try_from(of).ok()?)? != directory {
        return None;
    }
    let hex = header.string(FILE_DIGESTS, file)?;
    let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(hex).ok()?;
    // Packages that say no algorithm are of the time when there was one.
    match header.number(FILE_DIGEST_ALGORITHM, 0).unwrap_or(MD5) {
        MD5 => Some(Recorded::Md5(digest.try_into().ok()?)),
        SHA256 => Some(Recorded::Sha256(digest.try_into().ok()?)),
        _ => None,
    }
}

/// A package's header: numbers of entries and bytes, entries of tag, type, offset and count, bytes.
struct Header<'a> {
    entries: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(blob: &'a [u8]) -> Option<Header<'a>> {
        let count = usize::try_from(big(blob, 0)?).ok()?;
        let length = usize::try_from(big(blob, 4)?).ok()?;
        let begin = count.checked_mul(16)?.checked_add(8)?;
        Some(Header {
            entries: blob.get(8..begin)?,
            store: blob.get(begin..begin.checked_add(length)?)?,
        })
    }

    /// Where the values of a tag begin, and how many there are.
    fn entry(&self, tag: u32, kind: u32) -> Option<(&'a [u8], usize)> {
        let mut entries = self.entries.chunks_exact(16);
        let entry = entries.find(|entry| big(entry, 0) == Some(tag))?;
        if big(entry, 4)? != kind {
            return None;
        }
        let from = usize::try_from(big(entry, 8)?).ok()?;
        Some((
            self.store.get(from..)?,
            usize::try_from(big(entry, 12)?).ok()?,
        ))
    }

    fn string(&self, tag: u32, at: usize) -> Option<&'a [u8]> {
        let (values, count) = self.entry(tag, STRING_ARRAY)?;
        let mut values = values.split(|byte| *byte == 0);
        (at < count).then(|| values.nth(at)).flatten()
    }

    fn number(&self, tag: u32, at: usize) -> Option<u32> {
        let (values, count) = self.entry(tag, INT32)?;
        (at < count)
            .then(|| big(values, at.checked_mul(4)?))
            .flatten()
    }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// A database, as far as its pages are asked for. Nothing is answered once a bound is reached or a page
/// is not what it should be.
struct Database {
    file: File,
    page_size: usize,
    /// Bytes of a page that hold content.
    usable: usize,
    /// Bytes that may still be read.
    left: u64,
}

/// A page of a tree.
struct Page {
    bytes: Vec<u8>,
    /// Where its own header begins: after the database's on the first page.
    begin: usize,
    kind: u8,
    cells: usize,
}

impl Page {
    /// Where its cell of this number lies.
    fn cell(&self, number: usize) -> Option<usize> {
        let inner = matches!(self.kind, INDEX_INNER | TABLE_INNER);
        let pointers = self.begin + if inner { 12 } else { 8 };
        let at = pointers + 2 * number;
        let pointer = self.bytes.get(at..at + 2)?;
        Some(usize::from(u16::from_be_bytes(pointer.try_into().ok()?)))
    }

    fn child(&self, cell: usize) -> Option<u32> {
        big(&self.bytes, cell)
    }

    fn last_child(&self) -> Option<u32> {
        big(&self.bytes, self.begin + 8)
    }
}

impl Database {
    fn open(file: File) -> Option<Database> {
        let mut head = [0; 100];
        file.read_exact_at(&mut head, 0).ok()?;
        let page_size = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 65_536,
            size if size.is_power_of_two() && size >= 512 => usize::from(size),
            _ => return None,
        };
        // Text in UTF-8 is number 1.
        if !head.starts_with(b"SQLite format 3\0") || big(&head, 56)? != 1 {
            return None;
        }
        let usable = page_size.checked_sub(usize::from(head[20]))?;
        (usable >= 480).then_some(Database {
            file,
            page_size,
            usable,
            left: WORK,
        })
    }

    fn bytes(&mut self, page: u32) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(self.page_size as u64)?;
        let mut bytes = vec![0; self.page_size];
        let at = u64::from(page.checked_sub(1)?) * self.page_size as u64;
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    fn page(&mut self, number: u32) -> Option<Page> {
        let bytes = self.bytes(number)?;
        let begin = if number == 1 { 100 } else { 0 };
        let kind = *bytes.get(begin)?;
        let cells = bytes.get(begin + 3..begin + 5)?;
        let cells = usize::from(u16::from_be_bytes(cells.try_into().ok()?));
        Some(Page {
            bytes,
            begin,
            kind,
            cells,
        })
    }

    /// The payload of `size` bytes whose first part lies at `at` of a page; the rest lies on pages of its
    /// own.
    fn payload(&mut self, page: &Page, at: usize, size: u64) -> Option<Vec<u8>> {
        if size > LONGEST {
            return None;
        }
        let (size, usable) = (usize::try_from(size).ok()?, self.usable);
        let most = if page.kind == TABLE_LEAF {
            usable - 35
        } else {
            (usable - 12) * 64 / 255 - 23
        };
        let here = if size <= most {
            size
        } else {
            let least = (usable - 12) * 32 / 255 - 23;
            let fitting = least + (size - least) % (usable - 4);
            if fitting <= most { fitting } else { least }
        };
        let mut payload = page.bytes.get(at..at.checked_add(here)?)?.to_vec();
        let mut next = if here < size {
            big(&page.bytes, at + here)?
        } else {
            0
        };
        while payload.len() < size {
            let bytes = self.bytes(next)?;
            next = big(&bytes, 0)?;
            let part = (size - payload.len()).min(usable - 4);
            payload.extend_from_slice(bytes.get(4..4 + part)?);
        }
        Some(payload)
    }

    /// Gives every row of a table, with its number.
    fn rows(
        &mut self,
        root: u32,
        depth: usize,
        take: &mut dyn FnMut(i64, Vec<u8>) -> Option<()>,
    ) -> Option<()> {
        let page = self.page(root)?;
        for number in 0..page.cells {
            let cell = page.cell(number)?;
            if page.kind == TABLE_INNER {
                self.rows(page.child(cell)?, depth.checked_sub(1)?, take)?;
            } else {
                let (row, payload) = self.table_cell(&page, cell)?;
                take(row, payload)?;
            }
        }
        if page.kind == TABLE_INNER {
            self.rows(page.last_child()?, depth.checked_sub(1)?, take)?;
        }
        Some(())
    }

    fn table_cell(&mut self, page: &Page, cell: usize) -> Option<(i64, Vec<u8>)> {
        if page.kind != TABLE_LEAF {
            return None;
        }
        let (size, at) = varint(&page.bytes, cell)?;
        let (row, at) = varint(&page.bytes, at)?;
        Some((row.cast_signed(), self.payload(page, at, size)?))
    }

    /// The row of a table that has this number.
    fn find(&mut self, root: u32, wanted: i64) -> Option<Vec<u8>> {
        let mut next = root;
        for _ in 0..DEEPEST {
            let page = self.page(next)?;
            let mut below = None;
            for number in 0..page.cells {
                let cell = page.cell(number)?;
                let key = if page.kind == TABLE_INNER {
                    cell + 4
                } else {
                    varint(&page.bytes, cell)?.1
                };
                let row = varint(&page.bytes, key)?.0.cast_signed();
                if page.kind == TABLE_INNER && wanted <= row {
                    below = Some(page.child(cell)?);
                    break;
                }
                if page.kind != TABLE_INNER && row == wanted {
                    return self.table_cell(&page, cell).map(|(_, payload)| payload);
                }
            }
            if page.kind != TABLE_INNER {
                return None;
            }
            next = match below {
                Some(below) => below,
                None => page.last_child()?,
            };
        }
        None
    }

    /// The numbers of all rows that an index has under this key, which is its first column.
    fn find_all(&mut self, root: u32, depth: usize, key: &[u8], rows: &mut Vec<i64>) -> Option<()> {
        let page = self.page(root)?;
        let inner = page.kind == INDEX_INNER;
        if !inner && page.kind != INDEX_LEAF {
            return None;
        }
        for number in 0..page.cells {
            let cell = page.cell(number)?;
            let (size, at) = varint(&page.bytes, if inner { cell + 4 } else { cell })?;
            let payload = self.payload(&page, at, size)?;
            let row = Row::parse(&payload)?;
            let order = row.bytes(0)?.cmp(key);
            if order == Ordering::Less {
                continue; // so is everything to its left
            }
            if inner {
                self.find_all(page.child(cell)?, depth.checked_sub(1)?, key, rows)?;
            }
            if order == Ordering::Greater {
                return Some(());
            }
            if rows.len() >= SAME_NAME {
                return None;
            }
            rows.push(row.integer(1)?);
        }
        if inner {
            self.find_all(page.last_child()?, depth.checked_sub(1)?, key, rows)?;
        }
        Some(())
    }
}

/// The columns of a row: types first, then values.
struct Row<'a> {
    columns: Vec<(u64, &'a [u8])>,
}

impl<'a> Row<'a> {
    /// No table that is asked here has as many columns.
    const COLUMNS: usize = 8;

    fn parse(payload: &'a [u8]) -> Option<Row<'a>> {
        let (length, mut at) = varint(payload, 0)?;
        let head = payload.get(..usize::try_from(length).ok()?)?;
        let mut rest = payload.get(head.len()..)?;
        let mut columns = Vec::new();
        while at < head.len() && columns.len() < Row::COLUMNS {
            let (kind, next) = varint(head, at)?;
            let size = match kind {
                0 | 8 | 9 => 0,
                1..=4 => kind,
                5 => 6,
                6 | 7 => 8,
                10 | 11 => return None,
                _ => (kind - 12) / 2,
            };
            let value;
            (value, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            columns.push((kind, value));
            at = next;
        }
        Some(Row { columns })
    }

    fn integer(&self, column: usize) -> Option<i64> {
        let (kind, value) = *self.columns.get(column)?;
        match kind {
            8 => Some(0),
            9 => Some(1),
            1..=6 => {
                let negative = value.first().is_some_and(|byte| byte & 0x80 != 0);
                let begin = if negative { -1 } else { 0 };
                Some(
                    value
                        .iter()
                        .fold(begin, |sum: i64, byte| (sum << 8) | i64::from(*byte)),
                )
            }
            _ => None,
        }
    }

    /// A text or a blob.
    fn bytes(&self, column: usize) -> Option<&'a [u8]> {
        let (kind, value) = *self.columns.get(column)?;
        (kind >= 12).then_some(value)
    }
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (read, byte) in bytes.get(at..)?.iter().take(9).enumerate() {
        if read == 8 {
            return Some(((number << 8) | u64::from(*byte), at + 9));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at + read + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
