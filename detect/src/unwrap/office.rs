//! The texts of office documents: people paste keys into handover notes and sheets.
//!
//! A paragraph is a line, a table's row is a line, a sheet's row is an object of its header's names:
//! a key that the editor cut into runs of other formats is one word again. ECMA-376 (docx, xlsx,
//! pptx) and OpenDocument 1.3; nothing but tags and entities is understood.
//!
//! A part is read as it flows, whatever its size: what is held of it is one stretch of its markup and
//! the names of a sheet's columns. Only the strings that a workbook's sheets share are held, up to a
//! bound.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read};

use zeroize::Zeroizing;

use super::bytes::make_room;
use super::charset;
use super::fuel::Metered;
use super::sqlite::quote;

/// Bytes of markup that are looked at together. A tag that is longer is read as text.
const STRETCH: usize = 64 << 10;
/// Bytes of text that are made at once, where that is for us to say.
const READY: usize = 16 << 10;
/// Columns of a sheet. Excel's own bound.
const MOST_COLUMNS: usize = 16_384;
/// Rows of a sheet. Excel's own bound. Stops: one row that is the billionth.
const MOST_ROWS: usize = 1 << 20;
/// Bytes of one cell: Excel's own bound is 32,767 characters. Stops: a cell of gigabytes.
const LONGEST_CELL: usize = 128 << 10;
/// Bytes of a cell that names others. Stops: a name of a cell's size in front of every value.
const LONGEST_NAME: usize = 256;
/// Strings that the cells of a workbook share. Stops: a table of references to nothing.
pub(crate) const MOST_SHARED: usize = 1 << 20;
/// Bytes of the strings that the cells of a workbook share. Stops: a table that takes the host's
/// memory.
pub(crate) const LARGEST_SHARED: usize = 16 << 20;

/// What a member of a document is, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Paragraphs.
    Text,
    /// Rows of cells.
    Sheet,
}

/// Where the strings of a workbook lie.
pub(crate) const SHARED: &str = "xl/sharedStrings.xml";

impl Part {
    /// The part that `name` is.
    pub(crate) fn of(name: &[u8]) -> Option<Part> {
        let name = std::str::from_utf8(name).ok()?;
        let stem = name.strip_suffix(".xml")?;
        if stem.starts_with("xl/worksheets/sheet") {
            return Some(Part::Sheet);
        }
        let text = stem == "content"
            || ["document", "header", "footer", "comments", "footnotes"]
                .iter()
                .any(|part| {
                    stem.strip_prefix("word/")
                        .is_some_and(|rest| rest.starts_with(part))
                })
            || stem.starts_with("ppt/slides/slide")
            || stem.starts_with("ppt/notesSlides/");
        text.then_some(Part::Text)
    }
}

/// One step through a markup text.
pub(crate) enum Piece<'a> {
    /// What stands between tags.
    Text(&'a [u8]),
    /// A tag's name without its prefix, whether it closes, whether it is empty, and all of it.
    Tag {
        name: &'a [u8],
        closes: bool,
        empty: bool,
        whole: &'a [u8],
    },
}

impl<'a> Piece<'a> {
    /// What stands between the angle brackets of a tag.
    fn tag(whole: &'a [u8]) -> Piece<'a> {
        if let Some(literal) = whole.strip_prefix(b"![CDATA[") {
            return Piece::Text(literal.strip_suffix(b"]]").unwrap_or(literal));
        }
        let bare = whole.strip_prefix(b"/").unwrap_or(whole);
        let stop = |b: &u8| b.is_ascii_whitespace() || *b == b'/';
        let name = &bare[..bare.iter().position(stop).unwrap_or(bare.len())];
        Piece::Tag {
            name: memchr::memchr(b':', name).map_or(name, |at| &name[at + 1..]),
            closes: whole.first() == Some(&b'/'),
            empty: whole.last() == Some(&b'/'),
            whole,
        }
    }
}

/// The markup of a part.
pub(crate) type Input<'i> = Metered<&'i mut dyn Read>;

/// The pieces of a markup text that is read as it flows.
struct Pieces<'i> {
    input: Box<dyn Read + 'i>,
    held: Zeroizing<Vec<u8>>,
    /// Where what was not taken yet begins and ends in `held`.
    at: usize,
    filled: usize,
    ended: bool,
}

