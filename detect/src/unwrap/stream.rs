//! Reads streams of any length through windows, and opens what they are wrapped in.
//!
//! One buffer of a window's size for each level of nesting, whatever the size of the source: gzip
//! and tar are read as they flow. Overlap between windows is whole lines, so that a key or a pair
//! that a boundary cuts is whole in the next window.

use std::io::{Error, ErrorKind, Read};
use std::ops::Range;
use std::rc::Rc;

use super::carve;
use super::container::Container;
use super::run::{self, Decoder, Run};
use crate::content::Format;
use crate::judge::{MemberName, keystore};
use crate::scan::UnreadWhy;
use crate::syntax;
use crate::window::{LineBase, Region, Scanner};

/// Bytes of a window.
pub(crate) const WINDOW: usize = 512 * 1024;
/// Bytes that the next window repeats, at most: what a pair may span.
pub(crate) const OVERLAP: usize = 32 * 1024;

/// What a stream begins with, and the rest of it.
pub(crate) struct Opened<'a> {
    /// Its first bytes.
    pub(crate) head: &'a [u8],
    /// Whether that is all.
    pub(crate) end: bool,
    /// What follows.
    pub(crate) rest: &'a mut dyn Read,
}

/// Whether `bytes` begin like a container that is opened.
pub(crate) fn is_container(bytes: &[u8]) -> bool {
    Container::of(bytes, b"", &[]).is_some_and(|container| container != Container::Unknown)
}

/// Whether `bytes` begin like a message whose text is quoted-printable.
pub(crate) fn is_message(bytes: &[u8]) -> bool {
    Container::of(bytes, b"", &[]) == Some(Container::QuotedPrintable)
}

/// Reads a nested text or container that lies in memory.
pub(crate) fn nested(scanner: &mut Scanner<'_>, region: &Region, bytes: &[u8]) {
    let mut input: &[u8] = bytes;
    let mut region = region.clone();
    region.format = Format::Guess;
    let line = region.line;
    read(scanner, &region, &mut input, Some(line));
}

/// Reads a stream to its end or its bounds. Answers how many bytes of it were read.
///
/// `inline` is the line of an outer text that all of it stands on.
pub(crate) fn read(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
    inline: Option<LineBase>,
) -> u64 {
    let mut buffer = scanner.buffers.pop().unwrap_or_default();
    buffer.resize(scanner.window, 0);
    let read = read_into(scanner, region, input, inline, &mut buffer);
    scanner.buffers.push(buffer);
    read
}

/// Reads a stretch of a text whose format and place `region` tells, whatever it looks like.
pub(crate) fn plain(scanner: &mut Scanner<'_>, region: &Region, input: &mut dyn Read) {
    let mut buffer = scanner.buffers.pop().unwrap_or_default();
    buffer.resize(scanner.window, 0);
    let (filled, end) = fill(scanner, region, input, &mut buffer, 0);
    let mut region = region.clone();
    windows(
        scanner,
        &mut region,
        input,
        &mut buffer,
        (filled, end),
        None,
    );
    scanner.buffers.push(buffer);
}

