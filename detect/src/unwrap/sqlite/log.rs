//! What SQLite keeps beside a database: the write-ahead log (`-wal`), which has what the database does
//! not have yet, and the rollback journal (`-journal`), which has what it had before.
//!
//! Both are pages with their numbers, as <https://www.sqlite.org/fileformat2.html> (sections 3 and 4)
//! describes. Their checksums are not asked: what an earlier use of the file left behind its end is there
//! still. Where the log has the page that names the tables, its rows are read by them; a page whose table
//! is named in the database alone gives rows without names. What else a page refers to is in the database
//! and read there. What lies between the pages, or in one whose number no page has, is read as text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::ops::Range;

use zeroize::Zeroizing;

use super::{Batch, Columns, Database, Deleted, INDEX_LEAF, TABLE_LEAF, be32};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::unwrap::bytes::{Bytes, read_up_to};
use crate::unwrap::stream;
use crate::window::{LineBase, Region, Scanner};

/// Pages that are kept count of. Stops: a log of hundreds of gigabytes in small pages.
const MOST_PAGES: usize = 1 << 17;
/// The highest number of a page that is followed. Stops: a note of each of four billion pages.
const LAST_PAGE: u32 = 1 << 24;
/// How a journal begins.
const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Whether `head` begins a log of either kind.
pub(crate) fn is_log(head: &[u8]) -> bool {
    Shape::of(head).is_some()
}

/// How the pages of a log lie in it.
#[derive(PartialEq, Eq)]
struct Shape {
    page: usize,
    /// Where the first one's header begins, and bytes of a header and behind a page.
    first: u64,
    before: u64,
    behind: u64,
}

impl Shape {
    fn of(head: &[u8]) -> Option<Shape> {
        let head = head.first_chunk::<28>()?;
        let wal = matches!(head[..8], [0x37, 0x7f, 6, 0x82 | 0x83, 0, 0x2d, 0xe2, 0x18]);
        let (size, shape) = if wal {
            (be32(&head[8..]), (32, 24, 0))
        } else {
            let sector = u64::from(be32(&head[20..]));
            let journal = head[..8] == JOURNAL && (32..=65536).contains(&sector);
            (journal.then(|| be32(&head[24..]))?, (sector, 4, 4))
        };
        let page = usize::try_from(size).ok()?;
        let sound = (512..=65536).contains(&page) && page.is_power_of_two();
        sound.then_some(Shape {
            page,
            first: shape.0,
            before: shape.1,
            behind: shape.2,
        })
    }
}

impl Shape {
    /// Where a journal's header of the same shape begins in a stretch of it.
    fn header_in(&self, bytes: &Bytes<'_>, stretch: Range<u64>) -> Option<u64> {
        if self.behind == 0 {
            return None;
        }
        let mut held = Zeroizing::default();
        let length = stretch.end - stretch.start + 7;
        read_up_to(&mut bytes.from(stretch.start), length, &mut held).ok()?;
        let mut marks = memchr::memmem::find_iter(&held, &JOURNAL);
        marks.find_map(|mark| {
            let at = stretch.start + mark as u64;
            let mut head = [0_u8; 28];
            let begins = at.is_multiple_of(self.first) && bytes.exact(at, &mut head);
            (begins && Shape::of(&head).as_ref() == Some(self)).then_some(at)
        })
    }
}

