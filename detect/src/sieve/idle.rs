//! Values that can be no secret whatever their name says: what keeps most files from being parsed.
//!
//! Configuration is full of `password: ${DB_PASSWORD}` and `secret = changeme`. The judge would turn
//! each down after the whole file has been parsed for it; here the same is seen in the bytes behind
//! the separator. This refuses only what the judge refuses for every name and every format: when in
//! doubt a value is left to it.

use akwatch_proto::limits;

use crate::judge::{chosen, quiet};

/// Bytes behind a separator that are looked at: a longer line is left to the judge.
const LOOKED_AT: usize = 96;

/// Whether the line behind the separator at `at` holds one short, whole value that is no secret. Behind
/// the name of a `password` also a word may be one.
pub(super) fn is_idle(text: &[u8], at: usize, password: bool) -> bool {
    let rest = &text[at + 1..text.len().min(at + 1 + LOOKED_AT)];
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return false;
    };
    let line = rest[..end].trim_ascii();
    let line = line.strip_suffix(b",").unwrap_or(line);
    let value = match line {
        // What stands on the next lines is not seen from here.
        [] => return false,
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => inner,
        other => other,
    };
    is_variable(value) || (is_word(value) && !(password && chosen::may_be(value)))
}

/// The same of the value of a flag, which begins at `at` behind blanks and ends with its word.
pub(crate) fn is_idle_flag(text: &[u8], at: usize, password: bool) -> bool {
    let rest = &text[at..text.len().min(at + LOOKED_AT)];
    let blanks = rest
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let rest = &rest[blanks..];
    let Some(end) = rest.iter().position(u8::is_ascii_whitespace) else {
        return false;
    };
    let value = match &rest[..end] {
        [] => return false,
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => inner,
        other => other,
    };
    is_variable(value) || (is_word(value) && !(password && chosen::may_be(value)))
}

/// Whether what stands behind the separator at `at` of a program can be no secret: no string, and no word
/// with a figure, that is as long as a password. Types and other names are most of what stands there. In
/// `rust` a quote may begin a lifetime.
pub(crate) fn is_idle_code(text: &[u8], at: usize, rust: bool) -> bool {
    /// Bytes of a line that are looked at: a longer one is left to the judge.
    const LINE: usize = 256;
    let behind = text.get(at..).unwrap_or_default();
    match behind {
        // `Token::new`
        [b':', b':', ..] => return true,
        [b'=' | b':' | b'(' | b',' | b'<' | b'>', ..] => {}
        _ => return false,
    }
    let rest = &behind[1..behind.len().min(LINE)];
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return false;
    };
    let line = rest[..end].trim_ascii();
    // A value of more lines.
    let goes_on = b"([=+|?>".contains(line.last().unwrap_or(&b'='));
    !goes_on && line.iter().any(u8::is_ascii_alphanumeric) && holds_nothing(line, rust)
}

/// Whether no string and no word of a program's line may be a secret.
fn holds_nothing(line: &[u8], rust: bool) -> bool {
    let (mut word, mut at) = (Word::default(), 0);
    while let Some(&byte) = line.get(at) {
        at += 1;
        match byte {
            b'\'' if rust && is_lifetime(&line[..at - 1], &line[at..]) => word = Word::default(),
            b'"' | b'\'' | b'`' => {
                word = Word::default();
                let length = memchr::memchr(byte, &line[at..]);
                let string = length.map(|length| &line[at..at + length]);
                match string.filter(|string| string.len() < limits::SHORTEST_PASSWORD) {
                    // Behind a backslash that none escapes the string goes on.
                    Some(string) if backslashes(string).is_multiple_of(2) => at += string.len() + 1,
                    _ => return false,
                }
            }
            b'\\' | 0x80.. => return false,
            b'$' if line.get(at) == Some(&b'{') => return false,
            b' ' | b'\t' | b',' | b';' | b'(' | b')' | b'{' | b'}' | b'<' | b'>' => {
                word = Word::default();
            }
            _ => {
                word.add(byte);
                if word.may_be_secret() {
                    return false;
                }
            }
        }
    }
    true
}

/// Backslashes at a string's end.
fn backslashes(string: &[u8]) -> usize {
    string.iter().rev().take_while(|b| **b == b'\\').count()
}

/// Whether Rust's name of a lifetime stands behind a quote, and no string: in a type, up to where its name
/// ends.
fn is_lifetime(before: &[u8], behind: &[u8]) -> bool {
    if !matches!(
        before.trim_ascii_end().last(),
        Some(b'&' | b'<' | b'+' | b',' | b'(' | b':')
    ) {
        return false;
    }
    let name = behind
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let known = (1..=2).contains(&name) || &behind[..name] == b"static";
    known
        && matches!(
            behind.get(name),
            None | Some(b' ' | b',' | b'>' | b'+' | b')' | b':' | b';')
        )
}

/// A word of a program, as far as it is read.
#[derive(Default)]
struct Word {
    length: usize,
    figures: bool,
    /// It begins with a figure, or has a mark that no name has.
    odd: bool,
}

