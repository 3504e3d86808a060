//! Where a list's next page begins: opaque to callers, read back strictly.
//!
//! A cursor holds the sort and the sort keys of the last row, so that a page begins after that row
//! whatever was inserted or changed meanwhile. It grants nothing: whoever forges one sees another
//! page of what the scope allows.

use akwatch_proto::limits;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Characters of a cursor, at most: a path in base64, and room for the rest.
pub const LONGEST: usize = limits::SAFE_TEXT * 2 + 512;

/// A value that a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Key {
    /// A number or time.
    Number(i64),
    /// A name or path.
    Text(String),
}

/// The place after which the next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Which list and order.
    pub(crate) sort: String,
    /// The sort keys of the last row, the row's number last.
    pub(crate) keys: Vec<Key>,
}

impl Cursor {
    pub(crate) fn write(&self) -> String {
        let json = serde_json::to_vec(self).expect("invariant: a cursor serializes");
        BASE64URL_NOPAD.encode(&json)
    }

    /// Reads a cursor of the list `sort` whose keys look like `like`.
    pub(crate) fn read(text: &str, sort: &str, like: &[Key]) -> Result<Cursor, StoreError> {
        if text.len() > LONGEST {
            return Err(StoreError::BadCursor);
        }
        let json = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| StoreError::BadCursor)?;
        let cursor: Cursor = serde_json::from_slice(&json).map_err(|_| StoreError::BadCursor)?;
        let same = cursor.keys.len() == like.len()
            && cursor
                .keys
                .iter()
                .zip(like)
                .all(|(key, like)| std::mem::discriminant(key) == std::mem::discriminant(like));
        if cursor.sort != sort || !same {
            return Err(StoreError::BadCursor);
        }
        Ok(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIKE: [Key; 2] = [Key::Text(String::new()), Key::Number(0)];

    #[test]
    fn a_cursor_reads_back_and_belongs_to_its_list() {
        let cursor = Cursor {
            sort: "findings path".to_owned(),
            keys: vec![Key::Text("/etc/名".to_owned()), Key::Number(-4)],
        };
        let text = cursor.write();
        assert_eq!(Cursor::read(&text, "findings path", &LIKE).unwrap(), cursor);
        assert!(Cursor::read(&text, "findings score", &LIKE).is_err());
        assert!(Cursor::read(&text, "findings path", &LIKE[..1]).is_err());
        assert!(Cursor::read("", "findings path", &LIKE).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            prop_assert!(Cursor::read(&text, "findings path", &LIKE).is_err());
        }
    }
}
