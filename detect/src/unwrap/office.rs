//! The texts of office documents: people paste keys into handover notes and sheets.
//!
//! A paragraph is a line, a table's row is a line, a sheet's row is an object of its header's names:
//! a key that the editor cut into runs of other formats is one word again. ECMA-376 (docx, xlsx,
//! pptx) and OpenDocument 1.3; nothing but tags and the five entities is understood.

use zeroize::Zeroizing;

use super::sqlite::quote;

/// Bytes of one part of a document that are held.
pub(crate) const LARGEST_PART: u64 = 16 << 20;
/// Columns of a sheet. Excel's own bound.
const MOST_COLUMNS: usize = 16_384;
/// Strings that the cells of a workbook share. Stops: a table of references to nothing.
const MOST_SHARED: usize = 1 << 20;

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
enum Piece<'a> {
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

/// The pieces of a markup text, comments left out.
fn pieces(xml: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        if first != b'<' {
            let end = memchr::memchr(b'<', rest).unwrap_or(rest.len());
            let (text, after) = rest.split_at(end);
            rest = after;
            return Some(Piece::Text(text));
        }
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len() - 1);
        let whole = rest.get(1..end).unwrap_or_default();
        rest = &rest[end + 1..];
        let closes = whole.first() == Some(&b'/');
        let bare = whole.strip_prefix(b"/").unwrap_or(whole);
        let stop = |b: &u8| b.is_ascii_whitespace() || *b == b'/';
        let name = &bare[..bare.iter().position(stop).unwrap_or(bare.len())];
        let name = memchr::memchr(b':', name).map_or(name, |at| &name[at + 1..]);
        Some(Piece::Tag {
            name,
            closes,
            empty: whole.last() == Some(&b'/'),
            whole,
        })
    })
}

/// The value of an attribute that is written in double quotes.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mark = [b" ", name, b"=\""].concat();
    let at = memchr::memmem::find(tag, &mark)? + mark.len();
    let rest = &tag[at..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// Adds a text with its entities undone.
fn add(text: &[u8], out: &mut Vec<u8>) {
    const ENTITIES: [(&[u8], u8); 5] = [
        (b"amp;", b'&'),
        (b"lt;", b'<'),
        (b"gt;", b'>'),
        (b"quot;", b'"'),
        (b"apos;", b'\''),
    ];
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some((entity, byte)) = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity)) {
            out.push(*byte);
            rest = &rest[entity.len()..];
        } else {
            out.push(b'&');
        }
    }
    out.extend_from_slice(rest);
}

/// The lines of a document's part: one a paragraph, one a row of a table.
pub(crate) fn lines(xml: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(xml.len() / 4));
    let mut rows = 0_u32;
    let mut cells = 0_u32;
    for piece in pieces(xml) {
        match piece {
            Piece::Text(text) => add(text, &mut out),
            Piece::Tag {
                name: b"tr" | b"table-row",
                closes,
                empty: false,
                ..
            } => {
                if closes {
                    rows = rows.saturating_sub(1);
                    out.push(b'\n');
                } else {
                    rows += 1;
                    cells = 0;
                }
            }
            // What a row's first cell says names what the second holds.
            Piece::Tag {
                name: b"tc" | b"table-cell",
                closes: true,
                ..
            } => {
                out.extend_from_slice(if cells == 0 { b": " } else { b"\t" });
                cells += 1;
            }
            Piece::Tag {
                name: b"p" | b"h",
                closes: true,
                ..
            } => out.push(if rows == 0 { b'\n' } else { b' ' }),
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
    out
}

/// The strings that the cells of a workbook share.
pub(crate) fn shared(xml: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut current = Zeroizing::new(Vec::new());
    let mut inside = false;
    for piece in pieces(xml) {
        match piece {
            Piece::Tag {
                name: b"si",
                closes,
                empty,
                ..
            } => {
                let ends = closes || empty;
                let string = ends.then(|| std::mem::take(&mut current));
                strings.extend(string.filter(|_| strings.len() < MOST_SHARED));
            }
            Piece::Tag {
                name: b"t", closes, ..
            } => inside = !closes,
            Piece::Text(text) if inside => add(text, &mut current),
            _ => {}
        }
    }
    strings
}

/// The rows of a sheet, each as one object on the line of its own number. The first row names the
/// cells of those below it; it may hold values itself, and is read without names.
pub(crate) fn rows(xml: &[u8], shared: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let mut sheet = Sheet::default();
    for piece in pieces(xml) {
        sheet.step(&piece, shared);
    }
    // One that was cut off has no end.
    if !sheet.row.is_empty() {
        sheet.end_row();
    }
    sheet.out
}

/// What has been read of a sheet.
#[derive(Default)]
struct Sheet {
    header: Vec<Zeroizing<Vec<u8>>>,
    row: Vec<Zeroizing<Vec<u8>>>,
    number: usize,
    /// The row that was written last.
    written: usize,
    is_shared: bool,
    value: Option<Zeroizing<Vec<u8>>>,
    out: Zeroizing<Vec<u8>>,
}

impl Sheet {
    fn step(&mut self, piece: &Piece<'_>, shared: &[Zeroizing<Vec<u8>>]) {
        match *piece {
            Piece::Text(text) => {
                if let Some(value) = &mut self.value {
                    add(text, value);
                }
            }
            Piece::Tag {
                name: b"row",
                closes,
                whole,
                ..
            } => {
                if closes {
                    return self.end_row();
                }
                let told = attribute(whole, b"r").and_then(decimal);
                self.number = told.unwrap_or(self.number + 1).min(1 << 20);
            }
            Piece::Tag {
                name: b"c",
                closes: true,
                ..
            } => {
                let text = self.value.take().unwrap_or_default();
                self.row
                    .push(match decimal(&text).filter(|_| self.is_shared) {
                        Some(at) => shared.get(at).cloned().unwrap_or_default(),
                        None => text,
                    });
            }
            Piece::Tag {
                name: b"c",
                empty,
                whole,
                ..
            } => {
                let told = attribute(whole, b"r").and_then(column);
                let column = told.unwrap_or(self.row.len()).min(MOST_COLUMNS);
                self.row.resize_with(column, Zeroizing::default);
                self.is_shared = attribute(whole, b"t") == Some(b"s");
                if empty {
                    self.row.push(Zeroizing::default());
                }
            }
            Piece::Tag {
                name: b"v" | b"t",
                closes: false,
                empty: false,
                ..
            } => {
                self.value.get_or_insert_default();
            }
            Piece::Tag { .. } => {}
        }
    }

    fn end_row(&mut self) {
        let blank = self.number.saturating_sub(self.written + 1);
        self.out.extend(std::iter::repeat_n(b'\n', blank));
        self.written = self.number.max(self.written + 1);
        object(&self.header, &self.row, &mut self.out);
        let row = std::mem::take(&mut self.row);
        if self.header.is_empty() {
            self.header = row;
        }
    }
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

/// A row as an object of JSON.
fn object(header: &[Zeroizing<Vec<u8>>], row: &[Zeroizing<Vec<u8>>], out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        if out.last() != Some(&b'{') {
            out.extend_from_slice(b", ");
        }
        match header.get(at).filter(|name| !name.is_empty()) {
            Some(name) => quote(name, out),
            None => quote(b"?", out),
        }
        out.extend_from_slice(b": ");
        quote(cell, out);
    }
    out.extend_from_slice(b"}\n");
}
