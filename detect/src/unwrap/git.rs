//! Git's objects, loose and packed: what was deleted from a work tree lies in them still.
//!
//! The formats are those of gitformat-pack(5) and of the loose objects that gitrepository-layout(5)
//! names. Of a delta only what it brings is read, with the lines around it: what it copies is read
//! where it comes from. Nothing is followed out of the pack: no alternates, no base in another pack.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::ops::Range;
use std::rc::Rc;

use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::bytes::{Bytes, read_up_to};
use super::container::Container;
use super::inflate::Inflater;
use super::stream;
use crate::content::Format;
use crate::judge::MemberName;
use crate::scan::UnreadWhy;
use crate::window::{LineBase, Region, Scanner};

/// Bytes of an object that is held: a base or what a delta makes. Larger ones flow through when they
/// are stored whole, and are named and not read when they are not.
const LARGEST_OBJECT: u64 = 8 << 20;
/// Bytes of objects that are kept to be bases.
const KEPT: usize = 24 << 20;
/// Bytes that one kept object takes besides its content.
const OVERHEAD: usize = 256;
/// Ids of files that a delta may name as its base. Git names them by offset in packs that it keeps.
/// Stops: a pack of a hundred million empty files.
const MOST_IDS: usize = 1 << 17;
/// Bytes that are made and not looked at cost this part of such that are: with the default limits 2 GiB
/// are made. Stops: deltas of thirty bytes that make eight megabytes each.
const MADE_PER_UNWRAPPED: u64 = 8;
/// Bytes that an object counts as, besides its content. Stops: millions of empty ones.
const LEAST_UNWRAPPED: u64 = 64;
/// Deltas upon one another: Git's own bound.
const LONGEST_CHAIN: usize = 4095;
/// What a delta brings is read alone in objects larger than this.
const SMALL: usize = 32 << 10;
/// Lines around it, and bytes of such lines.
const AROUND: usize = 30;
const LONGEST_AROUND: usize = 16 << 10;
/// Two stretches that a delta brings are one when so many bytes or fewer lie between them.
const APART: usize = 4 << 10;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A commit, a tag: text.
    Text(&'static str),
    /// Names of files.
    Tree,
    /// A file.
    Blob,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text(name) => name,
            Kind::Tree => "tree",
            Kind::Blob => "blob",
        }
    }
}

/// The header of a loose object and its length.
pub(crate) fn header(head: &[u8]) -> Option<(Kind, usize)> {
    let space = memchr::memchr(b' ', &head[..head.len().min(8)])?;
    let kind = match &head[..space] {
        b"blob" => Kind::Blob,
        b"tree" => Kind::Tree,
        b"commit" => Kind::Text("commit"),
        b"tag" => Kind::Text("tag"),
        _ => return None,
    };
    let rest = &head[space + 1..];
    let digits = rest
        .iter()
        .take(20)
        .take_while(|b| b.is_ascii_digit())
        .count();
    (digits > 0 && rest.get(digits) == Some(&0)).then_some((kind, space + digits + 2))
}

/// Whether `head` begins a pack of a version that is known.
pub(crate) fn is_pack(head: &[u8]) -> bool {
    head.starts_with(b"PACK\0\0\0\x02") || head.starts_with(b"PACK\0\0\0\x03")
}

/// Whether `head` begins a bundle, gitformat-bundle(5): refs as text, and a pack behind them.
pub(crate) fn is_bundle(head: &[u8]) -> bool {
    head.starts_with(b"# v2 git bundle\n") || head.starts_with(b"# v3 git bundle\n")
}

/// Reads the objects of a bundle's pack. Bases that the bundle only asks for are not there.
pub(crate) fn bundle(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    let mut header = Zeroizing::default();
    let read = read_up_to(&mut bytes.from(0), LARGEST_HEADER, &mut header);
    let end = memchr::memmem::find(&header, b"\n\n").filter(|_| read.is_ok());
    // Refs and comments are whatever somebody wrote.
    let text = &header[..end.unwrap_or(header.len())];
    let mut inner = region.clone();
    inner.format = Format::Text;
    scanner.text(&inner, text, false);
    match end {
        Some(end) => {
            let long = memchr::memmem::find(&header[..end], b"\n@object-format=sha256").is_some();
            objects(
                scanner,
                region,
                bytes,
                (end as u64 + 2, if long { 32 } else { 20 }),
            );
        }
        None if header.len() as u64 == LARGEST_HEADER => {
            scanner.skipped(&region.member, UnreadWhy::Limit);
        }
        None => scanner.skipped(&region.member, UnreadWhy::Damaged),
    }
}

