//! JSON, its relaxed cousins, and the inline `{…}` and `[…]` of YAML and TOML.
//!
//! One pass, no recursion, no error: keys may be bare or in single quotes, comments are skipped,
//! commas may be missing, and a text that is cut ends where it ends. Several documents in a row
//! (JSON lines) are several objects.

use std::ops::Range;

use super::{DEEPEST, Fields, ScopeId, innermost};

struct Frame {
    scope: ScopeId,
    path: usize,
    index: Option<usize>,
}

struct Flow<'a, 'f, 's> {
    text: &'a [u8],
    at: usize,
    end: usize,
    stack: Vec<Frame>,
    path: Vec<u8>,
    key: Option<Range<usize>>,
    fields: &'f mut Fields<'s>,
}

/// Parses `text[range]`; paths begin with `prefix`.
pub(crate) fn parse(
    text: &[u8],
    range: Range<usize>,
    prefix: &[u8],
    root: ScopeId,
    fields: &mut Fields<'_>,
) {
    let prefix = innermost(prefix);
    let frame = Frame {
        scope: root,
        path: prefix.len(),
        index: None,
    };
    let mut flow = Flow {
        text,
        at: range.start,
        end: range.end,
        stack: vec![frame],
        path: prefix.to_vec(),
        key: None,
        fields,
    };
    while flow.at < flow.end {
        flow.step();
    }
}

impl Flow<'_, '_, '_> {
    fn step(&mut self) {
        match self.text[self.at] {
            b'{' => self.open(false),
            b'[' => self.open(true),
            b'}' | b']' => {
                self.close();
                self.at += 1;
            }
            b',' => {
                self.key = None;
                self.at += 1;
            }
            b'#' => self.skip_line(),
            b'/' if self.peek(1) == Some(b'/') => self.skip_line(),
            b'/' if self.peek(1) == Some(b'*') => {
                let rest = &self.text[self.at..self.end];
                let length = memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2);
                self.at += length;
            }
            b'"' | b'\'' => self.string(),
            byte if byte.is_ascii_whitespace() || byte == b':' || byte == b'=' => self.at += 1,
            _ => self.bare(),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text[..self.end].get(self.at + ahead).copied()
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..self.end];
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn open(&mut self, list: bool) {
        self.at += 1;
        self.enter();
        let scope = self.stack.last().map_or(0, |frame| frame.scope);
        let scope = if self.stack.len() < DEEPEST {
            self.fields.scopes.child(scope)
        } else {
            scope
        };
        if self.stack.len() < DEEPEST * 8 {
            self.stack.push(Frame {
                scope,
                path: self.path.len(),
                index: list.then_some(0),
            });
        }
        self.key = None;
    }

    fn close(&mut self) {
        if self.stack.len() > 1 {
            self.stack.pop();
        }
        self.key = None;
    }

    /// Extends the path by the pending key or the list's next index.
    fn enter(&mut self) {
        let Some(frame) = self.stack.last_mut() else {
            return;
        };
        self.path.truncate(frame.path);
        if let Some(key) = self.key.take() {
            if !self.path.is_empty() {
                self.path.push(b'.');
            }
            let key = key.start..key.end.min(key.start + 200);
            self.path.extend_from_slice(&self.text[key]);
        } else if let Some(index) = &mut frame.index {
            self.path.extend_from_slice(format!("[{index}]").as_bytes());
            *index += 1;
        }
    }

    fn string(&mut self) {
        let quote = self.text[self.at];
        let start = self.at + 1;
        let (raw, decoded) = quoted(&self.text[..self.end], start, quote);
        self.at = (raw.end + 1).min(self.end);
        self.took(raw, decoded);
    }

    fn bare(&mut self) {
        let start = self.at;
        let stop = |byte: u8| {
            matches!(
                byte,
                b',' | b'{' | b'}' | b'[' | b']' | b'\n' | b'"' | b'\''
            ) || (byte == b'=' || byte == b':')
        };
        let mut end = start;
        while end < self.end && !stop(self.text[end]) {
            end += 1;
        }
        // A colon inside a value (a URL, a time) does not end it.
        if self.key.is_some() {
            let value = |byte: u8| matches!(byte, b',' | b'{' | b'}' | b'[' | b']' | b'\n');
            while end < self.end && !value(self.text[end]) {
                end += 1;
            }
        }
        self.at = end.max(start + 1);
        let trimmed = self.text[start..end].trim_ascii_end().len();
        if trimmed > 0 {
            self.took(start..start + trimmed, None);
        }
    }

    /// A scalar: a key when a colon or equals sign follows and none is pending.
    fn took(&mut self, raw: Range<usize>, decoded: Option<Vec<u8>>) {
        let in_list = self.stack.last().is_some_and(|frame| frame.index.is_some());
        if self.key.is_none() && !in_list && self.colon_follows() {
            self.key = Some(raw);
            return;
        }
        self.enter();
        let scope = self.stack.last().map_or(0, |frame| frame.scope);
        let path = std::mem::take(&mut self.path);
        self.fields.add_decoded(&path, raw, decoded, scope);
        self.path = path;
    }

    fn colon_follows(&mut self) -> bool {
        let mut at = self.at;
        while at < self.end && self.text[at].is_ascii_whitespace() {
            at += 1;
        }
        if at < self.end && matches!(self.text[at], b':' | b'=') {
            self.at = at + 1;
            return true;
        }
        false
    }
}

/// The string that begins at `start`, after its quote: its range and, if it has escapes, its text.
/// An unclosed one ends with the text.
pub(crate) fn quoted(text: &[u8], start: usize, quote: u8) -> (Range<usize>, Option<Vec<u8>>) {
    let mut at = start;
    let mut escaped = false;
    while at < text.len() {
        match memchr::memchr2(quote, b'\\', &text[at..]) {
            Some(found) if text[at + found] == b'\\' => {
                escaped = true;
                at = (at + found + 2).min(text.len());
            }
            Some(found) => {
                at += found;
                break;
            }
            None => at = text.len(),
        }
    }
    let raw = start.min(text.len())..at;
    let decoded = escaped.then(|| crate::unwrap::inline::unescape(&text[raw.clone()]));
    (raw, decoded)
}
