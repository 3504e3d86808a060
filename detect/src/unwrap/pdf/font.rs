//! What the codes of a PDF's font stand for, and how far each moves on (ISO 32000-1, 9.5 to 9.10).
//!
//! A font says it in one of four ways: by a table to Unicode, by the names of its glyphs, by a
//! predefined table of East Asian codes, or not at all; the last is told, never guessed at.

use std::collections::HashMap;

use encoding_rs::GB18030;

use super::object::{Lexer, Object, parsed};

/// Times that one font may tell something of a code. Two bytes have a quarter as many codes. Stops: a
/// table of nothing but ranges that tell all of them.
const MOST_TOLD: usize = 1 << 18;
/// Characters that one code stands for: a ligature has three.
const LONGEST: usize = 4;

/// How the codes of a font are read where its table does not tell them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Otherwise {
    /// Latin letters, by one byte.
    Latin,
    /// UTF-16, by two bytes.
    Utf16,
    /// GBK, by one or two bytes.
    Gbk,
    /// Numbers of glyphs, by two bytes: nothing tells what they show.
    Glyphs,
}

/// One font.
#[derive(Debug)]
pub(super) struct Font {
    told: HashMap<u16, Told>,
    otherwise: Otherwise,
    widths: HashMap<u16, f64>,
    width: f64,
    /// Times that it may still tell something.
    left: usize,
}

/// What one code stands for; NUL is no character.
type Told = [char; LONGEST];

/// What is shown by one code.
pub(super) struct Shown {
    /// Nothing when nothing tells what it shows.
    pub(super) text: Option<Told>,
    /// How far it moves on, in thousandths of the font's size.
    pub(super) width: f64,
    /// Whether it is the one-byte blank that is widened.
    pub(super) blank: bool,
}

impl Default for Font {
    /// One of Latin letters, of which nothing is known.
    fn default() -> Font {
        Font {
            told: HashMap::new(),
            otherwise: Otherwise::Latin,
            widths: HashMap::new(),
            width: 500.0,
            left: MOST_TOLD,
        }
    }
}

impl Font {
    /// The font that `dictionary` describes, its references followed by `resolve`; `table` is the
    /// text of its table to Unicode.
    pub(super) fn of(
        dictionary: &Object,
        table: Option<&[u8]>,
        resolve: &mut dyn FnMut(&Object) -> Option<Object>,
    ) -> Font {
        let mut get = |from: &Object, key: &[u8]| from.get(key).and_then(&mut *resolve);
        let mut font = Font::default();
        let encoding = get(dictionary, b"Encoding");
        if dictionary.says(b"Subtype", b"Type0") {
            let named = encoding.as_ref().and_then(Object::name).unwrap_or_default();
            font.otherwise = otherwise(named);
            font.width = 1000.0;
            let descendants = get(dictionary, b"DescendantFonts");
            let first = descendants.as_ref().and_then(|all| all.parts().first());
            if let Some(descendant) = first.and_then(&mut *resolve) {
                let mut get = |key: &[u8]| descendant.get(key).and_then(&mut *resolve);
                font.width = get(b"DW").and_then(|w| w.number()).unwrap_or(1000.0);
                font.wide_widths(get(b"W").as_ref().map_or(&[], Object::parts));
            }
        } else {
            font.narrow_widths(
                get(dictionary, b"FirstChar").and_then(|first| first.count()),
                get(dictionary, b"Widths")
                    .as_ref()
                    .map_or(&[], Object::parts),
            );
            let differences = encoding.and_then(|encoding| get(&encoding, b"Differences"));
            font.differences(differences.as_ref().map_or(&[], Object::parts));
        }
        if let Some(table) = table {
            font.table(table);
        }
        font
    }

    /// Codes that it holds something about.
    pub(super) fn codes(&self) -> usize {
        self.told.len() + self.widths.len()
    }