fn read_into(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
    inline: Option<LineBase>,
    buffer: &mut [u8],
) -> u64 {
    let (filled, end) = fill(scanner, region, input, buffer, 0);
    let head = &buffer[..filled];
    let explicit = matches!(region.format, Format::Environ | Format::Argv);
    let container = (!explicit)
        .then(|| Container::of(head, &region.member.name, &region.encoding))
        .flatten();
    if let Some(container) = container {
        if container == Container::Unknown || region.depth >= scanner.limits.depth {
            let why = match container {
                Container::Unknown => UnreadWhy::Unsupported,
                _ => UnreadWhy::Limit,
            };
            scanner.skipped(&region.member, why);
            wipe(&mut buffer[..filled]);
            return 0;
        }
        let counted = &mut Counted { input, count: 0 };
        let opened = Opened {
            head,
            end,
            rest: counted,
        };
        container.open(scanner, region, opened);
        wipe(&mut buffer[..filled]);
        return filled as u64 + counted.count;
    }
    if end {
        scanner.key_files(region, head);
    } else if keystore::may_begin(head) {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
    let mut region = region.clone();
    // What is whole in one window is guessed when something in it is worth it; commands always are.
    let now = !end || head.trim_ascii_start().starts_with(b"#!");
    if now && region.format == Format::Guess {
        region.format = guess(head);
    }
    if let Some(line) = inline {
        region.line = line;
    }
    windows(scanner, &mut region, input, buffer, (filled, end), Some(0))
}

/// Reads the compressed streams in the fields of a message that begin between `places` of a window;
/// `read_before` of them were before. What follows the window is not seen from here.
fn carved(
    scanner: &mut Scanner<'_>,
    region: &Region,
    window: &[u8],
    places: Range<usize>,
    whole: bool,
    read_before: &mut usize,
) {
    let fields = carve::fields(window).take_while(|field| field.start < places.end);
    for field in fields.skip_while(|field| field.start < places.start) {
        let Some(stream) = window.get(field.clone()) else {
            if !whole {
                scanner.skipped(&region.member, UnreadWhy::Limit);
            }
            continue;
        };
        *read_before += 1;
        if *read_before > carve::MOST {
            return scanner.skipped(&region.member, UnreadWhy::Limit);
        }
        let mut inner = region.clone();
        inner.depth += 1;
        inner.format = Format::Guess;
        inner.line = LineBase::Fixed(1);
        inner.offset += field.start as u64;
        scanner.fuel.burn(carve::LEAST_UNWRAPPED);
        if scanner.fuel.is_spent() {
            return scanner.skipped(&region.member, UnreadWhy::Limit);
        }
        read(scanner, &inner, &mut &stream[..], None);
    }
}

/// A format for bytes whose name says none; binary data are read as text for their tokens.
pub(crate) fn guess(head: &[u8]) -> Format {
    if memchr::memchr(0, &head[..head.len().min(1024)]).is_some() {
        Format::Text
    } else {
        syntax::sniff(head)
    }
}

struct Counted<'a> {
    input: &'a mut dyn Read,
    count: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(into)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Reads past `bytes` of a stream. Inside something else that costs what reading costs: they are
/// unwrapped too.
///
/// # Errors
///
/// Why no more of the stream can be read.
pub(crate) fn skip(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
    bytes: u64,
) -> Result<(), UnreadWhy> {
    let mut room = bytes;
    if region.depth > 0 {
        room = room.min(scanner.fuel.left().saturating_add(1));
    }
    let skipped = std::io::copy(&mut input.take(room), &mut std::io::sink());
    let skipped = skipped.map_err(|error| reason(region, &error))?;
    charge(scanner, region, skipped);
    match skipped {
        all if all == bytes => Ok(()),
        some if some == room => Err(UnreadWhy::Limit),
        _ => Err(UnreadWhy::Damaged),
    }
}

/// Whether more may be unwrapped.
///
/// # Errors
///
/// [`UnreadWhy::Limit`] when all was that may be.
pub(crate) fn within(scanner: &Scanner<'_>) -> Result<(), UnreadWhy> {
    match scanner.fuel.is_spent() {
        true => Err(UnreadWhy::Limit),
        false => Ok(()),
    }
}

/// Charges bytes of a stream that were read, unless they are the part's own.
pub(crate) fn charge(scanner: &Scanner<'_>, region: &Region, bytes: u64) {
    if region.depth > 0 {
        scanner.fuel.burn(bytes);
    }
}

/// Why a stream gave an error.
fn reason(region: &Region, error: &Error) -> UnreadWhy {
    match error.kind() {
        ErrorKind::QuotaExceeded => UnreadWhy::Limit,
        _ if region.depth > 0 => UnreadWhy::Damaged,
        _ => UnreadWhy::Unreadable,
    }
}

/// Fills the buffer from `from`; answers how much is filled and whether the stream has ended. What
/// ends it early is noted.
fn fill(
    scanner: &mut Scanner<'_>,
    region: &Region,
    input: &mut dyn Read,
    buffer: &mut [u8],
    from: usize,
) -> (usize, bool) {
    let mut filled = from;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => return (filled, true),
            Ok(count) => {
                filled += count;
                charge(scanner, region, count as u64);
                if region.depth > 0 && scanner.fuel.is_spent() {
                    scanner.skipped(&region.member, UnreadWhy::Limit);
                    return (filled, true);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                scanner.skipped(&region.member, reason(region, &error));
                return (filled, true);
            }
        }
    }
    (filled, false)
}

/// Reads the text of a stream of whose first bytes so many are in `buffer`, which may be all; and the
/// streams inside it, if any are to be read, of which so many were.
fn windows(
    scanner: &mut Scanner<'_>,
    region: &mut Region,
    input: &mut dyn Read,
    buffer: &mut [u8],
    (mut filled, mut end): (usize, bool),
    mut streams: Option<usize>,
) -> u64 {
    let mut total = filled as u64;
    let mut used = filled;
    let mut from = 0;
    // Whether a run was taken out of this window before.
    let mut again = false;
    loop {
        let (stop, keep) = match end {
            true => (filled, filled),
            false => cut(&buffer[..filled]),
        };
        // What begins in what the next window repeats is looked at there.
        let run = (!end).then(|| run::open(&buffer[..filled])).flatten();
        let run = run.filter(|run| run.start < keep);
        if let Some(streams) = &mut streams {
            let until = run.as_ref().map_or(keep, |run| run.start);
            carved(
                scanner,
                region,
                &buffer[..filled],
                from..until,
                end,
                streams,
            );
            from = 0;
        }
        if end {
            scanner.text(region, &buffer[..filled], false);
            break;
        }
        if let Some(run) = run {
            let (start, offset) = (run.start, region.offset);
            let left;
            (left, total) = follow(scanner, region, input, (buffer, filled), run, total, again);
            again = region.offset == offset;
            used = used.max(filled);
            (filled, end) = fill(scanner, region, input, buffer, left);
            total += (filled - left) as u64;
            // What stands before it was left in the window, and its streams were read.
            from = if again { start } else { 0 };
            continue;
        }
        again = false;
        scanner.text(region, &buffer[..stop], buffer[stop - 1] != b'\n');
        if let LineBase::Counted(lines) = &mut region.line {
            let passed = memchr::memchr_iter(b'\n', &buffer[..keep]).count();
            *lines = lines.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        }
        region.offset += keep as u64;
        buffer.copy_within(keep..filled, 0);
        let left = filled - keep;
        (filled, end) = fill(scanner, region, input, buffer, left);
        used = used.max(filled);
        total += (filled - left) as u64;
    }
    wipe(&mut buffer[..used]);
    total
}

