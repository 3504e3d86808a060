//! Reads one window of text: sieve, syntax around what it saw, judgement.
//!
//! A window is a text that lies in memory as a whole: up to a megabyte of a file, or what an
//! encoding inside it held. Nothing here reads a source, and nothing is remembered between windows
//! but scopes, candidates and keystores.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use akwatch_proto::credential::{Confidence, Kind};
use akwatch_proto::limits;
use akwatch_proto::place::Encoding;
use zeroize::{Zeroize, Zeroizing};

use crate::content::{Format, Source};
use crate::documentation;
use crate::judge::clue::{self, Hints};
use crate::judge::{Candidate, Judge, MemberName, Part, Value, chosen, der, quiet};
use crate::rule::{Engine, Half, Role, RuleSet};
use crate::scan::{Limits, Unread, UnreadWhy};
use crate::sieve::{self, Hit, Sifted, Strip};
use crate::syntax::beside::Wanted;
use crate::syntax::{self, Field, Fields, ScopeId, Scopes, literal, text::Blocks};
use crate::unwrap::fuel::Fuel;
use crate::unwrap::{inline, stream};

mod ciphers;
pub(crate) mod companions;
mod cover;
mod keys;
mod near;
pub(crate) mod stores;
mod undo;

use near::around_hits;

/// What one scan gathers.
pub(crate) struct Scanner<'r> {
    pub(crate) rules: &'r RuleSet,
    pub(crate) limits: Limits,
    /// The part that is being read, for containers that need random access.
    pub(crate) source: Option<&'r dyn Source>,
    /// Whether such a container has read the part by itself.
    pub(crate) covered: bool,
    pub(crate) scopes: Scopes,
    pub(crate) candidates: Vec<Candidate>,
    /// Keystores, told when all passwords of the scan are known.
    pub(crate) stores: Vec<stores::Found>,
    pub(crate) unread: Vec<Unread>,
    pub(crate) too_many: bool,
    pub(crate) work: u64,
    /// What may be spent on undoing what texts are wrapped in.
    pub(crate) fuel: Fuel,
    /// What percent-escapes in one value held, with its name, hashed; while that value is read.
    pub(crate) undone: Option<HashSet<u64>>,
    /// Bytes of a window; a parameter so that tests can put a boundary anywhere.
    pub(crate) window: usize,
    /// Buffers that no level of nesting is using, kept between scans.
    pub(crate) buffers: Vec<Vec<u8>>,
    /// What texts are sifted with, kept between scans.
    pub(crate) strip: Box<Strip>,
}

/// Candidates of one scan. Stops: a file of generated keys that fills memory.
const MOST_CANDIDATES: usize = 8192;
/// Tokens of one rule in one KiB. Stops: a rule pack that reads a file out token by token.
const MOST_PER_KIB: u32 = 16;
/// The same of what is known by its name: no pack says its shape, and lists of logins are dense.
const MOST_NAMED_PER_KIB: u32 = 64;

/// Bytes of a value that may hold something wrapped beside other words.
const SHORTEST_WRAPPED: usize = 40;

/// Where a window's text stands.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) member: Rc<MemberName>,
    pub(crate) encoding: Vec<Encoding>,
    pub(crate) path: Vec<u8>,
    pub(crate) scope: ScopeId,
    pub(crate) depth: u32,
    pub(crate) format: Format,
    pub(crate) line: LineBase,
    pub(crate) offset: u64,
    /// Source code: only quoted values are passwords.
    pub(crate) code: bool,
}

/// How lines of a text are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineBase {
    /// So many lines come before.
    Counted(u32),
    /// All of it stands on this line of the outer text.
    Fixed(u32),
}

/// Line starts of a window, found once.
struct Lines {
    starts: Vec<u32>,
    base: LineBase,
}

impl Lines {
    fn of(text: &[u8], base: LineBase) -> Lines {
        Lines {
            starts: sieve::line_starts(text),
            base,
        }
    }

    fn index(&self, at: usize) -> usize {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.starts
            .partition_point(|&start| start <= at)
            .saturating_sub(1)
    }

    fn number(&self, at: usize) -> u32 {
        match self.base {
            LineBase::Fixed(line) => line,
            LineBase::Counted(before) => before
                .saturating_add(u32::try_from(self.index(at)).unwrap_or(u32::MAX))
                .saturating_add(1),
        }
    }

