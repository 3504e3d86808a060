//! What a stream is wrapped in, told by its first bytes, and how each is opened.

use std::io::{Cursor, Read};

use akwatch_proto::place::Encoding;

use super::bytes::Bytes;
use super::compressed::{Compression, Input};
use super::fuel::Metered;
use super::sqlite::log;
use super::stream::{self, Opened};
use super::{archive, charset, dump, git, inline, package, pdf, plist, sqlite};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Something that holds other bytes than those that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// A compressed stream.
    Compressed(Compression),
    /// tar, POSIX or GNU.
    Tar,
    /// zip and its kin: jar, apk, ipa, docx.
    Zip,
    /// ar(5): deb.
    Ar,
    /// rpm.
    Rpm,
    /// cpio.
    Cpio,
    /// A SQLite database.
    Sqlite,
    /// What SQLite writes beside a database: a log of pages, before or after they were changed.
    SqliteLog,
    /// A pack of Git objects.
    Pack,
    /// A bundle: a pack with its refs.
    Bundle,
    /// A mini-program of WeChat.
    Wxapkg,
    /// A dump of a process's memory.
    Core,
    /// An image of a disk: its files are not known, the texts in it are read as a dump's are.
    Image,
    /// PDF.
    Pdf,
    /// A binary property list.
    Plist,
    /// UTF-16, little-endian or not.
    Utf16(bool),
    /// GB18030.
    Gbk,
    /// A message whose parts are quoted-printable.
    QuotedPrintable,
    /// Known, and nothing here opens it: said, never skipped in silence.
    Unknown,
}

impl Container {
    /// What `head`, the first bytes of a file called `name` that was undone from `encoding`, begins with.
    pub(crate) fn of(head: &[u8], name: &[u8], encoding: &[Encoding]) -> Option<Container> {
        let first = *head.first()?;
        // Texts come first: most files are.
        let marked = match first {
            b'P' | b'C' if archive::is_zip(head) => Some(Container::Zip),
            b'P' if git::is_pack(head) => Some(Container::Pack),
            b'%' if pdf::is_pdf(head) => Some(Container::Pdf),
            b'b' if plist::is_plist(head) => Some(Container::Plist),
            b'S' if sqlite::is_sqlite(head) => Some(Container::Sqlite),
            0x37 | 0xd9 if log::is_log(head) => Some(Container::SqliteLog),
            b'#' if git::is_bundle(head) => Some(Container::Bundle),
            0x7f if dump::is_core(head) => Some(Container::Core),
            b'!' if package::is_ar(head) => Some(Container::Ar),
            b'0' if package::is_cpio(head) => Some(Container::Cpio),
            0xed if package::is_rpm(head) => Some(Container::Rpm),
            0xbe if package::is_wxapkg(head) => Some(Container::Wxapkg),
            _ if is_unknown(head) => Some(Container::Unknown),
            _ => Compression::of(head).map(Container::Compressed),
        };
        marked
            .or_else(|| archive::is_tar(head).then_some(Container::Tar))
            .or_else(|| is_image(head).then_some(Container::Image))
            .or_else(|| charset::utf16_order(head).map(Container::Utf16))
            .or_else(|| charset::is_gbk(head).then_some(Container::Gbk))
            .or_else(|| is_message(head, name, encoding).then_some(Container::QuotedPrintable))
    }

    /// Whether what it holds is known by members' names.
    fn names_members(&self) -> bool {
        matches!(
            self,
            Container::Tar
                | Container::Zip
                | Container::Ar
                | Container::Cpio
                | Container::Rpm
                | Container::Wxapkg
                | Container::Pdf
        )
    }