/// Bytes of a bundle's refs. Stops: a header that never ends.
const LARGEST_HEADER: u64 = 1 << 20;

/// Reads the objects of a pack.
pub(crate) fn pack(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>) {
    objects(scanner, region, bytes, (0, 20));
}

/// Reads the objects of the pack that begins at `start`, whose ids have so many bytes.
fn objects(
    scanner: &mut Scanner<'_>,
    region: &Region,
    bytes: &Bytes<'_>,
    (start, id): (u64, usize),
) {
    let mut header = [0_u8; 12];
    if !bytes.exact(start, &mut header) || !is_pack(&header) {
        return scanner.skipped(&region.member, UnreadWhy::Damaged);
    }
    let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let mut pack = Pack {
        bytes,
        kept: HashMap::new(),
        order: VecDeque::new(),
        held: 0,
        ids: HashMap::new(),
        lost: HashSet::new(),
        inflater: Inflater::new(scanner.fuel.clone()),
        id,
    };
    let mut at = start + header.len() as u64;
    for _ in 0..count {
        scanner.fuel.burn(LEAST_UNWRAPPED);
        if scanner.fuel.is_spent() {
            return scanner.skipped(&region.member, UnreadWhy::Limit);
        }
        let Some(entry) = pack.entry(at) else {
            return scanner.skipped(&region.member, UnreadWhy::Damaged);
        };
        match pack.read(scanner, region, &entry) {
            Some(next) => at = next,
            None => return scanner.skipped(&region.member, UnreadWhy::Damaged),
        }
    }
    behind(scanner, region, bytes, at);
}

/// Reads what follows the last object of a pack that ends at `at`, unless that is its sum.
fn behind(scanner: &mut Scanner<'_>, region: &Region, bytes: &Bytes<'_>, at: u64) {
    // Of SHA-256, the longer one.
    const SUM: u64 = 32;
    if bytes.len().saturating_sub(at) > SUM {
        scanner.skipped(&region.member, UnreadWhy::Damaged);
        let mut inner = stream::member(scanner, region, b"(rest)");
        inner.format = Format::Text;
        inner.line = LineBase::Fixed(1);
        stream::plain(scanner, &inner, &mut bytes.from(at));
    }
}

/// One object's place in a pack.
pub(crate) struct Entry {
    at: u64,
    pub(crate) base: Base,
    /// Bytes when inflated: of the object, or of the delta.
    pub(crate) size: u64,
    /// Where its compressed bytes begin.
    pub(crate) data: u64,
}

impl Entry {
    /// The entry at `at` that begins with `head`, of which 64 bytes are enough.
    pub(crate) fn parse(head: &[u8], at: u64) -> Option<Entry> {
        let mut used = 0;
        let mut next = || {
            let byte = *head.get(used)?;
            used += 1;
            Some(byte)
        };
        let mut byte = next()?;
        let kind = byte >> 4 & 7;
        let mut size = u64::from(byte & 15);
        let mut shift = 4;
        while byte & 0x80 != 0 {
            byte = next()?;
            size |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
        }
        let base = match kind {
            1 => Base::None(Kind::Text("commit")),
            2 => Base::None(Kind::Tree),
            3 => Base::None(Kind::Blob),
            4 => Base::None(Kind::Text("tag")),
            6 => {
                byte = next()?;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    back = back.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
                }
                Base::At(at.checked_sub(back).filter(|&base| base < at)?)
            }
            7 => {
                let mut id = [0; 20];
                for byte in &mut id {
                    *byte = next()?;
                }
                Base::Named(id)
            }
            _ => return None,
        };
        Some(Entry {
            at,
            base,
            size,
            data: at + used as u64,
        })
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Base {
    None(Kind),
    At(u64),
    /// By its id, which may lie in this pack.
    Named([u8; 20]),
}

pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// What a delta brings, where it lies in the object that the delta makes.
pub(crate) type Brought = Vec<Range<usize>>;

struct Pack<'a> {
    bytes: &'a Bytes<'a>,
    kept: HashMap<u64, Rc<Object>>,
    order: VecDeque<u64>,
    held: usize,
    /// Where the files that were read lie: a delta may name its base by id.
    ids: HashMap<[u8; 20], u64>,
    /// Objects that could not be made: nothing that builds on them can.
    lost: HashSet<u64>,
    inflater: Inflater,
    /// Bytes of an object's id.
    id: usize,
}

