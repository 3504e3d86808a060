//! Whose a value is, by the words around it.
//!
//! A key without a beginning of its own fits several providers. What tells them apart is a word: in
//! the value's own key path; else beside it, in a sibling's name, an endpoint, a comment or a heading;
//! else in the file's name or what the code imports. The nearest that speaks decides. Words decide
//! between rules and never make a finding.

use std::collections::HashMap;

use super::{Candidate, Part};
use crate::content::Format;
use crate::rule::RuleSet;
use crate::syntax::{self, Field, ScopeId, Scopes};

/// Rules that words speak for, by how near the words stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// In the key path.
    pub(crate) own: Vec<u16>,
    /// In siblings, comments and headings.
    pub(crate) near: Vec<u16>,
    /// In the file's name, in imports.
    pub(crate) far: Vec<u16>,
}

impl Hints {
    /// How near a word for `rule` stands: 3 own, 2 near, 1 far, 0 nowhere.
    pub(crate) fn level(&self, rule: u16) -> u32 {
        if self.own.contains(&rule) {
            3
        } else if self.near.contains(&rule) {
            2
        } else {
            u32::from(self.far.contains(&rule))
        }
    }
}

/// Scopes upwards in which siblings are heard.
const CLIMBED: usize = 4;
/// Lines above a value, and below it in texts without a syntax, that are read for words.
const ABOVE: usize = 48;
const BELOW: usize = 12;
/// Bytes of one such line, and of a sibling's value.
const HEARD: usize = 256;
/// Bytes at a text's start in which imports stand.
const HEAD: usize = 8192;

/// What the fields of one scope say.
struct Heard {
    rules: Vec<u16>,
    /// The same of the scopes just inside it: blocks of one section, sections of one file.
    inside: Vec<u16>,
    /// Where its first field is, and the first of those inside it.
    first: usize,
    first_inside: usize,
}

/// What is heard around the candidates of one text.
struct Hearing<'a> {
    rules: &'a RuleSet,
    text: &'a [u8],
    plain: bool,
    /// Whether a line is a command, whose program says much.
    command: bool,
    scopes: &'a Scopes,
    siblings: HashMap<ScopeId, Heard>,
    imports: Option<Vec<u16>>,
}

/// Gives `found`, candidates of `text` whose positions count from `offset`, the hints of what stands
/// around them.
pub(crate) fn listen(
    found: &mut [Candidate],
    text: &[u8],
    offset: u64,
    format: Format,
    fields: &[Field],
    scopes: &Scopes,
    rules: &RuleSet,
) {
    let mut wanted: HashMap<ScopeId, Heard> = HashMap::new();
    for candidate in found.iter().filter(|found| is_unsaid(found)) {
        let mut scope = candidate.scope;
        for _ in 0..CLIMBED {
            wanted.entry(scope).or_insert(Heard {
                rules: Vec::new(),
                inside: Vec::new(),
                first: usize::MAX,
                first_inside: usize::MAX,
            });
            scope = scopes.parent(scope);
        }
    }
    wanted.remove(&Scopes::ROOT);
    if wanted.is_empty() {
        return;
    }
    let mut hearing = Hearing {
        rules,
        text,
        plain: format.is_plain(),
        command: syntax::are_commands(format),
        scopes,
        siblings: wanted,
        imports: None,
    };
    hearing.siblings(fields);
    for candidate in found.iter_mut().filter(|found| is_unsaid(found)) {
        let at = usize::try_from(candidate.order.saturating_sub(offset)).unwrap_or(usize::MAX);
        if candidate.hints.near.is_empty() {
            candidate.hints.near = hearing.near(candidate.scope, at);
        }
        if candidate.hints.near.is_empty() {
            hearing.imported(&mut candidate.hints.far);
        }
    }
}

/// Whether neither its own beginning nor its own name says whose it is.
fn is_unsaid(found: &Candidate) -> bool {
    matches!(found.part, Part::Id | Part::Secret) && !found.prefixed && found.hints.own.is_empty()
}

/// Adds what is not there yet: thousands of siblings say the same few words, and each candidate gets a
/// copy of them.
fn add_new(known: &mut Vec<u16>, rules: &[u16]) {
    for rule in rules {
        if !known.contains(rule) {
            known.push(*rule);
        }
    }
}

