//! A job becomes its answer: scan, then redact.
//!
//! This runs in the detector, which has no voice: nothing here logs, and what it returns holds no
//! secret. It reads descriptors that it was handed at offsets (`pread`), never past the length that
//! the job expects, so that a file that grows without end is read once.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use akwatch_detect::{
    Companion, Detector, Format, Part, Position, Scan, Source, Unread, UnreadWhy, Unreadable,
};
use akwatch_proto::finding::UnknownWhy;
use rustix::io::{Errno, ReadWriteFlags};

use crate::host::packages;
use crate::job::{CompanionHeader, Content, Examined, JobHeader, PartForm, PartHeader};
use crate::redact::{FingerprintKey, Redactor};

mod tail;

use tail::Start;

/// From this size on, reading leaves the page cache as it was, where the kernel can.
const LARGE: u64 = 1 << 20;
/// `RWF_DONTCACHE` (Linux 6.14): pages that this read brought in are dropped after it, others' stay.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// Examines one job: finds what its parts hold, and says it without a secret.
///
/// A header that does not fit its contents is answered as having read nothing.
#[must_use]
pub fn examine(
    detector: &mut Detector,
    key: &FingerprintKey,
    header: &JobHeader,
    contents: &[Content],
) -> Examined {
    let starts: Vec<Start> = header
        .parts
        .iter()
        .zip(contents)
        .map(|(part, content)| tail::start(part, content, key))
        .collect();
    let sources: Vec<Counting<'_>> = header
        .parts
        .iter()
        .zip(contents)
        .zip(&starts)
        .map(|((part, content), start)| Counting::new(Bytes::of(part, content, start.offset)))
        .collect();
    let parts: Vec<Part<'_>> = header
        .parts
        .iter()
        .zip(&sources)
        .zip(&starts)
        .map(|((part, source), start)| Part {
            name: header.names.get(part.name).map_or(b"", Vec::as_slice),
            format: format_of(part.form),
            start: Position {
                offset: start.offset,
                lines: start.lines,
            },
            source,
        })
        .collect();
    let beside: Vec<(&CompanionHeader, Bytes<'_>)> = header
        .companions
        .iter()
        .zip(contents.iter().skip(header.parts.len()))
        .filter_map(|(companion, content)| match content {
            Content::File(file) => Some((companion, Bytes::file(file.as_fd(), 0, companion.bytes))),
            Content::Captured(_) => None,
        })
        .collect();
    let companions: Vec<Companion<'_>> = beside
        .iter()
        .map(|(companion, source)| companion_of(&companion.name, source, companion.above))
        .collect();
    let scan = detector.scan_beside(&parts, &companions);
    let mut examined = answer(detector, key, header, &scan, &sources, &starts);
    for (at, start) in starts.iter().enumerate() {
        examined.began[at] = start.offset;
        examined.lines[at] = examined.lines[at].saturating_add(start.lines);
        examined.marks[at] = tail::end_mark(&header.parts[at], &contents[at], key);
        if examined.found.iter().any(|found| found.part == at) {
            let name = header.names.get(header.parts[at].name);
            examined.sums[at] = name.and_then(|name| sum(name, &header.parts[at], &contents[at]));
        }
    }
    examined
}

/// A file beside a keystore, as the detector asks it.
#[must_use]
pub fn companion_of<'a>(name: &'a [u8], source: &'a dyn Source, above: bool) -> Companion<'a> {
    let part = Part {
        name,
        format: Format::Guess,
        start: Position::default(),
        source,
    };
    Companion { part, above }
}

/// The sum of a whole file, if a package may own one of its name.
fn sum(name: &[u8], part: &PartHeader, content: &Content) -> Option<packages::Sums> {
    let path = Path::new(OsStr::from_bytes(name));
    let file = matches!(content, Content::File(_)) && part.expected <= packages::LARGEST;
    if !file || !packages::may_own(path) {
        return None;
    }
    sum_of(&Bytes::of(part, content, 0))
}

/// The sums of a source; none when it cannot be read.
pub fn sum_of(source: &dyn Source) -> Option<packages::Sums> {
    let mut at = 0;
    let sum = packages::sum(|into| {
        let count = source.read_at(at, into)?;
        at += count as u64;
        Ok::<usize, Unreadable>(count)
    });
    sum.ok()
}

fn answer(
    detector: &mut Detector,
    key: &FingerprintKey,
    header: &JobHeader,
    scan: &Scan,
    sources: &[Counting<'_>],
    starts: &[Start],
) -> Examined {
    let mut redactor = Redactor::new(detector, key, &scan.matches);
    let found = scan
        .matches
        .iter()
        .filter(|found| {
            starts
                .get(found.part)
                .is_none_or(|start| start.keeps(found))
        })
        .filter_map(|found| redactor.found(found))
        .collect();
    let names = header
        .names
        .iter()
        .map(|name| redactor.name(name))
        .collect();
    let exhausted = redactor.exhausted;
    let read: Vec<u64> = (0..header.parts.len())
        .map(|part| scan.read.get(part).copied().unwrap_or(0))
        .collect();
    let lines = (0..header.parts.len())
        .map(|part| sources.get(part).map_or(0, |source| source.lines.get()))
        .collect();
    Examined {
        id: header.id,
        found,
        names,
        began: vec![0; header.parts.len()],
        marks: vec![0; header.parts.len()],
        sums: vec![None; header.parts.len()],
        read,
        lines,
        too_many: scan.too_many || exhausted,
        unread_inside: scan.unread.first().map(unread_inside),
        work: scan.work,
    }
}

/// Why something inside a part is unread. A stream that is compressed as a whole may be read to its last
/// byte and still not be undone: the bytes read do not tell.
fn unread_inside(unread: &Unread) -> UnknownWhy {
    match unread.why {
        UnreadWhy::Limit => UnknownWhy::ReadShort,
        _ => UnknownWhy::Unreadable,
    }
}

/// How the detector calls what the watcher knows of a part's format.
#[must_use]
pub fn format_of(form: PartForm) -> Format {
    match form {
        PartForm::Guess => Format::Guess,
        PartForm::Environ => Format::Environ,
        PartForm::Cmdline => Format::Argv,
        PartForm::BashHistory => Format::BashHistory,
        PartForm::ZshHistory => Format::ZshHistory,
        PartForm::FishHistory => Format::FishHistory,
    }
}

/// A part's bytes: of an open file, or captured.
pub enum Bytes<'a> {
    /// An open file, between an offset and the length that it had when it was opened.
    File {
        /// The descriptor.
        file: BorrowedFd<'a>,
        /// Where the part begins.
        from: u64,
        /// Where it ends.
        end: u64,
        /// Whether reading may still be asked to leave the page cache alone.
        dont_cache: Cell<bool>,
    },
    /// A capture.
    Captured(&'a [u8]),
}

impl<'a> Bytes<'a> {
    /// The bytes of `part` from an offset of its file on.
    #[must_use]
    pub fn of(part: &PartHeader, content: &'a Content, from: u64) -> Bytes<'a> {
        match content {
            Content::File(file) => Bytes::file(file.as_fd(), from, part.expected),
            Content::Captured(captured) => Bytes::Captured(&captured.0),
        }
    }

    /// An open file from `from` up to `end`, both from its start.
    #[must_use]
    pub fn file(file: BorrowedFd<'a>, from: u64, end: u64) -> Bytes<'a> {
        Bytes::File {
            file,
            from,
            end,
            dont_cache: Cell::new(end.saturating_sub(from) >= LARGE),
        }
    }
}

impl Source for Bytes<'_> {
    fn len(&self) -> Option<u64> {
        Some(match self {
            Bytes::File { from, end, .. } => end.saturating_sub(*from),
            Bytes::Captured(bytes) => bytes.len() as u64,
        })
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        match self {
            Bytes::Captured(bytes) => bytes.read_at(at, into),
            Bytes::File {
                file,
                from,
                end,
                dont_cache,
            } => {
                let start = from.checked_add(at).ok_or(Unreadable)?;
                let room = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
                let count = into.len().min(room);
                read_fully(*file, start, &mut into[..count], dont_cache)
            }
        }
    }
}

/// Reads until `into` is full or the file ends, which may be before the length that it had.
fn read_fully(
    file: BorrowedFd<'_>,
    at: u64,
    into: &mut [u8],
    dont_cache: &Cell<bool>,
) -> Result<usize, Unreadable> {
    let mut filled = 0;
    while filled < into.len() {
        let position = at + filled as u64;
        let rest = &mut into[filled..];
        let read = if dont_cache.get() {
            let mut slices = [rustix::io::IoSliceMut::new(rest)];
            match rustix::io::preadv2(file, &mut slices, position, DONT_CACHE) {
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                    dont_cache.set(false);
                    continue;
                }
                done => done,
            }
        } else {
            rustix::io::pread(file, rest, position)
        };
        match read {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(_) => return Err(Unreadable),
        }
    }
    Ok(filled)
}

/// Counts the line breaks of what is read in order, so that the next tail knows its line.
struct Counting<'a> {
    bytes: Bytes<'a>,
    counted_to: Cell<u64>,
    lines: Cell<u32>,
}

impl<'a> Counting<'a> {
    fn new(bytes: Bytes<'a>) -> Counting<'a> {
        Counting {
            bytes,
            counted_to: Cell::new(0),
            lines: Cell::new(0),
        }
    }
}

impl Source for Counting<'_> {
    fn len(&self) -> Option<u64> {
        self.bytes.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let count = self.bytes.read_at(at, into)?;
        let end = at + count as u64;
        let counted = self.counted_to.get();
        // A window that overlaps what was read before adds only what is new; a gap adds nothing.
        if at <= counted && end > counted {
            let new = usize::try_from(counted - at).unwrap_or(count);
            let breaks = memchr::memchr_iter(b'\n', &into[new..count]).count();
            let breaks = u32::try_from(breaks).unwrap_or(u32::MAX);
            self.lines.set(self.lines.get().saturating_add(breaks));
            self.counted_to.set(end);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