impl Pack<'_> {
    fn entry(&self, at: u64) -> Option<Entry> {
        let mut head = [0_u8; 64];
        let mut input = self.bytes.from(at);
        let mut filled = 0;
        while filled < head.len() {
            match input.read(&mut head[filled..]).ok()? {
                0 => break,
                count => filled += count,
            }
        }
        let mut entry = Entry::parse(&head[..filled], at)?;
        if let Base::Named(_) = entry.base {
            // An id of SHA-256 is told by its first bytes: it names nothing here.
            entry.data += self.id as u64 - 20;
        }
        Some(entry)
    }

    /// Reads one object; answers where the next begins, nothing when the pack is damaged.
    fn read(&mut self, scanner: &mut Scanner<'_>, region: &Region, entry: &Entry) -> Option<u64> {
        if entry.size > LARGEST_OBJECT {
            return self.large(scanner, region, entry);
        }
        let (content, end) = self.inflate(scanner, entry)?;
        let base = match entry.base {
            Base::None(_) => None,
            Base::At(base) => Some(base),
            Base::Named(id) => match self.ids.get(&id) {
                Some(&base) => Some(base),
                None => {
                    // In another pack, or further on: Git writes neither into a pack that it keeps.
                    let full = self.ids.len() == MOST_IDS;
                    let why = match full {
                        true => UnreadWhy::Limit,
                        false => UnreadWhy::Unsupported,
                    };
                    scanner.skipped(&region.member, why);
                    return Some(end);
                }
            },
        };
        let (object, brought) = match (entry.base, base) {
            (Base::None(kind), _) => (Object { kind, content }, None),
            (_, base) => match base.and_then(|base| self.object(scanner, base)) {
                Some(base) => {
                    let (object, brought) = apply(&base, &content, LARGEST_OBJECT)?;
                    made(scanner, object.content.len());
                    (object, Some(brought))
                }
                None => {
                    scanner.skipped(&region.member, UnreadWhy::Limit);
                    return Some(end);
                }
            },
        };
        if object.kind == Kind::Blob && self.ids.len() < MOST_IDS {
            self.ids.insert(id_of(&object), entry.at);
        }
        scan(scanner, region, &object, brought.as_deref());
        self.keep(entry.at, Rc::new(object));
        Some(end)
    }

    /// An object that is too large to be held: whole ones flow through.
    fn large(&mut self, scanner: &mut Scanner<'_>, region: &Region, entry: &Entry) -> Option<u64> {
        let mut input = self.inflater.of(self.bytes.from(entry.data));
        if let Base::None(Kind::Blob) = entry.base {
            let mut inner = stream::member(scanner, region, b"blob");
            inner.format = Format::Guess;
            stream::read(scanner, &inner, &mut input, None);
        } else {
            scanner.skipped(&region.member, UnreadWhy::Limit);
        }
        let room = scanner.fuel.left();
        let rest = std::io::copy(&mut (&mut input).take(room), &mut std::io::sink()).ok()?;
        scanner.fuel.burn(rest);
        Some(entry.data + input.total_in())
    }

    /// The bytes of an entry undone, and where its compressed bytes end.
    fn inflate(
        &mut self,
        scanner: &mut Scanner<'_>,
        entry: &Entry,
    ) -> Option<(Zeroizing<Vec<u8>>, u64)> {
        let mut input = self.inflater.of(self.bytes.from(entry.data));
        let size = usize::try_from(entry.size).ok()?;
        let mut content = Zeroizing::default();
        let read = read_up_to(&mut input, entry.size + 1, &mut content);
        made(scanner, content.len());
        (read.is_ok() && content.len() == size).then_some((content, entry.data + input.total_in()))
    }

    /// The object at an offset, from what is kept or made again. Nothing when its chain has no
    /// beginning here, or takes more work than there is; that is learnt once.
    fn object(&mut self, scanner: &mut Scanner<'_>, at: u64) -> Option<Rc<Object>> {
        let object = self.make(scanner, at);
        if object.is_none() && self.lost.len() < MOST_IDS {
            self.lost.insert(at);
        }
        object
    }

    fn make(&mut self, scanner: &mut Scanner<'_>, at: u64) -> Option<Rc<Object>> {
        // Deltas are undone when their turn comes: a chain of them is not held.
        let mut deltas = Vec::new();
        let mut at = at;
        let mut object = loop {
            if let Some(kept) = self.kept.get(&at) {
                break Rc::clone(kept);
            }
            if deltas.len() > LONGEST_CHAIN || self.lost.contains(&at) || scanner.fuel.is_spent() {
                return None;
            }
            let entry = self
                .entry(at)
                .filter(|entry| entry.size <= LARGEST_OBJECT)?;
            match entry.base {
                Base::None(kind) => {
                    let (content, _) = self.inflate(scanner, &entry)?;
                    let object = Rc::new(Object { kind, content });
                    self.keep(at, Rc::clone(&object));
                    break object;
                }
                Base::At(base) => at = base,
                Base::Named(id) => at = *self.ids.get(&id)?,
            }
            deltas.push(entry);
        };
        for entry in deltas.into_iter().rev() {
            if scanner.fuel.is_spent() {
                return None;
            }
            let (delta, _) = self.inflate(scanner, &entry)?;
            object = Rc::new(apply(&object, &delta, LARGEST_OBJECT)?.0);
            made(scanner, object.content.len());
            self.keep(entry.at, Rc::clone(&object));
        }
        Some(object)
    }

    fn keep(&mut self, at: u64, object: Rc<Object>) {
        let size = object.content.len() + OVERHEAD;
        if self.kept.insert(at, object).is_none() {
            self.order.push_back(at);
            self.held += size;
        }
        while self.held > KEPT {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.held = self.held.saturating_sub(gone.content.len() + OVERHEAD);
            }
        }
    }
}

