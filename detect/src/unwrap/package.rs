//! What packages of systems and of programs are made of: ar (deb), rpm, cpio, and the mini-program
//! packages of WeChat.
//!
//! Members are read as they flow; no name is used for anything but showing where a match lies.

use std::io::Read;

use super::archive::MOST_MEMBERS;
use super::bytes::Bytes;
use super::stream::{self, skip};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{Region, Scanner};

/// Bytes of a member's name. Stops: a name of gigabytes.
const LONGEST_NAME: u64 = 4096;
/// Bytes of an rpm's header: what rpm itself accepts is 256 MiB; those of distributions end at 6.
const LARGEST_HEADER: u64 = 16 << 20;

/// Whether `head` begins an archive of ar(5), a package as a rule. Not a library for a linker, which
/// begins with its table of symbols: its thousands of members are programs' pieces, neither compressed
/// nor in any format that is read, and nothing in them is lost when it is read as one.
pub(crate) fn is_ar(head: &[u8]) -> bool {
    const TABLES: [&[u8]; 3] = [b"/ ", b"/SYM64/", b"__.SYMDEF"];
    let Some(first) = head.strip_prefix(b"!<arch>\n") else {
        return false;
    };
    // BSD's long names stand behind the header.
    let name = match first.strip_prefix(b"#1/") {
        Some(_) => first.get(60..).unwrap_or_default(),
        None => first,
    };
    !TABLES.iter().any(|table| name.starts_with(table))
}

/// Whether `head` begins an rpm, format 3 or later.
pub(crate) fn is_rpm(head: &[u8]) -> bool {
    head.starts_with(&[0xed, 0xab, 0xee, 0xdb, 3]) || head.starts_with(&[0xed, 0xab, 0xee, 0xdb, 4])
}

/// Whether `head` begins an archive of cpio's "new" format, with or without sums.
pub(crate) fn is_cpio(head: &[u8]) -> bool {
    head.starts_with(b"070701") || head.starts_with(b"070702")
}

/// Whether `head` begins an archive of cpio's older formats, in octal digits or in numbers.
pub(crate) fn is_old_cpio(head: &[u8]) -> bool {
    let octal = |field: &[u8]| field.iter().all(|b| matches!(b, b'0'..=b'7'));
    match head {
        [b'0', b'7', b'0', b'7', b'0', b'7', ..] => head.get(6..76).is_some_and(octal),
        [0xc7, 0x71, ..] => {
            let name = head.get(20..22).map_or(0, |size| usize::from(size[0]));
            name > 1 && head.get(25 + name) == Some(&0) && head.get(26) > Some(&b' ')
        }
        _ => false,
    }
}

/// Whether `head` begins a mini-program's package.
pub(crate) fn is_wxapkg(head: &[u8]) -> bool {
    head.first() == Some(&0xbe) && head.get(13) == Some(&0xed)
}

/// What a step through an archive gives, or why it cannot be read further.
type Step<T> = Result<T, UnreadWhy>;

fn exact<const N: usize>(input: &mut dyn Read) -> Step<[u8; N]> {
    let mut bytes = [0_u8; N];
    input
        .read_exact(&mut bytes)
        .map_err(|_| UnreadWhy::Damaged)?;
    Ok(bytes)
}

