//! Members of tar and zip, each read as it flows and named.
//!
//! Nothing is extracted, no member's name is used for anything but showing where a match lies, and
//! what cannot be read (encrypted, damaged, over a bound) is named too.

use std::io::{ErrorKind, Read};

use zip::ZipReadOptions;
use zip::read::{Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::bytes::{Bytes, Fueled};
use super::{biff, office, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{Region, Scanner};

/// Members of one archive. Stops: a million empty files.
pub(crate) const MOST_MEMBERS: usize = 20_000;
/// Bytes of a tar header's long name. Stops: a name of gigabytes.
const LONGEST_NAME: usize = 16 * 1024;

/// Bytes of a zip's directory, and of what is searched for it: `MOST_MEMBERS` with names of 160 bytes.
/// Stops: a directory as large as a file may be, which is read twice.
const LARGEST_DIRECTORY: u64 = 4 << 20;

/// Whether `head` begins a zip, or the header of a browser's extension, behind which one stands: where a
/// zip begins is told by its end.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
        || head.starts_with(b"PK\x05\x06")
        || head.starts_with(b"Cr24\x02\0\0\0")
        || head.starts_with(b"Cr24\x03\0\0\0")
}

/// Whether `head` begins a tar with a valid header.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else {
        return false;
    };
    (header[257..262] == *b"ustar" || is_old(header)) && checksum_holds(header)
}

/// Whether a header may be one of before POSIX, which has no mark: a name, numbers, and no names behind
/// that of what a link leads to.
fn is_old(header: &[u8]) -> bool {
    let ends = |field: &[u8]| matches!(field.last(), Some(0 | b' '));
    let numbers = [100..108, 108..116, 116..124, 124..136, 136..148];
    header[154..156] == [0, b' ']
        && header[257..329].iter().all(|&b| b == 0)
        && header[329..].iter().all(|b| matches!(b, b'0'..=b'7' | 0))
        && header[0] > b' '
        && numbers.into_iter().all(|field| {
            let field = &header[field];
            ends(field) && field.iter().all(|b| matches!(b, b'0'..=b'7' | b' ' | 0))
        })
}

fn checksum_holds(header: &[u8]) -> bool {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(byte)
            }
        })
        .sum();
    number(&header[148..156]) == Some(sum)
}

/// Octal, or base 256 where the first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return field[1..]
            .iter()
            .try_fold(u64::from(field[0] & 0x7f), |sum, &b| {
                sum.checked_mul(256)?.checked_add(u64::from(b))
            });
    }
    let digits = field
        .iter()
        .copied()
        .skip_while(|&b| b == b' ')
        .take_while(u8::is_ascii_digit);
    let mut digits = digits;
    digits.try_fold(0_u64, |sum, b| {
        sum.checked_mul(8)?.checked_add(u64::from(b - b'0'))
    })
}

/// Reads a tar's members.
pub(crate) fn tar(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    if let Err(why) = tar_members(scanner, region, input) {
        scanner.skipped(&region.member, why);
    }
}

fn tar_members(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
) -> Result<(), UnreadWhy> {
    let mut long_name: Option<Vec<u8>> = None;
    let mut ends = 0;
    for _ in 0..MOST_MEMBERS {
        let mut header = [0_u8; 512];
        input
            .read_exact(&mut header)
            .map_err(|_| UnreadWhy::Damaged)?;
        if header.iter().all(|&b| b == 0) {
            ends += 1;
            if ends == 2 {
                return Ok(());
            }
            continue;
        }
        let size = number(&header[124..136]).filter(|_| checksum_holds(&header));
        let size = size.ok_or(UnreadWhy::Damaged)?;
        stream::charge(scanner, region, header.len() as u64);
        stream::within(scanner)?;
        let mut body = input.take(size);
        match header[156] {
            b'L' | b'x' => {
                let mut text = Vec::new();
                let mut limited = (&mut body).take(LONGEST_NAME as u64);
                limited
                    .read_to_end(&mut text)
                    .map_err(|_| UnreadWhy::Damaged)?;
                long_name = if header[156] == b'L' {
                    Some(text.into_iter().take_while(|&b| b != 0).collect())
                } else {
                    pax_path(&text).or(long_name)
                };
            }
            // Links, devices, directories and volumes have no content; a global header names none.
            b'1'..=b'6' | b'V' => long_name = None,
            b'g' | b'K' => {}
            // What is not known is a file, as POSIX has it.
            kind => {
                if kind == b'S' {
                    sparse_map(scanner, region, &header, input)?;
                    body = input.take(size);
                }
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                let inner = stream::member(scanner, region, &name);
                stream::read(scanner, &inner, &mut body, None);
            }
        }
        let padding = (512 - size % 512) % 512;
        let left = body.limit();
        stream::skip(scanner, region, input, left.saturating_add(padding))?;
    }
    Err(UnreadWhy::Limit)
}

