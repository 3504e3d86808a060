//! The text of PDFs: people hand keys over in them, and print pages that show some.
//!
//! A file is read once from its beginning, object after object, whatever its own tables of objects
//! say: what an older revision holds, and what a damaged file holds, is there still. Then each page's
//! contents are carried out as far as they show text, in the fonts that it names; what no page holds
//! (forms, attachments, scripts, metadata) is read by itself, and so are the strings of all objects
//! and what lies between objects. Pictures are not looked at, and nothing is decrypted.
//!
//! Held are one object, one stretch of contents, the objects that the file packs together, and the
//! fonts of a page, each up to a bound.

mod contents;
mod file;
mod font;
mod object;
mod text;

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};
use std::rc::Rc;

use flate2::read::ZlibDecoder;
use zeroize::Zeroizing;

use super::bytes::Bytes;
use super::{charset, stream};
use crate::content::Format;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};
use contents::Contents;
use file::{View, ascii_hex, ascii85, lzw, marked, run_lengths};
use font::Font;
use object::{Lexer, Object};
use text::Page;

/// Bytes of one object, streams apart. Stops: a dictionary of gigabytes.
const LARGEST_OBJECT: usize = 512 << 10;
/// Objects of one file. Stops: a file of a hundred million empty ones.
const MOST_OBJECTS: usize = 1 << 17;
/// Bytes of objects that one stream packs together, and that are held of a file.
const LARGEST_PACKED: u64 = 4 << 20;
const MOST_PACKED: usize = 8 << 20;
/// Bytes of a font's table to Unicode.
const LARGEST_TABLE: u64 = 512 << 10;
/// Codes of the fonts that are held, and those that a font counts as besides its own: some ten
/// megabytes. Stops: a page of a million fonts without any.
const MOST_CODES: usize = 1 << 18;
const FONT: usize = 64;
/// Bytes of text that telling something of a code costs as much as.
const TOLD: usize = 8;
/// Pages of one file.
const MOST_PAGES: usize = 20_000;
/// Levels of the tree of pages, and references that lead to references.
const DEEPEST: usize = 32;
/// Bytes of contents that are looked at together, and of text that is judged at once.
const STRETCH: usize = 256 << 10;
/// Bytes of a name that is written before a string. Stops: one as long as an object before each of the
/// strings of an array.
const LONGEST_NAME: usize = 256;
/// Bytes that begin an object: two numbers and a word.
const LONGEST_MARK: usize = 32;
/// Bytes of the file that are looked at together, and of an object that is looked up that are read at
/// once.
const NEAR: usize = 8 << 10;
const LOOKED_UP: usize = 1 << 10;
/// Filters upon one another. PDFs have two.
const MOST_FILTERS: usize = 4;

/// Whether `head` begins a PDF.
pub(crate) fn is_pdf(head: &[u8]) -> bool {
    head.starts_with(b"%PDF-")
}

/// Reads a PDF.
pub(crate) fn read(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let mut loose = region.clone();
    loose.format = Format::Text;
    let mut strings = stream::member(scanner, region, b"(strings)");
    strings.format = Format::Text;
    let mut document = Document {
        bytes,
        region,
        view: View::new(bytes),
        loose: Lines::new(loose),
        strings: Lines::new(strings),
        objects: HashMap::new(),
        packed: Zeroizing::default(),
        streams: Vec::new(),
        pages: Vec::new(),
        root: None,
        fonts: HashMap::new(),
        showings: 0,
        codes: 0,
        encrypted: false,
        limited: false,
    };
    document.index(scanner);
    document.loose.flush(scanner);
    document.strings.flush(scanner);
    if document.encrypted {
        return scanner.skipped(&region.member, UnreadWhy::Encrypted);
    }
    document.view.chunk = LOOKED_UP;
    document.pages(scanner);
    document.rest(scanner);
    if document.view.unreadable {
        scanner.skipped(&region.member, UnreadWhy::Unreadable);
    }
    if document.limited || document.view.limited || stream::within(scanner).is_err() {
        scanner.skipped(&region.member, UnreadWhy::Limit);
    }
}

