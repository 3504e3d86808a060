//! How bytes chosen by strangers become text that may be stored and shown.
//!
//! Paths, unit names and variable names on a watched host belong to whoever can create them. Before
//! such a name goes anywhere it loses every byte that could move a cursor, end a line, reorder a
//! page or forge another name. This module only escapes; removing secrets from names is the agent's
//! redaction, which calls it.

/// Returns `bytes` as text in which every byte that is not UTF-8 reads `\xNN` and every control,
/// bidirectional or invisible formatting character reads `\u{NN}`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_hostile(character) {
                out.extend(character.escape_unicode());
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Whether `character` could change how the text around it is read.
#[must_use]
pub fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Cuts `text` to at most `limit` bytes at a character boundary, ending in `…` when something was
/// cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let ellipsis = '…';
    let mut end = limit.saturating_sub(ellipsis.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = text[..end].to_owned();
    out.push(ellipsis);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_become_visible() {
        assert_eq!(escape(b"a\x1b[2Jb\xff/\n"), "a\\u{1b}[2Jb\\xff/\\u{a}");
        assert_eq!(escape("名\u{202e}字".as_bytes()), "名\\u{202e}字");
    }

    #[test]
    fn a_cut_stays_within_its_limit_and_on_a_boundary() {
        assert_eq!(cut("abc", 3), "abc");
        let cut = cut("密钥密钥", 9);
        assert_eq!(cut, "密钥…");
        assert!(cut.len() <= 9);
    }
}