impl<'i> Pieces<'i> {
    fn new(mut input: Input<'i>) -> std::io::Result<Pieces<'i>> {
        let fuel = input.fuel().clone();
        let mut mark = [0_u8; 2];
        let mut filled = 0;
        while filled < mark.len() {
            match input.read(&mut mark[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let whole = std::io::Cursor::new(mark).take(filled as u64).chain(input);
        Ok(Pieces {
            input: match mark {
                [0xff, 0xfe] => Box::new(charset::utf16(fuel.meter(whole), true)),
                [0xfe, 0xff] => Box::new(charset::utf16(fuel.meter(whole), false)),
                _ => Box::new(whole),
            },
            held: Zeroizing::new(vec![0; STRETCH]),
            at: 0,
            filled: 0,
            ended: false,
        })
    }

    /// The next piece; none at the end.
    fn next(&mut self) -> std::io::Result<Option<Piece<'_>>> {
        let (start, length, is_tag) = loop {
            let held = &self.held[self.at..self.filled];
            let full = self.at == 0 && self.filled == self.held.len();
            let last = self.ended || full;
            if let Some((length, is_tag)) = first(held, last) {
                let start = self.at;
                self.at += length;
                break (start, length, is_tag);
            }
            if last {
                return Ok(None);
            }
            self.held.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            let count = self.input.read(&mut self.held[self.filled..])?;
            self.filled += count;
            self.ended = count == 0;
        };
        let piece = &self.held[start..start + length];
        Ok(Some(match is_tag {
            true => Piece::tag(&piece[1..length - 1]),
            false => Piece::Text(piece),
        }))
    }
}

/// How long the first piece of `held` is and whether it is a tag; none when it has not come whole and
/// this is not the `last` that comes before it has to be taken.
fn first(held: &[u8], last: bool) -> Option<(usize, bool)> {
    if held.first()? == &b'<' {
        return match memchr::memchr(b'>', held) {
            Some(end) => Some((end + 1, true)),
            None => last.then_some((held.len(), false)),
        };
    }
    if let Some(end) = memchr::memchr(b'<', held) {
        return Some((end, false));
    }
    // An entity that has not come whole waits for its end.
    let tail = held.len().saturating_sub(LONGEST_ENTITY);
    let whole = match memchr::memrchr(b'&', &held[tail..]) {
        Some(at) if !last => tail + at,
        _ => held.len(),
    };
    (whole > 0).then_some((whole, false))
}

/// The value of an attribute that is written in double quotes.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mark = [b" ", name, b"=\""].concat();
    let at = memchr::memmem::find(tag, &mark)? + mark.len();
    let rest = &tag[at..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// Bytes of the longest entity that is undone.
const LONGEST_ENTITY: usize = 10;

/// Adds a text with its entities undone.
fn add(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let end = memchr::memchr(b';', &rest[..rest.len().min(LONGEST_ENTITY)]);
        match end.and_then(|end| entity(&rest[..end])) {
            Some(character) => {
                let mut bytes = [0_u8; 4];
                out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
                rest = &rest[end.map_or(0, |end| end + 1)..];
            }
            None => out.push(b'&'),
        }
    }
    out.extend_from_slice(rest);
}

/// The character that an entity stands for: one of the five of XML, or a number.
fn entity(name: &[u8]) -> Option<char> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    };
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    }
}

/// What makes text of a markup's pieces.
pub(crate) trait Step {
    /// Takes one piece.
    fn step(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>);
    /// The markup has ended.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// The text that a [`Step`] makes of a markup, as a stream.
pub(crate) struct Undone<'i, S> {
    pieces: Pieces<'i>,
    step: S,
    ready: Zeroizing<Vec<u8>>,
    at: usize,
    /// Why no more is made: the end, or what stopped the markup.
    stopped: Option<std::io::Result<()>>,
}

