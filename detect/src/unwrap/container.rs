//! What a stream is wrapped in, told by its first bytes, and how each is opened.

use std::io::{Cursor, Read};

use akwatch_proto::place::Encoding;

use super::bytes::Bytes;
use super::compressed::{Compression, Input};
use super::fuel::Metered;
use super::stream::{self, Opened};
use super::{archive, charset, dump, git, package, pdf, plist, sqlite};
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
    /// A pack of Git objects.
    Pack,
    /// A mini-program of WeChat.
    Wxapkg,
    /// A dump of a process's memory.
    Core,
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
    /// What `head`, the first bytes of a file called `name`, begins with.
    pub(crate) fn of(head: &[u8], name: &[u8]) -> Option<Container> {
        let first = *head.first()?;
        // Texts come first: most files are.
        let marked = match first {
            b'P' | b'C' if archive::is_zip(head) => Some(Container::Zip),
            b'P' if git::is_pack(head) => Some(Container::Pack),
            b'%' if pdf::is_pdf(head) => Some(Container::Pdf),
            b'b' if plist::is_plist(head) => Some(Container::Plist),
            b'S' if sqlite::is_sqlite(head) => Some(Container::Sqlite),
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
            .or_else(|| charset::utf16_order(head).map(Container::Utf16))
            .or_else(|| charset::is_gbk(head).then_some(Container::Gbk))
            .or_else(|| is_message(head, name).then_some(Container::QuotedPrintable))
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
                | Container::Pack
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
                Container::Pack => git::pack(scanner, region, &bytes),
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
            Container::Core => {
                let mut inner = region.clone();
                inner.depth += 1;
                inner.format = Format::Text;
                inner.line = LineBase::Fixed(1);
                let input = scanner.fuel.meter(input);
                stream::plain(scanner, &inner, &mut dump::texts(input));
            }
            Container::QuotedPrintable => {
                let mut inner = encoded(region, Encoding::QuotedPrintable);
                inner.format = Format::Text;
                let input = scanner.fuel.meter(input);
                let mut decoder = charset::quoted_printable(input);
                stream::read(scanner, &inner, &mut decoder, None);
            }
            Container::Zip
            | Container::Sqlite
            | Container::Pack
            | Container::Wxapkg
            | Container::Pdf
            | Container::Plist
            | Container::Unknown => scanner.skipped(&region.member, UnreadWhy::Unsupported),
        }
    }
}

/// Reads what a compressed stream holds.
fn compressed(
    scanner: &mut Scanner<'_>,
    region: &Region,
    compression: Compression,
    input: Metered<Input<'_>>,
) {
    let mut inner = encoded(region, Encoding::Compressed);
    if inner.format == Format::Guess {
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
fn is_message(head: &[u8], name: &[u8]) -> bool {
    let named = [&b".eml"[..], b".mbox", b".mht", b".mhtml"]
        .iter()
        .any(|ending| name.ends_with(ending));
    let begins = || {
        [
            &b"From "[..],
            b"From:",
            b"Return-Path:",
            b"Received:",
            b"Delivered-To:",
            b"MIME-Version:",
            b"Message-ID:",
            b"Content-Type:",
            b"Content-Transfer-Encoding:",
        ]
        .iter()
        .any(|field| head.starts_with(field))
    };
    (named || begins())
        && memchr::memmem::find(&head[..head.len().min(16 << 10)], b"quoted-printable").is_some()
}

/// Containers that are known and that nothing here opens.
fn is_unknown(head: &[u8]) -> bool {
    head.starts_with(b"7z\xbc\xaf\x27\x1c")
        || head.starts_with(b"Rar!\x1a\x07")
        || head.starts_with(&[0x1f, 0x9d])
        || head.starts_with(&[0x04, 0x22, 0x4d, 0x18])
        || head.starts_with(b"V1MMWX")
}