    fn range(&self, line: usize, text: &[u8]) -> std::ops::Range<usize> {
        let start = self.starts[line] as usize;
        let end = self
            .starts
            .get(line + 1)
            .map_or(text.len(), |&next| next as usize - 1);
        start..end
    }
}

impl<'r> Scanner<'r> {
    /// Notes that something was not read. What fails when all is spent fails for that reason, whatever
    /// a decoder made of it.
    pub(crate) fn skipped(&mut self, member: &MemberName, why: UnreadWhy) {
        let why = match why {
            UnreadWhy::Damaged | UnreadWhy::Unreadable if self.fuel.is_spent() => UnreadWhy::Limit,
            why => why,
        };
        let unread = Unread {
            part: member.part,
            inside: member.inside.clone(),
            why,
        };
        if self.unread.len() < 256 && !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    /// Reads `text`. When it is `cut`, more follows: a token that touches its end is left to the
    /// next window.
    pub(crate) fn text(&mut self, region: &Region, text: &[u8], cut: bool) {
        let undone = self.undone.take();
        self.read_text(region, text, cut);
        self.undone = undone;
    }

    fn read_text(&mut self, region: &Region, text: &[u8], cut: bool) {
        let plain = near::unswapped(region, text).or_else(|| inline::undressed(text));
        let plain = plain.map(Zeroizing::new);
        let text = inline::unmarked(plain.as_ref().map_or(text, |plain| plain.as_slice()));
        self.work += text.len() as u64;
        let (hits, sifted) = self.hits(region, text, cut);
        if hits.is_empty() && !is_always_read(region.format, text, sifted, self.rules) {
            return self.cipher_keys(region, text, sifted);
        }
        let binary = is_binary(region.format, text);
        let mut guessed = None;
        let format = match region.format {
            Format::Conf => syntax::settled(text),
            Format::Guess => stream::guess(text),
            named if region.code => named,
            named => syntax::contradicted(named, text).unwrap_or(named),
        };
        if region.format != format {
            let mut region = region.clone();
            region.format = format;
            guessed = Some(region);
        }
        let region = guessed.as_ref().unwrap_or(region);
        let lines = Lines::of(text, region.line);
        let scopes_before = self.scopes.len();
        let found_before = self.candidates.len();
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut self.scopes,
        };
        syntax::parse(
            text,
            0..text.len(),
            region.format,
            region.scope,
            &mut fields,
        );
        // An id names no field: the line is read for both halves.
        fields
            .fields
            .retain(|field| !is_behind_id(text, field, self.rules));
        around_hits(text, region, &lines, &hits, &mut fields, self.rules);
        let mut fields = std::mem::take(&mut fields.fields);
        self.say_cut(region);
        self.work += text.len() as u64;
        let near_id = |hit: &Hit| matches!(hit, Hit::Token(token) if token.half == Half::Id);
        let judge = self.judge(region, hits.iter().any(near_id), !binary);
        for field in &fields {
            let whole = !(cut && field.raw.end == text.len());
            if whole && worth_judging(region, text, field, &hits, &judge) {
                self.field(region, text, field, &lines, &judge);
            }
        }
        let code = region.code;
        chosen::settle(&mut self.candidates, found_before, text, &fields, code);
        clue::listen(
            &mut self.candidates[found_before..],
            text,
            region.offset,
            region.format,
            &fields,
            &self.scopes,
            self.rules,
        );
        for field in &mut fields {
            field.decoded.zeroize();
        }
        self.keys(region, text, &hits, &lines);
        self.wrapped(region, text, &hits, &lines, found_before);
        self.cipher_keys(region, text, sifted);
        self.settle(found_before, scopes_before);
    }

    /// Says that a parser has left something out, if one has.
    fn say_cut(&mut self, region: &Region) {
        if self.scopes.was_cut() {
            self.skipped(&region.member, UnreadWhy::Limit);
        }
    }