/// Where an object lies.
#[derive(Clone, Copy)]
enum Place {
    /// In the file, behind its mark.
    File(u64),
    /// Among those that were packed together.
    Packed(usize),
}

/// A stream of the file.
struct Stream {
    number: u32,
    /// Where its dictionary and its data begin.
    at: u64,
    data: u64,
    length: u64,
    done: bool,
}

/// What a font is known by: its object, or its name where it is written out.
#[derive(PartialEq, Eq, Hash)]
enum FontKey {
    Object(u32),
    /// Of the page or form of this number.
    Named(u32, Vec<u8>),
}

/// The fonts that the contents of a page or a form name.
struct Fonts {
    /// The number of the page or form.
    of: u32,
    named: HashMap<Vec<u8>, Rc<Object>>,
}

struct Document<'a, 'r> {
    bytes: &'a Bytes<'a>,
    region: &'r Region,
    view: View<'a>,
    /// What lies between objects, and the strings in them.
    loose: Lines,
    strings: Lines,
    objects: HashMap<u32, Place>,
    packed: Zeroizing<Vec<u8>>,
    streams: Vec<Stream>,
    /// Numbers of pages, in the order of the file.
    pages: Vec<u32>,
    /// The number of the catalogue.
    root: Option<u32>,
    fonts: HashMap<FontKey, Rc<Font>>,
    /// Pages and forms whose fonts were looked up.
    showings: u32,
    codes: usize,
    encrypted: bool,
    limited: bool,
}