    /// Reads what it holds.
    pub(crate) fn open<'r>(
        self,
        scanner: &mut Scanner<'r>,
        region: &Region,
        mut opened: Opened<'_>,
    ) {
        let stored = self.names_members().then(|| as_stored(region)).flatten();
        let region = stored.as_ref().unwrap_or(region);
        let random = matches!(
            self,
            Container::Zip
                | Container::Sqlite
                | Container::SqliteLog
                | Container::Pack
                | Container::Bundle
                | Container::Wxapkg
                | Container::Pdf
                | Container::Plist
        );
        if random {
            let Some(bytes) = Bytes::of(scanner, region, &mut opened) else {
                return;
            };
            return match self {
                Container::Zip => archive::zip(scanner, region, &bytes),
                Container::Sqlite => sqlite::read(scanner, region, &bytes),
                Container::SqliteLog => log::read(scanner, region, &bytes),
                Container::Pack => git::pack(scanner, region, &bytes),
                Container::Bundle => git::bundle(scanner, region, &bytes),
                Container::Pdf => pdf::read(scanner, region, &bytes),
                Container::Plist => plist::read(scanner, region, &bytes),
                _ => package::wxapkg(scanner, region, &bytes),
            };
        }
        let mut input = Cursor::new(opened.head).chain(opened.rest);
        match self {
            Container::Tar => archive::tar(scanner, region, &mut input),
            Container::Ar => package::ar(scanner, region, &mut input),
            Container::Rpm => package::rpm(scanner, region, &mut input),
            Container::Cpio => package::cpio(scanner, region, &mut input),
            Container::Compressed(compression) => {
                let input = scanner.fuel.meter(input);
                compressed(scanner, region, compression, input);
            }
            Container::Utf16(little) => {
                let inner = encoded(region, Encoding::Utf16);
                let input = scanner.fuel.meter(input);
                stream::read(scanner, &inner, &mut charset::utf16(input, little), None);
            }
            Container::Gbk => {
                let inner = encoded(region, Encoding::Gbk);
                let input = scanner.fuel.meter(input);
                stream::read(scanner, &inner, &mut charset::gbk(input), None);
            }
            Container::Core => texts(scanner, region, input),
            Container::Image => {
                scanner.skipped(&region.member, UnreadWhy::Unsupported);
                texts(scanner, region, input);
            }
            Container::QuotedPrintable => {
                let (_, rest) = input.into_inner();
                quoted(scanner, region, opened.head, rest);
            }
            Container::Zip
            | Container::Sqlite
            | Container::SqliteLog
            | Container::Pack
            | Container::Bundle
            | Container::Wxapkg
            | Container::Pdf
            | Container::Plist
            | Container::Unknown => scanner.skipped(&region.member, UnreadWhy::Unsupported),
        }
    }
}

/// Reads the texts in a dump or an image.
fn texts(scanner: &mut Scanner<'_>, region: &Region, input: Input<'_>) {
    let mut inner = region.clone();
    inner.depth += 1;
    inner.format = Format::Text;
    inner.line = LineBase::Fixed(1);
    let input = scanner.fuel.meter(input);
    stream::plain(scanner, &inner, &mut dump::texts(input));
}

/// Reads a message whose parts are quoted-printable.
fn quoted(scanner: &mut Scanner<'_>, region: &Region, head: &[u8], rest: &mut dyn Read) {
    let mut inner = encoded(region, Encoding::QuotedPrintable);
    inner.format = Format::Guess;
    let body = quoted_body(head, quoted_around(&region.encoding));
    let (header, body) = head.split_at(body.unwrap_or_default());
    let body = scanner.fuel.meter(Cursor::new(body).chain(rest));
    let mut decoder = header.chain(charset::quoted_printable(body));
    stream::read(scanner, &inner, &mut decoder, None);
}

/// Reads what a compressed stream holds.
fn compressed(
    scanner: &mut Scanner<'_>,
    region: &Region,
    compression: Compression,
    input: Metered<Input<'_>>,
) {
    let mut inner = encoded(region, Encoding::Compressed);
    // What stands inside a text is called like the text, and is none of its kind.
    let inline = matches!(region.line, LineBase::Fixed(_));
    if inner.format == Format::Guess && !inline {
        let name = &region.member.name;
        let ending = compression
            .endings()
            .iter()
            .find(|ending| name.ends_with(ending));
        let bare = &name[..name.len() - ending.map_or(0, |ending| ending.len())];
        inner.format = crate::places::format_of(bare);
    }
    let mut decoder = compression.decoder(input);
    if compression == Compression::Zlib {
        object(scanner, &inner, &mut decoder);
    } else {
        stream::read(scanner, &inner, &mut decoder, None);
    }
}

/// The region of an archive that lay in a compressed stream: how an archive is stored is no encoding of
/// what its members say, and their names tell the way. A compressed file that holds nothing but its own
/// text has no such names, so there *compressed* is said.
fn as_stored(region: &Region) -> Option<Region> {
    (region.encoding.last() == Some(&Encoding::Compressed)).then(|| {
        let mut inner = region.clone();
        inner.encoding.pop();
        inner
    })
}

/// The region of what an encoding held.
fn encoded(region: &Region, encoding: Encoding) -> Region {
    let mut inner = region.clone();
    inner.depth += 1;
    inner.encoding.push(encoding);
    inner
}