    /// What the codes of `string` show.
    pub(super) fn show<'s>(&'s self, string: &'s [u8]) -> impl Iterator<Item = Shown> + 's {
        let mut rest = string;
        std::iter::from_fn(move || {
            let (&first, after) = rest.split_first()?;
            let second = after.first();
            let two = match self.otherwise {
                Otherwise::Latin => None,
                Otherwise::Gbk if first < 0x81 => None,
                _ => second,
            };
            let code = match two {
                Some(&second) => u16::from_be_bytes([first, second]),
                None => u16::from(first),
            };
            rest = &after[usize::from(two.is_some())..];
            let text = self.told.get(&code).copied();
            Some(Shown {
                text: text.or_else(|| self.otherwise(code)),
                width: self.widths.get(&code).copied().unwrap_or(self.width),
                blank: two.is_none() && code == 32,
            })
        })
    }

    fn otherwise(&self, code: u16) -> Option<Told> {
        let character = match self.otherwise {
            Otherwise::Latin | Otherwise::Utf16 => char::from_u32(u32::from(code)),
            Otherwise::Gbk if code < 0x81 => char::from_u32(u32::from(code)),
            Otherwise::Gbk => {
                let bytes = code.to_be_bytes();
                let (text, failed) = GB18030.decode_without_bom_handling(&bytes);
                text.chars().next().filter(|_| !failed)
            }
            Otherwise::Glyphs => None,
        };
        character.map(|character| told([character]))
    }

    /// Times that it has told something.
    pub(super) fn told(&self) -> usize {
        MOST_TOLD - self.left
    }

    /// Says what a code stands for, if it may say more.
    fn tell(&mut self, code: u16, characters: Told) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        self.told.insert(code, characters);
        Some(())
    }

    /// Says how far a code moves on, if it may say more.
    fn widen(&mut self, code: u16, width: f64) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        self.widths.insert(code, width);
        Some(())
    }

    /// `/Widths`: of each code from the first on.
    fn narrow_widths(&mut self, first: Option<u32>, widths: &[Object]) {
        let first = first.unwrap_or_default().min(255) as u16;
        for (code, width) in (first..256).zip(widths) {
            if let Some(width) = width.number() {
                self.widen(code, width);
            }
        }
    }

    /// `/W`: a code and the widths from it on, or two codes and the width from one to the other.
    fn wide_widths(&mut self, mut rest: &[Object]) {
        let code = |object: &Object| object.count().and_then(|code| u16::try_from(code).ok());
        while let [first, second, after @ ..] = rest
            && self.left > 0
        {
            let Some(first) = code(first) else { return };
            rest = after;
            if let Object::Array(widths) = second {
                for (code, width) in (first..=u16::MAX).zip(widths) {
                    self.widen(code, width.number().unwrap_or(1000.0));
                }
            } else if let (Some(last), [width, after @ ..]) = (code(second), after) {
                // A run of one width is that of the whole font, or short.
                let width = width.number().unwrap_or(1000.0);
                for code in (first..=last).take(4096) {
                    self.widen(code, width);
                }
                rest = after;
            }
        }
    }

    /// `/Differences`: a code and the names of the glyphs from it on.
    fn differences(&mut self, differences: &[Object]) {
        let mut code = 0;
        for difference in differences {
            match difference {
                Object::Name(name) => {
                    if let Some(character) = glyph(name) {
                        self.tell(code, told([character]));
                    }
                    code = code.saturating_add(1);
                }
                other => code = other.count().unwrap_or_default().min(255) as u16,
            }
        }
    }

    /// A table to Unicode: `beginbfchar` and `beginbfrange`.
    fn table(&mut self, table: &[u8]) {
        let mut lexer = Lexer::new(table, false);
        let mut operands: Vec<Object> = Vec::new();
        // What a font that names its glyphs says of a code is said better here.
        while let Ok(Some(object)) = lexer.next() {
            match object {
                Object::Word(word) => {
                    match word.as_slice() {
                        b"endbfchar" => {
                            for pair in operands.as_chunks::<2>().0 {
                                if let [Object::String(from), Object::String(to)] = pair
                                    && let Some(code) = code(from)
                                {
                                    self.tell(code, utf16(to));
                                }
                            }
                        }
                        b"endbfrange" => {
                            for [first, last, to] in operands.as_chunks::<3>().0 {
                                self.range(first, last, to);
                            }
                        }
                        _ => {}
                    }
                    operands.clear();
                }
                other => operands.push(other),
            }
        }
    }

    fn range(&mut self, first: &Object, last: &Object, to: &Object) {
        let (Object::String(first), Object::String(last)) = (first, last) else {
            return;
        };
        let (Some(first), Some(last)) = (code(first), code(last)) else {
            return;
        };
        match to {
            Object::String(to) => {
                let mut characters = utf16(to);
                for code in first..=last {
                    if self.tell(code, characters).is_none() {
                        return;
                    }
                    // The last character of it counts on.
                    let at = characters.iter().position(|&c| c == '\0');
                    let last = &mut characters[at.unwrap_or(LONGEST).saturating_sub(1)];
                    *last = char::from_u32(*last as u32 + 1).unwrap_or(char::REPLACEMENT_CHARACTER);
                }
            }
            Object::Array(all) => {
                for (code, to) in (first..=last).zip(all) {
                    if let Object::String(to) = to {
                        self.tell(code, utf16(to));
                    }
                }
            }
            _ => {}
        }
    }
}

