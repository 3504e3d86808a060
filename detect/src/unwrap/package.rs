//! What packages of systems and of programs are made of: ar (deb), rpm, cpio, and the mini-program
//! packages of WeChat.
//!
//! Members are read as they flow; no name is used for anything but showing where a match lies.

use std::io::{ErrorKind, Read};

use zeroize::Zeroizing;

use super::archive::MOST_MEMBERS;
use super::bytes::Bytes;
use super::dump;
use super::stream::{self, skip};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Bytes of a member's name. Stops: a name of gigabytes.
const LONGEST_NAME: u64 = 4096;
/// Bytes of an rpm's header: what rpm itself accepts is 256 MiB; those of distributions end at 6.
const LARGEST_HEADER: u64 = 16 << 20;

/// Whether `head` begins an archive of ar(5): a package, or a library for a linker.
pub(crate) fn is_ar(head: &[u8]) -> bool {
    head.starts_with(AR)
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

/// Reads the members of an ar. The pieces of programs in it, of which a library for a linker has thousands,
/// are read together as one text: neither compressed nor in any format that is read, each would cost what a
/// file costs.
pub(crate) fn ar(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    let read = (|| {
        let mut buffered = Buffered::new(input);
        exact::<8>(&mut buffered)?;
        let mut members = Members {
            input: buffered,
            at: AR.len() as u64,
            begun: Zeroizing::default(),
            given: 0,
            left: 0,
            padding: 0,
            piece: false,
            body: 0,
            long_names: Vec::new(),
            why: None,
        };
        let mut more = members.advance()?;
        for _ in 0..MOST_MEMBERS {
            if more && members.piece {
                let mut inner = region.clone();
                inner.format = Format::Text;
                inner.line = LineBase::Fixed(1);
                inner.offset += members.at;
                stream::plain(scanner, &inner, &mut members);
                if let Some(why) = members.why {
                    return Err(why);
                }
                more = !members.begun.is_empty();
            }
            if !more {
                return Ok(());
            }
            stream::charge(scanner, region, HEADER as u64);
            stream::within(scanner)?;
            members.open(scanner, region)?;
            more = members.advance()?;
        }
        Err(UnreadWhy::Limit)
    })();
    if let Err(why) = read {
        scanner.skipped(&region.member, why);
    }
}

/// What an ar begins with.
const AR: &[u8] = b"!<arch>\n";
/// Bytes of a member's header.
const HEADER: usize = 60;
/// Bytes of a member in which an object's mark is looked for, and what says that it is a core file.
const MARK: u64 = 32;
/// The same of what lies under a table's name: the mark of a tar stands at 257.
const TAR: u64 = 512;
/// Bytes of the member that holds long names. Stops: names of gigabytes.
const LONG_NAMES: u64 = 1 << 20;

/// Bytes that are asked of an archive at once: its headers are short and many.
const AHEAD: usize = 32 << 10;

/// A stream that is read ahead; what was read is wiped.
struct Buffered<'a> {
    input: &'a mut dyn Read,
    ahead: Zeroizing<Vec<u8>>,
    given: usize,
    filled: usize,
}

impl<'a> Buffered<'a> {
    fn new(input: &'a mut dyn Read) -> Buffered<'a> {
        Buffered {
            input,
            ahead: Zeroizing::new(vec![0; AHEAD]),
            given: 0,
            filled: 0,
        }
    }
}

impl Read for Buffered<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.filled {
            if into.len() >= AHEAD {
                return self.input.read(into);
            }
            self.filled = 0;
            self.given = 0;
            self.filled = self.input.read(&mut self.ahead)?;
        }
        let ready = &self.ahead[self.given..self.filled];
        let count = ready.len().min(into.len());
        into[..count].copy_from_slice(&ready[..count]);
        self.given += count;
        Ok(count)
    }
}

/// The members of an ar, one after another. What is read from it are the pieces of programs from the
/// current one on, as they stand, up to the first member that is none.
struct Members<'a> {
    input: Buffered<'a>,
    /// Bytes of the archive before the current member.
    at: u64,
    /// The current member's header and first bytes; empty at the archive's end.
    begun: Zeroizing<Vec<u8>>,
    /// How many of these were given.
    given: usize,
    /// Bytes of it that follow these, without what pads it.
    left: u64,
    padding: u64,
    /// Whether it is a piece of a program, or a table of pieces' names.
    piece: bool,
    /// Where the member's content begins in `begun`, behind a name that stands there.
    body: usize,
    long_names: Vec<u8>,
    /// Why no more of them can be read.
    why: Option<UnreadWhy>,
}