/// Reads the pages of a log.
pub(crate) fn read(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let mut head = [0_u8; 28];
    let shape = bytes
        .exact(0, &mut head)
        .then(|| Shape::of(&head))
        .flatten();
    let Some(shape) = shape else {
        return scanner.skipped(&region.member, UnreadWhy::Damaged);
    };
    let listed = Listed::of(scanner, bytes, &shape);
    let mut places = HashMap::new();
    for &(number, place) in &listed.pages {
        match places.entry(number) {
            // Of a journal the first is the oldest, of a log the last is what counts.
            Entry::Occupied(mut known) if shape.behind == 0 => {
                known.insert(place);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(place);
            }
        }
    }
    let mut database = opened(region, bytes, &shape, places, scanner);
    database.limited = listed.cut;
    database.damaged = listed.damaged;
    if let Some(first) = database.page(1) {
        database.told_by(&first);
        database.tables(scanner, region);
    }
    let mut inner = stream::member(scanner, region, b"(pages)");
    inner.format = Format::Json;
    let mut batch = Batch::new(inner);
    let unnamed = Columns::of(b"");
    for (number, place) in listed.pages {
        let counts = database
            .places
            .as_ref()
            .and_then(|places| places.get(&number))
            == Some(&place);
        if counts && !database.claim(number) {
            continue;
        }
        if database.spent(scanner) {
            break;
        }
        database.loose(scanner, number, place, &unnamed, &mut batch);
    }
    batch.flush(scanner);
    database.deleted.flush(scanner);
    let mut inner = stream::member(scanner, region, b"(rest)");
    inner.format = Format::Text;
    for stretch in listed.rest {
        inner.line = LineBase::Fixed(1);
        inner.offset = stretch.start;
        let mut rest = bytes.from(stretch.start).take(stretch.end - stretch.start);
        stream::plain(scanner, &inner, &mut rest);
    }
    if database.limited {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
    if database.damaged {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
}

/// What a log has.
#[derive(Default)]
struct Listed {
    /// The numbers of its pages and where they lie.
    pages: Vec<(u32, u64)>,
    /// Stretches that are no page and not blank.
    rest: Vec<Range<u64>>,
    /// Whether some pages were left out.
    cut: bool,
    /// Whether a page has the number of none.
    damaged: bool,
}

impl Listed {
    fn of(scanner: &Scanner<'_>, bytes: &Bytes<'_>, shape: &Shape) -> Listed {
        let mut listed = Listed::default();
        // The header of a write-ahead log is full.
        let mut at = shape.first.min(bytes.len());
        listed.keep(bytes, 28..at);
        let step = shape.before + shape.page as u64 + shape.behind;
        while at + shape.before + shape.page as u64 <= bytes.len() {
            let mut number = [0_u8; 4];
            let full = listed.pages.len() == MOST_PAGES || listed.rest.len() == MOST_PAGES;
            if !bytes.exact(at, &mut number) || scanner.fuel.is_spent() || full {
                listed.cut = true;
                return listed;
            }
            // Each segment of a journal begins with a header of its own, on the next sector.
            if let Some(header) = shape.header_in(bytes, at..at + step) {
                listed.keep(bytes, at..header);
                at = (header + shape.first).min(bytes.len());
                listed.keep(bytes, (header + 28).min(at)..at);
                continue;
            }
            let number = be32(&number);
            if (1..=LAST_PAGE).contains(&number) {
                listed.pages.push((number, at + shape.before));
            } else if listed.keep(bytes, at..at + step) {
                listed.damaged |= number == 0 && shape.behind == 0;
                listed.cut |= number > 0;
            }
            at += step;
        }
        listed.keep(bytes, at.min(bytes.len())..bytes.len());
        listed
    }

    /// Keeps a stretch that is no page to be read as text, unless it is blank; answers whether it is not.
    fn keep(&mut self, bytes: &Bytes<'_>, stretch: Range<u64>) -> bool {
        let mut chunk = Zeroizing::new([0_u8; 4096]);
        let mut input = bytes
            .from(stretch.start)
            .take(stretch.end.saturating_sub(stretch.start));
        loop {
            match input.read(chunk.as_mut_slice()) {
                Ok(0) => return false,
                Ok(count) if chunk[..count].iter().all(|&b| b == 0) => {}
                _ => break,
            }
        }
        match self.rest.last_mut() {
            Some(last) if last.end == stretch.start => last.end = stretch.end,
            _ => self.rest.push(stretch),
        }
        true
    }
}

/// A database of which nothing is known but some of its pages.
fn opened<'a>(
    region: &Region,
    bytes: &'a Bytes<'a>,
    shape: &Shape,
    places: HashMap<u32, u64>,
    scanner: &mut Scanner<'_>,
) -> Database<'a> {
    let mut remains = stream::member(scanner, region, b"(deleted)");
    remains.format = Format::Text;
    let pages = places.keys().copied().max().unwrap_or(0);
    Database {
        bytes,
        page_size: shape.page,
        places: Some(places),
        usable: shape.page,
        wide: None,
        free: 0,
        pages,
        seen: vec![0; pages as usize / 64 + 1],
        deleted: Deleted {
            region: remains,
            text: Zeroizing::default(),
        },
        damaged: false,
        limited: false,
    }
}

impl Database<'_> {
    /// Takes over what the first page says of all.
    fn told_by(&mut self, first: &[u8]) {
        let reserved = usize::from(first[20]);
        self.usable = self.page_size - reserved.min(self.page_size - 480);
        self.wide = match first[59] {
            2 => Some(true),
            3 => Some(false),
            _ => None,
        };
    }

    /// Reads a page by itself: its rows, and what lies between them.
    fn loose(
        &mut self,
        scanner: &mut Scanner<'_>,
        number: u32,
        place: u64,
        columns: &Columns,
        batch: &mut Batch,
    ) {
        let mut page = Zeroizing::new(vec![0; self.page_size]);
        if self.bytes.from(place).read_exact(&mut page).is_err() {
            self.damaged = true;
            return;
        }
        let head = if number == 1 { 100 } else { 0 };
        if matches!(page[head], TABLE_LEAF | INDEX_LEAF) {
            self.visit(scanner, number, &page, &mut |scanner, row, rest| {
                batch.take(scanner, columns, row, rest);
            });
        } else {
            self.deleted.add(scanner, &page[head..]);
        }
    }
}