impl Hearing<'_> {
    fn siblings(&mut self, fields: &[Field]) {
        let words = self.rules.words();
        for field in fields {
            let parent = self.scopes.parent(field.scope);
            if !self.siblings.contains_key(&field.scope) && !self.siblings.contains_key(&parent) {
                continue;
            }
            let mut spoken = Vec::new();
            let name = field.path.rsplit(|&b| b == b'.').next().unwrap_or_default();
            words.within(name, &mut spoken);
            let value = field.value(self.text);
            // An address or a few words; not a random run, in which any short word may stand.
            let speaks = value.len() <= HEARD
                && (value.len() <= 24 || value.iter().any(|b| matches!(b, b'.' | b' ')));
            if speaks {
                words.apart(value, &mut spoken);
            }
            spoken.retain(|&rule| self.rules.rule(rule).is_pair());
            if let Some(heard) = self.siblings.get_mut(&field.scope) {
                heard.first = field.raw.start.min(heard.first);
                add_new(&mut heard.rules, &spoken);
            }
            if let Some(heard) = self.siblings.get_mut(&parent) {
                heard.first_inside = field.raw.start.min(heard.first_inside);
                add_new(&mut heard.inside, &spoken);
            }
        }
    }

    fn near(&self, scope: ScopeId, at: usize) -> Vec<u16> {
        let own = self.siblings.get(&scope);
        if let Some(heard) = own.filter(|heard| !heard.rules.is_empty()) {
            return heard.rules.clone();
        }
        let around = self.siblings.get(&self.scopes.parent(scope));
        let firsts = [
            own.map(|heard| heard.first),
            around.map(|heard| heard.first_inside),
        ];
        for first in firsts.into_iter().flatten() {
            let remarks = self.remarks(at.min(self.text.len()), first);
            if !remarks.is_empty() {
                return remarks;
            }
        }
        let mut one = scope;
        for _ in 1..CLIMBED {
            one = self.scopes.parent(one);
            if let Some(heard) = self.siblings.get(&one) {
                let spoken: Vec<u16> = heard.rules.iter().chain(&heard.inside).copied().collect();
                if !spoken.is_empty() {
                    return spoken;
                }
            }
        }
        Vec::new()
    }

    /// Words of comments and headings above, nearest first; in a text without a syntax, of any line
    /// of the paragraph.
    fn remarks(&self, at: usize, first: usize) -> Vec<u16> {
        let mut heard = Vec::new();
        let (mut start, end) = line_around(self.text, at);
        self.hear(&self.text[at..end], is_comment_within, &mut heard);
        if self.command {
            self.hear(&self.text[start..at], |_| true, &mut heard);
        }
        let mut blanks = 0;
        for _ in 0..ABOVE {
            if !heard.is_empty() || start == 0 {
                return heard;
            }
            let above = line_around(self.text, start - 1);
            start = above.0;
            let line = self.text[above.0..above.1].trim_ascii();
            if line.is_empty() {
                blanks += 1;
                if blanks > 1 || (self.plain && blanks > 0 && at - start > HEAD) {
                    break;
                }
                continue;
            }
            // Above the scope's first field only its own headings belong to it.
            let outside = above.1 < first;
            if self.plain || is_comment(line) || (outside && !has_value(line)) {
                self.hear(line, |_| true, &mut heard);
            } else if outside {
                break;
            }
        }
        if self.plain {
            let mut next = end;
            for _ in 0..BELOW {
                let below = line_around(self.text, (next + 1).min(self.text.len()));
                let line = self.text[below.0..below.1].trim_ascii();
                if !heard.is_empty() || line.is_empty() || below.1 <= next {
                    break;
                }
                next = below.1;
                self.hear(line, |_| true, &mut heard);
            }
        }
        heard
    }

    fn hear(&self, line: &[u8], due: fn(&[u8]) -> bool, heard: &mut Vec<u16>) {
        let line = &line[..line.len().min(HEARD)];
        if due(line) {
            self.rules.words().apart(line, heard);
            heard.retain(|&rule| self.rules.rule(rule).is_pair());
        }
    }

    /// Words of the lines at the text's start that say what the code uses.
    fn imported(&mut self, far: &mut Vec<u16>) {
        let (rules, text) = (self.rules, self.text);
        let imports = self.imports.get_or_insert_with(|| {
            const BEGINNINGS: [&[u8]; 8] = [
                b"import",
                b"from ",
                b"use ",
                b"using ",
                b"#include",
                b"require",
                b"package ",
                b"\"",
            ];
            let mut heard = Vec::new();
            for line in text[..text.len().min(HEAD)]
                .split(|&b| b == b'\n')
                .take(200)
            {
                let line = line.trim_ascii();
                let imports = BEGINNINGS.iter().any(|word| line.starts_with(word))
                    || memchr::memmem::find(line, b"require(").is_some();
                if imports && line.len() <= HEARD {
                    rules.words().apart(line, &mut heard);
                }
            }
            heard
        });
        far.extend(imports.iter().copied());
    }
}

/// The line that holds the byte at `at`.
fn line_around(text: &[u8], at: usize) -> (usize, usize) {
    let at = at.min(text.len());
    let floor = at.saturating_sub(4096);
    let start = memchr::memrchr(b'\n', &text[floor..at]).map_or(floor, |n| floor + n + 1);
    let limit = text.len().min(at + 4096);
    let end = memchr::memchr(b'\n', &text[at..limit]).map_or(limit, |n| at + n);
    (start, end)
}

fn is_comment(line: &[u8]) -> bool {
    const MARKS: [&[u8]; 9] = [b"#", b"//", b"--", b";", b"/*", b"*", b"<!--", b"'", b"%"];
    MARKS.iter().any(|mark| line.starts_with(mark))
}

/// Whether a comment follows a value on its own line.
fn is_comment_within(rest: &[u8]) -> bool {
    [&b" #"[..], b"//", b"<!--", b" ;"]
        .iter()
        .any(|mark| memchr::memmem::find(rest, mark).is_some())
}

/// Whether a line gives a value to a name.
fn has_value(line: &[u8]) -> bool {
    line.iter()
        .enumerate()
        .any(|(at, &byte)| (byte == b'=' || byte == b':') && line[at + 1..].trim_ascii().len() > 1)
}
