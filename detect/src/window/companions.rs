//! Files that lie beside a keystore, read for its password and for nothing else.
//!
//! A server's store stands in a directory with the file that says how to open it: a setting, an
//! environment, a file that holds one word. What is taken for a password here is told to nobody, only
//! tried: the store itself says whether it is right. So what would be no finding is taken too, a short
//! word or one that stands for another, and a text is asked by the names of its fields alone.

use akwatch_proto::credential::Kind;

use super::*;
use crate::content::{Companion, Part as FilePart};
use crate::scan;
use crate::unwrap::stream::guess;

/// Files that are looked into.
const MOST: usize = 8;
/// Bytes of one; what is beyond is not looked at.
const MOST_BYTES: usize = 256 << 10;
/// Bytes that undoing what they are wrapped in may take, of all of them.
const UNWRAPPED: u64 = 1 << 20;
/// Lines of a file that holds nothing but passwords.
const MOST_LINES: usize = 4;
/// Passwords that are tried.
const MOST_PASSWORDS: usize = 32;
/// Characters of the longest.
const LONGEST: usize = 64;

/// Passwords in the files beside `parts`, those that a name says are a keystore's first.
pub(crate) fn passwords(
    scanner: &mut Scanner<'_>,
    parts: &[FilePart<'_>],
    companions: &[Companion<'_>],
) -> Vec<Zeroizing<String>> {
    let mut found = Found::default();
    for companion in companions.iter().take(MOST) {
        let bytes = whole(companion);
        if companion.above && !parts.iter().any(|part| names(&bytes, part.name)) {
            continue;
        }
        scanner.work += bytes.len() as u64;
        found.words(&bytes);
        found.fields(scanner, companion.part.name, &bytes);
        found.matches(scanner, &companion.part, &bytes);
    }
    found.in_order()
}

/// A companion's bytes as far as they are looked at; none where they cannot be read.
fn whole(companion: &Companion<'_>) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; MOST_BYTES]);
    let mut filled = 0;
    while filled < bytes.len() {
        let read = companion
            .part
            .source
            .read_at(filled as u64, &mut bytes[filled..]);
        match read {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    bytes.truncate(filled);
    bytes
}

/// Whether a text names a file.
fn names(text: &[u8], path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    !name.is_empty() && memchr::memmem::find(text, name).is_some()
}

/// What may be a password, and whether something says that it is a keystore's.
#[derive(Default)]
struct Found(Vec<(bool, Zeroizing<String>)>);

impl Found {
    fn add(&mut self, of_store: bool, value: &[u8]) {
        /// Of all files; the best are taken in the end.
        const MOST_KEPT: usize = 4096;
        let Ok(text) = std::str::from_utf8(value) else {
            return;
        };
        if self.0.len() < MOST_KEPT && !text.is_empty() && text.chars().count() <= LONGEST {
            self.0.push((of_store, Zeroizing::new(text.to_owned())));
        }
    }

    /// The lines of a file that holds nothing but a few.
    fn words(&mut self, bytes: &[u8]) {
        let text = inline::unmarked(bytes).trim_ascii();
        if text.len() > MOST_LINES * (LONGEST + 2) {
            return;
        }
        let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        if lines.len() <= MOST_LINES {
            for line in lines {
                self.add(true, line.strip_suffix(b"\r").unwrap_or(line));
            }
        }
    }

    /// The values of fields whose names say so.
    fn fields(&mut self, scanner: &mut Scanner<'_>, name: &[u8], bytes: &[u8]) {
        let plain = inline::undressed(bytes).map(Zeroizing::new);
        let text = inline::unmarked(plain.as_ref().map_or(bytes, |plain| plain.as_slice()));
        let format = match crate::places::format_of(name) {
            Format::Conf => syntax::settled(text),
            Format::Guess => guess(text),
            named => syntax::contradicted(named, text).unwrap_or(named),
        };
        let (cut, scopes) = (scanner.scopes.was_cut(), scanner.scopes.len());
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut scanner.scopes,
        };
        syntax::parse(text, 0..text.len(), format, Scopes::ROOT, &mut fields);
        let mut fields = std::mem::take(&mut fields.fields);
        for field in &mut fields {
            if says_password(&field.path) {
                let value = field.value(text).trim_ascii();
                self.add(is_of_store(&field.path), value);
                self.add(is_of_store(&field.path), otherwise(value));
            }
            field.decoded.zeroize();
        }
        // What a parser leaves out of a companion is not left out of what is scanned.
        scanner.scopes.was_cut();
        scanner.scopes.note_cut(cut);
        scanner.scopes.forget(scopes);
    }

    /// What a scan of the file would tell as a password, whatever it is wrapped in.
    fn matches(&mut self, scanner: &mut Scanner<'_>, part: &FilePart<'_>, bytes: &Vec<u8>) {
        let limits = Limits {
            bytes: MOST_BYTES as u64,
            unwrapped: UNWRAPPED / MOST as u64,
            ..scanner.limits
        };
        let buffers = std::mem::take(&mut scanner.buffers);
        let strip = std::mem::replace(&mut scanner.strip, Box::new(Strip::new()));
        let mut inner = scan::scanner(scanner.rules, limits, scanner.window, buffers, strip);
        let part = FilePart {
            name: part.name,
            format: part.format,
            start: part.start,
            source: bytes,
        };
        scan::read_part(&mut inner, 0, &part);
        scanner.buffers = std::mem::take(&mut inner.buffers);
        scanner.strip = inner.strip;
        scanner.work += inner.work;
        for found in inner.candidates {
            let chosen = found.rules.iter().any(|rule| {
                let engine = scanner.rules.engine(Engine::NamedPassword);
                Some(*rule) == engine || found.kind == Some(Kind::Password)
            });
            if chosen {
                self.add(is_of_store(&found.path), &found.value);
            }
        }
    }

    fn in_order(mut self) -> Vec<Zeroizing<String>> {
        self.0.sort_by_key(|(of_store, _)| !of_store);
        let mut passwords: Vec<Zeroizing<String>> = Vec::new();
        for (_, password) in self.0 {
            if passwords.len() < MOST_PASSWORDS && !passwords.contains(&password) {
                passwords.push(password);
            }
        }
        passwords
    }
}

/// What stands for a variable that is not set: `${NAME:word}`, `${NAME:-word}`.
fn otherwise(value: &[u8]) -> &[u8] {
    let inner = value
        .strip_prefix(b"${")
        .and_then(|rest| rest.strip_suffix(b"}"));
    let Some((at, inner)) = inner.and_then(|inner| Some((memchr::memchr(b':', inner)?, inner)))
    else {
        return b"";
    };
    let word = &inner[at + 1..];
    word.strip_prefix(b"-").unwrap_or(word)
}

/// Whether a field's name says that it holds a password.
fn says_password(path: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"pass", b"pwd", b"phrase", b"secret", b"cred", b"storepw"];
    let name = path.to_ascii_lowercase();
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(&name, word).is_some())
}

/// Whether a field's name says that it is about a keystore.
fn is_of_store(path: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [
        b"store", b"ssl", b"tls", b"p12", b"pfx", b"pkcs12", b"jks", b"cert",
    ];
    let name = path.to_ascii_lowercase();
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(&name, word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_an_unset_variable_is_taken_out() {
        assert_eq!(otherwise(b"${STORE_PASS:changed}"), b"changed");
        assert_eq!(otherwise(b"${STORE_PASS:-changed}"), b"changed");
        for none in ["${STORE_PASS}", "plain:word", "${}", "${:}", ""] {
            assert_eq!(otherwise(none.as_bytes()), b"", "{none}");
        }
    }
}