impl<'a> Document<'a, '_> {
    /// Finds all objects.
    fn index(&mut self, scanner: &mut Scanner<'_>) {
        let mut at = 0;
        loop {
            if stream::within(scanner).is_err() {
                return;
            }
            let (text, whole) = self.view.at(at, NEAR);
            if text.is_empty() {
                return;
            }
            let mark = memchr::memmem::find_iter(text, b"obj")
                .find_map(|word| marked(text, word).map(|mark| (mark, word + 3)));
            let Some(((start, number), body)) = mark else {
                let kept = if whole { 0 } else { LONGEST_MARK };
                let gap = text.len().saturating_sub(kept);
                if gap == 0 {
                    return;
                }
                self.encrypted |= says_encrypted(&text[..gap]);
                self.loose.add(scanner, &text[..gap]);
                at += gap as u64;
                continue;
            };
            self.encrypted |= says_encrypted(&text[..start]);
            self.loose.add(scanner, &text[..start]);
            at = self.object(scanner, number, at + body as u64);
        }
    }

    /// Takes the object whose mark ends at `at`; answers where it ends.
    fn object(&mut self, scanner: &mut Scanner<'_>, number: u32, at: u64) -> u64 {
        let Some((object, used)) = self.view.object(scanner, at) else {
            return at;
        };
        if self.objects.len() < MOST_OBJECTS {
            self.objects.insert(number, Place::File(at));
        } else {
            self.limited = true;
        }
        // What lies between objects has no lines to be counted.
        self.loose.region.line = LineBase::Fixed(1);
        let end = at + used as u64;
        self.note(scanner, number, &object);
        let Some(data) = self.view.stream_data(end) else {
            return end;
        };
        let told = object.get(b"Length").and_then(Object::count).map(u64::from);
        let length = told.filter(|&length| self.view.ends_stream(data + length));
        let length = length.unwrap_or_else(|| self.view.find(data, b"endstream") - data);
        let stream = Stream {
            number,
            at,
            data,
            length,
            done: false,
        };
        if object.says(b"Type", b"ObjStm") {
            self.unpack(scanner, &object, &stream);
        } else if object.says(b"Type", b"XRef") {
            self.encrypted |= object.get(b"Encrypt").is_some();
        } else if !object.says(b"Subtype", b"Image") {
            if self.streams.len() < MOST_OBJECTS {
                self.streams.push(stream);
            } else {
                self.limited = true;
            }
        }
        data + length
    }

    /// Notes what an object is, and reads its strings.
    fn note(&mut self, scanner: &mut Scanner<'_>, number: u32, object: &Object) {
        if object.says(b"Type", b"Page") {
            if self.pages.len() < MOST_PAGES {
                self.pages.push(number);
            } else {
                self.limited = true;
            }
        } else if object.says(b"Type", b"Catalog") {
            self.root = Some(number);
        }
        write_strings(object, b"", &mut |line| self.strings.add(scanner, line));
    }

    /// Takes the objects that a stream packs together.
    fn unpack(&mut self, scanner: &mut Scanner<'_>, object: &Object, stream: &Stream) {
        let mut text = Zeroizing::new(Vec::new());
        let read = match self.decoded(scanner, object, stream) {
            Ok(input) => input
                .take(LARGEST_PACKED + 1)
                .read_to_end(&mut text)
                .is_ok(),
            Err(why) => return scanner.skipped(&self.region.member, why),
        };
        scanner.fuel.burn(text.len() as u64);
        if !read {
            scanner.skipped(&self.region.member, UnreadWhy::Damaged);
        }
        let first = object.get(b"First").and_then(Object::count);
        let first = first.map_or(usize::MAX, |first| first as usize);
        let held = self.packed.len() + text.len() <= MOST_PACKED;
        if text.len() as u64 > LARGEST_PACKED || !held {
            self.limited = true;
        }
        // Before any of them is named: what stops amid them leaves those that were.
        let packed = self.packed.len();
        if held {
            self.packed.extend_from_slice(&text);
        }
        let mut numbers = Lexer::new(text.get(..first).unwrap_or_default(), false);
        let mut next = || numbers.next().ok().flatten()?.count();
        while let (Some(number), Some(offset)) = (next(), next()) {
            let start = first.saturating_add(offset as usize);
            let rest = one_object(&text, start);
            let mut lexer = Lexer::new(rest, false);
            let object = lexer.next();
            // One that does not end was looked at to the end.
            let looked_at = object.as_ref().map_or(rest.len(), |_| 0);
            scanner.fuel.burn(lexer.cost() + looked_at as u64);
            if stream::within(scanner).is_err() {
                return;
            }
            let Ok(Some(object)) = object else {
                self.limited |= lexer.deep || rest.len() == LARGEST_OBJECT;
                continue;
            };
            if held && self.objects.len() < MOST_OBJECTS {
                let place = Place::Packed(packed + start);
                self.objects.insert(number, place);
            } else {
                self.limited = true;
            }
            self.note(scanner, number, &object);
        }
    }

    /// The object that `object` refers to, or itself.
    fn resolve(&mut self, scanner: &mut Scanner<'_>, object: &Object) -> Option<Object> {
        let mut object = object.clone();
        for _ in 0..DEEPEST {
            let Some(number) = object.reference() else {
                return Some(object);
            };
            object = match *self.objects.get(&number)? {
                Place::File(at) => self.view.object(scanner, at)?.0,
                Place::Packed(start) => {
                    let mut lexer = Lexer::new(one_object(&self.packed, start), false);
                    let object = lexer.next().ok().flatten()?;
                    scanner.fuel.burn(lexer.cost());
                    object
                }
            };
        }
        None
    }

    /// What a dictionary holds under `key`, its reference followed.
    fn get(&mut self, scanner: &mut Scanner<'_>, from: &Object, key: &[u8]) -> Option<Object> {
        self.resolve(scanner, from.get(key)?)
    }

    /// The data of a stream, its filters undone.
    fn decoded(
        &mut self,
        scanner: &mut Scanner<'_>,
        object: &Object,
        stream: &Stream,
    ) -> Result<Box<dyn Read + 'a>, UnreadWhy> {
        let mut predicted = false;
        for key in [&b"DecodeParms"[..], b"DP"] {
            let parameters = self.get(scanner, object, key);
            for part in parameters.as_ref().map_or(&[][..], Object::parts) {
                let predictor = part.get(b"Predictor").and_then(Object::count);
                predicted |= predictor.is_some_and(|predictor| predictor > 1);
            }
        }
        let filters = self.get(scanner, object, b"Filter");
        let filters = filters.as_ref().map_or(&[][..], Object::parts);
        if predicted || filters.len() > MOST_FILTERS {
            return Err(UnreadWhy::Unsupported);
        }
        let early = self.early(scanner, object);
        let data = self.bytes.from(stream.data).take(stream.length);
        let mut input: Box<dyn Read + 'a> = Box::new(data);
        for filter in filters {
            let metered = scanner.fuel.meter(input);
            input = match filter.name().unwrap_or_default() {
                b"FlateDecode" | b"Fl" => Box::new(ZlibDecoder::new(metered)),
                b"ASCII85Decode" | b"A85" => Box::new(ascii85(metered)),
                b"ASCIIHexDecode" | b"AHx" => Box::new(ascii_hex(metered)),
                b"LZWDecode" | b"LZW" => Box::new(lzw(metered, early)),
                b"RunLengthDecode" | b"RL" => Box::new(run_lengths(metered)),
                b"Crypt" => return Err(UnreadWhy::Encrypted),
                _ => return Err(UnreadWhy::Unsupported),
            };
        }
        Ok(input)
    }

    /// Whether the codes of LZW grow one code early, as they do unless it is said.
    fn early(&mut self, scanner: &mut Scanner<'_>, object: &Object) -> bool {
        [&b"DecodeParms"[..], b"DP"].into_iter().all(|key| {
            let parameters = self.get(scanner, object, key);
            let parts = parameters.as_ref().map_or(&[][..], Object::parts);
            let mut told = parts.iter().filter_map(|part| part.get(b"EarlyChange"));
            told.all(|told| told.count() != Some(0))
        })
    }

    /// Reads the pages in the order in which they are turned.
    fn pages(&mut self, scanner: &mut Scanner<'_>) {
        let by_number = self.by_number();
        for (turned, number) in (1..).zip(self.turned(scanner)) {
            if stream::within(scanner).is_err() {
                return;
            }
            let Some(page) = self.resolve(scanner, &Object::Reference(number)) else {
                continue;
            };
            let contents = page.get(b"Contents").cloned();
            let streams: Vec<usize> = match contents {
                Some(Object::Reference(number)) if by_number.contains_key(&number) => {
                    vec![by_number[&number]]
                }
                Some(other) => {
                    let array = self.resolve(scanner, &other);
                    let parts = array.as_ref().map_or(&[][..], Object::parts).iter();
                    let numbers = parts.filter_map(Object::reference);
                    numbers.filter_map(|n| by_number.get(&n).copied()).collect()
                }
                None => continue,
            };
            let fonts = self.fonts_of(scanner, &page);
            let name = format!("page {turned}");
            let inner = stream::member(scanner, self.region, name.as_bytes());
            let mut shown = Showing::new(inner, fonts);
            for at in streams {
                if std::mem::replace(&mut self.streams[at].done, true) {
                    continue;
                }
                match self.stream(scanner, at) {
                    Ok((_, mut input)) => {
                        self.show(scanner, &by_number, &mut shown, &mut input);
                    }
                    Err(why) => scanner.skipped(&shown.lines.region.member, why),
                }
            }
            shown.end(scanner);
        }
    }

    /// The numbers of the pages, those of the tree first, in its order.
    fn turned(&mut self, scanner: &mut Scanner<'_>) -> Vec<u32> {
        let mut turned = Vec::new();
        let mut seen = HashSet::new();
        let catalog = self.root.map(Object::Reference);
        let catalog = catalog.and_then(|root| self.resolve(scanner, &root));
        let root = catalog.as_ref().and_then(|catalog| catalog.get(b"Pages"));
        let mut waiting: Vec<u32> = root.and_then(Object::reference).into_iter().collect();
        while let Some(number) = waiting.pop() {
            if seen.len() >= 2 * MOST_PAGES || stream::within(scanner).is_err() {
                break;
            }
            if !seen.insert(number) {
                continue;
            }
            let Some(node) = self.resolve(scanner, &Object::Reference(number)) else {
                continue;
            };
            match self.get(scanner, &node, b"Kids") {
                Some(kids) => {
                    let room = (2 * MOST_PAGES).saturating_sub(waiting.len());
                    let kids = kids.parts().iter().take(room).rev();
                    waiting.extend(kids.filter_map(Object::reference));
                }
                None => turned.push(number),
            }
        }
        let others = self.pages.iter().filter(|page| !seen.contains(page));
        turned.extend(others);
        turned
    }

    /// The fonts that the contents of a page or a form name.
    fn fonts_of(&mut self, scanner: &mut Scanner<'_>, owner: &Object) -> Fonts {
        self.showings += 1;
        let mut fonts = Fonts {
            of: self.showings,
            named: HashMap::new(),
        };
        let mut owner = owner.clone();
        for _ in 0..DEEPEST {
            if let Some(resources) = self.get(scanner, &owner, b"Resources") {
                if let Some(Object::Dictionary(entries)) = self.get(scanner, &resources, b"Font") {
                    // Of two the first counts, as elsewhere.
                    let entries = entries.into_iter().rev();
                    let entries = entries.map(|(name, font)| (name, Rc::new(font)));
                    fonts.named.extend(entries);
                }
                return fonts;
            }
            match self.get(scanner, &owner, b"Parent") {
                Some(parent) => owner = parent,
                None => break,
            }
        }
        fonts
    }

    /// A stream's dictionary and its data.
    fn stream(
        &mut self,
        scanner: &mut Scanner<'_>,
        at: usize,
    ) -> Result<(Object, Box<dyn Read + 'a>), UnreadWhy> {
        let stream = &self.streams[at];
        let stream = Stream { ..*stream };
        let object = self.view.object(scanner, stream.at);
        let (object, _) = object.ok_or(UnreadWhy::Damaged)?;
        let input = self.decoded(scanner, &object, &stream)?;
        Ok((object, input))
    }

    /// Reads what contents show.
    fn show(
        &mut self,
        scanner: &mut Scanner<'_>,
        by_number: &HashMap<u32, usize>,
        shown: &mut Showing,
        input: &mut dyn Read,
    ) {
        let mut contents = Contents::new(input, scanner.fuel.clone());
        loop {
            let operator = match contents.next() {
                Ok(Some(operator)) => operator,
                Ok(None) => break,
                Err(why) => {
                    scanner.skipped(&shown.lines.region.member, why);
                    break;
                }
            };
            if operator == b"Tf" {
                let size = contents.operands.get(1).and_then(Object::number);
                let name = contents.operands.first().and_then(Object::name);
                let font = name.and_then(|name| {
                    let font = Rc::clone(shown.fonts.named.get(name)?);
                    let key = match font.reference() {
                        Some(number) => FontKey::Object(number),
                        None => FontKey::Named(shown.fonts.of, name.to_vec()),
                    };
                    Some(self.font(scanner, by_number, key, &font))
                });
                let font = font.unwrap_or_default();
                shown.page.set_font(font, size.unwrap_or_default());
            } else {
                shown.page.operate(&operator, &contents.operands);
            }
            if shown.page.text.len() >= STRETCH {
                shown.judge(scanner);
            }
            if stream::within(scanner).is_err() {
                break;
            }
        }
    }

    /// The font that `object` describes or refers to.
    fn font(
        &mut self,
        scanner: &mut Scanner<'_>,
        by_number: &HashMap<u32, usize>,
        key: FontKey,
        object: &Object,
    ) -> Rc<Font> {
        if let Some(font) = self.fonts.get(&key) {
            return Rc::clone(font);
        }
        let Some(dictionary) = self.resolve(scanner, object) else {
            return Rc::default();
        };
        let table = dictionary.get(b"ToUnicode").and_then(Object::reference);
        let table = table.and_then(|number| by_number.get(&number));
        let table = table.and_then(|&at| {
            let (_, input) = self.stream(scanner, at).ok()?;
            let mut text = Vec::new();
            // What is damaged tells what came before.
            let _ = input.take(LARGEST_TABLE).read_to_end(&mut text);
            scanner.fuel.burn(text.len() as u64);
            Some(text)
        });
        let font = Font::of(&dictionary, table.as_deref(), &mut |object| {
            self.resolve(scanner, object)
        });
        scanner.fuel.burn((font.told() * TOLD) as u64);
        let font = Rc::new(font);
        let codes = font.codes() + FONT;
        if self.codes + codes > MOST_CODES {
            self.fonts.clear();
            self.codes = 0;
        }
        self.codes += codes;
        self.fonts.insert(key, Rc::clone(&font));
        font
    }

    /// Where the streams are, by their objects' numbers.
    fn by_number(&self) -> HashMap<u32, usize> {
        let numbers = self.streams.iter().enumerate();
        numbers.map(|(at, stream)| (stream.number, at)).collect()
    }

    /// Reads the streams that no page has shown.
    fn rest(&mut self, scanner: &mut Scanner<'_>) {
        let by_number = self.by_number();
        for at in 0..self.streams.len() {
            if stream::within(scanner).is_err() {
                return;
            }
            if self.streams[at].done {
                continue;
            }
            let name = format!("object {}", self.streams[at].number);
            let mut inner = stream::member(scanner, self.region, name.as_bytes());
            let (object, mut input) = match self.stream(scanner, at) {
                Ok(found) => found,
                Err(why) => {
                    scanner.skipped(&inner.member, why);
                    continue;
                }
            };
            let mut head = Zeroizing::new(Vec::new());
            // An error comes again behind what came before it.
            let _ = (&mut input).take(NEAR as u64).read_to_end(&mut head);
            let shows = |word: &[u8]| memchr::memmem::find(&head, word).is_some();
            let contents = shows(b"BT") && (shows(b"Tj") || shows(b"TJ"));
            let mut input = Cursor::new(head.as_slice()).chain(input);
            if contents || object.says(b"Subtype", b"Form") {
                let fonts = self.fonts_of(scanner, &object);
                let mut shown = Showing::new(inner, fonts);
                self.show(scanner, &by_number, &mut shown, &mut input);
                shown.end(scanner);
            } else {
                inner.format = Format::Guess;
                stream::read(scanner, &inner, &mut input, None);
            }
        }
    }
}

