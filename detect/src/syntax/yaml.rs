//! YAML by its indentation: key paths, lists, block scalars, several documents.
//!
//! Not a YAML parser: anchors, tags and merges are stepped over, flow collections go to [`flow`],
//! and templates that break the grammar (Helm, Ansible) are read all the same.

use std::ops::Range;

use super::{DEEPEST, Fields, ScopeId, flow, innermost};

/// One open mapping or list. Columns are doubled so that a dash sorts between its own column and
/// the next.
struct Level {
    column: usize,
    scope: ScopeId,
    path: usize,
    last_key: Option<Range<usize>>,
    index: Option<usize>,
}

struct Yaml<'a, 'f, 's> {
    text: &'a [u8],
    end: usize,
    root: ScopeId,
    stack: Vec<Level>,
    path: Vec<u8>,
    /// Bytes that the search for closing brackets may still look at: unclosed ones on every line
    /// must not cost a search each.
    patience: usize,
    fields: &'f mut Fields<'s>,
}

/// Parses `text[range]`.
pub(crate) fn parse(text: &[u8], range: Range<usize>, root: ScopeId, fields: &mut Fields<'_>) {
    let mut yaml = Yaml {
        text,
        end: range.end,
        root,
        stack: Vec::new(),
        path: Vec::new(),
        patience: range.len() * 4,
        fields,
    };
    let mut at = range.start;
    while at < yaml.end {
        at = yaml.line(at);
    }
}

impl Yaml<'_, '_, '_> {
    fn line_end(&self, at: usize) -> usize {
        memchr::memchr(b'\n', &self.text[at..self.end]).map_or(self.end, |length| at + length)
    }

    /// Reads the line at `at`; answers where the next one begins.
    fn line(&mut self, at: usize) -> usize {
        let end = self.line_end(at);
        let next = (end + 1).min(self.end).max(at + 1);
        let mut start = at;
        while start < end && matches!(self.text[start], b' ' | b'\t') {
            start += 1;
        }
        let content = self.text[start..end].trim_ascii_end();
        if content.is_empty() || content[0] == b'#' || content[0] == b'%' {
            return next;
        }
        if content.starts_with(b"---") && start == at {
            self.stack.clear();
            self.path.clear();
            self.root = self
                .fields
                .scopes
                .child(self.fields.scopes.parent(self.root));
            if content.len() == 3 {
                return next;
            }
        }
        let mut column = start - at;
        let mut dash = None;
        while self.text[start..end].starts_with(b"- ") || &self.text[start..end] == b"-" {
            self.dash(column * 2 + 1);
            dash = Some(column);
            let mut inner = start + 1;
            while inner < end && self.text[inner] == b' ' {
                inner += 1;
            }
            column += inner - start;
            start = inner;
            if start >= end {
                return next;
            }
        }
        // A list's item that is a block: `- |`.
        if let Some(dash) = dash.filter(|_| is_block(&self.text[start..end])) {
            return self.block(next, dash);
        }
        self.entry(start, end, column, next)
    }

    fn pop_to(&mut self, column: usize) {
        while self.stack.last().is_some_and(|level| level.column > column) {
            self.stack.pop();
        }
    }

    /// Path and scope that a new level inherits.
    fn below(&mut self) -> (usize, ScopeId) {
        let Some(level) = self.stack.last() else {
            self.path.clear();
            return (0, self.root);
        };
        let scope = level.scope;
        self.path.truncate(level.path);
        if let Some(key) = level.last_key.clone() {
            push_key(&mut self.path, &self.text[key]);
        } else if let Some(index) = level.index {
            self.path.extend_from_slice(format!("[{index}]").as_bytes());
        }
        (self.path.len(), scope)
    }

    fn push(&mut self, column: usize, index: Option<usize>) {
        let (path, parent) = self.below();
        if self.stack.len() >= DEEPEST {
            return;
        }
        let scope = self.fields.scopes.child(parent);
        self.stack.push(Level {
            column,
            scope,
            path,
            last_key: None,
            index,
        });
    }

    fn dash(&mut self, column: usize) {
        self.pop_to(column);
        match self.stack.last_mut() {
            Some(level) if level.column == column => {
                level.index = Some(level.index.map_or(0, |index| index + 1));
            }
            _ => self.push(column, Some(0)),
        }
    }

    /// A `key: value`, or a bare item.
    fn entry(&mut self, start: usize, end: usize, column: usize, next: usize) -> usize {
        let Some((key, value)) = split_key(self.text, start, end) else {
            self.scalar(start, end);
            return next;
        };
        self.pop_to(column * 2);
        match self.stack.last_mut() {
            Some(level) if level.column == column * 2 => {}
            _ => self.push(column * 2, None),
        }
        if let Some(level) = self.stack.last_mut() {
            level.last_key = Some(key);
        }
        self.value(value, end, column, next)
    }

    fn value(&mut self, mut start: usize, end: usize, column: usize, next: usize) -> usize {
        // Anchors and tags stand before a value.
        loop {
            while start < end && matches!(self.text[start], b' ' | b'\t') {
                start += 1;
            }
            if start < end && matches!(self.text[start], b'&' | b'!') {
                while start < end && !self.text[start].is_ascii_whitespace() {
                    start += 1;
                }
                continue;
            }
            break;
        }
        if start >= end {
            return next;
        }
        if is_block(&self.text[start..end]) {
            return self.block(next, column);
        }
        self.scalar(start, end).map_or(next, |past| {
            if past >= next {
                self.after_line(past)
            } else {
                next
            }
        })
    }

    fn after_line(&self, at: usize) -> usize {
        (self.line_end(at.min(self.end)) + 1).min(self.end)
    }

    /// A scalar or flow collection on this line; answers where a longer one ended.
    fn scalar(&mut self, start: usize, end: usize) -> Option<usize> {
        let (path, scope) = self.below();
        let path = innermost(&self.path[..path]).to_vec();
        match self.text[start] {
            b'#' => None,
            b'{' if self.text[start..end].starts_with(b"{{") => {
                self.plain(&path, start, end, scope);
                None
            }
            b'{' | b'[' => {
                let (stop, looked) = balanced(self.text, start, self.end, self.patience);
                self.patience -= looked;
                flow::parse(self.text, start..stop, &path, scope, self.fields);
                Some(stop)
            }
            b'"' => {
                let (raw, decoded) = flow::quoted(&self.text[..self.end], start + 1, b'"');
                if raw.len() > 64 * 1024 {
                    return None;
                }
                let stop = raw.end;
                self.fields.add_decoded(&path, raw, decoded, scope);
                Some(stop)
            }
            b'\'' => {
                let (raw, decoded) = single_quoted(self.text, start + 1, end);
                self.fields.add_decoded(&path, raw, decoded, scope);
                None
            }
            _ => {
                self.plain(&path, start, end, scope);
                None
            }
        }
    }

    fn plain(&mut self, path: &[u8], start: usize, end: usize, scope: ScopeId) {
        let line = &self.text[start..end];
        let length = memchr::memchr_iter(b'#', line)
            .find(|&at| at > 0 && line[at - 1] == b' ')
            .map_or(line.len(), |at| at - 1);
        let length = line[..length].trim_ascii_end().len();
        self.fields.add(path, start..start + length, scope, false);
    }

    /// A block scalar: the lines that are indented deeper than its key.
    fn block(&mut self, mut at: usize, column: usize) -> usize {
        let start = at;
        let mut stop = at;
        while at < self.end {
            let end = self.line_end(at);
            let line = &self.text[at..end];
            let indent = line.iter().take_while(|&&b| b == b' ').count();
            if !line.trim_ascii().is_empty() && indent <= column {
                break;
            }
            stop = end;
            at = (end + 1).min(self.end).max(at + 1);
        }
        let (path, scope) = self.below();
        let path = innermost(&self.path[..path]).to_vec();
        self.fields.add(&path, start..stop, scope, true);
        at
    }
}