impl<'i, S: Step> Undone<'i, S> {
    fn new(input: Input<'i>, step: S) -> std::io::Result<Undone<'i, S>> {
        Ok(Undone {
            pieces: Pieces::new(input)?,
            step,
            ready: Zeroizing::default(),
            at: 0,
            stopped: None,
        })
    }
}

impl<S: Step> Read for Undone<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            while self.stopped.is_none() && self.ready.len() < READY {
                match self.pieces.next() {
                    Ok(Some(piece)) => self.step.step(&piece, &mut self.ready),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    ended => {
                        self.step.end(&mut self.ready);
                        self.stopped = Some(ended.map(|_| ()));
                    }
                }
            }
        }
        if self.at == self.ready.len()
            && let Some(Err(error)) = &mut self.stopped
        {
            let kind = error.kind();
            return Err(std::mem::replace(error, Error::from(kind)));
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// The lines of a document's part: one a paragraph, one a row of a table.
pub(crate) fn lines(input: Input<'_>) -> std::io::Result<Undone<'_, Lines>> {
    Undone::new(input, Lines::default())
}

/// What has been read of a document's part.
#[derive(Default)]
pub(crate) struct Lines {
    /// Rows that are open, inside one another.
    rows: u32,
    /// Cells of the row that is open.
    cells: u32,
}

impl Step for Lines {
    fn step(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match *piece {
            Piece::Text(text) => add(text, out),
            Piece::Tag {
                name: b"tr" | b"table-row",
                closes,
                empty: false,
                ..
            } => {
                if closes {
                    self.rows = self.rows.saturating_sub(1);
                    out.push(b'\n');
                } else {
                    self.rows += 1;
                    self.cells = 0;
                }
            }
            // What a row's first cell says names what the second holds.
            Piece::Tag {
                name: b"tc" | b"table-cell",
                closes: true,
                ..
            } => {
                out.extend_from_slice(if self.cells == 0 { b": " } else { b"\t" });
                self.cells += 1;
            }
            Piece::Tag {
                name: b"p" | b"h",
                closes: true,
                ..
            } => out.push(if self.rows == 0 { b'\n' } else { b' ' }),
            Piece::Tag {
                name: b"br" | b"line-break" | b"cr",
                ..
            } => out.push(b'\n'),
            Piece::Tag {
                name: b"tab" | b"s",
                ..
            } => out.push(b' '),
            Piece::Tag { .. } => {}
        }
    }
}

/// The strings that the cells of a workbook share, one a line.
pub(crate) fn strings(input: Input<'_>) -> std::io::Result<Undone<'_, Strings>> {
    Undone::new(input, Strings::default())
}

/// What has been read of a table of strings.
#[derive(Default)]
pub(crate) struct Strings {
    inside: bool,
}

impl Step for Strings {
    fn step(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match *piece {
            Piece::Tag {
                name: b"si",
                closes,
                empty,
                ..
            } if closes || empty => out.push(b'\n'),
            Piece::Tag {
                name: b"t", closes, ..
            } => self.inside = !closes,
            Piece::Text(text) if self.inside => add(text, out),
            _ => {}
        }
    }
}

/// The strings that the cells of a workbook share.
#[derive(Default)]
pub(crate) struct Shared {
    text: Zeroizing<Vec<u8>>,
    /// Where each ends in `text`.
    ends: Vec<u32>,
    /// Whether a cell has shown it.
    shown: Vec<bool>,
    /// Whether some were left out, or left short.
    pub(crate) cut: bool,
}

impl Shared {
    /// Reads what a workbook's table holds.
    ///
    /// # Errors
    ///
    /// Those of the input; what came before them is kept.
    pub(crate) fn read(&mut self, input: Input<'_>) -> std::io::Result<()> {
        let mut pieces = Pieces::new(input)?;
        let mut strings = Strings::default();
        let mut piece_of_text = Zeroizing::new(Vec::new());
        let mut start = 0;
        while let Some(piece) = pieces.next()? {
            strings.step(&piece, &mut piece_of_text);
            if let (Piece::Tag { name: b"si", .. }, Some(b'\n')) = (&piece, piece_of_text.last()) {
                if self.ends.len() == MOST_SHARED {
                    self.cut = true;
                    return Ok(());
                }
                start = self.text.len();
                self.ends.push(u32::try_from(start).unwrap_or(u32::MAX));
                self.shown.push(false);
            } else {
                let room = (start + LONGEST_CELL).min(LARGEST_SHARED) - self.text.len();
                self.cut |= piece_of_text.len() > room;
                let kept = piece_of_text.len().min(room);
                if self.text.capacity() - self.text.len() < kept {
                    let more = self.text.len().min(LARGEST_SHARED - self.text.len());
                    make_room(&mut self.text, more.max(STRETCH).max(kept));
                }
                self.text.extend_from_slice(&piece_of_text[..kept]);
            }
            piece_of_text.clear();
        }
        Ok(())
    }

    fn range(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let start = at.checked_sub(1).map_or(Some(&0), |at| self.ends.get(at))?;
        Some(*start as usize..*self.ends.get(at)? as usize)
    }

    /// What a cell shows that names the string at `at`.
    fn show(&mut self, at: usize) -> Option<&[u8]> {
        *self.shown.get_mut(at)? = true;
        self.text.get(self.range(at)?)
    }

    /// The strings that no cell has shown, one a line; none when all were.
    pub(crate) fn unshown(&self) -> Option<Unshown<'_>> {
        let next = self.shown.iter().position(|shown| !shown)?;
        Some(Unshown {
            shared: self,
            next,
            at: 0,
        })
    }
}

/// The strings that no cell of a workbook shows.
pub(crate) struct Unshown<'s> {
    shared: &'s Shared,
    next: usize,
    at: usize,
}

impl Read for Unshown<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            let Some(range) = self.shared.range(self.next) else {
                break;
            };
            let string = &self.shared.text[range];
            if self.shared.shown[self.next] || self.at > string.len() {
                self.next += 1;
                self.at = 0;
                continue;
            }
            let count = (into.len() - done).min(string.len() - self.at);
            into[done..done + count].copy_from_slice(&string[self.at..self.at + count]);
            (done, self.at) = (done + count, self.at + count);
            if self.at == string.len() && done < into.len() {
                into[done] = b'\n';
                (done, self.at) = (done + 1, self.at + 1);
            }
        }
        Ok(done)
    }
}