/// Reads a zlib stream, which may be a loose object of Git: its header is taken off, and the names
/// of files that a tree holds are not read.
fn object(scanner: &mut Scanner<'_>, region: &Region, decoder: &mut dyn Read) {
    let mut head = [0_u8; 32];
    let mut filled = 0;
    while filled < head.len() {
        match decoder.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(_) => return scanner.skipped(&region.member, UnreadWhy::Damaged),
        }
    }
    let head = &head[..filled];
    let skipped = match git::header(head) {
        Some((git::Kind::Tree, _)) => return,
        Some((_, length)) => length,
        None => 0,
    };
    let mut input = Cursor::new(&head[skipped..]).chain(decoder);
    stream::read(scanner, region, &mut input, None);
}

/// A message (RFC 5322) that says that its text is quoted-printable.
fn is_message(head: &[u8], name: &[u8], encoding: &[Encoding]) -> bool {
    let named = [&b".eml"[..], b".mbox", b".mht", b".mhtml"]
        .iter()
        .any(|ending| name.ends_with(ending));
    let begins = || begins_message(inline::unmarked(head));
    let converted = matches!(encoding.last(), Some(Encoding::Gbk | Encoding::Utf16));
    (named || converted || begins()) && quoted_body(head, quoted_around(encoding)).is_some()
}

/// Whether a text begins with a field that messages begin with.
pub(crate) fn begins_message(head: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"From ",
        b"From:",
        b"Return-Path:",
        b"Received:",
        b"Delivered-To:",
        b"MIME-Version:",
        b"Message-ID:",
        b"Content-Type:",
        b"Content-Transfer-Encoding:",
    ];
    let first = head.first().map(u8::to_ascii_uppercase);
    matches!(first, Some(b'F' | b'R' | b'D' | b'M' | b'C'))
        && FIELDS.iter().any(|field| begins_with(head, field))
}

/// Where the body of a message (RFC 5322) begins that says that it is quoted-printable, or of one that is
/// the body of `outer` others, which say so still after they were undone.
fn quoted_body(head: &[u8], outer: usize) -> Option<usize> {
    let head = &head[..head.len().min(LONGEST_HEADER)];
    let mut body = 0;
    for nested in 0..=outer {
        let field = quoted_field(head, body)?;
        // The parts of one message are not inside one another, nor is what follows a body's own words.
        if nested > 0 && !is_header(&head[body..field]) {
            return None;
        }
        body = field + blank_line(&head[field..])?;
        if nested > 0 && !may_be_quoted(&head[body..]) {
            return None;
        }
    }
    Some(body)
}

/// Whether `text` is nothing but fields of a message's header.
fn is_header(text: &[u8]) -> bool {
    let lines = text.split_inclusive(|&b| b == b'\n');
    lines.enumerate().all(|(number, line)| {
        let name = line
            .iter()
            .take_while(|b| matches!(b, b'!'..=b'9' | b';'..=b'~'));
        let name = name.count();
        let folded = number > 0 && matches!(line[0], b' ' | b'\t') && !line.trim_ascii().is_empty();
        // Between messages of one mailbox stands `From …`.
        let field = name > 0 && line[name..].trim_ascii_start().first() == Some(&b':');
        folded || field || line.trim_ascii().starts_with(b">From ")
    })
}

/// Whether a text that was undone may be quoted-printable again: most of its `=` are followed by what the
/// encoding follows them with, a line's end or two digits, which it writes in capitals.
fn may_be_quoted(text: &[u8]) -> bool {
    let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
    let signs = memchr::memchr_iter(b'=', text);
    let (mut escapes, mut others) = (0, 0);
    for at in signs {
        match &text[at + 1..] {
            [b'\r' | b'\n', ..] | [] => escapes += 1,
            [high, low, ..] if digit(high) && digit(low) => escapes += 1,
            _ => others += 1,
        }
    }
    escapes >= others
}

/// Bytes in which the header of a message ends.
const LONGEST_HEADER: usize = 16 << 10;

/// Where the next line begins that says *quoted-printable*, in any of the ways that RFC 2045 and RFC 5322
/// allow: letters of either case, blanks before the colon, the value on the next line, behind a comment or
/// between quotes.
fn quoted_field(head: &[u8], from: usize) -> Option<usize> {
    let mark = if head[from..].starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let ends = memchr::memchr_iter(b'\n', &head[from..]).map(|end| from + end + 1);
    std::iter::once(from + mark).chain(ends).find(|&start| {
        let line = &head[start..];
        begins_with(line, CODED)
            && line[CODED.len()..]
                .trim_ascii_start()
                .strip_prefix(b":")
                .is_some_and(|value| begins_with(uncommented(value), QUOTED))
    })
}