    /// What the sieve sees, and what stands beside names without a separator that it knows.
    fn hits(&mut self, region: &Region, text: &[u8], cut: bool) -> (Vec<Hit>, Sifted) {
        let mut hits = Vec::new();
        let sifted = sieve::sift(text, self.rules, &mut self.strip, &mut hits);
        self.too_many |= sifted.too_many;
        if region.code {
            let rust = region.member.name.ends_with(b".rs");
            let idle = |at: usize| sieve::is_idle_code(text, at, rust);
            hits.retain(|hit| !matches!(hit, Hit::Name(at) if idle(*at)));
        }
        let notes = takes_notes(region);
        let wanted = Wanted {
            sentences: has_sentences(region.format),
            wide: sifted.foreign,
            flags: notes,
            strings: notes && is_free(region.format),
        };
        if text.len() <= syntax::beside::LONGEST && (wanted.sentences || wanted.flags) {
            let before = hits.len();
            self.too_many |=
                !syntax::beside::places(text, wanted, self.rules, |at| hits.push(Hit::Name(at)));
            if hits.len() > before {
                hits.sort_by_key(Hit::at);
            }
        }
        if cut {
            hits.retain(|hit| !matches!(hit, Hit::Token(token) if token.end == text.len()));
            // The next window has the whole of what begins in what it repeats; of escapes that are
            // longer nobody sees the end.
            let long = |hit: &Hit| match hit {
                Hit::Wrapped(range) => range.end == text.len() && range.len() > stream::OVERLAP,
                _ => false,
            };
            if hits.iter().any(long) {
                self.skipped(&region.member, UnreadWhy::Limit);
            }
        }
        (hits, sifted)
    }