/// Counts `bytes` as made and not looked at.
fn made(scanner: &mut Scanner<'_>, bytes: usize) {
    scanner.fuel.burn(bytes as u64 / MADE_PER_UNWRAPPED);
}

/// What a delta makes of its base, if that has no more than `largest` bytes, and what of that it brings.
pub(crate) fn apply(base: &Object, delta: &[u8], largest: u64) -> Option<(Object, Brought)> {
    let mut rest = delta;
    let from = length(&mut rest)?;
    let to = length(&mut rest)?;
    if from != base.content.len() as u64 || to > largest {
        return None;
    }
    let to = usize::try_from(to).ok()?;
    if made_by(rest)? != to {
        return None;
    }
    let mut content = Zeroizing::new(Vec::with_capacity(to));
    let mut brought = Brought::new();
    while let Some((&operation, after)) = rest.split_first() {
        rest = after;
        let start = content.len();
        if operation & 0x80 != 0 {
            let mut number = |bits: Range<u32>, flags: u8| -> Option<usize> {
                let mut value = 0;
                for (bit, flag) in bits.zip(0..) {
                    if flags & 1 << bit != 0 {
                        let (&byte, after) = rest.split_first()?;
                        rest = after;
                        value |= usize::from(byte) << (8 * flag);
                    }
                }
                Some(value)
            };
            let at = number(0..4, operation)?;
            let size = match number(4..7, operation)? {
                0 => 0x10000,
                size => size,
            };
            content.extend_from_slice(base.content.get(at..at.checked_add(size)?)?);
        } else {
            let (bytes, after) = rest.split_at_checked(usize::from(operation))?;
            if operation == 0 {
                return None;
            }
            content.extend_from_slice(bytes);
            rest = after;
            match brought.last_mut() {
                Some(last) if start - last.end <= APART => last.end = content.len(),
                _ => brought.push(start..content.len()),
            }
        }
        if content.len() > to {
            return None;
        }
    }
    let kind = base.kind;
    (content.len() == to).then_some((Object { kind, content }, brought))
}