/// What is read of the contents of one page or form.
struct Showing {
    lines: Lines,
    page: Page,
    fonts: Fonts,
}

impl Showing {
    fn new(mut region: Region, fonts: Fonts) -> Showing {
        region.format = Format::Text;
        Showing {
            lines: Lines::new(region),
            page: Page::default(),
            fonts,
        }
    }

    /// Judges the lines that the page has ended. The one that is open stays with it: what comes next
    /// goes on from its last sign.
    fn judge(&mut self, scanner: &mut Scanner<'_>) {
        let text = &self.page.text;
        let ended = memchr::memrchr(b'\n', text).filter(|&at| text.len() - at < STRETCH);
        let ended = ended.map_or(text.len() - 1, |at| at + 1);
        self.lines.add(scanner, &text[..ended]);
        self.page.text = Zeroizing::new(text[ended..].to_vec());
    }

    fn end(mut self, scanner: &mut Scanner<'_>) {
        self.lines.add(scanner, &self.page.text);
        self.lines.flush(scanner);
        // Some signs of every document stand for no character; most of a page that do are its text.
        if self.page.unknown > self.page.shown / 2 {
            scanner.skipped(&self.lines.region.member, UnreadWhy::Unsupported);
        }
    }
}

/// Lines of text that are judged when there are enough.
struct Lines {
    region: Region,
    text: Zeroizing<Vec<u8>>,
}

