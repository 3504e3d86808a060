//! Members of tar and zip, each read as it flows and named.
//!
//! Nothing is extracted, no member's name is used for anything but showing where a match lies, and
//! what cannot be read (encrypted, damaged, over a bound) is named too.

use std::io::{BufReader, Read};

use super::bytes::Bytes;
use super::{office, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{Region, Scanner};

/// Members of one archive. Stops: a million empty files.
pub(crate) const MOST_MEMBERS: usize = 20_000;
/// Bytes of a tar header's long name. Stops: a name of gigabytes.
const LONGEST_NAME: usize = 16 * 1024;

/// Whether `head` begins a zip.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Whether `head` begins a tar with a valid header.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar") && head.get(..512).is_some_and(checksum_holds)
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
    let mut long_name: Option<Vec<u8>> = None;
    let mut ends = 0;
    for _ in 0..MOST_MEMBERS {
        let mut header = [0_u8; 512];
        if input.read_exact(&mut header).is_err() {
            scanner.skipped(&region.member, UnreadWhy::Damaged);
            return;
        }
        if header.iter().all(|&b| b == 0) {
            ends += 1;
            if ends == 2 {
                return;
            }
            continue;
        }
        let size = number(&header[124..136]).filter(|_| checksum_holds(&header));
        let Some(size) = size else {
            scanner.skipped(&region.member, UnreadWhy::Damaged);
            return;
        };
        let mut body = input.take(size);
        match header[156] {
            b'L' | b'x' => {
                let mut text = Vec::new();
                let mut limited = (&mut body).take(LONGEST_NAME as u64);
                if limited.read_to_end(&mut text).is_err() {
                    scanner.skipped(&region.member, UnreadWhy::Damaged);
                    return;
                }
                long_name = if header[156] == b'L' {
                    Some(text.into_iter().take_while(|&b| b != 0).collect())
                } else {
                    pax_path(&text).or(long_name)
                };
            }
            b'0' | 0 | b'7' => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                let inner = stream::member(scanner, region, &name);
                stream::read(scanner, &inner, &mut body, None);
            }
            _ => long_name = None,
        }
        let padding = (512 - size % 512) % 512;
        let skipped = std::io::copy(&mut body, &mut std::io::sink());
        let padded = std::io::copy(&mut input.take(padding), &mut std::io::sink());
        if skipped.is_err() || padded.is_err() {
            scanner.skipped(&region.member, UnreadWhy::Damaged);
            return;
        }
    }
    scanner.skipped(&region.member, UnreadWhy::Limit);
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

/// Reads a zip's members. A zip has its directory at its end.
pub(crate) fn zip(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let Ok(mut archive) = zip::ZipArchive::new(BufReader::new(bytes.from(0))) else {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
        return;
    };
    if archive.len() > MOST_MEMBERS {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
    let is_document = archive.index_for_name("[Content_Types].xml").is_some()
        || archive.index_for_name("META-INF/manifest.xml").is_some();
    let has_sheets = is_document
        && archive
            .file_names()
            .flatten()
            .any(|name| office::Part::of(name.as_bytes()) == Some(office::Part::Sheet));
    let mut shared = office::Shared::default();
    if has_sheets && let Ok(mut file) = archive.by_name(office::SHARED) {
        let inner = stream::member(scanner, region, office::SHARED.as_bytes());
        shared_strings(scanner, &inner, &mut shared, &mut file);
    }
    for index in 0..archive.len().min(MOST_MEMBERS) {
        if scanner.unwrapped > scanner.limits.unwrapped {
            scanner.skipped(&region.member, UnreadWhy::Limit);
            return;
        }
        let name = archive
            .by_index_raw(index)
            .map(|file| (file.name_raw().to_vec(), file.encrypted(), file.is_dir()));
        let Ok((name, encrypted, is_dir)) = name else {
            scanner.skipped(&region.member, UnreadWhy::Damaged);
            continue;
        };
        if is_dir {
            continue;
        }
        let inner = stream::member(scanner, region, &name);
        if encrypted {
            scanner.skipped(&inner.member, UnreadWhy::Encrypted);
            continue;
        }
        match archive.by_index(index) {
            Ok(mut file) => match office::Part::of(&name).filter(|_| is_document) {
                Some(part) => document(scanner, inner, part, &mut shared, &mut file),
                None if name == office::SHARED.as_bytes() => {
                    if !has_sheets || shared.cut {
                        strings(scanner, inner, &mut file);
                    }
                }
                None => {
                    stream::read(scanner, &inner, &mut file, None);
                }
            },
            Err(zip::result::ZipError::UnsupportedArchive(_)) => {
                scanner.skipped(&inner.member, UnreadWhy::Unsupported);
            }
            Err(_) => scanner.skipped(&inner.member, UnreadWhy::Damaged),
        }
    }
    if let Some(mut unshown) = shared.unshown().filter(|_| !shared.cut) {
        let mut inner = stream::member(scanner, region, office::SHARED.as_bytes());
        inner.format = Format::Text;
        stream::read(scanner, &inner, &mut unshown, None);
    }
}

/// Reads the strings that the sheets of a workbook share, to be shown in their cells.
fn shared_strings(
    scanner: &mut Scanner<'_>,
    region: &Region,
    shared: &mut office::Shared,
    file: &mut zip::read::ZipFile<'_, impl Read>,
) {
    let size = file.size();
    let room = scanner.limits.unwrapped.saturating_sub(scanner.unwrapped);
    let mut input = file.take(room);
    let read = shared.read(&mut input, size);
    let left = input.limit();
    scanner.unwrapped += room - left;
    shared.cut |= left == 0;
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
    match office::strings(input) {
        Ok(mut text) => {
            stream::read(scanner, &region, &mut text, None);
        }
        Err(_) => scanner.skipped(&region.member, UnreadWhy::Damaged),
    }
}

/// Reads one part of an office document.
fn document(
    scanner: &mut Scanner<'_>,
    mut region: Region,
    part: office::Part,
    shared: &mut office::Shared,
    input: &mut dyn Read,
) {
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