impl Members<'_> {
    /// Goes on to the next member; the current one was read to its end.
    fn advance(&mut self) -> Step<bool> {
        self.at += self.begun.len() as u64;
        self.begun.clear();
        self.given = 0;
        let count = self.more(HEADER as u64)?;
        if count == 0 {
            return Ok(false);
        }
        let header = self.begun.first_chunk().ok_or(UnreadWhy::Damaged)?;
        let header: [u8; HEADER] = *header;
        let size = decimal(&header[48..58]).ok_or(UnreadWhy::Damaged)?;
        let field = header[..16].trim_ascii_end();
        let inside = field.strip_prefix(b"#1/").and_then(decimal);
        let name = inside.unwrap_or(0);
        if name > LONGEST_NAME {
            return Err(UnreadWhy::Limit);
        }
        let head = match field {
            b"//" => LONG_NAMES,
            _ if is_table(field) => name + TAR,
            _ => name + MARK,
        };
        let head = self.more(head.min(size))?;
        if name > head {
            return Err(UnreadWhy::Damaged);
        }
        (self.left, self.padding) = (size - head, size & 1);
        self.body = HEADER + usize::try_from(name).unwrap_or(0);
        if field == b"//" {
            self.long_names = self.begun[HEADER..].to_vec();
        }
        self.piece = is_piece(self.field(&header), &self.begun[self.body..]);
        Ok(true)
    }

    /// The current member's name as it stands in its `header` or behind that.
    fn field<'m>(&'m self, header: &'m [u8]) -> &'m [u8] {
        match self.body {
            HEADER => header[..16].trim_ascii_end(),
            body => {
                let name = &self.begun[HEADER..body];
                &name[..memchr::memchr(0, name).unwrap_or(name.len())]
            }
        }
    }

    /// The current member's name.
    fn name(&self) -> Vec<u8> {
        let field = self.field(&self.begun);
        let place = field.strip_prefix(b"/").and_then(decimal);
        match place.filter(|_| self.body == HEADER) {
            Some(at) => {
                let rest = usize::try_from(at).ok();
                let rest = rest.and_then(|at| self.long_names.get(at..));
                let rest = rest.unwrap_or_default();
                let end = rest.iter().position(|b| matches!(b, b'/' | b'\n'));
                rest[..end.unwrap_or(rest.len())].to_vec()
            }
            None if is_table(field) => field.to_vec(),
            None => field.strip_suffix(b"/").unwrap_or(field).to_vec(),
        }
    }

    /// Reads up to `bytes` more of what the current member begins with.
    fn more(&mut self, bytes: u64) -> Step<u64> {
        let from = self.begun.len();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.begun.resize(from.saturating_add(bytes), 0);
        let mut filled = from;
        while filled < self.begun.len() {
            match self.input.read(&mut self.begun[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(UnreadWhy::Damaged),
            }
        }
        self.begun.truncate(filled);
        Ok((filled - from) as u64)
    }

    /// Reads the current member as a file of its own.
    fn open(&mut self, scanner: &mut Scanner<'_>, region: &Region) -> Step<()> {
        let name = self.name();
        let content = &self.begun[self.body..];
        let size = content.len() as u64 + self.left;
        let mut body = content.chain(&mut self.input);
        member(scanner, region, &name, &mut body, size)?;
        self.at += self.left + self.padding;
        // The last member may lack its padding.
        skip(scanner, region, &mut self.input, self.padding).or(Ok(()))
    }
}

impl Read for Members<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.piece && !self.begun.is_empty() {
            let begun = &self.begun[self.given..];
            if !begun.is_empty() {
                let count = begun.len().min(into.len());
                into[..count].copy_from_slice(&begun[..count]);
                self.given += count;
                return Ok(count);
            }
            let left = self.left + self.padding;
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
            if left > 0 {
                let read = self.input.read(&mut into[..room]);
                if matches!(&read, Err(error) if error.kind() != ErrorKind::Interrupted) {
                    self.begun.clear();
                }
                let count = read?;
                if count == 0 {
                    // The last member may lack its padding.
                    self.why = (self.left > 0).then_some(UnreadWhy::Damaged);
                    self.begun.clear();
                    return Ok(0);
                }
                self.at += count as u64;
                let padding = (count as u64).saturating_sub(self.left);
                self.left -= count as u64 - padding;
                self.padding -= padding;
                return Ok(count);
            }
            if let Err(why) = self.advance() {
                self.why = Some(why);
                self.begun.clear();
            }
        }
        Ok(0)
    }
}

/// Whether a member is a piece of a program, or a table of pieces' names, by its name and its first bytes.
fn is_piece(name: &[u8], content: &[u8]) -> bool {
    const OBJECTS: [&[u8]; 15] = [
        b"\0\0\xff\xff",
        b"\x7fELF",
        // COFF for x86, ARM and both with 64 bits; imports, and those with many sections, are first.
        b"\x4c\x01",
        b"\x64\x86",
        b"\xc4\x01",
        b"\x64\xaa",
        // Mach-O.
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        // LLVM's and WebAssembly's; Go's and Rust's descriptions of a library.
        b"BC\xc0\xde",
        b"\0asm",
        b"go object ",
        b"rust\0\0\0",
    ];
    let object = OBJECTS.iter().any(|mark| content.starts_with(mark));
    object && !dump::is_core(content) || is_table(name) && !stream::is_container(content)
}

/// Whether a member's name says that it holds names of the others.
fn is_table(name: &[u8]) -> bool {
    matches!(name, b"/" | b"//" | b"/SYM64/") || name.starts_with(b"__.SYMDEF")
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