impl Lines {
    fn new(region: Region) -> Lines {
        Lines {
            region,
            text: Zeroizing::default(),
        }
    }

    fn add(&mut self, scanner: &mut Scanner<'_>, text: &[u8]) {
        stream::charge(scanner, &self.region, text.len() as u64);
        self.text.extend_from_slice(text);
        if self.text.len() >= STRETCH {
            let (stop, keep) = stream::cut(&self.text);
            let cut = self.text[stop - 1] != b'\n';
            scanner.text(&self.region, &self.text[..stop], cut);
            self.pass(keep);
        }
    }

    /// Judges what is left.
    fn flush(&mut self, scanner: &mut Scanner<'_>) {
        if stream::is_message(&self.text) {
            stream::nested(scanner, &self.region, &self.text);
        } else {
            scanner.text(&self.region, &self.text, false);
        }
        self.pass(self.text.len());
    }

    /// Leaves the first bytes behind.
    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.text.split_at(bytes);
        let lines = memchr::memchr_iter(b'\n', passed).count();
        if let LineBase::Counted(before) = &mut self.region.line {
            *before = before.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        }
        self.region.offset += bytes as u64;
        self.text = Zeroizing::new(rest.to_vec());
    }
}

/// The bytes at `start` that one object may have.
fn one_object(text: &[u8], start: usize) -> &[u8] {
    let rest = text.get(start..).unwrap_or_default();
    &rest[..rest.len().min(LARGEST_OBJECT)]
}