fn begins_with(text: &[u8], word: &[u8]) -> bool {
    let head = text.get(..word.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// A field's value from its first word on: without blanks, line ends that blanks follow, comments and the
/// quote before it.
fn uncommented(value: &[u8]) -> &[u8] {
    let mut depth = 0_u32;
    let mut pairs = value.iter().zip(value.iter().skip(1).chain([&b'\n']));
    let word = pairs.position(|(byte, next)| {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\n' => return !matches!(next, b' ' | b'\t'),
            b' ' | b'\t' | b'\r' | b'"' => {}
            _ => return depth == 0,
        }
        false
    });
    &value[word.unwrap_or(value.len())..]
}

const CODED: &[u8] = b"content-transfer-encoding";
const QUOTED: &[u8] = b"quoted-printable";

/// Where the line after the first empty one begins.
fn blank_line(text: &[u8]) -> Option<usize> {
    let mut ends = memchr::memchr_iter(b'\n', text);
    ends.find_map(|at| {
        let behind = &text[at + 1..];
        // One more for each time that a text with both was taken for one without.
        let returns = behind.iter().take(8).take_while(|b| **b == b'\r').count();
        (behind.get(returns) == Some(&b'\n')).then_some(at + returns + 2)
    })
}

/// How many messages were undone around a text whose encodings are these: character sets leave the
/// headers where they were.
pub(super) fn quoted_around(encoding: &[Encoding]) -> usize {
    let sets = |found: &&Encoding| {
        matches!(
            found,
            Encoding::QuotedPrintable | Encoding::Gbk | Encoding::Utf16
        )
    };
    let around = encoding.iter().rev().take_while(sets);
    around
        .filter(|found| **found == Encoding::QuotedPrintable)
        .count()
}

/// Containers that are known and that nothing here opens.
fn is_unknown(head: &[u8]) -> bool {
    const MARKS: [&[u8]; 12] = [
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07",
        // compress, LZ4, lzip, lzop, Snappy.
        b"\x1f\x9d",
        b"\x04\x22\x4d\x18",
        b"LZIP\x01",
        b"\x89LZO\0\r\n\x1a\n",
        b"\xff\x06\0\0sNaPpY",
        // What Windows installs from; what macOS does.
        b"MSCF\0\0\0\0",
        b"xar!\0",
        b"MSWIM\0\0\0",
        b"!<arch-thin",
        b"V1MMWX",
    ];
    // Squashfs, as snaps are; romfs; what InstallShield installs from. A text may begin with the same
    // letters: `sqsh` is a program too. Numbers follow, of which one has a high byte that is nothing.
    const WORDS: [&[u8]; 4] = [b"hsqs", b"sqsh", b"-rom1fs-", b"ISc("];
    MARKS.iter().any(|mark| head.starts_with(mark))
        || (WORDS.iter().any(|word| head.starts_with(word)) && has_numbers(head))
        || package::is_old_cpio(head)
}

/// Whether what begins with letters goes on with numbers of several bytes, and is no text.
fn has_numbers(head: &[u8]) -> bool {
    head[..head.len().min(32)].contains(&0)
}

/// Whether `head` begins an image of a disk, or a program with one behind it.
fn is_image(head: &[u8]) -> bool {
    let at = |at: usize, mark: &[u8]| head.get(at..at + mark.len()) == Some(mark);
    match head.first() {
        // AppImage, types 1 and 2; QEMU's, VMware's and Hyper-V's disks.
        Some(0x7f) => at(8, b"AI\x01") || at(8, b"AI\x02"),
        Some(b'Q') => head.starts_with(b"QFI\xfb"),
        Some(b'K') => head.starts_with(b"KDMV") && has_numbers(head),
        Some(b'v') => head.starts_with(b"vhdxfile") && has_numbers(head),
        // ISO 9660 and ext leave their first bytes to whoever boots from them: the mark of ext is short,
        // and behind it stand an operating system's number and a revision.
        Some(_) => {
            at(0x8001, b"CD001")
                || (at(0x438, b"\x53\xef") && at(0x449, &[0; 3]) && at(0x44d, &[0; 3]))
        }
        None => false,
    }
}