/// How many bytes the operations of a delta make: nothing is made for one that only claims to be large.
fn made_by(mut rest: &[u8]) -> Option<usize> {
    let mut made = 0_usize;
    while let Some((&operation, after)) = rest.split_first() {
        let (size, used) = match operation & 0x80 {
            0 => (usize::from(operation), usize::from(operation)),
            _ => {
                let offset = (operation & 15).count_ones() as usize;
                let mut used = offset;
                let mut size = 0;
                for bit in 0..3 {
                    if operation & (16 << bit) != 0 {
                        size |= usize::from(*after.get(used)?) << (8 * bit);
                        used += 1;
                    }
                }
                (if size == 0 { 0x10000 } else { size }, used)
            }
        };
        rest = after.get(used..)?;
        made = made.checked_add(size)?;
    }
    Some(made)
}

/// A little-endian number, seven bits a byte.
fn length(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads an object's content, or what a delta brought to it, and names the object where something was
/// found in it.
fn scan(
    scanner: &mut Scanner<'_>,
    region: &Region,
    object: &Object,
    brought: Option<&[Range<usize>]>,
) {
    if object.kind == Kind::Tree {
        return;
    }
    let scopes = scanner.scopes.len();
    let before = scanner.candidates.len();
    let mut inner = stream::member(scanner, region, object.kind.name().as_bytes());
    inner.format = match object.kind {
        Kind::Blob => Format::Guess,
        _ => Format::Text,
    };
    match brought {
        // What holds other bytes than it shows has no lines to be read alone.
        Some(brought)
            if object.content.len() > SMALL
                && Container::of(&object.content, b"", &[]).is_none() =>
        {
            inner.format = stream::guess(&object.content);
            for (lines, range) in around(&object.content, brought) {
                inner.line = LineBase::Counted(lines);
                inner.offset = range.start as u64;
                stream::plain(scanner, &inner, &mut &object.content[range]);
            }
        }
        _ => {
            stream::read(scanner, &inner, &mut object.content.as_slice(), None);
        }
    }
    if scanner.candidates.len() == before {
        scanner.scopes.forget(scopes);
    }
    if scanner.candidates.len() > before {
        let named = Rc::new(MemberName {
            part: inner.member.part,
            inside: region
                .member
                .inside
                .iter()
                .cloned()
                .chain([object_name(object)])
                .collect(),
            name: Vec::new(),
        });
        for candidate in &mut scanner.candidates[before..] {
            if candidate.member == inner.member {
                candidate.member = Rc::clone(&named);
            }
        }
    }
}

/// An object's kind and id, as `git cat-file` takes it.
fn object_name(object: &Object) -> Vec<u8> {
    let mut name = format!("{} ", object.kind.name()).into_bytes();
    for byte in id_of(object) {
        name.extend(format!("{byte:02x}").bytes());
    }
    name
}

/// An object's id.
pub(crate) fn id_of(object: &Object) -> [u8; 20] {
    let mut hash = Sha1::new();
    hash.update(format!("{} {}\0", object.kind.name(), object.content.len()));
    hash.update(object.content.as_slice());
    hash.finalize().into()
}

/// The lines around what was brought: how many come before each stretch, and the stretch.
fn around(content: &[u8], brought: &[Range<usize>]) -> Vec<(u32, Range<usize>)> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for range in brought {
        let least = range.start.saturating_sub(LONGEST_AROUND);
        let before = memchr::memrchr_iter(b'\n', &content[least..range.start]).nth(AROUND);
        let most = content.len().min(range.end + LONGEST_AROUND);
        let after = memchr::memchr_iter(b'\n', &content[range.end..most]).nth(AROUND);
        let start = before.map_or(least, |at| least + at + 1);
        let end = after.map_or(most, |at| range.end + at + 1);
        match stretches.last_mut() {
            Some(last) if last.end >= start => last.end = last.end.max(end),
            _ => stretches.push(start..end),
        }
    }
    let (mut lines, mut counted) = (0_usize, 0);
    let numbered = stretches.into_iter().map(|range| {
        lines += memchr::memchr_iter(b'\n', &content[counted..range.start]).count();
        counted = range.start;
        (u32::try_from(lines).unwrap_or(u32::MAX), range)
    });
    numbered.collect()
}