/// Whether a trailer says that the file is encrypted.
fn says_encrypted(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"/Encrypt").is_some()
}

/// Writes the strings that an object holds, each with its name.
fn write_strings(object: &Object, name: &[u8], write: &mut dyn FnMut(&[u8])) {
    match object {
        Object::String(string) => {
            let text = decoded_string(string);
            if !text.is_empty() && !text.contains(&b'\n') {
                write(&name[..name.len().min(LONGEST_NAME)]);
                write(b": ");
            }
            write(&text);
            write(b"\n");
        }
        Object::Array(parts) => {
            for part in parts {
                write_strings(part, name, write);
            }
        }
        Object::Dictionary(entries) => {
            // A field of a form: what it is called, and what was put in.
            let field = match (object.get(b"T"), object.get(b"V")) {
                (Some(Object::String(title)), Some(value @ Object::String(_))) => {
                    write_strings(value, &decoded_string(title), write);
                    true
                }
                _ => false,
            };
            for (key, value) in entries {
                if !(field && matches!(key.as_slice(), b"T" | b"V")) {
                    write_strings(value, key, write);
                }
            }
        }
        _ => {}
    }
}

/// A string of a dictionary as UTF-8 (ISO 32000-1, 7.9.2.2).
fn decoded_string(string: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::new());
    match string {
        [0xfe, 0xff, rest @ ..] => text = charset::from_utf16(rest, false),
        [0xff, 0xfe, rest @ ..] => text = charset::from_utf16(rest, true),
        plain if std::str::from_utf8(plain).is_ok() => text.extend_from_slice(plain),
        latin => {
            let mut bytes = [0_u8; 4];
            for &byte in latin {
                let character = char::from(byte).encode_utf8(&mut bytes);
                text.extend_from_slice(character.as_bytes());
            }
        }
    }
    for byte in text.iter_mut().filter(|byte| **byte < 0x20) {
        if !matches!(byte, b'\t') {
            *byte = b'\n';
        }
    }
    text
}