    fn judge(&self, region: &Region, anonymous: bool, by_name: bool) -> Judge<'r> {
        Judge {
            rules: self.rules,
            anonymous,
            format: region.format,
            place: OnceCell::new(),
            by_name,
            documentation: documentation::is_documentation(&region.member.name),
        }
    }

    /// Drops what was seen twice, and the scopes of a window without candidates.
    fn settle(&mut self, found_before: usize, scopes_before: usize) {
        let mut fresh: Vec<Candidate> = self.candidates.drain(found_before..).collect();
        fresh.sort_by(|a, b| {
            (a.order, a.part, !a.named, a.path.is_empty()).cmp(&(
                b.order,
                b.part,
                !b.named,
                b.path.is_empty(),
            ))
        });
        fresh.dedup_by(|b, a| a.order == b.order && a.part == b.part && a.value == b.value);
        drop_inner(&mut fresh);
        let before = fresh.len();
        let named = [
            Engine::NamedPassword,
            Engine::NamedSecret,
            Engine::NamedToken,
            Engine::UrlPassword,
        ]
        .map(|engine| self.rules.engine(engine));
        let mut dense: HashMap<(u64, u16), u32> = HashMap::new();
        fresh.retain(|found| {
            let Some(&rule) = found.rules.last().filter(|_| found.part == Part::Single) else {
                return true;
            };
            let count = dense.entry((found.order >> 10, rule)).or_default();
            *count += 1;
            let most = if named.contains(&Some(rule)) {
                MOST_NAMED_PER_KIB
            } else {
                MOST_PER_KIB
            };
            *count <= most
        });
        self.too_many |= fresh.len() < before;
        self.candidates.append(&mut fresh);
        if self.candidates.len() == found_before {
            self.scopes.forget(scopes_before);
        }
        if self.candidates.len() > MOST_CANDIDATES {
            self.candidates.truncate(MOST_CANDIDATES);
            self.too_many = true;
        }
    }

    fn field(
        &mut self,
        region: &Region,
        text: &[u8],
        field: &Field,
        lines: &Lines,
        judge: &Judge<'_>,
    ) {
        let bytes = field.value(text);
        let in_place = field.decoded.is_none();
        let start = field.raw.start;
        let line = |at: usize| lines.number(if in_place { start + at } else { start });
        let path = join(&region.path, &field.path);
        let plain = region.format.is_plain();
        let encoding: Vec<Encoding> = region
            .encoding
            .iter()
            .copied()
            .chain(field.encoding)
            .collect();
        let spoken = || match field.quoted {
            true if chosen::is_compared(text, start) => chosen::COMPARED,
            true if field.told => chosen::SPOKEN,
            _ if chosen::is_remark(text, start) => chosen::REMARK,
            _ => 0,
        };
        let value = Value {
            path: &path,
            bytes,
            scope: field.scope,
            encoding: &encoding,
            sure: field.quoted
                || !region.code
                || (quiet::is_no_expression(bytes.trim_ascii()) && !is_called(text, field.raw.end)),
            loose: !field.quoted && (plain || field.told),
            spoken: &spoken,
            order: region.offset + start as u64,
            line: &line,
            member: &region.member,
        };
        self.value(region, &value, judge, !in_place);
    }

    /// Judges a value, and what is wrapped inside it.
    fn value(&mut self, region: &Region, value: &Value<'_>, judge: &Judge<'_>, escaped: bool) {
        let bytes = inline::unmarked(value.bytes);
        let value = &Value { bytes, ..*value };
        judge.signed(value, &mut self.candidates);
        let begins = bytes.trim_ascii_start().first().copied();
        let document = bytes.len() >= 24
            && (matches!(begins, Some(b'{' | b'['))
                && bytes.contains(&b'"')
                && bytes.contains(&b':')
                || escaped && bytes.trim_ascii().contains(&b'\n'));
        if document && region.depth < self.limits.depth {
            let mut inner = self.inside(region, value, 0, escaped.then_some(Encoding::Escaped));
            if stream::is_container(bytes) {
                return stream::nested(self, &inner, bytes);
            }
            inner.format = syntax::sniff(bytes);
            return self.text(&inner, bytes, false);
        }
        if let Some((encoding, decoded)) = judge.unwrapped(bytes) {
            let decoded = Zeroizing::new(decoded);
            if encoding != Encoding::Url {
                return self.decoded(region, value, judge, encoding, &decoded);
            }
            if decoded.as_slice() != bytes {
                return self.unescaped(region, value, judge, &decoded);
            }
        }
        let before = self.candidates.len();
        judge.value(value, &mut self.candidates);
        if let Some(text) = der::wrapped(bytes) {
            self.unarmoured(value, before, text);
        } else if self.store_value(region, value) {
            self.candidates.truncate(before);
        } else if escaped && self.candidates.len() == before {
            self.unseen(region, value);
        }
    }

    /// A value that the sieve has not seen, since its text held it undone: a command, an address or a line
    /// with something wrapped in it again.
    fn unseen(&mut self, region: &Region, value: &Value<'_>) {
        let bytes = value.bytes;
        let wrapped = bytes.len() >= SHORTEST_WRAPPED
            && bytes
                .iter()
                .any(|b| matches!(b, b' ' | b'\\' | b'%' | b'\n' | b'"'));
        // A key is read where it stands, with all that was written between its lines.
        let is_key = memchr::memmem::find(bytes, b"-----BEGIN").is_some();
        if !wrapped || is_key || region.depth >= self.limits.depth || self.fuel.is_spent() {
            return;
        }
        // Of a file's own text this is less than the file has.
        stream::charge(self, region, bytes.len() as u64);
        let mut inner = self.inside(region, value, 0, None);
        inner.format = syntax::sniff(bytes);
        self.text(&inner, bytes, false);
    }

    /// A text with percent-escapes: what it holds without them, but for the addresses in it, which are
    /// split as they are written.
    fn unescaped(&mut self, region: &Region, value: &Value<'_>, judge: &Judge<'_>, text: &[u8]) {
        let split = judge.escaped_urls(value, &mut self.candidates);
        let before = self.candidates.len();
        self.decoded(region, value, judge, Encoding::Url, text);
        if split {
            let rule = self.rules.engine(Engine::UrlPassword);
            let mut told = self.candidates.split_off(before.min(self.candidates.len()));
            told.retain(|found| found.rules.last().copied() != rule);
            self.candidates.append(&mut told);
        }
    }

    /// A text that an encoding held.
    fn decoded(
        &mut self,
        region: &Region,
        value: &Value<'_>,
        judge: &Judge<'_>,
        encoding: Encoding,
        decoded: &[u8],
    ) {
        self.fuel.burn(decoded.len() as u64);
        self.work += decoded.len() as u64;
        if region.depth >= self.limits.depth || self.fuel.is_spent() {
            self.skipped(&region.member, UnreadWhy::Limit);
            return;
        }
        let inner = self.inside(region, value, 0, Some(encoding));
        if stream::is_container(decoded) {
            return stream::nested(self, &inner, decoded);
        }
        let plain = decoded.iter().all(|b| !matches!(b, b'\n' | b'=' | b'{'))
            || (encoding == Encoding::Url && !decoded.contains(&b'\n'))
            || decoded
                .trim_ascii_end()
                .iter()
                .rposition(|&b| b != b'=')
                .is_some_and(|last| {
                    !decoded[..last]
                        .iter()
                        .any(|b| matches!(b, b'\n' | b'=' | b'{' | b':'))
                });
        if plain {
            let line = |_| (value.line)(0);
            let again = Value {
                bytes: decoded,
                encoding: &inner.encoding,
                line: &line,
                sure: true,
                ..*value
            };
            return match encoding {
                Encoding::Url => self.address(&inner, &again, judge),
                _ => self.value(&inner, &again, judge, true),
            };
        }
        let mut inner = inner;
        inner.format = syntax::sniff(decoded);
        self.text(&inner, decoded, false);
    }

    /// The region of what is wrapped inside a value.
    fn inside(
        &self,
        region: &Region,
        value: &Value<'_>,
        at: usize,
        encoding: Option<Encoding>,
    ) -> Region {
        Region {
            encoding: region.encoding.iter().copied().chain(encoding).collect(),
            path: value.path.to_vec(),
            scope: value.scope,
            depth: region.depth + 1,
            format: Format::Text,
            line: LineBase::Fixed((value.line)(at)),
            offset: value.order,
            code: false,
            member: Rc::clone(&region.member),
        }
    }

    /// The region of a run that begins at `at` of `text` and goes on behind it, by the field that holds it.
    pub(crate) fn around(
        &mut self,
        region: &Region,
        text: &[u8],
        at: usize,
        encoding: Encoding,
    ) -> Region {
        let mut inner = region.clone();
        inner.format = match region.format {
            Format::Conf => syntax::settled(text),
            Format::Guess => stream::guess(text),
            named => named,
        };
        let scopes = self.scopes.len();
        let mut fields = Fields {
            fields: Vec::new(),
            scopes: &mut self.scopes,
        };
        syntax::parse(text, 0..text.len(), inner.format, region.scope, &mut fields);
        let mut fields = std::mem::take(&mut fields.fields);
        self.say_cut(region);
        // The text is read again, and its scopes are others then.
        self.scopes.forget(scopes);
        inner.scope = self.scopes.child(region.scope);
        let holder = fields.iter().rfind(|field| field.raw.contains(&at));
        if let Some(holder) = holder {
            inner.path = join(&region.path, &holder.path);
        }
        for field in &mut fields {
            field.decoded.zeroize();
        }
        self.work += text.len() as u64;
        inner.format = Format::Guess;
        inner.line = LineBase::Fixed(Lines::of(text, region.line).number(at));
        inner.encoding.push(encoding);
        inner.depth += 1;
        inner.offset += at as u64;
        inner.code = false;
        inner
    }
}