/// Passes over the rest of the map of a sparse file, GNU's own kind: its content is what it has, its
/// holes left out.
fn sparse_map(
    scanner: &Scanner<'_>,
    region: &Region,
    header: &[u8; 512],
    input: &mut dyn Read,
) -> Result<(), UnreadWhy> {
    let mut more = header[482] != 0;
    while more {
        let mut map = [0_u8; 512];
        input.read_exact(&mut map).map_err(|_| UnreadWhy::Damaged)?;
        stream::charge(scanner, region, map.len() as u64);
        stream::within(scanner)?;
        more = map[504] != 0;
    }
    Ok(())
}

fn short_name(header: &[u8; 512]) -> Vec<u8> {
    let text =
        |field: &[u8]| -> Vec<u8> { field.iter().copied().take_while(|&b| b != 0).collect() };
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    if prefix.is_empty() || &header[257..263] != b"ustar\0" {
        return name;
    }
    [prefix.as_slice(), b"/", &name].concat()
}

fn pax_path(text: &[u8]) -> Option<Vec<u8>> {
    text.split(|&b| b == b'\n').find_map(|line| {
        let at = memchr::memmem::find(line, b" path=")?;
        Some(line[at + 6..].to_vec())
    })
}

/// Reads a zip's members. A zip has its directory at its end, which is read entry by entry: what an
/// index of it would take is for the archive to say.
pub(crate) fn zip(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let directory = bytes.fueled(LARGEST_DIRECTORY);
    let mut archive = match ZipIterable::try_new(directory, Config::default()) {
        Ok(archive) => archive,
        Err(error) => return scanner.skipped(&region.member, reason(&error)),
    };
    if archive.len() > MOST_MEMBERS {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
    let mut body = bytes.fueled(u64::MAX);
    let mut book = Workbook::default();
    let mut strings_at = None;
    entries(scanner, region, &mut archive, &mut |_, entry| {
        let name = entry.name_raw();
        book.is_document |= matches!(name, b"[Content_Types].xml" | b"META-INF/manifest.xml");
        book.has_sheets |= office::Part::of(name) == Some(office::Part::Sheet);
        if name == office::SHARED.as_bytes() {
            strings_at = Some(entry);
        }
        true
    });
    book.has_sheets &= book.is_document;
    if let Some(entry) = strings_at.filter(|entry| book.has_sheets && !entry.encrypted())
        && let Ok(mut file) = entry.with_reader(&mut body, ZipReadOptions::new())
    {
        let inner = stream::member(scanner, region, office::SHARED.as_bytes());
        shared_strings(scanner, &inner, &mut book.shared, &mut file);
    }
    entries(scanner, region, &mut archive, &mut |scanner, entry| {
        if scanner.fuel.is_spent() {
            scanner.skipped(&region.member, UnreadWhy::Limit);
            return false;
        }
        // What is called a directory may have content all the same.
        if !entry.is_dir() || entry.size() > 0 || entry.compressed_size() > 2 {
            member(scanner, region, &mut book, entry, &mut body);
        }
        true
    });
    if let Some(mut unshown) = book.shared.unshown().filter(|_| !book.shared.cut) {
        let mut inner = stream::member(scanner, region, office::SHARED.as_bytes());
        inner.format = Format::Text;
        stream::read(scanner, &inner, &mut unshown, None);
    }
}

/// What is known of an archive that may be an office document.
#[derive(Default)]
struct Workbook {
    is_document: bool,
    has_sheets: bool,
    shared: office::Shared,
}

/// Visits the entries of a zip's directory, as long as it is asked for more.
fn entries<'r>(
    scanner: &mut Scanner<'r>,
    region: &Region,
    archive: &mut ZipIterable<Fueled<'_>>,
    visit: &mut dyn FnMut(&mut Scanner<'r>, ZipFileEntry<'static>) -> bool,
) {
    let files = match archive.files() {
        Ok(files) => files,
        Err(error) => return scanner.skipped(&region.member, reason(&error)),
    };
    files.reader_mut().refuel(LARGEST_DIRECTORY);
    for entry in files.take(MOST_MEMBERS) {
        match entry {
            Ok(entry) => {
                if !visit(scanner, entry) {
                    return;
                }
            }
            Err(error) => return scanner.skipped(&region.member, reason(&error)),
        }
    }
}