/// The rows of a sheet, each as one object on the line of its own number.
///
/// A cell is named by the row that names the columns, else by the first cell of its own row. Names
/// are read as values too: a sheet may begin with anything.
pub(crate) fn rows<'i>(
    input: Input<'i>,
    shared: &'i mut Shared,
) -> std::io::Result<Undone<'i, Rows<'i>>> {
    let rows = Rows {
        shared,
        header: BTreeMap::new(),
        names: Some(BTreeMap::new()),
        first: Zeroizing::default(),
        column: 0,
        number: 0,
        written: 0,
        begun: false,
        is_shared: false,
        value: None,
        cut: false,
    };
    Undone::new(input, rows)
}

impl Undone<'_, Rows<'_>> {
    /// Whether something was left out.
    pub(crate) fn is_cut(&self) -> bool {
        self.step.cut
    }
}

type Name = Zeroizing<Vec<u8>>;

/// What has been read of a sheet.
pub(crate) struct Rows<'s> {
    shared: &'s mut Shared,
    /// The names of the columns.
    header: BTreeMap<usize, Name>,
    /// What the row may name columns with; none when it holds values.
    names: Option<BTreeMap<usize, Name>>,
    /// What the row's first cell may name the others with.
    first: Name,
    /// The column of the cell that is open or comes next.
    column: usize,
    /// The row that is open.
    number: usize,
    /// The row that was written last.
    written: usize,
    /// Whether a cell of the row was written.
    begun: bool,
    is_shared: bool,
    value: Option<Zeroizing<Vec<u8>>>,
    cut: bool,
}