/// Drops what stands inside a longer finding whose own form says what it is: the token in a robot's
/// address is no second credential. `fresh` is in the order of the text.
fn drop_inner(fresh: &mut Vec<Candidate>) {
    /// Outer findings that are open at one place.
    const MOST_OPEN: usize = 4;
    let mut open: Vec<usize> = Vec::new();
    let mut inner = vec![false; fresh.len()];
    for at in 0..fresh.len() {
        let found = &fresh[at];
        if !matches!(found.part, Part::Single | Part::Token) {
            continue;
        }
        let end = |found: &Candidate| found.order + found.value.len() as u64;
        open.retain(|&outer| end(&fresh[outer]) > found.order);
        inner[at] = open.iter().any(|&outer| {
            let outer = &fresh[outer];
            let from = usize::try_from(found.order - outer.order).unwrap_or(usize::MAX);
            found.value.len() < outer.value.len()
                && found.encoding == outer.encoding
                && found.member == outer.member
                && outer
                    .value
                    .get(from..)
                    .is_some_and(|rest| rest.starts_with(&found.value))
        });
        let strong = found.prefixed && found.confidence >= Confidence::Strong;
        if strong && found.part == Part::Single && !inner[at] && open.len() < MOST_OPEN {
            open.push(at);
        }
    }
    let mut inner = inner.into_iter();
    fresh.retain(|_| !inner.next().unwrap_or(false));
}

/// Whether commands may stand among a text's lines that its parser does not read as such. Manuals are
/// full of them, and their flags hold examples.
fn takes_notes(region: &Region) -> bool {
    const MANUALS: [&[u8]; 5] = [b".rst", b".adoc", b".pod", b".texi", b".html"];
    let name = &region.member.name;
    !MANUALS.iter().any(|ending| name.ends_with(ending))
        && (is_free(region.format)
            || matches!(
                region.format,
                Format::Dotenv | Format::Ini | Format::Properties | Format::Toml | Format::Yaml
            ))
}

