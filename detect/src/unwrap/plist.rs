//! Binary property lists of Apple's systems, as the JSON that says the same: what apps, their packages
//! and backups of phones keep settings in.
//!
//! The format is that of CoreFoundation's `CFBinaryPList.c`. An object may be held by many others, so
//! that a file of kilobytes can say gigabytes: it is said piece by piece, and what is said counts as
//! unwrapped. Nothing is held but the way to the piece that comes next.

use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::bytes::{Bytes, Fueled};
use super::sqlite::quote;
use super::{charset, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Lists and dictionaries inside one another. Stops: one that holds itself.
const DEEPEST: usize = 32;
/// Bytes that are said for each of the file, and besides. A key that stands in each of a thousand
/// dictionaries is stored once; ten times is much. Stops: a list that doubles itself forty times.
const SAID_PER_BYTE: u64 = 32;
const SAID_BESIDES: u64 = 64 << 10;
/// Bytes of one text or datum that are read. Stops: one of gigabytes.
const LARGEST: u64 = 4 << 20;

/// Whether `head` begins a binary property list.
pub(crate) fn is_plist(head: &[u8]) -> bool {
    head.starts_with(b"bplist0")
}

/// Reads a binary property list.
pub(crate) fn read(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let Some(mut list) = List::open(bytes) else {
        return scanner.skipped(&region.member, UnreadWhy::Damaged);
    };
    let mut inner = region.clone();
    inner.depth += 1;
    inner.format = Format::Json;
    inner.line = LineBase::Fixed(1);
    stream::plain(scanner, &inner, &mut list);
    if list.cut {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
}

/// A list or a dictionary that is being said.
struct Open {
    /// Where its references to keys and values begin; lists have no keys.
    keys: Option<u64>,
    values: u64,
    count: u64,
    next: u64,
}

/// A property list as a stream of JSON.
struct List<'a> {
    /// One reader for each of what lies apart: they go back and forth.
    objects: Fueled<'a>,
    references: Fueled<'a>,
    offsets: Fueled<'a>,
    offset_size: u8,
    reference_size: u8,
    count: u64,
    table: u64,
    open: Vec<Open>,
    /// The object that comes next, before any was said.
    top: Option<u64>,
    ready: Zeroizing<Vec<u8>>,
    at: usize,
    /// Bytes that may still be said.
    left: u64,
    cut: bool,
}

impl<'a> List<'a> {
    fn open(bytes: &'a Bytes<'a>) -> Option<List<'a>> {
        let mut trailer = [0_u8; 32];
        let end = bytes.len().checked_sub(32)?;
        if !bytes.exact(end, &mut trailer) {
            return None;
        }
        let number = |at: usize| {
            trailer[at..at + 8]
                .iter()
                .fold(0, |n, &b| n << 8 | u64::from(b))
        };
        let sizes = [trailer[6], trailer[7]];
        sizes
            .iter()
            .all(|size| (1..=8).contains(size))
            .then(|| List {
                objects: bytes.fueled(u64::MAX),
                references: bytes.fueled(u64::MAX),
                offsets: bytes.fueled(u64::MAX),
                offset_size: sizes[0],
                reference_size: sizes[1],
                count: number(8),
                top: Some(number(16)),
                table: number(24),
                open: Vec::new(),
                ready: Zeroizing::default(),
                at: 0,
                left: bytes.len() * SAID_PER_BYTE + SAID_BESIDES,
                cut: false,
            })
    }

    /// Says the next piece; whether there was one.
    fn step(&mut self) -> std::io::Result<bool> {
        if let Some(top) = self.top.take() {
            self.object(top)?;
            return Ok(true);
        }
        let Some(open) = self.open.last_mut() else {
            return Ok(false);
        };
        if open.next == open.count {
            self.ready.extend_from_slice(match open.keys {
                Some(_) => b"}\n",
                None => b"]\n",
            });
            self.open.pop();
            return Ok(true);
        }
        if open.next > 0 {
            self.ready.extend_from_slice(b",\n");
        }
        let by = open.next.saturating_mul(u64::from(self.reference_size));
        let key = open.keys.map(|keys| keys.saturating_add(by));
        let value = open.values.saturating_add(by);
        open.next += 1;
        if let Some(key) = key {
            let key = number(&mut self.references, key, self.reference_size)?;
            let open = self.open.len();
            self.object(key)?;
            // A key is a text; nothing else is opened as one.
            self.open.truncate(open);
            self.ready.extend_from_slice(b": ");
        }
        let value = number(&mut self.references, value, self.reference_size)?;
        self.object(value)?;
        Ok(true)
    }

    /// Says one object, or opens it.
    fn object(&mut self, number_of_it: u64) -> std::io::Result<()> {
        if number_of_it >= self.count {
            return Err(ErrorKind::InvalidData.into());
        }
        let place = number_of_it.saturating_mul(u64::from(self.offset_size));
        let place = self.table.saturating_add(place);
        let place = number(&mut self.offsets, place, self.offset_size)?;
        let mark = number(&mut self.objects, place, 1)?;
        let (kind, low) = (mark >> 4, mark & 15);
        let mut content = place.saturating_add(1);
        let mut length = low;
        if low == 15 && kind >= 4 {
            let size = number(&mut self.objects, content, 1)?;
            let bytes = 1_u8 << (size & 3);
            length = number(&mut self.objects, content.saturating_add(1), bytes)?;
            content = content.saturating_add(1 + u64::from(bytes));
        }
        match kind {
            0 => self.ready.extend_from_slice(match low {
                8 => b"false",
                9 => b"true",
                _ => b"null",
            }),
            1 if low <= 4 => {
                // Of sixteen bytes the last eight count.
                let bytes = 1_u8 << low.min(3);
                let skipped = if low == 4 { 8 } else { 0 };
                let value = number(&mut self.objects, content.saturating_add(skipped), bytes)?;
                let text = value.cast_signed().to_string();
                self.ready.extend_from_slice(text.as_bytes());
            }
            4 => {
                let data = self.content(content, length)?;
                let text = Zeroizing::new(STANDARD.encode(data.as_slice()));
                quote(text.as_bytes(), &mut self.ready);
            }
            5 | 7 => {
                let text = self.content(content, length)?;
                quote(&text, &mut self.ready);
            }
            6 => {
                let wide = self.content(content, length.saturating_mul(2))?;
                quote(&charset::from_utf16(&wide, false), &mut self.ready);
            }
            10..=13 => self.list(kind == 13, content, length),
            // Reals, dates and ids hold no text.
            _ => self.ready.extend_from_slice(b"null"),
        }
        Ok(())
    }

    /// Opens a list or a dictionary.
    fn list(&mut self, is_dictionary: bool, content: u64, count: u64) {
        if self.open.len() == DEEPEST {
            self.cut = true;
            self.ready.extend_from_slice(b"null");
            return;
        }
        let size = count.saturating_mul(u64::from(self.reference_size));
        self.ready.push(if is_dictionary { b'{' } else { b'[' });
        self.open.push(Open {
            keys: is_dictionary.then_some(content),
            values: content.saturating_add(if is_dictionary { size } else { 0 }),
            count,
            next: 0,
        });
    }

    /// The bytes of a text or a datum, up to a bound.
    fn content(&mut self, at: u64, length: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
        self.cut |= length > LARGEST;
        let mut bytes = Zeroizing::new(Vec::new());
        self.objects.seek(SeekFrom::Start(at))?;
        let objects = &mut self.objects;
        objects.take(length.min(LARGEST)).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length.min(LARGEST) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// A big-endian number of up to eight bytes.
fn number(reader: &mut Fueled<'_>, at: u64, size: u8) -> std::io::Result<u64> {
    reader.seek(SeekFrom::Start(at))?;
    let mut bytes = [0_u8; 8];
    let bytes = &mut bytes[..usize::from(size)];
    reader.read_exact(bytes)?;
    Ok(bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
}

impl Read for List<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            if self.left == 0 {
                self.cut = true;
                return Ok(0);
            }
            while self.ready.is_empty() && self.step().map_err(Error::other)? {}
            self.left = self.left.saturating_sub(self.ready.len() as u64);
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
