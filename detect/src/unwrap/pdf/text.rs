//! The text that the contents of a PDF's page show, in lines (ISO 32000-1, 9.4).
//!
//! A page is written glyph by glyph where its maker wanted: what ends where the next begins is one
//! word, what stands further on the same line is another, what stands elsewhere is another line. A
//! wide gap after the first column stands for the colon that names a value.

use std::rc::Rc;

use zeroize::Zeroizing;

use super::font::Font;
use super::object::Object;

/// Saved states inside one another. Stops: a content of nothing but `q`.
const DEEPEST: usize = 64;
/// Gaps on a line, in the size of its letters, from which on words, and columns, are apart.
const WORDS_APART: f64 = 0.17;
const COLUMNS_APART: f64 = 1.4;
/// How far letters of a line may stand above one another, in their size.
const LINES_APART: f64 = 0.4;

/// Where and how text is put: a b c d e f.
type Matrix = [f64; 6];

const UPRIGHT: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `a`, then `b`.
fn then(a: &Matrix, b: &Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

#[derive(Clone)]
struct State {
    /// From the content's own space to the page.
    space: Matrix,
    font: Rc<Font>,
    size: f64,
    /// Between letters, and more between words.
    letters: f64,
    words: f64,
    /// Width of letters, 1 for as they are.
    stretch: f64,
    leading: f64,
}

/// What a page shows.
pub(super) struct Page {
    /// The lines.
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Codes that were shown, and those of which nothing tells what they show.
    pub(super) shown: u32,
    pub(super) unknown: u32,
    state: State,
    saved: Vec<State>,
    /// From the line of text, and from where the next letter stands, to the content's own space.
    line: Matrix,
    next: Matrix,
    /// Where the last letter ended, on the page.
    pen: Option<(f64, f64)>,
    /// Whether the line has had a gap between columns.
    columns: bool,
}

impl Default for Page {
    fn default() -> Page {
        Page {
            text: Zeroizing::default(),
            shown: 0,
            unknown: 0,
            state: State {
                space: UPRIGHT,
                font: Rc::default(),
                size: 1.0,
                letters: 0.0,
                words: 0.0,
                stretch: 1.0,
                leading: 0.0,
            },
            saved: Vec::new(),
            line: UPRIGHT,
            next: UPRIGHT,
            pen: None,
            columns: false,
        }
    }
}

impl Page {
    /// Shows what follows in a font of a size.
    pub(super) fn set_font(&mut self, font: Rc<Font>, size: f64) {
        self.state.font = font;
        self.state.size = size;
    }

    /// Carries out one operator but the choice of a font.
    pub(super) fn operate(&mut self, operator: &[u8], operands: &[Object]) {
        let number = |at: usize| {
            operands
                .get(at)
                .and_then(Object::number)
                .unwrap_or_default()
        };
        let matrix = || std::array::from_fn(number);
        let state = &mut self.state;
        match operator {
            b"q" if self.saved.len() < DEEPEST => self.saved.push(state.clone()),
            b"Q" => self.state = self.saved.pop().unwrap_or_else(|| state.clone()),
            b"cm" => state.space = then(&matrix(), &state.space),
            b"BT" => (self.line, self.next) = (UPRIGHT, UPRIGHT),
            b"Tm" => (self.line, self.next) = (matrix(), matrix()),
            b"Td" => self.move_line(number(0), number(1)),
            b"TD" => {
                state.leading = -number(1);
                self.move_line(number(0), number(1));
            }
            b"T*" => self.move_line(0.0, -self.state.leading),
            b"TL" => state.leading = number(0),
            b"Tc" => state.letters = number(0),
            b"Tw" => state.words = number(0),
            b"Tz" => state.stretch = number(0) / 100.0,
            b"Tj" => self.show(operands),
            b"TJ" => self.show(operands.first().map_or(&[], Object::parts)),
            b"'" | b"\"" => {
                if operator == b"\"" {
                    (state.words, state.letters) = (number(0), number(1));
                }
                self.move_line(0.0, -self.state.leading);
                self.show(operands.last().map_or(&[], std::slice::from_ref));
            }
            _ => {}
        }
    }

    fn move_line(&mut self, x: f64, y: f64) {
        self.line = then(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.next = self.line;
    }

    /// Moves on along the line by so much of the text's own space.
    fn advance(&mut self, by: f64) {
        self.next = then(&[1.0, 0.0, 0.0, 1.0, by, 0.0], &self.next);
    }

    fn show(&mut self, parts: &[Object]) {
        for part in parts {
            match part {
                Object::String(string) => self.string(string),
                Object::Number(back) => {
                    self.advance(-back / 1000.0 * self.state.size * self.state.stretch);
                }
                _ => {}
            }
        }
    }

    fn string(&mut self, string: &[u8]) {
        let font = Rc::clone(&self.state.font);
        for shown in font.show(string) {
            self.shown = self.shown.saturating_add(1);
            let state = &self.state;
            let words = if shown.blank { state.words } else { 0.0 };
            let by = shown.width / 1000.0 * state.size + state.letters + words;
            let by = by * state.stretch;
            match shown.text {
                Some(characters) => self.put(&characters),
                None => self.unknown = self.unknown.saturating_add(1),
            }
            self.advance(by);
            let end = then(&self.next, &self.state.space);
            self.pen = Some((end[4], end[5]));
        }
    }

    /// Writes what one code shows, with what lies between it and the one before.
    fn put(&mut self, characters: &[char]) {
        let place = then(&self.next, &self.state.space);
        // Along the line, and the height of its letters.
        let along = (place[0].hypot(place[1]), place[0], place[1]);
        let height = self.state.size.abs() * place[2].hypot(place[3]);
        if let Some((x, y)) = self.pen
            && height > 0.0
            && along.0 > 0.0
        {
            let (right, up) = (place[4] - x, place[5] - y);
            let gap = (right * along.1 + up * along.2) / along.0 / height;
            let above = (up * along.1 - right * along.2) / along.0 / height;
            let blank = self.text.last().is_none_or(u8::is_ascii_whitespace);
            if above.abs() > LINES_APART || gap < -1.0 {
                self.columns = false;
                if !self.text.is_empty() {
                    self.text.push(b'\n');
                }
            } else if gap > COLUMNS_APART {
                let named = matches!(self.text.last(), Some(b':' | b'=' | b',' | b';' | b'|'));
                let gap: &[u8] = if self.columns || named || blank {
                    b"\t"
                } else {
                    b": "
                };
                self.text.extend_from_slice(gap);
                self.columns = true;
            } else if gap > WORDS_APART && !blank {
                self.text.push(b' ');
            }
        }
        let mut bytes = [0_u8; 4];
        for &character in characters.iter().take_while(|&&c| c != '\0') {
            let typed = typed(character);
            let typed = typed.unwrap_or_else(|| character.encode_utf8(&mut bytes));
            self.text.extend_from_slice(typed.as_bytes());
        }
    }
}

/// What was typed for a character that only the page has.
fn typed(character: char) -> Option<&'static str> {
    match character {
        '\u{a0}' => Some(" "),
        '\u{ad}' | '\u{2010}' | '\u{2011}' => Some("-"),
        '\u{fb00}' => Some("ff"),
        '\u{fb01}' => Some("fi"),
        '\u{fb02}' => Some("fl"),
        '\u{fb03}' => Some("ffi"),
        '\u{fb04}' => Some("ffl"),
        '\u{fb05}' | '\u{fb06}' => Some("st"),
        _ => None,
    }
}
