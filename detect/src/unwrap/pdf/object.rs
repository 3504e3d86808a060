//! The objects that a PDF is written in (ISO 32000-1, 7.2 and 7.3).
//!
//! Tolerant: what is no object is a word, what does not end has not come whole. Nothing is followed
//! here, and depth is bounded.

use zeroize::Zeroizing;

/// Arrays and dictionaries inside one another. Stops: a level of the stack for each bracket.
const DEEPEST: u32 = 32;

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    /// Integers too.
    Number(f64),
    /// Without its slash.
    Name(Vec<u8>),
    /// As written, its escapes undone.
    String(Zeroizing<Vec<u8>>),
    Array(Vec<Object>),
    Dictionary(Vec<(Vec<u8>, Object)>),
    /// The number of another object.
    Reference(u32),
    /// `true`, `null`, `endobj`, and the operators of contents.
    Word(Vec<u8>),
}

impl Object {
    /// What a dictionary holds under `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Object> {
        match self {
            Object::Dictionary(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether a dictionary holds the name `value` under `key`.
    pub(super) fn says(&self, key: &[u8], value: &[u8]) -> bool {
        self.get(key).and_then(Object::name) == Some(value)
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Object::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Object::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A number that counts or numbers something.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in range"
    )]
    pub(super) fn count(&self) -> Option<u32> {
        let number = self.number()?;
        (0.0..=f64::from(u32::MAX))
            .contains(&number)
            .then_some(number as u32)
    }

    pub(super) fn reference(&self) -> Option<u32> {
        match self {
            Object::Reference(number) => Some(*number),
            _ => None,
        }
    }

    /// The parts of an array; another object is its own only part.
    pub(super) fn parts(&self) -> &[Object] {
        match self {
            Object::Array(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }
}

/// Reads objects one after another.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    /// Whether more follows `text`, so that what touches its end has not come whole.
    more: bool,
    /// Whether something was too deep.
    pub(super) deep: bool,
    /// Objects that were made, numbers aside.
    made: usize,
}

/// Bytes that making an object costs as much as reading.
const MADE: usize = 8;

/// What has not come whole, or is too deep.
#[derive(Debug, PartialEq)]
pub(super) struct Incomplete;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8], more: bool) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            more,
            deep: false,
            made: 0,
        }
    }

    /// What was read, and made of it, cost.
    pub(super) fn cost(&self) -> u64 {
        (self.at + self.made * MADE) as u64
    }

    /// The next object; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Object>, Incomplete> {
        self.object(DEEPEST)
    }

    /// The byte that comes, blanks and comments passed over.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b'%' => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                byte if is_blank(byte) => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn object(&mut self, depth: u32) -> Result<Option<Object>, Incomplete> {
        let Some(depth) = depth.checked_sub(1) else {
            self.deep = true;
            return Err(Incomplete);
        };
        let Some(byte) = self.peek() else {
            return Ok(None);
        };
        let double = self.text.get(self.at + 1) == Some(&byte);
        let object = match byte {
            b'(' => Object::String(self.literal()?),
            b'<' if double => {
                self.at += 2;
                self.dictionary(depth)?
            }
            b'<' => Object::String(self.hex()?),
            b'[' => {
                self.at += 1;
                let mut parts = Vec::new();
                while self.peek().ok_or(Incomplete)? != b']' {
                    parts.push(self.object(depth)?.ok_or(Incomplete)?);
                }
                self.at += 1;
                Object::Array(parts)
            }
            b'/' => {
                self.at += 1;
                Object::Name(undone(self.regular()?))
            }
            b'+' | b'-' | b'.' | b'0'..=b'9' => self.number_or_reference()?,
            b')' | b'>' | b']' | b'{' | b'}' => {
                self.at += 1;
                Object::Word(vec![byte])
            }
            _ => Object::Word(self.regular()?.to_vec()),
        };
        self.made += usize::from(!matches!(object, Object::Number(_)));
        Ok(Some(object))
    }

    fn dictionary(&mut self, depth: u32) -> Result<Object, Incomplete> {
        let mut entries = Vec::new();
        loop {
            if self.peek().ok_or(Incomplete)? == b'>' {
                if self.at + 1 == self.text.len() && self.more {
                    return Err(Incomplete);
                }
                self.at = (self.at + 2).min(self.text.len());
                return Ok(Object::Dictionary(entries));
            }
            let key = self.object(depth)?.ok_or(Incomplete)?;
            if self.peek().ok_or(Incomplete)? == b'>' {
                continue;
            }
            let value = self.object(depth)?.ok_or(Incomplete)?;
            if let Object::Name(key) = key {
                entries.push((key, value));
            }
        }
    }

    /// A run of bytes that neither blanks nor brackets end.
    fn regular(&mut self) -> Result<&'a [u8], Incomplete> {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|&b| {
            is_blank(b)
                || matches!(
                    b,
                    b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
                )
        });
        let end = match end {
            Some(end) => end,
            None if self.more => return Err(Incomplete),
            None => rest.len(),
        };
        self.at += end;
        Ok(&rest[..end])
    }

    fn number_or_reference(&mut self) -> Result<Object, Incomplete> {
        let word = self.regular()?;
        let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
        if digits(word) && word.len() <= 10 {
            let before = self.at;
            if let Some(number) = self.generation_and_r()?.then(|| parsed(word)).flatten() {
                return Ok(Object::Reference(number));
            }
            self.at = before;
        }
        Ok(
            match parsed::<f64>(word).filter(|number| number.is_finite()) {
                Some(number) => Object::Number(number),
                None => Object::Word(word.to_vec()),
            },
        )
    }

    /// Whether what follows a number makes a reference of it: `0 R`.
    fn generation_and_r(&mut self) -> Result<bool, Incomplete> {
        let Some(b'0'..=b'9') = self.peek() else {
            return match self.at == self.text.len() && self.more {
                true => Err(Incomplete),
                false => Ok(false),
            };
        };
        let generation = self.regular()?;
        if generation.len() > 5 || !generation.iter().all(u8::is_ascii_digit) {
            return Ok(false);
        }
        match self.peek() {
            Some(b'R') => Ok(self.regular()? == b"R"),
            None if self.more => Err(Incomplete),
            _ => Ok(false),
        }
    }

    /// A string in brackets.
    fn literal(&mut self) -> Result<Zeroizing<Vec<u8>>, Incomplete> {
        let mut out = Zeroizing::new(Vec::new());
        let mut open = 0_u32;
        let mut bytes = self.text[self.at..].iter().copied().enumerate().peekable();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'(' => {
                    open += 1;
                    if open == 1 {
                        continue;
                    }
                }
                b')' => {
                    open -= 1;
                    if open == 0 {
                        self.at += at + 1;
                        return Ok(out);
                    }
                }
                b'\\' => {
                    let (_, escaped) = bytes.next().ok_or(Incomplete)?;
                    match escaped {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'b' | b'f' => out.push(b' '),
                        b'\n' => {}
                        b'\r' => {
                            bytes.next_if(|&(_, byte)| byte == b'\n');
                        }
                        b'0'..=b'7' => {
                            let mut code = u32::from(escaped - b'0');
                            for _ in 0..2 {
                                let digit = bytes.next_if(|&(_, b)| matches!(b, b'0'..=b'7'));
                                let Some((_, digit)) = digit else { break };
                                code = code * 8 + u32::from(digit - b'0');
                            }
                            out.push((code & 0xff) as u8);
                        }
                        other => out.push(other),
                    }
                    continue;
                }
                _ => {}
            }
            out.push(byte);
        }
        Err(Incomplete)
    }

    /// A string in hexadecimal digits.
    fn hex(&mut self) -> Result<Zeroizing<Vec<u8>>, Incomplete> {
        let rest = &self.text[self.at + 1..];
        let end = memchr::memchr(b'>', rest).ok_or(Incomplete)?;
        self.at += end + 2;
        let digits = rest[..end]
            .iter()
            .filter_map(|&byte| char::from(byte).to_digit(16));
        let mut out = Zeroizing::new(Vec::with_capacity(end / 2 + 1));
        let mut high = None;
        for digit in digits {
            let digit = (digit & 15) as u8;
            match high.take() {
                Some(high) => out.push(high << 4 | digit),
                None => high = Some(digit),
            }
        }
        out.extend(high.map(|high: u8| high << 4));
        Ok(out)
    }
}