/// Undoes a run that the end of a window cuts, and takes it out of the text, `again` or for the first
/// time; answers how much of the window is filled then, and how many bytes were read of the stream.
fn follow(
    scanner: &mut Scanner<'_>,
    region: &mut Region,
    input: &mut dyn Read,
    (buffer, filled): (&mut [u8], usize),
    run: Run,
    total: u64,
    again: bool,
) -> (usize, u64) {
    let inner = scanner.around(region, &buffer[..filled], run.start, run.encoding());
    let fuel = scanner.fuel.clone();
    let mut decoder = Decoder::new(run, &buffer[run.start..filled], input, fuel);
    if inner.depth > scanner.limits.depth {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    } else {
        read(scanner, &inner, &mut decoder, Some(inner.line));
    }
    let behind = decoder.finish();
    if behind.error.is_some() {
        scanner.skipped(&region.member, UnreadWhy::Unreadable);
    }
    let mut start = run.start;
    if behind.lines > 0 || again {
        // Lines stay what they are: those before are read by themselves, as is what stands before a
        // second run, since each has all of it parsed.
        scanner.text(region, &buffer[..start], false);
        if let LineBase::Counted(lines) = &mut region.line {
            let passed = memchr::memchr_iter(b'\n', &buffer[..start]).count();
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            *lines = lines.saturating_add(passed).saturating_add(behind.lines);
        }
        region.offset += start as u64;
        start = 0;
    }
    let left = start + behind.text.len();
    buffer[start..left].copy_from_slice(&behind.text);
    wipe(&mut buffer[left..filled]);
    (left, total + behind.taken)
}

/// Where the window that is a text ends and where the next begins, when more follows. A window ends with
/// a line where it can; the next repeats its last lines.
pub(crate) fn cut(text: &[u8]) -> (usize, usize) {
    let filled = text.len();
    let overlap = OVERLAP.min(filled / 4);
    let line_end = memchr::memrchr(b'\n', &text[filled - overlap..]);
    let stop = line_end.map_or(filled, |at| filled - overlap + at + 1);
    let keep = stop - overlap.min(stop);
    let keep = match memchr::memchr(b'\n', &text[keep..stop]) {
        Some(at) if keep + at + 1 < stop => keep + at + 1,
        _ => keep,
    };
    (stop, keep)
}

/// Overwrites what was read. The buffer is kept and used again, so the writes cannot be left out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

/// The region of a member inside a container.
pub(crate) fn member(scanner: &mut Scanner<'_>, region: &Region, name: &[u8]) -> Region {
    let mut inside = region.member.inside.clone();
    inside.push(name[..name.len().min(4096)].to_vec());
    let scope = scanner.scopes.child(region.scope);
    Region {
        member: Rc::new(MemberName {
            part: region.member.part,
            inside,
            name: name.to_vec(),
        }),
        encoding: region.encoding.clone(),
        path: Vec::new(),
        scope,
        depth: region.depth + 1,
        format: crate::places::format_of(name),
        line: LineBase::Counted(0),
        offset: 0,
        code: is_code(name),
    }
}

/// Whether a file's name says source code.
pub(crate) fn is_code(name: &[u8]) -> bool {
    const CODE: [&[u8]; 36] = [
        b"py", b"go", b"java", b"js", b"ts", b"jsx", b"tsx", b"php", b"rb", b"rs", b"c", b"h",
        b"cpp", b"cc", b"hpp", b"cs", b"kt", b"scala", b"lua", b"pl", b"pm", b"swift", b"vue",
        b"groovy", b"mjs", b"map", b"cjs", b"pyi", b"pyc", b"cxx", b"hxx", b"hh", b"m", b"mm",
        b"ino", b"C",
    ];
    // What it is compressed with says nothing of it.
    let mut endings = name.rsplit(|&b| b == b'.').take(4);
    let packed = |ending: &&[u8]| {
        let packed = [&b"gz"[..], b"bz2", b"xz", b"lzma", b"zst", b"zstd"];
        !packed.contains(ending)
    };
    let extension = endings.find(packed).unwrap_or_default();
    extension.len() < name.len() && CODE.contains(&extension)
}