fn named(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
    length: u64,
) -> Step<Vec<u8>> {
    let mut name = Vec::new();
    let kept = length.min(LONGEST_NAME);
    input
        .take(kept)
        .read_to_end(&mut name)
        .map_err(|_| UnreadWhy::Damaged)?;
    stream::charge(scanner, region, name.len() as u64);
    skip(scanner, region, input, length - kept)?;
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

/// Reads one member of `size` bytes to its end, whatever was read of it.
fn member(
    scanner: &mut Scanner<'_>,
    region: &Region,
    name: &[u8],
    input: &mut dyn Read,
    size: u64,
) -> Step<()> {
    stream::within(scanner)?;
    let inner = stream::member(scanner, region, name);
    let mut body = input.take(size);
    stream::read(scanner, &inner, &mut body, None);
    let left = body.limit();
    skip(scanner, region, input, left)
}

/// Reads the members of an ar.
pub(crate) fn ar(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    let read = (|| {
        exact::<8>(input)?;
        let mut long_names = Vec::new();
        for _ in 0..MOST_MEMBERS {
            let mut header = [0_u8; 60];
            match input.read(&mut header) {
                Ok(0) => return Ok(()),
                Ok(count) => input
                    .read_exact(&mut header[count..])
                    .map_err(|_| UnreadWhy::Damaged)?,
                Err(_) => return Err(UnreadWhy::Damaged),
            }
            stream::charge(scanner, region, header.len() as u64);
            stream::within(scanner)?;
            let mut size = decimal(&header[48..58]).ok_or(UnreadWhy::Damaged)?;
            let padding = size & 1;
            let field = header[..16].trim_ascii_end();
            let name = if field == b"//" {
                long_names = named(scanner, region, input, size)?;
                skip(scanner, region, input, padding)?;
                continue;
            } else if let Some(length) = field.strip_prefix(b"#1/").and_then(decimal) {
                size = size.checked_sub(length).ok_or(UnreadWhy::Damaged)?;
                named(scanner, region, input, length)?
            } else if let Some(at) = field.strip_prefix(b"/").and_then(decimal) {
                let rest = usize::try_from(at).ok().and_then(|at| long_names.get(at..));
                let rest = rest.unwrap_or_default();
                let end = rest.iter().position(|b| matches!(b, b'/' | b'\n'));
                rest[..end.unwrap_or(rest.len())].to_vec()
            } else {
                field.strip_suffix(b"/").unwrap_or(field).to_vec()
            };
            member(scanner, region, &name, input, size)?;
            // The last member may lack its padding.
            let _ = skip(scanner, region, input, padding);
        }
        Err(UnreadWhy::Limit)
    })();
    if let Err(why) = read {
        scanner.skipped(&region.member, why);
    }
}

fn decimal(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

/// Reads an rpm: the texts of its headers, then its payload.
pub(crate) fn rpm(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    let read = (|| {
        exact::<96>(input)?;
        for padded in [true, false] {
            let mark: [u8; 16] = exact(input)?;
            if mark[..3] != [0x8e, 0xad, 0xe8] {
                return Err(UnreadWhy::Damaged);
            }
            let number = |at: usize| {
                u64::from(u32::from_be_bytes([
                    mark[at],
                    mark[at + 1],
                    mark[at + 2],
                    mark[at + 3],
                ]))
            };
            let (entries, size) = (number(8), number(12));
            skip(scanner, region, input, entries * 16)?;
            if size > LARGEST_HEADER {
                skip(scanner, region, input, size)?;
                scanner.skipped(&region.member, UnreadWhy::Limit);
            } else {
                let mut inner = stream::member(scanner, region, b"(header)");
                inner.format = Format::Text;
                let mut texts = input.take(size);
                stream::read(scanner, &inner, &mut texts, None);
                let left = texts.limit();
                skip(scanner, region, input, left)?;
            }
            if padded {
                skip(scanner, region, input, (8 - size % 8) % 8)?;
            }
        }
        Ok(())
    })();
    if let Err(why) = read {
        return scanner.skipped(&region.member, why);
    }
    let mut inner = region.clone();
    inner.depth += 1;
    inner.format = Format::Guess;
    stream::read(scanner, &inner, input, None);
}

/// Reads the members of a cpio.
pub(crate) fn cpio(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    /// The kind of file in a mode, and the one that has content.
    const KIND: u64 = 0o170_000;
    const REGULAR: u64 = 0o100_000;
    let read = (|| {
        for _ in 0..MOST_MEMBERS {
            let header: [u8; 110] = exact(input)?;
            stream::charge(scanner, region, header.len() as u64);
            stream::within(scanner)?;
            if !is_cpio(&header) {
                return Err(UnreadWhy::Damaged);
            }
            let number = |field: usize| {
                let digits = &header[6 + field * 8..14 + field * 8];
                std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .ok_or(UnreadWhy::Damaged)
            };
            let (mode, size, name_size) = (number(1)?, number(6)?, number(11)?);
            let name = named(scanner, region, input, name_size)?;
            skip(scanner, region, input, (4 - (110 + name_size) % 4) % 4)?;
            if name == b"TRAILER!!!" {
                return Ok(());
            }
            if mode & KIND == REGULAR {
                member(scanner, region, &name, input, size)?;
            } else {
                skip(scanner, region, input, size)?;
            }
            skip(scanner, region, input, (4 - size % 4) % 4)?;
        }
        Err(UnreadWhy::Limit)
    })();
    if let Err(why) = read {
        scanner.skipped(&region.member, why);
    }
}

/// Reads the files of a mini-program's package: a list of names, offsets and sizes, then the bytes.
pub(crate) fn wxapkg(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let mut index = bytes.from(14);
    let number =
        |index: &mut dyn Read| -> Step<u64> { Ok(u64::from(u32::from_be_bytes(exact(index)?))) };
    let read = (|| {
        let count = number(&mut index)?;
        for _ in 0..count.min(MOST_MEMBERS as u64) {
            let length = number(&mut index)?;
            let name = named(scanner, region, &mut index, length)?;
            let (at, size) = (number(&mut index)?, number(&mut index)?);
            stream::within(scanner)?;
            let inner = stream::member(scanner, region, &name);
            stream::read(scanner, &inner, &mut bytes.from(at).take(size), None);
        }
        match count > MOST_MEMBERS as u64 {
            true => Err(UnreadWhy::Limit),
            false => Ok(()),
        }
    })();
    if let Err(why) = read {
        scanner.skipped(&region.member, why);
    }
}