/// What heads a block scalar: `|`, `>`, with signs, a number or a comment behind it.
fn is_block(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'|' | b'>'))
        && text[1..]
            .iter()
            .take_while(|b| !b.is_ascii_whitespace())
            .all(|b| matches!(b, b'-' | b'+' | b'1'..=b'9'))
        && text.len() <= 80
}

/// A string in single quotes, in which two are one.
fn single_quoted(text: &[u8], start: usize, end: usize) -> (Range<usize>, Option<Vec<u8>>) {
    let mut at = start;
    let mut doubled = false;
    while let Some(found) = memchr::memchr(b'\'', &text[at..end]) {
        let quote = at + found;
        if text[..end].get(quote + 1) != Some(&b'\'') {
            at = quote;
            break;
        }
        doubled = true;
        at = quote + 2;
    }
    let stop = if text[..end].get(at) == Some(&b'\'') {
        at
    } else {
        end
    };
    let decoded = doubled.then(|| {
        let mut plain = Vec::with_capacity(stop - start);
        let mut from = start;
        while from < stop {
            plain.push(text[from]);
            from += 1 + usize::from(text[from] == b'\'');
        }
        plain
    });
    (start..stop, decoded)
}

fn push_key(path: &mut Vec<u8>, key: &[u8]) {
    if !path.is_empty() {
        path.push(b'.');
    }
    path.extend_from_slice(&key[..key.len().min(200)]);
}

/// `key` and where its value begins, for a line with `key:` followed by a space or its end.
fn split_key(text: &[u8], start: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let first = *text.get(start)?;
    if matches!(first, b'"' | b'\'') {
        let close = start + 1 + memchr::memchr(first, &text[start + 1..end])?;
        let colon = close
            + 1
            + text[close + 1..end]
                .iter()
                .take_while(|&&b| b == b' ')
                .count();
        return (text[..end].get(colon) == Some(&b':')).then_some((start + 1..close, colon + 1));
    }
    if matches!(first, b'{' | b'[' | b'#' | b'|' | b'>') {
        return None;
    }
    for at in memchr::memchr_iter(b':', &text[start..end]).take(8) {
        let colon = start + at;
        match text[..end].get(colon + 1) {
            None | Some(b' ' | b'\t' | b'\r') => {
                let length = text[start..colon].trim_ascii_end().len();
                return (length > 0 && length <= 256).then_some((start..start + length, colon + 1));
            }
            // `key:"value"`, which is not YAML but is written.
            Some(b'"') if at > 0 && text[start..colon].iter().all(|b| *b != b'"') => {
                return Some((start..colon, colon + 1));
            }
            _ => {}
        }
    }
    None
}

/// Where the bracket at `start` is closed, strings respected, at most 64 KiB further; else the end
/// of its line. Also says how many bytes were looked at.
fn balanced(text: &[u8], start: usize, end: usize, patience: usize) -> (usize, usize) {
    let end = end.min(start + patience.min(64 * 1024));
    let mut depth = 0_usize;
    let mut at = start;
    while at < end {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (at + 1, at + 1 - start);
                }
            }
            b'"' => at = flow::quoted(&text[..end], at + 1, b'"').0.end,
            _ => {}
        }
        at += 1;
    }
    let line = memchr::memchr(b'\n', &text[start..end]).map_or(end, |length| start + length);
    (line, end - start)
}