impl Step for Rows<'_> {
    fn step(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match *piece {
            Piece::Text(text) => {
                if let Some(value) = &mut self.value {
                    let room = LONGEST_CELL.saturating_sub(value.len());
                    self.cut |= text.len() > room;
                    add(&text[..text.len().min(room)], value);
                }
            }
            Piece::Tag {
                name: b"row",
                closes,
                whole,
                ..
            } => {
                self.end_row(out);
                if !closes {
                    let told = attribute(whole, b"r").and_then(decimal);
                    self.number = told.unwrap_or(self.number + 1).min(MOST_ROWS);
                }
            }
            // A formula, before the value that it had when the sheet was stored.
            Piece::Tag {
                name: b"f",
                closes: true,
                ..
            } => {
                let formula = self.value.take().unwrap_or_default();
                self.cell(&formula, out);
            }
            Piece::Tag {
                name: b"c",
                closes: true,
                ..
            } => {
                self.end_cell(out);
                self.column += 1;
            }
            Piece::Tag {
                name: b"c",
                empty,
                whole,
                ..
            } => {
                let told = attribute(whole, b"r").and_then(column);
                self.column = told.unwrap_or(self.column).min(MOST_COLUMNS) + usize::from(empty);
                self.is_shared = attribute(whole, b"t") == Some(b"s");
            }
            Piece::Tag {
                name: b"v" | b"t" | b"f",
                closes: false,
                empty: false,
                ..
            } => {
                self.value.get_or_insert_default();
            }
            Piece::Tag { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // One that was cut off has no end.
        self.end_cell(out);
        self.end_row(out);
    }
}

impl Rows<'_> {
    fn end_cell(&mut self, out: &mut Vec<u8>) {
        let value = self.value.take().unwrap_or_default();
        let at = decimal(&value).filter(|_| self.is_shared);
        let told = at.and_then(|at| self.shared.show(at).map(|text| text.to_vec().into()));
        match (at, told) {
            (None, _) => self.cell(&value, out),
            (_, Some(text)) => {
                let text: Zeroizing<Vec<u8>> = text;
                self.cell(&text, out);
            }
            // What it names was left out, and that is said.
            _ => {}
        }
    }

    fn cell(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.begun {
            out.extend_from_slice(b", ");
        } else {
            let blank = self.number.saturating_sub(self.written + 1);
            out.extend(std::iter::repeat_n(b'\n', blank));
            self.written = self.number.max(self.written + 1);
            out.push(b'{');
        }
        let name = self.header.get(&self.column).unwrap_or(&self.first);
        quote(if name.is_empty() { b"?" } else { name }, out);
        out.extend_from_slice(b": ");
        quote(text, out);
        let is_name = text.len() <= LONGEST_NAME && !is_value(text);
        if !self.begun && is_name {
            self.first = text.to_vec().into();
        }
        self.begun = true;
        self.names = self.names.take().filter(|_| is_name).map(|mut names| {
            names.insert(self.column, text.to_vec().into());
            names
        });
    }

    fn end_row(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            out.extend_from_slice(b"}\n");
        }
        // A lone cell above the names is a title.
        if let Some(names) = self.names.take()
            && self.header.len() < 2
            && names.len() > self.header.len()
        {
            self.header = names;
        }
        self.names = (self.header.len() < 2).then(BTreeMap::new);
        self.begun = false;
        self.column = 0;
        self.first = Zeroizing::default();
    }
}

/// Whether a text is a value rather than what names one: it has a run as long as a key's, or a shorter one
/// of all sorts of characters, as a password.
fn is_value(text: &[u8]) -> bool {
    text.split(|b| !b.is_ascii_alphanumeric()).any(|run| {
        let digits = run.iter().any(u8::is_ascii_digit);
        let lower = run.iter().any(u8::is_ascii_lowercase);
        let upper = run.iter().any(u8::is_ascii_uppercase);
        digits && (run.len() >= 16 && (lower || upper) || run.len() >= 8 && lower && upper)
    })
}

fn decimal(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The column of a cell's reference: `B7` is 1.
fn column(reference: &[u8]) -> Option<usize> {
    let letters = reference
        .iter()
        .take(3)
        .take_while(|b| b.is_ascii_uppercase());
    let one_based = letters.fold(0, |sum, &b| sum * 26 + usize::from(b - b'A') + 1);
    one_based.checked_sub(1)
}