impl Word {
    fn add(&mut self, byte: u8) {
        let figure = byte.is_ascii_digit();
        self.odd |= (figure && self.length == 0) || b"!@#%^~".contains(&byte);
        self.figures |= figure;
        self.length += 1;
    }

    /// Whether [`quiet::is_no_expression`] may hold for it, or a rule's shape.
    fn may_be_secret(&self) -> bool {
        let shortest = match self.odd {
            true => limits::SHORTEST_PASSWORD,
            false => limits::SHORTEST_SECRET,
        };
        self.figures && self.length >= shortest
    }
}

/// `${NAME}` and `{{ name }}` as a whole: only a name is in it.
fn is_variable(value: &[u8]) -> bool {
    let (inner, blank) = match value {
        [b'$', b'{', inner @ .., b'}'] => (inner, false),
        [b'{', b'{', inner @ .., b'}', b'}'] => (inner, true),
        _ => return false,
    };
    inner
        .iter()
        .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || (blank && b == b' '))
}

/// One run of name bytes that is too short, all letters, all digits, or a known stand-in.
fn is_word(value: &[u8]) -> bool {
    let (mut letters, mut digits) = (0, 0);
    for &byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => letters += 1,
            b'0'..=b'9' => digits += 1,
            b'_' | b'-' | b'.' => {}
            _ => return false,
        }
    }
    value.len() < limits::SHORTEST_PASSWORD
        || (value.len() < limits::SHORTEST_SECRET
            && (letters == value.len() || digits == value.len() || quiet::is_placeholder(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, idle: bool) {
        let at = line.find([':', '=']).unwrap();
        let password = line.starts_with("pass");
        assert_eq!(is_idle(line.as_bytes(), at, password), idle, "{line}");
    }

    #[test]
    fn what_can_be_no_secret_is_left_out() {
        check("password: ${DB_PASSWORD}\n", true);
        check("password: {{ vault.db.password }}\r\n", true);
        check("\"token\": \"changeme\",\n", true);
        check("secret = disabled\n", true);
        check("passwd=12345\n", true);
        check("password: required\n", true);
        check("secret: gooseberry\n", true);
    }

    #[test]
    fn programs_are_told_by_their_line() {
        let in_file = |text: &str, rust| {
            is_idle_code(text.as_bytes(), text.find([':', '=', '(']).unwrap(), rust)
        };
        let idle = |text: &str| in_file(text, true);
        assert!(idle("value: MaybeUninit<T>,\n"));
        assert!(idle("fn write(&mut self, value: u32) -> Result<u64> {\n"));
        assert!(idle("token = parser.next_token();\r\n"));
        assert!(!idle("token = 'gooseberry'\n"));
        assert!(idle("token = hunter22222;\n"));
        assert!(idle("token: &'a str, other: &'a str\n"));
        assert!(idle("token: Cow<'static, [u8]>, more: &'a str\n"));
        for string in [
            "password = 'db-gooseberry12'  # don't share\n",
            "password = 'db gooseberry12'  # don't share\n",
            "password := 'a', 'b-gooseberry12'  # it's\n",
        ] {
            assert!(!in_file(string, false) && !idle(string), "{string}");
        }
        assert!(!in_file("token: &'a str, other: &'a str\n", false));
        assert!(idle("key = \"short\"; f('x')\n"));
        assert!(!idle("key = \"a\\\"gooseberry\"\n"));
        assert!(!idle("key = 'a\\'gooseberry'\n"));
        assert!(idle("key = '\\n'; f(\"a\\\\\")\n"));
        assert!(!idle("key = f('x', \"gooseberry\")\n"));
        assert!(!idle("token = 2hunter2222;\n"));
        assert!(!idle("token = hunter2222hunter;\n"));
        assert!(!idle("password := P@ssw0rd\n"));
        assert!(!idle("password = ${PASSWORD:-gooseberry}\n"));
        assert!(!idle("password = \u{201c}gooseberry\u{201d}\n"));
        assert!(!idle("value: PhantomData"));
        assert!(!idle("password = (\n"));
        assert!(!idle("password = String::from(\n"));
        assert!(!idle("password:\n"));
        assert!(!idle("password := {\n"));
        assert!(!is_idle_code(b"\\u0070\n", 0, true));
    }

    #[test]
    fn flags_are_told_by_their_word() {
        let idle = |text: &str| is_idle_flag(text.as_bytes(), 0, true);
        assert!(idle("  changeme --host h"));
        assert!(idle("${TOKEN}\n"));
        assert!(idle("'short' x"));
        assert!(!idle("gooseberry\n"));
        assert!(!idle("changeme"));
        assert!(!idle("'two words' x"));
        assert!(!idle("hunter22222 x"));
        assert!(!idle("\n"));
    }

    #[test]
    fn what_may_be_one_is_kept() {
        check("password: hunter2222\n", false);
        check("password: gooseberry\n", false);
        check("password=20190817\n", false);
        check("password: ${DB_PASSWORD:-hunter2222}\n", false);
        check("password:\n  hunter2222\n", false);
        check("password: |\n", false);
        check("password: changeme", false);
        check("a=b; password=changeme\n", false);
        check("passwords: [abc, def]\n", false);
        check("password: \"hunter\n22222\"\n", false);
    }
}