/// How codes are read by the name of a predefined table.
fn otherwise(name: &[u8]) -> Otherwise {
    let ends = |part: &[u8]| memchr::memmem::find(name, part).is_some();
    if ends(b"-UCS2-") || ends(b"-UTF16-") {
        Otherwise::Utf16
    } else if name.starts_with(b"GB") {
        Otherwise::Gbk
    } else {
        Otherwise::Glyphs
    }
}

fn told<const N: usize>(characters: [char; N]) -> Told {
    let mut told = ['\0'; LONGEST];
    for (to, from) in told.iter_mut().zip(characters) {
        *to = from;
    }
    told
}

fn code(bytes: &[u8]) -> Option<u16> {
    match *bytes {
        [one] => Some(u16::from(one)),
        [high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// The characters of a string in big-endian UTF-16.
fn utf16(bytes: &[u8]) -> Told {
    let units = bytes.as_chunks::<2>().0.iter();
    let characters = char::decode_utf16(units.map(|pair| u16::from_be_bytes(*pair)));
    let mut told = ['\0'; LONGEST];
    for (to, from) in told.iter_mut().zip(characters) {
        *to = from.unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    told
}

/// The character that a glyph's name says, of those that keys are written with (the Adobe Glyph List).
fn glyph(name: &[u8]) -> Option<char> {
    const NAMES: [(&[u8], char); 44] = [
        (b"zero", '0'),
        (b"one", '1'),
        (b"two", '2'),
        (b"three", '3'),
        (b"four", '4'),
        (b"five", '5'),
        (b"six", '6'),
        (b"seven", '7'),
        (b"eight", '8'),
        (b"nine", '9'),
        (b"space", ' '),
        (b"exclam", '!'),
        (b"quotedbl", '"'),
        (b"numbersign", '#'),
        (b"dollar", '$'),
        (b"percent", '%'),
        (b"ampersand", '&'),
        (b"quotesingle", '\''),
        (b"quoteright", '\''),
        (b"parenleft", '('),
        (b"parenright", ')'),
        (b"asterisk", '*'),
        (b"plus", '+'),
        (b"comma", ','),
        (b"hyphen", '-'),
        (b"minus", '-'),
        (b"period", '.'),
        (b"slash", '/'),
        (b"colon", ':'),
        (b"semicolon", ';'),
        (b"less", '<'),
        (b"equal", '='),
        (b"greater", '>'),
        (b"question", '?'),
        (b"at", '@'),
        (b"bracketleft", '['),
        (b"backslash", '\\'),
        (b"bracketright", ']'),
        (b"asciicircum", '^'),
        (b"underscore", '_'),
        (b"grave", '`'),
        (b"braceleft", '{'),
        (b"bar", '|'),
        (b"braceright", '}'),
    ];
    match name {
        [letter] => Some(char::from(*letter)),
        b"asciitilde" => Some('~'),
        [b'u', b'n', b'i', digits @ ..] if digits.len() == 4 => {
            let digits = std::str::from_utf8(digits).ok()?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
        // Names of a subset's own making: `g65`, `c65`.
        [b'g' | b'c' | b'C', digits @ ..] if parsed::<u32>(digits).is_some() => None,
        _ => NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, character)| character),
    }
}