/// Blanks: NUL is one of them.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

pub(super) fn parsed<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A name with its `#41` undone.
fn undone(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'#', Some(high), Some(low)) => {
                out.extend(u8::try_from(high << 4 | low));
                rest = &after[2..];
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Object]) {
        let mut lexer = Lexer::new(text.as_bytes(), false);
        let mut objects = Vec::new();
        while let Ok(Some(object)) = lexer.next() {
            objects.push(object);
        }
        assert_eq!(objects, expected, "{text}");
    }

    fn string(text: &str) -> Object {
        Object::String(text.as_bytes().to_vec().into())
    }

    #[test]
    fn objects_are_read_as_they_are_written() {
        let name = |text: &str| Object::Name(text.into());
        check(
            "12 0 R -.5 7 0 obj",
            &[
                Object::Reference(12),
                Object::Number(-0.5),
                Object::Number(7.0),
                Object::Number(0.0),
                Object::Word(b"obj".to_vec()),
            ],
        );
        check(
            "<</A#42[1(x)]/C<4a 4B5>>> % said\n/D",
            &[
                Object::Dictionary(vec![
                    (
                        b"AB".to_vec(),
                        Object::Array(vec![Object::Number(1.0), string("x")]),
                    ),
                    (b"C".to_vec(), string("JKP")),
                ]),
                name("D"),
            ],
        );
        check(
            r"(a\(b\) (c) \101\12\\) (two\
lines)",
            &[string("a(b) (c) A\n\\"), string("twolines")],
        );
        check("(no end", &[]);
        check(&"[".repeat(100_000), &[]);
    }

    #[test]
    fn what_touches_the_end_has_not_come_whole() {
        let text = b"12 0 R /Name (a\\)b) <<//K 3>>[4 5 true] Tj";
        let mut whole = Lexer::new(text, false);
        let mut ends = vec![];
        while let Ok(Some(_)) = whole.next() {
            ends.push(whole.at);
        }
        for stop in 0..text.len() {
            let mut lexer = Lexer::new(&text[..stop], true);
            let mut at = 0;
            while let Ok(Some(_)) = lexer.next() {
                at = lexer.at;
            }
            assert!(at == 0 || ends.contains(&at), "{stop} bytes: {at}");
        }
    }
}