/// Reads one member of a zip.
fn member(
    scanner: &mut Scanner<'_>,
    region: &Region,
    book: &mut Workbook,
    entry: ZipFileEntry<'static>,
    body: &mut Fueled<'_>,
) {
    let name = entry.name_raw().to_vec();
    let inner = stream::member(scanner, region, &name);
    if entry.encrypted() {
        return scanner.skipped(&inner.member, UnreadWhy::Encrypted);
    }
    // LZMA and xz are left out: the library undoes them with as much memory as they ask for.
    if !zip::SUPPORTED_COMPRESSION_METHODS.contains(&entry.compression()) {
        return scanner.skipped(&inner.member, UnreadWhy::Unsupported);
    }
    let mut file = match entry.with_reader(body, ZipReadOptions::new()) {
        Ok(file) => file,
        Err(error) => return scanner.skipped(&inner.member, reason(&error)),
    };
    match office::Part::of(&name).filter(|_| book.is_document) {
        Some(part) => document(scanner, inner, part, &mut book.shared, &mut file),
        None if name == office::SHARED.as_bytes() => {
            if !book.has_sheets || book.shared.cut {
                strings(scanner, inner, &mut file);
            }
        }
        None if name == biff::SHARED && book.is_document => records(scanner, inner, &mut file),
        None => {
            stream::read(scanner, &inner, &mut file, None);
        }
    }
}

/// Reads the strings of a workbook in records.
fn records(scanner: &mut Scanner<'_>, mut region: Region, input: &mut dyn Read) {
    region.format = Format::Text;
    match biff::strings(&mut scanner.fuel.meter(input)) {
        Ok((text, cut)) => {
            stream::read(scanner, &region, &mut text.as_slice(), None);
            if cut {
                scanner.skipped(&region.member, UnreadWhy::Limit);
            }
        }
        Err(_) => scanner.skipped(&region.member, UnreadWhy::Damaged),
    }
}

/// Why a zip or a member of it could not be read.
fn reason(error: &ZipError) -> UnreadWhy {
    match error {
        ZipError::Io(error) if error.kind() == ErrorKind::QuotaExceeded => UnreadWhy::Limit,
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            UnreadWhy::Unsupported
        }
        _ => UnreadWhy::Damaged,
    }
}

/// Reads the strings that the sheets of a workbook share, to be shown in their cells.
fn shared_strings(
    scanner: &mut Scanner<'_>,
    region: &Region,
    shared: &mut office::Shared,
    file: &mut dyn Read,
) {
    let read = shared.read(scanner.fuel.meter(file));
    shared.cut |= scanner.fuel.is_spent();
    if read.is_err() {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
    if shared.cut {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
}

/// Reads the strings of a workbook without its sheets: of a damaged one, or of one too large.
fn strings(scanner: &mut Scanner<'_>, mut region: Region, input: &mut dyn Read) {
    region.format = Format::Text;
    match office::strings(scanner.fuel.meter(input)) {
        Ok(mut text) => {
            stream::read(scanner, &region, &mut text, None);
        }
        Err(_) => scanner.skipped(&region.member, UnreadWhy::Damaged),
    }
}

/// Reads one part of an office document.
fn document<'i>(
    scanner: &mut Scanner<'_>,
    mut region: Region,
    part: office::Part,
    shared: &'i mut office::Shared,
    input: &'i mut dyn Read,
) {
    let input = scanner.fuel.meter(input);
    let read = match part {
        office::Part::Text => office::lines(input).map(|mut lines| {
            region.format = Format::Text;
            stream::read(scanner, &region, &mut lines, None);
        }),
        office::Part::Sheet => office::rows(input, shared).map(|mut rows| {
            region.format = Format::Json;
            stream::read(scanner, &region, &mut rows, None);
            if rows.is_cut() {
                scanner.skipped(&region.member, UnreadWhy::Limit);
            }
        }),
    };
    if read.is_err() {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
}