/// Whether people's sentences may stand in a text, in comments and in what scripts print among others.
fn has_sentences(format: Format) -> bool {
    !matches!(
        format,
        Format::Environ | Format::Argv | Format::Json | Format::Xml | Format::Csv | Format::Sql
    )
}

/// Whether a text is parsed though the sieve has seen nothing in it.
fn is_always_read(format: Format, text: &[u8], sifted: Sifted, rules: &RuleSet) -> bool {
    sifted.deep || syntax::always(format, text, sifted.foreign, rules)
}

/// Whether a text is none, so that a name in it says nothing of what stands beside it: not one that its
/// name says is a text, and not for a NUL at its end or for one in a KiB.
fn is_binary(format: Format, text: &[u8]) -> bool {
    const FEW: usize = 4;
    if matches!(format, Format::Environ | Format::Argv) || memchr::memchr(0, text).is_none() {
        return false;
    }
    let end = text.iter().rposition(|&byte| byte != 0);
    let text = &text[..end.map_or(0, |end| end + 1)];
    let nuls = memchr::memchr_iter(0, text).count();
    if !is_free(format) && format != Format::Guess {
        return nuls > FEW.max(text.len() >> 10);
    }
    // A program's long texts have few NULs too, and numbers between them.
    let control = |byte: &u8| matches!(byte, 1..=8 | 14..=26 | 28..=31);
    nuls > 0 && (nuls > text.len() >> 10 || text.iter().any(control))
}

/// Whether a format has no syntax of its own.
fn is_free(format: Format) -> bool {
    format.is_plain() || matches!(format, Format::Conf | Format::Directives)
}

/// Whether a field can be anything at all: told from its length, its name's last letters and what
/// the sieve saw in it, since most fields of a file that is parsed are nothing.
fn worth_judging(
    region: &Region,
    text: &[u8],
    field: &Field,
    hits: &[Hit],
    judge: &Judge<'_>,
) -> bool {
    let bytes = field.value(text).trim_ascii();
    if bytes.len() < limits::SHORTEST_PASSWORD {
        return false;
    }
    let random = bytes.len() >= limits::SHORTEST_SECRET
        && bytes.iter().all(u8::is_ascii_graphic)
        && !quiet::is_hex(bytes);
    if (judge.anonymous && random) || field.decoded.is_some() {
        return true;
    }
    let next = hits.partition_point(|hit| hit.at() < field.raw.start);
    let held = hits.get(next).is_some_and(|hit| hit.at() < field.raw.end);
    let name = if field.path.is_empty() {
        &region.path
    } else {
        &field.path
    };
    // The sieve saw no token after a flag that has no blank behind it.
    let begins = bytes
        .first_chunk()
        .is_some_and(|&word| judge.rules.anchors().may_begin(u32::from_le_bytes(word)));
    held || begins
        || judge.rules.names().may_say(name)
        || crate::judge::header_scheme(bytes).is_some()
        || inline::may_be_wrapped(bytes)
}

/// Whether a name that ends at `end` of a program is that of a function or of a type.
fn is_called(text: &[u8], end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    rest.starts_with(b"(") || rest.starts_with(b"::") || rest.starts_with(b"[")
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return name.to_vec();
    }
    if name.is_empty() {
        return path.to_vec();
    }
    [path, b".", name].concat()
}

/// Whether a field's name is an id with a beginning of its own and a blank, `id secret`.
fn is_behind_id(text: &[u8], field: &Field, rules: &RuleSet) -> bool {
    let begins = field
        .path
        .first_chunk()
        .is_some_and(|&word| rules.anchors().may_begin(u32::from_le_bytes(word)));
    if !begins || field.path.len() < limits::SHORTEST_SECRET {
        return false;
    }
    let before = &text[..field.raw.start.min(text.len())];
    let name = before.trim_ascii_end();
    name.len() < before.len() && name.ends_with(&field.path) && is_id(&field.path, rules)
}

/// Whether all of `text` is an id with a beginning of its own.
fn is_id(text: &[u8], rules: &RuleSet) -> bool {
    let mut tokens = sieve::tokens(text, rules).into_iter();
    tokens.any(|token| token.half == Half::Id && token.start == 0 && token.end == text.len())
}
